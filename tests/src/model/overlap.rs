//! Whether configurations that follow each other can ever decide apart, by trying all quorums.
//!
//! It deliberately has its own idea of what a quorum is.

use std::collections::BTreeSet;
use std::sync::Arc;

use raft_core::{Index, Membership, NodeId};

/// Checks each configuration with the next.
pub(super) fn check(configurations: &[(Index, Arc<Membership>)]) -> Result<(), String> {
    for pair in configurations.windows(2) {
        if let [(_, before), (index, after)] = pair
            && !before.is_blank()
            && !overlap(before, after)
        {
            return Err(format!("{before:?} and then, at {index}, {after:?}"));
        }
    }
    Ok(())
}

/// Whether `servers` can decide under `membership`.
pub(super) fn is_quorum(membership: &Membership, servers: &BTreeSet<NodeId>) -> bool {
    let majority =
        |voters: &BTreeSet<NodeId>| 2 * voters.intersection(servers).count() > voters.len();
    majority(membership.voters()) && (!membership.is_joint() || majority(membership.outgoing()))
}

/// Two configurations overlap if no set of servers is a quorum of one while all others are a
/// quorum of the other.
fn overlap(before: &Membership, after: &Membership) -> bool {
    let all: Vec<NodeId> = [before, after]
        .iter()
        .flat_map(|membership| membership.voters().union(membership.outgoing()))
        .copied()
        .collect::<BTreeSet<_>>()
        .into_iter()
        .collect();
    (0_u32..1 << all.len()).all(|chosen| {
        let (within, without) = all
            .iter()
            .enumerate()
            .partition::<Vec<_>, _>(|(at, _)| chosen & 1 << at != 0);
        let set = |part: Vec<(usize, &NodeId)>| part.into_iter().map(|(_, id)| *id).collect();
        !(is_quorum(before, &set(within)) && is_quorum(after, &set(without)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::Member;

    fn voters(ids: &[u64]) -> Membership {
        Membership::of_voters(ids.iter().map(|id| (NodeId(*id), Member::at(""))))
    }

    #[test]
    fn two_servers_at_once_can_part_and_a_joint_configuration_cannot() {
        let (small, large) = (voters(&[1, 2]), voters(&[1, 2, 3, 4, 5]));
        assert!(!overlap(&small, &large));
        let joint = small.towards(&large);
        assert!(overlap(&small, &joint) && overlap(&joint, &large));
        assert!(overlap(&voters(&[1, 2]), &voters(&[1, 2, 3])));
    }
}
