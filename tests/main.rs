//! End-to-end tests: the real program against real servers, one file per feature.

// A test fails by panicking; so do the helpers here, which no test attribute marks.
#![allow(clippy::unwrap_used)]

mod approve;
mod approve_here;
mod beside;
mod buckets;
mod cancel;
mod catalogue;
mod composites;
mod damage;
mod drill;
mod encrypted;
mod environments;
mod follow;
mod import;
mod large;
mod locks;
mod mistakes;
mod moto;
mod partial;
mod parts;
mod physical;
mod pitr;
mod plan;
mod plugins;
mod recovery;
mod replan;
mod replica_tls;
mod reset_replication;
mod saved_plans;
mod schema_only;
mod secrets;
mod store_options;
mod stored_runs;
mod support;
mod take_over;
mod transfer;
