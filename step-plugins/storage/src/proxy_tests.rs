//! Stores behind a way that breaks: what is sent and read over it is whole in the end, or was never there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use rekindle_emulators::{Break, FaultProxy, Faults, GcsServer, S3Server, Way};
use rekindle_engine::host::{ObjectStore, StoreErrorKind};

use crate::contract::{MIB, key, noise};
use crate::fault_bench::{asked, listed, put, read};
use crate::{gcs, s3};

const AFTER_BYTES: u64 = 3 << 20;
/// What all tries of a test take together, with room for a machine that has much else to do.
const BOUND: Duration = Duration::from_mins(1);

/// A store, and the way to it.
struct Bench<Server> {
    proxy: FaultProxy,
    store: Arc<dyn ObjectStore>,
    faults: Faults,
    /// Words that only the requests which send parts have.
    part: &'static str,
    _server: Server,
}

async fn through_s3() -> Bench<S3Server> {
    let server = S3Server::start(s3::tests::BUCKET).await.unwrap();
    let proxy = FaultProxy::before(server.endpoint()).await.unwrap();
    let config = s3::tests::config(proxy.endpoint(), "s3://backups/mysql");
    let store = Arc::new(s3::tests::open_as(&config, rekindle_emulators::SECRET_KEY).await);
    Bench { proxy, store, faults: server.faults().clone(), part: "partNumber=", _server: server }
}

async fn through_gcs() -> Bench<GcsServer> {
    let server = GcsServer::start(gcs::tests::BUCKET).await.unwrap();
    let proxy = FaultProxy::before(server.endpoint()).await.unwrap();
    let store =
        Arc::new(gcs::tests::open_as(&gcs::tests::config(proxy.endpoint(), "gs://backups/mysql")).await);
    Bench { proxy, store, faults: server.faults().clone(), part: "uploadType=", _server: server }
}

impl<Server> Bench<Server> {
    /// Sends an object in three parts over a way that breaks in one of them; it arrives, and one part was sent twice.
    async fn sends_a_part_again(&self, how: Break) {
        let bytes = noise(12 * MIB);
        self.proxy.break_after(Way::Up, AFTER_BYTES, how);
        put(&*self.store, "large", &bytes).await.unwrap();
        assert_eq!(self.proxy.broken(), 1);
        assert!(read(&*self.store, "large").await.unwrap() == bytes);
        assert_eq!(asked(&self.faults, &[self.part]), 4);
        assert_eq!(listed(&*self.store).await, ["large"]);
    }

    /// Reads an object over a way that breaks; the read goes on from the byte it had.
    async fn goes_on_reading(&self, how: Break) {
        let bytes = noise(7 * MIB);
        put(&*self.store, "a", &bytes).await.unwrap();
        let before = asked(&self.faults, &["GET", "bytes="]);
        self.proxy.break_after(Way::Down, AFTER_BYTES, how);
        assert!(read(&*self.store, "a").await.unwrap() == bytes);
        assert_eq!(self.proxy.broken(), 1);
        assert_eq!(asked(&self.faults, &["GET", "bytes="]), before + 1);
    }

    /// A way that breaks each time ends in an error, within bounds, and nothing is there.
    async fn gives_up(&self, how: Break) {
        for _ in 0..100 {
            self.proxy.break_after(Way::Up, 50_000, how);
        }
        let begun = Instant::now();
        let told = put(&*self.store, "a", &noise(100_000)).await.unwrap_err();
        assert_eq!(told.kind, StoreErrorKind::Unavailable, "{told}");
        assert!(told.to_string().contains("check the network"), "{told}");
        assert!(begun.elapsed() < BOUND, "{:?}", begun.elapsed());
        assert!(listed(&*self.store).await.is_empty());
    }

    /// Connections that are refused are asked for again.
    async fn comes_in_later(&self) {
        self.proxy.refuse(2);
        put(&*self.store, "a", b"x").await.unwrap();
        assert!(self.proxy.broken() >= 1);
        assert_eq!(listed(&*self.store).await, ["a"]);
    }

    /// A slow way is no broken one.
    async fn takes_its_time(&self) {
        self.proxy.delay(Duration::from_millis(100));
        put(&*self.store, "a", &noise(50_000)).await.unwrap();
        assert!(read(&*self.store, "a").await.unwrap() == noise(50_000));
        assert!(self.store.head(&key("a")).await.unwrap().is_some());
        assert_eq!(self.proxy.broken(), 0);
    }
}

macro_rules! over_a_broken_way {
    ($provider:ident, $bench:ident) => {
        mod $provider {
            use rekindle_emulators::Break;

            use super::$bench;

            #[tokio::test]
            async fn a_part_that_is_cut_off_is_sent_again() {
                $bench().await.sends_a_part_again(Break::Cut).await;
            }

            #[tokio::test]
            async fn a_part_that_stands_still_is_sent_again() {
                $bench().await.sends_a_part_again(Break::Stall).await;
            }

            #[tokio::test]
            async fn a_read_that_is_cut_off_goes_on() {
                $bench().await.goes_on_reading(Break::Cut).await;
            }

            #[tokio::test]
            async fn a_read_that_stands_still_goes_on() {
                $bench().await.goes_on_reading(Break::Stall).await;
            }

            #[tokio::test]
            async fn a_body_that_ends_early_after_a_good_status_is_not_its_end() {
                $bench().await.goes_on_reading(Break::End).await;
            }

            #[tokio::test]
            async fn a_way_that_is_cut_each_time_is_given_up_and_leaves_nothing() {
                $bench().await.gives_up(Break::Cut).await;
            }

            #[tokio::test]
            async fn a_way_that_stands_still_each_time_is_given_up_in_time() {
                $bench().await.gives_up(Break::Stall).await;
            }

            #[tokio::test]
            async fn a_refused_connection_is_asked_for_again() {
                $bench().await.comes_in_later().await;
            }

            #[tokio::test]
            async fn a_slow_way_is_not_given_up() {
                $bench().await.takes_its_time().await;
            }
        }
    };
}

over_a_broken_way!(over_s3, through_s3);
over_a_broken_way!(over_gcs, through_gcs);
