//! RESOURCE_DELETION: a deployed resource is deleted, on the deployment partition first and then on the others.

use skep_protocol::{
    Command, Key, PartitionId, RecordValue, Rejection, ResourceDeletionIntent, values,
};

use crate::behaviours::{channel, deletions};
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
        return Ok(());
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
    if !deletion.is_distributed {
        send_to_others(p, key, resource)?;
    }
    Ok(())
}

fn send_to_others(p: &mut Processing, key: Key, resource_key: i64) -> Result<()> {
    let others = (1..=p.config.partition_count)
        .map(PartitionId)
        .filter(|partition| *partition != p.config.partition);
    for target in others {
        let deletion = values::ResourceDeletion {
            resource_key,
            is_distributed: true,
        };
        let command = Command::new(key, ResourceDeletionIntent::Delete, deletion);
        channel::send(p, target, command)?;
    }
    Ok(())
}
