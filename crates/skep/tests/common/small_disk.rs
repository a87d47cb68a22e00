//! A file system of a few MiB, to run out of space for good.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A tmpfs; unmounted when dropped.
pub struct SmallDisk {
    path: PathBuf,
}

impl SmallDisk {
    /// Mounted at a directory that exists. `None` where this user may not mount anything.
    pub fn mount(path: &Path, mebibytes: u32) -> Option<SmallDisk> {
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
        let path = self.path.join("ballast");
        let mut file = std::fs::File::create(&path).unwrap();
        let block = [1; 4096];
        loop {
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
