//! Compiled process definitions, by key. Compiled when first needed, from the resource in the state.
//!
//! **Invariants**
//! - What is here follows from the state alone, so that dropping all of it changes nothing but time.
//! - At most [`limits::COMPILED_PROCESSES_MAX`] processes out of [`limits::COMPILED_RESOURCE_BYTES_MAX`] bytes of resources are
//!   kept; what has not been used since it was last looked over makes room for others.

use std::collections::VecDeque;
use std::ops::Deref;
use std::sync::Arc;

use rustc_hash::FxHashMap;
use skep_bpmn::model;
use skep_protocol::{Key, values};
use skep_state::{Read, StateError};

use crate::limits;
use crate::processing::Result;
use crate::tables::processes;

/// A deployed process: its model, under its key.
#[derive(Debug)]
pub(crate) struct Definition {
    /// Its key.
    pub key: Key,
    /// Version of its process id.
    pub version: i32,
    process: model::Process,
}

impl Deref for Definition {
    type Target = model::Process;

    fn deref(&self) -> &model::Process {
        &self.process
    }
}

#[derive(Debug)]
struct Entry {
    definition: Arc<Definition>,
    resource_bytes: usize,
    used: bool,
}

/// Compiled process definitions, kept by key.
#[derive(Debug)]
pub(crate) struct Definitions {
    processes_max: usize,
    resource_bytes_max: usize,
    entries: FxHashMap<Key, Entry>,
    /// Keys in the order in which they are looked over when room is needed.
    queue: VecDeque<Key>,
    resource_bytes: usize,
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
    /// Keeps so many processes, out of so many bytes of resources.
    pub fn new(processes_max: usize, resource_bytes_max: usize) -> Definitions {
        Definitions {
            processes_max,
            resource_bytes_max,
            entries: FxHashMap::default(),
            queue: VecDeque::new(),
            resource_bytes: 0,
        }
    }

    /// The process of that key.
    pub fn process(&mut self, state: &dyn Read, key: Key) -> Result<Option<Arc<Definition>>> {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.used = true;
            return Ok(Some(Arc::clone(&entry.definition)));
        }
        let Some(stored) = processes::get(state, key)? else {
            return Ok(None);
        };
        let (definition, resource_bytes) = compile(state, &stored)?;
        let definition = Arc::new(definition);
        self.keep(Entry {
            definition: Arc::clone(&definition),
            resource_bytes,
            used: false,
        });
        Ok(Some(definition))
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

    fn keep(&mut self, entry: Entry) {
        self.make_room(entry.resource_bytes);
        self.resource_bytes += entry.resource_bytes;
        let key = entry.definition.key;
        self.queue.push_back(key);
        let before = self.entries.insert(key, entry);
        assert!(
            before.is_none(),
            "a definition is compiled only when it is not here"
        );
    }

    /// Drops what has not been used lately, until there is room for one more. Ends, since each round either drops an entry
    /// or clears its mark.
    fn make_room(&mut self, resource_bytes: usize) {
        while self.entries.len() >= self.processes_max
            || self.resource_bytes + resource_bytes > self.resource_bytes_max
        {
            let Some(key) = self.queue.pop_front() else {
                return;
            };
            let entry = self
                .entries
                .get_mut(&key)
                .expect("the queue holds the keys of the entries");
            if entry.used {
                entry.used = false;
                self.queue.push_back(key);
            } else {
                self.resource_bytes -= entry.resource_bytes;
                self.entries.remove(&key);
            }
        }
    }
}

/// Compiles a deployed process again. It was compiled when it was deployed, so that it cannot fail unless the state is damaged
/// or this version refuses what a former one accepted.
fn compile(state: &dyn Read, stored: &values::Process) -> Result<(Definition, usize)> {
    let corrupt = |reason: String| StateError::Corrupt {
        place: format!(
            "process definition {} ('{}')",
            stored.process_definition_key, stored.bpmn_process_id
        ),
        reason,
        mend:
            "Run the version that accepted this deployment, or restore the partition from a backup"
                .to_owned(),
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
            process,
        },
        resource.len(),
    ))
}
