//! Seeds: those that once found something, and fresh ones in every run.

mod support;

use skep_sim::{Settings, run};

fn settings(seed: u64) -> Settings {
    Settings::of_seed(seed, None)
}

#[test]
fn seeds_that_once_found_a_bug_find_nothing() {
    support::known(include_str!("../seeds/known.txt"), settings);
}

#[test]
fn fresh_seeds_find_nothing() {
    support::fresh(settings);
}

#[test]
fn a_seed_repeats_its_run() {
    let settings = settings(7);
    let (one, other) = (run(&settings), run(&settings));
    assert_eq!(one.counts, other.counts);
    assert_eq!(
        (one.simulated_ms, one.commands, one.batches),
        (other.simulated_ms, other.commands, other.batches)
    );
}
