//! What a member has sent and heard, for metrics. Counted without locks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use skep_histogram::{Bounds, Histogram, Seen};
use tokio::time::Instant;

/// Between two signs of life of a leader: its heartbeat, or less.
const HEARD: Bounds = Bounds::of_micros(&[
    1_000, 5_000, 10_000, 25_000, 50_000, 75_000, 100_000, 150_000, 200_000, 250_000, 500_000,
    1_000_000, 2_500_000, 5_000_000,
]);

/// From sending entries until their answer: the way there and back, and a sync.
const APPENDED: Bounds = Bounds::of_micros(&[
    100, 250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000,
    1_000_000, 2_000_000,
]);

/// Of one member, since it was started.
#[derive(Debug)]
pub struct RaftStats {
    made: Instant,
    heard: Histogram,
    /// When a leader was heard last, in nanoseconds since this was made; 0 if it has not followed anybody since.
    heard_at: AtomicU64,
    missed: AtomicU64,
    given_way: AtomicU64,
    others: Vec<(u64, Sent)>,
}

#[derive(Debug)]
struct Sent {
    answered: Histogram,
    entries: AtomicU64,
    bytes: AtomicU64,
}

/// What another member was sent by this one as the leader.
#[derive(Debug, Clone, PartialEq)]
pub struct SentTo {
    /// The other member.
    pub member: u64,
    /// How long answers took.
    pub answered: Seen,
    /// Entries sent.
    pub entries: u64,
    /// Bytes of those.
    pub bytes: u64,
}

impl RaftStats {
    /// Nothing sent or heard yet.
    pub(crate) fn new(own: u64, members: &[u64]) -> RaftStats {
        let others = members.iter().filter(|member| **member != own);
        let sent = || Sent {
            answered: Histogram::new(APPENDED),
            entries: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        };
        RaftStats {
            made: Instant::now(),
            heard: Histogram::new(HEARD),
            heard_at: AtomicU64::new(0),
            missed: AtomicU64::new(0),
            given_way: AtomicU64::new(0),
            others: others.map(|member| (*member, sent())).collect(),
        }
    }

    fn to(&self, member: u64) -> Option<&Sent> {
        let found = self.others.iter().find(|(other, _)| *other == member);
        found.map(|(_, sent)| sent)
    }

    /// Entries are sent to a member.
    pub(crate) fn sends(&self, member: u64, entries: usize, bytes: usize) {
        if let Some(sent) = self.to(member) {
            sent.entries.fetch_add(entries as u64, Ordering::Relaxed);
            sent.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
        }
    }

    /// It has answered that it has them.
    pub(crate) fn answered(&self, member: u64, took: Duration) {
        if let Some(sent) = self.to(member) {
            sent.answered.observe(took);
        }
    }

    /// The leader has given a sign of life.
    pub(crate) fn heard(&self) {
        let now = self.made.elapsed().as_nanos() as u64;
        let before = self.heard_at.swap(now.max(1), Ordering::Relaxed);
        if before > 0 {
            let since = Duration::from_nanos(now.saturating_sub(before));
            self.heard.observe(since);
        }
    }

    /// It leads itself, and hears of nobody.
    pub(crate) fn leads(&self) {
        self.heard_at.store(0, Ordering::Relaxed);
    }

    /// It asks a member whether it would vote for it, as it does all others.
    pub(crate) fn asks(&self, member: u64) {
        // All are asked at once.
        if self
            .others
            .first()
            .is_some_and(|(first, _)| *first == member)
        {
            self.missed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// As the leader it lets another member lead.
    pub(crate) fn gave_way(&self) {
        self.given_way.fetch_add(1, Ordering::Relaxed);
    }

    /// How often it has led and let others lead, as it was not followed steadily.
    pub fn given_way(&self) -> u64 {
        self.given_way.load(Ordering::Relaxed)
    }

    /// Times between two signs of life of the leader.
    pub fn heartbeats(&self) -> Seen {
        self.heard.seen()
    }

    /// How often it has waited for one in vain, so that it wanted to be elected.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }

    /// What the other members were sent.
    pub fn sent(&self) -> impl Iterator<Item = SentTo> {
        self.others.iter().map(|(member, sent)| SentTo {
            member: *member,
            answered: sent.answered.seen(),
            entries: sent.entries.load(Ordering::Relaxed),
            bytes: sent.bytes.load(Ordering::Relaxed),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn signs_of_life_are_measured_from_one_to_the_next_of_one_leadership() {
        let stats = RaftStats::new(1, &[0, 1, 2]);
        let pass = async |millis| tokio::time::advance(Duration::from_millis(millis)).await;
        stats.heard();
        assert_eq!(stats.heartbeats().count, 0);
        pass(120).await;
        stats.heard();
        stats.leads();
        pass(60_000).await;
        stats.heard();
        pass(30).await;
        stats.heard();
        let seen = stats.heartbeats();
        assert_eq!((seen.count, seen.seconds), (2, 0.15));
    }

    #[test]
    fn each_other_member_is_counted_apart_and_an_election_once() {
        let stats = RaftStats::new(1, &[0, 1, 2]);
        stats.sends(2, 3, 300);
        stats.sends(2, 1, 50);
        stats.answered(2, Duration::from_millis(2));
        for stranger in [1, 7] {
            stats.sends(stranger, 1, 1);
            stats.answered(stranger, Duration::ZERO);
        }
        for member in [0, 2] {
            stats.asks(member);
        }
        let sent: Vec<_> = stats
            .sent()
            .map(|one| (one.member, one.entries, one.bytes, one.answered.count))
            .collect();
        assert_eq!(sent, [(0, 0, 0, 0), (2, 4, 350, 1)]);
        assert_eq!(stats.missed(), 1);
    }
}
