//! Backups straight on the store that the broker's configuration names; no broker is needed.

use std::path::Path;

use indicatif::HumanBytes;
use skep_backup::{
    BackupError, BackupId, RetryPolicy, Sample, VerifyReport, delete_backup, list_backups,
    read_status, verify_backup,
};
use skep_blob::BlobRef;
use skep_broker::{now_ms, open_blob_store};

use crate::backup::progress;
use crate::backup::report::Report;
use crate::configuration;
use crate::failure::{Code, Failure};

/// Chunks read at once; each takes a few MiB of memory.
const READS: usize = 8;

/// The configured store.
pub struct Store {
    blobs: BlobRef,
    partition_count: u32,
}

impl Store {
    pub fn open(config: Option<&Path>) -> Result<Store, Failure> {
        let configuration = configuration::of_broker(config)?;
        for warning in &configuration.warnings {
            eprintln!("warning: {warning}");
        }
        let config = configuration.read;
        let Some(store) = &config.backup.store else {
            return Err(Failure::new(
                Code::Usage,
                "no backup store is configured. Use the configuration of the broker: --config, or \
                 ZEEBE_BROKER_DATA_BACKUP_STORE and what belongs to it in the environment",
            ));
        };
        Ok(Store {
            blobs: open_blob_store(store)?,
            partition_count: config.partitions_count,
        })
    }

    pub async fn list(&self) -> Result<Vec<Report>, Failure> {
        let retry = RetryPolicy::default();
        let all = list_backups(&*self.blobs, self.partition_count, now_ms(), &retry).await;
        Ok(all.map_err(failure)?.iter().map(Report::from).collect())
    }

    pub async fn show(&self, id: BackupId) -> Result<Report, Failure> {
        let retry = RetryPolicy::default();
        let status = read_status(&*self.blobs, id, self.partition_count, now_ms(), &retry).await;
        Ok(Report::from(&status.map_err(failure)?))
    }

    pub async fn delete(&self, id: BackupId) -> Result<(), Failure> {
        delete_backup(&*self.blobs, id, &RetryPolicy::default())
            .await
            .map_err(failure)
    }

    /// Reads a backup back and says what is wrong with it.
    pub async fn verify(&self, id: BackupId, sample: Sample, json: bool) -> Result<(), Failure> {
        let retry = RetryPolicy::default();
        let progress = progress::shown();
        let report = verify_backup(&self.blobs, id, sample, &*progress, READS, &retry).await;
        drop(progress);
        let report = report.map_err(failure)?;
        print!("{}", verified(id, &report, json));
        if report.is_sound() {
            return Ok(());
        }
        Err(Failure::new(
            Code::Damaged,
            format!(
                "backup {id} is damaged and cannot be restored. Restore the objects named from a copy of the store, or take another backup"
            ),
        ))
    }
}

fn verified(id: BackupId, report: &VerifyReport, json: bool) -> String {
    if json {
        let damages: Vec<_> = report
            .damages
            .iter()
            .map(|damage| {
                serde_json::json!({
                    "partitionId": damage.partition,
                    "chunk": damage.chunk,
                    "path": damage.path,
                    "damage": damage.kind.to_string(),
                })
            })
            .collect();
        let body = serde_json::json!({
            "backupId": id,
            "sound": report.is_sound(),
            "partitions": report.partitions,
            "chunksChecked": report.chunks_checked,
            "chunksSkipped": report.chunks_skipped,
            "bytesRead": report.bytes_read,
            "damages": damages,
        });
        return format!("{body}\n");
    }
    let mut text = String::new();
    for damage in &report.damages {
        text.push_str(&format!(
            "partition {}, chunk {}: {} is {}\n",
            damage.partition, damage.chunk, damage.path, damage.kind
        ));
    }
    if report.is_sound() {
        text.push_str(&format!(
            "Backup {id} is sound: {} chunks of {} partitions read, {}",
            report.chunks_checked,
            report.partitions,
            HumanBytes(report.bytes_read)
        ));
        if report.chunks_skipped > 0 {
            text.push_str(&format!(
                "; {} chunks not in the sample",
                report.chunks_skipped
            ));
        }
        text.push('\n');
    }
    text
}

fn failure(error: BackupError) -> Failure {
    let code = match &error {
        BackupError::NotFound { .. } => Code::NotFound,
        BackupError::Damaged { .. } | BackupError::TooNew { .. } => Code::Damaged,
        BackupError::Store(_) => Code::Unreachable,
        _ => Code::Internal,
    };
    Failure::new(code, error.to_string())
}
