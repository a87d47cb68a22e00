//! The file that makes a directory a store, and says in which format. Layout: `docs/formats/store.md`.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use skep_state::StateError;

use crate::directory::{Layout, sync_dir};
use crate::error::{self, StoreError};

const MAGIC: &[u8; 8] = b"SKEPSTR\n";
/// Version of the directory's layout: file names, the keys of the meta and of the ends.
pub(crate) const FORMAT: u32 = 2;
/// Since this version tables have ends, which every write must raise: a release that knows none must not write.
pub(crate) const FORMAT_WITH_ENDS: u32 = 2;
/// Version of the engine's files.
pub(crate) const ENGINE_FORMAT: u32 = 3;
/// Informative: who created the store.
pub(crate) const ENGINE: &str = "lsm-tree 3.1.10";

const FIXED_BYTES: usize = 8 + 4 + 4 + 4;
const CHECKSUM_BYTES: usize = 4;
/// A marker is tiny; a file larger than this isn't one.
const BYTES_MAX: u64 = 4096;

/// What the marker says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Marker {
    pub(crate) format: u32,
    pub(crate) engine_format: u32,
    pub(crate) engine: String,
}

impl Marker {
    pub(crate) fn current() -> Marker {
        Marker {
            format: FORMAT,
            engine_format: ENGINE_FORMAT,
            engine: ENGINE.to_owned(),
        }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = MAGIC.to_vec();
        bytes.extend_from_slice(&self.format.to_le_bytes());
        bytes.extend_from_slice(&self.engine_format.to_le_bytes());
        let length = u32::try_from(self.engine.len()).expect("the engine's name is short");
        bytes.extend_from_slice(&length.to_le_bytes());
        bytes.extend_from_slice(self.engine.as_bytes());
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Marker, String> {
        if bytes.get(..MAGIC.len()) != Some(MAGIC.as_slice()) {
            return Err("it does not begin like a store's marker".to_owned());
        }
        let content_length = bytes.len().saturating_sub(CHECKSUM_BYTES);
        if content_length < FIXED_BYTES {
            return Err(format!("it has only {} bytes", bytes.len()));
        }
        let (content, checksum) = bytes.split_at(content_length);
        if crc32c::crc32c(content).to_le_bytes() != checksum {
            return Err("checksum does not match".to_owned());
        }
        let number = |at: usize| {
            let field = content[at..at + 4].try_into().expect("four bytes");
            u32::from_le_bytes(field)
        };
        let engine = &content[FIXED_BYTES..];
        if number(16) as usize != engine.len() {
            return Err(format!(
                "length field says {}, found {}",
                number(16),
                engine.len()
            ));
        }
        Ok(Marker {
            format: number(8),
            engine_format: number(12),
            engine: String::from_utf8_lossy(engine).into_owned(),
        })
    }
}

/// Writes the marker of a new store; from then on the directory is one.
pub(crate) fn create(layout: &Layout) -> Result<(), StateError> {
    let path = layout.marker();
    let temporary = path.with_extension("new");
    let write = || {
        let mut file = File::create(&temporary)?;
        file.write_all(&Marker::current().encode())?;
        file.sync_all()?;
        fs::rename(&temporary, &path)?;
        sync_dir(layout.root())
    };
    write().map_err(|error| error::io(format!("create {}", path.display()), &error))
}

/// Reads and checks the marker, gives the format, and takes the store for this process as long as the file given back is open.
pub(crate) fn take(layout: &Layout) -> Result<(File, u32), StoreError> {
    let path = layout.marker();
    let failed = |error: std::io::Error| error::io(format!("open {}", path.display()), &error);
    let file = File::open(&path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            return Err(StoreError::InUse {
                directory: layout.root().to_owned(),
            });
        }
        Err(fs::TryLockError::Error(error)) => return Err(failed(error).into()),
    }
    let format = check(&path, layout.root())?;
    Ok((file, format))
}

fn check(path: &Path, directory: &Path) -> Result<u32, StoreError> {
    let failed = |error: std::io::Error| error::io(format!("read {}", path.display()), &error);
    let length = fs::metadata(path).map_err(failed)?.len();
    if length > BYTES_MAX {
        return Err(error::corrupt_at(path, 0, format!("it has {length} bytes")).into());
    }
    let bytes = fs::read(path).map_err(failed)?;
    let marker = Marker::decode(&bytes).map_err(|reason| error::corrupt_at(path, 0, reason))?;
    if marker.format > FORMAT || marker.engine_format > ENGINE_FORMAT {
        return Err(StoreError::Newer {
            directory: directory.to_owned(),
            found: format!(
                "{}/{} ({})",
                marker.format, marker.engine_format, marker.engine
            ),
            known: format!("{FORMAT}/{ENGINE_FORMAT}"),
        });
    }
    if marker.format == 0 || marker.engine_format != ENGINE_FORMAT {
        let reason = format!(
            "format {}/{} never existed",
            marker.format, marker.engine_format
        );
        return Err(error::corrupt_at(path, 0, reason).into());
    }
    Ok(marker.format)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_marker_reads_as_it_was_written() {
        let marker = Marker::current();
        assert_eq!(Marker::decode(&marker.encode()), Ok(marker));
    }

    #[test]
    fn every_flipped_bit_of_a_marker_is_noticed() {
        let bytes = Marker::current().encode();
        for bit in 0..bytes.len() * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(Marker::decode(&damaged).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn every_cut_marker_is_noticed() {
        let bytes = Marker::current().encode();
        for length in 0..bytes.len() {
            assert!(Marker::decode(&bytes[..length]).is_err(), "length {length}");
        }
    }
}
