//! The gate.

use super::*;
use crate::builder::ProcessBuilder;

fn process(builder: &ProcessBuilder) -> Process {
    crate::parse("test.bpmn", builder.xml().as_bytes())
        .unwrap()
        .remove(0)
}

/// An engine that can begin and nothing else.
fn nearly_nothing() -> Supported {
    Supported::default().with(Feature::NoneStartEvent)
}

fn texts(builder: &ProcessBuilder, supported: &Supported) -> Vec<String> {
    let problems = unsupported(&process(builder), supported);
    problems
        .into_iter()
        .map(|problem| problem.message)
        .collect()
}

#[test]
fn the_engine_executes_what_it_says() {
    let builder = ProcessBuilder::new("all")
        .message_start("called", "call")
        .exclusive_gateway("which")
        .condition("=a")
        .sub_process("inside")
        .start()
        .service_task("work", "w")
        .input("=a", "b.c")
        .output("=b", "d")
        .header("k", "v")
        .end()
        .leave()
        .parallel_gateway("fork")
        .message_catch("message", "m", "=key")
        .end()
        .move_to("fork")
        .timer_catch("timer", "PT1S")
        .end()
        .move_to("which")
        .default_flow()
        .end()
        .error_boundary("failed", "inside", "E")
        .end();
    assert_eq!(
        texts(&builder, &Supported::by_the_engine()),
        Vec::<String>::new()
    );
}

#[test]
fn what_it_does_not_execute_is_named_with_its_element() {
    let looping = "<bpmn:multiInstanceLoopCharacteristics><bpmn:extensionElements>\
        <zeebe:loopCharacteristics inputCollection=\"=xs\"/></bpmn:extensionElements>\
        </bpmn:multiInstanceLoopCharacteristics>";
    let call = "<zeebe:calledElement processId=\"x\"/>";
    let builder = ProcessBuilder::new("later")
        .start()
        .element("manualTask", "by-hand", "")
        .attribute("name", "By hand")
        .element("callActivity", "call", looping)
        .extension(call)
        .element("endEvent", "stop", "<bpmn:terminateEventDefinition/>");
    assert_eq!(
        texts(&builder, &nearly_nothing()),
        [
            "Element 'by-hand' (name 'By hand'): a manual task is not supported yet",
            "Element 'call': a call activity is not supported yet",
            "Element 'call': a multi-instance activity is not supported yet",
            "Element 'stop': a terminate end event is not supported yet",
        ]
    );
    let more = nearly_nothing()
        .with(Feature::ManualTask)
        .with(Feature::CallActivity)
        .with(Feature::MultiInstance)
        .with(Feature::EndEvent(EventType::Terminate));
    assert_eq!(unsupported(&process(&builder), &more), []);
}

#[test]
fn an_event_sub_process_is_refused_once_and_by_its_trigger() {
    let inner = "<bpmn:startEvent id=\"at\"><bpmn:timerEventDefinition><bpmn:timeDuration>PT1S\
        </bpmn:timeDuration></bpmn:timerEventDefinition></bpmn:startEvent>";
    let builder = ProcessBuilder::new("event").start().end().definitions("");
    let xml = builder.xml().replace(
        "</bpmn:process>",
        &format!("<bpmn:subProcess id=\"on\" triggeredByEvent=\"true\">{inner}</bpmn:subProcess></bpmn:process>"),
    );
    let process = crate::parse("test.bpmn", xml.as_bytes()).unwrap().remove(0);
    let problems = unsupported(&process, &nearly_nothing());
    let [_, problem] = &problems[..] else {
        panic!("{problems:?}")
    };
    let expected =
        "Element 'on': an event sub-process with a timer start event is not supported yet";
    assert_eq!(problem.message, expected);
}
