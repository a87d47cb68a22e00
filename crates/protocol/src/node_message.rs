//! What nodes send each other (docs/formats/node-message.md).

use crate::wire::{Reader, put_bytes, put_i64, put_text, put_varint};
use crate::{
    CheckpointId, Command, DecodeError, Envelope, Epoch, Index, PartitionId, Position, Rejection,
    RejectionType, Sequence,
};

/// What a node tells another without waiting for an answer.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeMessage {
    /// Something from a partition for the leader of another.
    Envelope {
        /// For whom.
        target: PartitionId,
        /// What.
        envelope: Envelope,
    },
    /// How the node is. Sent regularly and whenever it changes.
    Status(NodeStatus),
    /// A partition went from no activatable job of a type to some.
    JobsAvailable {
        /// The partition.
        partition: PartitionId,
        /// The job type.
        job_type: String,
    },
}

/// How a node is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct NodeStatus {
    /// Its host as clients are shown it.
    pub host: String,
    /// Its port as clients are shown it.
    pub port: u16,
    /// The version that it claims towards clients.
    pub version: String,
    /// Its replicas.
    pub replicas: Vec<ReplicaStatus>,
    /// Addresses at which brokers can be reached, as far as it knows.
    pub addresses: Vec<String>,
    /// How far its exporters of the partitions that it leads are.
    pub exporters: Vec<ExporterStatus>,
}

/// How far an exporter has exported a partition for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExporterStatus {
    /// The partition.
    pub partition: PartitionId,
    /// The exporter.
    pub exporter: String,
    /// Index of the next log entry.
    pub next: Index,
    /// The leadership in force there, and its last batch.
    pub epoch: Epoch,
    /// See above.
    pub sequence: Sequence,
    /// Position of the last record.
    pub position: Position,
}

/// How a replica is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReplicaStatus {
    /// Its partition.
    pub partition: PartitionId,
    /// What it does.
    pub role: ReplicaRole,
    /// The leadership that it knows: of two that say that they lead, the one with the higher epoch does.
    pub epoch: Epoch,
}

/// What a replica does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum ReplicaRole {
    /// It follows.
    Follower = 0,
    /// It takes commands.
    Leader = 1,
    /// It has stopped.
    Inactive = 2,
}

/// What a node asks another.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeRequest {
    /// Execute a command on a partition that it leads.
    Execute {
        /// The partition.
        partition: PartitionId,
        /// The command.
        command: Command,
    },
    /// The latest checkpoint of a partition that it leads.
    LatestCheckpoint(PartitionId),
    /// The backups that have not ended well, as a partition that it leads knows them.
    KnownBackups(PartitionId),
    /// Give the leadership of a partition to the broker that should have it.
    Rebalance(PartitionId),
    /// Do a replica's part for a backup, unless that is under way or done, and say how far it is.
    Backup {
        /// The partition.
        partition: PartitionId,
        /// The backup's checkpoint.
        checkpoint: CheckpointId,
        /// What to do.
        step: BackupStep,
    },
    /// Answer a request of the management API that a node without partitions was asked.
    Manage(ManagementRequest),
}

/// What a replica does for a backup.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum BackupStep {
    /// It reads its frozen content for the root hash.
    Compare = 0,
    /// It stores its frozen content, which gives the root hash as well.
    Store = 1,
    /// It writes the manifest of what it has stored.
    Publish = 2,
}

/// A request of the management API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManagementRequest {
    /// HTTP's method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// Its body.
    pub body: Vec<u8>,
}

/// What is answered.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeAnswer {
    /// The event that came of a command.
    Event(Command),
    /// The command was refused by the partition.
    Rejection(Rejection),
    /// The latest checkpoint.
    LatestCheckpoint(CheckpointId),
    /// The backups.
    KnownBackups(Vec<UnfinishedBackup>),
    /// It is done.
    Done,
    /// It is under way.
    Working,
    /// The root hash of a replica's frozen content.
    RootHash([u8; 32]),
    /// What the management API answers: HTTP's status, and a body of JSON.
    Managed(u16, Vec<u8>),
    /// There is no answer.
    Refusal(NodeRefusal, String),
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum NodeRefusal {
    /// The node does not lead the partition. Nothing was executed.
    NotLeader = 0,
    /// The partition takes nothing in at present. Nothing was executed.
    Exhausted = 1,
    /// The leadership ended meanwhile. Perhaps the command was executed.
    Lost = 2,
    /// Something went wrong.
    Failed = 3,
}

/// A backup that is under way or has failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnfinishedBackup {
    /// Its id.
    pub id: CheckpointId,
    /// When its checkpoint was taken, in milliseconds since 1970.
    pub created_at: i64,
    /// Position of the checkpoint.
    pub position: Position,
    /// Why it failed; `None` while it is under way.
    pub failure: Option<String>,
}

const VERSION: u8 = 1;

fn begin(kind: u8) -> Vec<u8> {
    vec![VERSION, kind]
}

/// Reads version and kind.
fn head(reader: &mut Reader<'_>) -> Result<u8, DecodeError> {
    match reader.u8("node message version")? {
        VERSION => reader.u8("node message kind"),
        code => Err(unknown("node message version", code)),
    }
}

fn unknown(what: &'static str, code: u8) -> DecodeError {
    let code = u64::from(code);
    DecodeError::Unknown { what, code }
}

fn all_read<T>(reader: &Reader<'_>, read: T) -> Result<T, DecodeError> {
    match reader.is_empty() {
        true => Ok(read),
        false => Err(DecodeError::invalid("node message", "bytes follow its end")),
    }
}

fn partition(reader: &mut Reader<'_>) -> Result<PartitionId, DecodeError> {
    u32::try_from(reader.varint("partition")?)
        .map(PartitionId)
        .map_err(|_| DecodeError::invalid("partition", "it exceeds 32 bits"))
}

fn text(reader: &mut Reader<'_>, what: &'static str) -> Result<String, DecodeError> {
    reader.text(what).map(str::to_owned)
}

fn put_command(out: &mut Vec<u8>, command: &Command) {
    let mut bytes = Vec::with_capacity(command.value.encoded_len() + 32);
    command.encode(&mut bytes);
    put_bytes(out, &bytes);
}

fn command(reader: &mut Reader<'_>) -> Result<Command, DecodeError> {
    let reader = &mut Reader::new(reader.bytes("command")?);
    let command = Command::decode(reader)?;
    all_read(reader, command)
}

/// A message of consensus for a partition's replica.
pub fn encode_raft(partition: PartitionId, payload: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(payload.len() + 8);
    out.extend_from_slice(&begin(3));
    put_varint(&mut out, u64::from(partition.0));
    out.extend_from_slice(payload);
    out
}

/// The partition, and the message itself.
pub fn decode_raft(bytes: &[u8]) -> Result<(PartitionId, &[u8]), DecodeError> {
    let reader = &mut Reader::new(bytes);
    match head(reader)? {
        3 => Ok((partition(reader)?, reader.rest())),
        kind => Err(unknown("raft message kind", kind)),
    }
}

impl NodeMessage {
    /// The message's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            NodeMessage::Envelope { target, envelope } => {
                let mut out = begin(0);
                put_varint(&mut out, u64::from(target.0));
                put_bytes(&mut out, &envelope.encode());
                out
            }
            NodeMessage::Status(status) => {
                let mut out = begin(1);
                status.encode(&mut out);
                out
            }
            NodeMessage::JobsAvailable {
                partition,
                job_type,
            } => {
                let mut out = begin(2);
                put_varint(&mut out, u64::from(partition.0));
                put_text(&mut out, job_type);
                out
            }
        }
    }

    /// Reads a message back.
    pub fn decode(bytes: &[u8]) -> Result<NodeMessage, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let message = match head(reader)? {
            0 => NodeMessage::Envelope {
                target: partition(reader)?,
                envelope: Envelope::decode(reader.bytes("envelope")?)?,
            },
            1 => NodeMessage::Status(NodeStatus::decode(reader)?),
            2 => NodeMessage::JobsAvailable {
                partition: partition(reader)?,
                job_type: text(reader, "job type")?,
            },
            kind => return Err(unknown("node message kind", kind)),
        };
        all_read(reader, message)
    }
}

impl NodeStatus {
    fn encode(&self, out: &mut Vec<u8>) {
        put_text(out, &self.host);
        put_varint(out, u64::from(self.port));
        put_text(out, &self.version);
        put_varint(out, self.replicas.len() as u64);
        for replica in &self.replicas {
            put_varint(out, u64::from(replica.partition.0));
            out.push(replica.role as u8);
            put_varint(out, replica.epoch.0);
        }
        put_varint(out, self.addresses.len() as u64);
        for address in &self.addresses {
            put_text(out, address);
        }
        put_varint(out, self.exporters.len() as u64);
        for exporter in &self.exporters {
            put_varint(out, u64::from(exporter.partition.0));
            put_text(out, &exporter.exporter);
            put_varint(out, exporter.next.0);
            put_varint(out, exporter.epoch.0);
            put_varint(out, exporter.sequence.0);
            put_i64(out, exporter.position.0);
        }
    }

    fn decode(reader: &mut Reader<'_>) -> Result<NodeStatus, DecodeError> {
        let host = text(reader, "host")?;
        let port = u16::try_from(reader.varint("port")?)
            .map_err(|_| DecodeError::invalid("port", "it exceeds 16 bits"))?;
        let version = text(reader, "version")?;
        // A count that lies ends with the bytes.
        let replicas = (0..reader.varint("replicas")?)
            .map(|_| ReplicaStatus::decode(reader))
            .collect::<Result<_, _>>()?;
        let addresses = (0..reader.varint("addresses")?)
            .map(|_| text(reader, "address"))
            .collect::<Result<_, _>>()?;
        let exporters = (0..reader.varint("exporters")?)
            .map(|_| ExporterStatus::decode(reader))
            .collect::<Result<_, _>>()?;
        Ok(NodeStatus {
            host,
            port,
            version,
            replicas,
            addresses,
            exporters,
        })
    }
}

impl ExporterStatus {
    fn decode(reader: &mut Reader<'_>) -> Result<ExporterStatus, DecodeError> {
        Ok(ExporterStatus {
            partition: partition(reader)?,
            exporter: text(reader, "exporter")?,
            next: Index(reader.varint("exporter's next entry")?),
            epoch: Epoch(reader.varint("exporter's epoch")?),
            sequence: Sequence(reader.varint("exporter's sequence")?),
            position: Position(reader.i64("exporter's position")?),
        })
    }
}

impl ReplicaStatus {
    fn decode(reader: &mut Reader<'_>) -> Result<ReplicaStatus, DecodeError> {
        Ok(ReplicaStatus {
            partition: partition(reader)?,
            role: match reader.u8("role")? {
                0 => ReplicaRole::Follower,
                1 => ReplicaRole::Leader,
                2 => ReplicaRole::Inactive,
                code => return Err(unknown("role", code)),
            },
            epoch: Epoch(reader.varint("epoch")?),
        })
    }
}

/// The bytes of [`NodeRequest::Execute`], without giving the command away.
pub fn encode_execute(partition: PartitionId, command: &Command) -> Vec<u8> {
    let mut out = begin(0);
    put_varint(&mut out, u64::from(partition.0));
    put_command(&mut out, command);
    out
}

impl NodeRequest {
    /// The request's bytes.
    pub fn encode(&self) -> Vec<u8> {
        let (kind, partition) = match self {
            NodeRequest::Execute { partition, command } => {
                return encode_execute(*partition, command);
            }
            NodeRequest::LatestCheckpoint(partition) => (1, partition),
            NodeRequest::KnownBackups(partition) => (2, partition),
            NodeRequest::Rebalance(partition) => (3, partition),
            NodeRequest::Backup { partition, .. } => (4, partition),
            NodeRequest::Manage(request) => {
                let mut out = begin(5);
                put_text(&mut out, &request.method);
                put_text(&mut out, &request.target);
                put_bytes(&mut out, &request.body);
                return out;
            }
        };
        let mut out = begin(kind);
        put_varint(&mut out, u64::from(partition.0));
        if let NodeRequest::Backup {
            checkpoint, step, ..
        } = self
        {
            put_i64(&mut out, checkpoint.0);
            out.push(*step as u8);
        }
        out
    }

    /// Reads a request back.
    pub fn decode(bytes: &[u8]) -> Result<NodeRequest, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let request = match head(reader)? {
            0 => NodeRequest::Execute {
                partition: partition(reader)?,
                command: command(reader)?,
            },
            1 => NodeRequest::LatestCheckpoint(partition(reader)?),
            2 => NodeRequest::KnownBackups(partition(reader)?),
            3 => NodeRequest::Rebalance(partition(reader)?),
            4 => NodeRequest::Backup {
                partition: partition(reader)?,
                checkpoint: CheckpointId(reader.i64("checkpoint id")?),
                step: BackupStep::decode(reader.u8("backup step")?)?,
            },
            5 => NodeRequest::Manage(ManagementRequest {
                method: text(reader, "method")?,
                target: text(reader, "target")?,
                body: reader.bytes("body")?.to_vec(),
            }),
            kind => return Err(unknown("node request kind", kind)),
        };
        all_read(reader, request)
    }
}

impl NodeAnswer {
    /// The answer's bytes.
    pub fn encode(&self) -> Vec<u8> {
        match self {
            NodeAnswer::Event(event) => {
                let mut out = begin(0);
                put_command(&mut out, event);
                out
            }
            NodeAnswer::Rejection(rejection) => {
                let mut out = begin(1);
                out.push(rejection.rejection_type.code());
                put_text(&mut out, &rejection.reason);
                out
            }
            NodeAnswer::LatestCheckpoint(id) => {
                let mut out = begin(2);
                put_i64(&mut out, id.0);
                out
            }
            NodeAnswer::KnownBackups(backups) => {
                let mut out = begin(3);
                put_varint(&mut out, backups.len() as u64);
                for backup in backups {
                    put_i64(&mut out, backup.id.0);
                    put_i64(&mut out, backup.created_at);
                    put_i64(&mut out, backup.position.0);
                    out.push(u8::from(backup.failure.is_some()));
                    put_text(&mut out, backup.failure.as_deref().unwrap_or_default());
                }
                out
            }
            NodeAnswer::Refusal(refusal, reason) => {
                let mut out = begin(4);
                out.push(*refusal as u8);
                put_text(&mut out, reason);
                out
            }
            NodeAnswer::Done => begin(5),
            NodeAnswer::Working => begin(6),
            NodeAnswer::RootHash(root) => {
                let mut out = begin(7);
                put_bytes(&mut out, root);
                out
            }
            NodeAnswer::Managed(status, body) => {
                let mut out = begin(8);
                put_varint(&mut out, u64::from(*status));
                put_bytes(&mut out, body);
                out
            }
        }
    }

    /// Reads an answer back.
    pub fn decode(bytes: &[u8]) -> Result<NodeAnswer, DecodeError> {
        let reader = &mut Reader::new(bytes);
        let answer = match head(reader)? {
            0 => NodeAnswer::Event(command(reader)?),
            1 => NodeAnswer::Rejection(rejection(reader)?),
            2 => NodeAnswer::LatestCheckpoint(CheckpointId(reader.i64("checkpoint id")?)),
            3 => {
                let backups = (0..reader.varint("backups")?)
                    .map(|_| UnfinishedBackup::decode(reader))
                    .collect::<Result<_, _>>()?;
                NodeAnswer::KnownBackups(backups)
            }
            4 => NodeAnswer::Refusal(
                NodeRefusal::decode(reader.u8("refusal")?)?,
                text(reader, "reason")?,
            ),
            5 => NodeAnswer::Done,
            6 => NodeAnswer::Working,
            7 => NodeAnswer::RootHash(
                reader
                    .bytes("root hash")?
                    .try_into()
                    .map_err(|_| DecodeError::invalid("root hash", "it has not 32 bytes"))?,
            ),
            8 => {
                let status = u16::try_from(reader.varint("status")?)
                    .map_err(|_| DecodeError::invalid("status", "it exceeds 16 bits"))?;
                NodeAnswer::Managed(status, reader.bytes("body")?.to_vec())
            }
            kind => return Err(unknown("node answer kind", kind)),
        };
        all_read(reader, answer)
    }
}

fn rejection(reader: &mut Reader<'_>) -> Result<Rejection, DecodeError> {
    let code = reader.u8("rejection type")?;
    let rejection_type =
        RejectionType::from_code(code).ok_or_else(|| unknown("rejection type", code))?;
    Ok(Rejection::new(rejection_type, reader.text("reason")?))
}

impl BackupStep {
    fn decode(code: u8) -> Result<BackupStep, DecodeError> {
        Ok(match code {
            0 => BackupStep::Compare,
            1 => BackupStep::Store,
            2 => BackupStep::Publish,
            code => return Err(unknown("backup step", code)),
        })
    }
}

impl NodeRefusal {
    fn decode(code: u8) -> Result<NodeRefusal, DecodeError> {
        Ok(match code {
            0 => NodeRefusal::NotLeader,
            1 => NodeRefusal::Exhausted,
            2 => NodeRefusal::Lost,
            3 => NodeRefusal::Failed,
            code => return Err(unknown("refusal", code)),
        })
    }
}

impl UnfinishedBackup {
    fn decode(reader: &mut Reader<'_>) -> Result<UnfinishedBackup, DecodeError> {
        let id = CheckpointId(reader.i64("backup id")?);
        let created_at = reader.i64("backup time")?;
        let position = Position(reader.i64("backup position")?);
        let failed = reader.u8("backup failure")? != 0;
        let reason = text(reader, "backup failure")?;
        Ok(UnfinishedBackup {
            id,
            created_at,
            position,
            failure: failed.then_some(reason),
        })
    }
}

#[cfg(test)]
mod tests;
