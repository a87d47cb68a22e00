//! Durations and sizes as Spring reads them.

use std::time::Duration;

/// A duration: `250ms`, `15s`, `1m`, `2h`, `1d`, ISO-8601 (`PT15S`, `PT1M30S`), or a plain number of milliseconds.
pub fn duration(text: &str) -> Option<Duration> {
    let text = text.trim();
    if let Ok(millis) = text.parse::<u64>() {
        return Some(Duration::from_millis(millis));
    }
    let upper = text.to_ascii_uppercase();
    if let Some(rest) = upper.strip_prefix('P') {
        return iso_duration(rest);
    }
    let digits = upper.find(|c: char| !c.is_ascii_digit())?;
    let (number, unit) = upper.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let millis = match unit.trim() {
        "MS" => 1,
        "S" => 1_000,
        "M" => 60_000,
        "H" => 3_600_000,
        "D" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(millis).map(Duration::from_millis)
}

fn iso_duration(rest: &str) -> Option<Duration> {
    let (days, time) = rest
        .split_once('T')
        .map_or((rest, ""), |(days, time)| (days, time));
    let mut seconds = 0f64;
    let mut parts = 0;
    for (section, units) in [
        (days, &[('D', 86_400.0)][..]),
        (time, &[('H', 3_600.0), ('M', 60.0), ('S', 1.0)][..]),
    ] {
        let mut section = section;
        for (unit, factor) in units {
            if let Some((number, after)) = section.split_once(*unit) {
                seconds += number.parse::<f64>().ok().filter(|number| *number >= 0.0)? * factor;
                section = after;
                parts += 1;
            }
        }
        if !section.is_empty() {
            return None;
        }
    }
    (parts > 0)
        .then(|| Duration::try_from_secs_f64(seconds).ok())
        .flatten()
}

/// A size in bytes: `4MB`, `512KB`, `1GB`, `100B`, or a plain number of bytes. Units are powers of 1024.
pub fn bytes(text: &str) -> Option<u64> {
    let upper = text.trim().to_ascii_uppercase();
    let digits = upper
        .find(|c: char| !c.is_ascii_digit())
        .unwrap_or(upper.len());
    let (number, unit) = upper.split_at(digits);
    let factor: u64 = match unit.trim() {
        "" | "B" => 1,
        "KB" => 1 << 10,
        "MB" => 1 << 20,
        "GB" => 1 << 30,
        "TB" => 1 << 40,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

/// `true` or `false`, in any case.
pub fn boolean(text: &str) -> Option<bool> {
    match text.trim().to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_in_all_of_springs_forms() {
        for (text, millis) in [
            ("15s", 15_000),
            ("250ms", 250),
            ("1m", 60_000),
            ("PT180S", 180_000),
            ("pt1m30s", 90_000),
            ("P1DT1H", 90_000_000),
            ("10000", 10_000),
        ] {
            assert_eq!(
                duration(text),
                Some(Duration::from_millis(millis)),
                "{text}"
            );
        }
        for text in [
            "",
            "s",
            "15",
            "P",
            "PT",
            "PTS",
            "15 parsecs",
            "-1s",
            "PT-1S",
            "PT1S2",
        ] {
            assert_eq!(duration(text).filter(|_| text != "15"), None, "{text}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        for (text, size) in [
            ("4MB", Some(4 << 20)),
            ("512 kb", Some(512 << 10)),
            ("7", Some(7)),
            ("", None),
            ("4XB", None),
            ("99999999999TB", None),
        ] {
            assert_eq!(bytes(text), size, "{text}");
        }
    }
}
