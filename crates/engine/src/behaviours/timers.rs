//! Timers of element instances: when they are due, and how they come again.

use skep_bpmn::model::{ElementKind, Timer as TimerModel, TimerSource, Trigger};
use skep_bpmn::timer::{Cycle, Date, Duration};
use skep_feel::{Expression, Value, Zone};
use skep_protocol::{Key, TimerIntent, values};

use crate::behaviours::expressions;
use crate::behaviours::incidents::{Failure, Step, Stop};
use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::timers;

/// When a timer is due, and how often.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Schedule {
    /// In epoch milliseconds.
    pub due_date: i64,
    /// How often it is due, this time included; -1 for ever.
    pub repetitions: i32,
}

/// When a timer is first due; `None` if it never is.
pub(crate) fn schedule(
    p: &mut Processing,
    scope: Key,
    timer: &TimerModel,
) -> Step<Option<Schedule>> {
    let now = p.now();
    Ok(match timer {
        TimerModel::Duration(TimerSource::Static(duration)) => once(duration.due_after(now)),
        TimerModel::Duration(TimerSource::Expression(expression)) => {
            once(duration(p, scope, expression)?.due_after(now))
        }
        TimerModel::Date(TimerSource::Static(date)) => once(date.due_ms()),
        TimerModel::Date(TimerSource::Expression(expression)) => once(date(p, scope, expression)?),
        TimerModel::Cycle(TimerSource::Static(cycle)) => repeated(cycle, now),
        TimerModel::Cycle(TimerSource::Expression(expression)) => {
            repeated(&cycle(p, scope, expression)?, now)
        }
    })
}

fn once(due_date: i64) -> Option<Schedule> {
    Some(Schedule {
        due_date,
        repetitions: 1,
    })
}

fn repeated(cycle: &Cycle, now: i64) -> Option<Schedule> {
    let due_date = cycle.first_due(now)?;
    Some(Schedule {
        due_date,
        repetitions: cycle.repetitions(),
    })
}

fn wrong(expression: &Expression, expected: &str, value: &Value) -> Stop {
    Failure::extract_value(format!(
        "Expected result of the expression '{}' to be one of {expected}, but was '{}'.",
        expression.source(),
        value.type_name()
    ))
}

fn invalid(expression: &Expression, error: impl std::fmt::Display) -> Stop {
    Failure::extract_value(format!(
        "Invalid result of the expression '{}': {error}",
        expression.source()
    ))
}

fn duration(p: &mut Processing, scope: Key, expression: &Expression) -> Step<Duration> {
    let value = expressions::evaluate(p, scope, expression)?.value;
    let text = match &value {
        Value::String(text) => text.to_string(),
        Value::DaysTimeDuration(duration) => duration.to_string(),
        Value::YearsMonthsDuration(duration) => duration.to_string(),
        value => return Err(wrong(expression, "'[DURATION, PERIOD, STRING]'", value)),
    };
    Duration::parse(&text).map_err(|error| invalid(expression, error))
}

fn date(p: &mut Processing, scope: Key, expression: &Expression) -> Step<i64> {
    let value = expressions::evaluate(p, scope, expression)?.value;
    match &value {
        Value::String(text) => {
            let date = Date::parse(text).map_err(|error| invalid(expression, error))?;
            Ok(date.due_ms())
        }
        Value::DateTime(time) => {
            let utc = Zone::offset(0).expect("UTC is a zone");
            time.epoch_millis_in(&utc)
                .ok_or_else(|| invalid(expression, "it is outside of the calendar"))
        }
        value => Err(wrong(expression, "'[DATE_TIME, STRING]'", value)),
    }
}

fn cycle(p: &mut Processing, scope: Key, expression: &Expression) -> Step<Cycle> {
    let value = expressions::evaluate(p, scope, expression)?.value;
    match &value {
        Value::String(text) => Cycle::parse(text).map_err(|error| invalid(expression, error)),
        value => Err(wrong(expression, "'STRING'", value)),
    }
}

/// TIMER CREATED.
pub(crate) fn create(
    p: &mut Processing,
    owner: &ElementInstance,
    target: &str,
    schedule: Schedule,
) -> Result<()> {
    let timer = values::Timer {
        element_instance_key: owner.key.0,
        process_instance_key: owner.process_instance_key.0,
        process_definition_key: owner.process.key.0,
        due_date: schedule.due_date,
        target_element_id: target.to_owned(),
        repetitions: schedule.repetitions,
    };
    let key = p.next_key()?;
    timers::create(p.txn, key, &timer);
    p.event(key, TimerIntent::Created, timer);
    Ok(())
}

/// The timer that follows one that was due, if it comes again.
pub(crate) fn create_next(
    p: &mut Processing,
    owner: &ElementInstance,
    timer: &values::Timer,
) -> Step<()> {
    if timer.repetitions != Cycle::INFINITE && timer.repetitions <= 1 {
        return Ok(());
    }
    let Some(event) = owner.process.element_by_id(&timer.target_element_id) else {
        return Ok(());
    };
    let Some(Trigger::Timer(TimerModel::Cycle(source))) = event.trigger() else {
        return Ok(());
    };
    let scope = match event.kind {
        ElementKind::StartEvent(_) => owner.key,
        _ => owner.flow_scope_key,
    };
    let cycle = match source {
        TimerSource::Static(cycle) => cycle.clone(),
        TimerSource::Expression(expression) => cycle(p, scope, expression)?,
    };
    if let Some(due_date) = cycle.next_due(timer.due_date, p.now()) {
        let repetitions = if timer.repetitions == Cycle::INFINITE {
            Cycle::INFINITE
        } else {
            timer.repetitions - 1
        };
        create(
            p,
            owner,
            &timer.target_element_id,
            Schedule {
                due_date,
                repetitions,
            },
        )?;
    }
    Ok(())
}

/// TIMER CANCELED for the timers of an element instance for those events.
pub(crate) fn cancel_where(
    p: &mut Processing,
    owner: Key,
    is_meant: &dyn Fn(&str) -> bool,
) -> Result<()> {
    for (key, timer) in timers::of_element(p.txn, owner)? {
        if !is_meant(&timer.target_element_id) {
            continue;
        }
        timers::delete(p.txn, key, &timer);
        p.event(key, TimerIntent::Canceled, timer);
    }
    Ok(())
}
