//! The backup store as configured.

use std::sync::Arc;

use skep_blob::{BlobRef, Credentials, LocalBlobStore, S3BlobStore, S3Config, probe};
use skep_config::{BackupStoreConfig, BrokerConfig, S3StoreConfig};
use tracing::{info, warn};

use crate::BrokerError;
use crate::clock::process_nonce;

/// Opens the store without asking it anything.
pub fn open_blob_store(config: &BackupStoreConfig) -> Result<BlobRef, BrokerError> {
    match config {
        BackupStoreConfig::Filesystem(path) => Ok(Arc::new(
            LocalBlobStore::open(path).map_err(BrokerError::blob("FILESYSTEM"))?,
        )),
        BackupStoreConfig::S3(s3) => {
            let store =
                S3BlobStore::new(&s3_config(s3)).map_err(|error| BrokerError::BackupStore {
                    kind: "S3",
                    reason: error.to_string(),
                })?;
            Ok(Arc::new(store))
        }
    }
}

fn s3_config(s3: &S3StoreConfig) -> S3Config {
    let credentials = match &s3.keys {
        Some((access, secret)) => Credentials::Given {
            access_key: access.reveal().to_owned(),
            secret_key: secret.reveal().to_owned(),
        },
        None => Credentials::Environment,
    };
    S3Config {
        endpoint: s3.endpoint.clone(),
        region: s3.region.clone(),
        credentials,
        path_style: s3.force_path_style_access,
        base_path: s3.base_path.clone().unwrap_or_default(),
        api_call_timeout: s3.api_call_timeout,
        connections_max: s3.max_concurrent_connections,
        ..S3Config::new(&s3.bucket_name)
    }
}

/// Opens the configured store, if there is one and backups are switched on, and finds out whether it can be used: a wrong
/// configuration is found at start and not at the first backup. A store that is merely down is reported and tried again later.
pub async fn open_configured_store(config: &BrokerConfig) -> Result<Option<BlobRef>, BrokerError> {
    if !config.backup.enabled {
        info!("backups are switched off by zeebe.broker.experimental.features.enableBackup");
        return Ok(None);
    }
    let Some(store_config) = &config.backup.store else {
        warn!("No backup store is configured. Backups will not be taken");
        return Ok(None);
    };
    let store = open_blob_store(store_config)?;
    let nonce = format!("{:016x}", process_nonce());
    match probe(&*store, &nonce).await {
        Ok(capabilities) => {
            info!(
                location = store.location(),
                conditional_put = capabilities.conditional_put,
                "the backup store can be used"
            );
            Ok(Some(store))
        }
        Err(error) if error.is_transient() => {
            warn!(%error, "the backup store cannot be reached now; backups fail until it can");
            Ok(Some(store))
        }
        Err(error) => {
            let kind = match store_config {
                BackupStoreConfig::S3(_) => "S3",
                BackupStoreConfig::Filesystem(_) => "FILESYSTEM",
            };
            Err(BrokerError::BackupStore {
                kind,
                reason: error.to_string(),
            })
        }
    }
}
