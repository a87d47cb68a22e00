//! Every place where an expression of a process can fail: the incident keeps the instance as it was, comes again if it is resolved with
//! nothing mended, goes away once the variable is there, and ends with the instance if that is cancelled. In every kind of scope.

use skep_bpmn::builder::ProcessBuilder;
use skep_protocol::{JobIntent, Key, values};

use crate::harness::Harness;
use crate::helpers::broadcast;

/// Fails until there is a variable of the name.
const FIX: &str = "=assert(fix, fix != null)";
const DEFINITIONS: &str = r#"<bpmn:error id="error" errorCode="E"/>
    <bpmn:error id="computed-error" errorCode="=assert(fix, fix != null)"/>
    <bpmn:escalation id="escalation" escalationCode="C"/>
    <bpmn:escalation id="computed-escalation" escalationCode="=assert(fix, fix != null)"/>
    <bpmn:signal id="signal" name="alarm"/>
    <bpmn:signal id="computed-signal" name="=assert(fix, fix != null)"/>
    <bpmn:message id="knock" name="knock"><bpmn:extensionElements>
    <zeebe:subscription correlationKey="=key"/></bpmn:extensionElements></bpmn:message>"#;

const ERROR: &str = r#"<bpmn:errorEventDefinition errorRef="error"/>"#;
const ESCALATION: &str = r#"<bpmn:escalationEventDefinition escalationRef="escalation"/>"#;
const SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="signal"/>"#;
const COMPUTED_SIGNAL: &str = r#"<bpmn:signalEventDefinition signalRef="computed-signal"/>"#;
const MESSAGE: &str = r#"<bpmn:messageEventDefinition messageRef="knock"/>"#;
const COMPENSATE: &str = "<bpmn:compensateEventDefinition/>";

type Part = fn(ProcessBuilder) -> ProcessBuilder;

/// A part of a process that fails in one place, and what it needs the variable to be.
struct Place {
    name: &'static str,
    fix: &'static str,
    part: Part,
}

const fn place(name: &'static str, fix: &'static str, part: Part) -> Place {
    Place { name, fix, part }
}

fn timer(kind: &str) -> String {
    format!(
        "<bpmn:timerEventDefinition><bpmn:{kind}>{FIX}</bpmn:{kind}></bpmn:timerEventDefinition>"
    )
}

fn soon() -> String {
    timer("timeDuration").replace(FIX, "PT1S")
}

fn listener(event: &str, job_type: &str, retries: &str) -> String {
    format!(
        "<zeebe:executionListeners><zeebe:executionListener eventType=\"{event}\" type=\"{job_type}\" \
         retries=\"{retries}\"/></zeebe:executionListeners>"
    )
}

fn user_task(builder: ProcessBuilder, extension: &str) -> ProcessBuilder {
    builder.element("userTask", "task", "").extension(extension)
}

fn call(builder: ProcessBuilder, process: &str) -> ProcessBuilder {
    let called = format!("<zeebe:calledElement processId=\"{process}\"/>");
    builder
        .element("callActivity", "call", "")
        .extension(&called)
}

/// The type of a job that lasts until it is interrupted, or throws an error if that is what is waited for.
fn hanging(definition: &str) -> &'static str {
    if definition == ERROR {
        "throws"
    } else {
        "hangs"
    }
}

/// A task with a boundary event of a kind that fails in its output mapping.
fn bordered(builder: ProcessBuilder, definition: &str, interrupting: bool) -> ProcessBuilder {
    builder
        .service_task("task", hanging(definition))
        .exclusive_gateway("merge")
        .boundary("event", "task", definition)
        .attribute("cancelActivity", &interrupting.to_string())
        .output(FIX, "out")
        .exclusive_gateway("beside")
        .end()
        .move_to("merge")
}

/// A sub-process whose event sub-process fails where the part says.
fn watched(
    builder: ProcessBuilder,
    definition: &str,
    interrupting: bool,
    part: Part,
) -> ProcessBuilder {
    let builder = builder
        .sub_process("inner")
        .start()
        .service_task("hanging", hanging(definition))
        .end()
        .event_sub_process("beside", "beside-start", definition, interrupting);
    part(builder).end().leave().leave()
}

const PLACES: &[Place] = &[
    place("input of a task", "1", |b| {
        b.service_task("task", "work").input(FIX, "x")
    }),
    place("output of a task", "1", |b| {
        b.service_task("task", "work").output(FIX, "x")
    }),
    place("job type", "\"work\"", |b| b.service_task("task", FIX)),
    place("retries", "2", |b| {
        b.service_task_with_retries("task", "work", FIX)
    }),
    place("message throw event", "\"work\"", |b| {
        let message = "<bpmn:messageEventDefinition/>";
        b.element("intermediateThrowEvent", "throw", message)
            .extension(&format!("<zeebe:taskDefinition type=\"{FIX}\"/>"))
    }),
    place("output of a none throw event", "1", |b| {
        b.element("intermediateThrowEvent", "throw", "")
            .output(FIX, "x")
    }),
    place("input of a sub-process", "1", |b| {
        b.sub_process("inner").start().end().leave().input(FIX, "x")
    }),
    place("output of a sub-process", "1", |b| {
        b.sub_process("inner")
            .start()
            .end()
            .leave()
            .output(FIX, "x")
    }),
    place("output of a start event", "1", |b| {
        b.sub_process("inner")
            .start()
            .output(FIX, "x")
            .end()
            .leave()
    }),
    place("output of an end event", "1", |b| {
        b.sub_process("inner")
            .start()
            .end()
            .output(FIX, "x")
            .leave()
    }),
    place("process id", "\"called\"", |b| call(b, FIX)),
    place("input of a call", "1", |b| {
        call(b, "called").input(FIX, "x")
    }),
    place("output of a call", "1", |b| {
        call(b, "called").output(FIX, "x")
    }),
    place("output of a repeated call", "1", |b| {
        call(b, "called")
            .output(FIX, "x")
            .multi_instance(true, r#"inputCollection="=[1]""#)
    }),
    place("script", "1", |b| {
        let script = format!("<zeebe:script expression=\"{FIX}\" resultVariable=\"x\"/>");
        b.element("scriptTask", "script", "").extension(&script)
    }),
    place("output of a script", "1", |b| {
        b.element("scriptTask", "script", "")
            .extension("<zeebe:script expression=\"=1\" resultVariable=\"x\"/>")
            .output(FIX, "x")
    }),
    place("condition of an exclusive gateway", "true", |b| {
        b.exclusive_gateway("choice")
            .condition(FIX)
            .exclusive_gateway("after")
    }),
    place("condition of an inclusive gateway", "true", |b| {
        b.element("inclusiveGateway", "choice", "")
            .condition(FIX)
            .exclusive_gateway("after")
    }),
    place("list of items", "[1]", |b| {
        b.service_task("task", "work")
            .multi_instance(false, &format!("inputCollection=\"{FIX}\""))
    }),
    place("input of a repetition", "1", |b| {
        b.service_task("task", "work")
            .input(FIX, "x")
            .multi_instance(false, r#"inputCollection="=[1]""#)
    }),
    place("output of a repetition", "1", |b| {
        b.service_task("task", "work")
            .output(FIX, "x")
            .multi_instance(true, r#"inputCollection="=[1,2]""#)
    }),
    place("output element", "1", |b| {
        let attributes =
            format!(r#"inputCollection="=[1]" outputCollection="list" outputElement="{FIX}""#);
        b.service_task("task", "work")
            .multi_instance(false, &attributes)
    }),
    place("completion condition", "true", |b| {
        b.service_task("task", "work").multi_instance_until(
            true,
            r#"inputCollection="=[1,2]""#,
            FIX,
        )
    }),
    place("duration", "\"PT1S\"", |b| {
        b.element("intermediateCatchEvent", "catch", &timer("timeDuration"))
    }),
    place("date", "\"2020-01-01T00:00:00Z\"", |b| {
        b.element("intermediateCatchEvent", "catch", &timer("timeDate"))
    }),
    place("duration at a boundary", "\"PT1S\"", |b| {
        b.service_task("task", "work")
            .boundary("late", "task", &timer("timeDuration"))
            .end()
            .move_to("task")
    }),
    place("cycle at a boundary", "\"R2/PT1S\"", |b| {
        b.service_task("task", "work")
            .boundary("late", "task", &timer("timeCycle"))
            .non_interrupting()
            .end()
            .move_to("task")
    }),
    place("correlation key", "\"k\"", |b| {
        b.message_catch("catch", "go", FIX)
    }),
    place("message name", "\"go\"", |b| {
        b.message_catch("catch", FIX, "=key")
    }),
    place("output of a message catch event", "1", |b| {
        b.message_catch("catch", "go", "=key").output(FIX, "x")
    }),
    place("correlation key of a receive task", "\"k\"", |b| {
        b.receive_task("receive", "go", FIX)
    }),
    place("output of a receive task", "1", |b| {
        b.receive_task("receive", "go", "=key").output(FIX, "x")
    }),
    place("correlation key at a boundary", "\"k\"", |b| {
        b.service_task("task", "work")
            .message_boundary("told", "task", "never", FIX)
            .end()
            .move_to("task")
    }),
    place("signal name", "\"alarm\"", |b| {
        b.element("intermediateCatchEvent", "catch", COMPUTED_SIGNAL)
    }),
    place("signal name of a throw event", "\"else\"", |b| {
        b.element("intermediateThrowEvent", "throw", COMPUTED_SIGNAL)
    }),
    place("input of a signal throw event", "1", |b| {
        b.element("intermediateThrowEvent", "throw", SIGNAL)
            .input(FIX, "x")
    }),
    place("event-based gateway", "\"k\"", |b| {
        b.element("eventBasedGateway", "race", "")
            .message_catch("told", "go", FIX)
            .exclusive_gateway("merge")
            .move_to("race")
            .timer_catch("late", "PT1S")
            .connect_to("merge")
    }),
    place("output behind an event-based gateway", "1", |b| {
        b.element("eventBasedGateway", "race", "")
            .message_catch("told", "never", "=key")
            .exclusive_gateway("merge")
            .move_to("race")
            .timer_catch("late", "PT1S")
            .output(FIX, "x")
            .connect_to("merge")
    }),
    place("escalation code", "\"C\"", |b| {
        let escalation = r#"<bpmn:escalationEventDefinition escalationRef="computed-escalation"/>"#;
        b.element("intermediateThrowEvent", "throw", escalation)
    }),
    place("error code", "\"E\"", |b| {
        let error = r#"<bpmn:errorEventDefinition errorRef="computed-error"/>"#;
        b.sub_process("inner")
            .start()
            .element("endEvent", "throw", error)
            .leave()
            .exclusive_gateway("merge")
            .boundary("caught", "inner", ERROR)
            .connect_to("merge")
    }),
    place("output of an interrupting timer event", "1", |b| {
        bordered(b, &soon(), true)
    }),
    place("output of a timer event beside", "1", |b| {
        bordered(b, &soon(), false)
    }),
    place("output of an interrupting message event", "1", |b| {
        bordered(b, MESSAGE, true)
    }),
    place("output of a message event beside", "1", |b| {
        bordered(b, MESSAGE, false)
    }),
    place("output of an interrupting signal event", "1", |b| {
        bordered(b, SIGNAL, true)
    }),
    place("output of an error event", "1", |b| {
        bordered(b, ERROR, true)
    }),
    place("input of an event sub-process", "1", |b| {
        watched(b, MESSAGE, true, |b| {
            b.exclusive_gateway("any")
                .move_to("beside")
                .input(FIX, "x")
                .move_to("any")
        })
    }),
    place("input of an event sub-process beside", "1", |b| {
        watched(b, &soon(), false, |b| {
            b.exclusive_gateway("any")
                .move_to("beside")
                .input(FIX, "x")
                .move_to("any")
        })
    }),
    place("output of the start of an event sub-process", "1", |b| {
        watched(b, MESSAGE, true, |b| b.output(FIX, "x"))
    }),
    place(
        "output of the start of an event sub-process for errors",
        "1",
        |b| watched(b, ERROR, true, |b| b.output(FIX, "x")),
    ),
    place("task in an event sub-process", "\"work\"", |b| {
        watched(b, SIGNAL, true, |b| b.service_task("task", FIX))
    }),
    place("time of an event sub-process", "\"PT1S\"", |b| {
        watched(b, &timer("timeDuration"), true, |b| b)
    }),
    place("assignee", "\"me\"", |b| {
        user_task(
            b,
            &format!("<zeebe:assignmentDefinition assignee=\"{FIX}\"/>"),
        )
    }),
    place("candidates", "[\"me\"]", |b| {
        user_task(
            b,
            &format!("<zeebe:assignmentDefinition candidateGroups=\"{FIX}\"/>"),
        )
    }),
    place("due date", "\"2020-01-01T00:00:00Z\"", |b| {
        user_task(b, &format!("<zeebe:taskSchedule dueDate=\"{FIX}\"/>"))
    }),
    place("listener before a task", "\"work\"", |b| {
        b.service_task("task", "work")
            .extension(&listener("start", FIX, "3"))
    }),
    place("listener after a task", "\"work\"", |b| {
        b.service_task("task", "work")
            .extension(&listener("end", FIX, "3"))
    }),
    place("retries of a listener before a gateway", "1", |b| {
        b.exclusive_gateway("choice")
            .extension(&listener("start", "work", FIX))
    }),
    place("listener after a catch event", "\"work\"", |b| {
        b.message_catch("catch", "go", "=key")
            .extension(&listener("end", FIX, "3"))
    }),
    place("listener before a sub-process", "\"work\"", |b| {
        b.sub_process("inner")
            .start()
            .end()
            .leave()
            .extension(&listener("start", FIX, "3"))
    }),
    place("listener after a call", "\"work\"", |b| {
        call(b, "called").extension(&listener("end", FIX, "3"))
    }),
    place("input of a handler", "1", |b| {
        b.service_task("book", "work")
            .compensated_by("book", "undo", "work")
            .input(FIX, "x")
            .move_to("book")
            .element("intermediateThrowEvent", "throw", COMPENSATE)
    }),
    place("output of a handler", "1", |b| {
        b.service_task("book", "work")
            .compensated_by("book", "undo", "work")
            .output(FIX, "x")
            .move_to("book")
            .element("intermediateThrowEvent", "throw", COMPENSATE)
    }),
    place("output of a compensation event", "1", |b| {
        b.service_task("book", "work")
            .compensated_by("book", "undo", "work")
            .move_to("book")
            .element("intermediateThrowEvent", "throw", COMPENSATE)
            .output(FIX, "x")
    }),
    place("output of an escalation event", "1", |b| {
        b.element("intermediateThrowEvent", "throw", ESCALATION)
            .output(FIX, "x")
    }),
];

#[derive(Debug, Clone, Copy)]
enum Around {
    Process,
    SubProcess,
    Repetition,
    EventSubProcess,
    Call,
}

const AROUND: [Around; 5] = [
    Around::Process,
    Around::SubProcess,
    Around::Repetition,
    Around::EventSubProcess,
    Around::Call,
];

/// An instance of a process with that part in it, before anything has been done.
fn begun(part: Part, around: Around) -> (Harness, Key) {
    let process = |id| ProcessBuilder::new(id).definitions(DEFINITIONS).start();
    let called = process("called").service_task("called-task", "work").end();
    let mut harness = Harness::with(&called.xml());
    let whole = match around {
        Around::Process => part(process("p")).end(),
        Around::SubProcess => part(process("p").sub_process("scope").start())
            .end()
            .leave()
            .end(),
        Around::Repetition => part(process("p").sub_process("scope").start())
            .end()
            .leave()
            .multi_instance(true, r#"inputCollection="=[1]""#)
            .end(),
        Around::EventSubProcess => {
            let part = part(
                process("p")
                    .service_task("replaced", "never")
                    .end()
                    .event_sub_process("scope", "scope-start", &soon(), true),
            );
            part.end().leave()
        }
        Around::Call => {
            harness.deploy(&part(process("outer")).end().xml());
            call(process("p"), "outer").move_to("call").end()
        }
    };
    harness.deploy(&whole.xml());
    let instance = harness.create("p", r#"{"key":"k"}"#);
    (harness, instance)
}

/// Does whatever can be done, as often as it takes.
fn go_on(harness: &mut Harness) {
    for _ in 0..6 {
        harness.advance(1_000);
        for job_type in ["work", "io.camunda.zeebe:userTask"] {
            for (job, _) in harness.activate(job_type, 10) {
                harness.complete(job, "{}").unwrap();
            }
        }
        broadcast(harness, "alarm", "{}").unwrap();
        for name in ["go", "knock"] {
            harness.publish(name, "k", "{}");
        }
        for (job, _) in harness.activate("throws", 10) {
            let error = values::Job {
                error_code: "E".to_owned(),
                ..Default::default()
            };
            harness.report(job, JobIntent::ThrowError, error).unwrap();
        }
    }
}

fn assert_over(harness: &mut Harness, end: &str) {
    assert!(harness.happened(end), "{end}: {:#?}", harness.trace());
    harness.advance(100_000);
    harness.assert_clean();
}

fn mend(place: &Place, around: Around) {
    let (mut harness, _) = begun(place.part, around);
    go_on(&mut harness);
    let before = harness.incidents();
    assert!(!before.is_empty(), "nothing fails");
    assert!(!harness.happened("p COMPLETED"));
    let (incident, value) = before[0].clone();
    harness.resolve(incident).unwrap();
    let again = harness.incidents();
    assert_eq!(again.len(), before.len() + 1, "it fails again");
    assert_ne!(again.last().unwrap().0, incident);
    let instance = Key(value.process_instance_key);
    let variables = format!("{{\"fix\":{}}}", place.fix);
    harness.set_variables(instance, &variables, false).unwrap();
    for (incident, _) in &again {
        let _ = harness.resolve(*incident);
    }
    go_on(&mut harness);
    for (job, _) in harness.activate("hangs", 10) {
        harness.complete(job, "{}").unwrap();
    }
    go_on(&mut harness);
    assert_over(&mut harness, "p COMPLETED");
}

fn cancel(place: &Place, around: Around) {
    let (mut harness, instance) = begun(place.part, around);
    go_on(&mut harness);
    harness.cancel(instance).unwrap();
    assert_over(&mut harness, "p TERMINATED");
}

fn everywhere(check: fn(&Place, Around)) {
    let mut wrong = Vec::new();
    for place in PLACES {
        for around in AROUND {
            if std::panic::catch_unwind(|| check(place, around)).is_err() {
                wrong.push(format!("{} in {around:?}", place.name));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn what_fails_anywhere_goes_on_once_it_is_mended() {
    everywhere(mend);
}

#[test]
fn what_fails_anywhere_can_be_cancelled() {
    everywhere(cancel);
}
