//! A wall clock that is set does not make anything due, unless it stays so.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use support::Place;

const HOUR: i64 = 3_600_000;

/// A partition with a job that is locked for a minute.
fn locked_job() -> Place {
    let mut place = Place::new(&[]);
    place.lead();
    place.deploy_task();
    place.create();
    assert_eq!(place.activate().len(), 1);
    place
}

#[test]
fn a_clock_that_is_wrong_for_a_moment_times_nothing_out() {
    let mut place = locked_job();
    place.set_by = HOUR;
    place.now += 20_000;
    place.settle();
    assert!(place.activate().is_empty());
    place.set_by = 0;
    place.now += 20_000;
    place.settle();
    assert!(place.activate().is_empty());
    place.now += 30_000;
    place.settle();
    assert_eq!(place.activate().len(), 1, "its minute has passed");
}

#[test]
fn a_clock_that_was_set_ahead_is_followed_in_the_end() {
    let mut place = locked_job();
    place.set_by = HOUR;
    place.settle();
    let begin = place.now;
    // Nothing else wakes the replica.
    while place.now < begin + 30_000 {
        place.now += place.replica.wake_in().unwrap();
        place.settle();
    }
    assert_eq!(place.now, begin + 30_000);
    assert_eq!(place.activate().len(), 1);
}

#[test]
fn a_clock_that_was_set_back_holds_nothing_up_for_long() {
    let mut place = locked_job();
    place.set_by = -HOUR;
    place.now += 60_000;
    place.settle();
    assert!(place.activate().is_empty(), "time goes at half speed");
    place.now += 61_000;
    place.settle();
    assert_eq!(place.activate().len(), 1);
}
