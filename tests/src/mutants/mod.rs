//! Mutants: real-world bugs of Raft and of logs, planted one at a time, to test the tests.
//!
//! Each file in `tests/mutants/` names a bug, where it was seen, and a few lines of the core or of
//! the log with what takes their place. All mutants are woven into one copy of the workspace, each
//! behind a switch, so that they cost one compilation together; the environment variable
//! `RAFT_MUTANT` turns one on. The shipped sources know nothing of this.

pub mod catalogue;
pub mod hunt;
pub mod weave;
