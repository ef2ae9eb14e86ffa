//! What the test programs of this workspace share.
//!
//! It deliberately knows nothing of how the crates work inside: it sees their public faces only.

pub mod campaign;
pub mod cluster;
pub mod crash_disk;
pub mod faulty;
pub mod fuzz;
pub mod kv;
pub mod log_model;
pub mod model;
pub mod mutants;
#[cfg(feature = "node")]
pub mod processes;
pub mod replay;
pub mod storm;
pub mod transcript;
