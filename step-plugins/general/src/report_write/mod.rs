//! `report.write`: the report of the run so far, as files. Receives a folder, yields the files' paths.

#[cfg(test)]
mod tests;
mod write;

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use rekindle_engine::report::{self, Report};
use rekindle_engine::step::{Effect, Intent, Planned, Probe, Step, StepContext, StepError};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The kind `report.write`. It stands in `finally:`, so that failed runs are reported too; the outcome of the
/// run is not known yet then, but that of its steps is.
///
/// A file of an earlier attempt is replaced, atomically: running it again is always safe.
#[derive(Debug, Clone, Copy)]
pub struct ReportWrite;

/// The `with:` of `report.write`.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ReportWriteParams {
    /// The folder to write into, from rekindle's working directory; it is made when it is not there.
    pub dir: String,
    /// `md` for people, `json` for programs.
    #[serde(default = "all_formats")]
    #[schemars(extend("minItems" = 1))]
    pub formats: Vec<Format>,
}

/// How a report is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// `report.md`: Markdown.
    Md,
    /// `report.json`: every fact, for programs.
    Json,
}

/// What `report.write` gives to later steps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReportWriteOutputs {
    /// The files, in the order of `formats`.
    pub files: Vec<PathBuf>,
}

fn all_formats() -> Vec<Format> {
    vec![Format::Md, Format::Json]
}

impl Format {
    fn file_name(self) -> &'static str {
        match self {
            Self::Md => "report.md",
            Self::Json => "report.json",
        }
    }

    fn render(self, report: &Report) -> String {
        match self {
            Self::Md => report::markdown(report),
            Self::Json => report::json(report),
        }
    }
}

fn check(params: &ReportWriteParams) -> Result<(), StepError> {
    if params.dir.is_empty() {
        return Err(
            StepError::permanent("`dir` is empty").help("write a folder, such as `reports/{{ run.id }}`")
        );
    }
    if params.formats.is_empty() {
        return Err(StepError::permanent("`formats` is empty").help("write `[md, json]`, or leave it out"));
    }
    Ok(())
}

#[async_trait]
impl Step for ReportWrite {
    const KIND: &'static str = "report.write";
    const SUMMARY: &'static str = "Writes the report of the run into a folder.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = ReportWriteParams;
    type Outputs = ReportWriteOutputs;

    fn plan(&self, params: &Planned<ReportWriteParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            check(params)?;
        }
        let summary = format!("write the report of the run into {}", params.show("/dir"));
        Ok(Intent { summary, ..Intent::default() })
    }

    async fn probe(
        &self,
        _: &ReportWriteParams,
        _: &StepContext,
    ) -> Result<Probe<ReportWriteOutputs>, StepError> {
        // Whole files in the place of older ones: writing a report again is always safe.
        Ok(Probe::Absent)
    }

    async fn run(
        &self,
        params: &ReportWriteParams,
        cx: &StepContext,
    ) -> Result<ReportWriteOutputs, StepError> {
        check(params)?;
        let report = cx.report().ok_or_else(|| StepError::permanent("there is no run to report on"))?;
        let texts: Vec<(&'static str, String)> =
            params.formats.iter().map(|format| (format.file_name(), format.render(&report))).collect();
        let dir = PathBuf::from(&params.dir);
        let written = tokio::task::spawn_blocking(move || write_all(&dir, &texts));
        let files = written.await.map_err(|error| StepError::permanent(error.to_string()))??;
        for file in &files {
            cx.log(&format!("wrote {}", file.display()));
        }
        Ok(ReportWriteOutputs { files })
    }
}

fn write_all(dir: &Path, texts: &[(&'static str, String)]) -> Result<Vec<PathBuf>, StepError> {
    let failed = |what: &Path, error: &std::io::Error| {
        StepError::transient(format!("failed to write the report into {}: {error}", what.display()))
            .help("check that the folder can be made and written, and that there is space")
    };
    write::make_dir(dir).map_err(|error| failed(dir, &error))?;
    texts
        .iter()
        .map(|(name, text)| {
            let file = dir.join(name);
            write::replace(&file, text.as_bytes()).map_err(|error| failed(&file, &error))?;
            Ok(file)
        })
        .collect()
}
