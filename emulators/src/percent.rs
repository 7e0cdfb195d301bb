//! Percent-encoding in and out (RFC 3986, section 2.1).

use std::fmt::Write as _;

/// Encodes all but unreserved characters.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            // Writing to a text doesn't fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

/// Decodes a text, once; nothing when its encoding is broken or what comes out is no UTF-8.
pub(crate) fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        if byte != b'%' {
            bytes.push(byte);
            rest = after;
            continue;
        }
        let (digits, after) = after.split_at_checked(2)?;
        let digits = std::str::from_utf8(digits).ok().filter(|digits| !digits.starts_with('+'))?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        rest = after;
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_decoded_once() {
        assert_eq!(decode("a%2Fb%20c%25d%C3%A9").unwrap(), "a/b c%d\u{e9}");
    }

    #[test]
    fn what_is_encoded_is_decoded_to_the_same() {
        let name = "a/b c%d\u{e9}+&=?#~";

        assert_eq!(encode("a/b c"), "a%2Fb%20c");
        assert_eq!(decode(&encode(name)).unwrap(), name);
    }

    #[test]
    fn broken_encoding_is_refused() {
        for bad in ["%", "%2", "%zz", "%+1", "%ff"] {
            assert_eq!(decode(bad), None, "{bad}");
        }
    }
}
