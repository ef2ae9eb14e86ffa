//! What the core itself says, whatever its seed: a decoder must not refuse it.
//!
//! It deliberately knows nothing of what strangers send: see `refusals.rs`.

use raft_core::port::Parcel;
use raft_core::{
    Config, Event, GroupId, Incarnation, Member, Membership, NodeId, Output, Raft, Recovered, Time,
};
use raft_net::wire::{VERSION_MAX, VERSION_MIN};

use crate::{decode, encode};

/// Half of the seeds once numbered the first question beyond what the decoder takes, so that a node
/// was never elected, and its reads were never confirmed.
#[test]
fn the_first_question_of_a_node_is_understood_whatever_its_seed() {
    for seed in 1..=256 {
        let members = (1..=3).map(|id| (NodeId(id), Member::at(format!("node-{id}"))));
        let founding = Recovered::bootstrap(Incarnation(1), Membership::of_voters(members));
        let config = Config {
            seed,
            ..Config::default()
        };
        let mut out = Output::default();
        let raft = Raft::new(NodeId(1), config, founding, Time(0), &mut out);
        let mut raft = raft.expect("the defaults work");
        raft.step(Time(1), Event::Campaign, &mut out);
        raft.flush(Time(1), &mut out);
        assert_eq!(
            out.messages.len(),
            2,
            "seed {seed}: one to each other voter"
        );
        for version in VERSION_MIN..=VERSION_MAX {
            for envelope in &out.messages {
                let parcels = vec![(GroupId(1), Parcel::Consensus(envelope.clone()))];
                let heard = decode(&encode(version, &parcels));
                assert_eq!(heard, Ok(parcels), "seed {seed}, version {version}");
            }
        }
    }
}
