//! What a log once lost, each in as few steps as it takes.
//!
//! This file does not know how it was found.

use std::sync::Arc;

use bytes::Bytes;
use raft_core::event::Write;
use raft_core::port::{LogStore, PortError};
use raft_core::types::WriteId;
use raft_core::{Entry, GroupId, HardState, Index, Payload, Position, SnapshotMeta, Term};
use raft_log::{Preparation, Wal, WalConfig, WalLog};
use raft_tests::crash_disk::{Crash, CrashDisk, Fault};
use raft_tests::log_model::LogModel;

use crate::node::IDENTITY;

fn open(disk: &CrashDisk) -> (Wal, WalLog) {
    let config = WalConfig {
        segment_bytes: 4096,
        spares_max: 0,
        preparation: Preparation::Growing,
        snapshots_retained: 1,
        ..WalConfig::default()
    };
    let wal = Wal::open(Arc::new(disk.clone()), IDENTITY, config).expect("opens");
    let log = wal.group(GroupId(1)).expect("a group");
    (wal, log)
}

/// A founded log without entries, of term 1.
fn founded() -> (CrashDisk, WalLog) {
    let disk = CrashDisk::default();
    let (_, mut log) = open(&disk);
    log.found(&LogModel::founding()).expect("founded");
    let hard_state = HardState {
        term: Term(1),
        vote: None,
    };
    let write = Write {
        id: WriteId(1),
        hard_state: Some(hard_state),
        ..Write::default()
    };
    log.write(&[write]).expect("written");
    (disk, log)
}

fn append(log: &mut WalLog, index: Index) -> Result<(), PortError> {
    let entry = Entry {
        term: Term(1),
        index,
        payload: Payload::Command(Bytes::from(vec![7; 1000])),
    };
    let write = Write {
        id: WriteId(index.0 + 1),
        entries: [entry].into_iter().collect(),
        ..Write::default()
    };
    log.write(&[write])
}

/// A process dies between two operations, the next one goes on where it was, and the power goes.
#[test]
fn what_is_written_after_a_kill_survives_a_power_cut() {
    let mut lost = Vec::new();
    for after in 0..40 {
        let (disk, mut log) = founded();
        disk.inject(Fault::Dead(disk.operations() + after));
        let last = (1..=12)
            .map(Index)
            .take_while(|index| append(&mut log, *index).is_ok());
        let _ = last.count();
        let disk = disk.moment().kill();
        let (_, mut log) = open(&disk);
        let last = log.recover().expect("recovered").last.next();
        append(&mut log, last).expect("acknowledged");
        let (_, mut log) = open(&disk.crash(Crash::AllLost));
        let found = log.recover().expect("recovered");
        if found.last != last {
            lost.push((after, last, found.last, found.lost));
        }
    }
    assert!(
        lost.is_empty(),
        "(killed after, acknowledged, found, said to be lost): {lost:?}"
    );
}

/// Several segments are dropped at once, and the power goes: names may go in any order.
#[test]
fn segments_dropped_in_any_order_are_no_damage() {
    let (disk, mut log) = founded();
    for index in 1..=20 {
        append(&mut log, Index(index)).expect("written");
    }
    let meta = SnapshotMeta {
        last: Position::new(Term(1), Index(20)),
        ..LogModel::founding().snapshot
    };
    let sink = log.create_snapshot(Arc::new(meta)).expect("begun");
    sink.finish().expect("finished");
    disk.record();
    log.purge(Index(20)).expect("purged");
    for (at, moment) in disk.moments().into_iter().enumerate() {
        for seed in 0..20 {
            let (wal, mut log) = open(&moment.crash(Crash::Scattered(seed)));
            let found = log.recover().expect("recovered");
            let findings = wal.report().findings;
            assert!(
                !found.lost && found.last == Index(20),
                "moment {at}, {seed}: {findings:?}"
            );
        }
    }
}
