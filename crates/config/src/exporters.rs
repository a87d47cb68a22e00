//! Exporters of the record stream.

use std::path::PathBuf;
use std::time::Duration;

use crate::source::{ExporterValues, relaxed, variable_of};
use crate::{ConfigError, Source, units};

/// The only class there is.
const CLASS: &str = "JsonLinesExporter";

/// Its arguments.
const ARGUMENTS: [&str; 6] = [
    "directory",
    "maxFileSize",
    "maxFiles",
    "flushInterval",
    "recordTypes",
    "valueTypes",
];

/// Smaller files would be mostly overhead.
const FILE_BYTES_MIN: u64 = 64 << 10;

/// The exporter into files of JSON lines.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterConfig {
    /// What the user calls it: lower-case letters and digits.
    pub id: String,
    /// Where the files go.
    pub directory: PathBuf,
    /// Size after which another file is begun.
    pub file_bytes_max: u64,
    /// Files kept for each partition; `None` for all.
    pub files_max: Option<usize>,
    /// How often what was exported is made durable.
    pub flush_interval: Duration,
    /// Names of the record types that are exported; empty for all.
    pub record_types: Vec<String>,
    /// Names of the value types that are exported; empty for all.
    pub value_types: Vec<String>,
}

impl ExporterConfig {
    /// Reads and checks all of them.
    pub fn from_source(source: &Source) -> Result<Vec<ExporterConfig>, ConfigError> {
        let mut exporters: Vec<ExporterConfig> = Vec::new();
        for (id, values) in source.exporters()? {
            let exporter = one(&id, &values)?;
            if let Some(other) = exporters
                .iter()
                .find(|one| one.directory == exporter.directory)
            {
                return Err(ConfigError::Incomplete(format!(
                    "the exporters '{}' and '{id}' have the same directory '{}'. Give each its own.",
                    other.id,
                    exporter.directory.display()
                )));
            }
            exporters.push(exporter);
        }
        Ok(exporters)
    }
}

fn key(id: &str, name: &str) -> String {
    format!("zeebe.broker.exporters.{id}.{name}")
}

fn wrong(id: &str, name: &str, value: &str, expected: &str) -> ConfigError {
    let key = key(id, name);
    ConfigError::Value {
        variable: variable_of(&key),
        key,
        value: value.to_owned(),
        expected: expected.to_owned(),
    }
}

fn one(id: &str, values: &ExporterValues) -> Result<ExporterConfig, ConfigError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    if id.is_empty() || id.len() > 32 || !id.chars().all(is_plain) {
        return Err(ConfigError::Incomplete(format!(
            "'{id}' is no id of an exporter: use 1 to 32 letters and digits."
        )));
    }
    check_names(id, values)?;
    let argument = |name: &str| {
        values
            .get(&format!("args.{}", relaxed(name)))
            .map(String::as_str)
    };
    let parsed = |name: &'static str, default: &'static str| argument(name).unwrap_or(default);
    let Some(directory) = argument("directory") else {
        let key = key(id, "args.directory");
        return Err(ConfigError::Incomplete(format!(
            "the exporter '{id}' has no directory for its files: set {key} ({}).",
            variable_of(&key)
        )));
    };
    let size = parsed("maxFileSize", "16MB");
    let files = parsed("maxFiles", "0");
    let interval = parsed("flushInterval", "1s");
    let names = |name: &'static str| -> Vec<String> {
        let names = parsed(name, "")
            .split(',')
            .map(|name| name.trim().to_owned());
        names.filter(|name| !name.is_empty()).collect()
    };
    Ok(ExporterConfig {
        id: id.to_owned(),
        directory: directory.into(),
        file_bytes_max: units::bytes(size)
            .filter(|bytes| *bytes >= FILE_BYTES_MIN)
            .ok_or_else(|| {
                wrong(
                    id,
                    "args.maxFileSize",
                    size,
                    "a size of at least 64KB, such as 16MB",
                )
            })?,
        files_max: match files.trim().parse() {
            Ok(0) => None,
            Ok(count) if count >= 2 => Some(count),
            _ => {
                return Err(wrong(
                    id,
                    "args.maxFiles",
                    files,
                    "2 or more files, or 0 for all",
                ));
            }
        },
        flush_interval: units::duration(interval)
            .filter(|interval| (1..=60_000).contains(&interval.as_millis()))
            .ok_or_else(|| {
                wrong(
                    id,
                    "args.flushInterval",
                    interval,
                    "a duration from 1ms to 60s",
                )
            })?,
        record_types: names("recordTypes"),
        value_types: names("valueTypes"),
    })
}

/// Refuses names that mean nothing, and classes that there are not.
fn check_names(id: &str, values: &ExporterValues) -> Result<(), ConfigError> {
    match values.get("classname") {
        Some(class) if class.trim() == CLASS => {}
        Some(class) => {
            let expected =
                format!("{CLASS}: Zeebe's exporters are Java classes, which are not run here");
            return Err(wrong(id, "className", class, &expected));
        }
        None => {
            let key = key(id, "className");
            return Err(ConfigError::Incomplete(format!(
                "the exporter '{id}' has no class: set {key} ({}) to {CLASS}.",
                variable_of(&key)
            )));
        }
    }
    for (name, value) in values.iter().filter(|(name, _)| *name != "classname") {
        let known = name
            .strip_prefix("args.")
            .is_some_and(|argument| ARGUMENTS.iter().any(|known| relaxed(known) == argument));
        if !known {
            let expected = format!(
                "left out: an exporter has className and args with {}",
                ARGUMENTS.join(", ")
            );
            return Err(wrong(id, name, value, &expected));
        }
    }
    Ok(())
}
