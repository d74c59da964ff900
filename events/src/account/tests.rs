//! Accounts from the outside: what they are told, and what they make of it.
//!
//! [`Case`] is one account with a clock; [`scene`] plays texts through a whole log, with all its reactions.

mod any_order;
mod any_trading;
mod copies;
mod copying;
mod emergency;
mod identity;
mod limits;
mod links;
mod results;
mod scene;
mod signals;
mod snapshots;
mod status;
mod stop;

use super::status::{Evaluation, Inputs};
use super::*;
use crate::copy::StopDegree;
use crate::copy::settings::{Overrides, WindDown};
use crate::desk::Settings;
use crate::id::{AccountId, Position, Role, StreamId, Version};
use crate::react::Effect;
use crate::reason::{RuntimeStatus, Warning, Warnings};
use crate::sample::{START, account_id, heartbeat, registered};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use crate::trade::Ticket;

/// An account with a clock: commands are decided and what follows is remembered.
#[derive(Clone)]
struct Case {
    account: Account,
    settings: Settings,
    copy_defaults: Overrides,
    stopped: Option<StopDegree>,
    locked: bool,
    now: Timestamp,
    /// How far the terminal's clock is behind.
    sent_off: Span,
    listening_since: Timestamp,
    version: Version,
}

type Done = (Vec<Event>, Vec<Effect>);

impl Case {
    fn new(role: Role) -> Self {
        Case {
            account: Account::new(role, account_id("A_12")),
            settings: Settings::default(),
            copy_defaults: Overrides::default(),
            stopped: None,
            locked: false,
            now: START,
            sent_off: Span(0),
            listening_since: START,
            version: Version(0),
        }
    }

    fn online(role: Role) -> Self {
        let mut case = Case::new(role);
        case.does(Command::Register(Box::new(registered()))).unwrap();
        case.does(Command::Heartbeat(heartbeat(true))).unwrap();
        case
    }

    fn does(&mut self, command: Command) -> Result<Done, Refusal> {
        self.does_late(command, self.now)
    }

    /// With a message that came in before now.
    fn does_late(&mut self, command: Command, received_at: Timestamp) -> Result<Done, Refusal> {
        let Case { settings, locked, now, listening_since, .. } = &*self;
        let (locked, now, listening_since) = (*locked, *now, *listening_since);
        let (sent_at, copy_defaults, stopped) = (received_at - self.sent_off, &self.copy_defaults, self.stopped);
        let endpoints = crate::endpoint::Directory::EMPTY;
        let seen =
            Seen { now, received_at, sent_at, listening_since, settings, locked, copy_defaults, stopped, endpoints };
        let decided = self.account.decide(command, &seen)?;
        for event in &decided.events {
            self.version = self.version.next();
            let (position, version) = (Position(self.version.0), self.version);
            self.account.evolve(event, &Stamp { position, version, received_at, recorded_at: now });
        }
        Ok((decided.events, decided.effects))
    }

    fn passes(&mut self, seconds: i64) {
        self.now = self.now + Span::seconds(seconds);
    }

    fn shows(&self) -> String {
        shown(Evaluation { status: self.account.status, warnings: self.account.warnings })
    }

    fn refuses(&mut self, command: Command) -> Refusal {
        let before = self.account.clone();
        let refusal = self.does(command).unwrap_err();
        assert_eq!(self.account, before, "a refusal changed something");
        refusal
    }
}

/// `2` or `0 master_offline …`
fn shown(evaluation: Evaluation) -> String {
    let mut words = vec![evaluation.status.code().to_string()];
    words.extend(evaluation.warnings.codes().into_iter().map(String::from));
    words.join(" ")
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind().name).collect()
}

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once('|')).map(|(given, then)| (given.trim(), then.trim()))
}

/// The account that a row describes, in every order in which it can come about.
fn given(role: Role, row: &str) -> Vec<Case> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let &[intent, link, allowed] = words.as_slice() else { panic!("a row is intent, link, allowed: {row}") };
    let (enabled, allowed) = (intent == "on", allowed == "yes");
    let switch = Command::SetIntent { enabled };
    (0..3)
        .map(|when| {
            let mut case = Case::new(role);
            let mut does = |at: usize, command: Command| {
                case.does(command).unwrap();
                if at == when {
                    case.does(switch.clone()).unwrap();
                }
            };
            does(0, Command::Register(Box::new(Registered { trade_allowed: allowed, ..registered() })));
            if link != "registered" {
                does(1, Command::Heartbeat(heartbeat(allowed)));
            }
            if link == "lost" {
                case.passes(30);
                case.does(Command::CheckSilence).unwrap();
            }
            case.does(switch.clone()).unwrap();
            case
        })
        .collect()
}

fn note(master: &str, case: &Case) -> Command {
    let Account { status, warnings, .. } = case.account;
    Command::NoteMaster(MasterNote { master: account_id(master), status, warnings })
}

fn follow(slave: &mut Case, master: &str, case: &Case) {
    slave.does(Command::Link { master: account_id(master), enabled: true, settings: Box::default() }).unwrap();
    slave.does(note(master, case)).unwrap();
}

fn link(master: &str) -> Command {
    Command::Link { master: account_id(master), enabled: true, settings: Box::default() }
}
fn unlink(master: &str) -> Command {
    Command::Unlink { master: account_id(master), wind_down: None, expected: None }
}

#[test]
fn every_refusal_says_its_code_its_kind_and_its_field() {
    use crate::answer::Status::*;
    let id = || account_id("M_1");
    let mismatch = Refusal::IdentityMismatch { known: "a".into(), claimed: "b".into() };
    let invalid = crate::copy::Invalid { field: "settings.volume.fixed".into(), why: "is zero".into() };
    let order = crate::sample::trade::order_id(1);
    for (refusal, code, status, field) in [
        (Refusal::AccountUnknown, "account_unknown", NotFound, None),
        (mismatch, "account_identity_mismatch", Conflict, None),
        (Refusal::TextInvalid { field: "name" }, "text_invalid", Invalid, Some("name")),
        (Refusal::SymbolsTooMany(5), "symbols_too_many", Invalid, Some("contracts")),
        (Refusal::ContractInvalid { symbol: "X".into(), why: "y" }, "contract_invalid", Invalid, Some("contracts")),
        (Refusal::DeskLocked, "desk_locked", Conflict, None),
        (Refusal::NotAMaster, "not_a_master", Conflict, None),
        (Refusal::GroupKnown, "group_known", Conflict, None),
        (Refusal::GroupUnknown, "group_unknown", NotFound, None),
        (Refusal::NotASlave, "not_a_slave", Conflict, None),
        (Refusal::LinkToItself, "link_to_itself", Invalid, Some("slave_account")),
        (Refusal::LinkCircular("A → B".into()), "link_circular", Conflict, Some("slave_account")),
        (Refusal::LinkKnown(id()), "link_known", Conflict, None),
        (Refusal::LinkUnknown(id()), "link_unknown", NotFound, None),
        (Refusal::LinksFull(64), "links_full", Conflict, None),
        (Refusal::LinkStale { seen: Version(1), found: Version(2) }, "revision_stale", Stale, None),
        (Refusal::SettingInvalid(invalid), "setting_invalid", Invalid, Some("settings.volume.fixed")),
        (Refusal::SignalGap { got: 3, expected: 1 }, "signal_gap", Conflict, Some("signal_seq")),
        (Refusal::SignalOld { got: 1, expected: 3 }, "signal_old", Conflict, Some("signal_seq")),
        (Refusal::TicketKnown(Ticket(1)), "ticket_known", Conflict, Some("ticket")),
        (Refusal::TicketUnknown(Ticket(1)), "ticket_unknown", Conflict, Some("ticket")),
        (Refusal::SignalInvalid { field: "lots", why: "x" }, "signal_invalid", Invalid, Some("lots")),
        (Refusal::TradesFull(5), "trades_full", Conflict, None),
        (Refusal::SnapshotStale { got: 1, expected: 2 }, "snapshot_stale", Conflict, Some("through_signal_seq")),
        (Refusal::SnapshotDoubled(Ticket(1)), "snapshot_doubled", Invalid, Some("trades")),
        (Refusal::OrderUnknown(order), "order_unknown", NotFound, Some("order")),
        (Refusal::OrderAnsweredAlready { order }, "order_answered", Conflict, Some("outcome")),
        (Refusal::NothingToRearm, "nothing_to_rearm", Conflict, None),
        (Refusal::RearmRefused(protection::RearmRefusal::NoDay), "no_trading_day", Conflict, Some("limits")),
    ] {
        let denial = refusal.denial();
        assert_eq!((denial.code.as_str(), denial.status, denial.field.as_deref()), (code, status, field));
        assert_eq!(denial.detail, refusal.to_string());
    }
}

/// A record that cannot follow stops the fold: each of these would need a state that the account is not in.
#[test]
fn an_unbelievable_record_stops_the_fold() {
    let stamp = Stamp { position: Position(9), version: Version(9), received_at: START, recorded_at: START };
    let online = Case::online(Role::Slave).account;
    let mut linked = Case::online(Role::Slave);
    linked.does(link("M_1")).unwrap();
    let master = || account_id("M_1");
    let (status, warnings) = (RuntimeStatus::Connected, Warnings::NONE);
    let never = Account::new(Role::Slave, account_id("A_12"));
    for (account, event) in [
        (&online, Event::Connected(Connected {})),
        (&never, Event::Disconnected(Disconnected { last_heartbeat_at: START })),
        (&online, Event::StatusChanged(StatusChanged { old: status, new: status, warnings })),
        (&linked.account, Event::LinkAdded(LinkAdded { master: master(), enabled: true, settings: Box::default() })),
        (&online, Event::LinkRemoved(LinkRemoved { master: master(), wind_down: WindDown::Keep })),
        (&online, Event::MasterNoted(MasterNoted { master: master(), status, warnings })),
    ] {
        let mut account: Account = account.clone();
        let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| account.evolve(&event, &stamp)));
        assert!(folded.is_err(), "{event:?} was believed");
    }
}
