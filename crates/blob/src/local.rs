//! A store in a directory, possibly a shared file system.
//!
//! An object is a file. It is written under a temporary name in `.staging`, synced, and then renamed or (for
//! `put_if_absent`) hard-linked into place, and the directories concerned are synced: an object that was
//! acknowledged survives a power failure, and deletions do too (a manifest must not come back after its chunks
//! have gone). `object_store`'s own local store syncs only on request, never on deletion, and has no listing
//! without its walker; this is shorter than mending it.
//!
//! Deliberately absent: `put_if_match` (a file system has no compare-and-swap; answered `NotSupported`), and
//! removing directories that became empty (it would race with a writer that is about to use them).

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::{self, BoxStream, StreamExt, TryStreamExt};

use crate::{BlobError, BlobErrorKind, BlobMeta, BlobStore, PutOutcome, Result, Version, path};

const STAGING: &str = ".staging";
/// A temporary file older than this belongs to a writer that has crashed: no single write takes a day.
const STAGING_AGE_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Never created by itself: what is missing may be a mount, and backups would then fill the disk below it.
const GONE: &str = "the directory has vanished; mount it again, or create it anew and take another backup, or correct filesystem.basePath";

/// Objects as files below a directory.
#[derive(Clone, Debug)]
pub struct LocalBlobStore {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    base: PathBuf,
    /// Makes temporary names unique within the process; the process id does so on the machine, and
    /// `create_new` everywhere else.
    staged: AtomicU64,
}

impl LocalBlobStore {
    /// Use the existing directory `base`, and remove what crashed writers have left in its staging area.
    pub fn open(base: &Path) -> Result<Self> {
        let inner = Inner {
            base: base.to_owned(),
            staged: AtomicU64::new(0),
        };
        if !base.is_dir() {
            let detail = "the directory does not exist; create it, or correct filesystem.basePath";
            return Err(BlobError::new(
                BlobErrorKind::Other,
                &inner.location(),
                "",
                detail,
            ));
        }
        let prepared = create_dirs(&inner.base.join(STAGING)).and_then(|()| inner.clean_staging());
        prepared.map_err(|e| inner.error(STAGING, &e))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Run blocking file work away from the async threads. It is not undone when the caller goes away.
    async fn blocking<T: Send + 'static>(
        &self,
        path: &str,
        work: impl FnOnce(&Inner) -> io::Result<T> + Send + 'static,
    ) -> Result<T> {
        path::check(&self.inner.location(), path)?;
        let inner = Arc::clone(&self.inner);
        let joined = tokio::task::spawn_blocking(move || work(&inner)).await;
        // The closure does not panic; a join error means that the runtime is shutting down.
        let result = joined.unwrap_or_else(|e| Err(io::Error::other(e)));
        result.map_err(|e| self.inner.error(path, &e))
    }
}

impl Inner {
    fn location(&self) -> String {
        format!("directory {}", self.base.display())
    }

    fn file(&self, path: &str) -> PathBuf {
        self.base.join(path)
    }

    fn error(&self, path: &str, e: &io::Error) -> BlobError {
        let (kind, advice) = match e.kind() {
            // Not an object that is not there: nothing is. A mount may come back, so it is worth trying again.
            io::ErrorKind::NotFound if !self.base.is_dir() => (BlobErrorKind::Unreachable, GONE),
            io::ErrorKind::NotFound => (BlobErrorKind::NotFound, ""),
            io::ErrorKind::AlreadyExists => (BlobErrorKind::AlreadyExists, ""),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => (
                BlobErrorKind::Unauthorized,
                "give this process's user write access to the directory",
            ),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                (BlobErrorKind::Other, "free space or enlarge the volume")
            }
            io::ErrorKind::Unsupported => (
                BlobErrorKind::NotSupported,
                "this file system has no hard links; use another one",
            ),
            io::ErrorKind::TimedOut => (BlobErrorKind::Timeout, ""),
            io::ErrorKind::StaleNetworkFileHandle | io::ErrorKind::HostUnreachable => {
                (BlobErrorKind::Unreachable, "")
            }
            _ => (BlobErrorKind::Other, ""),
        };
        let detail = match advice {
            "" => e.to_string(),
            advice => format!("{e}: {advice}"),
        };
        BlobError::new(kind, &self.location(), path, detail)
    }

    fn clean_staging(&self) -> io::Result<()> {
        for entry in fs::read_dir(self.base.join(STAGING))? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // Its writer, another broker, was done with it.
                Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            let age = metadata.modified()?.elapsed().unwrap_or_default();
            if age > STAGING_AGE_MAX {
                ignore_absent(fs::remove_file(entry.path()))?;
            }
        }
        Ok(())
    }

    /// A synced temporary file with this content.
    fn stage(&self, bytes: &[u8]) -> io::Result<PathBuf> {
        loop {
            let number = self.staged.fetch_add(1, Ordering::Relaxed);
            let staged = self
                .base
                .join(STAGING)
                .join(format!("{}-{number}", std::process::id()));
            let mut file = match File::create_new(&staged) {
                Ok(file) => file,
                // The directory was emptied, or is another one than at start.
                Err(e) if e.kind() == io::ErrorKind::NotFound && self.base.is_dir() => {
                    create_dirs(&self.base.join(STAGING))?;
                    File::create_new(&staged)?
                }
                // Another machine with our process id, or an earlier life of this one.
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => continue,
                Err(e) => return Err(e),
            };
            let written = file.write_all(bytes).and_then(|()| file.sync_all());
            if let Err(e) = written {
                // The first error is the one to tell; a leftover is cleaned up at a later start.
                let _ = fs::remove_file(&staged);
                return Err(e);
            }
            return Ok(staged);
        }
    }

    fn put(&self, path: &str, bytes: &[u8]) -> io::Result<()> {
        let file = self.file(path);
        let staged = self.stage(bytes)?;
        let placed = create_parent(&file).and_then(|()| fs::rename(&staged, &file));
        if placed.is_err() {
            let _ = fs::remove_file(&staged);
        }
        placed.and_then(|()| sync_parent(&file))
    }

    fn put_if_absent(&self, path: &str, bytes: &[u8]) -> io::Result<PutOutcome> {
        let file = self.file(path);
        let staged = self.stage(bytes)?;
        let placed = create_parent(&file).and_then(|()| fs::hard_link(&staged, &file));
        ignore_absent(fs::remove_file(&staged))?;
        match placed {
            Ok(()) => sync_parent(&file).map(|()| PutOutcome::Created),
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(PutOutcome::AlreadyExists),
            Err(e) => Err(e),
        }
    }

    fn get_range(&self, path: &str, range: Range<u64>) -> io::Result<Bytes> {
        let mut file = File::open(self.file(path))?;
        file.seek(SeekFrom::Start(range.start))?;
        let mut bytes = Vec::new();
        file.take(range.end.saturating_sub(range.start))
            .read_to_end(&mut bytes)?;
        Ok(bytes.into())
    }

    fn delete(&self, path: &str, parents: &mut BTreeSet<PathBuf>) -> io::Result<()> {
        let file = self.file(path);
        match fs::remove_file(&file) {
            Ok(()) => {
                parents.extend(file.parent().map(Path::to_owned));
                Ok(())
            }
            Err(e) if e.kind() == io::ErrorKind::NotFound && self.base.is_dir() => Ok(()),
            deleted => deleted,
        }
    }

    /// Objects of one directory, and its subdirectories, as relative paths.
    fn read_dir(&self, dir: &str) -> io::Result<(Vec<BlobMeta>, Vec<String>)> {
        let (mut metas, mut dirs) = (Vec::new(), Vec::new());
        let entries = match fs::read_dir(self.base.join(dir)) {
            Err(e)
                if e.kind() == io::ErrorKind::NotFound && !dir.is_empty() && self.base.is_dir() =>
            {
                return Ok((metas, dirs));
            }
            entries => entries?,
        };
        for entry in entries {
            let entry = entry?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            if dir.is_empty() && name == STAGING {
                continue;
            }
            let path = if dir.is_empty() {
                name
            } else {
                format!("{dir}/{name}")
            };
            match entry.metadata() {
                Ok(meta) if meta.is_dir() => dirs.push(path),
                Ok(meta) => metas.push(BlobMeta {
                    path,
                    size: meta.len(),
                    modified: modified(&meta),
                }),
                // Deleted since the directory was read.
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(e),
            }
        }
        Ok((metas, dirs))
    }
}

#[async_trait]
impl BlobStore for LocalBlobStore {
    fn location(&self) -> String {
        self.inner.location()
    }

    async fn get(&self, path: &str) -> Result<Bytes> {
        let relative = path.to_owned();
        self.blocking(path, move |inner| {
            fs::read(inner.file(&relative)).map(Bytes::from)
        })
        .await
    }

    async fn get_range(&self, path: &str, range: Range<u64>) -> Result<Bytes> {
        let relative = path.to_owned();
        self.blocking(path, move |inner| inner.get_range(&relative, range))
            .await
    }

    async fn head(&self, path: &str) -> Result<BlobMeta> {
        let relative = path.to_owned();
        let meta = self
            .blocking(path, move |inner| fs::metadata(inner.file(&relative)))
            .await?;
        Ok(BlobMeta {
            path: path.to_owned(),
            size: meta.len(),
            modified: modified(&meta),
        })
    }

    async fn put(&self, path: &str, bytes: Bytes) -> Result<()> {
        let relative = path.to_owned();
        self.blocking(path, move |inner| inner.put(&relative, &bytes))
            .await
    }

    async fn put_if_absent(&self, path: &str, bytes: Bytes) -> Result<PutOutcome> {
        let relative = path.to_owned();
        self.blocking(path, move |inner| inner.put_if_absent(&relative, &bytes))
            .await
    }

    async fn get_versioned(&self, path: &str) -> Result<(Bytes, Version)> {
        let bytes = self.get(path).await?;
        let version = Version(blake3::hash(&bytes).to_string());
        Ok((bytes, version))
    }

    async fn put_if_match(&self, path: &str, _: Bytes, _: &Version) -> Result<()> {
        let detail = "a file system cannot replace a file on condition";
        Err(BlobError::new(
            BlobErrorKind::NotSupported,
            &self.location(),
            path,
            detail,
        ))
    }

    fn list(&self, prefix: &str) -> BoxStream<'static, Result<BlobMeta>> {
        let store = self.clone();
        if !prefix.is_empty()
            && let Err(e) = path::check(&store.location(), prefix)
        {
            return stream::once(async { Err(e) }).boxed();
        }
        let pending = vec![prefix.to_owned()];
        let pages = stream::try_unfold((store, pending), |(store, mut pending)| async move {
            let Some(dir) = pending.pop() else {
                return Ok(None);
            };
            let inner = Arc::clone(&store.inner);
            let name = dir.clone();
            let read = tokio::task::spawn_blocking(move || inner.read_dir(&name)).await;
            let read = read.unwrap_or_else(|e| Err(io::Error::other(e)));
            let (metas, dirs) = read.map_err(|e| store.inner.error(&dir, &e))?;
            pending.extend(dirs);
            let page = stream::iter(metas.into_iter().map(Ok));
            Ok::<_, BlobError>(Some((page, (store, pending))))
        });
        pages.try_flatten().boxed()
    }

    async fn delete(&self, paths: &[String]) -> Result<()> {
        let Some(first) = paths.first() else {
            return Ok(());
        };
        let paths = paths.to_vec();
        for path in &paths {
            path::check(&self.location(), path)?;
        }
        let delete_all = move |inner: &Inner| {
            let mut parents = BTreeSet::new();
            paths
                .iter()
                .try_for_each(|path| inner.delete(path, &mut parents))?;
            parents
                .iter()
                .try_for_each(|dir| File::open(dir)?.sync_all())
        };
        self.blocking(first, delete_all).await
    }
}

fn modified(meta: &fs::Metadata) -> SystemTime {
    // Every platform we run on records modification times.
    meta.modified().unwrap_or(SystemTime::UNIX_EPOCH)
}

fn ignore_absent(result: io::Result<()>) -> io::Result<()> {
    match result {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

fn create_parent(file: &Path) -> io::Result<()> {
    file.parent().map_or(Ok(()), create_dirs)
}

fn sync_parent(file: &Path) -> io::Result<()> {
    file.parent()
        .map_or(Ok(()), |dir| File::open(dir)?.sync_all())
}

/// Create the directory and those above it, and sync every directory that got a new entry.
fn create_dirs(dir: &Path) -> io::Result<()> {
    let mut missing: Vec<&Path> = Vec::new();
    let mut at = Some(dir);
    while let Some(dir) = at.filter(|dir| !dir.as_os_str().is_empty() && !dir.is_dir()) {
        missing.push(dir);
        at = dir.parent();
    }
    for dir in missing.into_iter().rev() {
        match fs::create_dir(dir) {
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
            created => created?,
        }
        sync_parent(dir)?;
    }
    Ok(())
}
