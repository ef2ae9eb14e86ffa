//! What the network counts: what went through, and what did not, and why.
//!
//! This file does not know who reads the counters, or how they are shown.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// What was counted since the node's network was bound.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
        pub struct Counters {
            $($(#[doc = $doc])* pub $name: u64,)*
        }

        /// The counters at work.
        #[derive(Debug, Default)]
        pub(crate) struct Tally {
            $(pub(crate) $name: Count,)*
        }

        impl Tally {
            pub(crate) fn snapshot(&self) -> Counters {
                Counters { $($name: self.$name.0.load(Ordering::Relaxed),)* }
            }
        }

        impl Counters {
            /// Each counter with its name, for whoever shows them all.
            #[must_use]
            pub fn named(&self) -> Vec<(&'static str, u64)> {
                vec![$((stringify!($name), self.$name),)*]
            }
        }
    };
}

counters! {
    /// Parcels written to a connection.
    sent,
    /// Bytes written to connections of the consensus lane.
    sent_bytes,
    /// Writes that these parcels took.
    writes,
    /// Parcels delivered to an inbox.
    received,
    /// Bytes read from connections of the consensus lane.
    received_bytes,
    /// Parcels dropped because too much waited for the peer.
    dropped_queue_full,
    /// Parcels dropped because they fit into no frame.
    dropped_too_large,
    /// Parcels dropped because the peer could not be reached, or nobody knows where it is.
    dropped_unreachable,
    /// Parcels that came for a group that is not here, or has stopped.
    dropped_unknown_group,
    /// Parcels that came from or for a node other than the connection's.
    refused_sender,
    /// Handshakes refused, by either end, because no version is spoken by both.
    refused_version,
    /// Handshakes refused, by either end, because the other belongs to another cluster.
    refused_cluster,
    /// Handshakes refused, by either end, because the other is not the node that was meant.
    refused_node,
    /// Connections that TLS refused, at either end.
    refused_tls,
    /// Connections refused because there were too many of them.
    refused_limit,
    /// Connections closed because of what came: no frame, too long a frame, or no sense in it.
    bad_frames,
    /// Connections that took too long to say who they are.
    handshake_timeouts,
    /// Connections closed because nothing came for too long.
    idle_timeouts,
    /// Connections closed because the peer took nothing for too long.
    write_timeouts,
    /// Connections taken.
    accepted,
    /// Times that the system would not take a connection.
    accepts_failed,
    /// Attempts to reach a peer.
    dials,
    /// Those that failed.
    dials_failed,
    /// Snapshots that others opened here.
    bulk_sessions,
    /// Bytes of snapshots sent.
    bulk_sent_bytes,
    /// Bytes of snapshots received.
    bulk_received_bytes,
    /// Tasks that panicked; the first one shuts the network down.
    panics,
}

/// One counter. Relaxed: nothing is ordered by it.
#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn add(&self, count: usize) {
        self.0.fetch_add(count as u64, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_names_what_was_counted() {
        let tally = Tally::default();
        tally.dials.one();
        tally.sent_bytes.add(7);
        let counters = tally.snapshot();
        assert_eq!((counters.dials, counters.sent_bytes), (1, 7));
        assert!(counters.named().contains(&("sent_bytes", 7)));
    }
}
