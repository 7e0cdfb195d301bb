use std::fmt::Write;

use super::rendering::render;
use super::{Node, NodeValue, ScalarStyle, Source, parse};

pub(super) fn errors(text: &str) -> String {
    match parse(&Source::new("d.yaml", text)) {
        Ok(node) => panic!("parsed without a complaint: {node:?}"),
        Err(errors) => render(&errors),
    }
}

pub(super) fn tree(text: &str) -> Node {
    parse(&Source::new("d.yaml", text)).unwrap_or_else(|errors| panic!("{}", render(&errors)))
}

/// The text that a node's location covers.
fn written(node: &Node) -> &str {
    let span = node.location.span;
    &node.location.source.text[span.start..span.end]
}

#[test]
fn scalars_follow_the_core_schema_and_quotes_make_text() {
    let node = tree("{a: yes, b: 0o17, c: 1_000, d: ~, e: 'true', f: 1.5, g: \"3\", h: TRUE, i: , j: ''}");
    let json = serde_json::json!({
        "a": "yes", "b": 15, "c": "1_000", "d": null, "e": "true", "f": 1.5, "g": "3", "h": true, "i": null, "j": "",
    });
    assert_eq!(node.to_json(), json);
}

#[test]
fn spans_are_right_after_a_byte_order_mark_emoji_and_crlf() {
    let node = tree(
        "\u{feff}a: 😀 ünï\r\nb:\r\n  - 'x y'\r\n  - {k: \"é\", l: [1]}\r\nc: |\r\n  one\r\n  two\r\n\r\nd: end\r\n",
    );
    assert_eq!(written(node.get("a").unwrap()), "😀 ünï");
    let b = node.get("b").unwrap();
    assert_eq!(written(b), "- 'x y'\r\n  - {k: \"é\", l: [1]}");
    assert_eq!(written(&b.items().unwrap()[0]), "'x y'");
    let flow = &b.items().unwrap()[1];
    assert_eq!(written(flow), "{k: \"é\", l: [1]}");
    assert_eq!(written(flow.get("k").unwrap()), "\"é\"");
    assert_eq!(written(flow.get("l").unwrap()), "[1]");
    let c = node.get("c").unwrap();
    assert_eq!((c.text(), written(c)), (Some("one\ntwo\n"), "one\r\n  two"));
    assert_eq!(written(node.get("d").unwrap()), "end");
    assert_eq!(node.get("d").unwrap().location.to_string(), "d.yaml:9:4");
    assert!(written(&node).starts_with("a:") && written(&node).ends_with("end"));
}

#[test]
fn styles_and_raw_are_kept() {
    let node = tree("a: x\nb: 'x'\nc: \"x\"\nd: |\n  x\ne: >\n  x\nf: !raw \"{{ x }}\"\ng: !raw 5\n");
    let styles: Vec<_> = node
        .entries()
        .unwrap()
        .iter()
        .map(|entry| match &entry.value.value {
            NodeValue::String { style, raw, .. } => (*style, *raw),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(
        styles,
        [
            (ScalarStyle::Plain, false),
            (ScalarStyle::SingleQuoted, false),
            (ScalarStyle::DoubleQuoted, false),
            (ScalarStyle::Literal, false),
            (ScalarStyle::Folded, false),
            (ScalarStyle::DoubleQuoted, true),
            (ScalarStyle::Plain, true),
        ]
    );
}

#[test]
fn an_alias_repeats_a_value_that_keeps_its_place() {
    let node = tree("a: &x { k: 1 }\nb: *x\nc: 2\n");
    assert_eq!(node.get("b").unwrap().to_json(), serde_json::json!({ "k": 1 }));
    assert_eq!(written(node.get("b").unwrap()), "{ k: 1 }");
    assert_eq!(written(&tree("- &x a\n- *x\n")), "- &x a\n- *x");
}

#[test]
fn an_implicit_null_stands_at_its_key() {
    let node = tree("steps:\nname: x\n");
    let steps = node.get("steps").unwrap();
    assert_eq!((&steps.value, written(steps)), (&NodeValue::Null, "steps"));
}

#[test]
fn every_unquoted_template_is_found_at_once() {
    insta::assert_snapshot!(errors("a: {{ values.x }}\nb: [{{ y }}, z]\nc: {{ base[\"k\"] }}/f-{{ n }}.gz # note\nd: {% if z %}1{% endif %}\n"), @r#"
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:1:4 "{{ values.x }}": YAML reads these braces as a map
      help: write `"{{ values.x }}"`
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:2:5 "{{ y }}": YAML reads these braces as a map
      help: write `"{{ y }}"`
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:3:4 "{{ base[\"k\"] }}/f-{{ n }}.gz": YAML reads these braces as a map
      help: write `'{{ base["k"] }}/f-{{ n }}.gz'`
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:4:4 "{% if z %}1{% endif %}": YAML reads these braces as a map
      help: write `"{% if z %}1{% endif %}"`
    "#);
    insta::assert_snapshot!(errors("{{ name }}: 1\n"), @r#"
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:1:1 "{{ name }}": YAML reads these braces as a map
      help: write `"{{ name }}"`
    "#);
    insta::assert_snapshot!(errors("a:\n  {{ x }}\nb: 1\nb: 2\n"), @r#"
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:2:3 "{{ x }}": YAML reads these braces as a map
      help: write `"{{ x }}"`
    rekindle::document::duplicate_key: `b` is given twice
      d.yaml:4:1 "b": given again
      d.yaml:3:1 "b": first given here
      help: keep one of them
    "#);
    insta::assert_snapshot!(errors("a: {{ x\n"), @r#"
    rekindle::document::unquoted_template: a value that starts with a template must be quoted
      d.yaml:1:4 "{{ x": YAML reads these braces as a map
      help: close the braces and quote the whole value
    "#);
}

#[test]
fn quoted_templates_and_flow_maps_are_not_mistaken_for_unquoted_templates() {
    assert_eq!(
        tree("a: '{{ x }}'\nb: x{{ y }}\nc: { d: { e: 1 } }\n").get("b").unwrap().text(),
        Some("x{{ y }}")
    );
    insta::assert_snapshot!(errors("a: \"see: {{ x }}\" b\n"), @r#"
    rekindle::document::syntax: text follows a closing quote
      d.yaml:1:19 "b": here
      help: quote the whole value, in the other kind of quotes if need be
    "#);
}

#[test]
fn a_template_that_became_a_comment_is_noticed() {
    insta::assert_snapshot!(errors("a: x #{{ y }}\n"), @r##"
    rekindle::document::template_in_comment: this template is a comment
      d.yaml:1:6 "#{{ y }}": here
      help: quote the whole value; if it is meant as a comment, put a space after `#`
    "##);
    assert_eq!(tree("#{{ x }}\na: x # {{ y }}\n").get("a").unwrap().text(), Some("x"));
}

#[test]
fn keys_are_unique_text() {
    insta::assert_snapshot!(errors("a: 1\n1: x\nb: 2\n\"a\": 3\n? [x]\n: y\ntrue: z\n"), @r#"
    rekindle::document::key_not_text: a key must be text, found an integer
      d.yaml:2:1 "1": here
      help: quote the key
    rekindle::document::duplicate_key: `a` is given twice
      d.yaml:4:1 "\"a\"": given again
      d.yaml:1:1 "a": first given here
      help: keep one of them
    rekindle::document::key_not_text: a key must be text, found a list
      d.yaml:5:3 "[x]": here
      help: quote the key
    rekindle::document::key_not_text: a key must be text, found a boolean
      d.yaml:7:1 "true": here
      help: quote the key
    "#);
}

#[test]
fn merge_keys_are_refused_and_quoted_ones_are_plain_keys() {
    insta::assert_snapshot!(errors("a: &x {k: 1}\nb: { <<: *x, l: 2 }\n"), @r#"
    rekindle::document::merge_key: merge keys are not supported
      d.yaml:2:6 "<<": here
      help: write the fields out, or repeat a whole value with an alias
    "#);
    assert_eq!(tree("'<<': 1").get("<<").unwrap().value, NodeValue::Integer(1));
}

#[test]
fn unknown_tags_are_refused() {
    insta::assert_snapshot!(errors("a: !!str 5\nb: !Secret x\nc: !raw [1]\nd: !<tag:x,2000:y> z\n"), @r#"
    rekindle::document::unknown_tag: the tag `!!str` is not known
      d.yaml:1:4 "!!str": here
      help: only `!raw` is read; to make a value text, quote it
    rekindle::document::unknown_tag: the tag `!Secret` is not known
      d.yaml:2:4 "!Secret": here
      help: only `!raw` is read; to make a value text, quote it
    rekindle::document::raw_collection: `!raw` belongs to text
      d.yaml:3:4 "!raw": here
      help: put it before each text whose braces are meant as they are
    rekindle::document::unknown_tag: the tag `!<tag:x,2000:y>` is not known
      d.yaml:4:4 "!<tag:x,2000:y>": here
      help: only `!raw` is read; to make a value text, quote it
    "#);
}

#[test]
fn numbers_that_do_not_fit_are_refused() {
    insta::assert_snapshot!(errors("a: 9223372036854775808\nb: 1e999\nc: .inf\n"), @r#"
    rekindle::document::number: this integer does not fit 64 bits
      d.yaml:1:4 "9223372036854775808": here
      help: quote it if it is meant as text
    rekindle::document::number: this number is too large
      d.yaml:2:4 "1e999": here
      help: quote it if it is meant as text
    rekindle::document::number: only finite numbers can be used
      d.yaml:3:4 ".inf": here
      help: quote it if it is meant as text
    "#);
}

#[test]
fn aliases_must_lead_somewhere_and_not_into_themselves() {
    insta::assert_snapshot!(errors("a: *nowhere\nb: &b [1, *b]\nc: *.sql\n"), @r#"
    rekindle::document::unknown_anchor: there is no anchor `&nowhere` before this alias
      d.yaml:1:4 "*nowhere": here
      help: quote text that starts with `*`
    rekindle::document::recursive_alias: this alias stands inside what it repeats
      d.yaml:2:11 "*b": here
    rekindle::document::unknown_anchor: there is no anchor `&.sql` before this alias
      d.yaml:3:4 "*.sql": here
      help: quote text that starts with `*`
    "#);
    insta::assert_snapshot!(errors("a: * b\n"), @r#"
    rekindle::document::syntax: an anchor or alias has no name
      d.yaml:1:4 "*": here
      help: quote text that starts with `*` or `&`
    "#);
}

#[test]
fn an_alias_bomb_does_not_go_off() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..12 {
        let below = format!("*a{} , ", level - 1).repeat(10);
        writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
    }
    insta::assert_snapshot!(errors(&text), @r#"
    rekindle::document::alias_weight: aliases repeat too much
      d.yaml:5:40 "*a3": the limit is passed here
      help: all that aliases repeat may weigh 8 MiB
    "#);
}

#[test]
fn nesting_is_bounded_also_through_aliases() {
    let deep = |levels: usize| "[".repeat(levels) + &"]".repeat(levels);
    tree(&deep(128));
    insta::assert_snapshot!(errors(&deep(129)), @r#"
    rekindle::document::too_deep: collections are nested deeper than 128
      d.yaml:1:129 "[": one level too many
    "#);
    let blocks = (0..129).map(|level| " ".repeat(level) + "a:\n").collect::<String>();
    assert!(errors(&blocks).contains("rekindle::document::too_deep"));
    assert!(errors(&"[".repeat(100_000)).contains("rekindle::document::too_deep"));
    let through_alias = format!("a: &a {}\nb: {}*a{}\n", deep(100), "[".repeat(28), "]".repeat(28));
    insta::assert_snapshot!(errors(&through_alias), @r#"
    rekindle::document::too_deep: collections are nested deeper than 128
      d.yaml:2:32 "*a": one level too many
    "#);
}

#[test]
fn only_one_document_is_read() {
    insta::assert_snapshot!(errors("a: 1\n---\nb: 2\n"), @r#"
    rekindle::document::second_document: only one document is read from a file
      d.yaml:2:1 "---": here
      help: remove the `---` and what follows it, or put it into a file of its own
    "#);
    assert_eq!(tree("---\na: 1\n...\n").get("a").unwrap().value, NodeValue::Integer(1));
}

#[test]
fn an_empty_document_is_an_error() {
    insta::assert_snapshot!(errors(""), @r#"
    rekindle::document::empty: this document is empty
      d.yaml:1:1 "": nothing but blanks and comments
      help: `rekindle init` writes documents to start from
    "#);
    insta::assert_snapshot!(errors("# only this\n---\n"), @r#"
    rekindle::document::empty: this document is empty
      d.yaml:1:1 "": nothing but blanks and comments
      help: `rekindle init` writes documents to start from
    "#);
}

#[test]
fn a_text_too_large_is_not_looked_at() {
    insta::assert_snapshot!(errors(&"a".repeat((8 << 20) + 1)).replace("\"\"", "…"), @r#"
    rekindle::document::too_large: this document has 8388609 bytes; at most 8388608 are read
      d.yaml:1:1 …: starts here
    "#);
}
