//! What is ours beside etcd's verbs: to try, to measure, to understand and to repair clusters.

pub(crate) mod bench;
pub(crate) mod check;
pub(crate) mod demo;
pub(crate) mod explain;
pub(crate) mod log;
pub(crate) mod recover;
mod reports;
pub(crate) mod restore;
pub(crate) mod tls;
pub(crate) mod top;
