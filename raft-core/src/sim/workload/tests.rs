//! The clients against a service that keeps one log and loses, doubles and delays what it likes;
//! and against services with one defect each, every one of which must be found.

use std::collections::BTreeMap;
use std::time::Duration;

use super::*;
use crate::event::Consistency;
use crate::sim::machine::{Command, Registers};
use crate::types::Index;

const MS: u64 = 1_000_000;

/// What is wrong with a service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Defect {
    None,
    /// Every copy of a command takes effect.
    NoSessions,
    /// Linearizable reads are answered from a machine that lags.
    StaleReads,
    /// Now and then a command is answered, but not in the log.
    LostWrites,
    /// Now and then a machine forgets what it holds.
    Diverging,
    /// Answers to reads are made up.
    MadeUp,
}

enum Happening {
    Arrives(Request),
    Answers(RequestId, Answer, Index),
}

struct Service {
    defect: Defect,
    rng: Rng,
    log: u64,
    good: Registers,
    lagging: Registers,
    /// Commands that the lagging machine has not applied.
    behind: Vec<(Index, Bytes)>,
    behind_max: usize,
    happenings: BTreeMap<(u64, u64), Happening>,
    serial: u64,
}

impl Service {
    fn new(seed: u64, defect: Defect) -> Self {
        Self {
            defect,
            rng: Rng::new(seed),
            log: 0,
            good: Registers::new(),
            lagging: Registers::new(),
            behind: Vec::new(),
            behind_max: 10,
            happenings: BTreeMap::new(),
            serial: 0,
        }
    }

    fn later(&mut self, now: u64, happening: Happening) {
        self.serial += 1;
        let at = now + 1 + self.rng.below(10 * MS);
        self.happenings.insert((at, self.serial), happening);
    }

    fn answer(&mut self, now: u64, id: RequestId, answer: Answer, index: Index) {
        if self.rng.below(10) > 0 {
            self.later(now, Happening::Answers(id, answer, index));
        }
    }

    fn arrives(
        &mut self,
        workload: &mut Workload,
        request: Request,
        now: u64,
    ) -> Result<(), Violation> {
        let id = request.id;
        match self.rng.below(20) {
            0 => self.answer(now, id, Answer::Refused(Refusal::Overloaded), Index(0)),
            1 => {
                let hint = Refusal::NotLeader(Some(NodeId(1)));
                self.answer(now, id, Answer::Refused(hint), Index(0));
            }
            2 => self.answer(now, id, Answer::Unknown, Index(0)),
            3 => {}
            _ => match request.kind {
                RequestKind::Command(command) => self.execute(workload, id, &command, now)?,
                RequestKind::Read { query, consistency } => {
                    self.read(id, &query, consistency, now);
                }
            },
        }
        Ok(())
    }

    fn execute(
        &mut self,
        workload: &mut Workload,
        id: RequestId,
        command: &Bytes,
        now: u64,
    ) -> Result<(), Violation> {
        let index = Index(self.log + 1);
        if self.defect == Defect::LostWrites && self.rng.below(50) == 0 {
            let answer = self.good.clone().execute(index, command).encode();
            self.answer(now, id, Answer::Done(answer), index);
            return Ok(());
        }
        self.log += 1;
        if self.defect == Defect::NoSessions {
            let command = Command::decode(command).expect("whole");
            self.good.execute(
                index,
                &Command {
                    sequence: 0,
                    floor: 0,
                    ..command
                }
                .encode(),
            );
            let fresh = Command {
                client: 1000 + index.0,
                ..command
            };
            let answer = self.good.execute(index, &fresh.encode()).encode();
            workload.applied(NodeId(1), index, &command.encode(), &answer)?;
            self.answer(now, id, Answer::Done(answer), index);
            return Ok(());
        }
        let answer = self.good.execute(index, command).encode();
        workload.applied(NodeId(1), index, command, &answer)?;
        self.behind.push((index, command.clone()));
        while self.behind.len() > self.behind_max {
            let (index, command) = self.behind.remove(0);
            if self.defect == Defect::Diverging && self.rng.below(100) == 0 {
                self.lagging = Registers::new();
            }
            let answer = self.lagging.execute(index, &command).encode();
            workload.applied(NodeId(2), index, &command, &answer)?;
        }
        self.answer(now, id, Answer::Done(answer), index);
        Ok(())
    }

    fn read(&mut self, id: RequestId, query: &[u8], consistency: Consistency, now: u64) {
        use crate::port::StateMachine;
        let stale = self.defect == Defect::StaleReads || consistency == Consistency::Local;
        let lags = stale && self.rng.below(2) == 0;
        let (machine, index) = if lags {
            (&self.lagging, Index(self.log - self.behind.len() as u64))
        } else {
            (&self.good, Index(self.log))
        };
        let mut answer = machine.query(query).expect("a register");
        if self.defect == Defect::MadeUp && self.rng.below(50) == 0 {
            answer = Bytes::copy_from_slice(&3_u64.to_le_bytes());
        }
        self.answer(now, id, Answer::Done(answer), index);
    }
}

fn run(seed: u64, defect: Defect) -> (Workload, Result<Stats, Violation>) {
    let config = WorkloadConfig {
        seed,
        clients: 10,
        timeout: Duration::from_millis(15),
        think_max: Duration::from_millis(5),
        operations_max: 600,
        ..WorkloadConfig::default()
    };
    let mut workload = Workload::new(config, 0);
    let result = drive(&mut workload, &mut Service::new(seed ^ 0xffff, defect));
    (workload, result)
}

fn drive(workload: &mut Workload, service: &mut Service) -> Result<Stats, Violation> {
    let mut now = 0;
    for turn in 0..100_000 {
        if turn == 5_000 {
            workload.drain(now);
        }
        let wake = workload.next_wake();
        let happens = service.happenings.first_key_value().map(|(key, _)| *key);
        match (wake, happens) {
            (None, None) => break,
            (Some((at, client)), key) if key.is_none_or(|key| at <= key.0) => {
                now = now.max(at);
                if let Some(request) = workload.wake(client, now) {
                    assert!(request.node.0 >= 1 && request.node.0 <= 3, "{request:?}");
                    service.later(now, Happening::Arrives(request));
                }
            }
            (_, Some(key)) => {
                now = now.max(key.0);
                match service.happenings.remove(&key) {
                    Some(Happening::Arrives(request)) => service.arrives(workload, request, now)?,
                    Some(Happening::Answers(id, answer, index)) => {
                        workload.answered(id, answer, index, now)?;
                    }
                    None => {}
                }
            }
            (Some(_), None) => {}
        }
    }
    assert_eq!(
        workload.outstanding(),
        0,
        "everything ends once it is drained"
    );
    workload.verdict(now)
}

#[test]
fn a_true_service_passes_and_everything_happened() {
    let (mut all, mut marks) = (Stats::default(), Marks::default());
    for seed in 0..40 {
        let (workload, result) = run(seed, Defect::None);
        let stats = result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert_eq!(
            stats.operations,
            stats.ok + stats.failed + stats.unknown,
            "seed {seed}"
        );
        assert!(stats.ok > 300, "seed {seed}: {stats:?}");
        marks.merge(workload.marks());
        all.failed += stats.failed;
        all.unknown += stats.unknown;
        all.timeouts += stats.timeouts;
        all.duplicates += stats.duplicates;
        all.reads_bounded += stats.reads_bounded;
        all.reads_local += stats.reads_local;
        all.reads_linearizable += stats.reads_linearizable;
    }
    assert!(all.failed > 0 && all.unknown > 0 && all.timeouts > 0 && all.duplicates > 0);
    assert!(all.reads_bounded > 0 && all.reads_local > 0 && all.reads_linearizable > 0);
    for mark in [
        Mark::CommandRetried,
        Mark::DuplicateSuppressed,
        Mark::SessionStale,
        Mark::RequestAbandoned,
    ] {
        assert!(marks.count(mark) > 0, "{}", mark.name());
    }
}

#[test]
fn every_defect_is_found() {
    for (defect, least) in [
        (Defect::NoSessions, 30),
        (Defect::StaleReads, 30),
        (Defect::LostWrites, 30),
        (Defect::Diverging, 20),
        (Defect::MadeUp, 30),
    ] {
        let found = (0..40).filter(|seed| run(*seed, defect).1.is_err()).count();
        assert!(found >= least, "{defect:?}: found in {found} of 40 runs");
    }
}

/// Found by seed 1424 of the simulator: a command whose answer is lost waits so long that those
/// after it used to fill all room for answers, which left none for the command itself.
#[test]
fn a_command_that_waits_long_is_not_locked_out_by_those_after_it() {
    for seed in 0..20 {
        let config = WorkloadConfig {
            seed,
            clients: 3,
            timeout: Duration::from_secs(10),
            think_max: Duration::from_micros(10),
            operations_max: 2_000,
            mix: Mix {
                put: 100,
                ..Mix::default()
            },
            ..WorkloadConfig::default()
        };
        let mut workload = Workload::new(config, 0);
        let result = drive(&mut workload, &mut Service::new(seed, Defect::None));
        let stats = result.unwrap_or_else(|violation| panic!("seed {seed}: {violation}"));
        assert!(stats.timeouts > 0, "seed {seed}: {stats:?}");
    }
}

#[test]
fn a_seed_repeats_itself() {
    let history = |seed| run(seed, Defect::None).0.history().operations().to_vec();
    assert_eq!(history(7), history(7));
    assert_ne!(history(7), history(8));
}

#[test]
fn without_a_service_clients_give_up_and_drained_ones_do_not_begin() {
    let config = WorkloadConfig {
        clients: 3,
        operations_max: 50,
        ..WorkloadConfig::default()
    };
    let mut workload = Workload::new(config, 1_000);
    let mut now = 0;
    for _ in 0..2_000 {
        let Some((at, client)) = workload.next_wake() else {
            break;
        };
        now = now.max(at);
        workload.wake(client, now);
    }
    assert_eq!(workload.stats().operations, 50);
    assert_eq!((workload.stats().ok, workload.outstanding()), (0, 0));
    assert!(workload.stats().unknown == 50 && workload.verdict(now).is_ok());

    let mut idle = Workload::new(WorkloadConfig::default(), 0);
    idle.drain(0);
    assert_eq!(idle.next_wake(), None);
}
