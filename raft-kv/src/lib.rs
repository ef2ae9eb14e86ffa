//! A replicated key-value store: the multi-version state machine that users get for free.
//!
//! Nothing is built here yet. This crate will implement the core's state machine port.
//! It deliberately knows nothing of the log's disk format, of the network, or of who leads.
