//! What a process may contain beside the limits of its XML.

/// Flow nodes of a process. Zeebe's deployments of this size do not fit into a message.
pub(crate) const ELEMENTS_MAX: usize = 20_000;

/// Bytes of an id, and of a variable that a model names: they become part of keys.
pub(crate) const NAME_BYTES_MAX: usize = 4 * 1024;
