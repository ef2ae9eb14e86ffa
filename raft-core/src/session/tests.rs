//! Sessions around a machine that writes down all it executes, against a model that is slow and
//! plain.

mod model;
mod random;

use std::sync::Arc;

use bytes::Bytes;

use super::{Answered, Session, SessionLimits, SessionTable, Sessions, Stamped};
use crate::entry::SnapshotMeta;
use crate::port::{
    Capture, Committed, Framing, PortError, PortErrorKind, SnapshotSource, StateMachine,
};
use crate::sim::disk::{Image, ImageSink};
use crate::types::{Index, Position, Term};

/// Writes down what it executes, one line a command, and answers with place and command.
#[derive(Clone, Default)]
struct Ledger {
    lines: Vec<Bytes>,
    framing: Framing,
    durable: Index,
    /// The name of its file, if it has another.
    file: Option<&'static str>,
    /// One answer is missing, or the frames of all are.
    is_broken: bool,
}

impl Ledger {
    const FILE: &str = "ledger";

    fn text(&self) -> Vec<u8> {
        self.lines.join(&b'\n')
    }

    fn answer(&self, committed: &Committed) -> Bytes {
        let place = committed.index.to_string();
        let answer = Bytes::from([place.as_bytes(), b":", &committed.command].concat());
        if self.framing == Framing::Stamped && !self.is_broken {
            return Answered::Applied(answer).encode();
        }
        answer
    }
}

impl StateMachine for Ledger {
    fn framing(&self) -> Framing {
        self.framing
    }

    fn durable(&self) -> Index {
        self.durable
    }

    fn apply(&mut self, batch: &[Committed]) -> Result<Vec<Bytes>, PortError> {
        self.lines.extend(batch.iter().map(|c| c.command.clone()));
        let mut answers: Vec<Bytes> = batch.iter().map(|c| self.answer(c)).collect();
        if self.is_broken && self.framing == Framing::Raw {
            answers.pop();
        }
        Ok(answers)
    }

    fn query(&self, _: &[u8]) -> Result<Bytes, PortError> {
        Ok(self.text().into())
    }

    fn snapshot(&mut self) -> Result<Capture, PortError> {
        let (text, name) = (self.text(), self.file.unwrap_or(Self::FILE));
        Ok(Box::new(move |sink| sink.add(name, &mut text.as_slice())))
    }

    fn restore(&mut self, _: Index, source: &dyn SnapshotSource) -> Result<(), PortError> {
        let mut text = Vec::new();
        source.copy(Self::FILE, &mut text)?;
        let lines = text.split(|byte| *byte == b'\n');
        self.lines = lines.map(Bytes::copy_from_slice).collect();
        if text.is_empty() {
            self.lines.clear();
        }
        Ok(())
    }
}

const LIMITS: SessionLimits = SessionLimits {
    sessions_max: 3,
    answer_bytes_max: 60,
    idle_ms_max: 100,
};

fn stamped(time_ms: u64, session: Option<Session>, command: &str) -> Bytes {
    let stamped = Stamped {
        time_ms,
        session,
        command: Bytes::copy_from_slice(command.as_bytes()),
    };
    stamped.encode()
}

fn committed(index: u64, command: Bytes) -> Committed {
    Committed {
        index: Index(index),
        term: Term(1),
        command,
    }
}

fn applied(answer: &str) -> Answered {
    Answered::Applied(Bytes::copy_from_slice(answer.as_bytes()))
}

/// A machine, and the next index of its log.
struct Stand {
    sessions: Sessions,
    index: u64,
}

impl Stand {
    fn new(limits: SessionLimits) -> Self {
        Self::around(Ledger::default(), limits)
    }

    fn around(ledger: Ledger, limits: SessionLimits) -> Self {
        Self {
            sessions: Sessions::new(ledger, limits),
            index: 0,
        }
    }

    fn apply(&mut self, command: Bytes) -> Result<Answered, PortError> {
        self.index += 1;
        let answers = self.sessions.apply(&[committed(self.index, command)])?;
        Ok(Answered::decode(answers[0].clone()).expect("answers have frames"))
    }

    fn tell(&mut self, time_ms: u64, session: (u64, u64), command: &str) -> Answered {
        let (client, sequence) = session;
        let session = Session { client, sequence };
        let done = self.apply(stamped(time_ms, Some(session), command));
        done.expect("the ledger goes on")
    }

    fn open(&mut self, time_ms: u64) -> Answered {
        self.tell(time_ms, (0, 0), "")
    }

    fn lines(&self) -> String {
        let text = self.sessions.query(b"").expect("the ledger answers");
        String::from_utf8(text.to_vec()).expect("all commands are text")
    }
}

fn image(sessions: &mut Sessions, last: Index) -> Image {
    let capture = sessions.snapshot().expect("it can be captured");
    written(capture, last)
}

fn written(capture: Capture, last: Index) -> Image {
    let mut sink = ImageSink::default();
    capture(&mut sink).expect("memory takes all");
    let meta = SnapshotMeta {
        last: Position::new(Term(1), last),
        ..SnapshotMeta::default()
    };
    sink.into_image(Arc::new(meta))
}

fn content(image: &Image, name: &str) -> Vec<u8> {
    let mut content = Vec::new();
    image.copy(name, &mut content).expect("the file is there");
    content
}

#[test]
fn a_command_that_comes_again_is_answered_as_before_and_not_executed() {
    let mut stand = Stand::new(LIMITS);
    assert_eq!(stand.open(10), Answered::Opened { client: 1 });
    assert_eq!(stand.tell(11, (1, 1), "a"), applied("2:a"));
    assert_eq!(stand.tell(12, (1, 1), "a"), applied("2:a"));
    assert_eq!(stand.tell(13, (1, 4), "b"), applied("4:b"));
    assert_eq!(stand.tell(14, (1, 4), "b"), applied("4:b"));
    assert_eq!(stand.tell(15, (1, 1), "a"), Answered::Superseded);
    assert_eq!(stand.tell(15, (1, 3), "late"), Answered::Superseded);
    assert_eq!(stand.lines(), "a\nb");
}

#[test]
fn without_a_session_all_is_executed() {
    let mut stand = Stand::new(LIMITS);
    for index in 1..=3 {
        let done = stand.apply(stamped(1, None, "a")).expect("legal");
        assert_eq!(done, applied(&format!("{index}:a")));
    }
    assert_eq!(stand.lines(), "a\na\na");
}

#[test]
fn a_stranger_is_told_so_and_nothing_is_executed() {
    let mut stand = Stand::new(LIMITS);
    for sequence in [1, 2, u64::MAX] {
        assert_eq!(stand.tell(1, (9, sequence), "a"), Answered::Expired);
        assert_eq!(stand.tell(1, (0, sequence), "a"), Answered::Expired);
    }
    assert_eq!(stand.lines(), "");
}

#[test]
fn what_can_not_be_read_is_told_so_and_nothing_is_executed() {
    let mut stand = Stand::new(LIMITS);
    stand.open(1);
    for garbage in [&b""[..], b"\x02garbage", &[0; 8], &[1; 24]] {
        let done = stand.apply(Bytes::from_static(garbage)).expect("legal");
        assert_eq!(done, Answered::Malformed, "{garbage:?}");
    }
    assert_eq!(stand.tell(1, (1, 0), "a"), Answered::Malformed);
    assert_eq!(stand.tell(1, (0, 0), "a"), Answered::Malformed);
    assert_eq!(
        (stand.lines(), stand.sessions.open_sessions()),
        (String::new(), 1)
    );
}

#[test]
fn a_session_expires_by_the_time_in_the_log_and_by_nothing_else() {
    let mut stand = Stand::new(LIMITS);
    stand.open(1000);
    // However many entries pass, and whatever a slow clock says, the time is that of the stamps.
    for _ in 0..500 {
        stand.apply(stamped(1100, None, "x")).expect("legal");
        stand.apply(stamped(3, None, "x")).expect("legal");
    }
    assert_eq!(stand.sessions.time_ms(), 1100);
    assert_eq!(stand.tell(5, (1, 1), "a"), applied("1002:a"));
    assert_eq!(stand.tell(1200, (1, 1), "a"), applied("1002:a"), "in time");
    assert_eq!(
        stand.tell(1300, (1, 1), "a"),
        applied("1002:a"),
        "in time again"
    );
    assert_eq!(stand.tell(1401, (1, 1), "a"), Answered::Expired);
    assert_eq!(stand.tell(1401, (1, 2), "b"), Answered::Expired);
    assert!(stand.lines().ends_with("x\na"));
    assert_eq!(stand.open(1401), Answered::Opened { client: 1007 });
}

#[test]
fn when_all_sessions_are_taken_the_next_is_refused_and_none_is_lost() {
    let mut stand = Stand::new(LIMITS);
    for client in 1..=3 {
        assert_eq!(stand.open(client), Answered::Opened { client });
    }
    assert_eq!(stand.open(4), Answered::Full);
    for client in 1..=3 {
        assert!(matches!(
            stand.tell(50, (client, 1), "a"),
            Answered::Applied(_)
        ));
    }
    assert_eq!(stand.tell(50, (4, 1), "a"), Answered::Expired);
    stand.tell(120, (2, 2), "b");
    assert_eq!(
        stand.open(151),
        Answered::Opened { client: 10 },
        "1 and 3 made room"
    );
    assert_eq!(stand.sessions.open_sessions(), 2);
}

#[test]
fn when_the_bytes_run_out_answers_are_forgotten_but_not_that_they_were_given() {
    let mut stand = Stand::new(LIMITS);
    for client in 1..=3 {
        stand.open(client);
    }
    let long = "a".repeat(20);
    stand.tell(4, (1, 1), &long);
    stand.tell(4, (2, 1), &long);
    assert_eq!(stand.tell(4, (1, 1), &long), applied(&format!("4:{long}")));
    stand.tell(4, (3, 1), &long);
    assert_eq!(stand.tell(5, (1, 1), &long), Answered::Forgotten);
    assert_eq!(stand.tell(5, (2, 1), &long), applied(&format!("5:{long}")));
    let longer = "b".repeat(100);
    assert_eq!(
        stand.tell(5, (1, 2), &longer),
        applied(&format!("10:{longer}"))
    );
    for (client, sequence) in [(1, 2), (2, 1), (3, 1)] {
        assert_eq!(stand.tell(6, (client, sequence), "?"), Answered::Forgotten);
    }
    assert_eq!(
        stand.lines(),
        [&long, &long, &long, &longer].map(|s| &s[..]).join("\n")
    );
}

#[test]
fn a_machine_that_wants_frames_is_given_them_and_its_frames_go_out() {
    let framed = Ledger {
        framing: Framing::Stamped,
        ..Ledger::default()
    };
    let mut stand = Stand::around(framed, LIMITS);
    stand.open(1);
    let session = Session {
        client: 1,
        sequence: 1,
    };
    let frame = stamped(7, Some(session), "a");
    let answer = applied(&format!("2:{}", String::from_utf8_lossy(&frame)));
    for _ in 0..2 {
        assert_eq!(stand.apply(frame.clone()).expect("legal"), answer);
    }
    assert_eq!(stand.lines().as_bytes(), frame);
}

#[test]
fn a_machine_that_breaks_its_contract_stops_the_node() {
    let on_disk = Ledger {
        durable: Index(1),
        ..Ledger::default()
    };
    let miscounting = Ledger {
        is_broken: true,
        ..Ledger::default()
    };
    let frameless = Ledger {
        framing: Framing::Stamped,
        ..miscounting.clone()
    };
    for ledger in [on_disk, miscounting, frameless] {
        let mut stand = Stand::around(ledger, LIMITS);
        let error = stand.apply(stamped(1, None, "a")).expect_err("a breach");
        assert_eq!(error.kind, PortErrorKind::Misused, "{error}");
    }
}

#[test]
fn no_entry_is_applied_twice() {
    let mut stand = Stand::new(LIMITS);
    stand.open(1);
    for index in [0, 1] {
        let again = [committed(index, stamped(1, None, "a"))];
        let error = stand.sessions.apply(&again).expect_err("it was applied");
        assert_eq!(error.kind, PortErrorKind::Misused);
    }
    assert_eq!(stand.lines(), "");
}

#[test]
fn the_machine_inside_can_not_take_the_name_of_the_sessions_file() {
    let ledger = Ledger {
        file: Some(Sessions::FILE),
        ..Ledger::default()
    };
    let mut sessions = Sessions::new(ledger, LIMITS);
    let capture = sessions.snapshot().expect("it is written later");
    let error = capture(&mut ImageSink::default()).expect_err("the name is taken");
    assert_eq!(error.kind, PortErrorKind::Misused);
}

#[test]
fn limits_are_taken_from_the_snapshot() {
    let mut stand = Stand::new(LIMITS);
    stand.open(1);
    let image = image(&mut stand.sessions, Index(1));
    let mut other = Sessions::new(Ledger::default(), SessionLimits::default());
    other.restore(Index(1), &image).expect("a sound snapshot");
    assert_eq!(other.limits(), LIMITS);
    assert_eq!((other.open_sessions(), other.time_ms()), (1, 1));
}

#[test]
fn a_capture_shows_the_sessions_of_its_moment() {
    let mut stand = Stand::new(LIMITS);
    stand.open(1);
    stand.tell(2, (1, 1), "a");
    let before = image(&mut stand.sessions, Index(2));
    let capture = stand.sessions.snapshot().expect("it can be captured");
    stand.tell(3, (1, 2), "b");
    stand.tell(500, (1, 3), "c");
    assert_eq!(written(capture, Index(2)), before);
}

/// A machine with a disk writes down the rows that changed, and goes on from them.
#[test]
fn a_table_comes_back_from_the_rows_that_changed() {
    let limits = SessionLimits {
        sessions_max: 3,
        answer_bytes_max: 8,
        idle_ms_max: 20,
    };
    let mut table = SessionTable::with_rows(limits, 0);
    let mut rows = std::collections::BTreeMap::new();
    let mut dice = crate::sim::rng::Rng::new(7);
    for index in 1..2_000 {
        let session = match dice.below(4) {
            0 => Session::OPENING,
            _ => Session {
                client: index - dice.below(index.min(12)),
                sequence: dice.below(4) + 1,
            },
        };
        let stamped = Stamped {
            time_ms: index * 2,
            session: Some(session),
            command: Bytes::new(),
        };
        table.advance(stamped.time_ms);
        if table.admit(Index(index), &stamped).is_none() {
            let answer = Bytes::copy_from_slice(&index.to_le_bytes()[..4]);
            table.remember(session.client, Index(index), answer);
        }
        for (client, row) in table.take_changed() {
            match row {
                Some(row) => rows.insert(client, row),
                None => rows.remove(&client),
            };
        }
        let mut again = SessionTable::with_rows(limits, table.time_ms());
        for (client, row) in &rows {
            let put_back = again.put_back_row(*client, row);
            assert_eq!(put_back, Some(()), "client {client} at {index}");
        }
        assert_eq!(again, table, "after {index}");
    }
    assert!(!rows.is_empty());
}
