//! What can be wanted of a venue's gateway, what the venue reports, and why something may be refused.

use super::book::Owner;
use super::event::Orphaned;
use super::settings::{Bounds, Settings};
use super::word::{Category, ClientOrderId, Execution, Intent};
use crate::answer::{Denial, Status};
use crate::id::{MarketId, Principal, StrategyId, VenueId};
use crate::market::{Cash, Instrument, Price, Size};
use crate::reason::Reason;
use crate::time::Timestamp;
use crate::trade::Side;
use serde::{Deserialize, Serialize};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Open(Box<Settings>),
    /// All of them, as they are to be.
    Change(Box<Settings>),
    ListMarket {
        market: MarketId,
        instrument: Box<Instrument>,
    },
    SetSession {
        market: MarketId,
        open: bool,
    },
    Bind {
        strategy: StrategyId,
        bounds: Box<Bounds>,
    },
    Unbind {
        strategy: StrategyId,
    },
    /// A strategy wants an order. The same id again is the same order.
    Submit {
        order: ClientOrderId,
        intent: Box<Intent>,
    },
    /// All that one decision wants, in its order: each sees what the one before did. What cannot be is passed over.
    Several(Vec<Command>),
    /// `by`: the strategy that asks; None for a person or the desk.
    Cancel {
        order: ClientOrderId,
        by: Option<StrategyId>,
    },
    CancelAll {
        strategy: Option<StrategyId>,
        market: Option<MarketId>,
        by: Option<StrategyId>,
    },
    Amend {
        order: ClientOrderId,
        price: Price,
        size: Size,
        by: Option<StrategyId>,
    },
    Report(Box<Report>),
    /// What the venue says that there is.
    Reconcile(Box<Listing>),
    TakeAccount {
        equity: Cash,
        margin_free: Option<Cash>,
    },
    /// The guard was written to.
    AcknowledgeControl,
    Link {
        up: bool,
        why: Box<str>,
    },
    Orphan {
        strategy: StrategyId,
        why: Orphaned,
    },
    Adopt {
        strategy: StrategyId,
    },
    /// The guardian looks around.
    Watch,
    ClearHalt {
        reason: Reason,
        by: Principal,
    },
    Adjust {
        market: MarketId,
        owner: Owner,
        size: Size,
        reason: Reason,
        by: Principal,
    },
}

/// What a venue says, in reply or by itself.
#[derive(Debug, Clone, PartialEq)]
pub enum Report {
    Accepted {
        order: ClientOrderId,
        venue_order: Option<Box<str>>,
    },
    Rejected {
        order: ClientOrderId,
        category: Category,
        detail: Box<str>,
    },
    /// No reply came in time.
    TimedOut {
        order: ClientOrderId,
    },
    /// A trade of ours, `order` where the venue names one of ours.
    Filled {
        order: Option<ClientOrderId>,
        market: MarketId,
        execution: Execution,
    },
    /// How much of it is filled in all, without the trades.
    Told {
        order: ClientOrderId,
        filled: Size,
    },
    Cancelled {
        order: ClientOrderId,
    },
    Expired {
        order: ClientOrderId,
    },
    CancelRejected {
        order: ClientOrderId,
        category: Category,
        detail: Box<str>,
    },
    Amended {
        order: ClientOrderId,
        price: Price,
        size: Size,
    },
    AmendRejected {
        order: ClientOrderId,
        category: Category,
        detail: Box<str>,
    },
    /// The venue was asked and does not know it.
    NotThere {
        order: ClientOrderId,
        asked_at: Timestamp,
    },
    DeadManArmed {
        until: Timestamp,
    },
    DeadManFailed {
        why: Box<str>,
    },
}

/// What a venue says that there is, where it was asked. None: it was not asked, or did not answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Listing {
    /// When it was asked, by our clock: what changed since is not in it.
    pub asked_at: Timestamp,
    pub orders: Option<Vec<ListedOrder>>,
    pub positions: Option<Vec<ListedPosition>>,
    /// Those that may have been missed.
    pub fills: Vec<Listed<Execution>>,
}

/// Something in a market, with the name that we gave its order where it has one.
#[derive(Debug, Clone, PartialEq)]
pub struct Listed<T> {
    pub order: Option<ClientOrderId>,
    pub market: MarketId,
    pub what: T,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedOrder {
    pub order: Option<ClientOrderId>,
    pub venue_order: Box<str>,
    pub market: MarketId,
    pub side: Side,
    pub price: Option<Price>,
    pub size: Size,
    pub filled: Size,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedPosition {
    pub market: MarketId,
    /// Below zero for what is short; a zero is said, and not the same as nothing said.
    pub size: Size,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no venue {0}; open it first")]
    VenueUnknown(VenueId),
    #[error("venue {0} is open already")]
    VenueKnown(VenueId),
    #[error("`{field}`: {why}")]
    SettingInvalid { field: &'static str, why: String },
    #[error("a taker says where its trades are given up, or it cannot be registered")]
    LossExitMissing,
    #[error("market {0} is not at this venue, or not listed")]
    MarketUnknown(MarketId),
    #[error("strategy {0} is not bound to this venue")]
    StrategyUnknown(StrategyId),
    #[error("there is no order {0}, or it was over long ago")]
    OrderUnknown(ClientOrderId),
    #[error("order {order} is of strategy {owner}, and {by} cannot touch it")]
    NotOwner { order: ClientOrderId, owner: StrategyId, by: StrategyId },
    #[error("order {0} is over, or being cancelled or amended")]
    NotAmendable(ClientOrderId),
    #[error("an amended order has a price on a tick and is not larger than it was: {0}")]
    AmendInvalid(&'static str),
    #[error("the amendment does not pass: {check}, {observed}")]
    AmendRefused { check: &'static str, observed: String },
    #[error("fill `{0}` has no name, no size or is of another venue; it is not counted")]
    FillInvalid(Box<str>),
    #[error("no risk halt is in force")]
    NotHalted,
    #[error("the desk is locked: nothing can be switched on; unlock it first")]
    DeskLocked,
    #[error("a venue has at most {0} of these; remove one first")]
    Full(usize),
    #[error("what is held of {0} is not such that it can be adjusted so; read it and say again")]
    NothingToAdjust(MarketId),
}

impl Refusal {
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::VenueUnknown(_) => "venue_unknown",
            Refusal::VenueKnown(_) => "venue_known",
            Refusal::SettingInvalid { .. } => "setting_invalid",
            Refusal::LossExitMissing => "loss_exit_missing",
            Refusal::MarketUnknown(_) => "market_unknown",
            Refusal::StrategyUnknown(_) => "strategy_unknown",
            Refusal::OrderUnknown(_) => "order_unknown",
            Refusal::NotOwner { .. } => "not_owner",
            Refusal::NotAmendable(_) => "not_amendable",
            Refusal::AmendInvalid(_) => "amend_invalid",
            Refusal::AmendRefused { .. } => "amend_refused",
            Refusal::FillInvalid(_) => "fill_invalid",
            Refusal::NotHalted => "not_halted",
            Refusal::DeskLocked => "desk_locked",
            Refusal::Full(_) => "full",
            Refusal::NothingToAdjust(_) => "nothing_to_adjust",
        }
    }

    pub fn denial(&self) -> Denial {
        let (status, field) = match self {
            Refusal::VenueUnknown(_) | Refusal::OrderUnknown(_) => (Status::NotFound, None),
            Refusal::MarketUnknown(_) => (Status::NotFound, Some("market")),
            Refusal::StrategyUnknown(_) => (Status::NotFound, Some("strategy")),
            Refusal::SettingInvalid { field, .. } => (Status::Invalid, Some(*field)),
            Refusal::LossExitMissing => (Status::Invalid, Some("loss_exit")),
            Refusal::AmendInvalid(_) | Refusal::FillInvalid(_) => (Status::Invalid, None),
            Refusal::NotOwner { .. } => (Status::Forbidden, None),
            Refusal::VenueKnown(_)
            | Refusal::NotAmendable(_)
            | Refusal::AmendRefused { .. }
            | Refusal::NotHalted
            | Refusal::DeskLocked
            | Refusal::Full(_)
            | Refusal::NothingToAdjust(_) => (Status::Conflict, None),
        };
        Denial { code: self.code().into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
