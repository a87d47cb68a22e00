//! An element: what all kinds have in common, and the list of the kinds.

use std::sync::Arc;

use super::{
    BoundaryEvent, BusinessRuleTask, CallActivity, CatchEvent, EndEvent, EventBasedGateway,
    FlowIndex, ForkingGateway, InputMapping, Job, Message, MultiInstance, Number, OutputMapping,
    ScriptTask, StartEvent, Text, ThrowEvent, Trigger, UserTask,
};

/// Number of an element in its process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ElementIndex(pub u32);

/// A flow node, or the process itself.
#[derive(Debug)]
pub struct Element {
    /// Its place in [`super::Process::elements`].
    pub index: ElementIndex,
    /// The id in the XML.
    pub id: Arc<str>,
    /// The name given by the modeller.
    pub name: Option<Arc<str>>,
    /// The process or sub-process that contains it; `None` for the process.
    pub flow_scope: Option<ElementIndex>,
    /// Sequence flows that lead here.
    pub incoming: Vec<FlowIndex>,
    /// Sequence flows that leave from here, in the order in which conditions are tried.
    pub outgoing: Vec<FlowIndex>,
    /// Boundary events attached to it.
    pub boundary_events: Vec<ElementIndex>,
    /// Evaluated in order when it is activated.
    pub inputs: Vec<InputMapping>,
    /// Evaluated in order when it completes.
    pub outputs: Vec<OutputMapping>,
    /// Jobs around its work.
    pub listeners: Vec<ExecutionListener>,
    /// Present if it is executed once for each item of a list.
    pub multi_instance: Option<MultiInstance>,
    /// True for an activity that only compensation starts.
    pub is_for_compensation: bool,
    /// What it does.
    pub kind: ElementKind,
}

/// What an element does.
#[derive(Debug)]
pub enum ElementKind {
    /// The process itself.
    Process(Scope),
    /// An embedded sub-process.
    SubProcess(Scope),
    /// A sub-process that an event in the enclosing scope starts; `start_events` holds exactly one.
    EventSubProcess(Scope),
    /// Where a scope begins.
    StartEvent(StartEvent),
    /// Waits for an event.
    IntermediateCatchEvent(CatchEvent),
    /// Does or announces something and goes on.
    IntermediateThrowEvent(ThrowEvent),
    /// Waits for an event while the activity it is attached to is active.
    BoundaryEvent(BoundaryEvent),
    /// Where a path ends.
    EndEvent(EndEvent),
    /// Work done by a job worker.
    ServiceTask(Job),
    /// Work done by a job worker.
    SendTask(Job),
    /// A FEEL expression, or work done by a job worker.
    ScriptTask(ScriptTask),
    /// A decision, or work done by a job worker.
    BusinessRuleTask(BusinessRuleTask),
    /// Work done by a person.
    UserTask(UserTask),
    /// Waits for a message.
    ReceiveTask(Message),
    /// Done outside; passes through.
    ManualTask,
    /// A task of no kind; passes through.
    Task,
    /// Runs another process.
    CallActivity(CallActivity),
    /// Takes the first flow whose condition holds.
    ExclusiveGateway(ForkingGateway),
    /// Takes every flow whose condition holds.
    InclusiveGateway(ForkingGateway),
    /// Takes all flows, after all incoming ones were taken.
    ParallelGateway,
    /// Takes the flow whose event comes first.
    EventBasedGateway(EventBasedGateway),
}

/// What a process or sub-process contains.
#[derive(Debug, Default)]
pub struct Scope {
    /// Every element directly inside, start events, boundary events and event sub-processes
    /// included.
    pub children: Vec<ElementIndex>,
    /// All start events directly inside.
    pub start_events: Vec<ElementIndex>,
    /// The start event without a trigger.
    pub none_start: Option<ElementIndex>,
    /// Event sub-processes directly inside.
    pub event_sub_processes: Vec<ElementIndex>,
    /// Inclusive gateways directly inside that several sequence flows lead to.
    pub inclusive_joins: Vec<ElementIndex>,
}

/// A job that blocks an element before or after its work.
#[derive(Debug, Clone)]
pub struct ExecutionListener {
    /// Before or after.
    pub event: ListenerEvent,
    /// Type of the job.
    pub job_type: Text,
    /// Retries of the job.
    pub retries: Number,
}

/// When an execution listener runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ListenerEvent {
    /// After the input mappings, before the work.
    Start,
    /// After the output mappings.
    End,
}

/// The kind of an element as records name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of BPMN")]
pub enum ElementType {
    Process,
    SubProcess,
    EventSubProcess,
    StartEvent,
    IntermediateCatchEvent,
    IntermediateThrowEvent,
    BoundaryEvent,
    EndEvent,
    ServiceTask,
    SendTask,
    ScriptTask,
    BusinessRuleTask,
    UserTask,
    ReceiveTask,
    ManualTask,
    Task,
    CallActivity,
    ExclusiveGateway,
    InclusiveGateway,
    ParallelGateway,
    EventBasedGateway,
}

/// The kind of an event as records name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are those of BPMN")]
pub enum EventType {
    None,
    Message,
    Timer,
    Signal,
    Error,
    Escalation,
    Link,
    Compensation,
    Terminate,
}

impl Element {
    /// The listeners of one kind, in the order in which they run.
    pub fn listeners_at(&self, event: ListenerEvent) -> impl Iterator<Item = &ExecutionListener> {
        self.listeners
            .iter()
            .filter(move |listener| listener.event == event)
    }

    /// The kind as records name it.
    #[must_use]
    pub fn element_type(&self) -> ElementType {
        match self.kind {
            ElementKind::Process(_) => ElementType::Process,
            ElementKind::SubProcess(_) => ElementType::SubProcess,
            ElementKind::EventSubProcess(_) => ElementType::EventSubProcess,
            ElementKind::StartEvent(_) => ElementType::StartEvent,
            ElementKind::IntermediateCatchEvent(_) => ElementType::IntermediateCatchEvent,
            ElementKind::IntermediateThrowEvent(_) => ElementType::IntermediateThrowEvent,
            ElementKind::BoundaryEvent(_) => ElementType::BoundaryEvent,
            ElementKind::EndEvent(_) => ElementType::EndEvent,
            ElementKind::ServiceTask(_) => ElementType::ServiceTask,
            ElementKind::SendTask(_) => ElementType::SendTask,
            ElementKind::ScriptTask(_) => ElementType::ScriptTask,
            ElementKind::BusinessRuleTask(_) => ElementType::BusinessRuleTask,
            ElementKind::UserTask(_) => ElementType::UserTask,
            ElementKind::ReceiveTask(_) => ElementType::ReceiveTask,
            ElementKind::ManualTask => ElementType::ManualTask,
            ElementKind::Task => ElementType::Task,
            ElementKind::CallActivity(_) => ElementType::CallActivity,
            ElementKind::ExclusiveGateway(_) => ElementType::ExclusiveGateway,
            ElementKind::InclusiveGateway(_) => ElementType::InclusiveGateway,
            ElementKind::ParallelGateway => ElementType::ParallelGateway,
            ElementKind::EventBasedGateway(_) => ElementType::EventBasedGateway,
        }
    }

    /// The kind of event as records name it; `None` for what is not an event.
    #[must_use]
    pub fn event_type(&self) -> Option<EventType> {
        match &self.kind {
            ElementKind::IntermediateThrowEvent(throw) => Some(throw.event_type()),
            ElementKind::EndEvent(end) => Some(end.event_type()),
            _ => self.trigger().map(Trigger::event_type),
        }
    }

    /// What a start, catch or boundary event waits for.
    #[must_use]
    pub fn trigger(&self) -> Option<&Trigger> {
        match &self.kind {
            ElementKind::StartEvent(start) => Some(&start.trigger),
            ElementKind::IntermediateCatchEvent(catch) => Some(&catch.trigger),
            ElementKind::BoundaryEvent(boundary) => Some(&boundary.trigger),
            _ => None,
        }
    }

    /// The message that it waits for, as an event or as a receive task.
    #[must_use]
    pub fn awaited_message(&self) -> Option<&Message> {
        match (&self.kind, self.trigger()) {
            (ElementKind::ReceiveTask(message), _) | (_, Some(Trigger::Message(message))) => {
                Some(message)
            }
            _ => None,
        }
    }

    /// What it contains, if it is a process or sub-process.
    #[must_use]
    pub fn scope(&self) -> Option<&Scope> {
        match &self.kind {
            ElementKind::Process(scope)
            | ElementKind::SubProcess(scope)
            | ElementKind::EventSubProcess(scope) => Some(scope),
            _ => None,
        }
    }

    /// The job it creates, if its work is done by a job worker. (User tasks have their own:
    /// [`UserTask`].)
    #[must_use]
    pub fn job(&self) -> Option<&Job> {
        match &self.kind {
            ElementKind::ServiceTask(job)
            | ElementKind::SendTask(job)
            | ElementKind::ScriptTask(ScriptTask::Job(job))
            | ElementKind::BusinessRuleTask(BusinessRuleTask::Job(job))
            | ElementKind::IntermediateThrowEvent(ThrowEvent::Message(job))
            | ElementKind::EndEvent(EndEvent::Message(job)) => Some(job),
            _ => None,
        }
    }
}
