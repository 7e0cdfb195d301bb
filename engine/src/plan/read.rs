//! Plans as files: what `plan -o` writes and `run PLAN` reads.

use serde_json::Value;

use super::hash::hash_of;
use super::{PLAN_FORMAT, Plan};
use crate::diagnostic::Diagnostic;

/// Why a text is no plan that can be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanReadError {
    /// Not JSON, or not a plan.
    #[error("this is no plan: {why}")]
    Malformed {
        /// What the reader stumbled over.
        why: String,
    },
    /// Written by a later version.
    #[error("the plan has format {found}, this version of rekindle reads formats up to {PLAN_FORMAT}")]
    Newer {
        /// Its format.
        found: u64,
    },
    /// Not what was planned and approved.
    #[error("the plan was changed after it was made: its contents have the hash {actual}, it says {stated}")]
    Altered {
        /// The hash it states.
        stated: String,
        /// The hash of what is in it.
        actual: String,
    },
}

impl PlanReadError {
    /// Says what is wrong with the file of that name.
    pub fn diagnostic(&self, file: &str) -> Diagnostic {
        let code = match self {
            Self::Malformed { .. } => "rekindle::plan::malformed",
            Self::Newer { .. } => "rekindle::plan::newer_format",
            Self::Altered { .. } => "rekindle::plan::altered",
        };
        Diagnostic::new(code, format!("{file} can't be used: {self}")).help(self.help())
    }

    /// Says what to do.
    pub fn help(&self) -> &'static str {
        match self {
            Self::Malformed { .. } => "make one with `rekindle plan RUNBOOK -e ENV -o FILE`",
            Self::Newer { .. } => "use the version of rekindle that made it, or plan again with this one",
            Self::Altered { .. } => {
                "plan again; to change what a plan does, change the runbook or its values"
            }
        }
    }
}

impl Plan {
    /// Writes the plan as JSON, indented, with a newline at its end.
    pub fn to_json(&self) -> String {
        // A plan holds nothing that JSON can't hold: every map has text keys, every number is finite.
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads what [`Plan::to_json`] wrote.
    ///
    /// # Errors
    /// Fails on what is no plan, on a newer format, and when the contents do not have the hash they state.
    pub fn from_json(text: &str) -> Result<Self, PlanReadError> {
        let malformed = |error: serde_json::Error| PlanReadError::Malformed { why: error.to_string() };
        let value: Value = serde_json::from_str(text).map_err(malformed)?;
        // Looked at before the rest: a newer format may not even have the fields this version knows.
        let Some(found) = value.get("format").and_then(Value::as_u64) else {
            return Err(PlanReadError::Malformed { why: "it has no `format`".to_owned() });
        };
        if found > u64::from(PLAN_FORMAT) {
            return Err(PlanReadError::Newer { found });
        }
        let plan: Self = serde_json::from_value(value.clone()).map_err(malformed)?;
        let actual = hash_of(value);
        if actual != plan.hash {
            return Err(PlanReadError::Altered { stated: plan.hash, actual });
        }
        Ok(plan)
    }
}

#[cfg(test)]
mod tests {
    use super::{Plan, PlanReadError};
    use crate::plan::fixture;

    #[test]
    fn a_plan_reads_back_with_the_same_hash() {
        let mut plan = fixture::recovery();
        // Among so many are some that a reader in a hurry takes for their neighbours.
        let ratios: Vec<f64> = (1..2000).map(|n| f64::from(n) / 7.0 * 0.1_f64.powi(n % 300)).collect();
        plan.values["ratios"] = serde_json::json!(ratios);
        plan.hash = plan.compute_hash();
        let read = Plan::from_json(&plan.to_json()).unwrap();
        assert_eq!(read.hash, plan.hash);
        assert_eq!(read.steps.len(), plan.steps.len());
    }

    #[test]
    fn a_plan_of_format_1_is_read_and_keeps_its_hash() {
        let plan = Plan::from_json(include_str!("formats/plan-1.json")).unwrap();
        assert_eq!(plan.format, 1);
        assert_eq!(plan.hash, "34f90510a45ad80bf05ad019e209ca4fb85be182e5ea6cc91f17a6f93e0584a9");
        assert_eq!(plan.steps.len(), fixture::recovery().steps.len());
    }

    #[test]
    fn fields_that_are_not_known_yet_are_part_of_the_hash() {
        let mut value: serde_json::Value = serde_json::from_str(&fixture::recovery().to_json()).unwrap();
        value["steps"][0]["later"] = true.into();
        assert!(matches!(Plan::from_json(&value.to_string()), Err(PlanReadError::Altered { .. })));
        value["hash"] = super::hash_of(value.clone()).into();
        assert_eq!(Plan::from_json(&value.to_string()).unwrap().hash, value["hash"]);
    }

    #[test]
    fn a_newer_plan_is_refused_before_its_fields_are_read() {
        let error = Plan::from_json(r#"{"format": 7, "stages": []}"#).unwrap_err();
        insta::assert_snapshot!(error, @"the plan has format 7, this version of rekindle reads formats up to 2");
    }

    #[test]
    fn an_edited_plan_is_refused() {
        let text = fixture::recovery().to_json().replace("\"primary\"", "\"replica-0\"");
        assert!(matches!(Plan::from_json(&text), Err(PlanReadError::Altered { .. })));
    }

    #[test]
    fn what_is_no_plan_is_refused() {
        for text in ["", "[]", "{}", "{\"format\": 1}", "format: 1", "{\"format\": \"1\"}"] {
            assert!(matches!(Plan::from_json(text), Err(PlanReadError::Malformed { .. })), "{text}");
        }
    }
}
