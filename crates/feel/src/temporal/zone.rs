//! What a time says about its zone: nothing, an offset, or a named zone.

use jiff::tz::TimeZone;

/// The largest offset that FEEL accepts, 18 hours as in Java.
const OFFSET_SECONDS_MAX: i32 = 18 * 3600;

/// The zone of a time or date-time.
#[derive(Clone, Debug)]
pub enum Zone {
    /// None given: a local time.
    Local,
    /// Seconds east of UTC.
    Offset(i32),
    /// A region of the time zone database.
    Region(TimeZone),
}

impl Zone {
    pub fn offset(seconds: i32) -> Option<Zone> {
        (seconds.abs() <= OFFSET_SECONDS_MAX).then_some(Zone::Offset(seconds))
    }

    /// Looks a region up by its name, such as `Europe/Berlin`.
    pub fn region(name: &str) -> Option<Zone> {
        if name == "Z" {
            return Some(Zone::Offset(0));
        }
        // Region names are not case-sensitive in the database lookup, but they are in FEEL.
        let zone = TimeZone::get(name).ok()?;
        (zone.iana_name() == Some(name)).then_some(Zone::Region(zone))
    }

    pub fn name(&self) -> Option<&str> {
        match self {
            Zone::Region(zone) => zone.iana_name(),
            _ => None,
        }
    }

    /// Seconds east of UTC at an instant given in seconds since the epoch; `None` for a local time.
    pub(super) fn offset_at(&self, epoch_seconds: i64) -> Option<i32> {
        match self {
            Zone::Local => None,
            Zone::Offset(seconds) => Some(*seconds),
            Zone::Region(zone) => {
                // Outside the years that the database covers its nearest rule holds.
                let range = jiff::Timestamp::MIN.as_second()..=jiff::Timestamp::MAX.as_second();
                let second = epoch_seconds.clamp(*range.start(), *range.end());
                let timestamp = jiff::Timestamp::from_second(second).ok()?;
                Some(zone.to_offset(timestamp).seconds())
            }
        }
    }

    /// Seconds east of UTC for a local reading, given in seconds since the local epoch. In a gap the offset before
    /// it holds, in a fold the earlier one, as in Java.
    pub(super) fn offset_for_local(&self, local_seconds: i64) -> Option<i32> {
        match self {
            Zone::Region(_) => {
                let before = self.offset_at(local_seconds - 86_400)?;
                let candidate = self.offset_at(local_seconds - i64::from(before))?;
                if candidate == before {
                    return Some(before);
                }
                let after = self.offset_at(local_seconds - i64::from(candidate))?;
                Some(if after == candidate {
                    candidate
                } else {
                    before
                })
            }
            other => other.offset_at(0),
        }
    }
}

impl PartialEq for Zone {
    fn eq(&self, other: &Zone) -> bool {
        match (self, other) {
            (Zone::Local, Zone::Local) => true,
            (Zone::Offset(a), Zone::Offset(b)) => a == b,
            (Zone::Region(_), Zone::Region(_)) => self.name() == other.name(),
            _ => false,
        }
    }
}
