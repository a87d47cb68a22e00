#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;

use skep_protocol::{JobIntent, ProcessInstanceIntent, TimerIntent};
use tempfile::TempDir;

use super::*;

fn complete(job: i64) -> Subject {
    Subject::noted(JobIntent::Complete.into(), Key(job), 0, Key::NONE)
}

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("1.note")
    }

    /// Another process, after the one before has ended somehow.
    fn start(&self) -> FileNote {
        FileNote::open(&self.path()).unwrap()
    }
}

#[test]
fn the_second_death_in_the_same_evaluation_is_one_too_many() {
    let place = Place::new();
    let mut note = place.start();
    note.begins(&complete(1));
    let mut note = place.start();
    assert_eq!(note.deadly(), []);
    // Something else comes first, and does no harm.
    note.begins(&complete(2));
    note.survived();
    note.begins(&complete(1));
    let note = place.start();
    assert_eq!(note.deadly(), [complete(1)]);
    assert_eq!(place.start().deadly(), [complete(1)], "it stays known");
}

#[test]
fn how_far_an_evaluation_came_makes_no_other_of_it() {
    let place = Place::new();
    place.start().begins(&complete(1));
    let further = Subject::noted(JobIntent::Complete.into(), Key(1), 0, Key(77));
    let mut note = place.start();
    note.begins(&complete(1));
    note.begins(&further);
    assert_eq!(place.start().deadly(), [further]);
}

#[test]
fn what_is_erased_is_no_death() {
    let place = Place::new();
    for _ in 0..3 {
        let mut note = place.start();
        note.begins(&complete(1));
        note.survived();
        note.erase();
    }
    assert_eq!(place.start().suspects, []);
}

#[test]
fn a_suspect_whose_evaluation_ends_is_none_any_more() {
    let place = Place::new();
    place.start().begins(&complete(1));
    let mut note = place.start();
    note.begins(&complete(1));
    note.survived();
    note.erase();
    place.start().begins(&complete(1));
    assert_eq!(place.start().deadly(), []);
}

#[test]
fn the_latest_suspects_are_kept() {
    let place = Place::new();
    for job in 0..20 {
        place.start().begins(&complete(job));
    }
    let suspects = place.start().suspects;
    let jobs: Vec<i64> = suspects
        .iter()
        .map(|suspect| suspect.subject.key.0)
        .collect();
    assert_eq!(jobs, [19, 18, 17, 16, 15, 14, 13, 12]);
}

#[test]
fn a_damaged_note_is_no_note() {
    let place = Place::new();
    place.start().begins(&complete(1));
    let bytes = fs::read(place.path()).unwrap();
    let used = (0..SLOT_AT + SLOT_BYTES + CHECKSUM_BYTES)
        .chain(SUSPECTS_AT..SUSPECTS_AT + LIST_BYTES + CHECKSUM_BYTES);
    for at in used {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(decode(&damaged).is_err(), "byte {at}");
    }
    for length in [0, 1, 40, 511] {
        fs::write(place.path(), &bytes[..length]).unwrap();
        assert_eq!(place.start().suspects, [], "{length} bytes");
    }
}

#[test]
fn the_format_has_not_changed() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata/golden/note-v1");
    let step = Subject::noted(TimerIntent::Trigger.into(), Key(5), 0, Key(1 << 51));
    let element = ProcessInstanceIntent::CompleteElement;
    let suspects = [
        Suspect {
            subject: Subject::noted(element.into(), Key(2), 9, Key(3)),
            deaths: 2,
        },
        Suspect {
            subject: complete(4),
            deaths: 1,
        },
    ];
    let bytes = encode(Some(step), &suspects);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&golden, &bytes).unwrap();
    }
    assert_eq!(bytes, fs::read(&golden).unwrap());
    assert_eq!(decode(&bytes), Ok((Some(step), suspects.to_vec())));
}
