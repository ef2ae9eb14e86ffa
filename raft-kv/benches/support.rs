//! What the benchmark of the machine needs: commands, a sink, options. It measures nothing.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use raft_core::port::{Committed, PortError, SnapshotSink};
use raft_core::session::Stamped;
use raft_core::{Index, Term};
use raft_kv::engine::{Batch, Change, Family};
use raft_kv::request::PutRequest;
use raft_kv::rows::{self, Changed, Record};
use raft_kv::{Command, EventKind, LeaseId, Revision};

const VALUE_BYTES: usize = 256;

/// The key of this number; they sort as their numbers do.
pub(crate) fn key(number: u64) -> Bytes {
    Bytes::from(format!("/registry/key{number:010}"))
}

/// The number of a key.
pub(crate) fn number(key: &[u8]) -> u64 {
    let digits = key.get(key.len().saturating_sub(10)..).unwrap_or_default();
    let number = std::str::from_utf8(digits)
        .ok()
        .and_then(|it| it.parse().ok());
    number.unwrap_or(0)
}

/// Makes entries of the log.
pub(crate) struct Commands {
    keys: u64,
    next: u64,
    loaded: u64,
    dice: u64,
}

impl Commands {
    /// With so many keys.
    pub(crate) const fn new(keys: u64) -> Self {
        Self {
            keys,
            next: 1,
            loaded: 0,
            dice: 0x5DEE_CE66,
        }
    }

    /// The number of some key.
    pub(crate) const fn draw(&mut self) -> u64 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (self.dice >> 33) % self.keys
    }

    /// Puts of the next keys, in a strewn order.
    pub(crate) fn load(&mut self, count: u64) -> Vec<Committed> {
        let mut batch = Vec::new();
        for _ in 0..count {
            // A multiple that shares no factor with the number of keys visits each of them.
            let number = self.loaded.wrapping_mul(999_983) % self.keys;
            batch.push(self.put(number));
            self.loaded += 1;
        }
        batch
    }

    /// Puts of keys drawn at random.
    pub(crate) fn puts(&mut self, count: u64) -> Vec<Committed> {
        (0..count)
            .map(|_| {
                let number = self.draw();
                self.put(number)
            })
            .collect()
    }

    /// The rows that puts of keys drawn at random write: the records, those that they replace, and
    /// the changes.
    pub(crate) fn rows(&mut self, applied: Index, count: u64) -> Batch {
        let mut keys: Vec<_> = (0..count).map(|_| key(self.draw())).collect();
        keys.sort_unstable();
        keys.dedup();
        let mut families = [Family::Keys, Family::History, Family::Revisions].map(|family| {
            let changes: Vec<Change> = Vec::with_capacity(keys.len());
            (family, changes)
        });
        for key in keys {
            // Behind all that there is, so that nothing is written over but the present record.
            let modified = Revision((1 << 40) + self.next);
            self.next += 1;
            let record = Record {
                create: modified,
                modified,
                version: 1,
                lease: LeaseId::NONE,
                value: self.value(),
            };
            let changed = Changed {
                kind: EventKind::Put,
                prev: modified,
                key: key.clone(),
            };
            let row = record.encode();
            let [present, history, revisions] = &mut families;
            history
                .1
                .push((rows::history_key(&key, modified), Some(row.clone())));
            let place = rows::revision_key(modified, 0);
            revisions.1.push((place, Some(changed.encode())));
            present.1.push((key, Some(row)));
        }
        let mut batch = Batch::new(applied);
        batch.changes.extend(families);
        batch
    }

    fn value(&self) -> Bytes {
        let mut value = BytesMut::with_capacity(VALUE_BYTES);
        while value.len() < VALUE_BYTES {
            let mixed =
                (self.next ^ (value.len() as u64) << 32).wrapping_mul(0x9E37_79B9_7F4A_7C15);
            value.put_u64(mixed);
        }
        value.freeze()
    }

    fn put(&mut self, number: u64) -> Committed {
        let stamped = Stamped {
            time_ms: self.next,
            session: None,
            command: Command::Put(PutRequest::of(key(number), self.value())).encode(),
        };
        let committed = Committed {
            index: Index(self.next),
            term: Term(1),
            command: stamped.encode(),
        };
        self.next += 1;
        committed
    }
}

/// Takes files as a snapshot store does: by links where it can.
pub(crate) struct LinkSink {
    dir: PathBuf,
    /// Of all files.
    pub(crate) bytes: u64,
}

impl LinkSink {
    /// Into this directory, which it makes.
    pub(crate) fn new(dir: &Path) -> Self {
        fs::create_dir_all(dir).expect("a directory");
        Self {
            dir: dir.to_owned(),
            bytes: 0,
        }
    }
}

impl SnapshotSink for LinkSink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        let failed = |error| PortError::io(format!("write {name}"), error);
        let mut file = File::create(self.dir.join(name)).map_err(failed)?;
        let mut buffer = vec![0; 1 << 18];
        loop {
            let count = content.read(&mut buffer).map_err(failed)?;
            if count == 0 {
                break;
            }
            file.write_all(&buffer[..count]).map_err(failed)?;
            self.bytes += count as u64;
        }
        file.sync_all().map_err(failed)
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        let failed = |error| PortError::io(format!("link {name}"), error);
        self.bytes += fs::metadata(path).map_err(failed)?.len();
        fs::hard_link(path, self.dir.join(name)).map_err(failed)
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

/// What the benchmark is told.
pub(crate) struct Options {
    /// How many keys there are.
    pub(crate) keys: u64,
    /// Where the disk's engine works.
    pub(crate) dir: PathBuf,
    is_quick: bool,
    only: Option<String>,
}

impl Options {
    /// `--quick` shows that it runs; `--keys N`, `--dir D`; `--only apply`, `engine`, `range`,
    /// `snapshot` or `restart`.
    pub(crate) fn parse() -> Self {
        let mut options = Self {
            keys: 1_000_000,
            dir: std::env::temp_dir(),
            is_quick: false,
            only: None,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--quick" => {
                    options.is_quick = true;
                    options.keys = 20_000;
                }
                "--keys" => {
                    let keys = arguments.next().and_then(|keys| keys.parse().ok());
                    options.keys = keys.expect("--keys takes a number");
                }
                "--dir" => options.dir = arguments.next().expect("--dir takes a path").into(),
                "--only" => options.only = arguments.next(),
                // Cargo says so to every benchmark.
                "--bench" => {}
                other => panic!(
                    "unknown option {other}; there are --quick, --keys N, --dir D, --only PART"
                ),
            }
        }
        options
    }

    /// Whether this part is wanted.
    pub(crate) fn wants(&self, part: &str) -> bool {
        self.only.as_ref().is_none_or(|only| only == part)
    }

    /// How often all is measured.
    pub(crate) const fn rounds(&self, rounds: usize) -> usize {
        if self.is_quick { 1 } else { rounds }
    }
}

/// The middle one.
pub(crate) fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
