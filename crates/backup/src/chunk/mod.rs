//! Chunks: where content is cut, how a chunk is encoded and named, how it is stored.
//!
//! Invariant: from the same pairs come the same cuts, the same bytes and so the same names, on every replica, in every
//! version that writes format 1. Compression is outside of the name; it may differ between uploaders.
//! The format is described in `docs/formats/chunk.md`.

mod boundary;
mod encoding;
mod hash;
mod stored;

pub(crate) use boundary::Cutter;
pub(crate) use encoding::{ChunkBuilder, EncodedChunk};
pub use encoding::{ChunkError, PairRun, decode_pairs};
pub use hash::{ChunkHash, RootHash};
pub(crate) use hash::{RootHasher, hex_bytes};
pub use stored::{STORED_HEADER_BYTES, StoredHeader, compress, decompress};

use serde::{Deserialize, Serialize};

/// What is known of a chunk from its content alone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChunkInfo {
    /// Its first key.
    #[serde(with = "hash::hex_bytes")]
    pub first_key: Vec<u8>,
    /// Hash of its canonical encoding.
    pub hash: ChunkHash,
    /// Length of its canonical encoding.
    pub raw_bytes: u64,
    /// Number of pairs.
    pub pairs: u64,
}

/// A chunk as it lies in the blob store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredChunk {
    /// What is in it.
    #[serde(flatten)]
    pub info: ChunkInfo,
    /// Part of its name: a chunk that was condemned by the collector is stored anew under the next generation.
    pub generation: u32,
    /// Length of the object.
    pub stored_bytes: u64,
    /// CRC-32C of the object's bytes after its header.
    pub stored_checksum: u32,
}
