//! How an exporter is, for metrics and the operator.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use skep_protocol::{Index, Position};

use crate::Progress;

/// What one exporter of one partition has done since the start. Written by its thread, read by others.
#[derive(Debug)]
pub struct Status {
    exported: AtomicI64,
    acknowledged: AtomicI64,
    released: AtomicU64,
    records: AtomicU64,
    skipped: AtomicU64,
    failure: Mutex<Option<String>>,
    /// What is durable.
    durable: Mutex<Progress>,
    /// What the leader's exporter has made durable, as it says.
    heard: Mutex<Option<Progress>>,
    /// Where the log begins since the replica was given another one's content.
    log_begins: Mutex<Option<Progress>>,
}

/// Records taken since the start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// Exported.
    pub exported: u64,
    /// Not wanted by the filter.
    pub skipped: u64,
}

impl Status {
    pub(crate) fn new(durable: Progress) -> Status {
        let (position, next) = (durable.position, durable.next);
        Status {
            exported: AtomicI64::new(position.0),
            acknowledged: AtomicI64::new(position.0),
            released: AtomicU64::new(next.0),
            records: AtomicU64::new(0),
            skipped: AtomicU64::new(0),
            failure: Mutex::new(None),
            durable: Mutex::new(durable),
            heard: Mutex::new(None),
            log_begins: Mutex::new(None),
        }
    }

    /// Position of the last record that was exported, durable or not.
    pub fn exported(&self) -> Position {
        Position(self.exported.load(Ordering::Relaxed))
    }

    /// Position up to which the output is durable.
    pub fn acknowledged(&self) -> Position {
        Position(self.acknowledged.load(Ordering::Relaxed))
    }

    /// Index of the first log entry that the exporter still needs.
    pub fn released(&self) -> Index {
        Index(self.released.load(Ordering::Relaxed))
    }

    /// Records taken.
    pub fn counts(&self) -> Counts {
        Counts {
            exported: self.records.load(Ordering::Relaxed),
            skipped: self.skipped.load(Ordering::Relaxed),
        }
    }

    /// Why it cannot go on for now, if it cannot.
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(crate) fn count(&self, counts: Counts, position: Position) {
        self.records.fetch_add(counts.exported, Ordering::Relaxed);
        self.skipped.fetch_add(counts.skipped, Ordering::Relaxed);
        self.exported.store(position.0, Ordering::Relaxed);
    }

    /// The exporter went back to what was durable.
    pub(crate) fn went_back(&self, position: Position) {
        self.exported.store(position.0, Ordering::Relaxed);
    }

    /// What is durable: for the exporters of the partition's other replicas.
    pub fn durable(&self) -> Progress {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The exporter of the partition's leader, on another node, has made that durable.
    pub fn hear(&self, progress: Progress) {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        *heard = Some(progress);
    }

    /// The replica was given another one's content, which ends there: the log has only what comes after it.
    pub fn log_begins_after(&self, progress: Progress) {
        let mut begins = self
            .log_begins
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *begins = Some(progress);
    }

    /// Where the log begins, if that is after an entry.
    pub(crate) fn log_begins_beyond(&self, next: Index) -> Option<Progress> {
        let begins = *self
            .log_begins
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        begins.filter(|begins| begins.next > next)
    }

    /// What was heard since the last call.
    pub(crate) fn heard(&self) -> Option<Progress> {
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        heard.take()
    }

    pub(crate) fn acknowledge(&self, durable: Progress) {
        *self.durable.lock().unwrap_or_else(PoisonError::into_inner) = durable;
        self.acknowledged
            .store(durable.position.0, Ordering::Relaxed);
        self.released.store(durable.next.0, Ordering::Relaxed);
    }

    /// Sets or clears the failure, and gives the former one.
    pub(crate) fn set_failure(&self, failure: Option<String>) -> Option<String> {
        let mut current = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut current, failure)
    }
}
