//! The canonical encoding of a chunk: what its name is the hash of.
//!
//! Header (16 bytes, little-endian): magic `SKPC`, version u16, zero u16, pairs u32, body length u32. Then for each
//! pair: three LEB128 numbers (bytes shared with the previous key, further key bytes, value bytes), the further key
//! bytes, the value. The shared part is always the longest possible, so that equal pairs encode equally.

use bytes::Bytes;

use super::{ChunkHash, ChunkInfo};
use crate::limits::{PAIR_BYTES_MAX, RAW_BYTES_MAX};

const MAGIC: [u8; 4] = *b"SKPC";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 16;

/// A chunk's bytes do not make sense. One variant per place where it can be found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChunkError {
    /// Not such an object at all, or cut off.
    #[error("not a chunk: {0}")]
    Malformed(&'static str),
    /// Written by a newer version.
    #[error(
        "chunk format version {found} is newer than {VERSION}, the newest that this version reads; use a newer one"
    )]
    TooNew {
        /// The version found.
        found: u16,
    },
    /// The stored bytes were damaged.
    #[error("stored bytes have checksum {found:08x} instead of {expected:08x}")]
    Checksum {
        /// According to header or manifest.
        expected: u32,
        /// Of the bytes.
        found: u32,
    },
    /// The content is another than the name says.
    #[error("content has hash {found} instead of {expected}")]
    Hash {
        /// The name.
        expected: ChunkHash,
        /// Of the bytes.
        found: ChunkHash,
    },
    /// The decompressor refuses the bytes.
    #[error("decompress: {0}")]
    Decompress(String),
}

/// An encoding with its name.
#[derive(Clone, Debug)]
pub(crate) struct EncodedChunk {
    pub(crate) info: ChunkInfo,
    pub(crate) encoding: Bytes,
}

/// Takes pairs in ascending order.
#[derive(Debug, Default)]
pub(crate) struct ChunkBuilder {
    encoding: Vec<u8>,
    first_key: Vec<u8>,
    last_key: Vec<u8>,
    pairs: u32,
}

impl ChunkBuilder {
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs == 0
    }

    pub(crate) fn push(&mut self, key: &[u8], value: &[u8]) {
        assert!(
            key.len() + value.len() <= PAIR_BYTES_MAX,
            "a pair of {} bytes",
            key.len() + value.len()
        );
        let shared = if self.is_empty() {
            self.encoding.resize(HEADER_BYTES, 0);
            self.first_key.extend_from_slice(key);
            0
        } else {
            assert!(
                self.last_key.as_slice() < key,
                "content is not in ascending order at {key:x?}"
            );
            shared_bytes(&self.last_key, key)
        };
        for number in [shared, key.len() - shared, value.len()] {
            write_varint(&mut self.encoding, number as u64);
        }
        self.encoding.extend_from_slice(&key[shared..]);
        self.encoding.extend_from_slice(value);
        self.last_key.truncate(shared);
        self.last_key.extend_from_slice(&key[shared..]);
        self.pairs += 1;
    }

    /// Length of the encoding so far.
    pub(crate) fn encoded_bytes(&self) -> usize {
        self.encoding.len()
    }

    /// The chunk so far; the builder is empty afterwards. None if there was no pair.
    pub(crate) fn finish(&mut self) -> Option<EncodedChunk> {
        if self.is_empty() {
            return None;
        }
        let Self {
            mut encoding,
            first_key,
            pairs,
            ..
        } = std::mem::take(self);
        // The next chunk is likely to be about as long; this saves growing it step by step.
        self.encoding.reserve(encoding.len() + encoding.len() / 4);
        let body = u32::try_from(encoding.len() - HEADER_BYTES).expect("bounded by RAW_BYTES_MAX");
        encoding[..4].copy_from_slice(&MAGIC);
        encoding[4..6].copy_from_slice(&VERSION.to_le_bytes());
        encoding[8..12].copy_from_slice(&pairs.to_le_bytes());
        encoding[12..16].copy_from_slice(&body.to_le_bytes());
        assert!(
            encoding.len() <= RAW_BYTES_MAX,
            "a chunk of {} bytes",
            encoding.len()
        );
        let (hash, raw_bytes) = (ChunkHash::of(&encoding), encoding.len() as u64);
        let info = ChunkInfo {
            first_key,
            hash,
            raw_bytes,
            pairs: u64::from(pairs),
        };
        Some(EncodedChunk {
            info,
            encoding: encoding.into(),
        })
    }
}

/// A decoded run of pairs, in ascending key order.
#[derive(Clone, Debug)]
pub struct PairRun {
    raw: Bytes,
    keys: Vec<u8>,
    /// End of key in `keys`, start and end of value in `raw`.
    spans: Vec<(u32, u32, u32)>,
}

impl PairRun {
    /// Keys with their values.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let mut key_start = 0;
        self.spans.iter().map(move |&(key_end, start, end)| {
            let key = &self.keys[key_start..key_end as usize];
            key_start = key_end as usize;
            (key, &self.raw[start as usize..end as usize])
        })
    }

    /// The first key and the last.
    pub(crate) fn ends(&self) -> (Option<&[u8]>, Option<&[u8]>) {
        let key = |number: usize| {
            let begin = number
                .checked_sub(1)
                .map_or(0, |before| self.spans[before].0);
            &self.keys[begin as usize..self.spans[number].0 as usize]
        };
        let last = self.spans.len().checked_sub(1);
        (last.map(|_| key(0)), last.map(key))
    }

    /// Marks the end of a content; no chunk is empty.
    pub(crate) fn end() -> Self {
        Self {
            raw: Bytes::new(),
            keys: Vec::new(),
            spans: Vec::new(),
        }
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Whether there is none; a chunk never is.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Bytes of keys and values.
    pub fn content_bytes(&self) -> u64 {
        let values: u64 = self
            .spans
            .iter()
            .map(|(_, start, end)| u64::from(end - start))
            .sum();
        self.keys.len() as u64 + values
    }
}

/// The pairs of a canonical encoding. Every length is checked; memory is bounded by a multiple of `raw`.
pub fn decode_pairs(raw: Bytes) -> Result<PairRun, ChunkError> {
    let malformed = ChunkError::Malformed;
    let header = raw
        .first_chunk::<HEADER_BYTES>()
        .ok_or(malformed("shorter than its header"))?;
    if header[..4] != MAGIC {
        return Err(malformed("wrong magic"));
    }
    let version = u16::from_le_bytes([header[4], header[5]]);
    if version > VERSION {
        return Err(ChunkError::TooNew { found: version });
    }
    let pairs = u32::from_le_bytes([header[8], header[9], header[10], header[11]]);
    let body = u32::from_le_bytes([header[12], header[13], header[14], header[15]]);
    if raw.len() - HEADER_BYTES != body as usize || raw.len() > RAW_BYTES_MAX {
        return Err(malformed("length differs from its header"));
    }
    // A pair takes at least four bytes or is refused below, so this reserves no more than a multiple of `raw`.
    let mut run = PairRun {
        raw,
        keys: Vec::new(),
        spans: Vec::with_capacity((pairs as usize).min(body as usize)),
    };
    let mut at = HEADER_BYTES;
    let mut previous = 0..0;
    for _ in 0..pairs {
        at = decode_pair(&mut run, at, &mut previous)?;
    }
    if at != run.raw.len() || run.is_empty() {
        return Err(malformed("number of pairs differs from its header"));
    }
    Ok(run)
}

/// Append the pair that begins at `at`; `previous` is where the last key lies. Gives the pair's end.
fn decode_pair(
    run: &mut PairRun,
    mut at: usize,
    previous: &mut std::ops::Range<usize>,
) -> Result<usize, ChunkError> {
    let malformed = ChunkError::Malformed;
    let mut number = || read_varint(&run.raw, &mut at).ok_or(malformed("bad number"));
    let (shared, suffix, value) = (number()?, number()?, number()?);
    let suffix_bytes = run
        .raw
        .get(at..at + suffix)
        .ok_or(malformed("key runs over the end"))?;
    let value_start = at + suffix;
    let value_end = value_start + value;
    if shared > previous.len() || value_end > run.raw.len() {
        return Err(malformed("value or shared key runs over the end"));
    }
    let last = previous.clone();
    let start = run.keys.len();
    // A tiny body can claim much shared key for every pair: bound what that unfolds to.
    if start + shared + suffix > 2 * RAW_BYTES_MAX {
        return Err(malformed("keys unfold to more than a chunk may hold"));
    }
    run.keys.extend_from_within(last.start..last.start + shared);
    run.keys.extend_from_slice(suffix_bytes);
    let (old, new) = run.keys.split_at(start);
    if !run.spans.is_empty() && old[last] >= *new {
        return Err(malformed("keys are not in ascending order"));
    }
    *previous = start..run.keys.len();
    // All three are below 2 * RAW_BYTES_MAX, which is checked to fit.
    run.spans
        .push((run.keys.len() as u32, value_start as u32, value_end as u32));
    Ok(value_end)
}

fn shared_bytes(a: &[u8], b: &[u8]) -> usize {
    a.iter().zip(b).take_while(|(a, b)| a == b).count()
}

fn write_varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// A number below 2^28 in at most four bytes, which is more than any length here.
fn read_varint(raw: &[u8], at: &mut usize) -> Option<usize> {
    let mut number = 0;
    for shift in [0, 7, 14, 21] {
        let byte = *raw.get(*at)?;
        *at += 1;
        number |= usize::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

const _: () = assert!(PAIR_BYTES_MAX < 1 << 28);
const _: () = assert!(2 * RAW_BYTES_MAX < u32::MAX as usize);

#[cfg(test)]
mod tests {
    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    fn encode<'a>(
        pairs: impl IntoIterator<Item = (&'a Vec<u8>, &'a Vec<u8>)>,
    ) -> Option<EncodedChunk> {
        let mut builder = ChunkBuilder::default();
        pairs
            .into_iter()
            .for_each(|(key, value)| builder.push(key, value));
        builder.finish()
    }

    proptest! {
        #[test]
        fn decoding_gives_back_the_pairs(
            pairs in btree_map(vec(0..3u8, 0..40), vec(any::<u8>(), 0..200), 1..50),
        ) {
            let chunk = encode(&pairs).unwrap();
            prop_assert_eq!(chunk.info.pairs, pairs.len() as u64);
            prop_assert_eq!(&chunk.info.first_key, pairs.keys().next().unwrap());
            let run = decode_pairs(chunk.encoding).unwrap();
            let expected: Vec<_> = pairs.iter().map(|(k, v)| (k.as_slice(), v.as_slice())).collect();
            prop_assert_eq!(run.iter().collect::<Vec<_>>(), expected);
            let bytes: usize = pairs.iter().map(|(k, v)| k.len() + v.len()).sum();
            prop_assert_eq!(run.content_bytes(), bytes as u64);
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(raw in vec(any::<u8>(), 0..300)) {
            let _ = decode_pairs(raw.into());
        }

        #[test]
        fn any_damage_of_the_structure_is_decoded_or_refused(at in 0..80usize, byte: u8) {
            let pairs = [(vec![1, 2, 3], vec![4; 20]), (vec![1, 2, 4], vec![5; 20])];
            let mut raw = encode(pairs.iter().map(|(k, v)| (k, v))).unwrap().encoding.to_vec();
            let at = at % raw.len();
            raw[at] = byte;
            let _ = decode_pairs(raw.into());
        }
    }

    #[test]
    fn an_encoding_that_is_cut_off_anywhere_is_refused() {
        let pairs = [(vec![1], vec![2; 9]), (vec![2], vec![])];
        let raw = encode(pairs.iter().map(|(k, v)| (k, v))).unwrap().encoding;
        for len in 0..raw.len() {
            assert!(decode_pairs(raw.slice(..len)).is_err(), "{len}");
        }
    }

    #[test]
    fn a_newer_version_is_refused_as_such() {
        let mut raw = encode([(&vec![1], &vec![2])]).unwrap().encoding.to_vec();
        raw[4] = 2;
        assert_eq!(
            decode_pairs(raw.into()).unwrap_err(),
            ChunkError::TooNew { found: 2 }
        );
    }

    #[test]
    fn keys_that_do_not_ascend_are_refused() {
        let pairs = [(vec![1], vec![]), (vec![2], vec![])];
        let mut raw = encode(pairs.iter().map(|(k, v)| (k, v)))
            .unwrap()
            .encoding
            .to_vec();
        let last = raw.len() - 1;
        raw[last] = 1;
        assert!(matches!(
            decode_pairs(raw.into()),
            Err(ChunkError::Malformed(_))
        ));
    }
}
