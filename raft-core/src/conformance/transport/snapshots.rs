//! Cases: the snapshot of another node, read over the network.

use std::sync::Arc;

use super::Case;
use super::record::{Image, Record};
use super::stand::{A, B, C, Stand};
use crate::entry::SnapshotMeta;
use crate::membership::{Member, Membership};
use crate::port::{Manifest, SnapshotFile, SnapshotSource};
use crate::types::{Index, NodeId, Position, Term};

pub(super) const CASES: &[Case] = &[
    ("a snapshot is read as its owner has it", read),
    ("a snapshot that nobody has is an error", absent),
    ("the newest snapshot is opened", newest),
    ("a node that has stopped serves no snapshot", owner_stops),
];

const FILES: [(&str, usize); 3] = [("a.sst", 3000), ("empty", 0), ("state", 700_000)];

fn content(size: usize) -> Vec<u8> {
    (0..size).map(|place| (place % 251) as u8).collect()
}

fn image(last: u64) -> Arc<Image> {
    let files = FILES.map(|(name, size)| SnapshotFile {
        name: name.to_owned(),
        size: size as u64,
        // No transport knows which checksum it is.
        hash: u64::MAX - size as u64,
    });
    let meta = SnapshotMeta {
        last: position(last),
        membership: Arc::new(Membership::of_voters([(B, Member::at("höst:1"))])),
        membership_index: Index(1),
    };
    Arc::new(Image {
        manifest: Manifest {
            meta: Arc::new(meta),
            files: files.to_vec(),
        },
        contents: FILES.map(|(_, size)| content(size)).to_vec(),
    })
}

const fn position(index: u64) -> Position {
    Position::new(Term(2), Index(index))
}

/// Three nodes, of which the second has a snapshot that ends here.
fn offered(stand: &mut Stand, last: u64) -> Arc<Record> {
    let [_, inbox, _] = stand.start_all();
    inbox.offer(image(last));
    stand.reach(A, B, &inbox);
    inbox
}

fn open(stand: &Stand, last: u64) -> Box<dyn SnapshotSource> {
    stand.retry("open the snapshot", || {
        stand.transport(A).open_snapshot(B, position(last))
    })
}

fn read(stand: &mut Stand) {
    let _inbox = offered(stand, 9);
    let source = open(stand, 9);
    stand.check(
        *source.manifest() == image(9).manifest,
        "the manifest is another",
    );
    for (name, size) in FILES {
        let expected = content(size);
        let copied = stand.retry("copy a file", || {
            let mut copied = Vec::new();
            source.copy(name, &mut copied).map(|()| copied)
        });
        stand.check(copied == expected, &format!("{name} is copied wrongly"));
        for offset in [0, 1, size / 2, size.saturating_sub(1), size, size + 5] {
            read_part(stand, &*source, (name, &expected), offset);
        }
        read_whole(stand, &*source, (name, &expected));
    }
    let missing = source.copy("absent", &mut Vec::new());
    stand.check(missing.is_err(), "a file that is not there is copied");
    let missing = source.read_at("absent", 0, &mut [0; 8]);
    stand.check(missing.is_err(), "a file that is not there is read");
    let again = open(stand, 1);
    read_whole(stand, &*again, ("a.sst", &content(3000)));
}

/// What is read is what lies there. Less than fits may come, nothing only at the end.
fn read_part(
    stand: &Stand,
    source: &dyn SnapshotSource,
    (name, content): (&str, &[u8]),
    offset: usize,
) -> usize {
    let mut buffer = vec![0; 100_000];
    let count = stand.retry("read a part", || {
        source.read_at(name, offset as u64, &mut buffer)
    });
    let rest = content.get(offset..).unwrap_or_default();
    let is_right = count <= rest.len() && buffer[..count] == rest[..count];
    let at = format!("{name} at {offset}");
    stand.check(is_right, &format!("{at} is read wrongly"));
    stand.check(count > 0 || rest.is_empty(), &format!("{at} seems to end"));
    count
}

fn read_whole(stand: &Stand, source: &dyn SnapshotSource, file: (&str, &[u8])) {
    let mut offset = 0;
    loop {
        let count = read_part(stand, source, file, offset);
        if count == 0 {
            return;
        }
        offset += count;
    }
}

fn absent(stand: &mut Stand) {
    let _inbox = offered(stand, 9);
    let check = |from: NodeId, last, what: &str| {
        let opened = stand.transport(A).open_snapshot(from, position(last));
        stand.check(opened.is_err(), &format!("{what} is opened"));
    };
    check(C, 1, "the snapshot of a node that has none");
    check(NodeId(77), 1, "the snapshot of a node that is not there");
    check(B, 10, "a snapshot older than the one that was asked for");
}

fn newest(stand: &mut Stand) {
    let inbox = offered(stand, 9);
    let before = open(stand, 9);
    inbox.offer(image(12));
    let after = open(stand, 10);
    for (source, last) in [(&before, 9), (&after, 12)] {
        let found = source.manifest().meta.last;
        let expected = position(last);
        stand.check(
            found == expected,
            &format!("{found} is opened, not {expected}"),
        );
        read_whole(stand, &**source, ("a.sst", &content(3000)));
    }
}

fn owner_stops(stand: &mut Stand) {
    let inbox = offered(stand, 9);
    let source = open(stand, 9);
    stand.transport(B).stop();
    let opened = stand.transport(A).open_snapshot(B, position(9));
    stand.check(opened.is_err(), "the snapshot of a stopped node is opened");
    drop((source, opened));
    stand.wait("to let go of the inbox", || Arc::strong_count(&inbox) == 1);
}
