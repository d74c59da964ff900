//! What may be done right now, and why not.

use super::event::{Degree, Flags};
use super::state::Guard;
use crate::id::StrategyId;
use crate::order::Purpose;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};

/// A control plane that is silent for longer lets nothing in.
pub const CONTROL_AGE_MAX: Span = Span::seconds(15);

/// What is to be done, as the guard tells things apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// A position begins or may grow: entries, and a maker's quotes.
    Entry,
    /// A strategy gives up a position because it thinks so.
    Exit,
    /// A position is given up because it must be. No flag vetoes it.
    Protective,
    /// The guardian gives up what nobody looks after.
    Guardian,
}

impl Wish {
    pub fn of(purpose: Purpose) -> Wish {
        match purpose {
            Purpose::Quote { .. } | Purpose::Entry => Wish::Entry,
            Purpose::Reduce { .. } => Wish::Exit,
            Purpose::Exit(crate::order::Way::Orphan) => Wish::Guardian,
            Purpose::Exit(way) if way.is_protective() => Wish::Protective,
            Purpose::Exit(_) => Wish::Exit,
        }
    }
}

/// What is seen of a market.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sight {
    Fresh,
    /// The feed is stale; the venue itself was asked and told a quote that is not.
    VenueQuote,
    Stale,
}

/// How well positions are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Knowing {
    Fresh,
    Stale,
    Unavailable,
}

/// What else a ruling depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Conditions {
    pub now: Timestamp,
    /// How far the desk's own STOP goes.
    pub desk_stop: Option<Degree>,
    pub market: Sight,
    pub positions: Knowing,
    /// The trade that an exit is of is known by name.
    pub trade_known: bool,
    pub risk_halted: bool,
}

/// Why something may not be done. The order is that in which they are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    StrategyUnknown,
    GlobalLock,
    Stopped,
    DeskEntryOff,
    DeskExitOff,
    DeskExpired,
    EntryOff,
    ExitOff,
    Expired,
    ControlStale,
    PositionsUnknown,
    RiskHalt,
    MarketStale,
}

impl Why {
    pub const ALL: [Why; 13] = [
        Why::StrategyUnknown,
        Why::GlobalLock,
        Why::Stopped,
        Why::DeskEntryOff,
        Why::DeskExitOff,
        Why::DeskExpired,
        Why::EntryOff,
        Why::ExitOff,
        Why::Expired,
        Why::ControlStale,
        Why::PositionsUnknown,
        Why::RiskHalt,
        Why::MarketStale,
    ];

    pub fn code(self) -> &'static str {
        match self {
            Why::StrategyUnknown => "strategy_unknown",
            Why::GlobalLock => "global_lock",
            Why::Stopped => "stopped",
            Why::DeskEntryOff => "desk_entry_off",
            Why::DeskExitOff => "desk_exit_off",
            Why::DeskExpired => "desk_expired",
            Why::EntryOff => "entry_off",
            Why::ExitOff => "exit_off",
            Why::Expired => "expired",
            Why::ControlStale => "control_stale",
            Why::PositionsUnknown => "positions_unknown",
            Why::RiskHalt => "risk_halt",
            Why::MarketStale => "market_stale",
        }
    }
}

/// What is in force for a strategy, and what stands in the way of the rest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Effective {
    pub entry: bool,
    pub exit: bool,
    pub lock: bool,
    /// Of entry and exit together, in the order in which they are looked at.
    pub why: Vec<Why>,
}

impl Guard {
    /// Nothing, or the first reason why not.
    pub fn rule(&self, strategy: &StrategyId, wish: Wish, given: &Conditions) -> Result<(), Why> {
        let held = self.holding(strategy, wish, given);
        held.into_iter().zip(Why::ALL).find(|(holds, _)| *holds).map_or(Ok(()), |(_, why)| Err(why))
    }

    /// All reasons why not.
    pub fn whys(&self, strategy: &StrategyId, wish: Wish, given: &Conditions) -> Vec<Why> {
        let held = self.holding(strategy, wish, given);
        held.into_iter().zip(Why::ALL).filter(|(holds, _)| *holds).map(|(_, why)| why).collect()
    }

    pub fn effective(&self, strategy: &StrategyId, given: &Conditions) -> Effective {
        let (entry, exit) = (self.whys(strategy, Wish::Entry, given), self.whys(strategy, Wish::Exit, given));
        let (no_entry, no_exit) = (!entry.is_empty(), !exit.is_empty());
        let mut why: Vec<_> = entry.into_iter().chain(exit).collect();
        why.sort_unstable();
        why.dedup();
        Effective { entry: !no_entry, exit: !no_exit, lock: self.lock, why }
    }

    /// How far strategies are stopped, here or with the whole desk.
    pub fn stopped(&self, desk_stop: Option<Degree>) -> Option<Degree> {
        self.stop.as_ref().map(|stop| stop.degree).max(desk_stop)
    }

    /// For each reason, in their order, whether it stands in the way.
    fn holding(&self, strategy: &StrategyId, wish: Wish, given: &Conditions) -> [bool; 13] {
        let known = self.strategies.get(strategy);
        let (entry, exit) = (wish == Wish::Entry, wish == Wish::Exit);
        let flags = known.map_or(Flags { entry: false, exit: false }, |known| known.flags);
        let stopped = self.stopped(given.desk_stop);
        let flattening = stopped == Some(Degree::Flatten);
        let silent = self.age(given.now).is_none_or(|age| age > CONTROL_AGE_MAX);
        [
            known.is_none() && wish != Wish::Guardian,
            self.lock && (entry || exit && !flattening),
            entry && stopped.is_some(),
            entry && !self.desk.flags.entry,
            exit && !self.desk.flags.exit,
            entry && self.desk.is_expired(given.now),
            entry && known.is_some() && !flags.entry,
            exit && known.is_some() && !flags.exit,
            entry && known.is_some_and(|known| known.is_expired(given.now)),
            entry && silent,
            given.positions != Knowing::Fresh && (entry || exit && !given.trade_known),
            entry && given.risk_halted,
            entry && given.market != Sight::Fresh || exit && given.market == Sight::Stale,
        ]
    }
}
