//! Object stores on this machine, for tests and the demo: they speak the providers' protocols over loopback.
//!
//! S3 is `s3s-fs`, a server of its own project, made strict where it is not, and moto for what that one has not.
//! Google Cloud Storage is written here, from its public documentation. Nothing here is part of the product.

mod faults;
mod gcs;
mod moto;
mod percent;
mod proxy;
mod s3;
mod serving;
mod strict;

pub use faults::{Fault, Faults};
pub use gcs::GcsServer;
pub use moto::{MOTO, MotoServer};
pub use proxy::{Break, FaultProxy, Way};
pub use s3::{ACCESS_KEY, S3Server, SECRET_KEY};
