//! Reads the engine's list of table files, and checks what the engine itself does not check when it opens a tree:
//! the checksum of the list, and that of each file's table of contents (whose length field it would believe).

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use skep_state::StateError;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::archive::{self, Reader};
use crate::blocks;
use crate::directory::Layout;
use crate::error::{self, Unreadable};

/// A table file that the tree consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) id: u64,
    checksum: u128,
}

const CURRENT_BYTES: usize = 8 + 16 + 1;
/// The list has some forty bytes for each table file.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Number of the newest version of the tree on disk.
pub(crate) fn current_version(layout: &Layout) -> Result<u64, StateError> {
    Ok(read_current(layout)?.0)
}

fn read_current(layout: &Layout) -> Result<(u64, u128), StateError> {
    let path = layout.tree().join("current");
    let bytes = read_small(&path)?;
    // One checksum covers each of these small files, so that their beginning is all that can be told.
    let damaged = |reason: String| error::corrupt_at(&path, 0, reason);
    let bytes: [u8; CURRENT_BYTES] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| damaged(format!("it has {} bytes", bytes.len())))?;
    let mut reader = Reader(&bytes);
    match (reader.u64(), reader.u128(), reader.u8()) {
        (Some(version), Some(checksum), Some(0)) => Ok((version, checksum)),
        _ => Err(damaged("it names an unknown kind of checksum".to_owned())),
    }
}

/// The tables of the newest version of the tree on disk.
pub(crate) fn tables(layout: &Layout) -> Result<Vec<TableEntry>, StateError> {
    let (version, checksum) = read_current(layout)?;
    let path = layout.tree().join(format!("v{version}"));
    let bytes = read_small(&path)?;
    if xxh3_128(&bytes) != checksum {
        let reason = "checksum does not match the one in the file `current`";
        return Err(error::corrupt_at(&path, 0, reason));
    }
    let sections = open(&path)
        .and_then(|file| archive::sections(&file))
        .map_err(|error| error.of(&path))?;
    let list = sections.iter().find(|section| section.name == b"tables");
    list.and_then(|list| bytes.get(list.from as usize..list.end() as usize))
        .and_then(parse_tables)
        .ok_or_else(|| error::corrupt_at(&path, 0, "the list of tables can't be read"))
}

fn parse_tables(bytes: &[u8]) -> Option<Vec<TableEntry>> {
    let mut reader = Reader(bytes);
    let mut tables = Vec::new();
    for _level in 0..reader.u8()? {
        for _run in 0..reader.u8()? {
            for _table in 0..reader.u32()? {
                let id = reader.u64()?;
                let _checksum_kind = reader.u8()?;
                let checksum = reader.u128()?;
                let _sequence = reader.u64()?;
                tables.push(TableEntry { id, checksum });
            }
        }
    }
    Some(tables)
}

/// Checks the end of every table file, so that the engine may open it.
pub(crate) fn check_tables(layout: &Layout, tables: &[TableEntry]) -> Result<(), StateError> {
    for table in tables {
        let path = layout.table(table.id);
        open(&path)
            .and_then(|file| archive::sections(&file))
            .map_err(|error| error.of(&path))?;
    }
    Ok(())
}

/// A table file that isn't byte for byte what was written.
pub(crate) struct DamagedTable {
    pub(crate) path: PathBuf,
    /// Of the damaged block.
    pub(crate) offset: Option<u64>,
}

/// The first of them. Reads all.
pub(crate) fn find_damaged_table(layout: &Layout) -> Result<Option<DamagedTable>, StateError> {
    for table in tables(layout)? {
        let path = layout.table(table.id);
        let look = || {
            let mut file = open(&path)?;
            if file_checksum(&mut file)? == table.checksum {
                return Ok(None);
            }
            blocks::find_damage(&file).map(Some)
        };
        if let Some(offset) = look().map_err(|error: Unreadable| error.of(&path))? {
            return Ok(Some(DamagedTable { path, offset }));
        }
    }
    Ok(None)
}

fn open(path: &Path) -> Result<File, Unreadable> {
    Ok(File::open(path)?)
}

fn file_checksum(file: &mut File) -> io::Result<u128> {
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest128()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

fn read_small(path: &Path) -> Result<Vec<u8>, StateError> {
    let unreadable = |error: io::Error| Unreadable::Io(error).of(path);
    let length = fs::metadata(path).map_err(unreadable)?.len();
    if length > LIST_BYTES_MAX {
        return Err(error::corrupt_at(path, 0, format!("it has {length} bytes")));
    }
    fs::read(path).map_err(unreadable)
}
