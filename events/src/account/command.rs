//! What can be wanted of an account, and why it may be refused.

use super::event::{HeartbeatSeen, QuoteSeen, Registered, StateHash};
use super::protection::{Rearm, RearmRefusal};
use super::settings::AccountSettings;
use crate::answer::{Denial, Status};
use crate::copy::settings::{Invalid, Overrides, WindDown};
use crate::copy::stop::StopDegree;
use crate::copy::{Funds, MasterFacts, Origin};
use crate::id::{AccountId, Position, Version};
use crate::reason::{RuntimeStatus, Warnings};
use crate::time::Timestamp;
use crate::trade::hash::state_hash;
use crate::trade::{Affixes, Change, Contract, Holding, OrderId, OrderResult, Stamps, Ticket, Trade};
use std::sync::Arc;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Register(Box<Registered>),
    Heartbeat(HeartbeatSeen),
    Unregister,
    SetIntent {
        enabled: bool,
    },
    /// Somebody uses a registration that a later one replaced.
    NoteStaleEpoch,
    CreateGroup {
        name: String,
        settings: Box<Overrides>,
        enabled: bool,
    },
    /// The switch stays where it is unless it is said.
    ChangeGroup {
        name: String,
        settings: Box<Overrides>,
        enabled: Option<bool>,
    },
    RemoveGroup,
    ChangeSettings(Box<AccountSettings>),
    Link {
        master: AccountId,
        enabled: bool,
        settings: Box<Overrides>,
    },
    SwitchLink {
        master: AccountId,
        enabled: bool,
        expected: Option<Version>,
    },
    /// The switch stays where it is unless it is said.
    ChangeLink {
        master: AccountId,
        settings: Box<Overrides>,
        enabled: Option<bool>,
        expected: Option<Version>,
    },
    Unlink {
        master: AccountId,
        /// None: as the settings say.
        wind_down: Option<WindDown>,
        expected: Option<Version>,
    },
    /// A master's terminal says what happened to a trade.
    Signal(Box<Signal>),
    /// A terminal tells all its positions.
    Snapshot(Box<Snapshot>),
    /// A slave's terminal says what became of an order. The desk knows when the order was durable and when it was sent.
    Result {
        result: Box<OrderResult>,
        durable_at: Option<Timestamp>,
        sent_at: Option<Timestamp>,
    },
    /// A slave's terminal says how far it has come: the highest number of an order that it knows, or up to which all are done.
    Ack {
        order_seq: u64,
    },
    /// A person arms limits again, or says what they are measured from.
    Rearm(Box<Rearm>),
    /// A terminal says what a symbol costs.
    Quote(QuoteSeen),
    /// The desk's timer asks whether the silence is too long.
    CheckSilence,
    /// The desk tells a slave what became of its master.
    NoteMaster(MasterNote),
    /// The desk tells a slave what its master did; or what it had open, when they were connected for the first time.
    Copy(Arc<[SignalNote]>),
    /// The master's group is gone; what it and the master's account had set.
    NoteGroupRemoved {
        master: AccountId,
        group: Box<Overrides>,
        settings: Option<Box<Overrides>>,
    },
    /// Somebody pressed STOP.
    Stop {
        degree: StopDegree,
        stop: Uuid,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterNote {
    pub master: AccountId,
    pub status: RuntimeStatus,
    pub warnings: Warnings,
}

/// A change of a trade, as the master's terminal sends it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signal {
    pub signal_seq: u64,
    pub change: Change,
    pub broker_at: Option<Timestamp>,
    pub seen_at: Option<Timestamp>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    pub trades: Vec<SnapshotTrade>,
    pub through_signal_seq: u64,
}

impl Snapshot {
    pub fn hash(&self) -> StateHash {
        state_hash(self.trades.iter().map(|shown| &shown.trade))
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotTrade {
    pub trade: Trade,
    /// For a slave: the order that opened it, as far as the terminal knows.
    pub order: Option<OrderId>,
}

/// What a slave is told of one change at its master: all that the decision needs of the master's side.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalNote {
    pub master: AccountId,
    pub signal: Position,
    /// Id of the event; the orders' ids are made from it.
    pub cause: Uuid,
    /// Of the first order: so that several notes of one cause have orders of their own.
    pub index: u32,
    pub origin: Origin,
    pub change: Change,
    pub before: Option<Trade>,
    /// What the master ever had in this trade after the change, and what it has left.
    pub master_lots: crate::money::Lots,
    pub master_left: crate::money::Lots,
    pub received_at: Timestamp,
    /// How old the change was when it was received, by the terminal's own clock.
    pub age_at_receipt: crate::time::Span,
    pub stamps: Stamps,
    pub group: Option<Box<Overrides>>,
    pub settings: Option<Box<Overrides>>,
    pub side: MasterSide,
}

/// The master's account, as far as its slaves' volumes and names depend on it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct MasterSide {
    pub funds: Option<Funds>,
    pub currency: String,
    pub affixes: Affixes,
    pub holding: Holding,
    /// Of the trade's symbol.
    pub contract: Option<Contract>,
    pub others_in_symbol: u32,
}

impl MasterSide {
    pub fn facts(&self) -> MasterFacts<'_> {
        MasterFacts {
            funds: self.funds,
            currency: &self.currency,
            affixes: &self.affixes,
            holding: self.holding,
            contract: self.contract.as_ref(),
            others_in_symbol: self.others_in_symbol,
        }
    }
}

impl SignalNote {
    pub fn ticket(&self) -> Ticket {
        self.change.ticket()
    }
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no terminal has registered this account yet; start its terminal, or check the name")]
    AccountUnknown,
    #[error(
        "the account belongs to {known}, this terminal reports {claimed}; remove the account first if it has moved"
    )]
    IdentityMismatch { known: String, claimed: String },
    #[error("`{field}` is longer than 100 characters or has control characters")]
    TextInvalid { field: &'static str },
    #[error("at most {0} symbols can be told")]
    SymbolsTooMany(usize),
    #[error("the contract of {symbol} makes no sense: {why}")]
    ContractInvalid { symbol: String, why: &'static str },
    #[error("the desk is locked; nothing can be switched on until it is unlocked")]
    DeskLocked,
    #[error("only a master has a trade group")]
    NotAMaster,
    #[error("the master has a trade group already")]
    GroupKnown,
    #[error("the master has no trade group; create one first")]
    GroupUnknown,
    #[error("only a slave follows masters")]
    NotASlave,
    #[error("an account cannot follow itself")]
    LinkToItself,
    #[error("{0}: an account would copy its own trades in a circle; remove one of these links first")]
    LinkCircular(String),
    #[error("the slave follows {0} already")]
    LinkKnown(AccountId),
    #[error("the slave does not follow {0}")]
    LinkUnknown(AccountId),
    #[error("a slave follows at most {0} masters")]
    LinksFull(usize),
    #[error("the link was changed meanwhile: you saw version {seen}, it is at {found}; read it again")]
    LinkStale { seen: Version, found: Version },
    #[error("{}: {}", .0.field, .0.why)]
    SettingInvalid(Invalid),
    #[error("signal {got} is not the next one, which is {expected}; send the ones between first")]
    SignalGap { got: u64, expected: u64 },
    #[error("signal {got} was taken long ago; the next one is {expected}")]
    SignalOld { got: u64, expected: u64 },
    #[error("the master has a trade with ticket {0} already")]
    TicketKnown(Ticket),
    #[error("the master has no trade with ticket {0}; send a snapshot")]
    TicketUnknown(Ticket),
    #[error("`{field}`: {why}")]
    SignalInvalid { field: &'static str, why: &'static str },
    #[error("a master has at most {0} open trades")]
    TradesFull(usize),
    #[error("the snapshot reaches through signal {got}, the desk is at {expected}; send it again")]
    SnapshotStale { got: u64, expected: u64 },
    #[error("ticket {0} is in the snapshot twice")]
    SnapshotDoubled(Ticket),
    #[error("no order {0} was given to this account, or its result came long ago")]
    OrderUnknown(OrderId),
    #[error("order {order} was answered with another result already")]
    OrderAnsweredAlready { order: OrderId },
    #[error("no limits are set for this account")]
    NothingToRearm,
    #[error(transparent)]
    RearmRefused(RearmRefusal),
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::AccountUnknown => ("account_unknown", Status::NotFound, None),
            Refusal::IdentityMismatch { .. } => ("account_identity_mismatch", Status::Conflict, None),
            Refusal::TextInvalid { field } => ("text_invalid", Status::Invalid, Some(*field)),
            Refusal::SymbolsTooMany(_) => ("symbols_too_many", Status::Invalid, Some("contracts")),
            Refusal::ContractInvalid { .. } => ("contract_invalid", Status::Invalid, Some("contracts")),
            Refusal::DeskLocked => ("desk_locked", Status::Conflict, None),
            Refusal::NotAMaster => ("not_a_master", Status::Conflict, None),
            Refusal::GroupKnown => ("group_known", Status::Conflict, None),
            Refusal::GroupUnknown => ("group_unknown", Status::NotFound, None),
            Refusal::NotASlave => ("not_a_slave", Status::Conflict, None),
            Refusal::LinkToItself => ("link_to_itself", Status::Invalid, Some("slave_account")),
            Refusal::LinkCircular(_) => ("link_circular", Status::Conflict, Some("slave_account")),
            Refusal::LinkKnown(_) => ("link_known", Status::Conflict, None),
            Refusal::LinkUnknown(_) => ("link_unknown", Status::NotFound, None),
            Refusal::LinksFull(_) => ("links_full", Status::Conflict, None),
            Refusal::LinkStale { .. } => ("revision_stale", Status::Stale, None),
            Refusal::SettingInvalid(invalid) => ("setting_invalid", Status::Invalid, Some(invalid.field.as_str())),
            Refusal::SignalGap { .. } => ("signal_gap", Status::Conflict, Some("signal_seq")),
            Refusal::SignalOld { .. } => ("signal_old", Status::Conflict, Some("signal_seq")),
            Refusal::TicketKnown(_) => ("ticket_known", Status::Conflict, Some("ticket")),
            Refusal::TicketUnknown(_) => ("ticket_unknown", Status::Conflict, Some("ticket")),
            Refusal::SignalInvalid { field, .. } => ("signal_invalid", Status::Invalid, Some(*field)),
            Refusal::TradesFull(_) => ("trades_full", Status::Conflict, None),
            Refusal::SnapshotStale { .. } => ("snapshot_stale", Status::Conflict, Some("through_signal_seq")),
            Refusal::SnapshotDoubled(_) => ("snapshot_doubled", Status::Invalid, Some("trades")),
            Refusal::OrderUnknown(_) => ("order_unknown", Status::NotFound, Some("order")),
            Refusal::OrderAnsweredAlready { .. } => ("order_answered", Status::Conflict, Some("outcome")),
            Refusal::RearmRefused(refusal) => (refusal.code(), Status::Conflict, Some("limits")),
            Refusal::NothingToRearm => ("nothing_to_rearm", Status::Conflict, None),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
