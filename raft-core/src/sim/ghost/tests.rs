//! Each invariant is shown a bad step, made by hand, and must object by its own name; and the good
//! steps next to it must pass.

use bytes::Bytes;

use super::*;
use crate::entry::{HardState, Payload, SnapshotMeta};
use crate::event::{Apply, Observation, Reply, RoleName};
use crate::membership::{Member, MemberChange};
use crate::message::{
    AppendEntries, AppendEntriesReply, AppendOutcome, Envelope, InstallSnapshot, Message, PreVote,
    ReadIndex, ReadIndexReply, RequestVote, RequestVoteReply,
};
use crate::types::{Incarnation, Position, Round, WriteId};

/// A cluster made by hand: whatever its nodes are told to do, they do.
#[derive(Clone)]
struct Lab {
    ghost: Ghost,
    nodes: Vec<Puppet>,
    now: u64,
}

#[derive(Clone)]
struct Puppet {
    summary: Summary,
    shown: Arc<Membership>,
    log: Vec<Entry>,
    writes: u64,
    unsynced: Vec<Write>,
}

fn id(node: u64) -> NodeId {
    NodeId(node)
}

fn position(term: u64, index: u64) -> Position {
    Position::new(Term(term), Index(index))
}

fn entry(term: u64, index: u64) -> Entry {
    let payload = Payload::Command(Bytes::from(format!("{index} of {term}")));
    Entry {
        term: Term(term),
        index: Index(index),
        payload,
    }
}

fn configuration(term: u64, index: u64, membership: &Membership) -> Entry {
    let payload = Payload::Membership(Arc::new(membership.clone()));
    Entry {
        term: Term(term),
        index: Index(index),
        payload,
    }
}

fn voters(ids: impl IntoIterator<Item = u64>) -> Membership {
    Membership::of_voters(ids.into_iter().map(|node| (id(node), Member::at(""))))
}

fn joint(from: &Membership, changes: &[MemberChange]) -> Membership {
    from.towards(&from.changed(changes).expect("legal"))
}

fn objects(result: Result<(), Violation>, number: &str) {
    match result {
        Ok(()) => panic!("{number} did not object"),
        Err(violation) => {
            assert!(
                violation.invariant.starts_with(number),
                "{number} expected: {violation}"
            );
        }
    }
}

impl Lab {
    /// A cluster founded by the nodes `1..=founders`, with some more that wait.
    fn founded(founders: u64, others: u64) -> Self {
        let membership = voters(1..=founders);
        let count = founders + others;
        let mut lab = Self {
            ghost: Ghost::new(0),
            nodes: Vec::new(),
            now: 0,
        };
        for node in 0..=count {
            let life = Incarnation(100 + node);
            let recovered = if node == 0 || node > founders {
                Recovered::blank(life)
            } else {
                Recovered::bootstrap(life, membership.clone())
            };
            let summary = Summary {
                incarnation: life,
                ..Summary::new(id(node))
            };
            lab.ghost
                .boot(summary, &recovered, &[])
                .expect("a first start");
            lab.nodes.push(Puppet {
                summary,
                shown: Arc::clone(&recovered.snapshot.membership),
                log: Vec::new(),
                writes: 0,
                unsynced: Vec::new(),
            });
        }
        lab
    }

    fn puppet(&mut self, node: u64) -> &mut Puppet {
        &mut self.nodes[usize::try_from(node).expect("small")]
    }

    /// One step of a node: `act` changes what it shows and what it puts out.
    fn step(
        &mut self,
        node: u64,
        act: impl FnOnce(&mut Puppet, &mut Output),
    ) -> Result<(), Violation> {
        self.now += 10;
        let now = self.now;
        let mut out = Output::default();
        let puppet = self.puppet(node);
        let before = puppet.summary;
        act(puppet, &mut out);
        if let Some(write) = &mut out.write {
            puppet.writes += 1;
            write.id = WriteId(puppet.writes);
            puppet.unsynced.push(write.clone());
        }
        let (after, shown) = (puppet.summary, Arc::clone(&puppet.shown));
        self.ghost.before = before;
        self.ghost.step(now, &after, &shown, &out)
    }

    fn sync(&mut self, node: u64) {
        for write in std::mem::take(&mut self.puppet(node).unsynced) {
            self.ghost.persisted(id(node), &write).expect("in order");
        }
    }

    fn write(&mut self, node: u64, entries: Vec<Entry>) -> Result<(), Violation> {
        self.step(node, |puppet, out| puppet.write(out, None, entries))
    }

    /// A node enters a term, votes in it, and makes that durable. Whom it votes for has asked.
    fn vote(&mut self, node: u64, term: u64, candidate: u64) {
        self.asked(term, candidate, position(99, 99));
        self.step(node, |puppet, out| puppet.vote(out, term, candidate))
            .expect("a free vote");
        self.sync(node);
        self.step(node, |puppet, out| {
            if candidate == node {
                out.messages.push(puppet.message(
                    99,
                    Message::RequestVote(RequestVote {
                        last: puppet.summary.last,
                        transfer: false,
                    }),
                ));
            } else {
                out.messages.push(puppet.message(candidate, grant()));
            }
        })
        .expect("a durable vote");
    }

    /// A candidate is taken to have asked in a term.
    fn asked(&mut self, term: u64, candidate: u64, last: Position) {
        let life = self.puppet(candidate).summary.incarnation;
        let node = self.ghost.nodes.slot(id(candidate));
        if node.candidacy(Term(term)).is_none() {
            let place = node.votes.partition_point(|vote| vote.term <= Term(term));
            let vote = node::Vote {
                term: Term(term),
                candidate: id(candidate),
                incarnation: life,
                last: Some(last),
                memory: Memory::Whole,
            };
            node.votes.insert(place, vote);
        }
    }

    fn leads(&mut self, node: u64, term: u64) -> Result<(), Violation> {
        self.step(node, |puppet, out| {
            puppet.summary.role = RoleName::Leader;
            puppet.summary.leader = Some(puppet.summary.node);
            let index = puppet.summary.last.index.next();
            let noop = Entry {
                term: Term(term),
                index,
                payload: Payload::Noop,
            };
            puppet.write(out, None, vec![noop]);
        })
    }

    /// An election that is won with these votes, whose first entry is durable at the leader.
    fn elect(&mut self, leader: u64, term: u64, others: &[u64]) {
        self.vote(leader, term, leader);
        for other in others {
            self.vote(*other, term, leader);
        }
        self.leads(leader, term).expect("elected");
        self.sync(leader);
    }

    /// The follower takes over the leader's log, makes it durable and acknowledges it.
    fn replicate(&mut self, from: u64, to: u64) {
        let leader = self.puppet(from).clone();
        self.step(to, |puppet, out| {
            let common = puppet
                .log
                .iter()
                .zip(&leader.log)
                .take_while(|(a, b)| a == b)
                .count();
            let truncate = (common < puppet.log.len()).then(|| puppet.log[common].index);
            if puppet.summary.term < leader.summary.term {
                puppet.summary.vote = None;
            }
            puppet.summary.term = leader.summary.term;
            puppet.summary.leader = Some(leader.summary.node);
            puppet.summary.role = RoleName::Follower;
            puppet.write(out, truncate, leader.log[common..].to_vec());
        })
        .expect("a follower's step");
        self.sync(to);
        self.step(to, |puppet, out| {
            let last = puppet.summary.last.index;
            out.messages.push(puppet.message(from, matched(last.0)));
        })
        .expect("an acknowledgement");
    }

    fn commit(&mut self, node: u64, index: u64) -> Result<(), Violation> {
        self.step(node, |puppet, _| puppet.summary.commit = Index(index))
    }

    fn send(&mut self, node: u64, to: u64, message: Message) -> Result<(), Violation> {
        self.step(node, |puppet, out| {
            out.messages.push(puppet.message(to, message));
        })
    }

    /// What the node's disk shows, as all writes are synced.
    fn recovered(&mut self, node: u64) -> (Recovered, Vec<Entry>) {
        let puppet = self.puppet(node).clone();
        let mut recovered = Recovered::bootstrap(puppet.summary.incarnation, voters(1..=3));
        let (term, vote) = (puppet.summary.term, puppet.summary.vote);
        recovered.hard_state = HardState { term, vote };
        puppet.fill(&mut recovered);
        (recovered, puppet.log)
    }

    fn reboot(
        &mut self,
        node: u64,
        recovered: &Recovered,
        log: &[Entry],
        quarantine: node::Quarantine,
    ) -> Result<(), Violation> {
        self.ghost.crashed(id(node));
        let HardState { term, vote } = recovered.hard_state;
        let last = log.last().map_or(recovered.base, Entry::position);
        let configuration = recovered.memberships.last().cloned();
        let configuration =
            configuration.unwrap_or((Index(0), Arc::clone(&recovered.snapshot.membership)));
        let summary = Summary {
            incarnation: recovered.incarnation,
            term,
            vote,
            last,
            quarantine,
            commit: recovered.snapshot.last.index,
            membership_index: configuration.0,
            ..Summary::new(id(node))
        };
        let puppet = self.puppet(node);
        puppet.summary = summary;
        puppet.shown = configuration.1;
        puppet.log = log.to_vec();
        puppet.writes = 0;
        self.ghost.boot(summary, recovered, log)
    }
}

impl Puppet {
    fn write(&mut self, out: &mut Output, truncate: Option<Index>, entries: Vec<Entry>) {
        if let Some(from) = truncate {
            self.log.retain(|entry| entry.index < from);
        }
        self.log.extend(entries.iter().cloned());
        self.summary.last = self.log.last().map_or(Position::default(), Entry::position);
        let configured = self
            .log
            .iter()
            .rev()
            .find_map(|entry| match &entry.payload {
                Payload::Membership(membership) => Some((entry.index, Arc::clone(membership))),
                Payload::Noop | Payload::Command(_) => None,
            });
        if let Some((index, membership)) = configured {
            self.summary.membership_index = index;
            self.shown = membership;
        }
        let hard_state = HardState {
            term: self.summary.term,
            vote: self.summary.vote,
        };
        let hard_state = Some(hard_state);
        out.write = Some(Write {
            truncate,
            entries: entries.into(),
            hard_state,
            ..Write::default()
        });
    }

    fn vote(&mut self, out: &mut Output, term: u64, candidate: u64) {
        self.summary.role = if self.summary.node.0 == candidate {
            RoleName::Candidate
        } else {
            RoleName::Follower
        };
        self.summary.term = Term(term);
        self.summary.vote = Some(id(candidate));
        self.summary.leader = None;
        self.write(out, None, Vec::new());
    }

    fn message(&self, to: u64, message: Message) -> Envelope {
        Envelope {
            from: self.summary.node,
            incarnation: self.summary.incarnation,
            to: id(to),
            term: self.summary.term,
            message,
        }
    }

    fn fill(&self, recovered: &mut Recovered) {
        recovered.last = Index(recovered.base.index.0 + self.log.len() as u64);
        for entry in &self.log {
            if recovered
                .terms
                .last()
                .is_none_or(|(_, term)| *term != entry.term)
            {
                recovered.terms.push((entry.index, entry.term));
            }
        }
    }
}

fn grant() -> Message {
    Message::RequestVoteReply(RequestVoteReply { granted: true })
}

fn matched(index: u64) -> Message {
    let outcome = AppendOutcome::Matched(Index(index));
    Message::AppendEntriesReply(AppendEntriesReply {
        round: Round(0),
        outcome,
    })
}

fn append(prev: Position, commit: u64, round: u64, entries: Vec<Entry>) -> Message {
    let (commit, round) = (Index(commit), Round(round));
    Message::AppendEntries(AppendEntries {
        prev,
        commit,
        round,
        entries: entries.into(),
    })
}

/// Node 1 leads term 1 of three; entries 1 (noop) to 3 are on its disk and on that of node 2, and
/// committed.
fn steady() -> Lab {
    let mut lab = Lab::founded(3, 2);
    lab.elect(1, 1, &[2]);
    lab.write(1, vec![entry(1, 2), entry(1, 3)])
        .expect("proposals");
    lab.sync(1);
    lab.replicate(1, 2);
    lab.commit(1, 3).expect("on two of three disks");
    lab
}

#[test]
fn a_good_run_passes() {
    let mut lab = steady();
    lab.replicate(1, 3);
    lab.commit(2, 3).expect("known");
    lab.elect(2, 2, &[3]);
    lab.replicate(2, 3);
    lab.commit(2, 4).expect("a noop of its own");
    assert_eq!(lab.ghost.commit(), Index(4));
    assert_eq!(lab.ghost.term_led_max(), Term(2));
    assert_eq!(lab.ghost.fresh_commit(), Some((id(2), Term(2))));
}

#[test]
fn one_two_leaders() {
    let mut lab = steady();
    lab.vote(3, 1, 3);
    objects(lab.leads(3, 1), "1:");
    let mut lab = steady();
    objects(lab.send(2, 3, append(position(1, 1), 0, 0, vec![])), "1:");
    let mut lab = steady();
    objects(lab.send(2, 3, Message::TimeoutNow), "1:");
}

#[test]
fn two_votes() {
    let mut lab = steady();
    lab.vote(2, 5, 3);
    let changed = lab.clone().step(2, |puppet, out| puppet.vote(out, 5, 1));
    objects(changed, "2:");
    let shrunk = lab.clone().step(2, |puppet, out| puppet.vote(out, 4, 1));
    objects(shrunk, "2:");
    objects(lab.send(2, 1, grant()), "4: a vote is durable");
}

#[test]
fn three_recovered_behind_what_was_sent() {
    let mut lab = steady();
    lab.vote(2, 5, 3);
    let (good, log) = lab.recovered(2);
    let whole = node::Quarantine::Free;
    lab.clone()
        .reboot(2, &good, &log, whole)
        .expect("all is there");

    let behind = Recovered {
        hard_state: HardState {
            term: Term(4),
            vote: None,
        },
        ..good.clone()
    };
    objects(
        lab.clone().reboot(2, &behind, &log, whole),
        "3: recovered term",
    );
    let unvoted = Recovered {
        hard_state: HardState {
            term: Term(5),
            vote: None,
        },
        ..good.clone()
    };
    objects(
        lab.clone().reboot(2, &unvoted, &log, whole),
        "3: recovered term",
    );
    let reborn = Recovered {
        incarnation: Incarnation(7),
        ..good.clone()
    };
    objects(
        lab.clone().reboot(2, &reborn, &log, whole),
        "3: a storage keeps",
    );

    lab.puppet(2).log.pop();
    let (shorter, log) = lab.recovered(2);
    objects(
        lab.clone().reboot(2, &shorter, &log, whole),
        "3: what was durable",
    );
    let lies = Recovered {
        last: Index(3),
        ..shorter
    };
    objects(lab.reboot(2, &lies, &log, whole), "3: what is recovered");
}

#[test]
fn three_a_crash_may_keep_any_prefix_of_what_was_issued() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    for kept in [3, 4] {
        let mut lab = lab.clone();
        lab.puppet(1).log.truncate(kept);
        let (recovered, log) = lab.recovered(1);
        lab.reboot(1, &recovered, &log, node::Quarantine::Free)
            .expect("a prefix");
        assert_eq!(
            lab.ghost.marks().count(Mark::CrashBetweenWriteAndPersist),
            1
        );
    }
}

#[test]
fn eighteen_a_damaged_entry_is_not_recovered() {
    let mut lab = steady();
    let (recovered, mut log) = lab.recovered(2);
    log[1].payload = Payload::Command(Bytes::from_static(b"2 of 0"));
    objects(
        lab.reboot(2, &recovered, &log, node::Quarantine::Free),
        "18: what was damaged",
    );
}

#[test]
fn eighteen_who_forgot_is_quarantined_and_abstains() {
    let mut lab = steady();
    lab.puppet(2).log.pop();
    let (recovered, log) = lab.recovered(2);
    lab.ghost.forgot(id(2));
    let ignorant = lab
        .clone()
        .reboot(2, &recovered, &log, node::Quarantine::Free);
    objects(ignorant, "18: who lost");
    lab.reboot(2, &recovered, &log, node::Quarantine::Held)
        .expect("it knows");
    let mut voter = lab.clone();
    voter.asked(3, 3, position(9, 9));
    voter
        .step(2, |puppet, out| puppet.vote(out, 3, 3))
        .expect("not yet sent");
    voter.sync(2);
    objects(voter.send(2, 3, grant()), "18: who lost");
    objects(
        lab.send(
            2,
            3,
            Message::PreVote(PreVote {
                last: position(1, 2),
                request: Round(1),
            }),
        ),
        "18: who lost",
    );
}

#[test]
fn eighteen_a_vote_from_before_the_loss_still_binds() {
    let mut lab = steady();
    lab.vote(2, 5, 3);
    let (mut recovered, log) = lab.recovered(2);
    recovered.hard_state = HardState {
        term: Term(5),
        vote: None,
    };
    lab.ghost.forgot(id(2));
    objects(
        lab.clone()
            .reboot(2, &recovered, &log, node::Quarantine::Free),
        "18: who lost",
    );
    lab.reboot(2, &recovered, &log, node::Quarantine::Held)
        .expect("it knows");
    lab.step(2, |puppet, _| {
        puppet.summary.quarantine = node::Quarantine::Free;
    })
    .expect("free");
    lab.asked(5, 1, position(9, 9));
    lab.step(2, |puppet, out| puppet.vote(out, 5, 1))
        .expect("not yet sent");
    lab.sync(2);
    objects(lab.send(2, 1, grant()), "2:");
}

#[test]
fn four_what_is_sent_before_it_is_durable() {
    let lab = steady();
    let mut voter = lab.clone();
    voter.asked(3, 3, position(9, 9));
    voter
        .step(2, |puppet, out| puppet.vote(out, 3, 3))
        .expect("issued");
    objects(voter.clone().send(2, 3, grant()), "4: a term");
    let reply = RequestVoteReply { granted: false };
    objects(
        voter.send(2, 3, Message::RequestVoteReply(reply)),
        "4: a term",
    );

    let mut candidate = lab.clone();
    candidate
        .step(3, |puppet, out| puppet.vote(out, 1, 3))
        .expect("issued");
    let request = RequestVote {
        last: Position::default(),
        transfer: false,
    };
    objects(
        candidate.send(3, 1, Message::RequestVote(request)),
        "4: a term",
    );

    let mut follower = lab.clone();
    follower.write(1, vec![entry(1, 4)]).expect("a proposal");
    let tail = vec![entry(1, 4)];
    follower
        .step(2, |puppet, out| {
            puppet.write(out, None, tail);
        })
        .expect("issued");
    objects(follower.clone().send(2, 1, matched(4)), "4: entries");
    follower.sync(2);
    follower.send(2, 1, matched(4)).expect("durable");

    let mut other = lab;
    let forged = other.step(2, |puppet, out| {
        let mut envelope = puppet.message(3, matched(1));
        envelope.from = id(1);
        out.messages.push(envelope);
    });
    objects(forged, "4: an envelope");
}

#[test]
fn four_writes_that_leave_something_out() {
    let mut lab = steady();
    let silent = lab
        .clone()
        .step(3, |puppet, _| puppet.summary.term = Term(9));
    objects(silent, "4: writes say all");
    let silent = lab
        .clone()
        .step(2, |puppet, _| puppet.summary.last = position(1, 9));
    objects(silent, "4: writes say all");
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    let write = lab.puppet(1).unsynced[0].clone();
    let again = Write {
        id: WriteId(77),
        ..write
    };
    objects(lab.ghost.persisted(id(1), &again), "4: writes say all");
}

#[test]
fn five_logs_that_do_not_match() {
    let lab = steady();
    let other = Entry {
        payload: Payload::Noop,
        ..entry(1, 2)
    };
    let noop = lab.nodes[1].log[0].clone();
    let follow = |entries: Vec<Entry>| {
        lab.clone().step(3, move |puppet, out| {
            puppet.summary.term = Term(1);
            puppet.write(out, None, entries);
        })
    };
    follow(vec![noop.clone(), entry(1, 2)]).expect("what the leader made");
    objects(follow(vec![noop.clone(), other]), "5: log matching");
    objects(follow(vec![entry(1, 2)]), "5: log matching");
    objects(follow(vec![noop.clone(), entry(2, 2)]), "5: log matching");
    objects(
        follow(vec![noop, entry(1, 2), entry(1, 3), entry(1, 4)]),
        "5: log matching",
    );
}

#[test]
fn five_acknowledging_what_the_leader_does_not_have() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    lab.replicate(1, 2);
    lab.replicate(1, 3);
    lab.write(1, vec![entry(1, 5)]).expect("a proposal");
    lab.sync(1);
    lab.elect(3, 2, &[2]);
    // Node 2 follows the new leader, whose fifth entry is another one.
    lab.step(2, |puppet, _| puppet.summary.leader = Some(id(3)))
        .expect("it is");
    lab.send(2, 3, matched(4)).expect("equal so far");
    let link = lab.ghost.ledger.entry(position(1, 5)).expect("made");
    lab.ghost.nodes.slot(id(2)).disk.push(link);
    objects(lab.send(2, 3, matched(5)), "5: what a follower");
}

#[test]
fn five_a_leader_that_sends_another_log_than_its_own() {
    let lab = steady();
    let send = |prev, commit, entries| lab.clone().send(1, 3, append(prev, commit, 0, entries));
    send(position(1, 1), 3, vec![entry(1, 2), entry(1, 3)]).expect("its own");
    objects(send(position(2, 1), 3, vec![]), "5: a leader sends");
    objects(send(position(1, 1), 4, vec![]), "5: a leader sends");
    objects(
        send(position(1, 1), 3, vec![entry(1, 3)]),
        "5: a leader sends",
    );
    objects(
        send(position(1, 3), 3, vec![entry(1, 4)]),
        "5: a leader sends",
    );
}

#[test]
fn six_a_leader_that_rewrites_and_a_follower_that_drops() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    let rewrite = lab.clone().step(1, |puppet, out| {
        puppet.write(out, Some(Index(4)), vec![entry(1, 4)]);
    });
    objects(rewrite, "6: a leader");

    lab.replicate(1, 2);
    let drop = |from: u64, entries: Vec<Entry>| {
        lab.clone().step(2, move |puppet, out| {
            puppet.write(out, Some(Index(from)), entries);
        })
    };
    objects(drop(4, vec![]), "6: a follower");
    objects(drop(4, vec![entry(1, 4)]), "6: a follower");
    objects(drop(3, vec![entry(1, 3)]), "6: a follower");
    objects(drop(9, vec![]), "6: a follower");
}

#[test]
fn six_a_snapshot_that_discards_what_it_need_not() {
    let lab = steady();
    let membership = Arc::clone(&lab.nodes[1].shown);
    let install = |node: u64, term, index| {
        let membership = Arc::clone(&membership);
        let last = position(term, index);
        let snapshot = Arc::new(SnapshotMeta {
            last,
            membership,
            membership_index: Index(0),
        });
        lab.clone().step(node, move |puppet, out| {
            puppet.summary.term = Term(1);
            puppet.log.clear();
            puppet.write(out, None, vec![]);
            puppet.summary.last = last;
            puppet.summary.commit = last.index;
            let write = out.write.as_mut().expect("written");
            write.reset = Some(snapshot);
        })
    };
    install(3, 1, 3).expect("it had nothing");
    objects(install(2, 1, 3), "6: a follower");
    objects(install(3, 1, 4), "11: a snapshot");
    objects(install(3, 2, 3), "11: a snapshot");
}

#[test]
fn seven_a_leader_without_votes_or_entries() {
    let mut lab = steady();
    lab.vote(3, 2, 3);
    objects(lab.clone().leads(3, 2), "7: a leader has the votes");
    // Somebody votes although its log is longer.
    lab.vote(2, 2, 3);
    objects(lab.leads(3, 2), "7: a leader has every");
}

#[test]
fn seven_a_vote_for_a_log_that_is_behind() {
    let lab = steady();
    let vote = |last| {
        let mut lab = lab.clone();
        lab.asked(2, 3, last);
        lab.step(2, |puppet, out| puppet.vote(out, 2, 3))
    };
    vote(position(1, 3)).expect("as long");
    objects(vote(position(1, 2)), "7: a vote");
    vote(position(2, 1)).expect("newer");
    let mut silent = lab.clone();
    objects(
        silent.step(2, |puppet, out| puppet.vote(out, 2, 3)),
        "7: a vote",
    );
}

#[test]
fn seven_only_the_life_that_the_configuration_names_counts() {
    let mut lab = Lab::founded(3, 0);
    lab.vote(1, 1, 1);
    lab.vote(2, 1, 1);
    let bound = voters(1..=3).with_incarnations(&[(id(2), Incarnation(5))]);
    let node = lab.ghost.nodes.slot(id(1));
    node.configurations[0].1 = Arc::new(bound.clone());
    lab.puppet(1).shown = Arc::new(bound);
    objects(lab.leads(1, 1), "7: a leader has the votes");
}

#[test]
fn seven_a_commit_that_a_later_leader_lacks() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    lab.sync(1);
    lab.elect(2, 2, &[3]);
    // Node 3's disk is made to hold what its node never got.
    let link = lab.ghost.ledger.entry(position(1, 4)).expect("made");
    let mut disk = lab.ghost.nodes.get(id(1)).expect("there").disk.clone();
    disk.truncate(Index(5));
    assert!(disk.holds(Index(4), link));
    lab.ghost.nodes.slot(id(3)).disk = disk;
    objects(lab.commit(1, 4), "7: a leader has every");
}

#[test]
fn eight_commits_without_a_quorum_or_of_an_older_term() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    objects(lab.clone().commit(1, 4), "8: what is committed");
    lab.sync(1);
    objects(lab.clone().commit(1, 4), "8: what is committed");
    lab.replicate(1, 2);
    objects(lab.clone().commit(2, 4), "8: a leader commits");
    lab.clone().commit(1, 4).expect("on two of three");
    // Figure 8: the next leader finds the entry on a quorum of disks.
    lab.elect(2, 2, &[3]);
    assert!(lab.ghost.marks().count(Mark::Figure8) > 0);
    objects(lab.commit(2, 4), "8: a leader commits");
}

#[test]
fn eight_the_leaders_own_disk_is_one_more_acknowledgement() {
    let mut lab = steady();
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    lab.replicate(1, 2);
    objects(lab.clone().commit(1, 4), "8: what is committed");
    lab.replicate(1, 3);
    lab.commit(1, 4).expect("without its own disk");
}

/// Node 1 leads three and has proposed the joint configuration on the way to 1, 4 and 5.
fn joining() -> (Lab, Membership) {
    let mut lab = steady();
    let changes = [
        MemberChange::Remove(id(2)),
        MemberChange::Remove(id(3)),
        MemberChange::Voter(id(4), Member::at("")),
        MemberChange::Voter(id(5), Member::at("")),
    ];
    let joint = joint(&voters(1..=3), &changes);
    lab.write(1, vec![configuration(1, 4, &joint)])
        .expect("a change");
    lab.sync(1);
    (lab, joint)
}

#[test]
fn eight_a_joint_configuration_needs_both_halves() {
    let (mut lab, _) = joining();
    let mut new_only = lab.clone();
    new_only.replicate(1, 4);
    objects(new_only.clone().commit(1, 4), "8: what is committed");
    new_only.replicate(1, 2);
    new_only
        .commit(1, 4)
        .expect("1 and 2 of the old, 1 and 4 of the new");
    lab.replicate(1, 2);
    objects(lab.commit(1, 4), "8: what is committed");
}

#[test]
fn eight_the_next_configuration_does_not_commit_the_joint_one() {
    let (mut lab, joint) = joining();
    lab.replicate(1, 4);
    let left = joint.left();
    let at_once = |lab: &mut Lab| {
        lab.step(1, |puppet, out| {
            puppet.summary.commit = Index(4);
            puppet.write(out, None, vec![configuration(1, 5, &left)]);
        })
    };
    objects(at_once(&mut lab.clone()), "8: what is committed");
    lab.replicate(1, 2);
    at_once(&mut lab).expect("both halves agreed");
    lab.replicate(1, 4);
    lab.sync(1);
    lab.commit(1, 5).expect("1 and 4 of three");
}

#[test]
fn nine_commits_that_move_back_or_change() {
    let mut lab = steady();
    objects(lab.clone().commit(1, 2), "9: commit");
    // Node 3 has other entries, and believes them committed.
    lab.step(3, |puppet, out| puppet.vote(out, 2, 3))
        .expect("a candidate");
    lab.sync(3);
    let node = lab.ghost.nodes.slot(id(3));
    for chain in 0..3 {
        node.log.push(chain::Link {
            term: Term(2),
            chain,
        });
    }
    let wrong = lab.step(3, |puppet, _| {
        puppet.summary.last = position(2, 3);
        puppet.summary.commit = Index(2);
    });
    objects(wrong, "9: committed entries");
}

#[test]
fn nine_to_eleven_what_is_applied() {
    let lab = steady();
    let log = lab.nodes[1].log.clone();
    let apply = |node: u64, entries: Vec<Entry>| {
        lab.clone().step(node, |_, out| {
            out.apply.push(Apply::Entries(entries.into()));
        })
    };
    apply(1, log.clone()).expect("committed and durable");
    objects(apply(1, log[1..].to_vec()), "11: entries are applied");
    objects(apply(2, log.clone()), "11: entries are applied");
    let changed = vec![
        log[0].clone(),
        Entry {
            payload: Payload::Noop,
            ..log[1].clone()
        },
    ];
    objects(apply(1, changed), "9: what is applied");

    let mut ahead = lab.clone();
    ahead.replicate(1, 3);
    ahead.write(1, vec![entry(1, 4)]).expect("a proposal");
    ahead.replicate(1, 2);
    ahead.replicate(1, 3);
    let early = ahead.step(1, |puppet, out| {
        puppet.summary.commit = Index(4);
        out.apply.push(Apply::Entries(puppet.log.clone().into()));
    });
    objects(early, "4: a state machine");

    let mut purged = lab.clone();
    objects(
        purged.step(1, |_, out| out.purge = Some(Index(1))),
        "11: snapshot <=",
    );
    let mut accepted = lab.clone();
    let reply = Reply::Accepted {
        ticket: Ticket(1),
        position: position(1, 9),
    };
    objects(
        accepted.step(1, |_, out| out.replies.push(reply)),
        "6: an accepted",
    );
}

#[test]
fn ten_states_that_differ() {
    let mut lab = steady();
    lab.ghost.applied(id(1), Index(3), 77).expect("the first");
    lab.ghost.applied(id(2), Index(3), 77).expect("the same");
    objects(lab.ghost.applied(id(3), Index(3), 78), "10:");
}

#[test]
fn ten_a_snapshot_with_another_configuration() {
    let mut lab = steady();
    let offer = |membership| {
        let last = position(1, 3);
        let membership_index = Index(0);
        let snapshot = Arc::new(SnapshotMeta {
            last,
            membership,
            membership_index,
        });
        Message::InstallSnapshot(InstallSnapshot {
            snapshot,
            round: Round(1),
        })
    };
    let good = Arc::clone(&lab.nodes[1].shown);
    lab.send(1, 3, offer(good)).expect("as committed");
    objects(
        lab.send(1, 3, offer(Arc::new(voters([1, 2])))),
        "11: a snapshot",
    );
}

#[test]
fn twelve_configurations_that_must_not_follow() {
    let (lab, joint) = joining();
    let propose = |lab: &Lab, index, membership: &Membership| {
        lab.clone()
            .write(1, vec![configuration(1, index, membership)])
    };
    // Straight to another majority.
    let plain = steady();
    objects(propose(&plain, 4, &voters([3, 4, 5])), "12: the quorums");
    objects(
        propose(&plain, 4, &Membership::default()),
        "12: the quorums",
    );
    // On top of an uncommitted one; but the old half may come back.
    objects(
        propose(&lab, 5, &joint.left()),
        "12: no configuration is proposed while",
    );
    propose(&lab, 5, &voters(1..=3)).expect("an abort");

    // What the joint configuration's own leader may take back, its successor may not.
    let mut next = lab;
    next.replicate(1, 2);
    next.replicate(1, 4);
    next.replicate(1, 5);
    next.vote(2, 2, 2);
    next.vote(3, 2, 2);
    next.vote(4, 2, 2);
    next.vote(5, 2, 2);
    next.leads(2, 2).expect("both halves voted");
    next.sync(2);
    let old = voters(1..=3);
    let early = next.clone().write(2, vec![configuration(2, 6, &old)]);
    objects(early, "12: no configuration is proposed before");
    next.replicate(2, 3);
    next.replicate(2, 4);
    next.replicate(2, 5);
    next.commit(2, 5).expect("its first commit");
    next.write(2, vec![configuration(2, 6, &joint.left())])
        .expect("it finishes");
    assert_eq!(next.ghost.marks().count(Mark::JointFinishedByAnother), 1);
}

#[test]
fn twelve_an_abort_is_known_and_commits_by_the_old_half() {
    let (mut lab, _) = joining();
    lab.write(1, vec![configuration(1, 5, &voters(1..=3))])
        .expect("an abort");
    assert_eq!(lab.ghost.marks().count(Mark::MembershipAborted), 1);
    lab.sync(1);
    lab.replicate(1, 2);
    lab.commit(1, 4).expect("the old half suffices now");
    lab.commit(1, 5).expect("and for the old configuration");
}

#[test]
fn twelve_a_node_that_uses_another_configuration_than_its_log_says() {
    let (lab, _) = joining();
    let mut stale = lab.clone();
    let old = Arc::new(voters(1..=3));
    objects(
        stale.step(1, |puppet, _| puppet.summary.membership_index = Index(0)),
        "12: the conf",
    );
    let mut wrong = lab;
    objects(
        wrong.step(1, |puppet, _| puppet.shown = old),
        "12: the conf",
    );
}

#[test]
fn thirteen_reads_that_are_too_old() {
    let mut lab = steady();
    let read = |lab: &mut Lab, ticket, consistency, index| {
        let now = lab.now;
        lab.ghost
            .read_invoked(id(1), Ticket(ticket), consistency, now);
        lab.send(1, 2, append(position(1, 3), 3, ticket, vec![]))
            .expect("a round");
        lab.step(2, |puppet, out| {
            let outcome = AppendOutcome::Matched(Index(3));
            let reply = AppendEntriesReply {
                round: Round(ticket),
                outcome,
            };
            out.messages
                .push(puppet.message(1, Message::AppendEntriesReply(reply)));
        })
        .expect("an echo");
        lab.ghost
            .read_ready(id(1), Ticket(ticket), Index(index), lab.now)
    };
    read(&mut lab, 1, Consistency::Linearizable, 3).expect("all that is committed");
    objects(
        read(&mut lab, 2, Consistency::Linearizable, 2),
        "13: a linearizable",
    );
    objects(
        read(&mut lab, 3, Consistency::Linearizable, 4),
        "13: a read barrier",
    );

    lab.ghost.applied(id(1), Index(3), 1).expect("the first");
    lab.now += 1_000;
    let bound = |ns| Consistency::Bounded(std::time::Duration::from_nanos(ns));
    read(&mut lab, 4, bound(5_000), 0).expect("young enough to be missed");
    objects(read(&mut lab, 5, bound(100), 2), "13: a bounded");
    read(&mut lab, 6, bound(100), 3).expect("all that is old");
    read(&mut lab, 7, Consistency::Local, 0).expect("anything goes");
    let within = Clocks::Within(ClockDrift { per_mille: 999 });
    lab.ghost.clocks(within);
    read(&mut lab, 8, bound(100), 0).expect("a clock may be a thousand times slower");
}

#[test]
fn thirteen_a_read_that_nobody_confirmed() {
    let lab = steady();
    let ask = |lab: &mut Lab| {
        let now = lab.now;
        lab.ghost
            .read_invoked(id(1), Ticket(1), Consistency::Linearizable, now);
    };
    let ready = |lab: &mut Lab| lab.ghost.read_ready(id(1), Ticket(1), Index(3), lab.now);
    let echo = |lab: &mut Lab, round| {
        lab.step(2, |puppet, out| {
            let outcome = AppendOutcome::Matched(Index(3));
            let reply = AppendEntriesReply {
                round: Round(round),
                outcome,
            };
            out.messages
                .push(puppet.message(1, Message::AppendEntriesReply(reply)));
        })
    };
    let mut silent = lab.clone();
    ask(&mut silent);
    objects(ready(&mut silent), "13: a read is confirmed");

    let mut late = lab.clone();
    late.send(1, 2, append(position(1, 3), 3, 1, vec![]))
        .expect("a round");
    late.now += 1;
    ask(&mut late);
    echo(&mut late, 1).expect("an echo of an earlier round");
    objects(ready(&mut late.clone()), "13: a read is confirmed");
    late.send(1, 2, append(position(1, 3), 3, 2, vec![]))
        .expect("the next round");
    echo(&mut late, 2).expect("its echo");
    ready(&mut late).expect("confirmed");

    let mut lease = lab;
    lease.ghost.leases_are_used();
    ask(&mut lease);
    ready(&mut lease).expect("a lease needs no round");
    assert_eq!(lease.ghost.marks().count(Mark::LeaseRead), 1);
}

#[test]
fn thirteen_a_barrier_for_a_follower() {
    let mut lab = steady();
    lab.replicate(1, 3);
    let request = Round(1);
    lab.send(3, 1, Message::ReadIndex(ReadIndex { request }))
        .expect("a question");
    let answer = |index| {
        let index = Index(index);
        Message::ReadIndexReply(ReadIndexReply { request, index })
    };
    objects(lab.clone().send(1, 3, answer(2)), "13: a linearizable");
    objects(lab.clone().send(1, 3, answer(3)), "13: a read is confirmed");
    lab.send(1, 2, append(position(1, 3), 3, 1, vec![]))
        .expect("a round");
    lab.step(2, |puppet, out| {
        let outcome = AppendOutcome::Matched(Index(3));
        let reply = AppendEntriesReply {
            round: Round(1),
            outcome,
        };
        out.messages
            .push(puppet.message(1, Message::AppendEntriesReply(reply)));
    })
    .expect("an echo");
    lab.send(1, 3, answer(3)).expect("confirmed");
}

#[test]
fn fourteen_a_commit_inside_a_lease() {
    let lab = steady();
    let claim = |term, lease| Claim {
        node: id(1),
        term: Term(term),
        lease,
    };
    let check = |claim, trust| reads::check_claim(claim, (id(2), Term(2)), trust);
    let trust = lab.ghost.trust;
    check(claim(1, Lease::Expired), trust).expect("expired");
    check(claim(2, Lease::Valid), trust).expect("not an older leader");
    objects(check(claim(1, Lease::Valid), trust), "14:");
    let broken = Trust {
        clocks: Clocks::Broken,
        ..trust
    };
    check(claim(1, Lease::Valid), broken).expect("nothing was promised");
}

#[test]
fn fourteen_a_lease_read_after_giving_way() {
    let mut lab = steady();
    lab.ghost.leases_are_used();
    let read = |lab: &mut Lab| {
        lab.now += 1;
        let now = lab.now;
        lab.ghost
            .read_invoked(id(1), Ticket(1), Consistency::Linearizable, now);
        lab.ghost.read_ready(id(1), Ticket(1), Index(3), now)
    };
    read(&mut lab).expect("a lease");
    lab.send(1, 2, Message::TimeoutNow).expect("a transfer");
    objects(read(&mut lab), "14: a lease ends");
}

#[test]
fn seven_only_members_vote_and_only_voters_lead() {
    let mut lab = steady();
    lab.asked(5, 3, position(9, 9));
    let blank = lab.clone().step(4, |puppet, out| puppet.vote(out, 5, 3));
    objects(blank, "7: only those vote");
    let other = lab.clone().step(2, |puppet, out| puppet.vote(out, 5, 3));
    other.expect("a founder");

    let learner = MemberChange::Learner(id(3), Member::at(""));
    let demoted = voters(1..=3).changed(&[learner]).expect("legal");
    let joint = voters(1..=3).towards(&demoted);
    lab.write(1, vec![configuration(1, 4, &joint)])
        .expect("a change");
    lab.sync(1);
    lab.replicate(1, 2);
    lab.commit(1, 4).expect("both halves");
    lab.write(1, vec![configuration(1, 5, &joint.left())])
        .expect("its end");
    lab.sync(1);
    lab.replicate(1, 2);
    lab.replicate(1, 3);
    lab.commit(1, 5).expect("of two voters");
    let mut unsure = lab.clone();
    for lab in [&mut lab, &mut unsure] {
        lab.vote(3, 2, 3);
        lab.vote(1, 2, 3);
        lab.vote(2, 2, 3);
    }
    unsure
        .leads(3, 2)
        .expect("for all it knows it may still be needed");
    lab.commit(3, 5).expect("it heard of it");
    objects(lab.leads(3, 2), "7: only a voter");
}

#[test]
fn twelve_a_leader_that_stays_after_it_was_removed() {
    let mut lab = steady();
    let joint = joint(&voters(1..=3), &[MemberChange::Remove(id(1))]);
    lab.write(1, vec![configuration(1, 4, &joint)])
        .expect("a change");
    lab.sync(1);
    lab.replicate(1, 2);
    lab.replicate(1, 3);
    lab.commit(1, 4).expect("both halves");
    lab.write(1, vec![configuration(1, 5, &joint.left())])
        .expect("its end");
    lab.replicate(1, 2);
    lab.replicate(1, 3);
    objects(lab.clone().commit(1, 5), "12: a leader that was removed");
    lab.step(1, |puppet, _| {
        puppet.summary.commit = Index(5);
        puppet.summary.role = RoleName::Follower;
    })
    .expect("it steps down");
}

#[test]
fn a_late_persisted_of_truncated_entries_is_marked() {
    let mut lab = steady();
    lab.replicate(1, 3);
    lab.write(1, vec![entry(1, 4)]).expect("a proposal");
    let tail = vec![entry(1, 4)];
    lab.step(2, |puppet, out| puppet.write(out, None, tail))
        .expect("issued");
    lab.elect(3, 2, &[1]);
    let leader = lab.puppet(3).clone();
    lab.step(2, |puppet, out| {
        (puppet.summary.term, puppet.summary.leader) = (Term(2), Some(id(3)));
        puppet.summary.vote = None;
        puppet.write(out, Some(Index(4)), vec![leader.log[3].clone()]);
        out.observations
            .push(Observation::Truncated { from: Index(4) });
    })
    .expect("a conflict");
    assert_eq!(lab.ghost.marks().count(Mark::Truncated), 1);
    lab.sync(2);
    assert_eq!(lab.ghost.marks().count(Mark::StalePersisted), 1);
}
