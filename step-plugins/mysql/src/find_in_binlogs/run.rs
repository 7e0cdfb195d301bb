//! Reads the archive in the order of time, and remembers what fits.

use std::io::Read;

use jiff::Timestamp;
use rekindle_backup::binlog::archive::{self, Timeline};
use rekindle_backup::binlog::{
    EventKind, Part, Query, Segment, SegmentError, SegmentEvents, Tables, Transaction, Transactions,
};
use rekindle_engine::host::{Key, ObjectStore};
use rekindle_engine::step::{Progress, StepContext, StepError};

use super::choice::Fitting;
use super::matching::{self, Match};
use super::{Deed, FindInBinlogsOutputs, FindInBinlogsParams};

const SHOWN_STATEMENT_CHARACTERS: usize = 200;

/// A transaction that fits.
pub(super) struct Hit {
    pub(super) transaction: Transaction,
    pub(super) deed: Deed,
    pub(super) what: String,
    pub(super) statement: String,
}

impl Hit {
    /// When it was committed (UTC).
    pub(super) fn at(&self) -> Timestamp {
        Timestamp::from_second(i64::from(self.transaction.at)).unwrap_or(Timestamp::UNIX_EPOCH)
    }

    /// Its GTID; empty when it has none.
    pub(super) fn gtid(&self) -> String {
        self.transaction.gtid.as_ref().map_or_else(String::new, ToString::to_string)
    }
}

pub(super) async fn run(
    params: &FindInBinlogsParams,
    cx: &StepContext,
) -> Result<FindInBinlogsOutputs, StepError> {
    let store = cx.store(&params.store).await?;
    let cluster = params.cluster.as_deref().unwrap_or(cx.settings().cluster());
    let mut timelines = archive::load(store.as_ref(), cluster).await?;
    let server = params.server.as_deref().filter(|server| !server.is_empty());
    timelines.retain(|timeline| server.is_none_or(|server| timeline.key.server == server));
    timelines.sort_by_key(|timeline| timeline.segments.first().map(|segment| segment.log_created_at));
    let mut fitting = Fitting::default();
    let mut unread = 0;
    for timeline in &timelines {
        for segment in timeline.segments.iter().filter(|segment| may_have(params, segment)) {
            if cx.cancel().is_cancelled() {
                return Err(StepError::cancelled());
            }
            cx.progress(Progress { note: format!("looking in {}", segment.log), ..Progress::default() });
            let (hits, compressed) = look_into(params, store.as_ref(), timeline, segment).await?;
            unread += compressed;
            for hit in hits {
                fitting.add(timeline, segment, hit);
            }
        }
    }
    if unread > 0 {
        cx.warn(&format!(
            "{unread} transactions are compressed (binlog_transaction_compression) and could not be looked into"
        ));
    }
    fitting.choose(params.which)?.ok_or_else(|| nothing(params, cluster))
}

async fn look_into(
    params: &FindInBinlogsParams,
    store: &dyn ObjectStore,
    timeline: &Timeline,
    segment: &Segment,
) -> Result<(Vec<Hit>, u64), StepError> {
    let key = Key::new(format!("{}{}", timeline.key.prefix(), segment.object));
    let key = key.map_err(|error| StepError::permanent(error.to_string()))?;
    let body = store.get(&key, None).await?.into_blocking_reader();
    let (asked, described) = (params.clone(), segment.clone());
    let looking = tokio::task::spawn_blocking(move || look(&asked, &described, body));
    looking.await.map_err(|error| StepError::permanent(error.to_string()))?.map_err(StepError::from)
}

fn nothing(params: &FindInBinlogsParams, cluster: &str) -> StepError {
    let deeds: Vec<String> = params.deeds.iter().map(|deed| format!("{deed:?}").to_lowercase()).collect();
    let given = |name: &Option<String>| name.clone().filter(|name| !name.is_empty());
    let what = match (given(&params.database), given(&params.table)) {
        (Some(database), Some(table)) => format!("{database}.{table}"),
        (Some(database), None) => format!("the database {database}"),
        (None, Some(table)) => format!("a table {table}"),
        (None, None) => "any table".to_owned(),
    };
    StepError::permanent(format!(
        "the archived logs of `{cluster}` have no {} of {what} in that time",
        deeds.join(" or ")
    ))
    .help("archive what the server has not given yet (`rekindle run archive-binlogs`), or widen the time or the names")
}

fn may_have(params: &FindInBinlogsParams, segment: &Segment) -> bool {
    let (Some(first), Some(last)) = (segment.first_at, segment.last_at) else { return false };
    params.from.is_none_or(|from| last >= from) && params.to.is_none_or(|to| first <= to)
}

fn look(
    params: &FindInBinlogsParams,
    segment: &Segment,
    object: impl Read,
) -> Result<(Vec<Hit>, u64), SegmentError> {
    let mut events = SegmentEvents::new(object, segment)?;
    let mut transactions =
        if segment.from == 4 { Transactions::default() } else { Transactions::from(segment.from) };
    let mut tables = Tables::default();
    let (mut hits, mut compressed) = (Vec::new(), 0);
    let mut current: Option<(Match, String)> = None;
    let mut statement = String::new();
    let mut close = |over: Option<Transaction>, current: &mut Option<(Match, String)>| {
        let Some(transaction) = over else { return };
        let Some((Match { deed, what }, statement)) = current.take() else { return };
        let hit = Hit { transaction, deed, what, statement };
        if is_asked_for(params, &hit) {
            hits.push(hit);
        }
    };
    while let Some(event) = events.next_event()? {
        if segment.from != 4 && event.header.kind == EventKind::FORMAT {
            continue;
        }
        let (part, over) = transactions.take(&event);
        close(over, &mut current);
        if part != Part::Inside {
            current = None;
            statement.clear();
        }
        compressed += u64::from(event.header.kind == EventKind::PAYLOAD);
        let change = tables.take(&event);
        if let Some(query) = Query::of(&event) {
            let is_statement = matches!(event.header.kind, EventKind::QUERY | EventKind::QUERY_COMPRESSED);
            if is_statement && current.is_none() {
                current = matching::of_query(params, &query).map(|found| (found, shortened(&query.sql)));
            }
            // Of changes of rows the log has the statement only where the server was told to keep it.
            statement = if query.sql.eq_ignore_ascii_case("BEGIN") { String::new() } else { query.sql };
        }
        if let (None, Some(change)) = (&current, change) {
            current = matching::of_rows(params, &change).map(|found| (found, shortened(&statement)));
        }
    }
    close(transactions.end().map(|(last, _)| last), &mut current);
    events.finish()?;
    Ok((hits, compressed))
}

fn shortened(sql: &str) -> String {
    let short: String = sql.chars().take(SHOWN_STATEMENT_CHARACTERS).collect();
    if short.len() < sql.len() { format!("{short}…") } else { short }
}

/// Whether a transaction is of the time and the name that were asked for.
fn is_asked_for(params: &FindInBinlogsParams, hit: &Hit) -> bool {
    let at = hit.at();
    params.from.is_none_or(|from| at >= from)
        && params.to.is_none_or(|to| at <= to)
        && params
            .gtid
            .as_deref()
            .is_none_or(|asked| asked.is_empty() || asked.eq_ignore_ascii_case(&hit.gtid()))
}
