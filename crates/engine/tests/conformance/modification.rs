//! Modifying process instances.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{
    Command, IncidentIntent, JobIntent, Key, ProcessInstanceModificationIntent, RecordValue,
    RejectionType, ResponseResult, TimerIntent, values,
};

use crate::harness::Harness;

fn activate(element: &str) -> values::ActivateInstruction {
    values::ActivateInstruction {
        element_id: element.to_owned(),
        ..Default::default()
    }
}

fn activate_in(element: &str, ancestor: Key) -> values::ActivateInstruction {
    values::ActivateInstruction {
        ancestor_scope_key: ancestor.0,
        ..activate(element)
    }
}

fn with_variables(
    mut instruction: values::ActivateInstruction,
    variables: &str,
    scope: &str,
) -> values::ActivateInstruction {
    let variables = values::VariableInstruction {
        variables: variables.to_owned(),
        element_id: scope.to_owned(),
    };
    instruction.variable_instructions.push(variables);
    instruction
}

fn modify(
    harness: &mut Harness,
    instance: Key,
    activate: Vec<values::ActivateInstruction>,
    terminate: &[Key],
) -> ResponseResult {
    let terminate = terminate.iter().map(|key| values::TerminateInstruction {
        element_instance_key: key.0,
    });
    let value = values::ProcessInstanceModification {
        process_instance_key: instance.0,
        activate_instructions: activate,
        terminate_instructions: terminate.collect(),
    };
    let intent = ProcessInstanceModificationIntent::Modify;
    harness.ask(Command::new(instance, intent, value))
}

fn refused(
    harness: &mut Harness,
    instance: Key,
    activate: Vec<values::ActivateInstruction>,
    terminate: &[Key],
) -> String {
    let records = harness.records.len();
    let rejection = modify(harness, instance, activate, terminate).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidArgument);
    assert_eq!(
        harness.records.len(),
        records + 2,
        "a refused modification does nothing"
    );
    rejection.reason
}

fn two_tasks() -> Harness {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .service_task("b", "b")
        .end()
        .xml();
    Harness::with(&xml)
}

/// `a`, then a sub-process `outer` with `inner` in it with `b` in it.
fn nested() -> Harness {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .sub_process("outer")
        .start()
        .service_task("o", "o")
        .sub_process("inner")
        .start()
        .service_task("b", "b")
        .leave()
        .leave()
        .end()
        .xml();
    Harness::with(&xml)
}

#[test]
fn a_token_is_moved_with_variables_for_the_instance_and_the_element() {
    let mut harness = two_tasks();
    let instance = harness.create("p", "{}");
    let job = harness.job("a");
    let instruction = with_variables(activate("b"), r#"{"g":1}"#, "");
    let instruction = with_variables(instruction, r#"{"l":2}"#, "b");
    let a = harness.key_of("a");
    let answer = modify(&mut harness, instance, vec![instruction], &[a]).unwrap();
    let RecordValue::ProcessInstanceModification(modified) = answer.value else {
        panic!("{answer:?}")
    };
    let b = harness.key_of("b");
    assert_eq!(
        modified.activate_instructions[0].ancestor_scope_keys,
        [instance.0, b.0]
    );
    assert_eq!(harness.variables(instance), ["g=1"]);
    assert_eq!(harness.variables(b), ["l=2"]);
    assert_eq!(harness.events(JobIntent::Canceled)[0].key, job);
    assert!(harness.happened("a TERMINATED"));
    harness.work("b", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn variables_are_there_before_the_element_begins() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .service_task("b", "=type")
        .timer_boundary("late", "b", "timeDuration", "=due")
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let instruction = with_variables(activate("b"), r#"{"type":"x","due":"PT1M"}"#, "p");
    let a = harness.key_of("a");
    modify(&mut harness, instance, vec![instruction], &[a]).unwrap();
    assert!(harness.incidents().is_empty());
    assert_eq!(harness.events(TimerIntent::Created).len(), 1);
    harness.advance(60_000);
    assert!(harness.happened("late COMPLETED"));
    harness.assert_clean();
}

#[test]
fn scopes_that_are_not_there_begin_without_their_start_events_and_once() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    let first = with_variables(activate("b"), r#"{"x":1}"#, "inner");
    modify(&mut harness, instance, vec![first, activate("b")], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
    assert_eq!(harness.count("inner ACTIVATED"), 1);
    assert_eq!(harness.count("b ACTIVATED"), 2);
    assert!(!harness.happened("o ACTIVATED"));
    assert_eq!(harness.variables(harness.key_of("inner")), ["x=1"]);
    // What is there is used.
    modify(&mut harness, instance, vec![activate("o")], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 1);
}

#[test]
fn with_several_instances_of_a_scope_one_must_be_chosen() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    let apart = || activate_in("o", instance);
    modify(&mut harness, instance, vec![apart(), apart()], &[]).unwrap();
    assert_eq!(harness.count("outer ACTIVATED"), 2);
    let reason = refused(&mut harness, instance, vec![activate("b")], &[]);
    assert_eq!(
        reason,
        "Expected to modify instance of process 'p' but it contains one or more activate instructions for an element that \
         has a flow scope with more than one active instance: 'b'. Can't decide in which instance of the flow scope the \
         element should be activated. Please specify an ancestor element instance key for this activate instruction."
    );
    let chosen = harness.key_of("outer");
    modify(&mut harness, instance, vec![activate_in("b", chosen)], &[]).unwrap();
    let RecordValue::ProcessInstance(inner) = &harness
        .events(skep_protocol::ProcessInstanceIntent::ElementActivated)
        .into_iter()
        .find(|record| record.key == harness.key_of("inner"))
        .unwrap()
        .value
    else {
        panic!("a process instance")
    };
    assert_eq!(inner.flow_scope_key, chosen.0);
}

#[test]
fn scopes_left_empty_are_terminated_up_to_the_instance() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("o", "{}");
    let b = harness.key_of("b");
    modify(&mut harness, instance, vec![], &[b]).unwrap();
    let trace = harness.trace();
    let ended: Vec<_> = trace
        .iter()
        .filter(|event| event.ends_with(" TERMINATED"))
        .collect();
    assert_eq!(
        ended,
        [
            "b TERMINATED",
            "inner TERMINATED",
            "outer TERMINATED",
            "p TERMINATED"
        ]
    );
    harness.assert_clean();
}

#[test]
fn a_scope_into_which_a_token_moves_stays() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    let o = harness.key_of("o");
    modify(&mut harness, instance, vec![activate("b")], &[o]).unwrap();
    assert!(!harness.happened("outer TERMINATED"));
    harness.work("b", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_whole_scope_is_terminated_with_what_is_in_it() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    harness.work("a", "{}");
    harness.work("o", "{}");
    let keys = [harness.key_of("outer"), harness.key_of("b")];
    modify(&mut harness, instance, vec![activate("a")], &keys).unwrap();
    assert_eq!(harness.count("b TERMINATED"), 1);
    assert!(harness.happened("outer TERMINATED"));
    assert!(!harness.happened("p TERMINATED"));
    harness.cancel(instance).unwrap();
    harness.assert_clean();
}

#[test]
fn the_instance_itself_can_be_terminated() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    modify(&mut harness, instance, vec![], &[instance]).unwrap();
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}

#[test]
fn an_incident_goes_with_its_element() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "=missing")
        .service_task("b", "b")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    modify(&mut harness, instance, vec![activate("b")], &[a]).unwrap();
    assert_eq!(harness.events(IncidentIntent::Resolved).len(), 1);
    harness.work("b", "{}");
    harness.assert_clean();
}

#[test]
fn a_join_begins_without_its_tokens_and_leaves_those_of_others() {
    let xml = ProcessBuilder::new("p")
        .start()
        .parallel_gateway("fork")
        .service_task("a", "a")
        .parallel_gateway("join")
        .service_task("c", "c")
        .end()
        .move_to("fork")
        .service_task("b", "b")
        .connect_to("join")
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let (a, b) = (harness.key_of("a"), harness.key_of("b"));
    modify(&mut harness, instance, vec![activate("join")], &[a, b]).unwrap();
    harness.work("c", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_scope_that_an_event_interrupted_takes_elements_again() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("a", "a")
        .end()
        .event_sub_process(
            "handler",
            "interrupt",
            "<bpmn:timerEventDefinition><bpmn:timeDuration>PT1M</bpmn:timeDuration></bpmn:timerEventDefinition>",
            true,
        )
        .service_task("h", "h")
        .leave()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    harness.advance(60_000);
    assert!(harness.happened("h ACTIVATED"));
    modify(&mut harness, instance, vec![activate("a")], &[]).unwrap();
    harness.work("a", "{}");
    harness.work("h", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn a_called_instance_is_terminated_with_its_call_and_not_on_its_own() {
    let child = ProcessBuilder::new("child")
        .start()
        .service_task("work", "work")
        .end()
        .xml();
    let parent = ProcessBuilder::new("p")
        .start()
        .element("callActivity", "call", "")
        .extension(r#"<zeebe:calledElement processId="child"/>"#)
        .end()
        .xml();
    let mut harness = Harness::with(&child);
    harness.deploy(&parent);
    let instance = harness.create("p", "{}");
    let (called, work) = (harness.key_of("child"), harness.key_of("work"));
    for key in [called, work] {
        let reason = refused(&mut harness, called, vec![], &[key]);
        assert!(
            reason.ends_with("please modify the parent process instead."),
            "{reason}"
        );
    }
    modify(&mut harness, called, vec![activate("work")], &[work]).unwrap();
    let call = harness.key_of("call");
    modify(&mut harness, instance, vec![], &[call]).unwrap();
    assert!(harness.happened("child TERMINATED"));
    assert!(harness.happened("p TERMINATED"));
    harness.assert_clean();
}

#[test]
fn one_repetition_of_many_can_be_terminated() {
    let xml = ProcessBuilder::new("p")
        .start()
        .service_task("each", "each")
        .multi_instance(false, r#"inputCollection="=[1,2]""#)
        .end()
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let last = harness.key_of("each");
    modify(&mut harness, instance, vec![], &[last]).unwrap();
    assert_eq!(harness.count("each TERMINATED"), 1);
    harness.work("each", "{}");
    assert!(harness.happened("p COMPLETED"));
    harness.assert_clean();
}

#[test]
fn what_is_no_running_instance_is_not_found() {
    let mut harness = two_tasks();
    let instance = harness.create("p", "{}");
    let element = harness.key_of("a");
    harness.cancel(instance).unwrap();
    for key in [instance, element, Key(5)] {
        let rejection = modify(&mut harness, key, vec![activate("a")], &[]).unwrap_err();
        assert_eq!(rejection.rejection_type, RejectionType::NotFound);
        let expected = format!(
            "Expected to modify process instance but no process instance found with key '{key}'"
        );
        assert_eq!(rejection.reason, expected);
    }
}

#[test]
fn what_cannot_begin_or_end_is_refused_by_name() {
    let xml = ProcessBuilder::new("p")
        .start_at("start")
        .service_task("a", "a")
        .timer_boundary("late", "a", "timeDuration", "PT1H")
        .end()
        .move_to("a")
        .sub_process("many")
        .start()
        .service_task("each", "each")
        .leave()
        .multi_instance(false, r#"inputCollection="=[1]""#)
        .xml();
    let mut harness = Harness::with(&xml);
    let instance = harness.create("p", "{}");
    let lead = "Expected to modify instance of process 'p' but it contains one or more";
    let reason = refused(
        &mut harness,
        instance,
        vec![activate("no"), activate("nor")],
        &[],
    );
    assert_eq!(
        reason,
        format!(
            "{lead} activate instructions with an element that could not be found: 'no', 'nor'"
        )
    );
    for (element, why) in [
        ("start", "elements with type 'START_EVENT'"),
        ("late", "elements with type 'BOUNDARY_EVENT'"),
        ("p", "elements with type 'PROCESS'"),
        ("each", "elements inside a multi-instance subprocess"),
    ] {
        let reason = refused(&mut harness, instance, vec![activate(element)], &[]);
        let expected = format!(
            "{lead} activate instructions for elements that are unsupported: '{element}'. \
             The activation of {why} is not supported."
        );
        assert_eq!(reason, expected);
    }
    let reason = refused(&mut harness, instance, vec![], &[Key(77)]);
    assert_eq!(
        reason,
        format!(
            "{lead} terminate instructions with an element instance that could not be found: '77'"
        )
    );
    let other = harness.create("p", "{}");
    let reason = refused(&mut harness, instance, vec![], &[other]);
    assert!(reason.contains(&other.to_string()), "{reason}");
}

#[test]
fn ancestors_and_scopes_of_variables_must_be_around_the_element() {
    let mut harness = nested();
    let instance = harness.create("p", "{}");
    let a = harness.key_of("a");
    let other = harness.create("p", "{}");
    for (ancestor, why) in [
        (
            Key(77),
            "does not exist, or is not in an active state: '77'".to_owned(),
        ),
        (
            other,
            format!("does not belong to the modified process instance: '{other}'"),
        ),
        (
            a,
            format!(
                "is not an ancestor of the element to activate: 'instance '{a}' of element 'a' is not an ancestor of element 'b''"
            ),
        ),
    ] {
        let reason = refused(
            &mut harness,
            instance,
            vec![activate_in("b", ancestor)],
            &[],
        );
        assert!(reason.ends_with(&why), "{reason}");
    }
    let unknown = with_variables(activate("a"), r#"{"x":1}"#, "no");
    let reason = refused(&mut harness, instance, vec![unknown], &[]);
    assert!(
        reason.ends_with("with a scope element id that could not be found: 'no'"),
        "{reason}"
    );
    let outside = with_variables(activate("a"), r#"{"x":1}"#, "inner");
    let reason = refused(&mut harness, instance, vec![outside], &[]);
    assert!(
        reason.contains("doesn't belong to the activating element's flow scope: 'inner'"),
        "{reason}"
    );
}
