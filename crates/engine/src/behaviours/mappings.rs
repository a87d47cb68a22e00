//! Input and output mappings. The mappings of one kind are evaluated like the entries of one FEEL context: each sees those
//! before it.

use std::sync::Arc;

use skep_bpmn::model::Text;
use skep_feel::{Expression, Value};
use skep_protocol::Key;
use skep_protocol::values::IncidentErrorType;

use crate::behaviours::expressions;
use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::behaviours::variables;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::processing::Processing;

type Entries = Vec<(Arc<str>, Value)>;

/// Whether a nested target adds to what its name stands for already.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Nested {
    Create,
    Merge,
}

/// Creates the local variables of an element.
pub(crate) fn inputs(p: &mut Processing, instance: &ElementInstance) -> Step<()> {
    let mut entries = Entries::new();
    for mapping in &instance.element().inputs {
        let value = match &mapping.source {
            Text::Static(text) => Value::String(Arc::clone(text)),
            Text::Expression(expression) => evaluate(p, instance.key, expression, &entries)?,
        };
        assign(
            p,
            instance.key,
            &mut entries,
            &mapping.target,
            value,
            Nested::Create,
        )?;
    }
    variables::merge_local(p, instance.key, into_document(entries))?;
    Ok(())
}

/// Carries values out of an element into its flow scope. Gives false if the element has no output mapping.
pub(crate) fn outputs(p: &mut Processing, instance: &ElementInstance) -> Step<bool> {
    if instance.element().outputs.is_empty() {
        return Ok(false);
    }
    let mut entries = Entries::new();
    for mapping in &instance.element().outputs {
        let value = evaluate(p, instance.key, &mapping.source, &entries)?;
        assign(
            p,
            instance.key,
            &mut entries,
            &mapping.target,
            value,
            Nested::Merge,
        )?;
    }
    variables::propagate(p, output_scope(instance), into_document(entries))?;
    Ok(true)
}

/// From where on outwards the output of an element is merged. A repetition keeps it, for the output of the multi-instance activity
/// to read.
pub(crate) fn output_scope(instance: &ElementInstance) -> Key {
    if instance.flow_scope_key.is_some() && !instance.is_repetition() {
        instance.flow_scope_key
    } else {
        instance.key
    }
}

fn evaluate(
    p: &mut Processing,
    scope: Key,
    expression: &Expression,
    entries: &Entries,
) -> Step<Value> {
    let evaluation =
        expressions::evaluate_with(p, scope, expression, entries).map_err(io_mapping)?;
    Ok(evaluation.value)
}

fn io_mapping(stop: Stop) -> Stop {
    match stop {
        Stop::Incident(failure) => Stop::Incident(Failure::new(
            IncidentErrorType::IoMappingError,
            failure.message,
        )),
        stop @ Stop::State(_) => stop,
    }
}

/// Sets a value under its path.
fn assign(
    p: &mut Processing,
    scope: Key,
    entries: &mut Entries,
    path: &[Arc<str>],
    value: Value,
    nested: Nested,
) -> Step<()> {
    let (name, rest) = path.split_first().expect("a target has at least one name");
    let value = if rest.is_empty() {
        value
    } else {
        let before = match entries.iter().find(|(other, _)| other == name) {
            Some((_, before)) => Some(before.clone()),
            None if nested == Nested::Merge => visible(p, scope, name)?,
            None => None,
        };
        nest(before, rest, value)?
    };
    match entries.iter_mut().find(|(other, _)| other == name) {
        Some(entry) => entry.1 = value,
        None => entries.push((Arc::clone(name), value)),
    }
    Ok(())
}

fn visible(p: &mut Processing, scope: Key, name: &str) -> Step<Option<Value>> {
    for scope in variables::scopes(p, scope)? {
        if let Some(variable) = crate::tables::variables::get(p.txn, scope, name)? {
            // What expressions cannot read is replaced, as anything that is not a context.
            return Ok(Value::from_json(&variable.value).ok());
        }
    }
    Ok(None)
}

/// Sets a value inside nested contexts, from the inside out, keeping what else is in them.
fn nest(before: Option<Value>, path: &[Arc<str>], value: Value) -> Step<Value> {
    let mut around: Vec<Option<Value>> = vec![before];
    for name in &path[..path.len() - 1] {
        let inner = around
            .last()
            .and_then(Option::as_ref)
            .and_then(Value::as_context)
            .and_then(|context| context.get(name));
        around.push(inner.cloned());
    }
    let mut value = value;
    for (name, before) in path.iter().zip(around).rev() {
        let mut entries = match before.as_ref().and_then(Value::as_context) {
            Some(context) => context.entries().to_vec(),
            None => Vec::new(),
        };
        entries.push((Arc::clone(name), value));
        value = Value::context(entries).map_err(|error| {
            Stop::Incident(Failure::new(
                IncidentErrorType::IoMappingError,
                error.to_string(),
            ))
        })?;
    }
    Ok(value)
}

fn into_document(entries: Entries) -> Document {
    let entries = entries
        .into_iter()
        .map(|(name, value)| (name.to_string(), value.to_json()));
    Document {
        entries: entries.collect(),
    }
}
