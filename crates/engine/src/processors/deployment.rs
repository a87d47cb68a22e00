//! DEPLOYMENT: from resources to processes, decisions and forms on all partitions.
//!
//! The deployment partition checks the resources, gives keys and versions, and distributes what is new to the others. The client is
//! answered before they have it. Channels are in order, so that what is sent to a partition later finds the definitions there.
//!
//! **Invariants**: all of a deployment or nothing; the same keys and versions on all partitions.

mod identity;
mod resources;

use skep_protocol::{Command, DeploymentIntent, RecordValue, Rejection, values};

use crate::behaviours::{deployments, distribution};
use crate::processing::{Processing, Result};

/// Evaluates a DEPLOYMENT command: a client's, or one that the deployment partition distributes, which has the deployment's key.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::Deployment(deployment) = &command.value else {
        unreachable!("a DEPLOYMENT command carries a deployment");
    };
    match command.key.is_some() {
        true => take_over(p, command, deployment),
        false => create(p, command, deployment),
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
    let deployment = identity::identify(p, key, deployment, &parsed)?;
    let new = deployments::new_part(&deployment);
    deployments::keep(p, key, &new)?;
    let mut created = deployment;
    deployments::clear_content(&mut created);
    p.event(key, DeploymentIntent::Created, created.clone());
    p.respond(key, DeploymentIntent::Created, created);
    deployments::open_starts(p, &new)?;
    // If nothing is new, the others have it all, or it is on its way.
    let others = match deployments::is_empty(&new) {
        true => Vec::new(),
        false => distribution::others(p),
    };
    let distributed = Command::new(key, DeploymentIntent::Create, new);
    distribution::distribute(p, &distributed, &others)
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

/// Takes over a deployment from the deployment partition, and tells it so.
fn take_over(p: &mut Processing, command: &Command, new: &values::Deployment) -> Result<()> {
    if !deployments::is_known(p, new)? {
        deployments::keep(p, command.key, new)?;
        let mut created = new.clone();
        deployments::clear_content(&mut created);
        p.event(command.key, DeploymentIntent::Created, created);
        deployments::open_starts(p, new)?;
    }
    distribution::acknowledge(p, command)
}
