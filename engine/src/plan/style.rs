//! How text for people is coloured, and what in it is made visible.

/// Whether a text may hold terminal colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Nothing but the text: files, pipes, `NO_COLOR`.
    Plain,
    /// With ANSI colours (ECMA-48 section 8.3.117, SGR).
    Ansi,
}

/// What a part of a text is, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Paint {
    Strong,
    Quiet,
    Read,
    Write,
    Destroy,
    Bad,
    Good,
}

impl Style {
    pub(crate) fn paint(self, paint: Paint, text: &str) -> String {
        let code = match paint {
            Paint::Strong => "1",
            Paint::Quiet => "2",
            Paint::Read => "36",
            Paint::Write | Paint::Good => "32",
            Paint::Destroy | Paint::Bad => "1;31",
        };
        match self {
            Self::Plain => text.to_owned(),
            Self::Ansi => format!("\x1b[{code}m{text}\x1b[0m"),
        }
    }
}

/// Makes control characters visible: a name out of a document, a server or a store must not move the cursor,
/// and text that is written right to left must not pass for another command.
pub fn printable(text: &str) -> String {
    let hidden = |c: char| {
        c.is_control()
            || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        if hidden(c) { shown.extend(c.escape_default()) } else { shown.push(c) }
    }
    shown
}

#[cfg(test)]
mod tests {
    #[test]
    fn control_characters_are_shown_and_not_sent() {
        assert_eq!(super::printable("a\x1b[2J\n\u{202e}b 🦀"), "a\\u{1b}[2J\\n\\u{202e}b 🦀");
    }
}
