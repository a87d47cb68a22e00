//! What is wrong with a configuration, and how to mend it.

use thiserror::Error;

/// A configuration that cannot be used. Every text names the key and its environment variable.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("read the configuration file {path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The file is no YAML.
    #[error("the configuration file {path} is not valid YAML: {reason}")]
    Syntax {
        /// The file.
        path: String,
        /// What the parser said, with line and column.
        reason: String,
    },
    /// A value that a key cannot have.
    #[error("{key} (or {variable} in the environment) is '{value}', but must be {expected}")]
    Value {
        /// The key.
        key: String,
        /// Its environment variable.
        variable: String,
        /// What was found.
        value: String,
        /// What it must be.
        expected: String,
    },
    /// Something is missing, or keys do not go together.
    #[error("{0}")]
    Incomplete(String),
}
