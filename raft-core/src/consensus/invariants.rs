//! What must hold of a server at any time, seen from outside (Raft Figure 3, as far as one server
//! can tell). Run after every event in simulation and model checking; the cheapest of these are
//! asserted in releases too, where the state changes.
//!
//! This file does not know what other servers do; the simulator's ghost does.

use super::progress::{Progress, State};
use super::raft::{Raft, Role};
use crate::types::Index;

impl Raft {
    /// Checks what must hold of this server alone.
    ///
    /// # Errors
    /// Says in words what does not.
    pub fn check(&self) -> Result<(), String> {
        let server = &self.server;
        let (commit, last) = (server.commit, server.log.last_index());
        ensure(
            server.log.base().index <= commit,
            || "the log starts above what is committed",
        )?;
        ensure(
            server.log.base().index <= server.snapshot.last.index,
            || "the log starts above the snapshot",
        )?;
        ensure(
            server.snapshot.last.index <= commit,
            || "the snapshot is above what is committed",
        )?;
        ensure(commit <= last, || "committed beyond the end of the log")?;
        ensure(
            server.writes.durable() <= last,
            || "durable beyond the end of the log",
        )?;
        ensure(
            server.log.last().term <= server.term(),
            || "an entry of a later term",
        )?;
        ensure(
            server.configurations.latest().0 <= last,
            || "a configuration beyond the log",
        )?;
        match &self.role {
            Role::Follower(_) => Ok(()),
            Role::Candidate(_) => ensure(server.leader.is_none(), || "a candidate with a leader"),
            Role::Leader(leader) => {
                ensure(server.leader == Some(server.id), || "a leader that follows")?;
                ensure(
                    server.hard_state.vote == Some(server.id),
                    || "a leader without its vote",
                )?;
                ensure(leader.first <= last, || "a leader without its first entry")?;
                let members = server
                    .membership()
                    .members()
                    .filter(|(id, _)| *id != server.id);
                ensure(
                    members.count() == leader.progress.len(),
                    || "members without progress",
                )?;
                leader
                    .progress
                    .values()
                    .try_for_each(|progress| self.check_progress(progress))
            }
        }
    }

    fn check_progress(&self, progress: &Progress) -> Result<(), String> {
        let last = self.server.log.last_index();
        ensure(
            progress.matched < progress.next,
            || "match is not below next",
        )?;
        ensure(progress.next <= last.next(), || "next is beyond the log")?;
        ensure(progress.next > Index(0), || "next is before the log")?;
        match &progress.state {
            State::Probe { .. } | State::Snapshot(_) => Ok(()),
            State::Replicate(window) => window.check(&self.server.config),
        }
    }
}

/// A condition that must hold, with the words for when it does not.
pub(super) fn ensure(holds: bool, otherwise: impl Fn() -> &'static str) -> Result<(), String> {
    if holds {
        Ok(())
    } else {
        Err(otherwise().to_owned())
    }
}
