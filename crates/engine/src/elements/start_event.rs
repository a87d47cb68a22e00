//! Start events: a none start event passes through, one that was triggered brings variables.

use crate::behaviours::incidents::Step;
use crate::behaviours::{events, lifecycle, mappings, variables};
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::Processing;

pub(crate) fn activate(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let scope = p.existing_instance(instance.flow_scope_key)?;
    if let Some(document) = events::take(p, &scope, instance.element)? {
        variables::merge_local(p, instance.key, document)?;
    }
    lifecycle::activated_and_done(p, instance);
    Ok(())
}

pub(crate) fn complete(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if !mappings::outputs(p, instance)? {
        propagate_own_variables(p, instance)?;
    }
    lifecycle::completed(p, instance)?;
    Ok(())
}

/// What an event brought goes to its flow scope.
pub(super) fn propagate_own_variables(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    if instance.has_variables {
        let document = variables::local_document(p, instance, &[])?;
        let document = Document::parse(&document).expect("variables make a document");
        variables::propagate(p, instance.flow_scope_key, document)?;
    }
    Ok(())
}
