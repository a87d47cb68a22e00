//! Configuration: a YAML file and the environment, with Zeebe's names, into one typed, checked value.
//!
//! **Invariants**
//! - Every key is in [`properties::PROPERTIES`] with its default and meaning; a key that is not there is reported, never
//!   silently ignored. `config/application.yaml` is generated from that list, and a test keeps it so.
//! - The environment overrides the file.
//! - A [`Secret`] is never printed.
//!
//! **Absent on purpose**: every other crate of the project; what the values are used for.

mod authentication;
mod backup;
mod broker;
mod cluster;
mod error;
mod exporters;
mod flow_control;
mod gateway;
mod partitioning;
pub mod properties;
mod secret;
mod source;
mod tls;
mod units;

pub use authentication::{AuthenticationConfig, UserConfig};
pub use backup::{BackupConfig, BackupStoreConfig, S3StoreConfig, UploadFrom, UploadLimits};
pub use broker::{
    BrokerConfig, DataConfig, GatewayListenConfig, LongPolling, ManagementConfig, RestConfig,
};
pub use cluster::{ClusterConfig, ElectionConfig, InternalConfig, PARTITIONS_MAX};
pub use error::ConfigError;
pub use exporters::ExporterConfig;
pub use flow_control::FlowControlConfig;
pub use gateway::GatewayConfig;
pub use partitioning::Distribution;
pub use secret::Secret;
pub use source::Source;
pub use tls::TlsConfig;
