//! Backup and restore with a real S3 server, versitygw, which `./test` installs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::path::{Path, PathBuf};

use common::s3::{BUCKET, Certificate, S3, place_for};
use common::{Place, repository};

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
    let place = place_for(&s3.endpoint(), 3);
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
fn a_manifest_that_has_become_empty_hides_no_other_backup_and_is_no_obstacle_to_the_next() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let place = place_for(&s3.endpoint(), 1);
    let broker = place.start();
    deploy_and_start(&place, 5);
    place.skep(&["backup", "take", "1", "--wait"]);
    place.skep(&["backup", "take", "2", "--wait"]);
    assert_eq!(broker.stop(), Some(0));
    let backup = format!("{BUCKET}/clusters/one/backups/{:020}", 2);
    for manifest in ["manifest.json", "partition-00001.json"] {
        let emptied = root.path().join(&backup).join(manifest);
        assert!(emptied.exists(), "{emptied:?}");
        std::fs::write(emptied, "").unwrap();
    }

    let broker = place.start();
    place.skep(&["backup", "take", "3", "--wait"]);
    let list = place.skep(&["backup", "list"]);
    for id in 1..=3 {
        assert!(list.contains(&format!("\n{id} ")), "{list}");
    }
    assert!(place.skep(&["backup", "verify", "3"]).contains("sound"));
    assert_eq!(broker.stop(), Some(0));
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn wrong_keys_are_found_at_start_and_by_restore_and_never_printed() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let mut place = place_for(&s3.endpoint(), 1);
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
fn a_broker_finds_its_credentials_in_the_environment() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let mut place = place_for(&s3.endpoint(), 1);
    for (given, of_aws) in [
        ("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", "AWS_ACCESS_KEY_ID"),
        (
            "ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY",
            "AWS_SECRET_ACCESS_KEY",
        ),
    ] {
        let value = place.variable(given).to_owned();
        place.variables.retain(|(name, _)| name != given);
        place.set(of_aws, &value);
    }
    let broker = place.start();
    place.skep(&["backup", "take", "1", "--wait"]);
    assert_eq!(broker.stop(), Some(0));
    place.lose_data();
    place.skep(&["restore", "--backupId=1"]);
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn a_bucket_that_is_not_there_is_found_at_start_and_by_restore() {
    let root = tempfile::tempdir().unwrap();
    let s3 = S3::start(root.path());
    let mut place = place_for(&s3.endpoint(), 1);
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
    let mut place = place_for(&s3.endpoint(), 1);
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

/// A new certificate for 127.0.0.1 that nobody but its holder trusts, and its key, as files.
fn certificate(directory: &Path, name: &str) -> (PathBuf, PathBuf) {
    let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
    let paths = (
        directory.join(format!("{name}.pem")),
        directory.join(format!("{name}.key")),
    );
    std::fs::write(&paths.0, made.cert.pem()).unwrap();
    std::fs::write(&paths.1, made.signing_key.serialize_pem()).unwrap();
    paths
}

#[test]
#[ignore = "needs versitygw, which ./test installs"]
fn over_https_a_backup_is_taken_verified_and_restored_if_the_certificate_is_trusted() {
    let root = tempfile::tempdir().unwrap();
    let keys = tempfile::tempdir().unwrap();
    let (certificate_file, key) = certificate(keys.path(), "server");
    let (other, _) = certificate(keys.path(), "other");
    let tls = Certificate {
        certificate: &certificate_file,
        key: &key,
    };
    let s3 = S3::start_over_https(root.path(), &tls);
    let mut place = place_for(&format!("https://127.0.0.1:{}", s3.port), 1);
    place.set("SSL_CERT_FILE", certificate_file.to_str().unwrap());
    let broker = place.start();
    deploy_and_start(&place, 7);
    place.skep(&["backup", "take", "1", "--wait"]);
    broker.kill();
    place.lose_data();
    place.skep(&["backup", "verify", "1"]);

    place.set("SSL_CERT_FILE", other.to_str().unwrap());
    let (code, text) = place.fails(&["restore", "--backupId=1"]);
    println!("{text}");
    assert_eq!(code, 32, "{text}");
    assert!(text.contains("certificate"), "{text}");
    assert!(text.contains("SSL_CERT_FILE"), "{text}");
    assert!(!place.data().exists());
    let (code, text) = place.fails(&["broker"]);
    println!("{text}");
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("SSL_CERT_FILE"), "{text}");

    place.set("SSL_CERT_FILE", certificate_file.to_str().unwrap());
    place.skep(&["restore", "--backupId=1"]);
    let broker = place.start();
    let worked = place.skep(&["work", "payment", "--idle", "2s"]);
    assert!(worked.contains("Completed 7 jobs"), "{worked}");
    assert_eq!(broker.stop(), Some(0));
}
