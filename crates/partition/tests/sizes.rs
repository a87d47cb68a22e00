//! Whatever clients send, an entry fits into the log, and the partition goes on.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_bpmn::builder::ProcessBuilder;
use skep_partition::Event;
use skep_protocol::{Command, Key, MessageIntent, RejectionType, values};
use support::Place;

/// The log refuses an entry that does not fit into a segment.
const ENTRY_BYTES_MAX: usize = 31 << 20;

fn document(bytes: usize) -> String {
    format!(r#"{{"big":"{}"}}"#, "x".repeat(bytes))
}

#[test]
fn a_command_that_would_write_too_much_is_refused_and_the_next_is_not() {
    let mut builder = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work");
    for number in 0..16 {
        builder = builder.input("=big", &format!("copy{number}"));
    }
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy(&builder.end().xml());
    let refused = place.try_create(&document(1 << 20)).unwrap_err();
    assert_eq!(
        refused.rejection_type,
        RejectionType::ExceededBatchRecordSize
    );
    assert!(refused.reason.contains("smaller variables"), "{refused:?}");
    assert!(place.activate().is_empty(), "nothing of it counts");
    place.try_create(&document(1 << 10)).unwrap();
    let jobs = place.activate();
    assert_eq!(jobs.len(), 1);
    place.complete(jobs[0], "").unwrap();
}

#[test]
fn a_batch_closes_by_its_records_as_well() {
    let mut place = Place::new(&[]);
    place.lead();
    let before = place.log.len();
    // Nobody waits for it and it is not kept: it is in the records alone.
    let message = values::Message {
        name: "m".to_owned(),
        variables: document(1 << 20),
        ..Default::default()
    };
    for _ in 0..40 {
        place.handle(Event::Command {
            command: Command::new(Key::NONE, MessageIntent::Publish, message.clone()),
            request: None,
            submitted: std::time::Instant::now(),
        });
    }
    place.settle();
    assert!(place.log.len() - before > 10);
    assert!(place.log.iter().all(|entry| entry.len() < ENTRY_BYTES_MAX));
}
