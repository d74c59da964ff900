//! The quoter on the paper venue.

use crate::tape::{LOT, TICK, Tape};
use crate::{Filled, LATENCY, LOTS, Model, Run};
use tidehelm_actors::paper::{
    self, Desk, Fill, Fills, Latency, Ledger, Making, MarketNo, Outside, Paper, Queue, Quoter, Report, Row, Settings,
    Trader, Unseen, Watch, drive,
};
use tidehelm_events::id::StrategyId;
use tidehelm_events::market::{self, Bps, Cash, Instrument, Price, Ratio, Size};
use tidehelm_events::reason::Reason;
use tidehelm_events::strategy::maker::Parameters;
use tidehelm_events::time::Span;
use tidehelm_events::trade::Side;

fn instrument() -> Instrument {
    Instrument { tick: Price(TICK), step: Size(LOT), size_min: Size(LOT), ..Instrument::plain() }
}

fn venue(model: Model) -> Paper<u64> {
    let mut paper = Paper::new(settings_of(model), 1);
    paper.open_market(instrument());
    paper
}

fn settings_of(model: Model) -> Settings {
    let (queue, fills) = match model {
        Model::Shared => (Queue::RiskAverse, Fills::Whole),
        Model::Parts => (Queue::RiskAverse, Fills::Partial),
        Model::Likely => (Queue::Share { n: 3 }, Fills::Partial),
    };
    let model = paper::Model { queue, fills, unseen: Unseen::Empty };
    let latency = Latency::Constant { there: Span(LATENCY.0), back: Span(LATENCY.1) };
    Settings { model, latency, ..Settings::default() }
}

fn quoter(hysteresis: i64) -> Quoter {
    let outside = Outside {
        market: MarketNo(0),
        size: Size(LOTS * LOT),
        ticks: 1,
        hysteresis_ticks: hysteresis as u32,
        held_max: None,
    };
    Quoter::new(outside, &instrument())
}

pub fn run(tape: &Tape, model: Model, hysteresis: i64) -> Run {
    let (mut quoter, mut seen) = (quoter(hysteresis), Seen(Vec::new()));
    drive(&tape.rows, &mut venue(model), &mut quoter, &mut seen);
    Run { orders: quoter.orders(), fills: seen.0 }
}

/// With all that goes into a report: worth, drawdown, what became of the price after each fill.
pub fn whole(tape: &Tape, hysteresis: i64) -> Run {
    let (mut paper, mut quoter, mut ledger) = (venue(Model::Likely), quoter(hysteresis), Ledger::new(Span::seconds(1)));
    let driven = drive(&tape.rows, &mut paper, &mut quoter, &mut ledger);
    let outcome = ledger.close(&paper, &driven);
    assert_eq!(outcome.fills.len() as u64, outcome.counts.fills);
    Run { orders: quoter.orders(), fills: Vec::new() }
}

/// A maker of the desk with its market's fold, ticked five times a second, and all that goes into a report.
pub fn maker(tape: &Tape) -> Run {
    let settings = market::Settings { instrument: instrument(), ..Default::default() };
    let parameters = Parameters {
        base_half_spread_bps: Bps(10_000_000),
        vol_spread_gain: Ratio::ZERO,
        tox_spread_gain: Ratio::ZERO,
        quote_size: Cash::whole(500),
        uses_mark_index: false,
        ..Parameters::default()
    };
    let (id, strategy) = ("paper:BTC-USD".parse().unwrap(), StrategyId::new("bench").unwrap());
    let comment = Reason::new("a bench").unwrap();
    let mut making = Making::new(MarketNo(0), id, strategy, settings, parameters, comment).unwrap();
    let mut paper = Paper::new(settings_of(Model::Likely), 1);
    paper.open_market(instrument());
    let mut ledger = Ledger::new(Span::seconds(1));
    let driven = drive(&tape.rows, &mut paper, &mut making, &mut ledger);
    let outcome = ledger.close(&paper, &driven);
    Run { orders: outcome.counts.submitted, fills: Vec::new() }
}

/// The tape through the venue with nobody there.
pub fn alone(tape: &Tape) -> Run {
    struct Nobody;
    impl Trader for Nobody {
        type Id = u64;
        fn heard(&mut self, _row: &Row, _desk: &mut Desk<'_, u64>) {}
        fn told(&mut self, _report: &Report<u64>, _desk: &mut Desk<'_, u64>) {}
    }
    drive(&tape.rows, &mut venue(Model::Parts), &mut Nobody, &mut ());
    Run::default()
}

struct Seen(Vec<Filled>);

impl Watch<u64> for Seen {
    fn filled(&mut self, fill: &Fill<u64>, _paper: &Paper<u64>) {
        self.0.push(Filled(fill.order, fill.side == Side::Buy, fill.price.0 / TICK, fill.at.0));
    }
}
