//! Element instances during one evaluation: read once, changed in memory, written back at its end.
//!
//! Most element instances live for a part of one evaluation only (events, gateways), so that they never reach the transaction.
//!
//! **Invariant**: whoever holds an [`ElementInstance`] holds a copy. What never changes in it may be read from the copy;
//! changes go through [`Instances::change`], and what changes is read again.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_bpmn::model::{Element, ElementIndex, ElementKind, ElementType, EventType, Flow, Process};
use skep_protocol::Key;
use skep_protocol::values::{self, BpmnElementType, BpmnEventType};
use skep_state::{Read, StateError, Txn};

use crate::definitions::{Definition, Definitions};
use crate::processing::Result;
use crate::tables::element_instances::{self, ElementState, Repetition, StoredElementInstance};

/// An execution of an element.
#[derive(Debug, Clone)]
pub(crate) struct ElementInstance {
    /// Its key.
    pub key: Key,
    /// Process definition.
    pub process: Arc<Definition>,
    /// The element.
    pub element: ElementIndex,
    /// Process instance.
    pub process_instance_key: Key,
    /// Scope that contains it; none at the root.
    pub flow_scope_key: Key,
    /// Calling process instance.
    pub parent_process_instance_key: Key,
    /// Calling element instance.
    pub parent_element_instance_key: Key,
    /// Where it stands.
    pub state: ElementState,
    /// Element instances in it.
    pub children: u32,
    /// Tokens on their way in it.
    pub tokens: u32,
    /// Its job.
    pub job_key: Key,
    /// Its user task, if the engine keeps that.
    pub user_task_key: Key,
    /// The event that interrupts it.
    pub interrupted_by: Option<ElementIndex>,
    /// Whether it has variables of its own.
    pub has_variables: bool,
    /// Whether triggers are queued in it.
    pub has_triggers: bool,
    /// Whether somebody waits for its result.
    pub has_awaited_result: bool,
    /// Process instance that it has called and that has not ended.
    pub called_process_instance_key: Key,
    /// How many calls lie between its process instance and the one that nobody called.
    pub call_depth: u32,
    /// Whether it is the body of a multi-instance activity, and no repetition of it.
    is_body: bool,
    /// Whether its work is done, so that what is left in it is being terminated.
    pub finishes_early: bool,
    /// How far it has come as a multi-instance body, or which repetition it is.
    pub repetition: Repetition,
    /// Execution listeners that have done their part of the step at hand.
    pub listeners_done: u32,
    /// Of a compensation handler: the subscription of what it undoes.
    pub compensation_key: Key,
}

impl ElementInstance {
    /// A new one in a flow scope.
    pub fn new(key: Key, scope: &ElementInstance, element: ElementIndex) -> ElementInstance {
        let mut instance =
            ElementInstance::root(scope.process_instance_key, Arc::clone(&scope.process));
        instance.key = key;
        instance.element = element;
        instance.state = ElementState::Activating;
        instance.flow_scope_key = scope.key;
        instance.parent_process_instance_key = scope.parent_process_instance_key;
        instance.parent_element_instance_key = scope.parent_element_instance_key;
        instance.call_depth = scope.call_depth;
        instance.is_body = scope.has_body_for(element);
        instance
    }

    /// A new process instance, called by an element instance.
    pub fn called(key: Key, process: Arc<Definition>, caller: &ElementInstance) -> ElementInstance {
        let mut instance = ElementInstance::root(key, process);
        instance.parent_process_instance_key = caller.process_instance_key;
        instance.parent_element_instance_key = caller.key;
        instance.call_depth = caller.call_depth + 1;
        instance
    }

    /// A new process instance.
    pub fn root(key: Key, process: Arc<Definition>) -> ElementInstance {
        ElementInstance {
            key,
            process,
            element: Process::ROOT,
            process_instance_key: key,
            flow_scope_key: Key::NONE,
            parent_process_instance_key: Key::NONE,
            parent_element_instance_key: Key::NONE,
            state: ElementState::Created,
            children: 0,
            tokens: 0,
            job_key: Key::NONE,
            user_task_key: Key::NONE,
            interrupted_by: None,
            has_variables: false,
            has_triggers: false,
            has_awaited_result: false,
            called_process_instance_key: Key::NONE,
            call_depth: 0,
            is_body: false,
            finishes_early: false,
            repetition: Repetition::default(),
            listeners_done: 0,
            compensation_key: Key::NONE,
        }
    }

    /// Its element.
    pub fn element(&self) -> &Element {
        self.process.element(self.element)
    }

    /// Whether it is the process instance itself.
    pub fn is_process(&self) -> bool {
        self.element == Process::ROOT
    }

    /// Whether nothing has begun that could still come to an end in it.
    pub fn is_idle(&self) -> bool {
        self.children == 0 && self.tokens == 0
    }

    /// Whether it is the body of a multi-instance activity.
    pub fn is_body(&self) -> bool {
        self.is_body
    }

    /// Whether it is one of the repetitions in the body of a multi-instance activity.
    pub fn is_repetition(&self) -> bool {
        !self.is_body && self.element().multi_instance.is_some()
    }

    /// Whether an element that is executed in it begins with the body of a multi-instance activity.
    fn has_body_for(&self, element: ElementIndex) -> bool {
        self.element != element && self.process.element(element).multi_instance.is_some()
    }

    /// The boundary events of its element; those of a multi-instance activity belong to the body.
    pub fn boundary_events(&self) -> &[ElementIndex] {
        if self.is_repetition() {
            return &[];
        }
        &self.element().boundary_events
    }

    /// The start events of the event sub-processes directly in it.
    pub fn event_sub_process_starts(&self) -> impl Iterator<Item = ElementIndex> + '_ {
        let scope = self.element().scope().filter(|_| !self.is_body);
        let found = scope
            .into_iter()
            .flat_map(|scope| &scope.event_sub_processes);
        found.filter_map(|&index| {
            let scope = self.process.element(index).scope()?;
            scope.start_events.first().copied()
        })
    }

    /// The events that it waits for as an event-based gateway.
    pub fn events_behind_gateway(&self) -> &[ElementIndex] {
        match &self.element().kind {
            ElementKind::EventBasedGateway(gateway) => &gateway.events,
            _ => &[],
        }
    }

    /// Whether it waits for an event of its own: it is such an event, or a receive task.
    pub fn awaits_itself(&self) -> bool {
        match &self.element().kind {
            ElementKind::IntermediateCatchEvent(catch) => !catch.behind_event_based_gateway,
            ElementKind::ReceiveTask(_) => !self.is_body,
            _ => false,
        }
    }

    /// Whether one of its boundary events interrupts it.
    pub fn is_interrupted_from_outside(&self) -> bool {
        self.interrupted_by.is_some_and(|event| {
            let event = self.process.element(event);
            matches!(event.kind, ElementKind::BoundaryEvent(_))
        })
    }

    /// Whether an element may begin and end in it: it is active, and it is not being emptied.
    pub fn admits(&self, element: ElementIndex) -> bool {
        self.state == ElementState::Activated
            && !self.finishes_early
            && self
                .interrupted_by
                .is_none_or(|event| self.process.element(event).flow_scope == Some(element))
    }

    /// Its value in the record stream.
    pub fn value(&self) -> values::ProcessInstance {
        value_of(self, self.element(), self.is_body)
    }

    /// The value in the record stream of an element that is to be executed in it.
    pub fn child_value(&self, element: ElementIndex) -> values::ProcessInstance {
        let child = self.process.element(element);
        values::ProcessInstance {
            flow_scope_key: self.key.0,
            ..value_of(self, child, self.has_body_for(element))
        }
    }

    /// The value in the record stream of a sequence flow that leaves from it.
    pub fn flow_value(&self, flow: &Flow) -> values::ProcessInstance {
        values::ProcessInstance {
            element_id: flow.id.to_string(),
            element_type: BpmnElementType::SequenceFlow.into(),
            event_type: BpmnEventType::Unspecified.into(),
            ..value_of(self, self.element(), false)
        }
    }

    fn from_stored(
        key: Key,
        process: Arc<Definition>,
        stored: &StoredElementInstance,
    ) -> Option<ElementInstance> {
        let element = match stored.element_type() {
            BpmnElementType::Process => Process::ROOT,
            _ => process.element_by_id(&stored.element_id)?.index,
        };
        let interrupted_by = match stored.interrupted_by.as_str() {
            "" => None,
            id => Some(process.element_by_id(id)?.index),
        };
        Some(ElementInstance {
            key,
            process,
            element,
            process_instance_key: Key(stored.process_instance_key),
            flow_scope_key: Key(stored.flow_scope_key),
            parent_process_instance_key: Key(stored.parent_process_instance_key),
            parent_element_instance_key: Key(stored.parent_element_instance_key),
            state: stored.state(),
            children: stored.children,
            tokens: stored.tokens,
            job_key: key_or_none(stored.job_key),
            user_task_key: key_or_none(stored.user_task_key),
            interrupted_by,
            has_variables: stored.has_variables,
            has_triggers: stored.has_triggers,
            has_awaited_result: stored.has_awaited_result,
            called_process_instance_key: key_or_none(stored.called_process_instance_key),
            call_depth: stored.call_depth,
            is_body: stored.element_type() == BpmnElementType::MultiInstanceBody,
            finishes_early: stored.finishes_early,
            repetition: stored.repetition.unwrap_or_default(),
            listeners_done: stored.listeners_done,
            compensation_key: key_or_none(stored.compensation_key),
        })
    }

    /// The kind of its element, or that it is a body, as the record stream names it.
    pub fn element_type(&self) -> BpmnElementType {
        match self.is_body {
            true => BpmnElementType::MultiInstanceBody,
            false => element_type(self.element()),
        }
    }

    fn to_stored(&self) -> StoredElementInstance {
        let element = self.element();
        let interrupted_by = self
            .interrupted_by
            .map(|index| self.process.element(index).id.to_string());
        StoredElementInstance {
            process_definition_key: self.process.key.0,
            process_instance_key: self.process_instance_key.0,
            element_id: element.id.to_string(),
            element_type: self.element_type().into(),
            flow_scope_key: self.flow_scope_key.0,
            parent_process_instance_key: self.parent_process_instance_key.0,
            parent_element_instance_key: self.parent_element_instance_key.0,
            state: self.state.into(),
            children: self.children,
            tokens: self.tokens,
            job_key: self.job_key.0.max(0),
            user_task_key: self.user_task_key.0.max(0),
            interrupted_by: interrupted_by.unwrap_or_default(),
            has_variables: self.has_variables,
            has_triggers: self.has_triggers,
            has_awaited_result: self.has_awaited_result,
            called_process_instance_key: self.called_process_instance_key.0.max(0),
            call_depth: self.call_depth,
            finishes_early: self.finishes_early,
            compensation_key: self.compensation_key.0.max(0),
            repetition: (self.repetition != Repetition::default()).then_some(self.repetition),
            listeners_done: self.listeners_done,
        }
    }
}

/// Keys are stored as 0 where there is none, so that they take no room.
fn key_or_none(stored: i64) -> Key {
    if stored == 0 { Key::NONE } else { Key(stored) }
}

fn value_of(
    instance: &ElementInstance,
    element: &Element,
    is_body: bool,
) -> values::ProcessInstance {
    let element_type = match is_body {
        true => BpmnElementType::MultiInstanceBody,
        false => element_type(element),
    };
    values::ProcessInstance {
        bpmn_process_id: instance.process.id.to_string(),
        version: instance.process.version,
        process_definition_key: instance.process.key.0,
        process_instance_key: instance.process_instance_key.0,
        element_id: element.id.to_string(),
        flow_scope_key: instance.flow_scope_key.0,
        element_type: element_type.into(),
        event_type: event_type(element).into(),
        parent_process_instance_key: instance.parent_process_instance_key.0,
        parent_element_instance_key: instance.parent_element_instance_key.0,
    }
}

/// The kind of an element, as the record stream names it.
pub(crate) fn element_type(element: &Element) -> BpmnElementType {
    match element.element_type() {
        ElementType::Process => BpmnElementType::Process,
        ElementType::SubProcess => BpmnElementType::SubProcess,
        ElementType::EventSubProcess => BpmnElementType::EventSubProcess,
        ElementType::StartEvent => BpmnElementType::StartEvent,
        ElementType::IntermediateCatchEvent => BpmnElementType::IntermediateCatchEvent,
        ElementType::IntermediateThrowEvent => BpmnElementType::IntermediateThrowEvent,
        ElementType::BoundaryEvent => BpmnElementType::BoundaryEvent,
        ElementType::EndEvent => BpmnElementType::EndEvent,
        ElementType::ServiceTask => BpmnElementType::ServiceTask,
        ElementType::SendTask => BpmnElementType::SendTask,
        ElementType::ScriptTask => BpmnElementType::ScriptTask,
        ElementType::BusinessRuleTask => BpmnElementType::BusinessRuleTask,
        ElementType::UserTask => BpmnElementType::UserTask,
        ElementType::ReceiveTask => BpmnElementType::ReceiveTask,
        ElementType::ManualTask => BpmnElementType::ManualTask,
        ElementType::Task => BpmnElementType::Task,
        ElementType::CallActivity => BpmnElementType::CallActivity,
        ElementType::ExclusiveGateway => BpmnElementType::ExclusiveGateway,
        ElementType::InclusiveGateway => BpmnElementType::InclusiveGateway,
        ElementType::ParallelGateway => BpmnElementType::ParallelGateway,
        ElementType::EventBasedGateway => BpmnElementType::EventBasedGateway,
    }
}

/// The kind of an element's event, as the record stream names it.
pub(crate) fn event_type(element: &Element) -> BpmnEventType {
    match element.event_type() {
        None => BpmnEventType::Unspecified,
        Some(EventType::None) => BpmnEventType::None,
        Some(EventType::Message) => BpmnEventType::Message,
        Some(EventType::Timer) => BpmnEventType::Timer,
        Some(EventType::Signal) => BpmnEventType::Signal,
        Some(EventType::Error) => BpmnEventType::Error,
        Some(EventType::Escalation) => BpmnEventType::Escalation,
        Some(EventType::Link) => BpmnEventType::Link,
        Some(EventType::Compensation) => BpmnEventType::Compensation,
        Some(EventType::Terminate) => BpmnEventType::Terminate,
    }
}

/// How a loaded element instance relates to the transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Origin {
    /// The transaction does not know it.
    New,
    /// The transaction has it as it is here.
    Same,
    /// The transaction has it as it was.
    Changed,
}

#[derive(Debug)]
struct Slot {
    /// `None` once it is removed.
    instance: Option<ElementInstance>,
    flow_scope_key: Key,
    /// The definition, as the transaction has it.
    definition: Key,
    origin: Origin,
}

/// The element instances that an evaluation has met.
#[derive(Debug, Default)]
pub(crate) struct Instances {
    slots: BTreeMap<Key, Slot>,
}

impl Instances {
    /// A copy of the element instance of that key.
    pub fn get(
        &mut self,
        state: &dyn Read,
        definitions: &mut Definitions,
        key: Key,
    ) -> Result<Option<ElementInstance>> {
        if let Some(slot) = self.slots.get(&key) {
            return Ok(slot.instance.clone());
        }
        let Some(stored) = element_instances::get(state, key)? else {
            return Ok(None);
        };
        let corrupt = |reason: &str| {
            StateError::Corrupt {
            place: format!("element instance {key} ('{}')", stored.element_id),
            reason: reason.to_owned(),
            mend: "Restore the partition from a backup, or remove this replica's data so that it is fetched again".to_owned(),
        }
        };
        let process = definitions
            .process(state, Key(stored.process_definition_key))?
            .ok_or_else(|| corrupt("its process definition is missing"))?;
        let instance = ElementInstance::from_stored(key, process, &stored)
            .ok_or_else(|| corrupt("its process definition does not have its element"))?;
        let (flow_scope_key, definition) = (instance.flow_scope_key, instance.process.key);
        self.slots.insert(
            key,
            Slot {
                instance: Some(instance.clone()),
                flow_scope_key,
                definition,
                origin: Origin::Same,
            },
        );
        Ok(Some(instance))
    }

    /// A new element instance.
    pub fn add(&mut self, instance: ElementInstance) {
        let (key, flow_scope_key) = (instance.key, instance.flow_scope_key);
        let definition = instance.process.key;
        let before = self.slots.insert(
            key,
            Slot {
                instance: Some(instance),
                flow_scope_key,
                definition,
                origin: Origin::New,
            },
        );
        assert!(
            before.is_none(),
            "element instance {key} is created but exists"
        );
    }

    /// Changes an element instance that was met in this evaluation.
    pub fn change(&mut self, key: Key, change: impl FnOnce(&mut ElementInstance)) {
        let slot = self.slots.get_mut(&key);
        let slot =
            slot.unwrap_or_else(|| panic!("element instance {key} is changed before it was read"));
        let instance = slot.instance.as_mut();
        change(
            instance.unwrap_or_else(|| panic!("element instance {key} is changed after its end")),
        );
        if slot.origin == Origin::Same {
            slot.origin = Origin::Changed;
        }
    }

    /// Removes an element instance that was met in this evaluation.
    pub fn remove(&mut self, key: Key) {
        let slot = self.slots.get_mut(&key);
        let slot =
            slot.unwrap_or_else(|| panic!("element instance {key} is removed before it was read"));
        assert!(
            slot.instance.take().is_some(),
            "element instance {key} is removed twice"
        );
        if slot.origin == Origin::Same {
            slot.origin = Origin::Changed;
        }
    }

    /// Writes everything to the transaction that is not there yet.
    pub fn flush(&mut self, txn: &mut dyn Txn) {
        self.slots.retain(|&key, slot| {
            match (&slot.instance, slot.origin) {
                (Some(instance), Origin::New) => {
                    element_instances::create(txn, key, &instance.to_stored())
                }
                (Some(instance), Origin::Changed) => {
                    element_instances::update(txn, key, &instance.to_stored(), slot.definition);
                    slot.definition = instance.process.key;
                }
                (None, Origin::Changed | Origin::Same) => {
                    element_instances::delete(txn, key, slot.flow_scope_key, slot.definition)
                }
                (None, Origin::New) | (Some(_), Origin::Same) => {}
            }
            slot.origin = Origin::Same;
            slot.instance.is_some()
        });
    }
}
