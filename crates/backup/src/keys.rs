//! Sets of changed keys, bounded: a set knows all of them, or knows that it does not.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits::{CHANGED_KEY_OVERHEAD, CHUNK_CHANGED_KEYS_MAX};

/// Keys in order, and what they take.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct KeySet {
    keys: BTreeSet<Box<[u8]>>,
    bytes: usize,
}

impl KeySet {
    pub(crate) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        self.keys.iter().map(AsRef::as_ref)
    }

    /// Memory that it takes, roughly.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    pub(crate) fn insert(&mut self, key: &[u8]) {
        if self.keys.insert(key.into()) {
            self.bytes += cost(key);
        }
    }
}

/// What was written in the range of one chunk. Cloning costs nothing: the set is copied when it is next written to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ChangedKeys {
    /// These keys and no others.
    Known(Arc<KeySet>),
    /// Any, though perhaps few: notes were lost, or there was no room for them.
    Unknown,
    /// Any: they were more than are noted for one chunk.
    Many,
}

impl ChangedKeys {
    /// Nothing was written.
    pub(crate) fn none() -> Self {
        Self::Known(Arc::default())
    }

    /// Whether certainly nothing was written.
    pub(crate) fn is_none(&self) -> bool {
        self.known().is_some_and(|keys| keys.is_empty())
    }

    pub(crate) const fn known(&self) -> Option<&Arc<KeySet>> {
        match self {
            Self::Known(keys) => Some(keys),
            Self::Unknown | Self::Many => None,
        }
    }

    /// A key was written. `left` is what all sets together may still take; `max` what this one may, if it is of one chunk.
    pub(crate) fn insert(&mut self, key: &[u8], max: Option<usize>, left: &mut usize) {
        let Self::Known(keys) = self else { return };
        if keys.keys.contains(key) {
            return;
        }
        if max.is_some_and(|max| keys.bytes + cost(key) > max) {
            self.forget(Self::Many, left);
            return;
        }
        if cost(key) > *left {
            self.forget(Self::Unknown, left);
            return;
        }
        *left -= cost(key);
        Arc::make_mut(keys).insert(key);
    }

    /// Any key may have been written, as `unknown` says.
    pub(crate) fn forget(&mut self, unknown: Self, left: &mut usize) {
        assert!(unknown.known().is_none(), "what is forgotten is not known");
        if let Self::Known(keys) = self {
            *left += keys.bytes;
        }
        *self = unknown;
    }
}

/// All keys of both, unless they are more than are noted for one chunk.
pub(crate) fn union(one: &Arc<KeySet>, other: &Arc<KeySet>) -> Option<Arc<KeySet>> {
    if other.is_empty() {
        return Some(Arc::clone(one));
    }
    let mut all = KeySet::clone(one);
    other.iter().for_each(|key| all.insert(key));
    (all.bytes <= CHUNK_CHANGED_KEYS_MAX).then(|| Arc::new(all))
}

const fn cost(key: &[u8]) -> usize {
    key.len() + CHANGED_KEY_OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_that_would_take_more_than_it_may_knows_nothing_and_gives_back_what_it_took() {
        let one = 2 + CHANGED_KEY_OVERHEAD;
        for (max, left, forgotten) in [
            (Some(2 * one), usize::MAX / 2, ChangedKeys::Many),
            (None, 2 * one, ChangedKeys::Unknown),
        ] {
            let (mut keys, mut now) = (ChangedKeys::none(), left);
            for key in [b"aa", b"bb", b"aa"] {
                keys.insert(key, max, &mut now);
            }
            assert_eq!(
                keys.known().map(|known| known.iter().count()),
                Some(2),
                "at the limit"
            );
            assert_eq!(left - now, 2 * one);
            keys.insert(b"cc", max, &mut now);
            assert_eq!((keys, now), (forgotten, left), "over the limit");
        }
    }

    #[test]
    fn a_copy_does_not_see_later_writes() {
        let (mut keys, mut left) = (ChangedKeys::none(), usize::MAX);
        let copy = keys.clone();
        keys.insert(b"a", None, &mut left);
        assert!(copy.is_none() && !keys.is_none());
    }
}
