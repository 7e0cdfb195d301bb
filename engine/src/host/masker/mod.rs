//! Text on its way out → the same text with every known secret hidden.
//!
//! Receives secrets as they are read, makes every form in which one may come back out of programs and protocols
//! (`forms`), and replaces each by `***`, wherever it begins and however several overlap. What no list of forms can
//! hold is a secret that was changed: reversed, compressed, encrypted, spelt in another alphabet.

mod base64;
mod forms;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::{Bound, Range};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard};

use aho_corasick::{AhoCorasick, MatchKind};

use super::Secret;
use forms::{Edges, forms};

const MASK: &str = "***";

/// Replaces every secret it has seen by `***`: as it is, and URL-, JSON-, base64-, hex-, HTML-encoded or quoted for
/// SQL or a shell; of a secret of several lines, each line.
///
/// A secret of one to three bytes is hidden only where it stands as a word of its own: hiding every `a` would hide
/// the text, and show the secret by what is missing.
#[derive(Clone, Default)]
pub struct Masker {
    known: Arc<RwLock<Known>>,
}

#[derive(Default)]
struct Known {
    /// Sorted, so that what a text ends with can be looked up as the beginning of one.
    forms: BTreeMap<String, Edges>,
    /// Made when it is first needed after a new secret. None when there is nothing to look for.
    search: OnceLock<Option<Search>>,
}

struct Search {
    /// None when there are more forms than can be searched for; then everything is hidden.
    automaton: Option<AhoCorasick>,
    /// By number of pattern.
    edges: Vec<Edges>,
}

impl Masker {
    /// Remembers a secret. Empty ones are ignored.
    pub fn learn(&self, secret: &Secret) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let before = known.forms.len();
        for (form, edges) in forms(secret.expose()) {
            // What is hidden everywhere for one secret is not only hidden as a word for another.
            known.forms.entry(form).and_modify(|known| *known = known.wider(edges)).or_insert(edges);
        }
        if known.forms.len() != before {
            known.search = OnceLock::new();
        }
    }

    /// Gives the text with every known secret hidden.
    pub fn mask(&self, text: &str) -> String {
        self.masked(text).into_owned()
    }

    fn masked<'t>(&self, text: &'t str) -> Cow<'t, str> {
        let known = self.known();
        let Some(search) = known.search() else { return Cow::Borrowed(text) };
        let hidden = search.hidden(text);
        if hidden.is_empty() {
            return Cow::Borrowed(text);
        }
        let mut masked = String::with_capacity(text.len());
        let mut shown_to = 0;
        for range in hidden {
            masked.push_str(&text[shown_to..range.start]);
            masked.push_str(MASK);
            shown_to = range.end;
        }
        masked.push_str(&text[shown_to..]);
        Cow::Owned(masked)
    }

    /// Gives the value with every known secret hidden in its strings and keys. Numbers keep their
    /// type: whoever reads outputs back relies on it.
    pub fn mask_json(&self, value: serde_json::Value) -> serde_json::Value {
        use serde_json::Value;
        match value {
            Value::String(text) => Value::String(self.mask(&text)),
            Value::Array(items) => items.into_iter().map(|item| self.mask_json(item)).collect(),
            Value::Object(entries) => Value::Object(
                entries.into_iter().map(|(key, value)| (self.mask(&key), self.mask_json(value))).collect(),
            ),
            Value::Null | Value::Bool(_) | Value::Number(_) => value,
        }
    }

    /// Gives a text that was cut off at its end without the beginning of a secret that it may end with: masking
    /// finds whole secrets only.
    pub fn without_cut_end<'t>(&self, text: &'t str) -> &'t str {
        let known = self.known();
        let longest = known.forms.keys().map(String::len).max().unwrap_or_default();
        let from = text.ceil_char_boundary(text.len().saturating_sub(longest));
        let begins = |rest: &str| {
            let mut from = known.forms.range::<str, _>((Bound::Included(rest), Bound::Unbounded));
            from.next().is_some_and(|(form, _)| form.starts_with(rest))
        };
        let cut = text[from..].char_indices().map(|(at, _)| from + at).find(|at| begins(&text[*at..]));
        &text[..cut.unwrap_or(text.len())]
    }

    /// Gives a text that was cut off at its beginning without the end of a secret that it may begin with.
    pub fn without_cut_start<'t>(&self, text: &'t str) -> &'t str {
        let known = self.known();
        let longest = known.forms.keys().map(String::len).max().unwrap_or_default();
        let to = text.floor_char_boundary(longest);
        let ends = |start: &str| known.forms.keys().any(|form| form.ends_with(start));
        let cut = (1..=to).rev().filter(|at| text.is_char_boundary(*at)).find(|at| ends(&text[..*at]));
        &text[cut.unwrap_or(0)..]
    }

    fn known(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    fn search(&self) -> Option<&Search> {
        let make = || {
            let automaton =
                || AhoCorasick::builder().match_kind(MatchKind::Standard).build(self.forms.keys());
            (!self.forms.is_empty()).then(|| Search {
                automaton: automaton().ok(),
                edges: self.forms.values().copied().collect(),
            })
        };
        self.search.get_or_init(make).as_ref()
    }
}

impl Search {
    /// Gives the parts of a text to hide: sorted, apart from each other, on boundaries of characters.
    fn hidden(&self, text: &str) -> Vec<Range<usize>> {
        let Some(automaton) = &self.automaton else {
            // A text and not nothing: an empty message would say that there was none.
            return std::iter::once(0..text.len()).filter(|all| !all.is_empty()).collect();
        };
        // All matches, also those inside and across others: of two secrets that overlap, neither may show its end.
        let mut hidden: Vec<Range<usize>> = automaton
            .find_overlapping_iter(text)
            .filter_map(|found| self.edges.get(found.pattern().as_usize())?.apply(text, found.range()))
            .collect();
        hidden.sort_unstable_by_key(|range| (range.start, range.end));
        hidden.dedup_by(|next, merged| {
            let touches = next.start <= merged.end;
            if touches {
                merged.end = merged.end.max(next.end);
            }
            touches
        });
        hidden
    }
}
