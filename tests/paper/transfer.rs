//! Leadership transfer (dissertation §3.10).

use raft_core::event::{Refusal, RoleName};
use raft_core::{ClockDrift, Message, Reply};
use raft_tests::cluster::Cluster;
use raft_tests::cluster::words::{append, at, blessed_vote, matched};

use crate::stage::leader_of;

fn told(cluster: &mut Cluster, id: u64) -> usize {
    let sent = cluster.take_sent_to(1, id);
    sent.iter()
        .filter(|message| **message == Message::TimeoutNow)
        .count()
}

// §3.10, steps 1 and 2: no proposals, and the word only once the target has the whole log.
#[test]
fn the_target_is_told_once_it_has_the_whole_log() {
    let mut cluster = leader_of(3);
    cluster.propose(1, "a");
    let ticket = cluster.transfer(1, 2);
    let late = cluster.propose(1, "b");
    assert_eq!(cluster.refusal(late), Some(Refusal::Transferring));
    assert_eq!(told(&mut cluster, 2), 0);
    cluster.forge(3, 1, 1, matched(2));
    assert_eq!(told(&mut cluster, 2), 0, "3 has it, 2 does not");
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(told(&mut cluster, 2), 1);
    assert_eq!(
        cluster.reply(ticket),
        None,
        "it leads until somebody else does"
    );
}

// §3.10, step 3: the target campaigns at once, and voters do not mind the old leader.
#[test]
fn the_target_campaigns_at_once_and_wins() {
    let mut cluster = Cluster::new(5);
    cluster.elect(1);
    cluster.run(100);
    cluster.take_sent();
    let ticket = cluster.transfer(1, 4);
    assert_eq!((cluster.leader(), cluster.term(4)), (Some(4), 2));
    assert_eq!(cluster.role(1), RoleName::Follower);
    assert!(matches!(
        cluster.reply(ticket),
        Some(Reply::Transferred { .. })
    ));
    let sent = cluster.take_sent();
    assert!(
        !sent
            .iter()
            .any(|m| matches!(m.message, Message::PreVote(_))),
        "no question first"
    );
    assert!(sent.iter().any(|m| m.message == blessed_vote(at(1, 1))));
}

// §3.10: only a voter of the term's own leader is told; a late word has no effect.
#[test]
fn a_word_of_an_earlier_term_starts_no_election() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 2, append(at(0, 0), &[], 0));
    cluster.forge(3, 1, 1, Message::TimeoutNow);
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Follower, 2));
    cluster.forge(2, 1, 2, Message::TimeoutNow);
    assert_eq!((cluster.role(1), cluster.term(1)), (RoleName::Candidate, 3));
}

// §3.10: if nobody took over within an election timeout, the old leader goes on.
#[test]
fn a_transfer_that_takes_too_long_is_given_up() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.crash(2);
    let ticket = cluster.transfer(1, 2);
    cluster.run(1900);
    assert_eq!((cluster.reply(ticket), cluster.leader()), (None, Some(1)));
    cluster.run(200);
    assert_eq!(cluster.refusal(ticket), Some(Refusal::TimedOut));
    let done = cluster.propose(1, "a");
    assert!(cluster.is_done(done));
    assert_eq!(cluster.term(1), 1);
}

// §3.10: the target is a voter, and somebody else; one transfer at a time.
#[test]
fn nonsense_is_refused() {
    let mut cluster = leader_of(3);
    for target in [1, 7] {
        let ticket = cluster.transfer(1, target);
        assert_eq!(
            cluster.refusal(ticket),
            Some(Refusal::BadTarget),
            "to {target}"
        );
    }
    cluster.transfer(1, 2);
    let second = cluster.transfer(1, 3);
    assert_eq!(cluster.refusal(second), Some(Refusal::Transferring));
}

// §6.4.1 and §3.10: whoever told a successor to campaign can't trust in a lease any more.
#[test]
fn a_lease_does_not_survive_the_word_to_a_successor() {
    let mut cluster = Cluster::with(3, |config| {
        config.lease = Some(ClockDrift { per_mille: 10 });
    });
    cluster.elect(1);
    cluster.run(300);
    assert!(cluster.raft(1).lease_valid(cluster.now()));
    cluster.hold(|envelope| envelope.message == Message::TimeoutNow);
    let ticket = cluster.transfer(1, 2);
    assert!(!cluster.raft(1).lease_valid(cluster.now()));
    cluster.run(3000);
    assert_eq!(cluster.refusal(ticket), Some(Refusal::TimedOut));
    let now = cluster.now();
    assert!(
        !cluster.raft(1).lease_valid(now),
        "the word may still arrive"
    );
    let read = cluster.read(1);
    assert_eq!(cluster.barrier(read), Some(1), "it asks instead");
    let word = cluster.take_held().remove(0);
    cluster.heal();
    cluster.deliver(word);
    cluster.settle();
    assert_eq!(cluster.leader(), Some(2));
}
