//! Dates, times and durations: making them and asking about them.

use super::{Answer, Args, Builtin, Refusal, fixed, function, optional};
use crate::eval::Evaluator;
use crate::number::{Number, Rounding};
use crate::temporal::{
    Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone, parse_date, parse_date_time,
    parse_duration, parse_time,
};
use crate::value::Value;

pub(super) const FUNCTIONS: &[Builtin] = &[
    function(
        "date",
        &[
            fixed(&["from"], date),
            fixed(&["year", "month", "day"], date_of),
        ],
    ),
    function(
        "time",
        &[
            fixed(&["from"], time),
            optional(&["hour", "minute", "second", "offset"], 3, time_of),
        ],
    ),
    function(
        "date and time",
        &[
            fixed(&["from"], date_time),
            fixed(&["date", "time"], date_time_of),
            fixed(&["date", "timezone"], date_time_of),
        ],
    ),
    function("duration", &[fixed(&["from"], duration)]),
    function(
        "years and months duration",
        &[fixed(&["from", "to"], months_between)],
    ),
    function("now", &[fixed(&[], now)]),
    function("today", &[fixed(&[], today)]),
    function("day of year", &[fixed(&["date"], day_of_year)]),
    function("day of week", &[fixed(&["date"], day_of_week)]),
    function("month of year", &[fixed(&["date"], month_of_year)]),
    function("week of year", &[fixed(&["date"], week_of_year)]),
    function("last day of month", &[fixed(&["date"], last_day_of_month)]),
    function(
        "cycle",
        &[
            fixed(&["interval"], cycle),
            fixed(&["repetitions", "interval"], cycle_of),
        ],
    ),
];

fn invalid(what: &str, text: &str) -> Refusal {
    let shown: String = text.chars().take(60).collect();
    Refusal::Null(format!("'{shown}' is no {what}"))
}

fn date(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(match args.value(0) {
        Value::Date(date) => Value::Date(*date),
        Value::DateTime(moment) => Value::Date(moment.date()),
        _ => {
            let text = args.text(0)?;
            Value::Date(parse_date(text).ok_or_else(|| invalid("date", text))?)
        }
    })
}

/// A whole number in the range of a field.
fn field<T: TryFrom<i64>>(args: &Args<'_>, at: usize) -> Answer<T> {
    let number = args.number(at)?;
    let whole = number.to_i64().and_then(|number| T::try_from(number).ok());
    whole.ok_or_else(|| Refusal::Null(format!("{number} is no part of a date or time")))
}

fn date_of(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let date = Date::new(field(&args, 0)?, field(&args, 1)?, field(&args, 2)?);
    date.map(Value::Date)
        .ok_or_else(|| Refusal::Null("there is no such date".to_owned()))
}

fn time(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(match args.value(0) {
        time @ Value::Time(_) => time.clone(),
        Value::DateTime(moment) => Value::from(moment.time().clone()),
        // A date is its midnight in UTC.
        Value::Date(_) => Value::from(Time::MIDNIGHT.with_zone(Zone::Offset(0))),
        _ => {
            let text = args.text(0)?;
            Value::from(parse_time(text).ok_or_else(|| invalid("time", text))?)
        }
    })
}

fn time_of(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let seconds = args.number(2)?;
    let whole = seconds.floor();
    let fraction = seconds.checked_sub(whole).and_then(|fraction| {
        fraction
            .checked_mul(Number::from(1_000_000_000_i64))?
            .round(0, Rounding::Down)?
            .to_i64()
    });
    let no_time = || Refusal::Null("there is no such time".to_owned());
    let nanos = fraction
        .and_then(|nanos| u32::try_from(nanos).ok())
        .ok_or_else(no_time)?;
    let second = whole
        .to_i64()
        .and_then(|second| u8::try_from(second).ok())
        .ok_or_else(no_time)?;
    let zone = match args.value(3) {
        Value::Null => Zone::Local,
        Value::DaysTimeDuration(offset) => i32::try_from(offset.total_seconds())
            .ok()
            .and_then(Zone::offset)
            .ok_or_else(|| Refusal::Null("the offset is out of range".to_owned()))?,
        _ => {
            return Err(Refusal::Null(
                "the offset is a days and time duration".to_owned(),
            ));
        }
    };
    let time = Time::new(field(&args, 0)?, field(&args, 1)?, second, nanos, zone);
    time.map(Value::from).ok_or_else(no_time)
}

fn date_time(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(match args.value(0) {
        moment @ Value::DateTime(_) => moment.clone(),
        Value::Date(date) => Value::from(date.at_midnight()),
        _ => {
            let text = args.text(0)?;
            let moment = parse_date_time(text)
                .or_else(|| parse_date(text).map(Date::at_midnight))
                .ok_or_else(|| invalid("date and time", text))?;
            Value::from(moment)
        }
    })
}

/// A date (or the date of a date-time) at a time; or a date-time in another zone.
fn date_time_of(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    match (args.value(0), args.value(1)) {
        (Value::Date(date), Value::Time(time)) => {
            Ok(Value::from(DateTime::new(*date, (**time).clone())))
        }
        (Value::DateTime(moment), Value::Time(time)) => {
            Ok(Value::from(DateTime::new(moment.date(), (**time).clone())))
        }
        (Value::DateTime(moment), Value::String(name)) => {
            let zone = Zone::region(name).ok_or_else(|| invalid("time zone", name))?;
            let moved = moment.in_zone(zone);
            moved
                .map(Value::from)
                .ok_or_else(|| invalid("time zone of it", name))
        }
        (a, b) => Err(Refusal::Null(format!(
            "expected a DATE and a TIME, found a {} and a {}",
            a.type_name(),
            b.type_name()
        ))),
    }
}

fn duration(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    if let duration @ (Value::DaysTimeDuration(_) | Value::YearsMonthsDuration(_)) = args.value(0) {
        return Ok(duration.clone());
    }
    let text = args.text(0)?;
    parse_duration(text).ok_or_else(|| invalid("duration", text))
}

fn moment(args: &Args<'_>, at: usize) -> Answer<DateTime> {
    match args.value(at) {
        Value::Date(date) => Ok(date.at_midnight()),
        Value::DateTime(moment) => Ok((**moment).clone()),
        other => Err(Refusal::Null(format!(
            "expected a DATE, found a {}",
            other.type_name()
        ))),
    }
}

/// Whole months from one date to another.
fn months_between(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let (from, to) = (moment(&args, 0)?, moment(&args, 1)?);
    let count =
        |moment: &DateTime| i64::from(moment.date().year()) * 12 + i64::from(moment.date().month());
    let within = |moment: &DateTime| moment.date().day();
    let mut months = count(&to) - count(&from);
    // A month that has begun but not ended doesn't count.
    if months > 0 && within(&to) < within(&from) {
        months -= 1;
    } else if months < 0 && within(&to) > within(&from) {
        months += 1;
    }
    Ok(Value::YearsMonthsDuration(
        YearsMonthsDuration::from_months(months),
    ))
}

fn now(evaluator: &mut Evaluator<'_>, _: Args<'_>) -> Answer {
    Ok(Value::from(DateTime::from_zoned(&evaluator.env.now)))
}

fn today(evaluator: &mut Evaluator<'_>, _: Args<'_>) -> Answer {
    Ok(Value::Date(DateTime::from_zoned(&evaluator.env.now).date()))
}

fn day_of_year(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::from(moment(&args, 0)?.date().day_of_year()))
}

fn day_of_week(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::from(moment(&args, 0)?.date().weekday().name()))
}

fn month_of_year(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    const MONTHS: [&str; 12] = [
        "January",
        "February",
        "March",
        "April",
        "May",
        "June",
        "July",
        "August",
        "September",
        "October",
        "November",
        "December",
    ];
    let month = moment(&args, 0)?.date().month();
    Ok(Value::from(MONTHS[usize::from(month) - 1]))
}

fn week_of_year(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::from(moment(&args, 0)?.date().week_of_year()))
}

fn last_day_of_month(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    Ok(Value::Date(moment(&args, 0)?.date().last_day_of_month()))
}

/// An interval that a timer repeats for ever, as text.
fn cycle(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    interval(args.value(0)).map(|interval| Value::from(format!("R/{interval}")))
}

fn cycle_of(_: &mut Evaluator<'_>, args: Args<'_>) -> Answer {
    let interval = interval(args.value(1))?;
    if args.is_absent(0) {
        return Ok(Value::from(format!("R/{interval}")));
    }
    Ok(Value::from(format!("R{}/{interval}", args.integer(0)?)))
}

fn interval(value: &Value) -> Answer<String> {
    match value {
        Value::DaysTimeDuration(duration) => Ok(DaysTimeDuration::to_string(duration)),
        Value::YearsMonthsDuration(duration) => Ok(duration.to_string()),
        other => Err(Refusal::Null(format!(
            "expected a duration, found a {}",
            other.type_name()
        ))),
    }
}
