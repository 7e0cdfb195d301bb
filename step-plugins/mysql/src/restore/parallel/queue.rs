//! Which session does what next: tables, the largest first, then rows of tables that others are at.

use std::ops::Range;

/// What a session is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Job {
    /// Prepare a table for its rows, then say so with [`Queue::opened`].
    Begin(usize),
    /// Load a member with rows of a table.
    Rows {
        /// Which table.
        table: usize,
        /// Which member.
        member: usize,
    },
    /// All rows are there: its indexes, its triggers, its record.
    Finish(usize),
}

/// What there is for a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    Do(Job),
    /// A table that is being prepared may need help: ask again when something has changed.
    Wait,
    /// Nothing is left.
    Over,
}

/// Whether several sessions may load the rows of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sharing {
    Alone,
    Together,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    Opening,
    Open(Sharing),
    Finishing,
}

#[derive(Debug)]
struct Table {
    rows: Range<usize>,
    weight: u64,
    stage: Stage,
    sessions: usize,
}

/// The tables that are left.
#[derive(Debug)]
pub(super) struct Queue {
    tables: Vec<Table>,
}

impl Queue {
    /// Takes each table's members with rows and its size; a table without a size is left out.
    pub(super) fn new(tables: impl IntoIterator<Item = (Range<usize>, Option<u64>)>) -> Self {
        let table = |(rows, weight): (Range<usize>, Option<u64>)| Table {
            rows,
            weight: weight.unwrap_or_default(),
            stage: if weight.is_some() { Stage::New } else { Stage::Finishing },
            sessions: 0,
        };
        Self { tables: tables.into_iter().map(table).collect() }
    }

    /// Gives the next thing to do to a session that has `at` open.
    pub(super) fn next(&mut self, at: Option<usize>) -> Next {
        if let Some(number) = at
            && let Some(table) = self.tables.get_mut(number)
        {
            if let Some(member) = table.rows.next() {
                return Next::Do(Job::Rows { table: number, member });
            }
            table.sessions = table.sessions.saturating_sub(1);
            if table.sessions == 0 {
                table.stage = Stage::Finishing;
                return Next::Do(Job::Finish(number));
            }
        }
        let new = |(_, table): &(usize, &mut Table)| table.stage == Stage::New;
        let found = self.tables.iter_mut().enumerate().filter(new).max_by_key(|(_, table)| table.weight);
        if let Some((number, table)) = found {
            table.stage = Stage::Opening;
            table.sessions = 1;
            return Next::Do(Job::Begin(number));
        }
        let shared = |(_, table): &(usize, &mut Table)| table.stage == Stage::Open(Sharing::Together);
        let found =
            self.tables.iter_mut().enumerate().filter(shared).max_by_key(|(_, table)| table.rows.len());
        if let Some((number, table)) = found
            && let Some(member) = table.rows.next()
        {
            table.sessions += 1;
            return Next::Do(Job::Rows { table: number, member });
        }
        let is_opening = self.tables.iter().any(|table| table.stage == Stage::Opening);
        if is_opening { Next::Wait } else { Next::Over }
    }

    /// Says that a table is ready for its rows.
    pub(super) fn opened(&mut self, table: usize, sharing: Sharing) {
        if let Some(table) = self.tables.get_mut(table) {
            table.stage = Stage::Open(sharing);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(queue: &mut Queue, table: usize, sharing: Sharing) {
        assert_eq!(queue.next(None), Next::Do(Job::Begin(table)));
        queue.opened(table, sharing);
    }

    fn rows(table: usize, member: usize) -> Next {
        Next::Do(Job::Rows { table, member })
    }

    #[test]
    fn the_largest_table_comes_first_and_what_is_loaded_never() {
        let mut queue = Queue::new([(1..2, Some(10)), (2..3, None), (3..5, Some(20)), (5..5, Some(0))]);
        begin(&mut queue, 2, Sharing::Alone);
        begin(&mut queue, 0, Sharing::Alone);
        begin(&mut queue, 3, Sharing::Alone);
        assert_eq!(queue.next(Some(3)), Next::Do(Job::Finish(3)), "no rows");
        assert_eq!(queue.next(None), Next::Over);
        assert_eq!(queue.next(Some(2)), rows(2, 3));
        assert_eq!(queue.next(Some(2)), rows(2, 4));
        assert_eq!(queue.next(Some(2)), Next::Do(Job::Finish(2)));
    }

    #[test]
    fn sessions_without_a_table_help_with_one_that_can_be_shared_and_the_last_finishes_it() {
        let mut queue = Queue::new([(0..3, Some(30)), (3..6, Some(20))]);
        begin(&mut queue, 0, Sharing::Together);
        begin(&mut queue, 1, Sharing::Alone);
        assert_eq!(queue.next(None), rows(0, 0), "not the one that can't be shared");
        assert_eq!(queue.next(Some(0)), rows(0, 1));
        assert_eq!(queue.next(Some(0)), rows(0, 2));
        assert_eq!(queue.next(Some(0)), Next::Over, "the other session is still at it");
        assert_eq!(queue.next(Some(0)), Next::Do(Job::Finish(0)));
    }

    #[test]
    fn a_session_waits_for_a_table_that_is_being_prepared() {
        let mut queue = Queue::new([(0..3, Some(1))]);
        assert_eq!(queue.next(None), Next::Do(Job::Begin(0)));
        assert_eq!(queue.next(None), Next::Wait);
        queue.opened(0, Sharing::Together);
        assert_eq!(queue.next(None), rows(0, 0));
    }
}
