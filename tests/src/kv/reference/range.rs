//! Reading the list of events. It does not know how the list came about.

use raft_kv::request::{Content, RangeRequest, Sort, SortBy};
use raft_kv::response::RangeResponse;
use raft_kv::{KeyValue, Refusal, Revision};

use super::Reference;

impl Reference {
    /// Whether there is, and still is, what happened at a revision.
    ///
    /// # Errors
    /// When it has not happened yet, or is compacted.
    pub fn check_revision(&self, asked: Revision) -> Result<(), Refusal> {
        let (revision, compacted) = (self.revision, self.compacted);
        if asked == Revision::NONE {
            Ok(())
        } else if asked > revision {
            Err(Refusal::FutureRevision { revision })
        } else if asked < compacted {
            Err(Refusal::Compacted { compacted })
        } else {
            Ok(())
        }
    }

    /// What a range shows.
    ///
    /// # Errors
    /// When the request is no good, or the revision is not there.
    pub fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        Self::check_keys(&request.keys)?;
        self.check_revision(request.revision)?;
        Ok(self.seen(request))
    }

    /// The same, of a request that was checked.
    pub(super) fn seen(&self, request: &RangeRequest) -> RangeResponse {
        let mut kvs = self.at(request.revision);
        kvs.retain(|kv| request.keys.contains(&kv.key));
        let count = kvs.len() as u64;
        if request.content == Content::CountOnly {
            return RangeResponse {
                count,
                ..RangeResponse::default()
            };
        }
        kvs.retain(|kv| {
            request.modified.contains(kv.mod_revision)
                && request.created.contains(kv.create_revision)
        });
        if let Some(sort) = request.sort {
            sort_by(&mut kvs, sort);
        }
        let wanted = usize::try_from(request.limit).unwrap_or(usize::MAX);
        let more = request.limit > 0 && kvs.len() > wanted;
        if more {
            kvs.truncate(wanted);
        }
        if request.content == Content::KeysOnly {
            kvs.iter_mut().for_each(|kv| kv.value.clear());
        }
        RangeResponse { kvs, count, more }
    }
}

/// Sorts what is in the order of the keys; what is equal stays in it.
fn sort_by(kvs: &mut [KeyValue], sort: Sort) {
    kvs.sort_by(|one, other| {
        let (one, other) = if sort.is_descending {
            (other, one)
        } else {
            (one, other)
        };
        match sort.by {
            SortBy::Key => one.key.cmp(&other.key),
            SortBy::Version => one.version.cmp(&other.version),
            SortBy::Create => one.create_revision.cmp(&other.create_revision),
            SortBy::Mod => one.mod_revision.cmp(&other.mod_revision),
            SortBy::Value => one.value.cmp(&other.value),
        }
    });
}
