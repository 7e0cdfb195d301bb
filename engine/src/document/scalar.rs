//! What a plain scalar is, by the YAML 1.2 core schema (section 10.3.2) and nothing else.

use super::NodeValue;

/// The outcome of looking at a plain scalar.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Plain {
    /// Nothing, a boolean or a number.
    Value(NodeValue),
    /// None of those, so text.
    Text,
    /// Reads as a number that cannot be kept exactly; the text says why.
    Unusable(&'static str),
}

/// Resolves a plain scalar.
///
/// `yes`, `on`, `1_000`, `1:30` and dates are text; `0755` is the decimal 755; `0o17` and `0x1F` are integers.
pub(crate) fn resolve_plain(text: &str) -> Plain {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Plain::Value(NodeValue::Null),
        "true" | "True" | "TRUE" => Plain::Value(NodeValue::Bool(true)),
        "false" | "False" | "FALSE" => Plain::Value(NodeValue::Bool(false)),
        _ => resolve_number(text),
    }
}

fn resolve_number(text: &str) -> Plain {
    for (prefix, radix) in [("0o", 8), ("0x", 16)] {
        if let Some(digits) = text.strip_prefix(prefix)
            && !digits.is_empty()
            && digits.chars().all(|digit| digit.is_digit(radix))
        {
            return integer(i64::from_str_radix(digits, radix));
        }
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !unsigned.is_empty() && unsigned.bytes().all(|byte| byte.is_ascii_digit()) {
        return integer(text.parse());
    }
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return Plain::Unusable("only finite numbers can be used");
    }
    if !is_float(unsigned) {
        return Plain::Text;
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Plain::Value(NodeValue::Float(number)),
        Ok(_) | Err(_) => Plain::Unusable("this number is too large"),
    }
}

fn integer(parsed: Result<i64, std::num::ParseIntError>) -> Plain {
    parsed.map_or(Plain::Unusable("this integer does not fit 64 bits"), |number| {
        Plain::Value(NodeValue::Integer(number))
    })
}

/// `(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`
fn is_float(text: &str) -> bool {
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
    let mantissa_fits = match mantissa.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction) && whole.len() + fraction.len() > 0,
        None => !mantissa.is_empty() && digits(mantissa),
    };
    mantissa_fits
        && exponent.is_none_or(|exponent| {
            let exponent = exponent.strip_prefix(['-', '+']).unwrap_or(exponent);
            !exponent.is_empty() && digits(exponent)
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_core_schema_decides_what_plain_text_is() {
        for text in [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "n",
            "1_000",
            "1:30",
            "0b11",
            "0o8",
            "0xg",
            "0o",
            "2026-11-22",
            "1.2.0",
            "-",
            "+",
            ".",
            "e5",
            "1e",
            "tRue",
            "nULL",
            "-0x1",
            ".inF",
            "-.nan",
            "٣",
        ] {
            assert_eq!(resolve_plain(text), Plain::Text, "{text}");
        }
        let value = |text: &str| match resolve_plain(text) {
            Plain::Value(value) => value,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(value("0755"), NodeValue::Integer(755));
        assert_eq!(value("0o17"), NodeValue::Integer(15));
        assert_eq!(value("0x1F"), NodeValue::Integer(31));
        assert_eq!(value("-9223372036854775808"), NodeValue::Integer(i64::MIN));
        assert_eq!(value("+12"), NodeValue::Integer(12));
        assert_eq!(value("1."), NodeValue::Float(1.0));
        assert_eq!(value(".5"), NodeValue::Float(0.5));
        assert_eq!(value("-1.5e3"), NodeValue::Float(-1500.0));
        assert_eq!(value("TRUE"), NodeValue::Bool(true));
        assert_eq!(value("Null"), NodeValue::Null);
    }

    #[test]
    fn numbers_that_cannot_be_kept_are_not_rounded() {
        for text in ["9223372036854775808", "0xFFFFFFFFFFFFFFFF", "1e999", ".inf", "-.INF", ".nan"] {
            assert!(matches!(resolve_plain(text), Plain::Unusable(_)), "{text}");
        }
    }
}
