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
