use skep_protocol::{
    CheckpointId, CheckpointIntent, Command, Intent, Key, Position, RecordType, RecordValue,
    RejectionType, values,
};

use super::world::World;
use crate::engine::Input;
use crate::limits;
use crate::tables::backups::{self, BackupStatus};
use crate::tables::checkpoint::{self, Checkpoint};

fn command(intent: CheckpointIntent, id: i64, reason: &str) -> Command {
    let value = values::Checkpoint {
        checkpoint_id: id,
        checkpoint_position: -1,
        failure_reason: reason.to_owned(),
    };
    Command::new(Key::NONE, intent, value)
}

fn create(id: i64) -> Command {
    command(CheckpointIntent::Create, id, "")
}

fn latest(world: &World) -> (i64, i64) {
    let Checkpoint { id, position } = checkpoint::latest(world.content(1)).unwrap();
    (id.0, position.0)
}

fn answered(answer: &Command) -> (Intent, i64, i64) {
    let RecordValue::Checkpoint(value) = &answer.value else {
        panic!("{answer:?}")
    };
    (
        answer.intent,
        value.checkpoint_id,
        value.checkpoint_position,
    )
}

#[test]
fn a_new_partition_has_no_checkpoint() {
    let world = World::new(1, 0);
    let none = Checkpoint {
        id: CheckpointId::NONE,
        position: Position::NONE,
    };
    assert_eq!(checkpoint::latest(world.content(1)).unwrap(), none);
    assert_eq!(backups::all(world.content(1)).unwrap(), []);
}

#[test]
fn a_higher_id_is_a_checkpoint_at_the_last_record_and_others_are_ignored() {
    let mut world = World::new(1, 0);
    // Each command takes two positions, its own and that of its event.
    let cases = [
        (5, CheckpointIntent::Created, 5, 2),
        (5, CheckpointIntent::Ignored, 5, 2),
        (3, CheckpointIntent::Ignored, 5, 2),
        (-1, CheckpointIntent::Ignored, 5, 2),
        (9, CheckpointIntent::Created, 9, 10),
        (8, CheckpointIntent::Ignored, 9, 10),
    ];
    for (id, intent, latest_id, position) in cases {
        let outcome = world.evaluate(1, Input::Internal(create(id)));
        let last = outcome.records.last().unwrap();
        assert_eq!(
            (last.record_type, last.intent),
            (RecordType::Event, intent.into()),
            "create {id}"
        );
        let RecordValue::Checkpoint(value) = &last.value else {
            panic!("{last:?}")
        };
        assert_eq!(
            (value.checkpoint_id, value.checkpoint_position),
            (latest_id, position),
            "create {id}"
        );
        assert_eq!(latest(&world), (latest_id, position), "create {id}");
        let created = (intent == CheckpointIntent::Created).then_some(CheckpointId(id));
        assert_eq!(outcome.checkpoint, created, "create {id}");
        assert!(outcome.responses.is_empty(), "nobody asked");
    }
    assert_eq!(world.partition(1).records.len(), 12);
}

#[test]
fn minus_one_is_no_checkpoint() {
    let mut world = World::new(1, 0);
    let outcome = world.evaluate(1, Input::Internal(create(-1)));
    assert_eq!(outcome.checkpoint, None);
    assert_eq!(latest(&world), (-1, -1));
}

#[test]
fn a_client_is_answered_with_the_event() {
    let mut world = World::new(1, 0);
    let answer = world.client(1, create(7)).unwrap();
    assert_eq!(answered(&answer), (CheckpointIntent::Created.into(), 7, 2));
    let answer = world.client(1, create(6)).unwrap();
    assert_eq!(answered(&answer), (CheckpointIntent::Ignored.into(), 7, 2));
}

#[test]
fn a_checkpoint_begins_a_backup() {
    let mut world = World::new(1, 0);
    world.evaluate(1, Input::Internal(create(4)));
    let backup = backups::get(world.content(1), CheckpointId(4))
        .unwrap()
        .unwrap();
    assert_eq!(backup.status, BackupStatus::InProgress);
    assert_eq!(
        (backup.created_at, backup.position),
        (world.time, Position(2))
    );
    assert_eq!(backups::all(world.content(1)).unwrap(), [backup]);
}

#[test]
fn a_confirmed_backup_is_no_longer_known_here() {
    let mut world = World::new(1, 0);
    world.evaluate(1, Input::Internal(create(4)));
    let answer = world
        .client(1, command(CheckpointIntent::ConfirmBackup, 4, ""))
        .unwrap();
    assert_eq!(
        answered(&answer),
        (CheckpointIntent::ConfirmedBackup.into(), 4, 2)
    );
    assert_eq!(backups::all(world.content(1)).unwrap(), []);
    assert_eq!(latest(&world), (4, 2), "the checkpoint stays");
}

#[test]
fn a_backup_ends_once() {
    let concluding = [
        CheckpointIntent::ConfirmBackup,
        CheckpointIntent::FailBackup,
    ];
    let unknown = RejectionType::NotFound;
    for (first, rejection) in [
        (CheckpointIntent::FailBackup, RejectionType::InvalidState),
        (CheckpointIntent::ConfirmBackup, unknown),
    ] {
        for second in concluding {
            let mut world = World::new(1, 0);
            world.evaluate(1, Input::Internal(create(4)));
            world
                .client(1, command(first, 4, "the first reason"))
                .unwrap();
            let before = world.content(1).clone();
            let refusal = world
                .client(1, command(second, 4, "another reason"))
                .unwrap_err();
            assert_eq!(
                refusal.rejection_type, rejection,
                "{first:?} then {second:?}"
            );
            assert_eq!(*world.content(1), before, "{first:?} then {second:?}");
        }
    }
    let mut world = World::new(1, 0);
    for intent in concluding {
        assert_eq!(
            world
                .client(1, command(intent, 4, ""))
                .unwrap_err()
                .rejection_type,
            unknown
        );
    }
}

#[test]
fn a_failed_backup_keeps_its_reason_and_old_failures_are_forgotten() {
    let mut world = World::new(1, 0);
    let count = limits::FAILED_BACKUPS_MAX as i64 + 2;
    for id in 1..=count {
        world.evaluate(1, Input::Internal(create(id)));
        if id > 1 {
            world.evaluate(
                1,
                Input::Internal(command(
                    CheckpointIntent::FailBackup,
                    id,
                    &format!("reason {id}"),
                )),
            );
        }
    }
    let all = backups::all(world.content(1)).unwrap();
    assert_eq!(all.len(), limits::FAILED_BACKUPS_MAX + 1);
    assert_eq!(
        (all[0].id, &all[0].status),
        (CheckpointId(1), &BackupStatus::InProgress),
        "what is in progress stays"
    );
    assert_eq!(all[1].id, CheckpointId(3));
    assert_eq!(
        all.last().unwrap().status,
        BackupStatus::Failed {
            reason: format!("reason {count}")
        }
    );
}
