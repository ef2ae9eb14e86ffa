//! etcd's protocol, as `proto/` defines it, compiled ahead of time: nobody needs a compiler for it.
//!
//! `cargo run -p raft-tests --features protos --bin protos` writes `generated/` anew; a test says
//! when that is due. It does not know who speaks it.
#![expect(
    missing_docs,
    clippy::all,
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    unused_qualifications,
    reason = "the code is generated; its names are etcd's, and documented there"
)]

/// The definitions themselves, as a `FileDescriptorSet`: what JSON is translated by.
pub const DESCRIPTORS: &[u8] = include_bytes!("../generated/descriptors.bin");

/// Keys, values, events.
pub mod mvccpb {
    include!("../generated/mvccpb.rs");
}

/// Users, roles, permissions.
pub mod authpb {
    include!("../generated/authpb.rs");
}

/// The services of a member.
pub mod etcdserverpb {
    include!("../generated/etcdserverpb.rs");
}

/// Locks.
pub mod v3lockpb {
    include!("../generated/v3lockpb.rs");
}

/// Elections.
pub mod v3electionpb {
    include!("../generated/v3electionpb.rs");
}
