//! Values as a server sends them as text → literals of SQL. Pure.
//!
//! As `mysqldump --hex-blob` writes them (MySQL manual): numbers bare, binary strings in hexadecimal, all else quoted.

use mysql_async::Value;
use mysql_async::consts::ColumnType;

/// The number of the character set `binary` (MySQL manual, "The Binary Collation").
const BINARY: u16 = 63;

/// How the values of a column are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Bare,
    Hexadecimal,
    Quoted,
}

impl Form {
    /// Gives that of a column, by its type and character set in the answer.
    pub(super) fn of(kind: ColumnType, character_set: u16) -> Self {
        use ColumnType as C;
        match kind {
            C::MYSQL_TYPE_DECIMAL
            | C::MYSQL_TYPE_NEWDECIMAL
            | C::MYSQL_TYPE_TINY
            | C::MYSQL_TYPE_SHORT
            | C::MYSQL_TYPE_INT24
            | C::MYSQL_TYPE_LONG
            | C::MYSQL_TYPE_LONGLONG
            | C::MYSQL_TYPE_FLOAT
            | C::MYSQL_TYPE_DOUBLE
            | C::MYSQL_TYPE_YEAR => Self::Bare,
            C::MYSQL_TYPE_BIT | C::MYSQL_TYPE_GEOMETRY | C::MYSQL_TYPE_VECTOR => Self::Hexadecimal,
            C::MYSQL_TYPE_STRING
            | C::MYSQL_TYPE_VAR_STRING
            | C::MYSQL_TYPE_VARCHAR
            | C::MYSQL_TYPE_TINY_BLOB
            | C::MYSQL_TYPE_BLOB
            | C::MYSQL_TYPE_MEDIUM_BLOB
            | C::MYSQL_TYPE_LONG_BLOB
                if character_set == BINARY =>
            {
                Self::Hexadecimal
            }
            _ => Self::Quoted,
        }
    }
}

/// Writes a row as `(…, …)`. For sessions without `NO_BACKSLASH_ESCAPES` in `sql_mode`, as dumps set it.
pub(super) fn push_row(text: &mut Vec<u8>, values: &[Value], forms: &[Form]) {
    text.push(b'(');
    for (at, (value, form)) in values.iter().zip(forms).enumerate() {
        if at > 0 {
            text.push(b',');
        }
        match value {
            // Queries without parameters are answered in text (MySQL manual, "Protocol::TextResultset").
            Value::Bytes(bytes) => push_value(text, bytes, *form),
            Value::NULL => text.extend_from_slice(b"NULL"),
            other => text.extend(other.as_sql(false).into_bytes()),
        }
    }
    text.push(b')');
}

fn push_value(text: &mut Vec<u8>, bytes: &[u8], form: Form) {
    match form {
        // Without a point or an exponent it is the integer, which has no sign.
        Form::Bare if bytes == b"-0" => text.extend_from_slice(b"-0e0"),
        Form::Bare => text.extend_from_slice(bytes),
        Form::Hexadecimal if bytes.is_empty() => text.extend_from_slice(b"''"),
        Form::Hexadecimal => {
            text.extend_from_slice(b"0x");
            text.extend(hex::encode_upper(bytes).into_bytes());
        }
        Form::Quoted => push_quoted(text, bytes),
    }
}

fn push_quoted(text: &mut Vec<u8>, bytes: &[u8]) {
    text.push(b'\'');
    for byte in bytes {
        let escaped = match byte {
            0 => b'0',
            b'\n' => b'n',
            b'\r' => b'r',
            0x1a => b'Z',
            b'\\' | b'\'' => *byte,
            other => {
                text.push(*other);
                continue;
            }
        };
        text.extend([b'\\', escaped]);
    }
    text.push(b'\'');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_written_as_the_clients_do() {
        let bytes = |text: &str| Value::Bytes(text.as_bytes().to_vec());
        let values = [
            bytes("-3.4028234663852886e38"),
            bytes("-0"),
            Value::NULL,
            Value::Bytes(vec![0, 255]),
            bytes(""),
            bytes("it's \\ \n\r\0\u{1a} 🌍"),
        ];
        let forms = [Form::Bare, Form::Bare, Form::Bare, Form::Hexadecimal, Form::Hexadecimal, Form::Quoted];
        let mut text = Vec::new();
        push_row(&mut text, &values, &forms);
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r"(-3.4028234663852886e38,-0e0,NULL,0x00FF,'','it\'s \\ \n\r\0\Z 🌍')");
    }

    #[test]
    fn the_type_of_a_column_decides_on_its_form() {
        use ColumnType as C;
        let utf8mb4 = 45;
        for (kind, character_set, form) in [
            (C::MYSQL_TYPE_DOUBLE, BINARY, Form::Bare),
            (C::MYSQL_TYPE_NEWDECIMAL, BINARY, Form::Bare),
            (C::MYSQL_TYPE_BIT, BINARY, Form::Hexadecimal),
            (C::MYSQL_TYPE_BLOB, BINARY, Form::Hexadecimal),
            (C::MYSQL_TYPE_BLOB, utf8mb4, Form::Quoted),
            (C::MYSQL_TYPE_STRING, utf8mb4, Form::Quoted),
            (C::MYSQL_TYPE_DATETIME, BINARY, Form::Quoted),
            (C::MYSQL_TYPE_JSON, BINARY, Form::Quoted),
        ] {
            assert_eq!(Form::of(kind, character_set), form, "{kind:?} {character_set}");
        }
    }
}
