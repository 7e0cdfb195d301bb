//! A secret → every text it may come back as.

use std::fmt::Write as _;
use std::ops::Range;

use super::base64::{self, inner};

/// Shorter secrets are hidden as words only.
const SHORT_BYTES: usize = 4;

/// What belongs to a form at its ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Edges {
    /// Nothing: it is hidden wherever it stands.
    None,
    /// It must be a word of its own.
    Word,
    /// The digits of base64 beside it hold bits of the secret as well.
    Base64 { left: bool, right: bool },
}

impl Edges {
    /// Gives the one of two that hides more.
    pub(super) fn wider(self, other: Self) -> Self {
        match (self, other) {
            (Self::Word, other) | (Self::None, other @ Self::Base64 { .. }) => other,
            (Self::Base64 { left, right }, Self::Base64 { left: more_left, right: more_right }) => {
                Self::Base64 { left: left || more_left, right: right || more_right }
            }
            (Self::None | Self::Base64 { .. }, Self::None | Self::Word) => self,
        }
    }

    /// Gives what to hide of a place where the form was found.
    pub(super) fn apply(self, text: &str, mut found: Range<usize>) -> Option<Range<usize>> {
        let bytes = text.as_bytes();
        match self {
            Self::None => Some(found),
            Self::Word => {
                let joins = |one: Option<char>, other: Option<char>| {
                    one.is_some_and(char::is_alphanumeric) && other.is_some_and(char::is_alphanumeric)
                };
                let (before, own, behind) = (&text[..found.start], &text[found.clone()], &text[found.end..]);
                let inside = joins(before.chars().next_back(), own.chars().next())
                    || joins(own.chars().next_back(), behind.chars().next());
                (!inside).then_some(found)
            }
            Self::Base64 { left, right } => {
                let is_digit = |at: usize| bytes.get(at).is_some_and(|byte| base64::is_digit(*byte));
                if left && found.start > 0 && is_digit(found.start - 1) {
                    found.start -= 1;
                }
                if right && is_digit(found.end) {
                    found.end += 1;
                }
                found.end += bytes[found.end..].iter().take(2).take_while(|byte| **byte == b'=').count();
                Some(found)
            }
        }
    }
}

/// Gives every form of a secret and of its lines.
pub(super) fn forms(secret: &str) -> Vec<(String, Edges)> {
    let mut all = Vec::new();
    for part in parts(secret) {
        if part.len() < SHORT_BYTES {
            let texts = std::iter::once(part.to_owned()).chain(json(part)).chain(quoted(part));
            all.extend(texts.map(|form| (form, Edges::Word)));
            continue;
        }
        all.extend(texts(part).into_iter().map(|form| (form, Edges::None)));
        for inner in inner(part.as_bytes()) {
            let edges = Edges::Base64 { left: inner.left, right: inner.right };
            // As `base64` and PEM break it into lines: logs know lines only.
            for columns in [64, 76] {
                all.extend(wrapped(&inner.text, columns).map(|line| (line, Edges::None)));
            }
            for escaped in escapes_of_base64(&inner.text) {
                all.push((escaped, Edges::None));
            }
            all.push((inner.text, edges));
        }
    }
    all.retain(|(form, _)| !form.is_empty());
    all
}

/// The whole, and what is read, written and logged one by one: its lines.
fn parts(secret: &str) -> Vec<&str> {
    let mut parts = vec![secret, secret.trim()];
    let lines = secret.lines().flat_map(|line| [line, line.trim()]);
    // A line of a few characters (a bracket, the last digits of a key) says nothing and stands everywhere.
    parts.extend(lines.filter(|line| line.len() >= SHORT_BYTES));
    parts.retain(|part| !part.is_empty());
    parts
}

/// The forms that are made character by character.
fn texts(part: &str) -> Vec<String> {
    let debug = format!("{part:?}");
    let mut forms = vec![part.to_owned(), debug[1..debug.len() - 1].to_owned()];
    forms.extend(json(part));
    forms.extend(percent(part));
    forms.extend(hex(part));
    forms.extend(quoted(part));
    forms.extend(markup(part));
    forms
}

/// RFC 8259 section 7; once more inside a string of JSON; in ASCII only, as Python writes it; with the `\/` of PHP.
fn json(part: &str) -> Vec<String> {
    let plain = json_string(part);
    let mut forms = vec![json_string(&plain), plain.clone()];
    for upper in [false, true] {
        let mut ascii = String::new();
        for character in plain.chars() {
            let mut units = [0; 2];
            if character.is_ascii() {
                ascii.push(character);
            } else {
                for unit in character.encode_utf16(&mut units) {
                    let _ =
                        if upper { write!(ascii, "\\u{unit:04X}") } else { write!(ascii, "\\u{unit:04x}") };
                }
            }
        }
        forms.push(ascii);
    }
    let slashed: Vec<String> = forms.iter().map(|form| form.replace('/', "\\/")).collect();
    forms.extend(slashed);
    forms
}

fn json_string(text: &str) -> String {
    let quoted = serde_json::Value::from(text).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

/// What stays as it is in a URL, by who encodes it: RFC 3986 section 2.3, Python's `quote`, HTML forms, JavaScript's
/// `encodeURIComponent` and `encodeURI`, and the userinfo of the WHATWG URL standard.
const KEPT: [&str; 6] = ["-_.~", "-_.~/", "*-._", "-_.!~*'()", "-_.!~*'();/?:@&=+$,#", "-_.!~*'()$&+,%"];

fn percent(part: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for kept in KEPT {
        for (upper, space) in [(true, "%20"), (true, "+"), (false, "%20"), (false, "+")] {
            let mut encoded = String::new();
            for byte in part.bytes() {
                if byte == b' ' {
                    encoded.push_str(space);
                } else if byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte) {
                    encoded.push(char::from(byte));
                } else {
                    let _ =
                        if upper { write!(encoded, "%{byte:02X}") } else { write!(encoded, "%{byte:02x}") };
                }
            }
            forms.push(encoded);
        }
    }
    forms
}

/// In one piece, by byte with blanks or colons, and broken into lines as `xxd -p` does.
fn hex(part: &str) -> Vec<String> {
    let mut forms = Vec::new();
    for upper in [false, true] {
        let bytes: Vec<String> = part
            .bytes()
            .map(|byte| if upper { format!("{byte:02X}") } else { format!("{byte:02x}") })
            .collect();
        let whole = bytes.concat();
        forms.extend(wrapped(&whole, 60));
        // Every byte of a URL, and as C, shells and Python escape bytes.
        let each = |prefix: &str| bytes.iter().flat_map(|byte| [prefix, byte.as_str()]).collect::<String>();
        forms.extend([each("%"), each("\\x"), whole, bytes.join(" "), bytes.join(":")]);
    }
    forms
}

/// As it stands inside quotes of a shell, of SQL (MySQL manual, "String Literals") and of option files, and as the
/// MySQL clients print it in batch mode.
fn quoted(part: &str) -> Vec<String> {
    let mut forms: Vec<String> = [("'", "'\\''"), ("'", "'\"'\"'"), ("'", "''"), ("\"", "\"\"")]
        .map(|(from, to)| part.replace(from, to))
        .into();
    for special in ["\\", "\\'", "\\\"", "\\'\"", "\\\"$`", "\\\"$`!"] {
        for control in [false, true] {
            forms.push(backslashed(part, |character| special.contains(character), control));
        }
    }
    // `printf %q`: everything that a shell might read.
    forms.push(backslashed(part, |c| !c.is_alphanumeric() && !"_@%+=:,./-".contains(c), false));
    forms
}

fn backslashed(part: &str, special: impl Fn(char) -> bool, control: bool) -> String {
    let mut escaped = String::new();
    for character in part.chars() {
        match character {
            '\n' if control => escaped.push_str("\\n"),
            '\r' if control => escaped.push_str("\\r"),
            '\t' if control => escaped.push_str("\\t"),
            '\0' if control => escaped.push_str("\\0"),
            '\u{1a}' if control => escaped.push_str("\\Z"),
            character => {
                if special(character) {
                    escaped.push('\\');
                }
                escaped.push(character);
            }
        }
    }
    escaped
}

/// HTML and XML, by how the quotes are written.
fn markup(part: &str) -> Vec<String> {
    let text = part.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quotes = [
        ("\"", "'"),
        ("&quot;", "'"),
        ("&quot;", "&#39;"),
        ("&quot;", "&#x27;"),
        ("&quot;", "&apos;"),
        ("&#34;", "&#39;"),
    ];
    quotes.into_iter().map(|(double, single)| text.replace('"', double).replace('\'', single)).collect()
}

/// Base64 inside a URL, and inside JSON as PHP writes it.
fn escapes_of_base64(encoded: &str) -> Vec<String> {
    let percent = |plus: &str, slash: &str| encoded.replace('+', plus).replace('/', slash);
    let forms = [percent("%2B", "%2F"), percent("%2b", "%2f"), encoded.replace('/', "\\/")];
    forms.into_iter().filter(|form| form != encoded).collect()
}

/// Gives the lines of an encoding that is longer than a line.
fn wrapped(encoded: &str, columns: usize) -> impl Iterator<Item = String> + '_ {
    let lines = if encoded.len() > columns { encoded.as_bytes().chunks(columns) } else { [].chunks(columns) };
    lines.filter(|line| line.len() >= 8).map(|line| String::from_utf8_lossy(line).into_owned())
}
