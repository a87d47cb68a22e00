//! Commands that are refused.

use std::fmt;

/// Why a command was refused, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum RejectionType {
    /// The command itself is wrong.
    InvalidArgument = 1,
    /// What the command speaks of does not exist.
    NotFound = 2,
    /// What the command would create exists.
    AlreadyExists = 3,
    /// What the command speaks of is in the wrong state.
    InvalidState = 4,
    /// Processing the command failed unexpectedly.
    ProcessingError = 5,
    /// The outcome of the command would not fit into one batch.
    ExceededBatchRecordSize = 6,
}

impl RejectionType {
    /// Name as in the record stream and in the texts that clients get.
    pub const fn name(self) -> &'static str {
        match self {
            RejectionType::InvalidArgument => "INVALID_ARGUMENT",
            RejectionType::NotFound => "NOT_FOUND",
            RejectionType::AlreadyExists => "ALREADY_EXISTS",
            RejectionType::InvalidState => "INVALID_STATE",
            RejectionType::ProcessingError => "PROCESSING_ERROR",
            RejectionType::ExceededBatchRecordSize => "EXCEEDED_BATCH_RECORD_SIZE",
        }
    }

    /// The code on disk.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The type with that code on disk.
    pub const fn from_code(code: u8) -> Option<RejectionType> {
        Some(match code {
            1 => RejectionType::InvalidArgument,
            2 => RejectionType::NotFound,
            3 => RejectionType::AlreadyExists,
            4 => RejectionType::InvalidState,
            5 => RejectionType::ProcessingError,
            6 => RejectionType::ExceededBatchRecordSize,
            _ => return None,
        })
    }
}

/// A command refused: a value of the domain, always answered, changes no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    /// What kind of refusal.
    pub rejection_type: RejectionType,
    /// What was expected, what was found.
    pub reason: String,
}

impl Rejection {
    /// A rejection of that type.
    pub fn new(rejection_type: RejectionType, reason: impl Into<String>) -> Rejection {
        Rejection {
            rejection_type,
            reason: reason.into(),
        }
    }

    /// INVALID_ARGUMENT.
    pub fn invalid_argument(reason: impl Into<String>) -> Rejection {
        Rejection::new(RejectionType::InvalidArgument, reason)
    }

    /// NOT_FOUND.
    pub fn not_found(reason: impl Into<String>) -> Rejection {
        Rejection::new(RejectionType::NotFound, reason)
    }

    /// INVALID_STATE.
    pub fn invalid_state(reason: impl Into<String>) -> Rejection {
        Rejection::new(RejectionType::InvalidState, reason)
    }

    /// ALREADY_EXISTS.
    pub fn already_exists(reason: impl Into<String>) -> Rejection {
        Rejection::new(RejectionType::AlreadyExists, reason)
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rejection_type.name(), self.reason)
    }
}
