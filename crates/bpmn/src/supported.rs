//! What the engine can execute: the gate between what is valid and what is deployed.
//!
//! A process may be valid BPMN and still hold something that the engine does not execute yet. It is
//! then refused at deployment, element by element, and never accepted with a part of it ignored.
//!
//! To extend the engine, implement the feature there and add it to the engine's [`Supported`]. A new
//! kind of element needs a [`Feature`] here and a place in [`needs`], which the compiler asks for.

use std::collections::BTreeSet;

use crate::model::{
    BusinessRuleTask, Element, ElementKind, EndEvent, EventType, Process, ScriptTask, ThrowEvent,
    UserTaskImplementation,
};
use skep_xml::Problem;

/// Something that an engine may or may not execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// None start event.
    NoneStartEvent,
    /// Start event of a process with a trigger of this kind.
    StartEvent(EventType),
    /// Event sub-process whose start event has a trigger of this kind.
    EventSubProcess(EventType),
    /// Intermediate catch event of this kind.
    CatchEvent(EventType),
    /// Intermediate throw event of this kind.
    ThrowEvent(EventType),
    /// Interrupting boundary event of this kind.
    BoundaryEvent(EventType),
    /// Non-interrupting boundary event of this kind.
    NonInterruptingBoundaryEvent(EventType),
    /// End event of this kind.
    EndEvent(EventType),
    /// Embedded sub-process.
    SubProcess,
    /// Service task.
    ServiceTask,
    /// Send task.
    SendTask,
    /// Script task done by a job worker.
    JobScriptTask,
    /// Script task that is a FEEL expression.
    FeelScriptTask,
    /// Business rule task done by a job worker.
    JobBusinessRuleTask,
    /// Business rule task that is a decision.
    DecisionTask,
    /// User task kept as a job.
    JobUserTask,
    /// User task kept by the engine.
    NativeUserTask,
    /// Receive task.
    ReceiveTask,
    /// Manual task.
    ManualTask,
    /// Task of no kind.
    UndefinedTask,
    /// Call activity.
    CallActivity,
    /// Exclusive gateway.
    ExclusiveGateway,
    /// Parallel gateway.
    ParallelGateway,
    /// Inclusive gateway with at most one incoming flow.
    InclusiveFork,
    /// Inclusive gateway with several incoming flows.
    InclusiveJoin,
    /// Event-based gateway.
    EventBasedGateway,
    /// Multi-instance activity, parallel or sequential.
    MultiInstance,
    /// Execution listeners.
    ExecutionListeners,
    /// Activity that only compensation starts.
    CompensationHandler,
}

/// The features that an engine executes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Supported {
    features: BTreeSet<Feature>,
}

impl FromIterator<Feature> for Supported {
    fn from_iter<T: IntoIterator<Item = Feature>>(features: T) -> Self {
        Supported {
            features: features.into_iter().collect(),
        }
    }
}

impl Supported {
    /// What the engine executes.
    #[must_use]
    pub fn by_the_engine() -> Self {
        [
            Feature::NoneStartEvent,
            Feature::StartEvent(EventType::Message),
            Feature::StartEvent(EventType::Timer),
            Feature::CatchEvent(EventType::Message),
            Feature::CatchEvent(EventType::Timer),
            Feature::BoundaryEvent(EventType::Error),
            Feature::BoundaryEvent(EventType::Message),
            Feature::BoundaryEvent(EventType::Timer),
            Feature::NonInterruptingBoundaryEvent(EventType::Message),
            Feature::NonInterruptingBoundaryEvent(EventType::Timer),
            Feature::CatchEvent(EventType::Link),
            Feature::ThrowEvent(EventType::None),
            Feature::ThrowEvent(EventType::Message),
            Feature::ThrowEvent(EventType::Link),
            Feature::EndEvent(EventType::None),
            Feature::EndEvent(EventType::Message),
            Feature::EndEvent(EventType::Terminate),
            Feature::EndEvent(EventType::Error),
            Feature::EndEvent(EventType::Escalation),
            Feature::ThrowEvent(EventType::Escalation),
            Feature::BoundaryEvent(EventType::Escalation),
            Feature::NonInterruptingBoundaryEvent(EventType::Escalation),
            Feature::SubProcess,
            Feature::EventSubProcess(EventType::Timer),
            Feature::EventSubProcess(EventType::Message),
            Feature::EventSubProcess(EventType::Error),
            Feature::EventSubProcess(EventType::Escalation),
            Feature::EventSubProcess(EventType::Signal),
            Feature::ThrowEvent(EventType::Compensation),
            Feature::EndEvent(EventType::Compensation),
            Feature::BoundaryEvent(EventType::Compensation),
            Feature::NonInterruptingBoundaryEvent(EventType::Compensation),
            Feature::CompensationHandler,
            Feature::StartEvent(EventType::Signal),
            Feature::CatchEvent(EventType::Signal),
            Feature::ThrowEvent(EventType::Signal),
            Feature::EndEvent(EventType::Signal),
            Feature::BoundaryEvent(EventType::Signal),
            Feature::NonInterruptingBoundaryEvent(EventType::Signal),
            Feature::MultiInstance,
            Feature::ExecutionListeners,
            Feature::CallActivity,
            Feature::ServiceTask,
            Feature::SendTask,
            Feature::JobScriptTask,
            Feature::FeelScriptTask,
            Feature::DecisionTask,
            Feature::JobBusinessRuleTask,
            Feature::JobUserTask,
            Feature::NativeUserTask,
            Feature::ReceiveTask,
            Feature::ManualTask,
            Feature::UndefinedTask,
            Feature::ExclusiveGateway,
            Feature::InclusiveFork,
            Feature::InclusiveJoin,
            Feature::ParallelGateway,
            Feature::EventBasedGateway,
        ]
        .into_iter()
        .collect()
    }

    /// Whether the engine executes it.
    #[must_use]
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// The same and one more.
    #[must_use]
    pub fn with(mut self, feature: Feature) -> Self {
        self.features.insert(feature);
        self
    }
}

/// What stands in the way of executing a process that is valid; empty if nothing does. In the order
/// of the document.
#[must_use]
pub fn unsupported(process: &Process, supported: &Supported) -> Vec<Problem> {
    let mut problems = Vec::new();
    for element in &process.elements {
        for feature in needs(process, element) {
            if !supported.has(feature) {
                problems.push(problem(element, feature));
            }
        }
    }
    problems
}

fn problem(element: &Element, feature: Feature) -> Problem {
    let named = match &element.name {
        Some(name) => format!(" (name '{}')", skep_xml::quote(name)),
        None => String::new(),
    };
    Problem {
        element: skep_xml::quote(&element.id),
        message: format!(
            "Element '{}'{named}: {} is not supported yet",
            skep_xml::quote(&element.id),
            feature.name()
        ),
    }
}

/// The features without which an element cannot be executed.
fn needs(process: &Process, element: &Element) -> Vec<Feature> {
    let mut needs: Vec<Feature> = needed_by_kind(process, element).into_iter().collect();
    if element.multi_instance.is_some() {
        needs.push(Feature::MultiInstance);
    }
    if !element.listeners.is_empty() {
        needs.push(Feature::ExecutionListeners);
    }
    if element.is_for_compensation {
        needs.push(Feature::CompensationHandler);
    }
    needs
}

fn needed_by_kind(process: &Process, element: &Element) -> Option<Feature> {
    Some(match &element.kind {
        ElementKind::Process(_) => return None,
        ElementKind::SubProcess(_) => Feature::SubProcess,
        ElementKind::EventSubProcess(scope) => {
            let start = scope
                .start_events
                .first()
                .map(|&start| process.element(start));
            let trigger = start.and_then(Element::event_type);
            Feature::EventSubProcess(trigger.unwrap_or(EventType::None))
        }
        ElementKind::StartEvent(start) => match start.trigger.event_type() {
            EventType::None => Feature::NoneStartEvent,
            // Elsewhere than in the process it belongs to an event sub-process, which is a feature itself.
            kind if element.flow_scope == Some(Process::ROOT) => Feature::StartEvent(kind),
            _ => return None,
        },
        ElementKind::IntermediateCatchEvent(catch) => {
            Feature::CatchEvent(catch.trigger.event_type())
        }
        ElementKind::IntermediateThrowEvent(throw) => {
            Feature::ThrowEvent(ThrowEvent::event_type(throw))
        }
        ElementKind::BoundaryEvent(boundary) if boundary.interrupting => {
            Feature::BoundaryEvent(boundary.trigger.event_type())
        }
        ElementKind::BoundaryEvent(boundary) => {
            Feature::NonInterruptingBoundaryEvent(boundary.trigger.event_type())
        }
        ElementKind::EndEvent(end) => Feature::EndEvent(EndEvent::event_type(end)),
        ElementKind::ServiceTask(_) => Feature::ServiceTask,
        ElementKind::SendTask(_) => Feature::SendTask,
        ElementKind::ScriptTask(ScriptTask::Job(_)) => Feature::JobScriptTask,
        ElementKind::ScriptTask(ScriptTask::Script(_)) => Feature::FeelScriptTask,
        ElementKind::BusinessRuleTask(BusinessRuleTask::Job(_)) => Feature::JobBusinessRuleTask,
        ElementKind::BusinessRuleTask(BusinessRuleTask::Decision(_)) => Feature::DecisionTask,
        ElementKind::UserTask(task) => match task.implementation {
            UserTaskImplementation::JobWorker => Feature::JobUserTask,
            UserTaskImplementation::Native => Feature::NativeUserTask,
        },
        ElementKind::ReceiveTask(_) => Feature::ReceiveTask,
        ElementKind::ManualTask => Feature::ManualTask,
        ElementKind::Task => Feature::UndefinedTask,
        ElementKind::CallActivity(_) => Feature::CallActivity,
        ElementKind::ExclusiveGateway(_) => Feature::ExclusiveGateway,
        ElementKind::ParallelGateway => Feature::ParallelGateway,
        ElementKind::InclusiveGateway(_) if element.incoming.len() > 1 => Feature::InclusiveJoin,
        ElementKind::InclusiveGateway(_) => Feature::InclusiveFork,
        ElementKind::EventBasedGateway(_) => Feature::EventBasedGateway,
    })
}

impl Feature {
    /// What a modeller calls it, with its article.
    fn name(self) -> String {
        let fixed = match self {
            Feature::StartEvent(kind) => return event("start event", kind),
            Feature::EventSubProcess(kind) => {
                return format!("an event sub-process with {}", event("start event", kind));
            }
            Feature::CatchEvent(kind) => return event("intermediate catch event", kind),
            Feature::ThrowEvent(kind) => return event("intermediate throw event", kind),
            Feature::BoundaryEvent(kind) => return event("interrupting boundary event", kind),
            Feature::NonInterruptingBoundaryEvent(kind) => {
                return event("non-interrupting boundary event", kind);
            }
            Feature::EndEvent(kind) => return event("end event", kind),
            Feature::NoneStartEvent => "a none start event",
            Feature::SubProcess => "a sub-process",
            Feature::ServiceTask => "a service task",
            Feature::SendTask => "a send task",
            Feature::JobScriptTask => "a script task done by a job worker",
            Feature::FeelScriptTask => "a script task with a FEEL expression",
            Feature::JobBusinessRuleTask => "a business rule task done by a job worker",
            Feature::DecisionTask => "a business rule task with a decision",
            Feature::JobUserTask => "a user task done by a job worker",
            Feature::NativeUserTask => "a user task with 'zeebe:userTask'",
            Feature::ReceiveTask => "a receive task",
            Feature::ManualTask => "a manual task",
            Feature::UndefinedTask => "a task without a type",
            Feature::CallActivity => "a call activity",
            Feature::ExclusiveGateway => "an exclusive gateway",
            Feature::ParallelGateway => "a parallel gateway",
            Feature::InclusiveFork => "an inclusive gateway",
            Feature::InclusiveJoin => "an inclusive gateway with several incoming sequence flows",
            Feature::EventBasedGateway => "an event-based gateway",
            Feature::MultiInstance => "a multi-instance activity",
            Feature::ExecutionListeners => "an execution listener",
            Feature::CompensationHandler => "a compensation handler",
        };
        fixed.to_owned()
    }
}

fn event(place: &str, kind: EventType) -> String {
    let kind = match kind {
        EventType::None => "a none",
        EventType::Message => "a message",
        EventType::Timer => "a timer",
        EventType::Signal => "a signal",
        EventType::Error => "an error",
        EventType::Escalation => "an escalation",
        EventType::Link => "a link",
        EventType::Compensation => "a compensation",
        EventType::Terminate => "a terminate",
    };
    format!("{kind} {place}")
}

#[cfg(test)]
mod tests;
