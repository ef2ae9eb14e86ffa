//! A writer and watchers at the same time: no gap and no repetition where the history meets the
//! ring.

use std::thread;

use super::world::{World, request, tiny_rings};
use crate::keys::Keys;
use crate::types::{Event, Revision};
use crate::watch::{HubConfig, WatchItem, WatchRequest, Watcher};

const REVISIONS: u64 = 600;
/// A watcher looks this often before it begins again from the start.
const LOOKS: usize = 40;

#[test]
fn watchers_that_begin_and_lag_while_all_is_written_miss_nothing() {
    for config in [tiny_rings(), HubConfig::default()] {
        let mut world = World::new(config);
        let wishes = [
            request(Keys::one("a"), 2),
            request(Keys::prefix("a"), 2),
            request(Keys::all(), 2),
        ];
        let hub = world.hub.clone();
        let followers: Vec<_> = wishes
            .iter()
            .cloned()
            .map(|wish| {
                let hub = hub.clone();
                thread::spawn(move || follow(&|wish| hub.watch(wish).unwrap(), &wish))
            })
            .collect();
        for value in 0..REVISIONS {
            let key = ["a", "ab", "b"][value as usize % 3];
            world.write(&[(key, Some(&value.to_string()))]);
            if value % 4 != 0 {
                world.publish();
            }
        }
        world.write(&[("a", Some("end"))]);
        world.publish();
        for (wish, follower) in wishes.iter().zip(followers) {
            let told = follower.join().unwrap();
            world.check(wish, Revision(2), world.state.revision, &told);
        }
        assert_eq!(world.hub.stats().watchers, 0);
    }
}

/// Collects all events up to the last, in many watches one after the other, each of which goes on
/// where the one before has stopped.
fn follow(watch: &dyn Fn(WatchRequest) -> Watcher, wish: &WatchRequest) -> Vec<Event> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    let mut told: Vec<Event> = Vec::new();
    let mut rest = wish.clone();
    loop {
        let mut watcher = watch(rest);
        for _ in 0..LOOKS {
            match runtime.block_on(watcher.next()) {
                WatchItem::Events { events, .. } => told.extend_from_slice(&events),
                WatchItem::Cancelled(reason) => panic!("{reason}"),
            }
            if told.last().is_some_and(|event| event.kv.value == "end") {
                return told;
            }
        }
        rest = watcher.rest().clone();
    }
}
