//! Timers: when they are due, and how they come again.

use skep_bpmn::model::{ElementKind, Timer as TimerModel, TimerSource, Trigger};
use skep_bpmn::timer::{Cycle, Date, Duration, TimerError};
use skep_feel::{Environment, Expression, NoVariables, Value, Zone};
use skep_protocol::{Key, TimerIntent, values};

use crate::behaviours::expressions;
use crate::behaviours::incidents::{Failure, Step};
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

/// When a timer of an element instance is first due; `None` if it never is.
pub(crate) fn schedule(
    p: &mut Processing,
    scope: Key,
    timer: &TimerModel,
) -> Step<Option<Schedule>> {
    let value = match expression(timer) {
        Some(expression) => Some(expressions::evaluate(p, scope, expression)?.value),
        None => None,
    };
    schedule_from(timer, value.as_ref(), p.now()).map_err(Failure::extract_value)
}

/// When a timer whose times need no instance is first due; `None` if it never is.
pub(crate) fn schedule_without_instance(
    timer: &TimerModel,
    now: i64,
    environment: &Environment,
) -> std::result::Result<Option<Schedule>, String> {
    let value = value_without_instance(timer, environment)?;
    schedule_from(timer, value.as_ref(), now)
}

fn value_without_instance(
    timer: &TimerModel,
    environment: &Environment,
) -> std::result::Result<Option<Value>, String> {
    let Some(expression) = expression(timer) else {
        return Ok(None);
    };
    match expression.evaluate(&NoVariables, environment) {
        Ok(evaluation) => Ok(Some(evaluation.value)),
        Err(error) => Err(error.to_string()),
    }
}

/// The expression to evaluate before a timer's times are known.
fn expression(timer: &TimerModel) -> Option<&Expression> {
    match timer {
        TimerModel::Duration(TimerSource::Expression(expression))
        | TimerModel::Date(TimerSource::Expression(expression))
        | TimerModel::Cycle(TimerSource::Expression(expression)) => Some(expression),
        TimerModel::Duration(TimerSource::Static(_))
        | TimerModel::Date(TimerSource::Static(_))
        | TimerModel::Cycle(TimerSource::Static(_)) => None,
    }
}

/// What a source of times says, given the value of its expression.
type Times<T> = std::result::Result<T, String>;

fn schedule_from(timer: &TimerModel, value: Option<&Value>, now: i64) -> Times<Option<Schedule>> {
    Ok(match timer {
        TimerModel::Duration(source) => once(duration(source, value)?.due_after(now)),
        TimerModel::Date(source) => once(date(source, value)?),
        TimerModel::Cycle(source) => repeated(&cycle(source, value)?, now),
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

/// Reads the value of a source's expression, or gives what was known since deployment.
fn read<T: Clone>(
    source: &TimerSource<T>,
    value: Option<&Value>,
    read: impl Fn(&Value) -> std::result::Result<T, NotATime>,
) -> Times<T> {
    let expression = match source {
        TimerSource::Static(time) => return Ok(time.clone()),
        TimerSource::Expression(expression) => expression,
    };
    let value = value.expect("an expression is evaluated before its value is read");
    read(value).map_err(|error| match error {
        NotATime::OfType(expected) => format!(
            "Expected result of the expression '{}' to be one of {expected}, but was '{}'.",
            expression.source(),
            value.type_name()
        ),
        NotATime::Invalid(error) => format!(
            "Invalid result of the expression '{}': {error}",
            expression.source()
        ),
    })
}

/// Why a value is no time.
enum NotATime {
    /// It is none of these types.
    OfType(&'static str),
    /// It is of the right type and still none.
    Invalid(String),
}

impl From<TimerError> for NotATime {
    fn from(error: TimerError) -> NotATime {
        NotATime::Invalid(error.to_string())
    }
}

fn duration(source: &TimerSource<Duration>, value: Option<&Value>) -> Times<Duration> {
    read(source, value, |value| {
        let text = match value {
            Value::String(text) => text.to_string(),
            Value::DaysTimeDuration(duration) => duration.to_string(),
            Value::YearsMonthsDuration(duration) => duration.to_string(),
            _ => return Err(NotATime::OfType("'[DURATION, PERIOD, STRING]'")),
        };
        Ok(Duration::parse(&text)?)
    })
}

/// In epoch milliseconds.
fn date(source: &TimerSource<Date>, value: Option<&Value>) -> Times<i64> {
    if let (TimerSource::Expression(expression), Some(Value::DateTime(time))) = (source, value) {
        let utc = Zone::offset(0).expect("UTC is a zone");
        return time.epoch_millis_in(&utc).ok_or_else(|| {
            format!(
                "Invalid result of the expression '{}': it is outside of the calendar",
                expression.source()
            )
        });
    }
    let date = read(source, value, |value| match value {
        Value::String(text) => Ok(Date::parse(text)?),
        _ => Err(NotATime::OfType("'[DATE_TIME, STRING]'")),
    })?;
    Ok(date.due_ms())
}

fn cycle(source: &TimerSource<Cycle>, value: Option<&Value>) -> Times<Cycle> {
    read(source, value, |value| match value {
        Value::String(text) => Ok(Cycle::parse(text)?),
        _ => Err(NotATime::OfType("'STRING'")),
    })
}

/// TIMER CREATED for an event of an element instance.
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
        target_element_id: target.to_owned(),
        ..values::Timer::default()
    };
    set(p, timer, schedule)
}

/// TIMER CREATED.
pub(crate) fn set(p: &mut Processing, timer: values::Timer, schedule: Schedule) -> Result<()> {
    let timer = values::Timer {
        due_date: schedule.due_date,
        repetitions: schedule.repetitions,
        ..timer
    };
    let key = p.next_key()?;
    timers::create(p.txn, key, &timer);
    p.event(key, TimerIntent::Created, timer);
    Ok(())
}

/// The timer that follows one of an element instance that was due, if it comes again.
pub(crate) fn create_next(
    p: &mut Processing,
    owner: &ElementInstance,
    timer: &values::Timer,
) -> Step<()> {
    let Some(event) = owner.process.element_by_id(&timer.target_element_id) else {
        return Ok(());
    };
    let Some(Trigger::Timer(model)) = event.trigger() else {
        return Ok(());
    };
    if !comes_again(timer) {
        return Ok(());
    }
    let scope = match event.kind {
        ElementKind::StartEvent(_) => owner.key,
        _ => owner.flow_scope_key,
    };
    let value = match expression(model) {
        Some(expression) => Some(expressions::evaluate(p, scope, expression)?.value),
        None => None,
    };
    let next = schedule_next(model, value.as_ref(), timer, p.now());
    if let Some(next) = next.map_err(Failure::extract_value)? {
        set(p, timer.clone(), next)?;
    }
    Ok(())
}

/// The same for a timer whose times need no instance.
pub(crate) fn create_next_without_instance(
    p: &mut Processing,
    model: &TimerModel,
    timer: &values::Timer,
    environment: &Environment,
) -> Result<()> {
    if !comes_again(timer) {
        return Ok(());
    }
    let next = value_without_instance(model, environment)
        .and_then(|value| schedule_next(model, value.as_ref(), timer, p.now()));
    // It was evaluated when it was deployed; one that depends on the clock may still fail here, and then does not come again.
    if let Ok(Some(next)) = next {
        set(p, timer.clone(), next)?;
    }
    Ok(())
}

fn comes_again(timer: &values::Timer) -> bool {
    timer.repetitions == Cycle::INFINITE || timer.repetitions > 1
}

fn schedule_next(
    model: &TimerModel,
    value: Option<&Value>,
    timer: &values::Timer,
    now: i64,
) -> Times<Option<Schedule>> {
    let TimerModel::Cycle(source) = model else {
        return Ok(None);
    };
    let repetitions = match timer.repetitions {
        Cycle::INFINITE => Cycle::INFINITE,
        repetitions => repetitions - 1,
    };
    let due_date = cycle(source, value)?.next_due(timer.due_date, now);
    Ok(due_date.map(|due_date| Schedule {
        due_date,
        repetitions,
    }))
}

/// TIMER CANCELED for the timers of an owner for those events.
pub(crate) fn cancel_where(
    p: &mut Processing,
    owner: Key,
    is_meant: &dyn Fn(&str) -> bool,
) -> Result<()> {
    for (key, timer) in timers::of_owner(p.txn, owner)? {
        if !is_meant(&timer.target_element_id) {
            continue;
        }
        timers::delete(p.txn, key, &timer);
        p.event(key, TimerIntent::Canceled, timer);
    }
    Ok(())
}
