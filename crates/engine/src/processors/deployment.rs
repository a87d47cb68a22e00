//! DEPLOYMENT and DEPLOYMENT_DISTRIBUTION: from resources to process definitions on all partitions.
//!
//! The deployment partition checks the resources, gives keys and versions, and sends what is new to the others. The client is
//! answered before they have it. Channels are in order, so that what is sent to a partition later finds the definitions there.
//!
//! **Invariants**: all of a deployment or nothing; the same keys and versions on all partitions.

use skep_bpmn::{Supported, model};
use skep_feel::Environment;
use skep_protocol::{
    Command, DeploymentDistributionIntent, DeploymentIntent, Intent, Key, PartitionId, RecordValue,
    Rejection, RejectionType, routing::DEPLOYMENT_PARTITION, values,
};

use crate::behaviours::deployments::{self, Announce};
use crate::behaviours::{channel, message_starts};
use crate::limits;
use crate::processing::{Processing, Result};
use crate::tables::{deployments as pending, processes};

/// Bytes of the hash by which an unchanged resource is recognised.
const CHECKSUM_BYTES: usize = 16;

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
    let parsed = match check(p, deployment) {
        Ok(parsed) => parsed,
        Err(rejection) => {
            refuse(p, command, deployment, rejection);
            return Ok(());
        }
    };
    let key = p.next_key()?;
    let processes = identify(p, deployment, &parsed)?;
    let deployment = values::Deployment {
        resources: deployment.resources.clone(),
        processes,
    };
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

/// The processes of each resource.
type Parsed = Vec<Vec<model::Process>>;

fn check(
    p: &Processing,
    deployment: &values::Deployment,
) -> std::result::Result<Parsed, Rejection> {
    if p.config.partition != DEPLOYMENT_PARTITION {
        return Err(Rejection::invalid_state(format!(
            "Expected to deploy resources on partition {DEPLOYMENT_PARTITION}, but this is partition {}",
            p.config.partition
        )));
    }
    if deployment.resources.is_empty() {
        return Err(Rejection::invalid_argument(
            "Expected to deploy at least one resource, but none given",
        ));
    }
    let content: usize = deployment
        .resources
        .iter()
        .map(|resource| resource.resource.len())
        .sum();
    check_size(content)?;
    let environment = Environment::at_epoch_millis(p.now(), p.context.seed);
    let mut problems = Vec::new();
    let mut parsed = Parsed::new();
    for resource in &deployment.resources {
        match read(resource, &environment) {
            Ok(processes) => parsed.push(processes),
            Err(problem) => problems.push(problem),
        }
    }
    problems.extend(duplicates(
        &deployment.resources,
        &parsed,
        problems.is_empty(),
    ));
    if !problems.is_empty() {
        return Err(Rejection::invalid_argument(describe(&problems)));
    }
    check_size(written_bytes(&deployment.resources, &parsed))?;
    Ok(parsed)
}

/// The content is in the command, in the state, and in an event of each process.
fn written_bytes(resources: &[values::DeploymentResource], parsed: &Parsed) -> usize {
    let of = |(resource, processes): (&values::DeploymentResource, &Vec<model::Process>)| {
        resource.resource.len() * (2 + processes.len())
    };
    resources.iter().zip(parsed).map(of).sum()
}

fn check_size(bytes: usize) -> std::result::Result<(), Rejection> {
    if bytes <= limits::DEPLOYMENT_BYTES_MAX {
        return Ok(());
    }
    Err(Rejection::new(
        RejectionType::ExceededBatchRecordSize,
        format!(
            "Expected to deploy resources whose records take at most {} bytes, but they take {bytes}. Deploy fewer or smaller \
             resources at once",
            limits::DEPLOYMENT_BYTES_MAX
        ),
    ))
}

/// The executable processes of a resource, or a text that says what is wrong with it.
fn read(
    resource: &values::DeploymentResource,
    environment: &Environment,
) -> std::result::Result<Vec<model::Process>, String> {
    let name = &resource.resource_name;
    if name.ends_with(".dmn") || name.ends_with(".form") {
        let kind = if name.ends_with(".dmn") {
            "DMN resources"
        } else {
            "forms"
        };
        return Err(format!("'{name}': {kind} are not supported yet"));
    }
    if !name.ends_with(".bpmn") && !name.ends_with(".xml") {
        return Err(format!("'{name}': unknown resource type"));
    }
    let processes =
        skep_bpmn::parse(name, &resource.resource).map_err(|rejection| rejection.to_string())?;
    let supported = Supported::first_version();
    let mut problems = Vec::new();
    for process in &processes {
        problems.extend(skep_bpmn::unsupported(process, &supported));
        for (start, message_name) in message_starts::message_names(process, environment) {
            if let Err(message) = message_name {
                problems.push(skep_bpmn::Problem {
                    element: start.id.to_string(),
                    message,
                });
            }
        }
    }
    if problems.is_empty() {
        return Ok(processes);
    }
    Err(skep_bpmn::Rejection::invalid(name, problems).to_string())
}

/// Names and process ids that are given twice. Process ids are only known if all resources could be read.
fn duplicates(
    resources: &[values::DeploymentResource],
    parsed: &Parsed,
    all_read: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = std::collections::BTreeSet::new();
    for resource in resources {
        if !names.insert(&resource.resource_name) {
            problems.push(format!(
                "'{}': two resources of one deployment have this name",
                resource.resource_name
            ));
        }
    }
    if !all_read {
        return problems;
    }
    let mut first = std::collections::BTreeMap::new();
    for (resource, process) in resources
        .iter()
        .zip(parsed)
        .flat_map(|(resource, of)| of.iter().map(move |it| (resource, it)))
    {
        let name = &resource.resource_name;
        if let Some(other) = first.insert(&process.id, name) {
            problems.push(format!(
                "Duplicated process id '{}' in resources '{other}' and '{name}'",
                process.id
            ));
        }
    }
    problems
}

/// A text that fits into an answer, whatever was deployed.
fn describe(problems: &[String]) -> String {
    let mut text =
        "Expected to deploy new resources, but encountered the following errors:".to_owned();
    for problem in problems {
        text.push('\n');
        text.push_str(problem);
    }
    if let Some((end, _)) = text.char_indices().nth(limits::ERROR_MESSAGE_CHARS_MAX) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// Gives each process its key and version: those of the latest version if that is the same, else new ones.
fn identify(
    p: &mut Processing,
    deployment: &values::Deployment,
    parsed: &Parsed,
) -> Result<Vec<values::ProcessMetadata>> {
    let mut identified = Vec::new();
    for (resource, processes) in deployment.resources.iter().zip(parsed) {
        let hash = blake3::hash(&resource.resource);
        let checksum = &hash.as_bytes()[..CHECKSUM_BYTES];
        for process in processes {
            identified.push(identify_one(p, resource, &process.id, checksum)?);
        }
    }
    Ok(identified)
}

fn identify_one(
    p: &mut Processing,
    resource: &values::DeploymentResource,
    bpmn_process_id: &str,
    checksum: &[u8],
) -> Result<values::ProcessMetadata> {
    let latest = processes::latest(p.txn, bpmn_process_id)?;
    let mut metadata = values::ProcessMetadata {
        bpmn_process_id: bpmn_process_id.to_owned(),
        version: latest.map_or(0, |latest| latest.version) + 1,
        process_definition_key: Key::NONE.0,
        resource_name: resource.resource_name.clone(),
        checksum: checksum.to_vec(),
        duplicate: false,
    };
    if let Some(latest) = latest
        && let Some(definition) = processes::get(p.txn, latest.key())?
        && definition.checksum == checksum
        && definition.resource_name == resource.resource_name
    {
        metadata.version = latest.version;
        metadata.process_definition_key = latest.key().0;
        metadata.duplicate = true;
    } else {
        metadata.process_definition_key = p.next_key()?.0;
    }
    Ok(metadata)
}

/// Sends what is new to the other partitions. If nothing is, they have it all, or it is on its way.
fn send_to_others(
    p: &mut Processing,
    key: Key,
    new: values::Deployment,
    created: values::Deployment,
) -> Result<()> {
    let others: Vec<PartitionId> = match new.processes.is_empty() {
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
    pending::set_pending(p.txn, key, &others);
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
    let known = match new.processes.first() {
        Some(process) => processes::get(p.txn, Key(process.process_definition_key))?.is_some(),
        None => true,
    };
    if !known {
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
    let mut waiting = pending::pending(p.txn, key)?;
    if !waiting.contains(&done) {
        let reason = format!(
            "Expected to complete the distribution of deployment '{key}' to partition {done}, but it is not pending"
        );
        p.reject(command, Rejection::not_found(reason));
        return Ok(());
    }
    waiting.retain(|partition| *partition != done);
    pending::set_pending(p.txn, key, &waiting);
    p.event(
        key,
        DeploymentDistributionIntent::Completed,
        distribution.clone(),
    );
    if waiting.is_empty() {
        p.event(
            key,
            DeploymentIntent::FullyDistributed,
            values::Deployment::default(),
        );
    }
    Ok(())
}
