//! How far is it? A bar for whoever watches, nothing for a script.

use std::borrow::Cow;
use std::io::{self, IsTerminal, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

const BAR: &str = "{prefix}  {wide_bar}  {human_pos}/{human_len}  {per_sec}  {eta} left";
/// Without a total there is no share to draw.
const COUNT: &str = "{prefix}  {spinner}  {human_pos}  {per_sec}";

/// A progress bar on stderr, there only if stderr is a terminal. Dropped before its end it takes itself away, so that an
/// error stands on a clean line.
pub struct Progress {
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A bar from 0 to `total`; with a total of 0, which is not known, a count.
    pub fn new(label: impl Into<Cow<'static, str>>, total: u64) -> Self {
        if !io::stderr().is_terminal() {
            return Progress { bar: None };
        }
        Progress { bar: Some(bar(label.into(), total, ProgressDrawTarget::stderr())) }
    }

    pub fn advance_to(&self, n: u64) {
        if let Some(bar) = &self.bar {
            bar.set_position(n);
        }
    }

    /// Puts the summary in the place of the bar.
    pub fn finish(self, summary: &str) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
            // A terminal that has gone is no reason to fail the work that is done.
            let _ = writeln!(io::stderr(), "{summary}");
        }
    }
}

fn bar(label: Cow<'static, str>, total: u64, target: ProgressDrawTarget) -> ProgressBar {
    let (total, template) = if total == 0 { (None, COUNT) } else { (Some(total), BAR) };
    let style = ProgressStyle::with_template(template).expect("the templates are right");
    ProgressBar::with_draw_target(total, target)
        .with_style(style)
        .with_prefix(label)
        .with_finish(ProgressFinish::AndClear)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_bars_can_be_made_and_moved() {
        for (total, length) in [(0, None), (10, Some(10))] {
            let bar = bar("replay".into(), total, ProgressDrawTarget::hidden());
            assert_eq!(bar.length(), length);
            let progress = Progress { bar: Some(bar.clone()) };
            progress.advance_to(7);
            assert_eq!(bar.position(), 7);
            drop(progress);
        }
    }

    #[test]
    fn without_a_terminal_nothing_is_drawn() {
        let progress = Progress { bar: None };
        progress.advance_to(3);
        progress.finish("done");
    }
}
