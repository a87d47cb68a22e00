//! RESOURCE_DELETION: a deployed resource is deleted, on the deployment partition first and then on the others.

use skep_protocol::{Command, Key, RecordValue, Rejection, ResourceDeletionIntent, values};

use crate::behaviours::{deletions, distribution};
use crate::processing::{Processing, Result};

/// Evaluates a RESOURCE_DELETION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::ResourceDeletion(deletion) = &command.value else {
        unreachable!("a RESOURCE_DELETION command carries a resource deletion");
    };
    let resource = deletion.resource_key;
    let Some(deletable) = deletions::find(p, Key(resource))? else {
        let reason =
            format!("Expected to delete resource but no resource found with key `{resource}`");
        p.reject(command, Rejection::not_found(reason));
        return match deletion.is_distributed {
            true => distribution::acknowledge(p, command),
            false => Ok(()),
        };
    };
    if !deletion.is_distributed && deletions::is_in_use(p, &deletable)? {
        let reason = format!(
            "Expected to delete resource with key `{resource}` but there are still running instances"
        );
        p.reject(command, Rejection::invalid_state(reason));
        return Ok(());
    }
    let key = match deletion.is_distributed {
        true => command.key,
        false => p.next_key()?,
    };
    p.event(key, ResourceDeletionIntent::Deleting, deletion.clone());
    deletions::delete(p, deletable)?;
    p.event(key, ResourceDeletionIntent::Deleted, deletion.clone());
    p.respond(key, ResourceDeletionIntent::Deleted, deletion.clone());
    if deletion.is_distributed {
        return distribution::acknowledge(p, command);
    }
    let distributed = values::ResourceDeletion {
        is_distributed: true,
        ..deletion.clone()
    };
    let distributed = Command::new(key, ResourceDeletionIntent::Delete, distributed);
    let others = distribution::others(p);
    distribution::distribute(p, &distributed, &others)
}
