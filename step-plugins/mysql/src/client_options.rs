//! The option file that the flavour's own client programs log in with: from a [`Login`] to its text.
//!
//! The text goes into a file that only this user can read (`Processes::private_file`), named by
//! `--defaults-file` as the first argument: no password stands on a command line or in an environment.

use rekindle_backup::manifest::Flavour;
use rekindle_engine::host::Secret;

use crate::connection::Login;
use crate::tls;

/// The text of an option file for `--defaults-file`; a secret as a whole.
#[derive(Debug, Clone)]
pub struct ClientOptions(Secret);

/// Why a login can't be written into an option file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the {field} of `{target}` can't be given to the client programs: {why}")]
pub struct ClientOptionsError {
    /// The target's name.
    pub target: String,
    /// `user`, `password`, `host` or an option of TLS.
    pub field: &'static str,
    /// What is wrong, without the value.
    pub why: &'static str,
}

/// The client programs read lines of at most 4,096 bytes (`my_search_option_files`, `mysys/my_default.c`).
const LONGEST_VALUE_BYTES: usize = 2000;

impl ClientOptions {
    /// Writes the option file of a login, for TCP, in the words of a flavour's programs.
    ///
    /// # Errors
    /// When a value has a NUL byte or is too long for the programs' line buffer.
    pub fn new(login: &Login, flavour: Flavour) -> Result<Self, ClientOptionsError> {
        let write = |field, value: &str| {
            quote(value).map_err(|why| ClientOptionsError { target: login.target.clone(), field, why })
        };
        let password = login.password.as_ref().map_or("", Secret::expose);
        let mut text = format!(
            "[client]\nprotocol=tcp\nhost={}\nport={}\nuser={}\npassword={}\n",
            write("host", &login.host)?,
            login.port,
            write("user", &login.user)?,
            write("password", password)?,
        );
        for (name, value) in login.tls.iter().flat_map(|tls| tls::program_options(tls, flavour)) {
            text.extend([name, "=", &write(name, &value)?, "\n"]);
        }
        Ok(Self(Secret::new(text)))
    }

    /// Gives the text, for `Processes::private_file`.
    pub fn text(&self) -> &Secret {
        &self.0
    }
}

/// Quotes a value: inside double quotes `#` starts no comment and spaces stay; `\\`, `\"`, `\n`, `\r`, `\t` and
/// `\b` are read back by the programs (MariaDB manual, "Configuring MariaDB with Option Files", escapes).
fn quote(value: &str) -> Result<String, &'static str> {
    if value.len() > LONGEST_VALUE_BYTES {
        return Err("it is longer than 2,000 bytes");
    }
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for c in value.chars() {
        match c {
            '\0' => return Err("it has a NUL byte"),
            '\\' => quoted.push_str("\\\\"),
            '"' => quoted.push_str("\\\""),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            '\u{8}' => quoted.push_str("\\b"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    Ok(quoted)
}

#[cfg(test)]
mod tests {
    use rekindle_engine::environment::TargetTls;

    use super::*;

    fn login(password: &str) -> Login {
        Login {
            target: "primary".to_owned(),
            host: "127.0.0.1".to_owned(),
            port: 3306,
            user: "root".to_owned(),
            password: Some(Secret::new(password)),
            tls: None,
        }
    }

    #[test]
    fn every_special_character_is_quoted() {
        let options = ClientOptions::new(&login("p'a\"ss\\$w$(id)# x\n"), Flavour::Mariadb).unwrap();
        insta::assert_snapshot!(options.text().expose(), @r#"
        [client]
        protocol=tcp
        host="127.0.0.1"
        port=3306
        user="root"
        password="p'a\"ss\\$w$(id)# x\n"
        "#);
        assert_eq!(format!("{options:?}"), "ClientOptions(Secret(***))");
    }

    #[test]
    fn what_an_option_file_cannot_hold_is_refused_without_showing_it() {
        let error = ClientOptions::new(&login("se\0cret"), Flavour::Mariadb).unwrap_err();
        insta::assert_snapshot!(error, @"the password of `primary` can't be given to the client programs: it has a NUL byte");
        assert!(ClientOptions::new(&login(&"x".repeat(2001)), Flavour::Mariadb).is_err());
    }

    #[test]
    fn tls_is_told_in_the_words_of_each_flavours_programs() {
        let options = |verify: bool, flavour| {
            let tls = TargetTls {
                ca: verify.then(|| "/etc/ca \"1\".pem".to_owned()),
                verify,
                certificate: verify.then(|| "/etc/me.pem".to_owned()),
                key: verify.then(|| "/etc/me.key".to_owned()),
            };
            let options = ClientOptions::new(&Login { tls: Some(tls), ..login("x") }, flavour).unwrap();
            options.text().expose().lines().skip(6).collect::<Vec<_>>().join("\n")
        };
        insta::assert_snapshot!(options(true, Flavour::Mariadb), @r#"
        ssl="1"
        ssl-verify-server-cert="1"
        ssl-ca="/etc/ca \"1\".pem"
        ssl-cert="/etc/me.pem"
        ssl-key="/etc/me.key"
        "#);
        insta::assert_snapshot!(options(true, Flavour::Mysql), @r#"
        ssl-mode="VERIFY_IDENTITY"
        ssl-ca="/etc/ca \"1\".pem"
        ssl-cert="/etc/me.pem"
        ssl-key="/etc/me.key"
        "#);
        insta::assert_snapshot!(options(false, Flavour::Mariadb), @r#"
        ssl="1"
        ssl-verify-server-cert="0"
        "#);
        insta::assert_snapshot!(options(false, Flavour::Mysql), @r#"ssl-mode="REQUIRED""#);
    }
}
