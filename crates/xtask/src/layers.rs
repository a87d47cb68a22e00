//! Which crate may depend on which: ARCHITECTURE.md, "Crates".

use crate::repository::{Crate, Repository};

/// Our crates by level; one depends on those of lower levels only.
const LEVELS: &[&[&str]] = &[
    &[
        "protocol",
        "bpmn",
        "feel",
        "dmn",
        "state",
        "log",
        "blob",
        "config",
        "auth",
        "tls",
        "xml",
        "rate",
        "histogram",
        "ports",
        "xtask",
    ],
    &["engine", "store", "backup", "exporter", "transport"],
    &["partition"],
    &["gateway", "management", "raft"],
    &["broker"],
    &["skep", "sim", "load"],
];

/// Edges within a level.
const WITHIN_A_LEVEL: &[(&str, &str)] = &[
    ("bpmn", "feel"),
    ("dmn", "feel"),
    ("bpmn", "xml"),
    ("dmn", "xml"),
    ("state", "protocol"),
    ("auth", "rate"),
    ("tls", "rate"),
    ("log", "histogram"),
];

/// Libraries that have one owner; the clients of the gateway speak its language.
const OWNERS: &[(&str, &[&str])] = &[
    ("lsm-tree", &["store"]),
    ("openraft", &["raft"]),
    ("object_store", &["blob"]),
    ("axum", &["management", "gateway", "tls"]),
    ("tonic", &["gateway", "skep", "load"]),
    ("quick-xml", &["xml", "bpmn"]),
];

/// What is not in order.
pub fn problems(repository: &Repository) -> Vec<String> {
    let mut problems = Vec::new();
    for one in &repository.crates {
        problems.extend(of_crate(one));
    }
    problems
}

fn level(name: &str) -> Option<usize> {
    LEVELS.iter().position(|level| level.contains(&name))
}

fn of_crate(one: &Crate) -> Vec<String> {
    let Some(own) = level(&one.name) else {
        return vec![format!(
            "crates/{}: has no level. Give it one in crates/xtask/src/layers.rs and ARCHITECTURE.md",
            one.name
        )];
    };
    let mut problems = Vec::new();
    for dependency in &one.dependencies {
        let edge = (one.name.as_str(), dependency.as_str());
        if let Some(other) = level(dependency)
            && other >= own
            && !WITHIN_A_LEVEL.contains(&edge)
        {
            problems.push(format!(
                "crates/{}/Cargo.toml: level {own} must not depend on {dependency} of level {other}",
                one.name
            ));
        }
        if let Some((_, owners)) = OWNERS.iter().find(|(library, _)| library == dependency)
            && !owners.contains(&one.name.as_str())
        {
            problems.push(format!(
                "crates/{}/Cargo.toml: {dependency} belongs to {}",
                one.name,
                owners.join(", ")
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(name: &str, dependency: &str) -> Vec<String> {
        of_crate(&Crate {
            name: name.to_owned(),
            dependencies: vec![dependency.to_owned()],
            sources: Vec::new(),
        })
    }

    #[test]
    fn an_edge_upwards_or_sideways_is_found() {
        assert_eq!(with("engine", "raft").len(), 1);
        assert_eq!(with("engine", "store").len(), 1);
        assert!(with("engine", "bpmn").is_empty());
        assert!(with("bpmn", "feel").is_empty());
    }

    #[test]
    fn a_library_of_another_crate_is_found() {
        assert_eq!(with("broker", "openraft").len(), 1);
        assert!(with("raft", "openraft").is_empty());
    }

    #[test]
    fn an_unknown_crate_is_found() {
        assert_eq!(with("nobody", "bytes").len(), 1);
    }
}
