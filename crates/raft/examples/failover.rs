//! Three members in one process, their logs with real syncs on one disk, without a network between them: proposals per second,
//! and how long until a proposal is committed again after the leader has died.
//! `cargo run --release -p skep-raft --example failover -- DIR`

#[path = "../tests/support/mod.rs"]
mod support;

use std::collections::VecDeque;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_partition::consensus::{Consensus, ConsensusEvent};
use skep_raft::RaftOptions;
use support::{Cluster, Disk, runtime};

const TIME: Duration = Duration::from_secs(3);
const DEATHS: u64 = 30;

fn main() {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, Into::into)
        .join("raft-failover");
    println!("in flight | proposals/s | p50 us | p99 us");
    for in_flight in [1, 16, 256] {
        runtime().block_on(row(&dir, in_flight));
    }
    runtime().block_on(deaths(&dir));
}

async fn start(dir: &Path) -> Cluster {
    let _ = std::fs::remove_dir_all(dir);
    let disks = ["0", "1", "2"].map(|node| Disk::Real(dir.join(node)));
    Cluster::on(disks, 1, RaftOptions::new(0, vec![0, 1, 2])).await
}

async fn row(dir: &Path, in_flight: usize) {
    let mut cluster = start(dir).await;
    let leader = cluster.leader().await;
    let sink = cluster.sink(leader);
    let payload = Bytes::from(vec![7; 256]);
    let (began, mut known) = (Instant::now(), 0);
    let mut under_way = VecDeque::new();
    let mut micros: Vec<u64> = Vec::new();
    while began.elapsed() < TIME {
        while under_way.len() < in_flight {
            cluster.raft(leader).propose(payload.clone());
            under_way.push_back(Instant::now());
        }
        let events = sink.since(known).await;
        known += events.len();
        for event in events {
            let ConsensusEvent::Committed { entry, .. } = event else {
                continue;
            };
            for node in 0..3 {
                cluster.raft(node).taken(entry.len());
            }
            if entry.is_empty() {
                continue;
            }
            if let Some(proposed) = under_way.pop_front() {
                micros.push(u64::try_from(proposed.elapsed().as_micros()).unwrap_or(u64::MAX));
            }
        }
    }
    let seconds = began.elapsed().as_secs_f64();
    let count = micros.len();
    micros.sort_unstable();
    println!(
        "{in_flight} | {:.0} | {} | {}",
        count as f64 / seconds,
        micros[count / 2],
        micros[count * 99 / 100]
    );
    cluster.stop_all().await;
}

async fn deaths(dir: &Path) {
    let mut cluster = start(dir).await;
    let mut millis: Vec<u128> = Vec::new();
    for death in 0..DEATHS {
        cluster.write(2 * death).await;
        cluster.all_have([2 * death]).await;
        let dead = cluster.leader().await;
        cluster.crash(dead, 0);
        let began = Instant::now();
        cluster.write(2 * death + 1).await;
        millis.push(began.elapsed().as_millis());
        cluster.open(dead).await;
    }
    cluster.stop_all().await;
    millis.sort_unstable();
    let at = |percent: usize| millis[(millis.len() - 1) * percent / 100];
    println!(
        "{DEATHS} deaths of the leader, ms until a proposal is committed again: least {}, half {}, 90 % {}, most {}",
        at(0),
        at(50),
        at(90),
        at(100)
    );
}
