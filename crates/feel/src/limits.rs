//! Every bound of the language, each with its reason. Zeebe 8.6 has none of them (an expression there can block
//! a partition); they are chosen far above what models use.

/// Bytes of source text. Expressions are compiled once at deployment; a megabyte of BPMN holds many of them.
pub const SOURCE_BYTES_MAX: usize = 256 * 1024;

/// Nesting of an expression. One level costs the parser and the evaluator a few stack frames each, and both must
/// fit a 512 KiB stack.
pub const EXPRESSION_DEPTH_MAX: usize = 100;

/// Nodes of a compiled expression. A name in nested filters becomes several nodes, hence the bound.
pub const NODES_MAX: usize = 400_000;

/// Comparisons of an expression's text with names of several words that begin with the word at hand: some 50 ms.
pub const NAMES_TRIED_MAX: usize = 4_000_000;

/// Nested evaluations, function calls included. A recursive function may go deeper than its text nests.
pub const EVALUATION_DEPTH_MAX: u32 = 320;

/// Nesting of a value: lists in contexts in lists. Bounds every walk over a value, dropping it included.
pub const VALUE_DEPTH_MAX: u16 = 200;

/// Bytes of a value when written out, shared parts counted as often as they occur: a list of a list that is twice in
/// it, and so on, is small in memory and endless on paper. Any JSON text that may be read stays below it.
pub const VALUE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of a JSON text that becomes a value. Zeebe's largest message is 4 MiB by default.
pub const JSON_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Steps of one evaluation unless the caller says otherwise: about a tenth of a second.
pub const FUEL_DEFAULT: u64 = 4_000_000;

/// Fuel for one element put into a list or context: at 24 to 50 bytes each, the default fuel makes 50 MB at most.
pub const FUEL_PER_ELEMENT: u64 = 2;

/// Bytes of produced text that cost one unit of fuel.
pub const BYTES_PER_FUEL: usize = 8;

/// Warnings kept per evaluation; a loop can produce one per step.
pub const WARNINGS_MAX: usize = 32;

/// Fuel for a logarithm, an exponential or a general power: they take some tens of microseconds.
pub const STEPS_OF_A_SERIES: u64 = 500;

/// Fuel for a root or a power to a whole number.
pub const STEPS_OF_A_PRODUCT_SERIES: u64 = 50;

/// Fuel for compiling a regular expression, which can take milliseconds: at most 200 in an evaluation.
pub const STEPS_OF_A_PATTERN: u64 = 20_000;

/// Compiled regular expressions kept during an evaluation, for patterns in loops.
pub const PATTERNS_MAX: usize = 8;

/// Bytes of a compiled regular expression.
pub const REGEX_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(EXPRESSION_DEPTH_MAX as u32 <= EVALUATION_DEPTH_MAX);
