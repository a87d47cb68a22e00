//! PROCESS_INSTANCE_MIGRATION: a process instance goes on with another definition.
//!
//! Every element instance becomes one of the element that it is mapped to. Jobs, user tasks, variables, incidents and what waits for
//! events keep their keys and what they have said; only where they belong changes.
//!
//! All is checked before anything is changed.

mod catch_events;
mod checks;
mod compensations;
mod subscriptions;

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_bpmn::model::{Element, ElementIndex, Process};
use skep_protocol::values;
use skep_protocol::{
    Command, IncidentIntent, JobIntent, Key, ProcessInstanceIntent, ProcessInstanceMigrationIntent,
    RecordValue, Rejection, UserTaskIntent, VariableIntent,
};

use crate::banned;
use crate::behaviours::{instance_tree, jobs as job_behaviour, message_starts};
use crate::definitions::Definition;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::{incidents, jobs, user_tasks, variables};

/// Where a process instance goes.
struct Migration {
    target: Arc<Definition>,
    /// Ids of elements by what they become.
    mapping: BTreeMap<String, String>,
}

impl Migration {
    /// The id that an element has in the target definition.
    fn mapped(&self, id: &str) -> Option<&str> {
        self.mapping.get(id).map(String::as_str)
    }

    /// The element that an element of the source goes on as.
    fn target_of(&self, element: &Element) -> Option<&Element> {
        if element.index == Process::ROOT {
            return Some(self.target.root());
        }
        self.target.element_by_id(self.mapped(&element.id)?)
    }

    /// An element instance as it goes on, if it does.
    fn become_of(&self, before: &ElementInstance) -> Option<ElementInstance> {
        let mut after = before.clone();
        after.process = Arc::clone(&self.target);
        after.element = self.target_of(before.element())?.index;
        after.interrupted_by = before
            .interrupted_by
            .and_then(|event| self.interruption(before.process.element(event), &before.process));
        Some(after)
    }

    /// What an interrupting event has become. That of an event sub-process need not be mapped itself.
    fn interruption(&self, event: &Element, source: &Process) -> Option<ElementIndex> {
        if let Some(target) = self.target_of(event) {
            return Some(target.index);
        }
        let scope = self.target_of(source.element(event.flow_scope?))?.scope()?;
        scope.start_events.first().copied()
    }
}

/// Evaluates a PROCESS_INSTANCE_MIGRATION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ProcessInstanceMigration(value) = &command.value else {
        unreachable!("a PROCESS_INSTANCE_MIGRATION command carries a migration");
    };
    if banned::refuses(p, command, command.key.0)? {
        return Ok(());
    }
    let root = p.instance(command.key)?;
    let is_alive =
        |root: &ElementInstance| root.is_process() && root.state != ElementState::Terminating;
    let Some(root) = root.filter(is_alive) else {
        let reason = format!(
            "Expected to migrate process instance but no process instance found with key '{}'",
            command.key
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    let target = Key(value.target_process_definition_key);
    let found = p.definitions.process(p.txn, target)?;
    let Some(target) = found.filter(|target| !target.is_deleting) else {
        let reason = format!(
            "Expected to migrate process instance to process definition but no process definition found with key '{target}'"
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    };
    match check(p, &root, target, value)? {
        Ok((migration, instances)) => migrate(p, command, value, &migration, &instances),
        Err(rejection) => {
            p.reject(command, rejection);
            Ok(())
        }
    }
}

type Checked<T> = std::result::Result<T, Rejection>;

/// What is to be done, with the element instances that it is to be done to.
fn check(
    p: &mut Processing,
    root: &ElementInstance,
    target: Arc<Definition>,
    value: &values::ProcessInstanceMigration,
) -> Result<Checked<(Migration, Vec<ElementInstance>)>> {
    if let Some(rejection) = checks::correlation_key(p, root, &target)? {
        return Ok(Err(rejection));
    }
    let mapping = match checks::mapping(root, &target, value) {
        Ok(mapping) => mapping,
        Err(rejection) => return Ok(Err(rejection)),
    };
    let migration = Migration { target, mapping };
    let instances = instance_tree::all(p, root)?;
    for instance in &instances {
        if let Err(rejection) = checks::instance(p, root, instance, &migration)? {
            return Ok(Err(rejection));
        }
    }
    Ok(Ok((migration, instances)))
}

fn migrate(
    p: &mut Processing,
    command: &Command,
    value: &values::ProcessInstanceMigration,
    migration: &Migration,
    instances: &[ElementInstance],
) -> Result<()> {
    for instance in instances {
        migrate_instance(p, migration, instance)?;
    }
    let (root, target) = (&instances[0], &migration.target);
    if root.process.id != target.id {
        message_starts::instance_migrated(p, root.key, &target.id)?;
    }
    let mut migrated = value.clone();
    migrated.process_instance_key = command.key.0;
    let intent = ProcessInstanceMigrationIntent::Migrated;
    p.event(command.key, intent, migrated.clone());
    p.respond(command.key, intent, migrated);
    Ok(())
}

fn migrate_instance(
    p: &mut Processing,
    migration: &Migration,
    before: &ElementInstance,
) -> Result<()> {
    let instance = migration
        .become_of(before)
        .expect("all element instances were checked to have a target");
    p.instances.change(before.key, |stored| {
        stored.process = Arc::clone(&instance.process);
        stored.element = instance.element;
        stored.interrupted_by = instance.interrupted_by;
    });
    let intent = ProcessInstanceIntent::ElementMigrated;
    p.event(instance.key, intent, instance.value());
    migrate_job(p, &instance)?;
    migrate_user_task(p, &instance)?;
    migrate_incident(p, &instance, instance.key)?;
    migrate_variables(p, &instance)?;
    compensations::migrate(p, migration, before, &instance)?;
    subscriptions::migrate(p, migration, before, &instance)
}

fn migrate_job(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let key = instance.job_key;
    if !key.is_some() {
        return Ok(());
    }
    let Some(before) = jobs::get(p.txn, key)? else {
        return Ok(());
    };
    let mut after = before.clone();
    after.job.process_definition_key = instance.process.key.0;
    after.job.process_definition_version = instance.process.version;
    after.job.bpmn_process_id = instance.process.id.to_string();
    after.job.element_id = instance.element().id.to_string();
    job_behaviour::change(p, key, &before, &after);
    p.event(key, JobIntent::Migrated, after.job);
    migrate_incident(p, instance, key)
}

fn migrate_user_task(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let key = instance.user_task_key;
    if !key.is_some() {
        return Ok(());
    }
    if let Some(mut task) = user_tasks::get(p.txn, key)? {
        task.process_definition_key = instance.process.key.0;
        task.process_definition_version = instance.process.version;
        task.bpmn_process_id = instance.process.id.to_string();
        task.element_id = instance.element().id.to_string();
        user_tasks::update(p.txn, key, &task);
        p.event(key, UserTaskIntent::Migrated, task);
    }
    Ok(())
}

/// The incident of an element instance or of its job.
fn migrate_incident(p: &mut Processing, instance: &ElementInstance, owner: Key) -> Result<()> {
    let Some(key) = incidents::of_owner(p.txn, owner)? else {
        return Ok(());
    };
    if let Some(mut incident) = incidents::get(p.txn, key)? {
        incident.process_definition_key = instance.process.key.0;
        incident.bpmn_process_id = instance.process.id.to_string();
        incident.element_id = instance.element().id.to_string();
        incidents::update(p.txn, key, &incident);
        p.event(key, IncidentIntent::Migrated, incident);
    }
    Ok(())
}

/// Variables do not know their process; only the record stream says where they are now.
fn migrate_variables(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    if !instance.has_variables {
        return Ok(());
    }
    for (name, variable) in variables::of_scope(p.txn, instance.key)? {
        let value = values::Variable {
            name,
            value: String::new(),
            scope_key: instance.key.0,
            process_instance_key: instance.process_instance_key.0,
            process_definition_key: instance.process.key.0,
            bpmn_process_id: instance.process.id.to_string(),
        };
        p.event(Key(variable.key), VariableIntent::Migrated, value);
    }
    Ok(())
}
