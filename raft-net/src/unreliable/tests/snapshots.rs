//! A snapshot that is read through the network, and what breaks it.

use raft_core::port::{Manifest, PortErrorKind, SnapshotFile};
use raft_core::{Index, Position, SnapshotMeta};

use super::*;

const LAST: Position = Position::new(Term(2), Index(9));

/// Has a snapshot of one file.
struct Owner;

struct Source(Manifest);

impl Inbox for Owner {
    fn deliver(&self, _: Parcel) {}

    fn open_snapshot(&self) -> Result<Box<dyn SnapshotSource>, PortError> {
        let meta = SnapshotMeta {
            last: LAST,
            ..SnapshotMeta::default()
        };
        Ok(Box::new(Source(Manifest {
            meta: Arc::new(meta),
            files: vec![SnapshotFile {
                name: "state".to_owned(),
                size: 5,
                hash: 0,
            }],
        })))
    }
}

impl SnapshotSource for Source {
    fn manifest(&self) -> &Manifest {
        &self.0
    }

    fn read_at(&self, _: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let rest = &b"state"[usize::try_from(offset).expect("small")..];
        let count = rest.len().min(buffer.len());
        buffer[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn copy(&self, _: &str, to: &mut dyn io::Write) -> Result<(), PortError> {
        to.write_all(b"state").expect("memory");
        Ok(())
    }
}

/// A reader, and an owner of a snapshot.
fn pair(net: &UnreliableNet) -> (Node, UnreliableTransport) {
    let owner = net.endpoint("b", NodeId(2));
    owner.start(Arc::new(Owner)).expect("it is new");
    (node(net, "a", 1), owner)
}

fn open(reader: &Node, last: Position) -> Result<Box<dyn SnapshotSource>, PortError> {
    reader.transport.open_snapshot(NodeId(2), last)
}

fn read(source: &dyn SnapshotSource) -> Result<Vec<u8>, PortError> {
    let mut copied = Vec::new();
    source.copy("state", &mut copied)?;
    let mut part = [0; 8];
    let count = source.read_at("state", 2, &mut part)?;
    assert_eq!(&part[..count], &copied[2..]);
    Ok(copied)
}

#[test]
fn a_snapshot_is_read_from_its_owner() {
    let net = UnreliableNet::new(3);
    let (reader, _owner) = pair(&net);
    let source = open(&reader, LAST).expect("it is new enough");
    assert_eq!(source.manifest().meta.last, LAST);
    assert_eq!(read(&*source).expect("reads"), b"state");
}

#[test]
fn a_snapshot_that_is_too_old_or_not_there_is_an_error() {
    let net = UnreliableNet::new(3);
    let (reader, owner) = pair(&net);
    let later = Position::new(Term(2), Index(10));
    let check = |from: u64, last| {
        let opened = reader.transport.open_snapshot(NodeId(from), last);
        let error = opened.err().expect("nobody has it");
        assert_eq!(error.kind, PortErrorKind::Broken, "{error}");
    };
    check(2, later);
    check(3, LAST);
    owner.stop();
    check(2, LAST);
}

#[test]
fn a_cut_in_either_direction_breaks_a_transfer() {
    let net = UnreliableNet::new(3);
    let (reader, _owner) = pair(&net);
    for (from, to) in [("a", "b"), ("b", "a")] {
        let source = open(&reader, LAST).expect("nothing is cut");
        net.cut(from, to);
        assert!(read(&*source).is_err(), "{from} to {to} is cut");
        assert!(open(&reader, LAST).is_err(), "{from} to {to} is cut");
        net.heal();
        assert!(read(&*source).is_ok());
    }
}

#[test]
fn a_transfer_breaks_when_its_owner_starts_again() {
    let net = UnreliableNet::new(3);
    let (reader, owner) = pair(&net);
    let source = open(&reader, LAST).expect("it is there");
    owner.stop();
    owner.start(Arc::new(Owner)).expect("it was stopped");
    assert!(read(&*source).is_err());
    assert!(open(&reader, LAST).is_ok());
}

#[test]
fn calls_of_a_transfer_are_lost_as_parcels_are() {
    let net = UnreliableNet::new(3);
    let (reader, _owner) = pair(&net);
    let source = open(&reader, LAST).expect("nothing is lost yet");
    net.set_faults(Faults {
        loss_per_mille: 300,
        ..Faults::default()
    });
    let mut failed = 0;
    for _ in 0..1000 {
        let done = source.read_at("state", 0, &mut [0; 8]);
        failed += u64::from(done.is_err());
    }
    assert!((200..400).contains(&failed), "{failed}");
}
