//! What becomes of the wish for a watch: etcd's forms of it, and why there is none. It does not
//! know how the answer travels.

use bytes::Bytes;
use raft_kv::watch::{Wanted, WatchRequest};
use raft_kv::{Keys, Revision};

use super::watchers::{Watchers, Wishes};
use crate::pb::etcdserverpb::WatchCreateRequest;
use crate::pb::etcdserverpb::watch_create_request::FilterType;
use crate::server::auth::Shown;
use crate::server::member::Member;

/// etcd lets the server choose an id when this one is asked for.
const ANY_WATCH: i64 = 0;
pub(super) const DUPLICATE: &str = "mvcc: duplicate watch ID provided on the WatchStream";
const COMPACTED: &str = "etcdserver: mvcc: required revision has been compacted";

/// A watch that has begun.
pub(super) struct Created {
    pub(super) id: i64,
    /// If it begins now, nothing up to here is told. A client that lost its connection before it
    /// was told anything goes on from here, so it must not be later than it is.
    pub(super) since: Option<Revision>,
    pub(super) wants_progress: bool,
}

/// Begins a watch.
///
/// # Errors
/// Why there is none, as clients are told.
pub(super) fn create(
    member: &Member,
    shown: &Shown,
    watchers: &mut Watchers,
    wish: WatchCreateRequest,
) -> Result<Created, String> {
    let filters = |filter: FilterType| wish.filters.contains(&i32::from(filter));
    let wanted = wanted(filters(FilterType::Noput), filters(FilterType::Nodelete));
    // The smallest key that there can be.
    let is_unnamed = wish.key.is_empty();
    let key = if is_unnamed {
        Bytes::from_static(b"\0")
    } else {
        wish.key
    };
    let Ok(start) = u64::try_from(wish.start_revision) else {
        return Err(COMPACTED.to_owned());
    };
    let keys = Keys::of(key, wish.range_end);
    if wish.watch_id != ANY_WATCH && watchers.contains(wish.watch_id) {
        return Err(DUPLICATE.to_owned());
    }
    let permitted = member.permit(shown, |auth, user| auth.may_read(user, &keys));
    permitted.map_err(|refused| refused.message().to_owned())?;
    let request = WatchRequest {
        keys,
        start: Revision(start),
        wanted,
        wants_prev: wish.prev_kv,
    };
    let watcher = member.store().watch(request);
    let watcher = watcher.map_err(|refused| refused.to_string())?;
    let is_from_now = Revision(start) == Revision::NONE;
    let since = is_from_now.then(|| Revision(watcher.rest().start.0.saturating_sub(1)));
    let wishes = Wishes {
        prev: wish.prev_kv,
        fragment: wish.fragment,
        progress: wish.progress_notify,
    };
    // Only now: a watch that is refused uses up none.
    let id = match wish.watch_id {
        ANY_WATCH => watchers.free_id(),
        id => id,
    };
    watchers.add(id, watcher, wishes);
    Ok(Created {
        id,
        since,
        wants_progress: wishes.progress,
    })
}

const fn wanted(no_puts: bool, no_deletes: bool) -> Wanted {
    match (no_puts, no_deletes) {
        (false, false) => Wanted::All,
        (false, true) => Wanted::Puts,
        (true, false) => Wanted::Deletes,
        (true, true) => Wanted::Nothing,
    }
}
