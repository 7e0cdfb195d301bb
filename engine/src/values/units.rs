//! Durations and sizes as people write them: `15m`, `1h30m`, `100ms`, `7d`; `64MiB`, `1GB`.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Why a text is no duration or size.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnitError {
    /// Not a duration.
    #[error("`{0}` is no duration: write a number with a unit, such as `30s`, `15m`, `1h30m` or `7d`")]
    Duration(String),
    /// Not a size.
    #[error("`{0}` is no size: write a number with a unit, such as `512KiB`, `64MiB` or `10GB`")]
    Size(String),
}

/// A duration with its unit. Units: `ms`, `s`, `m`, `h`, `d` (24 h), `w` (7 d), largest first, no spaces.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DurationText(pub Duration);

/// A size in bytes with its unit: `B`, `KB`/`MB`/`GB`/`TB` (powers of 1000), `KiB`/`MiB`/`GiB`/`TiB` (of 1024).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SizeText(pub u64);

const DURATION_UNITS: [(&str, u64); 6] =
    [("w", 604_800_000), ("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000), ("ms", 1)];
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("TB", 1_000_000_000_000),
    ("GiB", 1 << 30),
    ("GB", 1_000_000_000),
    ("MiB", 1 << 20),
    ("MB", 1_000_000),
    ("KiB", 1 << 10),
    ("KB", 1_000),
    ("B", 1),
];

/// Reads a duration.
pub fn parse_duration(text: &str) -> Result<Duration, UnitError> {
    let wrong = || UnitError::Duration(text.to_owned());
    let mut rest = text;
    let mut total = 0_u64;
    let mut smallest_unit = u64::MAX;
    while !rest.is_empty() {
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let number: u64 = rest[..digits].parse().map_err(|_| wrong())?;
        let letters = rest[digits..].bytes().take_while(u8::is_ascii_alphabetic).count();
        let unit_name = &rest[digits..digits + letters];
        let (_, unit) = DURATION_UNITS.iter().find(|(name, _)| *name == unit_name).ok_or_else(wrong)?;
        if *unit >= smallest_unit {
            return Err(wrong());
        }
        smallest_unit = *unit;
        total = number.checked_mul(*unit).and_then(|part| total.checked_add(part)).ok_or_else(wrong)?;
        rest = &rest[digits + letters..];
    }
    if smallest_unit == u64::MAX {
        return Err(wrong());
    }
    Ok(Duration::from_millis(total))
}

/// Reads a size in bytes.
pub fn parse_size(text: &str) -> Result<u64, UnitError> {
    let wrong = || UnitError::Size(text.to_owned());
    let (name, unit) = SIZE_UNITS.iter().find(|(name, _)| text.ends_with(name)).ok_or_else(wrong)?;
    let number: u64 = text[..text.len() - name.len()].parse().map_err(|_| wrong())?;
    number.checked_mul(*unit).ok_or_else(wrong)
}

impl fmt::Display for DurationText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rest = u64::try_from(self.0.as_millis()).unwrap_or(u64::MAX);
        if rest == 0 {
            return f.write_str("0s");
        }
        // Weeks are read but not written: `14d` says more to most people than `2w`.
        for (name, unit) in &DURATION_UNITS[1..] {
            if rest >= *unit {
                write!(f, "{}{name}", rest / unit)?;
                rest %= unit;
            }
        }
        Ok(())
    }
}

impl fmt::Display for SizeText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, unit) = SIZE_UNITS
            .iter()
            .find(|(_, unit)| self.0 >= *unit && self.0.is_multiple_of(*unit))
            .unwrap_or(&("B", 1));
        write!(f, "{}{name}", self.0 / unit)
    }
}

macro_rules! as_text {
    ($name:ident, $parse:path, $pattern:literal) => {
        impl Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                $parse(&text).map(Self).map_err(serde::de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": "string", "pattern": $pattern })
            }
        }
    };
}

as_text!(DurationText, parse_duration, "^([0-9]+(w|d|h|ms|m|s))+$");
as_text!(SizeText, parse_size, "^[0-9]+(B|KB|MB|GB|TB|KiB|MiB|GiB|TiB)$");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_read_back_as_written() {
        for text in ["30s", "15m", "1h30m", "7d", "100ms", "1d2h3m4s5ms"] {
            assert_eq!(DurationText(parse_duration(text).unwrap()).to_string(), text);
        }
    }

    #[test]
    fn a_duration_needs_a_unit_and_units_in_falling_order() {
        for text in ["", "15", "m", "1m1h", "1s1s", "-1s", "1.5h", "1 h", "99999999999999999999d"] {
            assert!(parse_duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn sizes_know_decimal_and_binary_units() {
        assert_eq!(parse_size("64MiB"), Ok(64 << 20));
        assert_eq!(parse_size("1GB"), Ok(1_000_000_000));
        assert_eq!(parse_size("7B"), Ok(7));
        for text in ["", "64", "MiB", "1.5GB", "1 GB", "-1B"] {
            assert!(parse_size(text).is_err(), "{text}");
        }
    }
}
