//! Whether a store heeds the conditions of writes, on which journals and locks rest: a store in, a proof out.
//!
//! Not every server that speaks the protocol of S3 knows them, and one that does not says nothing: it writes. Of two
//! runners both would then hold a lock, and both would add the next event.

use bytes::Bytes;
use rekindle_engine::host::{Key, ObjectStore, Stamp, StoreError, StoreErrorKind};
use rekindle_engine::journal::JOURNALS;

use crate::failure::{Failure, Operation};
use crate::naming::new_mark;

/// Why a store can't hold journals and locks.
#[derive(Debug, thiserror::Error)]
pub enum ConditionsError {
    /// It writes where it should not.
    #[error("the store {store} {what}")]
    Ignored {
        /// Its URL.
        store: String,
        /// What it does.
        what: &'static str,
    },
    /// It could not be found out.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Writes one small object four times, two times of which have to be refused, and removes it.
///
/// # Errors
/// When a write is not refused, and when the store can't be written.
pub async fn prove(store: &dyn ObjectStore) -> Result<(), ConditionsError> {
    let key = Key::new(format!("{JOURNALS}probes/{}", new_mark())).map_err(|error| {
        Failure::invalid(error.to_string()).into_error(store.url(), Operation::WriteTo, "")
    })?;
    let proven = write(store, &key).await;
    let removed = store.delete(&key).await;
    proven?;
    Ok(removed?)
}

async fn write(store: &dyn ObjectStore, key: &Key) -> Result<(), ConditionsError> {
    let put =
        async |expected: Option<&Stamp>, text| store.swap(key, expected, Bytes::from_static(text)).await;
    let ignored = |what| ConditionsError::Ignored { store: store.url().to_owned(), what };
    // Other bytes each time: an `ETag` may be made of them.
    let first = put(None, b"first").await?;
    match put(None, b"second").await {
        Err(error) if error.kind == StoreErrorKind::AlreadyExists => {}
        Err(error) => return Err(error.into()),
        Ok(_) => return Err(ignored("replaces an object that was to be written only if there is none")),
    }
    put(Some(&first), b"third").await?;
    match put(Some(&first), b"fourth").await {
        Err(error) if error.kind == StoreErrorKind::Changed => Ok(()),
        Err(error) => Err(error.into()),
        Ok(_) => Err(ignored("replaces an object that has changed since it was read")),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use rekindle_emulators::{Fault, GcsServer, S3Server};
    use rekindle_engine::host::{ObjectStore, StoreErrorKind};
    use rekindle_engine::testing::MemoryStore;

    use super::{ConditionsError, prove};
    use crate::fault_bench::{asked, listed};
    use crate::s3::tests::{BUCKET, open};

    #[tokio::test]
    async fn stores_that_heed_conditions_are_proven_and_left_as_they_were() {
        let folder = tempfile::tempdir().unwrap();
        let config =
            rekindle_engine::environment::StoreConfig::at(format!("file://{}", folder.path().display()));
        let s3 = S3Server::start(BUCKET).await.unwrap();
        let gcs = GcsServer::start(BUCKET).await.unwrap();
        let stores: [Arc<dyn ObjectStore>; 4] = [
            Arc::new(MemoryStore::new("memory:journals")),
            Arc::new(crate::FileStores::new("/nowhere").at(&config).unwrap()),
            Arc::new(open(&s3, "s3://backups/mysql").await),
            Arc::new(crate::gcs::tests::open(&gcs, "gs://backups/mysql").await),
        ];
        for store in stores {
            prove(&*store).await.unwrap();
            assert_eq!(listed(&*store).await, Vec::<String>::new(), "{}", store.url());
        }
    }

    #[tokio::test]
    async fn a_server_that_ignores_conditions_is_found_out_and_left_as_it_was() {
        let server = S3Server::start(BUCKET).await.unwrap();
        server.ignore_conditions();
        let store = open(&server, "s3://backups/mysql").await;
        let told = prove(&store).await.unwrap_err();
        insta::assert_snapshot!(told, @"the store s3://backups/mysql replaces an object that was to be written only if there is none");
        assert_eq!(listed(&store).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_server_that_knows_only_creation_is_found_out_too() {
        let server = S3Server::start(BUCKET).await.unwrap();
        let store = open(&server, "s3://backups/mysql").await;
        server.ignore_conditions_of_replacement();
        insta::assert_snapshot!(prove(&store).await.unwrap_err(), @"the store s3://backups/mysql replaces an object that has changed since it was read");
        assert_eq!(listed(&store).await, Vec::<String>::new());
    }

    #[tokio::test]
    async fn a_store_that_can_not_be_written_is_told_as_such() {
        let server = S3Server::start(BUCKET).await.unwrap();
        let store = open(&server, "s3://backups/mysql").await;
        server.faults().add("PUT", "runs/probes/", 9, Fault::Refuse(403, "AccessDenied", None));
        match prove(&store).await.unwrap_err() {
            ConditionsError::Store(error) => assert_eq!(error.kind, StoreErrorKind::Denied),
            other @ ConditionsError::Ignored { .. } => panic!("{other}"),
        }
        assert_eq!(asked(server.faults(), &["PUT"]), 1);
    }
}
