//! Multi-instance activities: a body, and in it a repetition of the activity for each item of a list.
//!
//! **Invariants**
//! - A body begins its repetitions a few at a time, each time as a command of its own, whatever the length of the list; one that
//!   is scheduled counts as a token of the body.
//! - The list is read again whenever repetitions begin. One for which it has become too short is an incident of that repetition.
//!   A sequence goes on for as long as the list is by then, longer or shorter than it was.
//! - Once the completion condition holds, nothing begins in the body any more, and it completes when all have ended.

use std::sync::Arc;

use serde_json::value::RawValue;
use skep_bpmn::model::MultiInstance;
use skep_feel::Value;
use skep_protocol::{Command, ProcessInstanceBatchIntent, ProcessInstanceIntent, values};

use crate::behaviours::expressions::{self, Locals};
use crate::behaviours::incidents::{self, Failure, Step, Stop};
use crate::behaviours::{lifecycle, variables};
use crate::elements;
use crate::instances::ElementInstance;
use crate::json::Document;
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables;

const LOOP_COUNTER: &str = "loopCounter";

/// The items of the input collection.
pub(crate) fn items(
    p: &mut Processing,
    body: &ElementInstance,
    model: &MultiInstance,
) -> Step<Value> {
    let expression = &model.input_collection;
    let evaluation = expressions::evaluate(p, body.key, expression)?;
    if evaluation.value.as_list().is_none() {
        return Err(expressions::wrong_type(expression, "'ARRAY'", &evaluation));
    }
    Ok(evaluation.value)
}

/// How many items there are.
pub(crate) fn count(items: &Value) -> Step<u32> {
    let items = items.as_list().expect("it was seen to be a list");
    u32::try_from(items.len()).map_err(|_| {
        Failure::extract_value("The input collection has more items than can be counted")
    })
}

/// Has the next repetitions begun after the command at hand.
pub(crate) fn schedule(p: &mut Processing, body: &ElementInstance) -> Result<()> {
    p.instances.change(body.key, |body| body.tokens += 1);
    let remaining = body.repetition.total - body.repetition.counter;
    let batch = values::ProcessInstanceBatch {
        process_instance_key: body.process_instance_key.0,
        batch_element_instance_key: body.key.0,
        index: i64::from(remaining),
    };
    let key = p.next_key()?;
    p.follow_up(Command::new(
        key,
        ProcessInstanceBatchIntent::Activate,
        batch,
    ));
    Ok(())
}

/// Begins the next repetitions of a body.
pub(crate) fn begin_next(p: &mut Processing, body: &ElementInstance) -> Result<()> {
    let model = model(body);
    p.instances.change(body.key, |body| body.tokens -= 1);
    let total = body.repetition.total;
    let count = match model.sequential {
        true => 1,
        false => limits::REPETITIONS_BEGUN_MAX.max(total.div_ceil(limits::LIST_READINGS_MAX)),
    };
    let remaining = total - body.repetition.counter;
    let items = items(p, body, model);
    for begun in 0..count.min(remaining) {
        if begun > 0 && p.bytes() > limits::FOLLOW_UP_BYTES_MAX {
            break;
        }
        let repetition = enter_next(p, body)?;
        let step = match &items {
            Ok(items) => set_loop_variables(p, &repetition, items),
            // The repetition tries again, and fails by itself.
            Err(_) => Ok(()),
        };
        let step = step.and_then(|()| elements::activate(p, &repetition));
        incidents::raise_if_stopped(p, &repetition, step)?;
    }
    let body = p.existing_instance(body.key)?;
    if !model.sequential && body.repetition.counter < body.repetition.total {
        schedule(p, &body)?;
    }
    Ok(())
}

fn enter_next(p: &mut Processing, body: &ElementInstance) -> Result<ElementInstance> {
    let key = p.next_key()?;
    let body = p.existing_instance(body.key)?;
    let counter = body.repetition.counter + 1;
    p.instances
        .change(body.key, |body| body.repetition.counter = counter);
    Ok(lifecycle::enter_as(p, &body, |body| {
        let mut repetition = ElementInstance::new(key, body, body.element);
        repetition.repetition.counter = counter;
        repetition
    }))
}

/// The loop variables of a repetition whose step is repeated or comes alone.
pub(crate) fn begin(p: &mut Processing, repetition: &ElementInstance) -> Step<()> {
    let body = p.existing_instance(repetition.flow_scope_key)?;
    if has_loop_variables(p, repetition)? {
        return Ok(());
    }
    let items = items(p, &body, model(&body))?;
    set_loop_variables(p, repetition, &items)
}

fn has_loop_variables(p: &Processing, repetition: &ElementInstance) -> Result<bool> {
    Ok(tables::variables::get(p.txn, repetition.key, LOOP_COUNTER)?.is_some())
}

fn set_loop_variables(p: &mut Processing, repetition: &ElementInstance, items: &Value) -> Step<()> {
    let model = model(repetition);
    let counter = repetition.repetition.counter;
    let items = items.as_list().expect("it was seen to be a list");
    let Some(item) = items.get(counter as usize - 1) else {
        return Err(Failure::extract_value(format!(
            "Expected to read item {counter} of the multi-instance input collection '{}', but it has only {} items. \
             The collection might have been modified while iterating over it.",
            model.input_collection.source(),
            items.len()
        )));
    };
    let mut entries = Vec::new();
    if let Some(name) = &model.input_element {
        entries.push((name.to_string(), item.to_json()));
    }
    if let Some(name) = &model.output_element_variable
        && model.input_element.as_ref() != Some(name)
        && **name != *LOOP_COUNTER
    {
        entries.push((name.to_string(), "null".to_owned()));
    }
    entries.push((LOOP_COUNTER.to_owned(), counter.to_string()));
    variables::merge_local(p, repetition.key, Document { entries })?;
    Ok(())
}

/// ELEMENT_COMPLETED of a repetition: its output is collected, and the body goes on or completes.
pub(crate) fn completed(p: &mut Processing, repetition: &ElementInstance) -> Step<()> {
    let body = p.existing_instance(repetition.flow_scope_key)?;
    let model = model(repetition);
    collect_output(p, &body, repetition, model)?;
    let is_satisfied = is_satisfied(p, &body, repetition, model)?;
    let is_followed = is_followed(p, &body, model)?;
    lifecycle::end(p, repetition, ProcessInstanceIntent::ElementCompleted)?;
    p.instances
        .change(body.key, |body| body.repetition.completed += 1);
    if is_satisfied {
        return Ok(lifecycle::finish_early(p, body.key)?);
    }
    if is_followed {
        let body = p.existing_instance(body.key)?;
        schedule(p, &body)?;
    }
    Ok(lifecycle::path_ended(p, body.key)?)
}

/// Whether another repetition of a sequence is to begin, which the list says as it is now.
fn is_followed(p: &mut Processing, body: &ElementInstance, model: &MultiInstance) -> Step<bool> {
    if !model.sequential {
        return Ok(false);
    }
    let items = items(p, body, model)?;
    let total = count(&items)?;
    p.instances
        .change(body.key, |body| body.repetition.total = total);
    Ok(body.repetition.counter < total)
}

fn is_satisfied(
    p: &mut Processing,
    body: &ElementInstance,
    repetition: &ElementInstance,
    model: &MultiInstance,
) -> Step<bool> {
    let Some(condition) = &model.completion_condition else {
        return Ok(false);
    };
    let counts = &body.repetition;
    // Those count that have begun. The one that completes is not active any more, but completed.
    let locals: &Locals = &[
        ("numberOfInstances", counts.counter),
        ("numberOfActiveInstances", body.children - 1),
        ("numberOfCompletedInstances", counts.completed + 1),
        ("numberOfTerminatedInstances", counts.terminated),
    ]
    .map(|(name, count)| {
        let count = Value::Number(i64::from(count).into());
        (Arc::from(name), count)
    });
    expressions::boolean_with(p, repetition.key, condition, locals)
}

/// Puts the output of a repetition into the output collection, at the place of its item.
fn collect_output(
    p: &mut Processing,
    body: &ElementInstance,
    repetition: &ElementInstance,
    model: &MultiInstance,
) -> Step<()> {
    let (Some(name), Some(expression)) = (&model.output_collection, &model.output_element) else {
        return Ok(());
    };
    let output = expressions::evaluate(p, repetition.key, expression)?;
    let collection = tables::variables::get(p.txn, body.key, name)?;
    let text = collection.map_or_else(|| "null".to_owned(), |variable| variable.value);
    let index = repetition.repetition.counter as usize - 1;
    let replaced = replace(&text, index, &output.value.to_json())
        .map_err(|reason| unusable(name, index, &reason))?;
    if replaced.len() > limits::DOCUMENT_BYTES_MAX {
        return Err(too_large(name, replaced.len()));
    }
    let entries = vec![(name.to_string(), replaced)];
    variables::merge_local(p, body.key, Document { entries })?;
    Ok(())
}

fn unusable(name: &str, index: usize, reason: &str) -> Stop {
    Failure::extract_value(format!(
        "Unable to update item {} of the output collection '{name}': {reason}. \
         This happens when the variable of that name is set while the multi-instance is active.",
        index + 1
    ))
}

fn too_large(name: &str, bytes: usize) -> Stop {
    Failure::extract_value(format!(
        "The output collection '{name}' would take {bytes} bytes, but a variable must not take more than {}",
        limits::DOCUMENT_BYTES_MAX
    ))
}

/// The JSON list with another item, or why there is none.
fn replace(text: &str, index: usize, item: &str) -> std::result::Result<String, String> {
    let mut items: Vec<&RawValue> = serde_json::from_str(text)
        .map_err(|_| "the type of the variable is not a list".to_owned())?;
    let item: &RawValue = serde_json::from_str(item).map_err(|error| error.to_string())?;
    let count = items.len();
    let place = items.get_mut(index);
    *place.ok_or_else(|| format!("the list has a size of {count}"))? = item;
    let mut replaced = String::with_capacity(text.len() + item.get().len());
    for item in items {
        replaced.push(if replaced.is_empty() { '[' } else { ',' });
        replaced.push_str(item.get());
    }
    replaced.push(']');
    Ok(replaced)
}

/// The output collection before anything is in it.
pub(crate) fn create_output(
    p: &mut Processing,
    body: &ElementInstance,
    model: &MultiInstance,
    count: usize,
) -> Step<()> {
    let Some(name) = &model.output_collection else {
        return Ok(());
    };
    let bytes = count * "null,".len() + 1;
    if bytes > limits::DOCUMENT_BYTES_MAX {
        return Err(too_large(name, bytes));
    }
    let entries = vec![(
        name.to_string(),
        format!("[{}]", vec!["null"; count].join(",")),
    )];
    variables::merge_local(p, body.key, Document { entries })?;
    Ok(())
}

/// Carries the output collection out of a body that completes.
pub(crate) fn return_output(
    p: &mut Processing,
    body: &ElementInstance,
    model: &MultiInstance,
) -> Result<()> {
    let Some(name) = &model.output_collection else {
        return Ok(());
    };
    let Some(variable) = tables::variables::get(p.txn, body.key, name)? else {
        return Ok(());
    };
    let entries = vec![(name.to_string(), variable.value)];
    variables::propagate(p, body.flow_scope_key, Document { entries })
}

/// Takes the lists that collect outputs around an element instance out of a document that would set them.
pub(crate) fn keep_collected(
    p: &mut Processing,
    instance: &ElementInstance,
    document: &mut Document,
) -> Result<()> {
    let mut scope = p.existing_instance(instance.key)?;
    while scope.flow_scope_key.is_some() && !document.is_empty() {
        if scope.is_body()
            && let Some(list) = &model(&scope).output_collection
        {
            document.entries.retain(|(name, _)| **name != **list);
        }
        scope = p.existing_instance(scope.flow_scope_key)?;
    }
    Ok(())
}

/// Takes out of a document what a repetition has for itself. Others have nothing.
pub(crate) fn take_own(instance: &ElementInstance, document: &mut Document) -> Document {
    if !instance.is_repetition() {
        return Document::default();
    }
    let model = model(instance);
    let named = [&model.input_element, &model.output_element_variable];
    let is_own = |name: &str| {
        let mut named = named.into_iter().flatten();
        name == LOOP_COUNTER || named.any(|own| **own == *name)
    };
    let (entries, rest) = std::mem::take(&mut document.entries)
        .into_iter()
        .partition(|(name, _)| is_own(name));
    document.entries = rest;
    Document { entries }
}

fn model(instance: &ElementInstance) -> &MultiInstance {
    instance
        .element()
        .multi_instance
        .as_ref()
        .expect("bodies and repetitions are of multi-instance activities")
}
