//! The file that `snapshot save` writes, by whichever client: a backup, sealed the way that etcd's
//! clients check.
//!
//! | what | |
//! | --- | --- |
//! | backup | as [`raft_kv::backup`] writes it |
//! | zeros | as many as it takes |
//! | footer | the 8 bytes `RAFTSNAP`, and the length of the backup in 8 bytes, little-endian |
//! | checksum | SHA-256 of all before, 32 bytes beyond a multiple of 512 |
//!
//! It does not know what is in the backup.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use anyhow::{Context, Result, bail};
use sha2::{Digest, Sha256};

const MAGIC: &[u8; 8] = b"RAFTSNAP";
const FOOTER_BYTES: u64 = 16;
const BLOCK_BYTES: u64 = 512;
/// What a snapshot ends with.
pub(crate) const CHECKSUM_BYTES: usize = 32;

/// Whether a snapshot that ends after so many bytes could be whole, whoever wrote it.
pub(crate) const fn may_be_whole(bytes: u64) -> bool {
    bytes % BLOCK_BYTES == CHECKSUM_BYTES as u64
}

/// Writes a backup through to its destination, and seals it.
pub(crate) struct Sealer<W> {
    to: W,
    hash: Sha256,
    bytes: u64,
}

impl<W: Write> Sealer<W> {
    /// To there.
    pub(crate) fn new(to: W) -> Self {
        Self {
            to,
            hash: Sha256::new(),
            bytes: 0,
        }
    }

    /// Ends it; returns where it went.
    pub(crate) fn seal(mut self) -> io::Result<W> {
        let backup = self.bytes;
        let zeros = (BLOCK_BYTES - (backup + FOOTER_BYTES) % BLOCK_BYTES) % BLOCK_BYTES;
        for _ in 0..zeros {
            self.write_all(&[0])?;
        }
        self.write_all(MAGIC)?;
        self.write_all(&backup.to_le_bytes())?;
        let Self { mut to, hash, .. } = self;
        to.write_all(&hash.finalize())?;
        to.flush()?;
        Ok(to)
    }
}

impl<W: Write> Write for Sealer<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.to.write(bytes)?;
        self.hash.update(&bytes[..count]);
        self.bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// The backup in a sealed file, whose checksum is right.
pub(crate) fn open(path: &Path) -> Result<impl Read + use<>> {
    let name = path.display();
    let mut file = File::open(path).with_context(|| format!("{name} can't be opened"))?;
    let bytes = file
        .metadata()
        .with_context(|| format!("{name} can't be read"))?
        .len();
    if !may_be_whole(bytes) || bytes < BLOCK_BYTES {
        bail!("{name} is not whole, or no snapshot: it does not end in a checksum");
    }
    let backup = check(&mut BufReader::new(&mut file), bytes)
        .with_context(|| format!("{name} can't be read"))?;
    let Some(backup) = backup else {
        bail!("{name} is damaged, or was not written by this program: its checksum is another");
    };
    file.seek(SeekFrom::Start(0))
        .with_context(|| format!("{name} can't be read"))?;
    Ok(BufReader::new(file).take(backup))
}

/// Digits that follow from what is in a sealed file: from the end of its checksum.
pub(crate) fn fingerprint(path: &Path) -> Result<String> {
    let mut last = [0; 8];
    let mut read = || -> io::Result<()> {
        let mut file = File::open(path)?;
        file.seek(SeekFrom::End(-8))?;
        file.read_exact(&mut last)
    };
    read().with_context(|| format!("{} can't be read", path.display()))?;
    Ok(format!("{:016x}", u64::from_be_bytes(last)))
}

/// How long the backup is, if all is as it was written.
fn check(file: &mut impl Read, bytes: u64) -> io::Result<Option<u64>> {
    let mut hash = Sha256::new();
    let mut rest = bytes - CHECKSUM_BYTES as u64;
    let mut chunk = vec![0; 64 << 10];
    let mut footer = [0; FOOTER_BYTES as usize];
    while rest > FOOTER_BYTES {
        let want = (rest - FOOTER_BYTES).min(chunk.len() as u64);
        let part = &mut chunk[..usize::try_from(want).unwrap_or(0)];
        file.read_exact(part)?;
        hash.update(&*part);
        rest -= want;
    }
    file.read_exact(&mut footer)?;
    hash.update(footer);
    let mut sum = [0; CHECKSUM_BYTES];
    file.read_exact(&mut sum)?;
    let (magic, length) = footer.split_at(MAGIC.len());
    let mut backup = [0; 8];
    backup.copy_from_slice(length);
    let backup = u64::from_le_bytes(backup);
    let is_sound = hash.finalize()[..] == sum && magic == MAGIC && backup < bytes;
    Ok(is_sound.then_some(backup))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(bytes: &[u8]) -> Vec<u8> {
        let mut sealer = Sealer::new(Vec::new());
        sealer.write_all(bytes).expect("memory");
        sealer.seal().expect("memory")
    }

    #[test]
    fn what_was_sealed_is_read_back() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("snapshot");
        for length in [0, 1, 495, 496, 497, 511, 512, 70_000] {
            let backup = vec![7; length];
            let file = sealed(&backup);
            assert_eq!(file.len() % 512, 32, "{length}");
            std::fs::write(&path, &file).expect("written");
            let mut back = Vec::new();
            let mut reader = open(&path).expect("sound");
            reader.read_to_end(&mut back).expect("read");
            assert_eq!(back, backup);
        }
    }

    #[test]
    fn a_flipped_bit_and_a_missing_end_are_noticed() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("snapshot");
        let file = sealed(b"backup");
        for place in 0..file.len() {
            let mut bad = file.clone();
            bad[place] ^= 1;
            std::fs::write(&path, &bad).expect("written");
            assert!(open(&path).is_err(), "{place}");
        }
        std::fs::write(&path, &file[..file.len() - 1]).expect("written");
        assert!(open(&path).is_err());
    }
}
