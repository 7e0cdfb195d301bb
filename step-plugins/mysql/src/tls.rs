//! TLS of a target, for sessions of our own and in the words of the flavours' client programs.

use std::io::ErrorKind;

use mysql_async::{IoError, SslOpts};
use rekindle_backup::manifest::Flavour;
use rekindle_engine::environment::TargetTls;

/// Gives it to the client library. Only the authorities that are named are trusted.
pub(crate) fn options(tls: &TargetTls) -> SslOpts {
    let path = |path: &String| std::path::PathBuf::from(path).into();
    let identity = tls.certificate.as_ref().zip(tls.key.as_ref());
    SslOpts::default()
        .with_root_certs(tls.ca.iter().map(path).collect())
        // Without any authority the library refuses to begin, also when it is to verify nothing.
        .with_disable_built_in_roots(tls.ca.is_some())
        .with_danger_accept_invalid_certs(!tls.verify)
        .with_danger_skip_domain_validation(!tls.verify)
        .with_client_identity(
            identity.map(|(certificate, key)| mysql_async::ClientIdentity::new(path(certificate), path(key))),
        )
}

/// Gives it to the client programs, as lines of their option file: `name`, `value`.
///
/// Sources: MySQL Reference Manual 6.2.3, "Command Options for Encrypted Connections"; MariaDB manual, "Secure
/// Connections Overview" and `mariadb` client options.
pub(crate) fn program_options(tls: &TargetTls, flavour: Flavour) -> Vec<(&'static str, String)> {
    let mut lines = match (flavour, tls.verify) {
        (Flavour::Mysql, true) => vec![("ssl-mode", "VERIFY_IDENTITY".to_owned())],
        (Flavour::Mysql, false) => vec![("ssl-mode", "REQUIRED".to_owned())],
        // From 11.4 on it verifies by itself.
        (Flavour::Mariadb, verify) => {
            vec![("ssl", "1".to_owned()), ("ssl-verify-server-cert", u8::from(verify).to_string())]
        }
    };
    let files = [("ssl-ca", &tls.ca), ("ssl-cert", &tls.certificate), ("ssl-key", &tls.key)];
    lines.extend(files.into_iter().filter_map(|(name, file)| Some((name, file.clone()?))));
    lines
}

/// Says why TLS failed, when it is that: the other side's certificate, its answers, or our own files.
pub(crate) fn failure(error: &IoError) -> Option<String> {
    match error {
        IoError::Tls(cause) => Some(cause.to_string()),
        // So rustls tells what a peer does wrong; a file that is not there is only read for TLS.
        IoError::Io(cause) => match cause.kind() {
            ErrorKind::InvalidData => Some(cause.to_string()),
            ErrorKind::NotFound | ErrorKind::PermissionDenied => Some(format!("a file of it: {cause}")),
            _ => None,
        },
    }
}

#[cfg(test)]
mod tests {
    use rekindle_engine::step::{ErrorClass, StepError};

    use super::*;
    use crate::binlogs::testing::{Lab, ask, tell};
    use crate::sandbox::testing::TempServer;
    use crate::testing::{on_both, processes};

    /// Certificates in a folder: `server` of 127.0.0.1, `other` of nobody, each its own authority, with their keys.
    struct Certificates(tempfile::TempDir);

    impl Certificates {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            for name in ["server", "other"] {
                let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
                std::fs::write(folder.path().join(format!("{name}.pem")), made.cert.pem()).unwrap();
                let key = made.signing_key.serialize_pem();
                std::fs::write(folder.path().join(format!("{name}.key")), key).unwrap();
            }
            Self(folder)
        }

        fn file(&self, name: &str) -> String {
            self.0.path().join(name).display().to_string()
        }

        fn trust(&self, name: &str) -> TargetTls {
            let ca = Some(self.file(&format!("{name}.pem")));
            TargetTls { ca, verify: true, certificate: None, key: None }
        }

        async fn server(&self, flavour: Flavour) -> TempServer {
            let files = [("cert", "server.pem"), ("key", "server.key"), ("ca", "other.pem")];
            let options = files.map(|(what, name)| format!("--ssl-{what}={}", self.file(name)));
            let options = options.each_ref().map(String::as_str);
            TempServer::start_of(flavour, "primary", &processes(), &options).await.unwrap()
        }
    }

    const UNPROVEN: TargetTls = TargetTls { ca: None, verify: false, certificate: None, key: None };

    async fn refused(server: &TempServer, tls: Option<TargetTls>) -> String {
        let login = crate::connection::Login { tls, ..server.login().clone() };
        let error = StepError::from(login.connect().await.err().unwrap());
        assert_eq!(error.class, ErrorClass::Permanent, "{error}");
        let text = format!("{}; {}", error.message, error.help.unwrap());
        text.replace(&login.port.to_string(), "PORT")
    }

    on_both!(a_server_that_takes_nothing_else_is_backed_up_and_archived_over_tls);
    async fn a_server_that_takes_nothing_else_is_backed_up_and_archived_over_tls(flavour: Flavour) {
        let certificates = Certificates::new();
        let server = certificates.server(flavour).await;
        tell(&server, &["CREATE DATABASE shop", "CREATE TABLE shop.t (id INT PRIMARY KEY)"]).await;
        tell(&server, &["SET GLOBAL require_secure_transport = ON"]).await;
        let told = refused(&server, None).await;
        match flavour {
            Flavour::Mariadb => {
                insta::assert_snapshot!(told, @"`primary` at 127.0.0.1:PORT refuses the account `root`: Access denied for user 'root'@'127.0.0.1' (using password: YES); check `user` and `password` of `targets.primary` in the environment, and that the account may connect from here; an account that demands TLS is refused so too: set `tls`");
            }
            Flavour::Mysql => {
                insta::assert_snapshot!(told, @"`primary` at 127.0.0.1:PORT: the server takes no connection without TLS; set `tls` of `targets.primary` in the environment");
            }
        }
        for tls in [certificates.trust("server"), UNPROVEN] {
            let mut lab = Lab::of(&[&server]);
            lab.settings.targets[0].tls = Some(tls);
            // The client programs of the dump and of the logs log in by themselves.
            lab.back_up("b1").await;
            let archived = lab.archive().await;
            assert!(archived.transactions >= 2, "{archived:?}");
        }
    }

    on_both!(another_server_is_not_spoken_to);
    async fn another_server_is_not_spoken_to(flavour: Flavour) {
        let certificates = Certificates::new();
        let server = certificates.server(flavour).await;
        let told = refused(&server, Some(certificates.trust("other"))).await;
        insta::allow_duplicates!(
            insta::assert_snapshot!(told, @"`primary` at 127.0.0.1:PORT: no session over TLS: invalid peer certificate: BadSignature; check the files of `targets.primary.tls`: `ca` must be of whoever signed the server's certificate, which must name the host; `verify: false` encrypts without that proof")
        );
        let gone = refused(&server, Some(certificates.trust("gone"))).await;
        assert!(
            gone.starts_with("`primary` at 127.0.0.1:PORT: no session over TLS: a file of it: "),
            "{gone}"
        );
    }

    on_both!(a_server_without_tls_is_never_spoken_to_in_the_open);
    async fn a_server_without_tls_is_never_spoken_to_in_the_open(flavour: Flavour) {
        let off = match flavour {
            Flavour::Mariadb => "--skip-ssl",
            Flavour::Mysql => "--tls-version=",
        };
        let server = TempServer::start_of(flavour, "primary", &processes(), &[off]).await.unwrap();
        let told = refused(&server, Some(UNPROVEN)).await;
        insta::allow_duplicates!(
            insta::assert_snapshot!(told, @"`primary` at 127.0.0.1:PORT: the server has no TLS, and `tls` asks for it; give the server a certificate, or leave `tls` of `targets.primary` out to speak to it in the open")
        );
    }

    on_both!(an_account_is_authenticated_by_its_certificate);
    async fn an_account_is_authenticated_by_its_certificate(flavour: Flavour) {
        let certificates = Certificates::new();
        let server = certificates.server(flavour).await;
        let password = crate::connection::quote_string(server.login().password.as_ref().unwrap().expose());
        let account = format!("CREATE USER sure@'%' IDENTIFIED BY {password} REQUIRE X509");
        tell(&server, &[&account, "GRANT ALL ON *.* TO sure@'%'", "CREATE DATABASE shop"]).await;
        let mut lab = Lab::of(&[&server]);
        let target = &mut lab.settings.targets[0];
        target.user = "sure".to_owned();
        target.tls = Some(certificates.trust("server"));
        let cx = lab.cx();
        crate::connection::Server::open(&cx.cx, &"primary".into()).await.err().unwrap();

        let key = ["other.pem", "other.key"].map(|name| Some(certificates.file(name)));
        let [certificate, key] = key;
        let tls = TargetTls { certificate, key, ..certificates.trust("server") };
        lab.settings.targets[0].tls = Some(tls);

        lab.back_up("b1").await;
        assert_eq!(ask(&server, "SELECT COUNT(*) FROM mysql.user WHERE user = 'sure'").await, "1");
    }
}
