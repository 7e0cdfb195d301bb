//! Transactions that are prepared and not decided (XA): whoever coordinates them has not said yet how they end.
//!
//! What they changed is seen by nobody until then, and so is in no dump; it survives crashes, and holds its locks (MySQL
//! manual, "XA Transaction States").

use rekindle_engine::step::StepContext;

use crate::connection::Session;
use crate::error::ServerError;
use crate::shown::first;

/// `ER_XAER_RMERR`: MySQL tells them only to whoever has `XA_RECOVER_ADMIN`.
const NOT_TOLD: [u16; 2] = [1401, 1227];
/// `ER_XAER_NOTA`: a transaction is to be decided, and is not there.
pub(crate) const UNKNOWN: u16 = 1397;
const SHOWN: usize = 5;

/// Lists the prepared transactions, each as `XA COMMIT` takes it, and `None` where there are none or the account may not
/// know.
///
/// # Errors
/// When the server can't be asked.
pub(crate) async fn prepared(session: &mut Session) -> Result<Option<String>, ServerError> {
    let rows: Vec<(i64, usize, usize, Vec<u8>)> = match session
        .rows("list prepared transactions", "XA RECOVER")
        .await
    {
        Ok(rows) => rows,
        Err(error) if error.server_code().is_some_and(|code| NOT_TOLD.contains(&code)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let names: Vec<String> =
        rows.iter().map(|(format, length, _, data)| name(*format, *length, data)).collect();
    Ok((!names.is_empty()).then(|| first(SHOWN, &names, ", ")))
}

/// Warns of those that a recovered server has.
///
/// # Errors
/// As [`prepared`].
pub(crate) async fn warn_of_left(cx: &StepContext, session: &mut Session) -> Result<(), ServerError> {
    if let Some(names) = prepared(session).await? {
        cx.warn(&format!(
            "`{}` has transactions that are prepared and not decided (XA): {names}; they hold their locks until somebody \
             runs `XA COMMIT` or `XA ROLLBACK`",
            session.target()
        ));
    }
    Ok(())
}

/// The parts of an identifier come in one text.
fn name(format: i64, length: usize, data: &[u8]) -> String {
    let (global, branch) = data.split_at(length.min(data.len()));
    match std::str::from_utf8(global) {
        Ok(text)
            if format == 1
                && branch.is_empty()
                && text.chars().all(|c| c.is_ascii_graphic() && c != '\'') =>
        {
            format!("'{text}'")
        }
        Ok(_) | Err(_) => format!("X'{}',X'{}',{format}", hex::encode(global), hex::encode(branch)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_as_xa_commit_takes_them() {
        assert_eq!(name(1, 2, b"q1"), "'q1'");
        assert_eq!(name(1, 1, b"ab"), "X'61',X'62',1");
        assert_eq!(name(7, 1, b"'"), "X'27',X'',7");
    }
}
