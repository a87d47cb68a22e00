//! Finds the damaged block of a table file. The engine says that a checksum does not match, but not where.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::{Xxh3Default, xxh3_128};

use crate::archive::{self, Reader};
use crate::error::Unreadable;

const MAGIC: [u8; 4] = *b"LSM\x03";
/// What a block's header protects with the checksum at its end: magic, kind, checksum and length of the payload, length unpacked.
const PROTECTED_BYTES: usize = 4 + 1 + 16 + 4 + 4;
const HEADER_BYTES: usize = PROTECTED_BYTES + 4;
/// Sections that do not consist of blocks.
const WITHOUT_BLOCKS: [&[u8]; 2] = [b"table_version", b"linked_blob_files"];
/// Read at a time.
const BUFFER_BYTES: usize = 256 << 10;

/// Where the first block begins that is not as it was written. The file as a whole is known not to be: where all blocks are
/// sound, it is the section without blocks.
pub(crate) fn find_damage(file: &File) -> Result<Option<u64>, Unreadable> {
    let mut unprotected = None;
    for section in archive::sections(file)? {
        if WITHOUT_BLOCKS.contains(&section.name.as_slice()) {
            unprotected = unprotected.or(Some(section.from));
            continue;
        }
        let mut at = section.from;
        while at < section.end() {
            match sound_block(file, at, section.end())? {
                Some(bytes) => at += bytes,
                None => return Ok(Some(at)),
            }
        }
    }
    Ok(unprotected)
}

/// Length of the block at `at`, if it is as it was written and ends in its section.
fn sound_block(file: &File, at: u64, end: u64) -> io::Result<Option<u64>> {
    if end - at < HEADER_BYTES as u64 {
        return Ok(None);
    }
    let mut header = [0; HEADER_BYTES];
    file.read_exact_at(&mut header, at)?;
    let (protected, checksum) = header.split_at(PROTECTED_BYTES);
    // The engine keeps the lower four bytes.
    if protected[..MAGIC.len()] != MAGIC
        || checksum != &xxh3_128(protected).to_le_bytes()[..checksum.len()]
    {
        return Ok(None);
    }
    let mut fields = Reader(&protected[MAGIC.len()..]);
    let (Some(_kind), Some(payload_checksum), Some(payload_bytes)) =
        (fields.u8(), fields.u128(), fields.u32())
    else {
        return Ok(None);
    };
    let payload_at = at + HEADER_BYTES as u64;
    let block_end = payload_at + u64::from(payload_bytes);
    let sound = block_end <= end && checksum_of(file, payload_at, block_end)? == payload_checksum;
    Ok(sound.then_some(block_end - at))
}

fn checksum_of(file: &File, mut from: u64, to: u64) -> io::Result<u128> {
    let mut hasher = Xxh3Default::new();
    let mut buffer = vec![0; BUFFER_BYTES.min((to - from) as usize)];
    while from < to {
        let part = &mut buffer[..BUFFER_BYTES.min((to - from) as usize)];
        file.read_exact_at(part, from)?;
        hasher.update(part);
        from += part.len() as u64;
    }
    Ok(hasher.digest128())
}
