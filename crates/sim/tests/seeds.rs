//! Seeds: those that once found something, and fresh ones in every run.

use std::time::{Duration, Instant};

use skep_sim::{Settings, describe, fresh_seed, run};

/// Seconds spent on fresh seeds, unless `SKEP_SIM_SECONDS` says otherwise.
const FRESH_SECONDS: u64 = 20;

fn check(seed: u64) {
    let settings = Settings::of_seed(seed, None);
    let report = run(&settings);
    if let Some(found) = &report.found {
        panic!("{}", describe(&settings, found));
    }
}

#[test]
fn seeds_that_once_found_a_bug_find_nothing() {
    for line in include_str!("../seeds/known.txt").lines() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if !seed.is_empty() {
            check(seed.parse().expect("known.txt has a seed per line"));
        }
    }
}

#[test]
fn fresh_seeds_find_nothing() {
    let seconds = std::env::var("SKEP_SIM_SECONDS").map_or(FRESH_SECONDS, |seconds| {
        seconds.parse().expect("SKEP_SIM_SECONDS is a number")
    });
    let first = fresh_seed();
    println!("fresh seeds from {first} on");
    // Bounds the effort only: what each seed finds does not depend on the clock.
    let until = Instant::now() + Duration::from_secs(seconds);
    let mut seed = first;
    while Instant::now() < until {
        check(seed);
        seed = seed.wrapping_add(1);
    }
    println!("{} fresh seeds found nothing", seed.wrapping_sub(first));
}

#[test]
fn a_seed_repeats_its_run() {
    let settings = Settings::of_seed(7, None);
    let (one, other) = (run(&settings), run(&settings));
    assert_eq!(one.counts, other.counts);
    assert_eq!(
        (one.simulated_ms, one.commands, one.batches),
        (other.simulated_ms, other.commands, other.batches)
    );
}
