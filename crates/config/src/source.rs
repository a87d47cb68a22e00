//! Where values come from: environment before file before default, by relaxed names.
//!
//! `zeebe.broker.data.backup.s3.bucketName` is also `bucket-name` in the file, and `ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME` in
//! the environment (Spring's rule: dots become underscores, dashes and case do not count).

use std::collections::BTreeMap;
use std::time::Duration;

use crate::properties::{PROPERTIES, Property};
use crate::{ConfigError, units};

/// All values given, by relaxed name.
#[derive(Debug, Clone, Default)]
pub struct Source {
    file: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    unknown: Vec<String>,
}

/// The name as it is compared: without case and dashes.
pub(crate) fn relaxed(name: &str) -> String {
    name.chars()
        .filter(|c| *c != '-' && *c != '_')
        .map(|c| c.to_ascii_lowercase())
        .collect()
}

/// Below this key there is one for each exporter, whose id the user chooses.
const EXPORTERS: &str = "zeebe.broker.exporters.";
/// The same in the environment.
const EXPORTERS_VARIABLE: &str = "ZEEBE_BROKER_EXPORTERS_";

/// Values of one exporter by relaxed name, such as `classname` or `args.directory`.
pub(crate) type ExporterValues = BTreeMap<String, String>;

/// The environment variable of a key.
pub fn variable_of(key: &str) -> String {
    key.chars()
        .filter(|c| *c != '-')
        .map(|c| {
            if c == '.' {
                '_'
            } else {
                c.to_ascii_uppercase()
            }
        })
        .collect()
}

impl Source {
    /// Values of a YAML text (may be empty) and of the environment.
    pub fn new(
        path: &str,
        yaml: &str,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Source, ConfigError> {
        let mut source = Source::default();
        if !yaml.trim().is_empty() {
            let value: serde_json::Value =
                serde_saphyr::from_str(yaml).map_err(|error| ConfigError::Syntax {
                    path: path.to_owned(),
                    reason: error.to_string(),
                })?;
            flatten(&value, &mut source.file);
        }
        let known: Vec<String> = PROPERTIES
            .iter()
            .map(|property| relaxed(property.key))
            .collect();
        source.unknown = source
            .file
            .keys()
            .filter(|key| !known.contains(key) && !key.starts_with(EXPORTERS))
            .cloned()
            .collect();
        source.environment = environment
            .into_iter()
            .map(|(name, value)| (name.to_ascii_uppercase(), value))
            .collect();
        Ok(source)
    }

    /// Reads the file, if it exists, and the process's environment. A file that was named must exist.
    pub fn read(
        path: &std::path::Path,
        named: bool,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Source, ConfigError> {
        let shown = path.display().to_string();
        match std::fs::read_to_string(path) {
            Ok(yaml) => Source::new(&shown, &yaml, environment),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && !named => {
                Source::new(&shown, "", environment)
            }
            Err(error) => Err(ConfigError::File {
                path: shown,
                reason: error.to_string(),
            }),
        }
    }

    /// Keys of the file that mean nothing here.
    pub fn unknown_keys(&self) -> &[String] {
        &self.unknown
    }

    /// The value given for a key: of the environment, else of the file. An empty text counts as not given.
    pub fn given(&self, key: &str) -> Option<&str> {
        self.of_environment(key)
            .or_else(|| self.file.get(&relaxed(key)))
            .map(String::as_str)
            .filter(|value| !value.trim().is_empty())
    }

    /// Whether a value was chosen: one of the environment, or one of the file other than the default. The distributed file names
    /// every default, so that a default is named there says nothing.
    pub(crate) fn is_chosen(&self, key: &str) -> bool {
        self.given(key).is_some_and(|value| {
            self.of_environment(key).is_some() || value.trim() != property(key).default
        })
    }

    fn of_environment(&self, key: &str) -> Option<&String> {
        let property = property(key);
        let others = property.other_variables.iter();
        std::iter::once(variable_of(property.key))
            .chain(others.map(|name| (*name).to_owned()))
            .find_map(|name| self.environment.get(&name))
    }

    /// What is given for each exporter, by its relaxed id.
    pub(crate) fn exporters(&self) -> Result<BTreeMap<String, ExporterValues>, ConfigError> {
        let mut exporters: BTreeMap<String, ExporterValues> = BTreeMap::new();
        for (key, value) in &self.file {
            let Some(rest) = key.strip_prefix(EXPORTERS) else {
                continue;
            };
            let (id, name) = rest.split_once('.').unwrap_or((rest, ""));
            let values = exporters.entry(id.to_owned()).or_default();
            values.insert(name.to_owned(), value.clone());
        }
        for (variable, value) in &self.environment {
            let Some(rest) = variable.strip_prefix(EXPORTERS_VARIABLE) else {
                continue;
            };
            let (id, name) = exporter_variable(rest).ok_or_else(|| {
                ConfigError::Incomplete(format!(
                    "{variable} is no setting of an exporter: use {EXPORTERS_VARIABLE}<ID>_CLASSNAME and {EXPORTERS_VARIABLE}<ID>_ARGS_<NAME>."
                ))
            })?;
            let values = exporters.entry(id).or_default();
            values.insert(name, value.clone());
        }
        for values in exporters.values_mut() {
            values.retain(|_, value| !value.trim().is_empty());
        }
        Ok(exporters)
    }

    /// The value of the environment variable that is no key of ours (`AWS_…`).
    pub fn variable(&self, name: &str) -> Option<&str> {
        self.environment
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Environment variables that begin like this: the rest of their names, and their values.
    pub(crate) fn variables_below<'a>(
        &'a self,
        prefix: &'a str,
    ) -> impl Iterator<Item = (&'a str, &'a str)> {
        let below = self.environment.iter().filter_map(move |(name, value)| {
            let rest = name.strip_prefix(prefix)?;
            Some((rest, value.as_str()))
        });
        below.filter(|(_, value)| !value.trim().is_empty())
    }

    /// A text, or the default.
    pub fn text(&self, key: &str) -> String {
        self.given(key).unwrap_or(property(key).default).to_owned()
    }

    /// A text without default.
    pub fn optional_text(&self, key: &str) -> Option<String> {
        let property = property(key);
        self.given(key)
            .or((!property.default.is_empty()).then_some(property.default))
            .map(str::to_owned)
    }

    /// A whole number within bounds.
    pub fn number(&self, key: &str, from: u64, to: u64) -> Result<u64, ConfigError> {
        let parsed = |text: &str| {
            text.trim()
                .parse::<u64>()
                .ok()
                .filter(|number| (from..=to).contains(number))
        };
        self.parse(key, &format!("a whole number from {from} to {to}"), parsed)
    }

    /// A duration.
    pub fn duration(&self, key: &str) -> Result<Duration, ConfigError> {
        self.parse(
            key,
            "a duration such as 15s, 250ms, 1m or PT15S",
            units::duration,
        )
    }

    /// A size in bytes.
    pub fn bytes(&self, key: &str) -> Result<u64, ConfigError> {
        self.parse(key, "a size such as 4MB or 512KB", units::bytes)
    }

    /// True or false.
    pub fn boolean(&self, key: &str) -> Result<bool, ConfigError> {
        self.parse(key, "true or false", units::boolean)
    }

    fn parse<T>(
        &self,
        key: &str,
        expected: &str,
        parse: impl Fn(&str) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let text = self.text(key);
        parse(&text).ok_or_else(|| self.wrong(key, &text, expected))
    }

    /// The error for a value that a key cannot have.
    pub fn wrong(&self, key: &str, value: &str, expected: &str) -> ConfigError {
        let property = property(key);
        let value = if property.secret { "***" } else { value };
        ConfigError::Value {
            key: key.to_owned(),
            variable: variable_of(key),
            value: value.to_owned(),
            expected: expected.to_owned(),
        }
    }

    /// Every key with the value in force, secrets hidden.
    pub fn in_force(&self) -> impl Iterator<Item = (&'static str, String)> {
        PROPERTIES.iter().map(|property| {
            let value = self.text(property.key);
            (
                property.key,
                if property.secret && !value.is_empty() {
                    "***".to_owned()
                } else {
                    value
                },
            )
        })
    }
}

/// Id and name of `<ID>_CLASSNAME`, `<ID>_JARPATH` and `<ID>_ARGS_<NAME>`, relaxed.
fn exporter_variable(rest: &str) -> Option<(String, String)> {
    let (id, name) = match rest.split_once("_ARGS_") {
        Some((id, argument)) => (id, format!("args.{}", relaxed(argument))),
        None => rest
            .rsplit_once('_')
            .filter(|(_, name)| ["CLASSNAME", "JARPATH"].contains(name))
            .map(|(id, name)| (id, relaxed(name)))?,
    };
    Some((relaxed(id), name))
}

fn property(key: &str) -> &'static Property {
    PROPERTIES
        .iter()
        .find(|property| property.key == key)
        .expect("only keys of the list are asked for")
}

/// Every leaf of a YAML document by its relaxed path. Iterative: a document may be nested at will.
fn flatten(root: &serde_json::Value, into: &mut BTreeMap<String, String>) {
    let mut open = vec![(String::new(), root)];
    while let Some((path, value)) = open.pop() {
        match value {
            serde_json::Value::Object(map) => {
                for (name, value) in map {
                    let name = relaxed(name);
                    open.push((
                        if path.is_empty() {
                            name
                        } else {
                            format!("{path}.{name}")
                        },
                        value,
                    ));
                }
            }
            serde_json::Value::Null => {}
            serde_json::Value::String(text) => {
                into.insert(path, text.clone());
            }
            serde_json::Value::Array(items) => {
                let items: Vec<String> = items
                    .iter()
                    .map(|item| {
                        item.as_str()
                            .map_or_else(|| item.to_string(), str::to_owned)
                    })
                    .collect();
                into.insert(path, items.join(","));
            }
            other => {
                into.insert(path, other.to_string());
            }
        }
    }
}
