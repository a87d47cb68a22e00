//! `skep broker`.

use std::env;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use skep_backup::BackupId;
use skep_broker::{Broker, Listening};
use skep_config::{BackupStoreConfig, BrokerConfig};
use tracing::{info, warn};

use crate::cli::{ConfigArguments, RestoreArguments};
use crate::failure::{Code, Failure};
use crate::interrupt::Interrupts;
use crate::logging::{self, LogFormat};
use crate::{configuration, restore};

/// Runs a broker until a signal stops it; or a restore, if the environment says so.
pub async fn run(arguments: ConfigArguments) -> Result<(), Failure> {
    if let Some(backup_id) = restore_wanted()? {
        let arguments = RestoreArguments {
            backup_id,
            nonce: env::var("ZEEBE_RESTORE_NONCE").unwrap_or_default(),
            dry_run: false,
            config: arguments,
        };
        return restore::run(arguments).await;
    }
    let configuration = configuration::of_broker(arguments.config.as_deref())?;
    let (format, levels) = logging::begin();
    for warning in &configuration.warnings {
        warn!("{warning}");
    }
    let mut interrupts = Interrupts::listen()?;
    let config = configuration.read;
    let broker = tokio::select! {
        broker = Broker::start(config.clone(), levels) => broker?,
        signal = interrupts.next() => {
            info!(signal, "stopped while starting");
            return Ok(());
        }
    };
    let run = async {
        broker.settled().await;
        announce(&config, broker.listening(), format);
        std::future::pending::<()>().await;
    };
    let signal = tokio::select! {
        () = run => unreachable!("a broker runs until it is told to stop"),
        signal = interrupts.next() => signal,
        reason = broker.misplaced() => {
            broker.stop().await;
            return Err(Failure::new(Code::Start, reason));
        }
    };
    info!(signal, "stopping; a second signal stops at once");
    tokio::select! {
        () = broker.stop() => Ok(()),
        signal = interrupts.next() => Err(Failure::new(
            Code::Internal,
            format!("{signal} came twice: stopped at once. Nothing acknowledged is lost; the next start takes a little longer"),
        )),
    }
}

/// The backup that a container is asked to restore in place of running a broker.
fn restore_wanted() -> Result<Option<BackupId>, Failure> {
    let wanted = env::var("ZEEBE_RESTORE").is_ok_and(|value| value.eq_ignore_ascii_case("true"));
    if !wanted {
        return Ok(None);
    }
    let id = env::var("ZEEBE_RESTORE_FROM_BACKUP_ID").unwrap_or_default();
    match id.trim().parse::<i64>() {
        Ok(id) if id > 0 => Ok(Some(BackupId(id.unsigned_abs()))),
        _ => Err(Failure::new(
            Code::Usage,
            format!(
                "ZEEBE_RESTORE is true, but ZEEBE_RESTORE_FROM_BACKUP_ID is '{id}', not a positive number. Set it to the backup to restore"
            ),
        )),
    }
}

fn announce(config: &BrokerConfig, listening: Listening, format: LogFormat) {
    let gateway = listening
        .gateway
        .map_or_else(|| "none".to_owned(), |address| address.to_string());
    info!(gateway, management = %listening.management, partitions = config.partitions_count, "the broker is running");
    if format == LogFormat::Text {
        print!("{}", welcome(config, listening, &program()));
    }
}

/// How the user called us, so that what we print can be typed.
fn program() -> String {
    env::args().next().unwrap_or_else(|| "skep".to_owned())
}

fn welcome(config: &BrokerConfig, listening: Listening, program: &str) -> String {
    let mut text = format!(
        "\nSkep {} is running. Ctrl-C stops it.\n\n",
        skep_broker::VERSION
    );
    if let Some(gateway) = listening.gateway {
        text.push_str(&format!("  gateway (gRPC)     {}\n", reachable(gateway)));
    }
    if let Some(rest) = listening.rest {
        text.push_str(&format!(
            "  user tasks (REST)  http://{}\n",
            reachable(rest)
        ));
    }
    text.push_str(&format!(
        "  management (HTTP)  http://{}\n  data               {}\n  backups            {}\n",
        reachable(listening.management),
        config.data.directory.display(),
        backups(config),
    ));
    let to_gateway = match listening.gateway {
        Some(gateway) if gateway.port() != 26_500 => format!(" --gateway {}", reachable(gateway)),
        _ => String::new(),
    };
    let to_management = match listening.management {
        management if management.port() != 9600 => {
            format!(" --management http://{}", reachable(management))
        }
        _ => String::new(),
    };
    text.push_str("\nWhat to type next, in another terminal:\n\n");
    if listening.gateway.is_some() {
        text.push_str(&format!("  {program} deploy FILE.bpmn{to_gateway}\n"));
        text.push_str(&format!("  {program} start PROCESS_ID{to_gateway}\n"));
        text.push_str(&format!("  {program} work JOB_TYPE{to_gateway}\n"));
    }
    if config.backup.enabled && config.backup.store.is_some() {
        text.push_str(&format!("  {program} backup take 1{to_management}\n"));
    }
    text.push('\n');
    text
}

/// An address that can be typed: a wildcard is a place to listen on, not one to go to.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => {
            SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port())
        }
        _ => address,
    }
}

fn backups(config: &BrokerConfig) -> String {
    match &config.backup.store {
        _ if !config.backup.enabled => {
            "off (zeebe.broker.experimental.features.enableBackup)".to_owned()
        }
        None => "none (set ZEEBE_BROKER_DATA_BACKUP_STORE to FILESYSTEM or S3)".to_owned(),
        Some(BackupStoreConfig::Filesystem(path)) => path.display().to_string(),
        Some(BackupStoreConfig::S3(s3)) => format!("S3 bucket {}", s3.bucket_name),
    }
}

#[cfg(test)]
mod tests {
    use skep_config::Source;

    use super::*;

    fn config(variables: &[(&str, &str)]) -> BrokerConfig {
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        BrokerConfig::from_source(&Source::new("", "", variables).unwrap()).unwrap()
    }

    fn listening(gateway: &str, management: &str) -> Listening {
        Listening {
            gateway: Some(gateway.parse().unwrap()),
            rest: None,
            management: management.parse().unwrap(),
        }
    }

    #[test]
    fn the_welcome_names_addresses_that_can_be_typed() {
        let text = welcome(
            &config(&[]),
            listening("0.0.0.0:26500", "0.0.0.0:9600"),
            "skep",
        );
        assert!(text.contains("127.0.0.1:26500"), "{text}");
        assert!(text.contains("http://127.0.0.1:9600"), "{text}");
        assert!(!text.contains("--gateway"), "{text}");
        assert!(!text.contains("backup take"), "there is no store: {text}");
    }

    #[test]
    fn the_welcome_names_ports_that_are_not_the_usual_ones() {
        let config = config(&[
            ("ZEEBE_BROKER_DATA_BACKUP_STORE", "filesystem"),
            ("ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH", "/backups"),
        ]);
        let text = welcome(&config, listening("0.0.0.0:1", "127.0.0.2:2"), "bin/skep");
        assert!(
            text.contains("bin/skep start PROCESS_ID --gateway 127.0.0.1:1\n"),
            "{text}"
        );
        assert!(
            text.contains("backup take 1 --management http://127.0.0.2:2\n"),
            "{text}"
        );
        assert!(text.contains("/backups"), "{text}");
    }

    #[test]
    fn the_welcome_shows_no_secret() {
        let config = config(&[
            ("ZEEBE_BROKER_DATA_BACKUP_STORE", "S3"),
            ("ZEEBE_BROKER_DATA_BACKUP_S3_BUCKETNAME", "bucket"),
            ("ZEEBE_BROKER_DATA_BACKUP_S3_REGION", "here"),
            ("ZEEBE_BROKER_DATA_BACKUP_S3_ACCESSKEY", "the-access-key"),
            ("ZEEBE_BROKER_DATA_BACKUP_S3_SECRETKEY", "the-secret-key"),
        ]);
        let text = welcome(&config, listening("0.0.0.0:1", "0.0.0.0:2"), "skep");
        assert!(text.contains("S3 bucket bucket"), "{text}");
        assert!(!text.contains("the-"), "{text}");
    }
}
