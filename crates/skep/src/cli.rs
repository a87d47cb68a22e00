//! Commands and their options.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use skep_backup::{BackupId, Sample};

/// A workflow broker that Zeebe's clients use unmodified, with backup and restore at its heart.
#[derive(Debug, Parser)]
#[command(name = "skep", version, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  skep broker                                run a broker
  skep deploy order.bpmn                     deploy a process
  skep start order --variables '{\"id\": 1}'   start an instance
  skep work payment                          work on jobs of a type
  skep backup take 1                         take a backup while all of this goes on
  skep restore --backupId=1                  rebuild an empty data directory from it

Exit codes: docs/exit-codes.md. Configuration: config/application.yaml and the environment.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a broker with its gateway and management API.
    #[command(after_help = BROKER_HELP)]
    Broker(ConfigArguments),
    /// Run a gateway of its own, for the brokers of a cluster.
    Gateway(ConfigArguments),
    /// Rebuild the data directory from a backup, while no broker runs on it.
    #[command(after_help = RESTORE_HELP)]
    Restore(RestoreArguments),
    /// Take, list, show, verify, delete and wait for backups.
    Backup(BackupArguments),
    /// Show brokers and partitions as clients see them.
    Status(GatewayArguments),
    /// Deploy BPMN files.
    #[command(after_help = "Example:\n  skep deploy order.bpmn shipping.bpmn")]
    Deploy(DeployArguments),
    /// Start process instances.
    #[command(
        after_help = "Example:\n  skep start order --variables '{\"amount\": 12}' --count 100"
    )]
    Start(StartArguments),
    /// Activate jobs of a type and complete them, also while partitions change their leaders.
    #[command(after_help = "Example:\n  skep work payment --variables '{\"paid\": true}' --max 10")]
    Work(WorkArguments),
}

const BROKER_HELP: &str = "\
Examples:
  skep broker
  skep broker --config /etc/skep/application.yaml
  ZEEBE_BROKER_DATA_BACKUP_STORE=FILESYSTEM ZEEBE_BROKER_DATA_BACKUP_FILESYSTEM_BASEPATH=/backups skep broker

With ZEEBE_RESTORE=true and ZEEBE_RESTORE_FROM_BACKUP_ID=N in the environment it restores instead and ends.
SIGTERM and SIGINT stop it in order.";

const RESTORE_HELP: &str = "\
Examples:
  skep restore --backupId=1
  skep restore --backupId=1 --dry-run
  skep restore --backupId=1 --nonce=2026-11-30

It reads the configuration of the broker. The data directory must be empty or absent; a failure leaves it as it was, and
the restore can be run again. A second run over a successful one changes nothing and exits 0.";

/// More would not tell more restores apart.
const NONCE_BYTES_MAX: usize = 255;

/// Where the configuration is.
#[derive(Debug, Clone, Args)]
pub struct ConfigArguments {
    /// Configuration file [default: config/application.yaml here or in the distribution, if it exists]
    #[arg(long, value_name = "FILE", env = "SKEP_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `skep restore`.
#[derive(Debug, Args)]
pub struct RestoreArguments {
    /// The backup to restore
    #[arg(long = "backupId", alias = "backup-id", value_name = "ID", value_parser = backup_id,
          env = "ZEEBE_RESTORE_FROM_BACKUP_ID")]
    pub backup_id: BackupId,
    /// Any text, the same on all brokers, to restore a backup once more: brokers of an earlier restore of it, which have another, cannot join then
    #[arg(long, value_name = "TEXT", default_value = "", value_parser = nonce, env = "ZEEBE_RESTORE_NONCE")]
    pub nonce: String,
    /// Check everything and say what would be done, but change nothing
    #[arg(long)]
    pub dry_run: bool,
    #[command(flatten)]
    pub config: ConfigArguments,
}

/// `skep backup`.
#[derive(Debug, Args)]
pub struct BackupArguments {
    #[command(subcommand)]
    pub command: BackupCommand,
    #[command(flatten)]
    pub source: BackupSource,
}

/// Whom to ask about backups.
#[derive(Debug, Args)]
pub struct BackupSource {
    /// Management API of a broker
    #[arg(
        long,
        global = true,
        value_name = "URL",
        default_value = "http://127.0.0.1:9600",
        env = "SKEP_MANAGEMENT"
    )]
    pub management: String,
    #[command(flatten)]
    pub tls: TlsArguments,
    /// Ask the backup store of the configuration instead; works without a broker
    #[arg(long, global = true)]
    pub store: bool,
    /// Configuration file for --store and verify [default: as the broker's]
    #[arg(long, global = true, value_name = "FILE", env = "SKEP_CONFIG")]
    pub config: Option<PathBuf>,
    /// Print JSON for programs
    #[arg(long, global = true)]
    pub json: bool,
}

/// What to do about backups.
#[derive(Debug, Subcommand)]
pub enum BackupCommand {
    /// Take a backup; its id must be higher than that of every earlier one.
    #[command(after_help = "Examples:\n  skep backup take 1\n  skep backup take 20260101 --wait")]
    Take {
        /// Id of the new backup, a positive number
        #[arg(value_parser = backup_id)]
        id: BackupId,
        /// Wait until it is completed or has failed
        #[arg(long)]
        wait: bool,
        /// How long to wait
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
        timeout: Duration,
    },
    /// List all backups.
    #[command(after_help = "Examples:\n  skep backup list\n  skep backup list --store --json")]
    List,
    /// Show one backup, partition by partition.
    #[command(after_help = "Example:\n  skep backup show 1")]
    Show {
        /// Id of the backup
        #[arg(value_parser = backup_id)]
        id: BackupId,
    },
    /// Read a backup back and check every hash and reference, straight from the store.
    #[command(
        after_help = "Examples:\n  skep backup verify 1\n  skep backup verify 1 --sample 1/7    every seventh chunk"
    )]
    Verify {
        /// Id of the backup
        #[arg(value_parser = backup_id)]
        id: BackupId,
        /// Read part N of M only
        #[arg(long, value_name = "N/M", value_parser = sample, default_value = "1/1")]
        sample: Sample,
    },
    /// Delete a backup.
    #[command(after_help = "Example:\n  skep backup delete 1")]
    Delete {
        /// Id of the backup
        #[arg(value_parser = backup_id)]
        id: BackupId,
    },
    /// Wait until a backup is completed or has failed.
    #[command(after_help = "Example:\n  skep backup wait 1 --timeout 10m")]
    Wait {
        /// Id of the backup
        #[arg(value_parser = backup_id)]
        id: BackupId,
        /// How long to wait
        #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10m")]
        timeout: Duration,
    },
}

/// Whom to ask about processes.
#[derive(Debug, Args)]
pub struct GatewayArguments {
    /// Address of the gateway; with https:// before it TLS is spoken
    #[arg(
        long,
        value_name = "HOST:PORT",
        default_value = "127.0.0.1:26500",
        env = "ZEEBE_ADDRESS"
    )]
    pub gateway: String,
    /// Whether to do without TLS, where the address does not say [default: unless --tls-ca is given]
    #[arg(
        long,
        value_name = "BOOL",
        num_args = 0..=1,
        default_missing_value = "true",
        env = "ZEEBE_INSECURE_CONNECTION"
    )]
    pub insecure: Option<bool>,
    #[command(flatten)]
    pub tls: TlsArguments,
    #[command(flatten)]
    pub credentials: CredentialArguments,
}

/// Whom to trust, and what to show to whoever asks for a certificate.
#[derive(Debug, Default, Args)]
pub struct TlsArguments {
    /// PEM file of authorities to trust [default: the system's]
    #[arg(
        long = "tls-ca",
        global = true,
        value_name = "FILE",
        env = "ZEEBE_CA_CERTIFICATE_PATH"
    )]
    pub authorities: Option<PathBuf>,
    /// PEM file of a certificate to show
    #[arg(
        long = "tls-certificate",
        global = true,
        value_name = "FILE",
        env = "SKEP_TLS_CERTIFICATE"
    )]
    pub certificate: Option<PathBuf>,
    /// PEM file of its key
    #[arg(
        long = "tls-key",
        global = true,
        value_name = "FILE",
        env = "SKEP_TLS_KEY"
    )]
    pub key: Option<PathBuf>,
}

/// Who calls. Secrets are better given by the environment, which other users do not see.
#[derive(Debug, Default, Args)]
pub struct CredentialArguments {
    /// User, where the gateway wants user and password
    #[arg(long, value_name = "NAME", env = "CAMUNDA_BASIC_AUTH_USERNAME")]
    pub username: Option<String>,
    /// The user's password
    #[arg(
        long,
        value_name = "PASSWORD",
        env = "CAMUNDA_BASIC_AUTH_PASSWORD",
        hide_env_values = true
    )]
    pub password: Option<String>,
    /// Token, where the gateway wants one
    #[arg(
        long,
        value_name = "TOKEN",
        env = "CAMUNDA_OAUTH_TOKEN",
        hide_env_values = true
    )]
    pub token: Option<String>,
    /// Client id, to get a token from an identity provider
    #[arg(long, value_name = "ID", env = "ZEEBE_CLIENT_ID")]
    pub client_id: Option<String>,
    /// The client's secret
    #[arg(
        long,
        value_name = "SECRET",
        env = "ZEEBE_CLIENT_SECRET",
        hide_env_values = true
    )]
    pub client_secret: Option<String>,
    /// Where the identity provider gives tokens
    #[arg(long, value_name = "URL", env = "ZEEBE_AUTHORIZATION_SERVER_URL")]
    pub authorization_server: Option<String>,
    /// Audience that the token is to name
    #[arg(long, value_name = "NAME", env = "ZEEBE_TOKEN_AUDIENCE")]
    pub audience: Option<String>,
    /// Scope that the token is to have
    #[arg(long, value_name = "NAME", env = "ZEEBE_TOKEN_SCOPE")]
    pub scope: Option<String>,
}

/// `skep deploy`.
#[derive(Debug, Args)]
pub struct DeployArguments {
    /// Files to deploy together
    #[arg(required = true, value_name = "FILE")]
    pub files: Vec<PathBuf>,
    #[command(flatten)]
    pub gateway: GatewayArguments,
}

/// `skep start`.
#[derive(Debug, Args)]
pub struct StartArguments {
    /// Id of the process as in its BPMN file
    pub process_id: String,
    /// Variables of each instance, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub variables: String,
    /// How many instances to start
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    pub count: u64,
    #[command(flatten)]
    pub gateway: GatewayArguments,
}

/// `skep work`.
#[derive(Debug, Args)]
pub struct WorkArguments {
    /// Type of the jobs
    #[arg(value_name = "TYPE")]
    pub job_type: String,
    /// Stop after so many jobs [default: go on until stopped]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max: Option<u64>,
    /// Stop when no job has come for so long [default: go on until stopped]
    #[arg(long, value_name = "TIME", value_parser = duration)]
    pub idle: Option<Duration>,
    /// Variables to complete each job with, a JSON object
    #[arg(long, value_name = "JSON", default_value = "{}")]
    pub variables: String,
    #[command(flatten)]
    pub gateway: GatewayArguments,
}

fn nonce(text: &str) -> Result<String, String> {
    match text.len() <= NONCE_BYTES_MAX {
        true => Ok(text.to_owned()),
        false => Err(format!("it has more than {NONCE_BYTES_MAX} bytes")),
    }
}

fn backup_id(text: &str) -> Result<BackupId, String> {
    match text.parse::<i64>() {
        Ok(id) if id > 0 => Ok(BackupId(id.unsigned_abs())),
        _ => Err("a backup id is a whole number from 1 to 9223372036854775807".to_owned()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let parsed: Option<jiff::SignedDuration> = text.parse().ok();
    parsed
        .and_then(|duration| Duration::try_from(duration).ok())
        .ok_or_else(|| "expected a time such as 30s, 10m or 1h".to_owned())
}

fn sample(text: &str) -> Result<Sample, String> {
    text.split_once('/')
        .and_then(|(part, of)| Sample::new(part.parse().ok()?, of.parse().ok()?))
        .ok_or_else(|| "expected N/M with 1 <= N <= M, such as 1/7".to_owned())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    fn restore_id(arguments: &[&str]) -> Option<u64> {
        let line = ["skep", "restore"].iter().chain(arguments);
        match Cli::try_parse_from(line).ok()?.command {
            Command::Restore(arguments) => Some(arguments.backup_id.0),
            _ => None,
        }
    }

    #[test]
    fn the_definition_of_the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_backup_id_is_taken_in_zeebes_spelling_and_in_ours() {
        for spelling in [
            &["--backupId=7"][..],
            &["--backup-id=7"],
            &["--backupId", "7"],
            &["--backup-id", "7"],
        ] {
            assert_eq!(restore_id(spelling), Some(7), "{spelling:?}");
        }
    }

    #[test]
    fn a_backup_id_that_is_no_positive_number_is_refused() {
        for id in ["0", "-1", "x", "", "9223372036854775808", "1.5"] {
            assert!(restore_id(&[&format!("--backupId={id}")]).is_none(), "{id}");
        }
        assert_eq!(
            restore_id(&["--backupId=9223372036854775807"]),
            Some(9_223_372_036_854_775_807)
        );
    }

    #[test]
    fn times_have_units() {
        assert_eq!(duration("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(duration("250ms"), Ok(Duration::from_millis(250)));
        assert_eq!(duration("PT15S"), Ok(Duration::from_secs(15)));
        assert!(duration("10").is_err());
        assert!(duration("-5s").is_err());
    }

    #[test]
    fn a_sample_is_a_part_of_a_whole() {
        assert_eq!(sample("2/7").ok(), Sample::new(2, 7));
        for wrong in ["0/7", "8/7", "1", "1/0", "a/b", ""] {
            assert!(sample(wrong).is_err(), "{wrong}");
        }
    }
}
