//! Whether a value is of a type.

use super::{Evaluated, Evaluator, Frame, Stop};
use crate::ast::{Kind, NodeId};
use crate::error::{Failure, WarningKind};
use crate::function::Body;
use crate::value::Value;

impl Kind {
    /// The name as in models.
    fn name(&self) -> &'static str {
        match self {
            Kind::Any => "Any",
            Kind::Null => "Null",
            Kind::Boolean => "boolean",
            Kind::Number => "number",
            Kind::String => "string",
            Kind::Date => "date",
            Kind::Time => "time",
            Kind::DateTime => "dateTime",
            Kind::DaysTimeDuration => "dayTimeDuration",
            Kind::YearsMonthsDuration => "yearMonthDuration",
            Kind::List(_) => "list",
            Kind::Context(_) => "context",
            Kind::Range(_) => "range",
            Kind::Function(_) => "function",
            Kind::Unknown(_) => "unknown",
        }
    }

    /// The value as one of this type: itself, or what DMN converts it to; `None` if it does not conform.
    pub fn convert(&self, value: Value) -> Option<Value> {
        if conforms(&value, self) {
            return Some(value);
        }
        coerced(value, self)
    }
}

impl Evaluator<'_> {
    pub(super) fn typed(&mut self, frame: &Frame<'_>, value: NodeId, kind: &Kind) -> Evaluated {
        let value = self.eval(frame, value)?;
        self.converted(value, kind)
    }

    /// The value, if it is of a type or null.
    pub(super) fn checked(&mut self, frame: &Frame<'_>, value: NodeId, kind: &Kind) -> Evaluated {
        let value = self.eval(frame, value)?;
        self.charge(value.bytes() / 8)?;
        if conforms(&value, kind) {
            return Ok(value);
        }
        Err(Stop::new(Failure::Type {
            expected: kind.name(),
            found: value.type_name(),
        }))
    }

    /// The value as one of a type; null, with a warning, if it does not conform.
    pub(super) fn converted(&mut self, value: Value, kind: &Kind) -> Evaluated {
        self.charge(value.bytes() / 8)?;
        let found = value.type_name();
        match kind.convert(value) {
            Some(value) => Ok(value),
            None => Ok(self.null(WarningKind::InvalidType, || {
                format!("a {found} does not conform to the type that is declared")
            })),
        }
    }

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

/// DMN's implicit conversions: a single value to a list of it and back, a date to its midnight in UTC.
fn coerced(value: Value, kind: &Kind) -> Option<Value> {
    let coerced = match (kind, value) {
        (Kind::List(_), single) => Value::list(vec![single]).ok()?,
        (Kind::DateTime, Value::Date(date)) => Value::from(
            date.at_midnight()
                .with_zone(crate::temporal::Zone::Offset(0)),
        ),
        (_, Value::List(list)) => match list.items() {
            [single] => single.clone(),
            _ => return None,
        },
        _ => return None,
    };
    conforms(&coerced, kind).then_some(coerced)
}
