//! SIGNAL: a signal is broadcast, by a client, a process instance or another partition.

use skep_protocol::{Command, Key, RecordValue, Rejection, SignalIntent, names, values};

use crate::behaviours::{distribution, signals};
use crate::json::Document;
use crate::processing::{Processing, Result};

/// Evaluates a SIGNAL command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::Signal(signal) = &command.value else {
        unreachable!("a SIGNAL command carries a signal");
    };
    if signal.up_to > 0 {
        return signals::trigger_next(p, command.key, signal);
    }
    if let Err(rejection) = check(signal) {
        p.reject(command, rejection);
        return Ok(());
    }
    let here = p.next_key()?;
    let key = match signal.is_distributed {
        true => command.key,
        false => here,
    };
    p.event(key, SignalIntent::Broadcasted, signal.clone());
    p.respond(key, SignalIntent::Broadcasted, signal.clone());
    match signal.is_distributed {
        true => distribution::acknowledge(p, command)?,
        false => distribute(p, key, signal)?,
    }
    // What is opened later has a higher key, and does not wait for this one.
    let broadcast = values::Signal {
        up_to: here.0,
        reached: 0,
        ..signal.clone()
    };
    signals::trigger_next(p, key, &broadcast)
}

fn distribute(p: &mut Processing, key: Key, signal: &values::Signal) -> Result<()> {
    let distributed = values::Signal {
        is_distributed: true,
        ..signal.clone()
    };
    let distributed = Command::new(key, SignalIntent::Broadcast, distributed);
    let others = distribution::others(p);
    distribution::distribute(p, &distributed, &others)
}

fn check(signal: &values::Signal) -> std::result::Result<(), Rejection> {
    names::check("signal name", &signal.signal_name)
        .map_err(|error| Rejection::invalid_argument(error.to_string()))?;
    Document::from_client(&signal.variables)?;
    Ok(())
}
