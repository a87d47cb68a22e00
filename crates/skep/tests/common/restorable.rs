//! A backup to be restored, and what lies in its store.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use super::{PATIENCE, PAUSE, Place, repository};

/// Instances that wait for a job of type `payment` in every such backup.
pub const INSTANCES: u32 = 20;

/// A place with a completed backup 1 and no data directory.
pub fn with_backup(partitions: u32) -> Place {
    let place = Place::new(partitions);
    let broker = place.start();
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order", "--count", &INSTANCES.to_string()]);
    place.skep(&["backup", "take", "1", "--wait"]);
    // It is completed with its partitions' manifests; the cluster's is written then.
    await_backup_file(&place, "/manifest.json");
    broker.kill();
    place.lose_data();
    place
}

/// Restores backup 1 for good, and finds all instances again.
#[track_caller]
pub fn restore_and_go_on(place: &Place) {
    place.skep(&["restore", "--backupId=1"]);
    let broker = place.start();
    let worked = place.skep(&["work", "payment", "--idle", "1s"]);
    let expected = format!("Completed {INSTANCES} jobs");
    assert!(worked.contains(&expected), "{worked}");
    assert_eq!(broker.stop(), Some(0));
}

/// All files below a directory.
pub fn files_below(root: &Path) -> Vec<PathBuf> {
    let mut open = vec![root.to_owned()];
    let mut files = Vec::new();
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files.sort();
    files
}

/// All files below a directory, with what is in them.
pub fn contents_below(root: &Path) -> BTreeMap<PathBuf, Vec<u8>> {
    let files = files_below(root).into_iter();
    files
        .map(|path| {
            let bytes = fs::read(&path).unwrap();
            (path, bytes)
        })
        .collect()
}

/// Waits until the backup store has a file whose path ends so.
#[track_caller]
pub fn await_backup_file(place: &Place, end_of_path: &str) {
    let end = Instant::now() + PATIENCE;
    let is_there = || {
        let files = files_of_store(place, end_of_path);
        files
            .iter()
            .any(|path| path.to_str().unwrap().ends_with(end_of_path))
    };
    while !is_there() {
        assert!(Instant::now() < end, "there is no {end_of_path}");
        std::thread::sleep(PAUSE);
    }
}

fn files_of_store(place: &Place, part_of_path: &str) -> Vec<PathBuf> {
    let root = place.directory.path().join("backups");
    let mut files = files_below(&root);
    files.retain(|path| {
        let below = path.strip_prefix(&root).unwrap();
        below.to_str().unwrap().contains(part_of_path)
    });
    files
}

/// The files of the backup store whose path has this part.
pub fn backup_files(place: &Place, part_of_path: &str) -> Vec<PathBuf> {
    let files = files_of_store(place, part_of_path);
    assert!(
        !files.is_empty(),
        "the layout of the store has changed: no {part_of_path}"
    );
    files
}

/// Files that were taken away; they can be put back.
pub struct Aside(BTreeMap<PathBuf, Vec<u8>>);

impl Aside {
    pub fn take(files: impl IntoIterator<Item = PathBuf>) -> Aside {
        let taken = files.into_iter().map(|path| {
            let bytes = fs::read(&path).unwrap();
            fs::remove_file(&path).unwrap();
            (path, bytes)
        });
        Aside(taken.collect())
    }

    /// In place of whatever has their names by now.
    pub fn put_back(self) {
        for (path, bytes) in self.0 {
            if path.exists() {
                fs::remove_file(&path).unwrap();
            }
            fs::write(path, bytes).unwrap();
        }
    }
}

/// A document of the store (docs/formats/manifest.md) with another body, its checksum made true again.
pub fn with_body(document: &Path, change: impl FnOnce(&str) -> String) {
    let text = fs::read_to_string(document).unwrap();
    let (head, body) = text.split_once(r#""body":"#).unwrap();
    let body = body.trim_end().strip_suffix('}').unwrap();
    let mut envelope: serde_json::Value =
        serde_json::from_str(&format!("{head}\"body\":null}}")).unwrap();
    let body = change(body);
    let format = envelope["format"].take();
    let version = envelope["version"].take();
    let (length, checksum) = (body.len(), blake3::hash(body.as_bytes()));
    let text = format!(
        r#"{{"format":{format},"version":{version},"length":{length},"checksum":"{checksum}","body":{body}}}"#
    );
    fs::write(document, text).unwrap();
}
