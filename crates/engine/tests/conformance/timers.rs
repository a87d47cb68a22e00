//! Timers and messages that an instance waits for (20.1, 20.2, 20.4, 20.5, 20.8).

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{self, IncidentErrorType};
use skep_protocol::{Command, Key, MessageIntent, Position, TimerIntent};

use crate::harness::{Harness, START};

fn waiting(duration: &str) -> String {
    ProcessBuilder::new("p")
        .start()
        .timer_catch("wait", duration)
        .end()
        .xml()
}

#[test]
fn a_timer_is_due_when_its_duration_has_passed() {
    let mut harness = Harness::with(&waiting("PT10S"));
    harness.create("p", "{}");
    assert_eq!(harness.due().next, Some(START + 10_000));
    harness.advance(9_999);
    assert!(!harness.happened("wait COMPLETING"));
    harness.advance(1);
    assert!(harness.happened("p COMPLETED"));
    assert_eq!(harness.events(TimerIntent::Triggered).len(), 1);
    assert_eq!(harness.due().next, None);
    harness.assert_clean();
}

#[test]
fn durations_without_length_are_due_at_once() {
    for duration in ["PT0S", "-PT5M"] {
        let mut harness = Harness::with(&waiting(duration));
        harness.create("p", "{}");
        assert!(harness.happened("p COMPLETED"), "{duration}");
        harness.assert_clean();
    }
}

#[test]
fn durations_come_from_expressions_too() {
    for (variables, millis) in [(r#"{"d":"PT2S"}"#, 2_000), (r#"{"d":"P1D"}"#, 86_400_000)] {
        for expression in ["=d", "=duration(d)"] {
            let mut harness = Harness::with(&waiting(expression));
            harness.create("p", variables);
            assert_eq!(
                harness.due().next,
                Some(START + millis),
                "{expression} {variables}"
            );
        }
    }
}

#[test]
fn a_duration_that_is_none_is_an_incident() {
    for variables in ["{}", r#"{"d":5}"#, r#"{"d":"soon"}"#] {
        let mut harness = Harness::with(&waiting("=d"));
        let instance = harness.create("p", variables);
        let (incident, value) = harness.incidents()[0].clone();
        assert_eq!(
            value.error_type(),
            IncidentErrorType::ExtractValueError,
            "{variables}"
        );
        harness
            .set_variables(instance, r#"{"d":"PT1S"}"#, false)
            .unwrap();
        harness.resolve(incident).unwrap();
        harness.advance(1_000);
        assert!(harness.happened("p COMPLETED"));
        harness.assert_clean();
    }
}

#[test]
fn a_timer_that_is_gone_is_refused() {
    let mut harness = Harness::with(&waiting("PT10S"));
    harness.create("p", "{}");
    harness.time += 10_000;
    let command = harness.due().commands[0].clone();
    harness.settle();
    let outcome = harness.process(skep_engine::Input::Internal(command));
    assert_eq!(outcome.records.len(), 2);
    assert!(outcome.records[1].rejection.is_some());
}

fn publish(harness: &mut Harness, key: &str, variables: &str) {
    let message = values::Message {
        name: "m".to_owned(),
        correlation_key: key.to_owned(),
        variables: variables.to_owned(),
        time_to_live: 1_000,
        ..Default::default()
    };
    harness
        .ask(Command::new(Key::NONE, MessageIntent::Publish, message))
        .unwrap();
}

#[test]
fn a_message_completes_the_event_that_waits_for_its_key_with_its_variables() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("wait", "m", "=key")
        .service_task("task", "work")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"key":"k"}"#);
    publish(&mut harness, "other", "{}");
    assert!(!harness.happened("wait COMPLETED"));
    publish(&mut harness, "k", r#"{"x":1}"#);
    assert!(harness.happened("wait COMPLETED"));
    assert_eq!(harness.variables(instance), ["key=\"k\"", "x=1"]);
    harness.work("work", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_message_that_came_before_is_found() {
    let xml = ProcessBuilder::new("p")
        .start()
        .message_catch("wait", "m", "=key")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    publish(&mut harness, "7", "{}");
    harness.create("p", r#"{"key":7}"#);
    assert!(harness.happened("p COMPLETED"));
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn a_message_starts_an_instance_with_its_variables() {
    let xml = ProcessBuilder::new("p")
        .message_start("start", "m")
        .service_task("task", "work")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    publish(&mut harness, "k", r#"{"x":1}"#);
    let instance = harness.key_of("p");
    assert_eq!(harness.variables(instance), ["x=1"]);
    publish(&mut harness, "k", r#"{"x":2}"#);
    assert_eq!(harness.count("p ACTIVATED"), 1, "one at a time for a key");
    harness.work("work", "{}");
    assert_eq!(harness.count("p ACTIVATED"), 2);
    assert_eq!(harness.variables(harness.key_of("p")), ["x=2"]);
    harness.work("work", "{}");
    harness.advance(1_001);
    harness.assert_clean();
}

#[test]
fn subscriptions_and_timers_go_with_a_cancelled_instance() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .message_catch("message", "m", "=key")
        .move_to("fork")
        .timer_catch("timer", "PT1H")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", r#"{"key":"k"}"#);
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn a_date_is_waited_for_and_one_that_is_past_comes_at_once() {
    // Ten seconds after the harness begins, and one second before.
    for (date, wait) in [
        ("2023-11-14T22:13:30Z", 10_000),
        ("2023-11-15T00:13:30+02:00", 10_000),
        ("2023-11-14T22:13:19Z", 0),
        ("=date and time(\"2023-11-14T22:13:30Z\")", 10_000),
        ("=\"2023-11-14T22:13:30Z\"", 10_000),
    ] {
        let xml = ProcessBuilder::new("p")
            .start()
            .date_catch("wait", date)
            .end()
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", "{}");
        assert_eq!(harness.happened("p COMPLETED"), wait == 0, "{date}");
        harness.advance(wait - 1);
        assert_eq!(harness.happened("p COMPLETED"), wait == 0, "{date}");
        harness.advance(1);
        assert!(harness.happened("p COMPLETED"), "{date}");
        harness.assert_clean();
    }
}

#[test]
fn a_date_that_is_none_is_an_incident() {
    for variables in ["{}", r#"{"d":5}"#, r#"{"d":"soon"}"#] {
        let xml = ProcessBuilder::new("p")
            .start()
            .date_catch("wait", "=d")
            .end()
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", variables);
        let (_, value) = harness.incidents()[0].clone();
        assert_eq!(
            value.error_type(),
            IncidentErrorType::ExtractValueError,
            "{variables}"
        );
    }
}

#[test]
fn a_cycle_that_is_none_is_an_incident() {
    for variables in ["{}", r#"{"c":5}"#, r#"{"c":"often"}"#] {
        let xml = ProcessBuilder::new("p")
            .start()
            .service_task("task", "work")
            .end()
            .timer_boundary("event", "task", "timeCycle", "=c")
            .non_interrupting()
            .end()
            .xml();
        let mut harness = Harness::with(&xml);
        harness.create("p", variables);
        let (_, value) = harness.incidents()[0].clone();
        assert_eq!(
            value.error_type(),
            IncidentErrorType::ExtractValueError,
            "{variables}"
        );
        assert_eq!(value.element_id, "task");
    }
}

#[test]
fn nothing_that_was_written_down_has_caused_a_trigger() {
    let mut harness = Harness::with(&waiting("PT1S"));
    harness.create("p", "{}");
    harness.advance(1_000);
    let trigger = harness
        .records
        .iter()
        .find(|record| record.intent == TimerIntent::Trigger.into());
    assert_eq!(trigger.unwrap().source_position, Position::NONE);
}

#[test]
fn a_timer_of_an_element_that_was_left_is_refused() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .timer_boundary("event", "task", "timeDuration", "PT1S")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    let job = harness.job("work");
    harness.time += 1_000;
    let command = harness.due().commands[0].clone();
    let value = values::Job::default();
    harness.process(skep_engine::Input::Client {
        command: Command::new(job, skep_protocol::JobIntent::Complete, value),
        request: None,
    });
    let outcome = harness.process(skep_engine::Input::Internal(command));
    assert!(outcome.records[1].rejection.is_some());
    assert!(!harness.happened("event ACTIVATING"));
    harness.assert_clean();
}
