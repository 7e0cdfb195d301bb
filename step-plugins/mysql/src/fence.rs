//! The fence around a server whose data are being replaced or brought forward: `read_only`, no events, room for large
//! statements, and no doubt of functions that the other server took.
//!
//! `read_only` does not stop accounts with `SUPER` or `READ ONLY ADMIN`, ours among them: it keeps applications out,
//! not administrators. MySQL's `super_read_only` would stop ours too, so it is off while we write.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;
use serde::{Deserialize, Serialize};

use crate::connection::Server;
use crate::error::ServerError;
use crate::read_only::become_read_only;

/// What the server was like before the fence, to be put back at the end, also by another process.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Before {
    /// `@@read_only`
    pub(crate) read_only: bool,
    /// `@@super_read_only` (MySQL): refuses everybody's writes, also ours.
    #[serde(default)]
    pub(crate) super_read_only: bool,
    /// `@@event_scheduler`: `ON`, `OFF` or `DISABLED`.
    pub(crate) event_scheduler: String,
    /// `@@GLOBAL.max_allowed_packet` in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) max_allowed_packet: Option<u64>,
    /// `@@GLOBAL.log_bin_trust_function_creators`: whether functions need not say what they do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) trusts_functions: Option<bool>,
}

impl Before {
    /// Reads what has to be put back at the end.
    pub(crate) async fn look(server: &mut Server) -> Result<Self, ServerError> {
        let what = "tell its state";
        let state = "SELECT CAST(@@GLOBAL.read_only AS CHAR), CAST(@@GLOBAL.event_scheduler AS CHAR)";
        let (read_only, event_scheduler): (String, String) = server.session.row(what, state).await?;
        let super_read_only = match server.version.flavour {
            Flavour::Mysql => server.session.row(what, "SELECT @@GLOBAL.super_read_only").await?,
            Flavour::Mariadb => false,
        };
        let read_only = !matches!(read_only.as_str(), "0" | "OFF");
        let query = "SELECT @@GLOBAL.max_allowed_packet, @@GLOBAL.log_bin_trust_function_creators";
        let (packet, trusts) = server.session.row(what, query).await?;
        let (max_allowed_packet, trusts_functions) = (Some(packet), Some(trusts));
        Ok(Self { read_only, super_read_only, event_scheduler, max_allowed_packet, trusts_functions })
    }
}

/// Lets us write, and nobody else: `read_only` stays on.
pub(crate) async fn let_us_in(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if before.super_read_only {
        server.session.run("take our writes", "SET GLOBAL super_read_only = OFF").await?;
    }
    Ok(())
}

/// Refuses everybody's writes again. After the last of the marker, which is one of them.
pub(crate) async fn let_nobody_in(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if before.super_read_only {
        server.session.run("refuse all writes again", "SET GLOBAL super_read_only = ON").await?;
    }
    Ok(())
}

/// The largest packet there can be: the rows of one statement come in one.
const LARGEST_PACKET: u64 = 1 << 30;
/// `ER_SPECIFIC_ACCESS_DENIED_ERROR`
const DENIED: u16 = 1227;

/// Puts the fence up, which may be up already. The marker that keeps `before` is there before. Sessions that are opened
/// from now on may send large statements, where our account may allow it.
///
/// # Errors
/// As [`become_read_only`].
pub(crate) async fn raise(server: &mut Server, before: &Before) -> Result<(), StepError> {
    become_read_only(server).await?;
    if before.event_scheduler == "ON" {
        server.session.run("stop its event scheduler", "SET GLOBAL event_scheduler = OFF").await?;
    }
    if before.max_allowed_packet.is_some_and(|bytes| bytes < LARGEST_PACKET) {
        set_packet(server, "take large statements", LARGEST_PACKET).await?;
    }
    if before.trusts_functions == Some(false) {
        let trust = "SET GLOBAL log_bin_trust_function_creators = ON";
        set_if_allowed(server, "take functions as they are", trust).await?;
    }
    Ok(())
}

async fn set_packet(server: &mut Server, what: &str, bytes: u64) -> Result<(), ServerError> {
    set_if_allowed(server, what, &format!("SET GLOBAL max_allowed_packet = {bytes}")).await
}

/// Sets a variable where our account may: else what needs it is told when it comes.
async fn set_if_allowed(server: &mut Server, what: &str, statement: &str) -> Result<(), ServerError> {
    match server.session.run(what, statement).await {
        Err(error) if error.server_code() == Some(DENIED) => Ok(()),
        set => set,
    }
}

/// Takes the fence down.
pub(crate) async fn lower(server: &mut Server, before: &Before) -> Result<(), ServerError> {
    if let Some(bytes) = before.max_allowed_packet {
        set_packet(server, "set its largest packet back", bytes).await?;
    }
    if before.trusts_functions == Some(false) {
        let doubt = "SET GLOBAL log_bin_trust_function_creators = OFF";
        set_if_allowed(server, "ask of functions what they do", doubt).await?;
    }
    if before.event_scheduler == "ON" {
        server.session.run("start its event scheduler", "SET GLOBAL event_scheduler = ON").await?;
    }
    if !before.read_only {
        server.session.run("become writable", "SET GLOBAL read_only = OFF").await?;
    }
    Ok(())
}
