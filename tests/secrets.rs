//! No secret is anywhere but where it belongs.

use std::fs;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::support::{CANARY, Cluster, Project};

#[tokio::test]
async fn a_password_is_in_no_process_plan_journal_log_report_or_backup() {
    let cluster = Cluster::up(1);
    cluster.fill(50_000).await;
    let watching = Arc::new(AtomicBool::new(true));
    let watcher = {
        let watching = Arc::clone(&watching);
        std::thread::spawn(move || watch_processes(&watching))
    };

    let mut said = String::new();
    for args in [
        vec!["plan", "backup"],
        vec!["run", "backup", "--yes"],
        vec!["plan", "disaster-recovery", "--set", "reseed_replicas=true"],
    ] {
        let answer = cluster.with_environment(&args).success();
        said.push_str(&answer.stdout);
        said.push_str(&answer.stderr);
    }
    cluster.destroy_primary();
    let environment = cluster.environment();
    let recovery = cluster
        .project
        .command(&["-vvv", "run", "disaster-recovery", "--yes", "--log-format", "json"])
        .args(["--set", "reseed_replicas=true", "-e", environment.to_str().unwrap()])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    assert!(recovery.status.success(), "{}", String::from_utf8_lossy(&recovery.stderr));
    said.push_str(&String::from_utf8_lossy(&recovery.stdout));
    said.push_str(&String::from_utf8_lossy(&recovery.stderr));
    watching.store(false, Ordering::Relaxed);

    assert_eq!(watcher.join().unwrap(), Vec::<String>::new());
    for form in forms() {
        assert!(!said.contains(&form), "`{form}` was printed");
    }
    let secrets = cluster.project.path().join("box/secrets");
    let servers = cluster.project.path().join("box/servers");
    let password = cluster.project.path().join("password");
    for (path, bytes) in Project::snapshot(cluster.project.path()) {
        if path.starts_with(&secrets) || path.starts_with(&servers) || path == password {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        for form in forms() {
            assert!(!text.contains(&form), "`{form}` is in {}", path.display());
        }
    }
    assert_eq!(defaults_files(cluster.project.temporary()), Vec::<String>::new());
}

/// Prints a password as programs and protocols turn it, to both outputs and into an error.
const LEAK: &str = r#"
cat "$FILE"
echo
base64 -w 0 "$FILE"
echo
printf 'root:' | cat - "$FILE" | base64 -w 0
echo
printf 'admin:' | cat - "$FILE" | base64 -w 0
echo
od -An -v -tx1 "$FILE" | tr -d ' \n'
echo
python3 -c 'import json, sys, urllib.parse, html, shlex
secret = open(sys.argv[1]).read()
print(json.dumps(secret), urllib.parse.quote(secret, safe=""), urllib.parse.quote_plus(secret))
print(shlex.quote(secret), html.escape(secret), repr(secret.encode()))' "$FILE"
"#;

#[test]
fn a_password_that_a_command_prints_in_other_forms_is_nowhere() {
    let cluster = Cluster::up(0);
    let script: String = LEAK.trim().lines().flat_map(|line| ["      ", line, "\n"]).collect();
    cluster.project.write(
        "leak.yaml",
        &format!(
            "apiVersion: rekindle/v1\nkind: Runbook\nname: leak\nversion: 1.0.0\n\
             values:\n  file: {{ type: path }}\nsteps:\n\
             \x20 - id: wait\n    uses: mysql.wait-ready\n    with: {{ target: primary }}\n\
             \x20 - id: leak\n    needs: [wait]\n    env: {{ FILE: \"{{{{ values.file }}}}\" }}\n    run: |\n{script}\
             \x20 - id: fail\n    needs: [leak]\n    env: {{ FILE: \"{{{{ values.file }}}}\" }}\n    run: |\n{script}      exit 7\n\
             finally:\n  - id: report\n    uses: report.write\n    with: {{ dir: reports }}\n"
        ),
    );
    let password = cluster.project.path().join("password");
    let printed =
        std::process::Command::new("sh").arg("-euc").arg(LEAK).env("FILE", &password).output().unwrap();
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    let printed = String::from_utf8(printed.stdout).unwrap();
    let file = format!("file={}", password.display());
    let answer = cluster.with_environment(&["-vvv", "run", "leak.yaml", "--yes", "--set", &file]).code(1);

    // Whoever cuts a piece of eight characters out of any form should not find it again.
    let pieces: Vec<String> = printed
        .lines()
        .flat_map(|line| line.as_bytes().windows(8).map(|piece| String::from_utf8_lossy(piece).into_owned()))
        .filter(|piece| piece != ADMIN)
        .collect();
    assert!(pieces.len() > 300, "{printed}");
    let logs = format!("{}{}", answer.stdout, answer.stderr);
    for piece in &pieces {
        assert!(!logs.contains(piece), "`{piece}` was printed:\n{logs}");
    }
    let mut logged = false;
    let servers = cluster.project.path().join("box");
    for (path, bytes) in Project::snapshot(cluster.project.path()) {
        if path.starts_with(&servers) || path == password || path.ends_with("leak.yaml") {
            continue;
        }
        let text = String::from_utf8_lossy(&bytes);
        logged |= path.ends_with("leak.log") && text.contains("cm9vdD***");
        for piece in &pieces {
            assert!(!text.contains(piece), "`{piece}` is in {}", path.display());
        }
    }
    assert!(logged, "no log of the step says `cm9vdD***`");
}

/// `admin:` in base64, which is no secret.
const ADMIN: &str = "YWRtaW46";

/// The password as it could stand somewhere: as it is, and as quoting turns it.
fn forms() -> Vec<String> {
    let json = serde_json::Value::from(CANARY).to_string();
    vec![
        CANARY.to_owned(),
        json[1..json.len() - 1].to_owned(),
        CANARY.replace('\'', "''"),
        "k4n'a".to_owned(),
        "k4n\\'a".to_owned(),
    ]
}

/// Looks at every command line and environment of the machine until told to stop.
fn watch_processes(watching: &AtomicBool) -> Vec<String> {
    let mut seen = Vec::new();
    while watching.load(Ordering::Relaxed) {
        for entry in fs::read_dir("/proc").unwrap().flatten() {
            for file in ["cmdline", "environ"] {
                let Ok(bytes) = fs::read(entry.path().join(file)) else { continue };
                if String::from_utf8_lossy(&bytes).contains("k4n'a") {
                    seen.push(format!(
                        "{}: {}",
                        entry.path().join(file).display(),
                        String::from_utf8_lossy(&bytes)
                    ));
                }
            }
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
    seen
}

/// Option files that were left behind in the places where temporary files go.
fn defaults_files(temporary: &Path) -> Vec<String> {
    let holds = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("k4n");
    let left = Project::snapshot(temporary).into_iter().filter(|(_, bytes)| holds(bytes));
    left.map(|(path, _)| path.display().to_string()).collect()
}
