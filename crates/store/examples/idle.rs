//! Measures what open stores cost when nothing happens: `idle <directory> <stores>`.

use std::error::Error;
use std::path::Path;

use bytes::Bytes;
use skep_state::Store;
use skep_store::{PartitionStore, StoreOptions, WriteBack};

fn resident_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.split_whitespace().next()?.parse().ok()
}

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [directory, count] = arguments.as_slice() else {
        return Err("usage: idle <directory> <stores>".into());
    };
    let options = StoreOptions::default();
    let _write_back = WriteBack::spawn()?;
    println!("before: {:?} KiB", resident_kib());
    let mut stores = Vec::new();
    for number in 1..=count.parse::<u32>()? {
        let path = Path::new(directory).join(number.to_string());
        let store = PartitionStore::open(&path, &options)?;
        for round in 0..3u8 {
            let writes: Vec<_> = (0..200u8).map(|key| ([1, key], [round; 100])).collect();
            let mut writes = writes
                .iter()
                .map(|(key, value)| (&key[..], Some(&value[..])));
            store.write(&mut writes, &Bytes::from_static(b"meta"))?;
        }
        stores.push(store);
    }
    let files = std::fs::read_dir("/proc/self/fd")?.count();
    println!(
        "{} stores: {:?} KiB, {files} files open",
        stores.len(),
        resident_kib()
    );
    Ok(())
}
