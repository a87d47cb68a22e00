//! Processes and sub-processes: how they begin.

use super::Context;
use crate::document::{FlowNode, event_definitions, event_type};
use crate::model::{ElementType, EventType};
use skep_xml::Problems;

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        match node.kind {
            Some(ElementType::Process) => check_process(context, node, problems),
            Some(ElementType::SubProcess) => check_sub_process(context, node, problems),
            Some(ElementType::EventSubProcess) => check_event_sub_process(context, node, problems),
            _ => {}
        }
    }
}

fn start_events<'c, 'a>(context: &'c Context<'a>, scope: &FlowNode<'a>) -> Vec<&'c FlowNode<'a>> {
    let starts = context
        .draft
        .children_of_kind(scope, ElementType::StartEvent);
    starts.map(|index| &context.draft.nodes[index]).collect()
}

fn check_process(context: &Context<'_>, process: &FlowNode<'_>, problems: &mut Problems) {
    let starts = start_events(context, process);
    if starts.is_empty() {
        problems.add(process.node, "Must have at least one start event");
    }
    let none_starts = starts
        .iter()
        .filter(|start| event_definitions(start.node).next().is_none());
    if none_starts.count() > 1 {
        problems.add(process.node, "Multiple none start events are not allowed");
    }
    for start in starts {
        for definition in event_definitions(start.node) {
            let allowed = [EventType::Message, EventType::Timer, EventType::Signal];
            if !event_type(definition).is_some_and(|kind| allowed.contains(&kind)) {
                problems.add(
                    start.node,
                    "Start events of a process must be one of: none, message, timer, signal",
                );
            }
        }
    }
}

fn check_sub_process(context: &Context<'_>, scope: &FlowNode<'_>, problems: &mut Problems) {
    let starts = start_events(context, scope);
    if starts.len() != 1 {
        problems.add(scope.node, "Must have exactly one start event");
    }
    if starts
        .iter()
        .any(|start| event_definitions(start.node).next().is_some())
    {
        problems.add(
            scope.node,
            "Start events in subprocesses must be of type none",
        );
    }
}

fn check_event_sub_process(context: &Context<'_>, scope: &FlowNode<'_>, problems: &mut Problems) {
    let starts = start_events(context, scope);
    if starts.len() != 1 {
        problems.add(scope.node, "Must have exactly one start event");
    }
    if !scope.incoming.is_empty() || !scope.outgoing.is_empty() {
        problems.add(
            scope.node,
            "Event sub-processes must not have incoming or outgoing sequence flows",
        );
    }
    let allowed = [
        EventType::Message,
        EventType::Timer,
        EventType::Error,
        EventType::Signal,
        EventType::Escalation,
    ];
    for start in starts {
        let mut kinds = event_definitions(start.node).map(event_type);
        if !matches!(kinds.next(), Some(Some(kind)) if allowed.contains(&kind)) {
            problems.add(
                scope.node,
                "Start events in event subprocesses must be one of: message, timer, error, signal, escalation",
            );
        }
    }
}
