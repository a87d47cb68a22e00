//! Logs: text for people, JSON for collectors.
//!
//! `ZEEBE_LOG_APPENDER=stackdriver` or `SKEP_LOG_FORMAT=json` choose JSON; `ZEEBE_LOG_LEVEL` the level; `RUST_LOG` overrides
//! it with directives for single modules.

use std::env;
use std::io::IsTerminal;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;

use crate::log_levels::LogLevels;

/// How logs look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    Text,
    /// An object per line.
    Json,
}

/// Begins logging to standard output, as a broker does. Gives also what changes the levels while it runs.
pub fn begin() -> (LogFormat, Arc<LogLevels>) {
    let format = format_of(
        env::var("ZEEBE_LOG_APPENDER").ok().as_deref(),
        env::var("SKEP_LOG_FORMAT").ok().as_deref(),
    );
    let directives = directives_of(
        env::var("RUST_LOG").ok().as_deref(),
        env::var("ZEEBE_LOG_LEVEL").ok().as_deref(),
    );
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(&directives))
        // It would be printed to the standard error output, with a panic if that cannot be written either: on a full disk, say.
        .log_internal_errors(false);
    let levels = match format {
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            LogLevels::new(directives, move |filter| handle.reload(filter))
        }
        LogFormat::Text => {
            let builder = builder.with_ansi(std::io::stdout().is_terminal());
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            builder.init();
            LogLevels::new(directives, move |filter| handle.reload(filter))
        }
    };
    (format, Arc::new(levels))
}

fn format_of(appender: Option<&str>, format: Option<&str>) -> LogFormat {
    let is = |value: Option<&str>, word| value.is_some_and(|v| v.eq_ignore_ascii_case(word));
    if is(appender, "stackdriver") || is(format, "json") {
        LogFormat::Json
    } else {
        LogFormat::Text
    }
}

fn directives_of(rust_log: Option<&str>, level: Option<&str>) -> String {
    if let Some(directives) = rust_log.filter(|text| !text.trim().is_empty()) {
        return directives.to_owned();
    }
    let level = match level.unwrap_or("").trim().to_ascii_lowercase().as_str() {
        "fatal" => "error",
        level @ ("off" | "error" | "warn" | "debug" | "trace") => return quiet(level),
        "all" => "trace",
        // A typing mistake should not silence a broker.
        _ => "info",
    }
    .to_owned();
    quiet(&level)
}

/// Libraries say at `info` what only their developers want to know.
fn quiet(level: &str) -> String {
    match level {
        "info" => "info,openraft=error".to_owned(),
        level => level.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_chosen_by_zeebes_variable_and_by_ours() {
        assert_eq!(format_of(Some("Stackdriver"), None), LogFormat::Json);
        assert_eq!(format_of(None, Some("json")), LogFormat::Json);
        assert_eq!(format_of(Some("Console"), Some("text")), LogFormat::Text);
        assert_eq!(format_of(None, None), LogFormat::Text);
    }

    #[test]
    fn a_level_is_a_word_of_zeebe_and_a_wrong_one_is_info() {
        assert_eq!(directives_of(None, Some("DEBUG")), "debug");
        assert_eq!(directives_of(None, Some("fatal")), "error");
        assert_eq!(directives_of(None, Some("chatty")), "info,openraft=error");
        assert_eq!(directives_of(None, None), "info,openraft=error");
        assert_eq!(
            directives_of(Some("skep_raft=trace"), Some("error")),
            "skep_raft=trace"
        );
    }
}
