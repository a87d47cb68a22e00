//! Settings of the store, with the reason for each default.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use crate::frame;

/// Who runs the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drive {
    /// Two threads of the store's own: one writes, one prepares and removes segments.
    Threads,
    /// The caller, by [`crate::LogStore::drive`]: for deterministic tests and the simulator.
    Caller,
}

#[derive(Debug, Clone)]
pub struct LogOptions {
    /// Size of a segment. The tail of the last one is searched at start, so not too large.
    pub segment_bytes: u64,
    /// A batch closes at this size: bounds the time one sync can take.
    pub batch_bytes_max: usize,
    /// Recent entries kept in memory per group. Consensus reads what it has just appended.
    pub cache_bytes: usize,
    /// Live frames of the oldest segment are moved if they are at most this many bytes.
    pub move_bytes_max: u64,
    /// Full segments that may stay before live frames are moved out of the oldest.
    pub segments_kept: usize,
    /// How long to wait before asking a full disk again.
    pub full_retry: Duration,
    /// Goes into checksums, see the format page. Fixed only to get reproducible files.
    pub salt: u64,
    pub drive: Drive,
    #[cfg(feature = "testkit")]
    pub bugs: crate::testkit::Bugs,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self {
            segment_bytes: 32 << 20,
            batch_bytes_max: 2 << 20,
            cache_bytes: 1 << 20,
            move_bytes_max: 1 << 20,
            segments_kept: 2,
            full_retry: Duration::from_millis(250),
            salt: RandomState::new().hash_one("skep-log"),
            drive: Drive::Threads,
            #[cfg(feature = "testkit")]
            bugs: crate::testkit::Bugs::default(),
        }
    }
}

impl LogOptions {
    /// The largest entry that fits into a segment.
    pub(crate) fn entry_bytes_max(&self) -> usize {
        let room = self.segment_bytes - frame::DATA_START;
        (room as usize).saturating_sub(frame::BATCH_HEADER + frame::FRAME_HEADER)
    }

    pub(crate) fn check(&self) -> Result<(), String> {
        let min = frame::DATA_START + 2 * frame::ALIGN;
        if self.segment_bytes < min || self.segment_bytes > 1 << 31 {
            return Err(format!(
                "segment size is {}, expected {min} to {} bytes",
                self.segment_bytes,
                1u64 << 31
            ));
        }
        if !self.segment_bytes.is_multiple_of(frame::ALIGN) {
            return Err(format!(
                "segment size {} is not a multiple of 512",
                self.segment_bytes
            ));
        }
        Ok(())
    }
}
