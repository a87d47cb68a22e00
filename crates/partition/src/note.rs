//! The note of what is being evaluated, for the next process in case this one does not survive it.
//!
//! A panic is caught; a stack overflow or memory that runs out is not. It takes the whole node with it, and would do so again
//! after every start, since the command comes again. So the subject of each evaluation is written down before, and erased
//! after. What a start finds written down counts as a death of that subject; the second one bans the process instance that it
//! was of, or has the command refused that is of none, such as a creation. One proves nothing: whoever is killed from outside is
//! likely to be evaluating something.
//!
//! The note only has to survive the process, not the machine. It is written into the page cache, and costs no flush.
//! Layout: `docs/formats/note.md`.
//!
//! **Invariants**
//! - A note that cannot be read is no note: it is advice, and never stops a start.
//! - A suspect whose evaluation ends is none any more.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use skep_engine::{Subject, Watch};
use skep_protocol::{Intent, Key};
use tracing::{error, warn};

const MAGIC: &[u8; 8] = b"SKEPNOT\n";
const VERSION: u32 = 1;

/// Where the slot of the evaluation under way begins.
const SLOT_AT: usize = 12;
const SLOT_BYTES: usize = 28;
/// Where the suspects begin.
const SUSPECTS_AT: usize = 64;
const SUSPECT_BYTES: usize = 32;
/// Suspects that are remembered, the latest ones.
const SUSPECTS_MAX: usize = 8;
const LIST_BYTES: usize = SUSPECTS_MAX * SUSPECT_BYTES;
const CHECKSUM_BYTES: usize = 4;
const FILE_BYTES: usize = 512;

const _: () = assert!(SLOT_AT + SLOT_BYTES + CHECKSUM_BYTES <= SUSPECTS_AT);
const _: () = assert!(SUSPECTS_AT + LIST_BYTES + CHECKSUM_BYTES <= FILE_BYTES);

/// Deaths of one subject after which its process instance is banned, or the command refused that has none.
const DEATHS_MAX: u16 = 2;

/// Where a replica writes down what it evaluates.
pub trait Note: Watch + Send {
    /// The evaluation that began last has ended.
    fn survived(&mut self);

    /// Nothing is being evaluated for now.
    fn erase(&mut self);

    /// What has killed its process too often.
    fn deadly(&self) -> Vec<Subject>;
}

/// For replicas whose end is nobody's concern.
#[derive(Debug)]
pub(crate) struct NoNote;

impl Watch for NoNote {
    fn begins(&mut self, _: &Subject) {}
}

impl Note for NoNote {
    fn survived(&mut self) {}
    fn erase(&mut self) {}
    fn deadly(&self) -> Vec<Subject> {
        Vec::new()
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Suspect {
    subject: Subject,
    deaths: u16,
}

/// A note in a file.
#[derive(Debug)]
pub struct FileNote {
    path: PathBuf,
    file: File,
    current: Option<Subject>,
    is_written: bool,
    suspects: Vec<Suspect>,
    has_failed: bool,
}

impl FileNote {
    /// Opens the note at `path`, and counts what is written there as a death.
    ///
    /// # Errors
    /// If the file cannot be created, read or written.
    pub fn open(path: &Path) -> io::Result<FileNote> {
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let mut bytes = Vec::new();
        (&mut file)
            .take(FILE_BYTES as u64)
            .read_to_end(&mut bytes)?;
        let (current, mut suspects) = match decode(&bytes) {
            Ok(found) => found,
            Err(_) if bytes.is_empty() => (None, Vec::new()),
            Err(reason) => {
                warn!(path = %path.display(), reason, "the note of the last evaluation is ignored");
                (None, Vec::new())
            }
        };
        if let Some(subject) = current {
            count_death(&mut suspects, subject);
        }
        file.write_all_at(&encode(None, &suspects), 0)?;
        file.sync_all()?;
        Ok(FileNote {
            path: path.to_owned(),
            file,
            current: None,
            is_written: false,
            suspects,
            has_failed: false,
        })
    }

    /// Without the note the partition works as well; a person should know.
    fn write(&mut self, bytes: &[u8], at: usize) {
        if let Err(error) = self.file.write_all_at(bytes, at as u64)
            && !self.has_failed
        {
            self.has_failed = true;
            warn!(path = %self.path.display(), %error, "cannot write down what is being evaluated");
        }
    }
}

fn count_death(suspects: &mut Vec<Suspect>, subject: Subject) {
    let known = suspects
        .iter()
        .position(|suspect| suspect.subject.is_same(&subject));
    let deaths = known.map_or(0, |at| suspects.remove(at).deaths);
    suspects.insert(
        0,
        Suspect {
            subject,
            deaths: deaths.saturating_add(1),
        },
    );
    suspects.truncate(SUSPECTS_MAX);
    error!(
        intent = subject.intent.name(),
        key = subject.key.0,
        process_instance = subject.process_instance.0,
        deaths = suspects[0].deaths,
        "the node ended during this evaluation"
    );
}

impl Watch for FileNote {
    fn begins(&mut self, subject: &Subject) {
        self.current = Some(*subject);
        self.is_written = true;
        self.write(&slot(Some(*subject)), SLOT_AT);
    }
}

impl Note for FileNote {
    fn survived(&mut self) {
        let Some(subject) = self.current.take() else {
            return;
        };
        if self
            .suspects
            .iter()
            .any(|suspect| suspect.subject.is_same(&subject))
        {
            self.suspects
                .retain(|suspect| !suspect.subject.is_same(&subject));
            let list = list(&self.suspects);
            self.write(&list, SUSPECTS_AT);
        }
    }

    fn erase(&mut self) {
        if std::mem::take(&mut self.is_written) {
            self.write(&slot(None), SLOT_AT);
        }
    }

    fn deadly(&self) -> Vec<Subject> {
        let deadly = self
            .suspects
            .iter()
            .filter(|suspect| suspect.deaths >= DEATHS_MAX);
        deadly.map(|suspect| suspect.subject).collect()
    }
}

fn encode(current: Option<Subject>, suspects: &[Suspect]) -> Vec<u8> {
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(&slot(current));
    bytes.resize(SUSPECTS_AT, 0);
    bytes.extend_from_slice(&list(suspects));
    bytes.resize(FILE_BYTES, 0);
    bytes
}

fn slot(current: Option<Subject>) -> [u8; SLOT_BYTES + CHECKSUM_BYTES] {
    let mut bytes = [0; SLOT_BYTES + CHECKSUM_BYTES];
    if let Some(subject) = current {
        let (value_type, intent) = subject.intent.codes();
        bytes[..3].copy_from_slice(&[1, value_type, intent]);
        bytes[4..SLOT_BYTES].copy_from_slice(&numbers(&subject));
    }
    let checksum = crc32c::crc32c(&bytes[..SLOT_BYTES]);
    bytes[SLOT_BYTES..].copy_from_slice(&checksum.to_le_bytes());
    bytes
}

fn numbers(subject: &Subject) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&subject.key.0.to_le_bytes());
    bytes[8..16].copy_from_slice(&subject.process_instance.0.to_le_bytes());
    bytes[16..].copy_from_slice(&subject.content.to_le_bytes());
    bytes
}

fn list(suspects: &[Suspect]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(LIST_BYTES + CHECKSUM_BYTES);
    for suspect in suspects {
        let (value_type, intent) = suspect.subject.intent.codes();
        bytes.extend_from_slice(&suspect.deaths.to_le_bytes());
        bytes.extend_from_slice(&[value_type, intent, 0, 0, 0, 0]);
        bytes.extend_from_slice(&numbers(&suspect.subject));
    }
    bytes.resize(LIST_BYTES, 0);
    bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

type Decoded = (Option<Subject>, Vec<Suspect>);

fn decode(bytes: &[u8]) -> Result<Decoded, &'static str> {
    if bytes.len() != FILE_BYTES || &bytes[..MAGIC.len()] != MAGIC {
        return Err("it is no note");
    }
    if bytes[MAGIC.len()..SLOT_AT] != VERSION.to_le_bytes() {
        return Err("another version wrote it");
    }
    let slot = checked(&bytes[SLOT_AT..][..SLOT_BYTES + CHECKSUM_BYTES])?;
    let current = match slot[0] {
        0 => None,
        _ => Some(subject(slot[1], slot[2], &slot[4..])?),
    };
    let list = checked(&bytes[SUSPECTS_AT..][..LIST_BYTES + CHECKSUM_BYTES])?;
    let mut suspects = Vec::new();
    for entry in list.chunks_exact(SUSPECT_BYTES) {
        let deaths = u16::from_le_bytes([entry[0], entry[1]]);
        if deaths > 0 {
            let subject = subject(entry[2], entry[3], &entry[8..])?;
            suspects.push(Suspect { subject, deaths });
        }
    }
    Ok((current, suspects))
}

/// Bytes without the checksum at their end, if that is right.
fn checked(bytes: &[u8]) -> Result<&[u8], &'static str> {
    let (content, checksum) = bytes.split_at(bytes.len() - CHECKSUM_BYTES);
    if crc32c::crc32c(content).to_le_bytes() != checksum {
        return Err("checksum does not match");
    }
    Ok(content)
}

fn subject(value_type: u8, intent: u8, numbers: &[u8]) -> Result<Subject, &'static str> {
    let intent = Intent::from_codes(value_type, intent).map_err(|_| "another version wrote it")?;
    let number =
        |at: usize| i64::from_le_bytes(numbers[at..at + 8].try_into().expect("eight bytes"));
    let (key, process_instance) = (Key(number(0)), Key(number(8)));
    let content = number(16) as u64;
    Ok(Subject::noted(intent, key, content, process_instance))
}

#[cfg(test)]
mod tests;
