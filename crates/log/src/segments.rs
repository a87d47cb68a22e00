//! Segment files: names, preparing the next one, using old ones again, removing them.
//!
//! Invariants: a file has its final name only when it is filled, headed and synced; the directory
//! is synced after every change of names.

use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::files::{File, FileSystem};
use crate::frame::{self, SegmentHeader};

/// How much is written at once when a segment is filled with zeros, synced each time, so that the
/// writer's own sync never queues behind a large one.
const FILL_BYTES: usize = 1 << 20;

#[derive(Clone)]
pub(crate) struct Segment {
    pub number: u64,
    pub salt: u64,
    pub bytes: u64,
    pub path: PathBuf,
    pub file: Arc<dyn File>,
}

impl Segment {
    /// Makes what was found in it durable, above all the batch at `unproven`. The process may have died before the sync of that batch, or
    /// because the sync had failed: then the kernel counts it as written, and syncs it only when it is written anew.
    pub fn make_durable(&self, unproven: Option<Range<u64>>) -> io::Result<()> {
        if let Some(range) = unproven {
            let mut batch = vec![0; (range.end - range.start) as usize];
            let read = self.file.read_at(range.start, &mut batch)?;
            self.file.write_at(range.start, &batch[..read])?;
        }
        self.file.sync()
    }
}

pub(crate) fn name(number: u64) -> String {
    format!("segment-{number:016x}.log")
}

pub(crate) fn number_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("segment-")?.strip_suffix(".log")?;
    (digits.len() == 16).then(|| u64::from_str_radix(digits, 16).ok())?
}

/// Leftovers of a preparation or removal that a crash interrupted.
pub(crate) fn is_leftover(name: &str) -> bool {
    name.starts_with("segment-") && (name.ends_with(".tmp") || name.ends_with(".spare"))
}

/// Makes and removes segments in one directory.
pub(crate) struct Yard {
    pub files: Arc<dyn FileSystem>,
    pub dir: PathBuf,
    pub segment_bytes: u64,
    pub salt: u64,
    /// An old segment that the next preparation uses instead of filling a new file.
    spare: Option<(PathBuf, Arc<dyn File>)>,
}

impl Yard {
    pub fn new(files: Arc<dyn FileSystem>, dir: &Path, segment_bytes: u64, salt: u64) -> Self {
        Self {
            files,
            dir: dir.to_owned(),
            segment_bytes,
            salt,
            spare: None,
        }
    }

    /// A durable, empty segment.
    pub fn prepare(&mut self, number: u64) -> io::Result<Segment> {
        let (from, file) = match &self.spare {
            Some((path, file)) => (path.clone(), Arc::clone(file)),
            None => self.fill(number)?,
        };
        let salt = mix(self.salt ^ number);
        let header = SegmentHeader {
            number,
            salt,
            bytes: self.segment_bytes,
        };
        file.write_at(0, &frame::encode_segment_header(&header))?;
        file.sync()?;
        let path = self.dir.join(name(number));
        self.files.rename(&from, &path)?;
        // From here on the name may be durable, so the file may not serve a second time.
        self.spare = None;
        self.files.sync_dir(&self.dir)?;
        Ok(Segment {
            number,
            salt,
            bytes: self.segment_bytes,
            path,
            file,
        })
    }

    fn fill(&mut self, number: u64) -> io::Result<(PathBuf, Arc<dyn File>)> {
        let path = self.dir.join(format!("segment-{number:016x}.tmp"));
        let file = self.files.create(&path)?;
        let filled = self.fill_file(&*file);
        if let Err(error) = filled {
            // Gives back the space, which others may need more urgently.
            let _ = self.files.remove(&path);
            return Err(error);
        }
        Ok((path, file))
    }

    fn fill_file(&self, file: &dyn File) -> io::Result<()> {
        let zeros = vec![0; FILL_BYTES.min(self.segment_bytes as usize)];
        let mut offset = 0;
        while offset < self.segment_bytes {
            let bytes = zeros.len().min((self.segment_bytes - offset) as usize);
            file.write_at(offset, &zeros[..bytes])?;
            file.sync()?;
            offset += bytes as u64;
        }
        Ok(())
    }

    /// Removes a segment that nobody needs, or keeps its file for the next preparation.
    pub fn retire(&mut self, segment: &Segment) -> io::Result<()> {
        if self.spare.is_none() && segment.bytes == self.segment_bytes {
            let path = self
                .dir
                .join(format!("segment-{:016x}.spare", segment.number));
            self.files.rename(&segment.path, &path)?;
            self.files.sync_dir(&self.dir)?;
            self.spare = Some((path, Arc::clone(&segment.file)));
            return Ok(());
        }
        self.files.remove(&segment.path)?;
        self.files.sync_dir(&self.dir)
    }
}

/// Spreads the bits of a number over the whole word (the finaliser of splitmix64).
fn mix(number: u64) -> u64 {
    let z = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
