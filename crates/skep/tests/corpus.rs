//! The conformance corpus against a real broker: what passes is listed, and stays so.

#![allow(clippy::unwrap_used, reason = "a test may panic, its helpers too")]

mod common;

use std::collections::BTreeSet;

use common::{Place, repository};

fn names(text: &str) -> BTreeSet<String> {
    let lines = text.lines().map(str::trim);
    lines
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
        .map(str::to_owned)
        .collect()
}

#[test]
#[ignore = "needs a Python with zeebe-grpc, which ./test installs"]
fn every_scenario_that_is_listed_passes() {
    let corpus = repository().join("testdata/corpus");
    let list = std::fs::read_to_string(corpus.join("passing.txt")).unwrap();
    let expected = names(&list);
    assert!(
        expected.len() > 10,
        "the list of passing scenarios is nearly empty"
    );
    // One partition, because a deployment reaches the others a moment after its answer, and the runner does not wait for that.
    let place = Place::without_store(1);
    let broker = place.start();
    let address = place.variable("ZEEBE_ADDRESS");
    let python = repository().join(".tools/venv/bin/python");
    let only: Vec<&str> = expected.iter().map(String::as_str).collect();
    let mut command = place.command(python.to_str().unwrap());
    command
        .arg(corpus.join("run.py"))
        .args(["--jobs", "8", "--patience", "30"]);
    command.args(["--address", address, "--only", &only.join(",")]);
    let output = command.output().unwrap();
    let text = common::text_of(&output);
    let passed = text
        .lines()
        .filter_map(|line| line.strip_prefix("PASS ")?.split(' ').next());
    let passed: BTreeSet<String> = passed.map(str::to_owned).collect();
    let missing: Vec<_> = expected.difference(&passed).collect();
    assert!(missing.is_empty(), "no longer passing: {missing:?}\n{text}");
    assert_eq!(broker.stop(), Some(0));
}
