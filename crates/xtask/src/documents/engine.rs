//! docs/conformance.md: every behaviour of Zeebe's engine has its row, and the tests that a row names exist.

use std::collections::BTreeMap;

use crate::repository::{Document, Repository};

pub const PATH: &str = "docs/conformance.md";

/// How many behaviours the list has in each of its areas.
const AREAS: [usize; 24] = [
    12, 11, 5, 11, 7, 6, 8, 10, 6, 11, 5, 10, 7, 10, 9, 7, 12, 5, 12, 9, 8, 4, 1, 7,
];

/// A behaviour: its number, and the tests that are named.
type Row<'a> = (&'a str, Vec<&'a str>);

/// What is not in order.
pub fn problems(document: &Document, repository: &Repository) -> Vec<String> {
    let sources = repository.crates.iter().flat_map(|one| &one.sources);
    let sources = sources.map(|source| {
        let path = source.path.to_string_lossy().into_owned();
        (path, source.text.as_str())
    });
    let rows = rows(&document.text);
    let mut problems = unknown_tests(&rows, &sources.collect());
    problems.extend(incomplete(&rows, &document.text));
    problems
}

fn rows(list: &str) -> Vec<Row<'_>> {
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

/// Every behaviour is listed once, in order, and the sum at the top is right.
fn incomplete(rows: &[Row<'_>], list: &str) -> Vec<String> {
    let mut problems = Vec::new();
    let expected = AREAS
        .iter()
        .zip(1..)
        .flat_map(|(&count, area)| (1..=count).map(move |number| format!("{area}.{number}")));
    if !rows.iter().map(|(number, _)| *number).eq(expected) {
        problems.push(format!("{PATH}: not one row for each behaviour, in order"));
    }
    let covered = rows.iter().filter(|(_, tests)| !tests.is_empty()).count();
    let sum = format!("{covered} of {} behaviours", rows.len());
    if !list.contains(&sum) {
        problems.push(format!("{PATH}: the sum is: {sum}"));
    }
    problems
}

fn unknown_tests(rows: &[Row<'_>], sources: &BTreeMap<String, &str>) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, tests) in rows {
        let unknown = tests.iter().filter(|test| !exists(test, sources));
        problems.extend(
            unknown.map(|test| format!("{PATH}: {number} names `{test}`, which does not exist")),
        );
    }
    problems
}

fn exists(test: &str, sources: &BTreeMap<String, &str>) -> bool {
    test.split_once("::").is_some_and(|(module, name)| {
        let source = sources.get(&file_of(module));
        source.is_some_and(|text| text.contains(&format!("fn {name}(")))
    })
}

/// The file that a module's tests are in, by its name in the list.
fn file_of(module: &str) -> String {
    match module.split_once(' ') {
        None => format!("crates/engine/tests/conformance/{module}.rs"),
        Some(("unit", module)) => format!("crates/engine/src/tests/{module}.rs"),
        Some(("bpmn", "timer")) => "crates/bpmn/src/timer/tests.rs".to_owned(),
        Some((name, module)) => format!("crates/{name}/tests/{module}.rs"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(without: &str) -> String {
        let mut list = "193 of 193 behaviours\n".to_owned();
        for (&count, area) in AREAS.iter().zip(1..) {
            for number in 1..=count {
                let number = format!("{area}.{number}");
                if number != without {
                    list += &format!("| {number} | It holds | `unit jobs::it_holds` |\n");
                }
            }
        }
        list
    }

    #[test]
    fn a_missing_row_and_a_wrong_sum_are_found() {
        let whole = list("");
        assert!(incomplete(&rows(&whole), &whole).is_empty());
        let without = list("3.5");
        assert_eq!(incomplete(&rows(&without), &without).len(), 2);
        let untested = whole.replacen("`unit jobs::it_holds`", "None", 1);
        assert_eq!(
            incomplete(&rows(&untested), &untested),
            ["docs/conformance.md: the sum is: 192 of 193 behaviours"]
        );
    }

    #[test]
    fn a_test_that_does_not_exist_is_found_by_its_place_and_name() {
        let sources = BTreeMap::from([
            (
                "crates/engine/src/tests/jobs.rs".to_owned(),
                "fn it_holds() {}",
            ),
            (
                "crates/bpmn/src/timer/tests.rs".to_owned(),
                "fn it_ticks() {}",
            ),
        ]);
        let text = "| 1.1 | a | `unit jobs::it_holds`, `jobs::it_holds`, `unit jobs::it_held` |\n\
                    | 1.2 | b | `bpmn timer::it_ticks`, `bpmn rules::it_ticks`, `it_is_no_test` |\n";
        let unknown = [
            "`jobs::it_holds`",
            "`unit jobs::it_held`",
            "`bpmn rules::it_ticks`",
        ];
        let found = unknown_tests(&rows(text), &sources);
        assert_eq!(found.len(), unknown.len());
        for (problem, test) in found.iter().zip(unknown) {
            assert!(problem.contains(test), "{problem}");
        }
    }
}
