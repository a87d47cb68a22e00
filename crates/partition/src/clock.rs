//! A replica's time: what the wall clock says, as far as a clock that nobody can set confirms it.
//!
//! **Invariants**
//! - It never goes back, and never stands still while time passes.
//! - A jump of the wall clock ahead counts only once it has lasted: a clock that is wrong for a moment fires no timers.
//! - Where it is ahead of the wall clock, which was set back or is another's than the last leader's, it goes at half speed until
//!   it is not.

use tracing::warn;

/// How far the wall clock may run ahead between two readings without being doubted, in milliseconds: clocks are corrected in
/// small steps all the time.
const STEP_MS_MAX: i64 = 1_000;

/// How long a jump ahead has to last, in milliseconds. A machine that was suspended is late by as much.
const CONFIRMED_AFTER_MS: i64 = 30_000;

/// What the clocks of a node show.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reading {
    /// The wall clock, in epoch milliseconds.
    pub wall: i64,
    /// A clock that is never set, in milliseconds since whenever.
    pub monotonic: i64,
}

#[derive(Debug, Default)]
pub(crate) struct Clock {
    last: Option<Last>,
}

#[derive(Debug)]
struct Last {
    time: i64,
    monotonic: i64,
    /// When the wall clock was first seen to have jumped ahead, unless it has come back.
    jumped_at: Option<i64>,
    /// Whether the time is so far ahead of the wall clock that it was said.
    is_ahead: bool,
    /// At half speed, the millisecond that is left over.
    left_over: i64,
}

impl Clock {
    /// The time at a reading.
    pub fn read(&mut self, reading: Reading) -> i64 {
        let Some(last) = &mut self.last else {
            self.last = Some(Last {
                time: reading.wall,
                monotonic: reading.monotonic,
                jumped_at: None,
                is_ahead: false,
                left_over: 0,
            });
            return reading.wall;
        };
        let passed = (reading.monotonic - last.monotonic).max(0);
        last.monotonic += passed;
        let ahead = reading.wall - (last.time + passed);
        if ahead > STEP_MS_MAX {
            last.doubt(passed, reading.wall, ahead);
        } else {
            last.follow(passed, reading.wall, ahead);
        }
        last.time
    }

    /// The partition has been at that time already.
    pub fn not_before(&mut self, time: i64) {
        if let Some(last) = &mut self.last {
            last.time = last.time.max(time);
        }
    }

    /// In how many milliseconds the clock is to be read although nothing happens.
    pub fn read_again_in(&self) -> Option<i64> {
        let last = self.last.as_ref()?;
        let jumped_at = last.jumped_at?;
        Some((jumped_at + CONFIRMED_AFTER_MS - last.monotonic).max(0))
    }
}

impl Last {
    fn doubt(&mut self, passed: i64, wall: i64, ahead: i64) {
        let jumped_at = *self.jumped_at.get_or_insert_with(|| {
            warn!(
                ahead_ms = ahead,
                "the wall clock has jumped ahead; it is believed once that has lasted for {CONFIRMED_AFTER_MS} ms"
            );
            self.monotonic
        });
        self.time += passed;
        if self.monotonic - jumped_at >= CONFIRMED_AFTER_MS {
            warn!(
                ahead_ms = ahead,
                "the wall clock that jumped ahead is followed"
            );
            self.time = wall;
            self.jumped_at = None;
        }
    }

    fn follow(&mut self, passed: i64, wall: i64, ahead: i64) {
        self.jumped_at = None;
        let is_ahead = ahead < -STEP_MS_MAX;
        if is_ahead && !self.is_ahead {
            warn!(
                ahead_ms = -ahead,
                "the partition's time is ahead of the wall clock; it goes at half speed until that has caught up"
            );
        }
        self.is_ahead = is_ahead;
        let doubled = passed + self.left_over;
        self.left_over = doubled % 2;
        self.time = wall.max(self.time + doubled / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: i64 = 1_700_000_000_000;

    /// Clocks of a node and the time that follows from them.
    struct Node {
        clock: Clock,
        monotonic: i64,
        set_by: i64,
    }

    impl Node {
        fn new() -> Node {
            let mut node = Node {
                clock: Clock::default(),
                monotonic: 77,
                set_by: 0,
            };
            assert_eq!(node.time_after(0), 0);
            node
        }

        /// Lets time pass, and gives the time since the beginning.
        fn time_after(&mut self, passed: i64) -> i64 {
            self.monotonic += passed;
            let reading = Reading {
                wall: BEGIN + self.monotonic - 77 + self.set_by,
                monotonic: self.monotonic,
            };
            self.clock.read(reading) - BEGIN
        }
    }

    #[test]
    fn small_corrections_are_followed() {
        let mut node = Node::new();
        node.set_by = 1_000;
        assert_eq!(node.time_after(10), 1_010);
        node.set_by = 0;
        assert_eq!(node.time_after(1), 1_010, "half a millisecond");
        assert_eq!(node.time_after(1), 1_011, "never back");
        assert_eq!(node.time_after(2_000), 2_012);
    }

    #[test]
    fn a_jump_ahead_that_does_not_last_is_never_seen() {
        let mut node = Node::new();
        node.set_by = 3_600_000;
        assert_eq!(node.time_after(10), 10);
        assert_eq!(
            node.time_after(CONFIRMED_AFTER_MS - 1),
            CONFIRMED_AFTER_MS + 9
        );
        node.set_by = 0;
        assert_eq!(node.time_after(5), CONFIRMED_AFTER_MS + 14);
        node.set_by = 3_600_000;
        assert_eq!(node.time_after(1), CONFIRMED_AFTER_MS + 15, "another one");
        assert_eq!(node.clock.read_again_in(), Some(CONFIRMED_AFTER_MS));
    }

    #[test]
    fn a_jump_ahead_that_lasts_is_followed() {
        let mut node = Node::new();
        node.set_by = 3_600_000;
        node.time_after(0);
        assert_eq!(node.clock.read_again_in(), Some(CONFIRMED_AFTER_MS));
        let time = node.time_after(CONFIRMED_AFTER_MS);
        assert_eq!(time, 3_600_000 + CONFIRMED_AFTER_MS);
        assert_eq!(node.clock.read_again_in(), None);
    }

    #[test]
    fn a_clock_that_is_set_back_slows_time_down_until_it_has_caught_up() {
        let mut node = Node::new();
        assert_eq!(node.time_after(60_000), 60_000);
        node.set_by = -20_000;
        assert_eq!(node.time_after(20_000), 70_000);
        // Read ever so often, nothing is lost.
        for _ in 0..20_000 {
            node.time_after(1);
        }
        assert_eq!(node.time_after(0), 80_000);
        assert_eq!(node.time_after(10_000), 90_000);
    }

    #[test]
    fn a_partition_that_is_ahead_goes_on_from_there() {
        let mut node = Node::new();
        node.clock.not_before(BEGIN + 10_000);
        assert_eq!(node.time_after(1_000), 10_500);
        assert_eq!(node.time_after(30_000), 31_000);
    }
}
