//! Paths: entries of contexts, properties of temporal values and ranges, and both over lists.

use std::sync::Arc;

use super::{Evaluated, Evaluator, Frame};
use crate::ast::NodeId;
use crate::error::WarningKind;
use crate::number::Number;
use crate::temporal::{Date, DaysTimeDuration, Time, YearsMonthsDuration};
use crate::value::Value;

impl Evaluator<'_> {
    pub(super) fn path(
        &mut self,
        frame: &Frame<'_>,
        base: NodeId,
        names: &[Arc<str>],
    ) -> Evaluated {
        let mut value = self.eval(frame, base)?;
        for name in names {
            value = self.member(&value, name)?;
        }
        Ok(value)
    }

    pub(super) fn member(&mut self, value: &Value, name: &str) -> Evaluated {
        match value {
            Value::List(list) => {
                let mut values = Vec::with_capacity(list.items().len());
                for item in list.items() {
                    self.charge(1)?;
                    values.push(match item {
                        // A list in the list is not gone into: projection has one level.
                        Value::List(_) => Value::Null,
                        item => self.property(item, name),
                    });
                }
                self.list(values)
            }
            value => Ok(self.property(value, name)),
        }
    }

    fn property(&mut self, value: &Value, name: &str) -> Value {
        let found = match value {
            Value::Context(context) => context.get(name).cloned(),
            Value::Date(date) => date_property(*date, name),
            Value::Time(time) => time_property(time, name),
            Value::DateTime(moment) => date_property(moment.date(), name)
                .or_else(|| time_property(moment.time(), name))
                .map(|found| match (name, moment.offset_seconds()) {
                    // A region's offset depends on the date, which the time alone doesn't know.
                    ("time offset", Some(offset)) => offset_value(offset),
                    _ => found,
                }),
            Value::DaysTimeDuration(duration) => days_property(*duration, name),
            Value::YearsMonthsDuration(duration) => months_property(*duration, name),
            Value::Range(range) => match name {
                "start" => Some(range.start.value.clone()),
                "end" => Some(range.end.value.clone()),
                "start included" => Some(Value::Boolean(range.start.included)),
                "end included" => Some(Value::Boolean(range.end.included)),
                _ => None,
            },
            _ => None,
        };
        match found {
            Some(found) => found,
            None if matches!(value, Value::Context(_)) => self
                .null(WarningKind::NoContextEntryFound, || {
                    format!("No context entry found with key '{name}'")
                }),
            None => self.null(WarningKind::NoPropertyFound, || {
                format!(
                    "No property found with name '{name}' of a {}",
                    value.type_name()
                )
            }),
        }
    }
}

fn date_property(date: Date, name: &str) -> Option<Value> {
    let number = match name {
        "year" => i64::from(date.year()),
        "month" => i64::from(date.month()),
        "day" => i64::from(date.day()),
        "weekday" => i64::from(date.weekday().0),
        _ => return None,
    };
    Some(Value::from(number))
}

fn time_property(time: &Time, name: &str) -> Option<Value> {
    Some(match name {
        "hour" => Value::from(i64::from(time.hour())),
        "minute" => Value::from(i64::from(time.minute())),
        "second" => {
            // A fraction of a second belongs to the second.
            let nanos = Number::from(i64::from(time.nanosecond()));
            let fraction = nanos.checked_div(Number::from(1_000_000_000_i64))?;
            Value::Number(Number::from(i64::from(time.second())).checked_add(fraction)?)
        }
        "time offset" => time.offset_seconds().map_or(Value::Null, offset_value),
        "timezone" => Value::from(time.zone().name()),
        _ => return None,
    })
}

fn offset_value(seconds: i32) -> Value {
    Value::DaysTimeDuration(DaysTimeDuration::from_seconds(i64::from(seconds)))
}

fn days_property(duration: DaysTimeDuration, name: &str) -> Option<Value> {
    let seconds = duration.total_seconds();
    let number = match name {
        "days" => seconds / 86_400,
        "hours" => seconds / 3600 % 24,
        "minutes" => seconds / 60 % 60,
        "seconds" => seconds % 60,
        _ => return None,
    };
    Some(Value::from(number))
}

fn months_property(duration: YearsMonthsDuration, name: &str) -> Option<Value> {
    match name {
        "years" => Some(Value::from(duration.months() / 12)),
        "months" => Some(Value::from(duration.months() % 12)),
        _ => None,
    }
}
