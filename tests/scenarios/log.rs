//! What leaders and followers make of logs that conflict, arrive out of order, or are lost halfway.

use raft_core::Message;
use raft_core::event::Refusal;
use raft_tests::cluster::words::{append, at};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::acknowledged;

/// Figure 8 (c): five servers; the entry of term 2 is on three, 5 has one of term 3.
fn figure_8_c() -> Cluster {
    let mut cluster = Cluster::new(5);
    for (id, term, terms) in [
        (1, 3, vec![1, 2]),
        (2, 3, vec![1, 2]),
        (3, 3, vec![1]),
        (4, 3, vec![1]),
        (5, 3, vec![1, 3]),
    ] {
        cluster.rewrite(id, term, &terms);
    }
    cluster.crash(5);
    // S1 leads again in term 4; its own entry reaches nobody, the one of term 2 reaches S3.
    cluster.lose(|envelope| {
        let Message::AppendEntries(append) = &envelope.message else {
            return false;
        };
        append.entries.iter().any(|entry| entry.term.0 == 4)
    });
    cluster.elect(1);
    cluster.forge(1, 3, 4, append(at(1, 1), &[2], 0));
    assert_eq!(
        (cluster.terms(1), cluster.terms(3)),
        (vec![1, 2, 4], vec![1, 2])
    );
    cluster
}

#[test]
fn figure_8_an_old_entry_on_a_majority_may_still_be_overwritten() {
    let mut cluster = figure_8_c();
    cluster.run(300);
    assert_eq!(cluster.commit(1), 0, "on three of five, but not committed");
    cluster.crash(1);
    cluster.heal();
    cluster.restart(5);
    cluster.pass(1000);
    cluster.campaign(5);
    assert_eq!(cluster.term(5), 4, "it learns of the term that it missed");
    cluster.campaign(5);
    assert_eq!(cluster.leader(), Some(5));
    cluster.run(300);
    assert!(
        (2..=5).all(|id| cluster.terms(id) == [1, 3, 5]),
        "figure 8 (d)"
    );
    cluster.restart(1);
    cluster.run(300);
    assert_eq!(cluster.terms(1), [1, 3, 5]);
}

#[test]
fn figure_8_an_entry_of_the_own_term_commits_the_old_ones_for_good() {
    let mut cluster = figure_8_c();
    cluster.heal();
    cluster.run(300);
    assert_eq!(cluster.commit(1), 3);
    cluster.crash(1);
    cluster.restart(5);
    cluster.pass(1000);
    cluster.campaign(5);
    assert_eq!(cluster.leader(), None, "5 can't win any more");
    cluster.run(10_000);
    assert!(cluster.leader().is_some());
    assert!(
        (2..=5).all(|id| cluster.terms(id)[..3] == [1, 2, 4]),
        "figure 8 (e)"
    );
}

#[test]
fn a_heartbeat_with_a_high_commit_index_commits_only_what_was_compared() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 1, &[1, 1, 1, 1]);
    cluster.forge(2, 1, 2, append(at(2, 1), &[], 4));
    assert_eq!(
        (cluster.commit(1), cluster.commands(1)),
        (2, vec!["1t1", "2t1"])
    );
    cluster.forge(2, 1, 2, append(at(2, 1), &[2, 2], 4));
    assert_eq!(cluster.commands(1), ["1t1", "2t1", "3t2", "4t2"]);
}

#[test]
fn a_late_persisted_of_truncated_entries_says_nothing_about_the_new_ones() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 2, append(at(0, 0), &[1], 0));
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 2, append(at(1, 1), &[2, 2, 2], 0));
    cluster.pass(500);
    cluster.forge(3, 1, 3, append(at(2, 2), &[3, 3], 0));
    cluster.persist_one(1);
    assert_eq!(
        cluster.raft(1).durable().0,
        2,
        "3t2 and 4t2 are on the disk, not 3t3 and 4t3"
    );
    cluster.take_sent();
    cluster.forge(3, 1, 3, append(at(4, 3), &[], 4));
    assert_eq!(acknowledged(&mut cluster, 3), [0; 0]);
    assert_eq!(cluster.commands(1), ["1t1", "2t2"]);
    cluster.persist(1);
    assert_eq!(acknowledged(&mut cluster, 3).last(), Some(&4));
    assert_eq!(cluster.commands(1), ["1t1", "2t2", "3t3", "4t3"]);
}

#[test]
fn what_took_the_place_of_durable_entries_is_not_durable() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, &[1, 1, 1]);
    cluster.stall(1, Lane::Disk);
    cluster.forge(2, 1, 2, append(at(1, 1), &[2, 2], 0));
    cluster.forge(2, 1, 2, append(at(3, 2), &[], 0));
    assert_eq!(cluster.raft(1).durable().0, 1);
    assert_eq!(acknowledged(&mut cluster, 2), [1]);
    cluster.persist(1);
    assert_eq!(acknowledged(&mut cluster, 2), [3]);
}

#[test]
fn a_shorter_append_that_comes_late_truncates_nothing() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1, 1], 1));
    cluster.take_sent();
    for late in [
        append(at(0, 0), &[1], 0),
        append(at(0, 0), &[], 0),
        append(at(1, 1), &[1], 0),
    ] {
        cluster.forge(2, 1, 1, late);
        assert_eq!(
            (cluster.terms(1), cluster.synced_terms(1)),
            (vec![1; 3], vec![1; 3])
        );
        assert_eq!(cluster.commit(1), 1);
    }
    assert_eq!(
        acknowledged(&mut cluster, 2),
        [3, 3, 3],
        "it never takes back what it said"
    );
}

#[test]
fn after_truncate_append_and_a_crash_the_new_log_is_there() {
    let mut cluster = Cluster::lone(3);
    cluster.rewrite(1, 2, &[1, 1, 1, 1]);
    cluster.forge(2, 1, 2, append(at(1, 1), &[2, 2], 0));
    cluster.restart(1);
    assert_eq!(cluster.terms(1), [1, 2, 2]);
    assert!(
        !cluster.raft(1).is_quarantined(),
        "a shorter log is no lost one"
    );
    // And if the power goes before the write, the old one is.
    cluster.stall(1, Lane::Disk);
    cluster.forge(3, 1, 3, append(at(1, 1), &[3], 0));
    cluster.restart(1);
    assert_eq!(cluster.terms(1), [1, 2, 2]);
}

#[test]
fn the_limit_on_uncommitted_bytes_survives_changes_of_leaders() {
    let mut cluster = Cluster::with(3, |config| config.uncommitted_bytes_max = 500);
    cluster.elect(1);
    for (old, new) in [(1, 2), (2, 1), (1, 2), (2, 3)] {
        cluster.isolate(old);
        let tickets: Vec<_> = (0..20)
            .map(|_| cluster.propose(old, "some command"))
            .collect();
        let accepted = tickets
            .iter()
            .filter(|ticket| cluster.refusal(**ticket).is_none())
            .count();
        assert_eq!(accepted, 9, "each weighs 60");
        let reason = tickets.last().and_then(|ticket| cluster.refusal(*ticket));
        assert_eq!(reason, Some(Refusal::Overloaded));
        cluster.elect(new);
        cluster.heal();
        cluster.run(500);
        assert_eq!(cluster.terms(old), cluster.terms(new));
        let done = cluster.propose(new, "some command");
        assert!(cluster.is_done(done), "nothing is uncommitted any more");
    }
}

#[test]
fn a_new_leader_counts_the_uncommitted_bytes_it_inherits() {
    let mut cluster = Cluster::with(3, |config| config.uncommitted_bytes_max = 500);
    cluster.elect(1);
    // Nobody acknowledges, so all that is sent stays uncommitted everywhere.
    cluster.lose(|envelope| matches!(envelope.message, Message::AppendEntriesReply(_)));
    for _ in 0..9 {
        cluster.propose(1, "some command");
    }
    assert_eq!(cluster.last(2), 10);
    cluster.crash(1);
    cluster.elect(2);
    let ticket = cluster.propose(2, "some command");
    assert_eq!(cluster.refusal(ticket), Some(Refusal::Overloaded));
    cluster.heal();
    cluster.run(300);
    let done = cluster.propose(2, "some command");
    assert!(cluster.is_done(done));
}

#[test]
fn a_follower_that_missed_much_is_served_from_the_disk() {
    let mut cluster = Cluster::with(3, |config| {
        config.tail_bytes_max = 100;
        config.append_bytes_max = 200;
    });
    cluster.elect(1);
    cluster.isolate(3);
    for number in 0..40 {
        cluster.propose(1, &format!("command {number}"));
    }
    cluster.heal();
    cluster.run(500);
    assert_eq!(cluster.commands(3), cluster.commands(1));
    assert_eq!(cluster.commands(3).len(), 40);
}

#[test]
fn an_old_append_that_begins_below_the_compacted_log_is_taken_from_there_on() {
    let mut cluster = Cluster::lone(3);
    cluster.forge(2, 1, 1, append(at(0, 0), &[1, 1, 1], 3));
    cluster.snapshot(1);
    cluster.compact(1, 3);
    assert_eq!(cluster.raft(1).base(), at(3, 1));
    cluster.take_sent();
    cluster.forge(2, 1, 1, append(at(1, 1), &[1, 1, 1, 1], 3));
    assert_eq!(
        (cluster.last(1), acknowledged(&mut cluster, 2)),
        (5, vec![5])
    );
    cluster.forge(2, 1, 1, append(at(0, 0), &[1], 3));
    assert_eq!((cluster.last(1), cluster.commit(1)), (5, 3));
}
