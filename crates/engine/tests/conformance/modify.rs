//! Tokens moved by hand.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::values::{
    ActivateInstruction, ProcessInstanceModification, TerminateInstruction, VariableInstruction,
};
use skep_protocol::{
    Command, JobIntent, Key, ProcessInstanceIntent, ProcessInstanceModificationIntent,
    ProcessMessageSubscriptionIntent, RecordValue, RejectionType, ResponseResult,
};

use crate::harness::Harness;
use crate::helpers::{refusal, values_of};

fn activate(element: &str) -> ActivateInstruction {
    ActivateInstruction {
        element_id: element.to_owned(),
        ..Default::default()
    }
}

fn within(element: &str, ancestor: Key) -> ActivateInstruction {
    ActivateInstruction {
        ancestor_scope_key: ancestor.0,
        ..activate(element)
    }
}

fn with(element: &str, variables: &[(&str, &str)]) -> ActivateInstruction {
    let instruction = |(scope, document): &(&str, &str)| VariableInstruction {
        element_id: (*scope).to_owned(),
        variables: (*document).to_owned(),
    };
    ActivateInstruction {
        variable_instructions: variables.iter().map(instruction).collect(),
        ..activate(element)
    }
}

fn modify(
    harness: &mut Harness,
    instance: Key,
    activate: &[ActivateInstruction],
    terminate: &[Key],
) -> ResponseResult {
    let terminate = terminate.iter().map(|key| TerminateInstruction {
        element_instance_key: key.0,
    });
    let value = ProcessInstanceModification {
        process_instance_key: instance.0,
        terminate_instructions: terminate.collect(),
        activate_instructions: activate.to_vec(),
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    harness.ask(Command::new(instance, intent, value))
}

/// Two tasks in a row, then a sub-process with a task and one in an inner sub-process.
fn nested() -> String {
    ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .service_task("b", "b")
        .sub_process("outer")
        .start()
        .service_task("c", "c")
        .sub_process("inner")
        .start()
        .service_task("d", "d")
        .end()
        .leave()
        .end()
        .leave()
        .end()
        .xml()
}

#[test]
fn a_token_is_moved_from_one_task_to_another() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    modify(&mut harness, instance, &[activate("b")], &[a]).unwrap();
    assert_eq!(
        harness
            .events(ProcessInstanceModificationIntent::Modified)
            .len(),
        1
    );
    assert_eq!(harness.events(JobIntent::Canceled).len(), 1);
    assert!(harness.happened("a TERMINATED"));
    assert!(!harness.happened("a COMPLETED"));
    harness.work("b", "{}");
    harness.work("c", "{}");
    harness.work("d", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn missing_scopes_are_activated_without_their_start_events_and_shared() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    modify(
        &mut harness,
        instance,
        &[activate("d"), activate("c")],
        &[a],
    )
    .unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
    assert_eq!(harness.count("inner ACTIVATED"), 1);
    let modified: Vec<ProcessInstanceModification> =
        values_of(&harness, ProcessInstanceModificationIntent::Modified);
    let scopes = &modified[0].activate_instructions[0].ancestor_scope_keys;
    let expected = [instance, harness.key_of("outer"), harness.key_of("inner")];
    assert_eq!(*scopes, expected.map(|key| key.0));
    harness.work("d", "{}");
    harness.work("c", "{}");
    harness.work("d", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn an_existing_scope_is_used_and_a_chosen_ancestor_gets_new_ones() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("b", "{}");
    let outer = harness.key_of("outer");
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
    modify(&mut harness, instance, &[within("d", outer)], &[]).unwrap();
    assert_eq!(harness.count("inner ACTIVATED"), 2);
    let (kind, reason) = refusal(modify(&mut harness, instance, &[activate("d")], &[]));
    assert_eq!(kind, RejectionType::InvalidArgument);
    assert!(
        reason.contains("more than one active instance: 'inner'"),
        "{reason}"
    );
    modify(&mut harness, instance, &[within("d", instance)], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 2);
}

#[test]
fn variables_are_there_before_the_element_begins() {
    let inside = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .sub_process("sub")
        .start()
        .element("serviceTask", "b", "")
        .extension(r#"<zeebe:taskDefinition type="=global + local + own"/>"#)
        .message_boundary("caught", "b", "m", "=local")
        .end()
        .leave()
        .end()
        .xml();
    let mut harness = Harness::with(&inside);
    let instance = harness.create("p", "{}");
    let variables = [
        ("", r#"{"global":"x"}"#),
        ("sub", r#"{"local":"y"}"#),
        ("b", r#"{"own":"z"}"#),
    ];
    modify(&mut harness, instance, &[with("b", &variables)], &[]).unwrap();
    assert!(harness.incidents().is_empty(), "{:?}", harness.incidents());
    assert_eq!(harness.activate("xyz", 1).len(), 1);
    assert_eq!(harness.variables(instance), [r#"global="x""#]);
    assert_eq!(harness.variables(harness.key_of("sub")), [r#"local="y""#]);
    assert_eq!(
        harness
            .events(ProcessMessageSubscriptionIntent::Created)
            .len(),
        1
    );
}

#[test]
fn what_is_terminated_takes_empty_scopes_with_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("b", "{}");
    harness.work("c", "{}");
    let d = harness.key_of("d");
    modify(&mut harness, instance, &[activate("a")], &[d]).unwrap();
    for scope in ["inner", "outer"] {
        assert!(harness.happened(&format!("{scope} TERMINATED")), "{scope}");
    }
    assert_eq!(harness.active(), ["p", "a"]);
    let a = harness.key_of("a");
    modify(&mut harness, instance, &[], &[a]).unwrap();
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}

#[test]
fn a_scope_stays_if_something_else_is_in_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    modify(&mut harness, instance, &[activate("c"), activate("c")], &[]).unwrap();
    let c = harness.key_of("c");
    modify(&mut harness, instance, &[], &[c]).unwrap();
    assert!(harness.active().contains(&"outer".to_owned()));
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    harness.work("c", "{}");
    assert_eq!(harness.active().iter().filter(|id| *id == "d").count(), 2);
}

#[test]
fn a_whole_instance_can_be_terminated_or_a_scope_with_all_that_is_in_it() {
    let mut harness = Harness::with(&nested());
    let instance = harness.create("p", "{}");
    modify(&mut harness, instance, &[activate("d")], &[]).unwrap();
    let (outer, d) = (harness.key_of("outer"), harness.key_of("d"));
    modify(&mut harness, instance, &[], &[d, outer]).unwrap();
    assert_eq!(harness.active(), ["p", "a"]);
    modify(&mut harness, instance, &[], &[instance]).unwrap();
    harness.assert_clean();
}

#[test]
fn an_interrupted_scope_goes_on_with_what_is_activated_in_it() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .end()
        .event_sub_process(
            "handler",
            "begin",
            r#"<bpmn:timerEventDefinition id="t"><bpmn:timeDuration>PT1S</bpmn:timeDuration></bpmn:timerEventDefinition>"#,
            true,
        )
        .service_task("h", "h")
        .end()
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.advance(2_000);
    assert!(harness.happened("a TERMINATED"));
    modify(&mut harness, instance, &[activate("a")], &[]).unwrap();
    harness.work("a", "{}");
    assert!(!harness.happened("p COMPLETED"));
    harness.work("h", "{}");
    assert!(harness.happened("p COMPLETED"));
}

fn gateway_and_many() -> String {
    ProcessBuilder::new("p")
        .start_at("begin")
        .service_task("a", "a")
        .timer_boundary("boundary", "a", "timeDuration", "PT1H")
        .end_at("late")
        .move_to("a")
        .sub_process("many")
        .start()
        .service_task("one", "one")
        .end()
        .leave()
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .element("eventBasedGateway", "gateway", "")
        .timer_catch("soon", "PT1S")
        .end()
        .move_to("gateway")
        .timer_catch("later", "PT1H")
        .end()
        .xml()
}

#[test]
fn instructions_that_cannot_be_followed_are_refused_as_a_whole() {
    let mut harness = Harness::with(&gateway_and_many());
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    let other = harness.create("p", "{}");
    let other_a = harness.key_of("a");
    harness.cancel(other).unwrap();
    let other = harness.create("p", "{}");
    let not_supported = "is not supported. Supported element types are: [SUB_PROCESS,";
    let cases = [
        (
            vec![activate("y"), activate("x"), activate("y")],
            "activate instructions with an element that could not be found: 'y', 'x'".to_owned(),
        ),
        (
            vec![activate("begin"), activate("boundary"), activate("flow_begin_a_0")],
            format!(
                "activate instructions for elements that are unsupported: 'begin', 'boundary', 'flow_begin_a_0'. The activation \
                 of elements with type 'START_EVENT', 'BOUNDARY_EVENT', 'SEQUENCE_FLOW' {not_supported}"
            ),
        ),
        (
            vec![activate("begin"), activate("soon"), activate("later")],
            "activate instructions for elements that are unsupported: 'soon', 'later'. \
             The activation of events belonging to an event-based gateway is not supported."
                .to_owned(),
        ),
        (
            vec![activate("one")],
            "activate instructions that would result in the activation of multi-instance element 'many', which is currently \
             unsupported."
                .to_owned(),
        ),
        (
            vec![within("a", Key(99)), within("a", other_a), within("a", other)],
            format!("ancestor scope key that does not exist, or is not in an active state: '99', '{other_a}'"),
        ),
        (
            vec![within("a", other), within("a", a)],
            format!("ancestor scope key that does not belong to the modified process instance: '{other}'"),
        ),
        (
            vec![within("a", a), within("many", a), within("a", instance)],
            format!(
                "an ancestor scope key that is not an ancestor of the element to activate:\n\
                 - instance '{a}' of element 'a' is not an ancestor of element 'a'\n\
                 - instance '{a}' of element 'a' is not an ancestor of element 'many'"
            ),
        ),
        (
            vec![with("a", &[("many", "{}")])],
            "variable instructions with a scope element that doesn't belong to the activating element's flow scope. \
             These variables should be set before or after the modification."
                .to_owned(),
        ),
        (
            vec![with("a", &[("x", "{}"), ("many", "{}"), ("y", "{}")])],
            "variable instructions with a scope element id that could not be found: 'x', 'y'".to_owned(),
        ),
        (
            vec![with("a", &[("", "[]")])],
            "variable instructions that are invalid".to_owned(),
        ),
    ];
    let before = harness.trace();
    let mut check = |activations: &[ActivateInstruction], terminations: &[Key], expected: &str| {
        let answer = modify(&mut harness, instance, activations, terminations);
        let (kind, reason) = refusal(answer);
        assert_eq!(kind, RejectionType::InvalidArgument, "{reason}");
        let lead = "Expected to modify instance of process 'p' but it contains one or more";
        assert!(reason.starts_with(lead), "{reason}");
        assert!(reason.contains(expected), "{reason}");
    };
    for (mut activations, expected) in cases {
        activations.push(activate("a"));
        check(&activations, &[a], &expected);
    }
    check(
        &[],
        &[Key(98), a, Key(99)],
        "terminate instructions with an element instance that could not be found: '98', '99'",
    );
    assert_eq!(harness.trace(), before);
}

#[test]
fn what_is_repeated_gets_more_in_it_where_it_is_chosen_or_alone() {
    let mut harness = Harness::with(&gateway_and_many());
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    let repetition = harness.key_of("many");
    let (_, reason) = refusal(modify(&mut harness, instance, &[activate("one")], &[]));
    let expected = "a flow scope with more than one active instance: 'many'";
    assert!(reason.contains(expected), "{reason}");
    modify(&mut harness, instance, &[within("one", repetition)], &[]).unwrap();
    assert_eq!(harness.activate("one", 10).len(), 3);
    let body = harness.events(ProcessInstanceIntent::ElementActivating);
    let body = body.iter().find(|record| match &record.value {
        RecordValue::ProcessInstance(value) => value.element_id == "many",
        _ => false,
    });
    let body = body.unwrap().key;
    let (_, reason) = refusal(modify(&mut harness, instance, &[within("one", body)], &[]));
    let expected = "would result in the activation of multi-instance element 'many'";
    assert!(reason.contains(expected), "{reason}");
    modify(&mut harness, instance, &[], &[repetition]).unwrap();
    modify(&mut harness, instance, &[activate("one")], &[]).unwrap();
    assert_eq!(harness.count("one ACTIVATED"), 4);
}

#[test]
fn a_scope_that_cannot_wait_for_its_events_is_not_entered() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .sub_process("sub")
        .start()
        .service_task("b", "b")
        .end()
        .leave()
        .message_boundary("caught", "sub", "m", "=key")
        .end_at("end")
        .move_to("sub")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let records = harness.records.len();
    let instructions = [with("b", &[("", r#"{"x":1}"#)])];
    let (kind, reason) = refusal(modify(&mut harness, instance, &instructions, &[]));
    assert_eq!(kind, RejectionType::InvalidArgument);
    let expected = "Expected to subscribe to catch event(s) of 'sub' but ";
    assert!(reason.starts_with(expected), "{reason}");
    assert_eq!(
        harness.records.len(),
        records + 2,
        "the command and its rejection"
    );
    assert_eq!(harness.variables(instance), Vec::<String>::new());
    assert_eq!(harness.active(), ["p", "a"]);
    let instructions = [with("b", &[("", r#"{"key":"k"}"#)])];
    modify(&mut harness, instance, &instructions, &[]).unwrap();
    harness.publish("m", "k", "{}");
    assert!(harness.happened("sub TERMINATED"));
}

#[test]
fn only_process_instances_are_modified() {
    let mut harness = Harness::with(&nested());
    harness.create("p", "{}");
    let a = harness.key_of("a");
    for key in [Key(99), a] {
        let (kind, reason) = refusal(modify(&mut harness, key, &[], &[]));
        assert_eq!(kind, RejectionType::NotFound);
        let expected = format!(
            "Expected to modify process instance but no process instance found with key '{key}'"
        );
        assert_eq!(reason, expected);
    }
}

#[test]
fn repetitions_and_their_body_can_be_terminated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("many", "many")
        .multi_instance(false, r#"inputCollection="=[1,2,3]""#)
        .service_task("after", "after")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let last = harness.key_of("many");
    modify(&mut harness, instance, &[], &[last]).unwrap();
    let jobs = harness.activate("many", 10);
    assert_eq!(jobs.len(), 2);
    for (job, _) in jobs {
        harness.complete(job, "{}").unwrap();
    }
    harness.work("after", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_called_instance_cannot_be_emptied() {
    let caller = ProcessBuilder::new("caller")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="p"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&nested());
    harness.deploy(&caller);
    let root = harness.create("caller", "{}");
    let (a, called) = (harness.key_of("a"), harness.key_of("p"));
    let (kind, reason) = refusal(modify(&mut harness, called, &[], &[a]));
    assert_eq!(kind, RejectionType::InvalidArgument);
    assert_eq!(
        reason,
        "Expected to modify instance of process 'p' but the given instructions would terminate the instance. The instance was \
         created by a call activity in the parent process. To terminate this instance please modify the parent process instead."
    );
    modify(&mut harness, called, &[activate("b")], &[a]).unwrap();
    let call = harness.key_of("call");
    modify(&mut harness, root, &[], &[call]).unwrap();
    assert!(harness.happened("caller TERMINATED"));
    harness.assert_clean();
}
