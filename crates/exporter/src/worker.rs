//! One exporter of one partition at work: reads the log, passes the fence, exports, and writes down how far.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use skep_protocol::{BatchHeader, Index, LogEntry, PartitionId, Sequence};
use tracing::{info, warn};

use crate::feed::Phase;
use crate::limits::READ_BYTES;
use crate::position::Saved;
use crate::{
    CommittedLog, ExportError, Exported, Exporter, Filter, PositionFile, Progress, Status,
};

/// Where the records come from.
pub struct Source {
    /// The partition.
    pub partition: PartitionId,
    /// Its log.
    pub log: Box<dyn CommittedLog>,
    /// Where an exporter begins that has not exported anything yet: what the partition's store holds.
    pub begin: Progress,
    /// Where the position is written down.
    pub position: PathBuf,
}

/// An exporter at work.
pub struct Worker {
    partition: PartitionId,
    log: Box<dyn CommittedLog>,
    exporter: Box<dyn Exporter>,
    filter: Filter,
    file: PositionFile,
    path: PathBuf,
    /// What is durable, also where nothing was written down yet.
    saved: Saved,
    /// What the exporter has taken.
    current: Progress,
    /// What the exporter has made durable.
    flushed: Progress,
    flushed_at: Option<Instant>,
    flush_interval: Duration,
    status: Arc<Status>,
}

impl Worker {
    /// An exporter that goes on where it was, or begins at the source's beginning.
    ///
    /// # Errors
    /// If the position cannot be read, or the log is damaged.
    pub fn new(
        source: Source,
        exporter: Box<dyn Exporter>,
        filter: Filter,
        flush_interval: Duration,
    ) -> Result<Worker, ExportError> {
        let Source {
            partition,
            mut log,
            begin,
            position: path,
        } = source;
        let mut file = PositionFile::open(&path)
            .map_err(ExportError::file("open the exporter's position", &path))?;
        let saved = starting_point(file.saved(), begin, &*log)?;
        // Also where it begins: it may not come to export anything before the next start.
        file.save(saved)
            .map_err(ExportError::file("write the exporter's position", &path))?;
        let current = saved.progress;
        log.release(current.next);
        Ok(Worker {
            partition,
            log,
            exporter,
            filter,
            file,
            path,
            saved,
            current,
            flushed: current,
            flushed_at: None,
            flush_interval,
            status: Arc::new(Status::new(current)),
        })
    }

    /// How it is.
    pub fn status(&self) -> Arc<Status> {
        Arc::clone(&self.status)
    }

    /// Index of the log entry that comes next.
    pub fn next(&self) -> Index {
        self.current.next
    }

    /// Goes back to what is durable. Called first, and after every failure.
    pub fn open(&mut self) -> Result<(), ExportError> {
        self.current = self.saved.progress;
        self.flushed = self.current;
        self.status.is_at(self.current.position);
        self.exporter.open(self.saved.mark)
    }

    /// Goes on after what the exporter of another node has made durable, if that is further. The output of this one lacks it.
    ///
    /// # Errors
    /// If it cannot be written down.
    pub fn adopt(&mut self) -> Result<(), ExportError> {
        let heard = self.status.heard();
        let Some(progress) = heard.filter(|heard| heard.next > self.saved.progress.next) else {
            return Ok(());
        };
        let saved = Saved {
            progress,
            ..self.saved
        };
        self.write_down(saved)?;
        self.release();
        Ok(())
    }

    fn write_down(&mut self, saved: Saved) -> Result<(), ExportError> {
        self.file.save(saved).map_err(ExportError::file(
            "write the exporter's position",
            &self.path,
        ))?;
        self.saved = saved;
        Ok(())
    }

    fn release(&mut self) {
        self.log.release(self.saved.progress.next);
        self.status.acknowledge(self.saved.progress);
    }

    /// Exports a piece of what is committed, which ends before `end`, or when the exporter is full.
    pub fn export_piece(&mut self, end: Index) -> Result<(), ExportError> {
        let next = self.current.next;
        if let Some(begins) = self.status.log_begins_beyond(next)
            && self.log.first().map_err(ExportError::Log)? > next
        {
            return self.leave_out(begins);
        }
        let entries = self
            .log
            .read(next, end, READ_BYTES)
            .map_err(ExportError::Log)?;
        if entries.is_empty() {
            return Err(ExportError::Log(format!(
                "entry {next} is committed, but not there"
            )));
        }
        for (index, entry) in entries {
            assert_eq!(index, self.current.next, "the log is read without a gap");
            self.take(index, &entry)?;
            self.current.next = Index(index.0 + 1);
            if self.exporter.is_full() {
                break;
            }
        }
        Ok(())
    }

    /// Goes on where the log begins: what comes before, the former leader's exporter has exported, or nobody can.
    fn leave_out(&mut self, begins: Progress) -> Result<(), ExportError> {
        warn!(
            exported = self.current.position.0,
            begins_after = begins.position.0,
            "the replica was given another one's content; records before it that the exporter of the former leader has not exported are left out"
        );
        let saved = Saved {
            progress: begins,
            ..self.saved
        };
        self.write_down(saved)?;
        self.current = begins;
        self.flushed = begins;
        self.release();
        Ok(())
    }

    fn take(&mut self, index: Index, entry: &[u8]) -> Result<(), ExportError> {
        if entry.is_empty() {
            return Ok(());
        }
        let unreadable = |source| ExportError::Entry { index, source };
        match LogEntry::decode_header(entry).map_err(unreadable)? {
            Some(header) if self.is_applied(&header) => self.export_batch(index, &header, entry),
            // A batch of a former leadership is fenced: nothing of it counts.
            Some(_) => Ok(()),
            None => match LogEntry::decode(entry).map_err(unreadable)? {
                LogEntry::Epoch(_) => {
                    self.current.epoch = self.current.epoch.next();
                    self.current.sequence = Sequence(0);
                    Ok(())
                }
                LogEntry::Batch(_) => unreachable!("an entry without a batch header is no batch"),
            },
        }
    }

    /// The rule by which every replica applies a batch or fences it.
    fn is_applied(&self, header: &BatchHeader) -> bool {
        header.epoch == self.current.epoch && header.sequence == self.current.sequence.next()
    }

    fn export_batch(
        &mut self,
        index: Index,
        header: &BatchHeader,
        entry: &[u8],
    ) -> Result<(), ExportError> {
        assert_eq!(
            header.first_position,
            self.current.position.next(),
            "positions follow one another; log entry {index}"
        );
        let records = LogEntry::decode_records(entry)
            .map_err(|source| ExportError::Entry { index, source })?;
        let behind = time_since(header.time);
        for record in &records {
            self.current.position = self.current.position.next();
            let value_type = record.intent.value_type();
            if !self.filter.wants(record) {
                self.status.count(value_type, None);
                continue;
            }
            self.status.count(value_type, Some(behind));
            self.exporter.export(&Exported {
                partition: self.partition,
                position: self.current.position,
                timestamp: header.time,
                record,
            })?;
        }
        self.current.sequence = header.sequence;
        self.status.is_at(self.current.position);
        Ok(())
    }

    /// In how long [`Worker::flush`] should be called; `None` if there is nothing to flush.
    pub fn flush_in(&self, phase: Phase) -> Option<Duration> {
        let done = match phase {
            Phase::SoftPaused => self.flushed,
            Phase::Exporting | Phase::Paused => self.saved.progress,
        };
        let since = match self.flushed_at {
            Some(at) if !self.exporter.is_full() => at.elapsed(),
            _ => Duration::MAX,
        };
        (done != self.current).then(|| self.flush_interval.saturating_sub(since))
    }

    /// Makes durable what was exported, writes down how far that is unless exporting is paused softly, and releases the log.
    pub fn flush(&mut self, phase: Phase) -> Result<(), ExportError> {
        let mark = self.exporter.flush()?;
        self.flushed = self.current;
        self.flushed_at = Some(Instant::now());
        if phase == Phase::SoftPaused {
            return Ok(());
        }
        let saved = Saved {
            progress: self.current,
            mark: Some(mark),
        };
        self.write_down(saved)?;
        self.exporter.acknowledged(mark)?;
        self.release();
        if self.status.set_failure(None).is_some() {
            info!("the exporter goes on");
        }
        Ok(())
    }

    /// It cannot go on for now. Said once per reason.
    pub fn failed(&self, reason: String) {
        let former = self.status.set_failure(Some(reason.clone()));
        if former.as_ref() != Some(&reason) {
            warn!(
                partition = self.partition.0,
                reason, "an exporter cannot go on for now; the log keeps what is not exported"
            );
        }
    }
}

/// Since a moment in epoch milliseconds; nothing if the clock of whoever has written it down is ahead.
fn time_since(epoch_ms: i64) -> Duration {
    let at = Duration::from_millis(u64::try_from(epoch_ms).unwrap_or(0));
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.unwrap_or_default().saturating_sub(at)
}

/// Where to go on: where it was, if the log still has what comes after that.
fn starting_point(
    saved: Option<Saved>,
    begin: Progress,
    log: &dyn CommittedLog,
) -> Result<Saved, ExportError> {
    let anew = Saved {
        progress: begin,
        mark: saved.and_then(|saved| saved.mark),
    };
    let Some(saved) = saved else {
        return Ok(anew);
    };
    let first = log.first().map_err(ExportError::Log)?;
    let end = log.end().map_err(ExportError::Log)?;
    if (first..=end).contains(&saved.progress.next) {
        return Ok(saved);
    }
    warn!(
        exported = saved.progress.position.0,
        begins_after = begin.position.0,
        "the log has not kept what the exporter has not exported, as while it was not configured; it leaves records out"
    );
    Ok(anew)
}
