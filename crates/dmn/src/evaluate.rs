//! The evaluation of a decision and of everything that it requires.
//!
//! Nodes are evaluated one after the other, each after what it requires, with one budget of fuel for all.

use std::sync::Arc;

use skep_feel::{Environment, Evaluation, EvaluationError, Scope, TableTrace, Value, Warning};

use crate::model::{Decision, Logic, Model, Node};

/// What came of an evaluation.
#[derive(Debug)]
pub struct Outcome<'m> {
    /// The decisions that were evaluated, in order; the last is the one asked for, or the one that failed.
    pub decisions: Vec<EvaluatedDecision<'m>>,
    /// The value of the decision asked for.
    pub result: Result<Value, FailedDecision<'m>>,
}

/// A decision that was evaluated.
#[derive(Debug)]
pub struct EvaluatedDecision<'m> {
    /// Which.
    pub decision: Decision<'m>,
    /// Its value; null if it failed.
    pub output: Value,
    /// How its table came to it, if it is one.
    pub table: Option<TableTrace>,
    /// What became null on the way.
    pub warnings: Vec<Warning>,
}

/// A decision that could not be made.
#[derive(Debug)]
pub struct FailedDecision<'m> {
    /// Its id, or that of a knowledge model that it requires.
    pub id: &'m str,
    /// Its name.
    pub name: &'m str,
    /// Why.
    pub error: EvaluationError,
}

/// Values by name.
type Named = Vec<(Arc<str>, Value)>;

/// What a node's expressions see: the values of what it requires, then the variables.
struct NodeScope<'s> {
    values: Named,
    variables: &'s dyn Scope,
}

impl Scope for NodeScope<'_> {
    fn variable(&self, name: &str) -> Option<Value> {
        match self.values.iter().find(|(own, _)| **own == *name) {
            Some((_, value)) => Some(value.clone()),
            None => self.variables.variable(name),
        }
    }
}

/// An evaluation under way.
struct Run<'m, 's> {
    model: &'m Model,
    variables: &'s dyn Scope,
    environment: Environment,
    values: Vec<Option<Value>>,
    decisions: Vec<EvaluatedDecision<'m>>,
}

impl Model {
    /// Evaluates a decision of this model.
    pub fn evaluate(
        &self,
        decision: Decision<'_>,
        variables: &dyn Scope,
        environment: &Environment,
    ) -> Outcome<'_> {
        assert!(
            std::ptr::eq(decision.node, &self.nodes[decision.index]),
            "the decision '{}' is of another model",
            decision.id()
        );
        let mut run = Run::new(self, variables, environment);
        let result = run.node(decision.index);
        run.finish(result)
    }

    /// Evaluates the decision service of a name with the variables that are named like its parameters; `None` if the model has no
    /// such service.
    pub fn evaluate_service(
        &self,
        name: &str,
        variables: &dyn Scope,
        environment: &Environment,
    ) -> Option<Result<Value, EvaluationError>> {
        let mut services = self.services.iter();
        let index = *services.find(|node| *self.nodes[**node].name == *name)?;
        let Logic::Service { call, .. } = &self.nodes[index].logic else {
            unreachable!("only services are listed as services");
        };
        let mut run = Run::new(self, variables, environment);
        let function = match run.node(index) {
            Ok(function) => function,
            Err(failed) => return Some(Err(failed.error)),
        };
        let scope = NodeScope {
            values: vec![(self.nodes[index].name.clone(), function)],
            variables,
        };
        let evaluated = call.evaluate(&scope, &run.environment);
        Some(evaluated.map(|evaluation| evaluation.value))
    }
}

impl<'m, 's> Run<'m, 's> {
    fn new(model: &'m Model, variables: &'s dyn Scope, environment: &Environment) -> Run<'m, 's> {
        Run {
            model,
            variables,
            environment: environment.clone(),
            values: vec![None; model.nodes.len()],
            decisions: Vec::new(),
        }
    }

    fn finish(self, result: Result<Value, FailedDecision<'m>>) -> Outcome<'m> {
        Outcome {
            decisions: self.decisions,
            result,
        }
    }

    /// Evaluates a node after all that it requires.
    fn node(&mut self, index: usize) -> Result<Value, FailedDecision<'m>> {
        let mut path = vec![(index, 0)];
        while let Some((node, next)) = path.last_mut() {
            let needs = &self.model.nodes[*node].needs;
            if let Some(need) = needs.get(*next) {
                *next += 1;
                if self.values[need.node].is_none() {
                    path.push((need.node, 0));
                }
                continue;
            }
            let node = *node;
            path.pop();
            if self.values[node].is_none() {
                let value = self.evaluate(node)?;
                self.values[node] = Some(value);
            }
        }
        let value = &self.values[index];
        Ok(value.clone().expect("the node asked for is evaluated last"))
    }

    fn evaluate(&mut self, index: usize) -> Result<Value, FailedDecision<'m>> {
        let node: &'m Node = &self.model.nodes[index];
        let expression = match &node.logic {
            Logic::Input(name, kind) => {
                let value = self.variables.variable(name).unwrap_or(Value::Null);
                return Ok(match kind {
                    Some(kind) => kind.convert(value).unwrap_or(Value::Null),
                    None => value,
                });
            }
            Logic::Decision { expression, .. } | Logic::Knowledge(expression) => expression,
            Logic::Service { function, .. } => function,
        };
        let scope = NodeScope {
            values: self.visible(node),
            variables: self.variables,
        };
        let (result, table) = expression.evaluate_traced(&scope, &self.environment);
        let result = result.inspect(|evaluation| self.spend(evaluation));
        let decision = Decision { index, node };
        let (id, name) = (&*node.id, &*node.name);
        let (output, warnings, result) = match result {
            Ok(evaluation) => (
                evaluation.value.clone(),
                evaluation.warnings,
                Ok(evaluation.value),
            ),
            Err(error) => (
                Value::Null,
                Vec::new(),
                Err(FailedDecision { id, name, error }),
            ),
        };
        if let Logic::Decision { .. } = node.logic {
            self.decisions.push(EvaluatedDecision {
                decision,
                output,
                table,
                warnings,
            });
        }
        result
    }

    /// What is left for the other nodes. Each draws random numbers of its own.
    fn spend(&mut self, evaluation: &Evaluation) {
        self.environment.fuel -= evaluation.steps;
        self.environment.seed = self.environment.seed.wrapping_add(1);
    }

    /// The values of what a node requires, under their names there.
    fn visible(&self, node: &Node) -> Named {
        let mut values: Named = Vec::with_capacity(node.needs.len());
        let mut imported: Vec<(Arc<str>, Named)> = Vec::new();
        for need in &node.needs {
            let Some(value) = &self.values[need.node] else {
                continue;
            };
            let named = need.names.iter().map(|name| (name.clone(), value.clone()));
            match &need.import {
                None => values.extend(named),
                Some(import) => match imported.iter_mut().find(|(name, _)| name == import) {
                    Some((_, entries)) => entries.extend(named),
                    None => imported.push((import.clone(), named.collect())),
                },
            }
        }
        for (name, entries) in imported {
            values.push((name, Value::context(entries).unwrap_or(Value::Null)));
        }
        values
    }
}
