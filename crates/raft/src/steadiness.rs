//! When a leader had better let another member lead.
//!
//! Others elect nobody as long as they hear the leader. If what it sends reaches them, but their answers come too late (a slow network), it
//! does not count as leader some of the time, is slow the rest of it, and nobody else becomes one. So it gives way when it has not been
//! followed for as long as others wait before an election, when that is lost again soon after it was gained, and when answers are late
//! most of the time.

use std::time::Duration;

use tokio::time::Instant;

/// The last so many looks count, all but [`LATE_LOOKS_MAX`] of which may be late.
const LOOKS: u32 = 8;
const LATE_LOOKS_MAX: u32 = 5;

/// What bounds a group sets to the age of what a quorum of its members has answered last.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    /// From then on the leader is not followed.
    pub lease: Duration,
    /// From then on answers are late.
    pub late: Duration,
    /// How often the leader looks, as often as it gives signs of life.
    pub look_every: Duration,
}

/// How a quorum answers a leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answers {
    InTime,
    /// It is followed, but slowly.
    Late,
    /// It is not followed.
    Missing,
}

impl Bounds {
    /// By the age of what a quorum has answered last.
    pub fn judge(&self, age: Option<Duration>) -> Answers {
        match age {
            Some(age) if age < self.late => Answers::InTime,
            Some(age) if age < self.lease => Answers::Late,
            _ => Answers::Missing,
        }
    }
}

/// How steadily a leader has been followed in its term.
pub(crate) struct Steadiness {
    bounds: Bounds,
    term: u64,
    /// Since when it has not been followed.
    lapsed: Option<Instant>,
    /// When it was followed, and then was not any more.
    last_loss: Option<Instant>,
    /// Whether answers were late at the last looks, the latest in the lowest bit.
    late: u32,
    looked: Option<Instant>,
    has_given_way: bool,
}

impl Steadiness {
    pub fn new(bounds: Bounds) -> Self {
        Self {
            bounds,
            term: 0,
            lapsed: None,
            last_loss: None,
            late: 0,
            looked: None,
            has_given_way: false,
        }
    }

    /// Notes how the leader of that term is answered. Gives whether it should let another one lead, once in a term.
    pub fn gives_way(&mut self, term: u64, answers: Answers, now: Instant) -> bool {
        if term != self.term {
            *self = Self {
                term,
                lapsed: Some(now),
                ..Self::new(self.bounds)
            };
        }
        let lapses = self.lapses(answers, now);
        let is_late = self.is_late(answers, now);
        let gives_way = (lapses || is_late) && !self.has_given_way;
        self.has_given_way |= gives_way;
        gives_way
    }

    /// It is not followed for too long, or not for the second time. Others wait for about twice as long as the lease.
    fn lapses(&mut self, answers: Answers, now: Instant) -> bool {
        let lease = self.bounds.lease;
        if answers != Answers::Missing {
            self.lapsed = None;
            return false;
        }
        if let Some(lapsed) = self.lapsed {
            return now - lapsed >= lease;
        }
        self.lapsed = Some(now);
        let before = self.last_loss.replace(now);
        before.is_some_and(|before| now - before < lease * 6)
    }

    /// Answers have been late most of the time. Something may have changed between two looks; that counts at the next one.
    fn is_late(&mut self, answers: Answers, now: Instant) -> bool {
        if self
            .looked
            .is_none_or(|looked| now - looked >= self.bounds.look_every)
        {
            self.looked = Some(now);
            self.late = self.late << 1 & ((1 << LOOKS) - 1) | u32::from(answers != Answers::InTime);
        }
        self.late.count_ones() > LATE_LOOKS_MAX
    }
}

#[cfg(test)]
mod tests {
    use super::Answers::{InTime, Late, Missing};
    use super::*;

    const LEASE: Duration = Duration::from_millis(500);
    const BOUNDS: Bounds = Bounds {
        lease: LEASE,
        late: Duration::from_millis(250),
        look_every: Duration::from_millis(150),
    };

    /// When a leader gives way that is answered in this way from these times on, in milliseconds.
    fn gives_way_at(changes: &[(u64, Answers)]) -> Option<u64> {
        let (start, mut steadiness) = (Instant::now(), Steadiness::new(BOUNDS));
        (0..20_000).step_by(50).find(|now| {
            let answers = changes.iter().rev().find(|(from, _)| from <= now);
            let answers = answers.map_or(Answers::Missing, |(_, answers)| *answers);
            steadiness.gives_way(7, answers, start + Duration::from_millis(*now))
        })
    }

    #[test]
    fn the_age_of_the_last_answers_says_how_they_come() {
        let judge = |millis| BOUNDS.judge(Some(Duration::from_millis(millis)));
        assert_eq!(judge(249), Answers::InTime);
        assert_eq!((judge(250), judge(499)), (Answers::Late, Answers::Late));
        assert_eq!(judge(500), Answers::Missing);
        assert_eq!(BOUNDS.judge(None), Answers::Missing);
    }

    #[test]
    fn a_leader_that_is_followed_stays_also_after_a_short_lapse_now_and_then() {
        assert_eq!(gives_way_at(&[(0, InTime)]), None);
        assert_eq!(gives_way_at(&[(300, InTime)]), None);
        let lapses = [
            (100, InTime),
            (1_000, Missing),
            (1_400, InTime),
            (5_000, Missing),
            (5_400, InTime),
        ];
        assert_eq!(gives_way_at(&lapses), None);
    }

    #[test]
    fn it_gives_way_when_it_is_not_followed_for_long_or_lapses_again() {
        assert_eq!(gives_way_at(&[]), Some(500));
        assert_eq!(
            gives_way_at(&[(100, InTime), (1_000, Missing)]),
            Some(1_500)
        );
        let lapses = [
            (100, InTime),
            (1_000, Missing),
            (1_100, InTime),
            (2_000, Missing),
            (2_100, InTime),
        ];
        assert_eq!(gives_way_at(&lapses), Some(2_000));
    }

    #[test]
    fn it_gives_way_when_answers_are_late_most_of_the_time() {
        assert_eq!(gives_way_at(&[(100, InTime), (1_000, Late)]), Some(1_800));
        let often = [(100, InTime), (1_000, Late), (1_450, InTime), (1_600, Late)];
        assert_eq!(gives_way_at(&often), Some(1_950));
        let half: Vec<_> = (0..70)
            .map(|turn| (turn * 300, if turn % 2 == 0 { InTime } else { Late }))
            .collect();
        assert_eq!(gives_way_at(&half), None);
    }

    #[test]
    fn it_gives_way_once_in_a_term() {
        let mut steadiness = Steadiness::new(BOUNDS);
        let now = Instant::now();
        for term in [1, 2] {
            assert!(!steadiness.gives_way(term, Missing, now));
            assert!(steadiness.gives_way(term, Missing, now + LEASE));
            assert!(!steadiness.gives_way(term, Missing, now + LEASE * 2));
        }
    }
}
