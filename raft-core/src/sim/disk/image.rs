//! Snapshots in memory: an image of a machine's files, and the way to make and to read one.
//!
//! This file does not know what is in the files, or how an image travels.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::entry::SnapshotMeta;
use crate::port::{Manifest, PortError, SnapshotFile, SnapshotSink, SnapshotSource};
use crate::sim::rng::fold;

/// A complete snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// What it stands for.
    pub meta: Arc<SnapshotMeta>,
    manifest: Manifest,
    /// The content of each file of the manifest.
    contents: Vec<Bytes>,
}

impl Image {
    /// The image that these files make.
    #[must_use]
    pub fn new(meta: Arc<SnapshotMeta>, mut files: Vec<(String, Bytes)>) -> Self {
        files.sort();
        let named = |(name, content): &(String, Bytes)| SnapshotFile {
            name: name.clone(),
            size: content.len() as u64,
            hash: checksum(content),
        };
        let manifest = Manifest {
            meta: Arc::clone(&meta),
            files: files.iter().map(named).collect(),
        };
        Self {
            meta,
            manifest,
            contents: files.into_iter().map(|(_, content)| content).collect(),
        }
    }

    fn content(&self, name: &str) -> Result<&Bytes, PortError> {
        let found = self.manifest.find(name);
        let (place, _) = found.ok_or_else(|| PortError::misused(format!("no file {name}")))?;
        Ok(&self.contents[place])
    }
}

/// The checksum of a file, as manifests of images have it.
pub(super) fn checksum(content: &[u8]) -> u64 {
    let bytes = content.iter();
    bytes.fold(content.len() as u64, |hash, byte| {
        fold(hash, u64::from(*byte))
    })
}

impl SnapshotSource for Image {
    fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    fn read_at(&self, name: &str, offset: u64, buffer: &mut [u8]) -> Result<usize, PortError> {
        let content = self.content(name)?;
        let offset = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let count = buffer.len().min(content.len() - offset);
        buffer[..count].copy_from_slice(&content[offset..offset + count]);
        Ok(count)
    }

    fn copy(&self, name: &str, to: &mut dyn std::io::Write) -> Result<(), PortError> {
        to.write_all(self.content(name)?)
            .map_err(|source| PortError::io(format!("copy {name}"), source))
    }
}

/// Takes a machine's files into memory.
#[derive(Debug, Default)]
pub struct ImageSink(Vec<(String, Bytes)>);

impl ImageSink {
    /// The image that the files make.
    #[must_use]
    pub fn into_image(self, meta: Arc<SnapshotMeta>) -> Image {
        Image::new(meta, self.0)
    }
}

impl SnapshotSink for ImageSink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        if !SnapshotFile::is_name(name) || self.0.iter().any(|(known, _)| known == name) {
            return Err(PortError::misused(format!("a second or no name: {name}")));
        }
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| PortError::io(format!("add {name}"), source))?;
        self.0.push((name.to_owned(), Bytes::from(bytes)));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        let path = path.display();
        Err(PortError::misused(format!(
            "{name}: the simulated machines have no files, so {path} is none"
        )))
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_sink_takes_an_image_gives_back() {
        let mut sink = ImageSink::default();
        sink.add("state", &mut &b"abc"[..]).expect("memory");
        assert!(sink.add("state", &mut &b"abc"[..]).is_err());
        let image = sink.into_image(Arc::default());
        let mut copied = Vec::new();
        image.copy("state", &mut copied).expect("it is there");
        assert_eq!((image.manifest().size(), copied), (3, b"abc".to_vec()));
        let mut part = [0; 5];
        assert_eq!(image.read_at("state", 1, &mut part).expect("there"), 2);
        assert_eq!(&part[..2], b"bc");
        assert!(image.copy("other", &mut Vec::new()).is_err());
    }
}
