//! What befalls a watcher: it lags, is overtaken by a compaction, by a snapshot, or by the end.

use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use raft_core::Index;
use raft_core::port::{Capture, PortError, SnapshotSource};

use super::world::{World, request, tiny_rings, told};
use crate::engine::{Batch, Engine, Health, View};
use crate::keys::Keys;
use crate::types::Revision;
use crate::watch::{
    CancelReason, CloseReason, Hub, HubConfig, WatchItem, WatchRefused, WatchRequest,
};

#[test]
fn a_slow_watcher_falls_behind_the_ring_and_comes_back() {
    let mut world = World::new(tiny_rings());
    let wish = request(Keys::one("a"), 0);
    let mut watcher = world.hub.watch(wish.clone()).unwrap();
    for value in 0..100 {
        world.put("a", &value.to_string());
        assert!(world.hub.stats().recent_bytes <= 2_000);
    }
    let Some(WatchItem::Events { revision, events }) = watcher.poll_now() else {
        panic!("nothing was told");
    };
    assert_eq!(revision, Revision(101));
    world.check(&wish, Revision(2), revision, &events);
    assert_eq!(world.hub.stats().behind, 1);
    assert_eq!(told(&mut watcher), [""; 0]);
    assert_eq!(world.hub.stats().behind, 0);
    world.put("a", "live");
    assert_eq!(told(&mut watcher), ["102: a=live"]);
    assert_eq!(world.hub.stats().behind, 0);
}

#[test]
fn a_long_history_comes_in_pages_of_whole_revisions() {
    let mut world = World::new(HubConfig::default());
    let large = "x".repeat(300_000);
    for _ in 0..400 {
        world.write(&[("a", Some("1")), ("b", Some("1")), ("c", Some("1"))]);
    }
    for _ in 0..5 {
        world.write(&[("a", Some(&large)), ("b", Some(&large))]);
    }
    world.publish();
    let wish = request(Keys::all(), 2);
    let mut watcher = world.hub.watch(wish.clone()).unwrap();
    let (mut from, mut pages) = (Revision(2), Vec::new());
    while let Some(WatchItem::Events { revision, events }) = watcher.poll_now() {
        world.check(&wish, from, revision, &events);
        pages.push(revision.0);
        from = revision.next();
    }
    // 334 revisions are the first to hold 1,000 rows; two large ones are the first above 1 MiB.
    assert_eq!(pages, [335, 403, 405, 406]);
}

#[test]
fn a_page_without_anything_is_passed_over() {
    let mut world = World::new(HubConfig::default());
    for _ in 0..2_500 {
        world.write(&[("b", Some("1"))]);
    }
    world.write(&[("a", Some("1"))]);
    world.publish();
    let mut watcher = world.hub.watch(request(Keys::one("a"), 2)).unwrap();
    assert_eq!(told(&mut watcher), ["2502: a=1"]);
}

#[test]
fn a_start_below_the_compaction_is_cancelled() {
    let mut world = World::new(HubConfig::default());
    for value in ["2", "3", "4"] {
        world.put("a", value);
    }
    world.write(&[("a", None)]);
    world.put("b", "6");
    for compacted in [3, 5] {
        world.compact(Revision(compacted));
        for start in 1..compacted {
            let mut watcher = world.hub.watch(request(Keys::one("z"), start)).unwrap();
            let expected = [format!("compacted at {compacted}")];
            assert_eq!(told(&mut watcher), expected, "from {start}");
            assert_eq!(told(&mut watcher), expected, "again from {start}");
            assert_eq!(watcher.progress(), None);
        }
        assert_eq!(world.hub.stats().watchers, 0);
    }
    let mut watcher = world.hub.watch(request(Keys::all(), 5)).unwrap();
    assert_eq!(told(&mut watcher), ["6: a- b=6"]);
    let mut watcher = world.hub.watch(request(Keys::one("a"), 5)).unwrap();
    assert_eq!(told(&mut watcher), ["6: a-"]);
}

#[test]
fn a_compaction_ends_a_slow_watcher_that_it_passes() {
    let mut world = World::new(tiny_rings());
    let watch = |world: &World| world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    let mut slow = watch(&world);
    for value in 0..100 {
        world.put("a", &value.to_string());
    }
    let mut other = watch(&world);
    world.compact(Revision(50));
    assert_eq!(told(&mut slow), ["compacted at 50"]);
    assert_eq!(told(&mut other), [""; 0]);
    world.put("a", "last");
    assert_eq!(told(&mut other), ["102: a=last"]);
}

#[test]
fn a_compaction_that_the_hub_has_not_heard_of_is_seen_in_the_rows() {
    let mut world = World::new(HubConfig::default());
    for value in 0..10 {
        world.put("a", &value.to_string());
    }
    let mut watcher = world.hub.watch(request(Keys::one("a"), 3)).unwrap();
    world.compact_silently(Revision(6));
    assert_eq!(told(&mut watcher), ["compacted at 6"]);
}

#[test]
fn a_compaction_that_is_known_first_does_not_end_a_watch_from_now_on() {
    let mut world = World::new(HubConfig::default());
    for value in ["2", "3", "4"] {
        world.write(&[("a", Some(value))]);
    }
    world.compact(Revision(4));
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    world.publish();
    assert_eq!(told(&mut watcher), ["4: a=2 a=3 a=4"]);
}

#[test]
fn one_key_is_found_among_many_changes_of_others() {
    let mut world = World::new(HubConfig::default());
    for round in 0..1_500 {
        let value = match round {
            700 | 1_400 => Some("put"),
            _ => None,
        };
        world.write(&[("a", value), ("b", Some("1"))]);
    }
    world.publish();
    // A page of all that happened from the second revision on would end before the last of these.
    for (start, expected) in [
        (2, &["1501: a=put a- a=put a-"][..]),
        (703, &["1501: a- a=put a-"]),
        (704, &["1501: a=put a-"]),
        (1_404, &[]),
    ] {
        let mut watcher = world.hub.watch(request(Keys::one("a"), start)).unwrap();
        assert_eq!(told(&mut watcher), expected, "from {start}");
        assert_eq!(watcher.progress(), Some(Revision(1_501)));
    }
}

#[test]
fn a_compaction_does_not_end_those_to_whom_nothing_happened() {
    let mut world = World::new(tiny_rings());
    let mut asleep = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    for _ in 0..10 {
        world.put("b", "1");
    }
    world.compact(Revision(8));
    assert_eq!(told(&mut asleep), [""; 0]);
    // Now its cursor is still where it began, and the ring goes over it.
    let next = world.state.revision.next();
    for value in 0..30 {
        world.put("a", &value.to_string());
    }
    let wish = request(Keys::one("a"), 0);
    let Some(WatchItem::Events { revision, events }) = asleep.poll_now() else {
        panic!("nothing was told");
    };
    world.check(&wish, next, revision, &events);
    assert_eq!(events.len(), 30);
}

#[test]
fn a_snapshot_does_not_end_those_who_had_delivered_all() {
    let mut world = World::new(HubConfig::default());
    let mut asleep = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    let mut lagging = world.hub.watch(request(Keys::one("b"), 0)).unwrap();
    for _ in 0..10 {
        world.put("b", "1");
    }
    world.compact_silently(Revision(8));
    for value in ["1", "2"] {
        world.write(&[("a", Some(value))]);
    }
    assert_eq!(asleep.progress(), Some(Revision(11)));
    world.reset();
    assert_eq!(asleep.progress(), None);
    assert_eq!(told(&mut asleep), ["13: a=1 a=2"]);
    assert_eq!(asleep.progress(), Some(Revision(13)));
    assert_eq!(told(&mut lagging), ["compacted at 8"]);
    world.put("a", "3");
    assert_eq!(told(&mut asleep), ["14: a=3"]);
}

/// Found by seed 24195 of `kv_model`: what came after the last event of a slice counted as unread
/// once the slice was forgotten.
#[test]
fn a_snapshot_does_not_end_one_who_had_nothing_left_of_its_ring() {
    let mut world = World::new(HubConfig::default());
    let mut watcher = world.hub.watch(request(Keys::one("a"), 4)).unwrap();
    for key in ["a", "b", "b", "b"] {
        world.write(&[(key, Some("1"))]);
    }
    world.publish();
    assert_eq!(told(&mut watcher), [""; 0]);
    assert_eq!(watcher.progress(), Some(Revision(5)));
    world.write(&[("b", Some("2"))]);
    world.compact_silently(Revision(6));
    world.reset();
    assert_eq!(told(&mut watcher), [""; 0]);
    world.put("a", "2");
    assert_eq!(told(&mut watcher), ["7: a=2"]);
}

#[test]
fn who_comes_while_nothing_is_collected_misses_nothing() {
    let mut world = World::new(HubConfig::default());
    assert!(!world.hub.is_watched());
    world.write(&[("a", Some("before"))]);
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    assert!(world.hub.is_watched());
    assert_eq!(told(&mut watcher), [""; 0]);
    world.write(&[("a", Some("after"))]);
    world.publish_unseen();
    assert_eq!(told(&mut watcher), ["3: a=before a=after"]);
    world.put("a", "later");
    assert_eq!(told(&mut watcher), ["4: a=later"]);
    drop(watcher);
    assert!(!world.hub.is_watched());
}

#[test]
fn a_snapshot_wakes_those_who_wait() {
    let mut world = World::new(HubConfig::default());
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    let mut next = Box::pin(watcher.next());
    let mut context = Context::from_waker(Waker::noop());
    assert!(next.as_mut().poll(&mut context).is_pending());
    world.write(&[("a", Some("1"))]);
    assert!(next.as_mut().poll(&mut context).is_pending());
    world.reset();
    let Poll::Ready(item) = next.as_mut().poll(&mut context) else {
        panic!("it sleeps on");
    };
    assert_eq!(super::world::line(&item), "2: a=1");
}

#[test]
fn a_dropped_wait_loses_nothing() {
    let mut world = World::new(HubConfig::default());
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    let mut context = Context::from_waker(Waker::noop());
    let mut next = Box::pin(watcher.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    world.put("a", "1");
    drop(next);
    assert_eq!(told(&mut watcher), ["2: a=1"]);
}

#[test]
fn closing_ends_all_and_lets_none_begin() {
    let mut world = World::new(HubConfig::default());
    let mut waiting = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    let mut full = world.hub.watch(request(Keys::one("b"), 0)).unwrap();
    world.put("b", "1");
    let mut context = Context::from_waker(Waker::noop());
    let mut next = Box::pin(waiting.next());
    assert!(next.as_mut().poll(&mut context).is_pending());
    world.hub.close(CloseReason::Stopped);
    world.hub.close(CloseReason::Failed);
    assert!(next.as_mut().poll(&mut context).is_ready());
    drop(next);
    for watcher in [&mut waiting, &mut full] {
        assert_eq!(told(watcher), ["the node stops"]);
        assert_eq!(watcher.progress(), None);
    }
    world.put("a", "1");
    let refused = world.hub.watch(request(Keys::one("a"), 0)).unwrap_err();
    assert_eq!(refused, WatchRefused::Closed(CloseReason::Stopped));
    assert_eq!(world.hub.stats().watchers, 0);
}

#[test]
#[should_panic(expected = "1 after 2")]
fn revisions_do_not_go_back() {
    let mut world = World::new(HubConfig::default());
    world.put("a", "1");
    world.hub.publish(Revision(1), &[]);
}

/// Can't be read.
struct Broken;

impl Engine for Broken {
    fn write(&self, _: Batch) -> Result<(), PortError> {
        Err(PortError::damaged("broken"))
    }

    fn read(&self, _: &mut dyn FnMut(&dyn View) -> Result<(), PortError>) -> Result<(), PortError> {
        Err(PortError::damaged("broken"))
    }

    fn durable(&self) -> Index {
        Index(0)
    }

    fn flush(&self) -> Result<(), PortError> {
        Ok(())
    }

    fn capture(&self) -> Result<Capture, PortError> {
        Err(PortError::damaged("broken"))
    }

    fn restore(&self, _: &dyn SnapshotSource) -> Result<(), PortError> {
        Err(PortError::damaged("broken"))
    }

    fn health(&self) -> Result<Health, PortError> {
        Err(PortError::damaged("broken"))
    }
}

#[test]
fn an_engine_that_cannot_be_read_ends_those_who_have_to() {
    let config = HubConfig::default();
    let hub = Hub::new(Arc::new(Broken), Revision(9), Revision::NONE, config);
    let mut past = hub.watch(request(Keys::one("a"), 3)).unwrap();
    let mut live = hub.watch(WatchRequest::new(Keys::one("a"))).unwrap();
    for _ in 0..2 {
        let Some(WatchItem::Cancelled(CancelReason::Failed(error))) = past.poll_now() else {
            panic!("it was read");
        };
        assert_eq!(error.to_string(), "broken");
    }
    assert!(live.poll_now().is_none());
    assert_eq!(hub.stats().watchers, 1);
    assert_eq!(hub.stats().behind, 0);
}
