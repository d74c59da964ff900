//! Markets: what a venue says of a symbol, and what the desk makes of it.
//!
//! A market event is a fact of its venue with the venue's own time; the recording is what strategies are fed from, so that the two
//! cannot differ. Prices and sizes are whole numbers of a billionth: exact, small, and quick enough for a replay.

pub mod features;
pub mod number;
pub mod word;

pub use features::Features;
pub use number::{Bps, Cash, NumberError, Price, Ratio, Size};
pub use word::{Bar, Deal, DealKind, Instrument, Level, Quote, Said, Tick, Timeframe};
