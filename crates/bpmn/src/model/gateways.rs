//! Gateways that choose.

use super::{ElementIndex, FlowIndex};

/// An exclusive or inclusive gateway.
#[derive(Debug, Clone, Copy)]
pub struct ForkingGateway {
    /// Taken if no condition of the other outgoing flows holds. Its own condition, if any, is never
    /// evaluated.
    pub default_flow: Option<FlowIndex>,
}

/// A gateway that waits for the first of several events.
#[derive(Debug)]
pub struct EventBasedGateway {
    /// The catch events behind it, in the order of its outgoing flows.
    pub events: Vec<ElementIndex>,
}
