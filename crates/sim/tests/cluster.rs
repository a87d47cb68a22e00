//! Seeds of the simulation with the real consensus: those that once found something, and fresh ones in every run.

mod support;

use skep_sim::{Settings, run};

fn settings(seed: u64) -> Settings {
    Settings::cluster_of_seed(seed, None)
}

#[test]
fn seeds_of_clusters_that_once_found_a_bug_find_nothing() {
    support::known(include_str!("../seeds/known-cluster.txt"), settings);
}

#[test]
fn fresh_seeds_of_clusters_find_nothing() {
    support::fresh(settings);
}

#[test]
fn a_seed_of_a_cluster_repeats_its_run() {
    for seed in 1..=6 {
        let settings = settings(seed);
        let (one, other) = (run(&settings), run(&settings));
        assert_eq!(one.digest, other.digest, "seed {seed}");
        assert_eq!(one.counts, other.counts, "seed {seed}");
        assert!(one.counts.elections > 0 && one.commands > 0, "{one:?}");
    }
}
