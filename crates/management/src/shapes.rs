//! JSON of the backups endpoints, as each version of Zeebe has it.

use jiff::Timestamp;
use serde_json::{Map, Value, json};
use skep_backup::{BackupState, BackupStatus, PartitionStatus};

fn timestamp(millis: Option<u64>) -> Option<String> {
    let millis = i64::try_from(millis?).ok()?;
    Timestamp::from_millisecond(millis)
        .ok()
        .map(|timestamp| timestamp.to_string())
}

/// What 8.1 says of a backup some of whose partitions are missing.
fn old_state(state: BackupState) -> &'static str {
    match state {
        BackupState::Incomplete => BackupState::DoesNotExist.as_str(),
        state => state.as_str(),
    }
}

/// A status for `GET /actuator/backups/{id}`: the fields of 8.1 (`status`, `partitions[].description`) and, beside them, those of
/// 8.2 and later (`state`, `details`), so that readers of either find theirs.
pub fn either(status: &BackupStatus) -> Value {
    let mut body = newer(status);
    if let Value::Object(fields) = &mut body {
        let old_status = match status.state {
            BackupState::Incomplete | BackupState::InProgress
                if status
                    .details
                    .iter()
                    .any(|detail| detail.state == BackupState::DoesNotExist) =>
            {
                BackupState::DoesNotExist.as_str()
            }
            state => old_state(state),
        };
        fields.insert("status".to_owned(), json!(old_status));
        fields.insert("failureReason".to_owned(), json!(status.failure_reason));
        fields.insert(
            "partitions".to_owned(),
            status.details.iter().map(old_partition).collect(),
        );
    }
    body
}

fn old_partition(detail: &PartitionStatus) -> Value {
    let described = matches!(
        detail.state,
        BackupState::Completed | BackupState::InProgress
    ) && detail.checkpoint_position.is_some();
    let description = described.then(|| {
        json!({
            "snapshotId": detail.snapshot_id.as_deref().unwrap_or(""),
            "checkpointPosition": detail.checkpoint_position,
            "brokerId": detail.broker_id,
            "brokerVersion": detail.broker_version,
        })
    });
    json!({
        "partitionId": detail.partition,
        "status": old_state(detail.state),
        "description": description,
        "failureReason": detail.failure_reason,
        "createdAt": timestamp(detail.created_at_ms),
        "lastUpdatedAt": timestamp(detail.last_updated_at_ms),
    })
}

/// A status as 8.2 and later have it; absent fields are left out.
pub fn newer(status: &BackupStatus) -> Value {
    let mut fields = Map::new();
    fields.insert("backupId".to_owned(), json!(status.backup_id));
    fields.insert("state".to_owned(), json!(status.state.as_str()));
    put(&mut fields, "failureReason", &status.failure_reason);
    fields.insert(
        "details".to_owned(),
        status.details.iter().map(newer_partition).collect(),
    );
    fields.into()
}

fn newer_partition(detail: &PartitionStatus) -> Value {
    let mut fields = listed_partition(detail);
    put(
        &mut fields,
        "lastUpdatedAt",
        &timestamp(detail.last_updated_at_ms),
    );
    put(&mut fields, "snapshotId", &detail.snapshot_id);
    if detail.state != BackupState::Failed {
        put(
            &mut fields,
            "checkpointPosition",
            &detail.checkpoint_position,
        );
        put(&mut fields, "brokerId", &detail.broker_id);
    } else {
        fields.remove("brokerVersion");
    }
    fields.into()
}

/// A status in a list.
pub fn listed(status: &BackupStatus) -> Value {
    let mut fields = Map::new();
    fields.insert("backupId".to_owned(), json!(status.backup_id));
    fields.insert("state".to_owned(), json!(status.state.as_str()));
    put(&mut fields, "failureReason", &status.failure_reason);
    let details: Value = status
        .details
        .iter()
        .map(|detail| Value::from(listed_partition(detail)))
        .collect();
    fields.insert("details".to_owned(), details);
    fields.into()
}

fn listed_partition(detail: &PartitionStatus) -> Map<String, Value> {
    let mut fields = Map::new();
    fields.insert("partitionId".to_owned(), json!(detail.partition));
    fields.insert("state".to_owned(), json!(detail.state.as_str()));
    put(&mut fields, "failureReason", &detail.failure_reason);
    put(&mut fields, "createdAt", &timestamp(detail.created_at_ms));
    put(&mut fields, "brokerVersion", &detail.broker_version);
    fields
}

fn put<T: serde::Serialize>(fields: &mut Map<String, Value>, name: &str, value: &Option<T>) {
    if let Some(value) = value {
        fields.insert(name.to_owned(), json!(value));
    }
}
