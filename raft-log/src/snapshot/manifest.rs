//! The manifest of a snapshot as it lies on the disk. Version 1.
//!
//! ```text
//!  offset  bytes
//!       0      8  magic, "RAFTSNAP"
//!       8      4  version, 1
//!      12      8  length of the whole manifest, from the magic to the checksum
//!      20      4  how many files
//!      24     16  the last entry included: term, index (8 bytes each)
//!      40      8  index of the entry that brought the membership
//!      48      .  membership:
//!                   count (4), then a member: id (8), incarnation (8), priority (1),
//!                     address (length in 4, then its text)
//!                   voters, outgoing, leaving, each: count (4), then ids (8 each)
//!       .      .  a file, in the order of their names:
//!                   name (length in 4, then its text), size (8), xxh3-64 of its content (8)
//!   end-4      4  CRC32C over all before it
//! ```
//!
//! All numbers are little-endian. Magic, version, length and checksum stay where they are in every
//! version to come; so a manifest of a later version is told from a damaged one. This file knows no
//! disk.

use std::sync::Arc;

use raft_core::port::{Manifest, PortError, SnapshotFile};

use crate::codec::{Decoder, Encoder};

const MAGIC: &[u8; 8] = b"RAFTSNAP";
const VERSION: u32 = 1;
const LENGTH_AT: usize = 12;
/// Magic, version and length.
const HEAD_BYTES: usize = 20;
const CHECKSUM_BYTES: usize = 4;

/// What the manifest is called among the files of a snapshot. No file may be called so.
pub(super) const MANIFEST_NAME: &str = "MANIFEST";

/// How long a manifest may be: that of tens of thousands of files is shorter.
pub const MANIFEST_BYTES_MAX: usize = 32 << 20;

/// Why bytes are no manifest, or a manifest is none to accept.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    /// It does not begin as a manifest does, or is too short or too long for one.
    #[error("this is no manifest of a snapshot")]
    Foreign,
    /// It says another length than it has.
    #[error("the manifest says it has {said} bytes, and has {found}")]
    Length {
        /// What it says.
        said: u64,
        /// What there is.
        found: u64,
    },
    /// It differs from its checksum.
    #[error("the manifest differs from its checksum")]
    Checksum,
    /// It is whole, and of a version that this program does not know.
    #[error("the manifest is of version {0}; this program knows version {VERSION} only")]
    UnknownVersion(u32),
    /// Its values can't be what was written.
    #[error("the manifest can't be decoded")]
    Malformed,
    /// A file has a name that none may have.
    #[error("the manifest names a file {0:?}, which is no file name")]
    Name(String),
    /// A name is there twice, or not in order.
    #[error("the manifest names the file {0} twice, or out of order")]
    Order(String),
    /// No disk holds that much.
    #[error("the files of the manifest are larger than can be")]
    Size,
}

impl ManifestError {
    /// A version that is not known is no damage: whoever comes from a later program must not lose
    /// what that one wrote.
    pub(super) fn at(self, place: &str) -> PortError {
        let context = format!("{place}: {self}");
        match self {
            Self::UnknownVersion(_) => PortError::misused(context),
            Self::Foreign
            | Self::Length { .. }
            | Self::Checksum
            | Self::Malformed
            | Self::Name(_)
            | Self::Order(_)
            | Self::Size => PortError::damaged(context),
        }
    }
}

/// The bytes of a manifest.
#[must_use]
pub fn encode_manifest(manifest: &Manifest) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    let mut encoder = Encoder(&mut bytes);
    encoder.u32(VERSION);
    encoder.u64(0);
    encoder.count(manifest.files.len());
    encoder.snapshot_meta(&manifest.meta);
    for file in &manifest.files {
        encoder.text(&file.name);
        encoder.u64(file.size);
        encoder.u64(file.hash);
    }
    let length = (bytes.len() + CHECKSUM_BYTES) as u64;
    bytes[LENGTH_AT..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
    let checksum = crc32c::crc32c(&bytes);
    Encoder(&mut bytes).u32(checksum);
    bytes
}

/// The manifest that these bytes are.
///
/// # Errors
/// When they are not exactly what [`encode_manifest`] makes of an acceptable one.
pub fn decode_manifest(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let body = decode_frame(bytes)?;
    let manifest = decode_body(body).ok_or(ManifestError::Malformed)?;
    check_manifest(&manifest)?;
    // One manifest has one form; so equal manifests are equal bytes, and the other way round.
    if encode_manifest(&manifest) != bytes {
        return Err(ManifestError::Malformed);
    }
    Ok(manifest)
}

/// Whether a manifest is one to accept, whoever made it.
pub(super) fn check_manifest(manifest: &Manifest) -> Result<(), ManifestError> {
    let mut size = 0_u64;
    let mut before = None;
    for file in &manifest.files {
        if !is_free_name(&file.name) {
            return Err(ManifestError::Name(file.name.clone()));
        }
        if before.is_some_and(|before| before >= file.name.as_str()) {
            return Err(ManifestError::Order(file.name.clone()));
        }
        size = size.checked_add(file.size).ok_or(ManifestError::Size)?;
        before = Some(file.name.as_str());
    }
    // Disks count in signed numbers.
    if size > i64::MAX as u64 {
        return Err(ManifestError::Size);
    }
    Ok(())
}

/// Whether a file of a snapshot may be called so.
pub(super) fn is_free_name(name: &str) -> bool {
    SnapshotFile::is_name(name) && name != MANIFEST_NAME
}

/// What lies between the head and the checksum. The version is looked at last: only bytes that are
/// whole say which one they are.
fn decode_frame(bytes: &[u8]) -> Result<&[u8], ManifestError> {
    let least = HEAD_BYTES + CHECKSUM_BYTES;
    if !bytes.starts_with(MAGIC) || !(least..=MANIFEST_BYTES_MAX).contains(&bytes.len()) {
        return Err(ManifestError::Foreign);
    }
    let (covered, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    let mut head = Decoder(&covered[MAGIC.len()..]);
    let version = head.u32().ok_or(ManifestError::Foreign)?;
    let said = head.u64().ok_or(ManifestError::Foreign)?;
    let found = bytes.len() as u64;
    if said != found {
        return Err(ManifestError::Length { said, found });
    }
    if Decoder(checksum).u32() != Some(crc32c::crc32c(covered)) {
        return Err(ManifestError::Checksum);
    }
    if version != VERSION {
        return Err(ManifestError::UnknownVersion(version));
    }
    Ok(head.0)
}

fn decode_body(body: &[u8]) -> Option<Manifest> {
    let mut decoder = Decoder(body);
    let count = decoder.count()?;
    let meta = Arc::new(decoder.snapshot_meta()?);
    // No room is made in advance: the count may promise more than there is.
    let mut files = Vec::new();
    for _ in 0..count {
        files.push(SnapshotFile {
            name: decoder.text()?,
            size: decoder.u64()?,
            hash: decoder.u64()?,
        });
    }
    decoder.end()?;
    Some(Manifest { meta, files })
}

#[cfg(test)]
mod tests {
    use super::*;
    use raft_core::types::{Index, NodeId, Position, Term};
    use raft_core::{Member, Membership, SnapshotMeta};

    fn file(name: &str, size: u64) -> SnapshotFile {
        SnapshotFile {
            name: name.to_owned(),
            size,
            hash: 7,
        }
    }

    fn sample(files: Vec<SnapshotFile>) -> Manifest {
        let members = [(NodeId(1), Member::at("one:2380"))];
        Manifest {
            meta: Arc::new(SnapshotMeta {
                last: Position::new(Term(3), Index(70)),
                membership: Arc::new(Membership::of_voters(members)),
                membership_index: Index(4),
            }),
            files,
        }
    }

    /// Gives altered bytes the length and the checksum that belong to them.
    fn sealed(mut bytes: Vec<u8>) -> Vec<u8> {
        let covered = bytes.len() - CHECKSUM_BYTES;
        let length = bytes.len() as u64;
        bytes[LENGTH_AT..HEAD_BYTES].copy_from_slice(&length.to_le_bytes());
        let checksum = crc32c::crc32c(&bytes[..covered]);
        bytes[covered..].copy_from_slice(&checksum.to_le_bytes());
        bytes
    }

    #[test]
    fn a_manifest_survives() {
        for files in [
            vec![],
            vec![file("a", 0)],
            vec![file("a", 1), file("b.sst", 1 << 40)],
        ] {
            let manifest = sample(files);
            assert_eq!(
                decode_manifest(&encode_manifest(&manifest)),
                Ok(manifest.clone())
            );
        }
    }

    #[test]
    fn the_head_is_frozen() {
        let bytes = encode_manifest(&sample(vec![]));
        assert_eq!(&bytes[..12], b"RAFTSNAP\x01\0\0\0");
        assert_eq!(bytes[12..20], (bytes.len() as u64).to_le_bytes());
        assert_eq!(bytes[24..32], 3_u64.to_le_bytes());
        assert_eq!(bytes[32..40], 70_u64.to_le_bytes());
        assert_eq!(bytes[40..48], 4_u64.to_le_bytes());
    }

    #[test]
    fn no_part_and_no_altered_bit_passes() {
        let bytes = encode_manifest(&sample(vec![file("a", 1), file("b", 2)]));
        for length in 0..bytes.len() {
            assert!(
                decode_manifest(&bytes[..length]).is_err(),
                "{length} bytes of it"
            );
        }
        for bit in 0..bytes.len() * 8 {
            let mut altered = bytes.clone();
            altered[bit / 8] ^= 1 << (bit % 8);
            let error = decode_manifest(&altered).expect_err("altered");
            assert!(
                !matches!(error, ManifestError::UnknownVersion(_)),
                "bit {bit} is damage"
            );
        }
    }

    #[test]
    fn a_later_version_is_no_damage() {
        let mut bytes = encode_manifest(&sample(vec![]));
        bytes[8] = 2;
        let error = decode_manifest(&sealed(bytes)).expect_err("unknown");
        assert_eq!(error, ManifestError::UnknownVersion(2));
    }

    #[test]
    fn what_follows_is_refused() {
        let mut bytes = encode_manifest(&sample(vec![file("a", 1)]));
        bytes.push(0);
        assert!(matches!(
            decode_manifest(&bytes),
            Err(ManifestError::Length { .. })
        ));
        assert_eq!(
            decode_manifest(&sealed(bytes)),
            Err(ManifestError::Malformed)
        );
    }

    #[test]
    fn a_huge_count_is_refused_without_memory() {
        let mut bytes = encode_manifest(&sample(vec![file("a", 1)]));
        bytes[20..24].copy_from_slice(&u32::MAX.to_le_bytes());
        assert_eq!(
            decode_manifest(&sealed(bytes)),
            Err(ManifestError::Malformed)
        );
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let long = "x".repeat(256);
        for name in [
            "",
            ".",
            "..",
            "../a",
            "a/b",
            "/etc/passwd",
            ".partial-0",
            "MANIFEST",
            "a\0",
            &long,
        ] {
            let bytes = encode_manifest(&sample(vec![file(name, 1)]));
            assert_eq!(
                decode_manifest(&bytes),
                Err(ManifestError::Name(name.to_owned()))
            );
        }
    }

    #[test]
    fn names_out_of_order_and_sizes_beyond_measure_are_refused() {
        let decoded = |files| decode_manifest(&encode_manifest(&sample(files)));
        let order = |name: &str| Err(ManifestError::Order(name.to_owned()));
        assert_eq!(decoded(vec![file("b", 1), file("a", 1)]), order("a"));
        assert_eq!(decoded(vec![file("a", 1), file("a", 1)]), order("a"));
        let huge = vec![file("a", u64::MAX), file("b", 1)];
        assert_eq!(decoded(huge), Err(ManifestError::Size));
    }
}
