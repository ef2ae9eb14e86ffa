//! Streams of watches, as a client sees them.

mod limits;
mod progress;

use std::time::Duration;

use raft_kv::request::DeleteRequest;
use raft_kv::{Keys, Revision};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};

use super::{PROGRESS_EVERY, WatchService};
use crate::pb::etcdserverpb as pb;
use crate::pb::etcdserverpb::watch_client::WatchClient;
use crate::pb::etcdserverpb::watch_request::RequestUnion;
use crate::pb::etcdserverpb::watch_server::WatchServer;
use crate::pb::mvccpb::event::EventType;
use crate::server::member::Shared;
use crate::server::testing::{alone, cluster, leaderless, put};

/// Of the clock of a test, which stands still while there is something to do.
const PATIENCE: Duration = Duration::from_hours(1);

/// The client's end of a stream.
struct Stream {
    requests: mpsc::Sender<pb::WatchRequest>,
    answers: Streaming<pb::WatchResponse>,
}

impl Stream {
    async fn open(member: &Shared) -> Self {
        let service = WatchService::new(member.clone(), PROGRESS_EVERY);
        Self::of(service, Request::new(())).await.expect("it opens")
    }

    async fn of(service: WatchService, request: Request<()>) -> Result<Self, Status> {
        let (requests, receiver) = mpsc::channel(16);
        let mut client =
            WatchClient::new(WatchServer::new(service)).max_decoding_message_size(usize::MAX);
        let request = request.map(|()| ReceiverStream::new(receiver));
        let answers = client.watch(request).await?.into_inner();
        Ok(Self { requests, answers })
    }

    async fn ask(&self, request: RequestUnion) {
        let request_union = Some(request);
        let sent = self.requests.send(pb::WatchRequest { request_union });
        sent.await.expect("the stream is open");
    }

    async fn next(&mut self) -> pb::WatchResponse {
        let answer = self.answer().await.expect("no error");
        answer.expect("the stream goes on")
    }

    async fn answer(&mut self) -> Result<Option<pb::WatchResponse>, Status> {
        let answer = timeout(PATIENCE, self.answers.message()).await;
        answer.expect("an answer in time")
    }

    async fn create(&mut self, wish: pb::WatchCreateRequest) -> pb::WatchResponse {
        self.ask(RequestUnion::CreateRequest(wish)).await;
        self.next().await
    }

    async fn cancel(&self, watch_id: i64) {
        let wish = pb::WatchCancelRequest { watch_id };
        self.ask(RequestUnion::CancelRequest(wish)).await;
    }

    async fn ask_progress(&self) {
        let wish = pb::WatchProgressRequest {};
        self.ask(RequestUnion::ProgressRequest(wish)).await;
    }
}

fn wish(key: &'static str) -> pb::WatchCreateRequest {
    pb::WatchCreateRequest {
        key: key.into(),
        ..Default::default()
    }
}

fn revision(answer: &pb::WatchResponse) -> i64 {
    answer.header.expect("always there").revision
}

/// The events of an answer as text.
fn told(answer: &pb::WatchResponse) -> String {
    let events = answer.events.iter().map(|event| {
        let kv = event.kv.as_ref().expect("always there");
        let kind = match event.r#type() {
            EventType::Put => "put",
            EventType::Delete => "delete",
        };
        let (key, value) = (text(&kv.key), text(&kv.value));
        let prev = event.prev_kv.as_ref();
        let prev = prev.map_or(String::new(), |prev| format!(" was {}", text(&prev.value)));
        format!("{} {kind} {key}={value}{prev}", kv.mod_revision)
    });
    events.collect::<Vec<_>>().join(", ")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

async fn delete(member: &Shared, keys: Keys) -> Revision {
    let wants_prev = false;
    let deleted = member.kv.delete(DeleteRequest { keys, wants_prev });
    deleted.await.expect("it is led").0
}

#[tokio::test(start_paused = true)]
async fn what_is_created_is_said_before_what_happened() {
    let member = alone().await;
    put(&member, "a", "1").await;
    put(&member, "a", "2").await;
    let mut stream = Stream::open(&member).await;
    let past = pb::WatchCreateRequest {
        start_revision: 2,
        ..wish("a")
    };
    let created = stream.create(past).await;
    assert!(created.created && !created.canceled);
    assert_eq!((created.watch_id, revision(&created)), (0, 3));
    let header = created.header.expect("always there");
    assert_eq!((header.cluster_id, header.member_id), (7, 1));
    let mut heard = Vec::new();
    while heard.len() < 2 {
        let answer = stream.next().await;
        assert_eq!((answer.watch_id, answer.created), (0, false));
        heard.extend(told(&answer).split(", ").map(str::to_owned));
    }
    assert_eq!(heard, ["2 put a=1", "3 put a=2"]);
    put(&member, "a", "3").await;
    let answer = stream.next().await;
    assert_eq!((told(&answer), revision(&answer)), ("4 put a=3".into(), 4));
}

#[tokio::test(start_paused = true)]
async fn a_watch_from_now_says_since_when() {
    let member = alone().await;
    put(&member, "a", "1").await;
    let mut stream = Stream::open(&member).await;
    let created = stream.create(wish("a")).await;
    assert_eq!(revision(&created), 2);
    put(&member, "a", "2").await;
    assert_eq!(told(&stream.next().await), "3 put a=2");
}

#[tokio::test(start_paused = true)]
async fn ids_are_chosen_by_either_end_and_used_once_at_a_time() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    // What is asked for, and what is given; -1 is a refusal.
    for (asked, given) in [
        (0, 0),
        (5, 5),
        (5, -1),
        (2, 2),
        (0, 1),
        (0, 3),
        (0, 4),
        (0, 6),
    ] {
        let answer = stream
            .create(pb::WatchCreateRequest {
                watch_id: asked,
                ..wish("a")
            })
            .await;
        assert_eq!(answer.watch_id, given, "asked for {asked}");
        assert!(answer.created, "asked for {asked}");
        assert_eq!(answer.canceled, given == -1, "asked for {asked}");
        let reason = if given == -1 {
            super::create::DUPLICATE
        } else {
            ""
        };
        assert_eq!(answer.cancel_reason, reason);
    }
    stream.cancel(5).await;
    let cancelled = stream.next().await;
    assert_eq!((cancelled.watch_id, cancelled.canceled), (5, true));
    // There is none any more, so there is no answer; the next is to what follows.
    stream.cancel(5).await;
    let again = pb::WatchCreateRequest {
        watch_id: 5,
        ..wish("a")
    };
    let again = stream.create(again).await;
    assert_eq!((again.watch_id, again.created), (5, true));
}

#[tokio::test(start_paused = true)]
async fn what_can_not_be_watched_is_refused_and_the_stream_goes_on() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    let backwards = pb::WatchCreateRequest {
        range_end: "a".into(),
        ..wish("b")
    };
    let before_all = pb::WatchCreateRequest {
        start_revision: -1,
        ..wish("a")
    };
    for (wish, reason) in [
        (backwards, "mvcc: watcher range is empty"),
        (
            before_all,
            "etcdserver: mvcc: required revision has been compacted",
        ),
    ] {
        let answer = stream.create(wish).await;
        assert!(answer.created && answer.canceled);
        assert_eq!(answer.watch_id, -1);
        assert_eq!(answer.cancel_reason, reason);
    }
    assert_eq!(stream.create(wish("a")).await.watch_id, 0);
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_what_is_compacted_says_where_to_go_on() {
    let member = alone().await;
    for value in ["1", "2", "3"] {
        put(&member, "a", value).await;
    }
    member.kv.compact(Revision(4)).await.expect("it is led");
    let mut stream = Stream::open(&member).await;
    for (start_revision, compact_revision) in [(2, 4), (4, 0)] {
        let created = stream
            .create(pb::WatchCreateRequest {
                start_revision,
                ..wish("a")
            })
            .await;
        assert!(created.created && !created.canceled);
        let answer = stream.next().await;
        assert_eq!(answer.compact_revision, compact_revision);
        assert_eq!(answer.canceled, compact_revision > 0);
        assert_eq!(answer.watch_id, created.watch_id);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_of_the_future_waits_for_it() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    let future = pb::WatchCreateRequest {
        start_revision: 3,
        ..wish("a")
    };
    stream.create(future).await;
    put(&member, "a", "early").await;
    put(&member, "a", "due").await;
    assert_eq!(told(&stream.next().await), "3 put a=due");
}

#[tokio::test(start_paused = true)]
async fn ranges_filters_and_what_was_there_before() {
    use pb::watch_create_request::FilterType::{Nodelete, Noput};
    let member = alone().await;
    put(&member, "b", "1").await;
    let mut stream = Stream::open(&member).await;
    let of = |key, end: &'static str, filters: &[pb::watch_create_request::FilterType]| {
        pb::WatchCreateRequest {
            range_end: end.into(),
            start_revision: 3,
            filters: filters.iter().map(|filter| i32::from(*filter)).collect(),
            prev_kv: end == "\0",
            ..wish(key)
        }
    };
    let wishes = [
        (
            of("b", "\0", &[]),
            &["3 put b=2 was 1", "4 delete b= was 2", "5 put c=3"][..],
        ),
        (of("", "\0", &[Noput]), &["4 delete b= was 2"]),
        (of("a", "c", &[Nodelete]), &["3 put b=2"]),
        (of("b", "", &[]), &["3 put b=2", "4 delete b="]),
        (of("a", "z", &[Noput, Nodelete]), &[]),
    ];
    for (id, (wish, _)) in (0..).zip(&wishes) {
        assert_eq!(stream.create(wish.clone()).await.watch_id, id);
    }
    put(&member, "b", "2").await;
    delete(&member, Keys::one("b")).await;
    put(&member, "c", "3").await;
    let mut heard = vec![Vec::new(); wishes.len()];
    while heard.iter().map(Vec::len).sum::<usize>() < 7 {
        let answer = stream.next().await;
        let id = usize::try_from(answer.watch_id).expect("a watcher's");
        heard[id].extend(told(&answer).split(", ").map(str::to_owned));
    }
    for (heard, (wish, expected)) in heard.iter().zip(&wishes) {
        assert_eq!(heard, expected, "{wish:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_revision_is_cut_only_for_those_who_ask() {
    let member = alone().await;
    let value = "x".repeat(1 << 20);
    for key in ["a1", "a2", "a3"] {
        put(&member, key, &value).await;
    }
    let of = |fragment| pb::WatchCreateRequest {
        range_end: "b".into(),
        prev_kv: true,
        fragment,
        ..wish("a")
    };
    for (fragment, expected) in [
        (true, &[(1, true), (1, true), (1, false)][..]),
        (false, &[(3, false)]),
    ] {
        for key in ["a1", "a2", "a3"] {
            put(&member, key, &value).await;
        }
        let mut stream = Stream::open(&member).await;
        stream.create(of(fragment)).await;
        let deleted = delete(&member, Keys::prefix("a")).await;
        for part in expected {
            let answer = stream.next().await;
            assert_eq!((answer.events.len(), answer.fragment), *part);
            assert_eq!(revision(&answer), i64::try_from(deleted.0).expect("small"));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_asked_before_the_client_fell_silent_goes_on() {
    let member = alone().await;
    let mut stream = Stream::open(&member).await;
    stream.create(wish("a")).await;
    let (silent, _) = mpsc::channel(1);
    stream.requests = silent;
    put(&member, "a", "1").await;
    assert_eq!(told(&stream.next().await), "2 put a=1");
    // Where nothing is watched, nothing can follow.
    let mut idle = Stream::open(&member).await;
    idle.requests = stream.requests.clone();
    assert_eq!(idle.answer().await.expect("no error"), None);
}

#[tokio::test(start_paused = true)]
async fn streams_end_when_the_member_stops() {
    let member = alone().await;
    let mut watching = Stream::open(&member).await;
    watching.create(wish("a")).await;
    let mut idle = Stream::open(&member).await;
    member.node().shutdown().await;
    for stream in [&mut watching, &mut idle] {
        let status = stream.answer().await.expect_err("it has stopped");
        assert_eq!(status.code(), tonic::Code::Unavailable);
        assert_eq!(status.message(), "etcdserver: server stopped");
    }
}

/// A request for a stream of those who need a leader.
fn needing_leader() -> Request<()> {
    let mut request = Request::new(());
    let wish = "true".parse().expect("ascii");
    request.metadata_mut().insert("hasleader", wish);
    request
}

#[tokio::test(start_paused = true)]
async fn who_needs_a_leader_is_told_that_there_is_none() {
    let member = leaderless().await;
    let service = WatchService::new(member.clone(), PROGRESS_EVERY);
    let refused = Stream::of(service, needing_leader()).await.err();
    let refused = refused.expect("nobody leads");
    assert_eq!(refused.code(), tonic::Code::Unavailable);
    assert_eq!(refused.message(), "etcdserver: no leader");
    let mut stream = Stream::open(&member).await;
    assert!(stream.create(wish("a")).await.created);
}

#[tokio::test(start_paused = true)]
async fn who_needs_a_leader_is_told_when_it_is_lost() {
    let members = cluster(3).await;
    let leader = members[0].node().status().core.leader;
    let follower = members.iter().find(|member| Some(member.id) != leader);
    let follower = follower.expect("two follow");
    let service = WatchService::new(follower.clone(), PROGRESS_EVERY);
    let stream = Stream::of(service, needing_leader()).await;
    let mut stream = stream.expect("somebody leads");
    let mut content = Stream::open(follower).await;
    for member in members.iter().filter(|member| member.id != follower.id) {
        member.node().halt().await;
    }
    let status = stream.answer().await.expect_err("nobody leads");
    assert_eq!(status.message(), "etcdserver: no leader");
    assert!(content.create(wish("a")).await.created);
}
