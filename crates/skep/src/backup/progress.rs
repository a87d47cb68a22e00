//! How far the verification of a backup is: a bar on a terminal, lines elsewhere. On standard error, as the outcome is on standard
//! output.

use std::io::IsTerminal;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{ProgressBar, ProgressStyle};
use skep_backup::{PartitionId, Progress};

const TEMPLATE: &str = "{wide_bar} {pos}/{len} chunks {eta}";

/// What suits standard error.
pub fn shown() -> Box<dyn Progress> {
    if std::io::stderr().is_terminal() {
        Box::new(Bar::new())
    } else {
        Box::<Lines>::default()
    }
}

/// One bar over the chunks of all partitions.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let bar = ProgressBar::new(0);
        Bar(match ProgressStyle::with_template(TEMPLATE) {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }
}

impl Progress for Bar {
    fn begin(&self, _: PartitionId, chunks: u64, _: u64) {
        self.0.inc_length(chunks);
    }

    fn advance(&self, _: PartitionId, chunks: u64, _: u64) {
        self.0.inc(chunks);
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A line for every tenth.
#[derive(Default)]
struct Lines {
    total: AtomicU64,
    done: AtomicU64,
}

impl Lines {
    /// What to say when so many more are done.
    fn line(&self, chunks: u64) -> Option<String> {
        let before = self.done.fetch_add(chunks, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed).max(1);
        let done = before + chunks;
        let tenth = |done: u64| done.saturating_mul(10) / total;
        (tenth(done) > tenth(before)).then(|| format!("verified {done} of {total} chunks"))
    }
}

impl Progress for Lines {
    fn begin(&self, _: PartitionId, chunks: u64, _: u64) {
        self.total.fetch_add(chunks, Ordering::Relaxed);
    }

    fn advance(&self, _: PartitionId, chunks: u64, _: u64) {
        if let Some(line) = self.line(chunks) {
            eprintln!("{line}");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_written_for_every_tenth() {
        let lines = Lines::default();
        lines.begin(PartitionId(1), 15, 0);
        lines.begin(PartitionId(2), 5, 0);
        let said: Vec<String> = (0..20).filter_map(|_| lines.line(1)).collect();
        assert_eq!(said.len(), 10);
        assert_eq!(said[0], "verified 2 of 20 chunks");
        assert_eq!(said[9], "verified 20 of 20 chunks");
    }

    #[test]
    fn the_bar_has_a_valid_template() {
        assert!(ProgressStyle::with_template(TEMPLATE).is_ok());
    }
}
