//! Whether there is anybody to ask: ends what clients listen to when their member has lost its
//! leader, or stops. One task knows for all streams. It does not know what they tell.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use raft_core::Node;
use raft_core::driver::{ReadError, StatusWatch};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_stream::Stream;
use tonic::Status;
use tonic::metadata::MetadataMap;

use super::api::error;

/// By which metadata a client says that it wants to be told when there is no leader; etcd's.
const WISH: &str = "hasleader";
/// For so many election timeouts there has to be no leader before streams end: to come back costs
/// more than to wait for an election. As many as etcd's.
const PATIENCE: u32 = 3;

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// There is a leader, or was one lately.
    Led,
    /// There has been none for a while.
    Leaderless,
    /// It stops.
    Stopped,
}

/// Follows how a member stands, until it is dropped.
pub(crate) struct Leadership {
    node: Node,
    standing: watch::Sender<Standing>,
    /// The one task; it ends with this.
    _task: JoinSet<()>,
}

impl fmt::Debug for Leadership {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Leadership")
            .field(&*self.standing.borrow())
            .finish()
    }
}

impl Leadership {
    /// Follows a node whose elections take about so long. Needs a tokio runtime.
    pub(crate) fn follow(node: Node, election_timeout: Duration) -> Self {
        let (standing, _) = watch::channel(Standing::Led);
        let mut task = JoinSet::new();
        let status = node.watch_status();
        task.spawn(follow(
            status,
            election_timeout * PATIENCE,
            standing.clone(),
        ));
        Self {
            node,
            standing,
            _task: task,
        }
    }

    /// Ends all streams, and those that come later: the member stops.
    pub(crate) fn stop(&self) {
        self.standing.send_replace(Standing::Stopped);
    }

    /// Has a stream end when the member stops; also when it has lost its leader, if the client has
    /// asked for that.
    ///
    /// # Errors
    /// When there is no reason to begin.
    pub(crate) fn guard<S>(&self, metadata: &MetadataMap, stream: S) -> Result<Guarded<S>, Status> {
        let needs_leader = metadata.get(WISH).is_some_and(|wish| wish == "true");
        let mut standing = self.standing.subscribe();
        if *standing.borrow() == Standing::Stopped {
            return Err(stopped());
        }
        if needs_leader && self.node.status().core.leader.is_none() {
            return Err(no_leader());
        }
        let end = async move {
            let ends = |standing: &Standing| match standing {
                Standing::Led => false,
                Standing::Leaderless => needs_leader,
                Standing::Stopped => true,
            };
            match standing.wait_for(ends).await.map(|standing| *standing) {
                Ok(Standing::Leaderless) => no_leader(),
                Ok(Standing::Led | Standing::Stopped) | Err(_) => stopped(),
            }
        };
        Ok(Guarded {
            stream,
            end: Some(Box::pin(end)),
        })
    }
}

/// Says how the member stands until it has stopped.
async fn follow(mut status: StatusWatch, patience: Duration, standing: watch::Sender<Standing>) {
    loop {
        let lost = status.until(|status| status.core.leader.is_none() || status.stopped.is_some());
        match lost.await {
            Some(status) if status.stopped.is_none() => {}
            Some(_) | None => break,
        }
        let found = status.until(|status| status.core.leader.is_some() || status.stopped.is_some());
        if tokio::time::timeout(patience, found).await.is_ok() {
            continue;
        }
        say(&standing, Standing::Leaderless);
        let found = status.until(|status| status.core.leader.is_some() || status.stopped.is_some());
        found.await;
        say(&standing, Standing::Led);
    }
    say(&standing, Standing::Stopped);
}

/// Whoever has stopped stays so.
fn say(standing: &watch::Sender<Standing>, news: Standing) {
    standing.send_if_modified(|standing| {
        let is_news = *standing != Standing::Stopped && *standing != news;
        if is_news {
            *standing = news;
        }
        is_news
    });
}

/// A stream that ends, with an error, when there is nobody to ask.
pub(crate) struct Guarded<S> {
    stream: S,
    /// `None` once it has ended.
    end: Option<Pin<Box<dyn Future<Output = Status> + Send>>>,
}

impl<S, T> Stream for Guarded<S>
where
    S: Stream<Item = Result<T, Status>> + Unpin,
{
    type Item = Result<T, Status>;

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = self.get_mut();
        let Some(end) = &mut this.end else {
            return Poll::Ready(None);
        };
        if let Poll::Ready(status) = end.as_mut().poll(context) {
            this.end = None;
            return Poll::Ready(Some(Err(status)));
        }
        Pin::new(&mut this.stream).poll_next(context)
    }
}

/// Nobody leads.
pub(crate) fn no_leader() -> Status {
    error::read(&ReadError::NoLeader { hint: None })
}

/// This member stops.
pub(crate) fn stopped() -> Status {
    error::read(&ReadError::Stopped)
}
