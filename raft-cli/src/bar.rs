//! The bars that long work shows on standard error, where that is a terminal; elsewhere nothing is
//! printed. They do not know what is done.

use indicatif::{ProgressBar, ProgressStyle};

/// A bar of so much work, if that is known yet. The template is indicatif's.
pub(crate) fn bar(of: Option<u64>, template: &str) -> ProgressBar {
    // It is hidden unless standard error is a terminal.
    let bar = of.map_or_else(ProgressBar::no_length, ProgressBar::new);
    let style = ProgressStyle::with_template(template).expect("templates are constants");
    bar.with_style(style.progress_chars("=> "))
}
