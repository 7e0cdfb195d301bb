//! What belongs to no table: before the rows what they need, after them what is made of them.

use rekindle_backup::dump::MemberText;
use rekindle_backup::sql::Kind;
use rekindle_engine::step::StepError;

use super::worker::Load;
use crate::restore::send::StatementSender;

/// When a section of a dump is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Databases, sequences and stand-ins of views: tables and later views name them.
    BeforeRows,
    /// Views, routines, events, privileges.
    AfterRows,
}

/// What was seen on the way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Seen {
    /// Whether the last member ends with the trailer.
    pub(super) trailer: bool,
}

/// Sends the sections whose turn it is, of these members.
pub(super) async fn send(
    load: &Load<'_>,
    session: &mut StatementSender<'_>,
    members: &[usize],
    turn: Turn,
) -> Result<Seen, StepError> {
    let mut seen = Seen::default();
    let mut before: Option<(usize, Turn)> = None;
    for &number in members {
        let opened = load.members.open(number).await?;
        // A long section goes on in the next member.
        let inherited = before.filter(|(last, _)| last + 1 == number).map(|(_, turn)| turn);
        let turns = turns(&opened.text, inherited);
        let mut at = None;
        for (statement, outgoing) in opened.text.statements.iter().zip(opened.outgoing()) {
            if turns.get(statement.section) != Some(&turn) {
                continue;
            }
            if at != Some(statement.section) {
                at = Some(statement.section);
                let section =
                    opened.text.statements.iter().filter(|other| other.section == statement.section);
                let enters = section.into_iter().any(|other| matches!(other.kind, Kind::Use(_)));
                if let (Some(database), false) = (opened.database, enters) {
                    session.enter(load.extract.database(database)).await?;
                }
            }
            load.send_other(session, outgoing, opened.database).await?;
        }
        before = turns.last().map(|turn| (number, *turn));
        seen.trailer = opened.text.trailer_is_last;
    }
    Ok(seen)
}

/// Tells for each section of a member when it is sent. `inherited` is what the one before it ended in.
fn turns(text: &MemberText, inherited: Option<Turn>) -> Vec<Turn> {
    let sections = text.statements.iter().map(|statement| statement.section).max().unwrap_or_default() + 1;
    let mut turns = vec![Turn::BeforeRows; sections];
    if let (Some(first), Some(turn)) = (turns.first_mut(), inherited) {
        *first = turn;
    }
    for statement in &text.statements {
        let is_late = match &statement.kind {
            Kind::View(_) | Kind::Routine { .. } | Kind::Event(_) | Kind::Account | Kind::Trigger { .. } => {
                true
            }
            Kind::CreateDatabase(_)
            | Kind::DropDatabase(_)
            | Kind::Use(_)
            | Kind::CreateTable(_)
            | Kind::DropTable(_)
            | Kind::Insert { .. }
            | Kind::StandIn(_)
            | Kind::Sequence(_)
            | Kind::Lock
            | Kind::Unlock
            | Kind::SetGtid(_)
            | Kind::ChangeMaster
            | Kind::Set
            | Kind::Other(_) => false,
        };
        if is_late && let Some(turn) = turns.get_mut(statement.section) {
            *turn = Turn::AfterRows;
        }
    }
    turns
}
