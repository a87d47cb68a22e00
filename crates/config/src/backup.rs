//! Where backups go.

use std::path::PathBuf;
use std::time::Duration;

use crate::{ConfigError, Secret, Source};

/// All about backups.
#[derive(Debug, Clone)]
pub struct BackupConfig {
    /// Whether backups can be taken.
    pub enabled: bool,
    /// Where they go; `None` if nowhere.
    pub store: Option<BackupStoreConfig>,
    /// What bounds an upload.
    pub upload: UploadLimits,
    /// Which replica stores a partition's content.
    pub upload_from: UploadFrom,
    /// Whether restore refuses a backup of another partition count.
    pub validate_config: bool,
}

/// A place for backups.
#[derive(Debug, Clone)]
pub enum BackupStoreConfig {
    /// A directory that exists.
    Filesystem(PathBuf),
    /// A bucket of an S3-compatible server.
    S3(S3StoreConfig),
}

/// A bucket of an S3-compatible server.
#[derive(Debug, Clone)]
pub struct S3StoreConfig {
    /// Its name.
    pub bucket_name: String,
    /// Address of the server; `None` for AWS's of the region.
    pub endpoint: Option<String>,
    /// Region.
    pub region: Option<String>,
    /// Keys; `None` for the environment's.
    pub keys: Option<(Secret, Secret)>,
    /// How long one call may take, repetitions included.
    pub api_call_timeout: Duration,
    /// Whether the bucket stands in the path.
    pub force_path_style_access: bool,
    /// Prefix of all keys.
    pub base_path: Option<String>,
    /// How many calls may be under way at once.
    pub max_concurrent_connections: usize,
}

/// What bounds the upload of one partition.
#[derive(Debug, Clone, Copy)]
pub struct UploadLimits {
    /// How long it may take.
    pub timeout: Duration,
    /// Bandwidth; `None` for no limit.
    pub bytes_per_second: Option<u64>,
}

/// Which replica of a partition stores its content for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum UploadFrom {
    /// The leader.
    #[default]
    Leader,
    /// A follower, to spare the leader; the leader where none can.
    Follower,
}

impl BackupConfig {
    /// Reads and checks.
    pub fn from_source(source: &Source) -> Result<BackupConfig, ConfigError> {
        let rate = source.bytes("zeebe.broker.data.backup.uploadBytesPerSecond")?;
        Ok(BackupConfig {
            enabled: source.boolean("zeebe.broker.experimental.features.enableBackup")?,
            store: store(source)?,
            upload: UploadLimits {
                timeout: source.duration("zeebe.broker.data.backup.uploadTimeout")?,
                bytes_per_second: (rate > 0).then_some(rate),
            },
            upload_from: upload_from(source)?,
            validate_config: source.boolean("zeebe.restore.validateConfig")?,
        })
    }
}

fn upload_from(source: &Source) -> Result<UploadFrom, ConfigError> {
    let key = "zeebe.broker.data.backup.uploadFrom";
    let from = source.text(key);
    match from.trim().to_ascii_uppercase().as_str() {
        "LEADER" => Ok(UploadFrom::Leader),
        "FOLLOWER" => Ok(UploadFrom::Follower),
        _ => Err(source.wrong(key, &from, "LEADER or FOLLOWER")),
    }
}

fn store(source: &Source) -> Result<Option<BackupStoreConfig>, ConfigError> {
    let key = "zeebe.broker.data.backup.store";
    let kind = source.text(key);
    match kind.trim().to_ascii_uppercase().as_str() {
        "NONE" => Ok(None),
        "S3" => s3(source).map(|s3| Some(BackupStoreConfig::S3(s3))),
        "FILESYSTEM" => {
            let path = source.optional_text("zeebe.broker.data.backup.filesystem.basePath").ok_or_else(|| {
                ConfigError::Incomplete(
                    "Configuration for FILESYSTEM backup store is incomplete. basePath must not be empty: set \
                     zeebe.broker.data.backup.filesystem.basePath (ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH) to an existing directory."
                        .to_owned(),
                )
            })?;
            Ok(Some(BackupStoreConfig::Filesystem(path.into())))
        }
        _ => Err(source.wrong(key, &kind, "NONE, S3 or FILESYSTEM")),
    }
}

fn s3(source: &Source) -> Result<S3StoreConfig, ConfigError> {
    let bucket_name = source
        .optional_text("zeebe.broker.data.backup.s3.bucketName")
        .ok_or_else(|| {
            ConfigError::Incomplete(
            "Configuration for S3 backup store is incomplete. bucketName must not be empty: set \
             zeebe.broker.data.backup.s3.bucketName (ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME)."
                .to_owned(),
        )
        })?;
    let access = source.optional_text("zeebe.broker.data.backup.s3.accessKey");
    let secret = source.optional_text("zeebe.broker.data.backup.s3.secretKey");
    let base_path = source.optional_text("zeebe.broker.data.backup.s3.basePath");
    if let Some(path) = &base_path
        && (path.starts_with('/') || path.ends_with('/'))
    {
        return Err(source.wrong(
            "zeebe.broker.data.backup.s3.basePath",
            path,
            "a prefix without slash at its ends",
        ));
    }
    let endpoint = source.optional_text("zeebe.broker.data.backup.s3.endpoint");
    let region = source
        .optional_text("zeebe.broker.data.backup.s3.region")
        .or_else(|| source.variable("AWS_REGION").map(str::to_owned))
        .or_else(|| source.variable("AWS_DEFAULT_REGION").map(str::to_owned));
    if endpoint.is_none() && region.is_none() {
        return Err(ConfigError::Incomplete(
            "Configuration for S3 backup store is incomplete. Set zeebe.broker.data.backup.s3.endpoint \
             (ZEEBE_BROKER_DATA_BACKUP_S3_ENDPOINT), or zeebe.broker.data.backup.s3.region or AWS_REGION from which it follows."
                .to_owned(),
        ));
    }
    Ok(S3StoreConfig {
        bucket_name,
        endpoint,
        region,
        keys: access
            .zip(secret)
            .map(|(access, secret)| (Secret::new(&access), Secret::new(&secret))),
        api_call_timeout: source.duration("zeebe.broker.data.backup.s3.apiCallTimeout")?,
        force_path_style_access: source
            .boolean("zeebe.broker.data.backup.s3.forcePathStyleAccess")?,
        base_path,
        max_concurrent_connections: source.number(
            "zeebe.broker.data.backup.s3.maxConcurrentConnections",
            1,
            1024,
        )? as usize,
    })
}
