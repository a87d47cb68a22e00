//! Follow-up commands that found no room in their evaluation, by the position of their record: evaluated in that order.

use skep_protocol::wire::Reader;
use skep_protocol::{Command, Position};
use skep_state::{KeyRange, KeyReader, Read, StateError, TableKey, Txn, Visit};

use super::{delete as delete_value, prefix};

fn key(position: Position) -> TableKey {
    TableKey::new(prefix::CONTINUATIONS).i64(position.0)
}

/// Keeps a command for a later evaluation.
pub(crate) fn create(txn: &mut dyn Txn, position: Position, command: &Command) {
    let mut bytes = Vec::with_capacity(command.value.encoded_len() + 16);
    command.encode(&mut bytes);
    txn.insert(key(position).as_bytes(), bytes);
}

/// The commands that wait, oldest first, at most `limit` of them.
pub fn oldest(state: &dyn Read, limit: usize) -> Result<Vec<(Position, Command)>, StateError> {
    let table = TableKey::new(prefix::CONTINUATIONS);
    let (mut found, mut failed) = (Vec::new(), None);
    if limit == 0 {
        return Ok(found);
    }
    state.scan(
        KeyRange {
            from: table.as_bytes(),
            to: Some(&table.end()),
        },
        &mut |key, value| {
            match Command::decode(&mut Reader::new(value)) {
                Ok(command) => found.push((Position(KeyReader::new(key).i64()), command)),
                Err(error) => failed = Some(super::corrupt(key, error)),
            }
            if failed.is_none() && found.len() < limit {
                Visit::Next
            } else {
                Visit::Stop
            }
        },
    )?;
    failed.map_or(Ok(found), Err)
}

/// The command is being evaluated.
pub(crate) fn delete(txn: &mut dyn Txn, position: Position) {
    delete_value(txn, &key(position));
}
