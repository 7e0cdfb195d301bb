use super::*;
use crate::document::rendering::render;

const WHOLE: &str = r#"
apiVersion: rekindle/v1
kind: Environment
name: production
cluster: shop
objectives: { rto: 1h, rpo: 15m }
targets:
  primary:   { host: 127.0.0.1, port: 3307, user: root, password: { secret: root } }
  replica-0: { host: replica.example, user: root }
stores:
  primary: { url: "file:backups" }
  offsite: { url: "file:///var/backups" }
secrets:
  root:        { env: MYSQL_ROOT_PASSWORD }
  replication: { file: secrets/replication }
  vault:       { command: [vault, kv, get, -field=password, db/root] }
values: { retention: { keep_within: 7d, keep_last: 3 } }
"#;

fn errors(text: &str) -> String {
    match parse(&Source::new("e.yaml", text)) {
        Ok(environment) => panic!("read without a complaint: {environment:?}"),
        Err(errors) => render(&errors),
    }
}

#[test]
fn a_whole_environment_is_read() {
    let read = parse(&Source::new("e.yaml", WHOLE)).unwrap_or_else(|errors| panic!("{}", render(&errors)));
    assert_eq!(read.settings.cluster(), "shop");
    let primary = &read.settings.targets[0];
    assert_eq!((primary.port, &primary.host[..]), (3307, "127.0.0.1"));
    assert_eq!(primary.password.as_ref().unwrap().secret.as_str(), "root");
    assert_eq!(read.settings.targets[1].port, 3306);
    assert_eq!(read.settings.secrets[2].command.as_ref().unwrap().len(), 5);
    assert_eq!(read.locations["targets.replica-0"].to_string(), "e.yaml:9:3");
    assert_eq!(read.values.unwrap().get("retention").unwrap().to_json()["keep_last"], 3);
    let stored = serde_json::to_value(&read.settings).unwrap();
    assert_eq!(serde_json::from_value::<Settings>(stored).unwrap(), read.settings);
}

#[test]
fn what_this_version_does_not_do_is_refused() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\nextends: base\nschedules: {}\npolicy: {}\npatches: {}
targets: { a: { kubernetes: { pod: p }, user: root } }\nstores: { b: { url: 's3://bucket', region: r } }\n";
    insta::assert_snapshot!(errors(text), @r#"
    rekindle::environment::not_supported: `extends` is not supported by this version yet
      e.yaml:4:1 "extends": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    rekindle::environment::not_supported: `schedules` is not supported by this version yet
      e.yaml:5:1 "schedules": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    rekindle::environment::not_supported: `policy` is not supported by this version yet
      e.yaml:6:1 "policy": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    rekindle::environment::not_supported: `patches` is not supported by this version yet
      e.yaml:7:1 "patches": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    rekindle::environment::not_supported: `kubernetes` is not supported by this version yet
      e.yaml:8:17 "kubernetes": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    rekindle::environment::not_supported: `s3:` stores are not supported by this version yet
      e.yaml:9:21 "'s3://bucket'": cannot be opened
      help: use a `file:` store for now
    rekindle::environment::not_supported: `region` is not supported by this version yet
      e.yaml:9:36 "region": would be ignored
      help: remove it: nothing in an environment is ever left out silently
    "#);
}
