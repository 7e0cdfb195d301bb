//! The step kind.

use async_trait::async_trait;
use rekindle_engine::id::StoreName;
use rekindle_engine::step::{
    Effect, Intent, Planned, Preflight, PreflightContext, Probe, Problem, Step, StepContext, StepError,
};

use super::beside::undecided;
use super::choose::Chosen;
use super::client::Client;
use super::command::{Choice, shown};
use super::privileges::{self, MISSING_PRIVILEGE, Verdict};
use super::run::{find_finished, part, run};
use super::survey::Survey;
use super::{DumpOutputs, DumpParams, DumpScope};
use crate::backup_part::BackupPart;
use crate::connection::Server;
use crate::error::ServerError;
use crate::preflight::{Look, look_at_target, problem};
use crate::xa;

/// `mysql.dump`
pub struct Dump;

#[async_trait]
impl Step for Dump {
    const KIND: &'static str = "mysql.dump";
    const SUMMARY: &'static str = "Dumps databases as SQL, compressed and indexed, straight into a store, and proves that the dump is whole.";
    const EFFECT: Effect = Effect::Write;
    const PROBES: bool = true;
    type Params = DumpParams;
    type Outputs = DumpOutputs;

    fn plan(&self, params: &Planned<DumpParams>) -> Result<Intent, StepError> {
        if let Some(params) = params.get() {
            params.check()?;
        }
        let what = match params.show("/scope").as_str() {
            "databases" => format!("the databases {}", params.show("/databases")),
            "tables" => format!("the tables {}", params.show("/tables")),
            "schema-only" => "the schema of all databases".to_owned(),
            _ => "all databases and accounts".to_owned(),
        };
        Ok(Intent {
            summary: format!(
                "dump {what} of {} into {} as {}.sql.gz",
                params.show("/target"),
                params.show("/store"),
                params.show("/name")
            ),
            ..Intent::default()
        })
    }

    async fn preflight(&self, params: &Planned<DumpParams>, cx: &PreflightContext) -> Preflight {
        let mut found = Preflight::default();
        if let Some(store) = params.value("/store").and_then(|value| value.as_str()).map(StoreName::from) {
            let part = params.get().map(|params| part(params, &cx.step));
            found.problems.extend(BackupPart::store_problem(part, &store, cx).await);
        }
        if let Look::Reached(server) = look_at_target(params, "/target", cx, &mut found).await {
            look_at_server(params.get(), *server, &cx.step, &mut found).await;
        }
        found
    }

    async fn probe(&self, params: &DumpParams, cx: &StepContext) -> Result<Probe<DumpOutputs>, StepError> {
        // Without its index an object is no dump: replacing it loses nothing.
        Ok(find_finished(params, cx).await?.map_or(Probe::Absent, Probe::Complete))
    }

    async fn run(&self, params: &DumpParams, cx: &StepContext) -> Result<DumpOutputs, StepError> {
        run(params, cx).await
    }
}

async fn look_at_server(
    params: Option<&DumpParams>,
    mut server: Server,
    cx: &StepContext,
    found: &mut Preflight,
) {
    let looked = async {
        let survey = Survey::of(&mut server, params.map_or(DumpScope::All, |params| params.scope)).await?;
        let seen = match params.map(|params| (params, Chosen::of(params, &survey))) {
            Some((params, Ok(chosen))) => {
                privileges::check(&mut server, params.scope, &chosen.databases).await?
            }
            // What can't be chosen is a finding below.
            Some((_, Err(_))) | None => Verdict::Enough,
        };
        let prepared = xa::prepared(&mut server.session).await?;
        Ok::<_, ServerError>((survey, seen, prepared))
    };
    let looked = looked.await;
    let Server { session, version } = server;
    session.close().await;
    let (survey, seen, prepared) = match looked {
        Ok(looked) => looked,
        Err(error) => return found.problems.push(error.problem("/target")),
    };
    match seen {
        Verdict::Enough => {}
        Verdict::Unclear(why) => found.notes.push(why),
        Verdict::Missing(error) => found.problems.push(problem(MISSING_PRIVILEGE, error, "/target")),
    }
    if params.is_none_or(|params| params.scope.has_rows()) {
        found.notes.extend(prepared.map(|names| undecided(&names)));
    }
    let client = match Client::find(&cx.world().processes, version.flavour, cx.cancel()).await {
        Ok(client) => client,
        Err(error) => return found.problems.push(error.problem()),
    };
    let Some(params) = params else { return };
    match Chosen::of(params, &survey) {
        Ok(chosen) => {
            let choice = Choice {
                client: &client,
                server: &version,
                survey: &survey,
                scope: params.scope,
                chosen: &chosen,
            };
            found.notes.extend(choice.warnings());
            found.commands.push(shown(&choice));
        }
        Err(error) => found.problems.push(Problem {
            code: "rekindle::dump::not_possible",
            message: error.message,
            help: error.help,
            pointer: Some("/target"),
        }),
    }
}
