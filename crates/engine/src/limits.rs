//! Numbers that bound what one command may do, each with its reason.

/// Follow-up commands evaluated together with the command that caused them. Zeebe's `maxCommandsInBatch` is 100; the rest is
/// continued as a command of its own, so that an endless loop in a process does not hold up its partition.
pub const FOLLOW_UPS_MAX: usize = 100;

/// Bytes of writes and records after which the follow-up commands that are left are evaluated later. What a single command writes on
/// top of it has room up to [`skep_state::EVALUATION_BYTES_MAX`].
pub const FOLLOW_UP_BYTES_MAX: usize = 8 << 20;

/// Bytes that the variables of one document may take. Zeebe bounds any record by its message size of 4 MiB.
pub const DOCUMENT_BYTES_MAX: usize = 4 << 20;

/// Bytes that the values in the record of one decision evaluation may take, as long as a document.
pub const DECISION_RECORD_BYTES_MAX: usize = 4 << 20;

/// Bytes of jobs with their variables that one activation may hand out: a gateway message of 4 MiB with room to spare.
pub const JOB_BATCH_BYTES_MAX: usize = (4 << 20) - (8 << 10);

/// Characters of an error message that are kept. As Zeebe.
pub const ERROR_MESSAGE_CHARS_MAX: usize = 10_000;

/// Due commands that are collected at once, so that a flood of timers does not hold up clients.
pub const DUE_COMMANDS_MAX: usize = 256;

/// Commands sent but not acknowledged that are sent again at once, per target.
pub const RESEND_MAX: usize = 256;

/// Compiled processes, and compiled decision requirements graphs, kept in memory.
pub const COMPILED_PROCESSES_MAX: usize = 1000;

/// Bytes of the resources behind the compiled definitions of each kind kept in memory: a model takes a small multiple of its XML.
pub const COMPILED_RESOURCE_BYTES_MAX: usize = 64 << 20;

/// Bytes that a deployment may add to the log and to the state: one batch, Zeebe's largest message.
pub const DEPLOYMENT_BYTES_MAX: usize = 4 << 20;

/// Bytes that one message may grow to by going to several processes at once: each of them gets its variables, and each time
/// they are in two or three records, so that all together stay within one evaluation.
pub const CORRELATION_BYTES_MAX: usize = 4 << 20;

/// Compensation handlers that a throw event begins at once, if they fit into [`FOLLOW_UP_BYTES_MAX`]; the next begins when one has
/// ended.
pub const COMPENSATIONS_BEGUN_MAX: u32 = 32;

/// Subscriptions that a signal triggers at once; the others follow as a command of their own.
pub const SIGNALLED_MAX: usize = 32;

/// Messages that expire in one command: Zeebe's batch limit.
pub const EXPIRE_MESSAGES_MAX: usize = 100;

/// Failed backups that are remembered, so that a store that is never reachable does not fill the state.
pub const FAILED_BACKUPS_MAX: usize = 100;

/// Repetitions of a multi-instance activity that begin at once; the others follow as a command of their own.
pub const REPETITIONS_BEGUN_MAX: u32 = 16;

/// How often the list of a parallel multi-instance activity is read in order to begin its repetitions. To read it takes as long as
/// it is long: of a list with more than so many portions a portion is larger, up to [`FOLLOW_UP_BYTES_MAX`].
pub const LIST_READINGS_MAX: u32 = 128;

/// Calls on top of each other: a process that calls itself without end stops here with an incident. As Zeebe.
pub const CALL_DEPTH_MAX: u32 = 1000;

/// Children of a scope that are told to terminate at once; the others follow as a command of their own.
pub const TERMINATING_CHILDREN_MAX: usize = 32;
