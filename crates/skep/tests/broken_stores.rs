//! Broken backup stores through the whole broker: whatever the store does, commands are answered, and the backup fails with a
//! reason or goes on. docs/failures.md has the table.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::Path;
use std::time::Duration;

use common::Place;
use common::fault_proxy::{FaultProxy, Mode};
use common::s3::{BUCKET, S3, SECRET, place_for};
use common::small_disk::{SmallDisk, with_small_disks};
use common::{PAUSE, Running, repository, text_of};

/// A broker whose store is behind a proxy, with some instances that wait.
struct Scene {
    // In the order in which they end.
    broker: Running,
    place: Place,
    proxy: FaultProxy,
    s3: Option<S3>,
    root: tempfile::TempDir,
    waiting: u32,
}

impl Scene {
    fn new(variables: &[(&str, &str)]) -> Scene {
        Scene::of(1, variables)
    }

    fn of(partitions: u32, variables: &[(&str, &str)]) -> Scene {
        let root = tempfile::tempdir().unwrap();
        let s3 = S3::start(root.path());
        let proxy = FaultProxy::start(s3.port);
        let mut place = place_for(&proxy.endpoint(), partitions);
        for (name, value) in variables {
            place.set(name, value);
        }
        let broker = place.start();
        let order = repository().join("examples/order.bpmn");
        place.skep(&["deploy", order.to_str().unwrap()]);
        let mut scene = Scene {
            broker,
            place,
            proxy,
            s3: Some(s3),
            root,
            waiting: 0,
        };
        scene.start_instances();
        scene
    }

    fn start_instances(&mut self) {
        self.place.skep(&["start", "order", "--count", "10"]);
        self.waiting += 10;
    }

    /// Commands are answered: instances start and jobs are completed.
    fn assert_undisturbed(&mut self) {
        self.start_instances();
        let worked = self.place.skep(&["work", "payment", "--idle", "1s"]);
        let expected = format!("Completed {} jobs", self.waiting);
        assert!(worked.contains(&expected), "{worked}");
        self.waiting = 0;
    }

    /// What the broker says of a backup.
    fn shown(&self, id: &str) -> serde_json::Value {
        let shown = self.place.skep(&["backup", "show", id, "--json"]);
        serde_json::from_str(&shown).unwrap()
    }

    fn take(&self, id: &str) {
        self.place.skep(&["backup", "take", id]);
    }

    /// The backup fails, and says why.
    fn assert_fails(&self, id: &str, reason: &str) {
        let (code, text) = self.place.fails(&["backup", "wait", id, "--timeout", "3m"]);
        println!("{text}");
        assert_eq!(code, 7, "{text}");
        assert!(text.contains(reason), "{text}");
        let shown = self.shown(id);
        assert_eq!(shown["state"], "FAILED", "{shown}");
        assert!(
            shown["failureReason"].as_str().unwrap().contains(reason),
            "{shown}"
        );
    }

    fn assert_completes(&self, id: &str) {
        self.place.skep(&["backup", "wait", id, "--timeout", "3m"]);
        self.place.skep(&["backup", "verify", id]);
    }

    /// The store works again, and so do backups.
    fn mend(&self) {
        self.proxy.set(Mode::Pass);
        self.take("100");
        self.assert_completes("100");
    }
}

const CALL_TIMEOUT: &str = "ZEEBE_BROKER_DATA_BACKUP_S3_APICALLTIMEOUT";
const UPLOAD_TIMEOUT: &str = "ZEEBE_BROKER_DATA_BACKUP_UPLOADTIMEOUT";

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_hung_upload_ends_by_its_deadline_and_disturbs_nobody() {
    let mut scene = Scene::new(&[(CALL_TIMEOUT, "20s"), (UPLOAD_TIMEOUT, "4s")]);
    scene.proxy.set(Mode::Hang);
    scene.take("1");
    scene.proxy.await_hung_request();
    scene.assert_undisturbed();
    scene.assert_fails("1", "the upload did not end within 4s");
    scene.mend();
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_store_that_answers_500_fails_the_backup_with_the_reason() {
    let mut scene = Scene::new(&[(CALL_TIMEOUT, "2s")]);
    scene
        .proxy
        .set(Mode::Answer("500 Internal Server Error", ""));
    scene.take("1");
    scene.assert_undisturbed();
    scene.assert_fails("1", "HTTP status 500");
    scene.mend();
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_backup_goes_on_when_the_store_comes_back_within_bounded_time() {
    for fault in [
        Mode::Answer(
            "503 Service Unavailable",
            "<Error><Code>SlowDown</Code></Error>",
        ),
        Mode::Close,
        Mode::Hang,
    ] {
        let mut scene = Scene::new(&[(CALL_TIMEOUT, "60s")]);
        scene.proxy.set(fault);
        scene.take("1");
        scene.assert_undisturbed();
        scene.proxy.set(Mode::Pass);
        scene.assert_completes("1");
    }
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_slow_store_slows_the_backup_down_and_nothing_else() {
    let mut scene = Scene::new(&[(CALL_TIMEOUT, "60s")]);
    let pause = Duration::from_millis(50);
    scene.proxy.set(Mode::Slow { bytes: 256, pause });
    scene.take("1");
    scene.assert_undisturbed();
    scene.assert_completes("1");
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn keys_that_are_refused_while_the_broker_runs_fail_the_backup_with_the_reason() {
    let mut scene = Scene::new(&[]);
    let port = scene.s3.take().unwrap().port;
    scene.s3 = Some(S3::start_with(scene.root.path(), port, "rotated", None));
    scene.take("1");
    scene.assert_undisturbed();
    scene.assert_fails("1", "SignatureDoesNotMatch");
    let (_, text) = scene.place.fails(&["backup", "list"]);
    assert!(!text.contains(SECRET), "{text}");
    drop(scene.s3.take());
    scene.s3 = Some(S3::start_on(scene.root.path(), port));
    scene.mend();
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_bucket_that_is_gone_fails_the_backup_with_the_reason() {
    let mut scene = Scene::new(&[]);
    let bucket = scene.root.path().join(BUCKET);
    let aside = scene.root.path().join("aside");
    std::fs::rename(&bucket, &aside).unwrap();
    scene.take("1");
    scene.assert_undisturbed();
    scene.assert_fails("1", "NoSuchBucket");
    std::fs::rename(&aside, &bucket).unwrap();
    scene.mend();
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_broker_killed_during_a_backup_finishes_or_fails_it_after_its_restart() {
    for store_comes_back in [true, false] {
        let mut scene = Scene::new(&[(CALL_TIMEOUT, "2s")]);
        scene.proxy.set(Mode::Hang);
        scene.take("1");
        scene.proxy.await_hung_request();
        scene.broker.kill();
        if store_comes_back {
            scene.proxy.set(Mode::Pass);
        }
        scene.broker = scene.place.start();
        scene.assert_undisturbed();
        let waited = scene.place.run(&["backup", "wait", "1", "--timeout", "3m"]);
        let text = text_of(&waited);
        println!("{text}");
        // Whether the log still makes the content of the checkpoint again depends on how far the store has come.
        let gone = text.contains("the content of its checkpoint is gone");
        match waited.status.code() {
            Some(0) => assert!(store_comes_back, "{text}"),
            Some(7) if store_comes_back => assert!(gone, "{text}"),
            Some(7) => assert!(gone || text.contains("did not answer in time"), "{text}"),
            code => panic!("{code:?}: {text}"),
        }
        scene.mend();
    }
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn no_backup_stays_in_progress_though_one_partition_was_done_when_the_broker_was_killed() {
    let mut scene = Scene::of(2, &[(CALL_TIMEOUT, "60s")]);
    scene.proxy.set(Mode::HangPut("partition-00002.json"));
    scene.take("1");
    scene.proxy.await_hung_request();
    let state_of_1 = |scene: &Scene| scene.shown("1")["details"][0]["state"].clone();
    while state_of_1(&scene) != "COMPLETED" {
        std::thread::sleep(PAUSE);
    }
    scene.broker.kill();
    scene.proxy.set(Mode::Pass);
    scene.broker = scene.place.start();
    scene.assert_undisturbed();
    let waited = scene.place.run(&["backup", "wait", "1", "--timeout", "3m"]);
    let text = text_of(&waited);
    let gone = "Backup on partition 2 failed due to The broker restarted or the leader changed during the backup";
    match waited.status.code() {
        Some(0) => scene.assert_completes("1"),
        Some(7) => assert!(text.contains(gone), "{text}"),
        code => panic!("{code:?}: {text}"),
    }
    let list = scene.place.skep(&["backup", "list"]);
    assert!(!list.contains("IN_PROGRESS"), "{list}");
    scene.mend();
}

#[test]
fn a_broker_starts_though_its_store_cannot_be_reached() {
    let mut place = place_for("http://127.0.0.1:9", 1);
    place.set(CALL_TIMEOUT, "1s");
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["backup", "take", "1"]);
    let (code, text) = place.fails(&["backup", "wait", "1", "--timeout", "3m"]);
    assert_eq!(code, 7, "{text}");
    assert!(text.contains("cannot be reached"), "{text}");
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_full_disk_of_the_store_fails_the_backup_with_the_reason() {
    with_small_disks(
        "a_full_disk_of_the_store_fails_the_backup_with_the_reason",
        || {
            let mut place = Place::new(1);
            let backups = place
                .variable("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH")
                .to_owned();
            let disk = SmallDisk::mount(Path::new(&backups), 4);
            place.set(CALL_TIMEOUT, "1s");
            let broker = place.start();
            let order = repository().join("examples/order.bpmn");
            place.skep(&["deploy", order.to_str().unwrap()]);
            place.skep(&["start", "order", "--count", "10"]);
            let ballast = disk.fill();
            place.skep(&["backup", "take", "1"]);
            let worked = place.skep(&["work", "payment", "--idle", "1s"]);
            assert!(worked.contains("Completed 10 jobs"), "{worked}");
            let (code, text) = place.fails(&["backup", "wait", "1"]);
            println!("{text}");
            assert_eq!(code, 7, "{text}");
            assert!(text.contains("No space left on device"), "{text}");
            drop(ballast);
            place.skep(&["backup", "take", "2", "--wait"]);
            place.skep(&["backup", "verify", "2"]);
            assert_eq!(broker.stop(), Some(0));
        },
    );
}
