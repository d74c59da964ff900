//! What is asked of the paper venue, and what it tells.

use serde::{Deserialize, Serialize};
use tidehelm_events::market::{Cash, Price, Size};
use tidehelm_events::order::{Category, Execution, Liquidity, Terms};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Side;

/// Which of the venue's markets, in the order in which they were opened.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct MarketNo(pub u16);

impl MarketNo {
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What names an order: a client order id on the desk, a plain number in a backtest.
pub trait Name: Clone + Eq + std::hash::Hash + std::fmt::Debug {}
impl<T: Clone + Eq + std::hash::Hash + std::fmt::Debug> Name for T {}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request<Id> {
    Submit(Ticket<Id>),
    /// The size is the whole order's, with what is filled of it. It keeps its place in the queue if the price stays and the size does
    /// not grow.
    Amend {
        order: Id,
        price: Price,
        size: Size,
    },
    Cancel {
        order: Id,
    },
    CancelAll {
        market: Option<MarketNo>,
    },
    /// Cancels everything if it is not asked again within the time.
    Arm {
        within: Span,
    },
    Disarm,
    /// What became of an order: how one whose reply did not come is resolved.
    Look {
        order: Id,
    },
    /// Which orders are open.
    List,
}

/// An order as it is sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket<Id> {
    pub order: Id,
    pub market: MarketNo,
    pub terms: Terms,
    pub valid_until: Option<Timestamp>,
}

/// What a reply is to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    Submit,
    Amend,
    Cancel,
    CancelAll,
    Arm,
    Disarm,
    Look,
    List,
}

impl<Id> Request<Id> {
    pub fn asked(&self) -> Asked {
        match self {
            Request::Submit(_) => Asked::Submit,
            Request::Amend { .. } => Asked::Amend,
            Request::Cancel { .. } => Asked::Cancel,
            Request::CancelAll { .. } => Asked::CancelAll,
            Request::Arm { .. } => Asked::Arm,
            Request::Disarm => Asked::Disarm,
            Request::Look { .. } => Asked::Look,
            Request::List => Asked::List,
        }
    }
    /// The order that it is about, where it is about one.
    pub fn order(&self) -> Option<&Id> {
        match self {
            Request::Submit(ticket) => Some(&ticket.order),
            Request::Amend { order, .. } | Request::Cancel { order } | Request::Look { order } => Some(order),
            Request::CancelAll { .. } | Request::Arm { .. } | Request::Disarm | Request::List => None,
        }
    }
}

/// What the venue tells, with its own time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report<Id> {
    pub at: Timestamp,
    pub what: What<Id>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What<Id> {
    Accepted {
        order: Id,
    },
    Rejected {
        order: Id,
        why: Rejection,
    },
    Filled(Fill<Id>),
    Amended {
        order: Id,
        price: Price,
        /// The whole order's.
        size: Size,
        leaves: Size,
    },
    AmendRejected {
        order: Id,
        why: Rejection,
    },
    Cancelled {
        order: Id,
        leaves: Size,
        why: Ended,
    },
    CancelRejected {
        order: Id,
        why: Rejection,
    },
    AllCancelled {
        count: u32,
    },
    Armed {
        until: Timestamp,
    },
    Disarmed,
    ArmRejected {
        why: Rejection,
    },
    State {
        order: Id,
        state: State,
    },
    /// All of them.
    Listed {
        open: Vec<Id>,
    },
    /// No reply came in time. What was asked may have been done or not.
    TimedOut {
        order: Option<Id>,
        asked: Asked,
    },
    /// What longs pay to shorts fell due; below zero where we were paid.
    FundingPaid {
        market: MarketNo,
        amount: Cash,
    },
}

/// A trade of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fill<Id> {
    pub order: Id,
    pub market: MarketNo,
    /// 1, 2, 3… at this venue.
    pub number: u64,
    pub side: Side,
    pub price: Price,
    pub size: Size,
    /// What is still open of the order.
    pub leaves: Size,
    pub fee: Cash,
    pub liquidity: Liquidity,
    pub at: Timestamp,
}

impl<Id> Fill<Id> {
    /// As the position book takes it.
    pub fn execution(&self) -> Execution {
        Execution {
            id: format!("paper-{}", self.number).into_boxed_str(),
            side: self.side,
            price: self.price,
            size: self.size,
            fee: self.fee,
            liquidity: self.liquidity,
            at: self.at,
        }
    }
}

/// What an order is at the venue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    Open {
        leaves: Size,
        filled: Size,
    },
    Filled {
        filled: Size,
    },
    Cancelled {
        filled: Size,
        why: Ended,
    },
    /// Never taken, or over so long ago that it is forgotten.
    Unheard,
}

/// Why the venue took an order away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Asked,
    /// It was only good until then.
    Expired,
    /// Nobody said in time that he still lives.
    DeadMan,
    /// There was nothing left to reduce.
    NothingToReduce,
    /// It takes what is there, and no more was there.
    NoMoreThere,
}

impl Ended {
    pub fn code(self) -> &'static str {
        match self {
            Ended::Asked => "ASKED",
            Ended::Expired => "EXPIRED",
            Ended::DeadMan => "DEAD_MAN",
            Ended::NothingToReduce => "NOTHING_TO_REDUCE",
            Ended::NoMoreThere => "NO_MORE_THERE",
        }
    }
}

/// Why the venue says no. Tests hold the order in which it looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    RateLimited,
    /// Made up by the settings, to see what the desk makes of it.
    MadeUp(Category),
    MarketUnknown,
    Duplicate,
    TooManyOpen,
    SizeNotPositive,
    OffStep,
    BelowMinimum,
    AboveMaximum,
    PriceMissing,
    PriceNotPositive,
    OffTick,
    NoMarket,
    NothingToReduce,
    WouldTake,
    MarginShort,
    Outlived,
    OrderUnknown,
    /// Filled, cancelled or rejected before.
    OrderOver,
}

impl Rejection {
    pub fn code(self) -> &'static str {
        match self {
            Rejection::RateLimited => "RATE_LIMITED",
            Rejection::MadeUp(_) => "MADE_UP",
            Rejection::MarketUnknown => "MARKET_UNKNOWN",
            Rejection::Duplicate => "DUPLICATE",
            Rejection::TooManyOpen => "TOO_MANY_OPEN",
            Rejection::SizeNotPositive => "SIZE_NOT_POSITIVE",
            Rejection::OffStep => "OFF_STEP",
            Rejection::BelowMinimum => "BELOW_MINIMUM",
            Rejection::AboveMaximum => "ABOVE_MAXIMUM",
            Rejection::PriceMissing => "PRICE_MISSING",
            Rejection::PriceNotPositive => "PRICE_NOT_POSITIVE",
            Rejection::OffTick => "OFF_TICK",
            Rejection::NoMarket => "NO_MARKET",
            Rejection::NothingToReduce => "NOTHING_TO_REDUCE",
            Rejection::WouldTake => "WOULD_TAKE",
            Rejection::MarginShort => "MARGIN_SHORT",
            Rejection::Outlived => "OUTLIVED",
            Rejection::OrderUnknown => "ORDER_UNKNOWN",
            Rejection::OrderOver => "ORDER_OVER",
        }
    }
    pub fn category(self) -> Category {
        match self {
            Rejection::RateLimited => Category::RateLimit,
            Rejection::MadeUp(category) => category,
            Rejection::Duplicate => Category::Duplicate,
            Rejection::MarginShort => Category::Margin,
            Rejection::PriceMissing | Rejection::PriceNotPositive | Rejection::OffTick => Category::Price,
            Rejection::WouldTake => Category::PostOnly,
            Rejection::NoMarket | Rejection::Outlived | Rejection::OrderUnknown | Rejection::OrderOver => {
                Category::Closed
            }
            Rejection::MarketUnknown
            | Rejection::TooManyOpen
            | Rejection::SizeNotPositive
            | Rejection::OffStep
            | Rejection::BelowMinimum
            | Rejection::AboveMaximum
            | Rejection::NothingToReduce => Category::Policy,
        }
    }
}
