//! Clients: each has one operation at a time, at any node, and notes what it is told.
//!
//! What a node calls refused is noted as not having happened, now or ever. This file does not know
//! which faults there are.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::driver::WriteError;
use raft_core::session::Session;
use raft_core::sim::history::{OpKind, OperationId, Outcome, Returned};
use raft_core::{Consistency, Node};
use tokio::time::Instant;

use super::registers::{answered, command, query};
use super::world::{Care, PATIENCE, World};

pub(crate) const KEYS: u64 = 3;
/// What a request may take beyond its time: until the node next looks after what waits.
const SLACK: Duration = Duration::from_millis(200);

/// Works until the storm is over.
pub(crate) async fn work(world: Rc<World>, client: u64) {
    let mut session = match world.care {
        Care::None => None,
        Care::Session => Some(open_session(&world).await),
    };
    while !world.is_over.get() {
        world.pause(0, 60).await;
        let key = world.draw(KEYS);
        match world.draw(3) {
            0 => read(&world, client, key).await,
            draw => {
                let new = world.fresh_value();
                let kind = match draw {
                    1 => OpKind::Write(new),
                    _ => {
                        // What others may just have written.
                        let expect = new.saturating_sub(1 + world.draw(12));
                        OpKind::CompareAndSet { expect, new }
                    }
                };
                match &mut session {
                    None => write(&world, client, key, kind).await,
                    Some(session) => {
                        session.sequence += 1;
                        write_once(&world, *session, key, kind).await;
                    }
                }
            }
        }
    }
}

async fn somebody(world: &World) -> Node {
    loop {
        if let Some(node) = world.any() {
            return node;
        }
        world.pause(10, 50).await;
    }
}

fn call(world: &World, client: u64, key: u64, kind: OpKind) -> OperationId {
    let moment = world.moment();
    let id = world.history.borrow_mut().call(client, key, kind, moment);
    id.expect("there is room for all")
}

fn complete(world: &World, id: OperationId, outcome: Outcome) {
    let moment = world.moment();
    world.history.borrow_mut().complete(id, outcome, moment);
}

fn succeed(world: &World, id: OperationId, answer: Bytes) -> Returned {
    let (returned, index) = answered(answer);
    complete(world, id, Outcome::Ok(returned));
    world.history.borrow_mut().record_index(id, index);
    returned
}

/// Nobody waits for longer than was agreed.
fn took(world: &World, began: Instant) {
    let span = began.elapsed();
    let mut tally = world.tally.borrow_mut();
    tally.slowest = tally.slowest.max(span);
    if span > PATIENCE + SLACK {
        let wrong = format!("a request took {span:?}");
        world.ghost.look(|seen| seen.wrongs.push(wrong));
    }
}

pub(crate) async fn read(world: &World, client: u64, key: u64) {
    let node = somebody(world).await;
    read_at(world, &node, client, key).await;
}

/// Whether it was answered.
pub(crate) async fn read_at(world: &World, node: &Node, client: u64, key: u64) -> bool {
    let id = call(world, client, key, OpKind::Read);
    let began = Instant::now();
    let answer = node.read(query(key), Consistency::Linearizable).await;
    took(world, began);
    match answer {
        Ok(answer) => {
            succeed(world, id, answer);
            world.tally.borrow_mut().reads += 1;
            true
        }
        Err(_) => {
            complete(world, id, Outcome::Failed);
            false
        }
    }
}

async fn write(world: &World, client: u64, key: u64, kind: OpKind) {
    let node = somebody(world).await;
    let id = call(world, client, key, kind);
    let began = Instant::now();
    let answer = node.write(command(key, kind)).await;
    took(world, began);
    match answer {
        Ok(answer) => {
            succeed(world, id, answer);
            world.tally.borrow_mut().writes += 1;
        }
        Err(error) if error.is_refused() => {
            complete(world, id, Outcome::Failed);
            world.tally.borrow_mut().refused += 1;
        }
        Err(_) => {
            complete(world, id, Outcome::Unknown);
            world.tally.borrow_mut().unknown += 1;
        }
    }
}

async fn open_session(world: &World) -> Session {
    loop {
        if let Ok(client) = somebody(world).await.open_session().await {
            return Session {
                client,
                sequence: 0,
            };
        }
    }
}

/// The same command again and again, wherever, until it was answered.
async fn write_once(world: &World, session: Session, key: u64, kind: OpKind) {
    let id = call(world, session.client, key, kind);
    loop {
        let node = somebody(world).await;
        let began = Instant::now();
        let answer = node.write_once(session, command(key, kind)).await;
        took(world, began);
        match answer {
            Ok(answer) => {
                succeed(world, id, answer);
                world.tally.borrow_mut().writes += 1;
                return;
            }
            Err(WriteError::SessionExpired | WriteError::Superseded | WriteError::Forgotten) => {
                let wrong = format!("{session:?} was let down");
                world.ghost.look(|seen| seen.wrongs.push(wrong));
                return;
            }
            Err(_) => {
                world.tally.borrow_mut().again += 1;
                world.pause(1, 30).await;
            }
        }
    }
}
