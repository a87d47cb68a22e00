//! What is logged, in the shapes of Spring Boot's actuator.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use serde::Serialize;
use serde_json::{Value, json};

use crate::routes::json_response;

/// How much is logged, the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Level {
    /// Nothing.
    Off,
    /// What failed.
    Error,
    /// What somebody should look at.
    Warn,
    /// What happens.
    Info,
    /// What a developer wants to know.
    Debug,
    /// Everything.
    Trace,
}

impl Level {
    const ALL: [Level; 6] = [
        Level::Off,
        Level::Error,
        Level::Warn,
        Level::Info,
        Level::Debug,
        Level::Trace,
    ];

    /// The level of that name, in whatever case.
    pub fn of_name(name: &str) -> Option<Level> {
        let name = name.to_ascii_uppercase();
        match name.as_str() {
            "FATAL" => Some(Level::Error),
            "ALL" => Some(Level::Trace),
            _ => Level::ALL.into_iter().find(|level| level.name() == name),
        }
    }

    /// Its name, upper-case.
    pub fn name(self) -> &'static str {
        match self {
            Level::Off => "OFF",
            Level::Error => "ERROR",
            Level::Warn => "WARN",
            Level::Info => "INFO",
            Level::Debug => "DEBUG",
            Level::Trace => "TRACE",
        }
    }
}

/// How much a logger says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct LoggerLevels {
    /// The level that it was given; `None` if it has that of a wider one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configured_level: Option<Level>,
    /// The level that it has.
    pub effective_level: Level,
}

/// The loggers of this process.
pub trait Loggers: Send + Sync + 'static {
    /// All that have a name that is known, and those that were given a level.
    fn all(&self) -> BTreeMap<String, LoggerLevels>;

    /// One; `None` if nothing can be logged under that name.
    fn levels(&self, name: &str) -> Option<LoggerLevels>;

    /// Gives a level from now on, or takes it back.
    fn set(&self, name: &str, level: Option<Level>) -> Result<(), NotSet>;
}

/// Why a logger was not given a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotSet {
    /// Nothing can be logged under its name.
    Unknown,
    /// So many loggers were given one, and more may not.
    TooMany(usize),
}

/// `GET /actuator/loggers`, `GET` and `POST /actuator/loggers/{name}`.
pub fn routes(loggers: Arc<dyn Loggers>) -> Router {
    Router::new()
        .route("/actuator/loggers", get(all))
        .route("/actuator/loggers/{name}", get(show).post(change))
        .with_state(loggers)
}

async fn all(State(loggers): State<Arc<dyn Loggers>>) -> Response {
    // Spring lists the levels from the least said to the most, and groups that nobody has made here.
    let body = json!({"levels": Level::ALL, "loggers": loggers.all(), "groups": {}});
    json_response(StatusCode::OK, &body)
}

fn unknown(name: &str) -> Response {
    let text = format!("There is no logger '{name}'; GET /actuator/loggers lists them");
    json_response(StatusCode::NOT_FOUND, &json!({"message": text}))
}

async fn show(State(loggers): State<Arc<dyn Loggers>>, Path(name): Path<String>) -> Response {
    match loggers.levels(&name) {
        Some(levels) => json_response(StatusCode::OK, &json!(levels)),
        None => unknown(&name),
    }
}

/// 204; a level of `null`, or none, takes back what was given.
async fn change(
    State(loggers): State<Arc<dyn Loggers>>,
    Path(name): Path<String>,
    body: Bytes,
) -> Response {
    let level = match serde_json::from_slice::<Value>(&body) {
        Ok(Value::Object(fields)) => match fields.get("configuredLevel") {
            None | Some(Value::Null) => Some(None),
            Some(Value::String(name)) => Level::of_name(name).map(Some),
            Some(_) => None,
        },
        _ => None,
    };
    let Some(level) = level else {
        let levels = Level::ALL.map(Level::name).join(", ");
        let text = format!("A configuredLevel must be one of {levels}, or null");
        return json_response(StatusCode::BAD_REQUEST, &json!({"message": text}));
    };
    match loggers.set(&name, level) {
        Ok(()) => StatusCode::NO_CONTENT.into_response(),
        Err(NotSet::Unknown) => unknown(&name),
        Err(NotSet::TooMany(max)) => {
            let text = format!(
                "{max} loggers were given a level, as many as may be. Give a wider one a level (GET /actuator/loggers lists them), or take \
                 one back with the configuredLevel null"
            );
            json_response(StatusCode::BAD_REQUEST, &json!({"message": text}))
        }
    }
}
