//! Functions of lists: making, searching, taking apart.

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional, variadic};
use crate::eval::{Evaluator, equal};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function("list contains", &[fixed(&["list", "element"], contains)]),
    function("count", &[fixed(&["list"], count)]),
    function(
        "append",
        &[
            variadic(&["list", "items"], append),
            variadic(&["list", "item"], append),
        ],
    ),
    function(
        "concatenate",
        &[
            variadic(&["lists"], concatenate),
            variadic(&["list"], concatenate),
        ],
    ),
    function(
        "insert before",
        &[fixed(&["list", "position", "newItem"], insert_before)],
    ),
    function("remove", &[fixed(&["list", "position"], remove)]),
    function(
        "list replace",
        &[
            fixed(&["list", "position", "newItem"], replace),
            fixed(&["list", "match", "newItem"], replace),
        ],
    ),
    function("reverse", &[fixed(&["list"], reverse)]),
    function(
        "sublist",
        &[
            optional(&["list", "start position", "length"], 2, sublist),
            optional(&["list", "start", "length"], 2, sublist),
        ],
    ),
    function("index of", &[fixed(&["list", "match"], index_of)]),
    function(
        "union",
        &[variadic(&["lists"], union), variadic(&["list"], union)],
    ),
    function("distinct values", &[fixed(&["list"], distinct_values)]),
    function("duplicate values", &[fixed(&["list"], duplicate_values)]),
    function("flatten", &[fixed(&["list"], flatten)]),
    function("partition", &[fixed(&["list", "size"], partition)]),
];

/// Pays for comparing one value with each of many.
fn charge_search(evaluator: &mut Evaluator<'_>, items: &[Value], sought: &Value) -> Answer<()> {
    let each = 1 + sought.bytes() / 16;
    Ok(evaluator.charge((items.len() as u64).saturating_mul(each))?)
}

fn contains(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (items, element) = (args.list(0)?, args.value(1));
    charge_search(evaluator, items, element)?;
    Ok(Value::Boolean(
        items.iter().any(|item| equal(item, element) == Some(true)),
    ))
}

fn count(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::from(args.list(0)?.len() as i64))
}

fn append(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let list = args.list(0)?;
    let added = args.all().get(1..).unwrap_or(&[]);
    evaluator.charge_elements(list.len() + added.len())?;
    let mut items = Vec::with_capacity(list.len() + added.len());
    items.extend_from_slice(list);
    items.extend_from_slice(added);
    Ok(Value::list(items)?)
}

fn concatenated(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer<Vec<Value>> {
    let mut items = Vec::new();
    for at in 0..args.all().len() {
        let list = args.list(at)?;
        evaluator.charge_elements(list.len())?;
        items.extend_from_slice(list);
    }
    Ok(items)
}

fn concatenate(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = concatenated(evaluator, args)?;
    Ok(Value::list(items)?)
}

fn out_of_list(position: i64, length: usize) -> Refusal {
    Refusal::Null(format!(
        "position {position} is outside a list of {length} items"
    ))
}

/// The index of a position, which counts from 1, or from the end when negative.
fn index(position: i64, length: usize) -> Answer<usize> {
    let from_start = match position {
        0 => None,
        1.. => usize::try_from(position - 1).ok(),
        _ => length.checked_add_signed(position as isize),
    };
    from_start
        .filter(|at| *at < length)
        .ok_or_else(|| out_of_list(position, length))
}

/// A copy of the list that may be changed.
fn copy(evaluator: &mut Evaluator<'_>, args: &Args<'_>) -> Answer<Vec<Value>> {
    let list = args.list(0)?;
    evaluator.charge_elements(list.len())?;
    Ok(list.to_vec())
}

fn insert_before(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut items = copy(evaluator, &args)?;
    let at = index(args.integer(1)?, items.len())?;
    items.insert(at, args.value(2).clone());
    Ok(Value::list(items)?)
}

fn remove(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut items = copy(evaluator, &args)?;
    let at = index(args.integer(1)?, items.len())?;
    items.remove(at);
    Ok(Value::list(items)?)
}

/// At a position, or wherever a function of (item, new item) is true.
fn replace(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut items = copy(evaluator, &args)?;
    let new = args.value(2);
    if let Value::Function(matches) = args.value(1) {
        for item in &mut items {
            match evaluator.invoke(matches, vec![item.clone(), new.clone()])? {
                Value::Boolean(true) => *item = new.clone(),
                Value::Boolean(false) => {}
                other => {
                    let found = other.type_name();
                    return Err(Refusal::Null(format!(
                        "match expects a BOOLEAN, found a {found}"
                    )));
                }
            }
        }
    } else {
        let at = index(args.integer(1)?, items.len())?;
        items[at] = new.clone();
    }
    Ok(Value::list(items)?)
}

fn reverse(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut items = copy(evaluator, &args)?;
    items.reverse();
    Ok(Value::list(items)?)
}

fn sublist(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let list = args.list(0)?;
    let position = args.integer(1)?;
    let start = index(position, list.len())?;
    let rest = &list[start..];
    let taken = if args.all().len() < 3 {
        rest
    } else {
        let length = usize::try_from(args.integer(2)?).ok();
        let taken = length.and_then(|length| rest.get(..length));
        taken.ok_or_else(|| Refusal::Null("the length is more than the list has".to_owned()))?
    };
    Ok(evaluator.list(taken.to_vec())?)
}

fn index_of(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (items, sought) = (args.list(0)?, args.value(1));
    charge_search(evaluator, items, sought)?;
    let found = items
        .iter()
        .enumerate()
        .filter(|(_, item)| equal(item, sought) == Some(true));
    let positions = found.map(|(at, _)| Value::from(at as i64 + 1)).collect();
    Ok(evaluator.list(positions)?)
}

/// The items without later ones that equal an earlier one, and those that have such a later one.
fn distinct(evaluator: &mut Evaluator<'_>, items: &[Value]) -> Answer<(Vec<Value>, Vec<Value>)> {
    let mut distinct: Vec<Value> = Vec::new();
    let mut repeated: Vec<bool> = Vec::new();
    for item in items {
        charge_search(evaluator, &distinct, item)?;
        match distinct
            .iter()
            .position(|kept| equal(kept, item) == Some(true))
        {
            Some(at) => repeated[at] = true,
            None => {
                evaluator.charge_elements(1)?;
                distinct.push(item.clone());
                repeated.push(false);
            }
        }
    }
    let duplicates = distinct
        .iter()
        .zip(&repeated)
        .filter(|(_, repeated)| **repeated)
        .map(|(v, _)| v.clone());
    let duplicates = duplicates.collect();
    Ok((distinct, duplicates))
}

fn distinct_values(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (distinct, _) = distinct(evaluator, args.list(0)?)?;
    Ok(Value::list(distinct)?)
}

fn duplicate_values(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (_, duplicates) = distinct(evaluator, args.list(0)?)?;
    Ok(Value::list(duplicates)?)
}

fn union(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = concatenated(evaluator, args)?;
    let (distinct, _) = distinct(evaluator, &items)?;
    Ok(Value::list(distinct)?)
}

/// An explicit stack of what is left of each list, so that deep lists don't recurse.
fn flatten(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let mut flat = Vec::new();
    let mut open = vec![args.list(0)?.iter()];
    while let Some(items) = open.last_mut() {
        evaluator.charge_elements(1)?;
        match items.next() {
            None => {
                open.pop();
            }
            Some(Value::List(inner)) => open.push(inner.items().iter()),
            Some(item) => flat.push(item.clone()),
        }
    }
    Ok(Value::list(flat)?)
}

fn partition(evaluator: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let items = args.list(0)?;
    let size = usize::try_from(args.integer(1)?).unwrap_or(0);
    if size == 0 {
        return Err(Refusal::Null("the size of a part is at least 1".to_owned()));
    }
    let mut parts = Vec::new();
    for part in items.chunks(size) {
        parts.push(evaluator.list(part.to_vec())?);
    }
    Ok(evaluator.list(parts)?)
}
