//! Template values → JSON, bounded, with nothing undefined inside.

use minijinja::Value;
use minijinja::value::ValueKind;

use super::OUTPUT_LIMIT_BYTES;

const DEPTH_LIMIT: usize = 128;
const ITEMS_LIMIT: usize = 100_000;

/// Why a value is no JSON.
pub(super) enum Unfit {
    /// Something in it is undefined.
    Undefined,
    /// Anything else, in words.
    Because(String),
}

struct Budget {
    bytes: usize,
    items: usize,
}

pub(super) fn from_template(value: &Value) -> Result<serde_json::Value, Unfit> {
    convert(value, &mut Budget { bytes: OUTPUT_LIMIT_BYTES, items: ITEMS_LIMIT }, 0)
}

/// Names the kind of a JSON value in the words of a message.
pub(super) fn kind(value: &serde_json::Value) -> &'static str {
    match value {
        serde_json::Value::Null => "nothing",
        serde_json::Value::Bool(_) => "a boolean",
        serde_json::Value::Number(_) => "a number",
        serde_json::Value::String(_) => "a string",
        serde_json::Value::Array(_) => "a list",
        serde_json::Value::Object(_) => "a map",
    }
}

fn convert(value: &Value, budget: &mut Budget, depth: usize) -> Result<serde_json::Value, Unfit> {
    if depth > DEPTH_LIMIT {
        return Err(Unfit::Because(format!("the value is nested deeper than {DEPTH_LIMIT} levels")));
    }
    budget.items = budget
        .items
        .checked_sub(1)
        .ok_or_else(|| Unfit::Because(format!("the value holds more than {ITEMS_LIMIT} items")))?;
    Ok(match value.kind() {
        ValueKind::Undefined => return Err(Unfit::Undefined),
        ValueKind::None => serde_json::Value::Null,
        ValueKind::Bool => value.is_true().into(),
        ValueKind::Number => number(value)?,
        ValueKind::String => text(value.as_str().unwrap_or_default(), budget)?.into(),
        ValueKind::Seq | ValueKind::Iterable => {
            let mut items = Vec::new();
            for item in value.try_iter().map_err(|error| Unfit::Because(error.to_string()))? {
                items.push(convert(&item, budget, depth + 1)?);
            }
            items.into()
        }
        ValueKind::Map => {
            let mut entries = serde_json::Map::new();
            for key in value.try_iter().map_err(|error| Unfit::Because(error.to_string()))? {
                let name =
                    key.as_str().ok_or_else(|| Unfit::Because(format!("the key {key} is no string")))?;
                let name = text(name, budget)?;
                let item = value.get_item(&key).map_err(|error| Unfit::Because(error.to_string()))?;
                entries.insert(name, convert(&item, budget, depth + 1)?);
            }
            entries.into()
        }
        other => return Err(Unfit::Because(format!("a {other} is no value of a parameter"))),
    })
}

fn text(text: &str, budget: &mut Budget) -> Result<String, Unfit> {
    budget.bytes = budget.bytes.checked_sub(text.len()).ok_or_else(|| {
        Unfit::Because(format!("the value holds more than {OUTPUT_LIMIT_BYTES} bytes of text"))
    })?;
    Ok(text.to_owned())
}

fn number(value: &Value) -> Result<serde_json::Value, Unfit> {
    if value.is_integer() {
        if let Some(number) = value.as_i64() {
            return Ok(number.into());
        }
        return u64::try_from(value.clone())
            .map(Into::into)
            .map_err(|_| Unfit::Because(format!("{value} does not fit 64 bits")));
    }
    f64::try_from(value.clone())
        .ok()
        .and_then(serde_json::Number::from_f64)
        .map(serde_json::Value::Number)
        .ok_or_else(|| Unfit::Because(format!("{value} is no finite number")))
}
