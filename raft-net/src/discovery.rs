//! How a new node comes to its cluster: the same command line founds it, or joins it.
//!
//! [`assemble`] is for a node whose store was never used. Until its [`Node`] is started it answers
//! the others' questions itself, and says what it stands by: that it is new, the founders it will
//! found with, and which of those it has heard to be new as well. From what the others say it
//! concludes:
//!
//! - **Somebody belongs to a cluster at work** (something is committed there): join that one.
//! - **All founders are new**, and stand by the very same list: found, with that list.
//! - Otherwise wait, and say for whom.
//!
//! Why there are never two clusters:
//!
//! 1. *Nobody changes its list while it looks.* A node founds only with the list that all founders
//!    in it were heard to stand by. So two nodes that found with different lists can't have a
//!    founder in common, and a node that hears of another list does not found but says so. (What
//!    nodes say goes with their process. One that is stopped while it looks, and comes back with
//!    another list, is again held up by whoever stands by the old one.)
//! 2. *A store was lost*: its node is new, while the others have worked with its former life. What
//!    that life acknowledged and voted is forgotten, so it must not count again. It finds a founder
//!    that is not new, hence does not found; and a cluster at work that names it, hence does not
//!    join as somebody else. It is an error, unless the operator said `replace`.
//! 3. *The others were faster.* They have founded, or are at work, while this node still looks. It
//!    may follow once it has heard all founders to be new since it began to look: its own store
//!    was empty all that time, and so were theirs at a later moment; so no earlier cluster of this
//!    list is left, except if all of its stores were lost, and then there is nothing to protect.
//!    And it will have heard them: each waits, before it founds, until all others have heard all.
//!    A node that was stopped between the two is in the place of one whose store was lost, and is
//!    told so; nothing else would be safe, as nobody can tell the two apart.
//! 4. Even then Raft itself asks a majority of the list for everything.
//!
//! Where addresses are looked up, they don't say who founds; so the founders are expected by
//! number. A node makes its list of the lowest ids once everybody who was found has answered; or
//! takes over that of another, if it has heard all in it. So start as many as are expected, and
//! others later: these are not named in the list, wait, and join.
//!
//! Everybody who is looked for has to answer once before a cluster is founded, since anybody may
//! belong to one. This file keeps no store: it can't know whether the caller's is new.
//!
//! [`Node`]: raft_core::Node

mod ask;
mod assembly;
pub mod dns;
mod greeter;
mod join;
mod search;
mod seeds;

use std::sync::Arc;
use std::time::Duration;

use raft_core::membership::Membership;
use raft_core::{GroupId, NodeId};

pub use dns::{DnsError, Resolver};
pub use join::{JoinError, Joining, join};
pub use seeds::{Seed, SeedError, Seeds};

use crate::net::{NetError, TcpNet};
use search::Search;

/// So many founders a cluster has at most; others are added later.
pub const FOUNDERS_MAX: usize = 31;

/// A node that looks for its cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// Its id, that of its network.
    pub id: NodeId,
    /// Where members reach it.
    pub address: String,
}

/// What is the same on the command lines of all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Where members are looked for. The addresses of founders that are listed are tried anyway.
    pub seeds: Seeds,
    /// Who founds the cluster if there is none.
    pub founders: Founders,
    /// Whether this node takes the place of a member whose store was lost.
    pub replace: bool,
    /// How long to look.
    pub patience: Duration,
}

/// Who founds a cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Founders {
    /// These, by id and address.
    Listed(Vec<(NodeId, String)>),
    /// So many new nodes, once they have found each other.
    Expect(usize),
    /// Nobody: there has to be a cluster.
    Nobody,
}

/// How a new node is to be started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Assembled {
    /// As a founder, together with these: see `NodeConfig::founding`.
    Found(Vec<(NodeId, String)>),
    /// Blank: see `NodeConfig::joining`. Then it asks to be added: see [`join`].
    Join {
        /// A member.
        via: NodeId,
        /// The members, as far as that one knows.
        membership: Arc<Membership>,
    },
    /// Blank. An operator has added it already, and it has nothing to ask for.
    Added {
        /// A member.
        via: NodeId,
        /// The members, as far as that one knows.
        membership: Arc<Membership>,
    },
}

/// Why a new node has no cluster.
#[derive(Debug, thiserror::Error)]
pub enum DiscoveryError {
    /// The plan can't be meant.
    #[error("{0}")]
    Plan(String),
    /// The network is of no use.
    #[error(transparent)]
    Net(#[from] NetError),
    /// There is neither a cluster, nor all that it takes to found one.
    #[error("after {} s there is no cluster, and none can be founded: {}", after.as_secs(),
        missing.join("; "))]
    Missing {
        /// For how long that was waited for.
        after: Duration,
        /// What is missing.
        missing: Vec<String>,
    },
    /// Founders are to found with different lists.
    #[error(
        "node {node} is to found a cluster of {theirs}, this node one of {ours}: give all \
        founders the same list, and start them again"
    )]
    Differ {
        /// Who is of the other opinion.
        node: NodeId,
        /// What it was given.
        theirs: String,
        /// What this node was given; empty if it has no list yet.
        ours: String,
    },
    /// The cluster knows this node, but its store is empty.
    #[error(
        "node {id} belongs to the cluster of node {via} already, but its store is empty. If \
        the store is elsewhere, give it back. If it was lost, its votes and acknowledgements are \
        lost with it: remove member {id} from the cluster and start this node again, or start it \
        with the order to replace the member"
    )]
    Replaced {
        /// Who.
        id: NodeId,
        /// Who says so.
        via: NodeId,
    },
}

/// Looks for the cluster of a new node, or for those to found it with.
///
/// Only for a store that was never used: `LogStore::recover` says an incarnation of
/// `Incarnation::UNBOUND`. A used one knows its cluster; its node is just started, and if it is
/// blank then, looks for members with [`find`] and asks with [`join`]. The node of the `group` must
/// not be started yet; on success it should be at once, as the others wait for it.
///
/// Can be dropped at any time. Then, and after an error, this node says nothing any more.
///
/// # Errors
/// Say what is missing, and what to do.
pub async fn assemble(
    net: &TcpNet,
    group: GroupId,
    me: &Candidate,
    plan: Plan,
) -> Result<Assembled, DiscoveryError> {
    check(net, me, &plan.founders)?;
    Search::begin(net, group, me.clone(), plan).run().await
}

/// Looks for a member of a cluster at work: for a node that runs, blank, and has yet to be added by
/// way of it; as after a restart in the middle of joining.
///
/// # Errors
/// When there is none in time.
pub async fn find(
    net: &TcpNet,
    group: GroupId,
    me: &Candidate,
    seeds: Seeds,
    patience: Duration,
) -> Result<NodeId, DiscoveryError> {
    check(net, me, &Founders::Nobody)?;
    let search = Search::for_cluster(net, group, me.clone(), (seeds, patience));
    match search.run().await? {
        Assembled::Join { via, .. } | Assembled::Added { via, .. } => Ok(via),
        Assembled::Found(_) => Err(DiscoveryError::Plan("nobody was to found".to_owned())),
    }
}

fn check(net: &TcpNet, me: &Candidate, founders: &Founders) -> Result<(), DiscoveryError> {
    let refused = |text| Err(DiscoveryError::Plan(text));
    let node = net.shared().config.node;
    if me.id != node {
        return refused(format!(
            "this is node {}, but its network says {node}",
            me.id
        ));
    }
    if me.address.is_empty() {
        return refused("this node needs an address where members reach it".to_owned());
    }
    match founders {
        Founders::Nobody => Ok(()),
        Founders::Expect(count @ 1..=FOUNDERS_MAX) => {
            tracing::debug!(count, "founders are expected");
            Ok(())
        }
        Founders::Expect(count) => refused(format!(
            "a cluster has 1 to {FOUNDERS_MAX} founders, not {count}"
        )),
        Founders::Listed(list) if list.is_empty() || list.len() > FOUNDERS_MAX => refused(format!(
            "a cluster has 1 to {FOUNDERS_MAX} founders, not {}",
            list.len()
        )),
        Founders::Listed(list) => check_list(me, list),
    }
}

fn check_list(me: &Candidate, list: &[(NodeId, String)]) -> Result<(), DiscoveryError> {
    for (place, (id, address)) in list.iter().enumerate() {
        let twice = |(other, at): &(NodeId, String)| other == id || at == address;
        if list[..place].iter().any(twice) {
            return Err(DiscoveryError::Plan(format!(
                "the list of founders names node {id} or address {address} twice"
            )));
        }
        if *id == me.id && *address != me.address {
            return Err(DiscoveryError::Plan(format!(
                "the list of founders says that node {id} is at {address}, this node says {}",
                me.address
            )));
        }
    }
    Ok(())
}
