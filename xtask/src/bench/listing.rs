//! A list of 10,000 backups in a bucket: with an index and without.

use std::fs::{File, FileTimes};
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context as _, Result, bail};

use super::measure::measure;
use super::servers::Programs;

const BACKUPS: u32 = 10_000;
/// Objects of each, besides the manifest.
const OBJECTS: [&str; 4] = ["RESTORE.txt", "full.index.json", "full.sql.gz", "server.json"];

pub(super) fn listing(programs: &Programs) -> Result<()> {
    let server = programs.serve("s3")?;
    let folder = tempfile::Builder::new().prefix("rekindle-bench-").tempdir()?;
    std::fs::create_dir_all(folder.path().join("environments"))?;
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: shop\n\
         stores: {{ primary: {{ url: 's3://bench/mysql', endpoint: '{}', path_style: true }} }}\n",
        server.endpoint
    );
    std::fs::write(folder.path().join("environments/shop.yaml"), environment)?;
    fill(&server.root.join("bench/mysql/backups/shop"))?;
    println!("\nA list of {BACKUPS} backups, {} objects in pages of 1,000 keys", BACKUPS * 5);
    let list = ["backups", "list", "-e", "shop", "--json"];
    let whole = || -> Result<()> {
        let output = programs.rekindle(folder.path(), &list).output()?;
        let listed: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout)
            .with_context(|| String::from_utf8_lossy(&output.stderr).into_owned())?;
        let known = listed.iter().filter(|one| one["tables"] == 1).count();
        if known == BACKUPS as usize { Ok(()) } else { bail!("the list has {known} backups") }
    };
    whole()?;
    let without = measure(&mut programs.rekindle(folder.path(), &list))?;
    let prune = ["backups", "prune", "-e", "shop", "--yes", "--set", "retention.keep_last=20000"];
    let pruned = measure(&mut programs.rekindle(folder.path(), &prune))?;
    whole()?;
    let with = measure(&mut programs.rekindle(folder.path(), &list))?;
    let measured =
        [("every manifest read", without), ("pruned, which writes an index", pruned), ("by the index", with)];
    for (what, one) in measured {
        println!("  {what:30} {:6.2} s  {:4.0} MiB of memory", one.seconds, one.peak_mib);
    }
    Ok(())
}

/// Writes backups as they lie in a bucket, of a time long ago.
fn fill(folder: &Path) -> Result<()> {
    let long_ago = SystemTime::now().checked_sub(Duration::from_hours(48)).context("the clock is off")?;
    for number in 0..BACKUPS {
        let (month, day) = (1 + number / 1000, 1 + number / 36 % 28);
        let id = format!("2026{month:02}{day:02}T{:02}{:02}00Z-{number:04x}", number / 60 % 24, number % 60);
        let backup = folder.join(&id);
        std::fs::create_dir_all(&backup)?;
        let put = |name: &str, bytes: &[u8]| -> Result<()> {
            let path = backup.join(name);
            std::fs::write(&path, bytes)?;
            let file = File::options().write(true).open(&path)?;
            Ok(file.set_times(FileTimes::new().set_modified(long_ago))?)
        };
        for name in OBJECTS {
            put(name, b"an object")?;
        }
        put("manifest.json", &manifest(&id)?)?;
    }
    Ok(())
}

fn manifest(id: &str) -> Result<Vec<u8>> {
    let at = "2026-11-22T15:00:00Z";
    let manifest = serde_json::json!({
        "format": 1, "id": id, "kind": "logical", "cluster": "shop", "started_at": at, "finished_at": at,
        "server": {
            "flavour": "mariadb", "version": "10.11.14-MariaDB", "version_comment": "Debian", "server_id": 1,
            "log_bin": true,
        },
        "consistent_point": { "at": at }, "objects": [], "tools": [],
        "inventory": { "databases": { "shop": { "tables": { "orders": { "rows": 3 } } } } },
    });
    rekindle_backup::sealed::seal(&manifest).map_err(|error| anyhow::anyhow!(error.to_string()))
}
