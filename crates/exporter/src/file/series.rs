//! Names of the files: `<series>-<number>.jsonl`, which sort by age.

use std::fmt;
use std::io;
use std::path::Path;

/// A file of the exporter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct FileName {
    /// When the series was begun, in epoch milliseconds.
    pub series: u64,
    /// Its place in the series, from 1.
    pub number: u64,
}

impl fmt::Display for FileName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:013}-{:08}.jsonl", self.series, self.number)
    }
}

impl FileName {
    fn parse(name: &str) -> Option<FileName> {
        let (series, number) = name.strip_suffix(".jsonl")?.split_once('-')?;
        let parsed = FileName {
            series: series.parse().ok()?,
            number: number.parse().ok()?,
        };
        // Whatever else is in the directory is not ours.
        (parsed.to_string() == name).then_some(parsed)
    }

    /// Whether it was begun after `other` in the same series.
    pub fn is_later_in_series(&self, other: &FileName) -> bool {
        self.series == other.series && self.number > other.number
    }
}

/// The exporter's files in a directory, in any order.
pub(super) fn files(directory: &Path) -> io::Result<Vec<FileName>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(directory)? {
        found.extend(entry?.file_name().to_str().and_then(FileName::parse));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_back_and_others_are_not_ours() {
        let name = FileName {
            series: 1_795_527_404_123,
            number: 12,
        };
        assert_eq!(name.to_string(), "1795527404123-00000012.jsonl");
        assert_eq!(FileName::parse(&name.to_string()), Some(name));
        for other in [
            "1-2.jsonl",
            "1795527404123-00000012.json",
            "notes.jsonl",
            "a-b.jsonl",
        ] {
            assert_eq!(FileName::parse(other), None, "{other}");
        }
    }
}
