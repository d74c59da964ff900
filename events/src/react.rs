//! What follows in other streams: reactions, which are commands with a cause, and effects, which leave the desk.

use crate::account::{self, Account, Config, Figures, MasterNote, MasterSide, SignalNote};
use crate::commit::Reacted;
use crate::copy::Origin;
use crate::copy::stop::StopDegree;
use crate::desk;
use crate::envelope::Record;
use crate::event::Event;
use crate::id::{AccountId, EventId, Position, Role, StreamId, VenueId};
use crate::money::Lots;
use crate::order::Ask;
use crate::stream::{Decision, Stamp, Stream};
use crate::time::{Span, Timestamp};
use crate::trade::{Change, Order, OrderId, Stamps, Symbol, Ticket};
use crate::truth::{Command, Slot, Times, Truth};
use std::sync::Arc;
use uuid::Uuid;

mod trading;

/// What leaves the desk once its cause is durable. Wanted state, so that one that is lost in a crash is made good by the next.
#[derive(Debug, Clone, PartialEq)]
pub enum Effect {
    /// A terminal's registration counts from now on, and earlier ones no longer.
    Registered { stream: StreamId, epoch: u64, previous: Option<(u64, u64)> },
    /// The terminal's configuration is another one now.
    ConfigDue { stream: StreamId, config: Box<Config> },
    /// The terminal is asked for all its positions.
    SnapshotDue { stream: StreamId },
    /// The terminal has something to do.
    OrderDue { stream: StreamId, order: Box<Order> },
    /// The terminal has told all its positions.
    SnapshotDone { stream: StreamId },
    /// The terminal need not be told of this order any more.
    OrderDone { stream: StreamId, order: OrderId, seq: u64 },
    /// A venue is to be asked something.
    VenueAsked { venue: VenueId, ask: Box<Ask> },
    /// STOP was pressed, or taken back.
    StopChanged { degree: Option<StopDegree> },
}

/// A command that an event caused in another stream.
#[derive(Debug, Clone, PartialEq)]
pub struct Reaction {
    pub through: Reacted,
    pub correlation: Position,
    pub to: StreamId,
    pub command: Command,
}

/// The reactions to an event, in the order of their index: at most one for each stream. `truth` is the state right after it.
pub fn reactions(truth: &Truth, record: &Record) -> Vec<Reaction> {
    let Some(id) = truth.names().get(record.stream) else { return Vec::new() };
    let wanted: Vec<(StreamId, Command)> = match (id, &record.event) {
        (StreamId::Account(role, account), Event::Account(event)) => {
            let to_accounts = of_account(truth, record, *role, account, event).into_iter();
            to_accounts.map(|(to, command)| (to, Command::Account(command))).collect()
        }
        (StreamId::Desk, Event::Desk(desk::Event::Stopped(stopped))) => {
            let stop = Command::Account(account::Command::Stop { degree: stopped.degree, stop: stopped.stop });
            let slaves = holding(truth).map(|(_, account)| (StreamId::slave(&account.id), stop.clone()));
            slaves.chain(trading::of(truth, record, id)).collect()
        }
        _ => trading::of(truth, record, id),
    };
    let number = |(index, (to, command))| Reaction {
        through: Reacted { cause: record.position, index: index as u32 + 1 },
        correlation: record.correlation,
        to,
        command,
    };
    wanted.into_iter().enumerate().map(number).collect()
}

/// Slaves that have copies, which STOP concerns.
fn holding(truth: &Truth) -> impl Iterator<Item = (&Slot, &Account)> {
    let holds = |account: &Account| account.slave_book.as_ref().is_some_and(|book| !book.copies.is_empty());
    truth.accounts().filter(move |(_, account)| account.role == Role::Slave && holds(account))
}

/// STOP, by the name that it has in the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pressed {
    pub degree: StopDegree,
    pub stop: Uuid,
}

/// The orders of a STOP for each slave, worked out beside the log while that cannot be written. They follow from the same decision
/// that the log takes later, so that each has the id that it will have there; it has no number, since only the log gives one.
/// `before` are those that were worked out in this way already.
pub fn stop_orders(truth: &Truth, before: &[Pressed], pressed: Pressed, now: Timestamp) -> Vec<(StreamId, Vec<Order>)> {
    let unopened = desk::Desk::default();
    let seen = truth.seen(Times { now, received_at: now, sent_at: now }, &unopened);
    let mut all = Vec::new();
    for (slot, account) in holding(truth).filter(|(_, account)| !truth.is_quarantined(&account.stream())) {
        let at = Stamp { position: truth.position(), version: slot.version, received_at: now, recorded_at: now };
        let mut account = account.clone();
        for earlier in before {
            let Decision { events, .. } = account.stop(earlier.degree, earlier.stop, &seen);
            events.iter().for_each(|event| account.evolve(event, &at));
        }
        let due = account.stop(pressed.degree, pressed.stop, &seen).effects.into_iter();
        let orders: Vec<Order> = due.filter_map(unnumbered).collect();
        if !orders.is_empty() {
            all.push((account.stream(), orders));
        }
    }
    all
}

fn unnumbered(effect: Effect) -> Option<Order> {
    match effect {
        Effect::OrderDue { order, .. } => Some(Order { seq: 0, ..*order }),
        _ => None,
    }
}

fn of_account(
    truth: &Truth,
    record: &Record,
    role: Role,
    account: &AccountId,
    event: &account::Event,
) -> Vec<(StreamId, account::Command)> {
    let to_slaves = |command: account::Command| {
        truth.slaves_of(account).map(|slave| (StreamId::slave(slave), command.clone())).collect()
    };
    match (role, event) {
        (Role::Master, account::Event::StatusChanged(change)) => {
            let note = MasterNote { master: account.clone(), status: change.new, warnings: change.warnings };
            to_slaves(account::Command::NoteMaster(note))
        }
        (Role::Master, account::Event::SignalTaken(taken)) => {
            if truth.slaves_of(account).next().is_none() {
                return Vec::new();
            }
            to_slaves(account::Command::Copy(Arc::new([note_of(truth, record, account, taken)])))
        }
        (Role::Master, account::Event::GroupRemoved(removed)) => {
            let known = truth.account(&StreamId::master(account)).and_then(|known| known.settings.as_ref());
            let settings = known.map(|settings| Box::new(settings.copy.clone()));
            let (master, group) = (account.clone(), removed.settings.clone());
            to_slaves(account::Command::NoteGroupRemoved { master, group, settings })
        }
        (Role::Slave, account::Event::LinkAdded(link)) => {
            vec![(StreamId::slave(account), account::Command::NoteMaster(status_of(truth, &link.master)))]
        }
        (Role::Slave, account::Event::SyncWanted(wanted)) => match open_trades(truth, record, &wanted.master) {
            notes if notes.is_empty() => Vec::new(),
            notes => vec![(StreamId::slave(account), account::Command::Copy(notes.into()))],
        },
        _ => Vec::new(),
    }
}

fn status_of(truth: &Truth, master: &AccountId) -> MasterNote {
    let new = || Account::new(Role::Master, master.clone());
    let evaluated = truth.account(&StreamId::master(master)).map_or_else(|| new().evaluate(), Account::evaluate);
    MasterNote { master: master.clone(), status: evaluated.status, warnings: evaluated.warnings }
}

/// What slaves are told of a change: all that their decision needs of the master's side.
fn note_of(truth: &Truth, record: &Record, master: &AccountId, taken: &account::SignalTaken) -> SignalNote {
    let known = truth.account(&StreamId::master(master));
    let trade = known.and_then(|known| known.master_book.as_ref()?.trades.get(&taken.change.ticket()));
    let before = taken.before.as_deref();
    let (master_lots, master_left) = match (trade, before) {
        (Some(trade), _) => (trade.lots, trade.trade.lots),
        (None, before) => (before.map_or(Lots::ZERO, |before| before.lots), Lots::ZERO),
    };
    let symbol = match &taken.change {
        Change::Open(trade) => Some(&trade.symbol),
        Change::Modify { .. } | Change::Close { .. } => before.map(|before| &before.symbol),
    };
    // By the terminal's own clock: how long it took to send what it saw.
    let sending = taken.seen_at.map_or(Span(0), |seen| record.occurred_at.since(seen).max(Span(0)));
    SignalNote {
        master: master.clone(),
        signal: record.position,
        cause: cause(truth, record),
        index: 0,
        origin: taken.origin,
        change: taken.change.clone(),
        before: before.cloned(),
        master_lots,
        master_left,
        received_at: record.received_at,
        age_at_receipt: sending,
        stamps: Stamps {
            broker: taken.broker_at,
            seen: taken.seen_at,
            received: Some(record.received_at),
            decided: None,
        },
        group: known.and_then(|known| known.group.as_ref()).map(|group| group.settings.clone()),
        settings: known.and_then(|known| known.settings.as_ref()).map(|settings| Box::new(settings.copy.clone())),
        side: side_of(known, taken.change.ticket(), symbol),
    }
}

/// A master's open trades, as a slave is told of them when both are connected for the first time. The orders of each have ids of
/// their own.
fn open_trades(truth: &Truth, record: &Record, master: &AccountId) -> Vec<SignalNote> {
    let known = truth.account(&StreamId::master(master));
    let Some(book) = known.and_then(|known| known.master_book.as_ref()) else { return Vec::new() };
    let note = |(number, held): (usize, &account::MasterTrade)| {
        let taken = account::SignalTaken {
            signal_seq: 0,
            origin: Origin::Sync,
            change: Change::Open(held.trade.clone()),
            before: None,
            broker_at: None,
            seen_at: None,
        };
        SignalNote { index: number as u32 * ORDERS_A_TRADE_MAX, ..note_of(truth, record, master, &taken) }
    };
    book.trades.values().enumerate().map(note).collect()
}

/// No change of one trade makes more orders than this.
const ORDERS_A_TRADE_MAX: u32 = 1_000;

fn side_of(known: Option<&Account>, ticket: Ticket, symbol: Option<&Symbol>) -> MasterSide {
    let Some(known) = known else { return MasterSide::default() };
    let identity = known.identity.as_deref();
    let trades = known.master_book.iter().flat_map(|book| &book.trades);
    let others = trades.filter(|(other, held)| **other != ticket && Some(&held.trade.symbol) == symbol).count();
    MasterSide {
        funds: known.figures.as_deref().map(Figures::funds),
        contract: symbol.and_then(|symbol| identity?.contracts.get(symbol).cloned()),
        holding: identity.map(|identity| identity.holding).unwrap_or_default(),
        affixes: identity.map(|identity| identity.affixes.clone()).unwrap_or_default(),
        currency: identity.map(|identity| identity.currency.clone()).unwrap_or_default(),
        others_in_symbol: others as u32,
    }
}

fn cause(truth: &Truth, record: &Record) -> uuid::Uuid {
    truth.desk_id().map_or(uuid::Uuid::nil(), |desk| EventId::derive(desk, record.position, record.recorded_at).0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::account::{Command, Event as Fact, LinkAdded, StatusChanged};
    use crate::envelope::Record;
    use crate::reason::{RuntimeStatus, Warning, Warnings};
    use crate::sample::log::Log;
    use crate::sample::{self, account_id};

    /// Three slaves follow A_1, one of them under a name that begins alike; one more follows another master.
    fn log() -> Log {
        let mut log = Log::new();
        for (slave, master) in [("B_3", "A_1"), ("B_1", "A_1"), ("A_12", "A_1"), ("B_2", "A_12")] {
            let slave = StreamId::slave(&account_id(slave));
            log.account(&slave, Command::Link { master: account_id(master), enabled: true, settings: Box::default() })
                .unwrap();
        }
        log.account(&StreamId::master(&account_id("A_1")), Command::Register(Box::new(sample::registered()))).unwrap();
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
            command: super::Command::Account(Command::NoteMaster(note.clone())),
        });
        assert_eq!(caused(&log(), "master/A_1", Fact::StatusChanged(change)), expected.collect::<Vec<_>>());
    }

    #[test]
    fn a_new_link_tells_its_slave_what_the_master_shows() {
        for master in ["A_1", "NEVER_SEEN"] {
            let link = LinkAdded { master: account_id(master), enabled: true, settings: Box::default() };
            let found = caused(&log(), "slave/B_2", Fact::LinkAdded(link));
            let warnings = [Warning::MasterWebUiDisabled, Warning::MasterOffline].into_iter().collect();
            let note = MasterNote { master: account_id(master), status: RuntimeStatus::Disabled, warnings };
            let [only] = found.as_slice() else { panic!("{found:?}") };
            assert_eq!((&only.to, only.through.index), (&StreamId::slave(&account_id("B_2")), 1));
            assert_eq!(only.command, super::Command::Account(Command::NoteMaster(note)));
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
        for (stream, causes) in [
            ("master/A_1", ["status_changed", "signal_taken", "group_removed"].as_slice()),
            ("slave/A_12", &["link_added", "sync_wanted"]),
        ] {
            for event in sample::account_events() {
                let name = event.kind().name;
                if !causes.contains(&name) {
                    assert_eq!(caused(&log, stream, event), [], "{name}");
                }
            }
        }
        for event in sample::desk_events().into_iter().map(Event::Desk) {
            let found = reactions(&log.fold.truth, &sample::record(900, 0, 9, event.clone()));
            assert_eq!(found, [], "nobody holds a copy that STOP could reach: {event:?}");
            let nameless = reactions(&log.fold.truth, &sample::record(900, 77, 9, event));
            assert_eq!(nameless, [], "a stream without a name");
        }
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
        assert_eq!(rest.len(), 9, "each slave notes it, and changes its own warnings and its link's");
        assert!(rest.iter().all(|record| record.causation == Some(cause.position)));
        assert!(rest.iter().all(|record| record.correlation == cause.correlation));
    }
}
