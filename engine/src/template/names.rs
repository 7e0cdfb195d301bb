//! The filters, tests and functions a runbook may use: what is missing from these lists is refused while
//! compiling, so that no run meets an unknown filter half way.

use std::ops::Range;

use super::TemplateError;
use crate::diagnostic::nearest;

// `escape`, `safe` and `pprint` are left out: there is no HTML here, and debug output is no contract.
const FILTERS: [&str; 43] = [
    "abs",
    "attr",
    "batch",
    "bool",
    "capitalize",
    "chain",
    "count",
    "d",
    "default",
    "dictsort",
    "first",
    "float",
    "format",
    "groupby",
    "indent",
    "int",
    "items",
    "join",
    "last",
    "length",
    "lines",
    "list",
    "lower",
    "map",
    "max",
    "min",
    "reject",
    "rejectattr",
    "replace",
    "reverse",
    "round",
    "select",
    "selectattr",
    "slice",
    "sort",
    "split",
    "string",
    "sum",
    "title",
    "trim",
    "unique",
    "upper",
    "zip",
];

const TESTS: [&str; 36] = [
    "boolean",
    "defined",
    "divisibleby",
    "endingwith",
    "eq",
    "equalto",
    "even",
    "false",
    "float",
    "ge",
    "greaterthan",
    "gt",
    "in",
    "int",
    "integer",
    "iterable",
    "le",
    "lessthan",
    "lower",
    "lt",
    "mapping",
    "ne",
    "none",
    "number",
    "odd",
    "sameas",
    "sequence",
    "startingwith",
    "string",
    "true",
    "undefined",
    "upper",
    "==",
    "!=",
    "<",
    ">",
];

const FUNCTIONS: [&str; 3] = ["range", "dict", "namespace"];

pub(super) fn filter(name: &str, range: Range<usize>) -> Result<(), TemplateError> {
    known("filter", &FILTERS, name, range)
}

pub(super) fn test(name: &str, range: Range<usize>) -> Result<(), TemplateError> {
    known("test", &TESTS, name, range)
}

pub(super) fn function(name: &str, range: Range<usize>) -> Result<(), TemplateError> {
    known("function", &FUNCTIONS, name, range)
}

pub(super) fn is_function(name: &str) -> bool {
    FUNCTIONS.contains(&name)
}

fn known(what: &str, names: &[&str], name: &str, range: Range<usize>) -> Result<(), TemplateError> {
    if names.contains(&name) {
        return Ok(());
    }
    let error = TemplateError::new(format!("there is no {what} `{name}`"), range);
    Err(match nearest(name, names.iter().copied()) {
        Some(near) => error.help(format!("did you mean `{near}`?")),
        None => error.help(format!("the {what}s are those of Jinja: {}", names.join(", "))),
    })
}
