//! Snapshots in memory, of engines that write files and of those that have them on a disk.

use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use raft_core::port::{Capture, PortError, SnapshotSink};
use raft_core::sim::disk::Image;

use crate::engine::Engine;

/// Takes files as they are when they are added.
#[derive(Default)]
struct Sink(Vec<(String, Bytes)>);

impl SnapshotSink for Sink {
    fn add(&mut self, name: &str, content: &mut dyn Read) -> Result<(), PortError> {
        let mut bytes = Vec::new();
        let read = content.read_to_end(&mut bytes);
        read.map_err(|source| PortError::io(format!("add {name}"), source))?;
        self.0.push((name.to_owned(), bytes.into()));
        Ok(())
    }

    fn add_file(&mut self, name: &str, path: &Path) -> Result<(), PortError> {
        let bytes = std::fs::read(path);
        let bytes = bytes.map_err(|source| PortError::io(format!("add {name}"), source))?;
        self.0.push((name.to_owned(), bytes.into()));
        Ok(())
    }

    fn finish(self: Box<Self>) -> Result<(), PortError> {
        Ok(())
    }
}

/// A snapshot of these files.
pub(in crate::engine) fn image(files: Vec<(String, Bytes)>) -> Image {
    Image::new(Arc::default(), files)
}

/// What a capture writes, and a file of another owner.
pub(in crate::engine) fn hold(capture: Capture) -> Image {
    let mut sink = Sink::default();
    capture(&mut sink).expect("a capture that can be written");
    sink.0
        .push(("others".to_owned(), Bytes::from_static(b"of another")));
    image(sink.0)
}

/// A snapshot of what an engine has.
pub(in crate::engine) fn capture(engine: &dyn Engine) -> Image {
    hold(engine.capture().expect("an engine that can be captured"))
}
