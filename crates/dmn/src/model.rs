//! A compiled decision model.

use std::sync::Arc;

use skep_feel::{Expression, Kind};

use crate::compile;
use crate::read::table::TableParts;
use crate::{Dialect, Rejection};

/// The decisions of a resource, ready to be evaluated. Index in `nodes` stands for a node; those of imported models follow its own.
#[derive(Debug)]
pub struct Model {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    pub(crate) namespace: Arc<str>,
    pub(crate) nodes: Vec<Node>,
    /// Decisions of the resource itself, in its order.
    pub(crate) decisions: Vec<usize>,
    /// Decision services of the resource itself.
    pub(crate) services: Vec<usize>,
}

/// A node of the requirements graph.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) id: Arc<str>,
    pub(crate) name: Arc<str>,
    /// Only of decisions.
    pub(crate) version_tag: Option<Arc<str>>,
    pub(crate) logic: Logic,
    /// What its expressions see, beside variables.
    pub(crate) needs: Vec<Need>,
}

/// Another node and what it is called in the expressions of the node that requires it.
#[derive(Debug, Clone)]
pub(crate) struct Need {
    pub(crate) node: usize,
    /// The name of the import that it comes through.
    pub(crate) import: Option<Arc<str>>,
    pub(crate) names: Vec<Arc<str>>,
}

#[derive(Debug)]
pub(crate) enum Logic {
    /// A variable, with the type that it is converted to.
    Input(Arc<str>, Option<Kind>),
    Decision {
        expression: Expression,
        logic: DecisionLogic,
    },
    /// A function.
    Knowledge(Expression),
    /// A function, and a call of it with the variables that are named like its parameters.
    Service {
        function: Expression,
        call: Expression,
    },
}

/// How a decision is made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DecisionLogic {
    /// By a decision table.
    Table(TableParts),
    /// By another expression; the name is that of the record stream's decision type.
    Expression(&'static str),
}

impl DecisionLogic {
    /// The kind of logic as the record stream names it.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self {
            DecisionLogic::Table(_) => "DECISION_TABLE",
            DecisionLogic::Expression(name) => name,
        }
    }
}

/// A decision of a model.
#[derive(Debug, Clone, Copy)]
pub struct Decision<'m> {
    pub(crate) index: usize,
    pub(crate) node: &'m Node,
}

impl<'m> Decision<'m> {
    /// The id in the XML.
    #[must_use]
    pub fn id(&self) -> &'m str {
        &self.node.id
    }

    /// The name given by the modeller.
    #[must_use]
    pub fn name(&self) -> &'m str {
        &self.node.name
    }

    /// Tag that bindings of processes can refer to.
    #[must_use]
    pub fn version_tag(&self) -> Option<&'m str> {
        self.node.version_tag.as_deref()
    }

    /// How it is made.
    #[must_use]
    pub fn logic(&self) -> &'m DecisionLogic {
        match &self.node.logic {
            Logic::Decision { logic, .. } => logic,
            other => panic!("only decisions are listed as decisions, not {other:?}"),
        }
    }
}

impl Model {
    /// Reads and compiles a resource.
    ///
    /// # Errors
    /// If the resource is no DMN or breaks a rule. The rejection names everything that is wrong, as far as it can be seen.
    pub fn parse(resource_name: &str, xml: &[u8], dialect: Dialect) -> Result<Model, Rejection> {
        Model::parse_with_imports(resource_name, xml, &[], dialect)
    }

    /// Like [`Model::parse`], with the resources that it imports.
    ///
    /// # Errors
    /// As [`Model::parse`].
    pub fn parse_with_imports(
        resource_name: &str,
        xml: &[u8],
        imported: &[&[u8]],
        dialect: Dialect,
    ) -> Result<Model, Rejection> {
        compile::parse(resource_name, xml, imported, dialect)
    }

    /// The id of the definitions, which is that of the decision requirements.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The name of the definitions.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The namespace of the definitions.
    #[must_use]
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// The decisions of the resource, in its order.
    pub fn decisions(&self) -> impl Iterator<Item = Decision<'_>> {
        self.decisions.iter().map(|index| Decision {
            index: *index,
            node: &self.nodes[*index],
        })
    }

    /// The decision of an id.
    #[must_use]
    pub fn decision(&self, id: &str) -> Option<Decision<'_>> {
        self.decisions().find(|decision| decision.id() == id)
    }
}
