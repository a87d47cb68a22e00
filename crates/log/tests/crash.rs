//! Random operations, faults and crashes on the in-memory disk: after recovery a group holds a
//! prefix of what was asked of it, and at least what was acknowledged.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use proptest::prelude::*;
use skep_log::testkit::{Faults, MemFiles, Random};
use skep_log::{Drive, GroupId, GroupLog, LogOptions, LogStatus, LogStore, RecoveryReport};

const GROUPS: u32 = 3;

fn options() -> LogOptions {
    LogOptions {
        segment_bytes: 8 << 10,
        batch_bytes_max: 2 << 10,
        cache_bytes: 1 << 10,
        move_bytes_max: 2 << 10,
        segments_kept: 1,
        salt: 7,
        drive: Drive::Caller,
        ..LogOptions::default()
    }
}

fn open(files: &MemFiles) -> (LogStore, RecoveryReport) {
    LogStore::open(Arc::new(files.clone()), Path::new("/log"), options()).unwrap()
}

/// What a group should hold.
#[derive(Debug, Clone, Default, PartialEq)]
struct Model {
    first: u64,
    entries: Vec<Bytes>,
    meta: Option<Bytes>,
}

impl Model {
    fn next(&self) -> u64 {
        self.first + self.entries.len() as u64
    }

    fn read(log: &GroupLog) -> Self {
        let (first, next) = (log.first_index().unwrap(), log.next_index().unwrap());
        let read = log.read(0..u64::MAX, usize::MAX).unwrap();
        assert_eq!(read.len() as u64, next - first);
        for (at, (index, _)) in read.iter().enumerate() {
            assert_eq!(*index, first + at as u64);
        }
        let entries = read.into_iter().map(|(_, bytes)| bytes).collect();
        Self {
            first,
            entries,
            meta: log.meta().unwrap(),
        }
    }

    /// A purge is lazy, so it may be missing; otherwise the content is the same.
    fn is_found_as(&self, found: &Self) -> bool {
        if self.meta != found.meta || found.first > self.first || self.next() != found.next() {
            return false;
        }
        found.entries[(self.first - found.first) as usize..] == self.entries[..]
    }
}

#[derive(Debug, Clone)]
enum Op {
    Append { group: u32, bytes: Vec<u16> },
    Truncate { group: u32, back: u64 },
    Purge { group: u32, up: u64 },
    Meta { group: u32, bytes: u8 },
    Reset { group: u32 },
    Drive,
    Fill { bytes: u64 },
    SyncFails { seed: u64, power_lost: bool },
    Crash { seed: u64 },
    Kill { seed: u64 },
    Close,
}

fn op() -> impl Strategy<Value = Op> {
    let group = 0..GROUPS;
    prop_oneof![
        10 => (group.clone(), prop::collection::vec(0u16..700, 1..4))
            .prop_map(|(group, bytes)| Op::Append { group, bytes }),
        1 => (group.clone(), 0u64..6).prop_map(|(group, back)| Op::Truncate { group, back }),
        3 => (group.clone(), 0u64..30).prop_map(|(group, up)| Op::Purge { group, up }),
        2 => (group.clone(), any::<u8>()).prop_map(|(group, bytes)| Op::Meta { group, bytes }),
        1 => group.prop_map(|group| Op::Reset { group }),
        8 => Just(Op::Drive),
        1 => (0u64..6000).prop_map(|bytes| Op::Fill { bytes }),
        1 => (any::<u64>(), any::<bool>())
            .prop_map(|(seed, power_lost)| Op::SyncFails { seed, power_lost }),
        2 => any::<u64>().prop_map(|seed| Op::Crash { seed }),
        1 => any::<u64>().prop_map(|seed| Op::Kill { seed }),
        1 => Just(Op::Close),
    ]
}

/// The store with a model of it: the history of each group's states, and how far it is known to
/// be durable.
struct Harness {
    files: MemFiles,
    store: LogStore,
    history: BTreeMap<u32, Vec<Model>>,
    durable: Arc<Mutex<BTreeMap<u32, usize>>>,
    counter: u64,
}

impl Harness {
    fn new() -> Self {
        let files = MemFiles::new();
        let (store, _) = open(&files);
        let history = (0..GROUPS)
            .map(|group| (group, vec![Model::default()]))
            .collect();
        Self {
            files,
            store,
            history,
            durable: Arc::default(),
            counter: 0,
        }
    }

    fn log(&self, group: u32) -> GroupLog {
        self.store.group(GroupId(group))
    }

    fn push(&mut self, group: u32, change: impl FnOnce(&mut Model)) -> skep_log::OnDurable {
        let history = self.history.get_mut(&group).unwrap();
        let mut model = history.last().unwrap().clone();
        change(&mut model);
        history.push(model);
        let (state, durable) = (history.len() - 1, Arc::clone(&self.durable));
        Box::new(move |result| {
            if result.is_ok() {
                let previous = durable.lock().unwrap().insert(group, state);
                assert!(previous.unwrap_or(0) < state, "acknowledged in order");
            }
        })
    }

    fn run(&mut self, op: Op) {
        match op {
            Op::Append { group, bytes } => {
                let next = self.history[&group].last().unwrap().next();
                let entries: Vec<_> = (next..)
                    .zip(bytes.iter().map(|n| self.payload(*n)))
                    .collect();
                // An append is not atomic: any of its entries may be the last durable one.
                let mut done: skep_log::OnDurable = Box::new(|_| {});
                for (_, bytes) in &entries {
                    done = self.push(group, |model| model.entries.push(bytes.clone()));
                }
                self.log(group).append(entries, done);
            }
            Op::Truncate { group, back } => {
                let model = self.history[&group].last().unwrap().clone();
                let keep = model.entries.len().saturating_sub(back as usize);
                let done = self.push(group, |model| model.entries.truncate(keep));
                self.log(group)
                    .truncate_from(model.first + keep as u64, done);
            }
            Op::Purge { group, up } => {
                let index = self.history[&group].last().unwrap().first + up;
                // Lazy: belongs to the state before it, which it does not contradict.
                let model = self.history.get_mut(&group).unwrap().last_mut().unwrap();
                if index <= model.next() {
                    model.entries.drain(..up as usize);
                    model.first = index;
                    self.log(group).purge_before(index);
                }
            }
            Op::Meta { group, bytes } => {
                let meta = Bytes::from(vec![bytes; usize::from(bytes)]);
                let done = self.push(group, |model| model.meta = Some(meta.clone()));
                self.log(group).save_meta(meta, done);
            }
            Op::Reset { group } => {
                let done = self.push(group, |model| *model = Model::default());
                self.log(group).reset(done);
            }
            Op::Drive => drop(self.store.drive()),
            Op::Fill { bytes } => {
                self.files.set_faults(Faults {
                    space_left: Some(bytes),
                    ..Faults::default()
                });
                for _ in 0..20 {
                    self.store.drive();
                }
                self.files.set_faults(Faults::default());
            }
            Op::SyncFails { seed, power_lost } => {
                self.files.set_faults(Faults {
                    fail_sync: true,
                    ..Faults::default()
                });
                self.store.drive();
                self.files.set_faults(Faults::default());
                if matches!(self.store.status(), LogStatus::Failed(_)) {
                    self.run(match power_lost {
                        true => Op::Crash { seed },
                        false => Op::Kill { seed },
                    });
                }
            }
            Op::Crash { seed } => {
                self.files.crash(&mut Random::new(seed));
                self.reopen();
            }
            Op::Kill { seed } => {
                self.files.kill(&mut Random::new(seed));
                self.reopen();
            }
            Op::Close => {
                self.store.close();
                for (group, history) in &self.history {
                    let durable = self
                        .durable
                        .lock()
                        .unwrap()
                        .get(group)
                        .copied()
                        .unwrap_or(0);
                    assert_eq!(durable, history.len() - 1, "closing writes everything");
                }
                self.reopen();
            }
        }
        for (group, history) in &self.history {
            assert_eq!(Model::read(&self.log(*group)), *history.last().unwrap());
        }
    }

    fn payload(&mut self, bytes: u16) -> Bytes {
        self.counter += 1;
        let mut payload = self.counter.to_le_bytes().to_vec();
        payload.resize(8 + usize::from(bytes), self.counter as u8);
        Bytes::from(payload)
    }

    fn reopen(&mut self) {
        let (store, report) = open(&self.files);
        assert_eq!(report.damaged, []);
        self.store = store;
        for (group, history) in &mut self.history {
            let found = Model::read(&self.store.group(GroupId(*group)));
            let durable = self.durable.lock().unwrap().remove(group).unwrap_or(0);
            let allowed = &history[durable..];
            assert!(
                allowed.iter().any(|model| model.is_found_as(&found)),
                "group {group}: found {found:?}, expected one of {allowed:?}"
            );
            *history = vec![found];
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn recovery_finds_a_prefix_with_all_that_was_acknowledged(ops in prop::collection::vec(op(), 1..80)) {
        let mut harness = Harness::new();
        for op in ops {
            harness.run(op);
        }
        harness.run(Op::Crash { seed: 1 });
        harness.run(Op::Close);
    }

    #[test]
    fn a_flipped_bit_is_dropped_as_a_tail_or_reported_but_never_read(
        ops in prop::collection::vec(op(), 20..60),
        place in any::<u64>(),
        bit in 0u8..8,
    ) {
        let mut harness = Harness::new();
        for op in ops {
            harness.run(op);
        }
        harness.run(Op::Close);
        // After an orderly close nothing of the content may be mistaken for a torn tail.
        let files: Vec<(PathBuf, Vec<u8>)> = harness.files.dump().into_iter().collect();
        let (path, content) = &files[place as usize % files.len()];
        let offset = (place >> 8) % content.len() as u64;
        harness.files.flip_bit(path, offset, bit);
        let Ok((store, report)) = LogStore::open(
            Arc::new(harness.files.clone()), Path::new("/log"), options(),
        ) else { return Ok(()) };
        for (group, history) in &harness.history {
            let log = store.group(GroupId(*group));
            let damaged = report.damaged.iter().any(|damage| damage.group.0 == *group);
            if damaged || report.unknown_refused && log.next_index().is_err() {
                prop_assert!(log.next_index().is_err());
            } else {
                let found = Model::read(&log);
                prop_assert!(history.last().unwrap().is_found_as(&found));
            }
        }
    }
}

#[test]
fn a_failed_sync_refuses_everything_until_the_store_is_opened_again() {
    let mut harness = Harness::new();
    harness.run(Op::Append {
        group: 0,
        bytes: vec![5],
    });
    harness.run(Op::Drive);
    let results = Arc::new(Mutex::new(Vec::new()));
    let note = |results: &Arc<Mutex<Vec<bool>>>| -> skep_log::OnDurable {
        let results = Arc::clone(results);
        Box::new(move |result| results.lock().unwrap().push(result.is_ok()))
    };
    harness.files.set_faults(Faults {
        fail_sync: true,
        ..Faults::default()
    });
    harness
        .log(0)
        .save_meta(Bytes::from_static(b"a"), note(&results));
    harness.store.drive();
    harness.files.set_faults(Faults::default());
    harness
        .log(1)
        .save_meta(Bytes::from_static(b"b"), note(&results));
    harness.store.drive();
    assert_eq!(*results.lock().unwrap(), [false, false]);
    assert!(matches!(harness.store.status(), LogStatus::Failed(_)));
    let (store, _) = open(&harness.files);
    assert!(matches!(store.status(), LogStatus::Open));
}

#[test]
fn a_full_disk_is_waited_for_and_nothing_is_acknowledged_meanwhile() {
    let mut harness = Harness::new();
    harness.files.set_faults(Faults {
        space_left: Some(0),
        ..Faults::default()
    });
    harness.run(Op::Append {
        group: 0,
        bytes: vec![5],
    });
    harness.store.drive();
    assert!(harness.log(0).is_full());
    assert!(harness.durable.lock().unwrap().is_empty());
    harness.files.set_faults(Faults::default());
    while harness.store.drive() {}
    assert!(!harness.log(0).is_full());
    assert_eq!(harness.durable.lock().unwrap().get(&0), Some(&1));
}

#[test]
fn an_idle_group_does_not_keep_old_segments() {
    let mut harness = Harness::new();
    harness.run(Op::Meta { group: 1, bytes: 9 });
    harness.run(Op::Append {
        group: 1,
        bytes: vec![20, 30],
    });
    for _ in 0..100 {
        harness.run(Op::Append {
            group: 0,
            bytes: vec![600],
        });
        harness.run(Op::Purge { group: 0, up: 1 });
        while harness.store.drive() {}
    }
    assert!(
        harness.store.stats().segments < 6,
        "{:?}",
        harness.store.stats()
    );
    harness.run(Op::Crash { seed: 3 });
}

/// The kernel counts it as written after that, so that another sync succeeds without writing anything.
#[test]
fn what_a_sync_has_failed_to_write_is_written_again_before_it_is_taken_as_durable() {
    for seed in 0..20 {
        let mut harness = Harness::new();
        while harness.store.drive() {}
        harness.run(Op::Append {
            group: 0,
            bytes: vec![600],
        });
        harness.run(Op::SyncFails {
            seed,
            power_lost: false,
        });
        // What is found now is relied on: a member of a group tells the others that it has it.
        harness.run(Op::Crash { seed: !seed });
    }
}
