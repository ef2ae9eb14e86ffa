//! Lines that etcdctl's formats `simple` and `fields` have in common. Keys and values may be any
//! bytes, so lines are bytes. It does not know where they go.

use std::fmt::Display;

use super::quote::{escaped, quoted};
use crate::pb::etcdserverpb::ResponseHeader;
use crate::pb::mvccpb::KeyValue;

/// Lines.
#[derive(Debug)]
pub(super) struct Text {
    bytes: Vec<u8>,
    is_hex: bool,
}

/// Whether a pair's key is printed before its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pairs {
    Whole,
    Values,
}

impl Text {
    pub(super) const fn new(is_hex: bool) -> Self {
        let bytes = Vec::new();
        Self { bytes, is_hex }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    pub(super) fn line(&mut self, line: impl AsRef<[u8]>) {
        self.bytes.extend_from_slice(line.as_ref());
        self.bytes.push(b'\n');
    }

    /// `simple`: key and value, a line each.
    pub(super) fn pair(&mut self, pair: &KeyValue, pairs: Pairs) {
        if pairs == Pairs::Whole {
            self.either(&pair.key);
        }
        self.either(&pair.value);
    }

    fn either(&mut self, bytes: &[u8]) {
        if self.is_hex {
            self.line(escaped(bytes));
        } else {
            self.line(bytes);
        }
    }

    /// `fields`: a name and what it is.
    pub(super) fn field(&mut self, name: &str, value: impl Display) {
        self.line(format!("\"{name}\" : {value}"));
    }

    /// `fields`: a name and the bytes it is.
    pub(super) fn quoted(&mut self, name: &str, value: impl AsRef<[u8]>) {
        self.field(name, quoted(value.as_ref()));
    }

    /// `fields`: a member's or a cluster's id.
    pub(super) fn id(&mut self, name: &str, id: u64) {
        if self.is_hex {
            self.field(name, format_args!("{id:x}"));
        } else {
            self.field(name, id);
        }
    }

    /// `fields`: a lease's id.
    pub(super) fn lease(&mut self, name: &str, id: i64) {
        if self.is_hex {
            self.field(name, format_args!("{id:016x}"));
        } else {
            self.field(name, id);
        }
    }

    /// `fields`: what every answer begins with. The revision says nothing where it is zero: not
    /// every answer is about keys.
    pub(super) fn header(&mut self, header: Option<&ResponseHeader>) {
        let header = header.copied().unwrap_or_default();
        self.id("ClusterID", header.cluster_id);
        self.id("MemberID", header.member_id);
        if header.revision > 0 {
            self.field("Revision", header.revision);
        }
        self.field("RaftTerm", header.raft_term);
    }

    /// `fields`: a pair. `prefix` tells earlier pairs from later ones.
    pub(super) fn pair_fields(&mut self, prefix: &str, pair: &KeyValue) {
        self.quoted(&format!("{prefix}Key"), &pair.key);
        self.field(&format!("{prefix}CreateRevision"), pair.create_revision);
        self.field(&format!("{prefix}ModRevision"), pair.mod_revision);
        self.field(&format!("{prefix}Version"), pair.version);
        self.quoted(&format!("{prefix}Value"), &pair.value);
        self.lease(&format!("{prefix}Lease"), pair.lease);
    }
}
