//! Members that exist only in a configuration, and how a server learns of it.
//!
//! Used by the tests of the rules about members.

use raft_core::message::AppendEntries;
use raft_core::{Index, Membership, Message, Payload, Position, Round};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::entry;

/// Servers that nobody has started, but that messages may be sent to.
pub(crate) fn absent(cluster: &mut Cluster, ids: &[u64]) {
    for id in ids {
        cluster.add_blank(*id);
        cluster.crash(*id);
    }
}

/// A configuration as the only entry of a message, in `term` after `prev`.
pub(crate) fn configuration(prev: Position, term: u64, membership: Membership) -> Message {
    let mut brings = entry(prev.index.0 + 1, term);
    brings.payload = Payload::Membership(membership.into());
    Message::AppendEntries(AppendEntries {
        prev,
        commit: Index(0),
        round: Round(0),
        entries: vec![brings].into(),
    })
}
