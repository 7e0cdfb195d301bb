//! A variable and its value, in the words of a server's version. Pure.
//!
//! Sources: MySQL 8.0 Reference Manual 15.7.6.1 (`SET PERSIST`, from 8.0.0 on) and 19.1.6.4
//! (`binlog_expire_logs_seconds`, from 8.0.1 on; `expire_logs_days` until 8.2); MariaDB manual, "Replication and Binary
//! Log System Variables" (`binlog_expire_logs_seconds` from 10.6.1 on).

use std::collections::BTreeMap;

use rekindle_backup::manifest::Flavour;
use rekindle_engine::step::StepError;
use serde_json::Value;

use crate::connection::quote_string;
use crate::flavour::ServerVersion;

const EXPIRY: &str = "binlog_expire_logs_seconds";
const OLD_EXPIRY: &str = "expire_logs_days";
const DAY_SECONDS: u64 = 86_400;

/// A variable as a server knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) name: String,
    /// The value as text.
    pub(super) wanted: String,
    /// What had to be done to it.
    pub(super) note: Option<String>,
}

/// Tells whether a server keeps what it is told.
pub(super) fn persists(version: &ServerVersion) -> bool {
    version.is_at_least(Flavour::Mysql, (8, 0, 1))
}

/// Reads the variables of a runbook for a server.
///
/// # Errors
/// When a name is none, or a value is a list or a map.
pub(super) fn settings(
    variables: &BTreeMap<String, Value>,
    version: &ServerVersion,
) -> Result<Vec<Setting>, StepError> {
    variables.iter().map(|(name, value)| setting(name, value, version)).collect()
}

fn setting(name: &str, value: &Value, version: &ServerVersion) -> Result<Setting, StepError> {
    let is_name = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_' || c == '.');
    if !is_name {
        return Err(StepError::permanent(format!("`{name}` is no name of a server variable")));
    }
    let wanted = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Bool(true) => "ON".to_owned(),
        Value::Bool(false) => "OFF".to_owned(),
        Value::Null | Value::Array(_) | Value::Object(_) => {
            return Err(StepError::permanent(format!(
                "the value of `{name}` is no number, text, true or false"
            )));
        }
    };
    if name.eq_ignore_ascii_case(EXPIRY) && !knows_expiry_in_seconds(version) {
        let seconds: u64 = wanted.parse().map_err(|_| {
            StepError::permanent(format!("the value of `{name}` is no number of seconds: {wanted}"))
        })?;
        let days = seconds.div_ceil(DAY_SECONDS);
        let note = format!("{version} has no {EXPIRY}: {seconds} s become {OLD_EXPIRY} = {days}");
        return Ok(Setting { name: OLD_EXPIRY.to_owned(), wanted: days.to_string(), note: Some(note) });
    }
    Ok(Setting { name: name.to_ascii_lowercase(), wanted, note: None })
}

fn knows_expiry_in_seconds(version: &ServerVersion) -> bool {
    version.is_at_least(Flavour::Mysql, (8, 0, 1)) || version.is_at_least(Flavour::Mariadb, (10, 6, 1))
}

impl Setting {
    /// Gives the statement that sets it.
    pub(super) fn statement(&self, version: &ServerVersion) -> String {
        let scope = if persists(version) { "PERSIST" } else { "GLOBAL" };
        format!("SET {scope} {} = {}", self.name, self.literal())
    }

    fn literal(&self) -> String {
        let is_number = self.wanted.parse::<i64>().is_ok() || self.wanted.parse::<u64>().is_ok();
        let is_word = matches!(self.wanted.to_ascii_uppercase().as_str(), "ON" | "OFF" | "DEFAULT");
        if is_number || is_word { self.wanted.clone() } else { quote_string(&self.wanted) }
    }

    /// Tells whether a value that a server shows is the wanted one.
    pub(super) fn is(&self, shown: &str) -> bool {
        let plain = |text: &str| match text.to_ascii_uppercase().as_str() {
            "ON" | "TRUE" => "1".to_owned(),
            "OFF" | "FALSE" => "0".to_owned(),
            other => match other.parse::<f64>() {
                Ok(number) => number.to_string(),
                Err(_) => other.to_owned(),
            },
        };
        plain(&self.wanted) == plain(shown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(version: &str, comment: &str) -> String {
        let version = ServerVersion::read(version, comment).unwrap();
        let variables = serde_json::json!({
            "binlog_expire_logs_seconds": 604_801, "max_binlog_size": "104857600", "sync_binlog": 1,
            "log_bin_trust_function_creators": true, "binlog_row_image": "it's"
        });
        let settings = settings(&serde_json::from_value(variables).unwrap(), &version).unwrap();
        let lines = settings.iter().map(|setting| match &setting.note {
            Some(note) => format!("{} -- {note}", setting.statement(&version)),
            None => setting.statement(&version),
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn each_version_is_told_in_its_own_words() {
        insta::assert_snapshot!(statements("5.7.44-log", "MySQL"), @r"
        SET GLOBAL expire_logs_days = 8 -- MySQL 5.7.44 has no binlog_expire_logs_seconds: 604801 s become expire_logs_days = 8
        SET GLOBAL binlog_row_image = 'it\'s'
        SET GLOBAL log_bin_trust_function_creators = ON
        SET GLOBAL max_binlog_size = 104857600
        SET GLOBAL sync_binlog = 1
        ");
        for version in ["8.0.36", "8.4.3", "9.7.0"] {
            insta::allow_duplicates! {
                insta::assert_snapshot!(statements(version, "MySQL"), @r"
                SET PERSIST binlog_expire_logs_seconds = 604801
                SET PERSIST binlog_row_image = 'it\'s'
                SET PERSIST log_bin_trust_function_creators = ON
                SET PERSIST max_binlog_size = 104857600
                SET PERSIST sync_binlog = 1
                ");
            }
        }
        assert!(
            statements("10.5.23-MariaDB", "")
                .starts_with("SET GLOBAL expire_logs_days = 8 -- MariaDB 10.5.23")
        );
        assert!(
            statements("10.11.14-MariaDB", "")
                .starts_with("SET GLOBAL binlog_expire_logs_seconds = 604801\n")
        );
    }

    #[test]
    fn a_name_can_not_leave_its_place() {
        let version = ServerVersion::read("10.11.14-MariaDB", "").unwrap();
        for name in ["a = 1; DROP DATABASE x", "", "a b", "a`"] {
            let variables = BTreeMap::from([(name.to_owned(), Value::from(1))]);
            assert!(settings(&variables, &version).is_err(), "{name}");
        }
        let variables = BTreeMap::from([("a".to_owned(), serde_json::json!([1]))]);
        insta::assert_snapshot!(settings(&variables, &version).unwrap_err(), @"the value of `a` is no number, text, true or false");
    }

    #[test]
    fn the_same_value_is_known_in_every_spelling() {
        let is = |wanted: &str, shown: &str| {
            Setting { name: "a".to_owned(), wanted: wanted.to_owned(), note: None }.is(shown)
        };
        assert!(
            is("true", "ON") && is("ON", "1") && is("7", "7.000000") && is("row", "ROW") && is("0", "OFF")
        );
        assert!(!is("8", "7") && !is("ROW", "MIXED") && !is("ON", "0"));
    }
}
