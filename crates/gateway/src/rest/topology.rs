//! The cluster as clients see it. Answered from the gateway's own view, so it never fails.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use super::Shared;
use crate::brokers::{self, Health, Role};
use crate::rpc::topology::GATEWAY_VERSION;

/// The answer.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Topology {
    brokers: Vec<Broker>,
    cluster_size: u32,
    partitions_count: u32,
    replication_factor: u32,
    gateway_version: &'static str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Broker {
    node_id: u32,
    host: String,
    port: u16,
    partitions: Vec<Partition>,
    version: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Partition {
    partition_id: u32,
    role: &'static str,
    health: &'static str,
}

pub async fn topology(State(shared): State<Arc<Shared>>) -> Json<Topology> {
    let topology = shared.brokers.topology();
    Json(Topology {
        brokers: topology.brokers().iter().map(broker).collect(),
        cluster_size: topology.cluster_size(),
        partitions_count: topology.partition_count(),
        replication_factor: topology.replication_factor(),
        gateway_version: GATEWAY_VERSION,
    })
}

fn broker(info: &brokers::BrokerInfo) -> Broker {
    Broker {
        node_id: info.node.0,
        host: info.host.clone(),
        port: info.port,
        partitions: info.partitions.iter().map(partition).collect(),
        version: info.version.clone(),
    }
}

fn partition(info: &brokers::PartitionInfo) -> Partition {
    Partition {
        partition_id: info.partition.0,
        role: match info.role {
            Role::Leader => "leader",
            Role::Follower => "follower",
            Role::Inactive => "inactive",
        },
        health: match info.health {
            Health::Healthy => "healthy",
            Health::Unhealthy => "unhealthy",
            Health::Dead => "dead",
        },
    }
}
