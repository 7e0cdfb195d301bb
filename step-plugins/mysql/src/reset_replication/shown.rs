//! The statements as people see them before the run: from parameters as far as they are known to texts without
//! secrets.

use rekindle_engine::host::Secret;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{Planned, PreflightContext};

use super::ResetReplicationParams;
use crate::replication::statements::{Dialect, HEARTBEAT, SourceLogin};

/// Gives the statements for a replica whose words are known.
///
/// The replica's binary log is taken to be on: whether its position is set at all is found in the run, because
/// an earlier step may set it.
pub(super) fn statements(
    params: &Planned<ResetReplicationParams>,
    cx: &PreflightContext,
    dialect: Dialect,
) -> Vec<String> {
    let mut statements = vec![dialect.stop(), dialect.forget_source()];
    let gtid = params.show("/gtid");
    if !gtid.is_empty() {
        let unless = |statement| format!("{statement} -- unless it is there already");
        statements.extend(dialect.stand_at_shown(true, &gtid).into_iter().map(unless));
    }
    statements.push("SET GLOBAL read_only = ON".to_owned());
    statements.push(dialect.change_source_masked(&source(params, cx)));
    statements.push(dialect.start());
    statements.push(format!("{HEARTBEAT} (at {})", params.show("/source")));
    statements
}

/// Gives the statements for every flavour, when the replica can't say which it is.
pub(super) fn statements_of_flavours(
    params: &Planned<ResetReplicationParams>,
    cx: &PreflightContext,
) -> Vec<String> {
    [("MariaDB", Dialect::Mariadb), ("MySQL", Dialect::MysqlSource)]
        .into_iter()
        .flat_map(|(flavour, dialect)| {
            let of_flavour = statements(params, cx, dialect);
            of_flavour.into_iter().map(move |statement| format!("-- {flavour}: {statement}"))
        })
        .collect()
}

/// Tells where the replica finds its source, without the password.
fn source(params: &Planned<ResetReplicationParams>, cx: &PreflightContext) -> SourceLogin {
    let name = params.value("/source").and_then(|name| name.as_str()).map(TargetName::from);
    let target = name.and_then(|name| cx.step.target(&name).ok().cloned());
    let host = match (params.show("/source_address/host"), &target) {
        (host, Some(target)) if host.is_empty() => target.host.clone(),
        (host, _) => host,
    };
    let port = params.value("/source_address/port").and_then(serde_json::Value::as_u64);
    let port = port.and_then(|port| u16::try_from(port).ok()).or(target.map(|target| target.port));
    let (port, user) = (port.unwrap_or_default(), params.show("/account/user"));
    let tls = params.value("/tls").and_then(|tls| serde_json::from_value(tls.clone()).ok());
    SourceLogin { host, port, user, password: Secret::new(""), tls }
}
