//! Faults inside of a process: its clock, its disk. See `faults.c`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common::{repository, text_of};

/// The library to preload, compiled into a directory.
pub fn compile(directory: &Path) -> PathBuf {
    let library = directory.join("faults.so");
    let source = repository().join("crates/skep/tests/campaign/faults.c");
    let output = Command::new("cc")
        .args(["-O1", "-shared", "-fPIC", "-o"])
        .args([&library, &source])
        .arg("-ldl")
        .output()
        .expect("a C compiler");
    assert!(output.status.success(), "{}", text_of(&output));
    library
}

/// The file that tells a process which faults it has.
pub struct FaultFile {
    pub path: PathBuf,
    file: File,
}

/// One of them, and its place in the file.
#[derive(Debug, Clone, Copy)]
pub enum Setting {
    /// Milliseconds by which the wall clock is ahead; negative if it is late.
    ClockAhead = 0,
    /// Milliseconds that syncing a file takes longer.
    SyncTakes = 1,
    /// 1 if nothing can be written to files.
    DiskFull = 2,
    /// 1 if no file can be synced.
    SyncFails = 3,
}

impl FaultFile {
    /// Without faults.
    pub fn create(path: PathBuf) -> FaultFile {
        let file = File::create(&path).unwrap();
        let faults = FaultFile { path, file };
        for setting in [
            Setting::ClockAhead,
            Setting::SyncTakes,
            Setting::DiskFull,
            Setting::SyncFails,
        ] {
            faults.set(setting, 0);
        }
        faults
    }

    /// From now on.
    pub fn set(&self, setting: Setting, value: i64) {
        let offset = setting as u64 * 8;
        self.file
            .write_all_at(&value.to_ne_bytes(), offset)
            .unwrap();
    }
}
