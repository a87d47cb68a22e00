//! Waiting until a backup has ended.

use std::io::IsTerminal;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use skep_backup::{BackupId, BackupState};
use tokio::time::Instant;

use crate::backup::Backend;
use crate::backup::report::{self, Report};
use crate::failure::{Code, Failure};

/// A status is a few small reads of the store.
const POLL_INTERVAL: Duration = Duration::from_millis(250);

/// Waits until the backup is completed, and fails if it has failed or is not completed in time.
pub async fn until_ended(
    backend: &Backend,
    id: BackupId,
    timeout: Duration,
    json: bool,
) -> Result<(), Failure> {
    let deadline = Instant::now() + timeout;
    let shown = Shown::new(id);
    loop {
        let report = backend.show(id).await?;
        shown.update(&report);
        if report.has_state(BackupState::Completed) {
            shown.end();
            print!("{}", ended(&report, json)?);
            return Ok(());
        }
        if report.has_state(BackupState::Failed) {
            shown.end();
            if json {
                print!("{}", report::show(&report, json)?);
            }
            let reason = report
                .failure_reason
                .as_deref()
                .unwrap_or("no reason was recorded");
            return Err(Failure::new(
                Code::BackupFailed,
                format!(
                    "backup {id} has failed: {} Mend the cause and take a backup with a higher id",
                    reason.trim()
                ),
            ));
        }
        if Instant::now() >= deadline {
            return Err(Failure::new(
                Code::TimedOut,
                format!(
                    "backup {id} is still {} after {}s: {} of {} partitions are completed. It goes on; wait again with a longer --timeout",
                    report.state,
                    timeout.as_secs(),
                    report.completed(),
                    report.details.len()
                ),
            ));
        }
        tokio::time::sleep_until((Instant::now() + POLL_INTERVAL).min(deadline)).await;
    }
}

fn ended(report: &Report, json: bool) -> Result<String, Failure> {
    if json {
        return report::show(report, json);
    }
    let partitions = report.details.len();
    Ok(format!(
        "Backup {} is completed ({partitions} partition{}).\n",
        report.backup_id,
        if partitions == 1 { "" } else { "s" }
    ))
}

/// A bar over the partitions on a terminal, nothing elsewhere.
struct Shown(Option<ProgressBar>);

impl Shown {
    fn new(id: BackupId) -> Shown {
        if !std::io::stderr().is_terminal() {
            return Shown(None);
        }
        let bar = ProgressBar::new(0).with_message(format!("backup {id}"));
        let style =
            ProgressStyle::with_template("{msg} {wide_bar} {pos}/{len} partitions {elapsed}");
        Shown(Some(match style {
            Ok(style) => bar.with_style(style),
            Err(_) => bar,
        }))
    }

    fn update(&self, report: &Report) {
        if let Some(bar) = &self.0 {
            bar.set_length(report.details.len() as u64);
            bar.set_position(report.completed() as u64);
        }
    }

    fn end(&self) {
        if let Some(bar) = &self.0 {
            bar.finish_and_clear();
        }
    }
}
