//! Creation of instances, with and without a result, at the start event and elsewhere.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{
    Command, Key, ProcessInstanceCreationIntent, ProcessMessageSubscriptionIntent, RecordValue,
    RejectionType, TimerIntent, values,
};

use crate::harness::Harness;

fn creation(process: &str) -> values::ProcessInstanceCreation {
    values::ProcessInstanceCreation {
        bpmn_process_id: process.to_owned(),
        version: -1,
        ..Default::default()
    }
}

fn create(value: values::ProcessInstanceCreation) -> Command {
    Command::new(Key::NONE, ProcessInstanceCreationIntent::Create, value)
}

fn with_result(value: values::ProcessInstanceCreation) -> Command {
    Command::new(
        Key::NONE,
        ProcessInstanceCreationIntent::CreateWithAwaitingResult,
        value,
    )
}

fn one_task() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("task", "work")
        .end()
        .xml()
}

#[test]
fn refusals_say_what_was_looked_for() {
    let cases = [
        (
            creation("x"),
            RejectionType::NotFound,
            "Expected to find process definition with process ID 'x', but none found",
        ),
        (
            values::ProcessInstanceCreation {
                version: 7,
                ..creation("p")
            },
            RejectionType::NotFound,
            "Expected to find process definition with process ID 'p' and version '7', but none found",
        ),
        (
            values::ProcessInstanceCreation {
                version: 0,
                ..creation("p")
            },
            RejectionType::NotFound,
            "Expected to find process definition with process ID 'p' and version '0', but none found",
        ),
        (
            values::ProcessInstanceCreation {
                process_definition_key: 0,
                ..creation("")
            },
            RejectionType::NotFound,
            "Expected to find process definition with key '0', but none found",
        ),
        (
            values::ProcessInstanceCreation {
                process_definition_key: -1,
                ..creation("")
            },
            RejectionType::InvalidArgument,
            "Expected at least a bpmnProcessId or a key greater than -1, but none given",
        ),
    ];
    let mut harness = Harness::with(&one_task());
    for (value, rejection_type, reason) in cases {
        for command in [create(value.clone()), with_result(value)] {
            let rejection = harness.ask(command).unwrap_err();
            assert_eq!(
                (rejection.rejection_type, rejection.reason.as_str()),
                (rejection_type, reason)
            );
        }
    }
    harness.assert_clean();
}

#[test]
fn variables_must_be_an_object() {
    let mut harness = Harness::with(&one_task());
    let value = values::ProcessInstanceCreation {
        variables: "[1]".to_owned(),
        ..creation("p")
    };
    let rejection = harness.ask(create(value)).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    harness.assert_clean();
}

#[test]
fn the_answer_names_definition_and_instance() {
    let mut harness = Harness::with(&one_task());
    let answer = harness.ask(create(creation("p"))).unwrap();
    let RecordValue::ProcessInstanceCreation(created) = answer.value else {
        panic!("a creation")
    };
    assert_eq!(
        (created.bpmn_process_id.as_str(), created.version),
        ("p", 1)
    );
    assert!(created.process_definition_key > 0 && created.process_instance_key > 0);
    let by_key = values::ProcessInstanceCreation {
        process_definition_key: created.process_definition_key,
        ..creation("")
    };
    assert!(harness.ask(create(by_key)).is_ok());
}

fn result_of(harness: &mut Harness, variables: &str, names: &[&str]) -> String {
    let value = values::ProcessInstanceCreation {
        variables: variables.to_owned(),
        fetch_variables: names.iter().map(|name| (*name).to_owned()).collect(),
        ..creation("p")
    };
    let request = harness.request(with_result(value));
    assert!(
        !harness.responses.contains_key(&request),
        "answered before the end"
    );
    harness.work("work", r#"{"done":true}"#);
    let answer = harness
        .responses
        .get(&request)
        .cloned()
        .expect("an answer at the end")
        .unwrap();
    let RecordValue::ProcessInstanceResult(result) = answer.value else {
        panic!("a result")
    };
    harness.assert_clean();
    result.variables
}

#[test]
fn a_result_is_sent_at_the_end_with_the_variables_asked_for() {
    let mut harness = Harness::with(&one_task());
    assert_eq!(
        result_of(&mut harness, r#"{"a":1}"#, &[]),
        r#"{"a":1,"done":true}"#
    );
    assert_eq!(
        result_of(&mut harness, r#"{"a":1}"#, &["done"]),
        r#"{"done":true}"#
    );
    assert_eq!(
        result_of(&mut harness, r#"{"a":1}"#, &["missing", "a"]),
        r#"{"a":1}"#
    );
    assert_eq!(result_of(&mut harness, "{}", &["missing"]), "{}");
}

#[test]
fn no_result_is_sent_for_an_instance_that_was_cancelled() {
    let mut harness = Harness::with(&one_task());
    let request = harness.request(with_result(creation("p")));
    let instance = harness.key_of("p");
    harness.cancel(instance).unwrap();
    assert!(!harness.responses.contains_key(&request));
    harness.assert_clean();
}

fn nested() -> String {
    ProcessBuilder::new("p")
        .start()
        .sub_process("outer")
        .start()
        .sub_process("inner")
        .start()
        .service_task("a", "a")
        .service_task("b", "b")
        .leave()
        .end()
        .leave()
        .service_task("after", "after")
        .end()
        .xml()
}

#[test]
fn instances_begin_inside_of_scopes_that_are_entered_once() {
    let mut harness = Harness::with(&nested());
    let value = values::ProcessInstanceCreation {
        start_instructions: vec!["a".to_owned(), "b".to_owned()],
        variables: r#"{"x":1}"#.to_owned(),
        ..creation("p")
    };
    harness.ask(create(value)).unwrap();
    for element in ["p", "outer", "inner", "a", "b"] {
        assert_eq!(
            harness.count(&format!("{element} ACTIVATED")),
            1,
            "{element}"
        );
    }
    assert_eq!(harness.variables(harness.key_of("p")), ["x=1"]);
    harness.work("a", "{}");
    for (job, _) in harness.activate("b", 5) {
        harness.complete(job, "{}").unwrap();
    }
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_join_can_be_where_an_instance_begins() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .parallel_gateway("join")
        .service_task("task", "work")
        .move_to("fork")
        .connect_to("join")
        .xml();
    let mut harness = Harness::with(&xml);
    let value = values::ProcessInstanceCreation {
        start_instructions: vec!["join".to_owned()],
        ..creation("p")
    };
    harness.ask(create(value)).unwrap();
    harness.work("work", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_creation_begins_at_the_none_start_event_only() {
    let xml = ProcessBuilder::new("p")
        .start_at("none")
        .end()
        .without_source()
        .message_start("message", "m")
        .end()
        .without_source()
        .timer_start("timer", "timeCycle", "R/PT1H")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    harness.create("p", "{}");
    assert_eq!(harness.count("none ACTIVATED"), 1);
    for other in ["message", "timer"] {
        assert!(!harness.happened(&format!("{other} ACTIVATING")), "{other}");
    }
    assert_eq!(harness.count("p COMPLETED"), 1);
}

/// Every kind of element, each by its id.
fn all_kinds() -> String {
    ProcessBuilder::new("p")
        .start_at("start")
        .service_task("service", "work")
        .end_at("end")
        .error_boundary("boundary", "service", "E")
        .element("userTask", "user", "")
        .receive_task("receive", "m", "=\"k\"")
        .element("manualTask", "manual", "")
        .element("task", "undefined", "")
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="p"/>"#)
        .exclusive_gateway("exclusive")
        .parallel_gateway("parallel")
        .element("inclusiveGateway", "inclusive", "")
        .timer_catch("catch", "PT1H")
        .element("intermediateThrowEvent", "throw", "")
        .service_task("many", "work")
        .multi_instance(false, r#"inputCollection="=[1]""#)
        .sub_process("sub")
        .start()
        .service_task("inside", "work")
        .end()
        .leave()
        .sub_process("repeated")
        .start()
        .service_task("one", "work")
        .end()
        .leave()
        .multi_instance(false, r#"inputCollection="=[1]""#)
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("soon", "PT1S")
        .end()
        .move_to("gateway")
        .timer_catch("late", "PT1H")
        .end()
        .xml()
}

#[test]
fn an_instance_can_begin_at_elements_of_all_other_kinds() {
    for id in [
        "service",
        "end",
        "user",
        "receive",
        "manual",
        "undefined",
        "call",
        "exclusive",
        "parallel",
        "inclusive",
        "catch",
        "throw",
        "many",
        "sub",
        "inside",
        "repeated",
        "gateway",
    ] {
        let mut harness = Harness::with(&all_kinds());
        let value = values::ProcessInstanceCreation {
            start_instructions: vec![id.to_owned()],
            ..creation("p")
        };
        harness.ask(create(value)).unwrap();
        assert!(harness.happened(&format!("{id} ACTIVATED")), "{id}");
        // What is called begins at its start event.
        assert_eq!(
            harness.count("start ACTIVATED") > 0,
            harness.happened("call ACTIVATED"),
            "{id}"
        );
        let instance = harness.events(ProcessInstanceCreationIntent::Created)[0];
        let RecordValue::ProcessInstanceCreation(created) = &instance.value else {
            panic!("a creation")
        };
        let instance = Key(created.process_instance_key);
        if !harness.active().is_empty() {
            harness.cancel(instance).unwrap();
        }
        harness.assert_clean();
    }
}

#[test]
fn what_a_scope_waits_for_is_opened_once_where_an_instance_begins_inside() {
    let xml = ProcessBuilder::new("p")
        .start()
        .sub_process("sub")
        .start()
        .service_task("a", "a")
        .service_task("b", "b")
        .end()
        .event_sub_process(
            "handler",
            "begin",
            "<bpmn:timerEventDefinition><bpmn:timeDuration>PT2S</bpmn:timeDuration></bpmn:timerEventDefinition>",
            true,
        )
        .end()
        .leave()
        .leave()
        .end()
        .message_boundary("told", "sub", "m", "=key")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let begin = |variables: &str| values::ProcessInstanceCreation {
        start_instructions: vec!["a".to_owned(), "b".to_owned()],
        variables: variables.to_owned(),
        ..creation("p")
    };
    let rejection = harness.ask(create(begin("{}"))).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    let expected = "Expected to subscribe to catch event(s) of 'sub' but ";
    assert!(
        rejection.reason.starts_with(expected),
        "{}",
        rejection.reason
    );
    harness.assert_clean();
    harness.ask(create(begin(r#"{"key":"k"}"#))).unwrap();
    assert_eq!(harness.events(TimerIntent::Created).len(), 1);
    let opened = harness.events(ProcessMessageSubscriptionIntent::Created);
    assert_eq!(opened.len(), 1);
    harness.publish("m", "k", "{}");
    assert!(harness.happened("told COMPLETED") && harness.happened("p COMPLETED"));
    harness.advance(5_000);
    harness.assert_clean();
}

#[test]
fn elements_where_nothing_can_begin_are_refused() {
    let mut harness = Harness::with(&all_kinds());
    let cases = [
        (
            "start",
            "targets unsupported element type 'START_EVENT'. Supported element types are: [SUB_PROCESS,",
        ),
        (
            "boundary",
            "targets unsupported element type 'BOUNDARY_EVENT'.",
        ),
        ("p", "targets unsupported element type 'PROCESS'."),
        (
            "flow_start_service_0",
            "targets unsupported element type 'SEQUENCE_FLOW'.",
        ),
        ("missing", "no element found with id 'missing'."),
        (
            "one",
            "is inside a multi-instance subprocess. The creation of elements inside a multi-instance subprocess",
        ),
        (
            "soon",
            "belongs to an event-based gateway. The creation of elements belonging to an event-based gateway",
        ),
    ];
    for (id, expected) in cases {
        let value = values::ProcessInstanceCreation {
            start_instructions: vec!["service".to_owned(), id.to_owned()],
            ..creation("p")
        };
        let rejection = harness.ask(create(value)).unwrap_err();
        assert_eq!(
            rejection.rejection_type,
            RejectionType::InvalidArgument,
            "{id}"
        );
        let lead = "Expected to create instance of process with start instructions but";
        assert!(rejection.reason.starts_with(lead), "{}", rejection.reason);
        assert!(rejection.reason.contains(expected), "{}", rejection.reason);
    }
    harness.assert_clean();
}
