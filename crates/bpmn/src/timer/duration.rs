//! ISO-8601 durations, with calendar parts.

use jiff::{SignedDuration, Span, Timestamp, tz::TimeZone};

use super::{TEXT_BYTES_MAX, TimerError};

/// A length of time. Years and months are as long as the calendar says where they begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Duration {
    months: i32,
    days: i32,
    millis: i64,
}

const MILLIS_PER_SECOND: i64 = 1000;
const MILLIS_PER_MINUTE: i64 = 60 * MILLIS_PER_SECOND;
const MILLIS_PER_HOUR: i64 = 60 * MILLIS_PER_MINUTE;

impl Duration {
    const EXPECTED: &'static str = "duration, such as PT15M or P1DT12H";

    /// Reads `PnYnMnWnDTnHnMnS`, where each part may be left out or negative, the seconds may have
    /// a fraction, and a sign may stand before the whole.
    ///
    /// # Errors
    /// If the text is something else, or too long a time to count with.
    pub fn parse(text: &str) -> Result<Self, TimerError> {
        let text = text.trim();
        if text.len() > TEXT_BYTES_MAX {
            return Err(TimerError::new(
                text,
                Self::EXPECTED,
                "it is too long".to_owned(),
            ));
        }
        parse_parts(text).map_err(|reason| TimerError::new(text, Self::EXPECTED, reason.to_owned()))
    }

    /// The instant so long after `from_ms`, in milliseconds since 1970.
    #[must_use]
    pub fn due_after(&self, from_ms: i64) -> i64 {
        if self.months == 0 && self.days == 0 {
            return from_ms.saturating_add(self.millis);
        }
        let end_ms = Timestamp::MAX.as_millisecond();
        self.calendar_due_after(from_ms)
            .unwrap_or(if self.is_positive() { end_ms } else { from_ms })
    }

    fn calendar_due_after(&self, from_ms: i64) -> Option<i64> {
        let from = Timestamp::from_millisecond(from_ms)
            .ok()?
            .to_zoned_datetime(TimeZone::UTC);
        let months = Span::new().try_months(self.months).ok()?;
        let days = Span::new().try_days(self.days).ok()?;
        let date = from.checked_add(months).ok()?.checked_add(days).ok()?;
        let due = date
            .checked_add(SignedDuration::from_millis(self.millis))
            .ok()?;
        Some(due.timestamp().as_millisecond())
    }

    /// Whether it leads into the future, wherever it begins.
    pub(super) fn is_positive(&self) -> bool {
        self.due_in_average_months() > 0
    }

    /// The length if every month had 30 days; good enough for its sign unless parts of opposite
    /// sign nearly cancel out.
    fn due_in_average_months(&self) -> i64 {
        let days = i64::from(self.months) * 30 + i64::from(self.days);
        days.saturating_mul(24 * MILLIS_PER_HOUR)
            .saturating_add(self.millis)
    }
}

fn parse_parts(text: &str) -> Result<Duration, &'static str> {
    let (negative, text) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    let Some(mut rest) = text.strip_prefix(['P', 'p']) else {
        return Err("it does not begin with P");
    };
    let mut duration = Duration {
        months: 0,
        days: 0,
        millis: 0,
    };
    let mut parts = Parts {
        in_time: false,
        last_rank: 0,
    };
    let mut any = false;
    while !rest.is_empty() {
        if let Some(time) = rest.strip_prefix(['T', 't']) {
            if parts.in_time || time.is_empty() {
                return Err("T stands once, before hours, minutes or seconds");
            }
            parts.in_time = true;
            rest = time;
            continue;
        }
        let length = rest
            .find(|character: char| character.is_ascii_alphabetic())
            .ok_or("a number has no unit")?;
        let (number, unit) = (
            &rest[..length],
            rest.as_bytes()[length].to_ascii_uppercase(),
        );
        parts.add(number, unit, &mut duration)?;
        rest = &rest[length + 1..];
        any = true;
    }
    if !any {
        return Err("it has no parts");
    }
    if negative {
        // The parts are bounded far from the smallest integer, so this cannot overflow.
        duration.months = -duration.months;
        duration.days = -duration.days;
        duration.millis = -duration.millis;
    }
    Ok(duration)
}

/// Where the reader stands among the parts, which have a fixed order.
struct Parts {
    in_time: bool,
    last_rank: u8,
}

impl Parts {
    fn add(&mut self, number: &str, unit: u8, duration: &mut Duration) -> Result<(), &'static str> {
        let rank = match (self.in_time, unit) {
            (false, b'Y') => 1,
            (false, b'M') => 2,
            (false, b'W') => 3,
            (false, b'D') => 4,
            (true, b'H') => 5,
            (true, b'M') => 6,
            (true, b'S') => 7,
            _ => return Err("it has an unknown unit"),
        };
        if rank <= self.last_rank {
            return Err(
                "its parts are not in the order years, months, weeks, days, hours, minutes, seconds",
            );
        }
        self.last_rank = rank;
        match rank {
            1 => duration.months = whole(number, 12)?,
            2 => duration.months = sum(duration.months, whole(number, 1)?)?,
            3 => duration.days = whole(number, 7)?,
            4 => duration.days = sum(duration.days, whole(number, 1)?)?,
            5 => duration.millis += long(number, MILLIS_PER_HOUR)?,
            6 => duration.millis += long(number, MILLIS_PER_MINUTE)?,
            _ => duration.millis += seconds(number)?,
        }
        Ok(())
    }
}

/// Months and days beyond this lie outside of the calendar.
const CALENDAR_PARTS_MAX: i64 = 10_000_000;
/// Three parts of this size can be added without overflow.
const MILLIS_MAX: i64 = i64::MAX / 4;

fn integer(number: &str) -> Result<i64, &'static str> {
    let digits = number.strip_prefix(['-', '+']).unwrap_or(number);
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return Err("a part is no whole number");
    }
    number.parse().map_err(|_| "a part is too large")
}

fn whole(number: &str, factor: i64) -> Result<i32, &'static str> {
    let value = integer(number)?
        .checked_mul(factor)
        .ok_or("a part is too large")?;
    bounded(value)
}

fn sum(left: i32, right: i32) -> Result<i32, &'static str> {
    bounded(i64::from(left) + i64::from(right))
}

fn bounded(value: i64) -> Result<i32, &'static str> {
    if value.abs() > CALENDAR_PARTS_MAX {
        return Err("a part is too large");
    }
    i32::try_from(value).map_err(|_| "a part is too large")
}

fn long(number: &str, factor: i64) -> Result<i64, &'static str> {
    integer(number)?
        .checked_mul(factor)
        .filter(|value| value.unsigned_abs() <= MILLIS_MAX.unsigned_abs())
        .ok_or("a part is too large")
}

/// Seconds with up to nine digits of fraction, of which the milliseconds count.
fn seconds(number: &str) -> Result<i64, &'static str> {
    let Some((whole, fraction)) = number.split_once(['.', ',']) else {
        return long(number, MILLIS_PER_SECOND);
    };
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return Err("the fraction of the seconds is not one to nine digits");
    }
    let whole_millis = long(whole, MILLIS_PER_SECOND)?;
    let millis: i64 = format!("{fraction:0<3}")[..3]
        .parse()
        .map_err(|_| "a part is too large")?;
    Ok(if whole.starts_with('-') {
        whole_millis - millis
    } else {
        whole_millis + millis
    })
}
