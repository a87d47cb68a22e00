//! The data directory: who owns it, what lies where.
//!
//! ```text
//! broker.lock            held by the running broker
//! log/                   the log, shared by all partitions
//! partitions/{p}/        the store of partition p
//! partitions/{p}.begun   there from when this node's member of partition p has begun its log
//! partitions/{p}.note    what partition p is evaluating
//! partitions/{p}.{id}.exported   how far exporter id has exported partition p
//! partitions/{p}.chunks/ what has come of another replica's content, while this one is given it
//! exporting              PAUSED or SOFT_PAUSED while exporting is paused
//! restore-marker.json    if it was restored
//! ```

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use skep_backup::{DataDirState, inspect_data_dir};
use tracing::info;

use crate::BrokerError;
use crate::begun_file::BegunFile;

/// How long to wait for a broker that is being killed to let the directory go.
const LOCK_PATIENCE: Duration = Duration::from_secs(3);

/// A data directory that this process owns.
pub struct DataDir {
    path: PathBuf,
    incarnation: [u8; 16],
    _lock: File,
}

impl DataDir {
    /// Takes the directory into possession, creating it if it does not exist.
    pub fn open(path: &Path) -> Result<DataDir, BrokerError> {
        let shown = path.display();
        let incarnation = match inspect_data_dir(path)
            .map_err(|error| BrokerError::DataDirectory(error.to_string()))?
        {
            DataDirState::Interrupted => {
                return Err(BrokerError::DataDirectory(format!(
                    "the data directory {shown} holds a restore that was interrupted. Run the restore again; it begins anew"
                )));
            }
            DataDirState::Restored(marker) => {
                info!(
                    backup = marker.backup_id.0,
                    "the data directory was restored from a backup"
                );
                marker.incarnation.0
            }
            DataDirState::Empty | DataDirState::Occupied { .. } => [0; 16],
        };
        fs::create_dir_all(path).map_err(BrokerError::system(format!(
            "create the data directory {shown}"
        )))?;
        let lock_path = path.join("broker.lock");
        let lock = File::create(&lock_path).map_err(BrokerError::system(format!(
            "create {}",
            lock_path.display()
        )))?;
        match lock_within(&lock, LOCK_PATIENCE) {
            Ok(()) => Ok(DataDir {
                path: path.to_owned(),
                incarnation,
                _lock: lock,
            }),
            Err(TryLockError::WouldBlock) => Err(BrokerError::DataDirectory(format!(
                "the data directory {shown} is in use by another broker. Stop it, or choose another directory with ZEEBE_BROKER_DATA_DIRECTORY"
            ))),
            Err(TryLockError::Error(error)) => {
                Err(BrokerError::system(format!("lock {}", lock_path.display()))(error))
            }
        }
    }

    /// The directory itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What its content came from: of which restore, or of nothing (zeros).
    pub fn incarnation(&self) -> [u8; 16] {
        self.incarnation
    }

    /// Where the log is.
    pub fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    /// Where the store of a partition is.
    pub fn partition(&self, partition: u32) -> PathBuf {
        partition_directory(&self.path, partition)
    }

    /// What is there from when this node's member of a partition has begun its log.
    pub(crate) fn begun(&self, partition: u32) -> BegunFile {
        BegunFile(self.partition(partition).with_extension("begun"))
    }

    /// Where a partition writes down what it is evaluating.
    pub fn note(&self, partition: u32) -> PathBuf {
        self.partition(partition).with_extension("note")
    }

    /// Where chunks of another replica's content are kept while this one is given it.
    pub fn chunks(&self, partition: u32) -> PathBuf {
        self.partition(partition).with_extension("chunks")
    }

    /// Where it is written down how far an exporter has exported a partition.
    pub fn export_position(&self, partition: u32, exporter: &str) -> PathBuf {
        self.partition(partition)
            .with_extension(format!("{exporter}.exported"))
    }
}

/// Locks the file, waiting a little for a process that is ending.
pub(crate) fn lock_within(lock: &File, patience: Duration) -> Result<(), TryLockError> {
    let end = Instant::now() + patience;
    loop {
        match lock.try_lock() {
            Err(TryLockError::WouldBlock) if Instant::now() < end => {
                std::thread::sleep(Duration::from_millis(20))
            }
            result => return result,
        }
    }
}

/// Where the store of a partition is below a data directory.
pub fn partition_directory(data: &Path, partition: u32) -> PathBuf {
    data.join("partitions").join(partition.to_string())
}
