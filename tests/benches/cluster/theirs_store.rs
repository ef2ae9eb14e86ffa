//! What openraft's nodes store: entries in memory, and a machine that keeps only its position.
//!
//! It deliberately does not know which nodes there are and how they talk.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::io;
use std::ops::{Bound, RangeBounds};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, TryStreamExt};
use openraft::alias::{EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf};
use openraft::entry::RaftEntry;
use openraft::storage::{
    EntryResponder, IOFlushed, LogState, RaftLogStorage, RaftSnapshotBuilder, RaftStateMachine,
};
use openraft::{EntryPayload, OptionalSend, RaftLogReader};

use crate::theirs::{Nothing, Types};

type LogId = LogIdOf<Types>;
type StoredMembership = StoredMembershipOf<Types>;

/// A log in memory; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Log {
    kept: Arc<Mutex<Kept>>,
}

#[derive(Default)]
struct Kept {
    vote: Option<VoteOf<Types>>,
    purged: Option<LogId>,
    /// The index of the first entry, or where the next one goes.
    first: u64,
    entries: VecDeque<EntryOf<Types>>,
}

impl Log {
    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Kept {
    /// Where the entry with this index lies among those kept, or the nearest end of them.
    fn place(&self, index: u64) -> usize {
        let place = usize::try_from(index.saturating_sub(self.first)).unwrap_or(usize::MAX);
        place.min(self.entries.len())
    }
}

impl RaftLogReader<Types> for Log {
    async fn try_get_log_entries<RB: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: RB,
    ) -> io::Result<Vec<EntryOf<Types>>> {
        let kept = self.kept();
        let from = match range.start_bound() {
            Bound::Included(from) => kept.place(*from),
            Bound::Excluded(before) => kept.place(*before + 1),
            Bound::Unbounded => 0,
        };
        let to = match range.end_bound() {
            Bound::Included(last) => kept.place(*last + 1),
            Bound::Excluded(to) => kept.place(*to),
            Bound::Unbounded => kept.entries.len(),
        };
        Ok(kept.entries.range(from..to.max(from)).cloned().collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.kept().vote)
    }
}

impl RaftLogStorage<Types> for Log {
    type LogReader = Log;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let kept = self.kept();
        let last = kept.entries.back().map(RaftEntry::log_id);
        Ok(LogState {
            last_purged_log_id: kept.purged,
            last_log_id: last.or(kept.purged),
        })
    }

    async fn get_log_reader(&mut self) -> Log {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.kept().vote = Some(*vote);
        Ok(())
    }

    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        self.kept().entries.extend(entries);
        callback.io_completed(Ok(()));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogId>) -> io::Result<()> {
        let mut kept = self.kept();
        let length = last.map_or(0, |last| kept.place(last.index + 1));
        kept.entries.truncate(length);
        Ok(())
    }

    async fn purge(&mut self, upto: LogId) -> io::Result<()> {
        let mut kept = self.kept();
        let count = kept.place(upto.index + 1);
        kept.entries.drain(..count);
        kept.purged = Some(upto);
        kept.first = upto.index + 1;
        Ok(())
    }
}

/// A machine that applies nothing; clones share it.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    applied: Arc<Mutex<Applied>>,
}

#[derive(Clone, Default)]
struct Applied {
    last: Option<LogId>,
    membership: StoredMembership,
    snapshot: Option<SnapshotMetaOf<Types>>,
}

impl Machine {
    fn applied(&self) -> MutexGuard<'_, Applied> {
        self.applied.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = ();
    type SnapshotBuilder = Machine;

    async fn applied_state(&mut self) -> io::Result<(Option<LogId>, StoredMembership)> {
        let applied = self.applied();
        Ok((applied.last, applied.membership.clone()))
    }

    async fn apply<Strm>(&mut self, mut entries: Strm) -> io::Result<()>
    where
        Strm: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        let mut last = None;
        while let Some((entry, responder)) = entries.try_next().await? {
            last = Some(entry.log_id);
            if let EntryPayload::Membership(membership) = entry.payload {
                self.applied().membership = StoredMembership::new(last, membership);
            }
            if let Some(responder) = responder {
                responder.send(Nothing);
            }
        }
        let mut applied = self.applied();
        applied.last = last.or(applied.last);
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        _snapshot: (),
    ) -> io::Result<()> {
        *self.applied() = Applied {
            last: meta.last_log_id,
            membership: meta.last_membership.clone(),
            snapshot: Some(meta.clone()),
        };
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> io::Result<Option<SnapshotOf<Types, ()>>> {
        let meta = self.applied().snapshot.clone();
        Ok(meta.map(|meta| SnapshotOf::<Types, ()> { meta, snapshot: () }))
    }
}

impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = ();

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, ()>> {
        let mut applied = self.applied();
        let meta = SnapshotMetaOf::<Types> {
            last_log_id: applied.last,
            last_membership: applied.membership.clone(),
        };
        applied.snapshot = Some(meta.clone());
        Ok(SnapshotOf::<Types, ()> { meta, snapshot: () })
    }
}
