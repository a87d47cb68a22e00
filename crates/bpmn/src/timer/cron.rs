//! Cron schedules in the dialect that Zeebe understands, which is Spring's: six fields (second,
//! minute, hour, day of month, month, day of week), all of which must match.
//!
//! Beyond lists, ranges and steps: `L`, `L-3`, `15W` and `LW` as day of month, `5L`, `FRIL`, `5#2`
//! and `MON#1` as day of week, `?` for any day, names of months and weekdays, macros such as
//! `@daily`.
//!
//! A crate was not taken for this: those at hand combine the two day fields by "or", leave seconds
//! out, or need another library of dates.

use jiff::civil::{Date, Weekday};
use jiff::{Timestamp, tz::TimeZone};

/// A cron schedule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cron {
    seconds: u64,
    minutes: u64,
    hours: u64,
    days: Vec<DayOfMonth>,
    months: u64,
    weekdays: Vec<DayOfWeek>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfMonth {
    /// Bit n stands for day n.
    Bits(u64),
    /// So many days before the last one.
    Last(i8),
    LastWorkday,
    WorkdayNearest(i8),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum DayOfWeek {
    /// Bit n stands for weekday n; Monday is 1, Sunday 7.
    Bits(u64),
    Last(i8),
    Nth(i8, i8),
}

/// Bounds and names of a field.
struct Field {
    name: &'static str,
    min: u8,
    max: u8,
    names: &'static [&'static str],
}

const MONTH_NAMES: [&str; 12] = [
    "JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC",
];
const WEEKDAY_NAMES: [&str; 7] = ["MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN"];

const SECOND: Field = Field {
    name: "second",
    min: 0,
    max: 59,
    names: &[],
};
const MINUTE: Field = Field {
    name: "minute",
    min: 0,
    max: 59,
    names: &[],
};
const HOUR: Field = Field {
    name: "hour",
    min: 0,
    max: 23,
    names: &[],
};
const DAY: Field = Field {
    name: "day of month",
    min: 1,
    max: 31,
    names: &[],
};
const MONTH: Field = Field {
    name: "month",
    min: 1,
    max: 12,
    names: &MONTH_NAMES,
};
const WEEKDAY: Field = Field {
    name: "day of week",
    min: 0,
    max: 7,
    names: &WEEKDAY_NAMES,
};

/// The 29th of February falls on a given weekday at least once in this many months, 40 years, even
/// over the turn of a century without a leap day.
const MONTHS_SEARCHED_MAX: u32 = 41 * 12;

impl Cron {
    /// Reads six fields, or a macro.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let text = macro_fields(text).unwrap_or(text).to_ascii_uppercase();
        let fields: Vec<&str> = text.split_ascii_whitespace().collect();
        let [second, minute, hour, day, month, weekday] = fields[..] else {
            return Err(format!("it has {} fields instead of six", fields.len()));
        };
        Ok(Cron {
            seconds: bits(second, &SECOND)?,
            minutes: bits(minute, &MINUTE)?,
            hours: bits(hour, &HOUR)?,
            days: days_of_month(day)?,
            months: bits(month, &MONTH)?,
            weekdays: days_of_week(weekday)?,
        })
    }

    /// The first matching second after `after_ms`.
    pub(super) fn next_after(&self, after_ms: i64) -> Option<i64> {
        let after = Timestamp::from_millisecond(after_ms)
            .ok()?
            .to_zoned_datetime(TimeZone::UTC);
        let (today, time) = (after.date(), after.time());
        let since_midnight = i32::from(time.hour()) * 3600
            + i32::from(time.minute()) * 60
            + i32::from(time.second());
        if self.matches_date(today)
            && let Some(second) = self.next_second_of_day(since_midnight + 1)
        {
            return to_millis(today, second);
        }
        let first_second = self.next_second_of_day(0)?;
        to_millis(self.next_date(today)?, first_second)
    }

    fn next_date(&self, after: Date) -> Option<Date> {
        let (mut year, mut month, mut day) = (after.year(), after.month(), after.day() + 1);
        for _ in 0..MONTHS_SEARCHED_MAX {
            if has(self.months, month) {
                let first = Date::new(year, month, 1).ok()?;
                let found = (day..=first.days_in_month())
                    .filter_map(|day| Date::new(year, month, day).ok())
                    .find(|&date| self.matches_day(date));
                if found.is_some() {
                    return found;
                }
            }
            day = 1;
            (year, month) = if month == 12 {
                (year.checked_add(1)?, 1)
            } else {
                (year, month + 1)
            };
        }
        None
    }

    fn matches_date(&self, date: Date) -> bool {
        has(self.months, date.month()) && self.matches_day(date)
    }

    fn matches_day(&self, date: Date) -> bool {
        self.days.iter().any(|day| day.matches(date))
            && self.weekdays.iter().any(|weekday| weekday.matches(date))
    }

    /// The first matching second of a day that is not before `from`.
    fn next_second_of_day(&self, from: i32) -> Option<i32> {
        let (from_hour, from_minute, from_second) = (from / 3600, from / 60 % 60, from % 60);
        for hour in (from_hour..24).filter(|&hour| has(self.hours, hour)) {
            let first_minute = if hour == from_hour { from_minute } else { 0 };
            for minute in (first_minute..60).filter(|&minute| has(self.minutes, minute)) {
                let same = hour == from_hour && minute == from_minute;
                let first_second = if same { from_second } else { 0 };
                if let Some(second) = (first_second..60).find(|&second| has(self.seconds, second)) {
                    return Some(hour * 3600 + minute * 60 + second);
                }
            }
        }
        None
    }
}

impl DayOfMonth {
    fn matches(self, date: Date) -> bool {
        match self {
            DayOfMonth::Bits(days) => has(days, date.day()),
            DayOfMonth::Last(before) => date.day() == date.days_in_month() - before,
            DayOfMonth::LastWorkday => workday_near(date, date.days_in_month()) == Some(date.day()),
            DayOfMonth::WorkdayNearest(day) => workday_near(date, day) == Some(date.day()),
        }
    }
}

impl DayOfWeek {
    fn matches(self, date: Date) -> bool {
        let weekday = date.weekday().to_monday_one_offset();
        match self {
            DayOfWeek::Bits(weekdays) => has(weekdays, weekday),
            DayOfWeek::Last(last) => weekday == last && date.day() + 7 > date.days_in_month(),
            DayOfWeek::Nth(wanted, nth) => weekday == wanted && (date.day() - 1) / 7 + 1 == nth,
        }
    }
}

/// The working day nearest to a day, in the same month.
fn workday_near(month: Date, day: i8) -> Option<i8> {
    let last = month.days_in_month();
    let date = Date::new(month.year(), month.month(), day).ok()?;
    Some(match date.weekday() {
        Weekday::Saturday if day == 1 => 3,
        Weekday::Saturday => day - 1,
        Weekday::Sunday if day == last => day - 2,
        Weekday::Sunday => day + 1,
        _ => day,
    })
}

fn has(bits: u64, number: impl Into<i32>) -> bool {
    let number: i32 = number.into();
    bits >> number & 1 == 1
}

fn to_millis(date: Date, second_of_day: i32) -> Option<i64> {
    let midnight = date.to_zoned_datetime(TimeZone::UTC).ok()?.timestamp();
    Some(midnight.as_millisecond() + i64::from(second_of_day) * 1000)
}

fn macro_fields(text: &str) -> Option<&'static str> {
    Some(match text.to_ascii_lowercase().as_str() {
        "@yearly" | "@annually" => "0 0 0 1 1 *",
        "@monthly" => "0 0 0 1 * *",
        "@weekly" => "0 0 0 * * 0",
        "@daily" | "@midnight" => "0 0 0 * * *",
        "@hourly" => "0 0 * * * *",
        _ => return None,
    })
}

fn days_of_month(text: &str) -> Result<Vec<DayOfMonth>, String> {
    text.split(',').map(day_of_month).collect()
}

fn day_of_month(text: &str) -> Result<DayOfMonth, String> {
    if text == "L" {
        return Ok(DayOfMonth::Last(0));
    }
    if text == "LW" {
        return Ok(DayOfMonth::LastWorkday);
    }
    if let Some(offset) = text.strip_prefix("L-") {
        return Ok(DayOfMonth::Last(small(offset, 0, 30, DAY.name)?));
    }
    if let Some(day) = text.strip_suffix('W') {
        return Ok(DayOfMonth::WorkdayNearest(small(day, 1, 31, DAY.name)?));
    }
    Ok(DayOfMonth::Bits(bits(
        if text == "?" { "*" } else { text },
        &DAY,
    )?))
}

fn days_of_week(text: &str) -> Result<Vec<DayOfWeek>, String> {
    text.split(',').map(day_of_week).collect()
}

fn day_of_week(text: &str) -> Result<DayOfWeek, String> {
    if let Some(weekday) = text.strip_suffix('L') {
        return Ok(DayOfWeek::Last(weekday_number(weekday)?));
    }
    if let Some((weekday, nth)) = text.split_once('#') {
        return Ok(DayOfWeek::Nth(
            weekday_number(weekday)?,
            small(nth, 1, 5, WEEKDAY.name)?,
        ));
    }
    let bits = bits(if text == "?" { "*" } else { text }, &WEEKDAY)?;
    // Sunday may be written as 0 or as 7.
    Ok(DayOfWeek::Bits(if has(bits, 0) {
        bits | 1 << 7
    } else {
        bits
    }))
}

fn weekday_number(text: &str) -> Result<i8, String> {
    let number = value(text, &WEEKDAY)?;
    Ok(if number == 0 { 7 } else { number.cast_signed() })
}

fn small(text: &str, min: i8, max: i8, name: &str) -> Result<i8, String> {
    text.parse::<i8>()
        .ok()
        .filter(|number| (min..=max).contains(number))
        .ok_or_else(|| format!("'{text}' is not between {min} and {max} in the field {name}"))
}

/// A list of values, ranges and steps, one bit for each value.
fn bits(text: &str, field: &Field) -> Result<u64, String> {
    let mut bits = 0;
    for item in text.split(',') {
        bits |= item_bits(item, field)?;
    }
    Ok(bits)
}

fn item_bits(item: &str, field: &Field) -> Result<u64, String> {
    let (range, step) = match item.split_once('/') {
        Some((range, step)) => (range, Some(step)),
        None => (item, None),
    };
    let (mut first, mut last) = match range.split_once('-') {
        Some((first, last)) => (value(first, field)?, value(last, field)?),
        None if range == "*" => (field.min, field.max),
        None => (value(range, field)?, value(range, field)?),
    };
    if field.name == WEEKDAY.name && first == 7 && last < 7 {
        first = 0;
    }
    if first > last {
        return Err(format!(
            "the range '{range}' of the field {} ends before it begins",
            field.name
        ));
    }
    let step = match step {
        None => 1,
        Some(step) => step
            .parse::<u8>()
            .ok()
            .filter(|&step| step > 0)
            .ok_or_else(|| format!("'{step}' is no step in the field {}", field.name))?,
    };
    if item.contains('/') && !range.contains('-') {
        last = field.max;
    }
    Ok((first..=last)
        .step_by(step.into())
        .fold(0, |bits, value| bits | 1 << value))
}

fn value(text: &str, field: &Field) -> Result<u8, String> {
    if let Some(index) = (1..).zip(field.names).find(|(_, name)| **name == text) {
        return Ok(index.0);
    }
    text.parse::<u8>()
        .ok()
        .filter(|number| (field.min..=field.max).contains(number))
        .ok_or_else(|| {
            format!(
                "'{text}' is not between {} and {} in the field {}",
                field.min, field.max, field.name
            )
        })
}
