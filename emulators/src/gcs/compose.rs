//! Objects of a bucket in, one object of their bytes out (`ComposeObject`, "Composite objects").

use std::sync::Arc;

use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::content::Content;
use super::names;
use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::{Object, State, Store};

const MOST_SOURCES: usize = 32;

impl Store {
    pub(super) fn compose(&self, request: v2::ComposeObjectRequest) -> Result<v2::Object, Refusal> {
        let mut attributes =
            request.destination.ok_or_else(|| Refusal::required("A composed object needs a destination"))?;
        let bucket = names::bucket_of(&attributes.bucket)?.to_owned();
        names::check_object_acl(&request.destination_predefined_acl)?;
        let count = request.source_objects.len();
        if count == 0 {
            return Err(Refusal::required("You must provide at least one source component."));
        }
        if count > MOST_SOURCES {
            let message = format!(
                "The number of source components provided ({count}) exceeds the maximum ({MOST_SOURCES})"
            );
            return Err(Refusal::invalid(message));
        }
        let mut state = self.state();
        let sources = sources(&state, &bucket, &request.source_objects)?;
        let parts: Vec<&Content> = sources.iter().map(|source| &source.content).collect();
        let content = Content::joined(&parts);
        attributes.checksums = request.object_checksums;
        attributes.kms_key = request.kms_key;
        let conditions = Preconditions {
            generation: request.if_generation_match,
            metageneration: request.if_metageneration_match,
            ..Preconditions::default()
        };
        let destination = state.put(&bucket, attributes, content, conditions)?;
        if request.delete_source_objects == Some(true) {
            let held = state.bucket_mut(&bucket)?;
            for source in sources.iter().filter(|source| source.resource.name != destination.name) {
                held.retire(&source.resource.name);
            }
        }
        Ok(destination)
    }
}

fn sources(
    state: &State,
    bucket: &str,
    wanted: &[v2::compose_object_request::SourceObject],
) -> Result<Vec<Arc<Object>>, Refusal> {
    let mut sources: Vec<Arc<Object>> = Vec::new();
    for source in wanted {
        let object = state.find(bucket, &source.name, source.generation)?;
        let generation = source.object_preconditions.and_then(|conditions| conditions.if_generation_match);
        Preconditions { generation, ..Preconditions::default() }.for_change(Some(object.versions()))?;
        if sources.first().is_some_and(|first| first.resource.storage_class != object.resource.storage_class)
        {
            return Err(Refusal::invalid("The source components have different storage classes"));
        }
        sources.push(object);
    }
    Ok(sources)
}
