//! The cluster as clients see it. Answered from the gateway's own view, so it never fails.

use tonic::{Request, Status};

use super::Gateway;
use crate::brokers::{BrokerInfo, Health, PartitionInfo, Role};
use crate::proto::partition::{PartitionBrokerHealth, PartitionBrokerRole};
use crate::proto::{self, TopologyRequest, TopologyResponse};

/// The version that the gateway claims towards clients: the interface that it serves. Some clients compare it.
pub const GATEWAY_VERSION: &str = "8.6.0";

pub async fn topology(
    gateway: &Gateway,
    _: Request<TopologyRequest>,
) -> Result<TopologyResponse, Status> {
    let topology = gateway.brokers.topology();
    Ok(TopologyResponse {
        brokers: topology.brokers().iter().map(broker).collect(),
        cluster_size: topology.cluster_size() as i32,
        partitions_count: topology.partition_count() as i32,
        replication_factor: topology.replication_factor() as i32,
        gateway_version: GATEWAY_VERSION.to_owned(),
    })
}

fn broker(info: &BrokerInfo) -> proto::BrokerInfo {
    proto::BrokerInfo {
        node_id: info.node.0 as i32,
        host: info.host.clone(),
        port: i32::from(info.port),
        partitions: info.partitions.iter().map(partition).collect(),
        version: info.version.clone(),
    }
}

fn partition(info: &PartitionInfo) -> proto::Partition {
    let role = match info.role {
        Role::Leader => PartitionBrokerRole::Leader,
        Role::Follower => PartitionBrokerRole::Follower,
        Role::Inactive => PartitionBrokerRole::Inactive,
    };
    let health = match info.health {
        Health::Healthy => PartitionBrokerHealth::Healthy,
        Health::Unhealthy => PartitionBrokerHealth::Unhealthy,
        Health::Dead => PartitionBrokerHealth::Dead,
    };
    proto::Partition {
        partition_id: info.partition.0 as i32,
        role: role as i32,
        health: health as i32,
    }
}
