//! Problem documents: what is answered to a request that failed.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use skep_protocol::{Rejection, RejectionType};
use tonic::{Code, Status};

/// Why a request failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    status: StatusCode,
    title: String,
    detail: String,
    instance: String,
}

#[derive(Serialize)]
struct Document<'a> {
    r#type: &'static str,
    title: &'a str,
    status: u16,
    detail: &'a str,
    instance: &'a str,
}

impl Problem {
    /// A problem of a request whose path is not known yet.
    pub fn new(status: StatusCode, title: &str, detail: impl Into<String>) -> Problem {
        Problem {
            status,
            title: title.to_owned(),
            detail: detail.into(),
            instance: String::new(),
        }
    }

    /// Something in the request is not as it must be.
    pub fn invalid_argument(detail: impl Into<String>) -> Problem {
        Problem::new(StatusCode::BAD_REQUEST, "INVALID_ARGUMENT", detail)
    }

    /// The engine refused the command.
    pub fn of_rejection(rejection: &Rejection, detail: &str) -> Problem {
        let status = match rejection.rejection_type {
            RejectionType::NotFound => StatusCode::NOT_FOUND,
            RejectionType::InvalidState => StatusCode::CONFLICT,
            RejectionType::InvalidArgument
            | RejectionType::AlreadyExists
            | RejectionType::ExceededBatchRecordSize => StatusCode::BAD_REQUEST,
            RejectionType::ProcessingError => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Problem::new(status, rejection.rejection_type.name(), detail)
    }

    /// The gateway, or a broker, could not have the command executed.
    pub fn of_status(status: &Status) -> Problem {
        let (code, title) = match status.code() {
            Code::InvalidArgument => (StatusCode::BAD_REQUEST, "INVALID_ARGUMENT"),
            Code::NotFound => (StatusCode::NOT_FOUND, "NOT_FOUND"),
            Code::ResourceExhausted => (StatusCode::SERVICE_UNAVAILABLE, "RESOURCE_EXHAUSTED"),
            Code::Unavailable => (StatusCode::SERVICE_UNAVAILABLE, "UNAVAILABLE"),
            Code::DeadlineExceeded => (StatusCode::GATEWAY_TIMEOUT, "DEADLINE_EXCEEDED"),
            _ => (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL"),
        };
        Problem::new(code, title, status.message())
    }

    /// The same, of a request to this path.
    #[must_use]
    pub fn at(self, path: &str) -> Problem {
        Problem {
            instance: path.to_owned(),
            ..self
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let document = Document {
            r#type: "about:blank",
            title: &self.title,
            status: self.status.as_u16(),
            detail: &self.detail,
            instance: &self.instance,
        };
        let body = serde_json::to_string(&document).unwrap_or_default();
        let kind = [(header::CONTENT_TYPE, "application/problem+json")];
        (self.status, kind, body).into_response()
    }
}
