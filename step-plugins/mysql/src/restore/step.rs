//! The step kind: what it says, what it looks at, what it does.

use async_trait::async_trait;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};

use super::marker::{self, Marker, Stage};
use super::part::Part;
use super::rights::{self, Refusal};
use super::run::{self, refusal};
use super::source::{MISSING_PRIVILEGE, Source};
use super::{BinlogUse, Outputs, Params};
use crate::connection::Server;
use crate::flavour::flavour_name;
use crate::preflight::{Look, look_at_target, problem};

/// `mysql.restore`
pub struct Restore;

#[async_trait]
impl Step for Restore {
    const KIND: &'static str = "mysql.restore";
    const SUMMARY: &'static str =
        "Loads a logical backup into a server, fenced, and proves that everything is there.";
    const EFFECT: Effect = Effect::Destroy;
    const PROBES: bool = true;
    type Params = Params;
    type Outputs = Outputs;

    fn plan(&self, params: &Planned<Params>) -> Result<Intent, StepError> {
        let target = params.show("/target");
        let replaces = params.value("/overwrite").is_some_and(|value| value == true);
        if let Some(partial) = super::partial::intent(params) {
            return Ok(partial);
        }
        let logged = params.value("/binlog").is_some_and(|value| value == "on");
        let object = match params.show("/object").as_str() {
            "" => "full.sql.gz".to_owned(),
            object => object.to_owned(),
        };
        let mut commands = Vec::new();
        if !logged {
            commands.push("SET SESSION sql_log_bin = 0".to_owned());
        }
        commands.push("SET GLOBAL read_only = ON; SET GLOBAL event_scheduler = OFF".to_owned());
        if params.value("/archive_to").is_some_and(serde_json::Value::is_string) {
            commands.push(format!("-- archive its binary logs in {}", params.show("/archive_to")));
        }
        if replaces {
            commands.push("DROP DATABASE … -- each that is there".to_owned());
        }
        commands.push(format!("-- every statement of {object}"));
        commands.push("-- compare the inventory with the backup's".to_owned());
        if !logged {
            commands.push("-- empty the binary log, set the backup's GTID position".to_owned());
        }
        let stays = params.value("/stay_fenced").is_some_and(|value| value == true);
        commands.push(if stays {
            "-- it stays read-only and without events, for the replay of binary logs".to_owned()
        } else {
            "-- read_only and event_scheduler as before".to_owned()
        });
        let backup = params.show("/backup");
        let summary = if replaces {
            format!("replace what {target} holds by {backup}")
        } else {
            format!("load {target} from {backup}")
        };
        Ok(Intent { summary, commands, ..Intent::default() })
    }

    async fn preflight(&self, params: &Planned<Params>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Some(Err(error)) = params.get().map(Params::check) {
            found.problems.push(problem("rekindle::restore::not_possible", error, "/stay_fenced"));
        }
        let source = match params.get() {
            Some(params) => match Source::find(params, &cx.step).await {
                Ok(source) => {
                    found.notes.push(format!(
                        "{} tables, {} rows, {} bytes compressed, from {} {}",
                        source.inventory().table_count(),
                        source.inventory().row_count(),
                        source.object.size_bytes,
                        flavour_name(source.manifest.server.flavour),
                        source.manifest.server.version
                    ));
                    Some((params, source))
                }
                Err(error) => {
                    let code = "rekindle::backup::unusable";
                    found.problems.push(Problem { code, pointer: Some("/backup"), ..error.into() });
                    None
                }
            },
            None => None,
        };
        if let Look::Reached(mut server) = look_at_target(params, "/target", cx, &mut found).await {
            if let Some((params, source)) = source {
                found.notes.extend(source.is_of_newer(&server));
                if let Err(error) = source.check_grant_option(&mut server).await {
                    found.problems.push(problem(MISSING_PRIVILEGE, error, "/target"));
                }
                found.problems.extend(rights_problems(params, &source, &mut server).await);
                found.problems.extend(target_problem(params, &source, &cx.step, &mut server).await);
            }
            server.session.close().await;
        }
        found
    }

    async fn probe(&self, params: &Params, cx: &StepContext) -> Result<Probe<Outputs>, StepError> {
        let mut server = match Server::open(cx, &params.target).await {
            Ok(server) => server,
            Err(error) => return Ok(Probe::Unknown { why: error.to_string() }),
        };
        // The object's name does not tell whether it is of some tables only: the manifest does.
        let is_partial = match Source::find(params, cx).await {
            Ok(source) => source.named(params).is_partial(),
            Err(_) => params.is_partial(),
        };
        if is_partial {
            let found = super::partial::probe(params, cx, &mut server).await;
            server.session.close().await;
            return found;
        }
        let marker = marker::read(&mut server).await?;
        let ours = marker.as_ref().is_some_and(|marker| marker.is_of(params, cx.run()));
        let found = match marker {
            Some(Marker { stage: Stage::Complete, outputs: Some(outputs), .. }) if ours => {
                Probe::Complete(outputs)
            }
            // Loading goes on after the tables that are whole, and what is loaded is only finished: both are safe.
            Some(_) if ours => Probe::Absent,
            Some(marker) if marker.stage != Stage::Complete => Probe::Partial { found: marker.describe() },
            // `run` replaces, or refuses without touching anything.
            Some(_) | None if params.overwrite => Probe::Absent,
            Some(_) | None => match run::held(&mut server).await? {
                None => Probe::Absent,
                Some(held) => Probe::Partial { found: held },
            },
        };
        server.session.close().await;
        Ok(found)
    }

    async fn run(&self, params: &Params, cx: &StepContext) -> Result<Outputs, StepError> {
        run::run(params, cx).await
    }
}

/// What the account may not make. That it is of the other flavour, or asks for what is not there, is told elsewhere.
async fn rights_problems(params: &Params, source: &Source, server: &mut Server) -> Vec<Problem> {
    let named = source.named(params);
    let (Ok(()), Ok(part)) = (source.check_flavour(server), Part::of(&named, source.inventory())) else {
        return Vec::new();
    };
    match rights::refusals(source, part.as_ref(), server).await {
        Ok(refusals) => refusals.into_iter().map(Refusal::problem).collect(),
        Err(error) => vec![error.problem("/target")],
    }
}

async fn target_problem(
    params: &Params,
    source: &Source,
    cx: &StepContext,
    server: &mut Server,
) -> Option<Problem> {
    let found = async {
        source.check_flavour(server)?;
        let params = source.named(params);
        let params = params.as_ref();
        if let Some(part) = Part::of(params, source.inventory())? {
            return Ok(super::partial::refusal(params, cx, server, &part).await?);
        }
        if params.binlog() == BinlogUse::Off {
            crate::marker::prepare(server).await?;
        }
        Ok::<_, StepError>(refusal(params, cx, server).await?)
    };
    let (code, error) = match found.await {
        Ok(None) => return None,
        Ok(Some(error)) => ("rekindle::restore::not_empty", error),
        Err(error) => ("rekindle::restore::not_possible", error),
    };
    Some(Problem { code, message: error.message, help: error.help, pointer: Some("/target") })
}
