//! The two durations of FEEL: days and time, years and months.

const NANOS: i128 = 1_000_000_000;

/// A length of time in nanoseconds; a day is 24 hours.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct DaysTimeDuration {
    seconds: i64,
    nanos: u32,
}

impl DaysTimeDuration {
    pub const ZERO: DaysTimeDuration = DaysTimeDuration {
        seconds: 0,
        nanos: 0,
    };

    pub fn from_nanos(nanos: i128) -> Option<DaysTimeDuration> {
        let seconds = i64::try_from(nanos.div_euclid(NANOS)).ok()?;
        Some(DaysTimeDuration {
            seconds,
            nanos: nanos.rem_euclid(NANOS) as u32,
        })
    }

    pub fn from_seconds(seconds: i64) -> DaysTimeDuration {
        DaysTimeDuration { seconds, nanos: 0 }
    }

    pub fn total_nanos(self) -> i128 {
        i128::from(self.seconds) * NANOS + i128::from(self.nanos)
    }

    /// Whole seconds, cut towards zero.
    pub fn total_seconds(self) -> i64 {
        (self.total_nanos() / NANOS) as i64
    }

    /// Milliseconds, rounded down.
    pub fn total_millis(self) -> Option<i64> {
        i64::try_from(self.total_nanos().div_euclid(1_000_000)).ok()
    }

    pub fn negate(self) -> Option<DaysTimeDuration> {
        DaysTimeDuration::from_nanos(-self.total_nanos())
    }

    pub fn checked_add(self, other: DaysTimeDuration) -> Option<DaysTimeDuration> {
        DaysTimeDuration::from_nanos(self.total_nanos().checked_add(other.total_nanos())?)
    }
}

/// A number of months.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct YearsMonthsDuration {
    months: i64,
}

impl YearsMonthsDuration {
    pub fn from_months(months: i64) -> YearsMonthsDuration {
        YearsMonthsDuration { months }
    }

    pub fn months(self) -> i64 {
        self.months
    }

    pub fn negate(self) -> Option<YearsMonthsDuration> {
        self.months
            .checked_neg()
            .map(YearsMonthsDuration::from_months)
    }

    pub fn checked_add(self, other: YearsMonthsDuration) -> Option<YearsMonthsDuration> {
        self.months
            .checked_add(other.months)
            .map(YearsMonthsDuration::from_months)
    }
}
