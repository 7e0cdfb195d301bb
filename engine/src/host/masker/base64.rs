//! Base64 of a secret wherever it stands in what was encoded (RFC 4648 sections 4 and 5).

/// The two alphabets differ in their last two characters.
const STANDARD: [u8; 2] = *b"+/";
const URL_SAFE: [u8; 2] = *b"-_";

/// The characters of an encoding that depend on the secret alone.
pub(super) struct Inner {
    pub(super) text: String,
    /// Whether the character before it holds bits of the secret too.
    pub(super) left: bool,
    /// Whether the character behind it does.
    pub(super) right: bool,
}

/// Encodes bytes in both alphabets, behind nothing, one byte and two bytes of something else.
pub(super) fn inner(bytes: &[u8]) -> Vec<Inner> {
    let mut all = Vec::new();
    for before in 0..3_usize {
        // The first character that holds no bit of what stands before: 6 bits each, 8 a byte.
        let first = (before * 8).div_ceil(6);
        let whole = (before + bytes.len()) * 8 / 6;
        for last in [STANDARD, URL_SAFE] {
            let mut padded = vec![0; before];
            padded.extend_from_slice(bytes);
            let encoded = encode(&padded, last);
            let Some(text) = encoded.get(first..whole).filter(|text| !text.is_empty()) else { continue };
            all.push(Inner {
                text: text.to_owned(),
                left: before > 0,
                right: !((before + bytes.len()) * 8).is_multiple_of(6),
            });
        }
    }
    all
}

/// Tells whether a byte may stand in base64 of either alphabet.
pub(super) fn is_digit(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || STANDARD.contains(&byte) || URL_SAFE.contains(&byte)
}

/// Encodes without padding.
fn encode(bytes: &[u8], last: [u8; 2]) -> String {
    let digit = |bits: u32| {
        let value = u8::try_from(bits & 0x3f).unwrap_or_default();
        char::from(match value {
            0..26 => b'A' + value,
            26..52 => b'a' + value - 26,
            52..62 => b'0' + value - 52,
            62 => last[0],
            _ => last[1],
        })
    };
    let mut encoded = String::with_capacity(bytes.len().div_ceil(3) * 4);
    for group in bytes.chunks(3) {
        let bits =
            group.iter().fold(0_u32, |bits, byte| bits << 8 | u32::from(*byte)) << (8 * (3 - group.len()));
        encoded.extend((0..=group.len()).map(|position| digit(bits >> (18 - 6 * position))));
    }
    encoded
}
