//! The suite for transports finds what is wrong with one: each of these is broken in one way.

use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard};

use bytes::Bytes;
use raft_core::conformance::{TransportFixture, transport};
use raft_core::port::{Inbox, Manifest, Parcel, PortError, Question, SnapshotSource, Transport};
use raft_core::{Membership, Message, NodeId, Position};
use raft_net::{UnreliableNet, UnreliableTransport};

/// What a transport does wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flaw {
    None,
    DoublesAsks,
    DoublesAnswers,
    LosesAnswers,
    LosesLarge,
    AltersCommands,
    AltersTerms,
    Misdirects,
    KeepsFirstInbox,
    IgnoresStop,
    HoldsInboxAfterStop,
    NeverStartsAgain,
    DiesOfUnknown,
    ForgetsWhoMoved,
    ReadsElsewhere,
    EndsFilesEarly,
    OpensTooOld,
    CopiesHalf,
    InventsFiles,
}

const FLAWS: [Flaw; 18] = [
    Flaw::DoublesAsks,
    Flaw::DoublesAnswers,
    Flaw::LosesAnswers,
    Flaw::LosesLarge,
    Flaw::AltersCommands,
    Flaw::AltersTerms,
    Flaw::Misdirects,
    Flaw::KeepsFirstInbox,
    Flaw::IgnoresStop,
    Flaw::HoldsInboxAfterStop,
    Flaw::NeverStartsAgain,
    Flaw::DiesOfUnknown,
    Flaw::ForgetsWhoMoved,
    Flaw::ReadsElsewhere,
    Flaw::EndsFilesEarly,
    Flaw::OpensTooOld,
    Flaw::CopiesHalf,
    Flaw::InventsFiles,
];

struct Broken {
    sound: UnreliableTransport,
    flaw: Flaw,
    life: Mutex<Life>,
}

/// What a broken transport remembers.
#[derive(Default)]
struct Life {
    inbox: Option<Arc<dyn Inbox>>,
    has_stopped: bool,
    is_dead: bool,
}

struct Fixture {
    flaw: Flaw,
    net: UnreliableNet,
    moved: Option<NodeId>,
}

impl Fixture {
    fn new(flaw: Flaw) -> Self {
        Self {
            flaw,
            net: UnreliableNet::new(0),
            moved: None,
        }
    }

    fn endpoint(&self, id: NodeId) -> Box<dyn Transport> {
        Box::new(Broken {
            sound: self.net.endpoint(format!("n{id}"), id),
            flaw: self.flaw,
            life: Mutex::default(),
        })
    }
}

impl TransportFixture for Fixture {
    fn fresh(&mut self, ids: &[NodeId]) -> Vec<Box<dyn Transport>> {
        self.net = UnreliableNet::new(0);
        self.moved = None;
        ids.iter().map(|id| self.endpoint(*id)).collect()
    }

    fn relocate(&mut self, id: NodeId) -> Box<dyn Transport> {
        self.moved = Some(id);
        if self.flaw == Flaw::ForgetsWhoMoved {
            self.net.isolate(&format!("n{id}"));
        }
        self.endpoint(id)
    }

    fn address(&self, id: NodeId) -> String {
        let moved = if self.moved == Some(id) { "-moved" } else { "" };
        format!("n{id}{moved}")
    }

    fn settle(&mut self, until: &mut dyn FnMut() -> bool) -> bool {
        until()
    }

    fn calm(&mut self) {}

    fn delivers_within_send(&self) -> bool {
        true
    }
}

impl Broken {
    fn life(&self) -> MutexGuard<'_, Life> {
        self.life.lock().expect("no panic")
    }

    /// What it makes of a parcel that it is to send.
    fn bend(&self, mut parcel: Parcel) -> Vec<Parcel> {
        let twice = match &mut parcel {
            Parcel::Consensus(envelope) => {
                if self.flaw == Flaw::AltersTerms {
                    envelope.term = envelope.term.next();
                }
                if self.flaw == Flaw::LosesLarge
                    && let Message::AppendEntries(append) = &envelope.message
                    && append.entries.weight() > 1 << 16
                {
                    return Vec::new();
                }
                false
            }
            Parcel::Ask(ask) => {
                if self.flaw == Flaw::AltersCommands
                    && let Question::Write { command, .. } = &mut ask.question
                {
                    *command = Bytes::from_static(b"another");
                }
                self.flaw == Flaw::DoublesAsks
            }
            Parcel::Answer(_) if self.flaw == Flaw::LosesAnswers => return Vec::new(),
            Parcel::Answer(_) => self.flaw == Flaw::DoublesAnswers,
        };
        let copies = if twice { 2 } else { 1 };
        vec![parcel; copies]
    }
}

impl Transport for Broken {
    fn start(&self, inbox: Arc<dyn Inbox>) -> Result<(), PortError> {
        let mut life = self.life();
        let is_first = life.inbox.is_none();
        if self.flaw == Flaw::KeepsFirstInbox && !is_first
            || self.flaw == Flaw::NeverStartsAgain && life.has_stopped
        {
            return Ok(());
        }
        if matches!(self.flaw, Flaw::KeepsFirstInbox | Flaw::HoldsInboxAfterStop) {
            life.inbox = Some(Arc::clone(&inbox));
        }
        if self.flaw == Flaw::Misdirects {
            return self.sound.start(Arc::new(Misdirected(inbox)));
        }
        self.sound.start(inbox)
    }

    fn stop(&self) {
        self.life().has_stopped = true;
        if self.flaw != Flaw::IgnoresStop {
            self.sound.stop();
        }
    }

    fn members(&self, members: &Membership) {
        self.sound.members(members);
    }

    fn send(&self, parcel: Parcel) {
        let to = match &parcel {
            Parcel::Consensus(envelope) => envelope.to,
            Parcel::Ask(ask) => ask.to,
            Parcel::Answer(answer) => answer.to,
        };
        if self.flaw == Flaw::DiesOfUnknown && to > NodeId(3) {
            self.life().is_dead = true;
        }
        if self.life().is_dead {
            return;
        }
        for parcel in self.bend(parcel) {
            self.sound.send(parcel);
        }
    }

    fn open_snapshot(
        &self,
        from: NodeId,
        last: Position,
    ) -> Result<Box<dyn SnapshotSource>, PortError> {
        let is_any_good = self.flaw == Flaw::OpensTooOld;
        let last = if is_any_good {
            Position::default()
        } else {
            last
        };
        let source = self.sound.open_snapshot(from, last)?;
        Ok(Box::new(BrokenSource(source, self.flaw)))
    }
}

/// Is given what is for another node, now and then.
struct Misdirected(Arc<dyn Inbox>);

impl Inbox for Misdirected {
    fn deliver(&self, parcel: Parcel) {
        if let Parcel::Consensus(envelope) = &parcel
            && envelope.term.0.is_multiple_of(7)
        {
            let mut other = envelope.clone();
            other.to = NodeId(1 + envelope.to.0 % 3);
            self.0.deliver(Parcel::Consensus(other));
        }
        self.0.deliver(parcel);
    }

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        self.0.open_snapshot()
    }
}

struct BrokenSource(Box<dyn SnapshotSource>, Flaw);

impl SnapshotSource for BrokenSource {
    fn manifest(&self) -> &Manifest {
        self.0.manifest()
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let size = self.manifest().find(name).map_or(0, |(_, file)| file.size);
        if self.1 == Flaw::EndsFilesEarly && offset + 1 >= size {
            return Ok(0);
        }
        let off = u64::from(self.1 == Flaw::ReadsElsewhere);
        self.0.read_at(name, offset.saturating_sub(off), buffer)
    }

    fn copy(&self, name: &str, to: &mut dyn Write) -> Result<(), PortError> {
        let mut copied = Vec::new();
        match (self.0.copy(name, &mut copied), self.1) {
            (Err(_), Flaw::InventsFiles) => return Ok(()),
            (Ok(()), Flaw::CopiesHalf) => copied.truncate(copied.len() / 2),
            (done, _) => done?,
        }
        to.write_all(&copied)
            .map_err(|source| PortError::io("copy", source))
    }
}

#[test]
fn a_sound_transport_passes() {
    transport(&mut Fixture::new(Flaw::None));
}

#[test]
fn every_flaw_is_found() {
    for flaw in FLAWS {
        let found = catch_unwind(AssertUnwindSafe(|| transport(&mut Fixture::new(flaw))));
        let panic = found.expect_err(&format!("{flaw:?} was not found"));
        let said = panic.downcast_ref::<String>().expect("a formatted message");
        assert!(said.starts_with("transport, "), "{flaw:?}: {said}");
    }
}
