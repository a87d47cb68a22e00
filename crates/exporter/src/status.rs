//! How an exporter is, for metrics and the operator.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use skep_protocol::{Index, Position, ValueType};

use crate::counts::Counts;
use crate::{Counted, Progress};

/// What one exporter of one partition has done since the start. Written by its thread, read by others.
#[derive(Debug)]
pub struct Status {
    exported: AtomicI64,
    acknowledged: AtomicI64,
    released: AtomicU64,
    counts: Counts,
    failure: Mutex<Option<String>>,
    /// What is durable.
    durable: Mutex<Progress>,
    /// What the leader's exporter has made durable, as it says.
    heard: Mutex<Option<Progress>>,
    /// Where the log begins since the replica was given another one's content.
    log_begins: Mutex<Option<Progress>>,
}

impl Status {
    pub(crate) fn new(durable: Progress) -> Status {
        let (position, next) = (durable.position, durable.next);
        Status {
            exported: AtomicI64::new(position.0),
            acknowledged: AtomicI64::new(position.0),
            released: AtomicU64::new(next.0),
            counts: Counts::new(),
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

    /// Records taken, by what they are about.
    pub fn counts(&self) -> Vec<Counted> {
        self.counts.all()
    }

    /// Why it cannot go on for now, if it cannot.
    pub fn failure(&self) -> Option<String> {
        self.failure
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// A record was exported so long after it had been written; without a time, the filter did not want it.
    pub(crate) fn count(&self, value_type: ValueType, behind: Option<Duration>) {
        match behind {
            Some(behind) => self.counts.exported(value_type, behind),
            None => self.counts.skipped(value_type),
        }
    }

    /// The exporter has taken all up to there, or went back to what was durable.
    pub(crate) fn is_at(&self, position: Position) {
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
