//! The built-in functions: those of DMN 1.3 to 1.5 and those that Camunda adds.
//!
//! A function is found by name while parsing, its signature by the arguments. Each gets evaluated arguments and
//! answers a value or a [`Refusal`], which becomes null with a warning. What makes something large charges fuel first.

mod args;
mod boolean;
mod context;
mod conversion;
mod list;
mod list_math;
mod numeric;
mod pattern;
mod range;
mod sorting;
mod string;
mod temporal;

use crate::eval::{Evaluator, Stop};
use crate::lexer::{is_name_part, is_space};
use crate::value::{Value, ValueLimit};

pub(crate) use args::Args;
pub(crate) use pattern::Pattern;

/// A function by name, with its ways to be called.
#[derive(Debug)]
pub(crate) struct Builtin {
    pub(crate) name: &'static str,
    pub(crate) signatures: &'static [Signature],
}

type Run = fn(&mut Evaluator<'_>, Args<'_>) -> Answer;

/// One way to call a function.
#[derive(Debug)]
pub(crate) struct Signature {
    pub(crate) parameters: &'static [&'static str],
    pub(crate) required: usize,
    /// The last parameter may be repeated.
    variadic: bool,
    /// The argument is looked at before it is evaluated.
    pub(crate) reads_names: bool,
    pub(crate) run: Run,
}

impl Signature {
    pub(crate) fn takes(&self, arguments: usize) -> bool {
        arguments >= self.required && (self.variadic || arguments <= self.parameters.len())
    }
}

/// Why a function has no result.
#[derive(Debug)]
pub(crate) enum Refusal {
    Stop(Stop),
    /// Null, for this reason.
    Null(String),
    /// Null, as the function's meaning has it for null arguments.
    Silent,
}

impl From<Stop> for Refusal {
    fn from(stop: Stop) -> Refusal {
        Refusal::Stop(stop)
    }
}

impl From<ValueLimit> for Refusal {
    fn from(limit: ValueLimit) -> Refusal {
        Refusal::Stop(limit.into())
    }
}

pub(crate) type Answer<T = Value> = Result<T, Refusal>;

/// All parameters required.
const fn fixed(parameters: &'static [&'static str], run: Run) -> Signature {
    optional(parameters, parameters.len(), run)
}

const fn optional(parameters: &'static [&'static str], required: usize, run: Run) -> Signature {
    Signature {
        parameters,
        required,
        variadic: false,
        reads_names: false,
        run,
    }
}

/// The last parameter may be repeated.
const fn variadic(parameters: &'static [&'static str], run: Run) -> Signature {
    Signature {
        parameters,
        required: parameters.len(),
        variadic: true,
        reads_names: false,
        run,
    }
}

const fn function(name: &'static str, signatures: &'static [Signature]) -> Builtin {
    Builtin { name, signatures }
}

static TABLES: [&[Builtin]; 11] = [
    boolean::FUNCTIONS,
    context::FUNCTIONS,
    conversion::FUNCTIONS,
    list::FUNCTIONS,
    list_math::FUNCTIONS,
    numeric::FUNCTIONS,
    pattern::FUNCTIONS,
    range::FUNCTIONS,
    sorting::FUNCTIONS,
    string::FUNCTIONS,
    temporal::FUNCTIONS,
];

fn all() -> impl Iterator<Item = &'static Builtin> {
    TABLES.iter().flat_map(|table| table.iter())
}

pub(crate) fn find(name: &str) -> Option<&'static Builtin> {
    all().find(|builtin| builtin.name == name)
}

/// The function with a name of several words that is called at `start`, and the end of its name.
pub(crate) fn find_spaced(source: &str, start: usize) -> Option<(&'static Builtin, usize)> {
    // The first byte rules out nearly all.
    let first = source.as_bytes().get(start)?;
    all()
        .filter(|builtin| builtin.name.as_bytes().first() == Some(first))
        .filter(|builtin| builtin.name.contains(' '))
        .find_map(|builtin| {
            let end = match_words(source, start, builtin.name)?;
            source[end..]
                .trim_start_matches(is_space)
                .starts_with('(')
                .then_some((builtin, end))
        })
}

/// Where `words` (separated by single spaces) end, if they stand at `start` with any white space between them.
pub(crate) fn match_words(source: &str, start: usize, words: &str) -> Option<usize> {
    let mut rest = source.get(start..)?;
    for (at, word) in words.split(' ').enumerate() {
        if at > 0 {
            rest = rest.trim_start_matches(is_space);
        }
        rest = rest.strip_prefix(word)?;
        if rest.starts_with(is_name_part) {
            return None;
        }
    }
    Some(source.len() - rest.len())
}
