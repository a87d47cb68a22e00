//! Dates, times, durations and their zones.
//!
//! Own civil types, because FEEL's years reach ±999 999 999 and its times keep the zone as written; `jiff` answers
//! what needs the time zone database. Invariants: fields are in range (checked by every constructor); a
//! duration's nanoseconds are 0..1e9 and count upward from its seconds, so that ordering by field is right.

mod calendar;
mod duration;
mod parse;
mod text;
mod zone;

pub use calendar::{Date, DateTime, Time};
pub use duration::{DaysTimeDuration, YearsMonthsDuration};
pub use zone::Zone;

pub(crate) use parse::{parse_date, parse_date_time, parse_duration, parse_literal, parse_time};
