//! Commands on their way to other partitions.

use skep_protocol::Key;
use skep_protocol::values::CommandDistribution;

use super::put_value;
use super::writer::Object;

pub(super) fn distribution(object: &mut Object<'_>, value: &CommandDistribution, key: Key) {
    object.number("partitionId", value.partition_id);
    // An intent that this version does not know comes from a later one.
    let intent = value.command_intent().ok();
    let value_type = intent.map_or("SBE_UNKNOWN", |intent| intent.value_type().name());
    object
        .text("valueType", value_type)
        .text("intent", intent.map_or("UNKNOWN", |intent| intent.name()));
    match value.command_value() {
        Ok(Some(command)) => {
            object.object("commandValue", |object| put_value(object, &command, key));
        }
        Ok(None) | Err(_) => {
            object.document("commandValue", "null");
        }
    }
}
