//! A compaction removes more rows than one sweep takes. What can be read stays the same meanwhile.

use raft_core::session::SessionLimits;
use raft_core::{Index, Term};
use raft_kv::request::{DeleteRequest, PutRequest, RangeRequest};
use raft_kv::watch::{Wanted, WatchRequest};
use raft_kv::{Command, Keys, Revision};
use raft_tests::kv::Entry;

use crate::replica::Kind;
use crate::stand::{Plan, Stand};
use crate::steps::{Step, Who};

/// Enough for some sweeps.
const CHANGES: u64 = 3000;
const KEYS: u64 = 7;

struct Log(Vec<Step>);

impl Log {
    fn enter(&mut self, command: Command) {
        let index = Index(1 + self.0.len() as u64);
        self.0.push(Step::Enter(Box::new(Entry {
            index,
            term: Term(1),
            time_ms: 0,
            session: None,
            command: Some(command),
        })));
    }
}

/// Each key is put often, and deleted now and then.
fn change(nth: u64) -> Command {
    let key = format!("key-{}", nth % KEYS);
    if nth.is_multiple_of(KEYS * 5 + 1) {
        return Command::Delete(DeleteRequest {
            keys: Keys::one(key),
            wants_prev: false,
        });
    }
    Command::Put(PutRequest::of(key, nth.to_string()))
}

/// What is looked at while the sweep is under way.
fn look(stand: &mut Stand) -> Result<(), String> {
    let (now, compacted) = (
        stand.reference.store.revision.0,
        stand.reference.store.compacted.0,
    );
    for revision in [
        0,
        compacted - 1,
        compacted,
        compacted + 1,
        compacted + 9,
        now - 1,
        now,
    ] {
        let mut request = RangeRequest::of(Keys::all());
        request.revision = Revision(revision);
        stand.carry_out(&Step::Range(Box::new(request.clone())))?;
        request.keys = Keys::one("key-3");
        stand.carry_out(&Step::Range(Box::new(request)))?;
        stand.carry_out(&Step::Hash(Revision(revision)))?;
    }
    for start in [compacted - 1, compacted, compacted + 1, now] {
        let request = WatchRequest {
            keys: Keys::prefix("key"),
            start: Revision(start),
            wanted: Wanted::All,
            wants_prev: true,
        };
        stand.carry_out(&Step::Watch(Who::First, request))?;
    }
    stand.carry_out(&Step::Poll)
}

#[test]
fn what_can_be_read_is_the_same_however_far_the_sweep_has_come() {
    let plan = Plan {
        kinds: [Kind::Memory, Kind::Memory],
        sessions: SessionLimits::default(),
        recent_bytes_max: 0,
    };
    let mut log = Log(Vec::new());
    (0..CHANGES).for_each(|nth| log.enter(change(nth)));
    log.enter(Command::Compact(Revision(CHANGES * 2 / 3)));
    // Each of these is a batch, after which there is a sweep.
    (0..8).for_each(|nth| log.enter(change(nth)));
    log.enter(Command::Compact(Revision(CHANGES - 50)));
    (8..16).for_each(|nth| log.enter(change(nth)));

    let mut stand = Stand::new(plan).expect("it opens");
    for (nth, step) in (0..).zip(&log.0) {
        stand.carry_out(step).expect("it is right");
        if nth < CHANGES - 1 {
            continue;
        }
        stand.carry_out(&Step::Flush).expect("it is right");
        // All at once, so this one has not swept as often.
        if nth.is_multiple_of(6) {
            stand
                .carry_out(&Step::CatchUp(usize::MAX))
                .expect("it is right");
        }
        if stand.reference.store.compacted > Revision::NONE {
            look(&mut stand).unwrap_or_else(|why| panic!("after entry {nth}: {why}"));
        }
    }
}
