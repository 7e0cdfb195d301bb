//! Lists in messages: the first few things in words, and how many there are beside.

use std::fmt::Display;

/// Names at most so many, and counts the others: `a, b and 3 more`.
pub(crate) fn first(most: usize, all: &[impl Display], separator: &str) -> String {
    let shown = all.iter().take(most).map(ToString::to_string).collect::<Vec<_>>().join(separator);
    match all.len().saturating_sub(most) {
        0 => shown,
        more => format!("{shown} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::first;

    #[test]
    fn what_is_not_named_is_counted() {
        assert_eq!(first(2, &["a", "b", "c", "d"], "; "), "a; b and 2 more");
        assert_eq!(first(2, &["a", "b"], "; "), "a; b");
    }
}
