//! The files that a plan refers to: values of type `path`, and what steps say they read.
//!
//! Only what is a regular file when the plan is made counts. A `path` may well name a folder to write into, whose
//! contents come and go; and a file that is there later and was not before is a difference too.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{Plan, PlanStep};
use crate::diagnostic::Diagnostic;
use crate::runbook::{Runbook, ValueType};

/// More would be a mistake in the values rather than a plan.
const FILES_LIMIT: usize = 1_000;
/// Larger files are told apart by their size alone: making a plan must not take minutes of reading.
const HASHED_BYTES: u64 = 64 * 1024 * 1024;

/// A file that a plan refers to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReferencedFile {
    /// Its path as the plan has it.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// sha256 (hex) of its contents; absent when it is larger than 64 MiB or can't be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
}

/// Looks at every regular file that a plan refers to, sorted by path.
///
/// The files of the environment's secrets are left out: the hash of a password could be guessed.
///
/// # Errors
/// When there are more than 1000.
pub fn referenced_files(plan: &Plan, runbook: &Runbook) -> Result<Vec<ReferencedFile>, Diagnostic> {
    let mut names = BTreeSet::new();
    for declaration in &runbook.values {
        let value = plan.values.get(&declaration.name.value);
        collect(value.unwrap_or(&Value::Null), &declaration.kind, &mut names);
    }
    let steps = plan.steps.iter().chain(&plan.unpinned).filter(|step| !step.skipped);
    names.extend(steps.flat_map(reads));
    names.extend(plan.pinned.iter().flat_map(|step| &step.intent.reads).map(String::as_str));
    let secrets = secret_files(plan);
    let is_secret = |path: &str| std::fs::canonicalize(path).is_ok_and(|path| secrets.contains(&path));
    let files: Vec<_> =
        names.into_iter().filter(|path| Path::new(path).is_file() && !is_secret(path)).collect();
    if files.len() > FILES_LIMIT {
        let message =
            format!("the plan refers to {} files, at most {FILES_LIMIT} can be kept track of", files.len());
        return Err(Diagnostic::new("rekindle::plan::too_many_files", message)
            .help("name a folder in the values instead of every file in it"));
    }
    Ok(files.into_iter().map(look).collect())
}

fn reads(step: &PlanStep) -> impl Iterator<Item = &str> {
    step.intent.reads.iter().map(String::as_str)
}

fn collect<'a>(value: &'a Value, kind: &ValueType, names: &mut BTreeSet<&'a str>) {
    match kind {
        ValueType::Path => names.extend(value.as_str()),
        ValueType::List(items) => {
            for item in value.as_array().into_iter().flatten() {
                collect(item, items, names);
            }
        }
        ValueType::String
        | ValueType::Integer
        | ValueType::Number
        | ValueType::Boolean
        | ValueType::Duration
        | ValueType::Size
        | ValueType::Target
        | ValueType::Store
        | ValueType::Enum(_)
        | ValueType::Map => {}
    }
}

fn secret_files(plan: &Plan) -> BTreeSet<PathBuf> {
    let files = plan.settings.secrets.values().filter_map(|source| source.file.as_ref());
    files.filter_map(|file| std::fs::canonicalize(file).ok()).collect()
}

fn look(path: &str) -> ReferencedFile {
    let size_bytes = std::fs::metadata(path).map_or(0, |about| about.len());
    let sha256 = (size_bytes <= HASHED_BYTES).then(|| hash(path)).flatten();
    ReferencedFile { path: path.to_owned(), size_bytes, sha256 }
}

fn hash(path: &str) -> Option<String> {
    let mut hasher = Sha256::new();
    // A file that grows while it is read ends nowhere; one more byte than the limit makes it "too large".
    let mut file = File::open(path).ok()?.take(HASHED_BYTES + 1);
    let mut buffer = vec![0; 64 * 1024];
    let mut total = 0;
    loop {
        match file.read(&mut buffer).ok()? {
            0 => break,
            length => {
                hasher.update(&buffer[..length]);
                total += length as u64;
            }
        }
    }
    (total <= HASHED_BYTES).then(|| hex::encode(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use serde_json::json;

    use super::{FILES_LIMIT, referenced_files};
    use crate::environment::SecretSource;
    use crate::plan::{Plan, fixture};
    use crate::runbook::{Runbook, parse};

    const RUNBOOK: &str = "apiVersion: rekindle/v1
kind: Runbook
name: book
version: 1.0.0
values:
  config: { type: path }
  manifests: { type: list, items: path, default: [] }
  text: { type: string, default: '' }
steps: [{ id: a, run: [x] }]
";

    fn runbook() -> Runbook {
        parse(&crate::document::Source::new("book.yaml", RUNBOOK)).unwrap()
    }

    fn plan(values: serde_json::Value) -> Plan {
        let mut plan = fixture::recovery();
        plan.values = values;
        plan
    }

    #[test]
    fn paths_in_values_and_what_steps_read_are_hashed_and_nothing_else_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name).display().to_string();
        for name in ["config", "manifest", "script", "text", "skipped"] {
            fs::write(at(name), name).unwrap();
        }
        let mut plan = plan(json!({
            "config": at("config"), "manifests": [at("manifest"), at("missing"), at("")], "text": at("text"),
        }));
        plan.steps[0].intent.reads = vec![at("script"), at("script")];
        plan.steps[1].intent.reads = vec![at("skipped")];
        plan.steps[1].skipped = true;
        let files = referenced_files(&plan, &runbook()).unwrap();
        let paths: Vec<_> = files.iter().map(|file| file.path.clone()).collect();
        assert_eq!(paths, [at("config"), at("manifest"), at("script")]);
        assert_eq!(files[0].size_bytes, 6);
        assert_eq!(
            files[0].sha256.as_deref(),
            Some("b79606fb3afea5bd1609ed40b622142f1c98125abcfe89a76a661b0e8e343910")
        );
    }

    #[test]
    fn files_of_secrets_are_left_out_by_whatever_name() {
        let folder = tempfile::tempdir().unwrap();
        let secret = folder.path().join("password");
        fs::write(&secret, "hunter2").unwrap();
        let other_name = folder.path().join("link");
        std::os::unix::fs::symlink(&secret, &other_name).unwrap();
        let mut plan = plan(json!({ "config": other_name.to_str().unwrap() }));
        let source = SecretSource { env: None, file: Some(secret.display().to_string()), command: None };
        plan.settings.secrets.insert("root".into(), source);
        assert_eq!(referenced_files(&plan, &runbook()).unwrap(), []);
    }

    #[test]
    fn a_file_larger_than_the_limit_is_told_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::File::create(&path).unwrap().set_len(super::HASHED_BYTES + 1).unwrap();
        let plan = plan(json!({ "config": path.to_str().unwrap() }));
        let files = referenced_files(&plan, &runbook()).unwrap();
        assert_eq!((files[0].size_bytes, &files[0].sha256), (super::HASHED_BYTES + 1, &None));
    }

    #[test]
    fn more_files_than_can_be_kept_track_of_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let paths: Vec<_> = (0..=FILES_LIMIT)
            .map(|number| {
                let path = folder.path().join(number.to_string());
                fs::write(&path, "").unwrap();
                path.display().to_string()
            })
            .collect();
        let refused = referenced_files(&plan(json!({ "manifests": paths })), &runbook()).unwrap_err();
        insta::assert_snapshot!(
            format!("{}: {refused}\nhelp: {}", refused.code, refused.help.clone().unwrap()),
            @"
        rekindle::plan::too_many_files: the plan refers to 1001 files, at most 1000 can be kept track of
        help: name a folder in the values instead of every file in it
        "
        );
    }
}
