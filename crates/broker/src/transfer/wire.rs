//! What brokers say to each other about content: `docs/formats/transfer.md`. Pure functions.

use bytes::{BufMut, Bytes, BytesMut};
use prost::Message;
use skep_backup::{ChunkHash, ChunkInfo};

const VERSION: u8 = 1;
/// Chunks that one answer lists at most.
pub const LISTED_MAX: usize = 16;

/// A question of the broker that fetches.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// Which chunks there are.
    List(List),
    /// A chunk's bytes, in their stored form.
    Chunk(Chunk),
}

/// Which chunks there are from a key on.
#[derive(Clone, PartialEq, Message)]
pub struct List {
    /// Which content.
    #[prost(uint64, tag = "1")]
    pub ticket: u64,
    /// The first key of a chunk; empty for the first one.
    #[prost(bytes = "bytes", tag = "2")]
    pub from: Bytes,
}

/// One chunk.
#[derive(Clone, PartialEq, Message)]
pub struct Chunk {
    /// Of which content.
    #[prost(uint64, tag = "1")]
    pub ticket: u64,
    /// Its first key.
    #[prost(bytes = "bytes", tag = "2")]
    pub first_key: Bytes,
    /// Its hash.
    #[prost(bytes = "bytes", tag = "3")]
    pub hash: Bytes,
}

/// The next chunks, in order and without a gap.
#[derive(Clone, PartialEq, Message)]
pub struct Listed {
    /// They.
    #[prost(message, repeated, tag = "1")]
    pub chunks: Vec<ListedChunk>,
    /// First key of the chunk after these.
    #[prost(bytes = "bytes", optional, tag = "2")]
    pub next: Option<Bytes>,
}

/// What is known of a chunk.
#[derive(Clone, PartialEq, Message)]
pub struct ListedChunk {
    /// Its first key.
    #[prost(bytes = "bytes", tag = "1")]
    pub first_key: Bytes,
    /// Its hash.
    #[prost(bytes = "bytes", tag = "2")]
    pub hash: Bytes,
    /// Length of its canonical encoding.
    #[prost(uint64, tag = "3")]
    pub raw_bytes: u64,
    /// Number of pairs.
    #[prost(uint64, tag = "4")]
    pub pairs: u64,
}

impl ListedChunk {
    /// What a content's reader has found.
    pub fn of(info: &ChunkInfo) -> ListedChunk {
        ListedChunk {
            first_key: Bytes::copy_from_slice(&info.first_key),
            hash: Bytes::copy_from_slice(info.hash.as_bytes()),
            raw_bytes: info.raw_bytes,
            pairs: info.pairs,
        }
    }

    /// The same, checked.
    pub fn info(&self) -> Result<ChunkInfo, String> {
        Ok(ChunkInfo {
            first_key: self.first_key.to_vec(),
            hash: hash(&self.hash)?,
            raw_bytes: self.raw_bytes,
            pairs: self.pairs,
        })
    }
}

/// A hash as it was sent.
pub fn hash(bytes: &[u8]) -> Result<ChunkHash, String> {
    let bytes: [u8; 32] = bytes
        .try_into()
        .map_err(|_| "the hash of a chunk does not have 32 bytes".to_owned())?;
    Ok(ChunkHash::from_bytes(bytes))
}

const LIST: u8 = 0;
const CHUNK: u8 = 1;

impl Question {
    /// Its bytes.
    pub fn encode(&self) -> Bytes {
        let (kind, body) = match self {
            Question::List(list) => (LIST, list.encode_to_vec()),
            Question::Chunk(chunk) => (CHUNK, chunk.encode_to_vec()),
        };
        let mut out = BytesMut::with_capacity(2 + body.len());
        out.put_u8(VERSION);
        out.put_u8(kind);
        out.put_slice(&body);
        out.freeze()
    }

    /// Reads it back.
    pub fn decode(bytes: Bytes) -> Result<Question, String> {
        let unreadable = |error: prost::DecodeError| format!("a question about content: {error}");
        match bytes.first_chunk() {
            Some([VERSION, LIST]) => List::decode(bytes.slice(2..))
                .map(Question::List)
                .map_err(unreadable),
            Some([VERSION, CHUNK]) => Chunk::decode(bytes.slice(2..))
                .map(Question::Chunk)
                .map_err(unreadable),
            Some([version, kind]) => Err(format!(
                "a question about content has version {version} and kind {kind}, which this release does not know; run adjacent releases only"
            )),
            None => Err("a question about content is cut off".to_owned()),
        }
    }
}

/// What a replica is told to ask with.
pub fn encode_ticket(ticket: u64) -> Bytes {
    Bytes::copy_from_slice(&ticket.to_le_bytes())
}

/// Reads it back.
pub fn decode_ticket(bytes: &[u8]) -> Result<u64, String> {
    let bytes: [u8; 8] = bytes
        .try_into()
        .map_err(|_| "what is to be asked with does not have 8 bytes".to_owned())?;
    Ok(u64::from_le_bytes(bytes))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    fn questions() -> [Question; 2] {
        let (ticket, key) = (7, Bytes::from_static(&[1, 2]));
        [
            Question::List(List {
                ticket,
                from: key.clone(),
            }),
            Question::Chunk(Chunk {
                ticket,
                first_key: key,
                hash: Bytes::from_static(&[9; 32]),
            }),
        ]
    }

    #[test]
    fn the_bytes_are_those_of_the_format_page() {
        let [list, chunk] = questions();
        assert_eq!(&list.encode()[..], b"\x01\x00\x08\x07\x12\x02\x01\x02");
        let expected = [&b"\x01\x01\x08\x07\x12\x02\x01\x02\x1a\x20"[..], &[9; 32]].concat();
        assert_eq!(&chunk.encode()[..], &expected[..]);
        let listed = Listed {
            chunks: vec![ListedChunk {
                first_key: Bytes::from_static(&[1]),
                hash: Bytes::from_static(&[9; 32]),
                raw_bytes: 300,
                pairs: 2,
            }],
            next: Some(Bytes::from_static(&[3])),
        };
        let chunk = [
            &b"\x0a\x01\x01\x12\x20"[..],
            &[9; 32],
            b"\x18\xac\x02\x20\x02",
        ]
        .concat();
        let expected = [&[0x0a, chunk.len() as u8][..], &chunk, b"\x12\x01\x03"].concat();
        assert_eq!(listed.encode_to_vec(), expected);
        assert_eq!(&encode_ticket(7)[..], b"\x07\0\0\0\0\0\0\0");
    }

    #[test]
    fn questions_are_read_back_as_written_and_others_are_refused() {
        for question in questions() {
            let bytes = question.encode();
            assert_eq!(Question::decode(bytes.clone()), Ok(question));
            for (at, value) in [(0, 2), (1, 9)] {
                let mut other = bytes.to_vec();
                other[at] = value;
                assert!(Question::decode(other.into()).is_err());
            }
            assert!(Question::decode(bytes.slice(..1)).is_err());
        }
        assert_eq!(decode_ticket(&encode_ticket(7)), Ok(7));
        assert!(decode_ticket(b"7").is_err());
        assert!(hash(&[1; 31]).is_err());
    }
}
