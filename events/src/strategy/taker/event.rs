//! What can happen to a taker.

use super::command::News;
use super::legs::Leg;
use super::plan::Plan;
use super::quiet::Quiet;
use super::settings::Set;
use crate::event::events;
use crate::id::{MarketId, Principal};
use crate::market::{Cash, Price, Size, Tick};
use crate::order::{ClientOrderId, Intent, TradeId, Way};
use crate::reason::Reason;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// A taker was registered for a market; its first parameter set, which is active.
        Registered(Registered) = 575 "taker_registered" v 1 Business;
        /// Another parameter set was put beside the others; its values.
        ParamsPut(ParamsPut) = 576 "taker_params_put" v 1 Business;
        /// A parameter set is active from now on.
        ParamsActivated(ParamsActivated) = 577 "taker_params_activated" v 1 Business;
        /// A taker was removed. What it did stays.
        Removed(Removed) = 578 "taker_removed" v 1 Business;
        /// A leg of a taker looked and did nothing, and why. Its heartbeat.
        Ticked(Ticked) = 580 "taker_ticked" v 1 Telemetry;
        /// The ENTRY leg wants a trade: the order, and the plan for its exit.
        EntryProposed(Box<EntryProposed>) = 581 "taker_entry_proposed" v 1 Business;
        /// The EXIT leg saw new best prices of trades that it holds on.
        ExitMarked(ExitMarked) = 582 "taker_exit_marked" v 1 Volume;
        /// What the EXIT leg wants of its trades, all of it.
        ExitDecided(ExitDecided) = 583 "taker_exit_decided" v 1 Business;
        /// What became of an order of a taker.
        OrderHeard(OrderHeard) = 590 "taker_order_heard" v 1 Business;
        /// Nothing is left of a trade; what it brought.
        TradeClosed(TradeClosed) = 591 "taker_trade_closed" v 1 Business;
        /// The venue holds something else of a trade than its fills add up to; what it holds.
        TradeCorrected(TradeCorrected) = 592 "taker_trade_corrected" v 1 Business;
        /// A leg failed and stands still; how.
        LegFailed(LegFailed) = 595 "taker_leg_failed" v 1 Business;
        /// Somebody restarted a leg that had failed, and why.
        LegRestarted(LegRestarted) = 596 "taker_leg_restarted" v 1 Business;
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    Registered { market: MarketId, set: Box<Set> }
    ParamsPut { set: Box<Set> }
    ParamsActivated { set: u32, by: Principal }
    Removed {}
    Ticked {
        leg: Leg,
        quiet: Quiet,
        /// The bar that the family was asked about.
        bar: Option<Timestamp>,
    }
    EntryProposed {
        /// The version of the decision's code.
        logic: u16,
        order: ClientOrderId,
        intent: Intent,
        plan: Plan,
        set: u32,
        /// The last quote.
        saw: Tick,
        /// The last bar that had closed, where the family looks at bars.
        bar: Option<Timestamp>,
    }
    ExitMarked { peaks: Vec<Peak>, quiet: Quiet }
    ExitDecided { logic: u16, saw: Option<Tick>, peaks: Vec<Peak>, steps: Vec<ExitStep> }
    /// The best price so far that one could have got out at.
    Peak { trade: TradeId, price: Price }
    ExitStep { trade: TradeId, action: ExitAction }
    OrderHeard { trade: TradeId, order: ClientOrderId, news: News }
    TradeClosed {
        trade: TradeId,
        /// In the quote currency, fees taken off.
        result: Cash,
        /// None: somebody else closed it.
        way: Option<Way>,
        opened_at: Timestamp,
        /// Somebody else had a hand in it: the result counts only what was filled.
        is_corrected: bool,
    }
    TradeCorrected { trade: TradeId, held: Size }
    LegFailed { leg: Leg, why: Box<str> }
    LegRestarted { leg: Leg, by: Principal, why: Reason }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitAction {
    Asked {
        order: ClientOrderId,
        intent: Box<Intent>,
    },
    StopMoved {
        to: Price,
    },
    /// The share, or what it would leave, is smaller than the venue trades: it counts as taken.
    PartialSkipped,
    /// A flag holds it back. Told once.
    HeldBack {
        way: Way,
    },
}
