//! Lists, page by page: the folder is walked once for a whole list, not once for each of its pages. Each object has its
//! `ETag`, as in the lists of the real service.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::path::{Component, Path};

use s3s::dto as d;
use s3s::{S3 as _, S3Request, S3Response, S3Result, s3_error};

use super::{Strict, instead};

/// The most in one answer (Amazon S3 API Reference, `ListObjectsV2`).
const PAGE: i32 = 1000;
/// So many lists may be under way; of more, the oldest is forgotten.
const MOST: usize = 64;

/// What is still to be told of lists under way, by the token that asks for it.
#[derive(Default)]
pub(super) struct Lists {
    next: u64,
    under_way: VecDeque<(String, Vec<d::Object>)>,
}

/// The objects that were listed, by bucket and key, with their `ETag`s.
#[derive(Default)]
pub(super) struct Tags(BTreeMap<(String, String), d::Object>);

impl Tags {
    fn known(&self, place: &(String, String), object: &d::Object) -> Option<d::ETag> {
        let known = self.0.get(place)?;
        let is_same = known.last_modified == object.last_modified && known.size == object.size;
        known.e_tag.clone().filter(|_| is_same)
    }

    /// To be called when an object is written: two writes can have one time.
    pub(super) fn forget(&mut self, bucket: &str, key: &str) {
        self.0.remove(&(bucket.to_owned(), key.to_owned()));
    }
}

impl Lists {
    fn keep(&mut self, rest: Vec<d::Object>) -> String {
        self.next += 1;
        let token = format!("list-{}", self.next);
        self.under_way.push_back((token.clone(), rest));
        if self.under_way.len() > MOST {
            self.under_way.pop_front();
        }
        token
    }

    fn take(&mut self, token: &str) -> Option<Vec<d::Object>> {
        let place = self.under_way.iter().position(|(known, _)| known == token)?;
        self.under_way.remove(place).map(|(_, rest)| rest)
    }
}

/// Finds the objects of a bucket below a prefix, in order: only where the prefix leads, and on one thread. `s3s-fs`
/// looks at every file of the bucket, and changes threads for each.
fn walk(bucket: &Path, prefix: &str) -> io::Result<Vec<d::Object>> {
    let (parents, _) = prefix.rsplit_once('/').unwrap_or_default();
    let parents = Path::new(parents);
    if !parents.components().all(|part| matches!(part, Component::Normal(_))) {
        return Ok(Vec::new());
    }
    let (mut folders, mut objects) = (vec![bucket.join(parents)], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = match std::fs::read_dir(&folder) {
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                continue;
            }
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                folders.push(entry.path());
                continue;
            }
            let path = entry.path();
            let key = path.strip_prefix(bucket).ok().and_then(Path::to_str);
            let Some(key) = key.filter(|key| key.starts_with(prefix)) else { continue };
            let metadata = entry.metadata()?;
            objects.push(d::Object {
                key: Some(key.to_owned()),
                last_modified: Some(metadata.modified()?.into()),
                size: i64::try_from(metadata.len()).ok(),
                ..Default::default()
            });
        }
    }
    objects.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(objects)
}

impl Strict {
    pub(super) async fn list(
        &self,
        mut request: S3Request<d::ListObjectsV2Input>,
    ) -> S3Result<S3Response<d::ListObjectsV2Output>> {
        if request.input.delimiter.is_some() {
            return self.inner.list_objects_v2(request).await;
        }
        let asked = instead(&request, ());
        let most = request.input.max_keys.unwrap_or(PAGE).clamp(1, PAGE);
        let (bucket, prefix) = (request.input.bucket.clone(), request.input.prefix.clone());
        let mut objects = if let Some(token) = request.input.continuation_token.take() {
            let rest = self.state().lists.take(&token);
            rest.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not known"))?
        } else {
            let found = d::HeadBucketInput { bucket: bucket.clone(), ..Default::default() };
            self.inner.head_bucket(instead(&asked, found)).await?;
            let (folder, below) = (self.root.join(&bucket), prefix.clone().unwrap_or_default());
            let walked = tokio::task::spawn_blocking(move || walk(&folder, &below)).await;
            walked
                .map_err(io::Error::other)
                .and_then(|walked| walked)
                .map_err(|error| s3_error!(error, InternalError))?
        };
        let rest = objects.split_off(objects.len().min(usize::try_from(most).unwrap_or_default()));
        let next = (!rest.is_empty()).then(|| self.state().lists.keep(rest));
        for object in &mut objects {
            object.e_tag = self.tag_of(&asked, &bucket, object).await;
        }
        Ok(S3Response::new(d::ListObjectsV2Output {
            name: Some(bucket),
            prefix,
            max_keys: Some(most),
            key_count: i32::try_from(objects.len()).ok(),
            is_truncated: Some(next.is_some()),
            next_continuation_token: next,
            contents: Some(objects),
            ..Default::default()
        }))
    }

    async fn tag_of<T>(&self, of: &S3Request<T>, bucket: &str, object: &d::Object) -> Option<d::ETag> {
        let place = (bucket.to_owned(), object.key.clone()?);
        let known = self.state().tags.known(&place, object);
        if known.is_some() {
            return known;
        }
        let tag = self.look(of, bucket, &place.1).await?.e_tag;
        self.state().tags.0.insert(place, d::Object { e_tag: tag.clone(), ..object.clone() });
        tag
    }
}
