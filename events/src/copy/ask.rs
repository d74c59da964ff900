//! What a decision rests on, handed in by whoever holds it.

use super::book::{Copy, plus};
use super::settings::{Effective, WindDown};
use super::stop::StopDegree;
use crate::money::{Lots, Money, Price};
use crate::reason::RuntimeStatus;
use crate::time::Timestamp;
use crate::trade::{Affixes, Change, Contract, Holding, Side, Symbol, Trade};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Everything that the decision rests on.
#[derive(Debug, Clone, Copy)]
pub struct Ask<'a> {
    pub change: &'a Change,
    pub origin: Origin,
    /// When it happened, by whichever clock the caller believes; the age counts from here.
    pub signal_at: Timestamp,
    pub now: Timestamp,
    /// The master's trade as it was before the change.
    pub before: Option<&'a Trade>,
    /// What the slave holds of it; none once that is forgotten.
    pub copy: Option<&'a Copy>,
    pub link: LinkFacts,
    pub settings: &'a Effective<'a>,
    pub master: MasterFacts<'a>,
    pub slave: SlaveFacts<'a>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The master did it just now.
    Signal,
    /// It was open before the link was.
    Sync,
    /// A snapshot showed it.
    Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LinkFacts {
    pub enabled: bool,
    /// Of this link: 2 if both ends are ready.
    pub status: RuntimeStatus,
    /// Set once the link was removed while copies are left.
    pub winding: Option<WindDown>,
}

#[derive(Debug, Clone, Copy)]
pub struct MasterFacts<'a> {
    pub funds: Option<Funds>,
    pub currency: &'a str,
    pub affixes: &'a Affixes,
    pub holding: Holding,
    /// Of the trade's symbol.
    pub contract: Option<&'a Contract>,
    /// How many other trades the master has in the symbol; asked only while a link is wound down by symbol.
    pub others_in_symbol: u32,
}

#[derive(Debug, Clone, Copy)]
pub struct SlaveFacts<'a> {
    pub funds: Option<Funds>,
    pub currency: &'a str,
    pub affixes: &'a Affixes,
    pub symbols: &'a BTreeMap<Symbol, Contract>,
    /// Prices where they are known, by the slave's names.
    pub quotes: &'a BTreeMap<Symbol, Quote>,
    pub holding: Holding,
    pub exposure: &'a Exposure,
    /// What forbids to open anything.
    pub block: Option<&'a Block>,
}

/// An account's figures, and when they came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Funds {
    pub balance: Money,
    pub equity: Money,
    pub free_margin: Money,
    pub at: Timestamp,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Quote {
    pub bid: Price,
    pub ask: Price,
}

impl Quote {
    /// What one pays who goes this way.
    pub fn price(self, side: Side) -> Price {
        match side {
            Side::Buy => self.ask,
            Side::Sell => self.bid,
        }
    }
}

/// What a slave holds in copies, and what it has orders for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exposure {
    pub lots: Lots,
    pub positions: u32,
    /// By the slave's names.
    pub symbols: BTreeMap<Symbol, Held>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    pub lots: Lots,
    pub positions: u32,
}

impl Exposure {
    /// Counts what is left of a copy, each leg as a position.
    pub fn add(&mut self, copy: &Copy) {
        let (lots, positions) = (copy.left(), copy.legs.iter().filter(|leg| leg.left() > Lots::ZERO).count());
        let positions = u32::try_from(positions).unwrap_or(u32::MAX);
        let held = self.symbols.entry(copy.symbol.clone()).or_default();
        held.lots = plus([held.lots, lots]);
        held.positions = held.positions.saturating_add(positions);
        self.lots = plus([self.lots, lots]);
        self.positions = self.positions.saturating_add(positions);
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Block {
    Stop(StopDegree),
    /// Which limit, by its code, what was seen, and where the limit is.
    Protection {
        limit: String,
        seen: Money,
        bound: Money,
    },
}
