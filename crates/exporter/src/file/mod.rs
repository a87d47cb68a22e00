//! The exporter into files of JSON lines: `docs/exporters.md`.
//!
//! **Invariants**
//! - A file holds whole lines up to the mark that was written down; whatever lies behind it is dropped when the exporter is
//!   opened, and written again.
//! - A file is flushed when it is full, and another one is begun for the next record: what is finished is never gone back
//!   to, unless exporting is paused softly.
//! - Files of another series are never written to: a series is one life of one partition's data in one directory.

mod series;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use tracing::warn;

use crate::limits::{UNSYNCED_BYTES, WRITE_BYTES};
use crate::{ExportError, Exported, Exporter, Mark};
use series::FileName;

/// Where and how the files are written.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Directory of the partition's files; made if it does not exist.
    pub directory: PathBuf,
    /// Bytes after which another file is begun.
    pub file_bytes_max: u64,
    /// Files that are kept; `None` for all.
    pub files_max: Option<usize>,
    /// Number of the series that is begun if none can be gone on with: higher than all before.
    pub series: u64,
    /// Version that the records show.
    pub broker_version: &'static str,
}

/// Writes JSON lines.
pub struct FileExporter {
    options: FileOptions,
    open: Option<OpenFile>,
    lines: Vec<u8>,
    /// The file was flushed when it was full: the next record goes to another one.
    is_finished: bool,
    /// The file of the mark that was written down last.
    acknowledged: Option<FileName>,
}

struct OpenFile {
    name: FileName,
    path: PathBuf,
    file: File,
    /// Bytes in the file.
    length: u64,
    /// Bytes that may not be on the disk yet.
    unsynced: u64,
}

impl OpenFile {
    fn append(&mut self, bytes: &[u8]) -> Result<(), ExportError> {
        self.file
            .write_all(bytes)
            .map_err(ExportError::file("write to", &self.path))?;
        self.length += bytes.len() as u64;
        self.unsynced += bytes.len() as u64;
        Ok(())
    }

    fn sync(&mut self) -> Result<(), ExportError> {
        self.file
            .sync_data()
            .map_err(ExportError::file("sync", &self.path))?;
        self.unsynced = 0;
        Ok(())
    }
}

impl FileExporter {
    /// Nothing is touched before it is opened.
    pub fn new(options: FileOptions) -> FileExporter {
        FileExporter {
            options,
            open: None,
            lines: Vec::new(),
            is_finished: false,
            acknowledged: None,
        }
    }

    /// Goes on in the file of the mark, if it is still as the mark says.
    fn resume(&self, mark: Mark) -> Result<Option<OpenFile>, ExportError> {
        let Mark([series, number, length]) = mark;
        let name = FileName { series, number };
        let path = self.options.directory.join(name.to_string());
        let file = match OpenOptions::new().append(true).open(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            opened => Some(opened.map_err(ExportError::file("open", &path))?),
        };
        let found = file.as_ref().map(File::metadata).transpose();
        let found = found.map_err(ExportError::file("look at", &path))?;
        let is_whole = found.is_some_and(|found| found.len() >= length);
        let Some(file) = file.filter(|_| is_whole) else {
            warn!(path = %path.display(), "the exporter's last file is gone or was shortened; another series of files is begun");
            return Ok(None);
        };
        let cut = file.set_len(length).and_then(|()| file.sync_all());
        cut.map_err(ExportError::file("drop what was not flushed of", &path))?;
        for later in self
            .files()?
            .into_iter()
            .filter(|file| file.is_later_in_series(&name))
        {
            self.remove(&later)?;
        }
        Ok(Some(OpenFile {
            name,
            path,
            file,
            length,
            unsynced: 0,
        }))
    }

    fn files(&self) -> Result<Vec<FileName>, ExportError> {
        let directory = &self.options.directory;
        series::files(directory).map_err(ExportError::file("list", directory))
    }

    fn remove(&self, name: &FileName) -> Result<(), ExportError> {
        let path = self.options.directory.join(name.to_string());
        fs::remove_file(&path).map_err(ExportError::file("remove", &path))
    }

    /// The first file of a series that nobody has written to.
    fn begin_series(&self) -> Result<OpenFile, ExportError> {
        let last = self.files()?.into_iter().max();
        let series = last.map_or(0, |last| last.series + 1);
        self.create(FileName {
            series: series.max(self.options.series),
            number: 1,
        })
    }

    fn create(&self, name: FileName) -> Result<OpenFile, ExportError> {
        let directory = &self.options.directory;
        let path = directory.join(name.to_string());
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(ExportError::file("create", &path))?;
        sync_directory(directory)?;
        Ok(OpenFile {
            name,
            path,
            file,
            length: 0,
            unsynced: 0,
        })
    }

    fn write(&mut self) -> Result<(), ExportError> {
        let open = self.open.as_mut().expect("opened first");
        open.append(&self.lines)?;
        self.lines.clear();
        // One huge record must not keep its memory.
        self.lines.shrink_to(2 * WRITE_BYTES);
        match open.unsynced >= UNSYNCED_BYTES {
            true => open.sync(),
            false => Ok(()),
        }
    }

    fn rotate(&mut self) -> Result<(), ExportError> {
        let open = self.open.as_ref().expect("opened first");
        let next = self.create(FileName {
            number: open.name.number + 1,
            ..open.name
        })?;
        self.open = Some(next);
        self.is_finished = false;
        Ok(())
    }

    /// Removes the oldest files that are too many, but none that the exporter may have to go back to.
    fn remove_oldest(&self, needed: FileName) -> Result<(), ExportError> {
        let Some(files_max) = self.options.files_max else {
            return Ok(());
        };
        let mut files = self.files()?;
        files.sort_unstable();
        let surplus = files.len().saturating_sub(files_max);
        for old in files.iter().take(surplus).filter(|file| **file < needed) {
            self.remove(old)?;
        }
        Ok(())
    }
}

fn sync_directory(path: &Path) -> Result<(), ExportError> {
    let synced = File::open(path).and_then(|directory| directory.sync_all());
    synced.map_err(ExportError::file("sync", path))
}

impl Exporter for FileExporter {
    fn open(&mut self, mark: Option<Mark>) -> Result<(), ExportError> {
        self.open = None;
        self.lines.clear();
        let directory = &self.options.directory;
        fs::create_dir_all(directory).map_err(ExportError::file("create", directory))?;
        if let Some(above) = directory
            .parent()
            .filter(|above| !above.as_os_str().is_empty())
        {
            sync_directory(above)?;
        }
        let resumed = match mark {
            Some(mark) => self.resume(mark)?,
            None => None,
        };
        let open = match resumed {
            Some(open) => open,
            None => self.begin_series()?,
        };
        self.acknowledged = None;
        self.open = Some(open);
        self.is_finished = self.is_full();
        Ok(())
    }

    fn export(&mut self, record: &Exported<'_>) -> Result<(), ExportError> {
        if self.is_finished {
            self.rotate()?;
        }
        record.put_json(&mut self.lines, self.options.broker_version);
        self.lines.push(b'\n');
        if self.lines.len() >= WRITE_BYTES {
            self.write()?;
        }
        Ok(())
    }

    fn is_full(&self) -> bool {
        let written = self.open.as_ref().map_or(0, |open| open.length);
        written + self.lines.len() as u64 >= self.options.file_bytes_max
    }

    fn flush(&mut self) -> Result<Mark, ExportError> {
        self.write()?;
        self.is_finished = self.is_full();
        let open = self.open.as_mut().expect("opened first");
        open.sync()?;
        Ok(Mark([open.name.series, open.name.number, open.length]))
    }

    fn acknowledged(&mut self, mark: Mark) -> Result<(), ExportError> {
        let Mark([series, number, _]) = mark;
        let name = FileName { series, number };
        if self.acknowledged != Some(name) {
            self.remove_oldest(name)?;
            self.acknowledged = Some(name);
        }
        Ok(())
    }
}
