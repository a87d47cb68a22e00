//! From outcomes to statuses. Codes are the contract: clients decide by them whether to try again.

use prost::Message;
use skep_protocol::{Intent, PartitionId, Rejection, RejectionType};
use tonic::{Code, Status};

use crate::brokers::BrokerError;
use crate::limits::{STATUS_CAUSE_BYTES_MAX, STATUS_CAUSES_MAX, STATUS_TEXT_BYTES_MAX};

/// A status whose description fits into the trailers that clients accept.
pub fn status(code: Code, text: impl Into<String>) -> Status {
    Status::new(code, cut(text.into(), STATUS_TEXT_BYTES_MAX))
}

/// The answer to a refused command.
pub fn of_rejection(intent: Intent, rejection: &Rejection) -> Status {
    let code = match rejection.rejection_type {
        RejectionType::InvalidArgument => Code::InvalidArgument,
        RejectionType::NotFound => Code::NotFound,
        RejectionType::AlreadyExists => Code::AlreadyExists,
        RejectionType::InvalidState => Code::FailedPrecondition,
        RejectionType::ProcessingError => Code::Internal,
        // The same command would fail the same way again, so no code that clients repeat.
        RejectionType::ExceededBatchRecordSize => Code::InvalidArgument,
    };
    status(
        code,
        format!(
            "Command '{}' rejected with code '{}': {}",
            intent.name(),
            rejection.rejection_type.name(),
            rejection.reason
        ),
    )
}

/// The answer when a broker gave neither event nor rejection.
pub fn of_broker_error(error: &BrokerError) -> Status {
    let code = match error {
        BrokerError::PartitionLeaderMismatch { .. }
        | BrokerError::Unavailable { .. }
        | BrokerError::ConnectionLost { .. } => Code::Unavailable,
        BrokerError::ResourceExhausted { .. } => Code::ResourceExhausted,
        BrokerError::Timeout => {
            return timeout(error.to_string());
        }
        BrokerError::MalformedRequest { .. } => Code::InvalidArgument,
        BrokerError::ProcessNotFound { .. } => Code::NotFound,
        BrokerError::Internal { .. } => Code::Internal,
    };
    status(code, error.to_string())
}

/// The answer when time ran out.
pub fn timeout(what: impl std::fmt::Display) -> Status {
    status(
        Code::DeadlineExceeded,
        format!("Time out between gateway and broker: {what}"),
    )
}

/// The answer to a command for a partition that is not in the topology. `partition` is whatever a key's bits say.
pub fn unknown_partition(partition: i64) -> Status {
    status(
        Code::Unavailable,
        format!(
            "Expected to execute command on partition {partition}, but either it does not exist, or the gateway is not \
             yet aware of it"
        ),
    )
}

/// The answer to a command for a partition that is switched off.
pub fn inactive_partition(partition: PartitionId) -> Status {
    status(
        Code::Unavailable,
        format!("The partition {partition} is currently INACTIVE with no leader."),
    )
}

/// The answer while nothing is known of the cluster.
pub fn no_topology() -> Status {
    status(
        Code::Unavailable,
        "Expected to pick partition for request, but no topology available; retry once the gateway knows the brokers",
    )
}

/// The answer when no partition took a command, with the causes in the details.
pub fn partitions_exhausted(causes: &[BrokerError]) -> Status {
    let details = RpcStatus {
        code: Code::ResourceExhausted as i32,
        message: PARTITIONS_EXHAUSTED.to_owned(),
        details: causes.iter().take(STATUS_CAUSES_MAX).map(cause).collect(),
    };
    Status::with_details(
        Code::ResourceExhausted,
        PARTITIONS_EXHAUSTED,
        details.encode_to_vec().into(),
    )
}

/// The answer to a failure of the gateway's own.
pub fn unexpected(what: impl std::fmt::Display) -> Status {
    status(
        Code::Internal,
        format!("Unexpected error occurred during the request processing: {what}"),
    )
}

const PARTITIONS_EXHAUSTED: &str = "Expected to execute the command on one of the partitions, but all failed; there are \
                                    no more partitions available to retry. Please try again. If the error persists \
                                    contact your zeebe operator";

/// `google.rpc.Status`, what clients look for in the details.
#[derive(Clone, PartialEq, prost::Message)]
struct RpcStatus {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, prost::Message)]
struct Any {
    #[prost(string, tag = "1")]
    type_url: String,
    #[prost(bytes = "vec", tag = "2")]
    value: Vec<u8>,
}

fn cause(error: &BrokerError) -> Any {
    let status = of_broker_error(error);
    let packed = RpcStatus {
        code: status.code() as i32,
        message: cut(status.message().to_owned(), STATUS_CAUSE_BYTES_MAX),
        details: Vec::new(),
    };
    Any {
        type_url: "type.googleapis.com/google.rpc.Status".to_owned(),
        value: packed.encode_to_vec(),
    }
}

/// Cuts a text so that it takes at most `bytes_max` bytes in the trailers, where all but plain characters are tripled.
fn cut(mut text: String, bytes_max: usize) -> String {
    const MARK: &str = "...";
    // Most texts are short enough even if every byte is tripled.
    if text.len() * 3 <= bytes_max {
        return text;
    }
    let mut encoded = 0;
    let mut keep = 0;
    for (at, char) in text.char_indices() {
        encoded += if plain(char) { 1 } else { 3 * char.len_utf8() };
        if encoded > bytes_max {
            text.truncate(keep);
            text.push_str(MARK);
            return text;
        }
        if encoded + MARK.len() <= bytes_max {
            keep = at + char.len_utf8();
        }
    }
    text
}

/// Whether the transport sends the character as it is; errs on the side of no.
fn plain(char: char) -> bool {
    char.is_ascii_alphanumeric()
        || matches!(
            char,
            '.' | ',' | ':' | ';' | '-' | '_' | '/' | '\'' | '(' | ')' | '[' | ']'
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_is_left_alone() {
        assert_eq!(cut("short enough".to_owned(), 64), "short enough");
        let text = "a".repeat(64);
        assert_eq!(cut(text.clone(), 64), text);
    }

    #[test]
    fn a_text_that_does_not_fit_is_cut_at_a_character() {
        assert_eq!(cut("a".repeat(65), 64), format!("{}...", "a".repeat(61)));
        // Each takes six bytes in the trailers: ten of them and the mark fit into 64.
        assert_eq!(cut("ü".repeat(11), 64), format!("{}...", "ü".repeat(10)));
    }
}
