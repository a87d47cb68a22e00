//! Sizes of files. Those of functions are clippy's `too_many_lines`.

use crate::repository::Repository;

/// A file that is longer has more than one idea.
const LINES_MAX: usize = 650;

/// What is not in order.
pub fn problems(repository: &Repository) -> Vec<String> {
    let sources = repository.crates.iter().flat_map(|one| &one.sources);
    sources
        .filter_map(|source| {
            let lines = source.text.lines().count();
            (lines > LINES_MAX).then(|| {
                format!(
                    "{}: {lines} lines; more than {LINES_MAX} are several ideas",
                    source.path.display()
                )
            })
        })
        .collect()
}
