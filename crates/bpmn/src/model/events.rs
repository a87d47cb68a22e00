//! Events: what they wait for, and what they announce.

use std::sync::Arc;

use skep_feel::Expression;

use super::{ElementIndex, EventType, Job, Text};
use crate::timer::{Cycle, Date, Duration};

/// What a start, catch or boundary event waits for.
#[derive(Debug)]
pub enum Trigger {
    /// Nothing: a start event that is reached by its scope being entered.
    None,
    /// A message.
    Message(Message),
    /// A point in time.
    Timer(Timer),
    /// A broadcast signal of this name. Constant on start events of a process.
    Signal(Text),
    /// A thrown error of this code; `None` catches every error.
    Error(Option<Arc<str>>),
    /// A thrown escalation of this code; `None` catches every escalation.
    Escalation(Option<Arc<str>>),
    /// A link throw event of this name in the same flow scope.
    Link(Arc<str>),
    /// The compensation of the activity it is attached to, done by this handler.
    Compensation(ElementIndex),
}

/// A message to wait for.
#[derive(Debug, Clone)]
pub struct Message {
    /// Its name. Constant on start events of a process.
    pub name: Text,
    /// `None` only on start events of a process.
    pub correlation_key: Option<Expression>,
}

/// When a timer is due.
#[derive(Debug, Clone)]
pub enum Timer {
    /// So long after the event was entered.
    Duration(TimerSource<Duration>),
    /// At this instant.
    Date(TimerSource<Date>),
    /// Again and again.
    Cycle(TimerSource<Cycle>),
}

/// A time that is fixed, or computed when the event is entered.
#[derive(Debug, Clone)]
pub enum TimerSource<T> {
    /// Known since deployment.
    Static(T),
    /// To be evaluated in the scope of the event. Free of variables on start events of a process.
    Expression(Expression),
}

/// Where a scope begins.
#[derive(Debug)]
pub struct StartEvent {
    /// What starts it.
    pub trigger: Trigger,
    /// Whether it ends the other work of the enclosing scope; only meaningful inside an event
    /// sub-process.
    pub interrupting: bool,
}

/// An intermediate event that waits.
#[derive(Debug)]
pub struct CatchEvent {
    /// What it waits for: a message, timer, signal or link.
    pub trigger: Trigger,
    /// True directly behind an event-based gateway, which waits in its place.
    pub behind_event_based_gateway: bool,
}

/// An event on the border of an activity.
#[derive(Debug)]
pub struct BoundaryEvent {
    /// The activity that carries it.
    pub attached_to: ElementIndex,
    /// What it waits for.
    pub trigger: Trigger,
    /// Whether it ends the activity.
    pub interrupting: bool,
}

/// An intermediate event that does something and goes on.
#[derive(Debug)]
pub enum ThrowEvent {
    /// Nothing.
    None,
    /// Work done by a job worker: Zeebe does not publish by itself.
    Message(Job),
    /// Broadcasts a signal of this name.
    Signal(Text),
    /// Throws an escalation.
    Escalation(EscalationThrow),
    /// Goes on at this catch event of the same link name.
    Link(ElementIndex),
    /// Compensates what was completed.
    Compensation(Compensation),
}

/// The end of a path.
#[derive(Debug)]
pub enum EndEvent {
    /// Only ends the path.
    None,
    /// Work done by a job worker: Zeebe does not publish by itself.
    Message(Job),
    /// Broadcasts a signal of this name.
    Signal(Text),
    /// Throws an error.
    Error(ErrorThrow),
    /// Throws an escalation.
    Escalation(EscalationThrow),
    /// Ends everything else in the flow scope.
    Terminate,
    /// Compensates what was completed.
    Compensation(Compensation),
}

/// The error that an end event throws.
#[derive(Debug, Clone)]
pub struct ErrorThrow {
    /// Its code.
    pub code: Text,
}

/// The escalation that an event throws.
#[derive(Debug, Clone)]
pub struct EscalationThrow {
    /// Its code.
    pub code: Text,
}

/// What a compensation throw event compensates.
#[derive(Debug, Clone, Copy)]
pub struct Compensation {
    /// One activity, or else all of the flow scope.
    pub activity: Option<ElementIndex>,
}

impl Trigger {
    /// The kind as records name it.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match self {
            Trigger::None => EventType::None,
            Trigger::Message(_) => EventType::Message,
            Trigger::Timer(_) => EventType::Timer,
            Trigger::Signal(_) => EventType::Signal,
            Trigger::Error(_) => EventType::Error,
            Trigger::Escalation(_) => EventType::Escalation,
            Trigger::Link(_) => EventType::Link,
            Trigger::Compensation(_) => EventType::Compensation,
        }
    }
}

impl ThrowEvent {
    /// The kind as records name it.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match self {
            ThrowEvent::None => EventType::None,
            ThrowEvent::Message(_) => EventType::Message,
            ThrowEvent::Signal(_) => EventType::Signal,
            ThrowEvent::Escalation(_) => EventType::Escalation,
            ThrowEvent::Link(_) => EventType::Link,
            ThrowEvent::Compensation(_) => EventType::Compensation,
        }
    }
}

impl EndEvent {
    /// The kind as records name it.
    #[must_use]
    pub fn event_type(&self) -> EventType {
        match self {
            EndEvent::None => EventType::None,
            EndEvent::Message(_) => EventType::Message,
            EndEvent::Signal(_) => EventType::Signal,
            EndEvent::Error(_) => EventType::Error,
            EndEvent::Escalation(_) => EventType::Escalation,
            EndEvent::Terminate => EventType::Terminate,
            EndEvent::Compensation(_) => EventType::Compensation,
        }
    }
}
