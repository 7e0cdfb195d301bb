//! Copies that the provider makes by itself: an object's place in, the object at another key out.

use google_cloud_storage::model::Object;
use rekindle_engine::host::{Key, ObjectInfo, ProviderPlace, PutMode, StoreErrorKind};

use super::retry::patiently;
use super::upload::{Expected, settle};
use super::{GcsStore, condition, download, requests, resource};
use crate::bucket::{MARK, is_beyond_the_provider, size};
use crate::failure::Failure;
use crate::naming::new_mark;

/// How often a long rewrite may answer without having got any further.
const TRIES_WITHOUT_PROGRESS: u32 = 5;

/// Copies, if both ends are of one service and we may read the other one.
pub(super) async fn copy(
    store: &GcsStore,
    from: &ProviderPlace,
    key: &Key,
    mode: PutMode,
) -> Result<Option<ObjectInfo>, Failure> {
    if from.service != store.service {
        return Ok(None);
    }
    let source = match requests::look(store, &resource(&from.bucket), &from.object).await {
        Ok(Some(source)) => source,
        Ok(None) => return Err(Failure::not_found()),
        Err(failure) if is_beyond_the_provider(&failure) => return Ok(None),
        Err(failure) => return Err(failure),
    };
    let mark = new_mark();
    let place = (resource(&from.bucket), from.object.as_str(), source.generation);
    let copied = rewrite(store, place, &store.object(key), condition(mode), &mark).await;
    if matches!(&copied, Err(failure) if is_beyond_the_provider(failure)) {
        return Ok(None);
    }
    let expected = Expected { size_bytes: size(Some(source.size)), sum: download::stored_sum(&source) };
    settle(store, key, &mark, &expected, copied).await.map(Some)
}

/// Lets the service copy one generation of an object to `object` of this store, in the class and under the key of
/// this store. Atomic: the copy appears when it is whole. A long one takes several requests (Cloud Storage JSON
/// API, `Objects: rewrite`).
pub(super) async fn rewrite(
    store: &GcsStore,
    (bucket, source, generation): (String, &str, i64),
    object: &str,
    only_if: Option<i64>,
    mark: &str,
) -> Result<(), Failure> {
    let (mut token, mut rewritten, mut without_progress) = (String::new(), 0, 0);
    loop {
        let answer = patiently(store, 0, || {
            let destination = Object::new().set_storage_class(&store.how.class).set_metadata([(MARK, mark)]);
            let request = store
                .control
                .rewrite_object()
                .set_source_bucket(&bucket)
                .set_source_object(source)
                .set_source_generation(generation)
                .set_destination_bucket(store.bucket())
                .set_destination_name(object)
                .set_destination(destination)
                .set_destination_kms_key(&store.how.kms_key)
                .set_or_clear_if_generation_match(only_if)
                .set_rewrite_token(&token);
            store.billed(request).send()
        })
        .await?;
        if answer.done {
            return Ok(());
        }
        without_progress = if answer.total_bytes_rewritten > rewritten { 0 } else { without_progress + 1 };
        if without_progress >= TRIES_WITHOUT_PROGRESS {
            let why = format!("the service does not get on with the copy after {rewritten} bytes");
            return Err(Failure::new(StoreErrorKind::Unavailable, why));
        }
        (token, rewritten) = (answer.rewrite_token, answer.total_bytes_rewritten);
    }
}
