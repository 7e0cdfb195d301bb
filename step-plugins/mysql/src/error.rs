//! What can go wrong with a server: from the client library's errors to ours, with a class and a help text.

use mysql_async::{DriverError, Error};
use rekindle_engine::step::{Problem, StepError};

use crate::tls;

/// Why a server could not be reached, entered or asked. Never holds a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ServerError {
    /// Nothing answers as a MySQL server there.
    #[error("`{target}` can't be reached at {address}: {why}")]
    Unreachable {
        /// The target's name.
        target: String,
        /// `host:port`.
        address: String,
        /// Why not.
        why: String,
    },
    /// The account is unknown, or its password is wrong.
    #[error("`{target}` at {address} refuses the account `{user}`: {why}")]
    AccessDenied {
        /// The target's name.
        target: String,
        /// `host:port`.
        address: String,
        /// The account.
        user: String,
        /// What the server says.
        why: String,
    },
    /// It answers, but refuses connections for another reason.
    #[error("`{target}` at {address} refuses the connection: {why}")]
    Refused {
        /// The target's name.
        target: String,
        /// `host:port`.
        address: String,
        /// What the server or the client library says.
        why: String,
        /// Whether it may be better later.
        passing: bool,
    },
    /// It can't be spoken to over TLS, or only over TLS.
    #[error("`{target}` at {address}: {why}")]
    Tls {
        /// The target's name.
        target: String,
        /// `host:port`.
        address: String,
        /// What is wrong.
        why: String,
        /// What to do about it.
        help: String,
    },
    /// The server is older than rekindle works with.
    #[error("`{target}` is {found}; the oldest that rekindle works with is {oldest}")]
    TooOld {
        /// The target's name.
        target: String,
        /// Flavour and version.
        found: String,
        /// Flavour and version.
        oldest: String,
    },
    /// The server is of another family than asked for.
    #[error("`{target}` is {found}, not {wanted}")]
    OtherFlavour {
        /// The target's name.
        target: String,
        /// Flavour and version.
        found: String,
        /// Flavour.
        wanted: String,
    },
    /// The connection broke in the middle of something.
    #[error("`{target}` went away while rekindle was to {what}: {why}")]
    Lost {
        /// The target's name.
        target: String,
        /// What was to be done: `read its variables`.
        what: String,
        /// Why.
        why: String,
    },
    /// The server refused a statement.
    #[error("`{target}` refused to {what}: error {code} ({state}): {message}")]
    Statement {
        /// The target's name.
        target: String,
        /// What was to be done.
        what: String,
        /// The server's error number.
        code: u16,
        /// SQLSTATE.
        state: String,
        /// The server's text.
        message: String,
    },
    /// The answer is not what the statement answers by its manual.
    #[error("`{target}` gave an answer to {what} that can't be read: {why}")]
    Answer {
        /// The target's name.
        target: String,
        /// What was asked.
        what: String,
        /// What is wrong with it.
        why: String,
    },
}

/// The code of a server that does not answer.
pub(crate) const UNREACHABLE: &str = "rekindle::target::unreachable";
/// Access denied to the account: `ER_ACCESS_DENIED_ERROR`, `ER_ACCESS_DENIED_NO_PASSWORD_ERROR`, and
/// `ER_ACCOUNT_HAS_BEEN_LOCKED` of MySQL and of MariaDB.
const ACCESS_DENIED: [u16; 4] = [1045, 1698, 3118, 4151];
/// `ER_HOST_NOT_PRIVILEGED`: no account may come from this host.
const HOST_NOT_PRIVILEGED: u16 = 1130;
/// `ER_SECURE_TRANSPORT_REQUIRED`, of both flavours.
const SECURE_TRANSPORT_REQUIRED: u16 = 3159;
/// What may pass by itself: too many connections, shutdown, interrupted, lock wait, deadlock, user limits,
/// network trouble between the server and us, killed connection, time limits (MariaDB and MySQL manuals, server
/// error reference).
const PASSING: [u16; 17] =
    [1040, 1053, 1077, 1079, 1158, 1159, 1160, 1161, 1203, 1205, 1213, 1226, 1317, 1927, 1969, 3024, 4031];

impl ServerError {
    /// Reads an error that came while connecting.
    pub(crate) fn connecting(target: &str, address: &str, user: &str, error: &Error) -> Self {
        let (target, address) = (target.to_owned(), address.to_owned());
        match error {
            Error::Server(server) if ACCESS_DENIED.contains(&server.code) => {
                Self::AccessDenied { target, address, user: user.to_owned(), why: server.message.clone() }
            }
            Error::Server(server) if server.code == SECURE_TRANSPORT_REQUIRED => Self::Tls {
                help: format!("set `tls` of `targets.{target}` in the environment"),
                target,
                address,
                why: "the server takes no connection without TLS".to_owned(),
            },
            Error::Server(server) => Self::Refused {
                target,
                address,
                why: format!("error {} ({}): {}", server.code, server.state, server.message),
                passing: PASSING.contains(&server.code),
            },
            Error::Driver(DriverError::NoClientSslFlagFromServer) => Self::Tls {
                help: format!(
                    "give the server a certificate, or leave `tls` of `targets.{target}` out to speak to it in the open"
                ),
                target,
                address,
                why: "the server has no TLS, and `tls` asks for it".to_owned(),
            },
            Error::Io(io) => match tls::failure(io) {
                Some(why) => Self::Tls {
                    help: format!(
                        "check the files of `targets.{target}.tls`: `ca` must be of whoever signed the server's certificate, which \
                         must name the host; `verify: false` encrypts without that proof"
                    ),
                    target,
                    address,
                    why: format!("no session over TLS: {why}"),
                },
                None => Self::Unreachable { target, address, why: io_text(io) },
            },
            // MySQL asks for any plugin when it does not know the account, so that nobody learns which ones there are.
            Error::Driver(DriverError::UnknownAuthPlugin { name }) => Self::AccessDenied {
                target,
                address,
                user: user.to_owned(),
                why: format!(
                    "the server asks for the plugin `{name}`, because it does not know the account, or because the account is to be \
                     authenticated by it, which rekindle can't do"
                ),
            },
            Error::Driver(DriverError::ConnectionClosed) => {
                Self::Unreachable { target, address, why: "the connection was closed at once".to_owned() }
            }
            Error::Driver(_) | Error::Other(_) | Error::Url(_) => {
                Self::Refused { target, address, why: error.to_string(), passing: false }
            }
        }
    }

    /// Reads an error that came on an open connection while rekindle was to do `what` (`read its variables`).
    pub fn asking(target: &str, what: &str, error: &Error) -> Self {
        let (target, what) = (target.to_owned(), what.to_owned());
        match error {
            Error::Server(server) => Self::Statement {
                target,
                what,
                code: server.code,
                state: server.state.clone(),
                message: server.message.clone(),
            },
            Error::Io(io) => Self::Lost { target, what, why: io_text(io) },
            Error::Driver(
                DriverError::ConnectionClosed
                | DriverError::PacketOutOfOrder
                | DriverError::UnexpectedPacket { .. },
            ) => Self::Lost { target, what, why: "the connection was closed".to_owned() },
            // The library's texts for values hold the values: said in our words instead.
            Error::Driver(DriverError::FromRow { .. } | DriverError::FromValue { .. }) => {
                Self::Answer { target, what, why: "it has other columns than expected".to_owned() }
            }
            Error::Driver(_) | Error::Other(_) | Error::Url(_) => {
                Self::Answer { target, what, why: error.to_string() }
            }
        }
    }

    /// Gives the stable code for diagnostics.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => UNREACHABLE,
            Self::AccessDenied { .. } => "rekindle::target::access_denied",
            Self::Refused { .. } => "rekindle::target::refused",
            Self::Tls { .. } => "rekindle::target::tls",
            Self::TooOld { .. } => "rekindle::target::too_old",
            Self::OtherFlavour { .. } => "rekindle::target::other_flavour",
            Self::Statement { .. } => "rekindle::target::statement_refused",
            Self::Answer { .. } => "rekindle::target::unexpected_answer",
        }
    }

    /// Gives the server's error number, when it is the server that spoke.
    pub fn server_code(&self) -> Option<u16> {
        match self {
            Self::Statement { code, .. } => Some(*code),
            Self::Unreachable { .. }
            | Self::AccessDenied { .. }
            | Self::Refused { .. }
            | Self::Tls { .. }
            | Self::TooOld { .. }
            | Self::OtherFlavour { .. }
            | Self::Lost { .. }
            | Self::Answer { .. } => None,
        }
    }

    /// Tells whether it may be better later.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Lost { .. } => true,
            Self::Refused { passing, .. } => *passing,
            Self::Statement { code, .. } => PASSING.contains(code),
            Self::AccessDenied { .. }
            | Self::Tls { .. }
            | Self::TooOld { .. }
            | Self::OtherFlavour { .. }
            | Self::Answer { .. } => false,
        }
    }

    /// Says what to do.
    pub fn help(&self) -> Option<String> {
        match self {
            Self::Unreachable { target, .. } => Some(format!(
                "check that the server runs, and `host` and `port` of `targets.{target}` in the environment"
            )),
            Self::AccessDenied { target, .. } => Some(format!(
                "check `user` and `password` of `targets.{target}` in the environment, and that the account may \
                 connect from here; an account that demands TLS is refused so too: set `tls`"
            )),
            Self::Refused { why, .. } if why.starts_with(&format!("error {HOST_NOT_PRIVILEGED} ")) => {
                Some("create the account for the host that rekindle connects from".to_owned())
            }
            Self::Tls { help, .. } => Some(help.clone()),
            Self::TooOld { .. } => Some("upgrade the server first".to_owned()),
            Self::Statement { code: 1044 | 1142 | 1143 | 1227 | 1370 | 1419, .. } => {
                Some("grant the privilege named above to the account, or use another account".to_owned())
            }
            Self::OtherFlavour { target, .. } => {
                Some(format!("check `host` and `port` of `targets.{target}` in the environment"))
            }
            Self::Refused { .. } | Self::Lost { .. } | Self::Statement { .. } | Self::Answer { .. } => None,
        }
    }

    /// Makes it a finding of a preflight; `pointer` is the parameter to blame, such as `/target`.
    pub fn problem(self, pointer: &'static str) -> Problem {
        Problem { code: self.code(), help: self.help(), message: self.to_string(), pointer: Some(pointer) }
    }
}

impl From<ServerError> for StepError {
    fn from(error: ServerError) -> Self {
        let message = error.to_string();
        let step_error = if error.is_passing() { Self::transient(message) } else { Self::permanent(message) };
        match error.help() {
            Some(help) => step_error.help(help),
            None => step_error,
        }
    }
}

/// Gives the cause alone: the library wraps it twice in the words "input/output error".
fn io_text(error: &mysql_async::IoError) -> String {
    match error {
        mysql_async::IoError::Io(cause) => cause.to_string(),
        mysql_async::IoError::Tls(cause) => cause.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use mysql_async::ServerError as Spoken;
    use rekindle_engine::step::ErrorClass;

    use super::*;

    #[test]
    fn every_kind_of_error_has_its_code() {
        let text = |text: &str| text.to_owned();
        let (target, address) = (text("primary"), text("db-1:3306"));
        let errors = [
            ServerError::Refused {
                target: target.clone(),
                address,
                why: text("error 1040 (08004): Too many connections"),
                passing: true,
            },
            ServerError::Tls {
                target: target.clone(),
                address: text("db-1:3306"),
                why: text("the server takes no connection without TLS"),
                help: text("set `tls` of `targets.primary` in the environment"),
            },
            ServerError::TooOld {
                target: target.clone(),
                found: text("MariaDB 10.3.1"),
                oldest: text("MariaDB 10.6"),
            },
            ServerError::OtherFlavour {
                target: target.clone(),
                found: text("MySQL 8.4.1"),
                wanted: text("MariaDB"),
            },
            ServerError::Statement {
                target: target.clone(),
                what: text("lock all tables"),
                code: 1227,
                state: text("42000"),
                message: text("Access denied; you need (at least one of) the RELOAD privilege(s)"),
            },
            ServerError::Answer { target, what: text("read its variables"), why: text("it has no rows") },
        ];
        let told: Vec<_> = errors.into_iter().map(|error| error.problem("/target").to_string()).collect();
        insta::assert_snapshot!(told.join("\n"), @"
        rekindle::target::refused: `primary` at db-1:3306 refuses the connection: error 1040 (08004): Too many connections (/target)
        rekindle::target::tls: `primary` at db-1:3306: the server takes no connection without TLS (/target)
          help: set `tls` of `targets.primary` in the environment
        rekindle::target::too_old: `primary` is MariaDB 10.3.1; the oldest that rekindle works with is MariaDB 10.6 (/target)
          help: upgrade the server first
        rekindle::target::other_flavour: `primary` is MySQL 8.4.1, not MariaDB (/target)
          help: check `host` and `port` of `targets.primary` in the environment
        rekindle::target::statement_refused: `primary` refused to lock all tables: error 1227 (42000): Access denied; you need (at least one of) the RELOAD privilege(s) (/target)
          help: grant the privilege named above to the account, or use another account
        rekindle::target::unexpected_answer: `primary` gave an answer to read its variables that can't be read: it has no rows (/target)
        ");
    }

    fn spoken(code: u16, message: &str) -> Error {
        Error::Server(Spoken { code, message: message.to_owned(), state: "HY000".to_owned() })
    }

    #[test]
    fn a_wrong_password_is_permanent_and_says_where_to_look() {
        for code in ACCESS_DENIED {
            let error = ServerError::connecting("primary", "h:1", "root", &spoken(code, "Access denied"));
            assert_eq!(error.code(), "rekindle::target::access_denied");
            let step: StepError = error.into();
            assert_eq!(step.class, ErrorClass::Permanent);
            insta::allow_duplicates! {
                insta::assert_snapshot!(step.message, @"`primary` at h:1 refuses the account `root`: Access denied");
                insta::assert_snapshot!(step.help.unwrap(), @"check `user` and `password` of `targets.primary` in the environment, and that the account may connect from here; an account that demands TLS is refused so too: set `tls`");
            }
        }
    }

    #[test]
    fn a_deadlock_may_pass_and_bad_sql_will_not() {
        let deadlock = ServerError::asking("primary", "count rows", &spoken(1213, "Deadlock found"));
        assert!(deadlock.is_passing());
        let syntax = ServerError::asking("primary", "count rows", &spoken(1064, "You have an error"));
        assert!(!syntax.is_passing());
        insta::assert_snapshot!(syntax, @"`primary` refused to count rows: error 1064 (HY000): You have an error");
    }

    #[test]
    fn too_many_connections_may_pass() {
        assert!(ServerError::connecting("p", "h:1", "u", &spoken(1040, "Too many connections")).is_passing());
        assert!(!ServerError::connecting("p", "h:1", "u", &spoken(1130, "not allowed")).is_passing());
    }
}
