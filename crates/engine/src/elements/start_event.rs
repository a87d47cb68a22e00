//! Start events: a none start event passes through, one that was triggered brings variables. Those of an event sub-process stay in
//! it unless they are mapped.

use skep_bpmn::model::ElementKind;

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, lifecycle, mappings, variables};
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::{Processing, Result};

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let scope = p.existing_instance(instance.flow_scope_key)?;
    if let Some(document) = events::take(p, &scope, instance.element)? {
        variables::merge_local(p, instance.key, document)?;
    }
    lifecycle::activated_and_done(p, instance);
    Ok(())
}

pub(crate) fn bring_out(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if !mappings::outputs(p, instance)? {
        let scope = p.existing_instance(instance.flow_scope_key)?;
        if matches!(scope.element().kind, ElementKind::EventSubProcess(_)) {
            let document = own_variables(p, instance)?;
            variables::merge_local(p, scope.key, document)?;
        } else {
            propagate_own_variables(p, instance)?;
        }
    }
    Ok(())
}

/// What an event brought goes to its flow scope.
pub(super) fn propagate_own_variables(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let document = own_variables(p, instance)?;
    variables::propagate(p, instance.flow_scope_key, document)?;
    Ok(())
}

fn own_variables(p: &mut Processing, instance: &ElementInstance) -> Result<Document> {
    if !instance.has_variables {
        return Ok(Document::default());
    }
    let document = variables::local_document(p, instance, &[])?;
    Ok(Document::parse(&document).expect("variables make a document"))
}
