//! Reads the engine's list of table files, and checks what the engine itself does not check when it opens a tree:
//! the checksum of the list, and that of each file's table of contents (whose length field it would believe).

use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use skep_state::StateError;
use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::directory::Layout;
use crate::error;

/// A table file that the tree consists of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TableEntry {
    pub(crate) id: u64,
    checksum: u128,
}

const CURRENT_BYTES: usize = 8 + 16 + 1;
const TRAILER_MAGIC: &[u8] = b"SFA!";
const TRAILER_BYTES: u64 = 4 + 1 + 1 + 16 + 8 + 8;
/// Some twenty sections with short names; a longer table of contents is damage.
const CONTENTS_BYTES_MAX: u64 = 64 << 10;
/// The list has some forty bytes for each table file.
const LIST_BYTES_MAX: u64 = 64 << 20;

/// Number of the newest version of the tree on disk.
pub(crate) fn current_version(layout: &Layout) -> Result<u64, StateError> {
    Ok(read_current(layout)?.0)
}

fn read_current(layout: &Layout) -> Result<(u64, u128), StateError> {
    let path = layout.tree().join("current");
    let bytes = read_small(&path)?;
    let bytes: [u8; CURRENT_BYTES] = bytes
        .try_into()
        .map_err(|bytes: Vec<u8>| error::corrupt(&path, format!("it has {} bytes", bytes.len())))?;
    let mut reader = Reader(&bytes);
    match (reader.u64(), reader.u128(), reader.u8()) {
        (Some(version), Some(checksum), Some(0)) => Ok((version, checksum)),
        _ => Err(error::corrupt(
            &path,
            "it names an unknown kind of checksum",
        )),
    }
}

/// The tables of the newest version of the tree on disk.
pub(crate) fn tables(layout: &Layout) -> Result<Vec<TableEntry>, StateError> {
    let (version, checksum) = read_current(layout)?;
    let path = layout.tree().join(format!("v{version}"));
    let bytes = read_small(&path)?;
    if xxh3_128(&bytes) != checksum {
        return Err(error::corrupt(
            &path,
            "checksum does not match the one in the file `current`",
        ));
    }
    let file = File::open(&path).map_err(|error| unreadable(&path, &error))?;
    let contents = contents(&file).map_err(|error| unreadable(&path, &error))?;
    section(&contents, b"tables")
        .and_then(|(from, length)| bytes.get(from..from.checked_add(length)?))
        .and_then(parse_tables)
        .ok_or_else(|| error::corrupt(&path, "the list of tables can't be read"))
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
        File::open(&path)
            .and_then(|file| contents(&file))
            .map_err(|error| unreadable(&path, &error))?;
    }
    Ok(())
}

/// The first table file that isn't byte for byte what was written. Reads all of them.
pub(crate) fn find_damaged_table(layout: &Layout) -> Result<Option<PathBuf>, StateError> {
    for table in tables(layout)? {
        let path = layout.table(table.id);
        match file_checksum(&path) {
            Ok(checksum) if checksum == table.checksum => {}
            Ok(_) => return Ok(Some(path)),
            Err(error) => return Err(unreadable(&path, &error)),
        }
    }
    Ok(None)
}

fn file_checksum(path: &Path) -> io::Result<u128> {
    let mut file = File::open(path)?;
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; 256 << 10];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hasher.digest128()),
            length => hasher.update(&buffer[..length]),
        }
    }
}

/// The table of contents at the end of one of the engine's files, after checking it.
fn contents(file: &File) -> io::Result<Vec<u8>> {
    let damaged = |reason: &str| io::Error::new(io::ErrorKind::InvalidData, reason.to_owned());
    let size = file.metadata()?.len();
    let trailer_at = size
        .checked_sub(TRAILER_BYTES)
        .ok_or_else(|| damaged("it is cut"))?;
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let fields = trailer
        .strip_prefix(TRAILER_MAGIC)
        .ok_or_else(|| damaged("its last bytes are not a trailer"))?;
    let mut reader = Reader(fields);
    let (Some(1), Some(0), Some(checksum), Some(from)) =
        (reader.u8(), reader.u8(), reader.u128(), reader.u64())
    else {
        return Err(damaged("its trailer has an unknown version"));
    };
    let length = trailer_at
        .checked_sub(from)
        .filter(|length| *length <= CONTENTS_BYTES_MAX);
    let length = length.ok_or_else(|| damaged("its trailer points nowhere"))?;
    let mut contents = vec![0; length as usize];
    file.read_exact_at(&mut contents, from)?;
    if xxh3_128(&contents) == checksum {
        Ok(contents)
    } else {
        Err(damaged("checksum of its table of contents does not match"))
    }
}

/// Offset and length of a named section.
fn section(contents: &[u8], name: &[u8]) -> Option<(usize, usize)> {
    let mut reader = Reader(contents.strip_prefix(b"TOC!")?);
    for _section in 0..reader.u32()? {
        let place = (reader.u64()?, reader.u64()?);
        let length = reader.u16()?;
        if reader.take(length.into())? == name {
            return Some((place.0.try_into().ok()?, place.1.try_into().ok()?));
        }
    }
    None
}

fn read_small(path: &Path) -> Result<Vec<u8>, StateError> {
    let length = fs::metadata(path)
        .map_err(|error| unreadable(path, &error))?
        .len();
    if length > LIST_BYTES_MAX {
        return Err(error::corrupt(path, format!("it has {length} bytes")));
    }
    fs::read(path).map_err(|error| unreadable(path, &error))
}

fn unreadable(path: &Path, error: &io::Error) -> StateError {
    if error::means_damage(error) {
        error::corrupt(path, error.to_string())
    } else {
        error::io(format!("read {}", path.display()), error)
    }
}

/// Little-endian fields; `None` at the end.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}
