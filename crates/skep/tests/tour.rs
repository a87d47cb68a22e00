//! The tour of the README: every one of its commands, in their order.
//!
//! Blocks marked `sh broker` are what the first terminal runs until Ctrl-C, blocks marked `sh tour` what the second one runs.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::os::unix::fs::symlink;
use std::process::Stdio;

use common::{Place, Running, SKEP, free_port_block, repository};

#[derive(Debug, PartialEq, Eq)]
enum Terminal {
    Broker,
    Tour,
}

/// The blocks of the tour.
fn blocks(readme: &str) -> Vec<(Terminal, String)> {
    let mut blocks = Vec::new();
    let mut lines = readme.lines();
    while let Some(line) = lines.next() {
        let terminal = match line {
            "```sh broker" => Terminal::Broker,
            "```sh tour" => Terminal::Tour,
            _ => continue,
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        blocks.push((terminal, block.join("\n")));
    }
    blocks
}

/// A directory that looks like a clone in which everything is built.
fn clone_of_the_repository() -> Place {
    let mut place = Place::without_store(1);
    let root = place.directory.path().to_owned();
    for name in ["run", "examples"] {
        symlink(repository().join(name), root.join(name)).unwrap();
    }
    std::fs::create_dir_all(root.join("target/release")).unwrap();
    symlink(SKEP, root.join("target/release/skep")).unwrap();
    place.set("SKEP_PROGRAM", "target/release/skep");
    place
}

#[test]
#[ignore = "needs an S3 server, which ./test installs"]
fn the_tour_works_on_three_brokers_of_which_one_is_killed_half_way() {
    let mut place = clone_of_the_repository();
    let root = place.directory.path().to_owned();
    for name in ["tools", "tests", ".tools"] {
        symlink(repository().join(name), root.join(name)).unwrap();
    }
    // The broker of this place does not run: what its environment says would count for all.
    place.variables.retain(|(name, _)| name == "SKEP_PROGRAM");
    // Five nodes with ten ports each, and five for management.
    let first = free_port_block(50);
    place.set("SKEP_CLUSTER_PORT", &first.to_string());
    place.set("SKEP_CLUSTER_MANAGEMENT_PORT", &(first + 5).to_string());
    let output = place
        .command("bash")
        .args(["./run", "cluster", "tour"])
        .output()
        .unwrap();
    let text = common::text_of(&output);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("the tour is complete"), "{text}");
}

#[test]
fn the_readmes_tour_works() {
    let readme = std::fs::read_to_string(repository().join("README.md")).unwrap();
    let blocks = blocks(&readme);
    assert!(
        blocks
            .iter()
            .filter(|(terminal, _)| *terminal == Terminal::Broker)
            .count()
            == 2
    );
    assert!(
        blocks
            .iter()
            .filter(|(terminal, _)| *terminal == Terminal::Tour)
            .count()
            >= 3
    );
    let place = clone_of_the_repository();
    let mut broker: Option<Running> = None;
    let mut told = String::new();
    // The second terminal is one shell, so that what one block exports is there in the next.
    let mut exports = String::new();
    for (terminal, block) in blocks {
        let mut shell = place.command("bash");
        shell.args(["-euo", "pipefail", "-c"]);
        match terminal {
            Terminal::Broker => {
                if let Some(broker) = broker.take() {
                    assert_eq!(broker.signal("INT"), Some(0));
                }
                let ending = block.lines().last().unwrap().to_owned();
                let before = block.strip_suffix(&ending).unwrap();
                broker = Some(Running::spawn(
                    shell.arg(format!("{before}\nexec {ending}")),
                ));
            }
            Terminal::Tour => {
                let output = shell
                    .arg(format!("{exports}{block}"))
                    .stderr(Stdio::piped())
                    .output()
                    .unwrap();
                let text = common::text_of(&output);
                assert!(output.status.success(), "{block}\n{text}");
                told.push_str(&text);
                for line in block.lines().filter(|line| line.starts_with("export ")) {
                    exports.push_str(&format!("{line}\n"));
                }
            }
        }
    }
    assert!(told.contains("Backup 1 is completed"), "{told}");
    assert!(told.contains("Started 20 instances"), "{told}");
    assert_eq!(
        broker.expect("the tour ends with a broker").signal("INT"),
        Some(0)
    );
}
