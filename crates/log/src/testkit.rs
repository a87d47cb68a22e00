//! A file system in memory with the faults of a real one, for tests and the simulator.
//!
//! A crash keeps of everything unsynced what the seed says: any subset of the written sectors, one
//! sector possibly torn in the middle, and any prefix of the name changes. What a failed sync was to
//! make durable counts as written from then on: another sync succeeds, but has nothing to write. It can
//! be read until the kernel drops it from its cache.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::files::{File, FileSystem};

const SECTOR: usize = 512;

/// A small deterministic generator (splitmix64), so that a seed is all that a case needs.
#[derive(Debug, Clone)]
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn number(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `limit`.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit
    }
}

#[derive(Debug, Default, Clone)]
struct Content {
    durable: Vec<u8>,
    current: Vec<u8>,
    /// Ranges of `current` written since the last sync.
    dirty: Vec<(usize, usize)>,
    /// Ranges that a sync has failed to write: no sync tries again.
    unwritten: Vec<(usize, usize)>,
}

#[derive(Debug, Clone)]
enum NameChange {
    Add(PathBuf, usize),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
}

#[derive(Debug, Default)]
struct Disk {
    contents: Vec<Content>,
    names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    unsynced_names: Vec<NameChange>,
    faults: Faults,
    writes: u64,
    /// Raised by a crash: older handles are dead.
    life: u64,
}

/// Faults to come.
#[derive(Debug, Default, Clone)]
pub struct Faults {
    /// Writes beyond this many more bytes fail with "storage full"; the part that fits is written.
    pub space_left: Option<u64>,
    /// The write with this number (from 0, over the life of the disk) fails half-way.
    pub fail_write: Option<u64>,
    /// Every sync of a file fails that has something to write, and that may or may not be durable.
    pub fail_sync: bool,
}

/// Bugs put in on purpose: the simulator must find each of them.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Bugs {
    /// A sync that has failed is tried again, and taken as good when it succeeds then.
    pub sync_again: bool,
    /// What the kernel still has in its cache is taken as durable once it is synced.
    pub cache_trusted: bool,
}

/// The disk. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemFiles {
    disk: Arc<Mutex<Disk>>,
}

impl MemFiles {
    pub fn new() -> Self {
        Self::default()
    }

    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set_faults(&self, faults: Faults) {
        self.disk().faults = faults;
    }

    /// Number of writes so far, for [`Faults::fail_write`].
    pub fn writes(&self) -> u64 {
        self.disk().writes
    }

    /// Power loss. Open handles fail from now on.
    pub fn crash(&self, random: &mut Random) {
        let mut disk = self.disk();
        disk.life += 1;
        disk.faults = Faults::default();
        for content in &mut disk.contents {
            content.crash(random);
        }
        let changes = std::mem::take(&mut disk.unsynced_names);
        let kept = random.below(changes.len() as u64 + 1) as usize;
        let mut names = disk.durable_names.clone();
        for change in &changes[..kept] {
            change.apply(&mut names);
        }
        disk.durable_names.clone_from(&names);
        disk.names = names;
    }

    /// The process dies, and the kernel lives on: what was written is there, but of what a sync has failed to write perhaps only
    /// what is durable. Open handles fail from now on.
    pub fn kill(&self, random: &mut Random) {
        let mut disk = self.disk();
        disk.life += 1;
        disk.faults = Faults::default();
        for content in &mut disk.contents {
            if !content.unwritten.is_empty() && random.below(2) == 0 {
                content.drop_unwritten(random);
            }
        }
    }

    /// Changes one bit of a file for good.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) {
        let mut disk = self.disk();
        let Some(number) = disk.names.get(path).copied() else {
            return;
        };
        let content = &mut disk.contents[number];
        for bytes in [&mut content.durable, &mut content.current] {
            if let Some(byte) = bytes.get_mut(offset as usize) {
                *byte ^= 1 << (bit % 8);
            }
        }
    }

    /// The present content of all files, by path.
    pub fn dump(&self) -> BTreeMap<PathBuf, Vec<u8>> {
        let disk = self.disk();
        let content = |number: &usize| disk.contents[*number].current.clone();
        disk.names
            .iter()
            .map(|(path, number)| (path.clone(), content(number)))
            .collect()
    }

    /// A file with this content, durable at once.
    pub fn put(&self, path: &Path, bytes: &[u8]) {
        let mut disk = self.disk();
        let number = disk.contents.len();
        let (durable, current) = (bytes.to_vec(), bytes.to_vec());
        disk.contents.push(Content {
            durable,
            current,
            ..Content::default()
        });
        disk.names.insert(path.to_owned(), number);
        disk.durable_names.insert(path.to_owned(), number);
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Self::Add(path, number) => {
                names.insert(path.clone(), *number);
            }
            Self::Rename(from, to) => {
                if let Some(number) = names.remove(from) {
                    names.insert(to.clone(), number);
                }
            }
            Self::Remove(path) => {
                names.remove(path);
            }
        }
    }
}

impl Content {
    fn crash(&mut self, random: &mut Random) {
        let unwritten = std::mem::take(&mut self.unwritten);
        self.keep_some(unwritten, random);
        let dirty = std::mem::take(&mut self.dirty);
        self.keep_some(dirty, random);
        self.current.clone_from(&self.durable);
    }

    /// The cache forgets what a sync has failed to write.
    fn drop_unwritten(&mut self, random: &mut Random) {
        let unwritten = std::mem::take(&mut self.unwritten);
        self.keep_some(unwritten, random);
        let written = std::mem::replace(&mut self.current, self.durable.clone());
        for (start, end) in &self.dirty {
            if self.current.len() < *end {
                self.current.resize(*end, 0);
            }
            self.current[*start..*end].copy_from_slice(&written[*start..*end]);
        }
    }

    /// Some sectors of these ranges are durable.
    fn keep_some(&mut self, ranges: Vec<(usize, usize)>, random: &mut Random) {
        for (start, end) in ranges {
            let mut at = start;
            while at < end {
                let sector_end = (at / SECTOR + 1) * SECTOR;
                let stop = sector_end.min(end);
                match random.below(8) {
                    0..3 => {}
                    // The end of a write may be torn within a sector.
                    3 if stop == end => self.keep(at, at + (stop - at) / 2),
                    _ => self.keep(at, stop),
                }
                at = stop;
            }
        }
    }

    fn keep(&mut self, start: usize, end: usize) {
        if self.durable.len() < end {
            self.durable.resize(end, 0);
        }
        self.durable[start..end].copy_from_slice(&self.current[start..end]);
    }

    fn write(&mut self, offset: usize, bytes: &[u8]) {
        let end = offset + bytes.len();
        if self.current.len() < end {
            self.current.resize(end, 0);
        }
        self.current[offset..end].copy_from_slice(bytes);
        self.dirty.push((offset, end));
    }
}

fn not_found(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, path.display().to_string())
}

struct MemFile {
    disk: Arc<Mutex<Disk>>,
    number: usize,
    life: u64,
}

impl MemFile {
    fn disk(&self) -> io::Result<MutexGuard<'_, Disk>> {
        let disk = self.disk.lock().unwrap_or_else(PoisonError::into_inner);
        match disk.life == self.life {
            true => Ok(disk),
            false => Err(io::Error::other("this handle is from before the crash")),
        }
    }
}

impl MemFiles {
    fn handle(&self, number: usize, life: u64) -> Arc<dyn File> {
        Arc::new(MemFile {
            disk: Arc::clone(&self.disk),
            number,
            life,
        })
    }

    fn change(&self, change: NameChange) {
        let mut disk = self.disk();
        change.apply(&mut disk.names);
        disk.unsynced_names.push(change);
    }

    fn must_exist(&self, path: &Path) -> io::Result<usize> {
        self.disk()
            .names
            .get(path)
            .copied()
            .ok_or_else(|| not_found(path))
    }
}

impl FileSystem for MemFiles {
    fn create_dir_all(&self, _dir: &Path) -> io::Result<()> {
        Ok(())
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<String>> {
        let disk = self.disk();
        let inside = disk.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(inside
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let (number, life) = {
            let mut disk = self.disk();
            disk.contents.push(Content::default());
            (disk.contents.len() - 1, disk.life)
        };
        self.change(NameChange::Add(path.to_owned(), number));
        Ok(self.handle(number, life))
    }

    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let number = self.must_exist(path)?;
        let life = self.disk().life;
        Ok(self.handle(number, life))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.must_exist(from)?;
        self.change(NameChange::Rename(from.to_owned(), to.to_owned()));
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.must_exist(path)?;
        self.change(NameChange::Remove(path.to_owned()));
        Ok(())
    }

    fn sync_dir(&self, _dir: &Path) -> io::Result<()> {
        let mut disk = self.disk();
        disk.unsynced_names.clear();
        disk.durable_names = disk.names.clone();
        Ok(())
    }
}

impl File for MemFile {
    fn write_at(&self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.disk()?;
        let number = disk.writes;
        disk.writes += 1;
        let offset = offset as usize;
        if disk.faults.fail_write == Some(number) {
            disk.contents[self.number].write(offset, &bytes[..bytes.len() / 2]);
            return Err(io::Error::other("injected write error"));
        }
        if let Some(left) = disk.faults.space_left {
            if left < bytes.len() as u64 {
                disk.contents[self.number].write(offset, &bytes[..left as usize]);
                disk.faults.space_left = Some(0);
                return Err(io::ErrorKind::StorageFull.into());
            }
            disk.faults.space_left = Some(left - bytes.len() as u64);
        }
        disk.contents[self.number].write(offset, bytes);
        Ok(())
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<usize> {
        let disk = self.disk()?;
        let current = &disk.contents[self.number].current;
        let rest = current.get(offset as usize..).unwrap_or_default();
        let read = rest.len().min(buffer.len());
        buffer[..read].copy_from_slice(&rest[..read]);
        Ok(read)
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.disk()?;
        let fails = disk.faults.fail_sync;
        let content = &mut disk.contents[self.number];
        if fails && !content.dirty.is_empty() {
            content.unwritten.append(&mut content.dirty);
            return Err(io::Error::other("injected sync error"));
        }
        for (start, end) in std::mem::take(&mut content.dirty) {
            content.keep(start, end);
        }
        Ok(())
    }

    fn size(&self) -> io::Result<u64> {
        Ok(self.disk()?.contents[self.number].current.len() as u64)
    }
}
