//! Whether all replicas are the same in the end, and what they should be.
//!
//! It does not know how they came there.

use raft_core::NodeId;
use raft_kv::keys::Keys;
use raft_kv::request::RangeRequest;
use raft_kv::rows::State;
use raft_kv::{Revision, Store};
use raft_tests::storm::RECOVERY;
use tokio::time::timeout;

use super::program::World;
use super::truth::Chronicle;

/// Waits until all members have applied the same; returns their state.
pub(crate) async fn agree(world: &World) -> Result<State, String> {
    let agreed = async {
        loop {
            if let Some(states) = states(world)
                && let Some((_, state)) = states.first()
                && states
                    .iter()
                    .all(|(_, other)| other.applied == state.applied)
            {
                let differs = states.iter().any(|(_, other)| other != state);
                return if differs {
                    Err(format!("members differ: {states:?}"))
                } else {
                    Ok(*state)
                };
            }
            world.pause(10, 50).await;
        }
    };
    let agreed = timeout(RECOVERY, agreed).await;
    agreed.map_err(|_| format!("members do not catch up: {:?}", states(world)))?
}

/// Those of all members, as the leader knows them.
fn states(world: &World) -> Option<Vec<(NodeId, State)>> {
    let state = |(id, store): (NodeId, Store)| (id, store.state().expect("its rows"));
    Some(members(world)?.into_iter().map(state).collect())
}

pub(crate) fn members(world: &World) -> Option<Vec<(NodeId, Store)>> {
    let membership = world.leader()?.status().core.membership.1.clone();
    let store = |(id, _)| Some((id, world.program.store(id)?));
    membership.members().map(store).collect()
}

/// All members hold what follows from all that happened.
pub(crate) fn check(world: &World, state: &State, chronicle: &Chronicle) -> Result<(), String> {
    if chronicle.last != state.revision {
        let (last, revision) = (chronicle.last, state.revision);
        return Err(format!("{last} was seen last, but it is {revision}"));
    }
    let members = members(world).ok_or("nobody leads in the end")?;
    let middle = Revision(state.compacted.0.midpoint(state.revision.0));
    for at in [Revision::NONE, middle] {
        let hash = |(id, store): &(NodeId, Store)| (*id, store.hash(at).expect("its rows"));
        let hashes: Vec<_> = members.iter().map(hash).collect();
        let is_same = hashes
            .iter()
            .all(|(_, hash)| hash.is_ok() && *hash == hashes[0].1);
        if !is_same {
            return Err(format!("the hashes of {at} are {hashes:?}"));
        }
    }
    for (id, store) in &members {
        let (revision, all) = store
            .range(&RangeRequest::of(Keys::all()))
            .expect("its rows");
        let all = all.map_err(|refusal| refusal.to_string())?;
        if all.kvs != chronicle.at(&Keys::all(), revision) {
            return Err(format!("{id} does not hold what happened"));
        }
    }
    Ok(())
}
