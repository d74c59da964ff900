//! Orders of strategies: the one way to a venue, what became of them, and what is held.

pub mod word;

pub use word::{Category, ClientOrderId, Execution, Intent, Life, Liquidity, Purpose, Terms, TradeId, Way};
