//! What follows in other streams: reactions, which are commands with a cause, and effects, which leave the desk.

use crate::account::{self, Account, MasterNote};
use crate::commit::Reacted;
use crate::event::Event;
use crate::id::{AccountId, Position, Role, StreamId};
use crate::reason::{RuntimeStatus, Warnings};
use crate::truth::Truth;

/// What leaves the desk once its cause is durable. Wanted state, so that one that is lost in a crash is made good by the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// The terminal's configuration is another one now.
    ConfigDue { stream: StreamId, status: RuntimeStatus, warnings: Warnings },
}

/// A command that an event caused in another stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    pub through: Reacted,
    pub correlation: Position,
    pub to: StreamId,
    pub command: account::Command,
}

/// The reactions to an event, in the order of their index. `truth` is the state right after the event.
pub fn reactions(truth: &Truth, record: &crate::envelope::Record) -> Vec<Reaction> {
    let Some(id) = truth.names().get(record.stream) else { return Vec::new() };
    let wanted: Vec<(StreamId, account::Command)> = match (id, &record.event) {
        (StreamId::Account(Role::Master, master), Event::Account(account::Event::StatusChanged(change))) => {
            let note = || MasterNote { master: master.clone(), status: change.new, warnings: change.warnings };
            let slaves = truth.slaves_of(master);
            slaves.map(|slave| (StreamId::slave(slave), account::Command::NoteMaster(note()))).collect()
        }
        (StreamId::Account(Role::Slave, slave), Event::Account(account::Event::LinkAdded(link))) => {
            let note = account::Command::NoteMaster(status_of(truth, &link.master));
            vec![(StreamId::slave(slave), note)]
        }
        _ => Vec::new(),
    };
    let number = |(index, (to, command))| Reaction {
        through: Reacted { cause: record.position, index: index as u32 + 1 },
        correlation: record.correlation,
        to,
        command,
    };
    wanted.into_iter().enumerate().map(number).collect()
}

fn status_of(truth: &Truth, master: &AccountId) -> MasterNote {
    let new = || Account::new(Role::Master, master.clone());
    let evaluated = truth.account(&StreamId::master(master)).map_or_else(|| new().evaluate(), Account::evaluate);
    MasterNote { master: master.clone(), status: evaluated.status, warnings: evaluated.warnings }
}
