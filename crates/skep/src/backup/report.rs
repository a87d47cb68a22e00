//! A backup's status as shown: tables for people, JSON for programs. The JSON is that of the management API's newer shape.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use skep_backup::{BackupState, BackupStatus, PartitionStatus};

use crate::failure::{Code, Failure};

/// One backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Its id.
    pub backup_id: u64,
    /// Over all partitions.
    pub state: String,
    /// If it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// By partition.
    #[serde(default)]
    pub details: Vec<PartitionReport>,
}

/// One partition's part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PartitionReport {
    /// The partition.
    pub partition_id: u32,
    /// Its state.
    pub state: String,
    /// If it has failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure_reason: Option<String>,
    /// When it began.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_at: Option<String>,
    /// When the state was reached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_updated_at: Option<String>,
    /// Zeebe's snapshot id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot_id: Option<String>,
    /// Position of the checkpoint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub checkpoint_position: Option<u64>,
    /// Which broker.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_id: Option<u32>,
    /// Its version.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub broker_version: Option<String>,
}

impl From<&BackupStatus> for Report {
    fn from(status: &BackupStatus) -> Report {
        Report {
            backup_id: status.backup_id.0,
            state: status.state.as_str().to_owned(),
            failure_reason: status.failure_reason.clone(),
            details: status.details.iter().map(PartitionReport::from).collect(),
        }
    }
}

impl From<&PartitionStatus> for PartitionReport {
    fn from(detail: &PartitionStatus) -> PartitionReport {
        PartitionReport {
            partition_id: detail.partition.0,
            state: detail.state.as_str().to_owned(),
            failure_reason: detail.failure_reason.clone(),
            created_at: timestamp(detail.created_at_ms),
            last_updated_at: timestamp(detail.last_updated_at_ms),
            snapshot_id: detail.snapshot_id.clone(),
            checkpoint_position: detail.checkpoint_position,
            broker_id: detail.broker_id,
            broker_version: detail.broker_version.clone(),
        }
    }
}

fn timestamp(millis: Option<u64>) -> Option<String> {
    let millis = i64::try_from(millis?).ok()?;
    Some(Timestamp::from_millisecond(millis).ok()?.to_string())
}

impl Report {
    /// Whether nothing more will happen to it.
    pub fn has_state(&self, state: BackupState) -> bool {
        self.state == state.as_str()
    }

    /// How many partitions are completed.
    pub fn completed(&self) -> usize {
        let completed = BackupState::Completed.as_str();
        self.details
            .iter()
            .filter(|detail| detail.state == completed)
            .count()
    }

    /// When its first partition began.
    fn created_at(&self) -> Option<&str> {
        let created = self
            .details
            .iter()
            .filter_map(|detail| detail.created_at.as_deref());
        created.min()
    }
}

/// All backups, for people or for programs.
pub fn list(reports: &[Report], json: bool) -> Result<String, Failure> {
    if json {
        return to_json(&reports);
    }
    if reports.is_empty() {
        return Ok("There are no backups.\n".to_owned());
    }
    let mut rows = vec![
        ["BACKUP", "STATE", "PARTITIONS", "TAKEN"]
            .map(str::to_owned)
            .to_vec(),
    ];
    for report in reports {
        rows.push(vec![
            report.backup_id.to_string(),
            report.state.clone(),
            format!("{}/{}", report.completed(), report.details.len()),
            shown(report.created_at()),
        ]);
    }
    let mut text = table(&rows);
    for report in reports {
        if let Some(reason) = &report.failure_reason {
            text.push_str(&format!("\n{}: {}\n", report.backup_id, reason.trim()));
        }
    }
    Ok(text)
}

/// One backup, for people or for programs.
pub fn show(report: &Report, json: bool) -> Result<String, Failure> {
    if json {
        return to_json(report);
    }
    let mut text = format!("Backup {} is {}", report.backup_id, report.state);
    match &report.failure_reason {
        Some(reason) => text.push_str(&format!(": {}\n\n", reason.trim())),
        None => text.push_str("\n\n"),
    }
    let head = [
        "PARTITION",
        "STATE",
        "POSITION",
        "TAKEN",
        "UPDATED",
        "BROKER",
        "VERSION",
    ];
    let mut rows = vec![head.map(str::to_owned).to_vec()];
    for detail in &report.details {
        rows.push(vec![
            detail.partition_id.to_string(),
            detail.state.clone(),
            shown(detail.checkpoint_position),
            shown(detail.created_at.as_deref()),
            shown(detail.last_updated_at.as_deref()),
            shown(detail.broker_id),
            shown(detail.broker_version.as_deref()),
        ]);
    }
    text.push_str(&table(&rows));
    Ok(text)
}

fn to_json(value: &impl Serialize) -> Result<String, Failure> {
    serde_json::to_string_pretty(value)
        .map(|json| json + "\n")
        .map_err(|error| Failure::new(Code::Internal, format!("write JSON: {error}")))
}

fn shown(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

/// Columns as wide as their widest cell.
fn table(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = rows.iter().filter_map(|row| row.get(column));
            cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
        })
        .collect();
    let mut text = String::new();
    for row in rows {
        let cells = row.iter().zip(&widths);
        let line: String = cells
            .map(|(cell, width)| format!("{cell:<width$}  "))
            .collect();
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use skep_backup::{BackupId, PartitionId};

    use super::*;

    fn failed() -> Report {
        let mut first = PartitionStatus::new(PartitionId(1), BackupState::Completed);
        first.created_at_ms = Some(1_700_000_000_000);
        first.checkpoint_position = Some(42);
        let mut second = PartitionStatus::new(PartitionId(2), BackupState::Failed);
        second.failure_reason = Some("the bucket is gone".to_owned());
        Report::from(&BackupStatus::aggregate(BackupId(7), vec![first, second]))
    }

    #[test]
    fn the_list_shows_state_progress_and_reason() {
        let text = list(&[failed()], false).unwrap();
        assert_eq!(
            text,
            "BACKUP  STATE   PARTITIONS  TAKEN\n\
             7       FAILED  1/2         2023-11-14T22:13:20Z\n\
             \n7: Backup on partition 2 failed due to the bucket is gone.\n"
        );
    }

    #[test]
    fn an_empty_list_says_so_to_people_and_is_empty_for_programs() {
        assert_eq!(list(&[], false).unwrap(), "There are no backups.\n");
        assert_eq!(list(&[], true).unwrap(), "[]\n");
    }

    #[test]
    fn one_backup_is_shown_by_partition() {
        let text = show(&failed(), false).unwrap();
        assert!(
            text.starts_with("Backup 7 is FAILED: Backup on partition 2"),
            "{text}"
        );
        assert!(
            text.contains("1          COMPLETED  42        2023-11-14T22:13:20Z  -"),
            "{text}"
        );
    }

    #[test]
    fn json_is_read_back_as_written() {
        let json = show(&failed(), true).unwrap();
        assert_eq!(serde_json::from_str::<Report>(&json).unwrap(), failed());
        assert!(json.contains("\"checkpointPosition\": 42"), "{json}");
    }
}
