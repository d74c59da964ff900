//! A venue on paper: orders are matched against a market that is only watched.
//!
//! It is pure and knows no clock: the market's words, requests and the time are given to it, chance comes from a seed. The desk uses it
//! live as the venue `paper`, the world as a venue that goes wrong, and a backtest on a tape.

pub mod book;
pub mod drive;
pub mod latency;
pub mod ledger;
pub mod maker;
pub mod matching;
pub mod queue;
pub mod quoter;
pub mod settings;
pub mod venue;
pub mod word;

#[cfg(test)]
mod tests;

pub use drive::{Desk, Driven, Row, Trader, Watch, drive};
pub use latency::Latency;
pub use ledger::{Ledger, Outcome};
pub use maker::Making;
pub use matching::{Holding, Market, Resting};
pub use queue::Queue;
pub use quoter::{Outside, Quoter};
pub use settings::{Faults, Fills, MODEL_VERSION, Margin, Model, Rate, Rates, Settings, Unseen};
pub use venue::{Counts, Listing, Paper};
pub use word::{Asked, Ended, Fill, MarketNo, Name, Rejection, Report, Request, State, Ticket, What};
