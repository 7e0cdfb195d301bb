//! `mysql.restore-physical`: a server's files out of a store, prepared, put in place, started and compared.
//!
//! ```text
//! full ─ increments ─→ sha256 ─ unpack ─→ folder beside ─ prepare ─→ data directory ─ owner ─ start ─→ position, inventory
//!        source.rs     unpack.rs          prepare.rs                 place.rs                         prove.rs
//! ```
//!
//! **Binary log.** The server ends with empty logs at the backup's GTID position, also where logs came along with the
//! files: what it writes next is another history than what followed the backup. Logs that only the replaced server has
//! are archived before (replaced.rs), and one that was written to before it was fenced is found out (early.rs).
//!
//! **Crashes.** A marker in the data directory says how far it got (marker.rs). Until the files are prepared it begins
//! anew; from then on it goes on where it was: files are moved, not copied, and moving again what has been moved does
//! nothing. What was in the data directory is moved beside it, never removed.

mod early;
mod marker;
mod params;
mod place;
mod prepare;
mod prove;
mod replaced;
mod run;
mod source;
mod step;
mod unpack;

#[cfg(test)]
mod tests;

pub(crate) use marker::{MARKER, restored_by};
pub use params::{Outputs, Params, SandboxFiles};
pub use step::RestorePhysical;
