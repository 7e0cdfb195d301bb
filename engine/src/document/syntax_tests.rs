//! What the scanner refuses: a word is marked, and the help says what to do.

use std::fmt::Write;

use super::tests::errors;

fn errors_of_each(texts: &[&str]) -> String {
    let mut all = String::new();
    for text in texts {
        write!(all, "{text:?}\n{}", errors(text)).unwrap();
    }
    all
}

#[test]
fn brackets_and_quotes_are_closed() {
    let brackets_and_quotes = [
        "a: \"open\nb: 1\n",
        "a: 'x' y\n",
        "a: [1, 2\nb: 3\n",
        "a: [1, 2}\n",
        "a: ]\n",
        "a: {b: 1\n",
        "a: [1",
    ];
    insta::assert_snapshot!(errors_of_each(&brackets_and_quotes), @r#"
    "a: \"open\nb: 1\n"
    rekindle::document::syntax: a quote is opened but not closed
      d.yaml:1:4 "\"open": here
      help: close the quote
    "a: 'x' y\n"
    rekindle::document::syntax: text follows a closing quote
      d.yaml:1:8 "y": here
      help: quote the whole value, in the other kind of quotes if need be
    "a: [1, 2\nb: 3\n"
    rekindle::document::syntax: a `:` is not allowed here
      d.yaml:2:2 ":": here
      help: quote text that contains `: `, or check indentation and brackets
    "a: [1, 2}\n"
    rekindle::document::syntax: `[` is closed by `}`
      d.yaml:1:4 "[1,": here
    "a: ]\n"
    rekindle::document::syntax: a bracket is closed but not opened
      d.yaml:1:4 "]": here
      help: quote it if it is text
    "a: {b: 1\n"
    rekindle::document::syntax: `{` is opened but not closed
      d.yaml:1:4 "{b:": here
      help: close the bracket
    "a: [1"
    rekindle::document::syntax: `[` is opened but not closed
      d.yaml:1:4 "[1": here
      help: close the bracket
    "#);
}

#[test]
fn characters_that_mean_something_are_quoted() {
    let characters = [
        "a: @host\n",
        "a: %x\n",
        "a: \"\\q\"\n",
        "%YAML 1.1\n---\na: 1\n",
        "a: &\n",
        "a: \u{1}\n",
        "a: 1\n\u{feff}b: 2\n",
    ];
    insta::assert_snapshot!(errors_of_each(&characters), @r#"
    "a: @host\n"
    rekindle::document::syntax: text cannot start with `@`
      d.yaml:1:4 "@host": here
      help: quote the text
    "a: %x\n"
    rekindle::document::syntax: text cannot start with `%`
      d.yaml:1:4 "%x": here
      help: quote the text
    "a: \"\\q\"\n"
    rekindle::document::syntax: unknown escape in double quotes
      d.yaml:1:4 "\"\\q\"": here
      help: write `\\` for a backslash, or use single quotes
    "%YAML 1.1\n---\na: 1\n"
    rekindle::document::syntax: YAML directives are not read
      d.yaml:1:1 "%YAML": here
      help: remove the line; documents are always YAML 1.2
    "a: &\n"
    rekindle::document::syntax: an anchor or alias has no name
      d.yaml:1:4 "&": here
      help: quote text that starts with `*` or `&`
    "a: \u{1}\n"
    rekindle::document::syntax: the character `\u{1}` is not allowed
      d.yaml:1:4 "\u{1}": here
      help: remove it, or write it as an escape in double quotes
    "a: 1\n\u{feff}b: 2\n"
    rekindle::document::syntax: a byte order mark stands inside the document
      d.yaml:2:1 "\u{feff}b:": here
      help: remove it
    "#);
}

#[test]
fn indentation_and_colons_make_sense() {
    let indentation = ["a:\n\tb: 1\n", "a: x: y\n", "a: 1\n  b: 2\n", "a: b\nc\n"];
    insta::assert_snapshot!(errors_of_each(&indentation), @r#"
    "a:\n\tb: 1\n"
    rekindle::document::tab: a tab cannot be used as indentation
      d.yaml:2:1 "\t": here
      help: indent with spaces
    "a: x: y\n"
    rekindle::document::syntax: a `:` is not allowed here
      d.yaml:1:5 ":": here
      help: quote text that contains `: `, or check indentation and brackets
    "a: 1\n  b: 2\n"
    rekindle::document::syntax: a `:` is not allowed here
      d.yaml:2:4 ":": here
      help: quote text that contains `: `, or check indentation and brackets
    "a: b\nc\n"
    rekindle::document::syntax: this line is no `key: value`
      d.yaml:2:1 "c": here
      help: add the `:`, or indent the line
    "#);
}
