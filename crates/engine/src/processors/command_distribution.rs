//! COMMAND_DISTRIBUTION: another partition acknowledges a command that was distributed to it.

use skep_protocol::{Command, RecordValue};

use crate::behaviours::distribution;
use crate::processing::{Processing, Result};

/// Evaluates a COMMAND_DISTRIBUTION command.
pub(crate) fn process(p: &mut Processing, command: &Command) -> Result<()> {
    let RecordValue::CommandDistribution(done) = &command.value else {
        unreachable!("a COMMAND_DISTRIBUTION command carries a distribution");
    };
    distribution::acknowledged(p, command, done)
}
