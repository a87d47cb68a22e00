//! Whether exporting is paused, over restarts: the file `exporting` of the data directory holds the phase's name, and is not
//! there while nothing is paused.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use skep_exporter::Phase;

/// The file and what it says.
pub(crate) struct PhaseFile {
    path: PathBuf,
    phase: Phase,
}

const PAUSES: [Phase; 2] = [Phase::Paused, Phase::SoftPaused];

impl PhaseFile {
    /// Reads the file, if it is there.
    pub fn open(path: &Path) -> io::Result<PhaseFile> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(error),
        };
        let phase = match text.trim() {
            "" => Phase::Exporting,
            name => PAUSES
                .into_iter()
                .find(|phase| phase.name() == name)
                .ok_or_else(|| {
                    io::Error::other(format!(
                        "it says '{name}', not PAUSED or SOFT_PAUSED. Delete it if exporting is to go on"
                    ))
                })?,
        };
        Ok(PhaseFile {
            path: path.to_owned(),
            phase,
        })
    }

    /// What it says.
    pub const fn get(&self) -> Phase {
        self.phase
    }

    /// Changes it for good.
    pub fn set(&mut self, phase: Phase) -> io::Result<()> {
        let directory = self.path.parent().unwrap_or(Path::new("."));
        let temporary = self.path.with_extension("new");
        if phase == Phase::Exporting {
            match fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        } else {
            let mut file = fs::File::create(&temporary)?;
            file.write_all(phase.name().as_bytes())?;
            file.sync_all()?;
            fs::rename(&temporary, &self.path)?;
        }
        fs::File::open(directory)?.sync_all()?;
        self.phase = phase;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may panic")]

    use super::*;

    #[test]
    fn a_pause_outlives_the_process_until_exporting_goes_on() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("exporting");
        for phase in [
            Phase::Exporting,
            Phase::Paused,
            Phase::SoftPaused,
            Phase::Exporting,
        ] {
            PhaseFile::open(&path).unwrap().set(phase).unwrap();
            assert_eq!(PhaseFile::open(&path).unwrap().get(), phase);
        }
        fs::write(&path, "SOMETHING").unwrap();
        let error = PhaseFile::open(&path).err().unwrap().to_string();
        assert!(error.contains("SOMETHING"), "{error}");
    }
}
