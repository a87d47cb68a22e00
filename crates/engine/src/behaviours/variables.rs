//! Variables: setting, merging, collecting.

use skep_protocol::values;
use skep_protocol::{Key, VariableIntent};

use crate::instances::ElementInstance;
use crate::json::{Document, ObjectBuilder};
use crate::processing::{Processing, Result};
use crate::tables::variables::{self, StoredVariable};

/// The scope and those around it that have variables, from the inside out.
pub(crate) fn scopes(p: &mut Processing, scope: Key) -> Result<Vec<Key>> {
    let mut found = Vec::new();
    let mut next = scope;
    while next.is_some() {
        let instance = p.existing_instance(next)?;
        if instance.has_variables {
            found.push(next);
        }
        next = instance.flow_scope_key;
    }
    Ok(found)
}

/// Sets each entry in exactly that scope.
pub(crate) fn merge_local(p: &mut Processing, scope: Key, document: Document) -> Result<()> {
    if document.is_empty() {
        return Ok(());
    }
    let instance = p.existing_instance(scope)?;
    for (name, value) in document.entries {
        set(p, &instance, name, value)?;
    }
    Ok(())
}

/// Sets each entry where its name is defined, from that scope outwards, and in the root scope if it is defined nowhere.
///
/// A variable that has the same value already does not end the search: a quirk of Zeebe that clients see.
pub(crate) fn propagate(p: &mut Processing, from: Key, document: Document) -> Result<()> {
    if document.is_empty() {
        return Ok(());
    }
    let mut entries = document.entries;
    let mut scope = p.existing_instance(from)?;
    while scope.flow_scope_key.is_some() {
        if scope.has_variables {
            let mut rest = Vec::with_capacity(entries.len());
            for (name, value) in entries {
                match variables::get(p.txn, scope.key, &name)? {
                    Some(variable) if variable.value != value => set(p, &scope, name, value)?,
                    _ => rest.push((name, value)),
                }
            }
            entries = rest;
        }
        scope = p.existing_instance(scope.flow_scope_key)?;
    }
    for (name, value) in entries {
        set(p, &scope, name, value)?;
    }
    Ok(())
}

fn set(p: &mut Processing, scope: &ElementInstance, name: String, value: String) -> Result<()> {
    // The copy may be older than the first variable of this very document, which does no harm: names in it are unique.
    let before = if scope.has_variables {
        variables::get(p.txn, scope.key, &name)?
    } else {
        None
    };
    let (key, intent) = match &before {
        Some(before) if before.value == value => return Ok(()),
        Some(before) => (Key(before.key), VariableIntent::Updated),
        None => (p.next_key()?, VariableIntent::Created),
    };
    let stored = StoredVariable { key: key.0, value };
    match before {
        Some(_) => variables::update(p.txn, scope.key, &name, &stored),
        None => variables::create(p.txn, scope.key, &name, &stored),
    }
    if !scope.has_variables {
        p.instances
            .change(scope.key, |scope| scope.has_variables = true);
    }
    let value = values::Variable {
        name,
        value: stored.value,
        scope_key: scope.key.0,
        process_instance_key: scope.process_instance_key.0,
        process_definition_key: scope.process.key.0,
        bpmn_process_id: scope.process.id.to_string(),
    };
    p.event(key, intent, value);
    Ok(())
}

/// A document of the variables of exactly that scope: all of them, or those of the names.
pub(crate) fn local_document(
    p: &mut Processing,
    scope: &ElementInstance,
    names: &[String],
) -> Result<String> {
    let scopes = if scope.has_variables {
        vec![scope.key]
    } else {
        Vec::new()
    };
    document(p, &scopes, names)
}

/// A document of the variables visible from a scope: all of them, or those of the names that exist.
pub(crate) fn visible_document(p: &mut Processing, scope: Key, names: &[String]) -> Result<String> {
    let scopes = scopes(p, scope)?;
    document(p, &scopes, names)
}

fn document(p: &mut Processing, scopes: &[Key], names: &[String]) -> Result<String> {
    let mut object = ObjectBuilder::new();
    if names.is_empty() {
        let mut seen = std::collections::BTreeSet::new();
        for &scope in scopes {
            for (name, variable) in variables::of_scope(p.txn, scope)? {
                if seen.contains(&name) {
                    continue;
                }
                object.entry(&name, &variable.value);
                seen.insert(name);
            }
        }
        return Ok(object.finish());
    }
    for (index, name) in names.iter().enumerate() {
        if names[..index].contains(name) {
            continue;
        }
        for &scope in scopes {
            if let Some(variable) = variables::get(p.txn, scope, name)? {
                object.entry(name, &variable.value);
                break;
            }
        }
    }
    Ok(object.finish())
}
