//! `mysql.restore`: a logical backup into a server, fenced until it is proven whole.
//!
//! ```text
//! object ─ sha256 ─ gunzip ─ lexer ─→ statements ─→ one session ─→ inventory = manifest's ─→ GTID ─→ unfenced
//!          reader.rs                  load.rs        fence.rs                       position.rs
//! ```

mod accounts;
mod fence;
mod load;
mod params;
mod position;
mod reader;
mod run;

pub use params::{Outputs, Params};
pub use run::Restore;

#[cfg(test)]
mod tests;
