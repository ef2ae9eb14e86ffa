//! One server on the stage, the others played by the test: what both the tests of the paper's rules
//! and the scenarios need again and again.
//!
//! Server 1 is the real one. It knows nothing of what is tested.

use raft_core::event::RoleName;
use raft_core::message::{AppendOutcome, PreVoteReply};
use raft_core::{Message, Round};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{matched, vote};

/// The answer to a pre-vote.
pub(crate) const fn pre_voted(request: Round, granted: bool) -> Message {
    Message::PreVoteReply(PreVoteReply { request, granted })
}

/// Server 1 asks for pre-votes; returns the number of its campaign.
pub(crate) fn ask_pre_votes(cluster: &mut Cluster) -> Round {
    cluster.pass(1000);
    cluster.take_sent();
    cluster.campaign(1);
    let sent = cluster.take_sent();
    let number = sent.iter().find_map(|envelope| {
        let Message::PreVote(question) = &envelope.message else {
            return None;
        };
        Some(question.request)
    });
    number.expect("it asks")
}

/// Server 1 becomes a candidate, since all of `others` would vote for it.
pub(crate) fn stand(cluster: &mut Cluster, others: &[u64]) {
    let request = ask_pre_votes(cluster);
    let term = cluster.term(1);
    for id in others {
        cluster.forge(*id, 1, term, pre_voted(request, true));
    }
    assert_eq!(cluster.role(1), RoleName::Candidate);
}

/// Server 1 becomes the leader by the votes of `others`; nothing is committed yet.
pub(crate) fn lead(cluster: &mut Cluster, others: &[u64]) {
    stand(cluster, others);
    let term = cluster.term(1);
    for id in others {
        cluster.forge(*id, 1, term, vote(true));
    }
    assert_eq!(cluster.role(1), RoleName::Leader);
}

/// Server 1 leads `count` servers in term 1, and its first entry is not committed.
pub(crate) fn new_leader_of(count: u64) -> Cluster {
    let mut cluster = Cluster::lone(count);
    let others: Vec<u64> = (2..=count).collect();
    lead(&mut cluster, &others);
    cluster.take_sent();
    cluster
}

/// Server 1 leads `count` servers in term 1; all hold its first entry.
pub(crate) fn leader_of(count: u64) -> Cluster {
    let mut cluster = new_leader_of(count);
    (2..=count).for_each(|id| cluster.forge(id, 1, 1, matched(1)));
    assert_eq!(cluster.commit(1), 1);
    cluster.take_sent();
    cluster
}

/// What server 1 acknowledged to `to` since messages were last looked at.
pub(crate) fn acknowledged(cluster: &mut Cluster, to: u64) -> Vec<u64> {
    let sent = cluster.take_sent_to(1, to).into_iter();
    let matched = sent.filter_map(|message| {
        let Message::AppendEntriesReply(reply) = message else {
            return None;
        };
        let AppendOutcome::Matched(index) = reply.outcome else {
            return None;
        };
        Some(index.0)
    });
    matched.collect()
}

/// How server 1 answered when `to` asked for its vote, since messages were last looked at.
pub(crate) fn votes(cluster: &mut Cluster, to: u64) -> Vec<bool> {
    let sent = cluster.take_sent_to(1, to).into_iter();
    let votes = sent.filter_map(|message| {
        let Message::RequestVoteReply(reply) = message else {
            return None;
        };
        Some(reply.granted)
    });
    votes.collect()
}
