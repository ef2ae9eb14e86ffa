//! Many watchers, many streams, and readers that do not read.

use std::task::{Context, Poll, Waker};

use raft_kv::request::{Op, PutRequest, TxnRequest};
use raft_kv::watch::{WatchItem, WatchRequest};

use super::*;
use crate::server::api::watch::ready::{Bell, Ready};
use crate::server::api::watch::watchers::{Watchers, Wishes};

#[tokio::test(start_paused = true)]
async fn ten_thousand_watchers_of_one_stream_are_told_what_concerns_them() {
    const WATCHERS: i64 = 10_000;
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    for id in 0..WATCHERS {
        let wish = pb::WatchCreateRequest {
            key: format!("{id}").into(),
            ..Default::default()
        };
        assert_eq!(stream.create(wish).await.watch_id, id);
    }
    for id in [9_999, 0, 5_000] {
        put(&member, &id.to_string(), "1").await;
        let answer = stream.next().await;
        assert_eq!((answer.watch_id, answer.events.len()), (id, 1));
    }
    stream.ask_progress().await;
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (-1, 4));
    assert_eq!(member.store().watches().stats().watchers, 10_000);
    drop(stream);
    assert_eq!(member.store().watches().stats().watchers, 0);
}

#[test]
fn only_those_that_rang_are_looked_at_each_once_and_in_turn() {
    let ready = std::sync::Arc::new(Ready::default());
    let bells: Vec<_> = (0..10_000)
        .map(|id| Bell::new(id, std::sync::Arc::clone(&ready)))
        .collect();
    let waker = Waker::noop();
    for id in [7, 3, 7, 9_999] {
        bells[id].ring();
    }
    let rang: Vec<_> = std::iter::from_fn(|| ready.next(waker)).collect();
    assert_eq!(rang, [7, 3, 9_999]);
    bells[7].ring();
    assert_eq!(ready.next(waker), None, "it has not been heard yet");
    bells[7].heard();
    bells[7].ring();
    assert_eq!(ready.next(waker), Some(7));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_takes_nothing_out_of_the_history() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    stream.create(wish("a")).await;
    let value = "x".repeat(100 << 10);
    for _ in 0..100 {
        put(&member, "a", &value).await;
    }
    let stats = member.store().watches().stats();
    assert_eq!(stats.delivered, 0, "nobody has asked for them");
    let mut last = 0;
    while last < 101 {
        let answer = stream.next().await;
        for event in &answer.events {
            let next = event.kv.as_ref().expect("always there").mod_revision;
            assert!(
                next == last + 1 || last == 0 && next == 2,
                "{next} after {last}"
            );
            last = next;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn streams_are_bounded_and_give_back_what_they_took() {
    let member = alone().await;
    let open = std::sync::Arc::default();
    let seats = (
        super::super::Seat::take(&open, 2),
        super::super::Seat::take(&open, 2),
    );
    assert!(seats.0.is_some() && seats.1.is_some());
    assert!(super::super::Seat::take(&open, 2).is_none());
    drop(seats);
    assert!(super::super::Seat::take(&open, 1).is_some());
    let streams = futures(&member).await;
    assert_eq!(
        member.gate.counts(),
        (0, 0),
        "streams are no requests under way"
    );
    drop(streams);
}

async fn futures(member: &Shared) -> Vec<Stream> {
    let service = WatchService::new(member.clone(), PROGRESS_EVERY);
    let mut streams = Vec::new();
    for _ in 0..1000 {
        let stream = Stream::of(service.clone(), Request::new(())).await;
        streams.push(stream.expect("it opens"));
    }
    streams
}

#[tokio::test(start_paused = true)]
async fn those_who_have_much_to_read_take_turns() {
    let member = alone().await;
    for at in 0..30 {
        let puts = (0..100).map(|key| Op::Put(PutRequest::of(format!("a{key}"), format!("{at}"))));
        let txn = TxnRequest {
            success: puts.collect(),
            ..TxnRequest::default()
        };
        member.kv.txn(txn).await.expect("it is led");
    }
    let mut watchers = Watchers::new();
    for id in [0, 1] {
        let request = WatchRequest {
            start: Revision(1),
            ..WatchRequest::new(Keys::prefix("a"))
        };
        let watcher = member.store().watch(request).expect("room");
        watchers.add(id, watcher, Wishes::default());
    }
    let context = Context::from_waker(Waker::noop());
    let mut turns = Vec::new();
    while let Poll::Ready((id, _, WatchItem::Events { .. })) = watchers.poll_item(&context) {
        turns.push(id);
    }
    assert_eq!(turns, [0, 1, 0, 1, 0, 1], "three pages each");
}
