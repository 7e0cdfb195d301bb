//! What every end-to-end test needs: the program in a folder of its own, and a cluster to work on.

mod cluster;
mod large;
mod program;
mod terminal;
mod transfers;

pub(crate) use cluster::{CANARY, Cluster, kill, server_pid};
pub(crate) use large::{Large, large};
pub(crate) use program::{Answer, Project};
pub(crate) use terminal::Terminal;
pub(crate) use transfers::{MIB, Transfers, noise};

/// Makes a fact, an `async fn` of a flavour, a test for each of them: `fact::mariadb` and `fact::mysql`. The second runs in the
/// lane of that name. Two threads: the program is waited for in one, while servers of the test answer it in the other.
macro_rules! on_both {
    ($fact:ident) => {
        mod $fact {
            use rekindle_backup::manifest::Flavour;

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mariadb() {
                super::$fact(Flavour::Mariadb).await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn mysql() {
                super::$fact(Flavour::Mysql).await;
            }
        }
    };
}
pub(crate) use on_both;
