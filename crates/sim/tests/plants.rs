//! Bugs put in on purpose: the simulator is trusted because it finds each of them, by the invariant that it breaks.

use skep_sim::{Plant, Settings, run};

/// Seeds after which a planted bug must have been found.
const SEEDS_MAX: u64 = 60;

/// The same with the real consensus, which takes in little that has to be fenced.
const CLUSTER_SEEDS_MAX: u64 = 300;

/// The invariant by which a planted bug is found first.
fn found_by(plant: Plant) -> &'static str {
    for seed in 1..=SEEDS_MAX {
        let report = run(&Settings::of_seed(seed, Some(plant)));
        if let Some(found) = report.found {
            println!("{}: seed {seed}, {}", plant.name(), found.violation);
            return found.violation.invariant;
        }
    }
    panic!("{} was not found by {SEEDS_MAX} seeds", plant.name());
}

/// The same with the real consensus.
fn found_in_a_cluster_by(plant: Plant) -> &'static str {
    for seed in 1..=CLUSTER_SEEDS_MAX {
        let report = run(&Settings::cluster_of_seed(seed, Some(plant)));
        if let Some(found) = report.found {
            println!("{}: seed {seed}, {}", plant.name(), found.violation);
            return found.violation.invariant;
        }
    }
    panic!(
        "{} was not found by {CLUSTER_SEEDS_MAX} seeds",
        plant.name()
    );
}

#[test]
fn votes_before_they_are_durable_are_noticed() {
    assert_eq!(found_in_a_cluster_by(Plant::VoteUnsynced), "votes");
}

#[test]
fn entries_acknowledged_before_they_are_durable_are_noticed() {
    assert_eq!(found_in_a_cluster_by(Plant::AppendUnsynced), "log matching");
}

#[test]
fn syncs_that_are_tried_again_after_they_have_failed_are_noticed() {
    assert_eq!(found_in_a_cluster_by(Plant::SyncAgain), "disk");
}

#[test]
fn entries_that_are_in_the_cache_and_not_on_the_disk_are_noticed() {
    assert_eq!(found_in_a_cluster_by(Plant::CacheTrusted), "disk");
}

#[test]
fn leaders_that_ignore_their_lease_are_noticed() {
    assert_eq!(found_in_a_cluster_by(Plant::LeaseIgnored), "lease");
}

#[test]
fn batches_of_former_epochs_are_noticed_with_the_real_consensus() {
    assert_eq!(found_in_a_cluster_by(Plant::FenceOff), "equal states");
}

#[test]
fn batches_of_former_epochs_are_noticed() {
    assert_eq!(found_by(Plant::FenceOff), "equal states");
}

#[test]
fn entries_committed_without_a_sync_are_noticed() {
    assert_eq!(found_by(Plant::SyncOff), "answered");
}

#[test]
fn a_manifest_before_its_chunks_is_noticed() {
    assert_eq!(found_by(Plant::ManifestFirst), "restored");
}

#[test]
fn acknowledgements_without_a_checkpoint_are_noticed() {
    assert_eq!(found_by(Plant::UntaggedAcknowledgement), "cut");
}

#[test]
fn answers_before_the_batch_is_applied_are_noticed() {
    assert_eq!(found_by(Plant::AnswerEarly), "answered");
}

#[test]
fn writes_that_are_not_noted_are_noticed() {
    assert_eq!(found_by(Plant::UnnotedWrites), "restored");
}

#[test]
fn members_that_vote_though_they_have_lost_their_votes_are_noticed() {
    let found = found_in_a_cluster_by(Plant::NewcomerVotes);
    // Both leaders of a term show also by what they append.
    assert!(["one leader", "log matching"].contains(&found), "{found}");
}

#[test]
fn content_that_may_be_gone_after_a_crash_is_noticed() {
    assert_eq!(
        found_in_a_cluster_by(Plant::InstallUnsynced),
        "store behind log"
    );
}
