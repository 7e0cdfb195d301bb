use std::fmt::Write as _;

use proptest::prelude::{ProptestConfig, Strategy};
use proptest::{prop_assert, proptest, string::string_regex};

use super::Masker;
use crate::host::Secret;

fn knowing(secrets: &[&str]) -> Masker {
    let masker = Masker::default();
    for secret in secrets {
        masker.learn(&Secret::new(*secret));
    }
    masker
}

/// Shared with the end-to-end tests: breaks everything that quotes carelessly.
const CANARY: &str = r#"k4n'a"ry $HOME \$(id) `x` #1"#;

#[test]
fn a_secret_is_hidden_in_every_form_that_tools_print() {
    let masker = knowing(&[CANARY]);
    // Written by the tools that are named, not by the code under test.
    for (tool, printed) in [
        ("python json", r#"k4n'a\"ry $HOME \\$(id) `x` #1"#),
        ("json in json", r#"k4n'a\\\"ry $HOME \\\\$(id) `x` #1"#),
        ("python quote", "k4n%27a%22ry%20%24HOME%20%5C%24%28id%29%20%60x%60%20%231"),
        ("python quote_plus", "k4n%27a%22ry+%24HOME+%5C%24%28id%29+%60x%60+%231"),
        ("encodeURIComponent", "k4n'a%22ry%20%24HOME%20%5C%24(id)%20%60x%60%20%231"),
        ("lower hex digits", "k4n%27a%22ry%20%24HOME%20%5c%24%28id%29%20%60x%60%20%231"),
        ("base64", "azRuJ2EicnkgJEhPTUUgXCQoaWQpIGB4YCAjMQ=="),
        ("base64 of root:…", "cm9vdDprNG4nYSJyeSAkSE9NRSBcJChpZCkgYHhgICMx"),
        ("xxd -p", "6b346e27612272792024484f4d45205c242869642920607860202331"),
        ("shlex.quote", r#"'k4n'"'"'a"ry $HOME \$(id) `x` #1'"#),
        ("bash set -x", r#"'k4n'\''a"ry $HOME \$(id) `x` #1'"#),
        ("bash %q", r#"k4n\'a\"ry\ \$HOME\ \\\$\(id\)\ \`x\`\ \#1"#),
        ("double quotes", r#""k4n'a\"ry \$HOME \\\$(id) \`x\` #1""#),
        ("sql quotes", r#"'k4n''a"ry $HOME \$(id) `x` #1'"#),
        ("mysql_real_escape_string", r#"k4n\'a\"ry $HOME \\$(id) `x` #1"#),
        ("mysql --batch", r#"k4n'a"ry $HOME \\$(id) `x` #1"#),
        ("html", "k4n&#39;a&quot;ry $HOME \\$(id) `x` #1"),
        ("python html", "k4n&#x27;a&quot;ry $HOME \\$(id) `x` #1"),
        ("xml", "k4n&apos;a&quot;ry $HOME \\$(id) `x` #1"),
    ] {
        let shown = masker.mask(&format!("<{printed}>"));
        let (before, behind) = shown.split_once("***").unwrap_or_else(|| panic!("{tool}: {shown}"));
        assert!(printed.starts_with(&before[1..]) && before.len() <= 9, "{tool}: {shown}");
        assert!(["'>", "\">", ">"].contains(&behind), "{tool}: {shown}");
    }
}

#[test]
fn of_base64_the_digits_that_hold_bits_of_the_secret_are_hidden_and_no_others() {
    let masker = knowing(&["hunter2!"]);
    // `printf 'user:hunter2!' | base64` and with one and two more characters before.
    insta::assert_snapshot!(masker.mask("Basic dXNlcjpodW50ZXIyIQ== ok"), @"Basic dXNlcj*** ok");
    insta::assert_snapshot!(masker.mask("Basic dXNlcnM6aHVudGVyMiE= ok"), @"Basic dXNlcnM6*** ok");
    insta::assert_snapshot!(masker.mask("Basic dXNlcjE6aHVudGVyMiE6eA== ok"), @"Basic dXNlcjE6***6eA== ok");
    insta::assert_snapshot!(masker.mask("Basic YW46aHVudGVyMiE ok"), @"Basic YW46*** ok");
}

#[test]
fn every_line_of_a_secret_is_hidden_where_it_stands_alone() {
    let key = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG9w0BAQEFAASC\r\n  BKcwggSjAgEAAoIBAQ==\n}\n-----END KEY-----\n";
    let masker = knowing(&[key]);
    for line in key.lines().filter(|line| line.len() > 3) {
        insta::allow_duplicates! {
            insta::assert_snapshot!(masker.mask(&format!("line: {};", line.trim())), @"line: ***;");
        }
    }
    assert_eq!(masker.mask("fn main() {}"), "fn main() {}");
}

#[test]
fn a_long_secret_is_hidden_in_base64_and_hex_that_was_broken_into_lines() {
    let secret: String = (0..40).fold(String::new(), |mut text, number| {
        write!(text, "{:x}", number * 7919).unwrap();
        text
    });
    let masker = knowing(&[&secret]);
    let hex = hex::encode(&secret);
    for line in hex.as_bytes().chunks(60) {
        assert_eq!(masker.mask(std::str::from_utf8(line).unwrap()), "***");
    }
    let base64 = encode(secret.as_bytes());
    for columns in [64, 76] {
        for line in base64.as_bytes().chunks(columns).filter(|line| line.len() > 12) {
            assert!(masker.mask(std::str::from_utf8(line).unwrap()).starts_with("***"));
        }
    }
}

#[test]
fn secrets_that_overlap_or_contain_each_other_are_hidden_whole() {
    let masker = knowing(&["abcdef", "defghi", "cde-"]);
    assert_eq!(masker.mask("x abcdefghi y"), "x *** y");
    assert_eq!(masker.mask("abcdefabcdef"), "***");
    assert_eq!(masker.mask("abcde-"), "ab***");
}

#[test]
fn a_short_secret_is_hidden_as_a_word_only() {
    let masker = knowing(&["a", "42", ""]);
    assert_eq!(masker.mask("a password of a bar: 42, 421"), "*** password of *** bar: ***, 421");
    assert_eq!(masker.mask("-pa"), "-pa");
    assert_eq!(masker.mask("--password=a"), "--password=***");
    // A longer secret that looks the same is hidden everywhere.
    masker.learn(&Secret::new("pass"));
    assert_eq!(masker.mask("a password"), "*** ***word");
}

#[test]
fn json_is_masked_in_strings_and_keys_and_keeps_its_numbers() {
    let masker = knowing(&["hunter2", "4711"]);
    let shown = masker.mask_json(serde_json::json!({"hunter2": ["is hunter2", 4711, null, true]}));
    insta::assert_snapshot!(shown, @r#"{"***":["is ***",4711,null,true]}"#);
}

#[test]
fn a_text_that_was_cut_does_not_end_or_begin_with_a_part_of_a_secret() {
    let masker = knowing(&["hunter2"]);
    assert_eq!(masker.without_cut_end("the password is hunt"), "the password is ");
    assert_eq!(masker.without_cut_end("the password is hunter2"), "the password is ");
    assert_eq!(masker.without_cut_end("nothing of it"), "nothing of it");
    assert_eq!(masker.without_cut_start("nter2 is the password"), " is the password");
    assert_eq!(masker.without_cut_start("good"), "good");
    assert_eq!(Masker::default().without_cut_end("good"), "good");
}

#[test]
fn a_thousand_secrets_cost_one_look_at_the_text() {
    let secrets: Vec<String> =
        (0..1_000).map(|number| format!("secret-{number:04}-{}", number * 7919)).collect();
    let masker = knowing(&secrets.iter().map(String::as_str).collect::<Vec<_>>());
    let text = format!("{} and {}", "x".repeat(100_000), secrets[999]);
    let started = std::time::Instant::now();
    assert!(masker.mask(&text).ends_with("and ***"));
    let first = started.elapsed();
    let again = (0..3).map(|_| {
        let started = std::time::Instant::now();
        assert!(masker.mask(&text).ends_with("and ***"));
        started.elapsed()
    });
    // Building the search is paid once; looking for each form by itself would cost as much every time.
    assert!(again.min().unwrap() < first, "{first:?}");
}

/// RFC 4648 with padding, bit by bit: slow and plain.
fn encode(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let bits: Vec<u8> = bytes.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let mut text: String = bits
        .chunks(6)
        .map(|six| {
            let value = six.iter().fold(0, |value, bit| value << 1 | bit) << (6 - six.len());
            char::from(DIGITS[usize::from(value)])
        })
        .collect();
    while !text.len().is_multiple_of(4) {
        text.push('=');
    }
    text
}

fn percent(text: &str, kept: &str, space: &str, upper: bool) -> String {
    text.bytes()
        .map(|byte| match byte {
            b' ' => space.to_owned(),
            byte if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) => {
                char::from(byte).to_string()
            }
            byte if upper => format!("%{byte:02X}"),
            byte => format!("%{byte:02x}"),
        })
        .collect()
}

/// Ways to write a text, each told apart from the code under test.
fn written(text: &str) -> Vec<String> {
    let inside_quotes = |text: &str| {
        let quoted = serde_json::to_string(text).unwrap();
        quoted[1..quoted.len() - 1].to_owned()
    };
    let json = inside_quotes(text);
    vec![
        text.to_owned(),
        inside_quotes(&json),
        json,
        percent(text, "-_.~", "%20", true),
        percent(text, "-_.~", "+", true),
        percent(text, "-_.~", "%20", false),
        percent(text, "*-._", "+", true),
        hex::encode(text),
        hex::encode_upper(text),
        text.replace('\'', "''"),
        text.replace('\'', "'\\''"),
        text.replace('\\', "\\\\").replace('\'', "\\'"),
        text.replace('\\', "\\\\").replace('"', "\\\""),
        text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;"),
        text.replace('&', "&amp;")
            .replace('<', "&lt;")
            .replace('>', "&gt;")
            .replace('"', "&quot;")
            .replace('\'', "&#39;"),
    ]
}

fn secret() -> impl Strategy<Value = String> {
    // Letters, what quoting changes, blanks and line ends inside, and characters of several bytes.
    string_regex("[a-zA-Z0-9'\"\\\\$`&<>%+/=é😀]([a-z0-9'\"\\\\$`&<>%+/= \n\té😀]{3,40})[a-zA-Z0-9'\"\\\\$`&<>%+/=é😀]")
        .unwrap()
}

fn surroundings() -> impl Strategy<Value = String> {
    string_regex("[a-z '\"\\\\%&+/=é]{0,20}").unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_form_of_a_secret_survives(secret in secret(), before in surroundings(), behind in surroundings()) {
        let masker = knowing(&[&secret]);
        for (form, (before, behind)) in
            written(&secret).into_iter().zip(written(&before).into_iter().zip(written(&behind)))
        {
            let masked = masker.mask(&format!("{before}{form}{behind}"));
            prop_assert!(!masked.contains(&form), "{form:?} is in {masked:?}");
            prop_assert!(masked.contains("***"));
        }
    }

    #[test]
    fn no_bit_of_a_secret_survives_in_base64(secret in secret(), before in surroundings(), behind in surroundings()) {
        let masker = knowing(&[&secret]);
        let text = format!("{before}{secret}{behind}");
        let (first, last) = (before.len() * 8 / 6, ((before.len() + secret.len()) * 8).div_ceil(6));
        for (plus, slash, padded) in [("+", "/", true), ("+", "/", false), ("-", "_", true), ("-", "_", false)] {
            let encoded = encode(text.as_bytes()).replace('+', plus).replace('/', slash);
            let encoded = if padded { encoded.as_str() } else { encoded.trim_end_matches('=') };
            let masked = masker.mask(encoded);
            prop_assert!(masked.contains("***"), "{masked:?}");
            // What is left is left of the secret or right of it.
            let (left, right) = (masked.find("***").unwrap(), masked.len() - masked.rfind("***").unwrap() - 3);
            prop_assert!(left <= first && right <= encoded.len() - last, "{encoded:?} became {masked:?}");
        }
    }

    #[test]
    fn no_part_of_a_secret_is_left_at_a_cut(secret in secret(), before in surroundings(), at in 1..40_usize) {
        let masker = knowing(&[&secret]);
        for form in written(&secret) {
            let cut = form.floor_char_boundary(at.min(form.len() - 1));
            let text = format!("{before}{}", &form[..cut]);
            prop_assert!(masker.without_cut_end(&text).len() <= before.len());
            let text = format!("{}{before}", &form[cut..]);
            prop_assert!(masker.without_cut_start(&text).len() <= before.len());
        }
    }

    #[test]
    fn what_holds_no_secret_is_left_alone(text in string_regex("[a-m 0-9/+]{0,200}").unwrap()) {
        prop_assert!(knowing(&["NOPQRSTUVWXYZ"]).mask(&text) == text);
    }
}
