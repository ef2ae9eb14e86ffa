//! The leases of a leader, shared by the task that has them expire and the clients that keep them
//! alive. It does not know when the task does what.

use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use raft_core::driver::WriteError;
use raft_core::event::RoleName;
use raft_core::port::PortError;
use raft_core::{Consistency, Index, Node, Term, Time};
use tokio::time::Instant;

use super::{EXPIRIES_A_COMMAND_MAX, LeaseError};
use crate::command::Command;
use crate::lease_feed::{LeaseListener, LeaseNews};
use crate::lessor::{Lessor, Remaining};
use crate::store::Store;
use crate::types::LeaseId;

/// Never held while anything is waited for.
pub(super) struct Leases {
    pub(super) node: Node,
    pub(super) store: Store,
    origin: Instant,
    book: Mutex<Book>,
}

/// What is known of leases.
#[derive(Default)]
struct Book {
    lessor: Lessor,
    /// Brings the news; there while this node leads, as far as the task knows.
    listener: Option<LeaseListener>,
    /// In which term the lessor was promoted last.
    promoted: Option<Term>,
}

impl fmt::Debug for Leases {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Leases");
        shown.field("node", &self.node.id()).finish_non_exhaustive()
    }
}

/// What the leader of a term finds expired, of the leases that it knows.
pub(super) struct Expiry {
    term: Term,
    known: Index,
    pub(super) ids: Vec<LeaseId>,
}

impl Expiry {
    pub(super) fn command(&self) -> Command {
        Command::Expire {
            term: self.term,
            known: self.known,
            ids: self.ids.clone(),
        }
    }
}

/// Why the leases could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unread {
    #[error(transparent)]
    Barrier(#[from] LeaseError),
    #[error(transparent)]
    Write(#[from] WriteError),
    #[error(transparent)]
    Store(#[from] PortError),
}

impl Leases {
    pub(super) fn new(node: Node, store: Store) -> Self {
        Self {
            node,
            store,
            origin: Instant::now(),
            book: Mutex::default(),
        }
    }

    pub(super) fn now(&self) -> Time {
        Time::default().plus(self.origin.elapsed())
    }

    /// In which term this node leads, as far as it knows.
    pub(super) fn leads(&self) -> Option<Term> {
        let core = &self.node.status().core;
        (core.role == RoleName::Leader).then_some(core.term)
    }

    // --- For clients ---

    /// Records that a client wants a lease to live. `None` if there is no such lease. Not to be
    /// answered before it is confirmed.
    pub(super) fn renew(&self, id: LeaseId) -> Result<(Term, Option<u64>), LeaseError> {
        let (mut book, now) = self.news();
        let term = self.term_of(&book)?;
        Ok((term, book.lessor.renew(id, now)))
    }

    pub(super) fn remaining(&self, id: LeaseId) -> Result<Option<Remaining>, LeaseError> {
        let (book, now) = self.news();
        self.term_of(&book)?;
        Ok(book.lessor.remaining(id, now))
    }

    pub(super) fn term(&self) -> Result<Term, LeaseError> {
        self.term_of(&self.book())
    }

    /// Waits until it is certain that this node leads in `term` now. Then no later leader was
    /// elected before this was called. Another leader may answer the barrier, too; but only after
    /// this node has stepped down, and said so.
    pub(super) async fn confirm(&self, term: Term) -> Result<(), LeaseError> {
        self.node.barrier(Consistency::Linearizable).await?;
        if self.leads() == Some(term) {
            Ok(())
        } else {
            Err(self.not_leader())
        }
    }

    fn term_of(&self, book: &Book) -> Result<Term, LeaseError> {
        book.lessor.term().ok_or_else(|| match self.leads() {
            Some(_) => LeaseError::NotReady,
            None => self.not_leader(),
        })
    }

    fn not_leader(&self) -> LeaseError {
        let leader = self.node.status().core.leader;
        let hint = leader.filter(|leader| *leader != self.node.id());
        LeaseError::NotLeader { hint }
    }

    // --- For the task ---

    /// Notes who leads. Whether the leases have to be read first.
    pub(super) fn follow(&self, leads: Option<Term>) -> bool {
        let (mut book, now) = self.news();
        book.lessor.tick(now);
        if leads.is_none() {
            book.listener = None;
        }
        if book.lessor.term() != leads {
            book.lessor.demote();
        }
        leads.is_some() && book.lessor.term().is_none()
    }

    /// Reads all leases, for a leader of this term that does not know them.
    pub(super) async fn read(&self, term: Term) -> Result<(), Unread> {
        let again = {
            let mut book = self.book();
            // From now on nothing is missed; what was before is read.
            book.listener = Some(self.store.lease_feed().listen());
            book.promoted == Some(term)
        };
        if again {
            // Expiries of this term may be under way that only the lessor knew of. Behind an entry
            // of our own they have done what they can.
            let nothing = Expiry {
                term,
                known: Index(0),
                ids: Vec::new(),
            };
            self.write(&nothing.command()).await?;
        }
        self.confirm(term).await?;
        let leases = self.store.leases()?;
        let mut book = self.book();
        let leases = leases.iter().map(|(id, lease)| (*id, lease.ttl_s));
        book.lessor.promote(term, leases, self.now());
        book.promoted = Some(term);
        Ok(())
    }

    /// What is to expire now.
    pub(super) fn expired(&self) -> Option<Expiry> {
        // The machine pushes its news before it says that it has applied an entry. So the news that
        // is read after this tells all that was granted up to here.
        let known = self.node.status().core.applied;
        let (mut book, now) = self.news();
        let term = book.lessor.term()?;
        let ids = book.lessor.expired(now, EXPIRIES_A_COMMAND_MAX);
        (!ids.is_empty()).then_some(Expiry { term, known, ids })
    }

    /// What came of it. The machine has pushed its news before it answered.
    pub(super) fn settle(&self, expiry: &Expiry, answer: &Result<Bytes, WriteError>) {
        let (mut book, now) = self.news();
        if book.lessor.term() != Some(expiry.term) {
            return;
        }
        match answer {
            Err(error) if !error.is_refused() => book.lessor.lost(&expiry.ids, now),
            // Those that are still there have not ended, and will not on account of this.
            Ok(_) | Err(_) => book.lessor.refused(&expiry.ids, now),
        }
    }

    pub(super) async fn write(&self, command: &Command) -> Result<Bytes, WriteError> {
        self.node.write(command.encode()).await
    }

    // --- The book ---

    /// The book with all news in it, and the time.
    fn news(&self) -> (MutexGuard<'_, Book>, Time) {
        let mut guard = self.book();
        let now = self.now();
        let book = &mut *guard;
        // Until the leases are read, the news waits.
        if book.lessor.term().is_some()
            && let Some(listener) = &book.listener
        {
            for news in listener.take() {
                match news {
                    LeaseNews::Granted { id, ttl_s } => book.lessor.granted(id, ttl_s, now),
                    LeaseNews::Ended(id) => book.lessor.ended(id),
                    LeaseNews::Reset => book.lessor.demote(),
                }
            }
        }
        (guard, now)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic in between would be one of the lessor, which leaves no lease that ends early.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
