//! `RESTORE.txt`: what a person needs to restore a backup when nothing but the objects is left.

use std::fmt::Write as _;

use rekindle_backup::manifest::{Flavour, Manifest, ObjectEntry, ObjectRole};

/// Writes the text. It depends only on the dumps and the server's facts, so that writing it again after a crash
/// gives the same bytes.
pub(super) fn text(manifest: &Manifest, objects: &[ObjectEntry]) -> String {
    let (client, product) = match manifest.server.flavour {
        Flavour::Mariadb => ("mariadb", "MariaDB"),
        Flavour::Mysql => ("mysql", "MySQL"),
    };
    let mut text = format!(
        "Backup {} of the cluster {}, taken from {product} {}.\n",
        manifest.id, manifest.cluster, manifest.server.version
    );
    let _ = writeln!(text, "Its data are those of {} (UTC).\n", manifest.recovery_point());
    text.push_str(
        "The dumps are ordinary gzip of SQL text. When nothing else is left, this restores them:\n\n",
    );
    for object in objects {
        let what = match object.role {
            ObjectRole::Full => "everything",
            ObjectRole::Databases => "the databases in it",
            ObjectRole::Schema => "the schema alone, without rows",
            ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions => continue,
        };
        let _ = writeln!(text, "    zcat {} | {client}      # {what}", object.name);
    }
    text.push_str(
        "\nBefore that, compare the bytes with what was written: `sha256sum -c` reads these lines.\n\n",
    );
    for object in objects {
        let _ = writeln!(text, "{}  {}", object.sha256, object.name);
    }
    let _ = write!(
        text,
        "\nUse an empty {product} server of the same or a later version, and a client of its own version: some \
         statements are written for it.\n\
         Accounts: server.json lists the accounts that the server had. Compare them with\n\
         `SELECT user, host FROM mysql.user` afterwards, and create those that are missing.\n"
    );
    replication(&mut text, manifest);
    text
}

fn replication(text: &mut String, manifest: &Manifest) {
    let point = &manifest.consistent_point;
    if let (Some(file), Some(position)) = (&point.binlog_file, point.binlog_position) {
        let _ =
            writeln!(text, "Binary log: the data are of position {position} in {file}; replay from there.");
    }
    if let Some(gtid) = point.gtid.as_deref().filter(|gtid| !gtid.is_empty()) {
        let statement = match manifest.server.flavour {
            Flavour::Mariadb => format!("SET GLOBAL gtid_slave_pos = '{gtid}'"),
            Flavour::Mysql => format!("SET GLOBAL gtid_purged = '{gtid}'"),
        };
        let _ = writeln!(
            text,
            "GTID: a replica that is loaded from this backup goes on from {gtid}:\n    {statement};"
        );
    }
}
