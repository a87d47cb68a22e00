//! When a leader had better let another member lead.
//!
//! Others elect nobody as long as they hear the leader. If what it sends reaches them, but their answers come too late (a slow network), it
//! does not count as leader most of the time, and nobody else becomes one. So it gives way when it has not been followed for as long as
//! others wait before an election, and when that is lost again soon after it was gained.

use std::time::Duration;

use tokio::time::Instant;

/// How steadily a leader has been followed in its term.
pub(crate) struct Steadiness {
    /// Not to be followed for so long is too long.
    lapse_max: Duration,
    /// Two lapses within it are one too many.
    lapses_apart: Duration,
    term: u64,
    /// Since when it has not been followed.
    lapsed: Option<Instant>,
    /// When it was followed, and then was not any more.
    last_loss: Option<Instant>,
    has_given_way: bool,
}

impl Steadiness {
    /// Of a member that counts as followed for `lease` after a quorum's answers; others wait for about twice as long.
    pub fn new(lease: Duration) -> Self {
        Self {
            lapse_max: lease,
            lapses_apart: lease * 6,
            term: 0,
            lapsed: None,
            last_loss: None,
            has_given_way: false,
        }
    }

    /// Notes whether the leader of that term is followed. Gives whether it should let another one lead, once in a term.
    pub fn gives_way(&mut self, term: u64, followed: bool, now: Instant) -> bool {
        if term != self.term {
            *self = Self {
                term,
                lapsed: Some(now),
                ..Self::new(self.lapse_max)
            };
        }
        let lost_again = match (followed, self.lapsed) {
            (true, _) => {
                self.lapsed = None;
                false
            }
            (false, Some(_)) => false,
            (false, None) => {
                self.lapsed = Some(now);
                let before = self.last_loss.replace(now);
                before.is_some_and(|before| now - before < self.lapses_apart)
            }
        };
        let too_long = self
            .lapsed
            .is_some_and(|lapsed| now - lapsed >= self.lapse_max);
        let gives_way = (lost_again || too_long) && !self.has_given_way;
        self.has_given_way |= gives_way;
        gives_way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEASE: Duration = Duration::from_millis(500);

    /// When a leader gives way that is followed (true) or not from these times on, in milliseconds.
    fn gives_way_at(changes: &[(u64, bool)]) -> Option<u64> {
        let (start, mut steadiness) = (Instant::now(), Steadiness::new(LEASE));
        let followed = |now| changes.iter().rev().find(|(from, _)| *from <= now);
        (0..20_000).step_by(50).find(|now| {
            let followed = followed(*now).is_some_and(|(_, followed)| *followed);
            steadiness.gives_way(7, followed, start + Duration::from_millis(*now))
        })
    }

    #[test]
    fn a_leader_that_is_followed_stays_also_after_a_short_lapse_now_and_then() {
        assert_eq!(gives_way_at(&[(0, true)]), None);
        assert_eq!(gives_way_at(&[(300, true)]), None);
        let lapses = [
            (100, true),
            (1_000, false),
            (1_400, true),
            (5_000, false),
            (5_400, true),
        ];
        assert_eq!(gives_way_at(&lapses), None);
    }

    #[test]
    fn it_gives_way_when_it_is_not_followed_for_long_or_lapses_again() {
        assert_eq!(gives_way_at(&[]), Some(500));
        assert_eq!(gives_way_at(&[(100, true), (1_000, false)]), Some(1_500));
        let lapses = [
            (100, true),
            (1_000, false),
            (1_100, true),
            (2_000, false),
            (2_100, true),
        ];
        assert_eq!(gives_way_at(&lapses), Some(2_000));
    }

    #[test]
    fn it_gives_way_once_in_a_term() {
        let mut steadiness = Steadiness::new(LEASE);
        let now = Instant::now();
        for term in [1, 2] {
            assert!(!steadiness.gives_way(term, false, now));
            assert!(steadiness.gives_way(term, false, now + LEASE));
            assert!(!steadiness.gives_way(term, false, now + LEASE * 2));
        }
    }
}
