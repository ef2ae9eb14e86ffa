//! Clients that change many keys at once, compact, and look back; and whether what they were
//! answered is what happened.
//!
//! What belongs together stores a value that nothing else stores. This file does not know which
//! faults there are.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use raft_core::NodeId;
use raft_core::session::Session;
use raft_kv::command::Command;
use raft_kv::keys::Keys;
use raft_kv::request::{
    Compare, CompareTarget, DeleteRequest, Op, Operator, PutRequest, RangeRequest, TxnRequest,
};
use raft_kv::response::RangeResponse;
use raft_kv::{Answer, EventKind, Refusal, Response, Revision};
use raft_tests::storm::Care;

use super::program::{World, number, value};
use super::truth::Chronicle;

/// The keys that are put together.
const GROUP: u64 = 6;
/// The keys that are deleted together.
const DOOMED: u64 = 4;

/// What clients other than those of registers did, and were told.
#[derive(Default)]
pub(crate) struct Notes {
    /// Transactions, by the value that they put.
    transactions: BTreeMap<u64, Transaction>,
    /// What these clients asked to be compacted.
    compactions: BTreeSet<Revision>,
    looks: Vec<Look>,
}

struct Transaction {
    /// So many puts, if the compares hold.
    puts: usize,
    fate: Fate,
}

enum Fate {
    /// It was done at this revision, if it did anything.
    Done {
        revision: Revision,
        puts: usize,
    },
    /// It never will be.
    Refused,
    Unknown,
}

/// A look at the past, at one node.
struct Look {
    who: NodeId,
    keys: Keys,
    at: Revision,
    /// Where the node was.
    present: Revision,
    found: Result<RangeResponse, Refusal>,
}

/// Works until the storm is over.
pub(crate) async fn work(world: Rc<World>, care: Care) {
    let mut session = match care {
        Care::None => None,
        Care::Session => Some(world.open_session().await),
    };
    while !world.is_over.get() {
        world.pause(0, 150).await;
        match world.draw(40) {
            0 => compact(&world, &mut session).await,
            1..10 => look_back(&world),
            _ => change(&world, &mut session).await,
        }
    }
}

async fn send(
    world: &World,
    session: &mut Option<Session>,
    command: &Command,
) -> Result<Answer, Fate> {
    let answer = if let Some(session) = session {
        session.sequence += 1;
        let answer = world.insist(*session, command.encode()).await;
        answer.ok_or(Fate::Unknown)?
    } else {
        let answer = world.somebody().await.write(command.encode()).await;
        answer.map_err(|error| match error.is_refused() {
            true => Fate::Refused,
            false => Fate::Unknown,
        })?
    };
    Answer::decode(answer).ok_or(Fate::Unknown)
}

// --- Changes ---

async fn change(world: &World, session: &mut Option<Session>) {
    let mark = world.fresh_value();
    let puts = 1 + world.draw(4);
    let txn = transaction(world, mark, puts);
    let mut noted = Transaction {
        puts: usize::try_from(puts).expect("small"),
        fate: Fate::Unknown,
    };
    match send(world, session, &Command::Txn(txn)).await {
        Ok(Answer { revision, outcome }) => match outcome {
            Ok(Response::Txn(done)) => {
                let puts = if done.succeeded { noted.puts } else { 0 };
                noted.fate = Fate::Done { revision, puts };
                world.program.count(|counts| {
                    counts.transactions += 1;
                    counts.branches_not_taken += u64::from(!done.succeeded);
                });
            }
            other => world.wrong(format!("a transaction was answered {other:?}")),
        },
        Err(fate) => noted.fate = fate,
    }
    let mut notes = world.program.notes.borrow_mut();
    notes.transactions.insert(mark, noted);
}

/// Puts so many of a group, some in a transaction within, and perhaps deletes others; or deletes
/// only, if the group was changed often enough.
fn transaction(world: &World, mark: u64, puts: u64) -> TxnRequest {
    let first = world.draw(GROUP);
    let mut success: Vec<Op> = (first..first + puts)
        .map(|place| format!("g/{}", place % GROUP))
        .map(|key| Op::Put(PutRequest::of(key, value(mark))))
        .collect();
    if world.draw(2) == 0 {
        let within = TxnRequest {
            success: success.split_off(success.len() / 2),
            ..TxnRequest::default()
        };
        success.push(Op::Txn(within));
    }
    let doomed = || {
        Op::Delete(DeleteRequest {
            keys: Keys::prefix("d/"),
            wants_prev: world.draw(2) == 0,
        })
    };
    match world.draw(4) {
        0 => success.push(doomed()),
        1 => {
            let key = format!("d/{}", world.draw(DOOMED));
            success.push(Op::Put(PutRequest::of(key, "doomed")));
        }
        _ => {}
    }
    let often = i64::try_from(1 + world.draw(60)).expect("small");
    let compares = vec![Compare {
        keys: Keys::one(format!("g/{first}")),
        operator: Operator::Less,
        target: CompareTarget::Version(often),
    }];
    let gone = Op::Delete(DeleteRequest {
        keys: Keys::one(format!("g/{first}")),
        wants_prev: false,
    });
    TxnRequest {
        compares,
        success,
        failure: vec![gone, doomed()],
    }
}

async fn compact(world: &World, session: &mut Option<Session>) {
    let Some(node) = world.any() else { return };
    let Some(store) = world.program.store(node.id()) else {
        return;
    };
    let state = store.state().expect("its rows");
    let span = state.revision.0 - state.compacted.0 + 2;
    let revision = Revision(state.compacted.0 + world.draw(span));
    world
        .program
        .notes
        .borrow_mut()
        .compactions
        .insert(revision);
    let Ok(answer) = send(world, session, &Command::Compact(revision)).await else {
        return;
    };
    world.program.count(|counts| match answer.outcome {
        Ok(_) => counts.compactions += 1,
        Err(_) => counts.compactions_refused += 1,
    });
    match answer.outcome {
        Ok(Response::Done) => {}
        Err(Refusal::Compacted { compacted }) if compacted >= revision => {}
        Err(Refusal::FutureRevision { revision: latest }) if latest < revision => {}
        other => world.wrong(format!("a compaction at {revision} was answered {other:?}")),
    }
}

fn look_back(world: &World) {
    let Some(node) = world.any() else { return };
    let Some(store) = world.program.store(node.id()) else {
        return;
    };
    let keys = match world.draw(4) {
        0 => Keys::all(),
        1 => Keys::prefix("g/"),
        2 => Keys::between("d/1", "g/3"),
        _ => Keys::one("r/1"),
    };
    let present = store.state().expect("its rows").revision;
    let at = Revision(1 + world.draw(present.0 + 2));
    let request = RangeRequest {
        revision: at,
        ..RangeRequest::of(keys.clone())
    };
    let (header, found) = store.range(&request).expect("its rows");
    if header != present {
        world.wrong(format!(
            "a range says that it is from {header}, not {present}"
        ));
    }
    world.program.count(|counts| match found {
        Ok(_) => counts.old_reads += 1,
        Err(Refusal::Compacted { .. }) => counts.compacted_reads += 1,
        Err(_) => counts.future_reads += 1,
    });
    let who = node.id();
    let look = Look {
        who,
        keys,
        at,
        present,
        found,
    };
    world.program.notes.borrow_mut().looks.push(look);
}

// --- The verdict ---

impl Notes {
    /// How many compactions somebody else asked for.
    pub(crate) fn auto_compactions(&self, chronicle: &Chronicle) -> u64 {
        chronicle.compactions.difference(&self.compactions).count() as u64
    }

    /// What was answered is what happened, once, and at once.
    pub(crate) fn check(&self, chronicle: &Chronicle) -> Result<(), String> {
        let marks = marks(chronicle);
        for (mark, transaction) in &self.transactions {
            transaction.check(*mark, marks.get(mark).map_or(&[], Vec::as_slice))?;
        }
        self.looks.iter().try_for_each(|look| {
            let what = || {
                let Look {
                    who,
                    keys,
                    at,
                    present,
                    found,
                } = look;
                format!("{keys:?} of {at} at {who}, which was at {present}: {found:?}")
            };
            look.check(chronicle).then_some(()).ok_or_else(what)
        })
    }
}

/// At which revisions each value was put: once for each put.
pub(crate) fn marks(chronicle: &Chronicle) -> BTreeMap<u64, Vec<Revision>> {
    let mut marks: BTreeMap<u64, Vec<Revision>> = BTreeMap::new();
    for event in &chronicle.events {
        if event.kind == EventKind::Put {
            let mark = number(&event.kv.value);
            marks.entry(mark).or_default().push(event.revision());
        }
    }
    marks
}

impl Transaction {
    fn check(&self, mark: u64, put_at: &[Revision]) -> Result<(), String> {
        let is_whole = put_at.iter().all(|at| at == &put_at[0]);
        let is_right = match self.fate {
            Fate::Done { revision, puts } => {
                put_at.len() == puts && put_at.iter().all(|at| *at == revision)
            }
            Fate::Refused => put_at.is_empty(),
            Fate::Unknown => put_at.is_empty() || put_at.len() == self.puts && is_whole,
        };
        if is_right {
            return Ok(());
        }
        let fate = match self.fate {
            Fate::Done { revision, puts } => format!("{puts} puts done at {revision}"),
            Fate::Refused => "refused".to_owned(),
            Fate::Unknown => "of unknown outcome".to_owned(),
        };
        let puts = self.puts;
        Err(format!("{mark}, {puts} puts, {fate}, is at {put_at:?}"))
    }
}

impl Look {
    fn check(&self, chronicle: &Chronicle) -> bool {
        match &self.found {
            Ok(range) => {
                let then = chronicle.at(&self.keys, self.at);
                self.at <= self.present
                    && range.count == then.len() as u64
                    && range.kvs == then
                    && !range.more
            }
            Err(Refusal::Compacted { compacted }) => {
                self.at < *compacted && chronicle.compactions.contains(compacted)
            }
            Err(Refusal::FutureRevision { revision }) => {
                self.at > *revision && *revision == self.present
            }
            Err(_) => false,
        }
    }
}
