//! Proves that the secrets a plan needs can be read, before anything runs.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bounded::{LOOK_LIMIT, Looked, look_at_all};
use crate::environment::{SecretSource, Settings};
use crate::host::World;
use crate::id::SecretName;
use crate::step::Problem;
use crate::values::DurationText;

const MISSING: &str = "rekindle::secret::missing";

/// Reads each secret once and forgets it; gives what is wrong with those that can't be read.
pub(super) async fn unreadable(
    names: Vec<SecretName>,
    settings: &Settings,
    world: &World,
) -> BTreeMap<SecretName, Problem> {
    let mut problems = BTreeMap::new();
    let mut readable = Vec::new();
    let mut looks = Vec::new();
    for name in names {
        let Some(source) = settings.secrets.get(&name).cloned() else {
            let message = format!("the environment has no secret `{name}`");
            let help = format!("declare it: `secrets: {{ {name}: {{ env: VARIABLE }} }}`");
            problems.insert(name, missing(message, help));
            continue;
        };
        readable.push((name.clone(), source.clone()));
        let (secrets, masker) = (Arc::clone(&world.secrets), world.masker.clone());
        let look = async move {
            let read = tokio::task::spawn_blocking(move || secrets.read(&name, &source)).await;
            match read {
                Ok(Ok(secret)) => {
                    masker.learn(&secret);
                    Ok(())
                }
                Ok(Err(error)) => Err(error.to_string()),
                Err(error) => Err(error.to_string()),
            }
        };
        looks.push((LOOK_LIMIT, look));
    }
    let looked = look_at_all(looks, &world.clock).await;
    for ((name, source), looked) in readable.into_iter().zip(looked) {
        let message = match looked {
            Looked::Done(Ok(())) => continue,
            Looked::Done(Err(message)) | Looked::Panicked(message) => message,
            Looked::TimedOut => {
                format!("failed to read the secret `{name}` within {}", DurationText(LOOK_LIMIT))
            }
        };
        problems.insert(name, missing(message, help(&source)));
    }
    problems
}

fn missing(message: String, help: String) -> Problem {
    Problem { code: MISSING, message, help: Some(help), pointer: None }
}

fn help(source: &SecretSource) -> String {
    match source {
        SecretSource { env: Some(variable), .. } => {
            format!("set the environment variable `{variable}` and start rekindle again")
        }
        SecretSource { file: Some(file), .. } => {
            format!(
                "the file `{file}` holds the secret alone, and only the user that runs rekindle may read it (mode 0600)"
            )
        }
        SecretSource { command: Some(command), .. } => {
            let program = command.first().map_or("", String::as_str);
            format!(
                "run the secret's command by hand to see what is wrong with it; its program is `{program}`"
            )
        }
        SecretSource { .. } => "say where it comes from: `env`, `file` or `command`".to_owned(),
    }
}
