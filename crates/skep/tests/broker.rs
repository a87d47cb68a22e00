//! One broker as its operator sees it: start, work, back up, lose everything, restore, go on.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::io::Write;
use std::net::TcpStream;
use std::process::Stdio;

use common::{Place, SKEP, free_port, repository, request};

fn order() -> String {
    repository()
        .join("examples/order.bpmn")
        .to_str()
        .unwrap()
        .to_owned()
}

fn deploy_and_start(place: &Place, count: u32) {
    place.skep(&["deploy", &order()]);
    place.skep(&["start", "order", "--count", &count.to_string()]);
}

/// Works on everything that is there, and gives the number of jobs.
fn work(place: &Place, job_type: &str) -> u64 {
    let text = place.skep(&["work", job_type, "--idle", "2s"]);
    let number = text
        .trim()
        .strip_prefix("Completed ")
        .and_then(|rest| rest.split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn instances_go_on_after_a_restore_of_a_backup_taken_under_load() {
    let place = Place::new(3);
    let broker = place.start();
    deploy_and_start(&place, 40);
    assert!(
        place
            .skep(&["work", "payment", "--max", "10"])
            .contains("Completed 10 jobs")
    );
    let load = place
        .command(SKEP)
        .args(["start", "order", "--count", "500"])
        .stdout(Stdio::null())
        .spawn()
        .unwrap();
    place.skep(&["backup", "take", "1"]);
    assert!(
        place
            .skep(&["backup", "wait", "1"])
            .contains("Backup 1 is completed (3 partitions)")
    );
    assert!(load.wait_with_output().unwrap().status.success());
    broker.kill();
    place.lose_data();

    let text = place.skep(&["restore", "--backupId=1"]);
    assert!(
        text.contains("Successfully restored broker from backup 1"),
        "{text}"
    );
    let broker = place.start();
    let (payments, shipments) = (work(&place, "payment"), work(&place, "shipping"));
    assert!(
        payments >= 30,
        "{payments} of at least 30 instances that had not paid are there"
    );
    assert_eq!(
        shipments,
        payments + 10,
        "who had paid before, and who has paid since, is shipped"
    );
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn a_restart_after_a_kill_loses_nothing_that_was_acknowledged() {
    let place = Place::without_store(2);
    let broker = place.start();
    deploy_and_start(&place, 50);
    broker.kill();
    let broker = place.start();
    assert_eq!(work(&place, "payment"), 50);
    broker.kill();
    let broker = place.start();
    assert_eq!(work(&place, "payment"), 0, "a completed job comes back");
    assert_eq!(work(&place, "shipping"), 50);
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn signals_stop_in_order_and_the_next_start_goes_on() {
    let place = Place::without_store(1);
    let broker = place.start();
    deploy_and_start(&place, 5);
    assert_eq!(broker.signal("INT"), Some(0));
    let broker = place.start();
    assert_eq!(work(&place, "payment"), 5);
    assert_eq!(broker.signal("TERM"), Some(0));
}

#[test]
fn clients_that_do_not_finish_their_requests_do_not_hold_up_the_end() {
    let rest = free_port();
    let mut place = Place::without_store(1);
    let management = place.variable("MANAGEMENT_SERVER_PORT").parse().unwrap();
    place.set("CAMUNDA_REST_ENABLED", "true");
    place.set("SERVER_ADDRESS", "127.0.0.1");
    place.set("SERVER_PORT", &rest.to_string());
    // Nothing else gives them up.
    place.set("ZEEBE_BROKER_GATEWAY_CLUSTER_REQUESTTIMEOUT", "1h");
    let mut broker = place.start();
    let head = "POST /v2/user-tasks/1/completion HTTP/1.1\r\nhost: localhost\r\n";
    let body = format!("{head}content-type: application/json\r\ncontent-length: 9\r\n\r\n{{");
    let mut held = Vec::new();
    for (port, begun) in [
        (management, "GET / HTTP/1.1\r\n"),
        (rest, "GET / HTTP/1.1\r\n"),
        (rest, &body),
    ] {
        let mut connection = TcpStream::connect(("127.0.0.1", port)).unwrap();
        connection.write_all(begun.as_bytes()).unwrap();
        held.push(connection);
    }
    // Those before it are being served by now.
    assert_eq!(place.get("/actuator/health/liveness").0, 200);
    assert_eq!(request(rest, "GET", "/v2/topology", "").0, 200);
    broker.begin_to_stop("TERM");
    broker.await_line("the broker has stopped");
    assert_eq!(broker.ended(), Some(0));
}

#[test]
fn backups_are_listed_shown_verified_and_deleted_with_and_without_a_broker() {
    let place = Place::new(2);
    let broker = place.start();
    deploy_and_start(&place, 5);
    assert!(
        place
            .skep(&["backup", "take", "7", "--wait"])
            .contains("Backup 7 is completed")
    );
    place.skep(&["backup", "take", "8", "--wait"]);
    for source in [&["--json"][..], &["--json", "--store"]] {
        let list = place.skep(&[&["backup", "list"][..], source].concat());
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let ids: Vec<_> = list
            .as_array()
            .unwrap()
            .iter()
            .map(|backup| &backup["backupId"])
            .collect();
        assert_eq!(ids, [7, 8], "{list}");
        let shown = place.skep(&[&["backup", "show", "7"][..], source].concat());
        let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
        assert_eq!(shown["state"], "COMPLETED");
        assert_eq!(shown["details"].as_array().unwrap().len(), 2);
    }
    assert_eq!(broker.stop(), Some(0));
    let sound = place.skep(&["backup", "verify", "7"]);
    assert!(sound.contains("Backup 7 is sound"), "{sound}");
    place.skep(&["backup", "delete", "7", "--store"]);
    assert_eq!(place.fails(&["backup", "show", "7", "--store"]).0, 5);
    assert!(
        place.skep(&["backup", "verify", "8"]).contains("sound"),
        "8 shares nothing that is gone"
    );
}

#[test]
fn a_stale_id_is_refused_with_the_latest() {
    let place = Place::new(1);
    let _broker = place.start();
    place.skep(&["backup", "take", "10", "--wait"]);
    for id in ["10", "9"] {
        let (code, text) = place.fails(&["backup", "take", id]);
        assert_eq!(code, 6, "{text}");
        assert!(text.contains("The latest backup has id 10"), "{text}");
    }
}

#[test]
fn a_restored_broker_does_not_take_the_restored_id_again() {
    let place = Place::new(1);
    let broker = place.start();
    deploy_and_start(&place, 1);
    place.skep(&["backup", "take", "3", "--wait"]);
    broker.kill();
    place.lose_data();
    place.skep(&["restore", "--backup-id", "3"]);
    let _broker = place.start();
    assert_eq!(place.fails(&["backup", "take", "3"]).0, 6);
    place.skep(&["backup", "take", "4", "--wait"]);
}

#[test]
fn a_container_restores_when_its_environment_says_so() {
    let mut place = Place::new(1);
    let broker = place.start();
    deploy_and_start(&place, 3);
    place.skep(&["backup", "take", "1", "--wait"]);
    broker.kill();
    place.lose_data();
    let broker_variables = place.variables.len();
    place.set("ZEEBE_RESTORE", "true");
    assert_eq!(
        place.fails(&["broker"]).0,
        2,
        "without an id it cannot know what to restore"
    );
    place.set("ZEEBE_RESTORE_FROM_BACKUP_ID", "1");
    let text = place.skep(&["broker"]);
    assert!(
        text.contains("Successfully restored broker from backup 1"),
        "{text}"
    );
    let again = place.skep(&["broker"]);
    assert!(again.contains("nothing was touched"), "{again}");
    place.variables.truncate(broker_variables);
    let _broker = place.start();
    assert_eq!(work(&place, "payment"), 3);
}

#[test]
fn a_dry_run_changes_nothing() {
    let place = Place::new(1);
    let broker = place.start();
    deploy_and_start(&place, 3);
    place.skep(&["backup", "take", "1", "--wait"]);
    broker.kill();
    place.lose_data();
    let text = place.skep(&["restore", "--backupId=1", "--dry-run"]);
    assert!(text.contains("Nothing was changed"), "{text}");
    assert!(!place.data().exists());
}

#[test]
fn logs_can_be_json_and_unknown_keys_are_named() {
    let mut place = Place::without_store(1);
    let config = place.directory.path().join("config");
    std::fs::create_dir(&config).unwrap();
    std::fs::write(
        config.join("application.yaml"),
        "zeebe.broker.cluster.partitionCount: 3\n",
    )
    .unwrap();
    place.set("ZEEBE_LOG_APPENDER", "stackdriver");
    let mut command = place.command(SKEP);
    let mut child = command
        .arg("broker")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let stdout = child.stdout.take().unwrap();
    let mut named = false;
    for line in std::io::BufRead::lines(std::io::BufReader::new(stdout)) {
        let line = line.unwrap();
        let event: serde_json::Value =
            serde_json::from_str(&line).unwrap_or_else(|_| panic!("{line}"));
        let message = event["message"].as_str().unwrap_or_default();
        named |=
            event["level"] == "WARN" && message.contains("zeebe.broker.cluster.partitioncount");
        if message.contains("the broker is running") {
            break;
        }
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(named, "the unknown key is not named");
}

#[test]
fn two_brokers_cannot_have_one_data_directory() {
    let place = Place::without_store(1);
    let _broker = place.start();
    let (code, text) = place.fails(&["broker"]);
    assert_eq!(code, 3, "{text}");
    assert!(text.contains("in use by another broker"), "{text}");
}

#[test]
fn a_broker_that_nobody_runs_is_missed_with_advice() {
    let place = Place::new(1);
    let (code, text) = place.fails(&["status"]);
    assert_eq!(code, 4, "{text}");
    assert!(text.contains("--gateway"), "{text}");
    let (code, text) = place.fails(&["backup", "list"]);
    assert_eq!(code, 4, "{text}");
    assert!(
        text.contains("--management") && text.contains("--store"),
        "{text}"
    );
    assert!(
        place
            .skep(&["backup", "list", "--store"])
            .contains("There are no backups")
    );
}

#[test]
fn the_address_of_a_gateway_may_have_a_scheme() {
    let place = Place::without_store(1);
    let broker = place.start();
    let address = place.variable("ZEEBE_ADDRESS");
    for given in [address.to_owned(), format!("http://{address}/")] {
        let said = place.skep(&["status", "--gateway", &given]);
        assert!(said.contains("partition 1: LEADER"), "{given}: {said}");
    }
    assert_eq!(broker.stop(), Some(0));
}

#[test]
fn the_program_says_how_it_is_used() {
    let place = Place::without_store(1);
    for command in [
        "broker", "gateway", "restore", "backup", "status", "deploy", "start", "work",
    ] {
        assert!(
            place.skep(&[command, "--help"]).contains("Usage:"),
            "{command}"
        );
    }
    for command in ["take", "list", "show", "verify", "delete", "wait"] {
        assert!(
            place
                .skep(&["backup", command, "--help"])
                .contains("Example"),
            "{command}"
        );
    }
    assert_eq!(place.fails(&["no-such-command"]).0, 2);
}
