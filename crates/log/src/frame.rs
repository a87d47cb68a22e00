//! Bytes of segment headers, batches and frames: `docs/formats/log.md`. Pure functions.

use bytes::Bytes;
use crc32c::{crc32c, crc32c_append};

pub(crate) const ALIGN: u64 = 512;
/// Where the batches of a segment begin, after two copies of its header.
pub(crate) const DATA_START: u64 = 2 * ALIGN;
pub(crate) const BATCH_HEADER: usize = 32;
pub(crate) const FRAME_HEADER: usize = 36;

const SEGMENT_MAGIC: &[u8; 8] = b"SKEPLOG\n";
const BATCH_MAGIC: &[u8; 4] = b"SKB1";
const VERSION: u32 = 1;

const _: () = assert!(SEGMENT_HEADER <= ALIGN as usize);
const SEGMENT_HEADER: usize = 44;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SegmentHeader {
    pub number: u64,
    pub salt: u64,
    pub bytes: u64,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SegmentHeaderError {
    Damaged,
    Version(u32),
}

/// Both copies of the header: the bytes from 0 to [`DATA_START`].
pub(crate) fn encode_segment_header(header: &SegmentHeader) -> Vec<u8> {
    let mut one = Vec::with_capacity(DATA_START as usize);
    one.extend_from_slice(SEGMENT_MAGIC);
    one.extend_from_slice(&VERSION.to_le_bytes());
    one.extend_from_slice(&[0; 4]);
    one.extend_from_slice(&header.number.to_le_bytes());
    one.extend_from_slice(&header.salt.to_le_bytes());
    one.extend_from_slice(&header.bytes.to_le_bytes());
    one.extend_from_slice(&crc32c(&one).to_le_bytes());
    assert_eq!(
        one.len(),
        SEGMENT_HEADER,
        "segment header has its documented length"
    );
    one.resize(ALIGN as usize, 0);
    one.extend_from_within(..);
    one
}

pub(crate) fn decode_segment_header(data: &[u8]) -> Result<SegmentHeader, SegmentHeaderError> {
    let mut result = Err(SegmentHeaderError::Damaged);
    for copy in [0, ALIGN as usize] {
        let Some(bytes) = data.get(copy..copy + SEGMENT_HEADER) else {
            break;
        };
        if &bytes[..8] != SEGMENT_MAGIC || u32_at(bytes, 40) != crc32c(&bytes[..40]) {
            continue;
        }
        let version = u32_at(bytes, 8);
        if version != VERSION {
            result = Err(SegmentHeaderError::Version(version));
            continue;
        }
        let (number, salt, size) = (u64_at(bytes, 16), u64_at(bytes, 24), u64_at(bytes, 32));
        return Ok(SegmentHeader {
            number,
            salt,
            bytes: size,
        });
    }
    result
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Entry,
    Moved,
    Truncate,
    Purge,
    Meta,
    Reset,
}

impl Kind {
    fn to_byte(self) -> u8 {
        match self {
            Self::Entry => 1,
            Self::Moved => 2,
            Self::Truncate => 3,
            Self::Purge => 4,
            Self::Meta => 5,
            Self::Reset => 6,
        }
    }

    fn from_byte(byte: u8) -> Option<Self> {
        Some(match byte {
            1 => Self::Entry,
            2 => Self::Moved,
            3 => Self::Truncate,
            4 => Self::Purge,
            5 => Self::Meta,
            6 => Self::Reset,
            _ => return None,
        })
    }
}

/// A frame without its payload, as it stands in a batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub kind: Kind,
    pub group: u32,
    pub sequence: u64,
    pub index: u64,
    pub payload_bytes: u32,
    pub payload_crc: u32,
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameError {
    Damaged,
    UnknownKind(u8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BatchHeader {
    pub frames: u32,
    pub sequence: u64,
    pub body_bytes: u32,
    body_crc: u32,
}

impl BatchHeader {
    /// Length in the file, with the zeros after it.
    pub fn disk_bytes(&self) -> u64 {
        align(BATCH_HEADER as u64 + u64::from(self.body_bytes))
    }

    pub fn matches(&self, body: &[u8]) -> bool {
        crc32c(body) == self.body_crc
    }
}

pub(crate) fn align(bytes: u64) -> u64 {
    bytes.next_multiple_of(ALIGN)
}

fn salted(salt: u64, bytes: &[u8]) -> u32 {
    crc32c_append(crc32c(&salt.to_le_bytes()), bytes)
}

/// Builds the bytes of one batch in a buffer that is used again.
#[derive(Debug, Default)]
pub(crate) struct BatchEncoder {
    buffer: Vec<u8>,
    frames: u32,
    salt: u64,
}

impl BatchEncoder {
    pub fn begin(&mut self, salt: u64) {
        self.buffer.clear();
        self.buffer.resize(BATCH_HEADER, 0);
        self.frames = 0;
        self.salt = salt;
    }

    /// Appends a frame; gives its header and its offset from the beginning of the batch.
    pub fn push(
        &mut self,
        kind: Kind,
        group: u32,
        sequence: u64,
        index: u64,
        payload: &Bytes,
    ) -> (FrameHeader, u64) {
        let start = self.buffer.len();
        let payload_bytes =
            u32::try_from(payload.len()).expect("payloads are checked against the segment");
        let payload_crc = crc32c(payload);
        self.buffer.extend_from_slice(&[kind.to_byte(), 0, 0, 0]);
        self.buffer.extend_from_slice(&group.to_le_bytes());
        self.buffer.extend_from_slice(&sequence.to_le_bytes());
        self.buffer.extend_from_slice(&index.to_le_bytes());
        self.buffer.extend_from_slice(&payload_bytes.to_le_bytes());
        self.buffer.extend_from_slice(&payload_crc.to_le_bytes());
        let crc = salted(self.salt, &self.buffer[start..]);
        self.buffer.extend_from_slice(&crc.to_le_bytes());
        debug_assert_eq!(self.buffer.len() - start, FRAME_HEADER);
        self.buffer.extend_from_slice(payload);
        self.frames += 1;
        (
            FrameHeader {
                kind,
                group,
                sequence,
                index,
                payload_bytes,
                payload_crc,
            },
            start as u64,
        )
    }

    /// The whole batch, padded. [`BatchEncoder::give_back`] spares the next allocation.
    pub fn finish(&mut self, sequence: u64) -> Vec<u8> {
        let body = &self.buffer[BATCH_HEADER..];
        let length = u32::try_from(body.len()).expect("a batch fits into a segment");
        let body_crc = crc32c(body);
        let header = &mut self.buffer[..BATCH_HEADER];
        header[..4].copy_from_slice(BATCH_MAGIC);
        header[4..8].copy_from_slice(&self.frames.to_le_bytes());
        header[8..16].copy_from_slice(&sequence.to_le_bytes());
        header[16..20].copy_from_slice(&length.to_le_bytes());
        header[20..24].copy_from_slice(&body_crc.to_le_bytes());
        let crc = salted(self.salt, &header[..28]);
        header[28..].copy_from_slice(&crc.to_le_bytes());
        self.buffer
            .resize(align(self.buffer.len() as u64) as usize, 0);
        std::mem::take(&mut self.buffer)
    }

    pub fn give_back(&mut self, buffer: Vec<u8>) {
        self.buffer = buffer;
    }
}

/// The batch header at the beginning of `data`, if a valid one is there.
pub(crate) fn decode_batch_header(data: &[u8], salt: u64) -> Option<BatchHeader> {
    let bytes = data.get(..BATCH_HEADER)?;
    if &bytes[..4] != BATCH_MAGIC || u32_at(bytes, 28) != salted(salt, &bytes[..28]) {
        return None;
    }
    Some(BatchHeader {
        frames: u32_at(bytes, 4),
        sequence: u64_at(bytes, 8),
        body_bytes: u32_at(bytes, 16),
        body_crc: u32_at(bytes, 20),
    })
}

pub(crate) fn decode_frame_header(data: &[u8], salt: u64) -> Result<FrameHeader, FrameError> {
    let bytes = data.get(..FRAME_HEADER).ok_or(FrameError::Damaged)?;
    if u32_at(bytes, 32) != salted(salt, &bytes[..32]) {
        return Err(FrameError::Damaged);
    }
    let kind = Kind::from_byte(bytes[0]).ok_or(FrameError::UnknownKind(bytes[0]))?;
    Ok(FrameHeader {
        kind,
        group: u32_at(bytes, 4),
        sequence: u64_at(bytes, 8),
        index: u64_at(bytes, 16),
        payload_bytes: u32_at(bytes, 24),
        payload_crc: u32_at(bytes, 28),
    })
}

/// The payload after a frame header, if it is all there and whole.
pub(crate) fn payload<'a>(header: &FrameHeader, data: &'a [u8]) -> Option<&'a [u8]> {
    let payload = data.get(FRAME_HEADER..FRAME_HEADER + header.payload_bytes as usize)?;
    (crc32c(payload) == header.payload_crc).then_some(payload)
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes[at..at + 4].try_into().expect("a slice of four bytes"))
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(
        bytes[at..at + 8]
            .try_into()
            .expect("a slice of eight bytes"),
    )
}
