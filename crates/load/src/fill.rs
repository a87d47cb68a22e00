//! A state of instances that wait.

use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use crate::broker::Broker;
use crate::clients::Clients;
use crate::content::{WAITING, document};
use crate::failure::Failure;
use crate::report::Report;

/// Instances that are started or changed at once.
pub const AT_ONCE: usize = 64;
/// How long the broker must have rested, longer than a layer waits for its write-back, and below which share of a core it counts as resting.
const RESTS: Duration = Duration::from_secs(20);
const RESTING_SHARE: f64 = 0.03;
/// A broker that does not rest by then is measured all the same, and the report says so.
const RESTS_WITHIN: Duration = Duration::from_secs(600);

/// Starts instances that wait, each with a document of about so many bytes, and gives their keys in the order in which they were started.
pub async fn fill(
    clients: &Clients,
    count: u64,
    bytes: usize,
    report: &mut Report,
) -> Result<Vec<i64>, Failure> {
    let begun = Instant::now();
    let mut shown = begun;
    let mut calls = JoinSet::new();
    let mut keys = Vec::with_capacity(count as usize);
    for number in 0..count {
        if calls.len() == AT_ONCE {
            keys.extend(joined(calls.join_next().await)?);
        }
        let clients = clients.clone();
        calls.spawn(async move { start(clients, number, bytes).await });
        if shown.elapsed() > Duration::from_secs(5) {
            eprintln!("  {number} of {count} instances wait");
            shown = Instant::now();
        }
    }
    while let Some(call) = calls.join_next().await {
        keys.extend(joined(Some(call))?);
    }
    keys.sort_unstable();
    report.add("instances that wait", count as f64, "instances");
    report.add(
        "started",
        count as f64 / begun.elapsed().as_secs_f64(),
        "instances/s",
    );
    Ok(keys)
}

/// Waits until the broker rests: until it has written back and compacted what it was filled with.
pub async fn settle(broker: &Broker, report: &mut Report) -> Result<(), Failure> {
    eprintln!("  until the broker rests");
    let begun = Instant::now();
    let mut used = broker.cpu()?;
    while begun.elapsed() < RESTS_WITHIN {
        tokio::time::sleep(RESTS).await;
        let now = broker.cpu()?;
        if (now - used).as_secs_f64() < RESTING_SHARE * RESTS.as_secs_f64() {
            break;
        }
        used = now;
    }
    report.add("rested after", begun.elapsed().as_secs_f64(), "s");
    Ok(())
}

async fn start(clients: Clients, number: u64, bytes: usize) -> Result<i64, Failure> {
    loop {
        let variables = document(number, bytes);
        match clients.start(number, WAITING, variables).await {
            Err(status) if status.code() == tonic::Code::ResourceExhausted => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            answer => return answer.map_err(Failure::call("CreateProcessInstance")),
        }
    }
}

/// What a call gave, if there was one.
pub fn joined<T>(
    call: Option<Result<Result<T, Failure>, tokio::task::JoinError>>,
) -> Result<Option<T>, Failure> {
    match call {
        None => Ok(None),
        Some(Ok(answer)) => answer.map(Some),
        Some(Err(_)) => Err(Failure::Program("a client panicked".to_owned())),
    }
}
