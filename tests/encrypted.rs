//! Backups that are encrypted before they leave the machine: proven and restored as any other, and worth nothing to who
//! has only the store.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

use crate::support::{Answer, Cluster, Project};

/// Two files as `age-keygen` writes them.
const HERE: &str = "# created: 2026-11-28T12:28:18Z\n# public key: age1eys6ljgtmzn9y0jg3z20p76nert62thm2lzpg34n0eef56xrhunqjc6mxj\nAGE-SECRET-KEY-16TNN493QPJW5C8HNZ8C27CCVE993JTMCTPMH0YC9X7QSFVDG6HSQ9RKU32\n";
const ELSEWHERE: &str = "# public key: age1zquaq57nqush53f5kz0ugxaa75743400xvxsev63a8duv3ahf5tq2n3zmp\nAGE-SECRET-KEY-1UYHCNMM5GFSD687VJMX4TSE2WK5X84KJ5DPYNE3VPMWVVJNX6JVQ6RQ397\n";

fn public(file: &str) -> &str {
    file.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap()
}

fn secrets() -> [&'static str; 2] {
    [HERE, ELSEWHERE].map(|file| file.lines().last().unwrap())
}

fn write_keys(cluster: &Cluster) {
    for (name, text) in [("here.key", HERE), ("elsewhere.key", ELSEWHERE)] {
        let path = cluster.project.write(name, text);
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }
}

/// Lets both stores encrypt, each to a key of its own.
fn write_environment(cluster: &Cluster, identity: &str) {
    let environment = format!(
        "apiVersion: rekindle/v1\nkind: Environment\nname: encrypted\nextends: box/environments/sandbox.yaml\n\
         secrets:\n  here: {{ file: here.key }}\n  elsewhere: {{ file: elsewhere.key }}\n\
         stores:\n  primary: {{ encrypt: {{ recipients: [{}]{identity} }} }}\n  \
         offsite: {{ encrypt: {{ recipients: [{}], identity: {{ secret: elsewhere }} }} }}\n",
        public(HERE),
        public(ELSEWHERE)
    );
    cluster.project.write("encrypted.yaml", &environment);
}

fn run(cluster: &Cluster, args: &[&str]) -> Answer {
    let mut all = args.to_vec();
    all.extend(["-e", "encrypted.yaml"]);
    cluster.run(&all)
}

fn stored(cluster: &Cluster) -> Vec<(PathBuf, Vec<u8>)> {
    let files = ["store", "offsite"].into_iter().flat_map(|name| Project::snapshot(&cluster.store(name)));
    files.filter(|(path, bytes)| path.is_file() && !bytes.is_empty()).collect()
}

fn holds(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|part| part == word.as_bytes())
}

#[tokio::test]
async fn an_encrypted_backup_is_proven_and_restored_and_tells_a_thief_nothing() {
    let cluster = Cluster::up(1);
    write_keys(&cluster);
    write_environment(&cluster, ", identity: { secret: here }");
    cluster.fill(5_000).await;
    let before = cluster.checksums(0).await;

    let mut said = vec![run(&cluster, &["plan", "backup"]).success()];
    said.push(run(&cluster, &["run", "backup", "--yes"]).success());
    for store in ["primary", "offsite"] {
        said.push(run(&cluster, &["backups", "verify", "latest", "--store", store]).success());
    }
    let shown = run(&cluster, &["backups", "show", "latest", "--store", "offsite"]).success();
    assert!(shown.stdout.contains(public(ELSEWHERE)), "{}", shown.stdout);

    let stored = stored(&cluster);
    assert!(stored.iter().any(|(path, _)| path.ends_with("manifest.json")));
    for (path, bytes) in &stored {
        for word in ["customer", "counter", "CREATE", "INSERT", "'root'@", "shop", "sha256\""] {
            assert!(!holds(bytes, word), "{} tells `{word}`", path.display());
        }
        let is_open = path.ends_with("RESTORE.txt");
        assert_eq!(bytes.starts_with(b"age-encryption.org/v1\n"), !is_open, "{}", path.display());
    }

    cluster.destroy_primary();
    said.push(
        run(&cluster, &["run", "disaster-recovery", "--yes", "--set", "reseed_replicas=true"]).success(),
    );
    assert_eq!(cluster.checksums(0).await, before);
    assert_eq!(cluster.checksums(1).await, before);

    assert!(!secrets().iter().any(|secret| format!("{said:?}").contains(secret)));
    for (path, bytes) in Project::snapshot(cluster.project.path()) {
        let is_key = path.extension().is_some_and(|extension| extension == "key");
        let told = secrets().iter().any(|secret| holds(&bytes, secret));
        assert_eq!(told, is_key, "{} holds a secret key", path.display());
    }
}

#[tokio::test]
async fn a_missing_and_a_wrong_key_are_found_before_anything_is_dumped() {
    let cluster = Cluster::up(0);
    write_keys(&cluster);
    cluster.fill(10).await;
    write_environment(&cluster, "");
    let missing = run(&cluster, &["run", "backup", "--yes"]).code(2);
    assert!(missing.stderr.contains("names no `identity:` to read it with"), "{}", missing.stderr);
    write_environment(&cluster, ", identity: { secret: here }");
    cluster.project.write("here.key", "hunter2");
    let wrong = run(&cluster, &["run", "backup", "--yes"]).code(2);
    assert!(wrong.stderr.contains("no identity file of age"), "{}", wrong.stderr);
    assert!(!wrong.stderr.contains("hunter2"), "{}", wrong.stderr);
    assert!(stored(&cluster).is_empty());
}
