//! Arithmetic on numbers, strings and temporal values.

use std::sync::Arc;

use super::{Evaluated, Evaluator, Frame};
use crate::ast::{Arithmetic, NodeId};
use crate::error::WarningKind;
use crate::limits::{STEPS_OF_A_PRODUCT_SERIES, STEPS_OF_A_SERIES};
use crate::number::{Number, Rounding};
use crate::temporal::{DateTime, DaysTimeDuration, YearsMonthsDuration, Zone};
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn chain(
        &mut self,
        frame: &Frame<'_>,
        first: NodeId,
        rest: &[(Arithmetic, NodeId)],
    ) -> Evaluated {
        let mut left = self.eval(frame, first)?;
        for (operator, operand) in rest {
            let right = self.operand(frame, *operand)?;
            left = self.binary(*operator, &left, &right)?;
        }
        Ok(left)
    }

    fn binary(&mut self, operator: Arithmetic, left: &Value, right: &Value) -> Evaluated {
        let result = match operator {
            Arithmetic::Add => self.add(left, right)?,
            Arithmetic::Subtract => subtract(left, right),
            Arithmetic::Multiply => multiply(left, right),
            Arithmetic::Divide => divide(left, right),
        };
        Ok(match result {
            Some(value) => value,
            None => self.null(WarningKind::InvalidType, || {
                no_result(operator, left, right)
            }),
        })
    }

    fn add(&mut self, left: &Value, right: &Value) -> Evaluated<Option<Value>> {
        if let (Value::String(a), Value::String(b)) = (left, right) {
            self.charge_bytes(a.len() + b.len())?;
            let mut text = String::with_capacity(a.len() + b.len());
            text.push_str(a);
            text.push_str(b);
            return Ok(Some(Value::from(text)));
        }
        Ok(add(left, right))
    }

    pub(super) fn negation(&mut self, frame: &Frame<'_>, operand: NodeId) -> Evaluated {
        let operand = self.eval(frame, operand)?;
        let result = match &operand {
            Value::Number(number) => Some(Value::Number(number.negate())),
            Value::DaysTimeDuration(duration) => duration.negate().map(Value::DaysTimeDuration),
            Value::YearsMonthsDuration(duration) => {
                duration.negate().map(Value::YearsMonthsDuration)
            }
            _ => None,
        };
        Ok(match result {
            Some(value) => value,
            None => self.wrong_type("negation", "NUMBER", &operand),
        })
    }

    pub(super) fn power(&mut self, frame: &Frame<'_>, base: NodeId, exponent: NodeId) -> Evaluated {
        let base = self.operand(frame, base)?;
        let exponent = self.operand(frame, exponent)?;
        let result = match (&*base, &*exponent) {
            (Value::Number(a), Value::Number(b)) => {
                let whole = b.is_integer();
                self.charge(if whole {
                    STEPS_OF_A_PRODUCT_SERIES
                } else {
                    STEPS_OF_A_SERIES
                })?;
                a.power(*b).map(Value::Number)
            }
            _ => None,
        };
        Ok(match result {
            Some(value) => value,
            None => self.null(WarningKind::InvalidType, || {
                let (base, exponent) = (base.type_name(), exponent.type_name());
                format!("can't raise this {base} to the power of this {exponent}")
            }),
        })
    }
}

fn no_result(operator: Arithmetic, left: &Value, right: &Value) -> String {
    let (left, right) = (left.type_name(), right.type_name());
    match operator {
        Arithmetic::Add => format!("can't add this {right} to this {left}"),
        Arithmetic::Subtract => format!("can't subtract this {right} from this {left}"),
        Arithmetic::Multiply => format!("can't multiply this {left} by this {right}"),
        Arithmetic::Divide => format!("can't divide this {left} by this {right}"),
    }
}

fn add(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.checked_add(*b).map(Value::Number),
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => {
            a.checked_add(*b).map(Value::DaysTimeDuration)
        }
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => {
            a.checked_add(*b).map(Value::YearsMonthsDuration)
        }
        (Value::DaysTimeDuration(duration), point) | (point, Value::DaysTimeDuration(duration)) => {
            add_days(point, *duration)
        }
        (Value::YearsMonthsDuration(duration), point)
        | (point, Value::YearsMonthsDuration(duration)) => add_months(point, *duration),
        _ => None,
    }
}

fn add_days(point: &Value, duration: DaysTimeDuration) -> Option<Value> {
    match point {
        Value::Date(date) => {
            let moment = date.at_midnight().add_duration(duration)?;
            Some(Value::Date(moment.date()))
        }
        Value::DateTime(moment) => moment.add_duration(duration).map(Value::from),
        Value::Time(time) => Some(Value::from(time.add_nanos(duration.total_nanos()))),
        _ => None,
    }
}

fn add_months(point: &Value, duration: YearsMonthsDuration) -> Option<Value> {
    match point {
        Value::Date(date) => date.add_months(duration.months()).map(Value::Date),
        Value::DateTime(moment) => moment.add_months(duration).map(Value::from),
        _ => None,
    }
}

fn subtract(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.checked_sub(*b).map(Value::Number),
        (Value::Time(a), Value::Time(b)) => {
            let offsets = match (a.offset_seconds(), b.offset_seconds()) {
                (Some(a), Some(b)) => i128::from(b) - i128::from(a),
                (None, None) => 0,
                _ => return None,
            };
            let nanos = a.nano_of_day() - b.nano_of_day() + offsets * 1_000_000_000;
            DaysTimeDuration::from_nanos(nanos).map(Value::DaysTimeDuration)
        }
        (_, Value::DaysTimeDuration(duration)) => {
            let negated = Value::DaysTimeDuration(duration.negate()?);
            add(left, &negated)
        }
        (_, Value::YearsMonthsDuration(duration)) => {
            let negated = Value::YearsMonthsDuration(duration.negate()?);
            add(left, &negated)
        }
        _ => {
            let zoned = !matches!((left, right), (Value::Date(_), Value::Date(_)));
            let (a, b) = (moment(left, zoned)?, moment(right, zoned)?);
            let nanos = match (a.epoch_nanos(), b.epoch_nanos()) {
                (Some(a), Some(b)) => a - b,
                (None, None) => a.local_nanos() - b.local_nanos(),
                _ => return None,
            };
            DaysTimeDuration::from_nanos(nanos).map(Value::DaysTimeDuration)
        }
    }
}

/// A date counts as its midnight, in UTC if the other side is no date.
fn moment(value: &Value, zoned: bool) -> Option<Arc<DateTime>> {
    match value {
        Value::DateTime(moment) => Some(moment.clone()),
        Value::Date(date) if zoned => Some(Arc::new(date.at_midnight().with_zone(Zone::Offset(0)))),
        Value::Date(date) => Some(Arc::new(date.at_midnight())),
        _ => None,
    }
}

fn multiply(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.checked_mul(*b).map(Value::Number),
        (Value::DaysTimeDuration(duration), Value::Number(factor))
        | (Value::Number(factor), Value::DaysTimeDuration(duration)) => {
            scale_days(*duration, |nanos| nanos.checked_mul(*factor))
        }
        (Value::YearsMonthsDuration(duration), Value::Number(factor))
        | (Value::Number(factor), Value::YearsMonthsDuration(duration)) => {
            scale_months(*duration, |months| months.checked_mul(*factor))
        }
        _ => None,
    }
}

fn divide(left: &Value, right: &Value) -> Option<Value> {
    match (left, right) {
        (Value::Number(a), Value::Number(b)) => a.checked_div(*b).map(Value::Number),
        (Value::DaysTimeDuration(duration), Value::Number(divisor)) => {
            scale_days(*duration, |nanos| nanos.checked_div(*divisor))
        }
        (Value::YearsMonthsDuration(duration), Value::Number(divisor)) => {
            scale_months(*duration, |months| months.checked_div(*divisor))
        }
        (Value::DaysTimeDuration(a), Value::DaysTimeDuration(b)) => wide(a.total_nanos())?
            .checked_div(wide(b.total_nanos())?)
            .map(Value::Number),
        (Value::YearsMonthsDuration(a), Value::YearsMonthsDuration(b)) => Number::from(a.months())
            .checked_div(Number::from(b.months()))
            .map(Value::Number),
        _ => None,
    }
}

fn wide(nanos: i128) -> Option<Number> {
    nanos.to_string().parse().ok()
}

fn scale_days(
    duration: DaysTimeDuration,
    scale: impl FnOnce(Number) -> Option<Number>,
) -> Option<Value> {
    let nanos = scale(wide(duration.total_nanos())?)?
        .round(0, Rounding::HalfEven)?
        .to_i128()?;
    DaysTimeDuration::from_nanos(nanos).map(Value::DaysTimeDuration)
}

/// Months are whole: the fraction is cut off.
fn scale_months(
    duration: YearsMonthsDuration,
    scale: impl FnOnce(Number) -> Option<Number>,
) -> Option<Value> {
    let months = scale(Number::from(duration.months()))?
        .round(0, Rounding::Down)?
        .to_i64()?;
    Some(Value::YearsMonthsDuration(
        YearsMonthsDuration::from_months(months),
    ))
}
