//! Time from the loss of a leader until its partition takes commands again.

use std::time::{Duration, Instant};

use skep_gateway::proto;
use skep_protocol::routing::message_partition;
use tokio::time::{sleep, timeout};

use crate::FailoverArguments;
use crate::broker::Place;
use crate::clients::{Clients, Gateway};
use crate::failure::Failure;
use crate::report::{Latencies, Report};

/// A call that has no answer by then was sent to a leader that is gone.
const ANSWER_PATIENCE: Duration = Duration::from_millis(500);
/// Between two calls that fail: the error of what is measured.
const RETRY_INTERVAL: Duration = Duration::from_millis(5);
/// A partition that takes nothing by then never will.
const FAILOVER_PATIENCE: Duration = Duration::from_secs(60);

/// Measures. In each round the leader of the next partition is killed, and that partition asked at another broker.
pub async fn measure(arguments: &FailoverArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    let brokers = arguments.broker.brokers as usize;
    if brokers < 3 {
        let reason = "a cluster survives the loss of a broker from three on: give --brokers 3";
        return Err(Failure::Program(reason.to_owned()));
    }
    let place = Place::new(&arguments.broker)?;
    let (mut running, _) = place.start()?;
    let mut times = Latencies::new(3).map_err(|error| Failure::Program(error.to_string()))?;
    for round in 0..arguments.rounds {
        let partition = (round % arguments.broker.partitions) as i32 + 1;
        let victim = leader(&place, partition).await?;
        let clients = Clients::connect(&place.gateway_of((victim + 1) % brokers)).await?;
        let key = of_partition(partition, arguments.broker.partitions);
        publish(&clients, &key).await?;
        let killed = Instant::now();
        running.kill_one(victim)?;
        publish(&clients, &key).await?;
        let time = killed.elapsed();
        eprintln!("  partition {partition}, broker {victim}: {time:.0?}");
        // Within the range of the histogram, which grows.
        let _ = times.record(time.as_micros() as u64);
        place.restart(&mut running, victim)?;
    }
    report.add("leaders killed", f64::from(arguments.rounds), "");
    report.add_latencies("until the partition takes a command", &times);
    Ok(report)
}

/// Publishes a message to the partition of that key, until it is taken.
async fn publish(clients: &Clients, key: &str) -> Result<(), Failure> {
    let begun = Instant::now();
    let mut turn = 0;
    loop {
        let taken = timeout(ANSWER_PATIENCE, clients.publish(turn, "failover", key)).await;
        if let Ok(Ok(())) = taken {
            return Ok(());
        }
        if begun.elapsed() > FAILOVER_PATIENCE {
            let said = format!("the partition of '{key}' takes nothing: {taken:?}");
            return Err(Failure::Program(said));
        }
        sleep(RETRY_INTERVAL).await;
        turn += 1;
    }
}

/// Which broker leads a partition, as all followers agree.
async fn leader(place: &Place, partition: i32) -> Result<usize, Failure> {
    let clients = Clients::connect(&place.gateway()).await?;
    let begun = Instant::now();
    loop {
        let topology = topology(clients.gateway(0)).await?;
        let leads = |broker: &&proto::BrokerInfo| {
            let role = proto::partition::PartitionBrokerRole::Leader as i32;
            let mut partitions = broker.partitions.iter();
            partitions.any(|one| one.partition_id == partition && one.role == role)
        };
        if let Some(broker) = topology.brokers.iter().find(leads) {
            return Ok(broker.node_id as usize);
        }
        if begun.elapsed() > FAILOVER_PATIENCE {
            return Err(Failure::Program(format!(
                "nobody leads partition {partition}"
            )));
        }
        sleep(RETRY_INTERVAL).await;
    }
}

async fn topology(mut gateway: Gateway) -> Result<proto::TopologyResponse, Failure> {
    let answer = gateway.topology(proto::TopologyRequest {}).await;
    Ok(answer.map_err(Failure::call("Topology"))?.into_inner())
}

/// A correlation key that belongs to a partition.
fn of_partition(partition: i32, partitions: u32) -> String {
    let belongs = |key: &String| message_partition(key, partitions).0 as i32 == partition;
    let mut keys = (0..).map(|number| format!("key-{number}"));
    keys.find(belongs).unwrap_or_default()
}
