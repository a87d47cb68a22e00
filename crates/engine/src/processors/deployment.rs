//! DEPLOYMENT and DEPLOYMENT_DISTRIBUTION: from resources to processes, decisions and forms on all partitions.
//!
//! The deployment partition checks the resources, gives keys and versions, and sends what is new to the others. The client is
//! answered before they have it. Channels are in order, so that what is sent to a partition later finds the definitions there.
//!
//! **Invariants**: all of a deployment or nothing; the same keys and versions on all partitions.

mod identity;
mod resources;

use skep_protocol::{
    Command, DeploymentDistributionIntent, DeploymentIntent, Intent, Key, PartitionId, RecordValue,
    Rejection, routing::DEPLOYMENT_PARTITION, values,
};

use crate::behaviours::channel;
use crate::behaviours::deployments::{self, Announce};
use crate::processing::{Processing, Result};
use crate::tables::{deployments as pending, processes};

/// Evaluates a DEPLOYMENT or DEPLOYMENT_DISTRIBUTION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    match (command.intent, &command.value) {
        (Intent::Deployment(DeploymentIntent::Create), RecordValue::Deployment(deployment)) => {
            create(p, command, deployment)
        }
        (Intent::Deployment(DeploymentIntent::Distribute), RecordValue::Deployment(deployment)) => {
            distribute(p, command.key, deployment)
        }
        (
            Intent::DeploymentDistribution(DeploymentDistributionIntent::Complete),
            RecordValue::DeploymentDistribution(distribution),
        ) => complete(p, command, distribution),
        (intent, _) => unreachable!("{} is no command about a deployment", intent.name()),
    }
}

fn create(p: &mut Processing, command: &Command, deployment: &values::Deployment) -> Result<()> {
    let parsed = match resources::check(p, deployment) {
        Ok(parsed) => parsed,
        Err(rejection) => {
            refuse(p, command, deployment, rejection);
            return Ok(());
        }
    };
    let key = p.next_key()?;
    let deployment = identity::identify(p, deployment, &parsed)?;
    let new = deployments::new_part(&deployment);
    deployments::keep(p, key, &new, Announce::Yes)?;
    let mut created = deployment;
    deployments::clear_content(&mut created);
    p.event(key, DeploymentIntent::Created, created.clone());
    p.respond(key, DeploymentIntent::Created, created.clone());
    deployments::open_starts(p, &new)?;
    send_to_others(p, key, new, created)
}

/// A refused deployment is written down without the content of its resources, which may be what it was refused for.
fn refuse(
    p: &mut Processing,
    command: &Command,
    deployment: &values::Deployment,
    rejection: Rejection,
) {
    let mut deployment = deployment.clone();
    deployments::clear_content(&mut deployment);
    p.reject(
        &Command::new(command.key, command.intent, deployment),
        rejection,
    );
}

/// Sends what is new to the other partitions. If nothing is, they have it all, or it is on its way.
fn send_to_others(
    p: &mut Processing,
    key: Key,
    new: values::Deployment,
    created: values::Deployment,
) -> Result<()> {
    let others: Vec<PartitionId> = match deployments::is_empty(&new) {
        true => Vec::new(),
        false => (1..=p.config.partition_count)
            .map(PartitionId)
            .filter(|id| *id != p.config.partition)
            .collect(),
    };
    if others.is_empty() {
        p.event(key, DeploymentIntent::FullyDistributed, created);
        return Ok(());
    }
    pending::begin(p.txn, key, &others);
    for target in others {
        let distribution = values::DeploymentDistribution {
            partition_id: target.0,
        };
        p.event(
            key,
            DeploymentDistributionIntent::Distributing,
            distribution,
        );
        channel::send(
            p,
            target,
            Command::new(key, DeploymentIntent::Distribute, new.clone()),
        )?;
    }
    Ok(())
}

/// Takes over a deployment from the deployment partition, and tells it so.
fn distribute(p: &mut Processing, key: Key, new: &values::Deployment) -> Result<()> {
    if !deployments::is_known(p, new)? {
        deployments::keep(p, key, new, Announce::No)?;
        let mut distributed = new.clone();
        deployments::clear_content(&mut distributed);
        p.event(key, DeploymentIntent::Distributed, distributed);
        deployments::open_starts(p, new)?;
    }
    let done = values::DeploymentDistribution {
        partition_id: p.config.partition.0,
    };
    channel::send(
        p,
        DEPLOYMENT_PARTITION,
        Command::new(key, DeploymentDistributionIntent::Complete, done),
    )
}

/// A partition has taken a deployment over.
fn complete(
    p: &mut Processing,
    command: &Command,
    distribution: &values::DeploymentDistribution,
) -> Result<()> {
    let key = command.key;
    let done = PartitionId(distribution.partition_id);
    let waiting = pending::pending(p.txn, key)?;
    if !waiting.contains(&done) {
        let reason = format!(
            "Expected to complete the distribution of deployment '{key}' to partition {done}, but it is not pending"
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    }
    let finished = pending::acknowledged(p.txn, key, done)?;
    p.event(
        key,
        DeploymentDistributionIntent::Completed,
        distribution.clone(),
    );
    if let Some(released) = finished {
        for resource_name in released {
            processes::delete_resource(p.txn, key, &resource_name);
        }
        p.event(
            key,
            DeploymentIntent::FullyDistributed,
            values::Deployment::default(),
        );
    }
    Ok(())
}
