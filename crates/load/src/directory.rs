//! Sizes of directories.

use std::fs;
use std::path::Path;

use crate::failure::Failure;

/// Bytes of all files below a directory.
pub fn bytes_below(root: &Path) -> Result<u64, Failure> {
    let failed = |error| Failure::io(format!("read {}", root.display()), error);
    let mut open = vec![root.to_owned()];
    let mut bytes = 0;
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            // A file may vanish meanwhile: temporary ones are renamed.
            match entry.metadata() {
                Ok(data) if data.is_dir() => open.push(entry.path()),
                Ok(data) => bytes += data.len(),
                Err(_) => {}
            }
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn files_of_all_levels_count() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("a/b")).unwrap();
        fs::write(root.path().join("x"), [0; 3]).unwrap();
        fs::write(root.path().join("a/b/y"), [0; 4]).unwrap();
        assert_eq!(bytes_below(root.path()).unwrap(), 7);
    }
}
