//! Status, list and restore's checks, told from the store.
#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

mod support;

use std::sync::Arc;

use skep_backup::*;
use skep_blob::{BlobRef, MemoryBlobStore};
use support::*;

fn store() -> BlobRef {
    Arc::new(MemoryBlobStore::new())
}

fn never() -> RetryPolicy {
    RetryPolicy::never()
}

async fn start_only(store: &BlobRef, backup: u64, partition: u32) {
    upload_chunks(
        store,
        &request(backup, partition, &content(Pairs::new())),
        &options(),
    )
    .await
    .unwrap();
}

async fn complete_part(store: &BlobRef, backup: u64, partition: u32) {
    back_up_one(store, &request(backup, partition, &content(Pairs::new())))
        .await
        .unwrap();
}

async fn fail(store: &BlobRef, backup: u64, partition: u32) {
    mark_failed(
        store.as_ref(),
        &identity(backup, partition),
        "disk on fire",
        1_500,
        &never(),
    )
    .await
    .unwrap();
}

#[tokio::test]
async fn states_are_aggregated_over_partitions() {
    use BackupState::{Completed, DoesNotExist, Failed, InProgress, Incomplete};
    for (one, two, expected) in [
        (DoesNotExist, DoesNotExist, DoesNotExist),
        (InProgress, InProgress, InProgress),
        (InProgress, DoesNotExist, Incomplete),
        (Completed, DoesNotExist, Incomplete),
        (Completed, InProgress, InProgress),
        (Completed, Completed, Completed),
        (Failed, InProgress, Failed),
        (Failed, DoesNotExist, Failed),
        (Failed, Completed, Failed),
    ] {
        let store = store();
        for (partition, state) in [(1, one), (2, two)] {
            match state {
                InProgress => start_only(&store, 1, partition).await,
                Completed => complete_part(&store, 1, partition).await,
                Failed => fail(&store, 1, partition).await,
                DoesNotExist | Incomplete => {}
            }
        }
        let found = status(&store, 1, 2_000).await;
        assert_eq!(found.state, expected, "{one:?} and {two:?}");
        assert_eq!(
            found.details.iter().map(|d| d.state).collect::<Vec<_>>(),
            [one, two]
        );
        let reason = (expected == Failed)
            .then(|| "Backup on partition 1 failed due to disk on fire. ".to_owned());
        assert_eq!(found.failure_reason, reason);
    }
}

#[tokio::test]
async fn a_completed_partition_shows_everything_and_a_failed_one_no_position() {
    let store = store();
    complete_part(&store, 1, 1).await;
    fail(&store, 1, 2).await;
    let details = status(&store, 1, 2_000).await.details;
    assert_eq!(details[0].checkpoint_position, Some(101));
    assert_eq!(details[0].snapshot_id.as_deref(), Some("5-1-99-98"));
    assert_eq!(
        (details[0].broker_id, details[0].broker_version.as_deref()),
        (Some(0), Some("0.1.0"))
    );
    assert_eq!(
        (details[1].checkpoint_position, details[1].broker_id),
        (None, None)
    );
    assert_eq!(details[1].last_updated_at_ms, Some(1_500));
}

#[tokio::test]
async fn a_new_attempt_makes_an_earlier_failure_history_and_failing_does_not_touch_a_completed_one()
{
    let store = store();
    fail(&store, 1, 1).await;
    start_only(&store, 1, 1).await;
    assert_eq!(
        status(&store, 1, 2_000).await.details[0].state,
        BackupState::InProgress
    );
    complete_part(&store, 1, 1).await;
    fail(&store, 1, 1).await;
    assert_eq!(
        status(&store, 1, 2_000).await.details[0].state,
        BackupState::Completed
    );
}

#[tokio::test]
async fn more_than_a_thousand_objects_are_listed_in_order_of_ids() {
    let store = store();
    for id in (1..=600).rev() {
        fail(&store, id, 1).await;
        fail(&store, id, 2).await;
    }
    let found = list_backups(store.as_ref(), 2, 2_000, &never())
        .await
        .unwrap();
    let ids: Vec<u64> = found.iter().map(|status| status.backup_id.0).collect();
    assert_eq!(ids, (1..=600).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_damaged_manifest_fails_its_status_and_does_not_hide_other_backups() {
    let store = store();
    back_up(&store, 1, &[content(Pairs::new()), content(Pairs::new())])
        .await
        .unwrap();
    back_up(&store, 2, &[content(Pairs::new()), content(Pairs::new())])
        .await
        .unwrap();
    store
        .put(&format!("backups/{:020}/manifest.json", 1), "{}".into())
        .await
        .unwrap();
    let e = read_status(store.as_ref(), BackupId(1), 2, 2_000, &never())
        .await
        .unwrap_err();
    assert!(matches!(e, BackupError::Damaged { .. }));
    let found = list_backups(store.as_ref(), 2, 2_000, &never())
        .await
        .unwrap();
    let states: Vec<_> = found.iter().map(|status| status.state).collect();
    assert_eq!(states, [BackupState::Failed, BackupState::Completed]);
}

#[tokio::test]
async fn every_reason_not_to_restore_has_its_own_error() {
    let store = store();
    let code = |result: Result<RestorableBackup, RestoreError>| {
        result.map_or_else(|e| e.exit_code(), |_| 0)
    };
    assert_eq!(code(find(&store, 1).await), 10, "unknown");
    complete_part(&store, 2, 2).await;
    let e = find(&store, 2).await.unwrap_err();
    assert_eq!(e.exit_code(), 11, "incomplete");
    assert!(e.to_string().contains("[1]"), "{e}");
    complete_part(&store, 7, 1).await;
    let e = find(&store, 7).await.unwrap_err();
    assert_eq!(
        e.exit_code(),
        11,
        "incomplete, though all that is there is complete"
    );
    assert!(e.to_string().contains("[2]"), "{e}");
    complete_part(&store, 3, 1).await;
    start_only(&store, 3, 2).await;
    assert_eq!(code(find(&store, 3).await), 12, "in progress");
    fail(&store, 4, 1).await;
    assert_eq!(code(find(&store, 4).await), 13, "failed");
    back_up(&store, 5, &[content(Pairs::new()), content(Pairs::new())])
        .await
        .unwrap();
    let retry = never();
    let with = |count, version| {
        find_restorable(store.as_ref(), BackupId(5), count, version, 2_000, &retry)
    };
    let e = with(3, 1).await.unwrap_err();
    assert_eq!(e.exit_code(), 14);
    assert!(
        e.to_string()
            .contains("Expected backup to have 3 partitions, but has 2"),
        "{e}"
    );
    assert_eq!(code(with(2, 0).await), 15, "state version");
    assert_eq!(code(with(2, 1).await), 0);
    store
        .put(
            &format!("backups/{:020}/partition-00001.json", 5),
            "{}".into(),
        )
        .await
        .unwrap();
    assert_eq!(code(find(&store, 5).await), 20, "damaged manifest");
    store
        .delete(&[format!("backups/{:020}/partition-00001.json", 5)])
        .await
        .unwrap();
    assert_eq!(code(find(&store, 5).await), 20, "missing manifest");
}

#[tokio::test]
async fn a_backup_whose_last_writer_died_before_the_cluster_manifest_can_be_restored() {
    let store = store();
    complete_part(&store, 1, 1).await;
    complete_part(&store, 1, 2).await;
    let found = find(&store, 1).await.unwrap();
    assert_eq!(found.partitions.len(), 2);
    let again = find(&store, 1).await.unwrap();
    assert_eq!(found.checksum, again.checksum);
}

#[tokio::test]
async fn a_completed_backup_can_be_verified_before_its_cluster_manifest_is_there() {
    let store = store();
    complete_part(&store, 1, 1).await;
    let once = never();
    let verify = || verify_backup(&store, BackupId(1), Sample::ALL, &Silent, 1, &once);
    let e = verify().await.unwrap_err();
    assert!(matches!(e, BackupError::NotFound { .. }), "{e}");
    complete_part(&store, 1, 2).await;
    let status = read_status(store.as_ref(), BackupId(1), 2, 2_000, &never()).await;
    assert_eq!(status.unwrap().state, BackupState::Completed);
    let report = verify().await.unwrap();
    assert!(report.is_sound() && report.partitions == 2, "{report:?}");
}

#[tokio::test]
async fn partitions_of_different_clusters_do_not_make_a_backup() {
    let store = store();
    complete_part(&store, 1, 1).await;
    let mut stranger = request(1, 2, &content(Pairs::new()));
    stranger.identity.cluster_id = "other".into();
    back_up_one(&store, &stranger).await.unwrap();
    let e = complete_backup(store.as_ref(), BackupId(1), &never())
        .await
        .unwrap_err();
    assert!(matches!(e, BackupError::Inconsistent { .. }), "{e}");
}
