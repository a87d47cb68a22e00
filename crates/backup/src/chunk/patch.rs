//! A patch: what turns one chunk, its *base*, into another.
//!
//! Header (80 bytes, little-endian): magic `SKPP`, version u16, zero u16, hash of the base, hash of the result, length of
//! the puts u32, length of the deletes u32. Then the puts and the deletes, each a canonical encoding of pairs, or
//! nothing where there are none; values of deletes are empty. Like a chunk, a patch is named by the hash of these bytes:
//! whole chunks and patches cannot be taken for one another, and no name ever stands for two contents.
//!
//! A base is always a chunk that is stored whole, so reading a chunk takes two objects at most.

use std::cmp::Ordering;

use bytes::Bytes;

use super::encoding::{ChunkBuilder, ChunkError, EncodedChunk, PairRun, decode_pairs};
use super::{ChunkHash, ChunkInfo};
use crate::limits::{PAIR_BYTES_MAX, PATCH_SHARE_MAX, RAW_BYTES_MAX};

const MAGIC: [u8; 4] = *b"SKPP";
const VERSION: u16 = 1;
const HEADER_BYTES: usize = 80;

/// A patch that was read.
#[derive(Clone, Debug)]
pub struct Patch {
    /// The chunk that it changes.
    pub base: ChunkHash,
    /// The chunk that comes out.
    pub result: ChunkHash,
    puts: PairRun,
    deletes: PairRun,
}

/// The patch that makes `result` of `base`, if it is worth it. `keys` ascend, and hold every key in which the two differ.
pub(crate) fn encode_patch<'a>(
    base: ChunkHash,
    result: &EncodedChunk,
    keys: impl Iterator<Item = &'a [u8]>,
) -> Result<Option<Bytes>, ChunkError> {
    let pairs = decode_pairs(result.encoding.clone())?;
    let mut pairs = pairs.iter().peekable();
    let (mut puts, mut deletes) = (ChunkBuilder::default(), ChunkBuilder::default());
    for key in keys {
        while pairs.next_if(|(at, _)| *at < key).is_some() {}
        match pairs.next_if(|(at, _)| *at == key) {
            Some((key, value)) => puts.push(key, value),
            None => deletes.push(key, &[]),
        }
    }
    let (puts, deletes) = (finish(&mut puts), finish(&mut deletes));
    let length = HEADER_BYTES + puts.len() + deletes.len();
    if length as u64 > result.info.raw_bytes / PATCH_SHARE_MAX {
        return Ok(None);
    }
    let mut raw = Vec::with_capacity(length);
    raw.extend_from_slice(&MAGIC);
    raw.extend_from_slice(&VERSION.to_le_bytes());
    raw.extend_from_slice(&[0; 2]);
    raw.extend_from_slice(base.as_bytes());
    raw.extend_from_slice(result.info.hash.as_bytes());
    raw.extend_from_slice(&(puts.len() as u32).to_le_bytes());
    raw.extend_from_slice(&(deletes.len() as u32).to_le_bytes());
    raw.extend_from_slice(&puts);
    raw.extend_from_slice(&deletes);
    Ok(Some(raw.into()))
}

fn finish(builder: &mut ChunkBuilder) -> Bytes {
    builder.finish().map(|run| run.encoding).unwrap_or_default()
}

impl Patch {
    /// Read a patch. Every length is checked.
    pub fn decode(raw: &Bytes) -> Result<Self, ChunkError> {
        let malformed = ChunkError::Malformed;
        let header = raw
            .first_chunk::<HEADER_BYTES>()
            .ok_or(malformed("shorter than a patch's header"))?;
        if header[..4] != MAGIC {
            return Err(malformed("wrong magic for a patch"));
        }
        let version = u16::from_le_bytes([header[4], header[5]]);
        if version > VERSION {
            return Err(ChunkError::TooNew { found: version });
        }
        let length = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
                as usize
        };
        let (puts, deletes) = (length(72), length(76));
        let body = raw.len() - HEADER_BYTES;
        if puts > body || body - puts != deletes {
            return Err(malformed("length differs from the patch's header"));
        }
        let hash = |at: usize| {
            let mut bytes = [0; 32];
            bytes.copy_from_slice(&header[at..at + 32]);
            ChunkHash::from_bytes(bytes)
        };
        let run = |from: usize, length: usize| match length {
            0 => Ok(PairRun::end()),
            length => decode_pairs(raw.slice(from..from + length)),
        };
        Ok(Self {
            base: hash(8),
            result: hash(40),
            puts: run(HEADER_BYTES, puts)?,
            deletes: run(HEADER_BYTES + puts, deletes)?,
        })
    }

    /// The chunk that comes out, which must be `expected`. Takes no more memory than that chunk may have.
    pub(crate) fn apply(&self, base: &PairRun, expected: &ChunkInfo) -> Result<Bytes, ChunkError> {
        let malformed = ChunkError::Malformed;
        if expected.raw_bytes > RAW_BYTES_MAX as u64 {
            return Err(malformed("the patched chunk is longer than a chunk may be"));
        }
        let mut builder = ChunkBuilder::default();
        let mut push = |key: &[u8], value: &[u8]| {
            if key.len() + value.len() > PAIR_BYTES_MAX {
                return Err(malformed("a patched pair is longer than a pair may be"));
            }
            builder.push(key, value);
            if builder.encoded_bytes() as u64 > expected.raw_bytes {
                return Err(malformed("the patched chunk is longer than it should be"));
            }
            Ok(())
        };
        let mut puts = self.puts.iter().peekable();
        let mut deletes = self.deletes.iter().peekable();
        for (key, value) in base.iter() {
            while let Some((key, value)) = puts.next_if(|(put, _)| *put < key) {
                push(key, value)?;
            }
            while deletes.next_if(|(delete, _)| *delete < key).is_some() {}
            let kept = match puts.peek().map(|(put, _)| (*put).cmp(key)) {
                Some(Ordering::Equal) => puts.next().map(|(_, value)| value),
                _ if deletes.peek().is_some_and(|(delete, _)| *delete == key) => None,
                _ => Some(value),
            };
            if let Some(value) = kept {
                push(key, value)?;
            }
        }
        puts.try_for_each(|(key, value)| push(key, value))?;
        let found = builder
            .finish()
            .ok_or(malformed("nothing is left of the patched chunk"))?;
        if found.info.hash != expected.hash {
            return Err(ChunkError::Hash {
                expected: expected.hash,
                found: found.info.hash,
            });
        }
        Ok(found.encoding)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use proptest::collection::{btree_map, vec};
    use proptest::prelude::*;

    use super::*;

    type Pairs = BTreeMap<Vec<u8>, Vec<u8>>;

    fn encode(pairs: &Pairs) -> EncodedChunk {
        let mut builder = ChunkBuilder::default();
        pairs
            .iter()
            .for_each(|(key, value)| builder.push(key, value));
        builder.finish().unwrap()
    }

    fn patch(base: &Pairs, result: &Pairs, keys: &BTreeSet<Vec<u8>>) -> Option<Bytes> {
        let keys = keys.iter().map(Vec::as_slice);
        encode_patch(encode(base).info.hash, &encode(result), keys).unwrap()
    }

    fn apply(raw: &Bytes, base: &Pairs, expected: &ChunkInfo) -> Result<Bytes, ChunkError> {
        let base = decode_pairs(encode(base).encoding).unwrap();
        Patch::decode(raw)?.apply(&base, expected)
    }

    /// Enough in which nothing changes that a patch is worth it.
    fn with_ballast(mut pairs: Pairs) -> Pairs {
        pairs.insert(vec![1, 1], vec![7; 20_000]);
        pairs
    }

    proptest! {
        #[test]
        fn a_patch_of_any_changes_gives_the_result(
            base in btree_map(vec(0..3u8, 0..5), vec(any::<u8>(), 0..20), 0..40),
            writes in btree_map(vec(0..3u8, 0..5), proptest::option::of(vec(any::<u8>(), 0..20)), 0..40),
        ) {
            let base = with_ballast(base);
            let mut result = base.clone();
            // Also keys that are deleted without being there, and values written as they were.
            for (key, value) in &writes {
                match value {
                    Some(value) => result.insert(key.clone(), value.clone()),
                    None => result.remove(key),
                };
            }
            let result = with_ballast(result);
            let keys: BTreeSet<_> = writes.into_keys().filter(|key| *key != vec![1, 1]).collect();
            let expected = encode(&result);
            let raw = patch(&base, &result, &keys).unwrap();
            prop_assert_eq!(apply(&raw, &base, &expected.info).unwrap(), expected.encoding);
        }

        #[test]
        fn any_damage_is_refused_or_gives_the_result(at in 0..400usize, byte: u8) {
            let base = with_ballast(Pairs::from([(vec![2], vec![1; 40])]));
            let result = with_ballast(Pairs::from([(vec![3], vec![1; 40])]));
            let keys = BTreeSet::from([vec![2], vec![3]]);
            let mut raw = patch(&base, &result, &keys).unwrap().to_vec();
            let at = at % raw.len();
            raw[at] = byte;
            let expected = encode(&result);
            if let Ok(found) = apply(&raw.into(), &base, &expected.info) {
                prop_assert_eq!(found, expected.encoding);
            }
        }

        #[test]
        fn any_bytes_are_decoded_or_refused(raw in vec(any::<u8>(), 0..300)) {
            let _ = Patch::decode(&[&b"SKPP\x01\0\0\0"[..], &raw].concat().into());
        }
    }

    #[test]
    fn a_patch_that_is_cut_off_anywhere_is_refused() {
        let base = with_ballast(Pairs::new());
        let result = with_ballast(Pairs::from([(vec![3], vec![1; 40])]));
        let raw = patch(&base, &result, &BTreeSet::from([vec![3], vec![4]])).unwrap();
        for length in 0..raw.len() {
            assert!(Patch::decode(&raw.slice(..length)).is_err(), "{length}");
        }
    }

    #[test]
    fn the_wrong_base_and_a_result_that_grows_too_long_are_refused() {
        let base = with_ballast(Pairs::new());
        let result = with_ballast(Pairs::from([(vec![3], vec![1; 40])]));
        let raw = patch(&base, &result, &BTreeSet::from([vec![3]])).unwrap();
        let expected = encode(&result).info;
        let other = with_ballast(Pairs::from([(vec![0], vec![])]));
        assert!(apply(&raw, &other, &expected).is_err());
        let short = ChunkInfo {
            raw_bytes: 1_000,
            ..expected
        };
        assert!(matches!(
            apply(&raw, &base, &short),
            Err(ChunkError::Malformed(_))
        ));
    }

    #[test]
    fn a_patch_of_more_than_its_share_is_not_made() {
        let base = with_ballast(Pairs::new());
        for (length, made) in [(6_000, true), (7_000, false)] {
            let result = with_ballast(Pairs::from([(vec![3], vec![1; length])]));
            let found = patch(&base, &result, &BTreeSet::from([vec![3]]));
            assert_eq!(found.is_some(), made, "{length}");
        }
    }

    #[test]
    fn a_chunk_is_no_patch_and_a_patch_no_chunk() {
        let base = with_ballast(Pairs::new());
        let raw = patch(&base, &base, &BTreeSet::from([vec![3]])).unwrap();
        assert!(decode_pairs(raw).is_err());
        assert!(Patch::decode(&encode(&base).encoding).is_err());
    }
}
