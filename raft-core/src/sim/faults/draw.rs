//! Draws a run from a seed, swarm style: every seed has its own mix of faults, its own rates and
//! sizes, most of them off or ordinary, so that no fault hides what another would have shown.
//!
//! This file does not know what a fault does, only within which bounds it is worth trying.

use super::{Fault, FaultAction, Knobs, Plan, Target};
use crate::sim::rng::{MILLION, Rng};

const MS: u64 = 1_000_000;
/// No run has more nodes.
pub(super) const NODES_MAX: u64 = 9;

/// A timed fault with the bounds of its span in hundredths of an election timeout.
struct Kind {
    fault: Fault,
    span: (u64, u64),
    needs: Needs,
}

/// Where a fault makes sense.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Needs {
    Nothing,
    /// A clock may do as it likes only where no lease relies on it.
    FreeClocks,
    /// The finale with a broken minority wants a configuration that stands still.
    Healing,
}

const fn kind(fault: Fault, span: (u64, u64), needs: Needs) -> Kind {
    Kind { fault, span, needs }
}

const KINDS: &[Kind] = &[
    kind(Fault::Crash, (1, 1500), Needs::Nothing),
    kind(Fault::CrashInWrite, (1, 1000), Needs::Nothing),
    kind(Fault::CrashInEffects, (1, 1000), Needs::Nothing),
    kind(Fault::PowerCut, (1, 500), Needs::Nothing),
    kind(Fault::Freeze, (5, 1000), Needs::Nothing),
    kind(Fault::ClockRate, (100, 3000), Needs::Nothing),
    kind(Fault::ClockJump, (0, 0), Needs::FreeClocks),
    kind(Fault::ClockFreeze, (50, 1000), Needs::FreeClocks),
    kind(Fault::Isolate, (50, 1500), Needs::Nothing),
    kind(Fault::Mute, (50, 1500), Needs::Nothing),
    kind(Fault::Deafen, (50, 1500), Needs::Nothing),
    kind(Fault::Partition, (50, 2000), Needs::Nothing),
    kind(Fault::Bridge, (100, 2000), Needs::Nothing),
    kind(Fault::Ring, (100, 2000), Needs::Nothing),
    kind(Fault::CutLink, (50, 2000), Needs::Nothing),
    kind(Fault::DropKind, (50, 1000), Needs::Nothing),
    kind(Fault::DiskStall, (10, 1500), Needs::Nothing),
    kind(Fault::Wipe, (1, 500), Needs::Healing),
    kind(Fault::LoseTail, (1, 500), Needs::Healing),
    kind(Fault::Compact, (0, 0), Needs::Nothing),
    kind(Fault::ChangeMembers, (0, 0), Needs::Healing),
    kind(Fault::RemoveLeader, (0, 0), Needs::Healing),
    kind(Fault::AddLearner, (0, 0), Needs::Healing),
    kind(Fault::Promote, (0, 0), Needs::Healing),
    kind(Fault::Readd, (0, 0), Needs::Healing),
    kind(Fault::AbortChange, (0, 0), Needs::Healing),
    kind(Fault::Transfer, (0, 0), Needs::Nothing),
    kind(Fault::Campaign, (0, 0), Needs::Nothing),
];

impl Plan {
    /// The run of this seed, with so many events before its finale.
    #[must_use]
    pub fn drawn(seed: u64, events: u64) -> Self {
        let mut rng = Rng::new(seed ^ 0x5157_4152_4d21);
        let mut knobs = Knobs {
            events,
            ..Knobs::CALM
        };
        draw_cluster(&mut rng, &mut knobs);
        draw_limits(&mut rng, &mut knobs);
        draw_network(&mut rng, &mut knobs);
        draw_disk(&mut rng, &mut knobs);
        draw_clients(&mut rng, &mut knobs);
        let actions = draw_actions(&mut rng, &knobs);
        Self {
            seed,
            knobs,
            actions,
        }
    }
}

/// True so many times in a hundred.
fn percent(rng: &mut Rng, chance: u64) -> bool {
    rng.chance(chance * (MILLION / 100))
}

/// A rate between these, or, more often than not, none.
fn rate(rng: &mut Rng, low: u64, high: u64) -> u64 {
    if percent(rng, 45) {
        rng.magnitude(low, high)
    } else {
        0
    }
}

fn draw_cluster(rng: &mut Rng, knobs: &mut Knobs) {
    knobs.founders = rng
        .pick(&[1, 2, 3, 3, 3, 3, 3, 4, 5, 5, 7])
        .copied()
        .unwrap_or(3);
    knobs.finale = u64::from(percent(rng, 15) && knobs.founders >= 3);
    let spares = if percent(rng, 70) {
        rng.between(1, 2)
    } else {
        0
    };
    knobs.nodes = (knobs.founders + spares).min(NODES_MAX);
    knobs.election_ns = rng.magnitude(100, 1000) * MS;
    knobs.election_spread_ns = knobs.election_ns * rng.between(25, 150) / 100;
    knobs.heartbeat_ns = knobs.election_ns / rng.between(3, 10);
    if percent(rng, 35) {
        knobs.lease_per_mille = rng.pick(&[1, 10, 50, 100, 200]).copied().unwrap_or(10);
    }
    knobs.transfer_timeout_ns = knobs.election_ns * rng.between(50, 300) / 100;
    knobs.membership_timeout_ns = knobs.election_ns * rng.between(3, 30);
    knobs.write_stall_ns = knobs.election_ns * rng.between(1, 10);
    knobs.priorities = u64::from(percent(rng, 25));
}

/// Limits are usually roomy; a seed makes some of them so tight that they are met all the time.
fn draw_limits(rng: &mut Rng, knobs: &mut Knobs) {
    knobs.catch_up_entries = rng.magnitude(1, 100);
    if percent(rng, 50) {
        knobs.tail_bytes = rng.magnitude(1, 16 << 10);
    }
    if percent(rng, 40) {
        knobs.append_bytes = rng.magnitude(1, 4 << 10);
    }
    if percent(rng, 40) {
        knobs.inflight_messages = rng.magnitude(1, 16);
    }
    if percent(rng, 25) {
        knobs.inflight_bytes = rng.magnitude(64, 8 << 10);
    }
    if percent(rng, 25) {
        knobs.uncommitted_bytes = rng.magnitude(200, 8 << 10);
    }
    if percent(rng, 25) {
        knobs.apply_bytes = rng.magnitude(1, 4 << 10);
    }
    if percent(rng, 15) {
        knobs.reads = rng.magnitude(1, 16);
    }
    knobs.snapshot_every = if percent(rng, 80) {
        rng.magnitude(10, 1000)
    } else {
        0
    };
    knobs.keep_entries = if percent(rng, 50) {
        rng.magnitude(1, 200)
    } else {
        0
    };
    knobs.machine_sync_every = if percent(rng, 40) {
        rng.magnitude(1, 500)
    } else {
        0
    };
}

fn draw_network(rng: &mut Rng, knobs: &mut Knobs) {
    knobs.delay_ns = knobs.election_ns / rng.magnitude(20, 1000);
    knobs.jitter_ns = knobs.delay_ns * rng.between(0, 300) / 100;
    knobs.tail_ppm = rate(rng, 500, 50_000);
    knobs.tail_ns = rng.magnitude(knobs.delay_ns * 4, knobs.election_ns * 4);
    knobs.loss_ppm = rate(rng, 1000, 150_000);
    knobs.duplicate_ppm = rate(rng, 1000, 100_000);
    knobs.replay_ppm = rate(rng, 500, 20_000);
    knobs.ordered = u64::from(percent(rng, 40));
    knobs.batch = rng.magnitude(1, 64);
    knobs.batch_ns = if percent(rng, 60) {
        knobs.delay_ns * rng.between(0, 100) / 100
    } else {
        0
    };
    knobs.early_tick_ppm = rate(rng, 100, 20_000);
    knobs.chunks = rng.magnitude(1, 20);
    knobs.chunk_ns = knobs.delay_ns * rng.between(1, 6);
    knobs.chunk_lost_ppm = rate(rng, 1000, 300_000);
}

fn draw_disk(rng: &mut Rng, knobs: &mut Knobs) {
    knobs.sync_ns = knobs.election_ns / rng.magnitude(20, 2000);
    knobs.sync_jitter_ns = knobs.sync_ns * rng.between(0, 300) / 100;
    knobs.slow_sync_ppm = rate(rng, 500, 20_000);
    knobs.slow_sync_ns = rng.magnitude(knobs.sync_ns * 4, knobs.election_ns * 4);
    knobs.sync_writes = rng.magnitude(1, 64);
    knobs.apply_ns = knobs.election_ns / rng.magnitude(100, 5000);
    knobs.apply_jitter_ns = knobs.apply_ns * rng.between(0, 300) / 100;
    knobs.snapshot_ns = knobs.election_ns * rng.between(1, 100) / 100;
    knobs.fetch_ns = knobs.election_ns / rng.magnitude(10, 1000);
    knobs.short_read_ppm = rate(rng, 1000, 500_000);
}

fn draw_clients(rng: &mut Rng, knobs: &mut Knobs) {
    knobs.clients = rng.magnitude(1, 16);
    // The search for a legal order grows with the operations that overlap on one key.
    knobs.pipeline = rng.magnitude(1, 4);
    knobs.keys = rng.between(knobs.pipeline.max(2), 8);
    knobs.think_ns = knobs.election_ns / rng.magnitude(20, 200);
    knobs.patience_ns = knobs.election_ns * rng.between(100, 400) / 100;
    knobs.staleness_ns = knobs.election_ns * rng.between(5, 200) / 100;
    knobs.put_percent = rng.between(5, 60);
    knobs.cas_percent = rng.between(0, 20);
    knobs.get_percent = rng.between(0, 10);
    knobs.bounded_percent = if percent(rng, 30) {
        rng.between(1, 8)
    } else {
        0
    };
    knobs.local_percent = if percent(rng, 30) {
        rng.between(1, 2)
    } else {
        0
    };
    knobs.twice_percent = if percent(rng, 40) {
        rng.between(1, 20)
    } else {
        0
    };
    knobs.abandon_percent = if percent(rng, 40) {
        rng.between(1, 50)
    } else {
        0
    };
}

fn draw_actions(rng: &mut Rng, knobs: &Knobs) -> Vec<FaultAction> {
    let fits = |needs| match needs {
        Needs::Nothing => true,
        Needs::FreeClocks => knobs.lease_per_mille == 0,
        Needs::Healing => knobs.finale == 0,
    };
    let share = rng.between(5, 60);
    let on: Vec<&Kind> = KINDS
        .iter()
        .filter(|kind| percent(rng, share) && fits(kind.needs))
        .collect();
    let many = if on.is_empty() {
        0
    } else {
        rng.magnitude(2, (knobs.events / 100).max(2))
    };
    let mut actions: Vec<FaultAction> = (0..many)
        .filter_map(|_| {
            let kind = rng.pick(&on)?;
            let (low, high) = kind.span;
            Some(FaultAction {
                after: rng.below(knobs.events),
                fault: kind.fault,
                target: draw_target(rng, knobs),
                span: rng.magnitude(low, high) * (knobs.election_ns / 100),
                amount: rng.below(MILLION),
            })
        })
        .collect();
    actions.sort_by_key(|action| action.after);
    actions
}

fn draw_target(rng: &mut Rng, knobs: &Knobs) -> Target {
    match rng.below(5) {
        0 | 1 => Target::Leader,
        2 => Target::Follower(rng.below(knobs.nodes)),
        _ => Target::Node(rng.below(knobs.nodes)),
    }
}
