//! An exporter on a thread of its own.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use skep_protocol::Index;
use tracing::error;

use crate::feed::{Feed, Phase, Told};
use crate::limits::{FOLLOW, GATHER, RETRY_MAX, RETRY_MIN, STOP_PATIENCE};
use crate::{ExportError, Worker};

/// A running exporter. It ends when its feed is stopped.
pub struct ExporterThread {
    handle: JoinHandle<()>,
}

impl ExporterThread {
    /// Runs the exporter until the feed is stopped.
    pub fn spawn(
        name: String,
        mut worker: Worker,
        feed: Arc<Feed>,
    ) -> std::io::Result<ExporterThread> {
        let status = worker.status();
        let handle = std::thread::Builder::new().name(name).spawn(move || {
            if catch_unwind(AssertUnwindSafe(|| run(&mut worker, &feed))).is_err() {
                let reason = "an internal check has failed, which the log of the broker shows; restart the broker";
                error!("an exporter has ended: {reason}");
                status.set_failure(Some(reason.to_owned()));
            }
        })?;
        Ok(ExporterThread { handle })
    }

    /// Waits until it has ended.
    pub fn join(self) {
        if self.handle.join().is_err() {
            error!("an exporter's thread panicked");
        }
    }
}

fn run(worker: &mut Worker, feed: &Feed) {
    let mut pause = RETRY_MIN;
    loop {
        let began = worker.next();
        let Err(error) = work(worker, feed) else {
            return;
        };
        worker.failed(error.to_string());
        if worker.next() > began {
            pause = RETRY_MIN;
        }
        if feed.pause(pause).stopping {
            return;
        }
        pause = (pause * 2).min(RETRY_MAX);
    }
}

/// Works until the feed is stopped.
fn work(worker: &mut Worker, feed: &Feed) -> Result<(), ExportError> {
    while follow(worker, feed)? == Next::Turn && lead(worker, feed)? == Next::Turn {}
    Ok(())
}

/// What comes after an exporter's turn, or after another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The other's.
    Turn,
    /// Nothing.
    End,
}

/// Notes how far the leader's exporter is, as long as the partition is led elsewhere.
fn follow(worker: &mut Worker, feed: &Feed) -> Result<Next, ExportError> {
    loop {
        let told = feed.wait(Some(Duration::ZERO), |_| true);
        worker.adopt()?;
        if told.leads {
            return Ok(Next::Turn);
        }
        if told.stopping {
            return Ok(Next::End);
        }
        feed.wait(Some(FOLLOW), |told| told.leads || told.stopping);
    }
}

/// Exports, as long as the partition is led here.
fn lead(worker: &mut Worker, feed: &Feed) -> Result<Next, ExportError> {
    worker.open()?;
    // Shows what is wrong with the output now rather than with the first record.
    worker.flush(Phase::Exporting)?;
    let mut phase = Phase::Exporting;
    let mut deadline = None;
    loop {
        let next = worker.next();
        let told = feed.wait(worker.flush_in(phase), |told| {
            told.stopping || !told.leads || told.phase != phase || has_more(told, next)
        });
        phase = told.phase;
        if !told.leads {
            // What is not flushed the next leader's exporter exports.
            return Ok(Next::Turn);
        }
        if told.stopping {
            let deadline = *deadline.get_or_insert_with(|| Instant::now() + STOP_PATIENCE);
            if !has_more(&told, next) || Instant::now() >= deadline {
                worker.flush(phase)?;
                return Ok(Next::End);
            }
        }
        if has_more(&told, next) {
            worker.export_piece(told.end)?;
        }
        if worker.flush_in(phase).is_some_and(|wait| wait.is_zero()) {
            worker.flush(phase)?;
        }
        if !has_more(&told, worker.next()) {
            feed.pause(GATHER);
        }
    }
}

fn has_more(told: &Told, next: Index) -> bool {
    told.phase != Phase::Paused && told.end > next
}
