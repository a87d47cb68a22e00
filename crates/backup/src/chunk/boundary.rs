//! Where content is cut.
//!
//! A chunk ends before a pair if the chunk has at least the minimum and the hash of the pair's *key* is below a
//! threshold that is proportional to the *size* of the pair. The proportion makes the mean chunk length
//! the same for small pairs and large ones (with a fixed mask over keys, tables of 10 KiB values would run
//! into the maximum all the time, where cuts depend on where the chunk began, and tables of empty values would be
//! cut into crumbs). A chunk also ends before a pair that would take it over the maximum.
//!
//! Invariant that [`crate::index`] relies on: whether a chunk that began at key *a* ends before key *b* depends on
//! the pairs in [*a*, *b*) and on the pair at *b*, and on nothing else.

use crate::limits::{CHUNK_BYTES_MAX, CHUNK_BYTES_MIN, CHUNK_BYTES_SPREAD};

/// Decides pair by pair. Starts at the beginning of a chunk.
#[derive(Debug, Default)]
pub(crate) struct Cutter {
    bytes: u64,
}

impl Cutter {
    /// Take the next pair; true if a new chunk begins with it.
    pub(crate) fn begins_chunk(&mut self, key: &[u8], value: &[u8]) -> bool {
        let pair_bytes = key.len() as u64 + value.len() as u64;
        let full = self.bytes + pair_bytes > CHUNK_BYTES_MAX;
        let cut = self.bytes > 0
            && (full || (self.bytes >= CHUNK_BYTES_MIN && is_candidate(key, pair_bytes)));
        self.bytes = if cut {
            pair_bytes
        } else {
            self.bytes + pair_bytes
        };
        cut
    }
}

/// True with probability `pair_bytes / CHUNK_BYTES_SPREAD`.
fn is_candidate(key: &[u8], pair_bytes: u64) -> bool {
    key_hash(key) < pair_bytes.saturating_mul(u64::MAX / CHUNK_BYTES_SPREAD)
}

/// 64-bit hash of a key: part of the format, never to be changed. It needs to be fast and even, not secret:
/// whoever chooses keys that never cut gets chunks of the maximum length.
fn key_hash(key: &[u8]) -> u64 {
    const SEED: u64 = 0x9E37_79B9_7F4A_7C15;
    const FACTOR: u64 = 0xD6E8_FEB8_6659_FD93;
    let mix = |state: u64, word: u64| {
        let state = (state ^ word).wrapping_mul(FACTOR);
        state ^ state >> 32
    };
    let mut words = key.chunks_exact(8);
    let mut state = mix(SEED, key.len() as u64);
    for word in &mut words {
        state = mix(
            state,
            u64::from_le_bytes(word.try_into().expect("chunks_exact gives 8 bytes")),
        );
    }
    let mut last = [0; 8];
    last[..words.remainder().len()].copy_from_slice(words.remainder());
    mix(mix(state, u64::from_le_bytes(last)), SEED)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Lengths of the chunks that such pairs are cut into; the last is left out, as the end of content cuts it.
    fn lengths(pairs: impl Iterator<Item = (Vec<u8>, usize)>) -> Vec<u64> {
        let (mut cutter, mut lengths, mut length) = (Cutter::default(), Vec::new(), 0);
        for (key, value_len) in pairs {
            let value = vec![0; value_len];
            if cutter.begins_chunk(&key, &value) {
                lengths.push(std::mem::take(&mut length));
            }
            length += (key.len() + value_len) as u64;
        }
        lengths
    }

    fn sequential(count: u64, value_len: usize) -> Vec<u64> {
        lengths((0..count).map(|n| ([&[7; 9][..], &n.to_be_bytes()[..]].concat(), value_len)))
    }

    #[test]
    fn the_mean_length_does_not_depend_on_the_size_of_pairs() {
        for (count, value_len) in [(3_000_000, 0), (200_000, 300), (8_000, 10_000)] {
            let lengths = sequential(count, value_len);
            let mean = lengths.iter().sum::<u64>() / lengths.len() as u64;
            assert!(
                (700_000..1_500_000).contains(&mean),
                "values of {value_len}: mean {mean}"
            );
        }
    }

    #[test]
    fn all_lengths_are_within_the_bounds() {
        let all = [sequential(500_000, 100), sequential(2_000, 100_000)].concat();
        assert!(all.len() > 40);
        assert!(
            all.iter()
                .all(|length| (CHUNK_BYTES_MIN..=CHUNK_BYTES_MAX).contains(length))
        );
    }

    #[test]
    fn a_pair_larger_than_the_maximum_is_a_chunk_of_its_own() {
        let huge = CHUNK_BYTES_MAX as usize + 1;
        let found = lengths(
            [
                (vec![1], 10),
                (vec![2], huge),
                (vec![3], 10),
                (vec![4], huge),
            ]
            .into_iter(),
        );
        assert_eq!(found, [11, huge as u64 + 1, 11]);
    }

    #[test]
    fn the_key_hash_is_part_of_the_format() {
        let keys: [&[u8]; 4] = [b"", b"a", b"12345678", b"a key of 17 bytes"];
        let hashes = keys.map(key_hash);
        assert_eq!(hashes, GOLDEN, "{hashes:#x?}");
    }

    const GOLDEN: [u64; 4] = [
        0xe85733096b8530d3,
        0xbbd018223b92c247,
        0x239b662177131874,
        0xd863c288a8c4c03c,
    ];
}
