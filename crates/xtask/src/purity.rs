//! What pure crates must not use, so that every evaluation can be repeated from its inputs.

use crate::repository::{Repository, Source};

const PURE: &[&str] = &["engine", "bpmn", "feel", "dmn", "state", "protocol", "xml"];

const BANNED: &[&str] = &[
    "std::fs",
    "std::net",
    "std::thread",
    "std::env",
    "std::process",
    "SystemTime::now",
    "Instant::now",
    "Timestamp::now",
    "Zoned::now",
    "tokio::",
    "futures::",
    "thread_rng",
    "getrandom",
];

/// What is not in order.
pub fn problems(repository: &Repository) -> Vec<String> {
    let pure = repository
        .crates
        .iter()
        .filter(|one| PURE.contains(&one.name.as_str()));
    pure.flat_map(|one| &one.sources)
        .filter(|source| source.is_product())
        .flat_map(of_source)
        .collect()
}

fn of_source(source: &Source) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in source.text.lines().enumerate() {
        // Unit tests stand at the end of a file.
        if line == "#[cfg(test)]" {
            break;
        }
        let code = line.split("//").next().unwrap_or_default();
        for banned in BANNED.iter().filter(|banned| code.contains(**banned)) {
            problems.push(format!(
                "{}:{}: a pure crate must not use {banned}",
                source.path.display(),
                number + 1
            ));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_found_but_not_in_a_test_or_a_comment() {
        let text = "// Instant::now\nlet now = Instant::now();\n#[cfg(test)]\nstd::fs";
        let source = Source {
            path: "crates/engine/src/x.rs".into(),
            text: text.to_owned(),
        };
        assert_eq!(
            of_source(&source),
            ["crates/engine/src/x.rs:2: a pure crate must not use Instant::now"]
        );
    }
}
