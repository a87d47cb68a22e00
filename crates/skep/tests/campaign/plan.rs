//! Which faults there are and when: all choices come from the seed.

use std::time::Duration;

/// SplitMix64 (Steele, Lea and Flood, 2014).
pub struct Random(pub u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Less than `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    /// True in so many of 100 cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub fn duration(&mut self, from_ms: u64, to_ms: u64) -> Duration {
        Duration::from_millis(from_ms + self.below(to_ms - from_ms))
    }
}

/// What happens to one broker, or to all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// `kill -9`.
    Kill,
    /// `kill -9` of all brokers at once: a loss of power.
    KillAll,
    /// Stopped in order.
    Stop,
    /// SIGSTOP, later SIGCONT.
    Pause,
    /// Paused and continued many times: a machine that is far too slow.
    Stutter,
    /// Its connections end, and there are no new ones.
    Cut,
    /// What it sends or what it is sent is lost, without an end of the connections.
    Silence,
    /// Nothing that it sends arrives; what is sent to it does.
    SilenceOneWay,
    /// What it sends arrives; nothing that is sent to it does.
    Deafness,
    SlowNetwork,
    SlowDisk,
    DiskFull,
    /// Nothing that it writes gets to its disk for sure; later it is started again.
    SyncFails,
    /// Its wall clock jumps, and later back.
    Clock,
}

/// Faults with their weights.
const WEIGHTS: [(Fault, u64); 14] = [
    (Fault::Kill, 20),
    (Fault::KillAll, 4),
    (Fault::Stop, 8),
    (Fault::Pause, 14),
    (Fault::Stutter, 6),
    (Fault::Cut, 10),
    (Fault::Silence, 8),
    (Fault::SilenceOneWay, 4),
    (Fault::Deafness, 4),
    (Fault::SlowNetwork, 8),
    (Fault::SlowDisk, 8),
    (Fault::DiskFull, 8),
    (Fault::SyncFails, 6),
    (Fault::Clock, 10),
];

impl Fault {
    pub fn draw(random: &mut Random) -> Fault {
        let mut point = random.below(WEIGHTS.iter().map(|(_, weight)| weight).sum());
        for (fault, weight) in WEIGHTS {
            if point < weight {
                return fault;
            }
            point -= weight;
        }
        unreachable!("the point is below the sum of all weights")
    }
}
