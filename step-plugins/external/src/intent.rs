//! What a step will do, said without asking: receives a plugin's `intent` text, fills in parameters.

use rekindle_engine::step::Planned;
use serde_json::Value;

/// A text with places `{/pointer}` for parameters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct IntentText {
    /// A text, and the JSON pointer (RFC 6901) of the parameter that follows it.
    parts: Vec<(String, String)>,
    rest: String,
}

impl IntentText {
    /// Reads one. A `{` that no `/` follows is text.
    ///
    /// # Errors
    /// When a place has no end.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let (mut parts, mut before, mut rest) = (Vec::new(), String::new(), text);
        while let Some(at) = rest.find("{/") {
            before.push_str(&rest[..at]);
            let Some(length) = rest[at..].find('}') else {
                return Err(format!("`{}` has no `}}`", &rest[at..]));
            };
            parts.push((std::mem::take(&mut before), rest[at + 1..at + length].to_owned()));
            rest = &rest[at + length + 1..];
        }
        before.push_str(rest);
        Ok(Self { parts, rest: before })
    }

    /// Fills the places: with values, or with what is said of values that are not known yet.
    pub(crate) fn fill(&self, params: &Planned<Value>) -> String {
        let mut text = String::new();
        for (before, pointer) in &self.parts {
            text.push_str(before);
            text.push_str(&params.show(pointer));
        }
        text + &self.rest
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn places_are_filled_with_values_and_with_unknowns() {
        let text = IntentText::parse("post {/text} to {/hosts/0}, {} {/a~1b}{/none}").unwrap();
        let params = json!({ "text": "(known after find)", "hosts": ["a b"], "a/b": 3 });
        let unknown = [("/text".to_owned(), "(known after find)".to_owned())].into();
        assert_eq!(
            text.fill(&Planned::partly_known(params, unknown)),
            "post (known after find) to a b, {} 3"
        );
    }

    #[test]
    fn a_place_without_end_is_refused() {
        assert_eq!(IntentText::parse("post {/text").unwrap_err(), "`{/text` has no `}`");
    }
}
