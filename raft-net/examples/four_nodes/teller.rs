//! The client: moves money, one transfer after the other, and sends again whatever has no answer.
//!
//! It has a session, so what is sent twice takes effect once; that is all it knows of Raft.

use std::time::Duration;

use raft_core::Node;
use raft_core::driver::WriteError;
use raft_core::session::Session;
use tokio::time::{Instant, sleep};

use crate::cluster::{PATIENCE, Trouble};

const ACCOUNTS: [&str; 4] = ["ada", "bela", "cleo", "dina"];
/// What each account is opened with.
const COINS: u64 = 1000;
/// The pause before a transfer is sent again.
const PAUSE: Duration = Duration::from_millis(20);

/// A client and what it was told.
pub(crate) struct Teller {
    session: Session,
    /// So many transfers were acknowledged.
    pub(crate) moved: u64,
    /// So often something had to be sent again.
    pub(crate) again: u64,
}

impl Teller {
    /// What the accounts hold together, always.
    pub(crate) const TOTAL: u64 = COINS * ACCOUNTS.len() as u64;

    /// Opens a session and the accounts.
    pub(crate) async fn new(node: &Node) -> Result<Self, Trouble> {
        let client = node.open_session().await?;
        let mut teller = Self {
            session: Session {
                client,
                sequence: 0,
            },
            moved: 0,
            again: 0,
        };
        for name in ACCOUNTS {
            let command = format!("open {name} {COINS}");
            teller
                .send(&command, "opened", std::slice::from_ref(node))
                .await?;
        }
        Ok(teller)
    }

    /// Makes so many transfers, at whichever of these nodes answers.
    pub(crate) async fn pay(&mut self, transfers: u64, at: &[Node]) -> Result<(), Trouble> {
        let pairs = ACCOUNTS.iter().zip(ACCOUNTS.iter().cycle().skip(1));
        for (_, (from, to)) in (0..transfers).zip(pairs.cycle()) {
            let amount = 1 + self.moved % 7;
            let command = format!("move {amount} {from} {to}");
            self.send(&command, "moved", at).await?;
            self.moved += 1;
        }
        Ok(())
    }

    /// Has one command take effect, once.
    async fn send(&mut self, command: &str, expected: &str, at: &[Node]) -> Result<(), Trouble> {
        self.session.sequence += 1;
        let started = Instant::now();
        for node in at.iter().cycle() {
            match node.write_once(self.session, command.to_owned()).await {
                Ok(answer) if answer == expected => return Ok(()),
                Ok(answer) => return Err(format!("{command}: {answer:?}").into()),
                Err(error) if may_try_again(&error) && started.elapsed() < PATIENCE => {
                    self.again += 1;
                    sleep(PAUSE).await;
                }
                Err(error) => return Err(format!("{command}: {error}").into()),
            }
        }
        Err("no node to send anything to".into())
    }
}

/// What was refused, another node may take; what became of the unknown, the session finds out.
const fn may_try_again(error: &WriteError) -> bool {
    match error {
        WriteError::NotLeader { .. }
        | WriteError::Overloaded
        | WriteError::Stopped
        | WriteError::Unknown => true,
        WriteError::TooLarge { .. }
        | WriteError::NoSessions
        | WriteError::SessionExpired
        | WriteError::Superseded
        | WriteError::Forgotten => false,
    }
}
