//! What of the log has to be kept, and how much of it there is.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Log that is kept for a member that does not have it: beyond it, the member is brought up by content, which costs less than so
/// much disk on every node.
pub(crate) const KEPT_BYTES_MAX: u64 = 512 << 20;

/// How exactly sizes are noted.
const STEP_BYTES: u64 = 1 << 20;

/// What the other members may still need.
pub(crate) struct Kept {
    /// Entries from this index on are kept. The leader knows it from what the members acknowledge, and tells the others.
    from: AtomicU64,
    sizes: Mutex<Sizes>,
}

#[derive(Default)]
struct Sizes {
    /// Bytes handed over since the start.
    total: u64,
    /// Index of an entry, and the bytes up to and with it, about every step; the oldest first.
    steps: VecDeque<(u64, u64)>,
}

impl Kept {
    /// A group of one keeps nothing for others; with more members everything is kept until it is known what they have.
    pub fn new(members: usize) -> Self {
        let from = if members > 1 { 0 } else { u64::MAX };
        Self {
            from: AtomicU64::new(from),
            sizes: Mutex::default(),
        }
    }

    pub fn from(&self) -> u64 {
        self.from.load(Ordering::Acquire)
    }

    pub fn set_from(&self, index: u64) {
        self.from.store(index, Ordering::Release);
    }

    /// An entry was handed over.
    pub fn count(&self, index: u64, bytes: u64) {
        // No code that can panic runs under the lock.
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.total += bytes;
        let total = sizes.total;
        let noted = sizes.steps.back().map_or(0, |(_, bytes)| *bytes);
        if total - noted >= STEP_BYTES {
            sizes.steps.push_back((index, total));
            while let Some((_, bytes)) = sizes.steps.front()
                && total - bytes > KEPT_BYTES_MAX + STEP_BYTES
                && sizes.steps.len() > 1
            {
                sizes.steps.pop_front();
            }
        }
    }

    /// Bytes handed over since the start.
    pub fn total(&self) -> u64 {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.total
    }

    /// The index before which entries may go as far as the other members are concerned: they have them, or it is too much.
    pub fn unneeded_before(&self) -> u64 {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        let too_much = sizes
            .steps
            .iter()
            .take_while(|(_, bytes)| sizes.total - bytes >= KEPT_BYTES_MAX)
            .last();
        let too_old = too_much.map_or(0, |(index, _)| index + 1);
        self.from().max(too_old)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entries_are_kept_for_members_that_lack_them_up_to_the_bound() {
        let kept = Kept::new(3);
        assert_eq!(kept.unneeded_before(), 0);
        for index in 0..600 {
            kept.count(index, STEP_BYTES);
        }
        // The last 512 of 600, one MiB each.
        assert_eq!(kept.unneeded_before(), 88);
        kept.set_from(500);
        assert_eq!(kept.unneeded_before(), 500);
        assert!(kept.sizes.lock().unwrap().steps.len() < 520);
        assert_eq!(Kept::new(1).unneeded_before(), u64::MAX);
    }
}
