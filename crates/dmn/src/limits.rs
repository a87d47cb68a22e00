//! What a model may contain beside the limits of its XML and of FEEL. Zeebe has none of these; they are far above what people draw.

/// Decisions, input data, knowledge models and services of a resource. Each may be compared with each other one.
pub const NODES_MAX: usize = 2_000;

/// Requirements of all nodes together: the work of one walk over the graph.
pub const REQUIREMENTS_MAX: usize = 20_000;

/// Item definitions of a resource: each is tried wherever an expression names a type.
pub const TYPES_MAX: usize = 2_000;

/// Nesting of a type, references included. Types are walked recursively.
pub const TYPE_DEPTH_MAX: usize = 60;

/// Decision services of a resource: each holds a copy of the decisions in it.
pub const SERVICES_MAX: usize = 50;

/// Names of several words that expressions of a model may use without a declaration of their own.
pub const MEMBER_NAMES_MAX: usize = 500;

/// Comparisons of expressions with names of several words, over a whole model: some 200 ms.
pub const NAMES_TRIED_MAX: usize = 16_000_000;

/// Models that one model imports, directly or not.
pub const IMPORTS_MAX: usize = 20;
