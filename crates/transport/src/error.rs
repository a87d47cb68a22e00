//! Why something was not sent or not answered.

use skep_protocol::NodeId;
use thiserror::Error;

/// A message was not queued: it will not arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum SendError {
    /// There is no connection.
    #[error("node {0} is not connected")]
    NotConnected(NodeId),
    /// The node is slower than what is sent to it.
    #[error("too much is on its way to node {0}")]
    Full(NodeId),
    /// It exceeds what a frame can hold.
    #[error("{bytes} bytes for node {node} exceed what one message can hold")]
    TooLarge {
        /// Whom it was for.
        node: NodeId,
        /// Its size.
        bytes: usize,
    },
}

/// A request got no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RequestError {
    /// It has not been sent.
    #[error(transparent)]
    NotSent(#[from] SendError),
    /// The connection ended; the request may or may not have been served.
    #[error("the connection to node {0} ended before it answered")]
    Lost(NodeId),
    /// No answer in time; the request may or may not have been served.
    #[error("node {0} did not answer in time")]
    Timeout(NodeId),
    /// The node says why it does not serve the request.
    #[error("node {node} refused: {reason}")]
    Refused {
        /// Which.
        node: NodeId,
        /// Why.
        reason: String,
    },
}
