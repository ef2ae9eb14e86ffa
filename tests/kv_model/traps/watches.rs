//! Where a watch may start, and what it is told.

use raft_kv::request::{Op, TxnRequest};
use raft_kv::watch::{CancelReason, Wanted, WatchItem, WatchRequest, Watcher};
use raft_kv::{Command, Event, EventKind, Keys, Revision};

use super::{Trial, delete, put};

fn watch(trial: &Trial, start: u64) -> Watcher {
    let request = WatchRequest {
        start: Revision(start),
        wants_prev: true,
        ..WatchRequest::new(Keys::all())
    };
    trial.store.watch(request).expect("there are few")
}

/// All that it has to tell now: a line for each time it tells something.
fn told(watcher: &mut Watcher) -> Vec<String> {
    let mut told = Vec::new();
    while let Some(item) = watcher.poll_now() {
        match item {
            WatchItem::Events { revision, events } => {
                let events: Vec<String> = events.iter().map(text).collect();
                told.push(format!("up to {revision}: {}", events.join(", ")));
            }
            WatchItem::Cancelled(CancelReason::Compacted { compacted }) => {
                told.push(format!("compacted at {compacted}"));
                break;
            }
            WatchItem::Cancelled(reason) => panic!("{reason}"),
        }
    }
    told
}

/// As `revision key=value, before that value`.
fn text(event: &Event) -> String {
    let text = |bytes: &[u8]| bytes.escape_ascii().to_string();
    let (kv, revision) = (&event.kv, event.revision());
    let prev = event
        .prev
        .as_ref()
        .map(|prev| format!(" was {}", text(&prev.value)));
    let prev = prev.unwrap_or_default();
    match event.kind {
        EventKind::Put => format!("{revision} {}={}{prev}", text(&kv.key), text(&kv.value)),
        EventKind::Delete => format!("{revision} {} gone{prev}", text(&kv.key)),
    }
}

/// One with a compaction at 4, which is a deletion.
fn compacted() -> Trial {
    let mut trial = Trial::with(&["a=1", "b=1"]);
    trial.done(&Command::Delete(delete(Keys::one("a"))));
    trial.done(&Command::Put(put("b=2")));
    trial.done(&Command::Compact(Revision(4)));
    // The rows that are not needed any more are gone by now.
    trial.done(&Command::Put(put("c=1")));
    trial
}

#[test]
fn a_watch_may_start_at_the_compaction_but_not_before() {
    let trial = compacted();
    for (start, expected) in [
        (1, &["compacted at 4"][..]),
        (3, &["compacted at 4"]),
        (4, &["up to 6: 4 a gone, 5 b=2 was 1, 6 c=1"]),
        (5, &["up to 6: 5 b=2 was 1, 6 c=1"]),
        (6, &["up to 6: 6 c=1"]),
        (7, &[]),
        (0, &[]),
    ] {
        assert_eq!(told(&mut watch(&trial, start)), expected, "from {start}");
    }
}

#[test]
fn a_put_at_the_compaction_is_told() {
    let mut trial = Trial::with(&["a=1", "a=2", "a=3"]);
    trial.done(&Command::Compact(Revision(3)));
    trial.done(&Command::Put(put("b=1")));
    assert_eq!(
        told(&mut watch(&trial, 3)),
        ["up to 5: 3 a=2, 4 a=3 was 2, 5 b=1"]
    );
}

#[test]
fn a_watch_from_now_on_or_later_is_told_of_the_future_alone() {
    let mut trial = Trial::with(&["a=1"]);
    let (mut now, mut later) = (watch(&trial, 0), watch(&trial, 4));
    assert!(told(&mut now).is_empty());
    trial.done(&Command::Put(put("a=2")));
    assert_eq!(told(&mut now), ["up to 3: 3 a=2 was 1"]);
    assert!(told(&mut later).is_empty());
    trial.done(&Command::Delete(delete(Keys::one("a"))));
    assert_eq!(told(&mut now), ["up to 4: 4 a gone was 2"]);
    assert_eq!(told(&mut later), ["up to 4: 4 a gone was 2"]);
}

#[test]
fn a_transaction_is_told_whole_and_in_its_order() {
    let mut trial = Trial::with(&["a=1", "b=1"]);
    let mut watcher = watch(&trial, 0);
    let success = vec![
        Op::Put(put("z=1")),
        Op::Delete(delete(Keys::between("a", "c"))),
        Op::Put(put("c=1")),
    ];
    trial.done(&Command::Txn(TxnRequest {
        success,
        ..TxnRequest::default()
    }));
    let expected = "up to 4: 4 z=1, 4 a gone was 1, 4 b gone was 1, 4 c=1";
    assert_eq!(told(&mut watcher), [expected]);
    assert_eq!(told(&mut watch(&trial, 4)), [expected]);
}

#[test]
fn a_watch_is_told_of_the_keys_and_kinds_that_it_asks_for() {
    let mut trial = Trial::with(&["a=1", "ab=1", "b=1"]);
    trial.done(&Command::Delete(delete(Keys::all())));
    for (keys, wanted, expected) in [
        (
            Keys::one("a"),
            Wanted::All,
            "up to 5: 2 a=1, 5 a gone was 1",
        ),
        (Keys::prefix("a"), Wanted::Puts, "up to 5: 2 a=1, 3 ab=1"),
        (
            Keys::from("ab"),
            Wanted::Deletes,
            "up to 5: 5 ab gone was 1, 5 b gone was 1",
        ),
        (Keys::all(), Wanted::Nothing, ""),
        (Keys::one("c"), Wanted::All, ""),
    ] {
        let request = WatchRequest {
            keys,
            start: Revision(2),
            wanted,
            wants_prev: true,
        };
        let mut watcher = trial.store.watch(request.clone()).expect("there are few");
        assert_eq!(told(&mut watcher).join("; "), expected, "{request:?}");
    }
}
