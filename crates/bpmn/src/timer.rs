//! Times as modellers write them: ISO-8601 durations, dates and repeating intervals, and cron.
//!
//! Owns the reading of these texts and the arithmetic of due dates. Deployment uses it for static
//! times, the engine for the results of expressions.
//!
//! Invariants: parsing takes time linear in the text; a due date is computed in bounded time and
//! without overflow (it stops at the end of the calendar, the year 9999). All calendars are UTC, so
//! that every replica computes the same due date.
//!
//! Deliberately absent: clocks. The caller says what time it is, in milliseconds since 1970.

mod cron;
mod duration;

use jiff::{Timestamp, ZonedDateTime};

use cron::Cron;
pub use duration::Duration;

/// A text that is not the time it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{text}' is no {expected}: {reason}")]
pub struct TimerError {
    /// What was given.
    pub text: String,
    /// What it should have been, with an example.
    pub expected: &'static str,
    /// What is wrong with it.
    pub reason: String,
}

/// An instant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Date {
    due_ms: i64,
}

/// A time that comes again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cycle {
    schedule: Schedule,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Schedule {
    Interval {
        repetitions: i32,
        start: Option<Date>,
        interval: Duration,
    },
    // Boxed because a cron schedule is ten times the size of an interval.
    Cron(Box<Cron>),
}

/// Longest text that is looked at; every valid one is far shorter.
const TEXT_BYTES_MAX: usize = 256;

impl Date {
    const EXPECTED: &'static str = "date-time with a zone or offset, such as 2026-01-31T12:00:00Z";

    /// Reads an ISO-8601 date-time with a zone or an offset: `2026-01-31T12:00:00Z`,
    /// `…+02:00`, `…+02:00[Europe/Berlin]`, `…[Europe/Berlin]` and FEEL's `…@Europe/Berlin`.
    ///
    /// # Errors
    /// If the text is something else.
    pub fn parse(text: &str) -> Result<Self, TimerError> {
        let text = text.trim();
        let error = |reason| TimerError::new(text, Self::EXPECTED, reason);
        if text.len() > TEXT_BYTES_MAX {
            return Err(error("it is too long".to_owned()));
        }
        let bracketed = text
            .split_once('@')
            .map(|(time, zone)| format!("{time}[{zone}]"));
        let iso = bracketed.as_deref().unwrap_or(text);
        let parsed = if iso.contains('[') {
            iso.parse::<ZonedDateTime>().map(|zoned| zoned.timestamp())
        } else {
            iso.parse::<Timestamp>()
        };
        match parsed {
            Ok(timestamp) => Ok(Date {
                due_ms: timestamp.as_millisecond(),
            }),
            Err(cause) => Err(error(cause.to_string())),
        }
    }

    /// The instant, in milliseconds since 1970.
    #[must_use]
    pub fn due_ms(self) -> i64 {
        self.due_ms
    }
}

impl Cycle {
    /// What [`Cycle::repetitions`] says of a cycle that never ends.
    pub const INFINITE: i32 = -1;

    const EXPECTED: &'static str =
        "repeating interval, such as R3/PT10S, nor a cron expression of six fields";

    /// Reads `R/INTERVAL`, `Rn/INTERVAL`, `Rn/START/INTERVAL`, a cron expression of six fields
    /// (second, minute, hour, day of month, month, day of week), or a cron macro such as `@daily`.
    ///
    /// # Errors
    /// If the text is something else, or an endless cycle does not move on in time.
    pub fn parse(text: &str) -> Result<Self, TimerError> {
        let text = text.trim();
        let error = |reason| TimerError::new(text, Self::EXPECTED, reason);
        if text.len() > TEXT_BYTES_MAX {
            return Err(error("it is too long".to_owned()));
        }
        if let Some(rest) = text.strip_prefix('R') {
            return Self::parse_interval(rest).map_err(error);
        }
        let cron = Cron::parse(text).map_err(error)?;
        Ok(Cycle {
            schedule: Schedule::Cron(Box::new(cron)),
        })
    }

    fn parse_interval(text: &str) -> Result<Self, String> {
        let Some((count, rest)) = text.split_once('/') else {
            return Err("there is no interval behind the repetitions".to_owned());
        };
        let repetitions = match count {
            "" => Self::INFINITE,
            digits => digits
                .parse::<i32>()
                .ok()
                .filter(|&number| number >= Self::INFINITE)
                .ok_or_else(|| format!("'{digits}' is no number of repetitions"))?,
        };
        let (start, interval) = match rest.rsplit_once('/') {
            Some((start, interval)) => (
                Some(Date::parse(start).map_err(|cause| cause.to_string())?),
                interval,
            ),
            None => (None, rest),
        };
        let interval = Duration::parse(interval).map_err(|cause| cause.to_string())?;
        if repetitions == Self::INFINITE && !interval.is_positive() {
            // It would be due again at once, forever, and keep the partition from all other work.
            return Err("an endless cycle needs an interval longer than zero".to_owned());
        }
        Ok(Cycle {
            schedule: Schedule::Interval {
                repetitions,
                start,
                interval,
            },
        })
    }

    /// How often it comes in all; [`Cycle::INFINITE`] if it never ends.
    #[must_use]
    pub fn repetitions(&self) -> i32 {
        match self.schedule {
            Schedule::Interval { repetitions, .. } => repetitions,
            Schedule::Cron(_) => Self::INFINITE,
        }
    }

    /// When it comes first, seen from now; `None` if it never does.
    #[must_use]
    pub fn first_due(&self, now_ms: i64) -> Option<i64> {
        match &self.schedule {
            Schedule::Interval { repetitions: 0, .. } => None,
            // A start in the past must not be caught up with, one interval after the other.
            Schedule::Interval {
                start: Some(start), ..
            } => Some(start.due_ms().max(now_ms)),
            Schedule::Interval { interval, .. } => Some(interval.due_after(now_ms)),
            Schedule::Cron(cron) => cron.next_after(now_ms),
        }
    }

    /// When it comes after it was due at `previous_due_ms`; `None` if it never does. The caller
    /// counts the repetitions. Intervals do not drift: they count from when the timer was due, not
    /// from now.
    #[must_use]
    pub fn next_due(&self, previous_due_ms: i64, now_ms: i64) -> Option<i64> {
        match &self.schedule {
            Schedule::Interval { interval, .. } => Some(interval.due_after(previous_due_ms)),
            Schedule::Cron(cron) => cron.next_after(now_ms.max(previous_due_ms)),
        }
    }
}

impl TimerError {
    fn new(text: &str, expected: &'static str, reason: String) -> Self {
        let text = text.chars().take(TEXT_BYTES_MAX).collect();
        TimerError {
            text,
            expected,
            reason,
        }
    }
}

#[cfg(test)]
mod tests;
