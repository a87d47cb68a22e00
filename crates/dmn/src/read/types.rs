//! Item definitions: the types that have names in a model.
//!
//! Recursion is bounded by [`TYPE_DEPTH_MAX`], which counts references as well as nesting.

use std::collections::BTreeMap;
use std::sync::Arc;

use skep_feel::{Kind, Types};
use skep_xml::{Problems, quote};

use super::{Draft, Node, attribute, child, content, named};
use crate::limits::{TYPE_DEPTH_MAX, TYPES_MAX};

/// A type and what is known of it.
#[derive(Debug, Clone)]
pub(crate) struct Resolved {
    pub(crate) kind: Kind,
    /// Of a function type, the type of what the function gives.
    pub(crate) output: Option<Kind>,
    depth: usize,
}

/// The types of a model: built-in ones, its own, and those of its imports under qualified names.
#[derive(Debug, Default)]
pub(crate) struct TypeTable {
    named: BTreeMap<Arc<str>, Resolved>,
    own: Vec<Arc<str>>,
    /// Names of components that are no single words.
    pub(crate) members: Vec<Arc<str>>,
}

impl TypeTable {
    /// The types of a document, given those of its imports by name.
    pub(crate) fn of(
        draft: &Draft<'_>,
        imports: &[(&str, &TypeTable)],
        problems: &mut Problems,
    ) -> TypeTable {
        let mut table = TypeTable::default();
        for (name, other) in imports {
            for own in &other.own {
                if let Some(resolved) = other.named.get(own) {
                    let qualified = format!("{name}.{own}").into();
                    table.named.insert(qualified, resolved.clone());
                }
            }
            table.members.extend(other.members.iter().cloned());
        }
        let definitions: Vec<Node<'_>> = named(draft.definitions, "itemDefinition").collect();
        if definitions.len() + table.named.len() > TYPES_MAX {
            let text = format!("Must not contain more than {TYPES_MAX} item definitions");
            problems.add(draft.definitions, text);
            return table;
        }
        let by_name = definitions
            .iter()
            .filter_map(|item| Some((attribute(*item, "name")?, *item)))
            .collect();
        let mut resolver = Resolver {
            definitions: by_name,
            table,
        };
        for item in definitions {
            if let Some(name) = attribute(item, "name")
                && resolver.named(name, 0).is_none()
                && resolver.table.named.len() < TYPES_MAX
            {
                let text = format!(
                    "Type '{}' refers to itself, or is nested deeper than {TYPE_DEPTH_MAX} levels",
                    quote(name)
                );
                problems.add(item, text);
            }
        }
        resolver.table
    }

    /// The type of a reference; `None` if there is none of that name.
    pub(crate) fn get(&self, type_ref: &str) -> Option<Resolved> {
        let name = local_name(type_ref);
        match self.named.get(type_ref).or_else(|| self.named.get(name)) {
            Some(resolved) => Some(resolved.clone()),
            None => built_in(name).map(|kind| Resolved {
                kind,
                output: None,
                depth: 1,
            }),
        }
    }

    /// The types as expressions may name them.
    pub(crate) fn for_expressions(&self) -> Types {
        let mut types = Types::new();
        for (name, resolved) in &self.named {
            types.add(name, resolved.kind.clone());
        }
        types
    }
}

/// References may be qualified by the prefix of a namespace.
fn local_name(type_ref: &str) -> &str {
    type_ref.rsplit_once(':').map_or(type_ref, |(_, name)| name)
}

/// The types of FEEL, under the names of all versions.
fn built_in(name: &str) -> Option<Kind> {
    Some(match name {
        "Any" => Kind::Any,
        "boolean" => Kind::Boolean,
        "number" => Kind::Number,
        "string" => Kind::String,
        "date" => Kind::Date,
        "time" => Kind::Time,
        "date and time" | "dateTime" => Kind::DateTime,
        "days and time duration" | "dayTimeDuration" => Kind::DaysTimeDuration,
        "years and months duration" | "yearMonthDuration" => Kind::YearsMonthsDuration,
        "list" => Kind::List(None),
        "context" => Kind::Context(None),
        "range" => Kind::Range(None),
        "function" => Kind::Function(None),
        _ => return None,
    })
}

/// The types of variables that Zeebe looks at; any other may be anything.
pub(crate) fn built_in_of_zeebe(type_ref: &str) -> Option<Kind> {
    built_in(local_name(type_ref)).filter(|kind| {
        matches!(
            kind,
            Kind::Boolean
                | Kind::Number
                | Kind::String
                | Kind::Date
                | Kind::Time
                | Kind::DateTime
                | Kind::DaysTimeDuration
                | Kind::YearsMonthsDuration
        )
    })
}

struct Resolver<'a> {
    definitions: BTreeMap<&'a str, Node<'a>>,
    table: TypeTable,
}

impl<'a> Resolver<'a> {
    /// `None` if the type can't be had within the limits. What has no definition may be anything.
    fn named(&mut self, type_ref: &str, level: usize) -> Option<Resolved> {
        if let Some(known) = self.table.get(type_ref) {
            return Some(known);
        }
        let name = local_name(type_ref);
        let Some(definition) = self.definitions.get(name).copied() else {
            return Some(Resolved {
                kind: Kind::Any,
                output: None,
                depth: 1,
            });
        };
        let resolved = self.item(definition, level + 1)?;
        let name: Arc<str> = name.into();
        self.table.own.push(name.clone());
        self.table.named.insert(name, resolved.clone());
        Some(resolved)
    }

    /// The type of an item definition or component.
    fn item(&mut self, item: Node<'a>, level: usize) -> Option<Resolved> {
        if level > TYPE_DEPTH_MAX {
            return None;
        }
        let mut resolved = self.single(item, level)?;
        if attribute(item, "isCollection") == Some("true") {
            resolved.kind = Kind::List(Some(Arc::new(resolved.kind)));
            resolved.depth += 1;
        }
        resolved.depth += 1;
        (resolved.depth <= TYPE_DEPTH_MAX).then_some(resolved)
    }

    fn single(&mut self, item: Node<'a>, level: usize) -> Option<Resolved> {
        if let Some(function) = child(item, "functionItem") {
            let output = match attribute(function, "outputTypeRef") {
                Some(type_ref) => Some(self.named(type_ref, level)?.kind),
                None => None,
            };
            return Some(Resolved {
                kind: Kind::Function(Some(named(function, "parameters").count())),
                output,
                depth: 1,
            });
        }
        if let Some(type_ref) = child(item, "typeRef") {
            let text = content(type_ref, &mut Problems::default());
            let mut resolved = self.named(text.trim(), level)?;
            resolved.output = None;
            return Some(resolved);
        }
        let mut entries = Vec::new();
        let mut depth = 1;
        for component in named(item, "itemComponent") {
            let name: Arc<str> = attribute(component, "name").unwrap_or("").into();
            let resolved = self.item(component, level + 1)?;
            depth = depth.max(resolved.depth + 1);
            self.table.members.push(name.clone());
            entries.push((name, resolved.kind));
        }
        let kind = match entries.is_empty() {
            true => Kind::Any,
            false => Kind::Context(Some(entries.into())),
        };
        Some(Resolved {
            kind,
            output: None,
            depth,
        })
    }
}
