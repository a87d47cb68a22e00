//! Temporal values as ISO 8601 text, as `string()` and JSON show them.

use std::fmt::{Display, Formatter, Result, Write};

use super::{Date, DateTime, DaysTimeDuration, Time, YearsMonthsDuration, Zone};

impl Display for Date {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let sign = if self.year() < 0 { "-" } else { "" };
        write!(
            f,
            "{sign}{:04}-{:02}-{:02}",
            self.year().abs(),
            self.month(),
            self.day()
        )
    }
}

impl Display for Time {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(
            f,
            "{:02}:{:02}:{:02}",
            self.hour(),
            self.minute(),
            self.second()
        )?;
        write_fraction(f, self.nanosecond())?;
        self.zone().fmt(f)
    }
}

impl Display for DateTime {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        write!(f, "{}T{}", self.date(), self.time())
    }
}

impl Display for Zone {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        match self {
            Zone::Local => Ok(()),
            Zone::Offset(0) => f.write_char('Z'),
            Zone::Offset(seconds) => {
                let sign = if *seconds < 0 { '-' } else { '+' };
                let size = seconds.unsigned_abs();
                write!(f, "{sign}{:02}:{:02}", size / 3600, size / 60 % 60)?;
                if size % 60 != 0 {
                    write!(f, ":{:02}", size % 60)?;
                }
                Ok(())
            }
            Zone::Region(_) => write!(f, "@{}", self.name().unwrap_or("UTC")),
        }
    }
}

impl Display for DaysTimeDuration {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        let total = self.total_nanos();
        if total == 0 {
            return f.write_str("PT0S");
        }
        if total < 0 {
            f.write_char('-')?;
        }
        let nanos = total.unsigned_abs();
        let seconds = nanos / 1_000_000_000;
        let fraction = (nanos % 1_000_000_000) as u32;
        f.write_char('P')?;
        let days = seconds / 86_400;
        if days > 0 {
            write!(f, "{days}D")?;
        }
        let (hours, minutes, rest) = (seconds / 3600 % 24, seconds / 60 % 60, seconds % 60);
        if hours == 0 && minutes == 0 && rest == 0 && fraction == 0 {
            return Ok(());
        }
        f.write_char('T')?;
        if hours > 0 {
            write!(f, "{hours}H")?;
        }
        if minutes > 0 {
            write!(f, "{minutes}M")?;
        }
        if rest > 0 || fraction > 0 {
            write!(f, "{rest}")?;
            write_fraction(f, fraction)?;
            f.write_char('S')?;
        }
        Ok(())
    }
}

impl Display for YearsMonthsDuration {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        if self.months() < 0 {
            f.write_char('-')?;
        }
        let months = self.months().unsigned_abs();
        f.write_char('P')?;
        if months >= 12 {
            write!(f, "{}Y", months / 12)?;
        }
        if !months.is_multiple_of(12) || months == 0 {
            write!(f, "{}M", months % 12)?;
        }
        Ok(())
    }
}

fn write_fraction(f: &mut Formatter<'_>, nanos: u32) -> Result {
    if nanos == 0 {
        return Ok(());
    }
    let digits = format!("{nanos:09}");
    write!(f, ".{}", digits.trim_end_matches('0'))
}
