//! Tasks that are done by job workers or by the engine, call activities, and message throw events,
//! which are job workers' work too.

use std::collections::BTreeSet;

use super::{
    Context, refuse_empty, require, require_expression, require_one, require_one_of, require_path,
};
use crate::document::{FlowNode, Node, event_definitions, event_type, extension, zeebe_children};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

/// Headers that begin so are set by the engine.
const RESERVED_HEADER_PREFIX: &str = "io.camunda.zeebe:";

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    for node in &context.draft.nodes {
        check_kind(node, problems);
        if let Some(headers) = extension(node.node, "taskHeaders") {
            check_headers(headers, problems);
        }
    }
}

fn check_kind(node: &FlowNode<'_>, problems: &mut Problems) {
    let Some(kind) = node.kind else {
        let name = quote(node.node.tag_name().name());
        problems.add(
            node.node,
            format!("Elements of type '{name}' are not supported"),
        );
        return;
    };
    match kind {
        ElementType::ServiceTask | ElementType::SendTask => {
            check_job(require_one(node.node, "taskDefinition", problems), problems);
        }
        ElementType::IntermediateThrowEvent | ElementType::EndEvent
            if throws_message(node.node) =>
        {
            check_job(require_one(node.node, "taskDefinition", problems), problems);
        }
        ElementType::ScriptTask => check_script_task(node.node, problems),
        ElementType::BusinessRuleTask => check_business_rule_task(node.node, problems),
        ElementType::CallActivity => check_call_activity(node.node, problems),
        _ => {}
    }
}

fn throws_message(event: Node<'_>) -> bool {
    event_definitions(event).any(|definition| event_type(definition) == Some(EventType::Message))
}

fn check_job(definition: Option<Node<'_>>, problems: &mut Problems) {
    let Some(definition) = definition else { return };
    require(definition, "type", problems);
    refuse_empty(definition, "retries", problems);
}

fn check_script_task(task: Node<'_>, problems: &mut Problems) {
    let form = require_one_of(task, ["script", "taskDefinition"], problems);
    let Some(script) = form.filter(|form| form.tag_name().name() == "script") else {
        return check_job(form, problems);
    };
    require(script, "expression", problems);
    require_expression(script, "expression", problems);
    require(script, "resultVariable", problems);
    require_path(script, "resultVariable", problems);
}

fn check_business_rule_task(task: Node<'_>, problems: &mut Problems) {
    let form = require_one_of(task, ["calledDecision", "taskDefinition"], problems);
    let Some(decision) = form.filter(|form| form.tag_name().name() == "calledDecision") else {
        return check_job(form, problems);
    };
    require(decision, "decisionId", problems);
    require(decision, "resultVariable", problems);
    require_path(decision, "resultVariable", problems);
    check_binding(decision, problems);
}

fn check_call_activity(activity: Node<'_>, problems: &mut Problems) {
    if let Some(called) = require_one(activity, "calledElement", problems) {
        require(called, "processId", problems);
        check_binding(called, problems);
    }
}

/// Which version of what is called.
pub(super) fn check_binding(called: Node<'_>, problems: &mut Problems) {
    match called.attribute("bindingType") {
        None | Some("latest" | "deployment") => {}
        Some("versionTag") => {
            require(called, "versionTag", problems);
        }
        Some(other) => problems.add(
            called,
            format!("Attribute 'bindingType' must be one of: latest, deployment, versionTag; found '{}'", quote(other)),
        ),
    }
}

fn check_headers(headers: Node<'_>, problems: &mut Problems) {
    let mut keys = BTreeSet::new();
    for header in zeebe_children(headers, "header") {
        let Some(key) = header.attribute("key").filter(|key| !key.is_empty()) else {
            continue;
        };
        if key.starts_with(RESERVED_HEADER_PREFIX) {
            problems.add(header, format!("Header key '{}' is not allowed: the prefix '{RESERVED_HEADER_PREFIX}' is reserved", quote(key)));
        }
        if !keys.insert(key) {
            problems.add(header, format!("Header key '{}' is not unique", quote(key)));
        }
    }
}
