//! `RESTORE.txt` of a physical backup: how its stream becomes a server's files by hand.

use std::fmt::Write as _;

use rekindle_backup::layout::MANIFEST;
use rekindle_backup::manifest::{Manifest, ObjectEntry, ObjectRole};
use rekindle_backup::physical::{Physical, StreamFormat};

/// Writes the text. Where the store encrypts, it names no server, no time and no checksum.
pub(super) fn text(
    manifest: &Manifest,
    physical: &Physical,
    objects: &[ObjectEntry],
    product: &str,
) -> String {
    let stream = objects.iter().find(|object| object.role == ObjectRole::Files);
    let name = stream.map_or("the stream", |object| object.name.as_str());
    let mut text = String::new();
    let read = match &manifest.encryption {
        None => {
            let (id, cluster) = (&manifest.id, &manifest.cluster);
            let _ = writeln!(
                text,
                "Backup {id} of the cluster {cluster}, taken from {product} {}.",
                manifest.server.version
            );
            let _ = writeln!(text, "Its data are those of {} (UTC).\n", manifest.recovery_point());
            format!("zcat {name}")
        }
        Some(encryption) => {
            let format = &encryption.format;
            let _ = writeln!(
                text,
                "All other objects beside this one are encrypted by age ({format}, https://age-encryption.org) to\n"
            );
            for recipient in &encryption.recipients {
                let _ = writeln!(text, "    {recipient}");
            }
            text.push_str("\nWhoever holds the secret key of one of them (here key.txt) reads them with the program `age`.\n");
            format!("age -d -i key.txt {name} | zcat")
        }
    };
    text.push_str(
        "The stream is ordinary gzip of a server's files. When nothing else is left, this restores them:\n\n",
    );
    steps(&mut text, physical, &read);
    let _ = write!(
        text,
        "\nThen move the files into an empty data directory, give them to the server's account\n\
         (`chown -R mysql:mysql`), and start a {product} of the same version.\n"
    );
    if manifest.encryption.is_none() {
        if let Some(base) = &physical.base {
            let _ =
                writeln!(text, "It is an increment to the backup {}, which lies beside this one.", base.id);
        }
        text.push_str(
            "\nBefore that, compare the bytes with what was written: `sha256sum -c` reads these lines.\n\n",
        );
        for object in objects.iter().filter(|object| object.role != ObjectRole::Instructions) {
            let _ = writeln!(text, "{}  {}", object.sha256, object.name);
        }
        super::replication(&mut text, manifest);
    } else {
        let _ = writeln!(text, "What it is an increment to, and where replicas go on, is in `{MANIFEST}`.");
    }
    text
}

fn steps(text: &mut String, physical: &Physical, read: &str) {
    let (unpack, tool) = match physical.format {
        StreamFormat::Mbstream => ("mbstream -x -C", Some("mariadb-backup")),
        StreamFormat::Xbstream => ("xbstream -x -C", Some("xtrabackup")),
        StreamFormat::Tar => ("tar -x -C", None),
    };
    let early = if physical.format == StreamFormat::Xbstream { " --apply-log-only" } else { "" };
    match (physical.base.is_some(), tool) {
        (false, None) => {
            let _ = writeln!(text, "    mkdir files; {read} | {unpack} files");
        }
        (false, Some(tool)) => {
            let _ = writeln!(text, "    mkdir files; {read} | {unpack} files");
            let _ = writeln!(text, "    {tool} --prepare --target-dir=files");
        }
        (true, tool) => {
            let tool = tool.unwrap_or("mariadb-backup");
            let _ = writeln!(
                text,
                "    # first the full backup that this one is an increment to, and every increment before this one, the \
                 same way\n    {tool} --prepare{early} --target-dir=files      # after unpacking the full one into files"
            );
            let _ = writeln!(text, "    mkdir increment; {read} | {unpack} increment");
            let _ = writeln!(text, "    {tool} --prepare --target-dir=files --incremental-dir=increment");
        }
    }
}
