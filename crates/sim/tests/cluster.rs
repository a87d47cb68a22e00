//! Seeds of the simulation with the real consensus: those that once found something, and fresh ones in every run.

use std::time::{Duration, Instant};

use skep_sim::{Settings, describe, fresh_seed, run};

/// Seconds spent on fresh seeds, unless `SKEP_SIM_SECONDS` says otherwise.
const FRESH_SECONDS: u64 = 20;

fn check(seed: u64) {
    let settings = Settings::cluster_of_seed(seed, None);
    let report = run(&settings);
    if let Some(found) = &report.found {
        panic!("{}", describe(&settings, found));
    }
}

#[test]
fn seeds_of_clusters_that_once_found_a_bug_find_nothing() {
    for line in include_str!("../seeds/known-cluster.txt").lines() {
        let seed = line.split('#').next().unwrap_or_default().trim();
        if !seed.is_empty() {
            check(seed.parse().expect("known-cluster.txt has a seed per line"));
        }
    }
}

#[test]
fn fresh_seeds_of_clusters_find_nothing() {
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
fn a_seed_of_a_cluster_repeats_its_run() {
    for seed in 1..=6 {
        let settings = Settings::cluster_of_seed(seed, None);
        let (one, other) = (run(&settings), run(&settings));
        assert_eq!(one.digest, other.digest, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
        assert!(one.counts.elections > 0 && one.commands > 0, "{one:?}");
    }
}
