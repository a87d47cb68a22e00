//! What deploy/ tells is true: its files can be read, and name only variables that are read, probes and metrics that are served.
#![allow(clippy::unwrap_used, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{Place, repository};
use skep_config::properties::PROPERTIES;

/// Read by `skep` itself and by the S3 server of the compose file.
const OTHERS: [&str; 8] = [
    "ZEEBE_RESTORE",
    "ZEEBE_RESTORE_FROM_BACKUP_ID",
    "ZEEBE_LOG_APPENDER",
    "ROOT_ACCESS_KEY",
    "ROOT_SECRET_KEY",
    "S3_SECRET",
    "POD_NAME",
    "PATH",
];

fn files(below: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(below).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => found.extend(files(&path)),
            false => found.push(path),
        }
    }
    found
}

fn deployment() -> Vec<(PathBuf, String)> {
    let files = files(&repository().join("deploy")).into_iter();
    files
        .map(|path| (path.clone(), fs::read_to_string(path).unwrap()))
        .collect()
}

/// Words of capitals, digits and underscores, with at least one underscore, or `PATH`.
fn variables(text: &str) -> BTreeSet<&str> {
    let is_part = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.len() > 3 && word.contains('_') && word.chars().all(is_part))
        .collect()
}

#[test]
fn every_variable_is_one_that_is_read() {
    let mut known: BTreeSet<String> = OTHERS.iter().map(|name| (*name).to_owned()).collect();
    for property in PROPERTIES {
        known.insert(
            property
                .key
                .replace('.', "_")
                .replace('-', "")
                .to_ascii_uppercase(),
        );
        known.extend(
            property
                .other_variables
                .iter()
                .map(|name| (*name).to_owned()),
        );
    }
    // A place for the operator's number in restore.yaml.
    known.insert("BACKUP_ID".to_owned());
    let mut seen = 0;
    for (path, text) in deployment() {
        for variable in variables(&text) {
            assert!(
                known.contains(variable),
                "{}: {variable} means nothing",
                path.display()
            );
            seen += 1;
        }
    }
    assert!(seen > 40, "only {seen} variables were found");
}

#[test]
fn yaml_and_json_can_be_read() {
    let mut documents = 0;
    for (path, text) in deployment() {
        let extension = path
            .extension()
            .and_then(|one| one.to_str())
            .unwrap_or_default();
        let texts: Vec<&str> = match extension {
            "yaml" => text.split("\n---\n").collect(),
            "json" => vec![text.as_str()],
            _ => continue,
        };
        for text in texts {
            let read = skep_config::Source::new("", text, Vec::new());
            assert!(read.is_ok(), "{}: {:?}", path.display(), read.err());
            documents += 1;
        }
    }
    assert!(documents > 10, "only {documents} documents were found");
}

#[test]
fn probes_and_metrics_are_served() {
    let place = Place::new(1);
    let broker = place.start();
    // Those of backups, of elements and of calls are there once there was one.
    place.skep(&["backup", "take", "1", "--wait"]);
    let order = repository().join("examples/order.bpmn");
    place.skep(&["deploy", order.to_str().unwrap()]);
    place.skep(&["start", "order"]);
    let (_, metrics) = place.get("/actuator/prometheus");
    let (mut probes, mut names) = (0, 0);
    for (path, text) in deployment() {
        for line in text.lines().filter(|line| line.contains("httpGet:")) {
            let probe = line
                .split("path: ")
                .nth(1)
                .unwrap()
                .split(',')
                .next()
                .unwrap();
            assert_eq!(place.get(probe).0, 200, "{}: {probe}", path.display());
            probes += 1;
        }
        if path.ends_with("skep.json") {
            let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
            let begins = ["skep_", "zeebe_", "atomix_", "grpc_"];
            for name in words.filter(|word| begins.iter().any(|begin| word.starts_with(begin))) {
                // Those of exporters are there only with exporters, those of followers with several replicas, those of failures with one.
                let elsewhere = name.starts_with("zeebe_exporter_")
                    || name == "atomix_non_replicated_entries"
                    || name == "zeebe_gateway_failed_requests_total";
                // A gauge is called as it is, whatever its name ends with.
                let of_samples = name.trim_end_matches("_total").trim_end_matches("_bucket");
                let is_metric = |name| metrics.contains(&format!("# TYPE {name} "));
                assert!(
                    elsewhere || is_metric(name) || is_metric(of_samples),
                    "{name} is no metric"
                );
                names += 1;
            }
        }
    }
    assert!(
        probes >= 6 && names >= 8,
        "{probes} probes, {names} metrics"
    );
    drop(broker);
}
