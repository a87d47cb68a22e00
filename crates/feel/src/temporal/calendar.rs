//! Dates, times of day and date-times on the proleptic Gregorian calendar.

use super::{DaysTimeDuration, YearsMonthsDuration, Zone};

/// The years that FEEL's dates cover (XML Schema in Java's bounds).
const YEAR_MAX: i32 = 999_999_999;
const DAY_SECONDS: i64 = 86_400;
const NANOS: i128 = 1_000_000_000;

/// A calendar date.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Date {
    year: i32,
    month: u8,
    day: u8,
}

/// Monday is 1, Sunday is 7.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Weekday(pub(crate) u8);

impl Weekday {
    pub(crate) fn name(self) -> &'static str {
        const NAMES: [&str; 7] = [
            "Monday",
            "Tuesday",
            "Wednesday",
            "Thursday",
            "Friday",
            "Saturday",
            "Sunday",
        ];
        NAMES[usize::from(self.0.clamp(1, 7)) - 1]
    }
}

impl Date {
    pub fn new(year: i32, month: u8, day: u8) -> Option<Date> {
        let valid = (-YEAR_MAX..=YEAR_MAX).contains(&year)
            && (1..=12).contains(&month)
            && (1..=days_in_month(year, month)).contains(&day);
        valid.then_some(Date { year, month, day })
    }

    pub fn year(self) -> i32 {
        self.year
    }

    pub fn month(self) -> u8 {
        self.month
    }

    pub fn day(self) -> u8 {
        self.day
    }

    /// Days since 1970-01-01.
    pub fn epoch_day(self) -> i64 {
        // Years begin in March, so that the leap day is the last of its year.
        let year = i64::from(self.year) - i64::from(self.month <= 2);
        let era = year.div_euclid(400);
        let year_of_era = year.rem_euclid(400);
        let month = (i64::from(self.month) + 9) % 12;
        let day_of_year = (153 * month + 2) / 5 + i64::from(self.day) - 1;
        let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
        era * 146_097 + day_of_era - 719_468
    }

    pub fn from_epoch_day(days: i64) -> Option<Date> {
        let shifted = days.checked_add(719_468)?;
        let era = shifted.div_euclid(146_097);
        let day_of_era = shifted.rem_euclid(146_097);
        let year_of_era =
            (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
        let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
        let shifted_month = (5 * day_of_year + 2) / 153;
        let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
        let month = if shifted_month < 10 {
            shifted_month + 3
        } else {
            shifted_month - 9
        };
        let year = year_of_era + era * 400 + i64::from(month <= 2);
        Date::new(
            i32::try_from(year).ok()?,
            u8::try_from(month).ok()?,
            u8::try_from(day).ok()?,
        )
    }

    pub(crate) fn weekday(self) -> Weekday {
        // 1970-01-01 was a Thursday.
        Weekday(((self.epoch_day() + 3).rem_euclid(7) + 1) as u8)
    }

    pub(crate) fn day_of_year(self) -> i64 {
        let first = Date {
            month: 1,
            day: 1,
            ..self
        };
        self.epoch_day() - first.epoch_day() + 1
    }

    /// ISO 8601 week number.
    pub(crate) fn week_of_year(self) -> i64 {
        // The week belongs to the year of its Thursday.
        let thursday = self.epoch_day() - i64::from(self.weekday().0) + 4;
        Date::from_epoch_day(thursday).map_or(1, |date| (date.day_of_year() - 1) / 7 + 1)
    }

    pub(crate) fn last_day_of_month(self) -> Date {
        Date {
            day: days_in_month(self.year, self.month),
            ..self
        }
    }

    /// Adds months; the day is cut to the length of the month.
    pub fn add_months(self, months: i64) -> Option<Date> {
        let total = i64::from(self.year) * 12 + i64::from(self.month) - 1;
        let total = total.checked_add(months)?;
        let year = i32::try_from(total.div_euclid(12)).ok()?;
        let month = total.rem_euclid(12) as u8 + 1;
        Date::new(year, month, self.day.min(days_in_month(year, month)))
    }

    pub fn add_days(self, days: i64) -> Option<Date> {
        Date::from_epoch_day(self.epoch_day().checked_add(days)?)
    }

    pub fn at_midnight(self) -> DateTime {
        DateTime {
            date: self,
            time: Time::MIDNIGHT,
        }
    }
}

fn days_in_month(year: i32, month: u8) -> u8 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// A time of day with its zone.
#[derive(Clone, PartialEq, Debug)]
pub struct Time {
    hour: u8,
    minute: u8,
    second: u8,
    nanosecond: u32,
    zone: Zone,
}

impl Time {
    pub const MIDNIGHT: Time = Time {
        hour: 0,
        minute: 0,
        second: 0,
        nanosecond: 0,
        zone: Zone::Local,
    };

    pub fn new(hour: u8, minute: u8, second: u8, nanosecond: u32, zone: Zone) -> Option<Time> {
        let valid = hour < 24 && minute < 60 && second < 60 && nanosecond < 1_000_000_000;
        valid.then_some(Time {
            hour,
            minute,
            second,
            nanosecond,
            zone,
        })
    }

    pub fn hour(&self) -> u8 {
        self.hour
    }

    pub fn minute(&self) -> u8 {
        self.minute
    }

    pub fn second(&self) -> u8 {
        self.second
    }

    pub fn nanosecond(&self) -> u32 {
        self.nanosecond
    }

    pub fn zone(&self) -> &Zone {
        &self.zone
    }

    pub fn with_zone(self, zone: Zone) -> Time {
        Time { zone, ..self }
    }

    /// Nanoseconds since midnight, as read on the clock.
    pub(crate) fn nano_of_day(&self) -> i128 {
        let seconds =
            i128::from(self.hour) * 3600 + i128::from(self.minute) * 60 + i128::from(self.second);
        seconds * NANOS + i128::from(self.nanosecond)
    }

    /// Seconds east of UTC. A region's offset depends on the day; a bare time takes the epoch's.
    pub(crate) fn offset_seconds(&self) -> Option<i32> {
        let local = (self.nano_of_day() / NANOS) as i64;
        self.zone.offset_for_local(local)
    }

    /// Adds nanoseconds, going round at midnight.
    pub(crate) fn add_nanos(&self, nanos: i128) -> Time {
        let day = i128::from(DAY_SECONDS) * NANOS;
        let sum = (self.nano_of_day() + nanos.rem_euclid(day)).rem_euclid(day);
        Time::from_nano_of_day(sum, self.zone.clone())
    }

    fn from_nano_of_day(nanos: i128, zone: Zone) -> Time {
        let seconds = (nanos / NANOS) as i64;
        Time {
            hour: (seconds / 3600) as u8,
            minute: (seconds / 60 % 60) as u8,
            second: (seconds % 60) as u8,
            nanosecond: (nanos % NANOS) as u32,
            zone,
        }
    }
}

/// A date with a time of day.
#[derive(Clone, PartialEq, Debug)]
pub struct DateTime {
    date: Date,
    time: Time,
}

impl DateTime {
    pub fn new(date: Date, time: Time) -> DateTime {
        DateTime { date, time }
    }

    /// The reading that an instant has in its zone.
    pub fn from_zoned(zoned: &jiff::ZonedDateTime) -> DateTime {
        let date = Date {
            year: i32::from(zoned.year()),
            month: zoned.month().unsigned_abs(),
            day: zoned.day().unsigned_abs(),
        };
        let zone = match zoned.time_zone().iana_name() {
            Some("UTC") | None => Zone::Offset(zoned.offset().seconds()),
            Some(_) => Zone::Region(zoned.time_zone().clone()),
        };
        let time = Time {
            hour: zoned.hour().unsigned_abs(),
            minute: zoned.minute().unsigned_abs(),
            second: zoned.second().unsigned_abs(),
            nanosecond: zoned.subsec_nanosecond().unsigned_abs(),
            zone,
        };
        DateTime { date, time }
    }

    pub fn date(&self) -> Date {
        self.date
    }

    pub fn time(&self) -> &Time {
        &self.time
    }

    pub fn zone(&self) -> &Zone {
        &self.time.zone
    }

    /// Nanoseconds since the epoch as read on the clock, the zone left aside.
    pub(crate) fn local_nanos(&self) -> i128 {
        i128::from(self.date.epoch_day()) * i128::from(DAY_SECONDS) * NANOS
            + self.time.nano_of_day()
    }

    pub(crate) fn offset_seconds(&self) -> Option<i32> {
        self.time
            .zone
            .offset_for_local(self.local_nanos().div_euclid(NANOS) as i64)
    }

    /// Nanoseconds since the epoch in UTC; `None` for a local date-time.
    pub fn epoch_nanos(&self) -> Option<i128> {
        let offset = self.offset_seconds()?;
        Some(self.local_nanos() - i128::from(offset) * NANOS)
    }

    /// Milliseconds since the epoch, a local date-time being read in `zone`.
    pub fn epoch_millis_in(&self, zone: &Zone) -> Option<i64> {
        let nanos = match self.epoch_nanos() {
            Some(nanos) => nanos,
            None => self.clone().with_zone(zone.clone()).epoch_nanos()?,
        };
        i64::try_from(nanos.div_euclid(1_000_000)).ok()
    }

    /// The same instant as another zone reads it; a local date-time just gets the zone.
    pub fn in_zone(&self, zone: Zone) -> Option<DateTime> {
        let Some(instant) = self.epoch_nanos() else {
            return Some(self.clone().with_zone(zone));
        };
        let seconds = i64::try_from(instant.div_euclid(NANOS)).ok()?;
        let offset = zone.offset_at(seconds)?;
        DateTime::from_local_nanos(instant + i128::from(offset) * NANOS, zone)
    }

    pub fn with_zone(self, zone: Zone) -> DateTime {
        DateTime {
            time: self.time.with_zone(zone),
            ..self
        }
    }

    pub(crate) fn add_months(&self, duration: YearsMonthsDuration) -> Option<DateTime> {
        let date = self.date.add_months(duration.months())?;
        Some(DateTime {
            date,
            time: self.time.clone(),
        })
    }

    /// Adds on the time line: in a region with summer time the clock may show something else.
    pub(crate) fn add_duration(&self, duration: DaysTimeDuration) -> Option<DateTime> {
        match &self.time.zone {
            Zone::Region(_) => {
                let instant = self.epoch_nanos()?.checked_add(duration.total_nanos())?;
                let seconds = i64::try_from(instant.div_euclid(NANOS)).ok()?;
                let offset = self.time.zone.offset_at(seconds)?;
                let local = instant + i128::from(offset) * NANOS;
                DateTime::from_local_nanos(local, self.time.zone.clone())
            }
            zone => {
                let local = self.local_nanos().checked_add(duration.total_nanos())?;
                DateTime::from_local_nanos(local, zone.clone())
            }
        }
    }

    fn from_local_nanos(local: i128, zone: Zone) -> Option<DateTime> {
        let day = i128::from(DAY_SECONDS) * NANOS;
        let date = Date::from_epoch_day(i64::try_from(local.div_euclid(day)).ok()?)?;
        Some(DateTime {
            date,
            time: Time::from_nano_of_day(local.rem_euclid(day), zone),
        })
    }
}
