//! Round trips, golden bytes, and bytes that mean nothing.

use proptest::prelude::*;

use super::*;
use crate::{EnvelopeBody, JobIntent, Key, values};

fn a_command() -> Command {
    let job = values::Job {
        job_type: "pay".to_owned(),
        ..Default::default()
    };
    Command::new(Key(4_503_599_627_370_497), JobIntent::Complete, job)
}

fn messages() -> Vec<NodeMessage> {
    let replica = |partition, role, epoch| ReplicaStatus {
        partition: PartitionId(partition),
        role,
        epoch: Epoch(epoch),
    };
    vec![
        NodeMessage::Envelope {
            target: PartitionId(2),
            envelope: Envelope {
                source: PartitionId(1),
                checkpoint_id: CheckpointId(7),
                body: EnvelopeBody::Acknowledgement { number: 300 },
            },
        },
        NodeMessage::Status(NodeStatus {
            host: "broker-1".to_owned(),
            port: 26_501,
            version: "8.6.0".to_owned(),
            replicas: vec![
                replica(1, ReplicaRole::Follower, 3),
                replica(2, ReplicaRole::Leader, 400),
                replica(3, ReplicaRole::Inactive, 0),
            ],
            addresses: vec!["broker-0:26502".to_owned(), "broker-2:26502".to_owned()],
            exporters: vec![ExporterStatus {
                partition: PartitionId(2),
                exporter: "file".to_owned(),
                next: Index(77),
                epoch: Epoch(400),
                sequence: Sequence(9),
                position: Position(1234),
            }],
        }),
        NodeMessage::JobsAvailable {
            partition: PartitionId(3),
            job_type: "pay".to_owned(),
        },
    ]
}

fn requests() -> Vec<NodeRequest> {
    vec![
        NodeRequest::Execute {
            partition: PartitionId(2),
            command: a_command(),
        },
        NodeRequest::LatestCheckpoint(PartitionId(1)),
        NodeRequest::KnownBackups(PartitionId(64)),
        NodeRequest::Rebalance(PartitionId(2)),
        NodeRequest::Backup {
            partition: PartitionId(2),
            checkpoint: CheckpointId(77),
            step: BackupStep::Publish,
        },
        NodeRequest::Manage(ManagementRequest {
            method: "POST".to_owned(),
            target: "/actuator/backups".to_owned(),
            body: b"{\"backupId\": 7}".to_vec(),
        }),
    ]
}

fn answers() -> Vec<NodeAnswer> {
    let backup = |failure: Option<&str>| UnfinishedBackup {
        id: CheckpointId(5),
        created_at: 1_795_527_404_123,
        position: Position(99),
        failure: failure.map(str::to_owned),
    };
    let refusal = NodeAnswer::Refusal;
    vec![
        NodeAnswer::Event(a_command()),
        NodeAnswer::Rejection(Rejection::not_found("there is no such job")),
        NodeAnswer::LatestCheckpoint(CheckpointId(-1)),
        NodeAnswer::KnownBackups(vec![backup(None), backup(Some("the store is full"))]),
        refusal(NodeRefusal::NotLeader, String::new()),
        refusal(NodeRefusal::Exhausted, "full".to_owned()),
        refusal(NodeRefusal::Lost, "lost".to_owned()),
        refusal(NodeRefusal::Failed, "failed".to_owned()),
        NodeAnswer::Done,
        NodeAnswer::Working,
        NodeAnswer::RootHash([9; 32]),
        NodeAnswer::Managed(202, b"{}".to_vec()),
    ]
}

/// All samples as bytes, each with what reads it and writes it again.
fn samples() -> Vec<Vec<u8>> {
    let messages = messages().into_iter().map(|one| one.encode());
    let requests = requests().into_iter().map(|one| one.encode());
    let answers = answers().into_iter().map(|one| one.encode());
    let raft = [encode_raft(PartitionId(3), b"vote")];
    messages
        .chain(requests)
        .chain(answers)
        .chain(raft)
        .collect()
}

#[test]
fn everything_comes_back_as_it_was() {
    for message in messages() {
        assert_eq!(NodeMessage::decode(&message.encode()), Ok(message));
    }
    for request in requests() {
        assert_eq!(NodeRequest::decode(&request.encode()), Ok(request));
    }
    for answer in answers() {
        assert_eq!(NodeAnswer::decode(&answer.encode()), Ok(answer));
    }
    let raft = encode_raft(PartitionId(3), b"vote");
    assert_eq!(decode_raft(&raft), Ok((PartitionId(3), &b"vote"[..])));
}

#[test]
fn what_is_cut_or_longer_or_of_another_version_is_refused() {
    type Decodes = fn(&[u8]) -> bool;
    let refuses = |samples: Vec<Vec<u8>>, decodes: Decodes| {
        for bytes in samples {
            assert!(decodes(&bytes));
            for end in 0..bytes.len() {
                assert!(!decodes(&bytes[..end]), "{bytes:?} cut at {end}");
            }
            assert!(!decodes(&[&bytes[..], &[0]].concat()), "{bytes:?}");
            assert!(!decodes(&[&[VERSION + 1], &bytes[1..]].concat()));
            assert!(!decodes(&[&[VERSION, 9], &bytes[2..]].concat()));
        }
    };
    let messages = messages().iter().map(NodeMessage::encode).collect();
    refuses(messages, |bytes| NodeMessage::decode(bytes).is_ok());
    let requests = requests().iter().map(NodeRequest::encode).collect();
    refuses(requests, |bytes| NodeRequest::decode(bytes).is_ok());
    let answers = answers().iter().map(NodeAnswer::encode).collect();
    refuses(answers, |bytes| NodeAnswer::decode(bytes).is_ok());
}

#[test]
fn the_bytes_are_those_of_version_1() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/golden/node-message-v1.txt"
    );
    let hex = |bytes: &Vec<u8>| -> String {
        let digits = bytes.iter().map(|byte| format!("{byte:02x}"));
        digits.collect::<String>() + "\n"
    };
    let text: String = samples().iter().map(hex).collect();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(path, &text).unwrap();
    }
    assert_eq!(std::fs::read_to_string(path).unwrap(), text);
}

proptest! {
    #[test]
    fn no_bytes_make_a_decoder_panic(bytes: Vec<u8>, kind in 0u8..9) {
        for bytes in [bytes.clone(), [&[VERSION, kind], &bytes[..]].concat()] {
            let _ = NodeMessage::decode(&bytes);
            let _ = NodeRequest::decode(&bytes);
            let _ = NodeAnswer::decode(&bytes);
            let _ = decode_raft(&bytes);
        }
    }

    #[test]
    fn no_damage_makes_a_decoder_panic(sample in 0usize..22, at: prop::sample::Index, to: u8) {
        let mut bytes = samples()[sample].clone();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = NodeMessage::decode(&bytes);
        let _ = NodeRequest::decode(&bytes);
        let _ = NodeAnswer::decode(&bytes);
        let _ = decode_raft(&bytes);
    }
}
