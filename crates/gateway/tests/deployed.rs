//! What is asked of the brokers about something that was deployed a moment ago.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use std::sync::atomic::{AtomicU32, Ordering};

use skep_gateway::BrokerError;
use skep_gateway::proto::*;
use skep_protocol::*;
use support::*;
use tonic::Code;

#[tokio::test]
async fn what_a_partition_does_not_know_yet_is_asked_of_the_one_that_deployments_come_to() {
    let brokers = Fake::new(3, |partition, command| {
        let RecordValue::ProcessInstanceCreation(wish) = &command.value else {
            panic!("{command:?}")
        };
        let is_known = wish.bpmn_process_id == "order" && partition == PartitionId(1);
        match is_known {
            true => event(
                key(1, 9),
                ProcessInstanceCreationIntent::Created,
                wish.clone(),
            ),
            false => Ok(Err(Rejection::not_found(format!("not on {partition}")))),
        }
    });
    let mut served = start(brokers.clone()).await;
    let request = |id: &str| CreateProcessInstanceRequest {
        bpmn_process_id: id.to_owned(),
        version: -1,
        ..Default::default()
    };
    for _ in 0..3 {
        let created = served
            .client
            .create_process_instance(request("order"))
            .await;
        assert!(created.is_ok(), "{created:?}");
    }
    for _ in 0..3 {
        let refused = served.client.create_process_instance(request("else")).await;
        let status = refused.unwrap_err();
        assert_eq!(status.code(), Code::NotFound);
        assert!(
            status.message().contains("not on 1"),
            "{}",
            status.message()
        );
    }
    let asked: Vec<u32> = brokers
        .seen()
        .iter()
        .map(|(partition, _)| partition.0)
        .collect();
    assert_eq!(asked, [1, 2, 1, 3, 1, 1, 2, 1, 3, 1]);
}

#[tokio::test]
async fn while_nobody_leads_the_partition_that_deployments_come_to_nothing_is_said_to_be_unknown() {
    let attempts = AtomicU32::new(0);
    let brokers = Fake::new(2, move |partition, command| {
        let RecordValue::ProcessInstanceCreation(wish) = &command.value else {
            panic!("{command:?}")
        };
        match partition {
            PartitionId(1) if attempts.fetch_add(1, Ordering::Relaxed) < 3 => {
                Err(BrokerError::PartitionLeaderMismatch { partition })
            }
            PartitionId(1) => event(
                key(1, 9),
                ProcessInstanceCreationIntent::Created,
                wish.clone(),
            ),
            _ => Ok(Err(Rejection::not_found("not yet".to_owned()))),
        }
    });
    let mut served = start(brokers.clone()).await;
    let request = CreateProcessInstanceRequest {
        bpmn_process_id: "order".to_owned(),
        version: -1,
        ..Default::default()
    };
    // The first begins at partition 1, whose refusal makes it go on to 2.
    let created = served.client.create_process_instance(request).await;
    assert!(created.is_ok(), "{created:?}");
    let asked: Vec<u32> = brokers.seen().iter().map(|(on, _)| on.0).collect();
    assert_eq!(asked, [1, 2, 1, 1, 1]);
}
