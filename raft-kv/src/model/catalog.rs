//! What there is little of, and is asked for often: alarms, members, reports of digests. It mirrors
//! rows.

use std::collections::{BTreeMap, BTreeSet};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use raft_core::port::PortError;
use raft_core::{Index, NodeId};

use super::damaged;
use crate::command::{Announcement, Command};
use crate::engine::{Direction, Family, Span, View};
use crate::types::AlarmKind;

/// Alarms, members and reports, as the rows have them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Catalog {
    /// What is wrong, with whom.
    pub alarms: BTreeSet<(AlarmKind, NodeId)>,
    /// What members said of themselves.
    pub members: BTreeMap<NodeId, Announcement>,
    /// What members reported of their states, by index: the latest few.
    pub reports: BTreeMap<Index, BTreeMap<NodeId, u64>>,
}

impl Catalog {
    /// Reads the rows.
    ///
    /// # Errors
    /// When they can't be read, or are none.
    pub fn load(view: &dyn View) -> Result<Self, PortError> {
        let mut catalog = Self::default();
        each(view, ALARM, |mut key, _| {
            let kind = alarm_of(key.try_get_u8().ok()?)?;
            catalog
                .alarms
                .insert((kind, NodeId(key.try_get_u64().ok()?)));
            Some(())
        })?;
        each(view, MEMBER, |mut key, row| {
            let Ok(Command::Announce(announcement)) = Command::decode(row) else {
                return None;
            };
            let member = NodeId(key.try_get_u64().ok()?);
            catalog.members.insert(member, announcement);
            Some(())
        })?;
        each(view, REPORT, |mut key, mut row| {
            let index = Index(key.try_get_u64().ok()?);
            let member = NodeId(key.try_get_u64().ok()?);
            let digest = row.try_get_u64_le().ok()?;
            catalog
                .reports
                .entry(index)
                .or_default()
                .insert(member, digest);
            Some(())
        })?;
        Ok(catalog)
    }

    /// Whether what takes room is to be refused.
    #[must_use]
    pub fn is_full(&self) -> bool {
        let mut alarms = self.alarms.iter();
        alarms.any(|(kind, _)| *kind == AlarmKind::NoSpace)
    }
}

const ALARM: &[u8] = b"alarm/";
const MEMBER: &[u8] = b"member/";
const REPORT: &[u8] = b"report/";

/// Gives `take` what follows the prefix in a key, and the row.
fn each(
    view: &dyn View,
    prefix: &'static [u8],
    mut take: impl FnMut(&[u8], Bytes) -> Option<()>,
) -> Result<(), PortError> {
    let span = Span::prefix(prefix);
    let mut cursor = view.scan(Family::Meta, &span, Direction::Ascending)?;
    while let Some((key, row)) = cursor.to_owned() {
        let taken = take(&key[prefix.len()..], row);
        taken.ok_or_else(|| damaged("no such row", &key))?;
        cursor.advance()?;
    }
    Ok(())
}

pub(super) fn alarm_key(kind: AlarmKind, member: NodeId) -> Bytes {
    let mut key = BytesMut::from(ALARM);
    key.put_u8(match kind {
        AlarmKind::NoSpace => 1,
        AlarmKind::Corrupt => 2,
    });
    key.put_u64(member.0);
    key.freeze()
}

const fn alarm_of(number: u8) -> Option<AlarmKind> {
    match number {
        1 => Some(AlarmKind::NoSpace),
        2 => Some(AlarmKind::Corrupt),
        _ => None,
    }
}

pub(super) fn member_key(member: NodeId) -> Bytes {
    let mut key = BytesMut::from(MEMBER);
    key.put_u64(member.0);
    key.freeze()
}

pub(super) fn report_key(index: Index, member: NodeId) -> Bytes {
    let mut key = BytesMut::from(REPORT);
    key.put_u64(index.0);
    key.put_u64(member.0);
    key.freeze()
}
