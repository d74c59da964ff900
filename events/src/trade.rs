//! The words of trading: what terminals say of positions and orders, and what the desk tells them to do.

pub mod hash;

use crate::id::{AccountId, Position as LogPosition};
use crate::money::{Factor, Lots, Money, Price};
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::fmt;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a symbol has 1 to 40 visible characters, got `{0}`")]
pub struct SymbolError(String);

/// What a broker calls an instrument: `EURUSD`, `XAUUSD.pro`, `#AAPL`. Case counts.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Symbol(Box<str>);

impl Symbol {
    pub fn new(text: impl Into<String>) -> Result<Self, SymbolError> {
        let text: String = text.into();
        let visible = |c: char| !c.is_control() && (!c.is_whitespace() || c == ' ');
        let count = text.chars().count();
        if count == 0 || count > 40 || text.trim() != text || !text.chars().all(visible) {
            return Err(SymbolError(text.chars().take(60).collect()));
        }
        Ok(Symbol(text.into_boxed_str()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TryFrom<String> for Symbol {
    type Error = SymbolError;
    fn try_from(text: String) -> Result<Self, SymbolError> {
        Symbol::new(text)
    }
}
impl From<Symbol> for String {
    fn from(symbol: Symbol) -> String {
        symbol.0.into()
    }
}
impl fmt::Display for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl fmt::Debug for Symbol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// A broker's number of a position or a pending order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ticket(pub u64);

impl fmt::Display for Ticket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Id of an order of the desk: uuid v5 of its cause, the account that executes it and an index, so that it is the same again
/// however often it is worked out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OrderId(pub Uuid);

impl OrderId {
    pub fn derive(cause: Uuid, account: &AccountId, index: u32) -> Self {
        let mut name = Vec::with_capacity(account.as_str().len() + 5);
        name.extend_from_slice(account.as_str().as_bytes());
        name.push(b'/');
        name.extend_from_slice(&index.to_be_bytes());
        OrderId(Uuid::new_v5(&cause, &name))
    }
    /// The order of a STOP that ends what another order opened. It is named by that one and not by its place in a list: so it has
    /// the same id wherever it is worked out, even by who does not know of every copy.
    pub fn ending(stop: Uuid, account: &AccountId, of: OrderId) -> Self {
        OrderId::derive(Uuid::new_v5(&stop, of.0.as_bytes()), account, 0)
    }
    /// What fits into a broker's comment: 12 characters, unique enough to find the order again.
    pub fn short(self) -> String {
        let bytes = self.0.as_bytes();
        let tail = bytes[10..].iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        format!("th{}", &tail[..10])
    }
}
impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Side {
    Buy,
    Sell,
}

impl Side {
    pub fn opposite(self) -> Side {
        match self {
            Side::Buy => Side::Sell,
            Side::Sell => Side::Buy,
        }
    }
    pub fn as_str(self) -> &'static str {
        match self {
            Side::Buy => "buy",
            Side::Sell => "sell",
        }
    }
}

/// How a position comes about: at once, or when a price is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    Market,
    Limit,
    Stop,
}

impl Entry {
    pub fn is_pending(self) -> bool {
        self != Entry::Market
    }
}

/// One position or pending order as its terminal sees it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Trade {
    pub ticket: Ticket,
    pub symbol: Symbol,
    pub side: Side,
    /// `market` for an open position, else the kind of pending order.
    pub entry: Entry,
    pub lots: Lots,
    /// Where it was opened, or where it waits to be.
    pub price: Price,
    pub sl: Option<Price>,
    pub tp: Option<Price>,
    pub magic: i64,
    pub comment: String,
}

/// What became of a master's trade. Stop-loss, take-profit, price and volume are told as they are afterwards, so that hearing it
/// twice changes nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// A position was opened, a pending order was placed, or a pending order that was known under this ticket was filled.
    Open(Trade),
    /// Stop-loss and take-profit as they are now (none: removed), a pending order's price, a netting position's grown volume.
    Modify { ticket: Ticket, price: Option<Price>, sl: Option<Price>, tp: Option<Price>, lots: Option<Lots> },
    /// Closed or cancelled as far as said: a ratio of what remained, or what remains now. Neither means all of it.
    Close { ticket: Ticket, ratio: Option<Factor>, remaining: Option<Lots>, price: Option<Price> },
}

impl Change {
    pub fn ticket(&self) -> Ticket {
        match self {
            Change::Open(trade) => trade.ticket,
            Change::Modify { ticket, .. } | Change::Close { ticket, .. } => *ticket,
        }
    }
}

/// What one lot of a symbol is at a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contract {
    pub lots_step: Lots,
    pub lots_min: Lots,
    pub lots_max: Lots,
    /// Units of the base in one lot.
    pub size: Factor,
    pub digits: u8,
    /// What one lot gains, in the account's currency, when the price moves by one tick.
    pub tick_value: Money,
    pub tick_size: Price,
}

/// What a broker adds to the usual names, and the ones that it calls quite differently.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Affixes {
    pub prefix: String,
    pub suffix: String,
    /// Usual name to the broker's name.
    pub specials: BTreeMap<Symbol, Symbol>,
}

/// How an account holds several trades of one symbol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Holding {
    /// Each trade is a position of its own.
    #[default]
    Hedging,
    /// One position a symbol.
    Netting,
}

/// What an order tells a terminal to do. Later ones speak of the copy by the orders that opened it, since its tickets may not be
/// known yet; the terminal works orders off in the order of their numbers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Instruction {
    Open {
        symbol: Symbol,
        side: Side,
        entry: Entry,
        lots: Lots,
        /// Where a pending order waits; for a market order the price that the master had.
        price: Price,
        sl: Option<Price>,
        tp: Option<Price>,
        /// How far from `price` a market order may be filled.
        slippage_max: Option<Price>,
        retries_max: u8,
        magic: i64,
        comment: String,
        /// A pending order is cancelled then.
        expires_at: Option<Timestamp>,
    },
    Modify {
        of: OrderId,
        price: Option<Price>,
        sl: Option<Price>,
        tp: Option<Price>,
    },
    /// Closes so much of what the order opened, or cancels it while it is pending; without lots all of it.
    Close {
        of: OrderId,
        lots: Option<Lots>,
    },
}

impl Instruction {
    /// Only these can come too late.
    pub fn is_entry(&self) -> bool {
        matches!(self, Instruction::Open { .. })
    }
}

/// An order on its way to a terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    pub id: OrderId,
    /// 1, 2, 3 … without gaps for each slave. Zero while the log cannot be written: such an order only ends something, is not part
    /// of the row, and comes again with a number and the same id.
    pub seq: u64,
    pub instruction: Instruction,
    /// Not to be carried out after this; only entries have one.
    pub deadline: Option<Timestamp>,
    pub reason: OrderReason,
    /// Whose trade it copies; none for what the desk does of its own accord.
    pub master: Option<AccountId>,
    pub ticket: Option<Ticket>,
    /// Position of the master's signal; none for what the desk does of its own accord.
    pub signal: Option<LogPosition>,
    pub stamps: Stamps,
}

impl Order {
    /// The slave's own state caused it: its id is made from its number.
    pub fn is_own(&self) -> bool {
        self.signal.is_none() && self.reason != OrderReason::Stop
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OrderReason {
    /// The master did it.
    Signal,
    /// A trade that was open before the link was, or that a snapshot showed.
    Sync,
    /// What was filled is not what was asked for.
    Correction,
    /// The link or the group was removed.
    WindDown,
    /// A limit of the account was reached.
    Protection,
    /// Somebody pressed STOP.
    Stop,
}

/// When a copied trade passed each station, each by the clock of who says so; none where it was not told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamps {
    /// The master's broker executed it.
    pub broker: Option<Timestamp>,
    /// The master's terminal saw it.
    pub seen: Option<Timestamp>,
    /// The desk received it.
    pub received: Option<Timestamp>,
    /// The desk decided.
    pub decided: Option<Timestamp>,
}

/// What became of an order, as its terminal says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OrderResult {
    pub order: OrderId,
    pub outcome: Outcome,
    pub ticket: Option<Ticket>,
    pub price: Option<Price>,
    /// What was opened or closed.
    pub lots: Option<Lots>,
    /// The position's own stop-loss and take-profit afterwards.
    pub sl: Option<Price>,
    pub tp: Option<Price>,
    /// The broker's words where it said no.
    pub error: Option<String>,
    /// When the terminal had the order, and when the broker was done.
    pub received_at: Option<Timestamp>,
    pub done_at: Option<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// A pending order waits at the broker. `filled`, `cancelled` or `expired` follow.
    Placed,
    /// All of it, or for a modification: it is so.
    Filled,
    /// Some of it, and the rest never.
    Partial,
    /// The broker said no.
    Rejected,
    /// The deadline had passed, or the pending order ran out.
    Expired,
    Cancelled,
    /// There was nothing left to close or modify.
    Nothing,
    /// The terminal cannot prove what happened; it will not try again.
    Unknown,
}

impl Outcome {
    /// What the terminal will never correct.
    pub fn is_final(self) -> bool {
        self != Outcome::Placed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_symbol_is_what_can_be_read() {
        for good in ["EURUSD", "XAUUSD.pro", "#AAPL", "US 500", "日経225"] {
            assert_eq!(Symbol::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " EURUSD", "EUR\nUSD", "EUR\tUSD", &"x".repeat(41)] {
            assert!(Symbol::new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn an_order_id_is_the_same_again_and_no_other() {
        let (cause, other) = (Uuid::from_u128(7), Uuid::from_u128(8));
        let account = |name: &str| AccountId::new(name).unwrap();
        let id = OrderId::derive(cause, &account("ACC_1"), 0);
        assert_eq!(id, OrderId::derive(cause, &account("ACC_1"), 0));
        for different in [
            OrderId::derive(cause, &account("ACC_12"), 0),
            OrderId::derive(cause, &account("ACC_1"), 1),
            OrderId::derive(other, &account("ACC_1"), 0),
        ] {
            assert_ne!(id, different);
        }
        assert_eq!(id.short().len(), 12);
    }
}
