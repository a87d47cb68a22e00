//! Where an exporter is, on disk: `docs/formats/export-position.md`.
//!
//! **Invariant**: the file holds the last position that was written, or the one before if a crash tore the last.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt;
use std::path::Path;

use skep_protocol::{Epoch, Index, Position, Sequence};
use tracing::warn;

use crate::Mark;

const MAGIC: &[u8; 8] = b"SKEPEXP\n";
const VERSION: u32 = 1;

/// Two places that are written in turn, each in a disk sector of its own, so that a torn write spoils one of them only.
const SLOTS: u64 = 2;
const SLOT_BYTES: usize = 512;
/// Bytes of a slot that are used, without the checksum behind them.
const CONTENT_BYTES: usize = 80;

/// How far a partition's log has been exported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Index of the next log entry.
    pub next: Index,
    /// The leadership in force there, and its last batch: what the epoch fence needs.
    pub epoch: Epoch,
    /// See above.
    pub sequence: Sequence,
    /// Position of the last record.
    pub position: Position,
}

/// What is written down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Saved {
    pub progress: Progress,
    pub mark: Option<Mark>,
}

/// The file of one exporter of one partition.
#[derive(Debug)]
pub struct PositionFile {
    file: File,
    /// Number of the last write.
    count: u64,
    saved: Option<Saved>,
}

impl PositionFile {
    /// Opens the file, or creates it.
    ///
    /// # Errors
    /// If it cannot be created or read. One whose content is damaged counts as new, since the exporter then begins anew.
    pub fn open(path: &Path) -> io::Result<PositionFile> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::new();
        (&mut file)
            .take(SLOTS * SLOT_BYTES as u64)
            .read_to_end(&mut bytes)?;
        if bytes.is_empty() {
            // So that a file that is written to is also found again.
            let directory = path
                .parent()
                .filter(|parent| !parent.as_os_str().is_empty());
            File::open(directory.unwrap_or(Path::new(".")))?.sync_all()?;
        }
        let found = bytes
            .chunks(SLOT_BYTES)
            .filter_map(decode)
            .max_by_key(|(count, _)| *count);
        if found.is_none() && !bytes.is_empty() {
            warn!(path = %path.display(), "the exporter's position cannot be read; it begins anew");
        }
        Ok(PositionFile {
            file,
            count: found.map_or(0, |(count, _)| count),
            saved: found.map(|(_, saved)| saved),
        })
    }

    /// What is written down.
    pub(crate) fn saved(&self) -> Option<Saved> {
        self.saved
    }

    /// The progress that is written down.
    pub fn progress(&self) -> Option<Progress> {
        self.saved.map(|saved| saved.progress)
    }

    /// Writes down, and makes it durable.
    pub(crate) fn save(&mut self, saved: Saved) -> io::Result<()> {
        if self.saved == Some(saved) {
            return Ok(());
        }
        let count = self.count + 1;
        let place = count % SLOTS * SLOT_BYTES as u64;
        self.file.write_all_at(&encode(count, &saved), place)?;
        self.file.sync_data()?;
        self.count = count;
        self.saved = Some(saved);
        Ok(())
    }
}

fn encode(count: u64, saved: &Saved) -> [u8; SLOT_BYTES] {
    let Progress {
        next,
        epoch,
        sequence,
        position,
    } = saved.progress;
    let mut content = Vec::with_capacity(SLOT_BYTES);
    content.extend_from_slice(MAGIC);
    content.extend_from_slice(&VERSION.to_le_bytes());
    content.extend_from_slice(&u32::from(saved.mark.is_some()).to_le_bytes());
    let Mark(mark) = saved.mark.unwrap_or(Mark([0; 3]));
    for number in [count, next.0, epoch.0, sequence.0, position.0 as u64]
        .iter()
        .chain(&mark)
    {
        content.extend_from_slice(&number.to_le_bytes());
    }
    assert_eq!(content.len(), CONTENT_BYTES, "the format's page says so");
    content.extend_from_slice(&crc32c::crc32c(&content).to_le_bytes());
    let mut slot = [0; SLOT_BYTES];
    slot[..content.len()].copy_from_slice(&content);
    slot
}

/// The slot's number and content; `None` if it is damaged, or was never written.
fn decode(slot: &[u8]) -> Option<(u64, Saved)> {
    let (content, rest) = slot.split_at_checked(CONTENT_BYTES)?;
    let checksum = u32::from_le_bytes(*rest.first_chunk()?);
    let (magic, numbers) = content.split_first_chunk::<8>()?;
    if magic != MAGIC || crc32c::crc32c(content) != checksum {
        return None;
    }
    let (version, numbers) = numbers.split_first_chunk::<4>()?;
    let (has_mark, numbers) = numbers.split_first_chunk::<4>()?;
    if u32::from_le_bytes(*version) != VERSION {
        return None;
    }
    let (numbers, _) = numbers.as_chunks::<8>();
    let numbers: Vec<u64> = numbers
        .iter()
        .map(|bytes| u64::from_le_bytes(*bytes))
        .collect();
    let [count, next, epoch, sequence, position, mark @ ..] = numbers.as_slice() else {
        return None;
    };
    let progress = Progress {
        next: Index(*next),
        epoch: Epoch(*epoch),
        sequence: Sequence(*sequence),
        position: Position(*position as i64),
    };
    let mark = Mark(mark.try_into().ok()?);
    let mark = (*has_mark != [0; 4]).then_some(mark);
    Some((*count, Saved { progress, mark }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved(next: u64) -> Saved {
        Saved {
            progress: Progress {
                next: Index(next),
                epoch: Epoch(3),
                sequence: Sequence(44),
                position: Position(1234),
            },
            mark: Some(Mark([1_795_527_404_123, 2, 99_000])),
        }
    }

    #[test]
    fn what_was_written_last_is_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("position");
        let mut file = PositionFile::open(&path).unwrap();
        assert_eq!(file.saved(), None);
        for next in 1..4 {
            file.save(saved(next)).unwrap();
            assert_eq!(
                PositionFile::open(&path).unwrap().saved(),
                Some(saved(next))
            );
        }
        let unmarked = Saved {
            mark: None,
            ..saved(9)
        };
        file.save(unmarked).unwrap();
        assert_eq!(PositionFile::open(&path).unwrap().saved(), Some(unmarked));
    }

    #[test]
    fn a_write_that_was_torn_leaves_the_one_before() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("position");
        let mut file = PositionFile::open(&path).unwrap();
        file.save(saved(1)).unwrap();
        file.save(saved(2)).unwrap();
        let whole = std::fs::read(&path).unwrap();
        // The second write went to the first slot; any part of it may be missing.
        for end in 0..=CONTENT_BYTES + 3 {
            let mut torn = whole.clone();
            torn[end] ^= 0x40;
            std::fs::write(&path, &torn).unwrap();
            assert_eq!(
                PositionFile::open(&path).unwrap().saved(),
                Some(saved(1)),
                "byte {end}"
            );
        }
        std::fs::write(&path, [0; 2 * SLOT_BYTES]).unwrap();
        assert_eq!(PositionFile::open(&path).unwrap().saved(), None);
    }

    #[test]
    fn positions_of_version_1_can_be_read() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../../testdata/golden/export-position-v1.bin"
        );
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(path, encode(7, &saved(5))).unwrap();
        }
        assert_eq!(decode(&std::fs::read(path).unwrap()), Some((7, saved(5))));
        assert_eq!(std::fs::read(path).unwrap(), encode(7, &saved(5)));
    }
}
