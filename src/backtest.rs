//! A trader on a tape: the run, who it was, and the report.
//!
//! The run itself is pure (`tidehelm_actors::paper`): the same tape, settings and seed give the same report on every machine, byte for
//! byte, and its identity says which run it was.

pub mod diff;
pub mod html;
pub mod sheet;

use serde::{Deserialize, Serialize};
use std::fmt::Display;
use tidehelm_actors::paper::{
    Ledger, MODEL_VERSION, Making, MarketNo, Name, Outcome, Outside, Paper, Quoter, Row, Settings, Trader, drive,
    maker::MakingError,
};
use tidehelm_events::codec;
use tidehelm_events::commit::Hash;
use tidehelm_events::id::{MarketId, StrategyId};
use tidehelm_events::market::{self, Instrument};
use tidehelm_events::reason::Reason as Text;
use tidehelm_events::strategy::maker::Parameters;
use tidehelm_events::time::Span;

/// What is to be run, but for the tape.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Asked {
    pub name: String,
    pub seed: u64,
    /// The markets that the tape numbers, in their order.
    pub markets: Vec<Listed>,
    pub venue: Settings,
    /// What trades, with all its parameters.
    pub trader: serde_json::Value,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listed {
    pub market: MarketId,
    pub instrument: Instrument,
}

/// Two runs with the same tape, config, versions and seed have the same state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub tape: Hash,
    pub config: Hash,
    pub engine: Box<str>,
    pub model_version: u32,
    pub seed: u64,
    /// Of all that came of it.
    pub state: Hash,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    pub identity: Identity,
    pub asked: Asked,
    pub outcome: Outcome,
}

#[derive(Debug, thiserror::Error)]
pub enum BacktestError {
    #[error("row {row} of the tape is of market {market}, and {listed} are listed")]
    MarketUnlisted { row: usize, market: u16, listed: usize },
    #[error("row {row} of the tape was received before the one before it; sort the tape by the time of receipt")]
    Unsorted { row: usize },
    #[error("the tape is empty")]
    Empty,
    #[error("no market is listed for the maker")]
    NoMarket,
    #[error("the maker cannot be set up: {0}")]
    Maker(#[from] MakingError),
    #[error("the maker cannot be named: {0}")]
    Name(String),
    #[error("cannot write the report: {0}")]
    Write(#[from] std::io::Error),
    #[error("cannot write the report: {0}")]
    Sheet(#[from] csv::Error),
}

/// The plainest maker on a tape.
pub fn outside(asked: Asked, outside: Outside, tape: &[Row]) -> Result<Report, BacktestError> {
    let listed = asked.markets.get(outside.market.index());
    let instrument = listed.map_or_else(Instrument::plain, |listed| listed.instrument.clone());
    run(asked, tape, &mut Quoter::new(outside, &instrument))
}

/// A maker of the desk on a tape, in the first of the listed markets, with the desk's own fold of the market. The guard and the
/// order gateway's checks are not in between.
pub fn maker(
    asked: Asked,
    settings: market::Settings,
    parameters: Parameters,
    tape: &[Row],
) -> Result<Report, BacktestError> {
    let listed = asked.markets.first().ok_or(BacktestError::NoMarket)?;
    let strategy = StrategyId::new("backtest").map_err(|error| BacktestError::Name(error.to_string()))?;
    let comment = Text::new("a run on a tape").map_err(|error| BacktestError::Name(error.to_string()))?;
    let settings = market::Settings { instrument: listed.instrument.clone(), ..settings };
    let no = MarketNo(0);
    let mut making = Making::new(no, listed.market.clone(), strategy, settings.clone(), parameters.clone(), comment)?;
    let trader = serde_json::json!({"maker": parameters, "market": settings});
    run(Asked { trader, ..asked }, tape, &mut making)
}

/// Runs the trader over the tape from its beginning to its end.
pub fn run<T>(asked: Asked, tape: &[Row], trader: &mut T) -> Result<Report, BacktestError>
where
    T: Trader,
    T::Id: Name + Display,
{
    check(tape, asked.markets.len())?;
    let mut paper = Paper::new(asked.venue.clone(), asked.seed);
    for listed in &asked.markets {
        paper.open_market(listed.instrument.clone());
    }
    let mut ledger = Ledger::new(Span::seconds(1));
    let driven = drive(tape, &mut paper, trader, &mut ledger);
    let outcome = ledger.close(&paper, &driven);
    Ok(Report { identity: identity(&asked, tape, &outcome), asked, outcome })
}

/// Nothing is run that could not be believed.
fn check(tape: &[Row], listed: usize) -> Result<(), BacktestError> {
    let mut last = tape.first().ok_or(BacktestError::Empty)?.heard.received_at;
    for (row, line) in tape.iter().enumerate() {
        if line.market.index() >= listed {
            return Err(BacktestError::MarketUnlisted { row, market: line.market.0, listed });
        }
        if line.heard.received_at < last {
            return Err(BacktestError::Unsorted { row });
        }
        last = line.heard.received_at;
    }
    Ok(())
}

fn identity(asked: &Asked, tape: &[Row], outcome: &Outcome) -> Identity {
    // The name is what somebody calls it, and the seed stands beside.
    let config = (&asked.markets, &asked.venue, asked.trader.to_string());
    Identity {
        tape: hash_of_all(tape),
        config: hash_of_all([config]),
        engine: env!("CARGO_PKG_VERSION").into(),
        model_version: MODEL_VERSION,
        seed: asked.seed,
        state: hash_of_all([outcome]),
    }
}

/// Over the bytes of each, one after the other.
fn hash_of_all<T: Serialize>(all: impl IntoIterator<Item = T>) -> Hash {
    let (mut hasher, mut bytes) = (blake3::Hasher::new(), Vec::new());
    for one in all {
        codec::write(&one, &mut bytes);
        if bytes.len() >= 1 << 16 {
            hasher.update(&bytes);
            bytes.clear();
        }
    }
    hasher.update(&bytes);
    Hash(*hasher.finalize().as_bytes())
}

impl Report {
    /// Orders that were filled to the end, of a thousand that the venue took.
    pub fn fill_permille(&self) -> Option<u64> {
        let accepted = self.outcome.counts.accepted;
        (accepted > 0).then(|| self.outcome.filled_whole * 1000 / accepted)
    }
}

#[cfg(test)]
mod tests;
