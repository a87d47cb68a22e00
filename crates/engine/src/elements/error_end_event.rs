//! The error end event: throws an error, and is ended with the scope that catches it.

use skep_bpmn::model::ErrorThrow;

use crate::behaviours::errors::{self, Caught};
use crate::behaviours::incidents::{Step, Stop};
use crate::behaviours::{events, expressions, lifecycle};
use crate::instances::ElementInstance;
use crate::processing::Processing;

/// An error that nobody catches is an incident, and thrown again when that is resolved.
pub(crate) fn activate(
    p: &mut Processing,
    instance: &ElementInstance,
    throw: &ErrorThrow,
) -> Step<()> {
    let code = expressions::text(p, instance.key, &throw.code)?;
    match errors::find(p, instance, &code)? {
        Caught::By { catcher, event } => {
            lifecycle::activated(p, instance);
            events::trigger_open(p, &catcher, event, "")?;
            Ok(())
        }
        Caught::Nowhere(available) => Err(Stop::Incident(errors::uncaught(&code, "", &available))),
    }
}
