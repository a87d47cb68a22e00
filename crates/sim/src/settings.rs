//! What a run is like: drawn from its seed, so that the seed alone repeats it.

use crate::random::Random;

/// A bug put in on purpose. The simulator is trusted because it finds each of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Plant {
    /// Batches of former epochs are applied.
    FenceOff,
    /// Entries count as committed before they are synced.
    SyncOff,
    /// A backup's manifest is stored before its chunks.
    ManifestFirst,
    /// Acknowledgements between partitions carry no checkpoint id.
    UntaggedAcknowledgement,
    /// Answers leave when a batch is proposed.
    AnswerEarly,
    /// Keys are written that are not noted for the next backup.
    UnnotedWrites,
}

impl Plant {
    /// All of them.
    pub const ALL: [Plant; 6] = [
        Plant::FenceOff,
        Plant::SyncOff,
        Plant::ManifestFirst,
        Plant::UntaggedAcknowledgement,
        Plant::AnswerEarly,
        Plant::UnnotedWrites,
    ];

    /// As written on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Plant::FenceOff => "fence-off",
            Plant::SyncOff => "sync-off",
            Plant::ManifestFirst => "manifest-first",
            Plant::UntaggedAcknowledgement => "untagged-acknowledgement",
            Plant::AnswerEarly => "answer-early",
            Plant::UnnotedWrites => "unnoted-writes",
        }
    }
}

/// How often things go wrong, in a thousand; 0 for never.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// Envelopes that get lost.
    pub envelope_lost: u64,
    /// Envelopes that come twice.
    pub envelope_doubled: u64,
    /// Envelopes that take seconds rather than milliseconds.
    pub envelope_slow: u64,
    /// Proposals that consensus refuses.
    pub proposal_refused: u64,
    /// Proposals appended a second time.
    pub proposal_repeated: u64,
    /// Proposals of a former leader that are appended nevertheless, after those of its successor.
    pub proposal_late: u64,
    /// Steps of replication and delivery that take seconds.
    pub slow: u64,
    /// Uploads that meet a fault of the blob store.
    pub upload_fault: u64,
    /// Commands that a client sends to a replica that does not lead.
    pub misrouted: u64,
    /// Jobs that are not completed well.
    pub job_trouble: u64,
    /// Mean time between crashes, elections and jumps of clocks, in milliseconds; 0 for none.
    pub chaos_ms: i64,
}

impl Rates {
    /// All goes well.
    pub const CALM: Rates = Rates {
        envelope_lost: 0,
        envelope_doubled: 0,
        envelope_slow: 0,
        proposal_refused: 0,
        proposal_repeated: 0,
        proposal_late: 0,
        slow: 0,
        upload_fault: 0,
        misrouted: 0,
        job_trouble: 0,
        chaos_ms: 0,
    };

    fn drawn(random: &mut Random) -> Rates {
        // A run in which everything fails all the time gets nowhere; so each fault is on in a part of the runs only.
        let mut rate = |most: u64| {
            if random.chance(400) {
                0
            } else {
                random.below(most) + 1
            }
        };
        Rates {
            envelope_lost: rate(300),
            envelope_doubled: rate(300),
            envelope_slow: rate(100),
            proposal_refused: rate(5),
            proposal_repeated: rate(30),
            proposal_late: rate(900),
            slow: rate(20),
            upload_fault: rate(700),
            misrouted: rate(50),
            job_trouble: rate(300),
            chaos_ms: [8_000, 30_000, 120_000][random.below(3) as usize],
        }
    }
}

/// What a run is like.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The seed.
    pub seed: u64,
    /// Partitions of the cluster.
    pub partitions: u32,
    /// Replicas of each; node n has replica n of every partition.
    pub replicas: usize,
    /// What goes wrong.
    pub rates: Rates,
    /// How long things go wrong, in milliseconds.
    pub faulty_ms: i64,
    /// Mean time between new process instances, in milliseconds.
    pub arrival_ms: i64,
    /// Mean time between backups, in milliseconds.
    pub backup_ms: i64,
    /// Bytes of padding in variables, so that contents take several chunks.
    pub padding: usize,
    /// The bug put in on purpose.
    pub plant: Option<Plant>,
}

impl Settings {
    /// The run of a seed.
    pub fn of_seed(seed: u64, plant: Option<Plant>) -> Settings {
        let random = &mut Random::new(seed);
        let partitions = *random.pick(&[1, 2, 3, 3]);
        let replicas = *random.pick(&[1, 2, 3, 3, 3]);
        let rates = Rates::drawn(random);
        let arrival_ms = *random.pick(&[150, 500, 1_000, 2_000, 4_000]);
        // Busy runs are shorter, so that all take about as long to simulate.
        let faulty_ms = (arrival_ms * random.between(300, 900)).min(40 * 60_000);
        Settings {
            seed,
            partitions,
            replicas,
            rates,
            faulty_ms,
            arrival_ms,
            backup_ms: faulty_ms / random.between(2, 12),
            padding: if random.chance(100) { 30_000 } else { 0 },
            plant,
        }
    }
}
