//! The stored form of a chunk: a header and the canonical encoding, compressed.
//!
//! Header (24 bytes, little-endian): magic `SKPS`, version u16, codec u8 (1 = zstd), zero u8, raw length u32, payload length
//! u32, CRC-32C of the payload u32, CRC-32C of the 20 bytes before u32. The header says everything that a
//! manifest needs to know about an object that somebody else has stored.

use bytes::Bytes;

use super::{ChunkError, ChunkHash};
use crate::limits::RAW_BYTES_MAX;

const MAGIC: [u8; 4] = *b"SKPS";
const VERSION: u16 = 1;
const CODEC_ZSTD: u8 = 1;

/// Length of the header, for ranged reads.
pub const STORED_HEADER_BYTES: usize = 24;

/// The header of a stored chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredHeader {
    /// Length of the canonical encoding.
    pub raw_bytes: u32,
    /// Length of what follows the header.
    pub payload_bytes: u32,
    /// CRC-32C of what follows the header.
    pub payload_checksum: u32,
}

impl StoredHeader {
    /// Length of the whole object.
    pub fn stored_bytes(&self) -> u64 {
        STORED_HEADER_BYTES as u64 + u64::from(self.payload_bytes)
    }

    /// Read the header at the beginning of `stored`.
    pub fn decode(stored: &[u8]) -> Result<Self, ChunkError> {
        let malformed = ChunkError::Malformed;
        let header = stored
            .first_chunk::<STORED_HEADER_BYTES>()
            .ok_or(malformed("shorter than its header"))?;
        if header[..4] != MAGIC {
            return Err(malformed("wrong magic"));
        }
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        let (expected, found) = (number(20), crc32c::crc32c(&header[..20]));
        if expected != found {
            return Err(ChunkError::Checksum { expected, found });
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version > VERSION {
            return Err(ChunkError::TooNew { found: version });
        }
        if header[6] != CODEC_ZSTD {
            return Err(malformed("unknown codec"));
        }
        if number(8) as usize > RAW_BYTES_MAX {
            return Err(malformed("longer than a chunk may be"));
        }
        Ok(Self {
            raw_bytes: number(8),
            payload_bytes: number(12),
            payload_checksum: number(16),
        })
    }

    fn encode(&self) -> [u8; STORED_HEADER_BYTES] {
        let mut header = [0; STORED_HEADER_BYTES];
        header[..4].copy_from_slice(&MAGIC);
        header[4..6].copy_from_slice(&VERSION.to_le_bytes());
        header[6] = CODEC_ZSTD;
        header[8..12].copy_from_slice(&self.raw_bytes.to_le_bytes());
        header[12..16].copy_from_slice(&self.payload_bytes.to_le_bytes());
        header[16..20].copy_from_slice(&self.payload_checksum.to_le_bytes());
        let checksum = crc32c::crc32c(&header[..20]);
        header[20..].copy_from_slice(&checksum.to_le_bytes());
        header
    }
}

/// The stored form of a canonical encoding, and its header.
pub fn compress(encoding: &[u8], level: i32) -> Result<(Bytes, StoredHeader), ChunkError> {
    assert!(
        encoding.len() <= RAW_BYTES_MAX,
        "a chunk of {} bytes",
        encoding.len()
    );
    let mut stored = vec![0; STORED_HEADER_BYTES + zstd::zstd_safe::compress_bound(encoding.len())];
    let refused = |e: std::io::Error| ChunkError::Decompress(e.to_string());
    let mut compressor = zstd::bulk::Compressor::new(level).map_err(refused)?;
    let payload = &mut stored[STORED_HEADER_BYTES..];
    let payload_len = compressor
        .compress_to_buffer(encoding, payload)
        .map_err(refused)?;
    let header = StoredHeader {
        raw_bytes: encoding.len() as u32,
        payload_bytes: payload_len as u32,
        payload_checksum: crc32c::crc32c(&payload[..payload_len]),
    };
    stored.truncate(STORED_HEADER_BYTES + payload_len);
    stored[..STORED_HEADER_BYTES].copy_from_slice(&header.encode());
    // The bound is generous; uploads in flight should hold no more than they send.
    stored.shrink_to_fit();
    Ok((stored.into(), header))
}

/// The canonical encoding in a stored object, after every check there is.
pub fn decompress(stored: &[u8], expected: ChunkHash) -> Result<Bytes, ChunkError> {
    let header = StoredHeader::decode(stored)?;
    let payload = &stored[STORED_HEADER_BYTES..];
    if payload.len() != header.payload_bytes as usize {
        return Err(ChunkError::Malformed("length differs from its header"));
    }
    let found = crc32c::crc32c(payload);
    if found != header.payload_checksum {
        return Err(ChunkError::Checksum {
            expected: header.payload_checksum,
            found,
        });
    }
    // The capacity also bounds what a forged payload can unfold to.
    let raw = zstd::bulk::decompress(payload, header.raw_bytes as usize)
        .map_err(|e| ChunkError::Decompress(e.to_string()))?;
    let found = ChunkHash::of(&raw);
    if found != expected {
        return Err(ChunkError::Hash { expected, found });
    }
    Ok(raw.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flipped_bit_is_noticed() {
        let encoding = b"some content some content some content".repeat(20);
        let hash = ChunkHash::of(&encoding);
        let (stored, header) = compress(&encoding, 1).unwrap();
        assert_eq!(header.stored_bytes(), stored.len() as u64);
        assert_eq!(decompress(&stored, hash).unwrap(), encoding);
        for bit in 0..stored.len() * 8 {
            let mut damaged = stored.to_vec();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(decompress(&damaged, hash).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn another_chunk_under_the_name_is_noticed() {
        let (stored, _) = compress(b"one", 1).unwrap();
        let wanted = ChunkHash::of(b"two");
        assert!(matches!(
            decompress(&stored, wanted),
            Err(ChunkError::Hash { .. })
        ));
    }

    #[test]
    fn the_name_does_not_depend_on_the_compression() {
        let encoding = b"abc".repeat(1000);
        let (fast, _) = compress(&encoding, 1).unwrap();
        let (dense, _) = compress(&encoding, 19).unwrap();
        let hash = ChunkHash::of(&encoding);
        assert_eq!(decompress(&fast, hash), decompress(&dense, hash));
    }
}
