//! `retry:` with its defaults.

use std::time::Duration;

use super::{LIMITS, Retry};
use crate::document::{Node, NodeValue, Reader};
use crate::values::DurationText;

const DEFAULT_DELAY: Duration = Duration::from_secs(1);
const DEFAULT_BACKOFF: f64 = 2.0;
const DEFAULT_MAX_DELAY: Duration = Duration::from_mins(1);
const DEFAULT_JITTER: f64 = 0.1;

/// Reads how failed attempts are repeated. `attempts` counts the first try.
pub(super) fn read(reader: &mut Reader, node: &Node) -> Option<Retry> {
    let mut fields = reader.fields(node, "`retry`")?;
    let attempts = reader
        .require(&mut fields, "attempts")
        .and_then(|node| reader.count(node, "`attempts`", 1, LIMITS.attempts));
    let delay = fields.take("delay").map_or(Some(DEFAULT_DELAY), |node| reader.duration(node, "`delay`"));
    let backoff = fields
        .take("backoff")
        .map_or(Some(DEFAULT_BACKOFF), |node| in_range(reader, node, "`backoff`", 1.0, LIMITS.backoff));
    let max_delay_node = fields.take("max_delay");
    let max_delay = match max_delay_node {
        Some(node) => reader.duration(node, "`max_delay`"),
        // A delay that was asked for is not cut by a default.
        None => delay.map(|delay| delay.max(DEFAULT_MAX_DELAY)),
    };
    let jitter = fields
        .take("jitter")
        .map_or(Some(DEFAULT_JITTER), |node| in_range(reader, node, "`jitter`", 0.0, 1.0));
    reader.close(&fields);
    if let (Some(node), Some(delay), Some(max_delay)) = (max_delay_node, delay, max_delay)
        && max_delay < delay
    {
        return reader.wrong_value(
            node,
            format!("`max_delay` is shorter than `delay` ({})", DurationText(delay)),
            "make it at least as long",
        );
    }
    Some(Retry {
        attempts: attempts?,
        delay: DurationText(delay?),
        backoff: backoff?,
        max_delay: DurationText(max_delay?),
        jitter: jitter?,
    })
}

fn in_range(reader: &mut Reader, node: &Node, what: &str, least: f64, most: f64) -> Option<f64> {
    if let NodeValue::String { .. } = node.value {
        return reader.wrong_type(node, what, "a number");
    }
    let number = reader.number(node, what)?;
    if (least..=most).contains(&number) {
        return Some(number);
    }
    let message = format!("{what} must be from {least} to {most}, found {number}");
    reader.wrong_value(node, message, "write a number in that range")
}
