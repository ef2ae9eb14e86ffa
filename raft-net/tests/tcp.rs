//! Nodes that talk over real sockets on loopback.
//!
//! One program, so that what the tests share is compiled once. It knows no test itself.

#[path = "tcp/bulk.rs"]
mod bulk;
#[path = "tcp/conformance.rs"]
mod conformance;
#[path = "tcp/strangers.rs"]
mod strangers;
#[path = "tcp/support.rs"]
mod support;
#[path = "tcp/talk.rs"]
mod talk;
#[path = "tcp/tls.rs"]
mod tls;
