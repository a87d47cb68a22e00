//! Rules of the repository that the compiler does not check. `cargo run --package xtask -- tidy` is part of ./test.

mod documents;
mod layers;
mod purity;
mod repository;
mod sizes;

use std::process::ExitCode;

use crate::repository::Repository;

const HELP: &str = "\
Usage: cargo run --package xtask -- tidy

  tidy    checks the layers of the crates, who may name which library, what pure crates must not use, sizes of files,
          and what the documents claim about tests

Exit codes: 0 in order, 1 something is not, 2 wrong arguments.";

fn main() -> ExitCode {
    match std::env::args().nth(1).as_deref() {
        Some("tidy") => tidy(),
        Some("--help") => {
            println!("{HELP}");
            ExitCode::SUCCESS
        }
        _ => {
            eprintln!("{HELP}");
            ExitCode::from(2)
        }
    }
}

fn tidy() -> ExitCode {
    let repository = match Repository::read() {
        Ok(repository) => repository,
        Err(error) => {
            eprintln!("error: {error}");
            return ExitCode::FAILURE;
        }
    };
    let mut problems = layers::problems(&repository);
    problems.extend(purity::problems(&repository));
    problems.extend(sizes::problems(&repository));
    problems.extend(documents::problems(&repository));
    for problem in &problems {
        eprintln!("{problem}");
    }
    match problems.len() {
        0 => {
            println!("{} crates are tidy", repository.crates.len());
            ExitCode::SUCCESS
        }
        count => {
            eprintln!("error: {count} problem(s)");
            ExitCode::FAILURE
        }
    }
}
