//! What a runbook says, and what later steps get.

use rekindle_backup::sql::{DEFAULT_STATEMENT_LIMIT, PieceError, PieceKind, Pieces};
use rekindle_engine::id::TargetName;
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::answers::ExpectedAnswer;

/// Parameters of `mysql.sql`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SqlParams {
    /// The server.
    pub target: TargetName,
    /// The database that is in use; absent means none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub database: Option<String>,
    /// The statements, in their order and in one session. The first that is refused ends the step.
    pub statements: Vec<String>,
    /// Whether they run in one transaction: all of them or none. Statements that commit by themselves, as `CREATE` and
    /// `ALTER` do, end it (MySQL manual, "Statements That Cause an Implicit Commit").
    #[serde(default)]
    pub transaction: bool,
    /// A query whose answer tells that it is done. It is asked first, and when it answers so, nothing runs; it is asked
    /// afterwards, and must answer so; and after a crash it tells whether the statements are to run again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub done: Option<ExpectedAnswer>,
}

/// Outputs of `mysql.sql`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SqlOutputs {
    /// How many statements ran: none when it was done before.
    pub statements: usize,
    /// How many rows they changed, as the server counts them.
    pub affected_rows: u64,
}

/// Proves that there are statements, and no words of client programs among them.
///
/// # Errors
/// Which text is none, and why.
pub(super) fn check(statements: &[&str]) -> Result<(), StepError> {
    if statements.is_empty() {
        return Err(StepError::permanent("there are no `statements`").help("give at least one"));
    }
    for (number, text) in (1..).zip(statements) {
        let of = format!("statement {number} of {}", statements.len());
        match kind(text).map_err(|error| StepError::permanent(format!("{of} can't be read: {error}")))? {
            Some(PieceKind::Statement) => {}
            Some(_) => {
                return Err(StepError::permanent(format!("{of} has `DELIMITER`, a word to client programs"))
                    .help("leave it out: a body with `;` in it is one statement to a server"));
            }
            None => return Err(StepError::permanent(format!("{of} is empty"))),
        }
    }
    Ok(())
}

/// Gives what the text begins with, comments aside; nothing when there is nothing else.
fn kind(text: &str) -> Result<Option<PieceKind>, PieceError> {
    // The delimiter of the last one may be left out; a comment may be the last line.
    let text = format!("{text}\n;");
    let mut pieces = Pieces::new(text.as_bytes(), DEFAULT_STATEMENT_LIMIT);
    while let Some(piece) = pieces.next_piece()? {
        if matches!(piece.kind, PieceKind::Statement | PieceKind::Delimiter) {
            return Ok(Some(piece.kind));
        }
    }
    Ok(None)
}
