//! The command line: broker, gateway, restore, backups, and the few client calls that a first tour needs.
//!
//! **Invariants**
//! - Every failure is one sentence that says what to do (in the log where there is one, else on standard error), and an exit
//!   code of docs/exit-codes.md.
//! - No secret is printed.
//! - What programs read (`--json`, tables) goes to standard output; progress and errors go to standard error.
//!
//! **Absent on purpose**: any logic of brokers, gateways, stores or backups.

mod backup;
mod broker;
mod cli;
mod client;
mod configuration;
mod credentials;
mod dialler;
mod failure;
mod gateway;
mod http;
mod interrupt;
mod log_levels;
mod logging;
mod patience;
mod restore;

use std::process::ExitCode;

use clap::Parser;

use crate::cli::{Cli, Command};
use crate::failure::{Code, Failure};

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.report();
            failure.exit_code()
        }
    }
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Runtime::new().map_err(|error| {
        Failure::new(Code::Internal, format!("start the async runtime: {error}"))
    })?;
    let result = runtime.block_on(async {
        match cli.command {
            Command::Broker(arguments) => broker::run(arguments).await,
            Command::Gateway(arguments) => gateway::run(arguments).await,
            Command::Restore(arguments) => restore::run(arguments).await,
            Command::Backup(arguments) => backup::run(arguments).await,
            Command::Status(arguments) => client::status(arguments).await,
            Command::Deploy(arguments) => client::deploy(arguments).await,
            Command::Start(arguments) => client::start(arguments).await,
            Command::Work(arguments) => client::work(arguments).await,
        }
    });
    // What was begun and not waited for may hang in a call of the system, such as one to a file system that does not answer.
    runtime.shutdown_background();
    result
}
