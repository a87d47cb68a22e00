//! What of the log has to be kept, and how much of it there is.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Log that is kept for a member that does not have it: beyond it, the member is brought up by content, which costs less than so
/// much disk on every node.
pub(crate) const KEPT_BYTES_MAX: u64 = 512 << 20;

/// Log that is kept for a member that is being brought up by content: else it would lack too much again by then. A partition writes
/// as much in some minutes under full load.
const HELD_BYTES_MAX: u64 = 4 << 30;

/// A member for which log is held and that has not got on for so long is waited for no more.
const HELD_IN_VAIN: Duration = Duration::from_secs(60);

/// How exactly sizes are noted.
const STEP_BYTES: u64 = 1 << 20;

/// What the other members may still need.
pub(crate) struct Kept {
    /// Entries from this index on are kept. The leader knows it from what the members acknowledge, and tells the others.
    from: AtomicU64,
    sizes: Mutex<Sizes>,
    /// As leader: members that are brought up by content, or catch up after it.
    holds: Mutex<BTreeMap<u64, Hold>>,
    bytes_max: u64,
    entries_max: u64,
}

struct Hold {
    /// Entries from this one on.
    from: u64,
    /// It got on then, or its content was under way.
    useful_at: Instant,
    fetching: bool,
}

/// Holds the log for a member while it fetches content.
pub(crate) struct Fetching<'a> {
    kept: &'a Kept,
    member: u64,
}

impl Drop for Fetching<'_> {
    fn drop(&mut self) {
        if let Some(hold) = self.kept.holds().get_mut(&self.member) {
            hold.fetching = false;
        }
    }
}

#[derive(Default)]
struct Sizes {
    /// Bytes handed over since the start.
    total: u64,
    /// Index of the last entry.
    last: u64,
    /// Index of an entry, and the bytes up to and with it, about every step; the oldest first.
    steps: VecDeque<(u64, u64)>,
}

impl Kept {
    /// A group of one keeps nothing for others; with more members everything is kept until it is known what they have.
    pub fn new(members: usize, (bytes_max, entries_max): (u64, u64)) -> Self {
        let from = if members > 1 { 0 } else { u64::MAX };
        Self {
            from: AtomicU64::new(from),
            sizes: Mutex::default(),
            holds: Mutex::default(),
            bytes_max,
            entries_max,
        }
    }

    pub fn from(&self) -> u64 {
        self.from.load(Ordering::Acquire)
    }

    pub fn set_from(&self, index: u64) {
        self.from.store(index, Ordering::Release);
    }

    fn holds(&self) -> MutexGuard<'_, BTreeMap<u64, Hold>> {
        // No code that can panic runs under the lock.
        self.holds.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The member fetches content, and needs the log from that entry on.
    pub fn hold(&self, member: u64, from: u64) -> Fetching<'_> {
        let hold = Hold {
            from,
            useful_at: Instant::now(),
            fetching: true,
        };
        self.holds().insert(member, hold);
        Fetching { kept: self, member }
    }

    /// The member is there.
    pub fn still_needed(&self, member: u64) {
        if let Some(hold) = self.holds().get_mut(&member) {
            hold.useful_at = Instant::now();
        }
    }

    /// As leader: the member has the entries before that one.
    pub fn has_up_to(&self, member: u64, next: u64) {
        let mut holds = self.holds();
        let Some(hold) = holds.get_mut(&member) else {
            return;
        };
        if next > hold.from {
            hold.from = next;
            hold.useful_at = Instant::now();
        }
        let nearly = self
            .too_old(self.bytes_max / 2)
            .max(self.too_many(self.entries_max / 2));
        let caught_up = !hold.fetching && hold.from >= nearly;
        if caught_up || hold.useful_at.elapsed() > HELD_IN_VAIN {
            holds.remove(&member);
        }
    }

    /// An entry was handed over.
    pub fn count(&self, index: u64, bytes: u64) {
        // No code that can panic runs under the lock.
        let mut sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        sizes.total += bytes;
        sizes.last = index;
        let total = sizes.total;
        let noted = sizes.steps.back().map_or(0, |(_, bytes)| *bytes);
        if total - noted >= STEP_BYTES {
            sizes.steps.push_back((index, total));
            while let Some((_, bytes)) = sizes.steps.front()
                && total - bytes > HELD_BYTES_MAX + STEP_BYTES
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
        let too_much = self
            .too_old(self.bytes_max)
            .max(self.too_many(self.entries_max));
        let unneeded = self.from().max(too_much);
        let holds = self.holds();
        let useful = holds
            .values()
            .filter(|hold| hold.useful_at.elapsed() <= HELD_IN_VAIN);
        let held = useful.map(|hold| hold.from).min();
        match held {
            Some(held) => unneeded.min(held.max(self.too_old(HELD_BYTES_MAX))),
            None => unneeded,
        }
    }

    /// The index before which entries have that many entries after them.
    fn too_many(&self, entries_max: u64) -> u64 {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        (sizes.last + 1).saturating_sub(entries_max)
    }

    /// The index before which entries have that many bytes after them.
    fn too_old(&self, bytes_max: u64) -> u64 {
        let sizes = self.sizes.lock().unwrap_or_else(PoisonError::into_inner);
        // Sizes ascend.
        let old = sizes
            .steps
            .partition_point(|(_, bytes)| sizes.total - bytes >= bytes_max);
        old.checked_sub(1).map_or(0, |last| sizes.steps[last].0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn for_a_member_that_is_brought_up_more_is_kept_until_it_has_caught_up() {
        let kept = Kept::new(3, (KEPT_BYTES_MAX, 10_000));
        kept.set_from(500);
        let count = |indexes: std::ops::Range<u64>| {
            indexes.for_each(|index| kept.count(index, STEP_BYTES));
        };
        count(0..600);
        let fetching = kept.hold(2, 50);
        count(600..2_000);
        kept.has_up_to(2, 51);
        assert_eq!(kept.unneeded_before(), 51);
        drop(fetching);
        kept.has_up_to(2, 1_000);
        assert_eq!(kept.unneeded_before(), 1_000);
        kept.has_up_to(2, 1_990);
        assert_eq!(kept.unneeded_before(), 1_488);
        let _fetching = kept.hold(2, 1_900);
        count(2_000..9_000);
        assert_eq!(kept.unneeded_before(), 9_000 - 4_096);
        assert!(kept.sizes.lock().unwrap().steps.len() < 4_200);
    }

    #[test]
    fn entries_may_be_bounded_too() {
        let kept = Kept::new(3, (KEPT_BYTES_MAX, 10));
        (0..100).for_each(|index| kept.count(index, 1));
        assert_eq!(kept.unneeded_before(), 90);
    }

    #[test]
    fn entries_are_kept_for_members_that_lack_them_up_to_the_bound() {
        let bounds = (KEPT_BYTES_MAX, u64::MAX);
        let kept = Kept::new(3, bounds);
        assert_eq!(kept.unneeded_before(), 0);
        for index in 0..600 {
            kept.count(index, STEP_BYTES);
        }
        // The last 512 of 600, one MiB each.
        assert_eq!(kept.unneeded_before(), 88);
        kept.set_from(500);
        assert_eq!(kept.unneeded_before(), 500);
        assert_eq!(Kept::new(1, bounds).unneeded_before(), u64::MAX);
    }
}
