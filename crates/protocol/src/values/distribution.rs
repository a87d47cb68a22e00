//! Commands on their way to other partitions.

use super::RecordValue;
use crate::{DecodeError, Intent, PartitionId};

/// A command that is distributed, or how far it has come to one partition.
#[derive(Clone, PartialEq, prost::Message)]
pub struct CommandDistribution {
    /// The partition that distributes it, or that has, or is to get, it.
    #[prost(uint32, tag = "1")]
    pub partition_id: u32,
    /// Code of the command's value type.
    #[prost(uint32, tag = "2")]
    value_type: u32,
    /// Code of the command's intent.
    #[prost(uint32, tag = "3")]
    intent: u32,
    /// What is distributed; only where the distribution starts.
    #[prost(bytes = "vec", tag = "4")]
    command_value: Vec<u8>,
}

impl CommandDistribution {
    /// Of a command with that intent.
    #[must_use]
    pub fn new(partition: PartitionId, intent: Intent) -> CommandDistribution {
        let (value_type, intent) = intent.codes();
        CommandDistribution {
            partition_id: partition.0,
            value_type: u32::from(value_type),
            intent: u32::from(intent),
            command_value: Vec::new(),
        }
    }

    /// The same, with what is distributed.
    #[must_use]
    pub fn with_value(mut self, value: &RecordValue) -> CommandDistribution {
        value.encode(&mut self.command_value);
        self
    }

    /// The command's intent.
    ///
    /// # Errors
    /// If this version does not know it.
    pub fn command_intent(&self) -> Result<Intent, DecodeError> {
        let code = |code: u32| {
            u8::try_from(code).map_err(|_| DecodeError::Unknown {
                what: "intent of a distributed command",
                code: u64::from(code),
            })
        };
        Intent::from_codes(code(self.value_type)?, code(self.intent)?)
    }

    /// What is distributed, where it is told.
    ///
    /// # Errors
    /// If this version cannot read it.
    pub fn command_value(&self) -> Result<Option<RecordValue>, DecodeError> {
        if self.command_value.is_empty() {
            return Ok(None);
        }
        let value_type = self.command_intent()?.value_type();
        RecordValue::decode(value_type, &self.command_value).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use prost::Message as _;

    use super::*;
    use crate::{DeploymentIntent, values};

    #[test]
    fn a_command_comes_back_as_it_was_distributed() {
        let deployment = values::Deployment {
            resources: vec![values::DeploymentResource::default()],
            ..Default::default()
        };
        let value = RecordValue::from(deployment);
        let intent = Intent::from(DeploymentIntent::Create);
        let started = CommandDistribution::new(PartitionId(3), intent);
        assert_eq!(started.command_value(), Ok(None));
        let started = started.with_value(&value);
        let read = CommandDistribution::decode(&*started.encode_to_vec()).unwrap();
        assert_eq!(read.partition_id, 3);
        assert_eq!(read.command_intent(), Ok(intent));
        assert_eq!(read.command_value(), Ok(Some(value)));
        let unknown = CommandDistribution {
            value_type: 4_711,
            ..started
        };
        assert!(unknown.command_value().is_err());
    }
}
