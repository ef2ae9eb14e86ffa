//! Clusters in which everything happens, every server recorded, every recording replayed.

use raft_core::event::RoleName;
use raft_core::recorder::{Moment, replay};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{add, learn, remove};

/// A `splitmix64` stream: which step comes next.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % sides
    }
}

/// What was replayed, of all servers and lives.
#[derive(Debug, Default)]
struct Seen {
    recordings: usize,
    checkpoints: u64,
    events: u64,
    snapshots_received: usize,
    roles: [usize; 4],
}

/// Lets a cluster of 5 have `steps` steps of trouble, and records all of it.
fn storm(seed: u64, steps: usize, checkpoint_every: usize) -> Cluster {
    let mut dice = Dice(seed);
    let mut cluster = Cluster::with(3, |config| {
        config.tail_bytes_max = 400;
        config.append_bytes_max = 150;
        config.inflight_messages_max = 2;
    });
    cluster.add_blank(4);
    cluster.add_blank(5);
    (1..=5).for_each(|id| cluster.record(id, checkpoint_every));
    let mut down = None;
    for step in 0..steps {
        let id = 1 + dice.roll(5);
        let leader = cluster.leader().filter(|leader| Some(*leader) != down);
        let at = leader.unwrap_or(1);
        let up = Some(id) != down;
        let leads = Some(at) != down;
        match dice.roll(16) {
            0..5 if leads => drop(cluster.propose(at, &format!("command {step}"))),
            5 if leads => drop(cluster.read(at)),
            6 if up => drop(cluster.read(id)),
            7 if leads => drop(cluster.transfer(at, id)),
            8 if leads => {
                let change = [add(id), learn(id), remove(id)];
                let which = usize::try_from(dice.roll(3)).expect("small");
                cluster.change(at, vec![change[which].clone()]);
            }
            9 if up && may_snapshot(&cluster, id) => {
                cluster.snapshot(id);
                let commit = cluster.commit(id);
                cluster.compact(id, commit);
            }
            10 if down.is_none() => {
                cluster.crash(id);
                down = Some(id);
            }
            10 | 11 => down.take().into_iter().for_each(|id| cluster.restart(id)),
            12 => cluster.isolate(id),
            13 => cluster.heal(),
            14 if up => cluster.campaign(id),
            _ => cluster.run(100 + dice.roll(2000)),
        }
    }
    cluster.heal();
    down.take().into_iter().for_each(|id| cluster.restart(id));
    cluster.run(5000);
    cluster
}

/// A server that joined and does not know yet who belongs to the cluster can't snapshot.
fn may_snapshot(cluster: &Cluster, id: u64) -> bool {
    let raft = cluster.raft(id);
    let applied = raft.status(cluster.now()).applied;
    applied.0 > 2 && raft.snapshot_meta(applied).is_some()
}

fn replay_all(cluster: &Cluster, seed: u64, seen: &mut Seen) {
    for id in 1..=5 {
        for (life, bytes) in cluster.recordings(id).iter().enumerate() {
            let summary = replay(bytes, |moment| {
                if let Moment::Checkpoint { raft, .. } = &moment {
                    seen.roles[match raft.role() {
                        RoleName::Follower => 0,
                        RoleName::PreCandidate => 1,
                        RoleName::Candidate => 2,
                        RoleName::Leader => 3,
                    }] += 1;
                }
                if let Moment::Event { event, .. } = &moment {
                    let is_received = matches!(event, raft_core::Event::SnapshotReceived(_));
                    seen.snapshots_received += usize::from(is_received);
                }
            });
            let summary = summary
                .unwrap_or_else(|error| panic!("seed {seed}, life {life} of server {id}: {error}"));
            assert_eq!((summary.torn_bytes, summary.unflushed), (0, 0));
            seen.recordings += 1;
            seen.checkpoints += summary.checkpoints;
            seen.events += summary.events;
        }
    }
}

/// Each checkpoint is compared with the state replayed, which goes on from what was read back: so
/// with one after every flush, every state that occurs is encoded, decoded, compared and continued.
#[test]
fn every_state_that_occurs_is_read_back_equal_and_continues_alike() {
    let mut seen = Seen::default();
    for seed in 1..=6 {
        replay_all(&storm(seed, 150, 1), seed, &mut seen);
    }
    assert!(seen.events > 5_000, "{seen:?}");
    assert!(seen.roles.iter().all(|count| *count > 20), "{seen:?}");
}

#[test]
fn recordings_replay_through_elections_snapshots_changes_of_members_and_restarts() {
    let mut seen = Seen::default();
    for (seed, checkpoint_every) in (100..140).zip([3, 50, usize::MAX].into_iter().cycle()) {
        replay_all(&storm(seed, 150, checkpoint_every), seed, &mut seen);
    }
    assert!(seen.events > 30_000, "{seen:?}");
    assert!(
        seen.recordings > 5 * 40 + 100,
        "restarts are in it: {seen:?}"
    );
    assert!(seen.snapshots_received > 20, "{seen:?}");
}
