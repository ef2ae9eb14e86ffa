//! Random commands that meet: few keys, few leases, revisions at the edges of what is there.
//!
//! Each seed draws its own keys, and how much of everything there is in its run (Groce et al.,
//! *Swarm Testing*): what is rare on average is frequent in some runs. It looks at the reference
//! to know what is interesting, and knows nothing of the store.

mod requests;
mod users;

use bytes::Bytes;
use raft_core::session::{Session, SessionLimits};
use raft_core::sim::rng::Rng;
use raft_core::{Index, NodeId, Term};
use raft_kv::command::{Announcement, DigestReport};
use raft_kv::{AlarmKind, Command, LeaseId, Revision};

use super::reference::{Entry, Reference, Sessions};

/// Keys that are prefixes of one another, and that hold the bytes that keys are escaped with.
const KEYS: [&[u8]; 14] = [
    b"a",
    b"b",
    b"ab",
    b"a\0",
    b"a\0\0",
    b"a\0\x01",
    b"a\0\xff",
    b"a\xff",
    b"b\0a",
    b"\0",
    b"\0\0",
    b"\x01",
    b"\xff",
    b"\xff\xff",
];

/// The names that clients give to leases.
const LEASES: [i64; 6] = [1, 2, 7, -5, i64::MAX, i64::MIN];
/// A command of a later version is none that the reference knows.
const VERSION_MAX: u64 = 3;

/// What kinds of commands there are, each with how frequent it is on average.
const KINDS: [(Kind, u64); 14] = [
    (Kind::Put, 30),
    (Kind::Delete, 10),
    (Kind::Txn, 25),
    (Kind::Compact, 4),
    (Kind::Grant, 7),
    (Kind::Revoke, 3),
    (Kind::Expire, 3),
    (Kind::Raise, 1),
    (Kind::Clear, 4),
    (Kind::Announce, 1),
    (Kind::Forget, 1),
    (Kind::Upgrade, 2),
    (Kind::Report, 2),
    (Kind::Auth, 6),
];

#[derive(Clone, Copy, Debug)]
enum Kind {
    Put,
    Delete,
    Txn,
    Compact,
    Grant,
    Revoke,
    Expire,
    Raise,
    Clear,
    Announce,
    Forget,
    Upgrade,
    Report,
    Auth,
}

/// What decides what is tried.
#[derive(Clone, Debug)]
pub struct Dice {
    /// For other decisions of the same run.
    pub rng: Rng,
    keys: Vec<Bytes>,
    kinds: Vec<(Kind, u64)>,
    /// One in a million commands is of a session so often.
    session_ppm: u64,
    index: Index,
    term: Term,
    time_ms: u64,
}

impl Dice {
    /// Those of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let mut keys = KEYS.map(Bytes::from_static).to_vec();
        rng.shuffle(&mut keys);
        keys.truncate(2 + rng.place(6));
        let mut kinds = KINDS.to_vec();
        for (_, weight) in &mut kinds {
            *weight *= *rng.pick(&[0, 1, 2, 2, 4]).unwrap_or(&1);
        }
        // Without this one nothing would ever happen in some runs.
        kinds.push((Kind::Put, 5));
        Self {
            keys,
            kinds,
            session_ppm: *rng.pick(&[0, 0, 200_000, 700_000]).unwrap_or(&0),
            index: Index(0),
            term: Term(1),
            time_ms: 1_700_000_000_000,
            rng,
        }
    }

    /// Limits that are met.
    pub fn session_limits(&mut self) -> SessionLimits {
        SessionLimits {
            sessions_max: self.rng.between(1, 4),
            answer_bytes_max: self.rng.between(10, 1000),
            idle_ms_max: self.rng.between(1000, 60_000),
        }
    }

    /// The next entry of the log.
    pub fn entry(&mut self, now: &Sessions) -> Entry {
        // Entries without a command have an index, too.
        self.index = Index(self.index.0 + 1 + self.rng.below(5) / 4);
        self.term = Term(self.term.0 + self.rng.below(30) / 29);
        self.time_ms += self.rng.below(2000);
        let mut entry = Entry {
            index: self.index,
            term: self.term,
            // Another leader's clock may be behind.
            time_ms: self.time_ms - self.rng.below(3000) * self.rng.below(2),
            session: None,
            command: Some(self.command(&now.store)),
        };
        if self.rng.chance(self.session_ppm) {
            if now.clients.is_empty() || self.rng.below(8) == 0 {
                entry.command = None;
            }
            entry.session = Some(if entry.command.is_none() {
                Session::OPENING
            } else {
                self.session(now)
            });
        }
        entry
    }

    fn session(&mut self, now: &Sessions) -> Session {
        let stranger = (self.rng.below(self.index.0 + 2).max(1), 0);
        let client = self.rng.pick(&now.clients);
        let known = client.map_or(stranger, |client| (client.id, client.sequence));
        let (client, last) = if self.rng.below(20) == 0 {
            stranger
        } else {
            known
        };
        let sequence = match self.rng.below(10) {
            0..2 => last,
            2 => last.saturating_sub(1),
            3 => last + 3,
            _ => last + 1,
        };
        Session { client, sequence }
    }

    fn command(&mut self, store: &Reference) -> Command {
        let command = self.bare(store);
        self.allowed(command, store)
    }

    fn bare(&mut self, store: &Reference) -> Command {
        match self.kind() {
            Kind::Put => Command::Put(self.put(store)),
            Kind::Delete => Command::Delete(self.delete()),
            Kind::Txn => Command::Txn(self.txn(store)),
            Kind::Compact => Command::Compact(self.edge(store)),
            Kind::Grant => Command::Grant {
                id: self.grant_id(store),
                ttl_s: *self.rng.pick(&TTLS_S).unwrap_or(&1),
            },
            Kind::Revoke => Command::Revoke(self.lease(store)),
            Kind::Expire => Command::Expire {
                term: Term(self.term.0 - self.rng.below(6) / 5),
                // What is not applied yet was seen by nobody.
                known: Index(
                    self.index
                        .0
                        .saturating_sub(self.rng.below(4) * self.rng.below(8)),
                ),
                ids: (0..self.rng.below(4)).map(|_| self.lease(store)).collect(),
            },
            Kind::Raise => Command::Raise(self.member(), self.alarm()),
            Kind::Clear => {
                let raised = self.rng.pick(&store.alarms).copied();
                let (member, kind) = raised.unwrap_or((self.member(), self.alarm()));
                Command::Clear(member, kind)
            }
            Kind::Announce => Command::Announce(self.announcement()),
            Kind::Forget => Command::Forget(self.member()),
            Kind::Upgrade => Command::Upgrade(self.version(store)),
            Kind::Report => Command::Report(self.report()),
            Kind::Auth => Command::Auth(self.auth(store)),
        }
    }

    fn kind(&mut self) -> Kind {
        let all = self.kinds.iter().map(|(_, weight)| weight).sum();
        let mut drawn = self.rng.below(all);
        for (kind, weight) in &self.kinds {
            match drawn.checked_sub(*weight) {
                Some(rest) => drawn = rest,
                None => return *kind,
            }
        }
        unreachable!("less than all weights was drawn")
    }

    /// A revision where something begins or ends.
    pub fn edge(&mut self, store: &Reference) -> Revision {
        let (now, compacted) = (store.revision.0, store.compacted.0);
        Revision(match self.rng.below(24) {
            0 => 0,
            1 => 1,
            2..4 => compacted.saturating_sub(1),
            4..6 => compacted,
            6..8 => compacted + 1,
            8..10 => now - 1,
            10..12 => now,
            12 => now + 1,
            13 => now + 2,
            14 => i64::MAX.unsigned_abs(),
            _ => self.rng.between(compacted, now),
        })
    }

    /// Now, mostly.
    pub fn revision(&mut self, store: &Reference) -> Revision {
        if self.rng.below(3) > 0 {
            return Revision::NONE;
        }
        self.edge(store)
    }

    /// A lease that is there, mostly.
    pub fn lease(&mut self, store: &Reference) -> LeaseId {
        let known = self.rng.pick(&store.leases).map(|(id, _)| *id);
        let any = LeaseId(*self.rng.pick(&LEASES).unwrap_or(&0));
        match self.rng.below(20) {
            0 => LeaseId::NONE,
            1 => any,
            _ => known.unwrap_or(any),
        }
    }

    fn grant_id(&mut self, store: &Reference) -> LeaseId {
        match self.rng.below(10) {
            0..4 => LeaseId::NONE,
            4..9 => LeaseId(*self.rng.pick(&LEASES).unwrap_or(&1)),
            _ => self.lease(store),
        }
    }

    fn member(&mut self) -> NodeId {
        NodeId(self.rng.between(1, 3))
    }

    fn alarm(&mut self) -> AlarmKind {
        // With this one there is little else to see.
        let kinds = [AlarmKind::NoSpace, AlarmKind::Corrupt, AlarmKind::Corrupt];
        *self.rng.pick(&kinds).unwrap_or(&AlarmKind::NoSpace)
    }

    fn announcement(&mut self) -> Announcement {
        let member = self.member();
        Announcement {
            member,
            version: self.rng.between(1, VERSION_MAX).to_le_bytes()[0],
            name: format!("member-{member}"),
            client_urls: (0..self.rng.below(3))
                .map(|port| format!("http://h:{port}"))
                .collect(),
        }
    }

    fn version(&mut self, store: &Reference) -> u8 {
        if self.rng.below(4) == 0 {
            return store.version.saturating_sub(1);
        }
        self.rng
            .between(store.version.into(), VERSION_MAX)
            .to_le_bytes()[0]
    }

    fn report(&mut self) -> DigestReport {
        DigestReport {
            member: self.member(),
            index: Index(self.rng.below(14)),
            digest: self.rng.below(2),
            majority: self.rng.below(4).to_le_bytes()[0].into(),
        }
    }
}

/// Times to live, at etcd's limit and beyond.
const TTLS_S: [u64; 9] = [0, 1, 5, 60, 60, 600, 9_000_000_000, 9_000_000_001, u64::MAX];
