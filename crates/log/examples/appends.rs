//! Appends per second and latency with real syncs: groups x entries per append, 256 bytes each,
//! one append in flight per group. `cargo run --release -p skep-log --example appends -- DIR`

use std::sync::mpsc;
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use bytes::Bytes;
use skep_log::{GroupId, LogOptions, LogStore, RealFiles};

const TIME: Duration = Duration::from_secs(3);

fn main() {
    let dir = std::env::args()
        .nth(1)
        .map_or_else(std::env::temp_dir, Into::into)
        .join("log-bench");
    println!("groups x entries | entries/s | appends/s | syncs/s | p50 us | p99 us");
    for groups in [1, 3, 8] {
        for entries in [1, 16] {
            row(&dir, groups, entries);
        }
    }
}

fn row(dir: &std::path::Path, groups: u32, entries: u64) {
    let _ = std::fs::remove_dir_all(dir);
    let opened = LogStore::open(Arc::new(RealFiles), dir, LogOptions::default());
    let (store, _) = opened.expect("the directory can be written");
    let start = Arc::new(Barrier::new(groups as usize + 1));
    let threads: Vec<_> = (0..groups)
        .map(|group| {
            let (log, start) = (store.group(GroupId(group)), Arc::clone(&start));
            std::thread::spawn(move || run(&log, entries, &start))
        })
        .collect();
    start.wait();
    let syncs = store.stats().syncs;
    let began = Instant::now();
    let mut micros: Vec<u64> = Vec::new();
    for thread in threads {
        micros.extend(thread.join().expect("the thread has no reason to panic"));
    }
    let seconds = began.elapsed().as_secs_f64();
    let appends = micros.len() as f64 / seconds;
    micros.sort_unstable();
    println!(
        "{groups} x {entries} | {:.0} | {appends:.0} | {:.0} | {} | {}",
        appends * entries as f64,
        (store.stats().syncs - syncs) as f64 / seconds,
        micros[micros.len() / 2],
        micros[micros.len() * 99 / 100],
    );
    store.close();
}

fn run(log: &skep_log::GroupLog, entries: u64, start: &Barrier) -> Vec<u64> {
    start.wait();
    let payload = Bytes::from(vec![7; 256]);
    let end = Instant::now() + TIME;
    let (sender, receiver) = mpsc::channel();
    let (mut next, mut micros) = (0, Vec::new());
    while Instant::now() < end {
        let began = Instant::now();
        let frames = (next..next + entries)
            .map(|index| (index, payload.clone()))
            .collect();
        let sender = sender.clone();
        log.append(
            frames,
            Box::new(move |result| sender.send(result.is_ok()).unwrap_or_default()),
        );
        assert!(
            receiver.recv().expect("the callback comes"),
            "the append succeeds"
        );
        micros.push(u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX));
        next += entries;
        if next.is_multiple_of(4096) {
            log.purge_before(next);
        }
    }
    micros
}
