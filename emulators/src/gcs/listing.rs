//! A prefix in, objects in the order of their names out, a page at a time (`ListObjects`, `Objects: list`).

use std::collections::BTreeSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use googleapis_tonic_google_storage_v2::google::storage::v2;

use super::names;
use super::refusal::Refusal;
use super::store::{Bucket, Store};

/// The most that one page holds, and what it holds when nothing is asked.
pub(super) const PAGE: usize = 1000;

impl Store {
    pub(super) fn list(&self, request: &v2::ListObjectsRequest) -> Result<v2::ListObjectsResponse, Refusal> {
        let bucket = names::bucket_of(&request.parent)?;
        if !request.match_glob.is_empty() || !request.filter.is_empty() || request.soft_deleted {
            return Err(Refusal::not_here("listing by glob or filter, or of what was soft-deleted"));
        }
        let most = page_size(request.page_size)?;
        let after = after(&request.page_token)?;
        let state = self.state();
        let mut page = Page { most, full: false, last: None, answer: v2::ListObjectsResponse::default() };
        let mut prefixes = BTreeSet::new();
        for (name, generation, resource) in matching(state.bucket(bucket)?, request, after.as_ref()) {
            let folded = folded(name, request);
            // A page that ended within a folder begins behind it.
            let told = folded.is_some_and(|folder| {
                prefixes.contains(folder) || after.as_ref().is_some_and(|(last, _)| last.starts_with(folder))
            });
            if told && page.full {
                continue;
            }
            if page.full {
                page.answer.next_page_token = page.last.map(token).unwrap_or_default();
                return Ok(page.answer);
            }
            page.last = Some((name.to_owned(), generation));
            if told {
                continue;
            }
            match folded {
                Some(group) => {
                    prefixes.insert(group.to_owned());
                    page.answer.prefixes.push(group.to_owned());
                }
                None => page.answer.objects.push(resource.clone()),
            }
            page.full = page.answer.objects.len() + page.answer.prefixes.len() == page.most;
        }
        Ok(page.answer)
    }
}

struct Page {
    most: usize,
    full: bool,
    last: Option<(String, i64)>,
    answer: v2::ListObjectsResponse,
}

pub(super) fn page_size(asked: i32) -> Result<usize, Refusal> {
    match usize::try_from(asked) {
        Ok(0) => Ok(PAGE),
        Ok(asked) => Ok(asked.min(PAGE)),
        Err(_) => Err(Refusal::invalid(format!("Invalid page size: {asked}"))),
    }
}

/// Gives what matches, after a place, in order; of versions the older first.
fn matching<'a>(
    held: &'a Bucket,
    request: &'a v2::ListObjectsRequest,
    after: Option<&'a (String, i64)>,
) -> impl Iterator<Item = (&'a str, i64, &'a v2::Object)> {
    let start = request.prefix.as_str().max(&request.lexicographic_start);
    let start = after.map_or(start, |(name, _)| start.max(name));
    let live = held.live.range(start.to_owned()..).map(|(name, object)| (name.as_str(), object));
    let kept = held.noncurrent.range((start.to_owned(), 0)..).filter(|_| request.versions);
    let kept = kept.map(|((name, _), object)| (name.as_str(), object));
    let mut found: Vec<(&str, i64, &v2::Object)> = live
        .chain(kept)
        .filter(|(name, _)| {
            name.starts_with(&request.prefix)
                && (request.lexicographic_end.is_empty() || *name < request.lexicographic_end.as_str())
        })
        .map(|(name, object)| (name, object.resource.generation, &object.resource))
        .filter(|(name, generation, _)| {
            after.is_none_or(|(last, of)| *name > last.as_str() || (*name == last && *generation > *of))
        })
        .collect();
    found.sort_by_key(|(name, generation, _)| (*name, *generation));
    found.into_iter()
}

/// Gives the part of a name up to the delimiter behind the prefix.
fn folded<'a>(name: &'a str, request: &v2::ListObjectsRequest) -> Option<&'a str> {
    if request.delimiter.is_empty() {
        return None;
    }
    let rest = name.get(request.prefix.len()..)?;
    let at = rest.find(&request.delimiter)?;
    name.get(..request.prefix.len() + at + request.delimiter.len())
}

fn token((name, generation): (String, i64)) -> String {
    BASE64.encode(format!("{generation} {name}"))
}

fn after(token: &str) -> Result<Option<(String, i64)>, Refusal> {
    if token.is_empty() {
        return Ok(None);
    }
    let text = BASE64.decode(token).ok().and_then(|bytes| String::from_utf8(bytes).ok());
    let place = text.as_deref().and_then(|text| text.split_once(' '));
    let place = place.and_then(|(generation, name)| Some((name.to_owned(), generation.parse().ok()?)));
    place.map(Some).ok_or_else(|| Refusal::invalid("Invalid page token"))
}
