//! Views of a dump, held back until the last of them is known: each is made after those that it is made of.
//!
//! Dumps give views in the order of their names, with stand-ins for those to come. A view over a stand-in is refused
//! when it has a `CHECK OPTION`, and silently loses `ALGORITHM=MERGE`.

use std::collections::{BTreeMap, BTreeSet};

use rekindle_backup::sql::{Escapes, Token, Tokens};

/// A view that is not made yet.
#[derive(Debug, Clone)]
pub(super) struct HeldView {
    pub(super) database: String,
    pub(super) name: String,
    pub(super) sql: Vec<u8>,
    /// Of the session when the dump made it: the server keeps both with the view.
    pub(super) charset: Charset,
    /// Where it begins in the SQL text.
    pub(super) offset: u64,
    pub(super) line: Option<u64>,
}

/// What a session takes texts for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Charset {
    /// `@@character_set_client`
    pub(super) client: String,
    /// `@@collation_connection`
    pub(super) collation: String,
}

/// Puts views in an order in which each can be made; otherwise they stay as they are.
pub(super) fn in_order(views: Vec<HeldView>) -> Vec<HeldView> {
    let numbers: BTreeMap<(&str, &str), usize> = views
        .iter()
        .enumerate()
        .map(|(number, view)| ((view.database.as_str(), view.name.as_str()), number))
        .collect();
    let bases: Vec<BTreeSet<usize>> = views
        .iter()
        .enumerate()
        .map(|(number, view)| named(view, &numbers).filter(|base| *base != number).collect())
        .collect();
    let mut order = Vec::with_capacity(views.len());
    let mut is_placed = vec![false; views.len()];
    for number in 0..views.len() {
        place(number, &bases, &mut is_placed, &mut order);
    }
    let mut views: Vec<Option<HeldView>> = views.into_iter().map(Some).collect();
    order.into_iter().filter_map(|number| views.get_mut(number)?.take()).collect()
}

/// Places a view behind all it is made of. Not by calling itself: views can be nested deeper than a stack.
fn place(number: usize, bases: &[BTreeSet<usize>], is_placed: &mut [bool], order: &mut Vec<usize>) {
    let mut open = vec![(number, false)];
    while let Some((number, is_left)) = open.pop() {
        if is_left {
            order.push(number);
            continue;
        }
        // A column may be called as a view, so that two seem to need each other: the first one goes on.
        if std::mem::replace(&mut is_placed[number], true) {
            continue;
        }
        open.push((number, true));
        open.extend(bases[number].iter().rev().filter(|base| !is_placed[**base]).map(|base| (*base, false)));
    }
}

/// Gives the views that one seems to name.
fn named<'a>(
    view: &'a HeldView,
    numbers: &'a BTreeMap<(&str, &str), usize>,
) -> impl Iterator<Item = usize> + 'a {
    let mut tokens = Tokens::new(&view.sql, Escapes::default());
    let mut before: Option<String> = None;
    let mut is_qualified = false;
    std::iter::from_fn(move || {
        for token in tokens.by_ref() {
            if token == Token::Mark(b'.') {
                is_qualified = true;
                continue;
            }
            let name = token.name();
            let database = if is_qualified { before.take() } else { None };
            let found = name.as_deref().and_then(|name| {
                let database = database.as_deref().unwrap_or(&view.database);
                numbers.get(&(database, name)).copied()
            });
            before = name;
            is_qualified = false;
            if found.is_some() {
                return found;
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ordered(views: &[(&str, &str, &str)]) -> String {
        let held = views.iter().map(|(database, name, select)| HeldView {
            database: (*database).to_owned(),
            name: (*name).to_owned(),
            sql: format!("CREATE VIEW `{name}` AS {select}").into_bytes(),
            charset: Charset { client: "utf8mb4".to_owned(), collation: "utf8mb4_general_ci".to_owned() },
            offset: 0,
            line: None,
        });
        let names =
            in_order(held.collect()).into_iter().map(|view| format!("{}.{}", view.database, view.name));
        names.collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn a_view_comes_after_those_it_is_made_of_also_of_other_databases() {
        let views = [
            ("a", "first", "select `m`.`x` from (`a`.`middle` `m` join `b`.`far` on(1))"),
            ("a", "middle", "select 1 AS `x` from `zz`"),
            ("a", "zz", "select 'first' AS `x`"),
            ("b", "far", "select 1 AS `x` from `middle`"),
            ("b", "middle", "select 1 AS `x`"),
        ];
        assert_eq!(ordered(&views), "a.zz a.middle b.middle b.far a.first");
    }

    #[test]
    fn views_that_only_seem_to_need_each_other_are_all_made() {
        let views =
            [("a", "x", "select `t`.`y` AS `y` from `t`"), ("a", "y", "select `t`.`x` AS `x` from `t`")];
        assert_eq!(ordered(&views), "a.y a.x");
        assert_eq!(ordered(&[("a", "v", "select 1 AS `v`")]), "a.v");
    }
}
