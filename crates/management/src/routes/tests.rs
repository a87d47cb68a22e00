use std::collections::BTreeMap;
use std::sync::Mutex;

use axum::body::Body;
use futures::future::BoxFuture;
use http_body_util::BodyExt;
use skep_backup::{BackupId, BackupState, BackupStatus, PartitionId, PartitionStatus};
use tower::ServiceExt;

use super::*;
use crate::{
    CheckpointAnswer, ClusterBroker, ClusterPartition, ExportingChange, Health, KnownBackup, Level,
    LoggerLevels, NotSet, PartitionReport, RequestError,
};

/// A node of two partitions that does as it is told.
#[derive(Default)]
struct Fake {
    latest: Mutex<BTreeMap<u32, u64>>,
    stored: Mutex<Vec<BackupStatus>>,
    known: Mutex<BTreeMap<u32, Vec<KnownBackup>>>,
    failure: Mutex<Option<RequestError>>,
    exporting: Mutex<Vec<ExportingChange>>,
    silent: bool,
    store_hangs: bool,
}

impl Fake {
    fn check(&self) -> Result<(), RequestError> {
        self.failure.lock().unwrap().clone().map_or(Ok(()), Err)
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl Node for Fake {
    fn partition_count(&self) -> u32 {
        2
    }
    fn create_checkpoint(
        &self,
        partition: u32,
        id: BackupId,
    ) -> BoxFuture<'_, Result<CheckpointAnswer, RequestError>> {
        let mut latest = self.latest.lock().unwrap();
        let latest = latest.entry(partition).or_default();
        let created = *latest < id.0;
        *latest = (*latest).max(id.0);
        ready(self.check().map(|()| CheckpointAnswer {
            created,
            latest: *latest,
        }))
    }
    fn latest_checkpoint(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Option<u64>, RequestError>> {
        if self.silent {
            return Box::pin(std::future::pending());
        }
        ready(
            self.check()
                .map(|()| self.latest.lock().unwrap().get(&partition).copied()),
        )
    }
    fn known_backups(
        &self,
        partition: u32,
    ) -> BoxFuture<'_, Result<Vec<KnownBackup>, RequestError>> {
        ready(Ok(self
            .known
            .lock()
            .unwrap()
            .get(&partition)
            .cloned()
            .unwrap_or_default()))
    }
    fn stored_backup(&self, id: BackupId) -> BoxFuture<'_, Result<BackupStatus, RequestError>> {
        if self.store_hangs {
            return Box::pin(std::future::pending());
        }
        let stored = self
            .stored
            .lock()
            .unwrap()
            .iter()
            .find(|status| status.backup_id == id)
            .cloned();
        let missing =
            |partition| PartitionStatus::new(PartitionId(partition), BackupState::DoesNotExist);
        ready(self.check().map(|()| {
            stored.unwrap_or_else(|| BackupStatus::aggregate(id, vec![missing(1), missing(2)]))
        }))
    }
    fn stored_backups(&self) -> BoxFuture<'_, Result<Vec<BackupStatus>, RequestError>> {
        ready(self.check().map(|()| self.stored.lock().unwrap().clone()))
    }
    fn delete_backup(&self, id: BackupId) -> BoxFuture<'_, Result<(), RequestError>> {
        self.stored
            .lock()
            .unwrap()
            .retain(|status| status.backup_id != id);
        ready(self.check())
    }
    fn health(&self) -> Health {
        Health {
            started: true,
            ready: false,
            alive: true,
        }
    }
    fn problems(&self) -> Vec<String> {
        Vec::new()
    }
    fn partitions(&self) -> BoxFuture<'_, Vec<(u32, PartitionReport)>> {
        ready(vec![])
    }
    fn cluster(&self) -> Vec<ClusterBroker> {
        let partition = ClusterPartition {
            id: 2,
            state: "ACTIVE",
            priority: 3,
        };
        vec![ClusterBroker {
            id: 1,
            state: "ACTIVE",
            partitions: vec![partition],
        }]
    }
    fn rebalance(&self) -> BoxFuture<'_, Result<(), RequestError>> {
        ready(self.check())
    }
    fn change_exporting(&self, change: ExportingChange) -> Result<(), String> {
        match &*self.failure.lock().unwrap() {
            Some(_) => Err("the disk is broken".to_owned()),
            None => {
                self.exporting.lock().unwrap().push(change);
                Ok(())
            }
        }
    }
    fn metrics(&self) -> String {
        "zeebe_checkpoint_id{partition=\"1\"} 7\n".to_owned()
    }
}

/// One logger, which keeps what it is given for as long as its request takes.
#[derive(Default)]
struct FakeLoggers(Mutex<Option<Level>>);

impl Loggers for FakeLoggers {
    fn all(&self) -> BTreeMap<String, LoggerLevels> {
        let levels = self.levels("ROOT").unwrap();
        BTreeMap::from([("ROOT".to_owned(), levels)])
    }
    fn levels(&self, name: &str) -> Option<LoggerLevels> {
        let configured_level = *self.0.lock().unwrap();
        let levels = LoggerLevels {
            configured_level,
            effective_level: configured_level.unwrap_or(Level::Info),
        };
        (name == "ROOT").then_some(levels)
    }
    fn set(&self, name: &str, level: Option<Level>) -> Result<(), NotSet> {
        *self.0.lock().unwrap() = level;
        match name {
            "ROOT" => Ok(()),
            "one.more" => Err(NotSet::TooMany(100)),
            _ => Err(NotSet::Unknown),
        }
    }
}

fn everything() -> Exposure {
    Exposure {
        backups: true,
        health: true,
        prometheus: true,
        partitions: true,
        exporting: true,
        rebalance: true,
        cluster: true,
        loggers: true,
    }
}

async fn call(fake: &Arc<Fake>, method: &str, path: &str, body: &str) -> (u16, Value) {
    let loggers = Arc::<FakeLoggers>::default();
    let api = Api::of_broker(
        fake.clone(),
        loggers,
        &everything(),
        Duration::from_millis(50),
    );
    let request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::from(body.to_owned()))
        .unwrap();
    let response = api.0.oneshot(request).await.unwrap();
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (
        status,
        serde_json::from_slice(&bytes).unwrap_or(Value::Null),
    )
}

fn partition(number: u32, state: BackupState) -> PartitionStatus {
    PartitionStatus {
        created_at_ms: Some(1_664_204_237_914),
        last_updated_at_ms: Some(1_664_204_238_000),
        snapshot_id: Some("16-10-7-8".to_owned()),
        checkpoint_position: Some(9),
        broker_id: Some(0),
        broker_version: Some("8.6.0".to_owned()),
        ..PartitionStatus::new(PartitionId(number), state)
    }
}

fn completed(id: u64) -> BackupStatus {
    BackupStatus::aggregate(
        BackupId(id),
        vec![
            partition(1, BackupState::Completed),
            partition(2, BackupState::Completed),
        ],
    )
}

#[tokio::test]
async fn the_old_path_takes_a_backup_once_and_refuses_a_stale_id_with_the_latest() {
    let fake = Arc::new(Fake::default());
    assert_eq!(
        call(&fake, "POST", "/actuator/backups/6", "").await,
        (200, json!({"id": 6}))
    );
    for id in [6, 5] {
        let (status, body) = call(&fake, "POST", &format!("/actuator/backups/{id}"), "").await;
        assert_eq!(status, 409);
        assert!(
            body["failure"]
                .as_str()
                .unwrap()
                .contains("The latest backup has id 6."),
            "{body}"
        );
    }
}

/// After a restore of backup 5, backup 6 is there already, of another life of the cluster.
#[tokio::test]
async fn an_id_that_only_the_store_has_is_refused() {
    let fake = Arc::new(Fake::default());
    fake.latest.lock().unwrap().extend([(1, 5), (2, 5)]);
    let known = PartitionStatus::new(PartitionId(1), BackupState::Completed);
    let there = BackupStatus::aggregate(BackupId(6), vec![known]);
    fake.stored.lock().unwrap().push(there);
    for (path, body) in [
        ("/actuator/backups/6", ""),
        ("/actuator/backups", r#"{"backupId": 6}"#),
    ] {
        let (status, said) = call(&fake, "POST", path, body).await;
        assert_eq!(status, 409);
        let said = said["message"].as_str().unwrap().to_owned();
        assert!(said.contains("before it was restored"), "{said}");
    }
    assert_eq!(fake.latest.lock().unwrap()[&1], 5, "nobody has cut");
    assert_eq!(call(&fake, "POST", "/actuator/backups/7", "").await.0, 200);
}

#[tokio::test]
async fn the_newer_path_takes_numbers_and_numeric_texts() {
    let fake = Arc::new(Fake::default());
    let (status, body) = call(&fake, "POST", "/actuator/backups", r#"{"backupId":100}"#).await;
    assert_eq!(status, 202);
    assert_eq!(
        body["message"],
        "A backup with id 100 has been scheduled. Use GET actuator/backups/100 to monitor the status."
    );
    assert_eq!(
        call(&fake, "POST", "/actuator/backups", r#"{"backupId":"101"}"#)
            .await
            .0,
        202
    );
    let (status, body) = call(&fake, "POST", "/actuator/backups", r#"{"backupId":100}"#).await;
    assert_eq!(status, 409);
    assert_eq!(
        body["message"],
        "Requested backup has id 100. The latest backup has id 101. Id of new backups must be higher than the previous one. "
    );
}

#[tokio::test]
async fn an_id_that_is_no_positive_integer_is_a_bad_request_everywhere() {
    let fake = Arc::new(Fake::default());
    for id in ["0", "-1", "x", "1.5", "99999999999999999999", "%20"] {
        for method in ["GET", "POST", "DELETE"] {
            assert_eq!(
                call(&fake, method, &format!("/actuator/backups/{id}"), "")
                    .await
                    .0,
                400,
                "{method} {id}"
            );
        }
    }
    for body in [
        "",
        "{}",
        "[]",
        r#"{"backupId":0}"#,
        r#"{"backupId":-3}"#,
        r#"{"backupId":"x"}"#,
        r#"{"backupId":null}"#,
        r#"{"backupId":1.5}"#,
    ] {
        assert_eq!(
            call(&fake, "POST", "/actuator/backups", body).await.0,
            400,
            "{body}"
        );
    }
}

#[tokio::test]
async fn a_cut_short_attempt_can_be_repeated_and_no_partition_takes_an_id_that_another_is_past() {
    let fake = Arc::new(Fake::default());
    fake.latest.lock().unwrap().insert(1, 7);
    assert_eq!(
        call(&fake, "POST", "/actuator/backups/7", "").await.0,
        200,
        "partition 2 still creates it"
    );
    fake.latest.lock().unwrap().insert(1, 9);
    assert_eq!(call(&fake, "POST", "/actuator/backups/8", "").await.0, 409);
    assert_eq!(
        fake.latest.lock().unwrap()[&2],
        7,
        "partition 2 has not taken it"
    );
}

#[tokio::test]
async fn a_status_has_the_fields_of_both_versions() {
    let fake = Arc::new(Fake::default());
    fake.stored.lock().unwrap().push(completed(6));
    let (status, body) = call(&fake, "GET", "/actuator/backups/6", "").await;
    assert_eq!(status, 200);
    assert_eq!(
        (&body["backupId"], &body["status"], &body["state"]),
        (&json!(6), &json!("COMPLETED"), &json!("COMPLETED"))
    );
    assert_eq!(
        body["partitions"][0],
        json!({"partitionId":1,"status":"COMPLETED","description":{"snapshotId":"16-10-7-8","checkpointPosition":9,"brokerId":0,"brokerVersion":"8.6.0"},
            "failureReason":null,"createdAt":"2022-09-26T14:57:17.914Z","lastUpdatedAt":"2022-09-26T14:57:18Z"})
    );
    assert_eq!(
        body["details"][1],
        json!({"partitionId":2,"state":"COMPLETED","createdAt":"2022-09-26T14:57:17.914Z","lastUpdatedAt":"2022-09-26T14:57:18Z",
            "snapshotId":"16-10-7-8","checkpointPosition":9,"brokerId":0,"brokerVersion":"8.6.0"})
    );
}

#[tokio::test]
async fn what_does_not_exist_is_said_as_each_version_says_it() {
    let fake = Arc::new(Fake::default());
    let (status, body) = call(&fake, "GET", "/actuator/backups/1", "").await;
    assert_eq!((status, &body["status"]), (200, &json!("DOES_NOT_EXIST")));
    let newer = call(&fake, "GET", "/actuator/backupRuntime/1", "").await;
    assert_eq!(
        newer,
        (404, json!({"message": "Backup with id 1 does not exist"}))
    );
    assert_eq!(
        call(&fake, "GET", "/actuator/backups", "").await,
        (200, json!([]))
    );
    assert_eq!(
        call(&fake, "DELETE", "/actuator/backups/1", "").await.0,
        204
    );
}

#[tokio::test]
async fn partitions_know_what_the_store_does_not() {
    let fake = Arc::new(Fake::default());
    let known = |failure: Option<&str>| KnownBackup {
        id: BackupId(3),
        created_at_ms: 5,
        position: 8,
        failure: failure.map(str::to_owned),
    };
    fake.known.lock().unwrap().insert(1, vec![known(None)]);
    let (_, body) = call(&fake, "GET", "/actuator/backups/3", "").await;
    assert_eq!(
        (&body["state"], &body["status"]),
        (&json!("INCOMPLETE"), &json!("DOES_NOT_EXIST"))
    );
    fake.known
        .lock()
        .unwrap()
        .insert(2, vec![known(Some("the bucket is gone"))]);
    let (_, body) = call(&fake, "GET", "/actuator/backups/3", "").await;
    assert_eq!(
        body["failureReason"],
        "Backup on partition 2 failed due to the bucket is gone. "
    );
    *fake.failure.lock().unwrap() = Some(RequestError::Failed("down".to_owned()));
    let (status, body) = call(&fake, "GET", "/actuator/backups/3", "").await;
    assert_eq!(
        (status, &body["state"]),
        (200, &json!("FAILED")),
        "a store that is down does not hide why the backup failed"
    );
    assert_eq!(call(&fake, "GET", "/actuator/backups", "").await.0, 500);
}

#[tokio::test]
async fn a_store_that_hangs_does_not_hide_what_the_partitions_know() {
    let fake = Fake {
        store_hangs: true,
        ..Fake::default()
    };
    let known = KnownBackup {
        id: BackupId(3),
        created_at_ms: 5,
        position: 8,
        failure: None,
    };
    for partition in [1, 2] {
        let mut all = fake.known.lock().unwrap();
        all.insert(partition, vec![known.clone()]);
    }
    let fake = Arc::new(fake);
    for path in ["/actuator/backups/3", "/actuator/backupRuntime/3"] {
        let (status, body) = call(&fake, "GET", path, "").await;
        assert_eq!((status, &body["state"]), (200, &json!("IN_PROGRESS")));
    }
    let unknown = call(&fake, "GET", "/actuator/backupRuntime/4", "").await;
    assert_eq!(unknown.0, 504);
}

#[tokio::test]
async fn errors_have_their_status_on_the_newer_path_and_500_on_the_old() {
    let fake = Arc::new(Fake::default());
    for (error, status) in [
        (RequestError::NoStore, 400),
        (RequestError::NoLeader("x".to_owned()), 502),
        (RequestError::Lost("x".to_owned()), 502),
        (RequestError::Exhausted("x".to_owned()), 503),
        (RequestError::Timeout("x".to_owned()), 504),
        (RequestError::Failed("x".to_owned()), 500),
    ] {
        *fake.failure.lock().unwrap() = Some(error);
        assert_eq!(
            call(&fake, "POST", "/actuator/backups", r#"{"backupId":1}"#)
                .await
                .0,
            status
        );
        assert_eq!(call(&fake, "POST", "/actuator/backups/1", "").await.0, 500);
    }
}

#[tokio::test]
async fn a_partition_that_does_not_answer_is_a_timeout() {
    let fake = Arc::new(Fake {
        silent: true,
        ..Fake::default()
    });
    let (status, body) = call(&fake, "POST", "/actuator/backups", r#"{"backupId":1}"#).await;
    assert_eq!(status, 504);
    assert!(
        body["message"]
            .as_str()
            .unwrap()
            .starts_with("Request from gateway to broker timed out. ")
    );
}

#[tokio::test]
async fn lists_are_ascending_and_can_be_narrowed_by_prefix() {
    let fake = Arc::new(Fake::default());
    *fake.stored.lock().unwrap() = vec![completed(1), completed(10), completed(12), completed(2)];
    let ids = |body: &Value| {
        body.as_array()
            .unwrap()
            .iter()
            .map(|backup| backup["backupId"].as_u64().unwrap())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(&call(&fake, "GET", "/actuator/backups", "").await.1),
        [1, 2, 10, 12]
    );
    assert_eq!(
        ids(&call(&fake, "GET", "/actuator/backupRuntime/1*", "").await.1),
        [1, 10, 12]
    );
}

#[tokio::test]
async fn probes_paths_and_methods() {
    let fake = Arc::new(Fake::default());
    for (path, status) in [
        ("/actuator/health", 200),
        ("/actuator/health/liveness", 200),
        ("/actuator/health/readiness", 503),
        ("/actuator/health/x", 404),
        ("/health", 204),
        ("/ready", 503),
        ("/startup", 204),
        ("/actuator/prometheus", 200),
        ("/metrics", 200),
        ("/actuator/nothing", 404),
    ] {
        assert_eq!(call(&fake, "GET", path, "").await.0, status, "{path}");
    }
    assert_eq!(call(&fake, "PATCH", "/actuator/backups/1", "").await.0, 405);
}

#[tokio::test]
async fn exporting_is_paused_softly_or_not_and_resumed() {
    let fake = Arc::new(Fake::default());
    for path in ["pause", "pause?soft=true", "pause?soft=false", "resume"] {
        let path = format!("/actuator/exporting/{path}");
        assert_eq!(call(&fake, "POST", &path, "").await.0, 204, "{path}");
    }
    use ExportingChange::{Pause, Resume, SoftPause};
    assert_eq!(
        *fake.exporting.lock().unwrap(),
        [Pause, SoftPause, Pause, Resume]
    );
    let (status, body) = call(&fake, "POST", "/actuator/exporting/stop", "").await;
    assert_eq!(status, 500);
    assert!(body["message"].as_str().unwrap().contains("resume"));
    *fake.failure.lock().unwrap() = Some(RequestError::Disabled);
    let (status, body) = call(&fake, "POST", "/actuator/exporting/pause", "").await;
    assert_eq!(
        (status, &body["message"]),
        (500, &json!("the disk is broken"))
    );
}

#[tokio::test]
async fn rebalancing_says_why_a_leadership_stays_where_it_is() {
    let fake = Arc::new(Fake::default());
    let (status, _) = call(&fake, "POST", "/actuator/rebalance", "").await;
    assert_eq!(status, 204);
    let reason = "node 2 lacks 7000 entries of the log";
    *fake.failure.lock().unwrap() = Some(RequestError::Failed(reason.to_owned()));
    let (status, body) = call(&fake, "POST", "/actuator/rebalance", "").await;
    assert_eq!((status, &body["message"]), (500, &json!(reason)));
}

#[tokio::test]
async fn the_members_of_the_cluster_are_listed_as_zeebe_lists_them() {
    let fake = Arc::new(Fake::default());
    let (status, body) = call(&fake, "GET", "/actuator/cluster", "").await;
    let partitions = json!([{"id": 2, "state": "ACTIVE", "priority": 3}]);
    let brokers = json!([{"id": 1, "state": "ACTIVE", "partitions": partitions}]);
    assert_eq!(
        (status, body),
        (200, json!({"version": 1, "brokers": brokers}))
    );
}

mod process;

fn request(method: &str, path: &str) -> Request {
    let request = Request::builder().method(method).uri(path);
    request.body(Body::empty()).unwrap()
}

#[tokio::test]
async fn loggers_are_not_asked_without_end_and_probes_are_answered_all_the_same() {
    let node: Arc<Fake> = Arc::default();
    let loggers = Arc::<FakeLoggers>::default();
    let api = Api::of_broker(node, loggers, &everything(), Duration::from_secs(30));
    let mut refused = false;
    for _ in 0..100_000 {
        let asked = request("GET", "/actuator/loggers/ROOT");
        let response = api.0.clone().oneshot(asked).await.unwrap();
        refused = response.status() == StatusCode::TOO_MANY_REQUESTS;
        if refused {
            break;
        }
        assert_eq!(response.status(), StatusCode::OK);
    }
    assert!(refused, "as many as anybody liked were answered");
    for path in ["/actuator/health/liveness", "/actuator/partitions"] {
        let response = api.0.clone().oneshot(request("GET", path)).await.unwrap();
        assert_eq!(response.status(), StatusCode::OK, "{path}");
    }
}

#[tokio::test]
async fn who_gives_too_many_loggers_a_level_is_told_how_to_mend_it() {
    let fake = Arc::default();
    let body = r#"{"configuredLevel":"DEBUG"}"#;
    let (status, told) = call(&fake, "POST", "/actuator/loggers/one.more", body).await;
    assert_eq!(status, 400);
    let message = told["message"].as_str().unwrap();
    assert!(message.contains("100 loggers"), "{message}");
    assert!(message.contains("configuredLevel null"), "{message}");
}
