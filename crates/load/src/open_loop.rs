//! An open loop: instances are started at the times of a plan, whether or not earlier ones are done.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

use crate::clients::{Clients, Completed, Workers};
use crate::content::TASK;
use crate::failure::Failure;
use crate::report::{Latencies, latencies};

/// How often the plan is looked at.
const TICK: Duration = Duration::from_millis(1);
/// What is not done by then after the end of the plan is lost.
const TAIL: Duration = Duration::from_secs(60);

/// What an instance carries: when it should have been started, and in which phase of the run.
#[derive(Serialize, Deserialize)]
struct Carried {
    /// Microseconds since the run began.
    planned: u64,
    /// Index of the histogram.
    phase: u64,
}

/// An open loop under way.
pub struct OpenLoop {
    phase: Arc<AtomicU64>,
    stop: Arc<AtomicU64>,
    starter: JoinHandle<Started>,
    recorder: JoinHandle<Vec<Latencies>>,
}

/// What came of an open loop.
pub struct Outcome {
    /// From planned start to acknowledged completion, by phase.
    pub latencies: Vec<Latencies>,
    /// Instances that were refused by backpressure.
    pub refused: u64,
}

struct Started {
    refused: u64,
}

impl OpenLoop {
    /// Begins: `rate` instances per second, latencies into one histogram for each of `phases`.
    pub fn begin(clients: &Clients, rate: u32, phases: usize) -> OpenLoop {
        let begun = Instant::now();
        let (phase, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
        let (completed, completions) = mpsc::unbounded_channel();
        let workers = Workers::start(clients, &completed);
        let expected = Arc::new(AtomicU64::new(u64::MAX));
        let starter = tokio::spawn(start_all(
            clients.clone(),
            rate,
            begun,
            Arc::clone(&phase),
            Arc::clone(&stop),
            Arc::clone(&expected),
        ));
        let recorder = tokio::spawn(record(completions, begun, phases, expected, workers));
        OpenLoop {
            phase,
            stop,
            starter,
            recorder,
        }
    }

    /// From now on instances belong to this phase.
    pub fn enter(&self, phase: usize) {
        self.phase.store(phase as u64, Ordering::Relaxed);
    }

    /// Ends the plan and waits for what has been started.
    pub async fn end(self) -> Result<Outcome, Failure> {
        self.stop.store(1, Ordering::Relaxed);
        let ended = |_| Failure::Program("a client panicked".to_owned());
        let started = self.starter.await.map_err(ended)?;
        let latencies = tokio::time::timeout(TAIL, self.recorder)
            .await
            .map_err(|_| {
                let wait = TAIL.as_secs();
                Failure::Program(format!("not all instances were done after {wait} s"))
            })?
            .map_err(ended)?;
        Ok(Outcome {
            latencies,
            refused: started.refused,
        })
    }
}

async fn start_all(
    clients: Clients,
    rate: u32,
    begun: Instant,
    phase: Arc<AtomicU64>,
    stop: Arc<AtomicU64>,
    expected: Arc<AtomicU64>,
) -> Started {
    let refused = Arc::new(AtomicU64::new(0));
    let mut calls = tokio::task::JoinSet::new();
    let mut started = 0u64;
    let mut ticks = interval(TICK);
    // What was missed is due at once, with the times at which it was planned.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
    while stop.load(Ordering::Relaxed) == 0 {
        ticks.tick().await;
        let due = (begun.elapsed().as_secs_f64() * f64::from(rate)) as u64;
        while started < due {
            let carried = Carried {
                planned: started * 1_000_000 / u64::from(rate),
                phase: phase.load(Ordering::Relaxed),
            };
            let variables = serde_json::to_string(&carried).expect("two numbers are JSON");
            let (clients, refused, turn) = (clients.clone(), Arc::clone(&refused), started);
            calls.spawn(async move {
                if clients.start(turn, TASK, variables).await.is_err() {
                    refused.fetch_add(1, Ordering::Relaxed);
                }
            });
            started += 1;
        }
        while calls.try_join_next().is_some() {}
    }
    while calls.join_next().await.is_some() {}
    let refused = refused.load(Ordering::Relaxed);
    expected.store(started - refused, Ordering::Release);
    Started { refused }
}

async fn record(
    mut completions: mpsc::UnboundedReceiver<Completed>,
    begun: Instant,
    phases: usize,
    expected: Arc<AtomicU64>,
    workers: Workers,
) -> Vec<Latencies> {
    let mut histograms: Vec<_> = (0..phases).map(|_| latencies()).collect();
    let mut done = 0;
    while done < expected.load(Ordering::Acquire) {
        // The number that is expected becomes known only after the last start.
        let Ok(completed) = tokio::time::timeout(TICK, completions.recv()).await else {
            continue;
        };
        let Some(completed) = completed else { break };
        let now = begun.elapsed().as_micros() as u64;
        if let Ok(carried) = serde_json::from_str::<Carried>(&completed.variables)
            && let Some(histogram) = histograms.get_mut(carried.phase as usize)
        {
            histogram.saturating_record(now.saturating_sub(carried.planned));
            done += 1;
        }
    }
    drop(workers);
    histograms
}
