//! Damage to what was durable: the log has all that it acknowledged, or says that it has not.
//!
//! Never silent: either everything is there, or what is recovered says `lost` and how far it must
//! be brought again, or opening is refused. All that was written had reached the disk, the
//! watermark too: behind one that a power cut made older, the loss of a tail could hide. This file
//! knows what the files are called, and nothing of what is in them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use raft_core::port::{LogStore, PortErrorKind};
use raft_core::sim::rng::Rng;
use raft_core::types::Incarnation;
use raft_core::{Entry, GroupId, Position, Recovered};
use raft_log::{Wal, WalLog};
use raft_tests::crash_disk::{Crash, CrashDisk, Moment};
use raft_tests::log_model::{LogModel, SnapshotTrouble, Step, verify_snapshot};

use crate::node::{IDENTITY, Node};

const RUNS: u64 = 10;
const STEPS: u64 = 50;
const SECTOR: usize = 512;
/// One bit is flipped in so many bytes.
const FLIP_EVERY: usize = 200;

/// A log at rest, with all that it ever held.
struct Bench {
    node: Node,
    /// By position there may be several: a leader's that was lost, and its successor's.
    entries: BTreeMap<GroupId, BTreeMap<Position, Vec<Entry>>>,
    now: Moment,
    /// As it was somewhat earlier, for blocks that are stale.
    before: CrashDisk,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Answer {
    Whole,
    Flagged,
    Refused,
}

#[test]
fn damage_is_never_silent() {
    let mut tally: BTreeMap<(&str, Answer), u64> = BTreeMap::new();
    for seed in 0..RUNS {
        let mut rng = Rng::new(seed);
        let bench = Bench::new(&mut rng);
        for path in bench.before_and_now() {
            for (what, at, damaged) in bench.damages(&path, &mut rng) {
                let answer = bench.judge(&damaged, &mut rng);
                let answer = answer.unwrap_or_else(|silent| {
                    panic!("seed {seed}, {}: {what} at {at}: {silent}", path.display())
                });
                *tally.entry((what, answer)).or_default() += 1;
            }
        }
    }
    println!("seeds 0..{RUNS}: {tally:?}");
    let of = |answer| tally.iter().filter(move |((_, other), _)| *other == answer);
    let count = |answer| of(answer).map(|(_, count)| count).sum::<u64>();
    assert!(count(Answer::Whole) > 500, "too little was harmless");
    assert!(count(Answer::Flagged) > 1000, "too little was noticed");
}

impl Bench {
    fn new(rng: &mut Rng) -> Self {
        let mut node = Node::drawn(rng);
        let disk = CrashDisk::default();
        let mut running = node.open(&disk).expect("an empty disk");
        let (mut entries, mut before) = (BTreeMap::new(), None);
        for at in 0..STEPS {
            let (group, step) = node.draw(rng);
            let held: &mut BTreeMap<_, Vec<_>> = entries.entry(group).or_default();
            if let Step::Write(writes) = &step {
                for entry in writes.iter().flat_map(|write| write.entries.iter()) {
                    held.entry(entry.position())
                        .or_default()
                        .push(entry.clone());
                }
            }
            node.begin(group, &step);
            let log = running.logs.get_mut(&group).expect("one of ours");
            step.carry_out(log).expect("nothing is wrong yet");
            node.end(group);
            if at == STEPS * 3 / 4 {
                before = Some(disk.crash(Crash::AllKept));
            }
        }
        Self {
            node,
            entries,
            now: disk.moment(),
            before: before.expect("it came to that"),
        }
    }

    /// The files that are there, but for spare ones, which are no part of the log.
    fn before_and_now(&self) -> Vec<PathBuf> {
        let mut files = self.now.crash(Crash::AllKept).files();
        files.retain(|path| !path.to_string_lossy().contains("spare"));
        files
    }

    fn damages(&self, path: &Path, rng: &mut Rng) -> Vec<(&'static str, usize, CrashDisk)> {
        let content = self.now.crash(Crash::AllKept).content(path);
        let stale = self.before.content(path);
        let mut damages = Vec::new();
        let mut add = |what, at, edit: &dyn Fn(&mut Vec<u8>)| {
            let disk = self.now.crash(Crash::AllKept);
            disk.damage(path, |bytes| edit(bytes)).expect("there");
            damages.push((what, at, disk));
        };
        for start in (0..content.len()).step_by(FLIP_EVERY) {
            let at = (start + rng.place(FLIP_EVERY)).min(content.len() - 1);
            let bit = 1 << rng.below(8);
            add("flipped bit", at, &|bytes| bytes[at] ^= bit);
        }
        for start in (0..content.len()).step_by(SECTOR) {
            let end = (start + SECTOR).min(content.len());
            let garbage = rng.draw().to_le_bytes()[0] | 1;
            add("zeros", start, &|bytes| bytes[start..end].fill(0));
            add("garbage", start, &|bytes| bytes[start..end].fill(garbage));
            add("lost tail", start, &|bytes| bytes.truncate(start));
            if let Some(old) = stale
                .get(start..end)
                .filter(|old| **old != content[start..end])
            {
                add("stale sector", start, &|bytes| {
                    bytes[start..end].copy_from_slice(old);
                });
            }
            let other = rng.place(content.len().div_ceil(SECTOR)) * SECTOR;
            if other + SECTOR <= content.len() && start + SECTOR <= content.len() {
                add("misplaced sector", start, &|bytes| {
                    bytes.copy_within(other..other + SECTOR, start);
                });
            }
        }
        if !stale.is_empty() && stale != content {
            add("stale file", 0, &|bytes| bytes.clone_from(&stale));
        }
        let lost = self.now.crash(Crash::AllKept);
        lost.lose(path).expect("there");
        damages.push(("lost file", 0, lost));
        damages
    }

    /// Whether all is there, or what is missing is noticed; also the second time, and also if the
    /// power goes while it is noticed.
    fn judge(&self, disk: &CrashDisk, rng: &mut Rng) -> Result<Answer, String> {
        disk.record();
        let mut worst = self.look(disk)?;
        let moments = disk.moments();
        let within = rng.pick(&moments).expect("at least one");
        let again = [
            ("kept", disk.crash(Crash::AllLost)),
            ("crashed within", within.crash(Crash::Scattered(rng.draw()))),
            ("lost within", within.crash(Crash::AllLost)),
            ("killed within", within.kill()),
        ];
        for (how, disk) in again {
            let looked = self.look(&disk);
            let looked = looked.map_err(|silent| format!("first {worst:?}, {how}: {silent}"));
            worst = worst.max(looked?);
        }
        Ok(worst)
    }

    fn look(&self, disk: &CrashDisk) -> Result<Answer, String> {
        let Ok(wal) = Wal::open(Arc::new(disk.clone()), IDENTITY, self.node.config) else {
            return Ok(Answer::Refused);
        };
        let mut worst = Answer::Whole;
        for (group, stages) in &self.node.groups {
            let Ok(mut log) = wal.group(*group) else {
                return Ok(Answer::Refused);
            };
            let Ok(found) = log.recover() else {
                return Ok(Answer::Refused);
            };
            let answer = self.look_at((*group, &stages[0]), &found, &log);
            let findings = wal.report().findings;
            let answer = answer.map_err(|what| {
                format!("group {group}: {what}; found {found:?}; findings {findings:?}")
            });
            worst = worst.max(answer?);
        }
        Ok(worst)
    }

    fn look_at(
        &self,
        (group, model): (GroupId, &LogModel),
        found: &Recovered,
        log: &WalLog,
    ) -> Result<Answer, String> {
        check_snapshot(log)?;
        let entries = match log.read(found.base.index.next(), found.last, u64::MAX) {
            Ok(entries) => entries,
            Err(error) if error.kind == PortErrorKind::Damaged => return Ok(Answer::Refused),
            Err(error) => return Err(format!("reading fails: {error}")),
        };
        let held = self.entries.get(&group);
        let was_written = |entry: &&Entry| {
            let there = held.and_then(|held| held.get(&entry.position()));
            there.is_some_and(|there| there.contains(entry))
        };
        if let Some(invented) = entries.iter().find(|entry| !was_written(entry)) {
            return Err(format!(
                "the entry {} was never written",
                invented.position()
            ));
        }
        if entries.len() as u64 != found.last.since(found.base.index) {
            return Err(format!("only {} entries can be read", entries.len()));
        }
        if is_whole(found, &entries, model) {
            return Ok(Answer::Whole);
        }
        let (said, acknowledged) = (found.watermark, model.hard_state());
        let is_vote_known = said.term > acknowledged.term || said.vote == acknowledged.vote;
        let is_covered = said.term >= acknowledged.term && said.index >= model.last();
        if found.lost && is_covered && is_vote_known {
            return Ok(Answer::Flagged);
        }
        let last = model.last();
        Err(format!(
            "silent loss: {acknowledged:?} and entries up to {last} were acknowledged"
        ))
    }
}

/// Whether all that was acknowledged is there: as entries, or in a snapshot.
fn is_whole(found: &Recovered, entries: &[Entry], model: &LogModel) -> bool {
    let is_same = |entry: &Entry| {
        let covered = entry.index <= model.snapshot().last.index;
        model.position(entry.index) == Some(entry.position()) || covered
    };
    let is_reachable = found.base.index <= found.snapshot.last.index;
    let is_founded = found.incarnation != Incarnation::UNBOUND;
    found.hard_state == model.hard_state()
        && found.last == model.last()
        && is_founded == model.is_founded()
        && (is_reachable || !is_founded)
        && entries.iter().all(is_same)
}

/// A snapshot is what it was, or can't be read.
fn check_snapshot(log: &WalLog) -> Result<(), String> {
    let Ok(Some(source)) = log.open_snapshot() else {
        return Ok(());
    };
    match verify_snapshot(&*source) {
        Ok(()) => Ok(()),
        Err(SnapshotTrouble::Unreadable(error)) if error.kind == PortErrorKind::Damaged => Ok(()),
        Err(trouble) => Err(format!("the snapshot: {trouble:?}")),
    }
}
