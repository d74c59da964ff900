//! What can happen at a venue's gateway, to orders and to what is held.

use super::book::Owner;
use super::check::Finding;
use super::command::ListedOrder;
use super::risk::Halt;
use super::settings::{Bounds, Settings};
use super::size::Step;
use super::word::{Category, ClientOrderId, Execution, Intent, Terms, TradeId, Way};
use crate::event::events;
use crate::id::{MarketId, Principal, StrategyId, Version};
use crate::market::{Cash, Instrument, Price, Size};
use crate::reason::Reason;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// A venue account is there; what its gateway goes by.
        Opened(Opened) = 600 "venue_opened" v 1 Business;
        /// What a gateway goes by was changed; all of it as it is now.
        SettingsChanged(SettingsChanged) = 601 "venue_changed" v 1 Business;
        /// What a venue asks of orders in a market.
        MarketListed(MarketListed) = 602 "venue_market_listed" v 1 Business;
        /// Trading in a market began or ended.
        SessionChanged(SessionChanged) = 603 "venue_session_changed" v 1 Business;
        /// A strategy may trade at a venue, within these bounds.
        StrategyBound(Box<StrategyBound>) = 604 "venue_strategy_bound" v 1 Business;
        /// A strategy may trade at a venue no more. What it holds is an orphan's.
        StrategyUnbound(StrategyUnbound) = 605 "venue_strategy_unbound" v 1 Business;
        /// The gateway enforces a revision of the control.
        ControlAcknowledged(ControlAcknowledged) = 606 "venue_control_acknowledged" v 1 Business;
        /// The connection to a venue came or went.
        LinkChanged(LinkChanged) = 607 "venue_link_changed" v 1 Business;
        /// The venue cancels all orders by itself if it hears nothing until then.
        DeadManArmed(DeadManArmed) = 608 "venue_dead_man_armed" v 1 Telemetry;
        /// The venue would not cancel by itself; nothing is quoted.
        DeadManFailed(DeadManFailed) = 609 "venue_dead_man_failed" v 1 Business;

        /// All checks let an order pass. It is sent because this is in the log.
        OrderSubmitted(Box<OrderSubmitted>) = 610 "order_submitted" v 1 Business;
        /// A check did not let an order pass. The venue was not asked.
        OrderRefused(Box<OrderRefused>) = 611 "order_refused" v 1 Volume;
        /// The venue took an order.
        OrderAccepted(OrderAccepted) = 612 "order_accepted" v 1 Volume;
        /// The venue did not take an order.
        OrderRejected(OrderRejected) = 613 "order_rejected" v 1 Business;
        /// No reply came to an order. The venue is asked what became of it; nothing is sent again.
        OrderUnknown(OrderUnknown) = 614 "order_unknown" v 1 Business;
        /// What became of an order was found out by asking.
        OrderResolved(OrderResolved) = 615 "order_resolved" v 1 Business;
        /// A trade of ours; of no order of ours where a person or the venue did it.
        OrderFilled(Box<OrderFilled>) = 616 "order_filled" v 1 Business;
        /// Nothing comes of an order any more.
        OrderEnded(OrderEnded) = 617 "order_ended" v 1 Volume;
        /// The venue is to take an order back.
        CancelRequested(CancelRequested) = 618 "order_cancel_requested" v 1 Volume;
        /// The venue did not take an order back: it still stands, and nothing takes its place.
        CancelRejected(CancelRejected) = 619 "order_cancel_rejected" v 1 Business;
        /// An order is to have another price or be smaller.
        AmendRequested(AmendRequested) = 620 "order_amend_requested" v 1 Volume;
        /// An order has another price or size.
        Amended(Amended) = 621 "order_amended" v 1 Volume;
        /// An order stays as it was.
        AmendRejected(AmendRejected) = 622 "order_amend_rejected" v 1 Volume;
        /// The venue says how much of an order is filled. The fills themselves come as trades, with their prices.
        OrderTold(OrderTold) = 623 "order_fill_told" v 1 Volume;
        /// A fill is so old that nobody knows any more whether it was counted: it is not, and positions are compared.
        FillDoubted(Box<FillDoubted>) = 624 "order_fill_doubted" v 1 Business;

        /// What is held was set right, not by a fill.
        PositionAdjusted(PositionAdjusted) = 630 "position_adjusted" v 1 Business;
        /// The venue holds what the book says.
        PositionsConfirmed(PositionsConfirmed) = 631 "positions_confirmed" v 1 Telemetry;
        /// The venue says something else than the book, or nothing where the book has something.
        PositionDiffers(PositionDiffers) = 632 "position_differs" v 1 Business;
        /// Orders, fills and positions were compared with the venue's.
        Reconciled(Reconciled) = 633 "venue_reconciled" v 1 Business;
        /// Orders at the venue that are not ours; all of them as they are now.
        ForeignOrdersSeen(ForeignOrdersSeen) = 634 "venue_foreign_orders_seen" v 1 Business;

        /// Nobody looks after what a strategy holds; the guardian does.
        StrategyOrphaned(StrategyOrphaned) = 640 "strategy_orphaned" v 1 Business;
        /// Its strategy looks after it again.
        StrategyAdopted(StrategyAdopted) = 641 "strategy_adopted" v 1 Business;
        /// An exit does not get out. Said once for each reason, however often it is tried.
        ExitBlocked(Box<ExitBlocked>) = 642 "exit_blocked" v 1 Business;
        /// An exit was blocked for too long: from now on it takes any price.
        ExitEscalated(ExitEscalated) = 643 "exit_escalated" v 1 Business;

        /// What an account is worth, and how much of it is free.
        AccountSeen(AccountSeen) = 650 "venue_account_seen" v 1 Volume;
        /// A day began, in UTC; its losses count from here.
        DayBegan(DayBegan) = 651 "venue_day_began" v 1 Business;
        /// More was lost than may be: nothing is entered.
        RiskHalted(RiskHalted) = 652 "risk_halted" v 1 Business;
        /// A person lets entries in again; losses count anew from here.
        RiskCleared(RiskCleared) = 653 "risk_cleared" v 1 Business;
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
    Opened { settings: Box<Settings> }
    SettingsChanged { settings: Box<Settings> }
    MarketListed { market: MarketId, instrument: Box<Instrument> }
    SessionChanged { market: MarketId, open: bool }
    StrategyBound { strategy: StrategyId, bounds: Bounds }
    StrategyUnbound { strategy: StrategyId }
    ControlAcknowledged { revision: Version }
    LinkChanged { up: bool, why: Box<str> }
    DeadManArmed { until: Timestamp }
    DeadManFailed { why: Box<str> }

    OrderSubmitted {
        order: ClientOrderId,
        /// As it was wanted.
        intent: Box<Intent>,
        /// As the venue is asked.
        terms: Terms,
        /// What made it smaller.
        steps: Vec<Step>,
        /// The revision of the control that let it pass.
        control: Version,
    }
    OrderRefused { order: ClientOrderId, intent: Box<Intent>, finding: Finding }
    OrderAccepted {
        order: ClientOrderId,
        /// The venue's own name of it.
        venue_order: Option<Box<str>>,
    }
    OrderRejected { order: ClientOrderId, category: Category, detail: Box<str> }
    OrderUnknown { order: ClientOrderId }
    OrderResolved { order: ClientOrderId, found: Found }
    OrderFilled {
        order: Option<ClientOrderId>,
        owner: Owner,
        market: MarketId,
        execution: Execution,
        /// What the owner holds then; below zero for what is short.
        left: Size,
    }
    OrderEnded { order: ClientOrderId, how: Ending, filled: Size }
    CancelRequested { order: ClientOrderId, why: Why }
    CancelRejected { order: ClientOrderId, category: Category, detail: Box<str> }
    AmendRequested { order: ClientOrderId, price: Price, size: Size }
    Amended { order: ClientOrderId, price: Price, size: Size }
    AmendRejected { order: ClientOrderId, category: Category, detail: Box<str> }
    OrderTold { order: ClientOrderId, filled: Size }
    FillDoubted { order: Option<ClientOrderId>, market: MarketId, execution: Execution }

    PositionAdjusted {
        market: MarketId,
        owner: Owner,
        by: Size,
        why: Adjustment,
    }
    PositionsConfirmed {
        /// When the venue was asked.
        asked_at: Timestamp,
    }
    PositionDiffers {
        market: MarketId,
        ours: Size,
        /// None: the venue said nothing of it, which is not zero.
        theirs: Option<Size>,
        asked_at: Timestamp,
    }
    Reconciled { orders: u32, fills: u32, differences: u32 }
    ForeignOrdersSeen { orders: Vec<ListedOrder> }

    StrategyOrphaned { strategy: StrategyId, why: Orphaned }
    StrategyAdopted { strategy: StrategyId }
    ExitBlocked {
        strategy: StrategyId,
        market: MarketId,
        trade: Option<TradeId>,
        way: Way,
        finding: Finding,
    }
    ExitEscalated { strategy: StrategyId, market: MarketId, trade: Option<TradeId>, tries: u8 }

    AccountSeen { equity: Cash, margin_free: Option<Cash> }
    DayBegan { day: i64, equity: Cash }
    RiskHalted { halt: Halt, observed: Cash, limit: Cash }
    RiskCleared { reason: Reason, by: Principal }
}

/// What asking the venue of an order brought to light.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Found {
    /// It stands there.
    There { venue_order: Option<Box<str>> },
    /// It never came.
    Never,
}

/// How an order came to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    Cancelled,
    Expired,
    /// The venue does not have it any more and nobody said why.
    Gone,
}

/// Why an order is to be cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// Its strategy wants it so.
    Strategy,
    Operator,
    /// A stop or a lock.
    Control,
    RiskHalt,
    Orphaned,
    /// An exit that must be takes the place of one that may be.
    Superseded,
    /// Its trade is being given up.
    TradeEnding,
    /// What it would make smaller is smaller than it.
    NothingHeld,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjustment {
    /// The venue said the same twice.
    Reconciled,
    Person {
        reason: Reason,
        by: Principal,
    },
}

/// Why nobody looks after what a strategy holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Orphaned {
    /// It may not trade here any more.
    Unbound,
    /// Its EXIT leg is silent.
    LegSilent,
    /// It failed.
    Failed,
    /// It is known to nobody.
    Unknown,
}
