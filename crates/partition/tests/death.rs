//! An evaluation that ends its process does so twice, and not a third time.
//!
//! Each process is a run of this very test binary, so that it is a real one that ends.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use skep_engine::{Input, Subject, Watch};
use skep_partition::{FileNote, Note};
use skep_protocol::{Intent, JobIntent, RejectionType};
use support::Place;

/// Where the note is, for the processes that are to end.
const NOTE: &str = "SKEP_TEST_NOTE";
const NOTE_OF_CREATION: &str = "SKEP_TEST_NOTE_OF_CREATION";

/// Variables of the creation that kills.
const DEADLY: &str = "{\"x\":2}";

/// A node that is killed by what follows from the completion of a job, as by a stack that overflows, or by a creation.
struct Fatal(FileNote);

impl Watch for Fatal {
    fn begins(&mut self, subject: &Subject) {
        self.0.begins(subject);
        let is_completion = subject.intent == Intent::Job(JobIntent::Complete);
        let deadly = Input::Client {
            command: Place::creation(DEADLY),
            request: None,
        };
        let is_deadly = Subject::of_input(&deadly).is_some_and(|deadly| deadly.is_same(subject));
        if is_completion && subject.process_instance.is_some() || is_deadly {
            std::process::abort();
        }
    }
}

impl Note for Fatal {
    fn survived(&mut self) {
        self.0.survived();
    }

    fn erase(&mut self) {
        self.0.erase();
    }

    fn deadly(&self) -> Vec<Subject> {
        self.0.deadly()
    }
}

/// What a process does: it creates two instances with different variables, the second of which it does not survive.
fn create(note: &Path) {
    let mut place = Place::new(&[]);
    let note = FileNote::open(note).unwrap();
    place.replica.keep_note(Box::new(Fatal(note)));
    place.lead();
    place.deploy_task();
    place.try_create("{\"x\":1}").unwrap();
    let rejection = place.try_create(DEADLY).unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::ProcessingError);
    assert!(rejection.reason.contains("more than once"), "{rejection:?}");
    place.try_create("{\"x\":1}").unwrap();
}

/// What a process does: it recovers two instances, and completes the job of one of them.
fn live(note: &Path) {
    let mut before = Place::new(&[]);
    before.lead();
    before.deploy_task();
    before.create();
    let job = before.activate()[0];
    before.create();
    let mut place = Place::new(&before.log);
    let note = FileNote::open(note).unwrap();
    place.replica.keep_note(Box::new(Fatal(note)));
    place.lead();
    // Whatever else is evaluated does not make up for it.
    assert_eq!(place.activate().len(), 1);
    let rejection = place.complete(job, "").unwrap_err();
    assert_eq!(rejection.rejection_type, RejectionType::InvalidState);
    assert!(rejection.reason.contains("banned"), "{rejection:?}");
}

#[test]
fn a_process_that_may_end() {
    if let Some(note) = std::env::var_os(NOTE) {
        live(&PathBuf::from(note));
    }
    if let Some(note) = std::env::var_os(NOTE_OF_CREATION) {
        create(&PathBuf::from(note));
    }
}

fn run_process(variable: &str, note: &Path) -> ExitStatus {
    let mut process = Command::new(std::env::current_exe().unwrap());
    process
        .args(["--exact", "a_process_that_may_end"])
        .env(variable, note);
    process.output().unwrap().status
}

/// Has a process die twice, and live the third time.
fn die_twice(variable: &str) {
    let directory = tempfile::tempdir().unwrap();
    let note = directory.path().join("1.note");
    let died = |status: ExitStatus| status.code().is_none();
    assert!(died(run_process(variable, &note)));
    assert!(died(run_process(variable, &note)));
    assert!(run_process(variable, &note).success());
}

#[test]
fn an_evaluation_that_ends_its_process_twice_bans_its_instance() {
    die_twice(NOTE);
}

#[test]
fn a_creation_that_ends_its_process_twice_is_refused_and_others_are_not() {
    die_twice(NOTE_OF_CREATION);
}
