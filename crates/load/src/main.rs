//! The load generator: starts real brokers, loads them as clients do, and says what came of it.
//!
//! Instances of one service task are started and their jobs completed over gRPC, on the same machine. Latencies are taken from
//! the time at which an instance *should* have been started (open loop), so that a broker that stalls is charged for every
//! instance that it made wait, and not only for the one that happened to be under way (no coordinated omission).
//!
//! **Absent on purpose**: any knowledge of the broker's inside; it is watched from outside, by `/proc`, its metrics and its files.

mod backups;
mod bring_up;
mod broker;
mod clients;
mod content;
mod directory;
mod failover;
mod failure;
mod fill;
mod open_loop;
mod report;
mod shapes;
mod startup;
mod throughput;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::failure::Failure;
use crate::report::Report;

/// Measures a broker: throughput, latency, memory, log, backup and restore.
#[derive(Debug, Parser)]
#[command(name = "skep-load", version, after_help = AFTER_HELP)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  skep-load throughput                         instances per second, latencies at half of it, memory, log bytes
  skep-load backup --gigabytes 1               backup and restore of 1 GB of state under load
  skep-load bring-up --brokers 3               a broker has lost its data: until the others have brought it up
  skep-load shapes                             processes of other shapes: many tasks, calls, decisions, messages
  skep-load startup                            time from start to ready, memory of an idle broker
  skep-load throughput --brokers 3             the same with three replicas of every partition
  skep-load failover --brokers 3               a leader is killed: how long does its partition take nothing?

Every command starts brokers of its own in a temporary directory below --directory. Nothing else should run meanwhile.
Exit codes: 0 measured, 1 the broker or a client failed, 2 wrong arguments.";

#[derive(Debug, Subcommand)]
enum Command {
    /// Completed instances per second at saturation, then latencies at half of that rate.
    Throughput(ThroughputArguments),
    /// Backups of a large state under load: first, unchanged, after 1 % has changed; then its loss and its restore.
    Backup(BackupArguments),
    /// Completed instances per second of processes of several shapes.
    Shapes(ShapesArguments),
    /// Time from start to ready and memory, without load.
    Startup(BrokerArguments),
    /// A broker has lost its data: time until the others have brought it up, and what that costs those who go on.
    BringUp(BringUpArguments),
    /// Time from the loss of a leader until its partition takes commands again.
    Failover(FailoverArguments),
}

/// Which broker, and where.
#[derive(Debug, Clone, Args)]
struct BrokerArguments {
    /// The program under test
    #[arg(long, value_name = "FILE", default_value = "target/release/skep")]
    program: PathBuf,
    /// Partitions of the broker
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=64))]
    partitions: u32,
    /// Brokers on this machine; each keeps a replica of every partition
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=7))]
    brokers: u32,
    /// Where data and backups are kept during the run; a disk, not memory
    #[arg(long, value_name = "DIR", default_value = ".")]
    directory: PathBuf,
    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Args)]
struct ThroughputArguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Seconds of each measurement, after a warm-up of a quarter of it
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Instances under way at saturation
    #[arg(long, default_value_t = 512, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
    /// Instances per second of the open loop [default: half of what saturation gave]
    #[arg(long)]
    rate: Option<u32>,
    /// Instances that wait all the time, started before anything is measured
    #[arg(long, default_value_t = 0)]
    waiting: u64,
}

#[derive(Debug, Clone, Args)]
struct ShapesArguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Seconds of each measurement, after a warm-up of a quarter of it
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Instances under way at once
    #[arg(long, default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    in_flight: u32,
}

#[derive(Debug, Clone, Args)]
struct BackupArguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Size of the state that waits, in GB of variables
    #[arg(long, default_value_t = 1.0)]
    gigabytes: f64,
    /// Instances per second that run while backups are taken
    #[arg(long, default_value_t = 1000)]
    rate: u32,
    /// Pairs of a time without and a time with a backup, whose latencies are compared
    #[arg(long, default_value_t = 6, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

#[derive(Debug, Clone, Args)]
struct FailoverArguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Leaders that are killed, one after the other
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: u32,
}

#[derive(Debug, Clone, Args)]
struct BringUpArguments {
    #[command(flatten)]
    broker: BrokerArguments,
    /// Size of the state that waits, in GB of variables
    #[arg(long, default_value_t = 1.0)]
    gigabytes: f64,
    /// Variables of each instance that waits, in bytes
    #[arg(long, default_value_t = 2_000, value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    document_bytes: u32,
    /// Instances per second that run meanwhile
    #[arg(long, default_value_t = 200)]
    rate: u32,
}

impl ThroughputArguments {
    fn time(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = match &cli.command {
        Command::Throughput(arguments) => arguments.broker.json,
        Command::Backup(arguments) => arguments.broker.json,
        Command::Shapes(arguments) => arguments.broker.json,
        Command::Startup(arguments) => arguments.json,
        Command::BringUp(arguments) => arguments.broker.json,
        Command::Failover(arguments) => arguments.broker.json,
    };
    match run(cli.command) {
        Ok(report) => {
            print!("{}", if json { report.json() } else { report.table() });
            ExitCode::SUCCESS
        }
        Err(failure) => {
            eprintln!("error: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<Report, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .map_err(|error| Failure::io("start the async runtime", error))?;
    runtime.block_on(async {
        match command {
            Command::Throughput(arguments) => throughput::measure(&arguments).await,
            Command::Backup(arguments) => backups::measure(&arguments).await,
            Command::Shapes(arguments) => shapes::measure(&arguments).await,
            Command::Startup(arguments) => startup::measure(&arguments).await,
            Command::BringUp(arguments) => bring_up::measure(&arguments).await,
            Command::Failover(arguments) => failover::measure(&arguments).await,
        }
    })
}
