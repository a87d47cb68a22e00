//! A single voter on real files: exactly-once delivery in order, over restarts and compaction.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use skep_log::{GroupId, LogOptions, LogStore, RealFiles};
use skep_partition::consensus::{Consensus, ConsensusEvent, ConsensusEvents};
use skep_protocol::Index;
use skep_raft::testkit::MemoryNote;
use skep_raft::{Alone, RaftError, RaftNode, RaftOptions};
use tokio::sync::Notify;

/// Notes everything.
#[derive(Default)]
struct Sink {
    events: Mutex<Vec<ConsensusEvent>>,
    changed: Notify,
}

impl ConsensusEvents for Sink {
    fn send(&self, event: ConsensusEvent) {
        self.events.lock().unwrap().push(event);
        self.changed.notify_one();
    }
}

impl Sink {
    async fn until(&self, holds: impl Fn(&[ConsensusEvent]) -> bool) {
        let wait = async {
            while !holds(&self.events.lock().unwrap()) {
                self.changed.notified().await;
            }
        };
        let waited = tokio::time::timeout(Duration::from_secs(60), wait).await;
        assert!(waited.is_ok(), "the expected event did not come");
    }

    async fn leads(&self) {
        let leads = |event: &ConsensusEvent| matches!(event, ConsensusEvent::BecameLeader { .. });
        self.until(|events| events.iter().any(leads)).await;
    }

    /// Waits for this many proposals, and gives index and content of all entries.
    async fn committed(&self, proposals: usize) -> Vec<(u64, Bytes)> {
        self.until(|events| contents(events).len() >= proposals)
            .await;
        let events = self.events.lock().unwrap();
        let entries = events.iter().filter_map(|event| match event {
            ConsensusEvent::Committed { index, entry, .. } => Some((index.0, entry.clone())),
            _ => None,
        });
        entries.collect()
    }

    fn term_at(&self, wanted: u64) -> u64 {
        let events = self.events.lock().unwrap();
        let term = events.iter().find_map(|event| match event {
            ConsensusEvent::Committed { index, term, .. } if index.0 == wanted => Some(*term),
            _ => None,
        });
        term.unwrap()
    }
}

fn contents(events: &[ConsensusEvent]) -> Vec<Bytes> {
    let entries = events.iter().filter_map(|event| match event {
        ConsensusEvent::Committed { entry, .. } if !entry.is_empty() => Some(entry.clone()),
        _ => None,
    });
    entries.collect()
}

fn store(dir: &Path) -> LogStore {
    let options = LogOptions {
        segment_bytes: 1 << 20,
        cache_bytes: 16 << 10,
        ..Default::default()
    };
    let (store, report) = LogStore::open(Arc::new(RealFiles), dir, options).unwrap();
    assert_eq!(report.damaged, []);
    store
}

async fn node(store: &LogStore, applied: Option<(Index, u64)>) -> (RaftNode, Arc<Sink>) {
    let sink = Arc::new(Sink::default());
    let options = RaftOptions {
        applied,
        ..RaftOptions::new(0, vec![0])
    };
    let log = store.group(GroupId(1));
    let node = RaftNode::open(
        options,
        log,
        &MemoryNote::default(),
        sink.clone(),
        Arc::new(Alone),
    )
    .await
    .unwrap();
    (node, sink)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn proposal(number: u32) -> Bytes {
    let mut bytes = number.to_le_bytes().to_vec();
    bytes.resize(100, 7);
    Bytes::from(bytes)
}

fn assert_consecutive(entries: &[(u64, Bytes)], first: u64) {
    for (at, (index, _)) in entries.iter().enumerate() {
        assert_eq!(*index, first + at as u64);
    }
}

#[test]
fn proposals_are_committed_in_order_and_again_after_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let first = {
        let runtime = runtime();
        let store = store(dir.path());
        let entries = runtime.block_on(async {
            let (mut node, sink) = node(&store, None).await;
            sink.leads().await;
            (0..5000).for_each(|number| node.propose(proposal(number)));
            let entries = sink.committed(5000).await;
            // No orderly end.
            std::mem::forget(node);
            entries
        });
        runtime.shutdown_timeout(Duration::from_secs(10));
        entries
    };
    assert_consecutive(&first, 0);
    let runtime = runtime();
    runtime.block_on(async {
        let store = store(dir.path());
        for applied in [None, Some(0), Some(17), Some(4000)] {
            let term = 1;
            let (mut node, sink) = node(&store, applied.map(|index| (Index(index), term))).await;
            sink.leads().await;
            let next = applied.map_or(0, |index| index + 1);
            let left = first
                .iter()
                .filter(|(index, bytes)| *index >= next && !bytes.is_empty());
            let left: Vec<Bytes> = left.map(|(_, bytes)| bytes.clone()).collect();
            let entries = sink.committed(left.len()).await;
            assert_consecutive(&entries, next);
            assert_eq!(contents(&sink.events.lock().unwrap())[..left.len()], left);
            node.propose(Bytes::new());
            node.shutdown().await.unwrap();
        }
    });
}

#[test]
fn the_log_is_compacted_up_to_what_is_durable_and_goes_on_after_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let applied = {
            let store = store(dir.path());
            let (mut node, sink) = node(&store, None).await;
            sink.leads().await;
            (0..30_000).for_each(|number| node.propose(proposal(number)));
            sink.committed(30_000).await;
            node.state_durable(Index(25_000));
            while node.metrics().purged.is_none() {
                tokio::task::yield_now().await;
            }
            assert_eq!(node.metrics().purged, Some(Index(25_000)));
            let term = sink.term_at(25_000);
            node.shutdown().await.unwrap();
            assert_eq!(store.group(GroupId(1)).first_index().unwrap(), 25_001);
            store.close();
            (Index(25_000), term)
        };
        let store = store(dir.path());
        let (mut node, sink) = node(&store, Some(applied)).await;
        sink.leads().await;
        node.propose(proposal(77_777));
        sink.until(|events| contents(events).last() == Some(&proposal(77_777)))
            .await;
        let entries = sink.committed(1).await;
        assert_consecutive(&entries, 25_001);
        node.shutdown().await.unwrap();
    });
}

#[test]
fn what_a_reader_has_not_released_is_kept_over_compaction_and_restart() {
    let dir = tempfile::tempdir().unwrap();
    let purged = async |node: &RaftNode, last: u64| {
        while node.metrics().purged != Some(Index(last)) {
            tokio::task::yield_now().await;
        }
    };
    runtime().block_on(async {
        let applied = {
            let store = store(dir.path());
            let (mut node, sink) = node(&store, None).await;
            let reader = node.reader();
            sink.leads().await;
            (0..30_000).for_each(|number| node.propose(proposal(number)));
            let committed = sink.committed(30_000).await;
            node.state_durable(Index(25_000));
            assert_eq!(reader.first().unwrap(), Index(0), "nothing is released");
            reader.release(Index(12_001));
            node.state_durable(Index(25_000));
            purged(&node, 12_000).await;
            assert_eq!(reader.first().unwrap(), Index(12_001));
            let read = reader.read(Index(12_001), Index(20_000), 10_000).unwrap();
            assert!(read.len() > 1 && read.len() < 200, "{}", read.len());
            for (index, entry) in read {
                assert_eq!(committed[index.0 as usize], (index.0, entry));
            }
            let term = sink.term_at(25_000);
            node.shutdown().await.unwrap();
            store.close();
            (Index(25_000), term)
        };
        let store = store(dir.path());
        let (mut node, sink) = node(&store, Some(applied)).await;
        let reader = node.reader();
        reader.release(Index(12_001));
        sink.leads().await;
        (0..20_000).for_each(|number| node.propose(proposal(number)));
        sink.committed(20_000).await;
        node.state_durable(Index(40_000));
        assert_eq!(reader.first().unwrap(), Index(12_001));
        reader.release(Index(40_000));
        node.state_durable(Index(40_000));
        purged(&node, 39_999).await;
        assert_eq!(reader.first().unwrap(), Index(40_000));
        node.shutdown().await.unwrap();
    });
}

#[test]
fn many_groups_share_a_log_and_all_elect_themselves() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = store(dir.path());
        let mut nodes = Vec::new();
        for group in 1..=64 {
            let sink = Arc::new(Sink::default());
            let options = RaftOptions::new(0, vec![0]);
            let log = store.group(GroupId(group));
            nodes.push((
                RaftNode::open(
                    options,
                    log,
                    &MemoryNote::default(),
                    sink.clone(),
                    Arc::new(Alone),
                )
                .await
                .unwrap(),
                sink,
            ));
        }
        for (node, sink) in &mut nodes {
            sink.leads().await;
            node.propose(proposal(1));
        }
        for (node, sink) in nodes {
            sink.committed(1).await;
            node.shutdown().await.unwrap();
        }
    });
}

#[test]
fn a_proposal_that_is_too_large_is_refused_and_others_go_on() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let store = store(dir.path());
        let (mut node, sink) = node(&store, None).await;
        sink.leads().await;
        node.propose(Bytes::from(vec![1; 2 << 20]));
        node.propose(proposal(1));
        sink.committed(1).await;
        let events = sink.events.lock().unwrap().clone();
        let refused = |event: &&ConsensusEvent| {
            matches!(event, ConsensusEvent::ProposalRefused { reason, .. } if reason.contains("too large"))
        };
        assert_eq!(events.iter().filter(refused).count(), 1);
        node.shutdown().await.unwrap();
    });
}

#[test]
fn a_node_that_is_no_member_or_one_twice_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    runtime().block_on(async {
        let log = store(dir.path()).group(GroupId(1));
        for members in [vec![1, 2], vec![0, 1, 1], vec![]] {
            let options = RaftOptions::new(0, members);
            let sink = Arc::new(Sink::default());
            let opened = RaftNode::open(
                options,
                log.clone(),
                &MemoryNote::default(),
                sink,
                Arc::new(Alone),
            )
            .await;
            assert!(matches!(opened.err(), Some(RaftError::Options(_))));
        }
    });
}

#[test]
fn a_full_disk_refuses_proposals_and_goes_on_when_there_is_space_again() {
    use skep_log::testkit::{Faults, MemFiles};
    let files = MemFiles::new();
    let options = LogOptions {
        segment_bytes: 64 << 10,
        full_retry: Duration::from_millis(1),
        ..Default::default()
    };
    let disk = Arc::new(files.clone());
    let (store, _) = LogStore::open(disk, Path::new("/log"), options).unwrap();
    runtime().block_on(async {
        let (mut node, sink) = node(&store, None).await;
        sink.leads().await;
        files.set_faults(Faults { space_left: Some(10_000), ..Faults::default() });
        let mut proposed = 0;
        let refused = |events: &[ConsensusEvent]| {
            let full = |event: &ConsensusEvent| {
                matches!(event, ConsensusEvent::ProposalRefused { reason, .. } if reason.contains("space"))
            };
            events.iter().any(full)
        };
        while !refused(&sink.events.lock().unwrap()) {
            node.propose(proposal(proposed));
            proposed += 1;
            tokio::task::yield_now().await;
        }
        files.set_faults(Faults::default());
        // All but the last were taken, and none of them is lost.
        let entries = sink.committed(proposed as usize - 1).await;
        assert_consecutive(&entries, 0);
        while store.group(GroupId(1)).is_full() {
            tokio::task::yield_now().await;
        }
        node.propose(proposal(u32::MAX));
        sink.until(|events| contents(events).last() == Some(&proposal(u32::MAX))).await;
        node.shutdown().await.unwrap();
    });
}

#[test]
fn a_failed_disk_is_told() {
    use skep_log::testkit::{Faults, MemFiles};
    let files = MemFiles::new();
    let options = LogOptions {
        segment_bytes: 64 << 10,
        ..Default::default()
    };
    let disk = Arc::new(files.clone());
    let (store, _) = LogStore::open(disk, Path::new("/log"), options).unwrap();
    runtime().block_on(async {
        let (mut node, sink) = node(&store, None).await;
        sink.leads().await;
        sink.until(|events| {
            events
                .iter()
                .any(|e| matches!(e, ConsensusEvent::Committed { .. }))
        })
        .await;
        files.set_faults(Faults {
            fail_sync: true,
            ..Faults::default()
        });
        node.propose(proposal(1));
        sink.until(|events| {
            events
                .iter()
                .any(|e| matches!(e, ConsensusEvent::Failed { .. }))
        })
        .await;
        assert_eq!(contents(&sink.events.lock().unwrap()), Vec::<Bytes>::new());
        assert!(!node.is_leader());
    });
}

#[test]
fn consensus_that_ends_by_a_failed_check_says_so() {
    let disk = Arc::new(skep_log::testkit::MemFiles::new());
    let (store, _) = LogStore::open(disk, Path::new("/log"), LogOptions::default()).unwrap();
    runtime().block_on(async {
        let (node, sink) = node(&store, None).await;
        sink.leads().await;
        skep_raft::testkit::fail_a_check(&node.handle()).await;
        let failed = |event: &ConsensusEvent| matches!(event, ConsensusEvent::Failed { message } if message.contains("check failed"));
        sink.until(|events| events.iter().any(failed)).await;
    });
}

/// Flips a bit of the one place in the log's files where these bytes are, and says which file it was.
fn damage(dir: &Path, bytes: &[u8]) -> std::path::PathBuf {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        let mut content = std::fs::read(&path).unwrap();
        let mut windows = content.windows(bytes.len());
        if let Some(at) = windows.position(|window| window == bytes) {
            content[at] ^= 1;
            std::fs::write(&path, &content).unwrap();
            return path;
        }
    }
    panic!("the log does not hold these bytes")
}

#[test]
fn a_member_alone_does_not_begin_again_when_its_log_is_gone() {
    let restored = Some((Index(0), 0));
    for applied in [None, restored] {
        runtime().block_on(async {
            let (note, sink) = (MemoryNote::default(), Arc::new(Sink::default()));
            let open = async |dir: &Path| {
                let options = RaftOptions {
                    applied,
                    ..RaftOptions::new(0, vec![0])
                };
                let log = store(dir).group(GroupId(1));
                RaftNode::open(options, log, &note, sink.clone(), Arc::new(Alone)).await
            };
            let [first, second] = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
            open(first.path()).await.unwrap().shutdown().await.unwrap();
            let refused = open(second.path()).await.err().unwrap().to_string();
            assert!(refused.contains("the log is gone"), "{refused}");
            open(first.path()).await.unwrap().shutdown().await.unwrap();
        });
    }
}

#[test]
fn a_damaged_entry_stops_its_partition_with_what_to_do_and_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let open = async |store: &LogStore, group: u32| {
        let sink = Arc::new(Sink::default());
        let log = store.group(GroupId(group));
        let node = RaftNode::open(
            RaftOptions::new(0, vec![0]),
            log,
            &MemoryNote::default(),
            sink.clone(),
            Arc::new(Alone),
        )
        .await;
        (node, sink)
    };
    let entry = |group: u32, number: u32| Bytes::from(format!("group {group}, entry {number:4}."));
    runtime().block_on(async {
        let store = store(dir.path());
        for group in [1, 2] {
            let (node, sink) = open(&store, group).await;
            let mut node = node.unwrap();
            sink.leads().await;
            (0..100).for_each(|number| node.propose(entry(group, number)));
            sink.committed(100).await;
            node.shutdown().await.unwrap();
        }
        store.close();
    });
    let file = damage(dir.path(), &entry(1, 50));
    runtime().block_on(async {
        let (store, report) =
            LogStore::open(Arc::new(RealFiles), dir.path(), LogOptions::default()).unwrap();
        assert_eq!(report.damaged.len(), 1);
        let (node, _) = open(&store, 1).await;
        let reason = node.err().unwrap().to_string();
        let told = [
            &file.display().to_string(),
            "at offset",
            "group 1",
            "checksum",
            "restore a backup",
        ];
        for text in told {
            assert!(reason.contains(text), "no '{text}' in: {reason}");
        }
        let (node, sink) = open(&store, 2).await;
        sink.committed(100).await;
        node.unwrap().shutdown().await.unwrap();
    });
}
