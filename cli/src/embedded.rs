//! The runbooks that come with the program.

/// The shipped runbooks by name; a file `runbooks/NAME.yaml` in the working directory takes precedence.
pub(crate) const RUNBOOKS: [(&str, &str); 18] = [
    ("backup", include_str!("../../runbooks/backup.yaml")),
    ("backup-physical", include_str!("../../runbooks/backup-physical.yaml")),
    ("import-dump", include_str!("../../runbooks/import-dump.yaml")),
    ("verify", include_str!("../../runbooks/verify.yaml")),
    ("restore-drill", include_str!("../../runbooks/restore-drill.yaml")),
    ("mark", include_str!("../../runbooks/mark.yaml")),
    ("prune", include_str!("../../runbooks/prune.yaml")),
    ("disaster-recovery", include_str!("../../runbooks/disaster-recovery.yaml")),
    ("restore-database", include_str!("../../runbooks/restore-database.yaml")),
    ("restore-table", include_str!("../../runbooks/restore-table.yaml")),
    ("reseed-replica", include_str!("../../runbooks/reseed-replica.yaml")),
    ("reset-replication", include_str!("../../runbooks/reset-replication.yaml")),
    ("assess", include_str!("../../runbooks/assess.yaml")),
    ("restore-physical", include_str!("../../runbooks/restore-physical.yaml")),
    ("archive-binlogs", include_str!("../../runbooks/archive-binlogs.yaml")),
    ("point-in-time-recovery", include_str!("../../runbooks/point-in-time-recovery.yaml")),
    ("undo-drop", include_str!("../../runbooks/undo-drop.yaml")),
    (SANDBOX_CLUSTER, include_str!("../../runbooks/sandbox-cluster.yaml")),
];

/// What `rekindle sandbox up` runs.
pub(crate) const SANDBOX_CLUSTER: &str = "sandbox-cluster";

/// Finds a shipped runbook.
pub(crate) fn runbook(name: &str) -> Option<&'static str> {
    RUNBOOKS.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

#[cfg(test)]
mod tests;
