//! `skep gateway`.

use skep_broker::Gateway;
use tracing::{info, warn};

use crate::cli::ConfigArguments;
use crate::configuration;
use crate::failure::{Code, Failure};
use crate::interrupt::Interrupts;
use crate::logging;

/// Runs a gateway until a signal stops it.
pub async fn run(arguments: ConfigArguments) -> Result<(), Failure> {
    let configuration = configuration::of_gateway(arguments.config.as_deref())?;
    let (_, levels) = logging::begin();
    for warning in &configuration.warnings {
        warn!("{warning}");
    }
    let mut interrupts = Interrupts::listen()?;
    let gateway = Gateway::start(configuration.read, levels).await?;
    let signal = tokio::select! {
        () = gateway.settled() => {
            let listening = gateway.listening();
            let clients = listening.gateway.map(|address| address.to_string());
            info!(gateway = clients, management = %listening.management, "the gateway is running");
            interrupts.next().await
        }
        signal = interrupts.next() => signal,
    };
    info!(signal, "stopping; a second signal stops at once");
    tokio::select! {
        () = gateway.stop() => Ok(()),
        signal = interrupts.next() => Err(Failure::new(
            Code::Internal,
            format!("{signal} came twice: stopped at once"),
        )),
    }
}
