//! A process killed while it writes, and a disk that takes no more.
//!
//! Both need a process of their own: this test binary runs itself.

// Helpers outside of test functions unwrap too.
#![allow(clippy::unwrap_used)]

mod common;

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

use common::{Numbers, batch, content_after, open, read_all, write};
use skep_state::{StateError, Store};
use skep_store::Compact;

const SIZE: u64 = 300;
const DIRECTORY: &str = "STORE_TEST_DIRECTORY";

fn generation(store: &dyn Store) -> u64 {
    store.meta().unwrap().map_or(0, |meta| {
        std::str::from_utf8(&meta).unwrap().parse().unwrap()
    })
}

fn spawn(test: &str, directory: &Path, before: &str) -> (Child, Lines<BufReader<ChildStdout>>) {
    let command = format!("{before} exec \"$0\" --exact {test} --ignored --nocapture");
    let mut child = Command::new("sh")
        .arg("-c")
        .arg(command)
        .arg(std::env::current_exe().unwrap())
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    (child, lines)
}

#[test]
#[ignore = "the killed process of another test"]
fn write_until_killed() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let store = open(Path::new(&directory));
    for generation in generation(&store) + 1.. {
        write(&store, &batch(generation, SIZE), &generation.to_string()).unwrap();
        println!("written {generation}");
        store.compact().unwrap();
    }
}

#[test]
fn after_a_kill_the_store_holds_a_prefix_of_the_writes_and_all_that_returned() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("p1");
    let mut numbers = Numbers(3);
    for _ in 0..8 {
        let (mut child, lines) = spawn("write_until_killed", &path, "");
        let wanted = 1 + numbers.below(6) as usize;
        let mut lines = lines.map(Result::unwrap).filter_map(|line| {
            line.rsplit_once("written ")
                .map(|(_, generation)| generation.parse::<u64>().unwrap())
        });
        let mut returned = lines.by_ref().take(wanted).last().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        returned = lines.last().unwrap_or(returned);
        let store = open(&path);
        let found = generation(&store);
        assert!(
            found == returned || found == returned + 1,
            "{found} after {returned}"
        );
        assert_eq!(read_all(&store).unwrap(), content_after(found, SIZE));
    }
}

#[test]
#[ignore = "the process with a limit on file sizes of another test"]
fn write_with_a_limit() {
    let directory = std::env::var_os(DIRECTORY).unwrap();
    let store = open(Path::new(&directory));
    let mut refused = 0;
    for round in 1..=6 {
        write(&store, &batch(round, SIZE), &round.to_string()).unwrap();
        let before = read_all(&store).unwrap();
        let large: std::collections::BTreeMap<_, _> = (0..4000)
            .map(|n| (common::key(n), Some(common::value(n, 7))))
            .collect();
        let large: Vec<_> = large.into_iter().collect();
        match write(&store, &large, "too large") {
            Err(StateError::Io { .. }) => refused += 1,
            other => panic!("{other:?}"),
        }
        assert_eq!(read_all(&store).unwrap(), before);
        assert_eq!(generation(&store), round);
        let tables = std::fs::read_dir(Path::new(&directory).join("tree/tables"))
            .unwrap()
            .count();
        assert_eq!(
            tables,
            store.stats().tables,
            "a refused write leaves no file behind"
        );
    }
    println!("refused {refused}");
}

#[test]
fn a_write_that_the_disk_refuses_loses_nothing_leaves_nothing_and_later_ones_succeed() {
    let directory = tempfile::tempdir().unwrap();
    // In blocks of 512 bytes: enough for each write, but not for the large one. The signal that comes with the error would end the process.
    let limit = "trap '' XFSZ; ulimit -f 600;";
    let (mut child, lines) = spawn("write_with_a_limit", directory.path(), limit);
    let output: Vec<String> = lines.map(Result::unwrap).collect();
    assert!(child.wait().unwrap().success(), "{output:#?}");
    assert!(
        output.iter().any(|line| line.contains("refused 6")),
        "{output:#?}"
    );
    let store = open(directory.path());
    assert_eq!(read_all(&store).unwrap(), content_after(6, SIZE));
}
