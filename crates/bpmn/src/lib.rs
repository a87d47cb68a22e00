//! BPMN: from XML bytes to a validated, executable process model.
//!
//! [`parse`] reads a resource in three steps, and only the last one makes something executable:
//! 1. `skep_xml` refuses what is too large, too deep or no XML, before a tree is built;
//! 2. `document` finds the parts of BPMN in the tree, `validate` checks the rules on them;
//! 3. `compile` reads expressions and times and builds the [`model`], where everything is an index.
//!
//! Invariants:
//! - Whatever the bytes, `parse` ends in bounded time and memory, does not recurse over what a user
//!   can nest, and does not panic.
//! - A process that comes out of `parse` keeps every invariant that [`model`] lists.
//! - The same bytes give the same model and the same texts, in the same order.
//!
//! It knows the syntax of FEEL (an expression is parsed here, once), and does not evaluate any. It
//! knows neither state nor records.

#[cfg(any(test, feature = "testkit"))]
pub mod builder;
mod compile;
mod document;
mod limits;
pub mod model;
#[cfg(any(test, feature = "testkit"))]
pub mod shapes;
mod supported;
pub mod timer;
mod validate;

pub use skep_xml::{Problem, Reason, Rejection};
pub use supported::{Feature, Supported, unsupported};

use skep_xml::Problems;

use document::{BPMN, Document, Draft, Node};
use model::Process;

/// Reads the executable processes of a resource, in the order of the document. Processes that are
/// not executable are skipped.
///
/// # Errors
/// If the resource is no BPMN, breaks a rule, or holds no executable process. The rejection names
/// everything that is wrong, as far as it can be seen.
pub fn parse(resource_name: &str, xml: &[u8]) -> Result<Vec<Process>, Rejection> {
    let unreadable = |error| Rejection::unreadable(resource_name, error);
    let text = skep_xml::text(xml).map_err(unreadable)?;
    let tree = skep_xml::tree(&text).map_err(unreadable)?;
    let mut problems = Problems::default();
    let processes = read(&tree, &mut problems);
    if problems.is_empty() {
        return Ok(processes);
    }
    Err(Rejection::invalid(resource_name, problems.into_list()))
}

/// The processes of a tree. Incomplete if there are problems.
fn read(tree: &roxmltree::Document<'_>, problems: &mut Problems) -> Vec<Process> {
    let Some(document) = Document::new(tree) else {
        problems.add(
            tree.root_element(),
            format!("is no BPMN: the root must be 'definitions' of {BPMN}"),
        );
        return Vec::new();
    };
    document.check_names(problems);
    for node in &document.duplicates {
        problems.add(*node, "the id is not unique: another element has it too");
    }
    let roots: Vec<Node<'_>> = document.executable_processes().collect();
    if roots.is_empty() {
        problems.add(
            document.definitions,
            "Must contain at least one executable process",
        );
    }
    let drafts: Vec<Draft<'_>> = roots
        .iter()
        .map(|root| Draft::new(*root, problems))
        .collect();
    // Rules assume ids and references; expressions are only read in what keeps the rules.
    if problems.is_empty() {
        for draft in &drafts {
            validate::check(
                &validate::Context {
                    document: &document,
                    draft,
                },
                problems,
            );
        }
    }
    if !problems.is_empty() {
        return Vec::new();
    }
    let processes: Vec<Process> = drafts
        .iter()
        .filter_map(|draft| compile::compile(&document, draft, problems))
        .collect();
    if problems.is_empty() {
        assert_eq!(
            processes.len(),
            drafts.len(),
            "a process vanished without a problem"
        );
        validate::loops::check(&processes, &drafts, problems);
    }
    processes
}
