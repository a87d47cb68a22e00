//! What events and receive tasks refer to: messages, signals, errors and escalations.
//!
//! Definitions that nothing refers to are not looked at.

use std::collections::BTreeSet;

use super::{Context, is_expression, require};
use crate::document::{FlowNode, Node, event_definitions, event_type, non_empty};
use crate::model::{ElementType, EventType};
use skep_xml::{Problems, quote};

pub(super) fn check(context: &Context<'_>, problems: &mut Problems) {
    let mut checked = Checked::default();
    let mut process_starts = BTreeSet::new();
    for event in &context.draft.nodes {
        if event.kind == Some(ElementType::ReceiveTask) {
            if let Some(message) = message(context, event.node, problems)
                && checked.first(message, Aspect::Name)
            {
                check_name(message, problems);
            }
            check_subscription_of(context, event.node, &mut checked, problems);
        }
        let Some(role) = Role::of(event) else {
            continue;
        };
        for definition in event_definitions(event.node) {
            let mut reference = Reference {
                context,
                role,
                definition,
                checked: &mut checked,
            };
            reference.check(problems);
            if role == Role::ProcessStart {
                unique_start(context, event, definition, &mut process_starts, problems);
            }
        }
    }
}

/// What an event does with what it refers to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Throw,
    Catch,
    ProcessStart,
}

impl Role {
    fn of(event: &FlowNode<'_>) -> Option<Self> {
        Some(match event.kind? {
            ElementType::IntermediateThrowEvent | ElementType::EndEvent => Role::Throw,
            ElementType::StartEvent if event.scope == Some(0) => Role::ProcessStart,
            ElementType::StartEvent
            | ElementType::IntermediateCatchEvent
            | ElementType::BoundaryEvent => Role::Catch,
            _ => return None,
        })
    }
}

/// Keeps a definition that many events share from being reported many times.
#[derive(Default)]
struct Checked(BTreeSet<(u32, Aspect)>);

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Aspect {
    Name,
    Subscription,
}

impl Checked {
    fn first(&mut self, definition: Node<'_>, aspect: Aspect) -> bool {
        self.0.insert((definition.id().get(), aspect))
    }
}

/// One event definition and what it refers to.
struct Reference<'r, 'a> {
    context: &'r Context<'a>,
    role: Role,
    definition: Node<'a>,
    checked: &'r mut Checked,
}

impl Reference<'_, '_> {
    fn check(&mut self, problems: &mut Problems) {
        match event_type(self.definition) {
            Some(EventType::Message) => self.check_message(problems),
            Some(EventType::Signal) => self.check_signal(problems),
            Some(EventType::Error) => self.check_code("error", problems),
            Some(EventType::Escalation) => self.check_code("escalation", problems),
            _ => {}
        }
    }

    /// A message that is thrown is work for a job worker, and its name means nothing to the engine.
    fn check_message(&mut self, problems: &mut Problems) {
        if self.role == Role::Throw {
            return;
        }
        let Some(message) = message(self.context, self.definition, problems) else {
            return;
        };
        if self.checked.first(message, Aspect::Name) {
            check_name(message, problems);
        }
        if self.role == Role::Catch {
            check_subscription_of(self.context, self.definition, self.checked, problems);
        }
    }

    fn check_signal(&mut self, problems: &mut Problems) {
        match self
            .context
            .document
            .referred(self.definition, "signalRef", "signal")
        {
            None => problems.add(self.definition, "Must reference a signal"),
            Some(signal) if self.checked.first(signal, Aspect::Name) => {
                check_name(signal, problems)
            }
            Some(_) => {}
        }
    }

    /// Errors and escalations: what is thrown needs a code, what is caught may leave it out to catch
    /// everything, and must not compute it.
    fn check_code(&mut self, name: &str, problems: &mut Problems) {
        let (reference, code) = (format!("{name}Ref"), format!("{name}Code"));
        let Some(found) = self
            .context
            .document
            .referred(self.definition, &reference, name)
        else {
            if self.role == Role::Throw || self.definition.has_attribute(reference.as_str()) {
                problems.add(self.definition, format!("Must reference an {name}"));
            }
            return;
        };
        let text = non_empty(found, &code);
        match (self.role, text) {
            (Role::Throw, None) => {
                require(found, &code, problems);
            }
            (Role::Catch, Some(text)) if is_expression(text) => problems.add(
                self.definition,
                format!("'{code}' of an event that catches must be a static value, and is the expression '{}'", quote(text)),
            ),
            _ => {}
        }
    }
}

fn message<'a>(context: &Context<'a>, node: Node<'a>, problems: &mut Problems) -> Option<Node<'a>> {
    let message = context.document.referred(node, "messageRef", "message");
    if message.is_none() {
        problems.add(node, "Must reference a message");
    }
    message
}

fn check_name(definition: Node<'_>, problems: &mut Problems) {
    require(definition, "name", problems);
}

/// The message that a node waits for needs a correlation key, once.
fn check_subscription_of(
    context: &Context<'_>,
    node: Node<'_>,
    checked: &mut Checked,
    problems: &mut Problems,
) {
    let Some(message) = context.document.referred(node, "messageRef", "message") else {
        return;
    };
    if !checked.first(message, Aspect::Subscription) {
        return;
    }
    let Some(subscription) = super::require_one(message, "subscription", problems) else {
        return;
    };
    if require(subscription, "correlationKey", problems).is_some() {
        super::require_expression(subscription, "correlationKey", problems);
    }
}

/// Start events of one process must be told apart by what they wait for.
fn unique_start<'a>(
    context: &Context<'a>,
    event: &FlowNode<'a>,
    definition: Node<'a>,
    seen: &mut BTreeSet<(&'static str, &'a str)>,
    problems: &mut Problems,
) {
    let kind = match event_type(definition) {
        Some(EventType::Message) => "message",
        Some(EventType::Signal) => "signal",
        _ => return,
    };
    let reference = format!("{kind}Ref");
    let name = context
        .document
        .referred(definition, &reference, kind)
        .and_then(|found| non_empty(found, "name"));
    if let Some(name) = name
        && !seen.insert((kind, name))
    {
        let name = quote(name);
        problems.add(
            event.node,
            format!("Multiple start events with the same {kind} '{name}' are not allowed"),
        );
    }
}
