//! Random logs full of retries, strangers, jumps of the clock and garbage; and damaged snapshots.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::model::Model;
use super::{Ledger, committed, content, image, stamped, written};
use crate::port::{Committed, PortErrorKind, StateMachine};
use crate::session::{Answered, Session, SessionLimits, Sessions};
use crate::sim::disk::Image;
use crate::sim::rng::Rng;
use crate::types::Index;

fn limits(rng: &mut Rng) -> SessionLimits {
    SessionLimits {
        sessions_max: rng.between(1, 6),
        answer_bytes_max: rng.between(0, 150),
        idle_ms_max: rng.between(0, 400),
    }
}

/// A log in which clients do all that they may and much that they may not. A command's text says
/// whose it is, and which, so a line that is there twice was executed twice.
fn log(rng: &mut Rng, length: u64) -> Vec<Committed> {
    let mut clients: Vec<(u64, u64)> = Vec::new();
    let mut clock_ms = 1000;
    let mut log = Vec::new();
    let mut index = 0;
    for _ in 0..length {
        // Entries without a command have an index, too.
        index += 1 + rng.below(5) / 4;
        clock_ms += rng.below(20);
        if rng.below(60) == 0 {
            clock_ms += rng.below(500);
        }
        let time_ms = clock_ms - rng.below(40) * rng.below(20) / 10;
        let command = match rng.below(20) {
            0..3 => {
                clients.push((index, 0));
                stamped(time_ms, Some(Session::OPENING), "")
            }
            3 => stamped(time_ms, None, &format!("free {index}")),
            4 => garbage(rng),
            _ => of_client(rng, time_ms, &mut clients),
        };
        log.push(committed(index, command));
    }
    log
}

fn of_client(rng: &mut Rng, time_ms: u64, clients: &mut [(u64, u64)]) -> Bytes {
    // Mostly the latest ones, so that some are idle.
    let place = clients.len().saturating_sub(1 + rng.place(8));
    let mut stranger = (rng.below(500), 0);
    let (client, latest) = clients.get_mut(place).unwrap_or(&mut stranger);
    let sequence = match rng.below(8) {
        0..3 => *latest,
        3 => latest.saturating_sub(rng.below(3)),
        4 => *latest + 2,
        _ => *latest + 1,
    };
    *latest = sequence.max(*latest);
    let client = *client;
    let padding = "p".repeat(usize::try_from(client * 7 % 31 + sequence % 17).expect("small"));
    let text = format!("{client}.{sequence}{padding}");
    stamped(time_ms, Some(Session { client, sequence }), &text)
}

fn garbage(rng: &mut Rng) -> Bytes {
    let bytes = (0..rng.below(12)).map(|_| rng.draw().to_le_bytes()[0] | 2);
    bytes.collect::<Vec<u8>>().into()
}

/// Applies in batches of random length.
fn apply(sessions: &mut Sessions, rng: &mut Rng, mut log: &[Committed]) -> Vec<Bytes> {
    let mut answers = Vec::new();
    while !log.is_empty() {
        let (batch, rest) = log.split_at(log.len().min(rng.place(20)));
        answers.extend(sessions.apply(batch).expect("the ledger goes on"));
        log = rest;
    }
    answers
}

fn text(sessions: &Sessions) -> Bytes {
    sessions.query(b"").expect("the ledger answers")
}

#[test]
fn whatever_comes_takes_effect_at_most_once_and_as_the_model_says() {
    let mut kinds = BTreeSet::new();
    for seed in 0..400 {
        let mut rng = Rng::new(seed);
        let limits = limits(&mut rng);
        let log = log(&mut rng, 250);
        let mut model = Model::new(limits);
        let mut sessions = Sessions::new(Ledger::default(), limits);
        let answers = apply(&mut sessions, &mut rng, &log);
        for (one, answer) in log.iter().zip(&answers) {
            let expected = model.apply(one.index.0, &one.command);
            let index = one.index;
            kinds.insert(answer[0]);
            assert_eq!(
                Answered::decode(answer.clone()),
                Some(expected),
                "seed {seed}, {index}"
            );
        }
        assert_eq!(text(&sessions), model.lines.join(&b'\n'), "seed {seed}");
        let different: BTreeSet<&Bytes> = model.lines.iter().collect();
        assert_eq!(
            different.len(),
            model.lines.len(),
            "seed {seed}: one took effect twice"
        );
    }
    assert_eq!(kinds.len(), 7, "every kind of answer is given: {kinds:?}");
}

#[test]
fn a_snapshot_and_what_follows_make_what_the_whole_log_makes() {
    for seed in 0..200 {
        let mut rng = Rng::new(seed);
        let limits = limits(&mut rng);
        let log = log(&mut rng, 200);
        let mut whole = Sessions::new(Ledger::default(), limits);
        let answers = apply(&mut whole, &mut rng, &log);
        let mut restored = Sessions::new(Ledger::default(), limits);
        let mut done = 0;
        for _ in 0..3 {
            let cut = done + rng.place(log.len() - done);
            let again = apply(&mut restored, &mut rng, &log[done..cut]);
            assert_eq!(again, answers[done..cut], "seed {seed}");
            done = cut;
            let last = log[..cut].last().map_or(Index(0), |one| one.index);
            let capture = restored.snapshot().expect("it can be captured");
            // What it does after the capture is lost.
            let lost = &log[cut..cut + rng.place(log.len() - cut)];
            apply(&mut restored, &mut rng, lost);
            let image = written(capture, last);
            // Its own limits do not count any more, and nor does what it held.
            if rng.below(2) == 0 {
                restored = Sessions::new(Ledger::default(), SessionLimits::default());
            }
            restored.restore(last, &image).expect("a sound snapshot");
        }
        let again = apply(&mut restored, &mut rng, &log[done..]);
        assert_eq!(again, answers[done..], "seed {seed}");
        let last = log[log.len() - 1].index;
        assert_eq!(
            image(&mut restored, last),
            image(&mut whole, last),
            "seed {seed}"
        );
    }
}

#[test]
fn what_is_remembered_stays_within_the_limits() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let limits = limits(&mut rng);
        let mut sessions = Sessions::new(Ledger::default(), limits);
        for one in log(&mut rng, 200) {
            apply(&mut sessions, &mut rng, std::slice::from_ref(&one));
            let open = sessions.open_sessions();
            assert!(open <= limits.sessions_max, "seed {seed}: {open}");
            let file = content(&image(&mut sessions, one.index), Sessions::FILE).len() as u64;
            let most = 48 * (1 + open) + limits.answer_bytes_max;
            assert!(file <= most, "seed {seed}: {file} bytes");
        }
    }
}

/// The snapshot's files, the sessions' replaced.
fn forged(sound: &Image, file: Vec<u8>) -> Image {
    let files = vec![
        (Sessions::FILE.to_owned(), file.into()),
        (Ledger::FILE.to_owned(), content(sound, Ledger::FILE).into()),
    ];
    Image::new(sound.meta.clone(), files)
}

#[test]
fn a_snapshot_that_was_tampered_with_is_refused_or_holds_a_sound_table() {
    let mut refused = 0;
    for seed in 0..3000 {
        let mut rng = Rng::new(seed);
        let limits = limits(&mut rng);
        let log = log(&mut rng, 60);
        let last = log[log.len() - 1].index;
        let mut sessions = Sessions::new(Ledger::default(), limits);
        apply(&mut sessions, &mut rng, &log);
        let sound = image(&mut sessions, last);
        let mut file = content(&sound, Sessions::FILE);
        match rng.below(4) {
            0 => file.truncate(rng.place(file.len())),
            1 => file.push(0),
            2 => {
                let place = rng.place(file.len());
                file[place] ^= 1 << rng.below(8);
            }
            _ => {
                let word = rng.place(file.len() / 8) * 8;
                file[word..word + 8].copy_from_slice(&(u64::MAX >> rng.below(64)).to_le_bytes());
            }
        }
        let mut other = Sessions::new(Ledger::default(), limits);
        match other.restore(last, &forged(&sound, file.clone())) {
            Err(error) => {
                refused += 1;
                assert_eq!(error.kind, PortErrorKind::Damaged, "seed {seed}");
                assert_eq!((other.open_sessions(), text(&other)), (0, Bytes::new()));
            }
            Ok(()) => {
                let again = content(&image(&mut other, last), Sessions::FILE);
                assert_eq!(again, file, "seed {seed}: what is read is what is written");
                let idle_ms = u64::MAX - other.time_ms();
                let is_ending = idle_ms > other.limits().idle_ms_max;
                let after = [committed(last.0 + 1, stamped(u64::MAX, None, "end"))];
                apply(&mut other, &mut rng, &after);
                let is_empty = other.open_sessions() == 0;
                assert!(
                    is_empty || !is_ending,
                    "seed {seed}: time ends all sessions"
                );
            }
        }
    }
    assert!(refused > 2000, "only {refused} of 3000 were refused");
}

#[test]
fn a_count_that_lies_allocates_nothing() {
    let mut sessions = Sessions::new(Ledger::default(), SessionLimits::default());
    let sound = image(&mut sessions, Index(9));
    for word in 1..=5 {
        let mut file = content(&sound, Sessions::FILE);
        file[word * 8..word * 8 + 8].fill(0xff);
        let is_count = word == 5;
        let done = sessions.restore(Index(9), &forged(&sound, file));
        assert_eq!(done.is_err(), is_count, "word {word}");
    }
    let done = sessions.restore(Index(9), &forged(&sound, vec![0xff; 5000]));
    assert_eq!(done.expect_err("no format").kind, PortErrorKind::Damaged);
}
