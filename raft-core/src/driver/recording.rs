//! The flight recorder's place in the loop, empty where nobody wants one.
//!
//! So the loop reads the same with and without the feature `recorder`.

use super::config::NodeConfig;
use super::error::StartError;
#[cfg(feature = "recorder")]
use super::recorder::FlightRecorder;
use crate::Raft;
use crate::event::{Event, Output};
#[cfg(feature = "recorder")]
use crate::port::PortError;
use crate::types::Time;

/// Sees what the core is told, and what it says, if anybody wants to know later.
#[derive(Default)]
pub(super) struct Recording {
    #[cfg(feature = "recorder")]
    recorder: Option<FlightRecorder>,
}

#[cfg(feature = "recorder")]
impl Recording {
    pub(super) fn of(config: &NodeConfig) -> Result<Self, StartError> {
        let open = |(dir, bytes_max): &(_, _)| FlightRecorder::open(dir, *bytes_max);
        let recorder = config.recorder.as_ref().map(open).transpose();
        let recorder = recorder.map_err(|source| StartError::Port {
            port: "the flight recorder",
            source: PortError::io("opening it", source),
        })?;
        Ok(Self { recorder })
    }

    pub(super) fn begin(&mut self, now: Time, raft: &Raft) {
        if let Some(recorder) = &mut self.recorder {
            recorder.begin(now, raft);
        }
    }

    pub(super) fn event(&mut self, now: Time, event: &Event) {
        if let Some(recorder) = &mut self.recorder {
            recorder.event(now, event);
        }
    }

    pub(super) fn flushed(&mut self, now: Time, out: &Output, raft: &Raft) {
        if let Some(recorder) = &mut self.recorder {
            recorder.flushed(now, out, raft);
        }
    }
}

#[cfg(not(feature = "recorder"))]
#[expect(
    clippy::unused_self,
    clippy::unnecessary_wraps,
    reason = "the same signatures as with the feature"
)]
impl Recording {
    pub(super) fn of(_: &NodeConfig) -> Result<Self, StartError> {
        Ok(Self::default())
    }

    pub(super) const fn begin(&self, _: Time, _: &Raft) {}

    pub(super) const fn event(&self, _: Time, _: &Event) {}

    pub(super) const fn flushed(&self, _: Time, _: &Output, _: &Raft) {}
}
