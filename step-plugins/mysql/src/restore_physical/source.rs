//! What is restored: a backup, and all that it builds on.

use std::sync::Arc;

use rekindle_backup::physical::{Link, Method, StreamFormat, load_chain};
use rekindle_engine::host::{ObjectStore, Processes};
use rekindle_engine::step::{StepContext, StepError};

use super::Params;
use crate::flavour::flavour_name;
use crate::physical_tool::{PhysicalTool, check_unpack};

/// The files of a backup, the full one first.
pub(super) struct Source {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) chain: Vec<Link>,
}

impl Source {
    pub(super) async fn find(params: &Params, cx: &StepContext) -> Result<Self, StepError> {
        let store = cx.store(&params.backup.store).await?;
        let chain = load_chain(store.as_ref(), &params.backup).await?;
        Ok(Self { store, chain })
    }

    /// The backup itself: what the server must hold in the end.
    pub(super) fn last(&self) -> Result<&Link, StepError> {
        self.chain.last().ok_or_else(|| StepError::permanent("the backup has no files"))
    }

    pub(super) fn format(&self) -> Result<StreamFormat, StepError> {
        Ok(self.last()?.physical.format)
    }

    /// How much room unpacking takes, about.
    pub(super) fn unpacked_bytes(&self) -> u64 {
        self.chain.iter().map(|link| link.physical.stream_bytes).sum()
    }

    /// Finds the program that prepares; a cold backup needs none.
    pub(super) async fn tool(&self, cx: &StepContext) -> Result<Option<PhysicalTool>, StepError> {
        let processes: &Arc<dyn Processes> = &cx.world().processes;
        check_unpack(processes.as_ref(), self.format()?)?;
        let last = self.last()?;
        if last.physical.method == Method::Cold {
            return Ok(None);
        }
        let server = &last.manifest.server;
        let tool = PhysicalTool::find(processes, server.flavour, cx.cancel()).await?;
        let version = crate::flavour::ServerVersion::read(&server.version, &server.version_comment)
            .ok_or_else(|| {
                StepError::permanent(format!(
                    "the backup is of a server of no known version: {}",
                    server.version
                ))
            })?;
        tool.check_fits(&version)?;
        Ok(Some(tool))
    }

    /// Says what it is, for people.
    pub(super) fn describe(&self) -> Result<String, StepError> {
        let last = self.last()?;
        let server = &last.manifest.server;
        let increments = match self.chain.len() - 1 {
            0 => String::new(),
            1 => " and 1 increment".to_owned(),
            more => format!(" and {more} increments"),
        };
        Ok(format!(
            "files of {} {}, {} bytes to unpack, a full backup{increments}",
            flavour_name(server.flavour),
            server.version,
            self.unpacked_bytes()
        ))
    }
}
