//! Several features inside of one another, where each has to stay within its scope.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{JobIntent, Key, values};

use crate::harness::Harness;
use crate::helpers::{broadcast, created};

const ESCALATION: &str = r#"<bpmn:escalationEventDefinition escalationRef="up"/>"#;
const SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="alarm"/>"#;
const COMPENSATE: &str = "<bpmn:compensateEventDefinition/>";
const DEFINITIONS: &str = r#"<bpmn:escalation id="up" escalationCode="up"/>
    <bpmn:signal id="alarm" name="alarm"/>"#;

fn process(id: &str) -> ProcessBuilder {
    ProcessBuilder::new(id).definitions(DEFINITIONS).start()
}

fn failure(retries: i32, back_off: i64) -> values::Job {
    values::Job {
        retries,
        retry_back_off: back_off,
        ..Default::default()
    }
}

/// Completes all jobs of the type that there are.
fn work_all(harness: &mut Harness, job_type: &str) -> usize {
    let jobs = harness.activate(job_type, 100);
    let count = jobs.len();
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    count
}

#[test]
fn what_was_done_in_every_repetition_of_a_sub_process_is_undone_from_outside() {
    let builder = process("p")
        .sub_process("sub")
        .start()
        .service_task("book", "book")
        .compensated_by("book", "cancel-booking", "undo")
        .move_to("book")
        .end()
        .leave()
        .multi_instance(false, r#"inputCollection="=[1,2,3]" inputElement="item""#)
        .element("intermediateThrowEvent", "throw", COMPENSATE)
        .end();
    let (mut harness, _) = created(&builder, "{}");
    assert_eq!(work_all(&mut harness, "book"), 3);
    let undone: Vec<String> = harness
        .activate("undo", 10)
        .into_iter()
        .map(|(job, value)| {
            harness.complete(job, "{}").unwrap();
            let variables: serde_json::Value = serde_json::from_str(&value.variables).unwrap();
            variables["item"].to_string()
        })
        .collect();
    assert_eq!(undone.len(), 3);
    for item in ["1", "2", "3"] {
        assert!(undone.contains(&item.to_owned()), "{item} in {undone:?}");
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_event_sub_process_of_a_called_process_escalates_to_its_caller() {
    let called = process("called")
        .service_task("inner", "inner")
        .end()
        .event_sub_process("alarmed", "alarm-start", SIGNAL, true)
        .element("endEvent", "throw", ESCALATION)
        .leave();
    let caller = process("p")
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .end_at("fine")
        .boundary("caught", "call", ESCALATION)
        .non_interrupting()
        .service_task("handle", "handle")
        .end_at("handled");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&caller.xml());
    harness.create("p", "{}");
    broadcast(&mut harness, "alarm", "{}").unwrap();
    assert!(harness.activate("inner", 1).is_empty());
    assert!(harness.happened("called COMPLETED") && harness.happened("fine COMPLETED"));
    harness.work("handle", "{}");
    assert!(harness.happened("handled COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_terminate_end_event_ends_its_own_scope_however_deep_that_is() {
    const TERMINATE: &str = "<bpmn:terminateEventDefinition/>";
    let builder = process("p")
        .sub_process("outer")
        .start()
        .service_task("beside", "beside")
        .end()
        .event_sub_process("alarmed", "alarm-start", SIGNAL, false)
        .sub_process("inner")
        .start()
        .parallel_gateway("fork")
        .service_task("never", "never")
        .end()
        .move_to("fork")
        .service_task("stop", "stop")
        .element("endEvent", "stopped", TERMINATE)
        .leave()
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .service_task("after", "after")
        .end()
        .leave()
        .leave()
        .end();
    let (mut harness, _) = created(&builder, "{}");
    broadcast(&mut harness, "alarm", "{}").unwrap();
    let stops = harness.activate("stop", 10);
    harness.complete(stops[0].0, "{}").unwrap();
    assert_eq!(harness.count("never TERMINATED"), 1);
    assert!(harness.activate("after", 1).is_empty());
    harness.complete(stops[1].0, "{}").unwrap();
    harness.work("after", "{}");
    assert!(harness.happened("alarmed COMPLETED") && !harness.happened("outer COMPLETED"));
    harness.work("beside", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn jobs_come_back_from_their_back_offs_to_their_places() {
    let builder = process("p").service_task("task", "work").end();
    let mut harness = Harness::with(&builder.xml());
    for _ in 0..4 {
        harness.create("p", "{}");
    }
    let jobs: Vec<Key> = harness
        .activate("work", 3)
        .into_iter()
        .map(|(job, _)| job)
        .collect();
    for (job, back_off) in jobs.iter().zip([20_000, 5_000, 10_000]) {
        let failure = failure(2, back_off);
        harness.report(*job, JobIntent::Fail, failure).unwrap();
    }
    harness.advance(5_000);
    let back = harness.activate("work", 1);
    assert_eq!(
        back[0].0, jobs[1],
        "the one that failed is older than the fourth"
    );
    harness.advance(15_000);
    let back: Vec<Key> = harness
        .activate("work", 10)
        .into_iter()
        .map(|(job, _)| job)
        .collect();
    assert_eq!(back[..2], [jobs[0], jobs[2]]);
    assert_eq!(back.len(), 3);
}

#[test]
fn handlers_with_much_to_hold_begin_some_at_a_time() {
    let builder = process("p")
        .sub_process("sub")
        .start()
        .service_task("book", "book")
        .compensated_by("book", "cancel-booking", "undo")
        .move_to("book")
        .end()
        .leave()
        .input("=big", "own")
        .multi_instance(false, r#"inputCollection="=for i in 1..30 return i""#)
        .element("intermediateThrowEvent", "throw", COMPENSATE)
        .end();
    let mut harness = Harness::with(&builder.xml());
    harness.checks = false;
    let big = "x".repeat(1 << 20);
    harness.create("p", &format!(r#"{{"big":"{big}"}}"#));
    for (job, _) in harness.activate_batch("book", 100, &["item"]).0 {
        harness.complete(job, "{}").unwrap();
    }
    let mut undone = 0;
    loop {
        let jobs = harness.activate_batch("undo", 100, &["item"]).0;
        if jobs.is_empty() {
            break;
        }
        for (job, _) in jobs {
            harness.complete(job, "{}").unwrap();
            undone += 1;
        }
    }
    assert_eq!(undone, 30);
    assert!(harness.happened("p COMPLETED"));
}
