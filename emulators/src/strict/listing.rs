//! Lists, page by page: the folder is walked once for a whole list, not once for each of its pages.

use std::collections::VecDeque;

use s3s::dto as d;
use s3s::{S3 as _, S3Request, S3Response, S3Result, s3_error};

use super::Strict;

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

impl Strict {
    pub(super) async fn list(
        &self,
        mut request: S3Request<d::ListObjectsV2Input>,
    ) -> S3Result<S3Response<d::ListObjectsV2Output>> {
        if request.input.delimiter.is_some() {
            return self.inner.list_objects_v2(request).await;
        }
        let most = request.input.max_keys.unwrap_or(PAGE).clamp(1, PAGE);
        let (bucket, prefix) = (request.input.bucket.clone(), request.input.prefix.clone());
        let mut objects = if let Some(token) = request.input.continuation_token.take() {
            let rest = self.state().lists.take(&token);
            rest.ok_or_else(|| s3_error!(InvalidArgument, "the continuation token is not known"))?
        } else {
            request.input.max_keys = Some(i32::MAX);
            self.inner.list_objects_v2(request).await?.output.contents.unwrap_or_default()
        };
        let rest = objects.split_off(objects.len().min(usize::try_from(most).unwrap_or_default()));
        let next = (!rest.is_empty()).then(|| self.state().lists.keep(rest));
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
}
