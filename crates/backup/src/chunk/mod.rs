//! Chunks: where content is cut, how a chunk is encoded and named, how it is stored.
//!
//! Invariant: from the same pairs come the same cuts, the same bytes and so the same names, on every replica, in every
//! version that writes format 1. Compression is outside of the name; it may differ between uploaders. So is the way in
//! which a chunk is stored: whole, or as a patch of another chunk.
//! The format is described in `docs/formats/chunk.md`.

mod boundary;
mod encoding;
mod hash;
mod patch;
mod stored;

pub(crate) use boundary::Cutter;
pub(crate) use encoding::{ChunkBuilder, EncodedChunk};
pub use encoding::{ChunkError, PairRun, decode_pairs};
pub use hash::{ChunkHash, RootHash};
pub(crate) use hash::{RootHasher, hex_bytes};
pub use patch::Patch;
pub(crate) use patch::encode_patch;
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
    /// The object that was stored for it: the chunk itself or its patch.
    #[serde(flatten)]
    pub stored: Stored,
    /// If it is not stored whole, what makes it up.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patch: Option<PatchRef>,
}

/// What an upload has made of an encoding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stored {
    /// Part of the name: what was condemned by the collector is stored anew under the next generation.
    pub generation: u32,
    /// Length of the object.
    pub stored_bytes: u64,
    /// CRC-32C of the object's bytes after its header.
    pub stored_checksum: u32,
}

/// A patch, and what it is a patch of.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PatchRef {
    /// Hash of the patch's encoding.
    pub hash: ChunkHash,
    /// Its length.
    pub raw_bytes: u64,
    /// A chunk that is stored whole.
    pub base: StoredObject,
}

/// An object that holds a chunk or a patch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Hash of the encoding in it.
    pub hash: ChunkHash,
    /// Length of that.
    pub raw_bytes: u64,
    /// The object.
    #[serde(flatten)]
    pub stored: Stored,
}

impl StoredChunk {
    /// The object that was stored for it.
    pub fn object(&self) -> StoredObject {
        let (hash, raw_bytes) = match &self.patch {
            Some(patch) => (patch.hash, patch.raw_bytes),
            None => (self.info.hash, self.info.raw_bytes),
        };
        StoredObject {
            hash,
            raw_bytes,
            stored: self.stored,
        }
    }

    /// The object that its patch is applied to.
    pub fn base(&self) -> Option<&StoredObject> {
        self.patch.as_ref().map(|patch| &patch.base)
    }

    /// Every object that it takes to read the chunk.
    pub fn objects(&self) -> impl Iterator<Item = StoredObject> {
        [self.object()].into_iter().chain(self.base().cloned())
    }

    /// Their length together.
    pub fn stored_bytes(&self) -> u64 {
        self.objects()
            .map(|object| object.stored.stored_bytes)
            .sum()
    }
}
