//! Who comes first: a queue is the keys below a name, in the order in which they came to be, and
//! each is attached to the lease of whoever waits with it. Locks and elections are such queues. The
//! keys are those that etcd's clients make, so both may stand in the same queue. It does not know
//! what is waited for.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use raft_core::Consistency;
use raft_kv::request::{
    Compare, CompareTarget, DeleteRequest, Op, Operator, RangeRequest, RevisionRange, Sort, SortBy,
    TxnRequest,
};
use raft_kv::response::{Response, TxnResponse};
use raft_kv::watch::{CancelReason, Wanted, WatchItem, WatchRequest, Watcher};
use raft_kv::{KeyValue, Keys, Kv, LeaseId, Revision};
use tokio::runtime::Handle;
use tokio::task::JoinSet;
use tonic::Status;

use super::convert::{self, Bounds};
use super::error;
use crate::pb::etcdserverpb as pb;
use crate::server::auth::Shown;
use crate::server::leadership::stopped;
use crate::server::member::{Member, Shared};

/// Who comes without a lease gets one that lives so long, in seconds; etcd's.
const LEASE_TTL_S: u64 = 60;
/// So many places are given up at one time; those beyond stay until their leases end.
const EXITS_MAX: usize = 4096;
/// So often it is tried to give up a place, each time after such a pause.
const EXIT_ATTEMPTS_MAX: usize = 5;
const EXIT_PAUSE: Duration = Duration::from_millis(200);

/// A place in a queue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) key: Bytes,
    /// What all keys of the queue begin with.
    pub(super) prefix: Bytes,
    pub(super) lease: LeaseId,
}

/// What came of joining a queue.
#[derive(Debug)]
pub(super) struct Joined {
    /// The revision of the store by then.
    pub(super) revision: Revision,
    /// Since when the place is there.
    pub(super) created: Revision,
    /// What its key holds, if it was there before.
    pub(super) found: Option<Bytes>,
    /// Nobody came before.
    pub(super) is_first: bool,
}

/// Why a wait came to nothing.
#[derive(Debug)]
pub(super) enum Unmet {
    /// The place is gone: its lease has ended, or it was given up.
    Lost,
    /// Nobody could say.
    Unknown(Status),
}

impl From<Status> for Unmet {
    fn from(status: Status) -> Self {
        Self::Unknown(status)
    }
}

impl Place {
    /// The place of a lease in the queue of this name.
    pub(super) async fn of(
        member: &Member,
        shown: &Shown,
        name: &[u8],
        lease: i64,
    ) -> Result<Self, Status> {
        let lease = match LeaseId(lease) {
            LeaseId::NONE => {
                let grant = |kv: Kv, ttl_s| async move { kv.grant(LeaseId::NONE, ttl_s).await };
                member.on_behalf(shown, LEASE_TTL_S, grant).await?.1
            }
            lease => lease,
        };
        let prefix = prefix(name);
        let mut key = BytesMut::from(&prefix[..]);
        // As etcd's clients write it; a negative number has a sign there.
        let sign = if lease.0 < 0 { "-" } else { "" };
        key.put_slice(format!("{sign}{:x}", lease.0.unsigned_abs()).as_bytes());
        Ok(Self {
            key: key.freeze(),
            prefix,
            lease,
        })
    }

    /// Joins the queue, with this to say; or finds that it stands there already. On behalf of who
    /// asks: the lease may be another's.
    pub(super) async fn join(
        &self,
        member: &Member,
        shown: &Shown,
        value: Bytes,
    ) -> Result<Joined, Status> {
        let put = pb::PutRequest {
            key: self.key.clone(),
            value,
            lease: self.lease.0,
            ..Default::default()
        };
        let key_bytes = member.config.limits.key_bytes;
        let put = Op::Put(convert::put(put, Bounds { key_bytes })?);
        let own = Op::Range(RangeRequest::of(Keys::One(self.key.clone())));
        let first = Op::Range(first(self.prefix.clone()));
        let txn = TxnRequest {
            compares: vec![created(self.key.clone(), 0)],
            success: vec![put, first.clone()],
            failure: vec![own, first],
        };
        let (revision, done) = txn_on_behalf(member, shown, txn).await?;
        let [own, first] = kvs(done.responses)?;
        let first = first.map(|first| first.create_revision);
        let (created, found) = match own {
            Some(own) => (own.create_revision, Some(own.value)),
            None => (revision, None),
        };
        Ok(Joined {
            revision,
            created,
            found,
            is_first: first.is_none_or(|first| first == created),
        })
    }

    /// Waits until all that came before are gone. Returns the revision at which they were, and at
    /// which the place was still there.
    pub(super) async fn wait(&self, member: &Member, created: Revision) -> Result<Revision, Unmet> {
        loop {
            let own = RangeRequest::of(Keys::One(self.key.clone()));
            let before = RangeRequest {
                created: RevisionRange {
                    min: Revision::NONE,
                    max: Revision(created.0.saturating_sub(1)),
                },
                sort: Some(Sort {
                    by: SortBy::Create,
                    is_descending: true,
                }),
                limit: 1,
                ..RangeRequest::of(Keys::prefix(self.prefix.clone()))
            };
            // Both at one revision, and not before this was asked.
            let txn = TxnRequest {
                success: vec![Op::Range(own), Op::Range(before)],
                ..TxnRequest::default()
            };
            let (revision, done) = txn_done(member, txn).await?;
            let [own, before] = kvs(done.responses)?;
            if own.is_none_or(|own| own.create_revision != created) {
                return Err(Unmet::Lost);
            }
            let Some(before) = before else {
                return Ok(revision);
            };
            // Each waits for the one before it alone, so that the end of one wakes one.
            let mut before = deleted(member, before.key, revision.next())?;
            let mut own = deleted(member, self.key.clone(), revision.next())?;
            let item = tokio::select! {
                item = before.next() => item,
                item = own.next() => item,
            };
            goes_on(&item)?;
        }
    }
}

/// What all keys of a queue begin with.
pub(super) fn prefix(name: &[u8]) -> Bytes {
    let mut prefix = BytesMut::from(name);
    prefix.put_u8(b'/');
    prefix.freeze()
}

/// Asks who came first.
pub(super) fn first(prefix: Bytes) -> RangeRequest {
    RangeRequest {
        sort: Some(Sort {
            by: SortBy::Create,
            is_descending: false,
        }),
        limit: 1,
        ..RangeRequest::of(Keys::prefix(prefix))
    }
}

/// Who came first, at the present revision.
pub(super) async fn find_first(
    member: &Member,
    prefix: Bytes,
) -> Result<(Revision, Option<KeyValue>), Status> {
    let kv = member.kv_permitted()?;
    let found = kv.range(first(prefix), Consistency::Linearizable).await;
    let (revision, found) = found.map_err(|refused| error::status(&refused))?;
    Ok((revision, found.kvs.into_iter().next()))
}

/// That a key is there since this revision; or, for 0, is not there.
pub(super) fn created(key: Bytes, revision: i64) -> Compare {
    Compare {
        keys: Keys::One(key),
        operator: Operator::Equal,
        target: CompareTarget::Create(revision),
    }
}

pub(super) async fn txn_done(
    member: &Member,
    txn: TxnRequest,
) -> Result<(Revision, TxnResponse), Status> {
    let done = member.kv_permitted()?.txn(txn).await;
    done.map_err(|refused| error::status(&refused))
}

/// The same on behalf of whoever asks.
pub(super) async fn txn_on_behalf(
    member: &Member,
    shown: &Shown,
    txn: TxnRequest,
) -> Result<(Revision, TxnResponse), Status> {
    let call = |kv: Kv, txn| async move { kv.txn(txn).await };
    member.on_behalf(shown, txn, call).await
}

/// Watches what happens to some keys.
pub(super) fn watch(
    member: &Member,
    keys: Keys,
    start: Revision,
    wanted: Wanted,
) -> Result<Watcher, Status> {
    let request = WatchRequest {
        start,
        wanted,
        ..WatchRequest::new(keys)
    };
    let watcher = member.store().watch(request);
    watcher.map_err(|refused| Status::resource_exhausted(refused.to_string()))
}

/// Whether one may go on after an item of a watcher. What was compacted is not needed: the present
/// state is looked at again.
pub(super) fn goes_on(item: &WatchItem) -> Result<(), Status> {
    match item {
        WatchItem::Events { .. } | WatchItem::Cancelled(CancelReason::Compacted { .. }) => Ok(()),
        WatchItem::Cancelled(CancelReason::Closed(_)) => Err(stopped()),
        WatchItem::Cancelled(reason @ CancelReason::Failed(_)) => {
            Err(Status::unavailable(reason.to_string()))
        }
    }
}

fn deleted(member: &Member, key: Bytes, start: Revision) -> Result<Watcher, Status> {
    watch(member, Keys::One(key), start, Wanted::Deletes)
}

/// The key that each of two parts has found, if it has looked for one.
fn kvs(responses: Vec<Response>) -> Result<[Option<KeyValue>; 2], Status> {
    let found = responses.into_iter().map(|response| match response {
        Response::Range(found) => found.kvs.into_iter().next(),
        Response::Put(_)
        | Response::Delete(_)
        | Response::Txn(_)
        | Response::Granted(_)
        | Response::Expired(_)
        | Response::Done => None,
    });
    let found: Vec<_> = found.collect();
    let other = |_| Status::internal("a transaction of two parts has another number of answers");
    found.try_into().map_err(other)
}

/// Gives up the places of those who have stopped waiting.
#[derive(Clone, Debug, Default)]
pub(super) struct Exits {
    tasks: Arc<Mutex<JoinSet<()>>>,
}

/// Gives up a place when it is dropped, unless it is kept: a client that goes away would hold up
/// all behind it for as long as its lease lives.
pub(super) struct Exit {
    exits: Exits,
    member: Shared,
    place: Option<Place>,
    /// Since when it is there, once that is known.
    pub(super) created: Option<Revision>,
}

impl Exits {
    pub(super) fn watch_over(&self, member: &Shared, place: &Place) -> Exit {
        Exit {
            exits: self.clone(),
            member: Arc::clone(member),
            place: Some(place.clone()),
            created: None,
        }
    }
}

impl Exit {
    /// There is nothing to give up, or no reason to.
    pub(super) fn keep(mut self) {
        self.place = None;
    }
}

impl Drop for Exit {
    fn drop(&mut self) {
        // Without a runtime the process ends, and the lease will.
        let (Some(place), Ok(runtime)) = (self.place.take(), Handle::try_current()) else {
            return;
        };
        let tasks = self.exits.tasks.lock();
        let mut tasks = tasks.unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        if tasks.len() < EXITS_MAX {
            let exit = leave(Arc::clone(&self.member), place, self.created);
            tasks.spawn_on(exit, &runtime);
        }
    }
}

async fn leave(member: Shared, place: Place, created: Option<Revision>) {
    for _ in 0..EXIT_ATTEMPTS_MAX {
        if try_to_leave(&member, &place, created).await.is_ok() {
            return;
        }
        tokio::time::sleep(EXIT_PAUSE).await;
    }
    tracing::debug!(lease = %place.lease, "a place in a queue was not given up");
}

/// Deletes the key, if it is still that of this place, and is not the first one: that may be held
/// by another call of the same lease, which was told so.
async fn try_to_leave(
    member: &Member,
    place: &Place,
    since: Option<Revision>,
) -> Result<(), Status> {
    let since = match since {
        Some(since) => since,
        // It was about to join. If it does so later than this is asked, it stays.
        None => {
            let own = RangeRequest::of(Keys::One(place.key.clone()));
            let kv = member.kv_permitted()?;
            let found = kv.range(own, Consistency::Linearizable).await;
            let (_, found) = found.map_err(|refused| error::status(&refused))?;
            match found.kvs.first() {
                Some(own) => own.create_revision,
                None => return Ok(()),
            }
        }
    };
    let since = convert::signed(since.0);
    let nobody_before = Compare {
        keys: Keys::prefix(place.prefix.clone()),
        operator: Operator::Greater,
        target: CompareTarget::Create(since - 1),
    };
    let delete = TxnRequest {
        compares: vec![created(place.key.clone(), since)],
        success: vec![Op::Delete(DeleteRequest {
            keys: Keys::One(place.key.clone()),
            wants_prev: false,
        })],
        failure: Vec::new(),
    };
    let txn = TxnRequest {
        compares: vec![nobody_before],
        success: Vec::new(),
        failure: vec![Op::Txn(delete)],
    };
    txn_done(member, txn).await.map(drop)
}
