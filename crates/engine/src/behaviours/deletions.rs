//! Deletion of deployed resources.
//!
//! **Invariants**
//! - What is deleted is found by nobody who begins something; the version before is the latest then, with its start events.
//! - A definition stays as long as it has instances. The deployment partition refuses to delete one that has some there; the
//!   others, which must follow, delete it when their last instance has ended.
//! - A resource stays as long as a definition came in it, or a deployment with it is on its way to other partitions.

use skep_protocol::{
    DecisionIntent, DecisionRequirementsIntent, FormIntent, Key, ProcessIntent, values,
};

use crate::behaviours::deployments;
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::{decisions, distributions, element_instances, forms, processes};

/// Something that can be deleted.
#[derive(Debug)]
pub(crate) enum Deletable {
    /// A process.
    Process(values::Process),
    /// A decision requirements graph, and its decisions.
    Decisions(values::DecisionRequirements),
    /// A form.
    Form(values::Form),
}

/// What a key stands for, if it can be deleted.
pub(crate) fn find(p: &Processing, key: Key) -> Result<Option<Deletable>> {
    if let Some(process) = processes::get(p.txn, key)? {
        let listed = (!process.is_deleting).then_some(process);
        return Ok(listed.map(Deletable::Process));
    }
    if let Some(graph) = decisions::requirements(p.txn, key)? {
        return Ok(Some(Deletable::Decisions(graph)));
    }
    Ok(forms::get(p.txn, key)?.map(Deletable::Form))
}

/// Whether it has instances in this partition.
pub(crate) fn is_in_use(p: &Processing, deletable: &Deletable) -> Result<bool> {
    match deletable {
        Deletable::Process(process) => {
            element_instances::any_of(p.txn, Key(process.process_definition_key))
        }
        Deletable::Decisions(_) | Deletable::Form(_) => Ok(false),
    }
}

/// Deletes it, or as much of it as nothing needs.
pub(crate) fn delete(p: &mut Processing, deletable: Deletable) -> Result<()> {
    match deletable {
        Deletable::Process(process) => delete_process(p, process),
        Deletable::Decisions(graph) => delete_decisions(p, graph),
        Deletable::Form(form) => delete_form(p, form),
    }
}

fn delete_process(p: &mut Processing, process: values::Process) -> Result<()> {
    let key = Key(process.process_definition_key);
    p.event(key, ProcessIntent::Deleting, process.clone());
    deployments::close_starts_of(p, key)?;
    p.definitions.forget(key);
    let was_latest = processes::unlist(p.txn, &process)?;
    if was_latest && let Some(latest) = processes::latest(p.txn, &process.bpmn_process_id)? {
        deployments::open_starts_of(p, latest.key())?;
    }
    if element_instances::any_of(p.txn, key)? {
        processes::mark_deleting(p.txn, &process);
        return Ok(());
    }
    remove_process(p, process)
}

fn remove_process(p: &mut Processing, process: values::Process) -> Result<()> {
    let key = Key(process.process_definition_key);
    processes::delete(p.txn, key);
    release(p, Key(process.deployment_key), &process.resource_name)?;
    p.event(key, ProcessIntent::Deleted, process);
    Ok(())
}

/// A process instance has ended: perhaps its definition only waited for that.
pub(crate) fn instance_ended(p: &mut Processing, instance: &ElementInstance) -> Result<()> {
    let definition = &instance.process;
    if !definition.is_deleting {
        return Ok(());
    }
    p.instances.flush(p.txn);
    if element_instances::any_of(p.txn, definition.key)? {
        return Ok(());
    }
    if let Some(process) = processes::get(p.txn, definition.key)? {
        p.definitions.forget(definition.key);
        remove_process(p, process)?;
    }
    Ok(())
}

fn delete_decisions(p: &mut Processing, graph: values::DecisionRequirements) -> Result<()> {
    let key = Key(graph.decision_requirements_key);
    for decision in decisions::of_requirements(p.txn, key)? {
        decisions::delete(p.txn, &decision)?;
        p.event(
            Key(decision.decision_key),
            DecisionIntent::Deleted,
            decision,
        );
    }
    p.definitions.forget(key);
    decisions::delete_requirements(p.txn, &graph)?;
    release(p, Key(graph.deployment_key), &graph.resource_name)?;
    p.event(key, DecisionRequirementsIntent::Deleted, graph);
    Ok(())
}

fn delete_form(p: &mut Processing, form: values::Form) -> Result<()> {
    forms::delete(p.txn, &form)?;
    release(p, Key(form.deployment_key), &form.resource_name)?;
    p.event(Key(form.form_key), FormIntent::Deleted, form);
    Ok(())
}

/// A definition is gone: its resource goes with the last of those that came in it.
fn release(p: &mut Processing, deployment: Key, resource_name: &str) -> Result<()> {
    if processes::release_resource(p.txn, deployment, resource_name)?
        && !distributions::keep_until_acknowledged(p.txn, deployment, resource_name)?
    {
        processes::delete_resource(p.txn, deployment, resource_name);
    }
    Ok(())
}
