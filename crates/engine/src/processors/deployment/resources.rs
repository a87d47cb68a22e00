//! Whether resources may be deployed: their kinds, content and size.

use std::collections::{BTreeMap, BTreeSet};

use skep_bpmn::{Problem, Supported, model};
use skep_dmn::{Dialect, Model};
use skep_feel::Environment;
use skep_protocol::{Rejection, RejectionType, names, routing::DEPLOYMENT_PARTITION, values};

use crate::behaviours::forms::FormHead;
use crate::behaviours::{message_starts, signals, timer_starts};
use crate::limits;
use crate::processing::Processing;

/// What a resource holds.
pub(super) enum Content {
    /// Executable processes.
    Processes(Vec<model::Process>),
    /// A decision requirements graph.
    Decisions(Box<Model>),
    /// A form.
    Form(FormHead),
}

/// The content of each resource.
pub(super) type Parsed = Vec<Content>;

/// Reads all resources, or says what is wrong with any of them.
pub(super) fn check(
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
        match read(resource, p.now(), &environment) {
            Ok(content) => parsed.push(content),
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

/// The content is in the command, in the state, and in an event of each process, graph or form.
fn written_bytes(resources: &[values::DeploymentResource], parsed: &Parsed) -> usize {
    let of = |(resource, content): (&values::DeploymentResource, &Content)| {
        let events = match content {
            Content::Processes(processes) => processes.len(),
            Content::Decisions(_) | Content::Form(_) => 1,
        };
        resource.resource.len() * (2 + events)
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

/// The content of a resource, or a text that says what is wrong with it.
fn read(
    resource: &values::DeploymentResource,
    now: i64,
    environment: &Environment,
) -> std::result::Result<Content, String> {
    let name = &resource.resource_name;
    if name.ends_with(".dmn") {
        return read_decisions(resource);
    }
    if name.ends_with(".form") {
        return FormHead::parse(&resource.resource)
            .map(Content::Form)
            .map_err(|problem| format!("'{name}': {problem}"));
    }
    if !name.ends_with(".bpmn") && !name.ends_with(".xml") {
        return Err(format!("'{name}': unknown resource type"));
    }
    read_processes(resource, now, environment)
}

fn read_decisions(resource: &values::DeploymentResource) -> std::result::Result<Content, String> {
    let name = &resource.resource_name;
    let model = Model::parse(name, &resource.resource, Dialect::Zeebe)
        .map_err(|rejection| rejection.to_string())?;
    let wrong = |error| format!("'{name}': {error}");
    let ids = model.decisions().map(|decision| decision.id());
    for id in ids.chain([model.id()]) {
        names::check("id of a decision or of its requirements", id).map_err(wrong)?;
    }
    for tag in model
        .decisions()
        .filter_map(|decision| decision.version_tag())
    {
        names::check("version tag", tag).map_err(wrong)?;
    }
    Ok(Content::Decisions(Box::new(model)))
}

fn read_processes(
    resource: &values::DeploymentResource,
    now: i64,
    environment: &Environment,
) -> std::result::Result<Content, String> {
    let name = &resource.resource_name;
    let processes =
        skep_bpmn::parse(name, &resource.resource).map_err(|rejection| rejection.to_string())?;
    let supported = Supported::by_the_engine();
    let mut problems = Vec::new();
    for process in &processes {
        problems.extend(long_tag(process));
        problems.extend(skep_bpmn::unsupported(process, &supported));
        problems.extend(wrong_starts(process, now, environment));
    }
    if problems.is_empty() {
        return Ok(Content::Processes(processes));
    }
    Err(skep_bpmn::Rejection::invalid(name, problems).to_string())
}

/// A version tag that does not fit into a key.
fn long_tag(process: &model::Process) -> Option<Problem> {
    let error = names::check("version tag", process.version_tag.as_deref()?).err()?;
    Some(Problem {
        element: process.id.to_string(),
        message: error.to_string(),
    })
}

/// Start events whose names and times cannot be known without an instance.
fn wrong_starts(process: &model::Process, now: i64, environment: &Environment) -> Vec<Problem> {
    let mut names = message_starts::message_names(process, environment);
    names.extend(signals::start_names(process, environment));
    let names = names
        .into_iter()
        .filter_map(|(start, name)| Some((start, name.err()?)));
    let times = timer_starts::schedules(process, now, environment).into_iter();
    let times = times.filter_map(|(start, time)| {
        Some((start, format!("Invalid timer expression ({})", time.err()?)))
    });
    let wrong = names.chain(times);
    wrong
        .map(|(start, message)| Problem {
            element: start.id.to_string(),
            message,
        })
        .collect()
}

/// Names and ids that are given twice. Ids are only known if all resources could be read.
fn duplicates(
    resources: &[values::DeploymentResource],
    parsed: &Parsed,
    all_read: bool,
) -> Vec<String> {
    let mut problems = Vec::new();
    let mut names = BTreeSet::new();
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
    let mut first: BTreeMap<(&str, &str), &str> = BTreeMap::new();
    for (resource, content) in resources.iter().zip(parsed) {
        let name = &*resource.resource_name;
        for (kind, id) in ids(content) {
            if let Some(other) = first.insert((kind, id), name) {
                problems.push(format!(
                    "Duplicated {kind} id '{id}' in resources '{other}' and '{name}'"
                ));
            }
        }
    }
    problems
}

/// The ids under which the content of a resource is known, each with what it is.
fn ids(content: &Content) -> Vec<(&'static str, &str)> {
    match content {
        Content::Processes(processes) => processes
            .iter()
            .map(|process| ("process", &*process.id))
            .collect(),
        Content::Decisions(model) => model
            .decisions()
            .map(|decision| ("decision", decision.id()))
            .chain([("DRG", model.id())])
            .collect(),
        Content::Form(form) => vec![("form", form.id())],
    }
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
