//! A member of a cluster as a process: assembled from the other crates, and spoken to over gRPC and
//! HTTP on one port.

pub mod api;
pub(crate) mod assemble;
mod auth;
mod common_name;
pub mod config;
pub(crate) mod engine;
mod forward;
mod founders;
pub(crate) mod founding;
mod gate;
pub(crate) mod home;
pub(crate) mod http;
mod leadership;
mod listen;
pub mod logging;
mod member;
pub(crate) mod metrics;
mod relief;
pub mod report;
mod run;
#[cfg(test)]
mod testing;
mod tls;

pub use run::{Server, run};
