//! Backup and restore with a real S3 server, versitygw, which `./test` installs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use common::{Place, free_port, repository};

const ACCESS: &str = "the-access-key";
const SECRET: &str = "the-secret-key";

/// versitygw over a directory whose subdirectories are the buckets.
struct S3 {
    child: Child,
    port: u16,
}

impl S3 {
    fn start(root: &Path) -> S3 {
        let port = free_port();
        std::fs::create_dir_all(root.join("backups")).unwrap();
        S3::start_on(root, port)
    }

    fn start_on(root: &Path, port: u16) -> S3 {
        let child = Command::new(repository().join(".tools/bin/versitygw"))
            .args(["--access", ACCESS, "--secret", SECRET, "--quiet"])
            .args(["--port", &format!("127.0.0.1:{port}"), "posix"])
            .arg(root)
            .stdout(Stdio::null())
            .spawn()
            .expect("./test installs versitygw");
        let started = Instant::now();
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "versitygw does not listen"
            );
            std::thread::yield_now();
        }
        S3 { child, port }
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

fn place_for(s3: &S3, partitions: u32) -> Place {
    let mut place = Place::without_store(partitions);
    place.set("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "backups");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BASEPATH", "clusters/one");
    place.set(
        "ZEEBE_BROKER_DATA_BACKUP_S3_ENDPOINT",
        &format!("http://127.0.0.1:{}", s3.port),
    );
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_REGION", "us-east-1");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_APICALLTIMEOUT", "5s");
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", ACCESS);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", SECRET);
    place
}

fn deploy_and_start(place: &Place, count: u32) {
    place.skep(&[
        "deploy",
        repository().join("examples/order.bpmn").to_str().unwrap(),
    ]);
    place.skep(&["start", "order", "--count", &count.to_string()]);
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_backup_in_s3_is_taken_verified_restored_and_deleted() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let place = place_for(&s3, 3);
    let broker = place.start();
    deploy_and_start(&place, 30);
    place.skep(&["backup", "take", "1", "--wait"]);
    place.skep(&["backup", "take", "2", "--wait"]);
    broker.kill();
    place.lose_data();
    assert!(place.skep(&["backup", "verify", "1"]).contains("sound"));
    place.skep(&["restore", "--backupId=1"]);
    let broker = place.start();
    assert!(
        place
            .skep(&["work", "payment", "--idle", "2s"])
            .contains("Completed 30 jobs")
    );
    place.skep(&["backup", "delete", "1"]);
    let list = place.skep(&["backup", "list"]);
    assert!(list.contains("\n2 ") && !list.contains("\n1 "), "{list}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn wrong_keys_are_found_at_start_and_by_restore_and_never_printed() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let mut place = place_for(&s3, 1);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", "another-secret");
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    assert!(!text.contains("another-secret"), "{text}");
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 30, "{text}");
    assert!(!text.contains("another-secret"), "{text}");
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_bucket_that_is_not_there_is_found_at_start_and_by_restore() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let mut place = place_for(&s3, 1);
    place.set("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "nowhere");
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("nowhere"), "{text}");
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    assert_eq!(code, 32, "{text}");
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_server_that_goes_away_disturbs_nobody_and_the_next_backup_succeeds_when_it_is_back() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let port = s3.port;
    let mut place = place_for(&s3, 1);
    place.set("ZEEBE_BROKER_DATA_BACKUP_UPLOADTIMEOUT", "3s");
    let broker = place.start();
    deploy_and_start(&place, 5);
    drop(s3);
    place.skep(&["backup", "take", "1"]);
    let (code, text) = place.fails(&["backup", "wait", "1", "--timeout", "1m"]);
    assert_eq!(code, 7, "{text}");
    assert!(
        place
            .skep(&["work", "payment", "--idle", "2s"])
            .contains("Completed 5 jobs")
    );
    let _s3 = S3::start_on(root.path(), port);
    place.skep(&["backup", "take", "2", "--wait"]);
    assert_eq!(broker.stop(), Some(0));
}
