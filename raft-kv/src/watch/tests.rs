//! The watch hub against a list of all that ever happened. It knows nothing of the machine.

mod chance;
mod life;
mod threads;
mod world;

use bytes::Bytes;

use super::{Hub, HubConfig, Wanted, WatchItem, WatchRefused, fragments};
use crate::keys::Keys;
use crate::types::Revision;
use world::{World, request, tiny_rings, told, wanting};

#[test]
fn a_watch_from_now_on_is_told_what_comes() {
    let mut world = World::new(HubConfig::default());
    world.put("a", "1");
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    assert_eq!(watcher.rest().start, Revision(3));
    assert_eq!(told(&mut watcher), [""; 0]);
    world.put("b", "1");
    assert_eq!(told(&mut watcher), [""; 0]);
    world.put("a", "2");
    world.write(&[("a", None), ("b", None)]);
    world.write(&[("a", Some("3"))]);
    world.publish();
    assert_eq!(told(&mut watcher), ["4: a=2", "6: a- a=3"]);
}

#[test]
fn a_watch_from_the_past_is_told_what_was() {
    let mut world = World::new(HubConfig::default());
    world.put("a", "1");
    world.put("b", "1");
    world.write(&[("a", Some("2")), ("b", None)]);
    world.publish();
    for (start, expected) in [
        (1, "4: a=1 b=1 a=2 b-"),
        (2, "4: a=1 b=1 a=2 b-"),
        (3, "4: b=1 a=2 b-"),
        (4, "4: a=2 b-"),
    ] {
        let mut watcher = world.hub.watch(request(Keys::all(), start)).unwrap();
        assert_eq!(told(&mut watcher), [expected], "from {start}");
        assert_eq!(watcher.progress(), Some(Revision(4)));
    }
}

#[test]
fn each_shape_of_keys_is_told_of_its_own() {
    let mut world = World::new(HubConfig::default());
    let all = [
        (Keys::one("b"), "5: b=b"),
        (Keys::prefix("b"), "5: b=b ba=ba"),
        (Keys::prefix("ba"), "5: ba=ba"),
        (Keys::all(), "5: a=a b=b ba=ba c=c"),
        (Keys::from("b"), "5: b=b ba=ba c=c"),
        (Keys::between("a", "ba"), "5: a=a b=b"),
        (Keys::between("a", "c"), "5: a=a b=b ba=ba"),
        (Keys::between("b\0", "c\0"), "5: ba=ba c=c"),
    ];
    let watch = |keys: &Keys, start| world.hub.watch(request(keys.clone(), start)).unwrap();
    let mut live: Vec<_> = all.iter().map(|(keys, _)| watch(keys, 0)).collect();
    for key in ["a", "b", "ba", "c"] {
        world.write(&[(key, Some(key))]);
    }
    world.publish();
    for ((keys, expected), live) in all.iter().zip(&mut live) {
        assert_eq!(told(live), [*expected], "{keys:?} live");
        let mut past = world.hub.watch(request(keys.clone(), 1)).unwrap();
        assert_eq!(told(&mut past), [*expected], "{keys:?} from the past");
    }
}

#[test]
fn filters_leave_out_a_kind() {
    let mut world = World::new(HubConfig::default());
    let all = [
        (Wanted::All, "4: a=1 a- a=2"),
        (Wanted::Puts, "4: a=1 a=2"),
        (Wanted::Deletes, "4: a-"),
        (Wanted::Nothing, ""),
    ];
    let wish = |wanted, start| wanting(wanted, request(Keys::one("a"), start));
    let mut live: Vec<_> = all
        .iter()
        .map(|(wanted, _)| world.hub.watch(wish(*wanted, 0)).unwrap())
        .collect();
    assert_eq!(world.hub.stats().groups, 4);
    for value in [Some("1"), None, Some("2")] {
        world.write(&[("a", value)]);
    }
    world.publish();
    for ((wanted, expected), live) in all.iter().zip(&mut live) {
        let expected = Vec::from_iter(Some(*expected).filter(|it| !it.is_empty()));
        assert_eq!(told(live), expected, "{wanted:?} live");
        let mut past = world.hub.watch(wish(*wanted, 2)).unwrap();
        assert_eq!(told(&mut past), expected, "{wanted:?} from the past");
        assert_eq!(past.progress(), Some(Revision(4)));
    }
}

#[test]
fn what_was_before_comes_with_an_event() {
    let mut world = World::new(HubConfig::default());
    let mut wish = request(Keys::all(), 2);
    wish.wants_prev = true;
    let mut live = world.hub.watch(wish.clone()).unwrap();
    for value in [Some("1"), Some("2"), None, Some("3")] {
        world.write(&[("a", value)]);
    }
    world.publish();
    let mut past = world.hub.watch(wish.clone()).unwrap();
    for watcher in [&mut live, &mut past] {
        let Some(WatchItem::Events { revision, events }) = watcher.poll_now() else {
            panic!("nothing was told");
        };
        assert_eq!(revision, Revision(5));
        world.check(&wish, Revision(2), revision, &events);
        let values: Vec<_> = events
            .iter()
            .map(|event| event.prev.as_ref().map(|prev| prev.value.clone()))
            .collect();
        let before = [None, Some(Bytes::from("1")), Some(Bytes::from("2")), None];
        assert_eq!(values, before);
    }
}

#[test]
fn a_start_in_the_future_waits_for_it() {
    let mut world = World::new(HubConfig::default());
    let mut watcher = world.hub.watch(request(Keys::one("a"), 5)).unwrap();
    for value in ["2", "3", "4"] {
        world.put("a", value);
        assert_eq!(told(&mut watcher), [""; 0]);
        let is_there = value == "4";
        assert_eq!(watcher.progress().is_some(), is_there, "at {value}");
    }
    world.put("a", "5");
    assert_eq!(told(&mut watcher), ["5: a=5"]);
    let mut within = world.hub.watch(request(Keys::one("a"), 7)).unwrap();
    for value in ["6", "7", "8"] {
        world.write(&[("a", Some(value))]);
    }
    world.publish();
    assert_eq!(told(&mut within), ["8: a=7 a=8"]);
}

#[test]
fn progress_is_said_by_whoever_has_delivered_all() {
    let mut world = World::new(HubConfig::default());
    let mut watcher = world.hub.watch(request(Keys::one("a"), 0)).unwrap();
    assert_eq!(watcher.progress(), Some(Revision(1)));
    world.put("b", "2");
    assert_eq!(watcher.progress(), Some(Revision(2)));
    world.put("a", "3");
    assert_eq!(watcher.progress(), None);
    world.put("b", "4");
    assert_eq!(watcher.progress(), None);
    assert_eq!(told(&mut watcher), ["3: a=3"]);
    assert_eq!(watcher.progress(), Some(Revision(4)));
    let past = world.hub.watch(request(Keys::prefix("a"), 2)).unwrap();
    assert_eq!(past.progress(), None);
}

#[test]
fn ten_thousand_on_a_prefix_are_one_group_and_share_what_they_are_told() {
    let mut world = World::new(HubConfig::default());
    let mut watchers: Vec<_> = (0..10_000)
        .map(|_| world.hub.watch(request(Keys::prefix("a"), 0)).unwrap())
        .collect();
    world.put("ab", "1");
    let told: Vec<_> = watchers
        .iter_mut()
        .map(|watcher| match watcher.poll_now() {
            Some(WatchItem::Events { events, .. }) => events,
            item => panic!("{item:?}"),
        })
        .collect();
    assert!(told.iter().all(|events| events.is_shared_with(&told[0])));
    let stats = world.hub.stats();
    assert_eq!((stats.watchers, stats.groups), (10_000, 1));
    assert_eq!((stats.delivered, stats.behind), (10_000, 0));
    drop(watchers);
    let stats = world.hub.stats();
    assert_eq!(
        (stats.watchers, stats.groups, stats.recent_bytes),
        (0, 0, 0)
    );
}

#[test]
fn limits_refuse() {
    let config = HubConfig {
        watchers_max: 3,
        spans_max: 1,
        ..HubConfig::default()
    };
    let world = World::new(config);
    let watch = |keys| world.hub.watch(request(keys, 0));
    let refusal = |keys| watch(keys).map(|_| ()).unwrap_err();
    assert_eq!(refusal(Keys::between("b", "a")), WatchRefused::EmptyRange);
    let span = watch(Keys::between("a", "c")).unwrap();
    assert_eq!(refusal(Keys::from("a")), WatchRefused::TooManySpans);
    let _same = watch(Keys::between("a", "c")).unwrap();
    let _prefix = watch(Keys::prefix("a")).unwrap();
    assert_eq!(refusal(Keys::one("a")), WatchRefused::TooManyWatchers);
    drop(span);
    let _one = watch(Keys::one("a")).unwrap();
}

#[test]
fn fragments_are_as_large_as_they_may_be_and_never_empty() {
    fn check(values: &[usize], bytes_max: usize, expected: &[usize]) {
        let mut world = World::new(HubConfig::default());
        for bytes in values {
            world.write(&[("a", Some(&"x".repeat(*bytes)))]);
        }
        let mut events = world.events;
        events.iter_mut().for_each(|event| event.prev = None);
        // Without what an event weighs in any case.
        let alone = super::events::weight(&events[0]) - values[0];
        let bytes_max = bytes_max + alone * expected.iter().max().unwrap();
        let parts: Vec<usize> = fragments(&events, bytes_max).map(<[_]>::len).collect();
        assert_eq!(parts, expected, "{values:?}");
    }
    check(&[10, 10, 10], 20, &[2, 1]);
    check(&[10_000, 1, 1], 2, &[1, 2]);
    check(&[5], 0, &[1]);
    assert_eq!(fragments(&[], 10).count(), 0);
}

#[test]
fn clones_are_the_same_hub() {
    let mut world = World::new(tiny_rings());
    let hub: Hub = world.hub.clone();
    let mut watcher = hub.watch(request(Keys::all(), 0)).unwrap();
    world.put("a", "1");
    assert_eq!(told(&mut watcher), ["2: a=1"]);
    assert_eq!(hub.stats(), world.hub.stats());
}
