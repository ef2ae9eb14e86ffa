//! How far a round is, for somebody at a terminal; others see nothing. It does not know what is
//! measured.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::Instant;

use super::schedule::{Extent, Plan};

/// A line on standard error.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
}

impl Progress {
    /// Of a round of this name.
    pub(crate) fn new(name: &str) -> Self {
        // It is hidden unless standard error is a terminal.
        let bar = ProgressBar::with_draw_target(Some(1), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{msg} [{bar:40}] {percent}%, {elapsed}");
        bar.set_style(
            style
                .expect("the template is a constant")
                .progress_chars("=> "),
        );
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
