//! How far a round is, for somebody at a terminal; others see nothing. It does not know what is
//! measured.

use indicatif::ProgressBar;
use tokio::time::Instant;

use super::schedule::{Extent, Plan};
use crate::bar::bar;

/// A line on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of a round of this name.
    pub(crate) fn new(name: &str) -> Self {
        let bar = bar(Some(1), "{msg} [{bar:40}] {percent}%, {elapsed}");
        bar.set_message(name.to_owned());
        Self { bar }
    }

    /// Shows how far the plan is.
    pub(crate) fn show(&self, plan: &Plan) {
        let (done, of) = match plan.extent() {
            Extent::Total(total) => (plan.begun(), total),
            Extent::For(time) => {
                let spent = Instant::now().saturating_duration_since(plan.measured_from());
                (spent.as_millis() as u64, time.as_millis() as u64)
            }
        };
        self.bar.set_length(of);
        self.bar.set_position(done.min(of));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
