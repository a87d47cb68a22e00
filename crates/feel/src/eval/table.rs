//! Decision tables: which rules match, and what the hit policy makes of them.

use std::sync::Arc;

use super::{Evaluated, Evaluator, Frame, Stop, equal};
use crate::ast::{NodeId, RuleNode, TableNode, Tests};
use crate::boxed::{Aggregation, HitPolicy, MatchedRule, Violation};
use crate::builtins;
use crate::error::{Failure, WarningKind};
use crate::value::Value;

/// Outputs of a rule that matched.
type Row = Vec<Value>;

impl Evaluator<'_> {
    pub(super) fn table(
        &mut self,
        frame: &Frame<'_>,
        node: NodeId,
        table: &TableNode,
    ) -> Evaluated {
        let traced = self.traced == Some(node) && Arc::ptr_eq(frame.program, self.program);
        let mut inputs = Vec::with_capacity(table.inputs.len());
        for (input, allowed) in &table.inputs {
            let value = self.eval(frame, *input)?;
            if traced && let Some(trace) = &mut self.trace {
                trace.inputs.push(value.clone());
            }
            if let Some(allowed) = allowed
                && !self.passes(frame, &value, allowed)?
            {
                return self.violated(table, "an input is none of the values that are allowed");
            }
            inputs.push(value);
        }
        let mut rows = Vec::new();
        for (index, rule) in table.rules.iter().enumerate() {
            if !self.rule_matches(frame, rule, &inputs)? {
                continue;
            }
            let row = self.row(frame, table, rule)?;
            if traced && let Some(trace) = &mut self.trace {
                let outputs = row.clone();
                trace.matched.push(MatchedRule {
                    rule: index,
                    outputs,
                });
            }
            rows.push(row);
            if table.hit_policy == HitPolicy::First {
                break;
            }
        }
        if rows.is_empty() {
            return self.default_row(frame, table);
        }
        self.hit(frame, table, rows)
    }

    fn rule_matches(
        &mut self,
        frame: &Frame<'_>,
        rule: &RuleNode,
        inputs: &[Value],
    ) -> Evaluated<bool> {
        self.charge(1)?;
        for (tests, value) in rule.tests.iter().zip(inputs) {
            if let Some(tests) = tests
                && !self.passes(frame, value, tests)?
            {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether a value passes tests for sure.
    fn passes(&mut self, frame: &Frame<'_>, value: &Value, tests: &Tests) -> Evaluated<bool> {
        self.locals.push(value.clone());
        let result = self.any_test(frame, value, &tests.tests)?;
        self.locals.pop();
        Ok(result.is_some_and(|result| result != tests.negated))
    }

    fn row(&mut self, frame: &Frame<'_>, table: &TableNode, rule: &RuleNode) -> Evaluated<Row> {
        let mut row = Vec::with_capacity(rule.outputs.len());
        for (node, output) in rule.outputs.iter().zip(&table.outputs) {
            let mut value = self.eval(frame, *node)?;
            if let Some(kind) = &output.kind {
                value = self.converted(value, kind)?;
            }
            row.push(value);
        }
        self.charge_elements(row.len())?;
        Ok(row)
    }

    /// What the table says when no rule matches: null, if no output has a default.
    fn default_row(&mut self, frame: &Frame<'_>, table: &TableNode) -> Evaluated {
        if table.outputs.iter().all(|output| output.default.is_none()) {
            return Ok(Value::Null);
        }
        let mut row = Vec::with_capacity(table.outputs.len());
        for output in &table.outputs {
            row.push(match output.default {
                Some(node) => self.eval(frame, node)?,
                None => Value::Null,
            });
        }
        self.row_value(table, row)
    }

    /// The value of a row: its output, or a context of them.
    fn row_value(&mut self, table: &TableNode, mut row: Row) -> Evaluated {
        if table.outputs.len() == 1 {
            return Ok(row.pop().unwrap_or(Value::Null));
        }
        let names = table.outputs.iter().map(|output| output.name.clone());
        self.context(names.zip(row).collect())
    }

    /// What the hit policy makes of rules that matched, of which there is at least one.
    fn hit(&mut self, frame: &Frame<'_>, table: &TableNode, mut rows: Vec<Row>) -> Evaluated {
        match table.hit_policy {
            HitPolicy::Unique if rows.len() > 1 => {
                return self.violated(table, "UNIQUE, but several rules match");
            }
            HitPolicy::Any if !all_equal(&rows) => {
                return self.violated(table, "ANY, but rules that match have different outputs");
            }
            HitPolicy::Unique | HitPolicy::Any | HitPolicy::First => {
                return self.row_value(table, rows.swap_remove(0));
            }
            HitPolicy::Priority => {
                let mut rows = self.by_priority(frame, table, rows)?;
                return self.row_value(table, rows.swap_remove(0));
            }
            HitPolicy::OutputOrder => rows = self.by_priority(frame, table, rows)?,
            HitPolicy::RuleOrder | HitPolicy::Collect(_) => {}
        }
        let values: Evaluated<Vec<Value>> = rows
            .into_iter()
            .map(|row| self.row_value(table, row))
            .collect();
        let list = self.list(values?)?;
        match table.hit_policy {
            HitPolicy::Collect(Some(aggregation)) => self.aggregate(table, aggregation, list),
            _ => Ok(list),
        }
    }

    fn aggregate(&mut self, table: &TableNode, aggregation: Aggregation, list: Value) -> Evaluated {
        if table.outputs.len() > 1 && aggregation != Aggregation::Count {
            return self.violated(table, "COLLECT adds up only a single output");
        }
        let name = match aggregation {
            Aggregation::Sum => "sum",
            Aggregation::Min => "min",
            Aggregation::Max => "max",
            Aggregation::Count => "count",
        };
        let builtin = builtins::find(name).expect("every aggregation is a built-in function");
        let signature = builtin
            .signatures
            .iter()
            .find(|signature| signature.takes(1));
        let signature = signature.expect("every aggregation takes a list");
        self.run_builtin(signature, &[list])
    }

    /// The rows in the order in which their outputs stand among the allowed values; those of one rank keep their order.
    fn by_priority(
        &mut self,
        frame: &Frame<'_>,
        table: &TableNode,
        rows: Vec<Row>,
    ) -> Evaluated<Vec<Row>> {
        let mut ranked = Vec::with_capacity(rows.len());
        for row in rows {
            let mut ranks = Vec::with_capacity(row.len());
            for (value, output) in row.iter().zip(&table.outputs) {
                ranks.push(self.rank(frame, value, output.allowed.as_ref())?);
            }
            ranked.push((ranks, row));
        }
        ranked.sort_by(|(a, _), (b, _)| a.cmp(b));
        Ok(ranked.into_iter().map(|(_, row)| row).collect())
    }

    /// The number of the first test that a value passes.
    fn rank(
        &mut self,
        frame: &Frame<'_>,
        value: &Value,
        allowed: Option<&Tests>,
    ) -> Evaluated<usize> {
        let tests = allowed.map_or(&[][..], |allowed| &allowed.tests);
        for (rank, test) in tests.iter().enumerate() {
            self.locals.push(value.clone());
            let result = self.any_test(frame, value, std::slice::from_ref(test))?;
            self.locals.pop();
            if result == Some(true) {
                return Ok(rank);
            }
        }
        Ok(tests.len())
    }

    fn violated(&mut self, table: &TableNode, violation: &'static str) -> Evaluated {
        match table.on_violation {
            Violation::Fails => Err(Stop::new(Failure::HitPolicy { violation })),
            Violation::IsNull => Ok(self.null(WarningKind::InvalidType, || violation.to_owned())),
        }
    }
}

fn all_equal(rows: &[Row]) -> bool {
    let first = &rows[0];
    rows[1..].iter().all(|row| {
        let mut pairs = row.iter().zip(first);
        pairs.all(|(a, b)| equal(a, b) == Some(true))
    })
}
