//! A data directory whose disk is really full: a small file system of its own. Commands are refused with RESOURCE_EXHAUSTED, taken
//! again when there is room, and nothing that was acknowledged is lost.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::hash::BuildHasher;
use std::time::{Duration, Instant};

use common::small_disk::{SmallDisk, with_small_disks};
use common::{Place, SKEP, repository, text_of};

const DISK_MEBIBYTES: u32 = 96;
/// Only a broker that never notices needs as long.
const PATIENCE: Duration = Duration::from_secs(120);
const FREE_SPACE_MIN: &str = "ZEEBE_BROKER_DATA_DISK_FREESPACE_PROCESSING";

/// A place whose data directory is a file system of its own.
fn place_on_small_disk(free_space_min: &str) -> (Place, SmallDisk) {
    let mut place = Place::new(2);
    std::fs::create_dir(place.data()).unwrap();
    let disk = SmallDisk::mount(&place.data(), DISK_MEBIBYTES);
    place.set("ZEEBE_BROKER_DATA_LOGSEGMENTSIZE", "8MB");
    place.set(FREE_SPACE_MIN, free_space_min);
    // What waits for the disk is to be told as unanswered by the broker, not to be given up by the client.
    place.set("ZEEBE_BROKER_GATEWAY_CLUSTER_REQUESTTIMEOUT", "10s");
    (place, disk)
}

fn deploy(place: &Place) {
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
}

/// A text that takes as much room as it is long, a new one each time.
fn incompressible(length: usize) -> String {
    let seed = std::hash::RandomState::new().hash_one(length);
    let letters = (0..length as u64).map(|at| {
        // SplitMix64, so that no letter follows from those before.
        let mut z = seed.wrapping_add(at.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        char::from(b'0' + (z % 64) as u8)
    });
    letters
        .map(|letter| if letter == '\\' { '~' } else { letter })
        .collect()
}

/// What became of the creation of an instance.
#[derive(Debug, PartialEq, Eq)]
enum Creation {
    Acknowledged,
    Refused(String),
    /// It was in the log's queue when the disk became full: it happens when there is room, or never.
    Unanswered,
}

fn start(place: &Place) -> Creation {
    let payload = incompressible(100_000);
    let variables = format!(r#"{{"payload": "{payload}"}}"#);
    let output = place.run(&["start", "order", "--variables", &variables]);
    let text = text_of(&output);
    match output.status.code() {
        Some(0) => Creation::Acknowledged,
        Some(6) if text.contains("ResourceExhausted") => Creation::Refused(text),
        Some(4)
            if ["DeadlineExceeded", "may or may not"]
                .iter()
                .any(|said| text.contains(said)) =>
        {
            Creation::Unanswered
        }
        code => panic!("{code:?}: {text}"),
    }
}

/// How many instances there may be, from what was acknowledged and what was not answered.
#[derive(Debug, Default, Clone, Copy)]
struct Instances {
    acknowledged: u64,
    unanswered: u64,
}

impl Instances {
    /// Starts instances until one is refused.
    fn start_until_refused(&mut self, place: &Place) {
        let began = Instant::now();
        loop {
            match start(place) {
                Creation::Acknowledged => self.acknowledged += 1,
                Creation::Unanswered => self.unanswered += 1,
                Creation::Refused(refusal) => {
                    println!("{self:?}, then {refusal}");
                    return;
                }
            }
            let late = began.elapsed() > PATIENCE;
            assert!(!late, "{self:?} found room on a full disk");
        }
    }

    /// There is room: starts one instance.
    fn start_until_taken(&mut self, place: &Place) {
        let began = Instant::now();
        loop {
            match start(place) {
                Creation::Acknowledged => break,
                Creation::Unanswered => self.unanswered += 1,
                Creation::Refused(refusal) => {
                    assert!(began.elapsed() < PATIENCE, "there is room, but: {refusal}");
                }
            }
        }
        self.acknowledged += 1;
    }

    /// Completes the jobs of all instances, and gives their number.
    fn complete(self, place: &Place, job_type: &str) -> u64 {
        let worked = place.skep(&["work", job_type, "--idle", "2s"]);
        let jobs = worked.trim().strip_prefix("Completed ");
        let jobs = jobs.and_then(|rest| rest.split(' ').next()).unwrap();
        let jobs = jobs.parse().unwrap();
        let most = self.acknowledged + self.unanswered;
        assert!(
            (self.acknowledged..=most).contains(&jobs),
            "{jobs} jobs of {self:?}"
        );
        jobs
    }
}

#[test]
fn below_the_limit_of_free_space_commands_are_refused_until_there_is_room() {
    with_small_disks(
        "below_the_limit_of_free_space_commands_are_refused_until_there_is_room",
        || {
            let (place, disk) = place_on_small_disk("16MB");
            let mut instances = Instances::default();
            let broker = place.start();
            deploy(&place);
            instances.start_until_taken(&place);
            let ballast = disk.fill();
            instances.start_until_refused(&place);
            let (code, text) = place.fails(&["backup", "take", "1"]);
            println!("{text}");
            assert_eq!(code, 4, "{text}");
            assert!(text.contains("out of disk space"), "{text}");
            drop(ballast);
            instances.start_until_taken(&place);
            instances.complete(&place, "payment");
            place.skep(&["backup", "take", "2", "--wait"]);
            assert_eq!(broker.stop(), Some(0));
        },
    );
}

#[test]
fn a_disk_without_a_byte_left_refuses_commands_and_loses_nothing() {
    with_small_disks(
        "a_disk_without_a_byte_left_refuses_commands_and_loses_nothing",
        || {
            let (place, disk) = place_on_small_disk("0");
            let mut instances = Instances::default();
            let broker = place.start();
            deploy(&place);
            instances.start_until_taken(&place);
            let ballast = disk.fill();
            // What the log has set aside is used up first.
            instances.start_until_refused(&place);
            drop(ballast);
            instances.start_until_taken(&place);
            let payments = instances.complete(&place, "payment");
            broker.kill();
            let broker = place.start();
            let shipments = instances.complete(&place, "shipping");
            assert_eq!(shipments, payments);
            assert_eq!(broker.stop(), Some(0));
        },
    );
}

#[test]
fn a_broker_killed_on_a_full_disk_goes_on_when_there_is_room() {
    with_small_disks(
        "a_broker_killed_on_a_full_disk_goes_on_when_there_is_room",
        || {
            let (place, disk) = place_on_small_disk("0");
            let mut instances = Instances::default();
            let broker = place.start();
            deploy(&place);
            let ballast = disk.fill();
            instances.start_until_refused(&place);
            broker.kill();
            drop(ballast);
            let broker = place.start();
            instances.start_until_taken(&place);
            instances.complete(&place, "payment");
            assert_eq!(broker.stop(), Some(0));
        },
    );
}

#[test]
fn a_broker_that_starts_on_a_full_disk_serves_when_there_is_room() {
    with_small_disks(
        "a_broker_that_starts_on_a_full_disk_serves_when_there_is_room",
        || {
            let (place, disk) = place_on_small_disk("16MB");
            let mut instances = Instances::default();
            let broker = place.start();
            deploy(&place);
            instances.start_until_taken(&place);
            let ballast = disk.fill();
            broker.kill();
            let broker = place.start();
            instances.start_until_refused(&place);
            drop(ballast);
            instances.start_until_taken(&place);
            instances.complete(&place, "payment");
            assert_eq!(broker.stop(), Some(0));
        },
    );
}

#[test]
fn a_log_that_cannot_be_written_does_no_harm() {
    with_small_disks("a_log_that_cannot_be_written_does_no_harm", || {
        let mut place = Place::new(2);
        place.set("RUST_LOG", "debug");
        let logs = tempfile::tempdir().unwrap();
        let disk = SmallDisk::mount(logs.path(), 1);
        let log = std::fs::File::create(logs.path().join("log")).unwrap();
        let mut broker = place.command(SKEP);
        broker
            .arg("broker")
            .stderr(log.try_clone().unwrap())
            .stdout(log);
        let mut broker = broker.spawn().unwrap();
        let began = Instant::now();
        while !place
            .try_get("/ready")
            .is_ok_and(|(status, _)| status < 300)
        {
            assert!(began.elapsed() < PATIENCE, "it does not get ready");
            std::thread::sleep(Duration::from_millis(10));
        }
        deploy(&place);
        let ballast = disk.fill();
        for _ in 0..20 {
            place.skep(&["start", "order"]);
        }
        drop(ballast);
        let worked = place.skep(&["work", "payment", "--idle", "1s"]);
        assert!(worked.contains("Completed 20 jobs"), "{worked}");
        broker.kill().unwrap();
        broker.wait().unwrap();
    });
}
