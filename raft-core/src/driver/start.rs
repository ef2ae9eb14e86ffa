//! How a node comes up: what its store recovers, what its machine needs restored, and the loop.
//!
//! This file does not know what a running node does.

use std::hash::{BuildHasher, RandomState};
use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep_until};

use super::apply::Applier;
use super::clock::Clock;
use super::config::{Forward, Founding, NodeConfig};
use super::desk::{Desk, DeskRules};
use super::error::{StartError, StopReason};
use super::lane::{Lane, message_of};
use super::leadership::Leadership;
use super::mailbox::Mailbox;
use super::node::Node;
use super::recording::Recording;
use super::run::{Door, Run, Timing};
use super::snapshots::Snapshots;
use super::status::{Epitaph, NodeStatus, Publisher};
use super::take::Taking;
use super::writer::{SharedStore, Writer};
use crate::Raft;
use crate::compaction::Compactor;
use crate::config::ConfigError;
use crate::entry::Recovered;
use crate::event::Output;
use crate::port::{
    Framing, Inbox, LogStore, Parcel, PortError, PortErrorKind, SnapshotSource, StateMachine,
    Transport,
};
use crate::types::Incarnation;

/// Brings a node up; see [`Node::start`].
pub(super) async fn start(
    mut config: NodeConfig,
    log: Box<dyn LogStore>,
    transport: Arc<dyn Transport>,
    machine: Box<dyn StateMachine>,
) -> Result<Node, StartError> {
    Handle::try_current().map_err(|_| StartError::NoRuntime)?;
    check(&config)?;
    if config.raft.seed == 0 {
        config.raft.seed = drawn();
    }
    let founding = config.founding.clone();
    // Disks and large snapshots take their time.
    let found = spawn_blocking(move || recover(log, machine, &founding)).await;
    let (log, machine, recovered) =
        found.unwrap_or_else(|panic| resume_unwind(panic.into_panic()))?;
    let (run, node, epitaph) = assemble(&config, log, &transport, machine, recovered)?;
    supervise(run, epitaph);
    Ok(node)
}

fn check(config: &NodeConfig) -> Result<(), StartError> {
    config.raft.validate()?;
    let policy = config.compaction.validate();
    policy.map_err(StartError::Compaction)?;
    let rules = [
        (
            config.request_timeout.is_zero(),
            "request_timeout",
            "above zero",
        ),
        (config.requests_max == 0, "requests_max", "above zero"),
        (
            config.tick_grid > config.raft.heartbeat_interval,
            "tick_grid",
            "at most the heartbeat interval, or heartbeats come late",
        ),
    ];
    if let Some((_, field, must)) = rules.into_iter().find(|(is_broken, _, _)| *is_broken) {
        return Err(ConfigError { field, must }.into());
    }
    let Founding::Members(members) = &config.founding else {
        return Ok(());
    };
    if !members.contains(config.id) {
        return Err(StartError::NotAFounder(config.id));
    }
    match members.members().find(|(_, member)| !member.is_sound()) {
        Some((id, _)) => Err(StartError::BadAddress(id)),
        None => Ok(()),
    }
}

/// A number that nobody has drawn before, never 0.
fn drawn() -> u64 {
    RandomState::new().hash_one("raft").max(1)
}

type Found = (Box<dyn LogStore>, Box<dyn StateMachine>, Recovered);

/// Founds the store if it is new, and restores the machine if it is behind the snapshot.
fn recover(
    mut log: Box<dyn LogStore>,
    mut machine: Box<dyn StateMachine>,
    founding: &Founding,
) -> Result<Found, StartError> {
    let port = |port| move |source| StartError::Port { port, source };
    let mut recovered = log.recover().map_err(port("the log store"))?;
    if recovered.incarnation == Incarnation::UNBOUND {
        let incarnation = Incarnation(drawn());
        let founded = match founding {
            Founding::Members(members) => Recovered::bootstrap(incarnation, members.clone()),
            Founding::Join => Recovered::blank(incarnation),
        };
        log.found(&founded).map_err(port("the log store"))?;
        recovered = founded;
    }
    while machine.durable() < recovered.snapshot.last.index {
        let last = recovered.snapshot.last;
        match restore(log.as_ref(), machine.as_mut()) {
            Ok(()) => break,
            Err(error) if error.kind == PortErrorKind::Damaged => {
                tracing::warn!(%last, %error, "a damaged snapshot is set aside");
                log.set_aside_snapshot(last)
                    .map_err(port("the log store"))?;
                recovered = log.recover().map_err(port("the log store"))?;
            }
            Err(error) => return Err(port("the state machine")(error)),
        }
    }
    recovered.applied = machine.durable().max(recovered.snapshot.last.index);
    Ok((log, machine, recovered))
}

fn restore(log: &dyn LogStore, machine: &mut dyn StateMachine) -> Result<(), PortError> {
    let source = log.open_snapshot()?;
    let source = source.ok_or_else(|| PortError::misused("the store names a snapshot it lacks"))?;
    let last = source.manifest().meta.last;
    machine.restore(last.index, source.as_ref())
}

fn assemble(
    config: &NodeConfig,
    log: Box<dyn LogStore>,
    transport: &Arc<dyn Transport>,
    machine: Box<dyn StateMachine>,
    recovered: Recovered,
) -> Result<(Run, Node, Epitaph), StartError> {
    let clock = Clock::start();
    let now = clock.now();
    let (applied, snapshot) = (recovered.applied, recovered.snapshot.last.index);
    let framing = machine.framing();
    let mut out = Output::default();
    let raft = Raft::new(config.id, config.raft.clone(), recovered, now, &mut out)?;

    let mailbox = Arc::new(Mailbox::new(config));
    let store = SharedStore::new(log);
    let ways = (Arc::clone(&mailbox), Arc::clone(transport));
    let applier = Applier::new(config.id, machine, applied, store.clone(), ways);
    let reads_held = applier.reads_held();
    let writer = Writer::new(store.clone(), Arc::clone(&mailbox));
    let (publisher, watch) = Publisher::new(NodeStatus::first(&raft, store.usage(), now));
    let run = Run {
        _door: Door {
            mailbox: Arc::clone(&mailbox),
            transport: Arc::clone(transport),
        },
        log: Lane::open(config.lanes, writer, &mailbox)?,
        machine: Lane::open(config.lanes, applier, &mailbox)?,
        reads_held,
        snapshots: Snapshots::new(
            store.clone(),
            &mailbox,
            transport,
            config.snapshot_bytes_per_second,
        ),
        taking: Taking::new(Compactor::new(config.compaction, config.id, snapshot, now)),
        desk: Desk::new(desk_rules(config, framing, clock), Arc::clone(transport)),
        timing: timing(config),
        leadership: Leadership::default(),
        is_other_life: false,
        snapshot_trouble: None,
        stop: None,
        mailbox: Arc::clone(&mailbox),
        transport: Arc::clone(transport),
        raft,
        publisher,
        clock,
        out,
        recording: Recording::of(config)?,
    };
    let inbox = NodeInbox {
        mailbox: Arc::clone(&mailbox),
        store,
    };
    let started = transport.start(Arc::new(inbox));
    started.map_err(|source| StartError::Port {
        port: "the transport",
        source,
    })?;
    let epitaph = run.publisher.epitaph();
    let node = Node::new(config, framing, mailbox, watch);
    Ok((run, node, epitaph))
}

fn desk_rules(config: &NodeConfig, framing: Framing, clock: Clock) -> DeskRules {
    DeskRules {
        id: config.id,
        framing,
        clock,
        forwards: config.forward == Forward::ToLeader,
        waiting_max: config.requests_max,
        waiting_bytes_max: config.requests_bytes_max,
        // Clocks can be set back; half of all numbers leave room to count on.
        ticket_first: drawn() >> 1,
    }
}

fn timing(config: &NodeConfig) -> Timing {
    Timing {
        grid: config.tick_grid,
        request_timeout: config.request_timeout,
        change_timeout: config.request_timeout + config.raft.membership_timeout,
        retry: config.raft.heartbeat_interval,
        retry_at: None,
        // Set anew before it is waited for.
        alarm: Box::pin(sleep_until(Instant::now() + Duration::from_secs(1))),
        alarm_at: None,
    }
}

/// Runs the loop, and says how it ended, even if it panicked.
fn supervise(run: Run, epitaph: Epitaph) {
    tokio::spawn(async move {
        let reason = match tokio::spawn(run.run()).await {
            Ok(reason) => reason,
            Err(error) if error.is_panic() => {
                let panic = error.into_panic();
                let message = message_of(panic.as_ref());
                tracing::error!(message, "the node's loop panicked");
                StopReason::Panicked {
                    lane: "loop",
                    message,
                }
            }
            // The runtime ends, and everything with it.
            Err(_) => StopReason::Told,
        };
        epitaph.write(&reason);
    });
}

/// What the transport delivers to.
struct NodeInbox {
    mailbox: Arc<Mailbox>,
    store: SharedStore,
}

impl Inbox for NodeInbox {
    fn deliver(&self, parcel: Parcel) {
        self.mailbox.parcel(parcel);
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        let newest = self.store.lock()?.open_snapshot()?;
        newest.ok_or_else(|| PortError::misused("this node has no snapshot"))
    }
}
