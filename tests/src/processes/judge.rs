//! Judges what clients were told by all changes that the store says it has made, and by two
//! checkers of linearizability that know nothing of each other. It asks nobody.

use std::collections::BTreeMap;

use raft_core::sim::history::{History, OpKind, Outcome, Returned};
use raft_core::sim::{by_index, wgl};

use super::book::Record;
use super::client::Event;
use super::load;

/// What an observer may call the same register: a swap that found another value has read it.
type Place = (u64, u64);

/// Whether clients were told the truth.
pub(super) fn check(records: &[Record], events: &[Event]) -> Result<(), String> {
    let made = made(events)?;
    let mut wanted: BTreeMap<Place, &Record> = BTreeMap::new();
    for record in records {
        let value = record.kind.value_new();
        wanted.extend(value.map(|value| ((record.key, value), record)));
    }
    for (place, revision) in &made {
        let Some(record) = wanted.get(place) else {
            return Err(format!("nobody wrote {place:?}, made at {revision}"));
        };
        let is_promised_not_to = record.outcome == Outcome::Failed
            || matches!(record.outcome, Outcome::Ok(Returned::Mismatch { .. }));
        if is_promised_not_to {
            return Err(format!("not to be, and yet made at {revision}: {record:?}"));
        }
    }
    for (place, record) in &wanted {
        let is_acknowledged = matches!(
            record.outcome,
            Outcome::Ok(Returned::Written | Returned::Swapped)
        );
        if is_acknowledged && made.get(place).copied() != record.revision {
            let found = made.get(place);
            return Err(format!("acknowledged, and found at {found:?}: {record:?}"));
        }
    }
    wgl::check(&told(records, &made, true)).map_err(|wrong| wrong.to_string())?;
    by_index::check(&told(records, &made, false)).map_err(|wrong| wrong.to_string())
}

/// The revision of each value that a register was given. Each revision comes once, in order.
fn made(events: &[Event]) -> Result<BTreeMap<Place, i64>, String> {
    let mut made = BTreeMap::new();
    for pair in events.windows(2) {
        if pair[0].revision >= pair[1].revision {
            return Err(format!("{:?} comes before {:?}", pair[0], pair[1]));
        }
    }
    for event in events {
        let Some(key) = load::register(&event.key) else {
            continue;
        };
        let value = event.value.as_ref().and_then(load::value);
        let value = value.ok_or_else(|| format!("no client makes {event:?}"))?;
        if let Some(before) = made.insert((key, value), event.revision) {
            return Err(format!("made at {before} already: {event:?}"));
        }
    }
    Ok(made)
}

/// The history that clients saw. A swap that found another value is a read for the check by index,
/// because it makes no revision of its own.
fn told(records: &[Record], made: &BTreeMap<Place, i64>, swaps: bool) -> History {
    let mut history = History::new(usize::MAX);
    for record in records {
        let (kind, outcome) = match record.outcome {
            Outcome::Ok(Returned::Mismatch { found }) if !swaps => {
                (OpKind::Read, Outcome::Ok(Returned::Value(found)))
            }
            outcome @ (Outcome::Ok(_) | Outcome::Failed | Outcome::Unknown) => {
                (record.kind, outcome)
            }
        };
        let id = history.call(record.client, record.key, kind, record.call);
        let id = id.expect("it has no limit");
        if let Some(returned) = record.returned {
            history.complete(id, outcome, returned);
        }
        let place = kind.value_new().map(|value| (record.key, value));
        let revision = place
            .and_then(|place| made.get(&place).copied())
            .or(record.revision);
        if let Some(revision) = revision {
            history.record_index(id, u64::try_from(revision).expect("revisions count up"));
        }
    }
    history
}
