//! Cancelling.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{IncidentIntent, JobIntent, Key, RejectionType, TimerIntent};

use crate::harness::Harness;

#[test]
fn everything_in_an_instance_is_terminated_from_the_inside_out() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .sub_process("sub")
        .start()
        .service_task("a", "a")
        .leave()
        .move_to("fork")
        .timer_catch("wait", "PT1H")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"x":1}"#);
    harness.cancel(instance).unwrap();
    let trace = harness.trace();
    let at = |event: &str| {
        trace
            .iter()
            .position(|traced| traced == event)
            .expect(event)
    };
    assert!(at("a TERMINATED") < at("sub TERMINATED"));
    assert!(at("sub TERMINATED") < at("p TERMINATED"));
    assert!(at("wait TERMINATED") < at("p TERMINATED"));
    assert_eq!(harness.events(JobIntent::Canceled).len(), 1);
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    assert!(!harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn incidents_of_jobs_and_elements_are_resolved() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "=missing")
        .move_to("fork")
        .service_task("b", "b")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let job = harness.job("b");
    harness
        .report(job, JobIntent::Fail, Default::default())
        .unwrap();
    assert_eq!(harness.incidents().len(), 2);
    harness.cancel(instance).unwrap();
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 2);
    harness.assert_clean();
}

#[test]
fn only_process_instances_that_run_can_be_cancelled() {
    let mut harness = Harness::with(
        &ProcessBuilder::new("p")
            .start()
            .service_task("task", "work")
            .end()
            .xml(),
    );
    let instance = harness.create("p", "{}");
    let element = harness.key_of("task");
    harness.cancel(instance).unwrap();
    for key in [instance, element, Key(5)] {
        let rejection = harness.cancel(key).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::NotFound);
        let expected = format!(
            "Expected to cancel a process instance with key '{key}', but no such process was found"
        );
        assert_eq!(rejection.reason, expected);
    }
}

#[test]
fn a_scope_with_very_many_children_is_terminated_in_portions() {
    let mut builder = ProcessBuilder::new("p").start().parallel_gateway("fork");
    for index in 0..300 {
        builder = builder
            .move_to("fork")
            .service_task(&format!("t{index}"), "work");
    }
    let mut harness = Harness::with(&builder.xml());
    let instance = harness.create("p", "{}");
    assert_eq!(harness.active().len(), 301);
    harness.cancel(instance).unwrap();
    assert!(harness.happened("p TERMINATED"));
    assert_eq!(harness.events(JobIntent::Canceled).len(), 300);
    harness.assert_clean();
}

#[test]
fn tokens_that_wait_at_a_join_go_with_their_scope() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .parallel_gateway("join")
        .end()
        .move_to("fork")
        .service_task("task", "work")
        .connect_to("join")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn an_element_that_has_been_done_is_terminated_and_nothing_follows_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .output("=assert(1, false)", "x")
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.work("work", "{}");
    assert!(harness.happened("task COMPLETING"));
    harness.cancel(instance).unwrap();
    assert!(harness.happened("task TERMINATED") && harness.happened("p TERMINATED"));
    assert!(!harness.happened("task COMPLETED") && !harness.happened("after ACTIVATING"));
    harness.assert_clean();
}
