//! Unmodified clients: each runs its workflow before a backup and goes on after the restore (tests/clients/README.md).

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::process::Command;

use common::{Place, repository, text_of};

/// Runs both phases of a client, with a backup, the loss of everything and a restore in between.
fn goes_on_after_a_restore(client: impl Fn(&Place, &str) -> Command) {
    let place = Place::new(2);
    let run = |phase: &str| {
        let output = client(&place, phase).output().unwrap();
        assert!(
            output.status.success(),
            "{phase}: {}\n{}",
            output.status,
            text_of(&output)
        );
    };
    let broker = place.start();
    run("before");
    place.skep(&["backup", "take", "1", "--wait"]);
    broker.kill();
    place.lose_data();
    place.skep(&["restore", "--backupId=1"]);
    let broker = place.start();
    run("after");
    assert_eq!(broker.stop(), Some(0));
}

fn tool(path: &str) -> String {
    let path = repository().join(".tools").join(path);
    assert!(path.exists(), "{} is installed by ./test", path.display());
    path.to_str().unwrap().to_owned()
}

fn client(path: &str) -> String {
    repository()
        .join("tests/clients")
        .join(path)
        .to_str()
        .unwrap()
        .to_owned()
}

#[test]
#[ignore = "needs zbctl, which ./test installs"]
fn zbctl_goes_on_after_a_restore() {
    goes_on_after_a_restore(|place, phase| {
        let mut command = place.command(&client("zbctl_client"));
        command.arg(phase).env("ZBCTL", tool("bin/zbctl"));
        command
    });
}

#[test]
#[ignore = "needs pyzeebe, which ./test installs"]
fn pyzeebe_goes_on_after_a_restore() {
    goes_on_after_a_restore(|place, phase| {
        let mut command = place.command(&tool("venv/bin/python"));
        command.arg(client("pyzeebe_client.py")).arg(phase);
        command
    });
}

#[test]
#[ignore = "needs zeebe-node, which ./test installs"]
fn the_node_client_goes_on_after_a_restore() {
    goes_on_after_a_restore(|place, phase| {
        let mut command = place.command("node");
        command
            .arg(client("node_client.js"))
            .arg(phase)
            .env("NODE_PATH", tool("node/node_modules"));
        command
    });
}

#[test]
#[ignore = "needs the Java client, which ./test installs"]
fn the_java_client_goes_on_after_a_restore() {
    goes_on_after_a_restore(|place, phase| {
        let classes = tool("java/target/classes");
        let libraries = tool("java/target/dependency");
        let mut command = place.command("java");
        command.args([
            "-cp",
            &format!("{classes}:{libraries}/*"),
            "JavaClient",
            phase,
            &client("process.bpmn"),
        ]);
        command
    });
}
