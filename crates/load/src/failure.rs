//! Why a measurement came to nothing.

use std::io;

/// Why a measurement came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// Something of the system failed.
    #[error("{what}: {error}")]
    Io {
        /// What was tried.
        what: String,
        /// What came of it.
        error: io::Error,
    },
    /// A call was refused.
    #[error("{call}: {status}")]
    Call {
        /// The call.
        call: &'static str,
        /// The gateway's answer.
        status: Box<tonic::Status>,
    },
    /// A program under test did not do what it should.
    #[error("{0}")]
    Program(String),
}

impl Failure {
    /// An operation of the system that failed.
    pub fn io(what: impl Into<String>, error: io::Error) -> Failure {
        Failure::Io {
            what: what.into(),
            error,
        }
    }

    /// A call that was refused.
    pub fn call(call: &'static str) -> impl FnOnce(tonic::Status) -> Failure {
        move |status| Failure::Call {
            call,
            status: Box::new(status),
        }
    }
}
