//! Reading temporal text: the lexical forms of XML Schema, with FEEL's `@Region/City`.
//!
//! Every function answers `None` for text that isn't of the form or names no real date or time.

use super::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};
use crate::value::Value;

/// Longest text that can be any temporal value; what is longer is refused unread.
const TEXT_BYTES_MAX: usize = 128;

struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, c: char) -> Option<()> {
        self.rest = self.rest.strip_prefix(c)?;
        Some(())
    }

    /// Between `min` and `max` digits.
    fn digits(&mut self, min: usize, max: usize) -> Option<&'a str> {
        let length = self.rest.bytes().take_while(u8::is_ascii_digit).count();
        if length < min || length > max {
            return None;
        }
        let (digits, rest) = self.rest.split_at(length);
        self.rest = rest;
        Some(digits)
    }

    fn two(&mut self) -> Option<u8> {
        let (digits, rest) = self.rest.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        self.rest = rest;
        digits.parse().ok()
    }

    fn date(&mut self) -> Option<Date> {
        let negative = self.eat('-').is_some();
        let digits = self.digits(4, 9)?;
        // XML Schema: no leading zero beyond four digits.
        if digits.len() > 4 && digits.starts_with('0') {
            return None;
        }
        let year: i32 = digits.parse().ok()?;
        self.eat('-')?;
        let month = self.two()?;
        self.eat('-')?;
        let day = self.two()?;
        Date::new(if negative { -year } else { year }, month, day)
    }

    fn time(&mut self) -> Option<Time> {
        let hour = self.two()?;
        self.eat(':')?;
        let minute = self.two()?;
        let second = if self.eat(':').is_some() {
            self.two()?
        } else {
            0
        };
        let nanos = if self.eat('.').is_some() {
            self.fraction()?
        } else {
            0
        };
        let zone = self.zone()?;
        Time::new(hour, minute, second, nanos, zone)
    }

    /// A fraction of a second; digits beyond nanoseconds are cut off.
    fn fraction(&mut self) -> Option<u32> {
        let digits = self.digits(1, TEXT_BYTES_MAX)?;
        let kept = &digits[..digits.len().min(9)];
        let value: u32 = kept.parse().ok()?;
        Some(value * 10u32.pow(9 - kept.len() as u32))
    }

    fn zone(&mut self) -> Option<Zone> {
        match self.rest.chars().next() {
            None => Some(Zone::Local),
            Some('Z' | 'z') => {
                self.rest = &self.rest[1..];
                Some(Zone::Offset(0))
            }
            Some('@') => {
                let zone = Zone::region(&self.rest[1..])?;
                self.rest = "";
                Some(zone)
            }
            Some(sign @ ('+' | '-')) => {
                self.rest = &self.rest[1..];
                let seconds = self.offset()?;
                let zone = Zone::offset(if sign == '-' { -seconds } else { seconds })?;
                // Java's form repeats the region in brackets: +01:00[Europe/Berlin].
                match self
                    .rest
                    .strip_prefix('[')
                    .and_then(|rest| rest.strip_suffix(']'))
                {
                    Some(name) => {
                        self.rest = "";
                        Zone::region(name)
                    }
                    None => Some(zone),
                }
            }
            Some(_) => None,
        }
    }

    fn offset(&mut self) -> Option<i32> {
        let hours = i32::from(self.two()?);
        self.eat(':')?;
        let minutes = i32::from(self.two()?);
        let seconds = if self.eat(':').is_some() {
            i32::from(self.two()?)
        } else {
            0
        };
        (minutes < 60 && seconds < 60).then_some(hours * 3600 + minutes * 60 + seconds)
    }

    fn end(self) -> Option<()> {
        self.rest.is_empty().then_some(())
    }
}

fn reader(text: &str) -> Option<Reader<'_>> {
    (text.len() <= TEXT_BYTES_MAX).then_some(Reader { rest: text })
}

pub(crate) fn parse_date(text: &str) -> Option<Date> {
    let mut reader = reader(text)?;
    let date = reader.date()?;
    reader.end()?;
    Some(date)
}

pub(crate) fn parse_time(text: &str) -> Option<Time> {
    let mut reader = reader(text)?;
    let _ = reader.eat('T');
    let time = reader.time()?;
    reader.end()?;
    Some(time)
}

pub(crate) fn parse_date_time(text: &str) -> Option<DateTime> {
    let mut reader = reader(text)?;
    let date = reader.date()?;
    reader.eat('T')?;
    // 24:00:00 is the end of the day, that is midnight of the next.
    let end_of_day = reader.rest.strip_prefix("24:00:00");
    if let Some(rest) = end_of_day {
        reader.rest = rest;
        let zone = reader.zone()?;
        reader.end()?;
        return Some(date.add_days(1)?.at_midnight().with_zone(zone));
    }
    let time = reader.time()?;
    reader.end()?;
    Some(DateTime::new(date, time))
}

/// A duration of either type as a value.
pub(crate) fn parse_duration(text: &str) -> Option<Value> {
    let mut reader = reader(text)?;
    let sign: i128 = if reader.eat('-').is_some() { -1 } else { 1 };
    reader.eat('P')?;
    let mut fields = DurationFields::default();
    while !reader.rest.is_empty() && !reader.rest.starts_with('T') {
        fields.date_field(&mut reader)?;
    }
    if reader.eat('T').is_some() {
        let before = fields.count;
        while !reader.rest.is_empty() {
            fields.time_field(&mut reader)?;
        }
        if fields.count == before {
            return None;
        }
    }
    fields.finish(sign)
}

/// Fields in their order; `rank` makes sure that they only go down.
#[derive(Default)]
struct DurationFields {
    months: i128,
    nanos: i128,
    has_months: bool,
    has_time: bool,
    rank: u8,
    count: u8,
}

impl DurationFields {
    fn step(&mut self, rank: u8) -> Option<()> {
        if rank <= self.rank {
            return None;
        }
        self.rank = rank;
        self.count += 1;
        Some(())
    }

    fn date_field(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let amount: i128 = reader.digits(1, 19)?.parse().ok()?;
        let unit = reader.rest.chars().next()?;
        reader.eat(unit)?;
        const DAY: i128 = 86_400 * 1_000_000_000;
        let (rank, months, nanos) = match unit {
            'Y' => (1, amount * 12, 0),
            'M' => (2, amount, 0),
            'W' => (3, 0, amount * 7 * DAY),
            'D' => (4, 0, amount * DAY),
            _ => return None,
        };
        self.step(rank)?;
        self.has_months |= rank <= 2;
        self.has_time |= rank > 2;
        self.months += months;
        self.nanos += nanos;
        Some(())
    }

    fn time_field(&mut self, reader: &mut Reader<'_>) -> Option<()> {
        let amount: i128 = reader.digits(1, 19)?.parse().ok()?;
        let fraction = match reader.eat('.') {
            // XML Schema allows no digit after the point here.
            Some(()) if reader.rest.starts_with('S') => Some(0),
            Some(()) => Some(reader.fraction()?),
            None => None,
        };
        let unit = reader.rest.chars().next()?;
        reader.eat(unit)?;
        let (rank, seconds) = match unit {
            'H' => (5, 3600),
            'M' => (6, 60),
            'S' => (7, 1),
            _ => return None,
        };
        if fraction.is_some() && unit != 'S' {
            return None;
        }
        self.step(rank)?;
        self.has_time = true;
        self.nanos += amount * seconds * 1_000_000_000 + i128::from(fraction.unwrap_or(0));
        Some(())
    }

    fn finish(self, sign: i128) -> Option<Value> {
        match (self.has_months, self.has_time) {
            (true, false) => {
                let months = i64::try_from(sign * self.months).ok()?;
                Some(Value::YearsMonthsDuration(
                    YearsMonthsDuration::from_months(months),
                ))
            }
            (false, true) => {
                DaysTimeDuration::from_nanos(sign * self.nanos).map(Value::DaysTimeDuration)
            }
            // A mixture has no fixed length: FEEL knows no such value.
            _ => None,
        }
    }
}

/// The value of an `@"…"` literal.
pub(crate) fn parse_literal(text: &str) -> Option<Value> {
    if let Some(date) = parse_date(text) {
        return Some(Value::Date(date));
    }
    if let Some(date_time) = parse_date_time(text) {
        return Some(Value::from(date_time));
    }
    if let Some(time) = parse_time(text) {
        return Some(Value::from(time));
    }
    parse_duration(text)
}
