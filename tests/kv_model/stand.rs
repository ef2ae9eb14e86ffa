//! Two members and the reference, given the same; after each step all three must agree.
//!
//! The first member applies what is committed in batches of any length; the second lags, applies in
//! other batches, and gets snapshots. Both restart. This file knows what must be equal, and leaves
//! what is right to the reference.

use bytes::Bytes;
use raft_core::session::{Answered, SessionLimits};
use raft_core::sim::disk::Image;
use raft_kv::request::RangeRequest;
use raft_kv::rows::State;
use raft_kv::watch::{HubConfig, WatchRefused, WatchRequest};
use raft_kv::{Answer, Command, LeaseId, Response, Revision};
use raft_tests::kv::reference::Users;
use raft_tests::kv::{Entry, Sessions, Tally};

use crate::replica::{Kind, Replica, Setup, said};
use crate::steps::{Step, Who};
use crate::watches::Watch;

/// What all can meet with beside what commands, ranges and watches do: each must be met by some.
pub(crate) const OF_MEMBERS: &[&str] = &[
    "hash",
    "hash refused: compacted",
    "hash refused: future revision",
    "inspected",
    "installed a snapshot",
    "restarted",
    "second is where the first is",
    "started from a snapshot",
    "took a snapshot",
];

/// How a stand is set up: a part of a seed's plan, so that its steps can be tried again.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Plan {
    /// The engines.
    pub(crate) kinds: [Kind; 2],
    /// What is remembered of clients.
    pub(crate) sessions: SessionLimits,
    /// How much watchers find in memory.
    pub(crate) recent_bytes_max: usize,
}

/// All that takes part.
pub(crate) struct Stand {
    pub(crate) reference: Sessions,
    pub(crate) tally: Tally,
    first: Member,
    second: Member,
    /// Committed, and applied by nobody.
    committed: Vec<Entry>,
    /// Applied by the first member, with what was answered.
    log: Vec<(Entry, Answered)>,
    kept: Option<Image>,
    has_two_kinds: bool,
}

struct Member {
    /// Before the replica: they hold its engine, whose directory goes with the replica.
    watches: Vec<Watch>,
    replica: Replica,
    /// How much of the log it has applied.
    applied: usize,
}

impl Member {
    /// All watchers leave; they come back with these.
    fn leave_all(&mut self) -> Vec<WatchRequest> {
        self.watches
            .drain(..)
            .map(|watch| watch.resumed())
            .collect()
    }
}

impl Stand {
    pub(crate) fn new(plan: Plan) -> Result<Self, String> {
        let member = |kind| {
            let setup = Setup {
                kind,
                sessions: plan.sessions,
                watches: HubConfig {
                    recent_bytes_max: plan.recent_bytes_max,
                    ..HubConfig::default()
                },
            };
            let replica = Replica::new(setup)?;
            Ok::<_, String>(Member {
                replica,
                watches: Vec::new(),
                applied: 0,
            })
        };
        Ok(Self {
            reference: Sessions::new(plan.sessions),
            tally: Tally::default(),
            first: member(plan.kinds[0])?,
            second: member(plan.kinds[1])?,
            committed: Vec::new(),
            log: Vec::new(),
            kept: None,
            has_two_kinds: plan.kinds[0] != plan.kinds[1],
        })
    }

    /// Carries out a step; says what is not as it should be.
    pub(crate) fn carry_out(&mut self, step: &Step) -> Result<(), String> {
        match step {
            Step::Enter(entry) => self.committed.push((**entry).clone()),
            Step::Flush => self.flush()?,
            Step::CatchUp(batch) => self.catch_up(Who::Second, *batch)?,
            Step::Range(request) => self.range(request)?,
            Step::Watch(who, request) => self.watch(*who, request)?,
            Step::Poll => self.poll()?,
            Step::Leave(place) => {
                let watches = &mut self.first.watches;
                if *place < watches.len() {
                    watches.remove(*place);
                }
            }
            Step::Hash(revision) => self.hash(*revision)?,
            Step::Inspect => self.inspect()?,
            Step::Reopen(who) => {
                let watched = self.member(*who).leave_all();
                self.member(*who).replica.reopen()?;
                self.tally.see("restarted");
                self.come_back(*who, watched)?;
            }
            // Engines of one kind do not read the snapshots of another.
            Step::Install | Step::StartFrom(Who::Second) if self.has_two_kinds => {}
            // There is no snapshot of nothing.
            Step::Snapshot | Step::Install if self.log.is_empty() => {}
            Step::Snapshot => {
                self.kept = Some(self.first.replica.image()?);
                self.tally.see("took a snapshot");
            }
            Step::StartFrom(who) => {
                if let Some(image) = self.kept.clone() {
                    let watched = self.member(*who).leave_all();
                    self.member(*who).replica.start_from(&image)?;
                    self.tally.see("started from a snapshot");
                    self.come_back(*who, watched)?;
                }
            }
            Step::Install => self.install()?,
        }
        Ok(())
    }

    /// Brings all to the end, where all must agree.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        for step in [
            Step::Flush,
            Step::CatchUp(7),
            Step::Poll,
            Step::Inspect,
            Step::Hash(Revision::NONE),
        ] {
            self.carry_out(&step)?;
        }
        for revision in self.reference.store.compacted.0..=self.reference.store.revision.0 {
            let mut request = RangeRequest::of(raft_kv::Keys::all());
            request.revision = Revision(revision);
            self.range(&request)?;
        }
        Ok(())
    }

    fn member(&mut self, who: Who) -> &mut Member {
        match who {
            Who::First => &mut self.first,
            Who::Second => &mut self.second,
        }
    }

    fn flush(&mut self) -> Result<(), String> {
        let batch = std::mem::take(&mut self.committed);
        let answers = self.first.replica.apply(&batch)?;
        for (entry, answered) in batch.into_iter().zip(answers) {
            let is_repeated = self.is_repeated(&entry);
            let chosen = self.chosen(&entry, &answered)?;
            let expected = self.reference.apply(&entry, chosen);
            if answered != expected {
                return Err(format!(
                    "{entry:?}\n  is answered {}\n  and not     {}",
                    told(&answered),
                    told(&expected)
                ));
            }
            self.tally.see_entry(&entry, &answered, is_repeated);
            self.log.push((entry, answered));
        }
        self.first.applied = self.log.len();
        self.check_state()
    }

    fn is_repeated(&self, entry: &Entry) -> bool {
        let mut clients = self.reference.clients.iter();
        entry.session.is_some_and(|session| {
            clients.any(|known| (known.id, known.sequence) == (session.client, session.sequence))
        })
    }

    /// The name of a lease that the store has chosen: any, if it is free.
    fn chosen(&self, entry: &Entry, answered: &Answered) -> Result<LeaseId, String> {
        let Some(Command::Grant {
            id: LeaseId::NONE, ..
        }) = entry.command.as_ref().map(Command::bare)
        else {
            return Ok(LeaseId::NONE);
        };
        let Answered::Applied(answer) = answered else {
            return Ok(LeaseId::NONE);
        };
        let answer = Answer::decode(answer.clone()).map(|answer| answer.outcome);
        let Some(Ok(Response::Granted(id))) = answer else {
            return Ok(LeaseId::NONE);
        };
        let is_free = id.0 > 0 && !self.reference.store.has_lease(id);
        if !is_free && !self.is_repeated(entry) {
            return Err(format!(
                "{entry:?} is given the lease {}, which is not free",
                id.0
            ));
        }
        Ok(id)
    }

    fn check_state(&self) -> Result<(), String> {
        let state = state(&self.first)?;
        let store = &self.reference.store;
        let last = self.log.last().map(|(entry, _)| entry);
        let expected = State {
            revision: store.revision,
            compacted: store.compacted,
            applied: last.map_or(state.applied, |entry| entry.index),
            term: last.map_or(state.term, |entry| entry.term),
            time_ms: store.time_ms,
            keys: store.at(Revision::NONE).len() as u64,
            leases: store.leases.len() as u64,
            version: store.version,
            ..state
        };
        if state != expected {
            return Err(format!("it is\n  {state:?}\nand not\n  {expected:?}"));
        }
        Ok(())
    }

    /// The member applies what it lacks of the log.
    fn catch_up(&mut self, who: Who, batch: usize) -> Result<(), String> {
        let log = std::mem::take(&mut self.log);
        let member = self.member(who);
        let lacking = &log[member.applied..];
        let caught_up = lacking.chunks(batch).try_for_each(|batch| {
            let entries: Vec<Entry> = batch.iter().map(|(entry, _)| entry.clone()).collect();
            let answers = member.replica.apply(&entries)?;
            for ((entry, expected), answered) in batch.iter().zip(&answers) {
                if answered != expected {
                    return Err(format!(
                        "{who:?} answers to {entry:?}\n  {}\n  and not {}",
                        told(answered),
                        told(expected)
                    ));
                }
            }
            Ok(())
        });
        member.applied = log.len();
        self.log = log;
        caught_up?;
        self.compare()
    }

    /// Two that have applied the same are the same.
    fn compare(&mut self) -> Result<(), String> {
        if self.first.applied != self.second.applied {
            return Ok(());
        }
        self.tally.see("second is where the first is");
        let (first, second) = (state(&self.first)?, state(&self.second)?);
        if first != second {
            return Err(format!(
                "the first is\n  {first:?}\nthe second is\n  {second:?}"
            ));
        }
        Ok(())
    }

    /// A member that has restarted is given what it has lost, and its watchers begin where they
    /// were.
    fn come_back(&mut self, who: Who, watched: Vec<WatchRequest>) -> Result<(), String> {
        let index = state(self.member(who))?.applied;
        let applied = self.log.partition_point(|(entry, _)| entry.index <= index);
        self.member(who).applied = applied;
        if who == Who::First {
            self.catch_up(who, 5)?;
        }
        for request in watched {
            self.watch(who, &request)?;
        }
        self.compare()
    }

    fn install(&mut self) -> Result<(), String> {
        let image = self.first.replica.image()?;
        self.second.replica.install(&image)?;
        self.second.applied = self.first.applied;
        self.tally.see("installed a snapshot");
        self.compare()
    }

    fn range(&mut self, request: &RangeRequest) -> Result<(), String> {
        let answer = self.first.replica.store.range(request);
        let (revision, found) = answer.map_err(|why| said("range", &why))?;
        let expected = self.reference.store.range(request);
        let now = self.reference.store.revision;
        if (revision, &found) != (now, &expected) {
            return Err(format!(
                "{request:?}\n  finds   {found:?} at {revision}\n  and not {expected:?} at {now}"
            ));
        }
        self.tally.see_range(request, &found);
        Ok(())
    }

    fn watch(&mut self, who: Who, request: &WatchRequest) -> Result<(), String> {
        let (now, compacted) = {
            let state = state(self.member(who))?;
            (state.revision, state.compacted)
        };
        let begun = self.member(who).replica.store.watch(request.clone());
        match begun {
            Ok(watcher) => {
                let request = request.clone();
                let watch = Watch::new(request, watcher, now, compacted, &mut self.tally);
                self.member(who).watches.push(watch);
                Ok(())
            }
            Err(WatchRefused::EmptyRange) if request.keys.span().is_empty() => {
                self.tally.see("watch refused: an empty range");
                Ok(())
            }
            Err(why) => Err(format!("{request:?}: {why}")),
        }
    }

    fn poll(&mut self) -> Result<(), String> {
        for member in [&mut self.first, &mut self.second] {
            let state = state(member)?;
            let mut going_on = Vec::new();
            for mut watch in member.watches.drain(..) {
                let store = &self.reference.store;
                if watch.poll(store, state.revision, state.compacted, &mut self.tally)? {
                    going_on.push(watch);
                }
            }
            member.watches = going_on;
        }
        Ok(())
    }

    fn hash(&mut self, revision: Revision) -> Result<(), String> {
        let hash = |member: &Member| {
            let hash = member.replica.store.hash(revision);
            hash.map_err(|why| said("hash", &why))
        };
        let first = hash(&self.first)?;
        let expected = self.reference.store.check_revision(revision);
        if first.map(|_| ()) != expected {
            return Err(format!(
                "the hash at {revision} is {first:?}, and not {expected:?}"
            ));
        }
        self.tally.see(match expected {
            Ok(()) => "hash",
            Err(raft_kv::Refusal::Compacted { .. }) => "hash refused: compacted",
            Err(_) => "hash refused: future revision",
        });
        if self.first.applied == self.second.applied {
            let second = hash(&self.second)?;
            if first != second {
                return Err(format!("hashes at {revision}: {first:?} and {second:?}"));
            }
        }
        Ok(())
    }

    fn inspect(&mut self) -> Result<(), String> {
        let (store, expected) = (&self.first.replica.store, &self.reference.store);
        let why = |why| said("inspect", &why);
        let mut leases = expected.leases.clone();
        // Rows sort by their bytes: the negative ones come last.
        leases.sort_by_key(|(id, _)| id.0.cast_unsigned());
        same("leases", &store.leases().map_err(why)?, &leases)?;
        for (id, lease) in leases {
            let view = store.lease(id).map_err(why)?;
            let view = view.map(|view| (view.lease, view.keys));
            same("lease", &view, &Some((lease, expected.attached(id))))?;
        }
        let mut alarms = store.alarms().map_err(why)?;
        alarms.sort_unstable();
        let mut expected_alarms = expected.alarms.clone();
        expected_alarms.sort_unstable();
        same("alarms", &alarms, &expected_alarms)?;
        let mut members = expected.members.clone();
        members.sort_by_key(|known| known.member);
        same("members", &store.members().map_err(why)?, &members)?;
        let mut users = expected.users.clone();
        users.sort();
        let auth = store.auth().map_err(why)?;
        same("users", &Users::said(&auth), &users)?;
        self.tally.see("inspected");
        Ok(())
    }
}

fn state(member: &Member) -> Result<State, String> {
    let state = member.replica.store.state();
    state.map_err(|why| said("read the state", &why))
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, is: &T, expected: &T) -> Result<(), String> {
    if is == expected {
        return Ok(());
    }
    Err(format!("{what}: {is:?}\n  and not {expected:?}"))
}

/// An answer that a person can read.
fn told(answered: &Answered) -> String {
    if let Answered::Applied(bytes) = answered
        && let Some(answer) = Answer::decode(Bytes::clone(bytes))
    {
        return format!("{answer:?}");
    }
    format!("{answered:?}")
}
