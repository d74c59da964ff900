//! Orders of strategies: the one way to a venue, what became of them, and what is held.
//!
//! [`Venue`] is the fold of one stream `venue/ID`: the gateway with its ordered checks ([`check`], [`size`]), the lives of orders
//! ([`life`]), the book of positions ([`book`]), the drawdown halts ([`risk`]) and the guardian ([`guardian`]). An order is told to
//! a venue because its event is durable, and for no other reason: [`Ask::of`] an event is the only way to get what a venue is asked.

pub mod ask;
pub mod book;
pub mod check;
mod command;
mod decide;
mod event;
pub mod guardian;
pub mod life;
mod reconcile;
mod report;
pub mod risk;
#[cfg(test)]
pub(crate) mod samples;
mod settings;
pub mod size;
mod state;
#[cfg(test)]
mod tests;
pub mod word;

pub use ask::Ask;
pub use book::{Book, Exiting, Holding, Owner, PositionView, Trade};
pub use check::{Around, Check, Finding, Markets, Measure, QuoteSeen};
pub use command::{Command, Listed, ListedOrder, ListedPosition, Listing, Refusal, Report};
pub use event::*;
pub use risk::{Halt, Halted, Risk};
pub use settings::{Bounds, GuardianSettings, Limits, Rate, Settings, Shape};
pub use size::{Room, Step};
pub use state::{Order, Outcome, Venue};
pub use word::{Category, ClientOrderId, Execution, Intent, Life, Liquidity, Purpose, Terms, TradeId, Way};
