//! Each rule: a process that breaks it, and where and how that is reported.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use skep_bpmn::{Reason, parse};

fn document(definitions: &str, process: &str) -> String {
    format!(
        "<b:definitions xmlns:b='http://www.omg.org/spec/BPMN/20100524/MODEL' \
         xmlns:z='http://camunda.org/schema/zeebe/1.0' id='all'>{definitions}\
         <b:process id='p' isExecutable='true'>{process}</b:process></b:definitions>"
    )
}

/// The problems, each as `place: message`.
fn problems(definitions: &str, process: &str) -> Vec<String> {
    match parse("test.bpmn", document(definitions, process).as_bytes()) {
        Ok(_) => Vec::new(),
        Err(rejection) => match rejection.reason {
            Reason::Invalid(problems) => problems
                .into_iter()
                .map(|problem| format!("{}: {}", problem.element, problem.message))
                .collect(),
            Reason::Unreadable(text) => panic!("unreadable: {text}"),
        },
    }
}

#[track_caller]
fn check(definitions: &str, process: &str, expected: &[&str]) {
    let found = problems(definitions, process);
    for text in expected {
        assert!(
            found.iter().any(|problem| problem.starts_with(text)),
            "no '{text}' in {found:#?}"
        );
    }
    assert_eq!(found.len(), expected.len(), "{found:#?}");
}

/// Checks processes that consist of a start event and the given elements.
#[track_caller]
fn check_all(definitions: &str, cases: &[(&str, &[&str])]) {
    for (elements, expected) in cases {
        check(
            definitions,
            &format!("<b:startEvent id='s'/>{elements}"),
            expected,
        );
    }
}

const MESSAGES: &str = "<b:message id='m' name='m'><b:extensionElements>\
    <z:subscription correlationKey='=k'/></b:extensionElements></b:message>\
    <b:message id='unkeyed' name='n'/><b:message id='unnamed'/>\
    <b:message id='fixed' name='f'><b:extensionElements><z:subscription correlationKey='k'/>\
    </b:extensionElements></b:message><b:signal id='sig' name='s'/><b:signal id='nosig'/>\
    <b:error id='e' errorCode='E'/><b:error id='nocode'/><b:error id='computed' errorCode='=x'/>\
    <b:escalation id='esc' escalationCode='C'/>";

#[test]
fn names_must_fit_into_keys() {
    let task = |id: &str, target: &str| {
        format!(
            "<b:startEvent id='s'/><b:serviceTask id='{id}'><b:extensionElements><z:taskDefinition type='t'/>\
             <z:ioMapping><z:input source='=1' target='{target}'/></z:ioMapping></b:extensionElements></b:serviceTask>"
        )
    };
    let (longest, too_long) = ("x".repeat(4096), "y".repeat(4097));
    check("", &task(&longest, &longest), &[]);
    check("", &task(&too_long, "a"), &["y"]);
    let target = "the attribute 'target' has 4097 bytes, at most 4096 are possible";
    let found = problems("", &task("task", &too_long));
    assert_eq!(found.len(), 1);
    assert!(
        found[0].starts_with("task") && found[0].ends_with(target),
        "{found:?}"
    );
}

#[test]
fn ids_and_references_must_be_there() {
    check_all(
        "",
        &[
            ("<b:task/>", &["p > task: the attribute 'id' is required"]),
            ("<b:task id='s'/>", &["s: the id is not unique"]),
            (
                "<b:sequenceFlow id='f' sourceRef='s'/>",
                &["f: the attribute 'targetRef' is required"],
            ),
            (
                "<b:sequenceFlow id='f' sourceRef='s' targetRef='gone'/>",
                &["f: 'targetRef' refers to 'gone', which is no flow node"],
            ),
            (
                "<b:sequenceFlow id='f' sourceRef='s' targetRef='p'/>",
                &["f: 'targetRef' refers to 'p'"],
            ),
            (
                "<b:boundaryEvent id='x'/>",
                &["x: Must be attached to an activity"],
            ),
            (
                "<b:boundaryEvent id='x' attachedToRef='y'/>",
                &["x: Must be attached to an activity"],
            ),
            (
                "<b:subProcess id='u'><b:startEvent id='i'/></b:subProcess>\
             <b:sequenceFlow id='f' sourceRef='s' targetRef='i'/>",
                &["f: must not cross the border"],
            ),
            (
                "<b:nonsense id='x'/>",
                &["x: is no element that BPMN knows"],
            ),
            (
                "<b:transaction id='x'/>",
                &["x: Elements of type 'transaction' are not supported"],
            ),
        ],
    );
}

#[test]
fn scopes_begin_properly() {
    check("", "", &["p: Must have at least one start event"]);
    check(
        "",
        "<b:startEvent id='s'/><b:startEvent id='t'/>",
        &["p: Multiple none start events"],
    );
    check(
        MESSAGES,
        "<b:startEvent id='s'><b:errorEventDefinition errorRef='e'/></b:startEvent>",
        &["s: Start events of a process must be one of"],
    );
    check_all(
        "",
        &[
            (
                "<b:subProcess id='u'/>",
                &["u: Must have exactly one start event"],
            ),
            (
                "<b:subProcess id='u' triggeredByEvent='true'><b:startEvent id='i'/></b:subProcess>",
                &["u: Start events in event subprocesses must be one of"],
            ),
        ],
    );
}

#[test]
fn events_have_the_definitions_that_fit() {
    let boundary = |attributes: &str, definition: &str| {
        format!(
            "<b:task id='t'/><b:task id='n'/><b:boundaryEvent id='x' attachedToRef='t' {attributes}>\
             {definition}</b:boundaryEvent><b:sequenceFlow id='f' sourceRef='x' targetRef='n'/>"
        )
    };
    let cycle =
        "<b:timerEventDefinition><b:timeCycle>R/PT1S</b:timeCycle></b:timerEventDefinition>";
    check_all(
        MESSAGES,
        &[
            (
                "<b:intermediateCatchEvent id='c'/>",
                &["c: Must have exactly one event definition"],
            ),
            (
                "<b:intermediateCatchEvent id='c'><b:terminateEventDefinition/></b:intermediateCatchEvent>",
                &["c: Event definition must be one of: message, timer, signal, link"],
            ),
            (
                "<b:intermediateCatchEvent id='c'><b:conditionalEventDefinition/></b:intermediateCatchEvent>",
                &["c: Event definition must be one of"],
            ),
            (
                "<b:intermediateCatchEvent id='c'><b:timerEventDefinition/></b:intermediateCatchEvent>",
                &["c > timerEventDefinition: Must be exactly one type of timer"],
            ),
            (
                &boundary("", cycle),
                &["x: Interrupting timer event with time cycle is not allowed"],
            ),
            (&boundary("cancelActivity='false'", cycle), &[]),
            (&boundary("", "<b:errorEventDefinition errorRef='e'/>"), &[]),
            (
                "<b:task id='t'/><b:boundaryEvent id='x' attachedToRef='t'><b:errorEventDefinition/>\
             </b:boundaryEvent>",
                &["x: Must have at least one outgoing sequence flow"],
            ),
            (
                "<b:endEvent id='x'/><b:task id='t'/><b:sequenceFlow id='f' sourceRef='x' targetRef='t'/>",
                &["x: End events must not have outgoing sequence flows"],
            ),
            (
                "<b:intermediateThrowEvent id='x'><b:linkEventDefinition name='l'/></b:intermediateThrowEvent>",
                &["x: There is no intermediate catch link event for the link 'l'"],
            ),
            (
                "<b:intermediateThrowEvent id='x'><b:compensateEventDefinition waitForCompletion='false'/>\
             </b:intermediateThrowEvent>",
                &["x > compensateEventDefinition: A compensation event that does not wait"],
            ),
        ],
    );
}

#[test]
fn what_is_referred_to_is_complete() {
    let catch = |definition: &str| {
        format!("<b:intermediateCatchEvent id='c'>{definition}</b:intermediateCatchEvent>")
    };
    let end = |definition: &str| format!("<b:endEvent id='x'>{definition}</b:endEvent>");
    check_all(
        MESSAGES,
        &[
            (&catch("<b:messageEventDefinition messageRef='m'/>"), &[]),
            (&catch("<b:messageEventDefinition messageRef='q:m'/>"), &[]),
            (
                &catch("<b:messageEventDefinition/>"),
                &["c > messageEventDefinition: Must reference a message"],
            ),
            (
                &catch("<b:messageEventDefinition messageRef='unkeyed'/>"),
                &["unkeyed: Must have exactly one 'zeebe:subscription' extension element"],
            ),
            (
                &catch("<b:messageEventDefinition messageRef='fixed'/>"),
                &[
                    "fixed > extensionElements > subscription: Expected expression for 'correlationKey'",
                ],
            ),
            (
                "<b:receiveTask id='r' messageRef='unnamed'/>",
                &[
                    "unnamed: Attribute 'name' must",
                    "unnamed: Must have exactly one 'zeebe:subscription'",
                ],
            ),
            ("<b:receiveTask id='r'/>", &["r: Must reference a message"]),
            (
                &catch("<b:signalEventDefinition signalRef='nosig'/>"),
                &["nosig: Attribute 'name' must be present"],
            ),
            (
                &end("<b:errorEventDefinition/>"),
                &["x > errorEventDefinition: Must reference an error"],
            ),
            (
                &end("<b:errorEventDefinition errorRef='nocode'/>"),
                &["nocode: Attribute 'errorCode' must be present"],
            ),
            (&end("<b:errorEventDefinition errorRef='computed'/>"), &[]),
            (
                &end("<b:escalationEventDefinition escalationRef='esc'/>"),
                &[],
            ),
            (
                &end("<b:messageEventDefinition/>"),
                &["x: Must have exactly one 'zeebe:taskDefinition' extension element"],
            ),
        ],
    );
    let start =
        "<b:startEvent id='one'><b:messageEventDefinition messageRef='unkeyed'/></b:startEvent>";
    check(MESSAGES, start, &[]);
    let twice = format!("{start}{}", start.replace("one", "two"));
    check(
        MESSAGES,
        &twice,
        &["two: Multiple start events with the same message 'n'"],
    );
}

#[test]
fn tasks_say_how_they_are_done() {
    let with = |tag: &str, extensions: &str| {
        format!("<b:{tag} id='t'><b:extensionElements>{extensions}</b:extensionElements></b:{tag}>")
    };
    let job = "<z:taskDefinition type='j'/>";
    let twice = format!("{job}{job}");
    let header =
        "<z:taskHeaders><z:header key='a' value='1'/><z:header key='a' value='2'/></z:taskHeaders>";
    check_all(
        "",
        &[
            (
                "<b:serviceTask id='t'/>",
                &["t: Must have exactly one 'zeebe:taskDefinition'"],
            ),
            (
                &with("sendTask", &twice),
                &["t: Must have exactly one 'zeebe:taskDefinition'"],
            ),
            (
                &with("serviceTask", "<z:taskDefinition type='' retries=''/>"),
                &[
                    "t > extensionElements > taskDefinition: Attribute 'type'",
                    "t > extensionElements > taskDefinition: Attribute 'retries'",
                ],
            ),
            (
                &with("serviceTask", &format!("{job}{header}")),
                &["t > extensionElements > taskHeaders > header: Header key 'a' is not unique"],
            ),
            (
                &with("businessRuleTask", ""),
                &["t: Must have either one 'zeebe:calledDecision' or one 'zeebe:taskDefinition'"],
            ),
            (
                &with(
                    "callActivity",
                    "<z:calledElement processId='x' bindingType='newest'/>",
                ),
                &["t > extensionElements > calledElement: Attribute 'bindingType' must be one of"],
            ),
            (
                &with("userTask", "<z:formDefinition formKey='a' formId='b'/>"),
                &["t > extensionElements > formDefinition: Exactly one of the attributes"],
            ),
            (
                &with("userTask", "<z:userTask/><z:formDefinition formKey='a'/>"),
                &["t > extensionElements > formDefinition: A user task with the extension element"],
            ),
            (
                &with(
                    "userTask",
                    "<z:assignmentDefinition candidateGroups='a,,b'/>",
                ),
                &["t > extensionElements > assignmentDefinition: Expected static value"],
            ),
            (
                &with("userTask", "<z:taskSchedule dueDate='soon'/>"),
                &["t > extensionElements > taskSchedule: Attribute 'dueDate' is invalid"],
            ),
            (
                &with("userTask", "<z:priorityDefinition priority='101'/>"),
                &["t > extensionElements > priorityDefinition: Attribute 'priority'"],
            ),
            (
                &with(
                    "userTask",
                    "<z:priorityDefinition priority='100'/><z:unknown/>",
                ),
                &[],
            ),
            (
                &with(
                    "task",
                    "<z:executionListeners><z:executionListener eventType='now' type='l'/></z:executionListeners>",
                ),
                &[
                    "t > extensionElements > executionListeners > executionListener: Attribute 'eventType'",
                ],
            ),
        ],
    );
}

#[test]
fn mapping_targets_are_paths() {
    let mapping = |target: &str| {
        format!(
            "<b:task id='t'><b:extensionElements><z:ioMapping><z:input source='=a' target='{target}'/>\
             </z:ioMapping></b:extensionElements></b:task>"
        )
    };
    let place = "t > extensionElements > ioMapping > input: ";
    for target in ["a", "_a.b1", "größe"] {
        check_all("", &[(&mapping(target), &[])]);
    }
    for (target, text) in [
        ("", "Attribute 'target' must be present"),
        ("a b", "Expected path expression"),
        ("a..b", "Expected path expression"),
        ("1a", "Expected path expression"),
        ("=a", "Expected path expression"),
        (
            "a.null",
            "Expected path expression for 'target' but 'null' is one of the reserved words",
        ),
    ] {
        check_all("", &[(&mapping(target), &[&format!("{place}{text}")])]);
    }
}

#[test]
fn expressions_and_times_are_read_at_deployment() {
    check_all(
        "",
        &[
            (
                "<b:serviceTask id='t'><b:extensionElements><z:taskDefinition type='=1 +' retries='=('/>\
             </b:extensionElements></b:serviceTask>",
                &[
                    "t > extensionElements > taskDefinition: type: failed to parse expression '1 +'",
                    "t > extensionElements > taskDefinition: retries: failed to parse expression '('",
                ],
            ),
            (
                "<b:intermediateCatchEvent id='c'><b:timerEventDefinition><b:timeDate>now</b:timeDate>\
             </b:timerEventDefinition></b:intermediateCatchEvent>",
                &[
                    "c > timerEventDefinition > timeDate: Invalid timer date expression ('now' is no date",
                ],
            ),
        ],
    );
    let start = "<b:startEvent id='s'><b:timerEventDefinition><b:timeCycle>=cycle(x)</b:timeCycle>\
        </b:timerEventDefinition></b:startEvent>";
    check(
        "",
        start,
        &["s: the expression 'cycle(x)' of a start event must not use variables"],
    );
}

#[test]
fn loops_in_which_nothing_waits_are_refused() {
    let task = |tag: &str, inside: &str| {
        format!(
            "<b:exclusiveGateway id='g' default='back'/><b:{tag} id='t'>{inside}</b:{tag}>\
             <b:sequenceFlow id='f1' sourceRef='s' targetRef='g'/>\
             <b:sequenceFlow id='f2' sourceRef='g' targetRef='t'/>\
             <b:sequenceFlow id='f3' sourceRef='t' targetRef='g'/>"
        )
    };
    let gateway = task("manualTask", "").replace(" default='back'", "");
    check_all(
        "",
        &[
            (
                &gateway,
                &[
                    "p: Processes are not allowed to contain a straight-through processing loop: t > g > t",
                ],
            ),
            (
                &task("exclusiveGateway", "").replace(" default='back'", ""),
                &[],
            ),
        ],
    );
    let itself = "<b:callActivity id='c'><b:extensionElements><z:calledElement processId='p'/>\
        </b:extensionElements></b:callActivity><b:sequenceFlow id='f' sourceRef='s' targetRef='c'/>";
    check_all(
        "",
        &[(
            itself,
            &[
                "p: Processes are not allowed to contain a straight-through processing loop: c > s > c",
            ],
        )],
    );
    let waits = itself.replace("processId='p'", "processId='other'");
    check_all("", &[(&waits, &[])]);
}

#[test]
fn a_resource_needs_an_executable_process_and_skips_the_others() {
    let xml = document(
        "<b:process id='q'><b:nonsense/></b:process>",
        "<b:startEvent id='s'/>",
    );
    let processes = parse("test.bpmn", xml.as_bytes()).unwrap();
    assert_eq!(processes.len(), 1);
    let none = xml.replace("isExecutable='true'", "");
    let text = parse("test.bpmn", none.as_bytes()).unwrap_err().to_string();
    let expected =
        "'test.bpmn': \n- Element: all\n    - ERROR: Must contain at least one executable process";
    assert_eq!(text, expected);
}

#[test]
fn only_activities_are_repeated() {
    let repeated = "<b:multiInstanceLoopCharacteristics><b:extensionElements>\
        <z:loopCharacteristics inputCollection='=x'/></b:extensionElements></b:multiInstanceLoopCharacteristics>";
    let gateway = format!("<b:exclusiveGateway id='g'>{repeated}</b:exclusiveGateway>");
    let process = format!("<b:startEvent id='s'/>{repeated}");
    let task = format!("<b:startEvent id='s'/><b:manualTask id='t'>{repeated}</b:manualTask>");
    check_all(
        "",
        &[(&gateway, &["g: Only activities can be multi-instance"])],
    );
    check("", &process, &["p: Only activities can be multi-instance"]);
    check("", &task, &[]);
}

#[test]
fn listeners_are_refused_where_they_would_never_be_done() {
    let listening = |events: &[&str]| {
        let listeners: String = events
            .iter()
            .map(|event| format!("<z:executionListener eventType='{event}' type='l'/>"))
            .collect();
        format!("<z:executionListeners>{listeners}</z:executionListeners>")
    };
    let extended = |events: &[&str]| {
        let listeners = listening(events);
        format!("<b:extensionElements>{listeners}</b:extensionElements>")
    };
    let task = "<b:serviceTask id='t'><b:extensionElements><z:taskDefinition type='t'/></b:extensionElements></b:serviceTask>";
    let with = |id: &str, tag: &str, attributes: &str, inside: &str, events: &[&str]| {
        let extensions = extended(events);
        format!(
            "<b:startEvent id='s'/>{task}<b:{tag} id='{id}' {attributes}>{extensions}{inside}</b:{tag}>"
        )
    };
    let timer =
        "<b:timerEventDefinition><b:timeDuration>PT1S</b:timeDuration></b:timerEventDefinition>";
    let error = "<b:errorEventDefinition errorRef='e'/>";
    let attached = "attachedToRef='t'";
    let (no_start, no_end) = (
        "x: Execution listeners of type 'start' are not supported by this element",
        "x: Execution listeners of type 'end' are not supported by this element",
    );
    let on_start =
        |events: &[&str]| format!("<b:startEvent id='x'>{}</b:startEvent>", extended(events));
    check("", &on_start(&["start"]), &[no_start]);
    check("", &on_start(&["end"]), &[]);
    let flow = |boundary: &str| {
        format!(
            "{boundary}<b:endEvent id='n'/><b:sequenceFlow id='f' sourceRef='x' targetRef='n'/>"
        )
    };
    let boundary = |events: &[&str]| flow(&with("x", "boundaryEvent", attached, timer, events));
    check("", &boundary(&["start"]), &[no_start]);
    check("", &boundary(&["end"]), &[]);
    for gateway in ["exclusiveGateway", "parallelGateway", "inclusiveGateway"] {
        check("", &with("x", gateway, "", "", &["end"]), &[no_end]);
        check("", &with("x", gateway, "", "", &["start"]), &[]);
    }
    check(
        MESSAGES,
        &with("x", "endEvent", "", error, &["end"]),
        &[no_end],
    );
    check(MESSAGES, &with("x", "endEvent", "", error, &["start"]), &[]);
    let twice =
        "x: Multiple execution listeners with the same event type and job type 'l' are not allowed";
    check(
        "",
        &with("x", "manualTask", "", "", &["end", "end"]),
        &[twice],
    );
    check("", &with("x", "manualTask", "", "", &["start", "end"]), &[]);
}
