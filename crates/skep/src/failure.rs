//! How a command ends badly: a sentence and an exit code.

use std::process::ExitCode;

use skep_backup::RestoreError;

/// Exit codes, as documented in docs/exit-codes.md. Restore adds its own from 10 on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// A fault of ours, or one that nobody foresaw.
    Internal,
    /// The command line or the configuration is wrong; clap uses the same number.
    Usage,
    /// The broker cannot start: data directory, port, backup store.
    Start,
    /// The gateway, the management API or the store cannot be reached.
    Unreachable,
    /// What was asked for does not exist.
    NotFound,
    /// The other side understood the request and refused it.
    Refused,
    /// The backup has failed and will not be completed.
    BackupFailed,
    /// Verification found damage.
    Damaged,
    /// It did not happen within the time given.
    TimedOut,
    /// A restore's own code.
    Restore(u8),
}

impl Code {
    fn number(self) -> u8 {
        match self {
            Code::Internal => 1,
            Code::Usage => 2,
            Code::Start => 3,
            Code::Unreachable => 4,
            Code::NotFound => 5,
            Code::Refused => 6,
            Code::BackupFailed => 7,
            Code::Damaged => 8,
            Code::TimedOut => 9,
            Code::Restore(code) => code,
        }
    }
}

/// Why a command failed, and what to do.
#[derive(Debug)]
pub struct Failure {
    code: Code,
    message: String,
}

impl Failure {
    /// A failure with its sentence.
    pub fn new(code: Code, message: impl Into<String>) -> Failure {
        Failure {
            code,
            message: message.into(),
        }
    }

    /// Says the sentence once: in the log where there is one, else on standard error.
    pub fn report(&self) {
        if tracing::dispatcher::has_been_set() {
            tracing::error!(exit_code = self.code.number(), "{}", self.message);
        } else {
            eprintln!("error: {}", self.message);
        }
    }

    /// The process's exit code.
    pub fn exit_code(&self) -> ExitCode {
        ExitCode::from(self.code.number())
    }
}

impl From<skep_config::ConfigError> for Failure {
    fn from(error: skep_config::ConfigError) -> Failure {
        Failure::new(Code::Usage, error.to_string())
    }
}

impl From<skep_broker::BrokerError> for Failure {
    fn from(error: skep_broker::BrokerError) -> Failure {
        Failure::new(Code::Start, error.to_string())
    }
}

impl From<RestoreError> for Failure {
    fn from(error: RestoreError) -> Failure {
        Failure::new(Code::Restore(error.exit_code()), error.to_string())
    }
}
