//! The few client calls that a first tour needs: topology, deploy, start, work.
//!
//! **Absent on purpose**: everything else that Zeebe's clients do; they work unmodified.

use std::path::Path;
use std::time::Duration;

use futures::{StreamExt, TryStreamExt, stream};
use skep_gateway::proto;
use skep_gateway::proto::gateway_client::GatewayClient;
use skep_tls::Protocol;
use tonic::service::interceptor::InterceptedService;
use tonic::transport::{Channel, Endpoint};

use crate::cli::{DeployArguments, GatewayArguments, StartArguments, WorkArguments};
use crate::credentials::{self, Authorize};
use crate::dialler::Dialler;
use crate::failure::{Code, Failure};
use crate::http::causes;
use crate::patience::{Answered, patiently};

/// Requests under way at once when many instances are started or jobs completed.
const IN_FLIGHT: usize = 32;
/// Jobs activated at once.
const JOBS_PER_CALL: u64 = 100;
/// How long an activated job stays ours.
const JOB_TIMEOUT: Duration = Duration::from_secs(60);
/// How long one call for jobs waits for them.
const POLL_TIMEOUT: Duration = Duration::from_secs(10);
/// A large deployment on a busy machine takes seconds; more is a broker that does not answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a deployment may take to reach every partition.
const DISTRIBUTION_TIMEOUT: Duration = Duration::from_secs(1);
/// How often to ask for a process that is not there yet.
const DISTRIBUTION_INTERVAL: Duration = Duration::from_millis(20);

type Gateway = GatewayClient<InterceptedService<Channel, Authorize>>;

/// The address without its scheme, and whether TLS is spoken there: as the scheme says, or as options do.
fn address_of(arguments: &GatewayArguments) -> (&str, bool) {
    // People type addresses as those of the management API.
    let given = arguments.gateway.trim_end_matches('/');
    if let Some(address) = given.strip_prefix("https://") {
        return (address, true);
    }
    if let Some(address) = given.strip_prefix("http://") {
        return (address, false);
    }
    // A broker on the same machine has no certificate, most likely.
    let insecure = arguments
        .insecure
        .unwrap_or(arguments.tls.authorities.is_none());
    (given, !insecure)
}

async fn connect(arguments: &GatewayArguments) -> Result<Gateway, Failure> {
    let (address, tls) = address_of(arguments);
    let scheme = if tls { "https" } else { "http" };
    let endpoint = Endpoint::from_shared(format!("{scheme}://{address}")).map_err(|_| {
        Failure::new(
            Code::Usage,
            format!("'{address}' is no address of a gateway. Expected one such as 127.0.0.1:26500"),
        )
    })?;
    let dialler = Dialler::new(tls, &arguments.tls, Protocol::Http2)?;
    let header = credentials::authorization(&arguments.credentials, &arguments.tls).await?;
    let authorize = Authorize::new(header.as_deref())?;
    let endpoint = endpoint.timeout(CALL_TIMEOUT);
    let channel = endpoint.connect_with_connector(dialler).await.map_err(|error| {
        Failure::new(
            Code::Unreachable,
            format!(
                "the gateway at {address} cannot be reached: {}. Is the broker running? Give its address with --gateway",
                causes(&error)
            ),
        )
    })?;
    Ok(GatewayClient::with_interceptor(channel, authorize))
}

fn refused(status: tonic::Status) -> Failure {
    // What speaks TLS is no HTTP/2 to whoever does not.
    if status.message().contains("h2 protocol error") {
        let text = format!(
            "the gateway cannot be talked to ({}). If it speaks TLS, give its address with https:// before it, or --tls-ca",
            status.message()
        );
        return Failure::new(Code::Unreachable, text);
    }
    let code = match status.code() {
        tonic::Code::NotFound => Code::NotFound,
        tonic::Code::Unavailable | tonic::Code::DeadlineExceeded | tonic::Code::Cancelled => {
            Code::Unreachable
        }
        _ => Code::Refused,
    };
    Failure::new(code, format!("{:?}: {}", status.code(), status.message()))
}

/// `skep status`.
pub async fn status(arguments: GatewayArguments) -> Result<(), Failure> {
    let mut gateway = connect(&arguments).await?;
    let topology = gateway.topology(proto::TopologyRequest {}).await;
    let topology = topology.map_err(refused)?.into_inner();
    println!(
        "Cluster of {} broker(s), {} partition(s), replication factor {}, gateway version {}",
        topology.cluster_size,
        topology.partitions_count,
        topology.replication_factor,
        topology.gateway_version
    );
    for broker in topology.brokers {
        println!(
            "Broker {} at {}:{}, version {}",
            broker.node_id, broker.host, broker.port, broker.version
        );
        for partition in broker.partitions {
            let (id, role, health) = (partition.partition_id, partition.role(), partition.health());
            println!(
                "  partition {id}: {}, {}",
                role.as_str_name(),
                health.as_str_name()
            );
        }
    }
    Ok(())
}

fn read_resource(path: &Path) -> Result<proto::Resource, Failure> {
    let shown = path.display();
    let content = std::fs::read(path)
        .map_err(|error| Failure::new(Code::Usage, format!("read {shown}: {error}")))?;
    let name = path.file_name().map_or_else(
        || shown.to_string(),
        |name| name.to_string_lossy().into_owned(),
    );
    Ok(proto::Resource { name, content })
}

/// `skep deploy`.
pub async fn deploy(arguments: DeployArguments) -> Result<(), Failure> {
    let resources: Result<Vec<_>, _> = arguments
        .files
        .iter()
        .map(|path| read_resource(path))
        .collect();
    let request = proto::DeployResourceRequest {
        resources: resources?,
        ..Default::default()
    };
    let mut gateway = connect(&arguments.gateway).await?;
    let answer = gateway.deploy_resource(request).await.map_err(refused)?;
    for deployment in answer.into_inner().deployments {
        if let Some(proto::deployment::Metadata::Process(process)) = deployment.metadata {
            println!(
                "Deployed process {} version {} (key {}) from {}",
                process.bpmn_process_id,
                process.version,
                process.process_definition_key,
                process.resource_name
            );
        }
    }
    Ok(())
}

/// `skep start`.
pub async fn start(arguments: StartArguments) -> Result<(), Failure> {
    let gateway = connect(&arguments.gateway).await?;
    let request = proto::CreateProcessInstanceRequest {
        bpmn_process_id: arguments.process_id.clone(),
        version: -1,
        variables: arguments.variables,
        ..Default::default()
    };
    let keys: Vec<i64> = stream::iter(0..arguments.count)
        .map(|_| start_one(gateway.clone(), request.clone()))
        .buffer_unordered(IN_FLIGHT)
        .try_collect()
        .await
        .map_err(refused)?;
    match keys.as_slice() {
        [key] => println!("Started instance {key} of process {}", arguments.process_id),
        keys => println!(
            "Started {} instances of process {}",
            keys.len(),
            arguments.process_id
        ),
    }
    Ok(())
}

/// Starts an instance. A deployment is answered by the first partition and reaches the others a moment later, as with Zeebe; so a
/// process that is not found at first is asked for again within a second.
async fn start_one(
    mut gateway: Gateway,
    request: proto::CreateProcessInstanceRequest,
) -> Result<i64, tonic::Status> {
    let deadline = tokio::time::Instant::now() + DISTRIBUTION_TIMEOUT;
    loop {
        match gateway.create_process_instance(request.clone()).await {
            Ok(answer) => return Ok(answer.into_inner().process_instance_key),
            Err(status)
                if status.code() == tonic::Code::NotFound
                    && tokio::time::Instant::now() < deadline =>
            {
                tokio::time::sleep(DISTRIBUTION_INTERVAL).await;
            }
            Err(status) => return Err(status),
        }
    }
}

/// `skep work`.
pub async fn work(arguments: WorkArguments) -> Result<(), Failure> {
    let gateway = connect(&arguments.gateway).await?;
    let wanted = arguments.max.unwrap_or(u64::MAX);
    let mut done = 0;
    let mut last_job = tokio::time::Instant::now();
    while done < wanted {
        let wait = match arguments.idle {
            Some(idle) => match idle.checked_sub(last_job.elapsed()) {
                Some(left) => left.min(POLL_TIMEOUT),
                None => break,
            },
            None => POLL_TIMEOUT,
        };
        let count = (wanted - done).min(JOBS_PER_CALL);
        let jobs = activate(&gateway, &arguments.job_type, count, wait).await?;
        if !jobs.is_empty() {
            done += complete(&gateway, &jobs, &arguments.variables).await?;
            last_job = tokio::time::Instant::now();
        }
    }
    println!("Completed {done} jobs of type {}", arguments.job_type);
    Ok(())
}

async fn activate(
    gateway: &Gateway,
    job_type: &str,
    count: u64,
    wait: Duration,
) -> Result<Vec<proto::ActivatedJob>, Failure> {
    let request = proto::ActivateJobsRequest {
        r#type: job_type.to_owned(),
        worker: "skep-work".to_owned(),
        timeout: JOB_TIMEOUT.as_millis() as i64,
        max_jobs_to_activate: count as i32,
        // 0 would mean the gateway's default.
        request_timeout: wait.as_millis().max(1) as i64,
        ..Default::default()
    };
    let answered = patiently(async || {
        let answers = gateway.clone().activate_jobs(request.clone()).await?;
        let answers: Vec<proto::ActivateJobsResponse> = answers.into_inner().try_collect().await?;
        Ok(tonic::Response::new(answers))
    });
    // Jobs of an answer that is lost are there again after their timeout.
    let answers = answered.await.result.map_err(refused)?;
    Ok(answers.into_iter().flat_map(|answer| answer.jobs).collect())
}

/// Completes the jobs and gives their number. One that is gone, because its instance was cancelled say, is left out.
async fn complete(
    gateway: &Gateway,
    jobs: &[proto::ActivatedJob],
    variables: &str,
) -> Result<u64, Failure> {
    let answers =
        stream::iter(jobs.iter().map(|job| job.key))
            .map(|job_key| {
                let request = proto::CompleteJobRequest {
                    job_key,
                    variables: variables.to_owned(),
                    ..Default::default()
                };
                async move {
                    patiently(async || gateway.clone().complete_job(request.clone()).await).await
                }
            })
            .buffer_unordered(IN_FLIGHT);
    let completed = answers.map(
        |Answered {
             result,
             maybe_before,
         }| match result {
            Ok(_) => Ok(1),
            // It is gone because an attempt has completed it of which the answer was lost, most likely.
            Err(status) if status.code() == tonic::Code::NotFound => Ok(maybe_before.into()),
            Err(status) => Err(refused(status)),
        },
    );
    completed
        .try_fold(0, |sum, one| async move { Ok(sum + one) })
        .await
}
