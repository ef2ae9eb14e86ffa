//! Clients of registers: each has one operation at a time, at any node, and notes what it is told.
//!
//! What a node calls refused is noted as not having happened, now or ever. This file does not know
//! which faults there are, nor how a register is kept.

use std::rc::Rc;
use std::time::Duration;

use bytes::Bytes;
use raft_core::Node;
use raft_core::driver::{ReadError, WriteError};
use raft_core::session::Session;
use raft_core::sim::history::{OpKind, OperationId, Outcome, Returned};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

use super::{FOUNDERS, PATIENCE, Program, RECOVERY, World};

/// So many registers there are.
pub const KEYS: u64 = 3;
/// What a request may take beyond its time: until the node next looks after what waits.
const SLACK: Duration = Duration::from_millis(200);

/// A program that keeps registers.
pub trait Registers: Program {
    /// The command that does this.
    fn command(&self, key: u64, kind: OpKind) -> Bytes;

    /// What such a command was answered, and the index that it was answered from.
    fn answered(&self, kind: OpKind, answer: Bytes) -> (Returned, u64);

    /// What a node finds in a register when all that was acknowledged is there.
    fn read(
        &self,
        node: &Node,
        key: u64,
    ) -> impl Future<Output = Result<(Returned, u64), ReadError>>;
}

/// Whether clients take care that a command that they send again takes effect once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Care {
    /// They send nothing again whose outcome is unknown.
    None,
    /// They send it again, within a session.
    Session,
}

impl<P: Registers> World<P> {
    /// Works until the storm is over.
    pub async fn work(self: Rc<Self>, client: u64, care: Care) {
        let mut session = match care {
            Care::None => None,
            Care::Session => Some(self.open_session().await),
        };
        while !self.is_over.get() {
            self.pause(0, 60).await;
            let key = self.draw(KEYS);
            match self.draw(3) {
                0 => {
                    let node = self.somebody().await;
                    self.read_at(&node, client, key).await;
                }
                draw => {
                    let new = self.fresh_value();
                    let kind = match draw {
                        1 => OpKind::Write(new),
                        _ => {
                            // What others may just have written.
                            let expect = new.saturating_sub(1 + self.draw(12));
                            OpKind::CompareAndSet { expect, new }
                        }
                    };
                    match &mut session {
                        None => self.write(client, key, kind).await,
                        Some(session) => {
                            session.sequence += 1;
                            self.write_once(*session, key, kind).await;
                        }
                    }
                }
            }
        }
    }

    /// What everybody agrees on in the end. Founders that were removed can't take part.
    ///
    /// # Errors
    /// When nobody leads.
    ///
    /// # Panics
    /// When a founder does not run.
    pub async fn agree(&self, client: u64) -> Result<(), String> {
        for key in 0..KEYS {
            for id in 1..=FOUNDERS {
                let node = self.node(id).expect("all were started again");
                self.read_at(&node, client, key).await;
            }
            let read = async {
                loop {
                    if let Some(leader) = self.leader()
                        && self.read_at(&leader, client, key).await
                    {
                        return;
                    }
                    self.pause(10, 50).await;
                }
            };
            let read = timeout(RECOVERY, read).await;
            read.map_err(|_| "nobody leads after the storm".to_owned())?;
        }
        Ok(())
    }

    /// Whether it was answered.
    pub async fn read_at(&self, node: &Node, client: u64, key: u64) -> bool {
        let id = self.call(client, key, OpKind::Read);
        let began = Instant::now();
        let found = self.program.read(node, key).await;
        self.took(began);
        match found {
            Ok((returned, index)) => {
                self.succeed(id, returned, index);
                self.tally.borrow_mut().reads += 1;
                true
            }
            Err(_) => {
                self.complete(id, Outcome::Failed);
                false
            }
        }
    }

    async fn write(&self, client: u64, key: u64, kind: OpKind) {
        let node = self.somebody().await;
        let id = self.call(client, key, kind);
        let began = Instant::now();
        let answer = node.write(self.program.command(key, kind)).await;
        self.took(began);
        match answer {
            Ok(answer) => self.written(id, kind, answer),
            Err(error) if error.is_refused() => {
                self.complete(id, Outcome::Failed);
                self.tally.borrow_mut().refused += 1;
            }
            Err(_) => {
                self.complete(id, Outcome::Unknown);
                self.tally.borrow_mut().unknown += 1;
            }
        }
    }

    async fn write_once(&self, session: Session, key: u64, kind: OpKind) {
        let id = self.call(session.client, key, kind);
        let command = self.program.command(key, kind);
        if let Some(answer) = self.insist(session, command).await {
            self.written(id, kind, answer);
        }
    }

    /// The same command again and again, wherever, until it was answered. `None` if the session
    /// does not do what it is for, which is noted.
    pub async fn insist(&self, session: Session, command: Bytes) -> Option<Bytes> {
        loop {
            let node = self.somebody().await;
            let began = Instant::now();
            let answer = node.write_once(session, command.clone()).await;
            self.took(began);
            match answer {
                Ok(answer) => return Some(answer),
                Err(
                    WriteError::SessionExpired | WriteError::Superseded | WriteError::Forgotten,
                ) => {
                    self.wrong(format!("{session:?} was let down"));
                    return None;
                }
                Err(_) => {
                    self.tally.borrow_mut().again += 1;
                    self.pause(1, 30).await;
                }
            }
        }
    }

    fn written(&self, id: OperationId, kind: OpKind, answer: Bytes) {
        let (returned, index) = self.program.answered(kind, answer);
        self.succeed(id, returned, index);
        self.tally.borrow_mut().writes += 1;
    }

    fn call(&self, client: u64, key: u64, kind: OpKind) -> OperationId {
        let moment = self.moment();
        let id = self.history.borrow_mut().call(client, key, kind, moment);
        id.expect("there is room for all")
    }

    fn complete(&self, id: OperationId, outcome: Outcome) {
        let moment = self.moment();
        self.history.borrow_mut().complete(id, outcome, moment);
    }

    fn succeed(&self, id: OperationId, returned: Returned, index: u64) {
        self.complete(id, Outcome::Ok(returned));
        self.history.borrow_mut().record_index(id, index);
    }
}

impl<P: Program> World<P> {
    /// Any node, as soon as one runs.
    pub async fn somebody(&self) -> Node {
        loop {
            if let Some(node) = self.any() {
                return node;
            }
            self.pause(10, 50).await;
        }
    }

    /// A session, opened by anybody.
    pub async fn open_session(&self) -> Session {
        loop {
            if let Ok(client) = self.somebody().await.open_session().await {
                return Session {
                    client,
                    sequence: 0,
                };
            }
        }
    }

    /// Waits for clients after the storm.
    ///
    /// # Errors
    /// When one is not served, or has panicked.
    pub async fn finish(&self, clients: Vec<JoinHandle<()>>) -> Result<(), String> {
        for client in clients {
            let ended = timeout(RECOVERY, client).await;
            let ended = ended.map_err(|_| "a client is not served after the storm".to_owned())?;
            ended.map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// Nobody waits for longer than was agreed.
    pub fn took(&self, began: Instant) {
        let span = began.elapsed();
        if span > PATIENCE + SLACK {
            self.wrong(format!("a request took {span:?}"));
        }
    }
}
