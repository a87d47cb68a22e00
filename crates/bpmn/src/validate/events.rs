//! Events: how many definitions they have, of which kinds, and what may be connected to them.

use super::Context;
use crate::document::{
    FlowNode, Node, child, content, event_definitions, event_type, flag, non_empty,
};
use crate::model::{ElementType, EventType};
use skep_xml::Problems;

const CATCH: &[EventType] = &[
    EventType::Message,
    EventType::Timer,
    EventType::Signal,
    EventType::Link,
];
const BOUNDARY: &[EventType] = &[
    EventType::Message,
    EventType::Timer,
    EventType::Error,
    EventType::Signal,
    EventType::Escalation,
    EventType::Compensation,
];
const THROW: &[EventType] = &[
    EventType::Message,
    EventType::Signal,
    EventType::Escalation,
    EventType::Link,
    EventType::Compensation,
];
const END: &[EventType] = &[
    EventType::Message,
    EventType::Signal,
    EventType::Error,
    EventType::Escalation,
    EventType::Terminate,
    EventType::Compensation,
];

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        let Some(kind) = node.kind else { continue };
        match kind {
            ElementType::StartEvent => at_most_one(node.node, problems),
            ElementType::IntermediateCatchEvent => {
                exactly_one(node.node, problems);
                allow_only(node.node, CATCH, "message, timer, signal, link", problems);
            }
            ElementType::BoundaryEvent => {
                exactly_one(node.node, problems);
                let names = "message, timer, error, signal, escalation, compensation";
                allow_only(node.node, BOUNDARY, names, problems);
                check_boundary(context, node, problems);
            }
            ElementType::IntermediateThrowEvent => {
                at_most_one(node.node, problems);
                let names = "none, message, signal, escalation, link, compensation";
                allow_only(node.node, THROW, names, problems);
            }
            ElementType::EndEvent => {
                at_most_one(node.node, problems);
                let names = "none, message, signal, error, escalation, terminate, compensation";
                allow_only(node.node, END, names, problems);
                if !node.outgoing.is_empty() {
                    problems.add(
                        node.node,
                        "End events must not have outgoing sequence flows",
                    );
                }
            }
            _ => continue,
        }
        check_definitions(context, node, kind, problems);
    }
}

fn at_most_one(event: Node<'_>, problems: &mut Problems) {
    if event_definitions(event).count() > 1 {
        problems.add(event, "Must not have more than one event definition");
    }
}

fn exactly_one(event: Node<'_>, problems: &mut Problems) {
    if event_definitions(event).count() != 1 {
        problems.add(event, "Must have exactly one event definition");
    }
}

fn allow_only(event: Node<'_>, kinds: &[EventType], names: &str, problems: &mut Problems) {
    let mut definitions = event_definitions(event);
    if definitions.any(|found| !event_type(found).is_some_and(|kind| kinds.contains(&kind))) {
        problems.add(event, format!("Event definition must be one of: {names}"));
    }
    if child(event, "eventDefinitionRef").is_some() {
        problems.add(
            event,
            "References to event definitions are not supported: place it inside of the event",
        );
    }
}

fn check_definitions(
    context: &Context<'_>,
    event: &FlowNode<'_>,
    kind: ElementType,
    problems: &mut Problems,
) {
    for definition in event_definitions(event.node) {
        match event_type(definition) {
            Some(EventType::Timer) => check_timer(context, event, kind, definition, problems),
            Some(EventType::Compensation) if kind != ElementType::BoundaryEvent => {
                check_compensation_throw(context, event, definition, problems);
            }
            _ => {}
        }
    }
}

fn check_timer(
    context: &Context<'_>,
    event: &FlowNode<'_>,
    kind: ElementType,
    definition: Node<'_>,
    problems: &mut Problems,
) {
    let given: Vec<&str> = ["timeDuration", "timeDate", "timeCycle"]
        .into_iter()
        .filter(|name| child(definition, name).is_some_and(|time| !content(time).is_empty()))
        .collect();
    let [only] = given[..] else {
        problems.add(
            definition,
            "Must be exactly one type of timer: timeDuration, timeDate or timeCycle",
        );
        return;
    };
    if only != "timeCycle" {
        return;
    }
    if kind == ElementType::IntermediateCatchEvent {
        problems.add(
            event.node,
            "Intermediate timer catch event must have a time duration or a time date",
        );
    }
    let in_event_sub_process = event
        .scope
        .is_some_and(|scope| context.draft.nodes[scope].kind == Some(ElementType::EventSubProcess));
    let interrupting = match kind {
        ElementType::BoundaryEvent => flag(event.node, "cancelActivity", true),
        ElementType::StartEvent => in_event_sub_process && flag(event.node, "isInterrupting", true),
        _ => false,
    };
    if interrupting {
        problems.add(
            event.node,
            "Interrupting timer event with time cycle is not allowed",
        );
    }
}

fn check_boundary(context: &Context<'_>, event: &FlowNode<'_>, problems: &mut Problems) {
    if !event.incoming.is_empty() {
        problems.add(
            event.node,
            "Boundary events must not have incoming sequence flows",
        );
    }
    if let Some(activity) = event.attached_to {
        check_attached(&context.draft.nodes[activity], event, problems);
    }
    let compensates = event_definitions(event.node)
        .any(|definition| event_type(definition) == Some(EventType::Compensation));
    if compensates {
        check_compensation_boundary(context, event, problems);
    } else if event.outgoing.is_empty() {
        problems.add(event.node, "Must have at least one outgoing sequence flow");
    }
}

fn check_attached(activity: &FlowNode<'_>, event: &FlowNode<'_>, problems: &mut Problems) {
    use ElementType as Type;
    let is_activity = matches!(
        activity.kind,
        Some(
            Type::SubProcess
                | Type::ServiceTask
                | Type::SendTask
                | Type::ScriptTask
                | Type::BusinessRuleTask
                | Type::UserTask
                | Type::ReceiveTask
                | Type::ManualTask
                | Type::Task
                | Type::CallActivity
        )
    );
    if !is_activity && activity.kind.is_some() {
        problems.add(
            event.node,
            "Must be attached to a task, sub-process or call activity",
        );
    }
}

/// A compensation boundary event leads to its handler by an association.
fn check_compensation_boundary(
    context: &Context<'_>,
    event: &FlowNode<'_>,
    problems: &mut Problems,
) {
    if !event.outgoing.is_empty() {
        problems.add(
            event.node,
            "Compensation boundary events must not have outgoing sequence flows",
        );
    }
    let [handler] = event.associated[..] else {
        problems.add(event.node, "Compensation boundary events must have exactly one association to a compensation handler");
        return;
    };
    let handler = &context.draft.nodes[handler];
    if !flag(handler.node, "isForCompensation", false) {
        problems.add(
            handler.node,
            "A compensation handler must have the attribute 'isForCompensation'",
        );
    }
    if !handler.incoming.is_empty() || !handler.outgoing.is_empty() {
        problems.add(
            handler.node,
            "A compensation handler must not have incoming or outgoing sequence flows",
        );
    }
}

fn check_compensation_throw(
    context: &Context<'_>,
    event: &FlowNode<'_>,
    definition: Node<'_>,
    problems: &mut Problems,
) {
    if !flag(definition, "waitForCompletion", true) {
        problems.add(definition, "A compensation event that does not wait ('waitForCompletion' is false) is not supported");
    }
    let Some(reference) = non_empty(definition, "activityRef") else {
        return;
    };
    let found = context.draft.resolve(reference);
    let same_scope =
        found.is_some_and(|activity| context.draft.nodes[activity].scope == event.scope);
    if !same_scope {
        let reference = skep_xml::quote(reference);
        problems.add(definition, format!("'activityRef' refers to '{reference}', which is no activity in the scope of the event"));
    }
}
