//! Content that looks like a partition's, as large as wanted and the same each time.

#![allow(dead_code, reason = "each example uses a part of it")]

use std::collections::BTreeMap;
use std::error::Error;
use std::path::Path;
use std::time::Instant;

use bytes::Bytes;
use skep_store::{PartitionStore, StoreOptions};

pub const TABLES: u64 = 8;
pub const PAIR_BYTES: u64 = 325;

fn mix(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

pub struct Numbers(pub u64);

impl Numbers {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }
}

pub fn key(number: u64) -> Vec<u8> {
    let hash = mix(number + 77);
    let mut key = vec![1 + (number % TABLES) as u8];
    key.extend_from_slice(&number.to_be_bytes());
    key.extend_from_slice(&hash.to_be_bytes());
    key.extend((0..hash % 24).map(|at| b'a' + ((hash >> at) % 26) as u8));
    key
}

pub fn value(number: u64, generation: u64) -> Vec<u8> {
    let mut numbers = Numbers(number * 31 + generation);
    let length = 100 + (numbers.next() % 401) as usize;
    let mut value = Vec::with_capacity(length + 50);
    while value.len() < length {
        let field = format!(
            "{{\"orderId\":{},\"state\":\"ACTIVATED\"}},",
            numbers.next()
        );
        value.extend_from_slice(field.as_bytes());
    }
    value.truncate(length);
    value
}

pub type Batch = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

pub fn batch(numbers: &mut Numbers, count: &mut u64, generation: u64) -> (Batch, u64) {
    let size = (5 << 20) + numbers.next() % (25 << 20);
    let (mut batch, mut bytes) = (Batch::new(), 0);
    while bytes < size {
        let kind = numbers.next() % 100;
        let number = if kind < 70 {
            *count += 1;
            *count
        } else {
            numbers.next() % *count
        };
        let value = (kind < 85).then(|| value(number, generation));
        let key = key(number);
        bytes += (key.len() + value.as_ref().map_or(0, Vec::len)) as u64;
        batch.insert(key, value);
    }
    (batch, bytes)
}

/// A figure of a file in `/proc/self`.
pub fn figure(file: &str, name: &str) -> u64 {
    let text = std::fs::read_to_string(format!("/proc/self/{file}")).unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok())
        .unwrap_or_default()
}

pub fn memory() -> String {
    let [peak, now] = ["VmHWM:", "VmRSS:"].map(|name| figure("status", name) / 1024);
    // From here on the peak is counted anew.
    let reset = std::fs::write("/proc/self/clear_refs", "5").is_ok();
    format!("memory {now} MiB, peak {peak} MiB (counted anew: {reset})")
}

/// Makes a store of that many pairs.
pub fn load(directory: &Path, options: &StoreOptions, count: u64) -> Result<(), Box<dyn Error>> {
    let start = Instant::now();
    let mut load = PartitionStore::bulk_load(directory, options)?;
    let mut bytes = 0;
    for table in 0..TABLES {
        for number in (table..count).step_by(TABLES as usize) {
            let (key, value) = (key(number), value(number, 0));
            bytes += (key.len() + value.len()) as u64;
            load.write_sorted(&mut [(key.as_slice(), value.as_slice())].into_iter())?;
        }
    }
    load.finish(&Bytes::from_static(b"meta"))?;
    let time = start.elapsed();
    println!(
        "load of {} MB with making it: {time:.2?}; {}",
        bytes / 1_000_000,
        memory()
    );
    Ok(())
}
