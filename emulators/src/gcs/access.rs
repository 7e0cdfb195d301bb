//! Who may ask: anyone at first, then the bearers of one token, and nobody for some objects.

use hyper::HeaderMap;
use hyper::header::AUTHORIZATION;

use super::refusal::Refusal;

/// What is refused for whom it comes from.
#[derive(Default)]
pub(super) struct Access {
    pub(super) token: Option<String>,
    /// What the names of forbidden objects begin with.
    pub(super) forbidden: Vec<String>,
}

impl Access {
    pub(super) fn admit(&self, headers: &HeaderMap) -> Result<(), Refusal> {
        let Some(token) = &self.token else { return Ok(()) };
        let given = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok());
        if given.and_then(|given| given.strip_prefix("Bearer ")) == Some(token) {
            return Ok(());
        }
        Err(Refusal::unauthorized())
    }

    pub(super) fn admit_object(&self, name: &str) -> Result<(), Refusal> {
        if self.forbidden.iter().any(|prefix| name.starts_with(prefix)) {
            let message =
                format!("the caller does not have access to the Google Cloud Storage object {name}.");
            return Err(Refusal::forbidden(message));
        }
        Ok(())
    }
}
