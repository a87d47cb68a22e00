//! A node's disk: the log of its partitions on a file system in memory, which forgets in a crash what was not synced, or only what a
//! sync has failed to write.

use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use skep_log::testkit::{self, MemFiles};
use skep_log::{Drive, GroupId, GroupLog, LogOptions, LogStatus, LogStore};
use tokio::sync::Notify;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use super::network::Pauses;
use crate::random::Random;
use crate::settings::{ClusterSettings, Plant};

/// How long the log waits before it asks a full disk again.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// Mean time of a sync on a slow disk, in milliseconds.
const SLOW_SYNC_MS: i64 = 400;

/// What a disk can get into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// Nothing.
    None,
    /// Syncs take long.
    Slow,
    /// There is room for so many more bytes.
    Full(u64),
    /// Syncs fail.
    Failing,
}

/// How it is at the moment; shared with the task that writes.
struct Condition {
    random: Random,
    slow: bool,
    slow_sync: u64,
}

impl Condition {
    fn sync_time(&mut self) -> Duration {
        let slow = self.slow || self.random.chance(self.slow_sync);
        let mean = if slow { SLOW_SYNC_MS } else { 1 };
        Duration::from_millis((self.random.wait(mean) - 1) as u64)
    }
}

/// The disk, and the log on it while the node runs.
pub struct Disk {
    files: MemFiles,
    segment_bytes: u64,
    bugs: testkit::Bugs,
    condition: Arc<Mutex<Condition>>,
    crashes: testkit::Random,
    running: Option<(LogStore, JoinHandle<()>)>,
}

fn lock(condition: &Mutex<Condition>) -> MutexGuard<'_, Condition> {
    condition.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Disk {
    /// An empty one.
    pub fn new(settings: ClusterSettings, seed: u64, plant: Option<Plant>) -> Disk {
        let condition = Condition {
            random: Random::new(seed),
            slow: false,
            slow_sync: settings.rates.slow_sync,
        };
        Disk {
            files: MemFiles::new(),
            segment_bytes: settings.segment_bytes,
            bugs: testkit::Bugs {
                sync_again: plant == Some(Plant::SyncAgain),
                cache_trusted: plant == Some(Plant::CacheTrusted),
            },
            condition: Arc::new(Mutex::new(condition)),
            crashes: testkit::Random::new(!seed),
            running: None,
        }
    }

    /// Opens what is on it. A crash damages nothing that was synced, so damage is an error.
    pub fn open(&mut self, pauses: Pauses) -> Result<LogStore, String> {
        let options = LogOptions {
            segment_bytes: self.segment_bytes,
            cache_bytes: 16 << 10,
            move_bytes_max: self.segment_bytes / 8,
            segments_kept: 1,
            full_retry: FULL_RETRY,
            salt: 7,
            drive: Drive::Caller,
            bugs: self.bugs,
            ..LogOptions::default()
        };
        let files = Arc::new(self.files.clone());
        let opened = LogStore::open(files, Path::new("/log"), options);
        let (log, report) = opened.map_err(|error| error.to_string())?;
        if let Some(damage) = report.damaged.first() {
            return Err(damage.to_string());
        }
        let work = Arc::new(Notify::new());
        let told = Arc::clone(&work);
        log.tell_of_work(move || told.notify_one());
        let condition = Arc::clone(&self.condition);
        let writing = tokio::spawn(write(log.clone(), work, condition, pauses));
        self.running = Some((log.clone(), writing));
        Ok(log)
    }

    /// The log of a group, while the node runs.
    pub fn group(&self, group: GroupId) -> Option<GroupLog> {
        let (log, _) = self.running.as_ref()?;
        Some(log.group(group))
    }

    /// The power is gone, or only the process.
    pub fn crash(&mut self) {
        match self.crashes.below(2) {
            0 => self.files.crash(&mut self.crashes),
            _ => self.files.kill(&mut self.crashes),
        }
        if let Some((log, writing)) = self.running.take() {
            writing.abort();
            log.abandon();
        }
        lock(&self.condition).slow = false;
    }

    /// A sync has failed: the log takes nothing until it is opened again.
    pub fn has_failed(&self) -> bool {
        let running = self.running.as_ref();
        running.is_some_and(|(log, _)| matches!(log.status(), LogStatus::Failed(_)))
    }

    /// It is replaced by an empty one, while the node is down.
    pub fn lose(&mut self) {
        self.files = MemFiles::new();
    }

    /// Gets into trouble, or out of it.
    pub fn trouble(&mut self, trouble: Trouble) {
        if self.running.is_none() {
            // A node does not start on a full disk before somebody frees space on it.
            return;
        }
        lock(&self.condition).slow = trouble == Trouble::Slow;
        self.files.set_faults(testkit::Faults {
            space_left: match trouble {
                Trouble::Full(bytes) => Some(bytes),
                Trouble::None | Trouble::Slow | Trouble::Failing => None,
            },
            fail_sync: trouble == Trouble::Failing,
            ..testkit::Faults::default()
        });
    }

    /// From now on all goes well.
    pub fn calm(&mut self) {
        self.trouble(Trouble::None);
        lock(&self.condition).slow_sync = 0;
    }
}

/// Writes what is queued, batch by batch, each after the time that its sync takes.
async fn write(log: LogStore, work: Arc<Notify>, condition: Arc<Mutex<Condition>>, pauses: Pauses) {
    loop {
        work.notified().await;
        loop {
            let takes = lock(&condition).sync_time();
            sleep(takes).await;
            pauses.awake().await;
            if log.drive() {
                continue;
            }
            match log.status() {
                LogStatus::Full(_) => sleep(FULL_RETRY).await,
                _ => break,
            }
        }
    }
}
