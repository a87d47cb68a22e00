//! What a process may contain beside the limits of its XML.

/// Flow nodes of a process. Zeebe's deployments of this size do not fit into a message.
pub(crate) const ELEMENTS_MAX: usize = 20_000;

/// Bytes of an id, and of a variable that a model names: they become part of keys.
pub(crate) const NAME_BYTES_MAX: usize = 4 * 1024;

/// Problems that are listed; more help nobody, and a rejection has to fit into a message.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// Length up to which the user's own text is repeated in a problem.
pub(crate) const QUOTE_CHARS_MAX: usize = 200;
