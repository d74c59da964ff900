//! The last changes of each account's status.

use super::View;
use crate::account;
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{Position, StreamNo};
use crate::reason::{RuntimeStatus, Warnings};
use crate::time::Timestamp;
use crate::truth::Truth;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, VecDeque};

const KEPT: usize = 20;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct History {
    changes: BTreeMap<StreamNo, Changes>,
}

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct Changes {
    total: u64,
    last: VecDeque<Transition>,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    pub position: Position,
    pub at: Timestamp,
    pub old: RuntimeStatus,
    pub new: RuntimeStatus,
    pub warnings: Warnings,
}

impl View for History {
    const NAME: &'static str = "history";

    fn apply(&mut self, record: &Record, _: &Truth) {
        let Event::Account(account::Event::StatusChanged(change)) = &record.event else { return };
        let changes = self.changes.entry(record.stream).or_default();
        changes.total += 1;
        changes.last.push_back(Transition {
            position: record.position,
            at: record.recorded_at,
            old: change.old,
            new: change.new,
            warnings: change.warnings,
        });
        if changes.last.len() > KEPT {
            changes.last.pop_front();
        }
    }
}

impl History {
    /// How often the status changed, and the last changes, oldest first.
    pub fn of(&self, stream: StreamNo) -> (u64, impl Iterator<Item = &Transition>) {
        let changes = self.changes.get(&stream);
        (changes.map_or(0, |changes| changes.total), changes.into_iter().flat_map(|changes| &changes.last))
    }
}
