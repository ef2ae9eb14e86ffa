//! What opening a directory answers when it is not this log's, or not whole, in its own words.
//!
//! This file knows where a header keeps its version, and nothing else of the formats.

use std::path::Path;
use std::sync::Arc;

use raft_core::port::LogStore;
use raft_core::sim::rng::Rng;
use raft_core::{GroupId, NodeId};
use raft_log::disk::OpenDirError;
use raft_log::{Finding, Identity, OpenError, Wal, WalConfig};
use raft_tests::crash_disk::CrashDisk;
use raft_tests::log_model::LogModel;

use crate::node::IDENTITY;

const GROUP: GroupId = GroupId(1);

/// A log that was founded and closed.
fn disk() -> CrashDisk {
    let disk = CrashDisk::default();
    let wal = open(&disk, IDENTITY).expect("an empty disk");
    let mut log = wal.group(GROUP).expect("a group");
    log.found(&LogModel::founding()).expect("founded");
    let write = LogModel::default().draw(&mut Rng::new(1), 100);
    log.write(&[write]).expect("written");
    disk
}

fn open(disk: &CrashDisk, identity: Identity) -> Result<Wal, OpenError> {
    let config = WalConfig {
        segment_bytes: 4096,
        preparation: raft_log::Preparation::Growing,
        ..WalConfig::default()
    };
    Wal::open(Arc::new(disk.clone()), identity, config)
}

/// The error with which the disk is refused, as text. Nothing on it may have changed.
fn refused(disk: &CrashDisk, identity: Identity) -> String {
    let content = |disk: &CrashDisk| {
        let files = disk.files().into_iter();
        files
            .map(|path| (disk.content(&path), path))
            .collect::<Vec<_>>()
    };
    let before = content(disk);
    let error = open(disk, identity).err().expect("it must be refused");
    assert!(content(disk) == before, "a refused directory was changed");
    error.to_string()
}

fn segment(disk: &CrashDisk) -> std::path::PathBuf {
    let mut files = disk.files();
    files.retain(|path| path.extension().is_some_and(|suffix| suffix == "wal"));
    files.pop().expect("a segment")
}

/// Gives a header another version, and the checksum that goes with it.
fn set_version(disk: &CrashDisk, path: &Path, size: usize) {
    let damaged = disk.damage(path, |bytes| {
        bytes[8] = 9;
        let checked: Vec<u8> = bytes[..12]
            .iter()
            .chain(&bytes[16..size])
            .copied()
            .collect();
        bytes[12..16].copy_from_slice(&crc32c(&checked).to_le_bytes());
    });
    damaged.expect("there");
}

/// Castagnoli's, bit by bit.
fn crc32c(bytes: &[u8]) -> u32 {
    let step = |crc: u32, _| (crc >> 1) ^ (0x82f6_3b78 * (crc & 1));
    let take = |crc: u32, byte: &u8| (0..8).fold(crc ^ u32::from(*byte), step);
    !bytes.iter().fold(!0, take)
}

#[test]
fn a_foreign_directory_is_refused() {
    let other_node = Identity {
        node: NodeId(2),
        ..IDENTITY
    };
    let said = refused(&disk(), other_node);
    assert!(
        said.contains("belongs to node 1 of cluster 7, not to node 2"),
        "{said}"
    );
    let other_cluster = Identity {
        cluster: 8,
        ..IDENTITY
    };
    let said = refused(&disk(), other_cluster);
    assert!(said.contains("not to node 1 of cluster 8"), "{said}");
}

#[test]
fn a_later_version_is_refused() {
    let identity = disk();
    set_version(&identity, Path::new("identity"), 40);
    let said = refused(&identity, IDENTITY);
    assert!(said.contains("identity is of version 9"), "{said}");
    let segments = disk();
    set_version(&segments, &segment(&segments), 64);
    let said = refused(&segments, IDENTITY);
    assert!(said.contains(".wal is of version 9"), "{said}");
}

#[test]
fn an_owner_that_nothing_names_is_not_made_up() {
    let disk = disk();
    disk.lose(Path::new("identity")).expect("there");
    let wal = open(&disk, IDENTITY).expect("the segments name the owner");
    assert_eq!(wal.report().findings, [Finding::IdentityRebuilt]);
    drop(wal);
    disk.lose(Path::new("identity")).expect("there again");
    disk.damage(&segment(&disk), |bytes| bytes[20] ^= 1)
        .expect("there");
    let said = refused(&disk, IDENTITY);
    assert!(
        said.contains("nothing else in this directory says whose it is"),
        "{said}"
    );
}

#[test]
fn a_missing_watermark_is_said() {
    let disk = disk();
    disk.lose(Path::new("watermark")).expect("there");
    let wal = open(&disk, IDENTITY).expect("the log is whole");
    assert_eq!(wal.report().findings, [Finding::WatermarkMissing]);
    assert!(wal.report().has_loss());
}

#[test]
fn a_second_process_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let first = Wal::open_dir(dir.path(), IDENTITY, WalConfig::default()).expect("opens");
    let second = Wal::open_dir(dir.path(), IDENTITY, WalConfig::default());
    let is_locked = |error| matches!(error, OpenError::Dir(OpenDirError::Locked { .. }));
    assert!(second.err().is_some_and(is_locked));
    drop(first);
    Wal::open_dir(dir.path(), IDENTITY, WalConfig::default()).expect("free again");
}
