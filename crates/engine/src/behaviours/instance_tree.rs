//! All element instances of a process instance, found from its root without recursion. Called process instances are not among them.

use skep_protocol::Key;

use crate::instances::ElementInstance;
use crate::processing::{Processing, Result};
use crate::tables::element_instances;

/// The element instances of a process instance, each scope before what is in it.
pub(crate) fn all(p: &mut Processing, root: &ElementInstance) -> Result<Vec<ElementInstance>> {
    p.instances.flush(p.txn);
    let mut found = vec![root.clone()];
    let mut next = 0;
    while let Some(scope) = found.get(next) {
        next += 1;
        if scope.children == 0 {
            continue;
        }
        let children = element_instances::children(p.txn, scope.key, Key(0), usize::MAX)?;
        for child in children {
            found.push(p.existing_instance(child)?);
        }
    }
    Ok(found)
}
