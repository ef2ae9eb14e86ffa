//! What it costs to tell watchers: one event is published, and everyone whom it concerns takes it.
//!
//! All in one thread, so this is the work and not the waiting. It knows nothing of how a watch
//! travels.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use criterion::{Criterion, Throughput};
use raft_kv::engine::MemoryEngine;
use raft_kv::watch::{Hub, HubConfig, WatchItem, WatchRequest, Watcher};
use raft_kv::{Event, EventKind, KeyValue, Keys, Revision};

const VALUE_BYTES: usize = 256;
const SINGLE_KEYS: u64 = 10_000;

fn main() {
    let mut criterion = Criterion::default()
        .warm_up_time(Duration::from_secs(1))
        .measurement_time(Duration::from_secs(3))
        .configure_from_args();
    fan_out(&mut criterion);
    unwatched(&mut criterion);
    single_keys(&mut criterion);
    criterion.final_summary();
}

/// All watch the prefix that the event is in.
fn fan_out(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("watch/fan-out");
    for count in [1, 100, 10_000] {
        let mut stream = Stream::new();
        let mut watchers: Vec<Watcher> = (0..count)
            .map(|_| stream.watch(Keys::prefix("key-")))
            .collect();
        group.throughput(Throughput::Elements(count));
        group.bench_function(count.to_string(), |bencher| {
            bencher.iter(|| {
                stream.publish(7);
                watchers.iter_mut().for_each(take);
            });
        });
    }
    group.finish();
}

/// Nobody watches at all: what every write pays.
fn unwatched(criterion: &mut Criterion) {
    let mut stream = Stream::new();
    criterion.bench_function("watch/unwatched", |bencher| {
        bencher.iter(|| stream.publish(7));
    });
}

/// Each watches a key of its own, and the event concerns one of them.
fn single_keys(criterion: &mut Criterion) {
    let mut stream = Stream::new();
    let mut watchers: Vec<Watcher> = (0..SINGLE_KEYS)
        .map(|key| stream.watch(Keys::One(name(key))))
        .collect();
    let mut key = 0;
    criterion.bench_function("watch/one-of-10000-keys", |bencher| {
        bencher.iter(|| {
            key = (key + 7_919) % SINGLE_KEYS;
            stream.publish(key);
            take(&mut watchers[usize::try_from(key).expect("below 10,000")]);
        });
    });
}

fn take(watcher: &mut Watcher) {
    let item = watcher.poll_now();
    assert!(matches!(item, Some(WatchItem::Events { .. })), "{item:?}");
    black_box(item);
}

fn name(key: u64) -> Bytes {
    format!("key-{key:08}").into()
}

/// A hub, and what happens.
struct Stream {
    hub: Hub,
    revision: Revision,
    value: Bytes,
}

impl Stream {
    fn new() -> Self {
        let engine = Arc::new(MemoryEngine::new());
        let config = HubConfig::default();
        Self {
            hub: Hub::new(engine, Revision::FIRST, Revision::NONE, config),
            revision: Revision::FIRST,
            value: Bytes::from(vec![b'x'; VALUE_BYTES]),
        }
    }

    fn watch(&self, keys: Keys) -> Watcher {
        let watching = self.hub.watch(WatchRequest::new(keys));
        watching.expect("fewer than the limit")
    }

    fn publish(&mut self, key: u64) {
        self.revision = self.revision.next();
        let kv = KeyValue {
            key: name(key),
            value: self.value.clone(),
            create_revision: self.revision,
            mod_revision: self.revision,
            version: 1,
            ..KeyValue::default()
        };
        let event = Event {
            kind: EventKind::Put,
            kv,
            prev: None,
        };
        self.hub.publish(self.revision, &[event]);
    }
}
