//! The state as former versions wrote it.

use std::fmt::Write;

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{JobIntent, values};

use crate::harness::Harness;

const GOLDEN: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../testdata/golden/engine-instances-v1.txt"
);

/// A course of commands that leaves something in nearly every table of running instances.
fn content() -> String {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "a")
        .parallel_gateway("join")
        .end()
        .move_to("fork")
        .connect_to("join")
        .move_to("fork")
        .timer_catch("wait", "PT1H")
        .move_to("fork")
        .service_task("b", "=type")
        .move_to("fork")
        .sub_process("sub")
        .start()
        .service_task("c", "c")
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", r#"{"x":{"y":[1,null]},"n":1.5}"#);
    let failing = harness.job("a");
    harness
        .report(
            failing,
            JobIntent::Fail,
            values::Job {
                retries: 0,
                ..Default::default()
            },
        )
        .unwrap();
    harness.job("c");
    let mut lines = String::new();
    for (key, value) in harness.content(10..=26) {
        let hex = |bytes: &[u8]| {
            bytes
                .iter()
                .fold(String::new(), |text, byte| text + &format!("{byte:02x}"))
        };
        writeln!(lines, "{} {}", hex(&key), hex(&value)).unwrap();
    }
    lines
}

#[test]
fn the_state_of_instances_is_written_as_ever() {
    let content = content();
    if std::env::var_os("SKEP_WRITE_GOLDEN").is_some() {
        std::fs::write(GOLDEN, &content).unwrap();
    }
    let golden = std::fs::read_to_string(GOLDEN).unwrap();
    assert!(
        golden == content,
        "the state is written otherwise than before:\n{content}"
    );
}
