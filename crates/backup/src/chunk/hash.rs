//! Hashes as names, written as lower-case hexadecimal.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::ChunkInfo;

/// BLAKE3 of a chunk's canonical encoding, or of a patch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ChunkHash([u8; 32]);

/// BLAKE3 over the chunks of a partition: equal if and only if the contents are.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootHash([u8; 32]);

/// Collects the chunks of a partition in order.
pub(crate) struct RootHasher(blake3::Hasher);

impl RootHasher {
    pub(crate) fn new() -> Self {
        let mut hasher = blake3::Hasher::new();
        hasher.update(b"skep root hash 1");
        Self(hasher)
    }

    pub(crate) fn add(&mut self, chunk: &ChunkInfo) {
        self.0.update(&chunk.hash.0);
        self.0.update(&chunk.raw_bytes.to_le_bytes());
        self.0.update(&chunk.pairs.to_le_bytes());
    }

    pub(crate) fn finish(&self) -> RootHash {
        RootHash(*self.0.finalize().as_bytes())
    }
}

impl ChunkHash {
    /// The name of this encoding.
    pub fn of(encoding: &[u8]) -> Self {
        Self(*blake3::hash(encoding).as_bytes())
    }

    /// The name that has these bytes.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }
}

macro_rules! hex_hash {
    ($name:ident, $what:literal) => {
        impl $name {
            /// The bytes of the hash.
            pub fn as_bytes(&self) -> &[u8; 32] {
                &self.0
            }

            /// Read back what `Display` writes.
            pub fn from_hex(text: &str) -> Option<Self> {
                let bytes = decode_hex(text)?;
                bytes.try_into().ok().map(Self)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&encode_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::from_hex(&text)
                    .ok_or_else(|| serde::de::Error::custom(concat!("expected ", $what)))
            }
        }
    };
}

hex_hash!(ChunkHash, "a chunk hash of 64 hexadecimal digits");
hex_hash!(RootHash, "a root hash of 64 hexadecimal digits");

/// Lower-case hexadecimal.
pub(crate) fn encode_hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// The bytes of lower-case hexadecimal; nothing else, so that every hash has one spelling.
pub(crate) fn decode_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pair = |pair: &[u8]| match pair {
        [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
        _ => None,
    };
    text.as_bytes().chunks(2).map(pair).collect()
}

/// Keys in manifests.
pub(crate) mod hex_bytes {
    use serde::{Deserialize, Deserializer, Serializer};

    pub(crate) fn serialize<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&super::encode_hex(bytes))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Vec<u8>, D::Error> {
        let text = String::deserialize(deserializer)?;
        super::decode_hex(&text)
            .ok_or_else(|| serde::de::Error::custom("expected lower-case hexadecimal"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_has_one_spelling() {
        assert_eq!(encode_hex(&[0, 0x5a, 0xff]), "005aff");
        assert_eq!(decode_hex("005aff"), Some(vec![0, 0x5a, 0xff]));
        assert_eq!(decode_hex("005AFF"), None);
        assert_eq!(decode_hex("005af"), None);
        assert_eq!(decode_hex("0g"), None);
    }
}
