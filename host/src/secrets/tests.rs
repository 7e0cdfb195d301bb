use std::fs::Permissions;

use super::*;

struct Fixture {
    secrets: SystemSecrets,
    masker: Masker,
    dir: tempfile::TempDir,
}

impl Fixture {
    fn new() -> Self {
        let masker = Masker::default();
        let secrets = SystemSecrets::new(SystemProcesses::new(None), masker.clone());
        Self { secrets, masker, dir: tempfile::tempdir().unwrap() }
    }

    fn read(&self, source: &SecretSource) -> Result<String, String> {
        let read = self.secrets.read(&SecretName::from("root"), source);
        read.map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string().replace(&self.dir.path().display().to_string(), "DIR"))
    }

    fn file(&self, contents: &[u8], mode: u32) -> SecretSource {
        let path = self.dir.path().join("secret");
        std::fs::write(&path, contents).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        SecretSource { file: Some(path.display().to_string()), ..none() }
    }
}

fn none() -> SecretSource {
    SecretSource { env: None, file: None, command: None }
}

fn command(argv: &[&str]) -> SecretSource {
    SecretSource { command: Some(argv.iter().map(ToString::to_string).collect()), ..none() }
}

#[test]
fn a_file_gives_its_text_less_one_newline() {
    let fixture = Fixture::new();
    assert_eq!(fixture.read(&fixture.file(b"it's $ecret\n\n", 0o600)).unwrap(), "it's $ecret\n");
    assert_eq!(fixture.read(&fixture.file(b"plain", 0o400)).unwrap(), "plain");
}

#[test]
fn a_value_is_masked_as_soon_as_it_is_given_out() {
    let fixture = Fixture::new();
    fixture.read(&fixture.file(b"canary", 0o600)).unwrap();
    assert_eq!(fixture.masker.mask("the canary sings"), "the *** sings");
}

#[test]
fn a_file_that_others_may_read_is_refused() {
    let fixture = Fixture::new();
    insta::assert_snapshot!(
        fixture.read(&fixture.file(b"canary", 0o640)).unwrap_err(),
        @"failed to read the secret `root` from the file DIR/secret: others than its owner may use it (mode 0640); run `chmod 600 DIR/secret`"
    );
    assert_eq!(fixture.masker.mask("canary"), "canary");
}

#[test]
fn a_missing_file_says_what_to_do() {
    let fixture = Fixture::new();
    let source = SecretSource { file: Some("/no/such/secret".to_owned()), ..none() };
    insta::assert_snapshot!(
        fixture.read(&source).unwrap_err(),
        @"failed to read the secret `root` from the file /no/such/secret: there is no such file; write the secret into it, with mode 0600"
    );
}

#[test]
fn a_missing_variable_says_what_to_do() {
    let source = SecretSource { env: Some("REKINDLE_NO_SUCH_VARIABLE".to_owned()), ..none() };
    insta::assert_snapshot!(
        Fixture::new().read(&source).unwrap_err(),
        @"failed to read the secret `root` from the environment variable REKINDLE_NO_SUCH_VARIABLE: it is not set; export REKINDLE_NO_SUCH_VARIABLE before you start rekindle"
    );
}

#[test]
fn a_variable_gives_its_text() {
    // Cargo sets this for every test.
    let source = SecretSource { env: Some("CARGO_PKG_NAME".to_owned()), ..none() };
    assert_eq!(Fixture::new().read(&source).unwrap(), "rekindle-host");
}

#[test]
fn an_empty_secret_is_an_accident() {
    let fixture = Fixture::new();
    assert!(fixture.read(&fixture.file(b"\n", 0o600)).unwrap_err().ends_with("it is empty"));
}

#[test]
fn a_secret_that_is_no_text_or_too_large_is_refused_without_showing_it() {
    let fixture = Fixture::new();
    assert!(fixture.read(&fixture.file(b"\xff\xfe", 0o600)).unwrap_err().ends_with("it is not UTF-8 text"));
    let large = vec![b'x'; 64 * 1024 + 1];
    let error = fixture.read(&fixture.file(&large, 0o600)).unwrap_err();
    assert!(error.ends_with("it is larger than 64 KiB, which no secret is"), "{error}");
}

#[test]
fn a_command_gives_its_output_without_a_shell() {
    let fixture = Fixture::new();
    assert_eq!(fixture.read(&command(&["echo", "$HOME; x"])).unwrap(), "$HOME; x");
}

#[test]
fn a_command_that_fails_tells_its_exit_code_and_nothing_it_said() {
    let source = command(&["sh", "-c", "echo canary; echo canary >&2; exit 3"]);
    // The words of the command are the user's own, and shown.
    let error = Fixture::new().read(&source).unwrap_err();
    assert!(error.ends_with(": it ended with exit code 3; run it by hand to see what it says"), "{error}");
}

#[test]
fn a_command_that_is_not_there_is_named() {
    insta::assert_snapshot!(
        Fixture::new().read(&command(&["no-such-vault", "get"])).unwrap_err(),
        @"failed to read the secret `root` from the command no-such-vault get: there is no program `no-such-vault` on PATH; install it or name it by its path"
    );
}

#[test]
fn a_command_that_writes_for_ever_is_cut_off() {
    let error = Fixture::new().read(&command(&["yes"])).unwrap_err();
    assert!(error.ends_with("it is larger than 64 KiB, which no secret is"), "{error}");
}

#[test]
fn a_command_that_never_ends_runs_into_the_limit() {
    let mut fixture = Fixture::new();
    fixture.secrets.command_limit = Duration::from_secs(1);
    let error = fixture.read(&command(&["sleep", "1000"])).unwrap_err();
    assert!(error.ends_with("it did not end within 1 s"), "{error}");
}

#[test]
fn a_source_with_two_places_or_none_is_refused() {
    let fixture = Fixture::new();
    assert!(fixture.read(&none()).unwrap_err().ends_with("give exactly one of `env`, `file` and `command`"));
    let both = SecretSource { env: Some("A".to_owned()), file: Some("b".to_owned()), command: None };
    assert!(fixture.read(&both).is_err());
}
