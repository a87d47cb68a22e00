//! What a resource may contain. Beyond any of these it is refused with the place where it happens.
//!
//! Zeebe has one limit only, the 4 MiB of a whole deployment; its XML parser guards itself.

/// Zeebe's largest message, and so its largest deployment.
pub const XML_BYTES_MAX: usize = 4 * 1024 * 1024;

/// A diagram's shapes lie seven levels deep and a sub-process takes one, so that this is far from
/// what anybody draws.
pub const XML_DEPTH_MAX: usize = 100;

/// A model of 1000 elements with its diagram has about 20,000 XML elements.
pub const XML_ELEMENTS_MAX: usize = 200_000;

/// Elements plus the texts and comments between them.
pub const XML_NODES_MAX: u32 = 600_000;

/// The tree compares each attribute with all others of its element.
pub const XML_ATTRIBUTES_PER_ELEMENT_MAX: usize = 128;

/// An attribute takes about twenty times the memory of its shortest text.
pub const XML_ATTRIBUTES_MAX: usize = 400_000;

/// Namespace declarations that hold at one place: each element that declares one copies them all.
pub const XML_NAMESPACES_IN_SCOPE_MAX: usize = 128;

/// Namespace declarations in all; some tools repeat one on every extension element.
pub const XML_NAMESPACES_MAX: usize = 10_000;

/// Problems that are listed; more help nobody, and a rejection has to fit into a message.
pub const PROBLEMS_MAX: usize = 100;

/// Length up to which the user's own text is repeated in a problem.
pub const QUOTE_CHARS_MAX: usize = 200;
