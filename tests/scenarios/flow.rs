//! Batches, windows, slow followers and disks, and whose turn it is to campaign.

use raft_core::event::{Apply, Observation, Refusal, RoleCause, RoleName};
use raft_core::{
    Config, Event, Index, Member, Membership, Message, NodeId, Output, Raft, Recovered, Reply,
    Ticket, Time,
};
use raft_tests::cluster::words::{first_life, matched, member, voters};
use raft_tests::cluster::{Cluster, Lane};

use crate::stage::{lead, leader_of};

/// How many entries each message carries that 1 sent to `to` since messages were last looked at.
fn appended(cluster: &mut Cluster, to: u64) -> Vec<usize> {
    let sent = cluster.take_sent_to(1, to).into_iter();
    let counts = sent.filter_map(|message| {
        let Message::AppendEntries(append) = message else {
            return None;
        };
        Some(append.entries.len())
    });
    counts.collect()
}

/// 1 leads three servers that are set up like this; 2 and 3 hold its first entry.
fn leader_with(change: impl FnOnce(&mut Config)) -> Cluster {
    let mut cluster = Cluster::lone_with(3, change);
    lead(&mut cluster, &[2, 3]);
    cluster.forge(2, 1, 1, matched(1));
    cluster.forge(3, 1, 1, matched(1));
    cluster.take_sent();
    cluster
}

#[test]
fn a_batch_of_proposals_is_one_write_and_one_message_a_follower() {
    let mut cluster = leader_of(3);
    let wishes = ["a", "b", "c", "d", "e"].map(|command| cluster.wish(command));
    let writes = cluster.writes(1);
    cluster.step(1, wishes.to_vec());
    assert_eq!(cluster.writes(1), writes + 1);
    let sent = cluster.take_sent();
    let carried = sent.iter().filter_map(|envelope| {
        let Message::AppendEntries(append) = &envelope.message else {
            return None;
        };
        Some((envelope.to.0, append.entries.len()))
    });
    assert_eq!(carried.collect::<Vec<_>>(), [(2, 5), (3, 5)]);
}

#[test]
fn the_leader_sends_while_it_writes() {
    let mut cluster = leader_of(3);
    cluster.stall(1, Lane::Disk);
    cluster.propose(1, "a");
    assert_eq!(
        (appended(&mut cluster, 2), cluster.unsynced(1)),
        (vec![1], 1)
    );
}

#[test]
fn no_more_messages_are_under_way_than_the_window_lets_through() {
    let mut cluster = leader_with(|config| config.inflight_messages_max = 3);
    for _ in 0..10 {
        cluster.propose(1, "x");
    }
    assert_eq!(appended(&mut cluster, 2), [1, 1, 1]);
    cluster.forge(2, 1, 1, matched(2));
    assert_eq!(
        appended(&mut cluster, 2),
        [7],
        "all the rest, in the place of one"
    );
    cluster.forge(2, 1, 1, matched(11));
    assert_eq!(cluster.commit(1), 11);
}

#[test]
fn no_more_bytes_are_under_way_than_the_window_lets_through() {
    // Each entry weighs 49: two fit into a message, and after three messages the window is full.
    let mut cluster = leader_with(|config| {
        config.append_bytes_max = 100;
        config.inflight_bytes_max = 250;
    });
    let wishes: Vec<_> = (0..20).map(|_| cluster.wish("x")).collect();
    cluster.step(1, wishes);
    cluster.settle();
    assert_eq!(appended(&mut cluster, 2), [2, 2, 2]);
    cluster.forge(2, 1, 1, matched(7));
    assert_eq!(appended(&mut cluster, 2), [2, 2, 2]);
}

#[test]
fn a_dead_follower_gets_each_entry_once_and_then_heartbeats() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.crash(3);
    cluster.restart(1);
    cluster.elect(1);
    for _ in 0..5 {
        cluster.propose(1, "x");
    }
    cluster.take_sent();
    cluster.run(5000);
    let sent = appended(&mut cluster, 3);
    assert!(
        sent.len() >= 49 && sent.iter().all(|count| *count == 0),
        "{sent:?}"
    );
}

#[test]
fn a_slow_follower_delays_nobody() {
    let mut cluster = Cluster::with(3, |config| config.inflight_messages_max = 4);
    cluster.elect(1);
    cluster.stall(3, Lane::Disk);
    for _ in 0..100 {
        let done = cluster.propose(1, "x");
        assert!(cluster.is_done(done));
    }
    assert!(cluster.last(3) <= 1 + 4, "its window is full");
    assert_eq!(cluster.last(2), 101);
    cluster.unstall(3, Lane::Disk);
    cluster.run(500);
    assert_eq!(cluster.commands(3).len(), 100);
}

#[test]
fn a_slow_machine_delays_no_commit() {
    let mut cluster = Cluster::with(3, |config| config.apply_bytes_max = 200);
    cluster.elect(1);
    cluster.stall(1, Lane::Apply);
    for _ in 0..50 {
        cluster.propose(1, "x");
    }
    assert_eq!((cluster.commit(1), cluster.commands(1).len()), (51, 0));
    cluster.run(200);
    assert_eq!(cluster.commands(2).len(), 50);
    cluster.unstall(1, Lane::Apply);
    assert_eq!(cluster.commands(1).len(), 50);
}

#[test]
fn traffic_stands_for_heartbeats() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.run(1000);
    cluster.take_sent();
    cluster.run(1000);
    assert_eq!(
        appended(&mut cluster, 2),
        [0; 10],
        "an idle leader sends ten a second"
    );
    for _ in 0..20 {
        cluster.propose(1, "x");
        cluster.run(50);
    }
    assert_eq!(appended(&mut cluster, 2), [1; 20], "a busy one sends none");
}

#[test]
fn what_is_too_much_is_refused_as_such() {
    let mut cluster = leader_with(|config| {
        config.uncommitted_bytes_max = 100;
        config.reads_max = 2;
    });
    let proposals = ["a", "b", "c", "d", "e"].map(|command| cluster.propose(1, command));
    let refused = proposals.map(|ticket| cluster.refusal(ticket));
    let overloaded = Some(Refusal::Overloaded);
    assert_eq!(refused, [None, None, None, overloaded, overloaded]);
    assert_eq!(cluster.last(1), 4, "what is refused leaves no trace");
    let reads = [1, 2, 3].map(|_| cluster.read(1));
    assert_eq!(
        reads.map(|ticket| cluster.refusal(ticket)),
        [None, None, overloaded]
    );
    cluster.forge(2, 1, 1, matched(4));
    let again = cluster.propose(1, "f");
    assert_eq!(cluster.refusal(again), None);
}

#[test]
fn a_leader_with_a_stuck_disk_hands_over() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.stall(1, Lane::Disk);
    let ticket = cluster.propose(1, "x");
    cluster.run(9_900);
    assert!(cluster.is_done(ticket), "2 and 3 are a majority");
    assert_eq!(cluster.leader(), Some(1), "it may yet recover");
    cluster.run(200);
    let leader = cluster.leader();
    assert!(leader == Some(2) || leader == Some(3), "{leader:?}");
    cluster.run(60_000);
    assert_eq!(
        cluster.leader(),
        leader,
        "and stays away as long as it is stuck"
    );
    cluster.unstall(1, Lane::Disk);
    cluster.run(1000);
    assert_eq!(cluster.commands(1), ["x"]);
}

#[test]
fn a_leader_with_a_stuck_disk_leaves_even_if_nobody_takes_over_in_time() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.lose(|envelope| envelope.message == Message::TimeoutNow);
    cluster.stall(1, Lane::Disk);
    cluster.propose(1, "x");
    cluster.run(12_200);
    assert_ne!(cluster.role(1), RoleName::Leader);
    let left = |seen: &&Observation| {
        matches!(
            seen,
            Observation::Role {
                cause: RoleCause::DiskStalled,
                ..
            }
        )
    };
    assert_eq!(cluster.observed(1).iter().filter(left).count(), 1);
    cluster.heal();
    assert!(cluster.run_until(10_000, |cluster| cluster.leader().is_some_and(|id| id > 1)));
}

#[test]
fn a_server_with_a_stuck_disk_takes_no_leadership_over() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.run(100);
    cluster.stall(2, Lane::Disk);
    cluster.propose(1, "x");
    cluster.run(10_100);
    cluster.forge(1, 2, 1, Message::TimeoutNow);
    assert_eq!((cluster.role(2), cluster.term(2)), (RoleName::Follower, 1));
    cluster.unstall(2, Lane::Disk);
    cluster.forge(1, 2, 1, Message::TimeoutNow);
    assert_eq!(cluster.leader(), Some(2));
}

/// A founded cluster whose servers have these priorities, in the order of their ids.
fn ranked(priorities: &[u8]) -> Cluster {
    let members = (1..).zip(priorities).map(|(id, priority)| {
        (
            NodeId(id),
            Member {
                priority: *priority,
                ..member(id)
            },
        )
    });
    Cluster::founded(&Membership::of_voters(members), |_| {})
}

#[test]
fn the_highest_priority_leads_and_lower_ones_get_their_turn() {
    for (priorities, expected) in [([8, 1, 1], 1), ([1, 1, 8], 3)] {
        let mut cluster = ranked(&priorities);
        assert!(cluster.run_until(2100, |cluster| cluster.leader().is_some()));
        assert_eq!(cluster.leader(), Some(expected));
        cluster.crash(expected);
        assert!(
            cluster.run_until(20_000, |cluster| cluster.leader().is_some()),
            "decayed"
        );
    }
}

#[test]
fn without_a_name_the_most_caught_up_voter_takes_over() {
    let mut cluster = Cluster::new(3);
    cluster.elect(1);
    cluster.isolate(2);
    cluster.propose(1, "x");
    let ticket = cluster.ticket();
    cluster.input(
        1,
        Event::TransferLeadership {
            ticket,
            target: None,
        },
    );
    assert_eq!(cluster.leader(), Some(3));
    assert!(matches!(
        cluster.reply(ticket),
        Some(Reply::Transferred { .. })
    ));
}

/// Hands a batch of events to a core that is alone in the world, and returns what it wants done.
fn step(raft: &mut Raft, events: Vec<Event>) -> Output {
    let (now, mut out) = (Time(1_000_000_000), Output::default());
    for event in events {
        raft.step(now, event, &mut out);
    }
    raft.flush(now, &mut out);
    out
}

/// The last index and the weight of all that the machine is given.
fn given(out: &Output) -> (u64, u64) {
    let mut given = (0, 0);
    for apply in &out.apply {
        let Apply::Entries(entries) = apply else {
            continue;
        };
        for entry in entries {
            given = (entry.index.0, given.1 + entry.weight());
        }
    }
    given
}

#[test]
fn the_machine_gets_no_more_at_once_than_its_limit() {
    let config = Config {
        apply_bytes_max: 200,
        ..Config::default()
    };
    let founded = Recovered::bootstrap(first_life(1), voters(&[1]));
    let (now, mut out) = (Time(1_000_000_000), Output::default());
    let mut raft = Raft::new(NodeId(1), config, founded, now, &mut out).expect("it works");
    let write = step(&mut raft, vec![Event::Campaign])
        .write
        .expect("term and vote");
    let write = step(&mut raft, vec![Event::Persisted(write.id)])
        .write
        .expect("an entry");
    step(
        &mut raft,
        vec![Event::Persisted(write.id), Event::Applied(Index(1))],
    );
    let command = || Event::Propose {
        ticket: Ticket(1),
        command: "x".into(),
    };
    let write = step(&mut raft, (0..20).map(|_| command()).collect())
        .write
        .expect("entries");
    step(&mut raft, vec![Event::Applied(Index(1))]);
    // Each weighs 49, so four fit.
    let mut last = given(&step(&mut raft, vec![Event::Persisted(write.id)]));
    assert_eq!(last, (5, 4 * 49));
    assert_eq!(
        given(&step(&mut raft, vec![Event::Tick])).1,
        49,
        "below the limit by four bytes"
    );
    assert_eq!(given(&step(&mut raft, vec![Event::Tick])), (0, 0), "full");
    last.0 += 1;
    let next = given(&step(&mut raft, vec![Event::Applied(Index(last.0))]));
    assert_eq!(next, (10, 4 * 49));
}
