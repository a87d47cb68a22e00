//! The exporter of a real broker: killed, broken, paused, restored.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use common::small_disk::{SmallDisk, with_small_disks};
use common::{PATIENCE, Place, SKEP, repository};
use serde_json::Value;

fn exports(place: &Place) -> PathBuf {
    place.directory.path().join("exports")
}

/// Has everything exported into a directory of the place.
fn with_exporter(mut place: Place) -> Place {
    let directory = exports(&place);
    place.set("ZEEBE_BROKER_EXPORTERS_FILE_CLASSNAME", "JsonLinesExporter");
    place.set(
        "ZEEBE_BROKER_EXPORTERS_FILE_ARGS_DIRECTORY",
        directory.to_str().unwrap(),
    );
    place.set("ZEEBE_BROKER_EXPORTERS_FILE_ARGS_FLUSHINTERVAL", "100ms");
    place.set("ZEEBE_BROKER_EXPORTERS_FILE_ARGS_MAXFILESIZE", "256KB");
    place
}

fn deploy(place: &Place) {
    let model = repository().join("examples/order.bpmn");
    place.skep(&["deploy", model.to_str().unwrap()]);
}

/// The lines of each series of a partition's files, in order.
fn series(place: &Place, partition: u32) -> Vec<Vec<Value>> {
    let directory = exports(place).join(format!("partition-{partition}"));
    let mut files: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    let mut series: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for file in files {
        let name = file.file_name().unwrap().to_str().unwrap().to_owned();
        let lines = series
            .entry(name.split('-').next().unwrap().to_owned())
            .or_default();
        lines.extend(lines_of(&file));
    }
    series.into_values().collect()
}

fn lines_of(file: &Path) -> Vec<Value> {
    let text = fs::read_to_string(file).unwrap();
    assert!(
        text.is_empty() || text.ends_with('\n'),
        "{} has a torn line",
        file.display()
    );
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

/// Asserts that positions have no gap, and gives the first and the last.
fn contiguous(records: &[Value], partition: u32) -> (i64, i64) {
    let positions: Vec<i64> = records
        .iter()
        .map(|record| {
            assert_eq!(record["partitionId"], partition);
            record["position"].as_i64().unwrap()
        })
        .collect();
    let first = positions[0];
    for (at, position) in positions.iter().enumerate() {
        assert_eq!(*position, first + at as i64, "partition {partition}");
    }
    (first, first + positions.len() as i64 - 1)
}

/// Text that cannot be compressed much.
fn noise(length: usize) -> String {
    let mut state = 0x9e37_79b9_u32;
    let letters = (0..length).map(|_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        char::from(b'#' + (state >> 16) as u8 % 57)
    });
    letters.collect()
}

fn count(records: &[Value], value_type: &str, intent: &str) -> usize {
    let matching = records
        .iter()
        .filter(|record| record["valueType"] == value_type && record["intent"] == intent);
    matching.count()
}

/// Status and body of a request to the management API.
fn http(place: &Place, method: &str, path: &str) -> (u16, String) {
    let address = place
        .variable("SKEP_MANAGEMENT")
        .trim_start_matches("http://")
        .to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    let status = response.split(' ').nth(1).unwrap().parse().unwrap();
    let body = response.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

fn partition(place: &Place, partition: u32) -> Value {
    let (status, body) = http(place, "GET", "/actuator/partitions");
    assert_eq!(status, 200);
    let all: Value = serde_json::from_str(&body).unwrap();
    all[partition.to_string()].clone()
}

/// Waits until something holds of a partition's report.
fn until(place: &Place, number: u32, holds: impl Fn(&Value) -> bool) -> Value {
    let end = Instant::now() + PATIENCE;
    loop {
        let report = partition(place, number);
        if holds(&report) {
            return report;
        }
        assert!(Instant::now() < end, "{report}");
        // The management API refuses who asks without a pause.
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn is_exported(report: &Value) -> bool {
    report["exportedPosition"] == report["processedPosition"]
}

/// What the files in a directory have, which may not be there yet.
fn bytes(directory: &Path) -> u64 {
    let files = fs::read_dir(directory).into_iter().flatten();
    files
        .map(|entry| entry.unwrap().metadata().map_or(0, |found| found.len()))
        .sum()
}

#[test]
fn every_record_is_there_once_and_in_order_however_often_the_broker_is_killed() {
    const KILLS: usize = 6;
    const INSTANCES: usize = 60;
    let place = with_exporter(Place::without_store(2));
    let mut broker = place.start();
    deploy(&place);
    for _ in 0..KILLS {
        place.skep(&["start", "order", "--count", &INSTANCES.to_string()]);
        let before = bytes(&exports(&place).join("partition-1"));
        let mut more = place.command(SKEP);
        more.args(["start", "order", "--count", "100000"]);
        let mut more = more
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Killed while it writes, each time at another place.
        let end = Instant::now() + PATIENCE;
        while bytes(&exports(&place).join("partition-1")) < before + 40_000 {
            assert!(Instant::now() < end, "nothing is exported");
            std::thread::sleep(Duration::from_millis(2));
        }
        broker.kill();
        more.kill().unwrap();
        more.wait().unwrap();
        broker = place.start();
    }
    let mut processed = Vec::new();
    for number in [1, 2] {
        let report = until(&place, number, is_exported);
        processed.push(report["processedPosition"].as_i64().unwrap());
        assert_eq!(report["exporterPhase"], "EXPORTING");
        assert_eq!(report["exporterFailure"], Value::Null);
    }
    assert_eq!(broker.stop(), Some(0));
    let mut created = 0;
    for (number, processed) in [1, 2].into_iter().zip(processed) {
        let series = series(&place, number);
        assert_eq!(series.len(), 1, "one life of the data, one series");
        let (first, last) = contiguous(&series[0], number);
        assert_eq!(first, 1);
        assert!(last >= processed);
        created += count(&series[0], "PROCESS_INSTANCE_CREATION", "CREATED");
    }
    assert!(created >= KILLS * INSTANCES, "{created} instances");
}

#[test]
fn a_broken_exporter_is_told_and_loses_nothing_while_the_log_goes_on() {
    let place = with_exporter(Place::without_store(1));
    fs::create_dir(exports(&place)).unwrap();
    let obstacle = exports(&place).join("partition-1");
    fs::write(&obstacle, "in the way").unwrap();
    let broker = place.start();
    deploy(&place);
    // More than the log keeps without a reason: it is compacted after 64 MB that are not needed.
    let text = noise(100_000);
    let variables = serde_json::json!({ "text": text }).to_string();
    for _ in 0..15 {
        place.skep(&["start", "order", "--count", "20", "--variables", &variables]);
    }
    let report = until(&place, 1, |report| report["exporterFailure"] != Value::Null);
    assert!(
        report["exporterFailure"]
            .as_str()
            .unwrap()
            .starts_with("file: create "),
        "{report}"
    );
    let metrics = http(&place, "GET", "/metrics").1;
    assert!(
        metrics.contains("skep_exporter_failing{exporter=\"file\",partition=\"1\"} 1"),
        "{metrics}"
    );
    broker.kill();
    let broker = place.start();
    place.skep(&["start", "order", "--count", "20"]);
    fs::remove_file(&obstacle).unwrap();
    let report = until(&place, 1, is_exported);
    assert_eq!(report["exporterFailure"], Value::Null);
    assert_eq!(broker.stop(), Some(0));
    let series = series(&place, 1);
    assert_eq!(contiguous(&series[0], 1).0, 1);
    assert_eq!(
        count(&series[0], "PROCESS_INSTANCE_CREATION", "CREATED"),
        320
    );
    assert_eq!(count(&series[0], "DEPLOYMENT", "CREATED"), 1);
}

#[test]
fn an_exporter_without_space_is_told_and_goes_on_when_there_is_some() {
    with_small_disks(
        "an_exporter_without_space_is_told_and_goes_on_when_there_is_some",
        || {
            let place = with_exporter(Place::without_store(1));
            fs::create_dir(exports(&place)).unwrap();
            let disk = SmallDisk::mount(&exports(&place), 64);
            let broker = place.start();
            deploy(&place);
            let ballast = disk.fill();
            place.skep(&["start", "order", "--count", "500"]);
            let report = until(&place, 1, |report| report["exporterFailure"] != Value::Null);
            let failure = report["exporterFailure"].as_str().unwrap();
            assert!(failure.contains("No space left on device"), "{failure}");
            place.skep(&["start", "order", "--count", "50"]);
            drop(ballast);
            until(&place, 1, is_exported);
            assert_eq!(broker.stop(), Some(0));
            let series = series(&place, 1);
            assert_eq!(contiguous(&series[0], 1).0, 1);
            assert_eq!(
                count(&series[0], "PROCESS_INSTANCE_CREATION", "CREATED"),
                550
            );
        },
    );
}

fn assert_shown(place: &Place, line: &str) {
    let metrics = http(place, "GET", "/metrics").1;
    assert!(metrics.contains(line), "{line}\n{metrics}");
}

#[test]
fn a_pause_holds_over_a_restart_and_loses_nothing() {
    let place = with_exporter(Place::without_store(1));
    let broker = place.start();
    deploy(&place);
    until(&place, 1, is_exported);
    assert_eq!(http(&place, "POST", "/actuator/exporting/pause").0, 204);
    place.skep(&["start", "order", "--count", "10"]);
    broker.kill();
    let broker = place.start();
    let report = until(&place, 1, |report| {
        report["processedPosition"].as_i64() > Some(10)
    });
    assert_eq!(report["exporterPhase"], "PAUSED");
    assert!(!is_exported(&report));
    assert_shown(&place, "zeebe_exporter_state{partition=\"1\"} 1\n");
    assert_eq!(http(&place, "POST", "/actuator/exporting/resume").0, 204);
    let report = until(&place, 1, is_exported);
    assert_eq!(report["exporterPhase"], "EXPORTING");
    assert_shown(&place, "zeebe_exporter_state{partition=\"1\"} 0\n");
    // Commands and events.
    let of = "exporter=\"file\",partition=\"1\"";
    let creations = "valueType=\"PROCESS_INSTANCE_CREATION\"}";
    assert_shown(
        &place,
        &format!("zeebe_exporter_events_total{{{of},action=\"exported\",{creations} 20\n"),
    );
    assert_shown(
        &place,
        &format!("zeebe_exporting_latency_seconds_count{{{of},{creations} 20\n"),
    );
    assert_eq!(broker.stop(), Some(0));
    let series = series(&place, 1);
    assert_eq!(contiguous(&series[0], 1).0, 1);
    assert_eq!(
        count(&series[0], "PROCESS_INSTANCE_CREATION", "CREATED"),
        10
    );
}

#[test]
fn after_a_restore_a_new_series_begins_behind_the_checkpoint() {
    let place = with_exporter(Place::new(1));
    let broker = place.start();
    deploy(&place);
    place.skep(&["start", "order", "--count", "10"]);
    place.skep(&["backup", "take", "7"]);
    place.skep(&["backup", "wait", "7"]);
    place.skep(&["start", "order", "--count", "5"]);
    until(&place, 1, is_exported);
    broker.kill();
    place.lose_data();
    place.skep(&["restore", "--backupId=7"]);
    let broker = place.start();
    place.skep(&["start", "order", "--count", "3"]);
    until(&place, 1, is_exported);
    assert_eq!(broker.stop(), Some(0));
    let series = series(&place, 1);
    assert_eq!(series.len(), 2);
    assert_eq!(contiguous(&series[0], 1).0, 1);
    assert_eq!(
        count(&series[0], "PROCESS_INSTANCE_CREATION", "CREATED"),
        15
    );
    let checkpoint = series[0]
        .iter()
        .find(|record| record["valueType"] == "CHECKPOINT" && record["intent"] == "CREATED");
    let checkpoint = checkpoint.unwrap()["position"].as_i64().unwrap();
    assert_eq!(contiguous(&series[1], 1).0, checkpoint + 1);
    assert_eq!(count(&series[1], "PROCESS_INSTANCE_CREATION", "CREATED"), 3);
}

#[test]
fn a_wrong_exporter_is_refused_at_start_with_what_is_possible() {
    let start = |name: &str, value: &str| {
        let mut place = with_exporter(Place::without_store(1));
        place.set(&format!("ZEEBE_BROKER_EXPORTERS_FILE_{name}"), value);
        place.fails(&["broker"])
    };
    let (code, text) = start(
        "CLASSNAME",
        "io.camunda.zeebe.exporter.ElasticsearchExporter",
    );
    assert_eq!(code, 2);
    assert!(text.contains("must be JsonLinesExporter"), "{text}");
    let (code, text) = start("ARGS_VALUETYPES", "JOB,WORK");
    assert_eq!(code, 3);
    assert!(
        text.contains("'WORK' is no value type; there are JOB, "),
        "{text}"
    );
    let (code, text) = start("ARGS_DIRECTORY", "/proc/nowhere");
    assert_eq!(code, 3);
    assert!(text.contains("/proc/nowhere cannot be created"), "{text}");
    let place = with_exporter(Place::without_store(1));
    let broker = place.start();
    let mut other = with_exporter(Place::without_store(1));
    let taken = exports(&place);
    other.set(
        "ZEEBE_BROKER_EXPORTERS_FILE_ARGS_DIRECTORY",
        taken.to_str().unwrap(),
    );
    let (code, text) = other.fails(&["broker"]);
    assert_eq!(code, 3);
    assert!(text.contains("another broker writes there"), "{text}");
    assert_eq!(broker.stop(), Some(0));
}
