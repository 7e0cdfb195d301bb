//! Stores whose objects are encrypted.

use super::tests::body_errors;
use super::*;
use crate::document::Source;
use crate::document::rendering::render;

const ONE: &str = "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p";
const OTHER: &str = "age1lggyhqrw2nlhcxprm67z43rta597azn8gknawjehu9d9dl0jq3yqqvfafg";

fn parsed(body: &str) -> Environment {
    let text = format!("apiVersion: rekindle/v1\nkind: Environment\nname: e\n{body}");
    parse(&Source::new("e.yaml", &text)).unwrap_or_else(|errors| panic!("{}", render(&errors)))
}

#[test]
fn a_store_says_to_whom_it_encrypts_and_which_secret_reads_it() {
    let body = format!(
        "secrets: {{ age: {{ file: key.txt }} }}\nstores:\n  \
         a: {{ url: 'file:a', encrypt: {{ recipients: [{ONE}, {OTHER}], identity: {{ secret: age }} }} }}\n  \
         b: {{ url: 's3://bucket', encrypt: {{ recipients: [{}] }} }}\n",
        ONE.to_uppercase()
    );
    let stores = parsed(&body).settings.stores;
    let identity = Some(SecretRef { secret: "age".into() });
    let both = vec![ONE.to_owned(), OTHER.to_owned()];
    assert_eq!(stores[0].encrypt, Some(Encrypt { recipients: both, identity }));
    // Written in capitals, it is the same key.
    assert_eq!(stores[1].encrypt, Some(Encrypt { recipients: vec![ONE.to_owned()], identity: None }));
    let kept = serde_json::to_value(&stores[0]).unwrap();
    assert_eq!(serde_json::from_value::<StoreConfig>(kept).unwrap(), stores[0]);
}

#[test]
fn every_mistake_about_encryption_is_told() {
    let cut = &ONE[..ONE.len() - 1];
    let body = format!(
        "secrets: {{ age: {{ file: key.txt }} }}
stores:
  a: {{ url: 'file:a', encrypt: {{ recipients: [] }} }}
  b: {{ url: 'file:b', encrypt: {{ recipients: [{ONE}, {ONE}], identity: {{ secret: agee }} }} }}
  c: {{ url: 'file:c', encrypt: {{ recipients: [{cut}, 'ssh-ed25519 AAAA'], recipient: x }} }}
  d: {{ url: 'file:d', encrypt: {{ identity: {{ secret: age }} }} }}
  e: {{ url: 'file:e', encrypt: {ONE} }}
"
    );
    insta::assert_snapshot!(body_errors(&body), @r#"
    rekindle::environment::wrong_value: `recipients` is empty
      e.yaml:6:46 "[]": this value
      help: write the public key that `age-keygen` prints: `[age1…]`
    rekindle::environment::wrong_value: this recipient is named twice
      e.yaml:7:111 "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p": this value
      help: remove one
    rekindle::environment::unknown_secret: there is no secret `agee`
      e.yaml:7:196 "agee": not declared under `secrets:`
      help: did you mean `age`?
    rekindle::environment::wrong_value: it is no public key of age
      e.yaml:8:47 "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8": this value
      help: copy the whole of it, `age1` and 58 letters and digits, as `age-keygen` prints it
    rekindle::environment::wrong_value: keys of SSH are not supported as recipients
      e.yaml:8:110 "'ssh-ed25519 AAAA'": this value
      help: make a key with `age-keygen -o key.txt` and write the `age1…` that it prints
    rekindle::environment::unknown_field: `encrypt` has no field `recipient`
      e.yaml:8:131 "recipient": not a known field
      help: did you mean `recipients`?
    rekindle::environment::missing_field: `encrypt` has no `recipients`
      e.yaml:9:34 "identity": `recipients` belongs to this map
      help: add `recipients:`
    rekindle::environment::wrong_type: `encrypt` must be a map, found a string
      e.yaml:10:32 "age1ql3z7hjy54pw3hyww5ayyfg7zqgvc7w3j2elw8zmrj2kg5sfn9aqmcac8p": expected a map
    "#);
    let many = format!(
        "stores: {{ a: {{ url: 'file:a', encrypt: {{ recipients: [{}] }} }} }}\n",
        [ONE; 33].join(", ")
    );
    assert!(body_errors(&many).contains("there are 33 recipients, and 32 are the most"));
}

#[test]
fn a_secret_key_is_refused_wherever_it_stands_and_never_shown() {
    let key = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX";
    let body = format!(
        "values: {{ a: [{key}] }}
stores:
  a: {{ url: 'file:a', encrypt: {{ recipients: [{key}] }} }}
  b: {{ url: 'file:b', encrypt: {{ recipients: [{ONE}], identity: {} }} }}
  c: {{ url: 'file:c', encrypt: {{ recipients: [{ONE}], identity: hunter2 }} }}
",
        key.to_lowercase()
    );
    let told = body_errors(&body);
    assert!(!told.to_uppercase().contains("GFPYYSJZ") && !told.contains("hunter2"), "{told}");
    insta::assert_snapshot!(told, @r#"
    rekindle::environment::plain_key: a secret key is never written into an environment
      e.yaml:4:15 "**************************************************************************": a secret key of age
      help: `recipients` takes the public one, `age1…`; `identity: { secret: NAME }` names the secret one
    rekindle::environment::plain_key: a secret key is never written into an environment
      e.yaml:6:47 "**************************************************************************": a secret key of age
      help: `recipients` takes the public one, `age1…`; `identity: { secret: NAME }` names the secret one
    rekindle::environment::plain_key: a secret key is never written into an environment
      e.yaml:7:122 "**************************************************************************": a secret key of age
      help: `recipients` takes the public one, `age1…`; `identity: { secret: NAME }` names the secret one
    rekindle::environment::plain_key: `identity` must name the secret that holds the key
      e.yaml:8:122 "*******": expected `{ secret: NAME }`
      help: declare it under `secrets:` and write `identity: { secret: NAME }`
    "#);
}

#[test]
fn what_was_to_be_encrypted_is_never_read_as_plain() {
    let text = "apiVersion: rekindle/v1\nkind: Environment\nname: e\nstores: { a: { url: 'file:a', encrypt: null } }\n";
    let errors = render(&parse(&Source::new("e.yaml", text)).unwrap_err());
    insta::assert_snapshot!(errors, @r#"
    rekindle::environment::nothing_to_delete: `stores.a.encrypt` is null, and no environment below sets it
      e.yaml:4:31 "encrypt": deletes nothing
      help: remove the line, or write a value
    "#);
}
