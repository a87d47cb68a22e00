//! Types that have names: the item definitions of a model.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::names::SpacedNames;
use crate::ast::Kind;
use crate::lexer::Token;

/// Named types, which expressions may use after `instance of` and for parameters.
#[derive(Clone, Default, Debug)]
pub struct Types {
    kinds: BTreeMap<Arc<str>, Kind>,
    spaced: SpacedNames,
}

impl Types {
    /// No types.
    pub const fn new() -> Types {
        Types {
            kinds: BTreeMap::new(),
            spaced: SpacedNames::new(),
        }
    }

    /// Adds a type; the first of a name stays. The caller bounds their number: each is tried at every type that is read.
    pub fn add(&mut self, name: &str, kind: Kind) {
        if self.kinds.contains_key(name) {
            return;
        }
        self.spaced.add(name);
        self.kinds.insert(name.into(), kind);
    }

    /// The type of a name.
    pub fn get(&self, name: &str) -> Option<&Kind> {
        self.kinds.get(name)
    }

    /// The longest name of several words at a token, and where it ends; and how many were tried.
    pub(super) fn spaced_at(
        &self,
        source: &str,
        token: Token,
    ) -> (Option<(Arc<str>, usize)>, usize) {
        self.spaced.longest_at(source, token)
    }
}
