//! Queries of runbooks: what they must answer, and what they do.

mod expect;

use mysql_async::prelude::Queryable as _;
use mysql_async::{Row as WireRow, Value as WireValue};
use rekindle_engine::step::StepError;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use self::expect::{Row, difference};
use crate::connection::Session;

/// How many rows of an answer are looked at.
const MOST_ROWS: usize = 1000;

/// A query and what it must answer.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpectedAnswer {
    /// The query; it runs in a read-only transaction.
    pub sql: String,
    /// One value for an answer of one row and one column, or a list of rows, each a list of values (or one value
    /// when there is one column). `null` is SQL's `NULL`; numbers are compared as numbers, all else as text.
    pub expect: Value,
}

impl ExpectedAnswer {
    /// Asks, and says how the answer differs; `None` when it does not.
    ///
    /// # Errors
    /// When the server refuses the query, or it answers too many rows.
    pub(crate) async fn difference(&self, session: &mut Session) -> Result<Option<String>, StepError> {
        let difference = match answer(session, &self.sql).await? {
            Answer::Rows(rows) => difference(&self.expect, &rows),
            Answer::Missing(error) => Some(error),
        };
        Ok(difference.map(|difference| format!("`{}`: {difference}", self.sql)))
    }
}

/// What a server says to a query.
enum Answer {
    /// Its rows, as texts.
    Rows(Vec<Row>),
    /// Something that the query names is not there, in the server's words.
    Missing(String),
}

/// `ER_BAD_DB_ERROR`, `ER_BAD_FIELD_ERROR`, `ER_NO_SUCH_TABLE`, `ER_SP_DOES_NOT_EXIST`
const MISSING: [u16; 4] = [1049, 1054, 1146, 1305];

/// Runs a query that may change nothing.
async fn answer(session: &mut Session, sql: &str) -> Result<Answer, StepError> {
    let what = format!("answer `{sql}`");
    // Of the session, so that a COMMIT inside the text opens no door.
    session.run("become read-only for this session", "SET SESSION TRANSACTION READ ONLY").await?;
    session.run("open a read-only transaction", "START TRANSACTION READ ONLY").await?;
    let mut rows = Vec::new();
    let mut too_many = false;
    match session.conn.query_iter(sql).await {
        Err(error) => {
            let error = session.error(&what, &error);
            let is_missing = error.server_code().is_some_and(|code| MISSING.contains(&code));
            return if is_missing { Ok(Answer::Missing(error.to_string())) } else { Err(error.into()) };
        }
        Ok(mut result) => {
            loop {
                match result.next().await {
                    Ok(Some(_)) if rows.len() == MOST_ROWS => {
                        too_many = true;
                        break;
                    }
                    Ok(Some(row)) => rows.push(texts(row)),
                    Ok(None) => break,
                    Err(error) => {
                        drop(result);
                        return Err(session.error(&what, &error).into());
                    }
                }
            }
            if !too_many && let Err(error) = result.drop_result().await {
                return Err(session.error(&what, &error).into());
            }
        }
    }
    if too_many {
        return Err(StepError::permanent(format!("`{sql}` answers more than {MOST_ROWS} rows"))
            .help("let the query count or compare instead"));
    }
    session.run("close a read-only transaction", "ROLLBACK").await?;
    Ok(Answer::Rows(rows))
}

fn texts(row: WireRow) -> Row {
    row.unwrap()
        .into_iter()
        .map(|value| match value {
            WireValue::NULL => None,
            WireValue::Bytes(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
            other => Some(other.as_sql(true).trim_matches('\'').to_owned()),
        })
        .collect()
}
