//! What can be wrong with the parameters by themselves. Marks are shown on terminals and in tables, so they are short
//! and hold nothing that a terminal would obey.

use rekindle_engine::step::StepError;

use super::MarkParams;

/// Of a reason, in characters.
const MAX_REASON: usize = 500;
/// Of a label's value, in characters.
const MAX_VALUE: usize = 200;
/// Of a label's name, in characters.
const MAX_NAME: usize = 63;
/// Of labels in one mark.
pub(super) const MAX_LABELS: usize = 64;

/// Refuses what would say nothing, or not clearly.
pub(super) fn check(params: &MarkParams) -> Result<(), StepError> {
    let reason = params.reason.trim();
    match params.keep {
        Some(true) if reason.is_empty() => {
            return Err(StepError::permanent("a backup is kept for a `reason`, and none is given")
                .help("say why, for who wonders in a year: `reason: \"before the migration to 11.4\"`"));
        }
        None if !reason.is_empty() => {
            return Err(StepError::permanent(
                "`reason` says why a backup is kept or not, but there is no `keep`",
            )
            .help("add `keep: true` or `keep: false`"));
        }
        None if params.labels.is_empty() => {
            return Err(StepError::permanent("there is nothing to say of the backup")
                .help("give `keep: true` with a `reason`, `keep: false`, or `labels`"));
        }
        Some(_) | None => {}
    }
    is_plain("reason", &params.reason, MAX_REASON)?;
    if params.labels.len() > MAX_LABELS {
        return Err(StepError::permanent(format!("a backup has {MAX_LABELS} labels at most")));
    }
    for (name, value) in &params.labels {
        label_name(name)?;
        is_plain(&format!("value of the label `{name}`"), value, MAX_VALUE)?;
    }
    Ok(())
}

fn label_name(name: &str) -> Result<(), StepError> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | '/');
    if name.is_empty() || name.len() > MAX_NAME || !name.chars().all(plain) {
        return Err(StepError::permanent(format!("{name:?} is no name of a label")).help(format!(
            "use letters, digits and `-`, `_`, `.`, `/`, at most {MAX_NAME} of them, as in `ticket`"
        )));
    }
    Ok(())
}

fn is_plain(what: &str, text: &str, max: usize) -> Result<(), StepError> {
    if text.chars().count() > max {
        return Err(StepError::permanent(format!("the {what} is longer than {max} characters")));
    }
    if text.chars().any(char::is_control) {
        return Err(StepError::permanent(format!(
            "the {what} holds a line break or another control character"
        ))
        .help("write one line of plain text"));
    }
    Ok(())
}
