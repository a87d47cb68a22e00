//! Proposals per second and latency with real syncs: one group, 256 bytes, 1 and 16 in flight.
//! `cargo run --release -p skep-raft --example proposals -- DIR`

use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_log::{GroupId, LogOptions, LogStore, RealFiles};
use skep_partition::consensus::{Consensus, ConsensusEvent, ConsensusEvents};
use skep_raft::testkit::MemoryNote;
use skep_raft::{Alone, RaftNode, RaftOptions};

const TIME: Duration = Duration::from_secs(3);

struct Sink(mpsc::Sender<ConsensusEvent>);

impl ConsensusEvents for Sink {
    fn send(&self, event: ConsensusEvent) {
        let _ = self.0.send(event);
    }
}

fn main() {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, Into::into)
        .join("raft-bench");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("a runtime starts");
    groups(&runtime, &dir);
    println!("in flight | proposals/s | p50 us | p99 us | CPU us per proposal");
    for in_flight in [1, 16, 256] {
        row(&runtime, &dir, in_flight);
    }
}

fn open(dir: &std::path::Path) -> LogStore {
    let _ = std::fs::remove_dir_all(dir);
    LogStore::open(Arc::new(RealFiles), dir, LogOptions::default())
        .expect("it opens")
        .0
}

/// How long until 64 groups lead, at the first start and again.
fn groups(runtime: &tokio::runtime::Runtime, dir: &std::path::Path) {
    let store = open(dir);
    let notes: Vec<MemoryNote> = (1..=64).map(|_| MemoryNote::default()).collect();
    for what in ["first start", "restart"] {
        let (sender, receiver) = mpsc::channel();
        let began = Instant::now();
        let nodes: Vec<_> = runtime.block_on(async {
            let opened = (1..=64).zip(&notes).map(|(group, note)| {
                let (log, sink) = (store.group(GroupId(group)), Arc::new(Sink(sender.clone())));
                RaftNode::open(
                    RaftOptions::new(0, vec![0]),
                    log,
                    note,
                    sink,
                    Arc::new(Alone),
                )
            });
            futures::future::join_all(opened).await
        });
        let leads = |event: &ConsensusEvent| matches!(event, ConsensusEvent::BecameLeader { .. });
        assert_eq!(receiver.iter().filter(leads).take(64).count(), 64);
        println!(
            "64 groups lead after {} ms ({what})",
            began.elapsed().as_millis()
        );
        for node in nodes {
            runtime
                .block_on(node.expect("it opens").shutdown())
                .expect("it stops");
        }
    }
    store.close();
}

fn row(runtime: &tokio::runtime::Runtime, dir: &std::path::Path, in_flight: usize) {
    let store = open(dir);
    let (sender, receiver) = mpsc::channel();
    let log = store.group(GroupId(1));
    let note = MemoryNote::default();
    let opening = RaftNode::open(
        RaftOptions::new(0, vec![0]),
        log,
        &note,
        Arc::new(Sink(sender)),
        Arc::new(Alone),
    );
    let mut node = runtime.block_on(opening).expect("it opens");
    while !matches!(receiver.recv(), Ok(ConsensusEvent::BecameLeader { .. })) {}
    let payload = Bytes::from(vec![7; 256]);
    let (began, cpu) = (Instant::now(), cpu_ticks());
    let mut under_way = std::collections::VecDeque::new();
    let mut micros: Vec<u64> = Vec::new();
    while began.elapsed() < TIME {
        while under_way.len() < in_flight {
            node.propose(payload.clone());
            under_way.push_back(Instant::now());
        }
        if let Ok(ConsensusEvent::Committed { index, entry, .. }) = receiver.recv() {
            node.taken(entry.len());
            if entry.is_empty() {
                continue;
            }
            let proposed = under_way.pop_front().expect("it was proposed");
            micros.push(u64::try_from(proposed.elapsed().as_micros()).unwrap_or(u64::MAX));
            if index.0.is_multiple_of(1000) {
                node.state_durable(index);
            }
        }
    }
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_ticks() - cpu);
    let count = micros.len();
    micros.sort_unstable();
    println!(
        "{in_flight} | {:.0} | {} | {} | {:.0}",
        count as f64 / seconds,
        micros[count / 2],
        micros[count * 99 / 100],
        cpu as f64 * 10_000.0 / count as f64,
    );
    runtime.block_on(node.shutdown()).expect("it stops");
    store.close();
}

/// User and system time of this process in hundredths of a second.
fn cpu_ticks() -> u64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let field = |at: usize| {
        fields
            .get(at)
            .and_then(|text| text.parse().ok())
            .unwrap_or(0u64)
    };
    field(11) + field(12)
}
