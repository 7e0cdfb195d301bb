//! What holds for every text.

use proptest::prelude::{ProptestConfig, any, prop, prop_oneof, proptest};
use proptest::strategy::{Just, Strategy};

use super::tests::tree;
use super::{Node, Source, parse};

fn all_nodes<'n>(node: &'n Node, found: &mut Vec<&'n Node>) {
    found.push(node);
    node.items().unwrap_or_default().iter().for_each(|item| all_nodes(item, found));
    node.entries().unwrap_or_default().iter().for_each(|entry| all_nodes(&entry.value, found));
}

/// Text that is likely to be almost YAML.
fn almost_yaml() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "a: ", "b:", "- ", "\n", "\r\n", "\n  ", "\n    ", "{", "}", "[", "]", ", ", "{{ x }}",
            "{% y %}", "\"", "'", "|\n", ">-\n  ", "#", " #{{", "&a ", "*a", "!raw ", "!!str ", "<<: ",
            "---\n", "...\n", "\t", "😀", "é", "\u{feff}", "~", "1", "0x", ".inf", "? ", ": ", "%YAML", "\\",
            "\u{0}", "\u{2028}", "x",
        ])
        .prop_map(str::to_owned),
        any::<char>().prop_map(|c| c.to_string()),
        Just("steps:\n  - id: x\n".to_owned()),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn parsing_never_panics_and_spans_lie_inside_the_text(text in almost_yaml()) {
        match parse(&Source::new("any.yaml", text.as_str())) {
            Ok(root) => {
                let mut nodes = Vec::new();
                all_nodes(&root, &mut nodes);
                for node in nodes {
                    assert!(text.get(node.location.span.start..node.location.span.end).is_some(), "{node:?}");
                    for entry in node.entries().unwrap_or_default() {
                        assert!(text.get(entry.key_span.start..entry.key_span.end).is_some(), "{entry:?}");
                    }
                }
            }
            Err(errors) => {
                assert!(!errors.is_empty());
                for error in errors {
                    assert!(!error.labels.is_empty(), "{error:?}");
                    for (span, _) in &error.labels {
                        assert!(text.get(span.start..span.end).is_some(), "{error:?}");
                    }
                }
            }
        }
    }

    #[test]
    fn what_is_written_as_json_is_read_back(value in json(), noise in "[ \r\n]{0,3}") {
        let text = format!("{noise}{value}\r\n");
        assert_eq!(tree(&text).to_json(), value);
    }
}

/// JSON documents of text, integers, booleans, lists and maps.
fn json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        "[ -~é😀]{0,12}".prop_map(serde_json::Value::from),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            prop::collection::btree_map("[a-z]{1,6}", inner, 0..5)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}
