//! The log on a disk that loses, tears, fails, fills up and lies: what was acknowledged is there
//! afterwards, and nothing that was never written.
//!
//! The log is seen through its port, and compared with a model in memory. This file knows nothing
//! of how it lies on the disk; only `log_crash/damage.rs` knows the names of its files.

#[path = "log_crash/answers.rs"]
mod answers;
#[path = "log_crash/damage.rs"]
mod damage;
#[path = "log_crash/node.rs"]
mod node;
#[path = "log_crash/prefixes.rs"]
mod prefixes;
#[path = "log_crash/regressions.rs"]
mod regressions;
#[path = "log_crash/walks.rs"]
mod walks;
