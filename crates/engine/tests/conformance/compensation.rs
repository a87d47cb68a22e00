//! Compensation (15.9).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{CompensationSubscriptionIntent, JobIntent, values};

use crate::harness::Harness;
use crate::helpers::values_of;

const ALL: &str = "<bpmn:compensateEventDefinition/>";

fn only(activity: &str) -> String {
    format!(r#"<bpmn:compensateEventDefinition activityRef="{activity}"/>"#)
}

/// Two activities with handlers one after the other, then a throw event and a task.
fn trip(tag: &str, definition: &str) -> ProcessBuilder {
    let builder = ProcessBuilder::new("p")
        .start()
        .service_task("hotel", "hotel")
        .service_task("flight", "flight")
        .element(tag, "throw", definition);
    let builder = match tag {
        "endEvent" => builder,
        _ => builder.service_task("after", "after").end(),
    };
    builder
        .compensated_by("hotel", "undo-the-hotel", "undo-hotel")
        .compensated_by("flight", "undo-the-flight", "undo-flight")
}

/// Events about subscriptions: activity, handler.
fn subscriptions(
    harness: &Harness,
    intent: CompensationSubscriptionIntent,
) -> Vec<(String, String)> {
    let values: Vec<values::CompensationSubscription> = values_of(harness, intent);
    let found = values
        .into_iter()
        .map(|value| (value.compensable_activity_id, value.compensation_handler_id));
    found.collect()
}

#[test]
fn a_throw_event_runs_the_handlers_of_what_has_completed_and_waits_for_them() {
    let mut harness = Harness::with(&trip("intermediateThrowEvent", ALL).xml());
    harness.create("p", "{}");
    harness.work("hotel", "{}");
    harness.work("flight", "{}");
    let created = subscriptions(&harness, CompensationSubscriptionIntent::Created);
    assert_eq!(created.len(), 2);
    assert!(!harness.happened("throw COMPLETING"));
    for event in ["undo-hotel", "undo-flight"] {
        assert!(harness.happened(&format!("{event} COMPLETED")));
    }
    harness.work("undo-flight", "{}");
    assert!(!harness.happened("throw COMPLETING"));
    harness.work("undo-hotel", "{}");
    harness.work("after", "{}");
    let completed = subscriptions(&harness, CompensationSubscriptionIntent::Completed);
    assert_eq!(completed.len(), 2);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_end_event_completes_after_its_handlers() {
    let mut harness = Harness::with(&trip("endEvent", ALL).xml());
    harness.create("p", "{}");
    harness.work("hotel", "{}");
    harness.work("flight", "{}");
    harness.work("undo-hotel", "{}");
    assert!(!harness.happened("p COMPLETED"));
    harness.work("undo-flight", "{}");
    assert!(harness.happened("throw COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_event_that_names_an_activity_compensates_only_that() {
    let mut harness = Harness::with(&trip("intermediateThrowEvent", &only("flight")).xml());
    harness.create("p", "{}");
    harness.work("hotel", "{}");
    harness.work("flight", "{}");
    harness.work("undo-flight", "{}");
    harness.work("after", "{}");
    assert!(!harness.happened("undo-the-hotel ACTIVATING"));
    let deleted = subscriptions(&harness, CompensationSubscriptionIntent::Deleted);
    assert_eq!(deleted, [("hotel".to_owned(), "undo-the-hotel".to_owned())]);
    harness.assert_clean();
}

#[test]
fn what_has_not_completed_is_not_compensated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("slow", "slow")
        .end()
        .move_to("fork")
        .element("intermediateThrowEvent", "throw", ALL)
        .end_at("thrown")
        .compensated_by("slow", "undo-the-slow", "undo-slow")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert!(harness.happened("thrown COMPLETED"));
    harness.work("slow", "{}");
    assert!(!harness.happened("undo-the-slow ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_activity_is_compensated_as_often_as_it_has_completed_and_each_time_once() {
    let xml = ProcessBuilder::new("p")
        .start()
        .exclusive_gateway("again")
        .service_task("task", "work")
        .exclusive_gateway("more")
        .condition("=n < 3")
        .connect_to("again")
        .move_to("more")
        .default_flow()
        .element("intermediateThrowEvent", "first", ALL)
        .element("intermediateThrowEvent", "second", ALL)
        .end()
        .compensated_by("task", "undo-the-task", "undo")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    for n in 1..=3 {
        harness.work("work", &format!(r#"{{"n":{n}}}"#));
    }
    let jobs = harness.activate("undo", 10);
    assert_eq!(jobs.len(), 3);
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    assert_eq!(harness.count("undo-the-task ACTIVATED"), 3);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

fn nested(throw_inside: bool) -> ProcessBuilder {
    let mut builder = ProcessBuilder::new("p")
        .start()
        .service_task("outer", "outer")
        .sub_process("sub")
        .start()
        .service_task("inner", "inner");
    if throw_inside {
        builder = builder.element("intermediateThrowEvent", "throw", ALL);
    }
    builder = builder
        .end()
        .compensated_by("inner", "undo-the-inner", "undo-inner")
        .leave()
        .input("=a", "local");
    if !throw_inside {
        builder = builder.element("intermediateThrowEvent", "throw", ALL);
    }
    builder
        .end()
        .compensated_by("outer", "undo-the-outer", "undo-outer")
}

#[test]
fn what_completed_in_a_completed_sub_process_is_compensated_with_its_variables() {
    let mut harness = Harness::with(&nested(false).xml());
    harness.create("p", r#"{"a":1}"#);
    harness.work("outer", "{}");
    harness.work("inner", "{}");
    let jobs = harness.activate("undo-inner", 10);
    assert_eq!(jobs.len(), 1);
    assert!(jobs[0].1.variables.contains(r#""local":1"#));
    harness.complete(jobs[0].0, "{}").unwrap();
    harness.work("undo-outer", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_event_in_a_sub_process_compensates_only_what_is_in_it() {
    let mut harness = Harness::with(&nested(true).xml());
    harness.create("p", r#"{"a":1}"#);
    harness.work("outer", "{}");
    harness.work("inner", "{}");
    harness.work("undo-inner", "{}");
    assert!(!harness.happened("undo-the-outer ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_completed_in_a_terminated_sub_process_is_not_compensated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("inner", "inner")
        .service_task("failing", "failing")
        .end()
        .compensated_by("inner", "undo-the-inner", "undo-inner")
        .leave()
        .end()
        .error_boundary("caught", "sub", "E")
        .element("intermediateThrowEvent", "throw", ALL)
        .end_at("thrown")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("inner", "{}");
    let job = harness.job("failing");
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    assert!(harness.happened("thrown COMPLETED"));
    assert!(!harness.happened("undo-the-inner ACTIVATING"));
    harness.assert_clean();
}

#[test]
fn an_event_sub_process_compensates_the_scope_around_it() {
    let xml = ProcessBuilder::new("p")
        .definitions(r#"<bpmn:error id="error" errorCode="E"/>"#)
        .start()
        .service_task("hotel", "hotel")
        .service_task("failing", "failing")
        .end()
        .compensated_by("hotel", "undo-the-hotel", "undo-hotel")
        .event_sub_process(
            "on",
            "on-start",
            r#"<bpmn:errorEventDefinition errorRef="error"/>"#,
            true,
        )
        .element("endEvent", "throw", ALL)
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("hotel", "{}");
    let job = harness.job("failing");
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    harness.work("undo-hotel", "{}");
    assert!(harness.happened("on COMPLETED") && harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_multi_instance_activity_is_compensated_once_and_its_handler_may_be_repeated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .element("endEvent", "throw", ALL)
        .compensated_by("task", "undo-the-task", "undo")
        .multi_instance(false, r#"inputCollection="=[1,2,3]""#)
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    for (job, _) in harness.activate("work", 10) {
        harness.complete(job, "{}").unwrap();
    }
    let jobs = harness.activate("undo", 10);
    assert_eq!(jobs.len(), 3);
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn mappings_of_events_and_handlers_are_applied() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .element("intermediateThrowEvent", "throw", ALL)
        .output("=undone + 1", "after")
        .service_task("last", "last")
        .end()
        .compensated_by("task", "undo-the-task", "undo")
        .input("=a", "b")
        .output("=b + c", "undone")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"a":1}"#);
    harness.work("work", "{}");
    harness.work("undo", r#"{"c":10}"#);
    assert_eq!(
        harness.variables(instance),
        ["a=1", "after=12", "undone=11"]
    );
    harness.work("last", "{}");
    harness.assert_clean();
}

#[test]
fn a_handler_that_cannot_begin_is_an_incident() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .element("endEvent", "throw", ALL)
        .compensated_by("task", "undo-the-task", "=type")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.work("work", "{}");
    let (incident, value) = harness.incidents()[0].clone();
    assert_eq!(value.element_id, "undo-the-task");
    harness
        .set_variables(instance, r#"{"type":"undo"}"#, false)
        .unwrap();
    harness.resolve(incident).unwrap();
    harness.work("undo", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn cancelling_ends_handlers_and_forgets_what_could_be_compensated() {
    let mut harness = Harness::with(&trip("intermediateThrowEvent", &only("hotel")).xml());
    let instance = harness.create("p", "{}");
    harness.work("hotel", "{}");
    harness.work("flight", "{}");
    harness.cancel(instance).unwrap();
    assert!(harness.happened("undo-the-hotel TERMINATED"));
    assert!(harness.happened("throw TERMINATED"));
    harness.assert_clean();
}

#[test]
fn a_hundred_handlers_run_some_at_a_time() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("task", "work")
        .end()
        .compensated_by("task", "undo-the-task", "undo")
        .leave()
        .multi_instance(false, r#"inputCollection="=for i in 1..100 return i""#)
        .element("endEvent", "throw", ALL)
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    for (job, _) in harness.activate("work", 100) {
        harness.complete(job, "{}").unwrap();
    }
    let mut undone = 0;
    loop {
        let jobs = harness.activate("undo", 100);
        if jobs.is_empty() {
            break;
        }
        assert!(jobs.len() <= 32);
        undone += jobs.len();
        for (job, _) in jobs {
            harness.complete(job, "{}").unwrap();
        }
    }
    assert_eq!(undone, 100);
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_call_is_compensated_as_a_whole_and_not_what_was_done_inside() {
    let called = ProcessBuilder::new("called")
        .start()
        .service_task("inner", "inner")
        .end()
        .compensated_by("inner", "undo-the-inner", "undo-inner");
    let caller = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="called"/>"#)
        .element("endEvent", "throw", ALL)
        .compensated_by("call", "undo-the-call", "undo-call");
    let mut harness = Harness::with(&called.xml());
    harness.deploy(&caller.xml());
    harness.create("p", "{}");
    harness.work("inner", "{}");
    harness.work("undo-call", "{}");
    assert!(!harness.happened("undo-the-inner ACTIVATING"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn the_event_goes_on_when_a_handler_is_interrupted() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .element("endEvent", "throw", ALL)
        .compensated_by("task", "undo-the-task", "undo")
        .error_boundary("caught", "undo-the-task", "E")
        .end_at("failed")
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    harness.work("work", "{}");
    let job = harness.job("undo");
    let error = values::Job {
        error_code: "E".to_owned(),
        ..Default::default()
    };
    harness.report(job, JobIntent::ThrowError, error).unwrap();
    assert!(harness.happened("undo-the-task TERMINATED"));
    assert!(harness.happened("failed COMPLETED") && harness.happened("throw COMPLETED"));
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}
