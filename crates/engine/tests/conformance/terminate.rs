//! Terminate end events (15.8).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::JobIntent;

use crate::harness::Harness;

const TERMINATE: &str = "<bpmn:terminateEventDefinition/>";

fn created(process: &ProcessBuilder) -> Harness {
    let mut harness = Harness::with(&process.xml());
    harness.create("p", "{}");
    harness
}

/// Two branches, one of which ends everything once its task is done.
fn branches(process: ProcessBuilder) -> ProcessBuilder {
    process
        .start()
        .parallel_gateway("fork")
        .service_task("deciding", "decide")
        .element("endEvent", "stop", TERMINATE)
        .move_to("fork")
        .service_task("other", "work")
        .end()
}

#[test]
fn all_else_in_a_process_is_terminated_and_the_process_completes() {
    let mut harness = created(&branches(ProcessBuilder::new("p")));
    harness.work("decide", "{}");
    let trace = harness.trace();
    let at = |event: &str| trace.iter().position(|traced| traced == event).unwrap();
    assert!(at("stop COMPLETED") < at("other TERMINATING"));
    assert!(at("other TERMINATED") < at("p COMPLETING"));
    assert!(!harness.happened("p TERMINATING"));
    assert!(harness.happened("p COMPLETED"));
    assert_eq!(harness.events(JobIntent::Canceled).len(), 1);
    harness.assert_clean();
}

#[test]
fn one_that_is_alone_completes_its_scope_too() {
    let process = ProcessBuilder::new("p")
        .start()
        .element("endEvent", "stop", TERMINATE);
    let harness = created(&process);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_sub_process_completes_and_what_is_outside_goes_on() {
    let process = branches(ProcessBuilder::new("p").start().sub_process("sub"))
        .leave()
        .service_task("after", "after")
        .end();
    let mut harness = created(&process);
    harness.work("decide", "{}");
    assert!(harness.happened("other TERMINATED"));
    assert!(harness.happened("sub COMPLETED"));
    assert!(!harness.happened("p COMPLETING"));
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_event_sub_process_ends_alone() {
    let timer = "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>";
    let process = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .event_sub_process("on", "on-start", timer, false)
        .parallel_gateway("fork")
        .element("endEvent", "stop", TERMINATE)
        .move_to("fork")
        .service_task("inner", "inner")
        .leave();
    let mut harness = created(&process);
    harness.advance(1_000);
    assert!(harness.happened("on COMPLETED"));
    assert!(!harness.happened("task TERMINATING"));
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn one_repetition_ends_alone() {
    let process = branches(ProcessBuilder::new("p").start().sub_process("sub"))
        .leave()
        .multi_instance(false, "inputCollection=\"=[1,2]\"")
        .end();
    let mut harness = created(&process);
    let jobs = harness.activate("decide", 10);
    harness.complete(jobs[0].0, "{}").unwrap();
    assert_eq!(harness.count("sub COMPLETED"), 1);
    assert_eq!(harness.count("other TERMINATED"), 1);
    harness.complete(jobs[1].0, "{}").unwrap();
    assert_eq!(harness.count("sub COMPLETED"), 3, "both, and the body");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_called_instance_completes_and_its_caller_goes_on() {
    let called = branches(ProcessBuilder::new("called")).xml();
    let process = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension("<zeebe:calledElement processId=\"called\"/>")
        .end();
    let mut harness = Harness::with(&called);
    harness.deploy(&process.xml());
    harness.create("p", "{}");
    harness.work("decide", "{}");
    assert!(harness.happened("called COMPLETED"));
    assert!(harness.happened("call COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_active_call_is_ended() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("inside", "inside")
        .end();
    let process = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .element("callActivity", "call", "")
        .extension("<zeebe:calledElement processId=\"called\"/>")
        .move_to("fork")
        .service_task("deciding", "decide")
        .element("endEvent", "stop", TERMINATE);
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&process.xml());
    harness.create("p", "{}");
    harness.work("decide", "{}");
    assert!(harness.happened("called TERMINATED"));
    assert!(harness.happened("call TERMINATED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn tokens_that_wait_at_a_join_are_dropped() {
    let process = branches(ProcessBuilder::new("p"))
        .move_to("fork")
        .parallel_gateway("join")
        .move_to("other")
        .connect_to("join");
    let mut harness = created(&process);
    harness.work("decide", "{}");
    assert!(!harness.happened("join ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}
