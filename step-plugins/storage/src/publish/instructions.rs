//! `RESTORE.txt`: what a person needs to restore a backup when nothing but the objects is left.
//!
//! Beside encrypted objects it is the one that is not: who has the key must learn what to do with it, and who has only
//! the bucket must learn nothing else. So it names no server, no table, no account and no time then, and no checksum by
//! which contents could be guessed; all that is in the manifest, which is encrypted.

mod files;

use std::fmt::Write as _;

use rekindle_backup::layout::{BackupUri, INSTRUCTIONS, MANIFEST};
use rekindle_backup::manifest::{Flavour, Manifest, ObjectEntry, ObjectRole};
use rekindle_engine::host::{Body, Encryption, ObjectStore, PutMode};
use rekindle_engine::step::StepError;

use crate::reading::Digest;

/// Stores the text where anybody can read it who can read the store.
pub(crate) async fn put(store: &dyn ObjectStore, uri: &BackupUri, text: String) -> Result<(), StepError> {
    let key = uri.key(INSTRUCTIONS).map_err(|error| StepError::permanent(error.to_string()))?;
    store.put_open(&key, Body::from_bytes(text), PutMode::Replace).await?;
    Ok(())
}

/// Gives the text's entry in the manifest.
pub(crate) fn entry(text: &str) -> ObjectEntry {
    let Digest { size_bytes, sha256 } = Digest::of(text.as_bytes());
    ObjectEntry { name: INSTRUCTIONS.to_owned(), size_bytes, sha256, role: ObjectRole::Instructions }
}

/// Writes the text. It depends only on the dumps, the server's facts and how the store encrypts, so that writing it
/// again after a crash gives the same bytes.
pub(crate) fn text(manifest: &Manifest, objects: &[ObjectEntry]) -> String {
    let (client, product) = match manifest.server.flavour {
        Flavour::Mariadb => ("mariadb", "MariaDB"),
        Flavour::Mysql => ("mysql", "MySQL"),
    };
    if let Some(physical) = &manifest.physical {
        return files::text(manifest, physical, objects, product);
    }
    match &manifest.encryption {
        None => plain(manifest, objects, client, product),
        Some(encryption) => encrypted(encryption, objects, client, product),
    }
}

fn encrypted(encryption: &Encryption, objects: &[ObjectEntry], client: &str, product: &str) -> String {
    let format = &encryption.format;
    let mut text = format!(
        "All other objects beside this one are encrypted by age ({format}, https://age-encryption.org) to\n\n"
    );
    for recipient in &encryption.recipients {
        let _ = writeln!(text, "    {recipient}");
    }
    text.push_str(
        "\nWhoever holds the secret key of one of them (a file with a line AGE-SECRET-KEY-1…, here key.txt) reads them\n\
         with the program `age`. The dumps are ordinary gzip of SQL text. When nothing else is left, this restores them:\n\n",
    );
    for (object, what) in dumps(objects) {
        let _ = writeln!(text, "    age -d -i key.txt {} | zcat | {client}      # {what}", object.name);
    }
    let first = dumps(objects).next().map_or(MANIFEST, |(object, _)| object.name.as_str());
    let _ = write!(
        text,
        "\nBefore that, compare the bytes with what was written. The manifest has the sha256 of each object as it was\n\
         before it was encrypted:\n\n    \
         age -d -i key.txt {MANIFEST}\n    \
         age -d -i key.txt {first} | sha256sum\n\n\
         Use an empty {product} server of the same or a later version (`server` in the manifest), and a client of its\n\
         own version: some statements are written for it. The manifest also says which accounts the server had\n\
         (`users`), and from where binary logs are to be replayed or a replica goes on (`consistent_point`).\n",
    );
    text
}

/// Gives the dumps, each with what it restores.
fn dumps(objects: &[ObjectEntry]) -> impl Iterator<Item = (&ObjectEntry, &'static str)> {
    objects.iter().filter_map(|object| match object.role {
        ObjectRole::Full => Some((object, "everything")),
        ObjectRole::Databases => Some((object, "the databases in it")),
        ObjectRole::Tables => Some((object, "the tables in it, in place of those of the same name")),
        ObjectRole::Schema => Some((object, "the schema alone, without rows")),
        ObjectRole::Files | ObjectRole::Index | ObjectRole::Facts | ObjectRole::Instructions => None,
    })
}

fn plain(manifest: &Manifest, objects: &[ObjectEntry], client: &str, product: &str) -> String {
    let mut text = format!(
        "Backup {} of the cluster {}, taken from {product} {}.\n",
        manifest.id, manifest.cluster, manifest.server.version
    );
    let _ = writeln!(text, "Its data are those of {} (UTC).\n", manifest.recovery_point());
    text.push_str(
        "The dumps are ordinary gzip of SQL text. When nothing else is left, this restores them:\n\n",
    );
    for (object, what) in dumps(objects) {
        let _ = writeln!(text, "    zcat {} | {client}      # {what}", object.name);
    }
    text.push_str(
        "\nBefore that, compare the bytes with what was written: `sha256sum -c` reads these lines.\n\n",
    );
    for object in objects.iter().filter(|object| object.role != ObjectRole::Instructions) {
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
