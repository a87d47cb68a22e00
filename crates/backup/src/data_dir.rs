//! The data directory that a restore fills.
//!
//! ```text
//! {data}/restore-in-progress.json   from the beginning of a restore to its end, locked by it
//! {data}/restoring-{id}/            where everything is written first
//! {data}/...                        its entries, moved here when all is written
//! {data}/restore-marker.json        the restore has succeeded; written last
//! ```
//!
//! # Invariants
//! - A restore begins in a directory that is absent or empty (but for `lost+found`), so whatever is there while
//!   `restore-in-progress.json` is there is the restore's own, and a failed or interrupted one is undone by removing it.
//! - Whoever removes or writes anything holds the lock on that file: of two restores into one directory the second is refused, and
//!   what is taken for interrupted is not another one at work.
//! - A directory with a marker is complete. A broker starts in a directory with `restore-in-progress.json` never.
//! - Every file and rename is synced before the step that relies on it.
//!
//! # Incarnation
//! A restored cluster is a new *incarnation*, so that nodes of the past cannot join it. All nodes of one restore must
//! agree on it and cannot talk to each other while restoring; it is therefore derived from what all of them read: the
//! backup's id and the checksum of its cluster manifest, and a *nonce*. Restoring the same backup a second time would give
//! the same incarnation: as that is only told apart from the first by the operator, who has to empty all nodes for it anyway, the
//! operator may give a nonce (the same on all nodes) to keep a forgotten node of the first restore out. It is in the marker.

use std::fs::{self, File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::document::{self, Format};
use crate::ids::{BackupId, PartitionId};
use crate::restore_error::RestoreError;

const MARKER: &str = "restore-marker.json";
const IN_PROGRESS: &str = "restore-in-progress.json";
/// What a file system puts into its root by itself.
const IGNORED: &str = "lost+found";

const MARKER_FORMAT: Format = Format {
    name: "skep-restore-marker",
    version: 1,
};
const IN_PROGRESS_FORMAT: Format = Format {
    name: "skep-restore-in-progress",
    version: 1,
};

/// Identity of a cluster's life since its last restore; part of every handshake.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Incarnation(pub [u8; 16]);

impl Incarnation {
    /// The same on every node that restores this backup with this nonce.
    pub fn derive(backup: BackupId, cluster_manifest_checksum: &str, nonce: &str) -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"skep incarnation 1");
        hasher.update(&backup.0.to_le_bytes());
        for part in [cluster_manifest_checksum, nonce] {
            hasher
                .update(&(part.len() as u64).to_le_bytes())
                .update(part.as_bytes());
        }
        let mut incarnation = [0; 16];
        hasher.finalize_xof().fill(&mut incarnation);
        Self(incarnation)
    }
}

/// What the last file of a restore says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoreMarker {
    /// The backup restored.
    pub backup_id: BackupId,
    /// The cluster that it is a backup of.
    pub cluster_id: String,
    /// The new incarnation.
    pub incarnation: Incarnation,
    /// What the operator has given to tell this restore from others of the same backup.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub nonce: String,
    /// Partitions of the cluster.
    pub partition_count: u32,
    /// Partitions restored into this directory.
    pub partitions: Vec<PartitionId>,
    /// When, in milliseconds since 1970.
    pub restored_at_ms: u64,
}

#[derive(Debug, Serialize, Deserialize)]
struct InProgress {
    backup_id: BackupId,
}

impl Serialize for Incarnation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        crate::chunk::hex_bytes::serialize(&self.0, serializer)
    }
}

impl<'de> Deserialize<'de> for Incarnation {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let bytes = crate::chunk::hex_bytes::deserialize(deserializer)?;
        let bytes = bytes
            .try_into()
            .map_err(|_| serde::de::Error::custom("expected 32 hexadecimal digits"))?;
        Ok(Self(bytes))
    }
}

/// What a data directory is, seen by a restore.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DataDirState {
    /// Absent, or without entries that matter.
    Empty,
    /// A restore was interrupted here; its leftovers may be removed.
    Interrupted,
    /// A restore has succeeded here, and the broker may have run since.
    Restored(RestoreMarker),
    /// Something else; the first entry found.
    Occupied {
        /// Name of an entry.
        entry: String,
    },
}

/// Look at a data directory without changing it. A broker refuses to start in an `Interrupted` one.
pub fn inspect_data_dir(path: &Path) -> Result<DataDirState, RestoreError> {
    let entries = match fs::read_dir(path) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(DataDirState::Empty),
        Err(e) if e.kind() == io::ErrorKind::NotADirectory => {
            return Err(RestoreError::NotADirectory {
                path: path.to_owned(),
            });
        }
        entries => entries.and_then(Iterator::collect::<io::Result<Vec<_>>>),
    };
    let entries = entries.map_err(disk("read data directory", path))?;
    if let Some(bytes) = read_optional(&path.join(MARKER))? {
        let decoded = document::decode(MARKER_FORMAT, &bytes);
        return decoded
            .map(DataDirState::Restored)
            .map_err(|e| RestoreError::MarkerDamaged {
                path: path.join(MARKER),
                detail: e.to_string(),
            });
    }
    // Its content does not matter: it may be half written.
    if path.join(IN_PROGRESS).exists() {
        return Ok(DataDirState::Interrupted);
    }
    let names = entries
        .iter()
        .map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| name != IGNORED).collect();
    names.sort();
    Ok(match names.into_iter().next() {
        None => DataDirState::Empty,
        Some(entry) => DataDirState::Occupied { entry },
    })
}

/// A data directory that is being filled.
#[derive(Debug)]
pub struct RestoreTarget {
    path: PathBuf,
    staging: PathBuf,
    existed: bool,
    /// [`IN_PROGRESS`], locked until this is dropped.
    in_progress: File,
}

impl RestoreTarget {
    /// Begin. None if this backup has been restored here already: then there is nothing to do.
    pub fn begin(path: &Path, backup: BackupId, nonce: &str) -> Result<Option<Self>, RestoreError> {
        let existed = path.exists();
        let noted = path.join(IN_PROGRESS);
        if !is_to_be_filled(path, backup, nonce)? {
            // The last step of that restore may be missing.
            remove_file(&noted)?;
            return Ok(None);
        }
        fs::create_dir_all(path).map_err(disk("create data directory", path))?;
        let (in_progress, interrupted) = lock(path)?;
        // Another restore may have ended since.
        match is_to_be_filled(path, backup, nonce) {
            Ok(true) => {}
            ended => {
                remove_file(&noted)?;
                return ended.map(|_| None);
            }
        }
        let target = Self {
            path: path.to_owned(),
            staging: path.join(format!("restoring-{backup}")),
            existed,
            in_progress,
        };
        match target.prepare(backup, interrupted) {
            Ok(()) => Ok(Some(target)),
            Err(error) => Err(target.give_up(error)),
        }
    }

    fn prepare(&self, backup: BackupId, interrupted: bool) -> Result<(), RestoreError> {
        if interrupted {
            remove_leftovers(&self.path)?;
        }
        let bytes = document::encode(IN_PROGRESS_FORMAT, &InProgress { backup_id: backup });
        let mut file = &self.in_progress;
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(&bytes))
            .and_then(|()| file.sync_all());
        written.map_err(disk("write", &self.path.join(IN_PROGRESS)))?;
        sync_dir(&self.path)?;
        fs::create_dir(&self.staging).map_err(disk("create directory", &self.staging))?;
        sync_dir(&self.path)
    }

    /// Where to write. Its entries become entries of the data directory.
    pub fn staging(&self) -> &Path {
        &self.staging
    }

    /// Everything is written below [`Self::staging`]: move it into place and write the marker. If that fails, the directory is
    /// what it was before.
    pub fn commit(self, marker: &RestoreMarker) -> Result<(), RestoreError> {
        if let Err(error) = self.move_into_place(marker) {
            return Err(self.give_up(error));
        }
        remove_file(&self.path.join(IN_PROGRESS))?;
        sync_dir(&self.path)
    }

    fn move_into_place(&self, marker: &RestoreMarker) -> Result<(), RestoreError> {
        sync_tree(&self.staging)?;
        let entries = fs::read_dir(&self.staging).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(disk("read directory", &self.staging))? {
            let to = self.path.join(entry.file_name());
            fs::rename(entry.path(), &to).map_err(disk("move into place", &to))?;
        }
        fs::remove_dir(&self.staging).map_err(disk("remove directory", &self.staging))?;
        sync_dir(&self.path)?;
        let bytes = document::encode(MARKER_FORMAT, marker);
        write_synced(&self.path.join(MARKER), &bytes)
    }

    /// Make the directory what it was before, as far as the disk allows: the next run does the rest.
    fn give_up(self, error: RestoreError) -> RestoreError {
        match self.abort() {
            // The first error is the one to tell.
            Ok(()) | Err(_) => error,
        }
    }

    /// Make the directory what it was before.
    pub fn abort(self) -> Result<(), RestoreError> {
        clear(&self.path)?;
        if self.existed {
            return Ok(());
        }
        match fs::remove_dir(&self.path) {
            // Another restore has begun there.
            Err(e) if e.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            removed => removed.map_err(disk("remove data directory", &self.path)),
        }
    }
}

/// Whether there is something to do for a restore of this backup with this nonce.
///
/// # Errors
/// If that must not be done here.
pub fn is_to_be_filled(path: &Path, backup: BackupId, nonce: &str) -> Result<bool, RestoreError> {
    match inspect_data_dir(path)? {
        DataDirState::Restored(marker) if marker.backup_id == backup && marker.nonce == nonce => {
            Ok(false)
        }
        DataDirState::Restored(marker) if marker.backup_id == backup => {
            Err(RestoreError::RestoredOtherwise {
                path: path.to_owned(),
                backup,
            })
        }
        DataDirState::Restored(marker) => Err(RestoreError::RestoredFromAnother {
            path: path.to_owned(),
            found: marker.backup_id,
            wanted: backup,
        }),
        DataDirState::Occupied { entry } => Err(RestoreError::DirectoryNotEmpty {
            path: path.to_owned(),
            entry,
        }),
        DataDirState::Interrupted | DataDirState::Empty => Ok(true),
    }
}

/// Locks the note that a restore is in progress, which is written if it is not there; true if it was.
fn lock(path: &Path) -> Result<(File, bool), RestoreError> {
    let noted = path.join(IN_PROGRESS);
    loop {
        let created = File::options().write(true).create_new(true).open(&noted);
        let (file, interrupted) = match created {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {
                match File::options().write(true).open(&noted) {
                    // Its restore has just ended.
                    Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                    opened => (opened.map_err(disk("open", &noted))?, true),
                }
            }
            created => (created.map_err(disk("create", &noted))?, false),
        };
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                return Err(RestoreError::AtWork {
                    path: path.to_owned(),
                });
            }
            Err(TryLockError::Error(e)) => return Err(disk("lock", &noted)(e)),
        }
        // A restore that has ended since it was opened has removed it, and the next one locks another file.
        if is_at(&file, &noted).map_err(disk("look at", &noted))? {
            return Ok((file, interrupted));
        }
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let ours = file.metadata()?;
    match fs::metadata(path) {
        Ok(there) => Ok((there.dev(), there.ino()) == (ours.dev(), ours.ino())),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(e) => Err(e),
    }
}

/// Remove all that a restore has written: last the note that says that it is not whole.
fn clear(path: &Path) -> Result<(), RestoreError> {
    remove_leftovers(path)?;
    remove_file(&path.join(IN_PROGRESS))?;
    sync_dir(path)
}

/// Remove all that a restore has written but that note: first the marker, which says that the rest is whole.
fn remove_leftovers(path: &Path) -> Result<(), RestoreError> {
    remove_file(&path.join(MARKER))?;
    sync_dir(path)?;
    let entries = fs::read_dir(path).and_then(Iterator::collect::<io::Result<Vec<_>>>);
    for entry in entries.map_err(disk("read data directory", path))? {
        let name = entry.file_name();
        if name == IGNORED || name == IN_PROGRESS {
            continue;
        }
        let entry_path = entry.path();
        let is_dir = entry
            .file_type()
            .map_err(disk("look at", &entry_path))?
            .is_dir();
        let removed = if is_dir {
            fs::remove_dir_all(&entry_path)
        } else {
            fs::remove_file(&entry_path)
        };
        removed.map_err(disk("remove", &entry_path))?;
    }
    sync_dir(path)
}

fn disk<'a>(action: &'static str, path: &'a Path) -> impl FnOnce(io::Error) -> RestoreError + 'a {
    move |source| RestoreError::Disk {
        action,
        path: path.to_owned(),
        source,
    }
}

fn read_optional(path: &Path) -> Result<Option<Vec<u8>>, RestoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(e) => Err(disk("read", path)(e)),
    }
}

fn remove_file(path: &Path) -> Result<(), RestoreError> {
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => Err(disk("remove", path)(e)),
        _ => Ok(()),
    }
}

/// By temporary name and rename, so that the file is there whole or not at all.
fn write_synced(path: &Path, bytes: &[u8]) -> Result<(), RestoreError> {
    let temporary = path.with_extension("json.tmp");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&temporary, path)?;
        path.parent()
            .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
    };
    write().map_err(disk("write", path))
}

fn sync_dir(path: &Path) -> Result<(), RestoreError> {
    File::open(path)
        .and_then(|dir| dir.sync_all())
        .map_err(disk("sync", path))
}

/// Sync every file and directory below; whoever has written them may have forgotten one.
fn sync_tree(root: &Path) -> Result<(), RestoreError> {
    let mut pending = vec![root.to_owned()];
    while let Some(dir) = pending.pop() {
        let entries = fs::read_dir(&dir).and_then(Iterator::collect::<io::Result<Vec<_>>>);
        for entry in entries.map_err(disk("read directory", &dir))? {
            let path = entry.path();
            if entry.file_type().map_err(disk("look at", &path))?.is_dir() {
                pending.push(path);
            } else {
                sync_dir(&path)?;
            }
        }
        sync_dir(&dir)?;
    }
    Ok(())
}
