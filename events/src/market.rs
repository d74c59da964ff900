//! Markets: what a venue says of a symbol, and what the desk makes of it.
//!
//! A market event is a fact of its venue with the venue's own time; the recording is what strategies are fed from, so that the two
//! cannot differ. Prices and sizes are whole numbers of a billionth: exact, small, and quick enough for a replay.
//!
//! [`Market`] is the fold of one stream `market/VENUE:SYMBOL`: what is heard is conflated first, what survives is appended, and the
//! quote, windows, bars and book that strategies look at follow from that alone. A replay that needs no events goes through
//! [`Market::take`], which is the same two steps on one state.

mod bars;
mod book;
mod command;
mod decide;
mod event;
pub mod features;
mod flow;
pub mod number;
mod settings;
mod state;
mod volatility;
mod window;
pub mod word;

#[cfg(test)]
mod tests;

pub use bars::{Bars, Candle, Frames, Stretch};
pub use book::{Book, Broken};
pub use command::{Command, Refusal, Tally, Unused};
pub use event::*;
pub use features::Features;
pub use number::{Bps, Cash, NumberError, Price, Ratio, Size};
pub use settings::Settings;
pub use state::{Counts, Freshness, Funding, Kept, Market, Phase};
pub use window::Window;
pub use word::{Bar, Deal, DealKind, Heard, Instrument, Level, Quote, Said, Tick, Timeframe};
