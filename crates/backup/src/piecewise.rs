//! A content chunk by chunk, for another replica: who reads keeps nothing in mind but where the next chunk begins.

use bytes::Bytes;

use crate::chunk::{ChunkBuilder, ChunkInfo, Cutter};
use crate::content::{Content, ContentError, Visit};
use crate::limits::PAIR_BYTES_MAX;
use crate::plan::pair_too_long;

/// A chunk of a content.
#[derive(Clone, Debug)]
pub struct ContentChunk {
    /// Its name and sizes.
    pub info: ChunkInfo,
    /// Its canonical encoding.
    pub encoding: Bytes,
    /// The first key of the next one; `None` at the end of the content.
    pub next: Option<Vec<u8>>,
}

/// The chunk that begins at `from` or, from the beginning of the content (an empty key), at its first key. `None` if there is
/// nothing there. It is one of those that a backup of the content has if `from` begins one of them. Blocking.
pub fn read_chunk_at(
    content: &dyn Content,
    from: &[u8],
) -> Result<Option<ContentChunk>, ContentError> {
    let (mut cutter, mut builder) = (Cutter::default(), ChunkBuilder::default());
    let mut next = None;
    let mut too_long = None;
    content.scan(from, &mut |key, value| {
        if key.len() + value.len() > PAIR_BYTES_MAX {
            too_long = Some(pair_too_long(key, value));
            return Visit::Stop;
        }
        if cutter.begins_chunk(key, value) {
            next = Some(key.to_vec());
            return Visit::Stop;
        }
        builder.push(key, value);
        Visit::Continue
    })?;
    match too_long {
        Some(error) => Err(error),
        None => Ok(builder.finish().map(|chunk| ContentChunk {
            info: chunk.info,
            encoding: chunk.encoding,
            next,
        })),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use std::collections::BTreeMap;

    use super::*;
    use crate::plan::{PlannedContent, plan_chunks};

    struct Pairs(BTreeMap<Vec<u8>, Vec<u8>>);

    impl Content for Pairs {
        fn scan(
            &self,
            from: &[u8],
            visit: &mut dyn FnMut(&[u8], &[u8]) -> Visit,
        ) -> Result<(), ContentError> {
            for (key, value) in self.0.range(from.to_vec()..) {
                if visit(key, value) == Visit::Stop {
                    break;
                }
            }
            Ok(())
        }
    }

    #[test]
    fn read_one_by_one_the_chunks_are_those_of_a_backup() {
        let pair = |number: u32| (number.to_be_bytes().to_vec(), vec![number as u8; 300]);
        for count in [0, 1, 30_000] {
            let content = Pairs((0..count).map(pair).collect());
            let mut planned = Vec::new();
            plan_chunks(&content, None, &mut |chunk| {
                let PlannedContent::Read(encoding) = chunk.content else {
                    panic!("all is read");
                };
                planned.push((chunk.info, encoding));
                Visit::Continue
            })
            .unwrap();
            let mut read = Vec::new();
            let mut from = Some(Vec::new());
            while let Some(key) = from.take() {
                if let Some(chunk) = read_chunk_at(&content, &key).unwrap() {
                    read.push((chunk.info, chunk.encoding));
                    from = chunk.next;
                }
            }
            assert_eq!(read, planned);
            assert!(count < 30_000 || read.len() > 5);
        }
    }
}
