//! Follows who leads, and what they proclaim. Of what happened between two looks at a queue only
//! the last is told, but all that one leader proclaims is. It does not know who is told.

use std::collections::VecDeque;

use bytes::Bytes;
use raft_kv::watch::{Wanted, WatchItem, Watcher};
use raft_kv::{EventKind, KeyValue, Keys, Revision};
use tonic::Status;

use crate::pb::v3electionpb::LeaderResponse;
use crate::server::api::convert;
use crate::server::api::queue::{find_first, goes_on, watch};
use crate::server::member::Shared;

/// Follows a queue.
pub(super) struct Observer {
    member: Shared,
    prefix: Bytes,
    watched: Watched,
    /// What is to be told: no more than one item of a watcher holds.
    news: VecDeque<(Revision, KeyValue)>,
    /// Whose word was told last, and when that was given.
    told: (Bytes, Revision),
}

enum Watched {
    /// The queue is to be looked at.
    Nothing,
    /// Nobody leads; whoever comes does.
    Queue(Watcher),
    /// The leader's key.
    Leader(Watcher),
}

impl Observer {
    pub(super) fn new(member: Shared, prefix: Bytes) -> Self {
        Self {
            member,
            prefix,
            watched: Watched::Nothing,
            news: VecDeque::new(),
            told: (Bytes::new(), Revision::NONE),
        }
    }

    /// The next leader, or proclamation.
    pub(super) async fn next(mut self) -> Result<Option<(LeaderResponse, Self)>, Status> {
        loop {
            while let Some((revision, leader)) = self.news.pop_front() {
                // The same may be found again, when a watch had to begin anew. Another leader may
                // have said what it says before this one did, when it only waited.
                let (key, revision_told) = &self.told;
                if leader.key != *key || leader.mod_revision > *revision_told {
                    self.told = (leader.key.clone(), leader.mod_revision);
                    let response = LeaderResponse {
                        header: Some(self.member.header(revision)),
                        kv: Some(convert::kv(leader)),
                    };
                    return Ok(Some((response, self)));
                }
            }
            match &mut self.watched {
                Watched::Nothing => self.look().await?,
                Watched::Queue(watcher) => {
                    let item = watcher.next().await;
                    self.came(&item)?;
                }
                Watched::Leader(watcher) => {
                    let item = watcher.next().await;
                    self.led(&item)?;
                }
            }
        }
    }

    /// Finds out who leads now.
    async fn look(&mut self) -> Result<(), Status> {
        let (revision, first) = find_first(&self.member, self.prefix.clone()).await?;
        match first {
            Some(leader) => {
                self.watched = self.leader(leader.key.clone(), revision.next())?;
                self.news.push_back((revision, leader));
            }
            None => {
                let queue = Keys::prefix(self.prefix.clone());
                let queue = watch(&self.member, queue, revision.next(), Wanted::Puts)?;
                self.watched = Watched::Queue(queue);
            }
        }
        Ok(())
    }

    /// Something happened to an empty queue.
    fn came(&mut self, item: &WatchItem) -> Result<(), Status> {
        goes_on(item)?;
        self.watched = match item {
            WatchItem::Events { events, .. } => {
                let Some(came) = events.first() else {
                    return Ok(());
                };
                self.news.push_back((came.revision(), came.kv.clone()));
                self.leader(came.kv.key.clone(), came.revision().next())?
            }
            WatchItem::Cancelled(_) => Watched::Nothing,
        };
        Ok(())
    }

    /// Something happened to the leader.
    fn led(&mut self, item: &WatchItem) -> Result<(), Status> {
        goes_on(item)?;
        match item {
            WatchItem::Events { events, .. } => {
                for event in &**events {
                    match event.kind {
                        EventKind::Put => self.news.push_back((event.revision(), event.kv.clone())),
                        EventKind::Delete => {
                            self.watched = Watched::Nothing;
                            break;
                        }
                    }
                }
            }
            WatchItem::Cancelled(_) => self.watched = Watched::Nothing,
        }
        Ok(())
    }

    fn leader(&self, key: Bytes, start: Revision) -> Result<Watched, Status> {
        let leader = watch(&self.member, Keys::One(key), start, Wanted::All)?;
        Ok(Watched::Leader(leader))
    }
}
