//! Completed instances per second of processes of several shapes, each in a broker of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use skep_bpmn::shapes::{SHAPES, Shape};
use skep_gateway::proto;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::ShapesArguments;
use crate::broker::Place;
use crate::clients::{Clients, Workers};
use crate::failure::Failure;
use crate::report::Report;

/// Measures.
pub async fn measure(arguments: &ShapesArguments) -> Result<Report, Failure> {
    let mut report = Report::default();
    for shape in &SHAPES {
        measure_one(arguments, shape, &mut report).await?;
    }
    Ok(report)
}

async fn measure_one(
    arguments: &ShapesArguments,
    shape: &'static Shape,
    report: &mut Report,
) -> Result<(), Failure> {
    let place = Place::new(&arguments.broker)?;
    let (broker, _) = place.start()?;
    let clients = Clients::connect(&place.gateway()).await?;
    let resources = shape
        .resources
        .iter()
        .map(|(name, content)| proto::Resource {
            name: (*name).to_owned(),
            content: content.as_bytes().to_vec(),
        });
    let partitions = arguments.broker.partitions;
    clients
        .deploy_all(shape.name, resources.collect(), partitions)
        .await?;
    let (completed, mut completions) = mpsc::unbounded_channel();
    let workers = Workers::start(&clients, &completed);
    let running = Running::default();
    let mut runners = JoinSet::new();
    for _ in 0..arguments.in_flight {
        runners.spawn(running.clone().go_on(clients.clone(), shape));
    }
    let time = Duration::from_secs(arguments.seconds);
    tokio::time::sleep(time / 4).await;
    while completions.try_recv().is_ok() {}
    let (before, cpu, begun) = (running.count(), broker.cpu()?, Instant::now());
    tokio::time::sleep(time).await;
    let instances = (running.count() - before) as f64;
    let (cpu, time) = (broker.cpu()? - cpu, begun.elapsed().as_secs_f64());
    let mut jobs = 0;
    while completions.try_recv().is_ok() {
        jobs += 1;
    }
    running.ended.store(true, Ordering::Relaxed);
    while let Some(runner) = runners.join_next().await {
        runner.map_err(|_| Failure::Program("a client panicked".to_owned()))??;
    }
    drop(workers);
    broker.kill()?;
    let name = shape.name;
    let each = if shape.message { 2.0 } else { 1.0 };
    let commands = instances * each + f64::from(jobs);
    report.add(
        format!("{name}, completed"),
        instances / time,
        "instances/s",
    );
    report.add(
        format!("{name}, commands of clients"),
        commands / time,
        "1/s",
    );
    report.add(
        format!("{name}, processor time of the broker for an instance"),
        cpu.as_secs_f64() * 1e6 / instances,
        "us",
    );
    Ok(())
}

/// Runs instances one after the other, many times at once.
#[derive(Clone, Default)]
struct Running {
    next: Arc<AtomicU64>,
    completed: Arc<AtomicU64>,
    ended: Arc<AtomicBool>,
}

impl Running {
    fn count(&self) -> u64 {
        self.completed.load(Ordering::Relaxed)
    }

    async fn go_on(self, clients: Clients, shape: &'static Shape) -> Result<(), Failure> {
        while !self.ended.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if shape.message {
                let published = clients.publish(number, "paid", &number.to_string()).await;
                published.map_err(Failure::call("PublishMessage"))?;
            }
            let variables = (shape.variables)(number);
            match clients.run(number, shape.name, variables).await {
                Ok(()) => self.completed.fetch_add(1, Ordering::Relaxed),
                Err(status) if status.code() == tonic::Code::ResourceExhausted => continue,
                Err(status) => {
                    return Err(Failure::call("CreateProcessInstanceWithResult")(status));
                }
            };
        }
        Ok(())
    }
}
