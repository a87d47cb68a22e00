//! The engine's files: named sections, and a checksummed table of contents at the end. The engine itself believes the lengths in it,
//! so we check it first.

use std::fs::File;
use std::os::unix::fs::FileExt;

use xxhash_rust::xxh3::xxh3_128;

use crate::error::Unreadable;

const CONTENTS_MAGIC: &[u8] = b"TOC!";
const TRAILER_MAGIC: &[u8] = b"SFA!";
const TRAILER_BYTES: u64 = 4 + 1 + 1 + 16 + 8 + 8;
/// Some twenty sections with short names; a longer table of contents is damage.
const CONTENTS_BYTES_MAX: u64 = 64 << 10;

/// A part of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Section {
    pub(crate) name: Vec<u8>,
    pub(crate) from: u64,
    pub(crate) length: u64,
}

impl Section {
    pub(crate) fn end(&self) -> u64 {
        self.from.saturating_add(self.length)
    }
}

/// The sections of a file, after checking what says where they are.
pub(crate) fn sections(file: &File) -> Result<Vec<Section>, Unreadable> {
    let size = file.metadata()?.len();
    let trailer_at = size
        .checked_sub(TRAILER_BYTES)
        .ok_or_else(|| Unreadable::damaged(size, "the file is cut there"))?;
    let damaged = |reason: &str| Unreadable::damaged(trailer_at, reason);
    let mut trailer = [0; TRAILER_BYTES as usize];
    file.read_exact_at(&mut trailer, trailer_at)?;
    let fields = trailer
        .strip_prefix(TRAILER_MAGIC)
        .ok_or_else(|| damaged("there is no trailer; the file may be cut"))?;
    let mut reader = Reader(fields);
    let (Some(1), Some(0), Some(checksum), Some(from)) =
        (reader.u8(), reader.u8(), reader.u128(), reader.u64())
    else {
        return Err(damaged("the trailer has an unknown version"));
    };
    let length = trailer_at
        .checked_sub(from)
        .filter(|length| *length <= CONTENTS_BYTES_MAX)
        .ok_or_else(|| damaged("the trailer points nowhere"))?;
    let mut contents = vec![0; length as usize];
    file.read_exact_at(&mut contents, from)?;
    if xxh3_128(&contents) != checksum {
        let reason = "checksum of the table of contents does not match";
        return Err(Unreadable::damaged(from, reason));
    }
    let sections = parse(&contents).filter(|sections| {
        let mut ends = sections.iter().map(Section::end);
        ends.all(|end| end <= from)
    });
    sections.ok_or_else(|| Unreadable::damaged(from, "the table of contents can't be read"))
}

fn parse(contents: &[u8]) -> Option<Vec<Section>> {
    let mut reader = Reader(contents.strip_prefix(CONTENTS_MAGIC)?);
    let mut sections = Vec::new();
    for _section in 0..reader.u32()? {
        let (from, length) = (reader.u64()?, reader.u64()?);
        let name_bytes = reader.u16()?;
        let name = reader.take(name_bytes.into())?.to_vec();
        sections.push(Section { name, from, length });
    }
    Some(sections)
}

/// Little-endian fields; `None` at the end.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_le_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    pub(crate) fn u128(&mut self) -> Option<u128> {
        self.array().map(u128::from_le_bytes)
    }
}
