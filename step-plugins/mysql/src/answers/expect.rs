//! Answers of queries against what a runbook expects of them: pure.

use serde_json::Value;

/// One row: every value as the text protocol gives it, `None` for NULL.
pub(super) type Row = Vec<Option<String>>;

/// Says how an answer differs from what is expected; `None` when it does not.
pub(super) fn difference(expected: &Value, rows: &[Row]) -> Option<String> {
    let Value::Array(expected_rows) = expected else {
        return match rows {
            [row] if row.len() == 1 => {
                let found = row.first().and_then(Option::as_deref);
                (!is_equal(expected, found)).then(|| format!("expected {expected}, found {}", show(found)))
            }
            _ => Some(format!("expected one value, found {}", shape(rows))),
        };
    };
    if expected_rows.len() != rows.len() {
        return Some(format!("expected {} rows, found {}", expected_rows.len(), shape(rows)));
    }
    for (number, (expected, row)) in (1..).zip(expected_rows.iter().zip(rows)) {
        let one;
        let expected: &[Value] = if let Value::Array(values) = expected {
            values
        } else {
            one = [expected.clone()];
            &one
        };
        let is_same = expected.len() == row.len()
            && expected.iter().zip(row).all(|(expected, found)| is_equal(expected, found.as_deref()));
        if !is_same {
            let found: Vec<String> = row.iter().map(|value| show(value.as_deref())).collect();
            let expected = Value::from(expected.to_vec());
            return Some(format!("row {number}: expected {expected}, found [{}]", found.join(", ")));
        }
    }
    None
}

fn is_equal(expected: &Value, found: Option<&str>) -> bool {
    match (expected, found) {
        (Value::Null, None) => true,
        (Value::Bool(expected), Some(found)) => found == if *expected { "1" } else { "0" },
        (Value::Number(expected), Some(found)) => {
            let is_same_integer = expected
                .to_string()
                .parse::<i128>()
                .ok()
                .zip(found.parse::<i128>().ok())
                .map(|(a, b)| a == b);
            // 1.50 is 1.5: decimals come with the digits of their column.
            is_same_integer.unwrap_or_else(|| expected.as_f64() == found.parse::<f64>().ok())
        }
        (Value::String(expected), Some(found)) => expected == found,
        (Value::Null, Some(_))
        | (Value::Bool(_) | Value::Number(_) | Value::String(_), None)
        | (Value::Array(_) | Value::Object(_), _) => false,
    }
}

fn show(value: Option<&str>) -> String {
    const LONGEST: usize = 200;
    match value {
        None => "NULL".to_owned(),
        Some(text) if text.chars().count() > LONGEST => {
            format!("{:?}…", text.chars().take(LONGEST).collect::<String>())
        }
        Some(text) => format!("{text:?}"),
    }
}

fn shape(rows: &[Row]) -> String {
    match rows {
        [] => "no row".to_owned(),
        [row] => format!("1 row of {} columns", row.len()),
        more => format!("{} rows", more.len()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn rows(values: &[&[Option<&str>]]) -> Vec<Row> {
        values.iter().map(|row| row.iter().map(|value| value.map(str::to_owned)).collect()).collect()
    }

    #[test]
    fn one_value_is_compared_by_its_kind() {
        let one = |found: Option<&str>, expected: Value| difference(&expected, &rows(&[&[found]]));
        for (found, expected) in [
            (Some("3"), json!(3)),
            (Some("1.50"), json!(1.5)),
            (Some("18446744073709551615"), json!(18_446_744_073_709_551_615_u64)),
            (Some("1"), json!(true)),
            (Some("x"), json!("x")),
            (None, json!(null)),
        ] {
            assert_eq!(one(found, expected.clone()), None, "{found:?} {expected}");
        }
        for (found, expected) in [
            (Some("4"), json!(3)),
            (Some("18446744073709551615"), json!(18_446_744_073_709_551_614_u64)),
            (Some(""), json!(null)),
            (None, json!("NULL")),
            (Some("x"), json!({ "x": 1 })),
        ] {
            assert!(one(found, expected.clone()).is_some(), "{found:?} {expected}");
        }
        insta::assert_snapshot!(one(Some("4"), json!(3)).unwrap(), @r#"expected 3, found "4""#);
    }

    #[test]
    fn rows_are_compared_in_order_and_the_first_other_one_is_shown() {
        let found = rows(&[&[Some("1"), Some("a")], &[Some("2"), None]]);
        assert_eq!(difference(&json!([[1, "a"], [2, null]]), &found), None);
        insta::assert_snapshot!(difference(&json!([[1, "a"], [2, "b"]]), &found).unwrap(), @r#"row 2: expected [2,"b"], found ["2", NULL]"#);
        insta::assert_snapshot!(difference(&json!([[1, "a"]]), &found).unwrap(), @"expected 1 rows, found 2 rows");
        insta::assert_snapshot!(difference(&json!(1), &found).unwrap(), @"expected one value, found 2 rows");
        assert_eq!(difference(&json!([1, 2]), &rows(&[&[Some("1")], &[Some("2")]])), None);
        assert_eq!(difference(&json!([]), &[]), None);
    }
}
