use super::*;
use crate::paper::{Fills, Latency, Model, Queue, Request, Settings, Ticket, Unseen};
use tidehelm_events::market::{Heard, Instrument, Quote};
use tidehelm_events::order::Terms;

const M: MarketNo = MarketNo(0);

/// A quote, one wide, at so many milliseconds, around a middle in halves.
fn quote(millis: i64, bid: i64) -> Row {
    let (size, at) = (Size::whole(9), Timestamp::from_millis(millis));
    let quote = Quote { bid: Price::whole(bid), bid_size: size, ask: Price::whole(bid + 2), ask_size: size };
    Row { market: M, heard: Heard { source_at: at, received_at: at, said: Said::Quote(quote) } }
}

/// A venue and its ledger, told of the market and of one order at a time without any latency.
struct Desk {
    paper: Paper<u64>,
    ledger: Ledger,
    fills: u64,
}

impl Desk {
    fn new() -> Self {
        let model = Model { queue: Queue::Front, fills: Fills::Partial, unseen: Unseen::Behind };
        let latency = Latency::Constant { there: Span(0), back: Span(0) };
        let mut paper = Paper::new(Settings { model, latency, ..Settings::default() }, 1);
        paper.open_market(Instrument { fee_taker: 1_000, ..Instrument::plain() });
        Desk { paper, ledger: Ledger::new(Span::seconds(1)), fills: 0 }
    }
    fn market(&mut self, row: Row) {
        self.paper.heard(row.market, &row.heard.said, row.heard.source_at, row.heard.received_at);
        self.ledger.moved(&row, row.heard.source_at, &self.paper);
        self.see();
    }
    fn take(&mut self, order: u64, side: Side, size: i64, millis: i64) {
        let terms = Terms { side, size: Size::whole(size), price: None, post_only: false, reduce_only: false };
        let ticket = Ticket { order, market: M, terms, valid_until: None };
        self.paper.ask(Request::Submit(ticket), Timestamp::from_millis(millis));
        self.paper.elapse(Timestamp::from_millis(millis));
        self.see();
    }
    fn see(&mut self) {
        for fill in self.paper.fills_after(self.fills) {
            self.ledger.filled(fill, &self.paper);
        }
        self.fills = self.paper.fills();
    }
    fn close(self, millis: i64) -> Outcome {
        let driven = Driven { rows: 1, ended_at: Some(Timestamp::from_millis(millis)), ..Driven::default() };
        self.ledger.close(&self.paper, &driven)
    }
}

fn mids(outcome: &Outcome) -> Vec<[Option<i64>; 4]> {
    outcome.fills.iter().map(|fill| fill.mids.map(|mid| mid.map(|mid| mid.0 / Price::ONE.0))).collect()
}

#[test]
fn the_middle_after_a_fill_is_that_of_the_nearest_quote_that_is_near_enough() {
    let mut desk = Desk::new();
    desk.market(quote(0, 99));
    desk.take(1, Side::Buy, 1, 400);
    desk.market(quote(700, 101));
    // 1 s after it is 1400: 1300 is nearer than 1600.
    desk.market(quote(1_300, 103));
    desk.market(quote(1_600, 105));
    // 10 s after it is 10400: 11400 is just near enough, and the last before it is not.
    desk.market(quote(11_400, 107));
    // 60 s after it is 60400: nothing is within 5 s.
    desk.market(quote(65_401, 109));
    let outcome = desk.close(65_401);
    // At the fill: 700 is 300 ms away, 0 is 400 ms away.
    assert_eq!(mids(&outcome), [[Some(102), Some(104), Some(108), None]]);
    let fill = &outcome.fills[0];
    assert_eq!(fill.price, Price::whole(101));
    let expected = [(0, "98.039215686"), (1, "294.117647058"), (2, "686.274509803")];
    for (horizon, bps) in expected {
        assert_eq!(fill.markout(horizon).unwrap().to_string(), bps, "(middle - 101) / 102 in basis points");
    }
    assert_eq!(fill.markout(3), None);
    let known: Vec<u64> = outcome.markouts.iter().map(|markout| markout.known).collect();
    assert_eq!(known, [1, 1, 1, 0]);
    assert_eq!((outcome.markouts[3].average, outcome.markouts[3].p50), (None, None), "none is not 0");
}

#[test]
fn the_profit_is_split_to_the_last_digit() {
    let mut desk = Desk::new();
    desk.market(quote(0, 99));
    desk.take(1, Side::Buy, 2, 0);
    desk.market(quote(10_000, 102));
    desk.market(quote(20_000, 97));
    desk.take(2, Side::Sell, 1, 20_000);
    let outcome = desk.close(20_000);
    // Bought 2 at 101, sold 1 at 97, one is left at 98; a thousandth of 299 in fees.
    assert_eq!(outcome.fees.to_string(), "0.299");
    assert_eq!(outcome.profit.to_string(), "-7.299");
    // 1 worse than the middle of 100 for 2, and 1 worse than 98 for 1.
    assert_eq!(outcome.spread, Cash::whole(-3));
    // The middle rose by 3 within ten seconds of the first fill; of the second nothing is known.
    assert_eq!(outcome.adverse, Cash::whole(6));
    assert_eq!(outcome.inventory, Cash::whole(-10));
    // The best was 10 s in: 2 at 103 for 202.202 is 3.798.
    assert_eq!(outcome.drawdown, "3.798".parse::<Cash>().unwrap() - outcome.profit);
    assert_eq!((outcome.filled_whole, outcome.turnover), (2, Cash::whole(299)));
}

#[test]
fn the_curve_thins_itself_and_keeps_its_ends() {
    let mut desk = Desk::new();
    for second in 0..10_000 {
        desk.market(quote(second * 1_000, 99));
    }
    let outcome = desk.close(9_999_000);
    assert!((POINTS_MAX / 2..=POINTS_MAX).contains(&outcome.curve.len()), "{}", outcome.curve.len());
    assert_eq!(outcome.curve[0].at, Timestamp(0));
    assert_eq!(outcome.curve.last().unwrap().at, Timestamp::from_millis(9_999_000));
    assert!(outcome.curve.is_sorted_by_key(|point| point.at));
}

#[test]
fn the_time_in_each_state_is_whole() {
    let mut ledger = Ledger::new(Span::seconds(1));
    let paper = Paper::<u64>::new(Settings::default(), 1);
    for (millis, state) in [(0, "NORMAL"), (10, "NORMAL"), (100, "PAUSE"), (250, "NORMAL")] {
        Watch::<u64>::state(&mut ledger, state, Timestamp::from_millis(millis));
    }
    let driven = Driven { ended_at: Some(Timestamp::from_millis(1_000)), ..Driven::default() };
    let outcome = ledger.close(&paper, &driven);
    let states: Vec<_> = outcome.states.iter().map(|(state, span)| (&**state, span.0 / 1_000)).collect();
    assert_eq!(states, [("NORMAL", 850), ("PAUSE", 150)]);
    assert_eq!(outcome.changes.len(), 3);
}

#[test]
fn percentiles_are_of_the_nearest_rank() {
    let filled = |number: u64, then: i64| Filled {
        number,
        order: "".into(),
        market: M,
        at: Timestamp(0),
        side: Side::Buy,
        price: Price::whole(100),
        size: Size::ONE,
        fee: Cash::ZERO,
        liquidity: Liquidity::Maker,
        mids: [Some(Price::whole(100)), Some(Price::whole(then)), None, None],
    };
    let fills: Vec<Filled> = (1..=10).map(|number| filled(number, 100 + number as i64)).collect();
    let markout = markout(&fills, 1);
    let whole = |bps: Option<Bps>| bps.unwrap().0 / Bps::ONE.0;
    assert_eq!([markout.p10, markout.p50, markout.p90, markout.average].map(whole), [100, 500, 900, 550]);
}
