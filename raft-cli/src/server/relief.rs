//! Hands leadership over when this member's own disk is full and another's is not: a leader that
//! can't write holds up everybody. It does not know when a disk is full; the alarm says so.

use std::time::Duration;

use raft_core::{Node, NodeId};
use raft_kv::{AlarmKind, Store};
use tokio::time::sleep;

/// How often it looks.
const PAUSE: Duration = Duration::from_secs(1);
/// How long it waits after an attempt: a transfer that failed once most likely fails again.
const REST: Duration = Duration::from_secs(10);

/// Looks after one member, for as long as it is polled.
pub(crate) async fn run(node: Node, store: Store) {
    loop {
        sleep(PAUSE).await;
        let Some(target) = target(&node, &store) else {
            continue;
        };
        tracing::warn!(%target, "the disk is full: leadership is handed over");
        if let Err(error) = node.transfer_leadership(Some(target)).await {
            tracing::warn!(%error, "leadership was not handed over");
        }
        sleep(REST).await;
    }
}

/// Who is to lead instead of this member: of those with room the one with the longest log; nobody,
/// if this one does not lead, has room, or all are full.
fn target(node: &Node, store: &Store) -> Option<NodeId> {
    let status = node.status();
    if status.core.leader != Some(node.id()) {
        return None;
    }
    let alarms = store.alarms().ok()?;
    let is_full = |id: NodeId| alarms.contains(&(id, AlarmKind::NoSpace));
    if !is_full(node.id()) {
        return None;
    }
    let membership = &status.core.membership.1;
    let peers = status.core.peers.iter();
    let roomy = peers.filter(|peer| membership.is_voter(peer.id) && !is_full(peer.id));
    roomy.max_by_key(|peer| peer.matched).map(|peer| peer.id)
}
