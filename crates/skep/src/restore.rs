//! `skep restore`.

use std::io::IsTerminal;
use std::path::Path;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use skep_backup::{BackupId, Cancel, PartitionId, Progress, RestoreError};
use skep_broker::{Restored, open_blob_store, restore};
use tracing::{info, warn};

use crate::cli::RestoreArguments;
use crate::configuration;
use crate::failure::{Code, Failure};
use crate::interrupt::Interrupts;
use crate::logging;

/// Rebuilds the data directory, or says what would be done.
pub async fn run(arguments: RestoreArguments) -> Result<(), Failure> {
    let configuration = configuration::of_broker(arguments.config.config.as_deref())?;
    logging::begin();
    for warning in &configuration.warnings {
        warn!("{warning}");
    }
    let config = configuration.read;
    let id = arguments.backup_id;
    let Some(store) = &config.backup.store else {
        return Err(Failure::new(
            Code::Usage,
            "No backup store configured, cannot restore from backup. Use the configuration of the broker that took it \
             (zeebe.broker.data.backup.store and the keys below it)",
        ));
    };
    // Only opened, not probed: probing writes, and reading is all that a restore needs to be allowed.
    let store = open_blob_store(store)?;
    info!(
        store = store.location(),
        directory = %config.data.directory.display(),
        "Starting to restore from backup {id}"
    );
    let mut interrupts = Interrupts::listen()?;
    let progress: Arc<dyn Progress> = if std::io::stderr().is_terminal() {
        Arc::new(Bar::new())
    } else {
        Arc::new(Lines::default())
    };
    let cancel = Cancel::new();
    let mut restoring = pin!(restore(
        &config,
        &store,
        (id, &arguments.nonce),
        arguments.dry_run,
        progress,
        cancel.clone()
    ));
    let restored = tokio::select! {
        restored = &mut restoring => restored,
        signal = interrupts.next() => {
            info!(signal, "stopping the restore");
            cancel.cancel();
            tokio::select! {
                restored = restoring => restored,
                // A store that does not answer holds the orderly way up.
                _ = interrupts.next() => return Err(stopped_at_once()),
            }
        }
    };
    say(&restored?, id, &config.data.directory);
    Ok(())
}

/// How it has ended.
fn say(restored: &Restored, id: BackupId, directory: &Path) {
    match restored {
        Restored::Done => info!("Successfully restored broker from backup {id}"),
        Restored::Already { has_run } => {
            info!(
                "{} was restored from backup {id} before; nothing was touched",
                directory.display()
            );
            if *has_run {
                warn!(
                    "a broker has run on it since. To restore backup {id} once more, empty the data directories of all brokers, and restore each of them with the same new --nonce, which keeps those out that were forgotten"
                );
            }
        }
        Restored::WouldDo {
            partitions,
            chunks,
            stored_bytes,
        } => info!(
            partitions,
            chunks,
            "Dry run: backup {id} can be restored into {}; {} would be read. Nothing was changed",
            directory.display(),
            HumanBytes(*stored_bytes)
        ),
    }
}

fn stopped_at_once() -> Failure {
    Failure::new(
        Code::Restore(RestoreError::Cancelled.exit_code()),
        "the restore was stopped at once. Run it again: it removes what it has written and begins anew",
    )
}

/// One bar over all partitions.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Bar {
        let style =
            ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}");
        let bar = ProgressBar::new(0);
        Bar(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        })
    }
}

impl Progress for Bar {
    fn begin(&self, _: PartitionId, _: u64, bytes: u64) {
        self.0.inc_length(bytes);
    }

    fn advance(&self, _: PartitionId, _: u64, bytes: u64) {
        self.0.inc(bytes);
    }
}

/// A log line for every tenth, where there is no terminal.
#[derive(Default)]
struct Lines {
    total: AtomicU64,
    done: AtomicU64,
}

impl Lines {
    /// Tenths done before and after `bytes` more.
    fn count(&self, bytes: u64) -> (u64, u64) {
        let before = self.done.fetch_add(bytes, Ordering::Relaxed);
        let total = self.total.load(Ordering::Relaxed).max(1);
        let tenth =
            |done: u64| u64::try_from(u128::from(done) * 10 / u128::from(total)).unwrap_or(10);
        (tenth(before), tenth(before + bytes))
    }
}

impl Progress for Lines {
    fn begin(&self, partition: PartitionId, chunks: u64, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
        info!(%partition, chunks, bytes, "restoring a partition");
    }

    fn advance(&self, _: PartitionId, _: u64, bytes: u64) {
        let (before, after) = self.count(bytes);
        if after > before {
            info!("restored {} % of what is known so far", after * 10);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_told_in_tenths() {
        let lines = Lines::default();
        lines.begin(PartitionId(1), 4, 60);
        lines.begin(PartitionId(2), 4, 40);
        assert_eq!(lines.count(9), (0, 0));
        assert_eq!(lines.count(1), (0, 1));
        assert_eq!(lines.count(90), (1, 10));
    }

    #[test]
    fn an_empty_backup_has_no_progress_to_divide_by() {
        assert_eq!(Lines::default().count(0), (0, 0));
    }

    #[test]
    fn the_bar_has_a_valid_template() {
        assert!(
            ProgressStyle::with_template("{wide_bar} {bytes}/{total_bytes} {bytes_per_sec} {eta}")
                .is_ok()
        );
    }
}
