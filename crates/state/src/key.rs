//! Keys of tables: one byte of table, then fields so encoded that byte order is the order of the fields.
//!
//! Integers are big-endian with the sign bit turned; texts are followed by a zero byte, with zero bytes inside escaped, so
//! that no text is a prefix of another.

/// Builds a key without allocating for the usual sizes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableKey {
    bytes: Vec<u8>,
}

impl TableKey {
    /// A key of that table, with no field yet; also the prefix of all of the table.
    pub fn new(table: u8) -> TableKey {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(table);
        TableKey { bytes }
    }

    /// Appends an integer.
    #[must_use]
    pub fn i64(mut self, value: i64) -> TableKey {
        self.bytes
            .extend_from_slice(&((value as u64) ^ (1 << 63)).to_be_bytes());
        self
    }

    /// Appends an unsigned integer.
    #[must_use]
    pub fn u64(mut self, value: u64) -> TableKey {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Appends an unsigned integer of 32 bits.
    #[must_use]
    pub fn u32(mut self, value: u32) -> TableKey {
        self.bytes.extend_from_slice(&value.to_be_bytes());
        self
    }

    /// Appends a text.
    #[must_use]
    pub fn text(mut self, text: &str) -> TableKey {
        for &byte in text.as_bytes() {
            self.bytes.push(byte);
            if byte == 0 {
                self.bytes.push(0xff);
            }
        }
        self.bytes.extend_from_slice(&[0, 0]);
        self
    }

    /// The key's bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The first key after all keys that begin with this one.
    pub fn end(&self) -> Vec<u8> {
        prefix_end(&self.bytes).expect("a table number is below 255")
    }
}

impl AsRef<[u8]> for TableKey {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The first key after all keys with that prefix; `None` if there is none.
pub fn prefix_end(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|&byte| byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

/// Takes a key apart again. Fields that are not there are a broken invariant: only our own code writes keys.
#[derive(Debug, Clone)]
pub struct KeyReader<'a> {
    rest: &'a [u8],
}

impl<'a> KeyReader<'a> {
    /// Behind the table byte of `key`.
    pub fn new(key: &'a [u8]) -> KeyReader<'a> {
        assert!(!key.is_empty(), "a key has at least its table byte");
        KeyReader { rest: &key[1..] }
    }

    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) = self
            .rest
            .split_first_chunk::<N>()
            .expect("a key has the fields that its table defines");
        self.rest = rest;
        *field
    }

    /// An integer.
    pub fn i64(&mut self) -> i64 {
        (u64::from_be_bytes(self.take()) ^ (1 << 63)) as i64
    }

    /// An unsigned integer.
    pub fn u64(&mut self) -> u64 {
        u64::from_be_bytes(self.take())
    }

    /// An unsigned integer of 32 bits.
    pub fn u32(&mut self) -> u32 {
        u32::from_be_bytes(self.take())
    }

    /// A text.
    pub fn text(&mut self) -> String {
        let mut text = Vec::new();
        loop {
            let [byte] = self.take();
            if byte == 0 {
                let [escape] = self.take();
                if escape == 0 {
                    return String::from_utf8(text).expect("only texts are written as texts");
                }
            }
            text.push(byte);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn keys_come_apart_as_they_were_built(a: i64, b: u64, text: String, c: u32) {
            let key = TableKey::new(3).i64(a).text(&text).u64(b).u32(c);
            let mut reader = KeyReader::new(key.as_bytes());
            prop_assert_eq!((reader.i64(), reader.text(), reader.u64(), reader.u32()), (a, text, b, c));
        }

        #[test]
        fn byte_order_is_field_order(a: (i64, String, u64), b: (i64, String, u64)) {
            let key = |fields: &(i64, String, u64)| TableKey::new(1).i64(fields.0).text(&fields.1).u64(fields.2);
            prop_assert_eq!(a.cmp(&b), key(&a).as_bytes().cmp(key(&b).as_bytes()));
        }
    }

    #[test]
    fn the_end_of_a_prefix_skips_bytes_that_cannot_grow() {
        assert_eq!(prefix_end(&[1, 2]), Some(vec![1, 3]));
        assert_eq!(prefix_end(&[1, 0xff]), Some(vec![2]));
        assert_eq!(prefix_end(&[0xff]), None);
    }
}
