//! Several features in one process, where each of them has to leave room for the others.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{
    Command, IncidentIntent, JobIntent, Key, MessageIntent, RejectionType, TimerIntent,
};

use crate::harness::Harness;
use crate::helpers::broadcast;

const ESCALATION: &str = r#"<bpmn:escalationEventDefinition escalationRef="up"/>"#;
const SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="alarm"/>"#;
const COMPENSATE: &str = "<bpmn:compensateEventDefinition/>";
const DEFINITIONS: &str = r#"<bpmn:escalation id="up" escalationCode="up"/>
    <bpmn:signal id="alarm" name="alarm"/>"#;

fn process(id: &str) -> ProcessBuilder {
    ProcessBuilder::new(id).definitions(DEFINITIONS).start()
}

fn created(process: &ProcessBuilder, variables: &str) -> (Harness, Key) {
    let mut harness = Harness::with(&process.xml());
    let instance = harness.create("p", variables);
    (harness, instance)
}

fn failure(retries: i32, back_off: i64) -> values::Job {
    values::Job {
        retries,
        retry_back_off: back_off,
        ..Default::default()
    }
}

/// A process that calls another, which throws an escalation in its middle.
fn calling_and_escalating(interrupting: bool) -> Harness {
    let called = process("called")
        .element("intermediateThrowEvent", "throw", ESCALATION)
        .service_task("inner", "inner")
        .end();
    let caller = process("p")
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .end_at("fine")
        .boundary("caught", "call", ESCALATION)
        .attribute("cancelActivity", &interrupting.to_string())
        .service_task("handle", "handle")
        .end_at("handled");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&caller.xml());
    harness.create("p", "{}");
    harness
}

#[test]
fn an_escalation_of_a_called_process_ends_the_call_or_lets_it_go_on() {
    let mut harness = calling_and_escalating(false);
    harness.work("inner", "{}");
    harness.work("handle", "{}");
    assert!(harness.happened("fine COMPLETED") && harness.happened("handled COMPLETED"));
    harness.assert_clean();
    let mut harness = calling_and_escalating(true);
    assert!(harness.activate("inner", 1).is_empty());
    harness.work("handle", "{}");
    assert!(!harness.happened("fine COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn each_repetition_escalates_to_the_boundary_of_all_of_them() {
    let builder = process("p")
        .sub_process("sub")
        .start()
        .element("intermediateThrowEvent", "throw", ESCALATION)
        .end()
        .leave()
        .multi_instance(true, r#"inputCollection="=[1,2,3]""#)
        .end_at("fine")
        .boundary("caught", "sub", ESCALATION)
        .non_interrupting()
        .end_at("noted");
    let (harness, _) = created(&builder, "{}");
    assert_eq!(harness.count("noted COMPLETED"), 3);
    assert!(harness.happened("fine COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_signal_thrown_inside_of_a_scope_can_end_that_scope() {
    let builder = process("p")
        .sub_process("sub")
        .start()
        .element("intermediateThrowEvent", "throw", SIGNAL)
        .service_task("never", "never")
        .end()
        .leave()
        .end_at("fine")
        .boundary("caught", "sub", SIGNAL)
        .end_at("alarmed");
    let (mut harness, _) = created(&builder, "{}");
    assert!(harness.activate("never", 1).is_empty());
    assert!(harness.happened("alarmed COMPLETED") && harness.happened("p COMPLETED"));
    assert!(!harness.happened("fine COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_broadcast_reaches_events_of_every_kind_at_once() {
    let builder = process("p")
        .parallel_gateway("fork")
        .service_task("task", "work")
        .end()
        .move_to("fork")
        .element("intermediateCatchEvent", "catch", SIGNAL)
        .end_at("caught")
        .boundary("boundary", "task", SIGNAL)
        .non_interrupting()
        .end_at("noted")
        .event_sub_process("beside", "beside-start", SIGNAL, false)
        .end_at("besides")
        .leave();
    let (mut harness, _) = created(&builder, "{}");
    broadcast(&mut harness, "alarm", r#"{"n":1}"#).unwrap();
    broadcast(&mut harness, "alarm", r#"{"n":2}"#).unwrap();
    assert_eq!(harness.count("caught COMPLETED"), 1);
    assert_eq!(harness.count("noted COMPLETED"), 2);
    assert_eq!(harness.count("besides COMPLETED"), 2);
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_repetition_compensates_what_was_done_in_it_alone() {
    let builder = process("p")
        .sub_process("sub")
        .start()
        .service_task("book", "book")
        .exclusive_gateway("ok")
        .default_flow()
        .end_at("kept")
        .move_to("ok")
        .condition("=item = 2")
        .element("endEvent", "throw", COMPENSATE)
        .compensated_by("book", "cancel-booking", "undo")
        .leave()
        .multi_instance(false, r#"inputCollection="=[1,2,3]" inputElement="item""#)
        .end();
    let (mut harness, _) = created(&builder, "{}");
    for (job, _) in harness.activate("book", 10) {
        harness.complete(job, "{}").unwrap();
    }
    let jobs = harness.activate("undo", 10);
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].1.variables.contains(r#""item":2"#));
    harness.complete(jobs[0].0, "{}").unwrap();
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_handler_that_fails_is_an_incident_and_the_compensation_goes_on_once_it_is_mended() {
    let builder = process("p")
        .service_task("book", "book")
        .element("intermediateThrowEvent", "throw", COMPENSATE)
        .end()
        .compensated_by("book", "cancel-booking", "undo");
    let (mut harness, _) = created(&builder, "{}");
    harness.work("book", "{}");
    let job = harness.job("undo");
    harness.report(job, JobIntent::Fail, failure(0, 0)).unwrap();
    let incidents = harness.incidents();
    assert_eq!(incidents.len(), 1);
    assert_eq!(incidents[0].1.error_type(), IncidentErrorType::JobNoRetries);
    harness
        .report(job, JobIntent::UpdateRetries, failure(1, 0))
        .unwrap();
    harness.resolve(incidents[0].0).unwrap();
    harness.work("undo", "{}");
    assert!(harness.happened("throw COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_condition_that_ends_repetitions_ends_the_cycle_at_their_boundary() {
    let builder = process("p")
        .service_task("task", "work")
        .multi_instance_until(
            false,
            r#"inputCollection="=[1,2,3]""#,
            "=numberOfCompletedInstances = 1",
        )
        .end_at("fine")
        .timer_boundary("late", "task", "timeCycle", "R/PT10S")
        .non_interrupting()
        .end_at("noted");
    let (mut harness, _) = created(&builder, "{}");
    harness.advance(10_000);
    harness.advance(10_000);
    assert_eq!(harness.count("noted COMPLETED"), 2);
    let jobs = harness.activate("work", 10);
    harness.complete(jobs[1].0, "{}").unwrap();
    assert!(harness.happened("fine COMPLETED") && harness.happened("p COMPLETED"));
    assert_eq!(harness.events(JobIntent::Canceled).len(), 2);
    assert_eq!(harness.events(TimerIntent::Canceled).len(), 1);
    harness.advance(60_000);
    assert_eq!(harness.count("noted COMPLETED"), 2);
    harness.assert_clean();
}

#[test]
fn a_cron_expression_at_a_boundary_comes_at_its_times_until_the_activity_ends() {
    let builder = process("p")
        .service_task("task", "work")
        .end()
        .timer_boundary("tick", "task", "timeCycle", "0 * * * * *")
        .non_interrupting()
        .end_at("ticked");
    let (mut harness, _) = created(&builder, "{}");
    for _ in 0..3 {
        harness.advance(60_000);
    }
    assert_eq!(harness.count("ticked COMPLETED"), 3);
    harness.work("work", "{}");
    harness.advance(120_000);
    assert_eq!(harness.count("ticked COMPLETED"), 3);
    harness.assert_clean();
}

#[test]
fn an_activity_that_cannot_complete_can_still_be_interrupted() {
    let builder = process("p")
        .service_task("task", "work")
        .output("=assert(missing, missing != null)", "x")
        .end_at("fine")
        .timer_boundary("late", "task", "timeDuration", "PT1M")
        .end_at("timeout");
    let (mut harness, _) = created(&builder, "{}");
    harness.work("work", "{}");
    assert_eq!(
        harness.incidents()[0].1.error_type(),
        IncidentErrorType::IoMappingError
    );
    harness.advance(60_000);
    assert!(harness.happened("timeout COMPLETED") && harness.happened("p COMPLETED"));
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 1);
    harness.assert_clean();
}

#[test]
fn a_job_without_retries_goes_with_its_incident_when_its_activity_is_interrupted() {
    let builder = process("p")
        .service_task("task", "work")
        .end_at("fine")
        .timer_boundary("late", "task", "timeDuration", "PT1M")
        .end_at("timeout");
    let (mut harness, _) = created(&builder, "{}");
    let job = harness.job("work");
    harness.report(job, JobIntent::Fail, failure(0, 0)).unwrap();
    harness.advance(60_000);
    assert!(harness.happened("timeout COMPLETED"));
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 1);
    let incident = harness.incidents()[0].0;
    let rejection = harness.resolve(incident).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::NotFound);
    harness.assert_clean();
}

#[test]
fn messages_that_wait_come_one_after_the_other_to_an_event_that_does_not_interrupt() {
    let builder = process("p")
        .service_task("before", "before")
        .service_task("task", "work")
        .end()
        .message_boundary("told", "task", "news", "=key")
        .non_interrupting()
        .end_at("noted");
    let (mut harness, _) = created(&builder, r#"{"key":"k"}"#);
    for n in 0..3 {
        harness.publish("news", "k", &format!("{{\"n\":{n}}}"));
    }
    harness.work("before", "{}");
    assert_eq!(harness.count("noted COMPLETED"), 3);
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
}

fn published(harness: &mut Harness, id: &str, time_to_live: i64) -> Result<(), RejectionType> {
    let message = values::Message {
        name: "news".to_owned(),
        correlation_key: "k".to_owned(),
        message_id: id.to_owned(),
        time_to_live,
        ..Default::default()
    };
    let command = Command::new(Key::NONE, MessageIntent::Publish, message);
    let answer = harness.ask(command);
    answer
        .map(|_| ())
        .map_err(|rejection| rejection.rejection_type)
}

#[test]
fn an_id_is_free_at_once_if_its_message_was_not_to_be_kept_and_else_even_when_it_was_taken() {
    let builder = process("p").message_catch("catch", "news", "=key").end();
    let (mut harness, _) = created(&builder, r#"{"key":"k"}"#);
    published(&mut harness, "kept", 60_000).unwrap();
    assert!(harness.happened("p COMPLETED"));
    let again = published(&mut harness, "kept", 60_000);
    assert_eq!(again, Err(RejectionType::AlreadyExists));
    for _ in 0..2 {
        published(&mut harness, "fleeting", 0).unwrap();
    }
    harness.advance(200_000);
    published(&mut harness, "kept", 0).unwrap();
    harness.assert_clean();
}

#[test]
fn a_job_that_waits_for_its_back_off_can_neither_be_completed_nor_throw() {
    let builder = process("p")
        .service_task("task", "work")
        .end()
        .error_boundary("error", "task", "")
        .end_at("failed");
    let (mut harness, _) = created(&builder, "{}");
    let job = harness.job("work");
    harness
        .report(job, JobIntent::Fail, failure(2, 10_000))
        .unwrap();
    for intent in [JobIntent::Complete, JobIntent::ThrowError, JobIntent::Fail] {
        let rejection = harness.report(job, intent, failure(1, 0)).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
    }
    harness
        .report(job, JobIntent::UpdateRetries, failure(5, 0))
        .unwrap();
    assert!(harness.activate("work", 1).is_empty());
    harness.advance(10_000);
    let jobs = harness.activate("work", 1);
    assert_eq!((jobs[0].0, jobs[0].1.retries), (job, 5));
    harness.complete(job, "{}").unwrap();
    harness.assert_clean();
}

#[test]
fn what_is_missing_is_null_wherever_expressions_stand() {
    let builder = process("p")
        .exclusive_gateway("choice")
        .default_flow()
        .end_at("otherwise")
        .move_to("choice")
        .condition("=missing = null and missing.inner = null and is defined(missing) = false")
        .service_task("task", "work")
        .input("=missing", "a")
        .input("=missing + 1", "b")
        .input("=if missing > 5 then \"big\" else \"small\"", "c")
        .input("=[1,2,3][5]", "d")
        .input("={x: missing}.x", "e")
        .input("=count([missing])", "f")
        .end();
    let (mut harness, _) = created(&builder, "{}");
    let task = harness.key_of("task");
    assert_eq!(
        harness.variables(task),
        ["a=null", "b=null", "c=\"small\"", "d=null", "e=null", "f=1"]
    );
    harness.work("work", "{}");
    harness.assert_clean();
}

#[test]
fn a_condition_that_is_null_is_an_incident_until_its_variable_is_there() {
    let builder = process("p")
        .exclusive_gateway("choice")
        .default_flow()
        .end_at("otherwise")
        .move_to("choice")
        .condition("=missing > 5")
        .end_at("big");
    let (mut harness, instance) = created(&builder, "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.error_type(), IncidentErrorType::ExtractValueError);
    harness
        .set_variables(instance, r#"{"missing":6}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    assert!(harness.happened("big COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_process_may_call_itself_until_it_has_enough() {
    let builder = process("p")
        .exclusive_gateway("choice")
        .default_flow()
        .end_at("enough")
        .move_to("choice")
        .condition("=n > 0")
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="=&quot;p&quot;" propagateAllChildVariables="false"/>"#)
        .input("=n - 1", "n")
        .output("=depth + 1", "depth")
        .service_task("task", "work")
        .end();
    let (mut harness, instance) = created(&builder, r#"{"n":3,"depth":0}"#);
    for expected in ["\"n\":1", "\"n\":2", "\"n\":3"] {
        let jobs = harness.activate("work", 5);
        assert_eq!(jobs.len(), 1);
        assert!(jobs[0].1.variables.contains(expected), "{expected}");
        harness.complete(jobs[0].0, "{}").unwrap();
    }
    let completed = harness
        .records
        .iter()
        .filter(|record| record.key == instance && record.intent.name() == "ELEMENT_COMPLETED");
    assert_eq!(completed.count(), 1);
    assert_eq!(harness.count("p COMPLETED"), 4);
    harness.assert_clean();
}

#[test]
fn mappings_put_nested_targets_together() {
    let builder = process("p")
        .service_task("task", "work")
        .input("=1", "order.a")
        .input("=order.a + 1", "order.b.c")
        .output("=result", "out.new")
        .end()
        .move_to("task")
        .service_task("after", "after")
        .end();
    let (mut harness, instance) = created(&builder, r#"{"out":{"old":true}}"#);
    let task = harness.key_of("task");
    assert_eq!(harness.variables(task), [r#"order={"a":1,"b":{"c":2}}"#]);
    harness.work("work", r#"{"result":7}"#);
    assert_eq!(harness.variables(instance), [r#"out={"old":true,"new":7}"#]);
}

/// An inclusive gateway with two branches, jobs of type `a` and of the given one, that come together again.
fn two_branches(job_type: &str) -> ProcessBuilder {
    process("p")
        .element("inclusiveGateway", "fork", "")
        .condition("=true")
        .service_task("a", "a")
        .element("inclusiveGateway", "join", "")
        .service_task("after", "after")
        .end()
        .move_to("fork")
        .condition("=true")
        .service_task("b", job_type)
        .connect_to("join")
}

#[test]
fn a_join_goes_on_when_a_branch_is_interrupted_and_ends_elsewhere() {
    let builder = two_branches("b")
        .timer_boundary("late", "b", "timeDuration", "PT1M")
        .end_at("given-up");
    let (mut harness, _) = created(&builder, "{}");
    harness.work("a", "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness.advance(60_000);
    assert!(harness.happened("given-up COMPLETED"));
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_incident_in_a_branch_holds_an_inclusive_join_up() {
    let (mut harness, instance) = created(&two_branches("=job_type"), "{}");
    harness.work("a", "{}");
    assert!(!harness.happened("join ACTIVATING"));
    harness
        .set_variables(instance, r#"{"job_type":"b"}"#, false)
        .unwrap();
    let incident = harness.incidents()[0].0;
    harness.resolve(incident).unwrap();
    harness.work("b", "{}");
    harness.work("after", "{}");
    assert_eq!(harness.count("join COMPLETED"), 1);
    harness.assert_clean();
}

#[test]
fn an_error_in_a_repeated_call_ends_all_of_them_and_is_caught_outside() {
    let called = ProcessBuilder::new("called")
        .definitions(r#"<bpmn:error id="bad" errorCode="bad"/>"#)
        .start()
        .service_task("inner", "inner")
        .element(
            "endEvent",
            "throw",
            r#"<bpmn:errorEventDefinition errorRef="bad"/>"#,
        );
    let caller = process("p")
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .multi_instance(false, r#"inputCollection="=[1,2,3]""#)
        .end_at("fine")
        .error_boundary("caught", "call", "bad")
        .end_at("failed");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&caller.xml());
    harness.create("p", "{}");
    let jobs = harness.activate("inner", 10);
    assert_eq!(jobs.len(), 3);
    harness.complete(jobs[1].0, "{}").unwrap();
    assert!(harness.happened("failed COMPLETED") && harness.happened("p COMPLETED"));
    assert_eq!(harness.count("called TERMINATED"), 3);
    harness.assert_clean();
}
