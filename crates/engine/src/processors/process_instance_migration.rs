//! PROCESS_INSTANCE_MIGRATION: a process instance goes on with another definition.
//!
//! Every element instance becomes one of the element that it is mapped to. Jobs, user tasks, variables and incidents keep their keys
//! and what they have said; only where they belong changes.

mod checks;
mod subscriptions;

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_protocol::values;
use skep_protocol::{
    Command, IncidentIntent, JobIntent, Key, ProcessInstanceIntent, ProcessInstanceMigrationIntent,
    RecordValue, Rejection, UserTaskIntent, VariableIntent,
};

use crate::banned;
use crate::behaviours::{instance_tree, jobs as job_behaviour};
use crate::definitions::Definition;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances::ElementState;
use crate::tables::{event_triggers, incidents, jobs, user_tasks, variables};

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
    let instances = instance_tree::all(p, &root)?;
    let checked = checks::mapping(&root, &target, value).and_then(|mapping| {
        let migration = Migration { target, mapping };
        checks::instances(&root, &instances, &migration)?;
        Ok(migration)
    });
    match checked {
        Ok(migration) => migrate(p, command, value, &migration, &instances),
        Err(rejection) => {
            p.reject(command, rejection);
            Ok(())
        }
    }
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
    let element = checks::target_element(migration, before)
        .expect("all element instances were checked to have a target");
    let (target, index) = (&migration.target, element.index);
    let interrupted_by = before.interrupted_by.and_then(|event| {
        let id = migration.mapped(&before.process.element(event).id)?;
        target.element_by_id(id).map(|event| event.index)
    });
    p.instances.change(before.key, |instance| {
        instance.process = Arc::clone(target);
        instance.element = index;
        instance.interrupted_by = interrupted_by;
    });
    let instance = p.existing_instance(before.key)?;
    let intent = ProcessInstanceIntent::ElementMigrated;
    p.event(instance.key, intent, instance.value());
    migrate_triggers(p, migration, before, &instance)?;
    migrate_job(p, &instance)?;
    migrate_user_task(p, &instance)?;
    migrate_incident(p, &instance, instance.key)?;
    migrate_variables(p, &instance)?;
    subscriptions::migrate(p, migration, before, &instance)
}

/// What waits to be taken by the element waits for what it has become.
fn migrate_triggers(
    p: &mut Processing,
    migration: &Migration,
    before: &ElementInstance,
    instance: &ElementInstance,
) -> Result<()> {
    if !before.has_triggers {
        return Ok(());
    }
    for (key, mut trigger) in event_triggers::of_scope(p.txn, before.key)? {
        event_triggers::delete(p.txn, before.key, key);
        trigger.process_definition_key = instance.process.key.0;
        if trigger.target_element_id == *before.element().id {
            trigger.target_element_id = instance.element().id.to_string();
        } else if let Some(id) = migration.mapped(&trigger.target_element_id) {
            trigger.target_element_id = id.to_owned();
        }
        event_triggers::create(p.txn, key, &trigger);
    }
    Ok(())
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
