//! What the documents claim about tests: each that is named exists, and the tables that must be complete are.

mod engine;

use std::collections::BTreeSet;

use crate::repository::{Document, Repository};

/// Documents whose words in backquotes with so many underscores are names of tests.
const NAMING_TESTS: &[&str] = &["docs/failures.md", "docs/conformance-backup.md"];
const UNDERSCORES_MIN: usize = 3;

const CONFORMANCE: &str = "docs/conformance-backup.md";
/// How many statements of Zeebe's own tests there are.
const STATEMENTS: usize = 75;

const EXIT_CODES: &str = "docs/restore-exit-codes.md";
const FAILURES: &str = "docs/failures.md";
/// Codes from here on are of a restore; 1 is a fault of ours, which no test shows.
const RESTORE_CODE_MIN: u32 = 10;

/// What is not in order.
pub fn problems(repository: &Repository) -> Vec<String> {
    let known = functions(repository);
    let mut problems = Vec::new();
    for document in &repository.documents {
        let path = document.path.to_string_lossy();
        if NAMING_TESTS.contains(&path.as_ref()) {
            problems.extend(unknown_tests(document, &known));
        }
        if path == CONFORMANCE {
            problems.extend(of_conformance(document));
        }
        if path == engine::PATH {
            problems.extend(engine::problems(document, repository));
        }
    }
    let text = |path: &str| {
        let found = repository
            .documents
            .iter()
            .find(|one| one.path.to_string_lossy() == path);
        found.map_or("", |document| document.text.as_str())
    };
    problems.extend(codes_without_a_row(text(EXIT_CODES), text(FAILURES)));
    problems
}

fn functions(repository: &Repository) -> BTreeSet<&str> {
    let sources = repository.crates.iter().flat_map(|one| &one.sources);
    let names = sources.flat_map(|source| source.text.split("fn ").skip(1));
    names
        .filter_map(|rest| rest.split(|letter: char| !is_of_name(letter)).next())
        .collect()
}

fn is_of_name(letter: char) -> bool {
    letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '_'
}

fn unknown_tests(document: &Document, known: &BTreeSet<&str>) -> Vec<String> {
    let mut problems = Vec::new();
    for (number, line) in document.text.lines().enumerate() {
        let quoted = line.split('`').skip(1).step_by(2);
        let named = quoted.filter(|word| {
            word.chars().all(is_of_name) && word.matches('_').count() >= UNDERSCORES_MIN
        });
        for name in named.filter(|name| !known.contains(name)) {
            problems.push(format!(
                "{}:{}: there is no test {name}",
                document.path.display(),
                number + 1
            ));
        }
    }
    problems
}

/// The cells of a table's row.
fn cells(line: &str) -> Vec<&str> {
    let inner = line
        .strip_prefix('|')
        .and_then(|line| line.strip_suffix('|'));
    inner.map_or_else(Vec::new, |row| row.split('|').map(str::trim).collect())
}

/// Every statement has its row, in order, and the sum at the top is right.
fn of_conformance(document: &Document) -> Vec<String> {
    let rows: Vec<Vec<&str>> = document.text.lines().map(cells).collect();
    let numbered = rows
        .iter()
        .filter(|row| row.len() == 4 && row[0].parse::<usize>().is_ok());
    let numbered: Vec<_> = numbered.collect();
    let path = document.path.display();
    let mut problems = Vec::new();
    if !numbered
        .iter()
        .map(|row| row[0].parse().ok())
        .eq((1..=STATEMENTS).map(Some))
    {
        problems.push(format!("{path}: not one row for each of 1 to {STATEMENTS}"));
    }
    let count = |how| numbered.iter().filter(|row| row[2] == how).count();
    let (same, other, none) = (count("as"), count("other"), count("none"));
    let sum = format!("{STATEMENTS} rows: {same} as, {other} other, {none} none.");
    if !document.text.lines().any(|line| line == sum) {
        problems.push(format!("{path}: the sum is: {sum}"));
    }
    for row in numbered
        .iter()
        .filter(|row| row[2] != "none" && !row[3].contains('`'))
    {
        problems.push(format!("{path}: row {} names no test", row[0]));
    }
    problems
}

/// The codes of a restore that no row of the failures has.
fn codes_without_a_row(exit_codes: &str, failures: &str) -> Vec<String> {
    let seen: BTreeSet<&str> = failures
        .lines()
        .filter_map(|line| cells(line).get(1).copied())
        .collect();
    let codes = exit_codes
        .lines()
        .filter_map(|line| cells(line).first().copied());
    codes
        .filter(|code| code.parse().is_ok_and(|code: u32| code >= RESTORE_CODE_MIN))
        .filter(|code| !seen.contains(code))
        .map(|code| format!("{FAILURES}: no row for exit code {code} of a restore"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn document(text: &str) -> Document {
        Document {
            path: CONFORMANCE.into(),
            text: text.to_owned(),
        }
    }

    #[test]
    fn a_test_that_is_not_there_is_found_and_other_words_are_no_tests() {
        let known = BTreeSet::from(["it_does_what_it_should"]);
        let text = "`it_does_what_it_should`, `it_did_what_it_should`, `partition_count`, it_is_not_quoted_here";
        assert_eq!(
            unknown_tests(&document(text), &known),
            ["docs/conformance-backup.md:1: there is no test it_did_what_it_should"]
        );
    }

    #[test]
    fn a_missing_row_a_wrong_sum_and_a_row_without_a_test_are_found() {
        let rows = |skip| {
            let rows = (1..=STATEMENTS).filter(move |number| *number != skip);
            rows.map(|number| format!("| {number} | it holds | as | `test` |\n"))
                .collect::<String>()
        };
        let whole = format!("75 rows: 75 as, 0 other, 0 none.\n{}", rows(0));
        assert!(of_conformance(&document(&whole)).is_empty());
        assert_eq!(of_conformance(&document(&rows(0))).len(), 1);
        let without_7 = format!("75 rows: 74 as, 0 other, 0 none.\n{}", rows(7));
        assert_eq!(of_conformance(&document(&without_7)).len(), 1);
        let untested = whole.replacen("`test`", "surely", 1);
        assert_eq!(of_conformance(&document(&untested)).len(), 1);
    }

    #[test]
    fn an_exit_code_without_a_row_is_found() {
        let codes = "| code | cause |\n|---|---|\n| 1 | ours |\n| 10 | no backup |\n| 11 | half a backup |\n";
        let failures = "| no such backup | 10 | says | test |\n";
        assert_eq!(
            codes_without_a_row(codes, failures),
            ["docs/failures.md: no row for exit code 11 of a restore"]
        );
    }
}
