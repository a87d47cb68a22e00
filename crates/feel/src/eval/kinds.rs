//! Whether a value is of a type.

use super::{Evaluated, Evaluator, Frame};
use crate::ast::{Kind, NodeId};
use crate::function::Body;
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn instance_of(
        &mut self,
        frame: &Frame<'_>,
        value: NodeId,
        kind: &Kind,
    ) -> Evaluated {
        let value = self.eval(frame, value)?;
        self.charge(value.bytes() / 8)?;
        Ok(Value::Boolean(is_instance(&value, kind)))
    }
}

/// Recurses as deep as the type nests, which the parser bounds.
pub(super) fn is_instance(value: &Value, kind: &Kind) -> bool {
    match (kind, value) {
        (Kind::Any, value) => !value.is_null(),
        (Kind::Null, Value::Null)
        | (Kind::Boolean, Value::Boolean(_))
        | (Kind::Number, Value::Number(_))
        | (Kind::String, Value::String(_))
        | (Kind::Date, Value::Date(_))
        | (Kind::Time, Value::Time(_))
        | (Kind::DateTime, Value::DateTime(_))
        | (Kind::DaysTimeDuration, Value::DaysTimeDuration(_))
        | (Kind::YearsMonthsDuration, Value::YearsMonthsDuration(_))
        | (Kind::List(None), Value::List(_))
        | (Kind::Context(None), Value::Context(_))
        | (Kind::Range(None), Value::Range(_))
        | (Kind::Function(None), Value::Function(_)) => true,
        (Kind::List(Some(element)), Value::List(list)) => {
            list.items().iter().all(|item| conforms(item, element))
        }
        (Kind::Context(Some(entries)), Value::Context(context)) => entries
            .iter()
            .all(|(key, kind)| context.get(key).is_some_and(|value| conforms(value, kind))),
        (Kind::Range(Some(element)), Value::Range(range)) => {
            conforms(&range.start.value, element) && conforms(&range.end.value, element)
        }
        (Kind::Function(Some(parameters)), Value::Function(function)) => match &function.body {
            Body::Defined(closure) => closure.definition().parameters.len() == *parameters,
            Body::Builtin(builtin) => builtin
                .signatures
                .iter()
                .any(|signature| signature.takes(*parameters)),
        },
        _ => false,
    }
}

/// Like an instance, but null belongs to every type.
pub(super) fn conforms(value: &Value, kind: &Kind) -> bool {
    value.is_null() || is_instance(value, kind)
}
