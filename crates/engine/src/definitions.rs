//! Compiled processes and decisions, by key. Compiled when first needed, from the resource in the state.
//!
//! **Invariant**: what is here follows from the state alone, so that dropping all of it changes nothing but time.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::Arc;

use skep_bpmn::model;
use skep_protocol::{Key, values};
use skep_state::{Read, StateError};

use crate::compiled::Compiled;
use crate::limits;
use crate::processing::Result;
use crate::tables::{decisions, processes};

/// A deployed process: its model, under its key.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its key.
    pub key: Key,
    /// Version of its process id.
    pub version: i32,
    /// The deployment that brought it.
    pub deployment: Key,
    /// Whether anything in it can be compensated.
    pub has_compensation: bool,
    /// Whether it is deleted as soon as its last instance has ended.
    pub is_deleting: bool,
    process: model::Process,
}

impl Deref for Definition {
    type Target = model::Process;

    fn deref(&self) -> &model::Process {
        &self.process
    }
}

/// A deployed decision requirements graph: its model, and its decisions.
#[derive(Debug)]
pub(crate) struct DecisionDefinition {
    /// The compiled decisions.
    pub model: skep_dmn::Model,
    /// As deployed, by decision id.
    pub decisions: BTreeMap<String, values::Decision>,
}

/// Compiled definitions, kept by key.
#[derive(Debug)]
pub(crate) struct Definitions {
    processes: Compiled<Definition>,
    decisions: Compiled<DecisionDefinition>,
}

impl Default for Definitions {
    fn default() -> Definitions {
        Definitions::new(
            limits::COMPILED_PROCESSES_MAX,
            limits::COMPILED_RESOURCE_BYTES_MAX,
        )
    }
}

impl Definitions {
    /// Keeps so many definitions of each kind, out of so many bytes of resources.
    pub fn new(definitions_max: usize, resource_bytes_max: usize) -> Definitions {
        Definitions {
            processes: Compiled::new(definitions_max, resource_bytes_max),
            decisions: Compiled::new(definitions_max, resource_bytes_max),
        }
    }

    /// The process of that key.
    pub fn process(&mut self, state: &dyn Read, key: Key) -> Result<Option<Arc<Definition>>> {
        if let Some(definition) = self.processes.get(key) {
            return Ok(Some(definition));
        }
        let Some(stored) = processes::get(state, key)? else {
            return Ok(None);
        };
        let (definition, resource_bytes) = compile(state, &stored)?;
        Ok(Some(self.processes.keep(key, definition, resource_bytes)))
    }

    /// The decision requirements graph of that key.
    pub fn decisions(
        &mut self,
        state: &dyn Read,
        key: Key,
    ) -> Result<Option<Arc<DecisionDefinition>>> {
        if let Some(definition) = self.decisions.get(key) {
            return Ok(Some(definition));
        }
        let Some(stored) = decisions::requirements(state, key)? else {
            return Ok(None);
        };
        let (definition, resource_bytes) = compile_decisions(state, &stored)?;
        Ok(Some(self.decisions.keep(key, definition, resource_bytes)))
    }

    /// Drops what is known of a definition that has changed or is gone.
    pub fn forget(&mut self, key: Key) {
        self.processes.forget(key);
        self.decisions.forget(key);
    }

    /// The latest version of a process id.
    pub fn latest(
        &mut self,
        state: &dyn Read,
        bpmn_process_id: &str,
    ) -> Result<Option<Arc<Definition>>> {
        match processes::latest(state, bpmn_process_id)? {
            Some(version) => self.process(state, version.key()),
            None => Ok(None),
        }
    }

    /// A certain version of a process id.
    pub fn version(
        &mut self,
        state: &dyn Read,
        bpmn_process_id: &str,
        version: i32,
    ) -> Result<Option<Arc<Definition>>> {
        match processes::version(state, bpmn_process_id, version)? {
            Some(version) => self.process(state, version.key()),
            None => Ok(None),
        }
    }
}

/// Compiles a deployed process again. It was compiled when it was deployed, so that it cannot fail unless the state is damaged
/// or this version refuses what a former one accepted.
fn compile(state: &dyn Read, stored: &values::Process) -> Result<(Definition, usize)> {
    let corrupt = |reason: String| {
        let place = format!(
            "process definition {} ('{}')",
            stored.process_definition_key, stored.bpmn_process_id
        );
        refused(place, reason)
    };
    let deployment = Key(stored.deployment_key);
    let resource = processes::resource(state, deployment, &stored.resource_name)?
        .ok_or_else(|| corrupt("its resource is missing".to_owned()))?;
    let process = skep_bpmn::parse(&stored.resource_name, &resource)
        .map_err(|rejection| corrupt(rejection.to_string()))?
        .into_iter()
        .find(|process| *process.id == *stored.bpmn_process_id)
        .ok_or_else(|| corrupt("its resource does not hold it".to_owned()))?;
    let key = Key(stored.process_definition_key);
    Ok((
        Definition {
            key,
            version: stored.version,
            deployment,
            has_compensation: has_compensation(&process),
            is_deleting: stored.is_deleting,
            process,
        },
        resource.len(),
    ))
}

/// Compiles a deployed decision requirements graph again.
fn compile_decisions(
    state: &dyn Read,
    stored: &values::DecisionRequirements,
) -> Result<(DecisionDefinition, usize)> {
    let corrupt = |reason: String| {
        let place = format!(
            "decision requirements {} ('{}')",
            stored.decision_requirements_key, stored.decision_requirements_id
        );
        refused(place, reason)
    };
    let deployment = Key(stored.deployment_key);
    let resource = processes::resource(state, deployment, &stored.resource_name)?
        .ok_or_else(|| corrupt("its resource is missing".to_owned()))?;
    let name = &stored.resource_name;
    let model = skep_dmn::Model::parse(name, &resource, skep_dmn::Dialect::Zeebe)
        .map_err(|rejection| corrupt(rejection.to_string()))?;
    let key = Key(stored.decision_requirements_key);
    let decisions = decisions::of_requirements(state, key)?
        .into_iter()
        .map(|decision| (decision.decision_id.clone(), decision))
        .collect();
    Ok((DecisionDefinition { model, decisions }, resource.len()))
}

/// What was accepted at deployment cannot be compiled any more.
fn refused(place: String, reason: String) -> StateError {
    StateError::Corrupt {
        place,
        reason,
        mend:
            "Run the version that accepted this deployment, or restore the partition from a backup"
                .to_owned(),
    }
}

fn has_compensation(process: &model::Process) -> bool {
    let mut elements = process.elements.iter();
    elements.any(|element| matches!(element.trigger(), Some(model::Trigger::Compensation(_))))
}
