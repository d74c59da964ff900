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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Command, Event as Fact, LinkAdded, StatusChanged};
    use crate::envelope::Record;
    use crate::reason::Warning;
    use crate::sample::log::Log;
    use crate::sample::{self, account_id};

    /// Three slaves follow A_1, one of them under a name that begins alike; one more follows another master.
    fn log() -> Log {
        let mut log = Log::new();
        for (slave, master) in [("B_3", "A_1"), ("B_1", "A_1"), ("A_12", "A_1"), ("B_2", "A_12")] {
            let slave = StreamId::slave(&account_id(slave));
            log.account(&slave, Command::Link { master: account_id(master) }).unwrap();
        }
        log.account(&StreamId::master(&account_id("A_1")), Command::Register(sample::registered())).unwrap();
        log
    }

    /// What follows from an event at position 900 whose chain began at 800.
    fn caused(log: &Log, stream: &str, event: Fact) -> Vec<Reaction> {
        let number = log.fold.truth.names().number(&stream.parse().unwrap()).unwrap();
        let record = Record { correlation: Position(800), ..sample::record(900, number.0, 9, Event::Account(event)) };
        reactions(&log.fold.truth, &record)
    }

    fn change() -> (StatusChanged, Warnings) {
        let warnings = Warnings::NONE.with(Warning::MasterAutoTradingDisabled);
        (StatusChanged { old: RuntimeStatus::Connected, new: RuntimeStatus::Disabled, warnings }, warnings)
    }

    #[test]
    fn a_masters_status_goes_to_each_of_its_slaves_in_a_fixed_order() {
        let (change, warnings) = change();
        let note = MasterNote { master: account_id("A_1"), status: RuntimeStatus::Disabled, warnings };
        let expected = ["A_12", "B_1", "B_3"].iter().zip(1..).map(|(slave, index)| Reaction {
            through: Reacted { cause: Position(900), index },
            correlation: Position(800),
            to: StreamId::slave(&account_id(slave)),
            command: Command::NoteMaster(note.clone()),
        });
        assert_eq!(caused(&log(), "master/A_1", Fact::StatusChanged(change)), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_new_link_tells_its_slave_what_the_master_shows() {
        for master in ["A_1", "NEVER_SEEN"] {
            let found = caused(&log(), "slave/B_2", Fact::LinkAdded(LinkAdded { master: account_id(master) }));
            let warnings = [Warning::MasterWebUiDisabled, Warning::MasterOffline].into_iter().collect();
            let note = MasterNote { master: account_id(master), status: RuntimeStatus::Disabled, warnings };
            let [only] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((&only.to, only.through.index), (&StreamId::slave(&account_id("B_2")), 1));
            assert_eq!(only.command, Command::NoteMaster(note));
        }
    }

    #[test]
    fn nothing_else_causes_anything() {
        let log = log();
        let (change, _) = change();
        assert_eq!(
            caused(&log, "slave/A_12", Fact::StatusChanged(change)),
            [],
            "the slave of the same name is no master"
        );
        for event in sample::account_events() {
            if !matches!(event, Fact::StatusChanged(_)) {
                assert_eq!(caused(&log, "master/A_1", event), []);
            }
        }
        let desk = Event::Desk(sample::desk_events().remove(0));
        assert_eq!(reactions(&log.fold.truth, &sample::record(900, 0, 9, desk.clone())), []);
        assert_eq!(reactions(&log.fold.truth, &sample::record(900, 77, 9, desk)), [], "a stream without a name");
    }

    #[test]
    fn the_chain_of_a_reaction_leads_to_what_began_it() {
        let mut log = log();
        let master = StreamId::master(&account_id("A_1"));
        let first = log.fold.truth.position().next();
        log.account(&master, Command::SetIntent { enabled: true }).unwrap();
        let new: Vec<&Record> = log.records.iter().filter(|record| record.position >= first).collect();
        let (cause, rest) = (new[1], &new[2..]);
        assert_eq!(cause.event.kind().name, "status_changed");
        assert_eq!(rest.len(), 6, "each slave notes it and changes its warnings");
        assert!(rest.iter().all(|record| record.causation == Some(cause.position)));
        assert!(rest.iter().all(|record| record.correlation == cause.correlation));
    }
}
