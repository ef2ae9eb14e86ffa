//! Snapshots in memory: an image of a machine's files, and the way to make and to read one.
//!
//! This file does not know what is in the files, or how an image travels.

use std::io::Read;
use std::sync::Arc;

use bytes::Bytes;

use crate::entry::SnapshotMeta;
use crate::port::{PortError, SnapshotSink, SnapshotSource};

/// A complete snapshot.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Image {
    /// What it stands for.
    pub meta: Arc<SnapshotMeta>,
    /// Its files by name.
    pub files: Vec<(String, Bytes)>,
}

impl SnapshotSource for Image {
    fn names(&self) -> Vec<String> {
        self.files.iter().map(|(name, _)| name.clone()).collect()
    }

    fn copy(&self, name: &str, to: &mut dyn std::io::Write) -> Result<(), PortError> {
        let Some((_, content)) = self.files.iter().find(|(known, _)| known == name) else {
            return Err(PortError {
                context: format!("no file {name}"),
                source: None,
            });
        };
        to.write_all(content).map_err(|source| PortError {
            context: format!("copy {name}"),
            source: Some(source),
        })
    }
}

/// Takes a machine's files into memory.
#[derive(Debug, Default)]
pub struct ImageSink(Vec<(String, Bytes)>);

impl ImageSink {
    /// The image that the files make.
    #[must_use]
    pub fn into_image(self, meta: Arc<SnapshotMeta>) -> Image {
        Image {
            meta,
            files: self.0,
        }
    }
}

impl SnapshotSink for ImageSink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        let mut bytes = Vec::new();
        content
            .read_to_end(&mut bytes)
            .map_err(|source| PortError {
                context: format!("add {name}"),
                source: Some(source),
            })?;
        self.0.push((name.to_owned(), Bytes::from(bytes)));
        Ok(())
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
        let image = sink.into_image(Arc::default());
        let mut copied = Vec::new();
        image.copy("state", &mut copied).expect("it is there");
        assert_eq!(
            (image.names(), copied),
            (vec!["state".to_owned()], b"abc".to_vec())
        );
        assert!(image.copy("other", &mut Vec::new()).is_err());
    }
}
