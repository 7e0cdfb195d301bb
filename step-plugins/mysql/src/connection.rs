//! Connections to targets: from an environment's `Target` to an open session whose flavour is known.

use std::time::Duration;

use mysql_async::prelude::{FromRow, Queryable as _};
use mysql_async::{Conn, OptsBuilder};
use rekindle_engine::environment::TargetTls;
use rekindle_engine::host::Secret;
use rekindle_engine::id::TargetName;
use rekindle_engine::step::{StepContext, StepError};

use crate::error::ServerError;
use crate::flavour::ServerVersion;
use crate::tls;

/// How long a server may take to accept a connection and answer the first queries.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// How to log in to a server.
#[derive(Debug, Clone)]
pub struct Login {
    /// The target's name, for messages.
    pub target: String,
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// The account.
    pub user: String,
    /// Its password.
    pub password: Option<Secret>,
    /// How the session is encrypted; not at all when absent.
    pub tls: Option<TargetTls>,
}

impl Login {
    /// Finds a target in the environment and reads its password.
    ///
    /// # Errors
    /// When the target or its secret is not declared, or the secret can't be read.
    pub async fn of(cx: &StepContext, name: &TargetName) -> Result<Self, StepError> {
        let target = cx.target(name)?;
        let password = match &target.password {
            Some(reference) => Some(cx.secret(reference).await?),
            None => None,
        };
        Ok(Self {
            target: name.to_string(),
            host: target.host.clone(),
            port: target.port,
            user: target.user.clone(),
            password,
            tls: target.tls.clone(),
        })
    }

    /// Gives `host:port`, with an IPv6 address in brackets.
    pub fn address(&self) -> String {
        if self.host.contains(':') {
            format!("[{}]:{}", self.host, self.port)
        } else {
            format!("{}:{}", self.host, self.port)
        }
    }

    /// Opens a session of its own; there is no pool, because a step's session state must not leak into another's.
    ///
    /// # Errors
    /// As [`ServerError`] has it: unreachable within [`CONNECT_TIMEOUT`], access denied, refused, too old.
    pub async fn connect(&self) -> Result<Server, ServerError> {
        match tokio::time::timeout(CONNECT_TIMEOUT, self.connect_patiently()).await {
            Ok(result) => result,
            Err(_) => Err(ServerError::Unreachable {
                target: self.target.clone(),
                address: self.address(),
                why: format!("no answer within {} s", CONNECT_TIMEOUT.as_secs()),
            }),
        }
    }

    async fn connect_patiently(&self) -> Result<Server, ServerError> {
        let options = OptsBuilder::default()
            .ip_or_hostname(self.host.as_str())
            .tcp_port(self.port)
            .user(Some(self.user.as_str()))
            .pass(self.password.as_ref().map(Secret::expose))
            // The target says TCP; another server may listen on the default socket.
            .prefer_socket(false)
            .tcp_nodelay(true)
            .tcp_keepalive(Some(Duration::from_secs(30)))
            .stmt_cache_size(0)
            // What a server sends is as large as its rows are, whatever it takes itself.
            .max_allowed_packet(Some(1 << 30))
            .ssl_opts(self.tls.as_ref().map(tls::options))
            // No handler for LOCAL INFILE is set: a hostile server gets none of our files.
            .setup(vec!["SET NAMES utf8mb4"]);
        let conn = Conn::new(options)
            .await
            .map_err(|error| ServerError::connecting(&self.target, &self.address(), &self.user, &error))?;
        let mut session = Session { target: self.target.clone(), conn };
        let what = "tell its version";
        let (version, comment): (String, String) =
            session.row(what, "SELECT VERSION(), @@version_comment").await?;
        let version = ServerVersion::read(&version, &comment).ok_or_else(|| ServerError::Answer {
            target: self.target.clone(),
            what: what.to_owned(),
            why: format!("`{version}` is no version"),
        })?;
        if let Some(oldest) = version.too_old() {
            return Err(ServerError::TooOld {
                target: self.target.clone(),
                found: version.to_string(),
                oldest,
            });
        }
        Ok(Server { session, version })
    }
}

/// An open session with a server whose version is known.
pub struct Server {
    /// The session.
    pub session: Session,
    /// What the server is.
    pub version: ServerVersion,
}

impl Server {
    /// Opens a session with a target of the environment.
    ///
    /// # Errors
    /// As [`Login::of`] and [`Login::connect`].
    pub async fn open(cx: &StepContext, name: &TargetName) -> Result<Self, StepError> {
        Ok(Login::of(cx, name).await?.connect().await?)
    }
}

/// An open session whose errors name the target and what was to be done.
pub struct Session {
    target: String,
    /// The connection, for what the methods here don't offer.
    pub conn: Conn,
}

impl Session {
    /// Gives the target's name.
    pub fn target(&self) -> &str {
        &self.target
    }

    /// Runs a statement and forgets its answer. `what` fits "refused to …".
    pub async fn run(&mut self, what: &str, statement: &str) -> Result<(), ServerError> {
        self.conn.query_drop(statement).await.map_err(|error| self.error(what, &error))
    }

    /// Runs a query and gives its only or first row.
    pub async fn row<R: FromRow + Send + 'static>(
        &mut self,
        what: &str,
        query: &str,
    ) -> Result<R, ServerError> {
        self.first(what, query).await?.ok_or_else(|| ServerError::Answer {
            target: self.target.clone(),
            what: what.to_owned(),
            why: "it has no row".to_owned(),
        })
    }

    /// Runs a query and gives its first row, if any.
    pub async fn first<R: FromRow + Send + 'static>(
        &mut self,
        what: &str,
        query: &str,
    ) -> Result<Option<R>, ServerError> {
        let rows: Vec<R> = self.rows(what, query).await?;
        Ok(rows.into_iter().next())
    }

    /// Runs a query and gives all its rows.
    pub async fn rows<R: FromRow + Send + 'static>(
        &mut self,
        what: &str,
        query: &str,
    ) -> Result<Vec<R>, ServerError> {
        let rows: Vec<mysql_async::Row> =
            self.conn.query(query).await.map_err(|error| self.error(what, &error))?;
        // `FromRow::from_row` panics on another shape: an answer is input, so it is asked politely.
        rows.into_iter()
            .map(|row| {
                R::from_row_opt(row).map_err(|_| ServerError::Answer {
                    target: self.target.clone(),
                    what: what.to_owned(),
                    why: "it has other columns than expected".to_owned(),
                })
            })
            .collect()
    }

    /// Says goodbye to the server. An error here changes nothing and is dropped.
    pub async fn close(self) {
        let _ = self.conn.disconnect().await;
    }

    /// Names the target and what was to be done in an error of the client library.
    pub fn error(&self, what: &str, error: &mysql_async::Error) -> ServerError {
        ServerError::asking(&self.target, what, error)
    }
}

/// Quotes an identifier for any flavour.
pub fn quote_identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// Quotes a text as a string literal. For sessions and programs without `NO_BACKSLASH_ESCAPES` in `sql_mode`.
pub fn quote_string(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('\'');
    for c in text.chars() {
        match c {
            '\0' => quoted.push_str("\\0"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\u{1a}' => quoted.push_str("\\Z"),
            '\\' => quoted.push_str("\\\\"),
            '\'' => quoted.push_str("\\'"),
            other => quoted.push(other),
        }
    }
    quoted.push('\'');
    quoted
}

#[cfg(test)]
mod tests {
    use rekindle_engine::step::ErrorClass;

    use super::*;

    fn login(host: &str, port: u16) -> Login {
        Login {
            target: "primary".to_owned(),
            host: host.to_owned(),
            port,
            user: "root".to_owned(),
            password: Some(Secret::new("canary")),
            tls: None,
        }
    }

    #[tokio::test]
    async fn a_port_without_a_server_is_unreachable_and_may_pass() {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        drop(listener);
        let error = login("127.0.0.1", port).connect().await.err().unwrap();
        assert_eq!(error.code(), "rekindle::target::unreachable");
        let text = error.to_string().replace(&port.to_string(), "PORT");
        insta::assert_snapshot!(text, @"`primary` can't be reached at 127.0.0.1:PORT: Connection refused (os error 111)");
        assert_eq!(StepError::from(error).class, ErrorClass::Transient);
    }

    #[tokio::test]
    async fn something_else_on_the_port_is_no_server() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let http = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::io::AsyncWriteExt::write_all(&mut stream, b"HTTP/1.1 400 Bad Request\r\n\r\n")
                .await
                .unwrap();
        });
        let error = login("127.0.0.1", port).connect().await.err().unwrap();
        assert!(matches!(error, ServerError::Unreachable { .. } | ServerError::Refused { .. }), "{error}");
        http.await.unwrap();
    }

    #[test]
    fn names_and_texts_can_not_leave_their_quotes() {
        assert_eq!(quote_identifier("a`b.c"), "`a``b.c`");
        assert_eq!(quote_string("p'a\"ss\\$w\0\n"), r#"'p\'a"ss\\$w\0\n'"#);
    }

    #[test]
    fn an_ipv6_address_stands_in_brackets() {
        assert_eq!(login("::1", 3306).address(), "[::1]:3306");
    }
}
