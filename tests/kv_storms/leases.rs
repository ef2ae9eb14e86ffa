//! Clients that hold leases, and whether one ended before its time.
//!
//! A client counts from when it sent what was answered. This file does not know how anybody else
//! counts, nor which faults there are.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft_kv::command::Command;
use raft_kv::lessor::Remaining;
use raft_kv::request::PutRequest;
use raft_kv::{Answer, Event, EventKind, Keeper, LeaseError, LeaseId, Refusal, Response, Store};
use raft_tests::storm::name;
use tokio::time::{Instant, sleep_until, timeout};

use super::program::World;
use super::replicas;
use super::truth::Chronicle;

/// No lease lives longer without being kept alive.
const TTL_S_MAX: u64 = 5;
/// By then all leases have ended that nobody keeps alive: they have their full time once more if
/// the leader has changed, and then somebody has to find it.
const END: Duration = Duration::from_secs(2 * TTL_S_MAX + 5);

/// A lease as its client sees it.
pub(crate) struct Tenure {
    id: LeaseId,
    /// Which of those that ever were.
    number: u64,
    ttl_s: u64,
    /// When what was answered last was sent.
    promised: Instant,
    /// When the client asked for its end, if it did.
    revoked: Option<Instant>,
    /// Nothing is under way of which it does not know what came.
    is_certain: bool,
}

impl Tenure {
    fn is_due(&self) -> bool {
        Instant::now() >= self.until()
    }

    /// It does not end before.
    fn until(&self) -> Instant {
        self.promised + Duration::from_secs(self.ttl_s)
    }

    /// What ends with it.
    fn key(&self) -> Bytes {
        Bytes::from(format!("l/{}", self.number))
    }
}

/// Holds one lease after the other until nobody is to hold any more.
pub(crate) async fn work(world: Rc<World>) {
    let mut name = None;
    while !world.program.is_quiet.get() {
        if name.is_none() {
            world.pause(0, 1_000).await;
        }
        let mut tenure = grant(&world, name.take()).await;
        if attach(&world, &mut tenure).await {
            keep(&world, &mut tenure).await;
            if world.draw(3) == 0 && revoke(&world, &mut tenure).await {
                name = Some(tenure.id);
            }
        }
        world.program.tenures.borrow_mut().push(tenure);
    }
}

async fn send(
    world: &World,
    tenure: &mut Tenure,
    command: &Command,
) -> Option<Result<Response, Refusal>> {
    let node = world.somebody().await;
    match node.write(command.encode()).await {
        Ok(answer) => Some(Answer::decode(answer)?.outcome),
        Err(error) => {
            tenure.is_certain &= error.is_refused();
            world.pause(1, 30).await;
            None
        }
    }
}

/// Has a lease granted: of a name of its own, or of one that it knows to be free.
async fn grant(world: &World, name: Option<LeaseId>) -> Tenure {
    let number = world.fresh_value();
    let fresh = || LeaseId(i64::try_from(number).expect("small"));
    let id = name.unwrap_or_else(fresh);
    world
        .program
        .count(|counts| counts.granted_again += u64::from(name.is_some()));
    let ttl_s = 1 + world.draw(TTL_S_MAX);
    let first = Instant::now();
    let mut tenure = Tenure {
        id,
        number,
        ttl_s,
        promised: first,
        revoked: None,
        is_certain: true,
    };
    loop {
        let sent = Instant::now();
        match send(world, &mut tenure, &Command::Grant { id, ttl_s }).await {
            None => continue,
            Some(Ok(Response::Granted(granted))) if granted == id => tenure.promised = sent,
            // It was granted when it was first asked for, or later.
            Some(Err(Refusal::LeaseExists)) if !tenure.is_certain => {}
            Some(other) => world.wrong(format!("the grant of {id} was answered {other:?}")),
        }
        world.program.count(|counts| counts.grants += 1);
        return tenure;
    }
}

/// Puts the key that ends with the lease. Whether the lease was still there.
async fn attach(world: &World, tenure: &mut Tenure) -> bool {
    let put = Command::Put(PutRequest {
        lease: Some(tenure.id),
        ..PutRequest::of(tenure.key(), "leased")
    });
    loop {
        match send(world, tenure, &put).await {
            None => {}
            Some(Ok(_)) => return true,
            Some(Err(Refusal::LeaseNotFound)) => {
                ended(world, tenure, "could not be attached to");
                return false;
            }
            Some(other) => {
                world.wrong(format!("the put for {} was answered {other:?}", tenure.id));
                return false;
            }
        }
    }
}

/// Keeps it alive for a while, sometimes too late.
async fn keep(world: &World, tenure: &mut Tenure) {
    for _ in 0..world.draw(12) {
        world.pause(50, tenure.ttl_s * 1_200).await;
        let sent = Instant::now();
        let Some(keeper) = somebodys_keeper(world) else {
            continue;
        };
        if world.draw(5) == 0 {
            ask(world, tenure, &keeper).await;
            continue;
        }
        match keeper.keep_alive(tenure.id).await {
            Ok(ttl_s) => {
                if ttl_s != tenure.ttl_s {
                    world.wrong(format!("{} lives {ttl_s} s", tenure.id));
                }
                tenure.promised = sent;
                world.program.count(|counts| counts.kept_alive += 1);
            }
            Err(LeaseError::NotFound) => {
                ended(world, tenure, "could not be kept alive");
                return;
            }
            Err(_) => world.program.count(|counts| counts.not_kept_alive += 1),
        }
    }
}

/// Asks how long it has: at least as long as was promised.
async fn ask(world: &World, tenure: &Tenure, keeper: &Keeper) {
    match keeper.time_to_live(tenure.id).await {
        Ok(Remaining { ttl_s, left }) => {
            world.program.count(|counts| counts.asked_for_time += 1);
            if ttl_s != tenure.ttl_s || Instant::now() + left < tenure.until() {
                let (id, until) = (tenure.id, tenure.until() - Instant::now());
                world.wrong(format!("{id} has {left:?} of {ttl_s} s, not {until:?}"));
            }
        }
        Err(LeaseError::NotFound) => ended(world, tenure, "was not to be found"),
        Err(_) => {}
    }
}

/// The leader's, or anybody's: there are leaders that do not know that they are none any more.
fn somebodys_keeper(world: &World) -> Option<Rc<Keeper>> {
    let node = match world.draw(3) {
        0 => world.any()?,
        _ => world.leader()?,
    };
    world.program.keeper(node.id())
}

/// Ends it, often just when it would end by itself. Whether its name is free then, for certain.
async fn revoke(world: &World, tenure: &mut Tenure) -> bool {
    if world.draw(2) == 0 {
        sleep_until(tenure.until()).await;
        world.pause(0, 300).await;
    }
    tenure.revoked = Some(Instant::now());
    let revoke = Command::Revoke(tenure.id);
    loop {
        match send(world, tenure, &revoke).await {
            None => {}
            Some(Ok(Response::Done)) => {
                world.program.count(|counts| counts.revoked += 1);
                return tenure.is_certain;
            }
            Some(Err(Refusal::LeaseNotFound)) => return tenure.is_certain,
            Some(other) => {
                let id = tenure.id;
                world.wrong(format!("the end of {id} was answered {other:?}"));
                return false;
            }
        }
    }
}

/// Somebody said that it has ended, or is about to.
fn ended(world: &World, tenure: &Tenure, what: &str) {
    world.program.count(|counts| counts.found_ended += 1);
    if !tenure.is_due() {
        let left = tenure.until() - Instant::now();
        let (id, ttl_s) = (tenure.id, tenure.ttl_s);
        world.wrong(format!(
            "{id}, of {ttl_s} s, {what} {left:?} before its time"
        ));
    }
}

/// Holds a leader still, for longer than leases live, while others lead; then it wakes up.
pub(crate) async fn hold_leaders_still(world: &World) {
    for _ in 0..2 {
        world.pause(1_000, 4_000).await;
        let Some(leader) = world.leader() else {
            continue;
        };
        world.net.isolate(&name(leader.id().0));
        world.pause(TTL_S_MAX * 1_000, TTL_S_MAX * 2_000).await;
        let leads_now = world.leader().map(|leader| leader.id());
        let is_succeeded = leads_now.is_some_and(|id| id != leader.id());
        world
            .program
            .count(|counts| counts.held_still += u64::from(is_succeeded));
        world.net.heal();
    }
}

/// Waits until all leases have ended, since nobody keeps them alive any more.
pub(crate) async fn end(world: &World) -> Result<(), String> {
    let ended = async {
        while !have_ended(world) {
            world.pause(50, 100).await;
        }
    };
    let ended = timeout(END, ended).await;
    ended.map_err(|_| format!("leases are there {END:?} after they were kept alive last"))
}

fn have_ended(world: &World) -> bool {
    let Some(members) = replicas::members(world) else {
        return false;
    };
    let is_empty = |store: &Store| store.leases().expect("its rows").is_empty();
    members.iter().all(|(_, store)| is_empty(store))
}

impl Tenure {
    /// Its key was deleted, and not before its time unless the client wanted it.
    pub(crate) fn check(&self, world: &World, chronicle: &Chronicle) -> Result<(), String> {
        let (id, key) = (self.id, self.key());
        let of_it = |event: &&Event| event.kv.key == key;
        let Some(last) = chronicle.events.iter().rfind(of_it) else {
            return Ok(());
        };
        if last.kind == EventKind::Put {
            return Err(format!("the lease {id} has ended, but not its key"));
        }
        let at = chronicle.time_of(last.revision());
        let at = at.ok_or("there is a time for every revision")?;
        if self.revoked.is_some_and(|revoked| revoked <= at) {
            return Ok(());
        }
        world.program.count(|counts| counts.expired += 1);
        if at < self.until() {
            let (ttl_s, early, at) = (self.ttl_s, self.until() - at, last.revision());
            return Err(format!(
                "{id}, of {ttl_s} s, has ended {early:?} early, at {at}"
            ));
        }
        Ok(())
    }
}
