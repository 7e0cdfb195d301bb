//! Looks at the variables, sets those that differ, reads back, and keeps them.

use std::path::Path;

use rekindle_engine::step::{StepContext, StepError};

use super::setting::{Setting, persists, settings};
use super::{Change, ConfigureOutputs, ConfigureParams, Kept, file};
use crate::connection::{Server, quote_string};
use crate::error::ServerError;

/// `ER_UNKNOWN_SYSTEM_VARIABLE`
const UNKNOWN_VARIABLE: u16 = 1193;

/// A server's variables beside what they are to be.
pub(super) struct Found {
    pub(super) settings: Vec<Setting>,
    /// What would be changed now.
    pub(super) changes: Vec<Change>,
    /// Whether they outlive a restart as they are.
    pub(super) is_kept: bool,
    pub(super) kept: Kept,
}

/// Looks, without changing anything.
pub(super) async fn look(params: &ConfigureParams, server: &mut Server) -> Result<Found, StepError> {
    let settings = settings(&params.variables, &server.version)?;
    let mut changes = Vec::new();
    for setting in &settings {
        let old = read(server, &setting.name).await?;
        if !setting.is(&old) {
            changes.push(Change { name: setting.name.clone(), old, new: setting.wanted.clone() });
        }
    }
    let (kept, is_kept) = if persists(&server.version) {
        (Kept::Persisted, is_persisted(server, &settings).await?)
    } else {
        match &params.defaults_file {
            Some(path) => (Kept::File, file::has(Path::new(path), &settings)?),
            None => (Kept::No, true),
        }
    };
    Ok(Found { settings, changes, is_kept, kept })
}

pub(super) async fn run(params: &ConfigureParams, cx: &StepContext) -> Result<ConfigureOutputs, StepError> {
    let mut server = Server::open(cx, &params.target).await?;
    let found = look(params, &mut server).await?;
    found.settings.iter().filter_map(|setting| setting.note.as_ref()).for_each(|note| cx.warn(note));
    let version = server.version.clone();
    for setting in &found.settings {
        let changed = found.changes.iter().any(|change| change.name == setting.name);
        // What only has to be kept is told again, as it is.
        if changed || (found.kept == Kept::Persisted && !found.is_kept) {
            let statement = setting.statement(&version);
            cx.log(&statement);
            server.session.run(&format!("set {}", setting.name), &statement).await?;
        }
        let shown = read(&mut server, &setting.name).await?;
        if !setting.is(&shown) {
            return Err(StepError::permanent(format!(
                "`{}` made {} {shown} instead of {}",
                params.target, setting.name, setting.wanted
            ))
            .help("the server rounds it or has limits for it: give a value that it takes as it is"));
        }
    }
    match (found.kept, &params.defaults_file) {
        (Kept::File, Some(path)) => file::write(Path::new(path), &found.settings)?,
        (Kept::Persisted, _) => {
            if !is_persisted(&mut server, &found.settings).await? {
                cx.warn(&format!(
                    "`{}` does not show what it keeps, so that it is kept is not proven",
                    params.target
                ));
            }
        }
        (Kept::File | Kept::No, _) => cx.warn(&not_kept(params, &server)),
    }
    server.session.close().await;
    Ok(ConfigureOutputs { changed: found.changes, kept: found.kept })
}

/// Says that a restart undoes it.
pub(super) fn not_kept(params: &ConfigureParams, server: &Server) -> String {
    format!(
        "{} keeps no variables over a restart: put them into an option file of `{}` too, or name one by \
         `defaults_file`",
        server.version, params.target
    )
}

async fn read(server: &mut Server, name: &str) -> Result<String, StepError> {
    let query = format!("SELECT CAST(@@GLOBAL.{name} AS CHAR)");
    let shown: Result<Option<String>, ServerError> =
        server.session.row(&format!("tell its {name}"), &query).await;
    match shown {
        Ok(shown) => Ok(shown.unwrap_or_default()),
        Err(error) if error.server_code() == Some(UNKNOWN_VARIABLE) => {
            Err(StepError::permanent(format!("`{}` has no variable `{name}`", server.session.target()))
                .help(format!("check its name in the manual of {}", server.version)))
        }
        Err(error) => Err(error.into()),
    }
}

/// Tells whether the server keeps these values (MySQL 8).
async fn is_persisted(server: &mut Server, settings: &[Setting]) -> Result<bool, StepError> {
    let names: Vec<String> = settings.iter().map(|setting| quote_string(&setting.name)).collect();
    if names.is_empty() {
        return Ok(true);
    }
    let query = format!(
        "SELECT LOWER(variable_name), variable_value FROM performance_schema.persisted_variables WHERE \
         LOWER(variable_name) IN ({})",
        names.join(", ")
    );
    let rows: Vec<(String, String)> = server.session.rows("tell which variables it keeps", &query).await?;
    Ok(settings
        .iter()
        .all(|setting| rows.iter().any(|(name, value)| *name == setting.name && setting.is(value))))
}
