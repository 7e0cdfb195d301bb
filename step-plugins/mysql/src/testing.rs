//! What the tests of this crate share: the real processes in a world of fakes otherwise.

use std::sync::Arc;

use rekindle_engine::environment::{SecretRef, SecretSource, Settings, Target};
use rekindle_engine::host::{Processes, Secret};
use rekindle_engine::step::Planned;
use rekindle_engine::testing::{FakeWorld, world};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::connection::Login;

/// Gives the real processes, without a reaper.
pub(crate) fn processes() -> Arc<dyn Processes> {
    Arc::new(rekindle_host::SystemProcesses::new(None))
}

/// Makes a world with real processes, and settings with these servers as targets, each with a secret of its
/// own; the first one's is `root` too.
pub(crate) fn world_of(servers: &[(&str, &Login)]) -> (FakeWorld, Settings) {
    let mut fake = world();
    fake.world.processes = processes();
    let mut settings = Settings { name: "shop".to_owned(), ..Settings::default() };
    let source = || SecretSource { env: Some("FAKE".to_owned()), file: None, command: None };
    for (name, login) in servers {
        let secret = format!("secret-of-{name}");
        let password = login.password.as_ref().map_or("", Secret::expose);
        fake.secrets.set(&secret, password);
        settings.secrets.insert(secret.as_str().into(), source());
        if settings.targets.is_empty() {
            fake.secrets.set("root", password);
            settings.secrets.insert("root".into(), source());
        }
        let target = Target {
            host: login.host.clone(),
            port: login.port,
            user: login.user.clone(),
            password: Some(SecretRef { secret: secret.as_str().into() }),
        };
        settings.targets.insert((*name).into(), target);
    }
    (fake, settings)
}

/// Makes parameters that are all known.
pub(crate) fn planned<P: DeserializeOwned>(params: &Value) -> Planned<P> {
    Planned::known(serde_json::from_value(params.clone()).unwrap(), params.clone())
}
