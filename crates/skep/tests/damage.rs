//! A flipped bit on the broker's own disk: its partition stops and says where and what to do, the others go on.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use common::restorable::files_below;
use common::{PATIENCE, PAUSE, Place, Running, repository};

/// The partition whose disk fails; the other one is 1.
const DAMAGED: u32 = 2;
/// Of a variable, so that the content has many blocks.
const PAYLOAD_BYTES: usize = 4_000;

/// A place of two partitions with instances on both.
fn with_instances(count: u32) -> (Place, Running) {
    let place = Place::new(2);
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    let payload = format!(r#"{{"payload": "{}"}}"#, letters(PAYLOAD_BYTES));
    let count = count.to_string();
    place.skep(&["start", "order", "--count", &count, "--variables", &payload]);
    (place, broker)
}

/// Letters that do not compress.
fn letters(count: usize) -> String {
    let mut state = 1_u32;
    let mut letter = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + (state >> 24) as u8 % 26)
    };
    (0..count).map(|_| letter()).collect()
}

fn flip(file: &Path, at: u64) {
    let mut bytes = fs::read(file).unwrap();
    bytes[at as usize] ^= 0x10;
    fs::write(file, bytes).unwrap();
}

/// Where the block begins that this byte of a table file is in (docs/formats/store.md).
fn block_at(file: &Path, at: u64) -> u64 {
    let bytes = fs::read(file).unwrap();
    let begins = |from: &usize| bytes[*from..].starts_with(b"LSM\x03");
    (0..=at as usize).rfind(begins).unwrap() as u64
}

/// What the broker says of its partitions once it says that these have stopped, which it logs before.
#[track_caller]
fn await_failures(place: &Place, stopped: &[u32]) -> serde_json::Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let (status, partitions) = place.get("/actuator/partitions");
        assert_eq!(status, 200);
        let partitions: serde_json::Value = serde_json::from_str(&partitions).unwrap();
        let has_failed = |one: &u32| partitions[one.to_string()]["failure"].is_string();
        if stopped.iter().all(has_failed) {
            return partitions;
        }
        assert!(Instant::now() < end, "{partitions}");
        std::thread::sleep(PAUSE);
    }
}

/// The partition has stopped with a message that names the file, the offset and what to do; the other one serves.
fn assert_stopped(place: &Place, broker: &mut Running, file: &Path, offset: u64) {
    let said = broker.line("restore a backup");
    let place_named = format!("{} at offset {offset}", file.display());
    for part in [&place_named, "Other partitions go on"] {
        assert!(said.contains(part), "{part}: {said}");
    }
    let partitions = await_failures(place, &[DAMAGED]);
    let failure = |partition: u32| partitions[partition.to_string()]["failure"].clone();
    assert!(failure(1).is_null(), "{partitions}");
    assert!(
        failure(DAMAGED).as_str().unwrap().contains(&place_named),
        "{partitions}"
    );
    let (status, _) = place.get("/actuator/health/readiness");
    assert_eq!(status, 503, "not all partitions lead");
    let (status, _) = place.get("/actuator/health/liveness");
    assert_eq!(status, 200, "a restart would change nothing");

    place.skep(&["work", "payment", "--idle", "1s"]);
    place.skep(&["start", "order", "--count", "5"]);
    let worked = place.skep(&["work", "payment", "--idle", "1s"]);
    assert!(worked.contains("Completed 5 jobs"), "{worked}");
}

fn store_files(place: &Place) -> Vec<PathBuf> {
    let directory = place
        .data()
        .join(format!("partitions/{DAMAGED}/tree/tables"));
    files_below(&directory)
}

#[test]
fn a_store_file_that_is_damaged_where_it_is_first_read_stops_its_partition_at_start() {
    let (place, broker) = with_instances(2);
    assert_eq!(broker.stop(), Some(0));
    let files = store_files(&place);
    // What was written last has the place in the log, in its last block of data; with so little in it, that is the first.
    let file = files.last().unwrap();
    flip(file, 100);
    let mut broker = place.start();
    assert_stopped(&place, &mut broker, file, 0);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_store_file_that_is_damaged_elsewhere_stops_its_partition_when_it_is_read() {
    let (place, broker) = with_instances(40);
    assert_eq!(broker.stop(), Some(0));
    let files = store_files(&place);
    let file = files
        .iter()
        .max_by_key(|file| fs::metadata(file).unwrap().len());
    let file = file.unwrap();
    // In the middle are variables. What comes first is read at start.
    let at = fs::metadata(file).unwrap().len() / 2;
    let block = block_at(file, at);
    flip(file, at);
    let mut broker = place.start();
    let (status, _) = place.get("/actuator/health/readiness");
    assert_eq!(status, 200, "nobody has read it");
    // The jobs of that partition are not to be had; those of the other one are.
    place.run(&["work", "payment", "--idle", "1s"]);
    assert_stopped(&place, &mut broker, file, block);
    assert_eq!(broker.stop(), Some(0));
}

/// Where an entry of the partition lies in the log: file, offset of its frame, and of the middle of its payload.
struct Frame {
    file: PathBuf,
    offset: u64,
    middle: u64,
}

/// The entries of the partition in the log, oldest first (docs/formats/log.md).
fn frames(place: &Place) -> Vec<Frame> {
    const DATA_START: usize = 1024;
    const ALIGN: usize = 512;
    const BATCH_HEADER: usize = 32;
    const FRAME_HEADER: usize = 36;
    const ENTRY: u8 = 1;
    let mut frames = Vec::new();
    for file in files_below(&place.data().join("log")) {
        let bytes = fs::read(&file).unwrap();
        let number = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
        let mut batch = DATA_START;
        while bytes.get(batch..batch + 4) == Some(b"SKB1") {
            let mut at = batch + BATCH_HEADER;
            for _ in 0..number(batch + 4) {
                let payload = number(at + 24) as usize;
                if bytes[at] == ENTRY && number(at + 4) == DAMAGED {
                    frames.push(Frame {
                        file: file.clone(),
                        offset: at as u64,
                        middle: (at + FRAME_HEADER + payload / 2) as u64,
                    });
                }
                at += FRAME_HEADER + payload;
            }
            batch = at.next_multiple_of(ALIGN);
        }
    }
    frames
}

#[test]
fn a_damaged_log_entry_stops_its_partition_at_start() {
    let (place, broker) = with_instances(10);
    broker.kill();
    let mut frames = frames(&place);
    // Not the last, which could not be told from what was being written when the broker was killed.
    let frame = frames.remove(frames.len() - 3);
    flip(&frame.file, frame.middle);
    let mut broker = place.start();
    assert_stopped(&place, &mut broker, &frame.file, frame.offset);
    assert_eq!(broker.stop(), Some(0));
}

/// Neither with its content nor without: what it had acknowledged would be gone without a word.
#[test]
fn a_broker_alone_does_not_begin_again_without_its_log() {
    for with_content in [true, false] {
        let (place, broker) = with_instances(2);
        broker.kill();
        fs::remove_dir_all(place.data().join("log")).unwrap();
        if !with_content {
            for partition in 1..=2 {
                fs::remove_dir_all(place.data().join(format!("partitions/{partition}"))).unwrap();
            }
        }
        let mut broker = place.start();
        broker.line("the log is gone");
        let partitions = await_failures(&place, &[1, 2]);
        for partition in ["1", "2"] {
            let failure = partitions[partition]["failure"].as_str().unwrap();
            assert!(failure.contains("restore the data directory"), "{failure}");
        }
        assert_eq!(place.get("/actuator/health/readiness").0, 503);
        assert_eq!(broker.stop(), Some(0));
    }
}
