//! An object in, its copy under another name out, in as many calls as it takes (`RewriteObject`).

use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::names;
use super::preconditions::Preconditions;
use super::refusal::Refusal;
use super::store::{State, Store};

const MIB: u64 = 1024 * 1024;

/// A copy under way: what its token stands for.
pub(super) struct Rewrite {
    source: (String, String, i64),
    destination: (String, String),
    done: u64,
}

impl Store {
    pub(super) fn rewrite(&self, request: &v2::RewriteObjectRequest) -> Result<v2::RewriteResponse, Refusal> {
        let source_bucket = names::bucket_of(&request.source_bucket)?.to_owned();
        let bucket = names::bucket_of(&request.destination_bucket)?.to_owned();
        names::check_object_acl(&request.destination_predefined_acl)?;
        if !request.copy_source_encryption_algorithm.is_empty() {
            return Err(Refusal::not_here("encryption with a key of the caller"));
        }
        let mut state = self.state();
        let source = state.find(&source_bucket, &request.source_object, request.source_generation)?;
        source_conditions(request).for_change(Some(source.versions()))?;
        let mut attributes = match request.destination.clone() {
            Some(given)
                if !given.name.is_empty() || !given.bucket.is_empty() || !given.kms_key.is_empty() =>
            {
                return Err(Refusal::invalid(
                    "The destination's name, bucket and key have fields of their own",
                ));
            }
            Some(given) => given,
            None => source.resource.clone(),
        };
        attributes.name.clone_from(&request.destination_name);
        attributes.kms_key.clone_from(&request.destination_kms_key);
        attributes.checksums.clone_from(&request.object_checksums);
        attributes.temporary_hold = false;
        attributes.event_based_hold = None;
        let conditions = destination_conditions(request);
        state.may_put(&bucket, &attributes, conditions)?;

        let (size, generation) = (source.content.size, source.resource.generation);
        let rewrite = Rewrite {
            source: (source_bucket, request.source_object.clone(), generation),
            destination: (bucket.clone(), request.destination_name.clone()),
            done: 0,
        };
        let mut rewrite = state.resumed(rewrite, &request.rewrite_token)?;
        let at_most = per_call(request.max_bytes_rewritten_per_call, state.rewritten_per_call)?;
        rewrite.done = size.min(rewrite.done + at_most);
        let done = rewrite.done == size;
        let mut answer = v2::RewriteResponse {
            total_bytes_rewritten: i64::try_from(rewrite.done).unwrap_or(i64::MAX),
            object_size: source.resource.size,
            done,
            ..Default::default()
        };
        if done {
            answer.resource = Some(state.put(&bucket, attributes, source.content.clone(), conditions)?);
        } else {
            answer.rewrite_token = state.next_token("rewrite");
            state.rewrites.insert(answer.rewrite_token.clone(), rewrite);
        }
        Ok(answer)
    }
}

impl State {
    /// Goes on where a token says, when it was given for this very copy.
    fn resumed(&mut self, rewrite: Rewrite, token: &str) -> Result<Rewrite, Refusal> {
        if token.is_empty() {
            return Ok(rewrite);
        }
        let begun = self.rewrites.remove(token);
        let same =
            |begun: &Rewrite| begun.source == rewrite.source && begun.destination == rewrite.destination;
        begun.filter(same).ok_or_else(|| Refusal::invalid("Invalid rewrite token"))
    }
}

fn per_call(asked: i64, otherwise: u64) -> Result<u64, Refusal> {
    match u64::try_from(asked) {
        Ok(0) => Ok(otherwise),
        Ok(bytes) if bytes % MIB == 0 => Ok(bytes),
        _ => Err(Refusal::invalid("max_bytes_rewritten_per_call must be a positive multiple of 1 MiB")),
    }
}

fn source_conditions(request: &v2::RewriteObjectRequest) -> Preconditions {
    Preconditions {
        generation: request.if_source_generation_match,
        not_generation: request.if_source_generation_not_match,
        metageneration: request.if_source_metageneration_match,
        not_metageneration: request.if_source_metageneration_not_match,
    }
}

fn destination_conditions(request: &v2::RewriteObjectRequest) -> Preconditions {
    Preconditions {
        generation: request.if_generation_match,
        not_generation: request.if_generation_not_match,
        metageneration: request.if_metageneration_match,
        not_metageneration: request.if_metageneration_not_match,
    }
}
