//! Log replication (Raft §5.3).

use raft_core::message::AppendOutcome;
use raft_core::{Index, Message, Reply};
use raft_tests::cluster::words::{append, at, conflict, matched};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::{acknowledged, leader_of, new_leader_of};

// §5.3: an entry is committed once the leader has replicated it on a majority.
#[test]
fn an_entry_is_committed_once_a_majority_holds_it() {
    for (count, others_needed) in [(2, 1), (3, 1), (4, 2), (5, 2), (6, 3), (7, 3)] {
        let mut cluster = new_leader_of(count);
        for id in 2..2 + others_needed {
            assert_eq!(cluster.commit(1), 0, "of {count} before {id} has it");
            cluster.forge(id, 1, 1, matched(1));
        }
        assert_eq!(cluster.commit(1), 1, "of {count}");
    }
}

// §5.3: a majority of the cluster, not of those who answer.
#[test]
fn who_answers_twice_or_does_not_belong_here_commits_nothing() {
    let mut cluster = new_leader_of(5);
    for id in [2, 2, 2, 7, 8] {
        cluster.forge(id, 1, 1, matched(1));
    }
    assert_eq!(cluster.commit(1), 0);
}

// Figure 2: a follower answers after the entries are on stable storage.
#[test]
fn a_follower_acknowledges_only_what_is_durable() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1], 0));
    assert_eq!(acknowledged(&mut cluster, 2), [1]);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, append(at(1, 1), &[1, 1], 1));
    cluster.forge(2, 1, 1, append(at(3, 1), &[], 1));
    assert_eq!(
        acknowledged(&mut cluster, 2),
        [1],
        "the heartbeat gets an honest answer"
    );
    cluster.persist(1);
    assert_eq!(acknowledged(&mut cluster, 2), [3]);
}

// Dissertation §10.2.1: the leader's own disk is one of the majority, and not counted before.
#[test]
fn the_leader_counts_its_own_disk_like_any_other() {
    let mut cluster = leader_of(3);
    cluster.stall(1, Lane::Disk);
    cluster.propose(1, "a");
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(cluster.commit(1), 1, "only 2 would remember it");
    cluster.forge(3, 1, 1, matched(2));
    assert_eq!(cluster.commit(1), 2, "2 and 3 are enough");
    cluster.propose(1, "b");
    cluster.forge(2, 1, 1, matched(3));
    assert_eq!(cluster.commit(1), 2);
    cluster.persist(1);
    assert_eq!(cluster.commit(1), 3);
}

// §5.3: a follower refuses entries whose predecessor, by index and term, it does not have.
#[test]
fn a_follower_checks_the_predecessor() {
    let (taken, refused) = (true, false);
    let cases = [
        (at(0, 0), taken),
        (at(2, 1), taken),
        (at(3, 2), taken),
        (at(3, 1), refused),
        (at(3, 3), refused),
        (at(2, 2), refused),
        (at(4, 2), refused),
        (at(9, 9), refused),
    ];
    for (prev, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 2, &[1, 1, 2]);
        cluster.forge(2, 1, 9, append(prev, &[9], 0));
        let is_taken = cluster.terms(1).contains(&9);
        assert_eq!(is_taken, expected, "after {prev}: {:?}", cluster.terms(1));
        assert!(cluster.terms(1).len() == prev.index.0 as usize + 1 || !is_taken);
    }
}

// Figure 7: whatever is missing or too much in a follower's log, it becomes the leader's.
#[test]
fn every_log_of_figure_7_is_brought_to_agree() {
    let leader = [1, 1, 1, 4, 4, 5, 5, 6, 6, 6];
    let followers: [&[u64]; 6] = [
        &[1, 1, 1, 4, 4, 5, 5, 6, 6],
        &[1, 1, 1, 4],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6],
        &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7],
        &[1, 1, 1, 4, 4, 4, 4],
        &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3],
    ];
    for follower in followers {
        let mut cluster = Cluster::new(3);
        cluster.rewrite(1, 7, &leader);
        cluster.rewrite(2, 7, follower);
        cluster.rewrite(3, 7, &leader);
        cluster.elect(1);
        cluster.run(300);
        assert_eq!(cluster.terms(2), cluster.terms(1), "of {follower:?}");
        assert_eq!(cluster.terms(2)[..10], leader);
        assert_eq!(
            (cluster.commit(2), cluster.synced_terms(2)),
            (11, cluster.terms(1))
        );
    }
}

// §5.3: on a conflict the leader bypasses all entries of the conflicting term at once.
#[test]
fn one_conflict_a_term_is_enough() {
    let mut cluster = Cluster::new(3);
    cluster.rewrite(1, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    cluster.rewrite(2, 7, &[1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3]);
    cluster.rewrite(3, 7, &[1, 1, 1, 4, 4, 5, 5, 6, 6, 6]);
    cluster.take_sent();
    cluster.elect(1);
    let is_conflict = |message: &Message| {
        let Message::AppendEntriesReply(reply) = message else {
            return false;
        };
        matches!(reply.outcome, AppendOutcome::Conflict { .. })
    };
    let conflicts = cluster.take_sent_to(2, 1).into_iter().filter(is_conflict);
    assert!((1..=3).contains(&conflicts.count()));
}

// §5.3: only entries that conflict are deleted, with all that follow them.
#[test]
fn only_conflicting_entries_are_deleted() {
    let cases: [(u64, &[u64], &[u64]); 5] = [
        (0, &[1], &[1, 1, 1, 2]),
        (1, &[1, 1], &[1, 1, 1, 2]),
        (3, &[2, 3], &[1, 1, 1, 2, 3]),
        (2, &[3], &[1, 1, 3]),
        (0, &[1, 1, 3, 3, 3], &[1, 1, 3, 3, 3]),
    ];
    for (prev, terms, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 2, &[1, 1, 1, 2]);
        let prev = at(prev, u64::from(prev > 0));
        cluster.forge(2, 1, 3, append(prev, terms, 0));
        assert_eq!(cluster.terms(1), expected, "{terms:?} after {prev}");
        assert_eq!(cluster.synced_terms(1), expected);
    }
}

// Figure 2: commitIndex = min(leaderCommit, index of the last new entry).
#[test]
fn a_follower_commits_only_what_it_compared_with_the_leader() {
    let cases: [(u64, &[u64], u64, u64); 4] = [
        (1, &[], 4, 1),
        (2, &[1], 4, 3),
        (1, &[1, 1], 2, 2),
        (4, &[1], 9, 5),
    ];
    for (prev, terms, commit, expected) in cases {
        let mut cluster = Cluster::lone(3);
        cluster.rewrite(1, 1, &[1, 1, 1, 1]);
        cluster.forge(2, 1, 2, append(at(prev, 1), terms, commit));
        assert_eq!(
            cluster.commit(1),
            expected,
            "{terms:?} after {prev}, leader at {commit}"
        );
    }
}

// §5.3: entries are applied in log order, once they are committed.
#[test]
fn committed_entries_are_applied_in_order() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1, 1], 0));
    assert_eq!(cluster.commands(1), [""; 0]);
    cluster.forge(2, 1, 1, append(at(3, 1), &[], 2));
    assert_eq!(cluster.commands(1), ["1t1", "2t1"]);
    cluster.forge(2, 1, 1, append(at(3, 1), &[], 3));
    assert_eq!(cluster.commands(1), ["1t1", "2t1", "3t1"]);
}

// §5.3 with our contract: the state machine never outruns the log of its own server.
#[test]
fn nothing_is_applied_before_it_is_durable_here() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1], 1));
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 1, append(at(1, 1), &[1, 1], 3));
    assert_eq!((cluster.commit(1), cluster.commands(1)), (3, vec!["1t1"]));
    cluster.unstall(1, Lane::Disk);
    assert_eq!(cluster.commands(1), ["1t1", "2t1", "3t1"]);
}

// §5.3: a leader never overwrites or deletes entries in its own log.
#[test]
fn a_leader_only_appends() {
    let mut cluster = leader_of(3);
    for (at, command) in (2..).zip(["a", "b", "c"]) {
        let ticket = cluster.propose(1, command);
        let Some(Reply::Accepted { position, .. }) = cluster.reply(ticket) else {
            panic!("{command} is accepted");
        };
        assert_eq!((position.index.0, position.term.0), (at, 1));
    }
    cluster.forge(2, 1, 1, conflict(1, at(0, 0)));
    cluster.forge(3, 1, 1, matched(9));
    assert_eq!(cluster.terms(1), [1, 1, 1, 1]);
    assert_eq!(
        cluster.commit(1),
        1,
        "nobody has more of its log than the leader"
    );
}

// §5.3: the leader retries indefinitely, until all followers store all entries.
#[test]
fn what_was_lost_on_the_way_is_sent_again() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.lose(|envelope| {
        let Message::AppendEntries(append) = &envelope.message else {
            return false;
        };
        envelope.to.0 == 3 && !append.entries.is_empty()
    });
    for command in ["a", "b", "c", "d", "e"] {
        cluster.propose(1, command);
    }
    cluster.run(300);
    assert_eq!((cluster.commit(1), cluster.last(3)), (6, 1));
    cluster.heal();
    cluster.run(300);
    assert_eq!((cluster.commit(3), cluster.terms(3)), (6, cluster.terms(1)));
}

// §5.3: heartbeats tell followers what is committed.
#[test]
fn followers_learn_what_is_committed() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.propose(1, "a");
    cluster.run(100);
    assert!((1..=3).all(|id| cluster.raft(id).commit() == Index(2)));
    assert!((1..=3).all(|id| cluster.commands(id) == ["a"]));
}

// §5.3: nextIndex steps back for an answer to what was asked, not for one that was overtaken.
#[test]
fn a_late_conflict_takes_nothing_back() {
    let mut cluster = leader_of(3);
    for command in ["a", "b", "c"] {
        cluster.propose(1, command);
    }
    cluster.forge(2, 1, 1, matched(4));
    cluster.forge(2, 1, 1, conflict(2, at(1, 1)));
    cluster.forge(2, 1, 1, matched(3));
    let status = cluster.raft(1).status(cluster.now());
    let peer = status
        .peers
        .iter()
        .find(|peer| peer.id.0 == 2)
        .expect("a follower");
    assert_eq!((peer.matched, peer.next), (Index(4), Index(5)));
}
