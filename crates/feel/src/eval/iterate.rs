//! Loops: `for`, `some`, `every`, and filters.

use std::cmp::Ordering;

use super::{Evaluated, Evaluator, Frame};
use crate::ast::{Iteration, Judgement, Node, NodeId};
use crate::error::WarningKind;
use crate::number::Number;
use crate::temporal::Date;
use crate::value::{List, Value};

/// Whether a loop goes on.
#[derive(PartialEq, Eq)]
enum Flow {
    Continue,
    Break,
}

/// What an iterator has yet to yield.
enum Domain {
    List {
        list: List,
        next: usize,
    },
    /// `step` is 1 or -1; `left` counts what is still to come.
    Numbers {
        next: Number,
        step: Number,
        left: u64,
    },
    Dates {
        next: Date,
        step: i64,
        left: u64,
    },
}

impl Domain {
    fn next(&mut self) -> Option<Value> {
        match self {
            Domain::List { list, next } => {
                let value = list.items().get(*next)?.clone();
                *next += 1;
                Some(value)
            }
            Domain::Numbers { next, step, left } => {
                *left = left.checked_sub(1)?;
                let value = *next;
                *next = value.checked_add(*step)?;
                Some(Value::Number(value))
            }
            Domain::Dates { next, step, left } => {
                *left = left.checked_sub(1)?;
                let value = *next;
                if *left > 0 {
                    *next = value.add_days(*step)?;
                }
                Some(Value::Date(value))
            }
        }
    }

    fn between(start: &Value, end: &Value) -> Option<Domain> {
        match (start, end) {
            (Value::Number(start), Value::Number(end)) => {
                let falling = start.cmp(end) == Ordering::Greater;
                let distance = end.checked_sub(*start)?.abs().floor();
                // What doesn't fit is more than any fuel allows.
                let left = distance.to_i64().unwrap_or(i64::MAX - 1) as u64 + 1;
                let step = Number::from(if falling { -1 } else { 1 });
                Some(Domain::Numbers {
                    next: *start,
                    step,
                    left,
                })
            }
            (Value::Date(start), Value::Date(end)) => {
                let distance = end.epoch_day() - start.epoch_day();
                let left = distance.unsigned_abs() + 1;
                Some(Domain::Dates {
                    next: *start,
                    step: distance.signum(),
                    left,
                })
            }
            _ => None,
        }
    }
}

impl Evaluator<'_> {
    pub(super) fn for_loop(
        &mut self,
        frame: &Frame<'_>,
        iterations: &[Iteration],
        body: NodeId,
        reads_partial: bool,
    ) -> Evaluated {
        let partial = self.locals.len();
        self.locals.push(if reads_partial {
            Value::list(Vec::new())?
        } else {
            Value::Null
        });
        let mut results = Vec::new();
        let complete = self.each(frame, iterations, &mut |evaluator: &mut Self| {
            let result = evaluator.eval(frame, body)?;
            if reads_partial {
                evaluator.append_partial(partial, result)?;
            } else {
                evaluator.charge_elements(1)?;
                results.push(result);
            }
            Ok(Flow::Continue)
        })?;
        let partial = self.locals.pop().unwrap_or(Value::Null);
        if !complete {
            return Ok(Value::Null);
        }
        if reads_partial {
            Ok(partial)
        } else {
            Ok(Value::list(results)?)
        }
    }

    /// Adds to the list in a local; in place, unless the body has kept the list itself.
    fn append_partial(&mut self, at: usize, result: Value) -> Evaluated<()> {
        self.charge_elements(1)?;
        let Value::List(list) = &mut self.locals[at] else {
            return Ok(());
        };
        if list.push_if_unshared(&result)? {
            return Ok(());
        }
        let mut items = list.items().to_vec();
        items.push(result);
        self.locals[at] = self.list(items)?;
        Ok(())
    }

    pub(super) fn quantified(
        &mut self,
        frame: &Frame<'_>,
        every: bool,
        iterations: &[Iteration],
        body: NodeId,
        judgement: Judgement,
    ) -> Evaluated {
        let mut unknown = false;
        let mut decided = false;

        let complete = self.each(frame, iterations, &mut |evaluator: &mut Self| {
            match evaluator.eval(frame, body)? {
                Value::Boolean(value) if value != every => {
                    decided = true;
                    return Ok(Flow::Break);
                }
                Value::Boolean(_) => {}
                Value::Null => unknown = true,
                other => {
                    evaluator.wrong_type("satisfies", "BOOLEAN", &other);
                    unknown = true;
                    if judgement == Judgement::Strict {
                        return Ok(Flow::Break);
                    }
                }
            }
            Ok(Flow::Continue)
        })?;
        Ok(if decided {
            Value::Boolean(!every)
        } else if unknown || !complete {
            Value::Null
        } else {
            Value::Boolean(every)
        })
    }

    /// Runs `body` for every combination, the last iterator running fastest. Answers false if there was nothing to
    /// iterate over. No recursion: an expression may have any number of iterators.
    fn each(
        &mut self,
        frame: &Frame<'_>,
        iterations: &[Iteration],
        body: &mut dyn FnMut(&mut Self) -> Evaluated<Flow>,
    ) -> Evaluated<bool> {
        let start = self.locals.len();
        let mut domains: Vec<Domain> = Vec::with_capacity(iterations.len());
        while let Some(iteration) = iterations.get(domains.len()) {
            let Some(domain) = self.domain(frame, iteration)? else {
                self.locals.truncate(start);
                return Ok(false);
            };
            domains.push(domain);
            // Yield until every iterator has a value, then run the body; go back where one is exhausted.
            loop {
                self.charge(1)?;
                self.locals
                    .truncate((start + domains.len()).saturating_sub(1).max(start));
                let Some(domain) = domains.last_mut() else {
                    return Ok(true);
                };
                match domain.next() {
                    None => {
                        domains.pop();
                        continue;
                    }
                    Some(value) => self.locals.push(value),
                }
                if domains.len() < iterations.len() {
                    break;
                }
                if body(self)? == Flow::Break {
                    self.locals.truncate(start);
                    return Ok(true);
                }
            }
        }
        self.locals.truncate(start);
        Ok(true)
    }

    fn domain(&mut self, frame: &Frame<'_>, iteration: &Iteration) -> Evaluated<Option<Domain>> {
        let start = self.eval(frame, iteration.list)?;
        let domain = match (iteration.end, start) {
            (Some(end), start) => {
                let end = self.eval(frame, end)?;
                Domain::between(&start, &end)
            }
            (None, Value::List(list)) => Some(Domain::List { list, next: 0 }),
            (None, Value::Range(range)) => Domain::between(&range.start.value, &range.end.value),
            (None, Value::Null) => None,
            (None, single) => Some(Domain::List {
                list: List::new(vec![single])?,
                next: 0,
            }),
        };
        if domain.is_none() {
            self.null(WarningKind::InvalidType, || {
                "can iterate only over a LIST or a RANGE of whole numbers or dates".to_owned()
            });
        }
        Ok(domain)
    }

    pub(super) fn filter(
        &mut self,
        frame: &Frame<'_>,
        list: NodeId,
        predicate: NodeId,
        judgement: Judgement,
    ) -> Evaluated {
        let list = match self.eval(frame, list)? {
            Value::List(list) => list,
            Value::Null => {
                self.wrong_type("a filter", "LIST", &Value::Null);
                return Ok(Value::Null);
            }
            single => List::new(vec![single])?,
        };
        if let Node::Literal(Value::Number(index)) = frame.program.node(predicate)
            && judgement == Judgement::Lenient
        {
            return Ok(self.at_index(&list, *index));
        }
        let mut kept = Vec::new();
        for (at, item) in list.items().iter().enumerate() {
            self.locals.push(item.clone());
            let result = self.eval(frame, predicate)?;
            self.locals.pop();
            match result {
                Value::Boolean(true) => {
                    self.charge_elements(1)?;
                    kept.push(item.clone());
                }
                // A number computed for the first item is the index for all.
                Value::Number(index) if at == 0 && judgement == Judgement::Lenient => {
                    return Ok(self.at_index(&list, index));
                }
                Value::Boolean(false) | Value::Null => {}
                other => {
                    let null = self.wrong_type("a filter", "BOOLEAN", &other);
                    if judgement == Judgement::Strict {
                        return Ok(null);
                    }
                }
            }
        }
        Ok(Value::list(kept)?)
    }

    /// The item at a position counted from 1, or from the end when negative.
    fn at_index(&mut self, list: &List, index: Number) -> Value {
        let items = list.items();
        let position = index.to_i64().and_then(|index| {
            let from_end = i64::try_from(items.len()).ok()?.checked_add(index)?;
            usize::try_from(if index < 0 {
                from_end
            } else {
                index.checked_sub(1)?
            })
            .ok()
        });
        match position.and_then(|position| items.get(position)) {
            Some(item) => item.clone(),
            None => self.null(WarningKind::InvalidType, || {
                format!("index {index} is outside a list of {} items", items.len())
            }),
        }
    }
}
