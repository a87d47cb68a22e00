//! How much a partition takes in.

use crate::{ConfigError, Source};

/// Most commands that may be allowed to wait, and as many as wait where nothing else limits them: each costs memory.
const WAITING_MAX: u32 = 65_536;

/// Limits of each partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlowControlConfig {
    /// Commands of clients that may wait.
    pub waiting_max: u32,
    /// Records that may be written in a second; `None` for as many as can be.
    pub records_per_second: Option<u32>,
}

impl FlowControlConfig {
    /// Reads the keys of a broker.
    pub(crate) fn from_source(source: &Source) -> Result<FlowControlConfig, ConfigError> {
        Ok(FlowControlConfig {
            waiting_max: waiting_max(source)?,
            records_per_second: records_per_second(source)?,
        })
    }
}

fn waiting_max(source: &Source) -> Result<u32, ConfigError> {
    let key = |name: &str| format!("zeebe.broker.flowControl.request.{name}");
    if !source.boolean(&key("enabled"))? {
        return Ok(WAITING_MAX);
    }
    let algorithm_key = key("algorithm");
    let algorithm = source.text(&algorithm_key);
    if !algorithm.trim().eq_ignore_ascii_case("fixed") {
        let expected = "fixed, the only algorithm that there is here";
        return Err(source.wrong(&algorithm_key, &algorithm, expected));
    }
    let limit = source.number(&key("fixed.limit"), 1, WAITING_MAX.into())?;
    Ok(limit as u32)
}

fn records_per_second(source: &Source) -> Result<Option<u32>, ConfigError> {
    if !source.boolean("zeebe.broker.flowControl.write.enabled")? {
        return Ok(None);
    }
    let limit = source.number("zeebe.broker.flowControl.write.limit", 1, 10_000_000)?;
    Ok(Some(limit as u32))
}
