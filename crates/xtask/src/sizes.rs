//! Sizes of files and functions.

use crate::repository::{Repository, Source};

/// A file that is longer has more than one idea.
const FILE_LINES_MAX: usize = 680;
/// A function fits on a screen. Tests are lists of cases and may be longer.
const FUNCTION_LINES_MAX: usize = 75;
/// In the line above a function that may be longer.
const MAY_BE_LONG: &str = "which may be long";

/// What is not in order.
pub fn problems(repository: &Repository) -> Vec<String> {
    let sources = repository.crates.iter().flat_map(|one| &one.sources);
    sources.flat_map(of_source).collect()
}

fn of_source(source: &Source) -> Vec<String> {
    let path = source.path.display();
    let lines: Vec<&str> = source.text.lines().collect();
    let mut problems = Vec::new();
    if lines.len() > FILE_LINES_MAX {
        let count = lines.len();
        problems.push(format!(
            "{path}: {count} lines; more than {FILE_LINES_MAX} are several ideas"
        ));
    }
    if source.is_product() {
        for (number, count) in long_functions(&lines) {
            problems.push(format!(
                "{path}:{number}: a function of {count} lines; one that fits on a screen has {FUNCTION_LINES_MAX}"
            ));
        }
    }
    problems
}

/// Line numbers and lengths of functions that are too long; rustfmt puts a function's end below its beginning.
fn long_functions(lines: &[&str]) -> Vec<(usize, usize)> {
    let product = lines.iter().take_while(|line| **line != "#[cfg(test)]");
    let mut long = Vec::new();
    for (at, line) in product.enumerate() {
        let excused = at > 0 && lines[at - 1].contains(MAY_BE_LONG);
        if excused || !begins_function(line) || !has_body(&lines[at..]) {
            continue;
        }
        let indent = &line[..line.len() - line.trim_start().len()];
        let ends = |line: &&str| line.strip_prefix(indent) == Some("}");
        let end = lines[at..].iter().position(ends);
        if let Some(count) = end
            .map(|end| end + 1)
            .filter(|count| *count > FUNCTION_LINES_MAX)
        {
            long.push((at + 1, count));
        }
    }
    long
}

fn begins_function(line: &str) -> bool {
    let words = line.trim_start().split(' ');
    let mut after = words
        .skip_while(|word| word.starts_with("pub") || ["const", "async", "unsafe"].contains(word));
    after.next() == Some("fn")
}

/// A trait may name a function without saying what it does.
fn has_body(lines: &[&str]) -> bool {
    let end = lines.iter().find(|line| line.ends_with(['{', ';', '}']));
    end.is_some_and(|line| !line.ends_with(';'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn function(lines: usize, above: &str) -> Source {
        let body = "        work();\n".repeat(lines - 2);
        Source {
            path: "crates/engine/src/x.rs".into(),
            text: format!("impl X {{\n    {above}\n    pub async fn long() {{\n{body}    }}\n}}\n"),
        }
    }

    #[test]
    fn a_long_function_is_found_unless_it_is_excused() {
        assert!(of_source(&function(FUNCTION_LINES_MAX, "")).is_empty());
        let long = FUNCTION_LINES_MAX + 1;
        assert_eq!(of_source(&function(long, "")).len(), 1);
        assert!(of_source(&function(long, "// A table, which may be long.")).is_empty());
    }
}
