//! Finding and reading the configuration.

use std::path::{Path, PathBuf};

use skep_config::{BrokerConfig, ConfigError, GatewayConfig, Source};

use crate::failure::{Code, Failure};

/// Below the working directory, or the directory of the distribution.
const FILE: &str = "config/application.yaml";

/// The configuration, and what to warn about once there is a log to warn in.
pub struct Configuration<T> {
    /// As read.
    pub read: T,
    /// Warnings for the operator.
    pub warnings: Vec<String>,
}

/// A broker's, which a restore reads as well.
pub fn of_broker(named: Option<&Path>) -> Result<Configuration<BrokerConfig>, Failure> {
    read(named, BrokerConfig::from_source)
}

/// A gateway's.
pub fn of_gateway(named: Option<&Path>) -> Result<Configuration<GatewayConfig>, Failure> {
    read(named, GatewayConfig::from_source)
}

/// Reads the file, if there is one, and the environment.
fn read<T>(
    named: Option<&Path>,
    of: impl Fn(&Source) -> Result<T, ConfigError>,
) -> Result<Configuration<T>, Failure> {
    let path = named.map_or_else(default_path, Path::to_owned);
    let source = Source::read(&path, named.is_some(), environment()?)?;
    let warnings = source
        .unknown_keys()
        .iter()
        .map(|key| {
            format!(
                "the key '{key}' in {} means nothing here and is ignored; config/application.yaml of the distribution lists all keys",
                path.display()
            )
        })
        .collect();
    let read = of(&source)?;
    Ok(Configuration { read, warnings })
}

fn default_path() -> PathBuf {
    let here = PathBuf::from(FILE);
    if here.exists() {
        return here;
    }
    distribution().map_or(here, |directory| directory.join(FILE))
}

/// The directory above `bin/` that this program lies in.
fn distribution() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let bin = program.parent()?;
    bin.ends_with("bin")
        .then(|| bin.parent().map(Path::to_owned))?
}

fn environment() -> Result<Vec<(String, String)>, Failure> {
    let mut variables = Vec::new();
    for (name, value) in std::env::vars_os() {
        match (name.into_string(), value.into_string()) {
            (Ok(name), Ok(value)) => variables.push((name, value)),
            (Ok(name), Err(_)) if name.starts_with("ZEEBE_") || name.starts_with("AWS_") => {
                return Err(Failure::new(
                    Code::Usage,
                    format!("the environment variable {name} is not valid UTF-8"),
                ));
            }
            // Somebody else's variable.
            _ => {}
        }
    }
    Ok(variables)
}
