//! One map laid over another: maps merge, lists and scalars replace, `null` deletes.
//!
//! Every node keeps its own location, so that what is said about a part points into the file that wrote it.

use super::{Entry, Location, Node, NodeValue};

/// A `null` that deletes nothing: more likely a slip than a wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Orphan {
    /// The dotted path of the key.
    pub(crate) path: String,
    /// Where the key stands.
    pub(crate) at: Location,
}

/// Lays `above` over `below`. What is in both keeps its place in `below` and its location in `above`.
pub(crate) fn lay_over(
    below: &[Entry],
    above: &[Entry],
    path: &str,
    orphans: &mut Vec<Orphan>,
) -> Vec<Entry> {
    let mut merged = Vec::with_capacity(below.len() + above.len());
    for entry in below {
        match above.iter().find(|over| over.key == entry.key) {
            None => merged.push(entry.clone()),
            Some(over) => merged.extend(lay_entry(Some(&entry.value), over, path, orphans)),
        }
    }
    for over in above.iter().filter(|over| below.iter().all(|entry| entry.key != over.key)) {
        merged.extend(lay_entry(None, over, path, orphans));
    }
    merged
}

/// Gives the entry that `over` leaves; none when it deletes.
fn lay_entry(below: Option<&Node>, over: &Entry, path: &str, orphans: &mut Vec<Orphan>) -> Option<Entry> {
    let path = if path.is_empty() { over.key.clone() } else { format!("{path}.{}", over.key) };
    let value = match &over.value.value {
        NodeValue::Null => {
            if below.is_none() {
                orphans.push(Orphan { path, at: over.key_location() });
            }
            return None;
        }
        NodeValue::Map(above) => {
            let below = below.and_then(Node::entries).unwrap_or_default();
            NodeValue::Map(lay_over(below, above, &path, orphans))
        }
        NodeValue::List(_)
        | NodeValue::Bool(_)
        | NodeValue::Integer(_)
        | NodeValue::Float(_)
        | NodeValue::String { .. } => over.value.value.clone(),
    };
    let value = Node { value, location: over.value.location.clone() };
    Some(Entry { key: over.key.clone(), key_span: over.key_span, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::document::{Source, parse};

    fn laid(below: &str, above: &str) -> (Node, Vec<Orphan>) {
        let below = parse(&Source::new("below.yaml", below)).unwrap();
        let above = parse(&Source::new("above.yaml", above)).unwrap();
        let mut orphans = Vec::new();
        let entries = lay_over(below.entries().unwrap(), above.entries().unwrap(), "", &mut orphans);
        (Node { value: NodeValue::Map(entries), location: above.location }, orphans)
    }

    #[test]
    fn maps_merge_lists_replace_and_null_deletes() {
        let (node, orphans) = laid(
            "{ a: { b: 1, c: 2 }, list: [1, 2], gone: { x: 1 }, kept: k }",
            "{ a: { c: 3, d: 4 }, list: [9], gone: null, new: n }",
        );
        insta::assert_snapshot!(
            node.to_json(),
            @r#"{"a":{"b":1,"c":3,"d":4},"list":[9],"kept":"k","new":"n"}"#
        );
        assert_eq!(orphans, []);
    }

    #[test]
    fn every_part_points_into_the_file_that_wrote_it() {
        let (node, _) = laid("a: { b: 1, c: 2 }\n", "a: { c: 3 }\n");
        let map = node.get("a").unwrap();
        assert_eq!(map.location.to_string(), "above.yaml:1:4");
        let places: Vec<_> =
            map.entries().unwrap().iter().map(|entry| entry.key_location().to_string()).collect();
        assert_eq!(places, ["below.yaml:1:6", "above.yaml:1:6"]);
    }

    #[test]
    fn a_map_over_something_else_replaces_it() {
        assert_eq!(laid("a: 3", "a: { b: 1 }").0.to_json()["a"]["b"], 1);
        assert_eq!(laid("a: { b: 1 }", "a: 3").0.to_json()["a"], 3);
    }

    #[test]
    fn a_null_that_deletes_nothing_is_found_at_any_depth() {
        let (_, orphans) = laid("a: { b: 1 }", "a: { c: ~ }\nd: { e: null }\n");
        let found: Vec<_> = orphans.iter().map(|orphan| format!("{} {}", orphan.path, orphan.at)).collect();
        assert_eq!(found, ["a.c above.yaml:1:6", "d.e above.yaml:2:6"]);
    }
}
