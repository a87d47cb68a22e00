//! The list of what is covered, in docs/conformance.md, is true.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// How many behaviours the list has in each of its areas.
const AREAS: [usize; 24] = [
    12, 11, 5, 11, 7, 6, 8, 10, 6, 11, 5, 10, 7, 10, 9, 7, 12, 5, 12, 9, 8, 4, 1, 7,
];

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The file that a module's tests are in, by its name in the list.
fn file_of(module: &str) -> PathBuf {
    let path = match module.split_once(' ') {
        None => format!("crates/engine/tests/conformance/{module}.rs"),
        Some(("unit", module)) => format!("crates/engine/src/tests/{module}.rs"),
        Some(("bpmn", "timer")) => "crates/bpmn/src/timer/tests.rs".to_owned(),
        Some(("bpmn", module)) => format!("crates/bpmn/tests/{module}.rs"),
        Some((crate_name, _)) => panic!("'{crate_name}' is no place for tests"),
    };
    repository().join(path)
}

/// The behaviours of the list: number, and the tests that are named.
fn rows(list: &str) -> Vec<(&str, Vec<&str>)> {
    let rows = list.lines().filter_map(|line| {
        let mut cells = line.strip_prefix("| ")?.split(" | ");
        let (number, tests) = (cells.next()?, cells.nth(1)?);
        number.contains('.').then(|| {
            let tests = tests.split('`').filter(|part| part.contains("::"));
            (number, tests.collect())
        })
    });
    rows.collect()
}

#[test]
fn every_behaviour_is_listed_once_with_tests_that_exist() {
    let list = read(&repository().join("docs/conformance.md"));
    let rows = rows(&list);
    let expected = AREAS
        .iter()
        .zip(1..)
        .flat_map(|(&count, area)| (1..=count).map(move |number| format!("{area}.{number}")));
    let numbers: Vec<&str> = rows.iter().map(|(number, _)| *number).collect();
    assert_eq!(numbers, expected.collect::<Vec<_>>());

    let mut sources: BTreeMap<&str, String> = BTreeMap::new();
    for (number, tests) in &rows {
        for test in tests {
            let (module, name) = test.split_once("::").unwrap();
            let source = sources
                .entry(module)
                .or_insert_with(|| read(&file_of(module)));
            let is_there = source.contains(&format!("fn {name}("));
            assert!(is_there, "{number} names '{test}', which does not exist");
        }
    }

    let covered = rows.iter().filter(|(_, tests)| !tests.is_empty()).count();
    let count = format!("{covered} of {} behaviours", rows.len());
    assert!(list.contains(&count), "the list should say '{count}'");
}
