//! PROCESS_INSTANCE_CREATION: a client wants a process instance.

use std::sync::Arc;

use skep_bpmn::model::{ElementIndex, ElementKind};
use skep_protocol::{
    Command, Intent, Key, ProcessInstanceCreationIntent, RecordValue, Rejection, values,
};

use crate::behaviours::incidents::{Step, Stop};
use crate::behaviours::instances::{self, ACTIVATABLE_TYPES, Start};
use crate::definitions::Definition;
use crate::json::Document;
use crate::processing::{Processing, Result};
use crate::tables::awaited_results::{self, AwaitedResult};

/// Evaluates a PROCESS_INSTANCE_CREATION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstanceCreation(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE_CREATION command carries a creation");
    };
    let (process, start) = match check(p, value)? {
        Ok(found) => found,
        Err(rejection) => {
            p.reject(command, rejection);
            return Ok(());
        }
    };
    let instance = match create(p, &process, &start, &value.variables) {
        Ok(instance) => instance,
        Err(Stop::State(error)) => return Err(error),
        Err(Stop::Incident(failure)) => {
            p.take_back(command, Rejection::invalid_argument(failure.message));
            return Ok(());
        }
    };
    let created = values::ProcessInstanceCreation {
        bpmn_process_id: process.id.to_string(),
        version: process.version,
        process_definition_key: process.key.0,
        process_instance_key: instance.0,
        ..value.clone()
    };
    let key = p.next_key()?;
    p.event(key, ProcessInstanceCreationIntent::Created, created.clone());
    let awaits_result =
        Intent::ProcessInstanceCreation(ProcessInstanceCreationIntent::CreateWithAwaitingResult);
    if command.intent == awaits_result {
        await_result(p, instance, &value.fetch_variables);
    } else {
        p.respond(key, ProcessInstanceCreationIntent::Created, created);
    }
    Ok(())
}

/// Where the instance begins.
enum Begin {
    /// At the none start event.
    NoneEvent,
    /// At these elements.
    Elements(Vec<ElementIndex>),
}

fn create(
    p: &mut Processing,
    process: &Arc<Definition>,
    begin: &Begin,
    variables: &str,
) -> Step<Key> {
    match begin {
        Begin::NoneEvent => Ok(instances::create(p, process, Start::NoneEvent, variables)?),
        Begin::Elements(targets) => instances::create_at(p, process, targets, variables),
    }
}

/// The answer is given when the instance completes.
fn await_result(p: &mut Processing, instance: Key, fetch_variables: &[String]) {
    if let Some(request) = p.request {
        let awaited = AwaitedResult {
            gateway: request.gateway,
            request: request.request,
            fetch_variables: fetch_variables.to_vec(),
        };
        awaited_results::create(p.txn, instance, &awaited);
        p.instances
            .change(instance, |instance| instance.has_awaited_result = true);
    }
}

type Checked = std::result::Result<(Arc<Definition>, Begin), Rejection>;

fn check(p: &mut Processing, value: &values::ProcessInstanceCreation) -> Result<Checked> {
    if let Err(rejection) = Document::from_client(&value.variables) {
        return Ok(Err(rejection));
    }
    let process = match find(p, value)? {
        Ok(process) => process,
        Err(rejection) => return Ok(Err(rejection)),
    };
    if !value.start_instructions.is_empty() {
        let targets = value
            .start_instructions
            .iter()
            .map(|id| start_element(&process, id))
            .collect();
        let targets: std::result::Result<Vec<_>, _> = targets;
        return Ok(targets.map(|targets| (process, Begin::Elements(targets))));
    }
    if process.none_start().is_none() {
        let reason = "Expected to create instance of process with none start event, but there is no such event";
        return Ok(Err(Rejection::invalid_state(reason)));
    }
    Ok(Ok((process, Begin::NoneEvent)))
}

/// The process meant: by id and version, else by key.
fn find(
    p: &mut Processing,
    value: &values::ProcessInstanceCreation,
) -> Result<std::result::Result<Arc<Definition>, Rejection>> {
    let id = &value.bpmn_process_id;
    let (found, named) = if !id.is_empty() && value.version >= 0 {
        let named = format!("process ID '{id}' and version '{}'", value.version);
        (p.definitions.version(p.txn, id, value.version)?, named)
    } else if !id.is_empty() {
        (
            p.definitions.latest(p.txn, id)?,
            format!("process ID '{id}'"),
        )
    } else if value.process_definition_key >= 0 {
        let key = Key(value.process_definition_key);
        let found = p.definitions.process(p.txn, key)?;
        (
            found.filter(|process| !process.is_deleting),
            format!("key '{key}'"),
        )
    } else {
        let reason = "Expected at least a bpmnProcessId or a key greater than -1, but none given";
        return Ok(Err(Rejection::invalid_argument(reason)));
    };
    Ok(found.ok_or_else(|| {
        Rejection::not_found(format!(
            "Expected to find process definition with {named}, but none found"
        ))
    }))
}

/// The element of a start instruction, if an instance can begin there.
fn start_element(process: &Definition, id: &str) -> std::result::Result<ElementIndex, Rejection> {
    let refuse = |reason: String| {
        let lead = "Expected to create instance of process with start instructions but";
        Err(Rejection::invalid_argument(format!("{lead} {reason}")))
    };
    if process.flow_by_id(id).is_some() {
        return refuse(format!(
            "the element with id '{id}' targets unsupported element type 'SEQUENCE_FLOW'. \
             Supported element types are: {ACTIVATABLE_TYPES}"
        ));
    }
    let Some(element) = process.element_by_id(id) else {
        return refuse(format!("no element found with id '{id}'."));
    };
    let unsupported = match &element.kind {
        ElementKind::StartEvent(_) => Some("START_EVENT"),
        ElementKind::BoundaryEvent(_) => Some("BOUNDARY_EVENT"),
        ElementKind::Process(_) => Some("PROCESS"),
        _ => None,
    };
    if let Some(unsupported) = unsupported {
        return refuse(format!(
            "the element with id '{id}' targets unsupported element type '{unsupported}'. \
             Supported element types are: {ACTIVATABLE_TYPES}"
        ));
    }
    if process
        .flow_scopes(element.index)
        .any(|scope| scope.multi_instance.is_some())
    {
        return refuse(format!(
            "the element with id '{id}' is inside a multi-instance subprocess. \
             The creation of elements inside a multi-instance subprocess is not supported."
        ));
    }
    let behind_gateway = matches!(
        &element.kind,
        ElementKind::IntermediateCatchEvent(event) if event.behind_event_based_gateway
    );
    if behind_gateway {
        return refuse(format!(
            "the element with id '{id}' belongs to an event-based gateway. \
             The creation of elements belonging to an event-based gateway is not supported."
        ));
    }
    Ok(element.index)
}
