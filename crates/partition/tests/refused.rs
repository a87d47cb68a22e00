//! The log refuses a proposal, because the disk is full: who is told what about the commands that are under way.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use skep_partition::{ConsensusEvent, Event, Refusal, Unproposed};
use skep_protocol::{Command, JobIntent, Key, ProcessInstanceCreationIntent, values};
use support::Place;

fn refuse(place: &mut Place) {
    refuse_because(place, Unproposed::DiskFull);
}

fn refuse_because(place: &mut Place, why: Unproposed) {
    let reason = "for a test".to_owned();
    let refused = ConsensusEvent::ProposalRefused { why, reason };
    place.handle(Event::Consensus(refused));
}

#[test]
fn only_commands_that_will_not_be_executed_are_refused_for_want_of_space() {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    let taken = place.submit(Place::creation(""));
    let taken_entries = place.run();
    let refused = place.submit(Place::creation(""));
    place.run();
    let waiting = place.submit(Place::creation(""));
    assert!(
        place.run().is_empty(),
        "no more than two batches are under way"
    );
    refuse(&mut place);
    // The client may send these again: they have not happened and will not.
    assert_eq!(place.refusal(refused), Some(Refusal::DiskFull));
    assert_eq!(place.refusal(waiting), Some(Refusal::DiskFull));
    // This one is in the log and is going to happen.
    assert_eq!(place.refusal(taken), Some(Refusal::LeaderLost));
    place.commit_all(taken_entries);
    place.settle();
    assert!(place.replica.is_leading());
    assert_eq!(place.activate().len(), 1);
}

#[test]
fn a_request_that_waits_for_a_result_was_executed_although_its_answer_is_lost() {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    let creation = Place::creation("");
    let intent = ProcessInstanceCreationIntent::CreateWithAwaitingResult;
    let waits = place.submit(Command::new(Key::NONE, intent, creation.value));
    place.settle();
    assert_eq!(place.refusal(waits), None);
    let job = place.activate()[0];
    let completes = place.submit(Command::new(
        job,
        JobIntent::Complete,
        values::Job::default(),
    ));
    assert_eq!(place.run().len(), 1);
    refuse(&mut place);
    assert_eq!(place.refusal(completes), Some(Refusal::DiskFull));
    assert_eq!(place.refusal(waits), Some(Refusal::LeaderLost));
}

#[test]
fn a_command_whose_batch_alone_is_refused_has_not_happened() {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    let refused = place.submit(Place::creation(""));
    place.run();
    refuse(&mut place);
    assert_eq!(place.refusal(refused), Some(Refusal::DiskFull));
    place.settle();
    assert!(place.activate().is_empty());
    place.create();
    assert_eq!(place.activate().len(), 1);
}
