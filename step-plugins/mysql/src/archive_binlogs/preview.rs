//! What a run would archive, said without copying anything.

use rekindle_backup::binlog::archive;
use rekindle_engine::host::ObjectStore;
use rekindle_engine::step::StepError;

use crate::binlogs::server;
use crate::connection::Server;

/// Says what a run would archive, without copying anything.
pub(super) async fn notes(
    store: &dyn ObjectStore,
    cluster: &str,
    server: &mut Server,
) -> Result<Vec<String>, StepError> {
    let identity = server::identity(server).await?;
    let logs = server::logs(server).await?;
    let newest = archive::places_of(store, cluster, &identity.folder()).await?.pop_last();
    let names = match (logs.first(), logs.last()) {
        (Some(first), Some(last)) if first.name != last.name => format!("{} to {}", first.name, last.name),
        (Some(only), _) => only.name.clone(),
        (None, _) => "no log".to_owned(),
    };
    let last = newest.and_then(|(key, segments)| segments.last().map(|place| (key, place.clone())));
    let note = match last {
        Some((key, place)) => format!(
            "the server has {names}; the archive {} ends with {}.{}",
            key.prefix(),
            place.log,
            place.from
        ),
        None => format!("the server has {names}; nothing of it is archived yet"),
    };
    Ok(vec![note])
}

/// Says that a server has nothing to archive.
pub(super) fn not_logging(target: &str) -> StepError {
    StepError::permanent(format!("`{target}` writes no binary log, so there is nothing to archive"))
        .help("start it with `log_bin` on")
}
