//! What a run is like: drawn from its seed, so that the seed alone repeats it.

use std::time::Duration;

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
    /// Members vote before their vote is durable. Of the real consensus only, as those that follow.
    VoteUnsynced,
    /// Members acknowledge entries before they are durable.
    AppendUnsynced,
    /// A leader that hears from nobody goes on.
    LeaseIgnored,
    /// Content that was given to a replica's store may be gone after a crash.
    InstallUnsynced,
    /// Members that have lost their votes vote at once.
    NewcomerVotes,
    /// A sync that has failed is tried again, and taken as good when it succeeds then.
    SyncAgain,
    /// What a sync has failed to write is taken as durable after a restart, because it can be read.
    CacheTrusted,
}

impl Plant {
    /// All of them.
    pub const ALL: [Plant; 13] = [
        Plant::FenceOff,
        Plant::SyncOff,
        Plant::ManifestFirst,
        Plant::UntaggedAcknowledgement,
        Plant::AnswerEarly,
        Plant::UnnotedWrites,
        Plant::VoteUnsynced,
        Plant::AppendUnsynced,
        Plant::LeaseIgnored,
        Plant::InstallUnsynced,
        Plant::NewcomerVotes,
        Plant::SyncAgain,
        Plant::CacheTrusted,
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
            Plant::VoteUnsynced => "vote-unsynced",
            Plant::AppendUnsynced => "append-unsynced",
            Plant::LeaseIgnored => "lease-ignored",
            Plant::InstallUnsynced => "install-unsynced",
            Plant::NewcomerVotes => "newcomer-votes",
            Plant::SyncAgain => "sync-again",
            Plant::CacheTrusted => "cache-trusted",
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
    /// Crashes in which a node loses data.
    pub data_lost: u64,
    /// Times that a replica has run after which it writes back at once.
    pub early_write_back: u64,
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
        data_lost: 0,
        early_write_back: 0,
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
            data_lost: 0,
            early_write_back: 0,
            chaos_ms: [8_000, 30_000, 120_000][random.below(3) as usize],
        }
    }
}

/// How often things go wrong between members of the real consensus, in a thousand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ClusterRates {
    /// Requests that get lost.
    pub request_lost: u64,
    /// Answers that get lost.
    pub answer_lost: u64,
    /// Requests and answers that take hundreds of milliseconds.
    pub slow_message: u64,
    /// Syncs that take hundreds of milliseconds.
    pub slow_sync: u64,
    /// Members that crash when they have just voted.
    pub crash_after_vote: u64,
    /// Contents that are so large that each piece takes a second.
    pub large_content: u64,
    /// Members that crash when their store is given content.
    pub crash_at_install: u64,
}

impl ClusterRates {
    /// All goes well.
    pub const CALM: ClusterRates = ClusterRates {
        request_lost: 0,
        answer_lost: 0,
        slow_message: 0,
        slow_sync: 0,
        crash_after_vote: 0,
        large_content: 0,
        crash_at_install: 0,
    };
}

/// What the real consensus of a run is like.
#[derive(Debug, Clone, Copy)]
pub struct ClusterSettings {
    /// What goes wrong between members.
    pub rates: ClusterRates,
    /// Between two signs of life of a leader.
    pub heartbeat: Duration,
    /// Silence after which the preferred member stands for election.
    pub election_timeout: Duration,
    /// Unneeded entries after which a log is compacted.
    pub compact_entries: u64,
    /// Entries that are kept for members that lack them: who lacks more is given content.
    pub kept_entries: u64,
    /// Size of a segment of a node's log.
    pub segment_bytes: u64,
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
    /// Backups restored at the end, into new clusters.
    pub restored_max: usize,
    /// How long things go wrong in a restored cluster, in milliseconds.
    pub restored_faulty_ms: i64,
    /// The real consensus; without it, it is simulated.
    pub cluster: Option<ClusterSettings>,
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
            restored_max: 2,
            restored_faulty_ms: 90_000,
            cluster: None,
        }
    }

    /// The run of a seed with the real consensus.
    pub fn cluster_of_seed(seed: u64, plant: Option<Plant>) -> Settings {
        let random = &mut Random::new(!seed);
        let arrival_ms = *random.pick(&[100, 300, 1_000, 2_000]);
        let faulty_ms = random.between(10_000, 50_000);
        let rates = Rates {
            chaos_ms: *random.pick(&[700, 2_000, 6_000]),
            early_write_back: *random.pick(&[0, 20, 100]),
            data_lost: *random.pick(&[0, 200, 600]),
            ..Rates::drawn(random)
        };
        let mut rate = |most: u64| match random.chance(500) {
            true => 0,
            false => random.below(most) + 1,
        };
        let between = ClusterRates {
            request_lost: rate(100),
            answer_lost: rate(100),
            slow_message: rate(100),
            slow_sync: rate(100),
            crash_after_vote: rate(300),
            large_content: 0,
            crash_at_install: 0,
        };
        let padding = if random.chance(50) { 30_000 } else { 0 };
        let quick = random.chance(300);
        Settings {
            seed,
            partitions: *random.pick(&[1, 2, 3, 3]),
            replicas: *random.pick(&[3, 3, 3, 5]),
            rates,
            faulty_ms,
            arrival_ms,
            backup_ms: faulty_ms / random.between(2, 8),
            padding,
            plant,
            restored_max: usize::from(random.chance(200)),
            restored_faulty_ms: 20_000,
            cluster: Some(ClusterSettings {
                heartbeat: Duration::from_millis(if quick { 50 } else { 150 }),
                election_timeout: Duration::from_millis(if quick { 400 } else { 1_000 }),
                compact_entries: *random.pick(&[10, 10, 100]),
                segment_bytes: if padding > 0 { 4 << 20 } else { 256 << 10 },
                kept_entries: *random.pick(&[5, 5, 50, u64::MAX]),
                rates: ClusterRates {
                    large_content: *random.pick(&[0, 300]),
                    crash_at_install: *random.pick(&[0, 200]),
                    ..between
                },
            }),
        }
    }
}
