//! The executable model of a process: what the engine reads and nothing writes.
//!
//! Owns the types only; [`crate::parse`] is the one place that builds them.
//!
//! Invariants, held by every [`Process`] that `parse` gives out:
//! - `elements[0]` is the process itself; every other element has a flow scope with a lower index.
//! - Every [`ElementIndex`] and [`FlowIndex`] inside a process is valid in that process.
//! - `elements[i].index == i` and `flows[i].index == i`.
//! - Expressions are parsed; static values are already what they say they are.
//! - Lists keep the order of the XML document, which is the order of evaluation.
//!
//! Deliberately absent: positions of shapes, documentation, and everything else that does not
//! change what an instance does.

mod element;
mod events;
mod gateways;
mod mappings;
mod multi_instance;
mod process;
mod tasks;
mod text;

pub use element::{
    Element, ElementIndex, ElementKind, ElementType, EventType, ExecutionListener, ListenerEvent,
    Scope,
};
pub use events::{
    BoundaryEvent, CatchEvent, Compensation, EndEvent, ErrorThrow, EscalationThrow, Message,
    StartEvent, ThrowEvent, Timer, TimerSource, Trigger,
};
pub use gateways::{EventBasedGateway, ForkingGateway};
pub use mappings::{InputMapping, OutputMapping, Path};
pub use multi_instance::MultiInstance;
pub use process::{Flow, FlowIndex, Process, UserTaskForm};
pub use tasks::{
    Binding, BusinessRuleTask, CallActivity, Candidates, Decision, Form, FormReference, Header,
    Job, Script, ScriptTask, UserTask, UserTaskImplementation,
};
pub use text::{Number, Text};
