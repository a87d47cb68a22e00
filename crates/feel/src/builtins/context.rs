//! Functions of contexts.

use std::sync::Arc;

use super::{Answer, Args, Builtin, Refusal, fixed, function, variadic};
use crate::eval::Evaluator;
use crate::value::{Context, Value};

pub(super) const FUNCTIONS: &[Builtin] = &[
    function(
        "get value",
        &[
            fixed(&["context", "key"], get_value),
            fixed(&["m", "key"], get_value),
        ],
    ),
    function(
        "get entries",
        &[fixed(&["context"], get_entries), fixed(&["m"], get_entries)],
    ),
    function(
        "context put",
        &[
            fixed(&["context", "keys", "value"], put),
            fixed(&["context", "key", "value"], put_one),
        ],
    ),
    function("put", &[fixed(&["context", "key", "value"], put)]),
    function("context merge", &[variadic(&["contexts"], merge)]),
    function("put all", &[variadic(&["contexts"], merge)]),
    function("context", &[fixed(&["entries"], context)]),
];

/// By a key, or by a list of keys that are followed one after the other.
fn get_value(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    if args.is_absent(0) {
        return Err(Refusal::Silent);
    }
    let mut value = args.value(0);
    args.context(0)?;
    let keys = match args.value(1) {
        Value::Null => return Err(Refusal::Silent),
        _ => args.list(1)?,
    };
    for key in keys {
        let key = key
            .as_str()
            .ok_or_else(|| Refusal::Null("a key is a STRING".to_owned()))?;
        match value.as_context().and_then(|context| context.get(key)) {
            Some(found) => value = found,
            None => return Err(Refusal::Null(format!("no entry with key '{key}'"))),
        }
    }
    Ok(value.clone())
}

fn get_entries(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let context = args.context(0)?;
    let mut entries = Vec::with_capacity(context.len());
    for (key, value) in context.entries() {
        let entry = vec![
            (Arc::from("key"), Value::String(key.clone())),
            (Arc::from("value"), value.clone()),
        ];
        entries.push(evaluator.context(entry)?);
    }
    Ok(evaluator.list(entries)?)
}

/// With the one key that is given by this name.
fn put_one(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    args.text(1)?;
    put(evaluator, args)
}

/// With a list of keys, the value is put into nested contexts, which are made where they are missing.
fn put(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let context = args.context(0)?;
    let keys = match args.value(1) {
        Value::Null => return Err(Refusal::Null("a key is a STRING".to_owned())),
        _ => args.list(1)?,
    };
    let mut path: Vec<(Option<Context>, Arc<str>)> = Vec::with_capacity(keys.len());
    let mut inner = Some(context.clone());
    for key in keys {
        let Value::String(key) = key else {
            return Err(Refusal::Null("a key is a STRING".to_owned()));
        };
        let next = match inner.as_ref().and_then(|context| context.get(key)) {
            Some(Value::Context(context)) => Some(context.clone()),
            Some(_) if path.len() + 1 < keys.len() => {
                return Err(Refusal::Null(format!(
                    "entry '{key}' is no CONTEXT to put into"
                )));
            }
            _ => None,
        };
        path.push((inner, key.clone()));
        inner = next;
    }
    if path.is_empty() {
        return Err(Refusal::Null("the list of keys is empty".to_owned()));
    }
    let mut value = args.value(2).clone();
    while let Some((context, key)) = path.pop() {
        let mut entries = context.map_or_else(Vec::new, |context| context.entries().to_vec());
        entries.push((key, value));
        value = evaluator.context(entries)?;
    }
    Ok(value)
}

fn merge(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut entries = Vec::new();
    for context in args.items(0)? {
        let context = context
            .as_context()
            .ok_or_else(|| Refusal::Null("can merge only CONTEXT items".to_owned()))?;
        evaluator.charge_elements(context.len())?;
        entries.extend_from_slice(context.entries());
    }
    Ok(evaluator.context(entries)?)
}

/// From a list of `{key, value}`; a key that occurs twice is refused.
fn context(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = args.list(0)?;
    let mut entries: Vec<(Arc<str>, Value)> = Vec::with_capacity(items.len());
    for item in items {
        let entry = item.as_context().and_then(|entry| {
            let Some(Value::String(key)) = entry.get("key") else {
                return None;
            };
            Some((key.clone(), entry.get("value")?.clone()))
        });
        entries.push(entry.ok_or_else(|| {
            Refusal::Null("an entry is a CONTEXT with a STRING 'key' and a 'value'".to_owned())
        })?);
    }
    let count = entries.len();
    let context = evaluator.context(entries)?;
    match context.as_context() {
        Some(made) if made.len() == count => Ok(context),
        _ => Err(Refusal::Null("a key occurs twice".to_owned())),
    }
}
