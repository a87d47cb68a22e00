//! Backups over a broker's management API.

use bytes::Bytes;
use http::{Method, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use skep_backup::BackupId;

use crate::backup::report::Report;
use crate::cli::TlsArguments;
use crate::failure::{Code, Failure};
use crate::http::Management;

const BACKUPS: &str = "/actuator/backups";

/// A broker's backups endpoint.
pub struct Api(Management);

impl Api {
    pub fn new(address: &str, tls: &TlsArguments) -> Result<Api, Failure> {
        Management::new(address, tls).map(Api)
    }

    pub async fn take(&self, id: BackupId) -> Result<(), Failure> {
        let body = serde_json::json!({"backupId": id}).to_string();
        let (status, body) = self.0.call(Method::POST, BACKUPS, Some(body)).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(refused(status, &body))
        }
    }

    pub async fn list(&self) -> Result<Vec<Report>, Failure> {
        let (status, body) = self.0.call(Method::GET, BACKUPS, None).await?;
        parse(status, &body)
    }

    pub async fn show(&self, id: BackupId) -> Result<Report, Failure> {
        let path = format!("{BACKUPS}/{id}");
        let (status, body) = self.0.call(Method::GET, &path, None).await?;
        parse(status, &body)
    }

    pub async fn delete(&self, id: BackupId) -> Result<(), Failure> {
        let path = format!("{BACKUPS}/{id}");
        let (status, body) = self.0.call(Method::DELETE, &path, None).await?;
        if status.is_success() {
            Ok(())
        } else {
            Err(refused(status, &body))
        }
    }
}

fn parse<T: DeserializeOwned>(status: StatusCode, body: &Bytes) -> Result<T, Failure> {
    if !status.is_success() {
        return Err(refused(status, body));
    }
    serde_json::from_slice(body).map_err(|error| {
        Failure::new(
            Code::Refused,
            format!("the answer is not that of a backups endpoint ({error}). Is --management the address of a broker?"),
        )
    })
}

/// What an endpoint says when it does not do what was asked.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Refusal {
    message: Option<String>,
    failure: Option<String>,
}

fn refused(status: StatusCode, body: &Bytes) -> Failure {
    let refusal: Refusal = serde_json::from_slice(body).unwrap_or_default();
    let message = refusal.message.or(refusal.failure);
    let message = message.unwrap_or_else(|| match status {
        StatusCode::NOT_FOUND => {
            "there is no backups endpoint at this address. Is it switched off (management.endpoint.backups.enabled, \
             management.endpoints.web.exposure.include)?"
                .to_owned()
        }
        status => format!("the broker answered {status} without a reason"),
    });
    let code = match status {
        StatusCode::BAD_GATEWAY | StatusCode::SERVICE_UNAVAILABLE | StatusCode::GATEWAY_TIMEOUT => {
            Code::Unreachable
        }
        _ => Code::Refused,
    };
    Failure::new(code, message.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_read_with_fields_that_are_not_ours() {
        let body = Bytes::from_static(
            br#"{"backupId":3,"state":"COMPLETED","status":"COMPLETED","details":[{"partitionId":1,"state":"COMPLETED",
                "createdAt":"2026-01-01T00:00:00Z","checkpointPosition":17,"new":1}],"partitions":[]}"#,
        );
        let report: Report = parse(StatusCode::OK, &body).unwrap();
        assert_eq!((report.backup_id, report.state.as_str()), (3, "COMPLETED"));
        assert_eq!(report.details[0].checkpoint_position, Some(17));
    }

    #[test]
    fn a_page_of_something_else_is_refused() {
        let page = Bytes::from_static(b"<html>");
        assert!(parse::<Report>(StatusCode::OK, &page).is_err());
        assert!(parse::<Report>(StatusCode::NOT_FOUND, &page).is_err());
    }
}
