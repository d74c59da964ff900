use super::*;
use crate::market_sim::{self, MarketSim};
use crate::paper::{Faults, Latency, Ledger, Outcome, Paper, Settings, Watch, drive};
use proptest::prelude::*;
use tidehelm_events::market::{Bps, Cash, Ratio};
use tidehelm_events::time::Span;

const NO: MarketNo = MarketNo(0);

/// Some minutes of a made-up market.
fn tape(seed: u64, rows: usize) -> Vec<Row> {
    let sim =
        MarketSim::new(market_sim::Settings { seed, quotes_per_second: 10, deals_per_second: 5, ..Default::default() });
    let mut rows: Vec<Row> = sim.take(rows).map(|heard| Row { market: NO, heard }).collect();
    rows.sort_by_key(|row| row.heard.received_at);
    rows
}
fn instrument() -> Instrument {
    let sim = market_sim::Settings::default();
    Instrument { tick: sim.tick, step: sim.step, size_min: sim.step, ..Instrument::plain() }
}
fn parameters() -> Parameters {
    // Two ticks from the middle: near enough to be filled.
    Parameters {
        base_half_spread_bps: Bps(40_000_000),
        vol_spread_gain: Ratio::ZERO,
        tox_spread_gain: Ratio::ZERO,
        defensive_imbalance: Ratio::whole(2),
        quote_size: Cash::whole(500),
        levels: 2,
        ..Parameters::default()
    }
}
fn making(parameters: Parameters) -> Making {
    let settings = market::Settings { instrument: instrument(), ..Default::default() };
    let (id, strategy) = ("paper:BTC-USD".parse().unwrap(), StrategyId::new("btc_maker").unwrap());
    Making::new(NO, id, strategy, settings, parameters, Text::new("a test").unwrap()).unwrap()
}
fn slow() -> Latency {
    let (least, most) = (Span::millis(50), Span::millis(2_000));
    Latency::Jitter { there: (least, most), back: (least, most), spike_permille: 0, spike: Span(0) }
}

/// How many orders stood at the venue for one side at most, and what else was seen.
#[derive(Default)]
struct Eye {
    most: usize,
    rows_with_orders: u64,
    states: Vec<&'static str>,
}

impl Watch<ClientOrderId> for Eye {
    fn moved(&mut self, _row: &Row, _at: Timestamp, paper: &Paper<ClientOrderId>) {
        let market = &paper.markets()[0];
        for side in [Side::Buy, Side::Sell] {
            self.most = self.most.max(market.open().filter(|order| order.side == side).count());
        }
        self.rows_with_orders += u64::from(market.open_count() > 0);
    }
    fn state(&mut self, state: &'static str, _now: Timestamp) {
        self.states.push(state);
    }
}

fn paper(settings: Settings, seed: u64) -> Paper<ClientOrderId> {
    let mut paper = Paper::new(settings, seed);
    paper.open_market(instrument());
    paper
}

fn ran(settings: Settings, seed: u64) -> Outcome {
    let (tape, mut making, mut paper) = (tape(seed, 20_000), making(parameters()), paper(settings, seed));
    let mut ledger = Ledger::new(Span::seconds(1));
    let driven = drive(&tape, &mut paper, &mut making, &mut ledger);
    ledger.close(&paper, &driven)
}

#[test]
fn a_maker_quotes_a_made_up_market_and_the_same_run_is_the_same() {
    let one = ran(Settings::default(), 3);
    assert!(one.counts.accepted > 100 && one.counts.fills > 0, "{:?}", one.counts);
    assert_eq!(one.counts.fills, one.fills.len() as u64);
    assert!(one.states.keys().any(|state| &**state == "NORMAL"), "{:?}", one.states);
    assert_eq!(ran(Settings::default(), 3), one);
    assert_ne!(ran(Settings::default(), 4).fills, one.fills);
}

#[test]
fn a_silent_market_is_left() {
    let mut rows = tape(3, 6_000);
    let last = rows.last().unwrap().heard.received_at;
    // Nothing for a minute, and then a word.
    let mut late = rows.last().unwrap().clone();
    late.heard.source_at = last + Span::seconds(60);
    late.heard.received_at = late.heard.source_at;
    rows.push(late);
    let (mut making, mut paper, mut eye) = (making(parameters()), paper(Settings::default(), 1), Eye::default());
    drive(&rows, &mut paper, &mut making, &mut eye);
    assert!(eye.rows_with_orders > 1_000, "{}", eye.rows_with_orders);
    assert_eq!((eye.states.last(), paper.list().open), (Some(&"PAUSE"), vec![]));
    assert!(making.maker().drained, "the venue was asked, and named none");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Latencies from 50 ms to 2 s, lost requests and replies, rejects.
    #[test]
    fn never_more_than_one_order_stands_for_a_side_and_level(seed in 0..1_000u64, faulty in any::<bool>()) {
        let faults = Faults { lost_requests_permille: 20, lost_replies_permille: 20, rejects_permille: 20, cancel_rejects_permille: 20, ..Faults::default() };
        let faults = if faulty { faults } else { Faults::default() };
        let (mut making, mut paper, mut eye) = (
            making(parameters()),
            paper(Settings { latency: slow(), faults, timeout: Span::seconds(3), ..Settings::default() }, seed),
            Eye::default(),
        );
        drive(&tape(seed, 8_000), &mut paper, &mut making, &mut eye);
        prop_assert!(eye.rows_with_orders > 0);
        prop_assert!(eye.most <= usize::from(parameters().levels), "{} at a time on a side", eye.most);
    }
}
