//! `schedules:`: when which runbook is to run.

use croner::parser::{CronParser, Seconds, Year};
use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::Schedule;
use crate::document::{Entry, Node, Reader};
use crate::values::DurationText;

const UTC: &str = "UTC";
const FIELDS: &str =
    "write five fields, minute hour day month weekday, as in `*/15 * * * *` or `30 2 * * 1-5`";

/// Reads one schedule.
pub(super) fn read(reader: &mut Reader, entry: &Entry) -> Option<Schedule> {
    let mut fields = reader.fields(&entry.value, format!("schedule `{}`", entry.key))?;
    let runbook = reader.require(&mut fields, "runbook").and_then(|node| {
        let name = reader.filled_text(node, "`runbook`")?;
        reader.check_name(name, &node.location, "a runbook").then_some(name)
    });
    let cron = reader.require(&mut fields, "cron").and_then(|node| read_cron(reader, node));
    let timezone = fields.take("timezone").map_or(Some(UTC), |node| read_timezone(reader, node));
    let jitter = fields.take("jitter").map(|node| reader.duration(node, "`jitter`"));
    reader.close(&fields);
    Some(Schedule {
        runbook: runbook?.to_owned(),
        cron: cron?.to_owned(),
        timezone: timezone?.to_owned(),
        jitter: match jitter {
            Some(jitter) => Some(DurationText(jitter?)),
            None => None,
        },
    })
}

fn read_cron<'n>(reader: &mut Reader, node: &'n Node) -> Option<&'n str> {
    let text = reader.filled_text(node, "`cron`")?;
    let parser = CronParser::builder().seconds(Seconds::Disallowed).year(Year::Disallowed).build();
    let Ok(cron) = parser.parse(text) else {
        return reader.wrong_value(node, format!("`{text}` is no cron expression"), FIELDS);
    };
    // From a fixed time: whether a schedule is sound must not depend on the day it is read.
    let start = Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC);
    if cron.find_next_occurrence(&start, false).is_err() {
        return reader.wrong_value(
            node,
            format!("`{text}` never comes"),
            "no such day is in any year: correct day and month",
        );
    }
    Some(text)
}

fn read_timezone<'n>(reader: &mut Reader, node: &'n Node) -> Option<&'n str> {
    let name = reader.filled_text(node, "`timezone`")?;
    if TimeZone::get(name).is_ok() {
        return Some(name);
    }
    let known: Vec<String> = jiff::tz::db().available().map(|name| name.as_str().to_owned()).collect();
    let help = match crate::diagnostic::nearest(name, known.iter().map(String::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            "write a name of the IANA database, such as `UTC`, `Asia/Seoul` or `Europe/Berlin`".to_owned()
        }
    };
    reader.wrong_value(node, format!("there is no time zone `{name}`"), help)
}
