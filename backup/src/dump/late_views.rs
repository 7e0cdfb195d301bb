//! Views with `CHECK OPTION`, put behind all others.
//!
//! Clients write views by their names, each over stand-ins for those that come later. A server takes any view over a
//! stand-in but one with `CHECK OPTION`, which has to be over something that can be written to (`ER_VIEW_NONUPD_CHECK`): a
//! client that loads the dump by hand stops there.

use std::collections::{BTreeMap, BTreeSet};

use super::Contents;
use super::contents::{is_database, is_final_view};
use crate::sql::{Kind, Piece, PieceKind, Tokens, quote_identifier};

/// In the last statement of a view's section: what the section changed is as it was.
const SECTION_ENDS: &[u8] = b"@saved_col_connection";

/// Follows the pieces of a dump.
#[derive(Debug, Default)]
pub(super) struct LateViews {
    section: Option<Section>,
    late: Vec<Section>,
    /// What every view so far may be over, late or not.
    over: BTreeMap<View, BTreeSet<String>>,
}

/// Its database, when one is in use, and its name.
type View = (Option<String>, String);

/// The text of one view.
#[derive(Debug, Default)]
struct Section {
    view: View,
    /// Every name in its definition, and how often.
    mentions: BTreeMap<String, usize>,
    has_check_option: bool,
    text: Vec<u8>,
}

/// What becomes of a piece.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Turn {
    /// Text whose turn has come.
    pub(super) before: Vec<u8>,
    /// Whether the piece is kept until its turn comes.
    pub(super) is_kept: bool,
}

impl LateViews {
    /// Takes the next piece; `database` is the one in use. Text that does not read as it would by itself is not moved.
    pub(super) fn turn(&mut self, piece: &Piece<'_>, database: Option<&str>, is_plain: bool) -> Turn {
        let mut turn = Turn::default();
        let begins_section = Contents::begins_section(piece);
        if begins_section {
            turn.before = self.end_section();
        }
        if is_plain && piece.kind == PieceKind::Comment && is_final_view(piece.raw) {
            let view = (database.map(str::to_owned), String::new());
            self.section = Some(Section { view, ..Section::default() });
        }
        if let Some(section) = &mut self.section {
            section.text.extend_from_slice(piece.raw);
            turn.is_kept = true;
            if section.is_over_with(piece) {
                turn.before.extend(self.end_section());
            }
        } else if !self.late.is_empty() && ends_views(piece, begins_section) {
            turn.before.extend(self.release());
        }
        turn
    }

    /// Gives all that is left.
    pub(super) fn end(&mut self) -> Vec<u8> {
        let mut text = self.end_section();
        text.extend(self.release());
        text
    }

    fn end_section(&mut self) -> Vec<u8> {
        let Some(section) = self.section.take() else { return Vec::new() };
        self.over.insert(section.view.clone(), section.others());
        if !section.has_check_option {
            return section.text;
        }
        self.late.push(section);
        Vec::new()
    }

    /// Gives those that are late, each behind those that it is over.
    fn release(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        while !self.late.is_empty() {
            let is_ready = |section: &Section| {
                let under = self.under(&section.view);
                !self.late.iter().any(|other| other.view != section.view && under.contains(&other.view))
            };
            // A name may be that of a column: then the order is the client's.
            let at = self.late.iter().position(is_ready).unwrap_or(0);
            text.extend(self.late.remove(at).with_database());
        }
        text
    }

    /// Gives the views that a view may be over, also by way of others.
    fn under(&self, view: &View) -> BTreeSet<&View> {
        let mut found = BTreeSet::new();
        let mut left: Vec<&View> = self.over.get_key_value(view).into_iter().map(|(view, _)| view).collect();
        while let Some(view) = left.pop() {
            let names = &self.over[view];
            let next = self.over.keys().filter(|other| *other != view && names.contains(&other.1));
            left.extend(next.filter(|other| found.insert(*other)).collect::<Vec<_>>());
        }
        found
    }
}

/// Tells whether no more views follow, when this piece is in no section of one.
fn ends_views(piece: &Piece<'_>, begins_section: bool) -> bool {
    match piece.kind {
        PieceKind::Statement => !matches!(piece.classify_head(), Kind::Use(_)),
        PieceKind::Comment => begins_section && !is_database(piece.raw),
        PieceKind::Blank | PieceKind::Sandbox | PieceKind::Delimiter => false,
    }
}

impl Section {
    /// Takes a statement of it; tells whether it was the last one.
    fn is_over_with(&mut self, piece: &Piece<'_>) -> bool {
        if piece.kind != PieceKind::Statement {
            return false;
        }
        match piece.classify_head() {
            Kind::View(name) => {
                self.view.1 = name.name;
                self.read(piece);
                false
            }
            Kind::Set => {
                let value = piece.sql.iter().position(|byte| *byte == b'=').map(|at| &piece.sql[at..]);
                value.is_some_and(|value| memchr::memmem::find(value, SECTION_ENDS).is_some())
            }
            _ => false,
        }
    }

    fn read(&mut self, piece: &Piece<'_>) {
        let mut after_check = false;
        for token in Tokens::new(piece.sql, piece.escapes) {
            self.has_check_option |= after_check && token.is("OPTION");
            after_check = token.is("CHECK");
            if let Some(name) = token.name() {
                *self.mentions.entry(name).or_default() += 1;
            }
        }
    }

    /// Gives the names of what it may be over. Its own one stands in every definition once.
    fn others(&self) -> BTreeSet<String> {
        let others = self.mentions.iter().filter(|(name, count)| **name != self.view.1 || **count > 1);
        others.map(|(name, _)| name.clone()).collect()
    }

    fn with_database(self) -> Vec<u8> {
        let mut text = Vec::new();
        if let Some(database) = &self.view.0 {
            let shown = quote_identifier(database);
            text.extend(format!("--\n-- Current Database: {shown}\n--\n\nUSE {shown};\n\n").into_bytes());
        }
        text.extend(self.text);
        if !text.ends_with(b"\n") {
            text.push(b'\n');
        }
        text
    }
}
