//! How far watchers are, for clients that want to know.

use super::*;

#[tokio::test(start_paused = true)]
async fn all_are_as_far_as_is_said_when_it_is_asked() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    // Of no watchers nothing is said; the next answer is to what follows.
    stream.ask_progress().await;
    for key in ["a", "b"] {
        let past = pb::WatchCreateRequest {
            start_revision: 1,
            ..wish(key)
        };
        assert!(stream.create(past).await.created);
    }
    put(&member, "a", "1").await;
    put(&member, "other", "1").await;
    stream.ask_progress().await;
    let event = stream.next().await;
    assert_eq!(told(&event), "2 put a=1");
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (-1, 3));
    assert!(progress.events.is_empty() && !progress.created && !progress.canceled);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_said_while_one_waits_for_the_future() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    for start_revision in [0, 9] {
        let wish = pb::WatchCreateRequest {
            start_revision,
            ..wish("a")
        };
        stream.create(wish).await;
    }
    stream.ask_progress().await;
    stream.cancel(1).await;
    assert!(stream.next().await.canceled);
    stream.ask_progress().await;
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (-1, 1));
}

#[tokio::test(start_paused = true)]
async fn those_to_whom_nothing_happens_are_told_now_and_then() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    for key in ["a", "b"] {
        let wish = pb::WatchCreateRequest {
            progress_notify: key == "b",
            ..wish(key)
        };
        stream.create(wish).await;
    }
    put(&member, "other", "1").await;
    let began = tokio::time::Instant::now();
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (1, 2));
    assert!(began.elapsed() >= PROGRESS_EVERY);
    // Whoever was told something is not told again so soon.
    put(&member, "b", "1").await;
    let began = tokio::time::Instant::now();
    assert_eq!(told(&stream.next().await), "3 put b=1");
    let progress = stream.next().await;
    assert_eq!((progress.watch_id, revision(&progress)), (1, 3));
    assert!(began.elapsed() > PROGRESS_EVERY, "one time was left out");
}
