//! Names of an environment in, opened stores and read secrets out: in one place, for steps and for commands.

use std::sync::Arc;

use super::StepError;
use crate::environment::{SecretRef, Settings};
use crate::host::{ObjectStore, Secret, World};
use crate::id::StoreName;

/// Opens a store, with the key that its `encrypt:` names.
///
/// # Errors
/// When the environment has no such store, the key can't be had, or the store can't be opened.
pub async fn open_store(
    world: &World,
    settings: &Settings,
    name: &StoreName,
) -> Result<Arc<dyn ObjectStore>, StepError> {
    let config = settings.stores.get(name).ok_or_else(|| {
        let known: Vec<_> = settings.stores.keys().map(StoreName::as_str).collect();
        StepError::permanent(format!("the environment has no store `{name}`")).help(match known.as_slice() {
            [] => "declare it under `stores:` in the environment".to_owned(),
            _ => format!("it has {}; declare others under `stores:`", known.join(", ")),
        })
    })?;
    let identity = match config.encrypt.as_ref().and_then(|encrypt| encrypt.identity.as_ref()) {
        Some(identity) => Some(read_secret(world, settings, identity).await?),
        None => None,
    };
    Ok(world.stores.open(config, identity).await?)
}

/// Reads a secret now. Its value is masked everywhere from here on.
pub(super) async fn read_secret(
    world: &World,
    settings: &Settings,
    reference: &SecretRef,
) -> Result<Secret, StepError> {
    let name = reference.secret.clone();
    let source = settings.secrets.get(&name).cloned().ok_or_else(|| {
        StepError::permanent(format!("the environment has no secret `{name}`"))
            .help("declare it under `secrets:` in the environment")
    })?;
    let secrets = Arc::clone(&world.secrets);
    let read = tokio::task::spawn_blocking(move || secrets.read(&name, &source));
    let secret = read.await.map_err(|error| StepError::permanent(error.to_string()))??;
    world.masker.learn(&secret);
    Ok(secret)
}
