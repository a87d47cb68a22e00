//! A file system of a few MiB, to run out of space for good.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Set where a test runs once more, in a namespace.
const IN_NAMESPACE: &str = "SKEP_TEST_IN_NAMESPACE";
/// A user who is root in a namespace of its own may mount there.
const NAMESPACE: [&str; 3] = ["--user", "--map-root-user", "--mount"];

/// Runs the test of that name, which mounts small disks: right here if this user may mount, else once more in a namespace where it
/// may. Says so where it may neither.
pub fn with_small_disks(name: &str, test: impl FnOnce()) {
    if may_mount() {
        test();
        return;
    }
    let namespace = || {
        let mut command = Command::new("unshare");
        command.args(NAMESPACE);
        command
    };
    let probed = namespace().arg("true").output();
    if std::env::var_os(IN_NAMESPACE).is_some()
        || !probed.is_ok_and(|output| output.status.success())
    {
        println!(
            "not shown: this user may neither mount a file system nor make a namespace (unshare, of util-linux) to mount it in"
        );
        return;
    }
    let output = namespace()
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", name, "--nocapture"])
        .env(IN_NAMESPACE, "1")
        .output()
        .unwrap();
    let text = super::text_of(&output);
    println!("{text}");
    assert!(output.status.success(), "{name} failed in a namespace");
    assert!(text.contains("1 passed"), "there is no test {name}");
}

fn may_mount() -> bool {
    let directory = tempfile::tempdir().unwrap();
    SmallDisk::try_mount(directory.path(), 1).is_some()
}

/// A tmpfs; unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounted at a directory that exists.
    pub fn mount(path: &Path, mebibytes: u32) -> SmallDisk {
        SmallDisk::try_mount(path, mebibytes).expect("with_small_disks has tried")
    }

    fn try_mount(path: &Path, mebibytes: u32) -> Option<SmallDisk> {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={mebibytes}m"), "tmpfs"])
            .arg(path)
            .output()
            .is_ok_and(|output| output.status.success());
        mounted.then(|| SmallDisk {
            path: path.to_owned(),
        })
    }

    /// A file on it that takes up all the space there is.
    pub fn fill(&self) -> Ballast {
        self.take(u64::MAX)
    }

    /// A file on it of that size, or as large as it can become.
    pub fn take(&self, bytes: u64) -> Ballast {
        let path = self.path.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = [1; 4096];
        for _ in 0..bytes / block.len() as u64 {
            match std::io::Write::write(&mut file, &block) {
                Ok(_) => {}
                Err(error) if error.kind() == std::io::ErrorKind::StorageFull => break,
                Err(error) => panic!("{error}"),
            }
        }
        Ballast { path }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        // What still has a file open there is killed at about the same time: unmount as soon as it is gone.
        let unmounted = Command::new("umount")
            .arg("--lazy")
            .arg(&self.path)
            .status();
        assert!(unmounted.unwrap().success());
    }
}

/// What fills a disk; gone when dropped.
pub struct Ballast {
    path: PathBuf,
}

impl Drop for Ballast {
    fn drop(&mut self) {
        std::fs::remove_file(&self.path).unwrap();
    }
}
