//! Taking a backup: one checkpoint on every partition, and whether that counts as success.

use std::time::Duration;

use futures::future::join_all;
use skep_backup::{BackupId, BackupState};
use tokio::time::timeout;

use crate::{Node, RequestError};

/// Why a backup was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TakeError {
    /// The id is not higher than the latest.
    Stale {
        /// The id asked for.
        requested: u64,
        /// The latest.
        latest: u64,
    },
    /// The store has a backup of that id, of which no partition knows.
    Foreign {
        /// The id asked for.
        requested: u64,
    },
    /// A partition could not be asked.
    Request(RequestError),
}

/// Takes backup `id`.
///
/// An id that some partition is past is refused before any other partition takes the checkpoint, so that no partial backup
/// comes of it. An id that *all* have is stale; one that only some have goes on on the others: an earlier attempt was cut short.
/// An id that only the store has is that of another life of the cluster. A store that does not answer within `patience` is not waited for: an upload
/// finds the same out.
pub async fn take(node: &dyn Node, id: BackupId, patience: Duration) -> Result<(), TakeError> {
    let partitions = 1..=node.partition_count();
    let latest = join_all(
        partitions
            .clone()
            .map(|partition| node.latest_checkpoint(partition)),
    )
    .await;
    let latest: Vec<Option<u64>> = latest
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(TakeError::Request)?;
    let highest = latest.iter().flatten().max().copied().unwrap_or(0);
    let stale = TakeError::Stale {
        requested: id.0,
        latest: highest,
    };
    if highest > id.0 || latest.iter().all(|latest| *latest == Some(id.0)) {
        return Err(stale);
    }
    if highest < id.0
        && let Ok(Ok(stored)) = timeout(patience, node.stored_backup(id)).await
        && stored.state != BackupState::DoesNotExist
    {
        return Err(TakeError::Foreign { requested: id.0 });
    }
    let answers = join_all(partitions.map(|partition| node.create_checkpoint(partition, id))).await;
    let answers: Vec<_> = answers
        .into_iter()
        .collect::<Result<_, _>>()
        .map_err(TakeError::Request)?;
    let highest = answers
        .iter()
        .map(|answer| answer.latest)
        .max()
        .unwrap_or(0);
    if answers.iter().any(|answer| answer.created) && highest == id.0 {
        Ok(())
    } else {
        Err(TakeError::Stale {
            requested: id.0,
            latest: highest,
        })
    }
}

impl TakeError {
    /// The text for the operator.
    pub fn message(&self) -> String {
        match self {
            TakeError::Stale { requested, latest } => format!(
                "Requested backup has id {requested}. The latest backup has id {latest}. Id of new backups must be higher than the previous one. "
            ),
            TakeError::Foreign { requested } => format!(
                "Requested backup has id {requested}, which the backup store has already: of this cluster before it was restored, or of another one that uses the same place. Take a backup with an id above all that GET /actuator/backups shows"
            ),
            TakeError::Request(error) => error.message(),
        }
    }

    /// The HTTP status of the newer paths.
    pub fn status(&self) -> u16 {
        match self {
            TakeError::Stale { .. } | TakeError::Foreign { .. } => 409,
            TakeError::Request(error) => error.status(),
        }
    }
}

impl RequestError {
    /// The text for the operator.
    pub fn message(&self) -> String {
        match self {
            RequestError::Disabled => {
                "Backup feature is disabled for this cluster. To use this feature, enable it in the broker configuration and restart the cluster.".to_owned()
            }
            RequestError::NoStore => {
                "Cannot process backup requests. No backup store is configured. To use this feature, configure backup in broker configuration.".to_owned()
            }
            RequestError::Timeout(text) => format!("Request from gateway to broker timed out. {text}"),
            RequestError::NoLeader(text)
            | RequestError::Lost(text)
            | RequestError::Exhausted(text)
            | RequestError::Failed(text) => text.clone(),
        }
    }

    /// The HTTP status of the newer paths.
    pub fn status(&self) -> u16 {
        match self {
            RequestError::Disabled | RequestError::NoStore => 400,
            RequestError::NoLeader(_) | RequestError::Lost(_) => 502,
            RequestError::Exhausted(_) => 503,
            RequestError::Timeout(_) => 504,
            RequestError::Failed(_) => 500,
        }
    }
}
