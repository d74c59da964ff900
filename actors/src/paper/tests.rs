use super::*;
use proptest::prelude::*;
use tidehelm_events::market::{Cash, Deal, DealKind, Heard, Instrument, Level, Price, Quote, Ratio, Said, Size};
use tidehelm_events::order::{Category, Liquidity, Terms};
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::Side;

const M: MarketNo = MarketNo(0);

fn ms(millis: i64) -> Timestamp {
    Timestamp::from_millis(millis)
}
fn quote(bid: i64, bid_size: i64, ask: i64, ask_size: i64) -> Said {
    let (bid, ask) = (Price::whole(bid), Price::whole(ask));
    Said::Quote(Quote { bid, bid_size: Size::whole(bid_size), ask, ask_size: Size::whole(ask_size) })
}
fn deal(taker: Option<Side>, price: i64, size: i64) -> Said {
    let (price, size) = (Price::whole(price), Size::whole(size));
    Said::Deal(Deal { id: "d".into(), taker, price, size, kind: DealKind::Normal })
}
fn limit(order: u64, side: Side, size: i64, price: i64) -> Ticket<u64> {
    let terms =
        Terms { side, size: Size::whole(size), price: Some(Price::whole(price)), post_only: false, reduce_only: false };
    Ticket { order, market: M, terms, valid_until: None }
}
fn with(mut ticket: Ticket<u64>, change: impl FnOnce(&mut Terms)) -> Ticket<u64> {
    change(&mut ticket.terms);
    ticket
}
fn post(order: u64, side: Side, size: i64, price: i64) -> Ticket<u64> {
    with(limit(order, side, size, price), |terms| terms.post_only = true)
}
fn market(order: u64, side: Side, size: i64) -> Ticket<u64> {
    with(limit(order, side, size, 1), |terms| terms.price = None)
}

/// Without latency, everything in whole units, one millisecond from step to step.
struct Table {
    paper: Paper<u64>,
    now: Timestamp,
}

impl Table {
    fn new(settings: Settings, instrument: Instrument) -> Self {
        let mut paper = Paper::new(settings, 7);
        paper.open_market(instrument);
        Table { paper, now: ms(1_000) }
    }
    fn plain(queue: Queue, fills: Fills) -> Self {
        let model = Model { queue, fills, unseen: Unseen::Behind };
        Table::new(Settings { model, ..at_once() }, Instrument::plain())
    }
    fn step(&mut self) {
        self.now = self.now + Span::millis(1);
    }
    fn market(&mut self, said: Said) -> Vec<String> {
        self.step();
        self.paper.heard(M, &said, self.now, self.now);
        self.reports()
    }
    fn ask(&mut self, request: Request<u64>) -> Vec<String> {
        self.step();
        self.paper.ask(request, self.now);
        self.paper.elapse(self.now);
        self.reports()
    }
    fn submit(&mut self, ticket: Ticket<u64>) -> Vec<String> {
        self.ask(Request::Submit(ticket))
    }
    fn wait(&mut self, millis: i64) -> Vec<String> {
        self.now = self.now + Span::millis(millis);
        self.paper.elapse(self.now);
        self.reports()
    }
    fn reports(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.paper.told(self.now)).map(|report| line(&report.what)).collect()
    }
    fn held(&self) -> String {
        self.paper.markets()[0].holding().size.to_string()
    }
}

fn at_once() -> Settings {
    Settings { latency: Latency::Constant { there: Span(0), back: Span(0) }, ..Settings::default() }
}

/// A report as a line: what, of which order, and its numbers.
fn line(what: &What<u64>) -> String {
    match what {
        What::Accepted { order } => format!("accepted {order}"),
        What::Rejected { order, why } => format!("rejected {order} {}", why.code()),
        What::Filled(fill) => {
            let liquidity = if fill.liquidity == Liquidity::Maker { "made" } else { "took" };
            format!("{liquidity} {} {}@{} leaves {}", fill.order, fill.size, fill.price, fill.leaves)
        }
        What::Amended { order, price, size, leaves } => format!("amended {order} {leaves} of {size}@{price}"),
        What::AmendRejected { order, why } => format!("amend of {order} rejected {}", why.code()),
        What::Cancelled { order, leaves, why } => format!("cancelled {order} leaves {leaves} {}", why.code()),
        What::CancelRejected { order, why } => format!("cancel of {order} rejected {}", why.code()),
        What::Listed { open } => format!("listed {open:?}"),
        What::AllCancelled { count } => format!("cancelled all {count}"),
        What::Armed { .. } => "armed".into(),
        What::Disarmed => "disarmed".into(),
        What::ArmRejected { why } => format!("arm rejected {}", why.code()),
        What::State { order, state } => format!("state {order} {state:?}"),
        What::TimedOut { order, asked } => format!("timed out {order:?} {asked:?}"),
        What::FundingPaid { amount, .. } => format!("funding {amount}"),
    }
}

#[test]
fn the_venue_looks_in_this_order_and_says_why_not() {
    let decimal = |text: &str| text.parse::<Size>().unwrap();
    let instrument = Instrument {
        tick: Price::whole(5),
        step: Size::whole(2),
        size_min: Size::whole(4),
        size_max: Some(Size::whole(100)),
        notional_min: Some(Cash::whole(500)),
        ..Instrument::plain()
    };
    let good = || post(9, Side::Buy, 10, 100);
    for (ticket, code) in [
        (with(good(), |terms| terms.size = Size(0)), "SIZE_NOT_POSITIVE"),
        (with(good(), |terms| terms.size = decimal("10.5")), "OFF_STEP"),
        (with(good(), |terms| terms.size = Size::whole(2)), "BELOW_MINIMUM"),
        (with(good(), |terms| terms.size = Size::whole(102)), "ABOVE_MAXIMUM"),
        (with(good(), |terms| terms.price = None), "PRICE_MISSING"),
        (with(good(), |terms| terms.price = Some(Price::ZERO)), "PRICE_NOT_POSITIVE"),
        (with(good(), |terms| terms.price = Some(Price::whole(101))), "OFF_TICK"),
        (with(good(), |terms| terms.size = Size::whole(4)), "BELOW_MINIMUM"),
        (with(good(), |terms| terms.reduce_only = true), "NOTHING_TO_REDUCE"),
        (with(good(), |terms| terms.price = Some(Price::whole(110))), "WOULD_TAKE"),
        (Ticket { market: MarketNo(3), ..good() }, "MARKET_UNKNOWN"),
        (Ticket { valid_until: Some(ms(1)), ..good() }, "OUTLIVED"),
        (limit(1, Side::Buy, 10, 100), "DUPLICATE"),
    ] {
        let mut table = Table::new(at_once(), instrument.clone());
        assert_eq!(table.submit(good()), ["rejected 9 NO_MARKET"], "before the first quote");
        table.market(quote(100, 50, 110, 50));
        assert_eq!(table.submit(post(1, Side::Buy, 10, 95)), ["accepted 1"]);
        let order = ticket.order;
        assert_eq!(table.submit(ticket), [format!("rejected {order} {code}")]);
        assert_eq!(table.submit(good()), ["accepted 9"], "a name that was refused may be sent again");
    }
}

#[test]
fn taking_goes_as_far_as_what_is_there_and_takes_it_once() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    assert_eq!(table.submit(limit(1, Side::Buy, 2, 101)), ["accepted 1", "took 1 2@101 leaves 0"]);
    assert_eq!(
        table.submit(market(2, Side::Buy, 2)),
        ["accepted 2", "took 2 1@101 leaves 1", "cancelled 2 leaves 1 NO_MORE_THERE"]
    );
    assert_eq!(table.submit(limit(3, Side::Buy, 1, 101)), ["accepted 3"], "nothing is left there: it rests");
    assert_eq!(table.market(quote(99, 5, 101, 3)), [""; 0], "the same said again is not more");
    assert_eq!(table.market(quote(99, 5, 101, 4)), ["made 3 1@101 leaves 0"], "one was added");
    assert_eq!(table.market(quote(99, 5, 102, 4)), [""; 0]);
    assert_eq!(table.submit(market(4, Side::Buy, 4)), ["accepted 4", "took 4 4@102 leaves 0"], "another price");
    assert_eq!(table.held(), "8");
}

#[test]
fn a_whole_book_is_taken_level_by_level() {
    let level = |price: i64, size: i64| Level { price: Price::whole(price), size: Size::whole(size) };
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(Said::BookWhole { seq: 1, bids: vec![level(99, 1)], asks: vec![level(101, 1), level(102, 5)] });
    assert_eq!(table.submit(market(1, Side::Buy, 3)), ["accepted 1", "took 1 1@101 leaves 2", "took 1 2@102 leaves 0"]);
    assert_eq!(table.submit(limit(2, Side::Buy, 1, 101)), ["accepted 2"]);
    assert_eq!(table.submit(post(3, Side::Buy, 2, 98)), ["accepted 3"], "a whole book says that nothing is there");
    assert_eq!(table.market(deal(Some(Side::Sell), 98, 1)), ["made 2 1@101 leaves 0"], "the better one first");
    assert_eq!(table.market(deal(Some(Side::Sell), 98, 1)), ["made 3 1@98 leaves 1"]);
    let change = Said::BookChanged { after: 7, seq: 8, bids: vec![], asks: vec![] };
    assert_eq!((table.market(change), table.paper.markets()[0].unused()), (vec![], 1));
    assert_eq!(table.submit(market(4, Side::Buy, 1)), ["rejected 4 NO_MARKET"], "until the next whole book");
}

#[test]
fn each_print_is_given_out_once() {
    let mut table = Table::plain(Queue::Front, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    for (order, size, price) in [(1, 2, 98), (2, 3, 98), (3, 1, 99)] {
        table.submit(limit(order, Side::Buy, size, price));
    }
    assert_eq!(table.market(deal(Some(Side::Buy), 98, 9)), [""; 0], "who buys does not take bids");
    assert_eq!(
        table.market(deal(Some(Side::Sell), 98, 4)),
        ["made 3 1@99 leaves 0", "made 1 2@98 leaves 0", "made 2 1@98 leaves 2"],
        "better prices first, then who came first"
    );
    assert_eq!(table.market(deal(None, 98, 1)), ["made 2 1@98 leaves 1"], "below the middle somebody sold");
    assert_eq!(table.market(deal(None, 100, 9)), [""; 0], "in the very middle nobody knows");
    assert_eq!(table.market(deal(Some(Side::Sell), 97, 9)), ["made 2 1@98 leaves 0"], "at its own price");
}

#[test]
fn whole_fills_ask_for_no_size() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Whole);
    table.market(quote(99, 2, 101, 1));
    table.submit(post(1, Side::Buy, 50, 99));
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 2)), [""; 0], "those before it");
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 1)), ["made 1 50@99 leaves 0"]);
    table.submit(post(2, Side::Buy, 50, 98));
    assert_eq!(table.market(deal(Some(Side::Sell), 97, 1)), ["made 2 50@98 leaves 0"]);
    assert_eq!(table.submit(market(3, Side::Buy, 50)), ["accepted 3", "took 3 50@101 leaves 0"]);
}

#[test]
fn an_order_waits_for_those_before_it() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    table.submit(post(1, Side::Buy, 2, 99));
    table.submit(post(2, Side::Buy, 2, 99));
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 4)), [""; 0]);
    assert_eq!(table.market(quote(99, 1, 101, 3)), [""; 0]);
    assert_eq!(
        table.market(deal(Some(Side::Sell), 99, 4)),
        ["made 1 2@99 leaves 0", "made 2 1@99 leaves 1"],
        "one was before them, three are left"
    );
    table.submit(post(3, Side::Buy, 2, 97));
    assert_eq!(table.market(deal(Some(Side::Sell), 97, 3)), ["made 2 1@99 leaves 0"], "97 was never told of");
    assert_eq!(table.market(quote(97, 4, 101, 3)), [""; 0]);
    assert_eq!(table.market(deal(Some(Side::Sell), 97, 5)), ["made 3 1@97 leaves 1"]);
    assert_eq!(table.market(quote(95, 4, 97, 3)), ["made 3 1@97 leaves 0"], "the other side came to it");
}

#[test]
fn what_crosses_is_filled_by_what_stands_there() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 105, 3));
    table.submit(post(1, Side::Buy, 4, 103));
    table.submit(post(2, Side::Buy, 4, 102));
    assert_eq!(table.market(quote(99, 5, 102, 6)), ["made 1 4@103 leaves 0", "made 2 2@102 leaves 2"]);
    assert_eq!(table.market(quote(99, 5, 102, 6)), [""; 0]);
    let crossed = quote(103, 1, 102, 1);
    assert_eq!((table.market(crossed), table.paper.markets()[0].unused()), (vec![], 1));
}

#[test]
fn reduce_only_reduces_and_nothing_else() {
    let reduce = |order, side, size, price| with(limit(order, side, size, price), |terms| terms.reduce_only = true);
    let mut table = Table::plain(Queue::Front, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    table.submit(market(1, Side::Buy, 3));
    assert_eq!(table.submit(reduce(2, Side::Buy, 1, 99)), ["rejected 2 NOTHING_TO_REDUCE"]);
    assert_eq!(table.submit(reduce(3, Side::Sell, 2, 102)), ["accepted 3"]);
    assert_eq!(table.submit(reduce(4, Side::Sell, 2, 103)), ["accepted 4"]);
    assert_eq!(
        table.market(deal(Some(Side::Buy), 103, 9)),
        ["made 3 2@102 leaves 0", "made 4 1@103 leaves 1", "cancelled 4 leaves 1 NOTHING_TO_REDUCE"]
    );
    assert_eq!(table.held(), "0");
    table.submit(market(5, Side::Sell, 2));
    table.market(quote(99, 5, 104, 9));
    let all = with(reduce(6, Side::Buy, 3, 104), |terms| terms.price = None);
    assert_eq!(table.submit(all), ["accepted 6", "took 6 2@104 leaves 1", "cancelled 6 leaves 1 NOTHING_TO_REDUCE"]);
    assert_eq!(table.held(), "0");
}

#[test]
fn an_amended_order_keeps_its_place_if_it_gives_nothing_up() {
    let amend = |price, size| Request::Amend { order: 1, price: Price::whole(price), size: Size::whole(size) };
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    table.submit(limit(1, Side::Buy, 4, 99));
    table.market(deal(Some(Side::Sell), 99, 6));
    assert_eq!(table.ask(amend(99, 1)), ["amend of 1 rejected SIZE_NOT_POSITIVE"], "one is filled");
    assert_eq!(table.ask(amend(99, 3)), ["amended 1 2 of 3@99"]);
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 1)), ["made 1 1@99 leaves 1"], "still at the front");
    assert_eq!(table.ask(amend(99, 5)), ["amended 1 3 of 5@99"]);
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 5)), [""; 0], "it grew: behind the five");
    assert_eq!(table.ask(amend(101, 5)), ["amended 1 0 of 5@101", "took 1 3@101 leaves 0"]);
    assert_eq!(table.ask(amend(98, 5)), ["amend of 1 rejected ORDER_OVER"]);
    table.submit(post(2, Side::Buy, 4, 99));
    let taking = Request::Amend { order: 2, price: Price::whole(101), size: Size::whole(4) };
    assert_eq!(table.ask(taking), ["amend of 2 rejected WOULD_TAKE"]);
}

#[test]
fn cancels_have_a_budget_of_their_own() {
    let rates =
        Rates { orders: Some(Rate { a_second: 2, at_once: 2 }), cancels: Some(Rate { a_second: 1000, at_once: 100 }) };
    let mut table = Table::new(Settings { rates, ..at_once() }, Instrument::plain());
    table.market(quote(99, 5, 101, 3));
    assert_eq!(table.submit(post(1, Side::Buy, 1, 98)), ["accepted 1"]);
    assert_eq!(table.submit(post(2, Side::Buy, 1, 98)), ["accepted 2"]);
    assert_eq!(table.submit(post(3, Side::Buy, 1, 98)), ["rejected 3 RATE_LIMITED"]);
    assert_eq!(table.ask(Request::Cancel { order: 1 }), ["cancelled 1 leaves 1 ASKED"]);
    assert_eq!(table.ask(Request::Cancel { order: 1 }), ["cancel of 1 rejected ORDER_OVER"]);
    assert_eq!(table.ask(Request::Cancel { order: 8 }), ["cancel of 8 rejected ORDER_UNKNOWN"]);
    table.wait(500);
    assert_eq!(table.submit(post(3, Side::Buy, 1, 98)), ["accepted 3"], "a half second later there is room for one");
    assert_eq!(
        table.ask(Request::CancelAll { market: None }),
        ["cancelled all 2", "cancelled 2 leaves 1 ASKED", "cancelled 3 leaves 1 ASKED"]
    );
}

#[test]
fn who_does_not_say_that_he_lives_has_no_orders() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    table.submit(post(1, Side::Buy, 1, 98));
    assert_eq!(table.ask(Request::Arm { within: Span::seconds(1) }), ["armed"]);
    assert_eq!(table.wait(900), [""; 0]);
    assert_eq!(table.ask(Request::Arm { within: Span::seconds(1) }), ["armed"]);
    assert_eq!(table.wait(999), [""; 0]);
    assert_eq!(table.wait(1), ["cancelled 1 leaves 1 DEAD_MAN"]);
    assert_eq!(table.paper.counts().dead_man, 1);
    table.ask(Request::Arm { within: Span::seconds(1) });
    table.submit(post(2, Side::Buy, 1, 98));
    assert_eq!(table.ask(Request::Disarm), ["disarmed"]);
    assert_eq!(table.wait(5_000), [""; 0]);
    assert_eq!(table.ask(Request::Arm { within: Span(0) }), ["arm rejected OUTLIVED"]);
}

#[test]
fn an_accepted_order_whose_reply_timed_out_is_found_by_asking() {
    let faults = Faults { lost_replies_permille: 1000, ..Faults::default() };
    let mut table = Table::new(Settings { faults, ..at_once() }, Instrument::plain());
    table.market(quote(99, 5, 101, 3));
    assert_eq!(
        table.submit(limit(1, Side::Buy, 5, 101)),
        ["took 1 3@101 leaves 2"],
        "its trades are told all the same"
    );
    assert_eq!(table.wait(4_999), [""; 0]);
    assert_eq!(table.wait(1), ["timed out Some(1) Submit"]);
    let open = table.paper.list().open;
    assert_eq!((open.len(), open[0].1.order, open[0].1.leaves()), (1, 1, Size::whole(2)));
    assert_eq!(table.submit(limit(1, Side::Buy, 5, 101)), [""; 0]);
    assert_eq!(table.paper.list().open.len(), 1, "the same name sent again is the same order");
    assert_eq!(table.paper.counts().rejected, 1);

    let faults = Faults { lost_requests_permille: 1000, ..Faults::default() };
    let mut table = Table::new(Settings { faults, ..at_once() }, Instrument::plain());
    table.market(quote(99, 5, 101, 3));
    assert_eq!(table.submit(limit(1, Side::Buy, 5, 101)), [""; 0]);
    assert_eq!(table.wait(5_000), ["timed out Some(1) Submit"]);
    assert_eq!(table.paper.list().open, [], "it never arrived");
}

#[test]
fn an_order_is_what_became_of_it() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    table.submit(limit(1, Side::Buy, 5, 101));
    table.submit(limit(2, Side::Sell, 1, 99));
    table.submit(post(3, Side::Buy, 1, 98));
    table.ask(Request::Cancel { order: 3 });
    for (order, state) in [
        (1, State::Open { leaves: Size::whole(2), filled: Size::whole(3) }),
        (2, State::Filled { filled: Size::whole(1) }),
        (3, State::Cancelled { filled: Size::ZERO, why: Ended::Asked }),
        (4, State::Unheard),
    ] {
        assert_eq!(table.ask(Request::Look { order }), [format!("state {order} {state:?}")]);
    }
}

#[test]
fn an_order_is_good_until_it_says() {
    let mut table = Table::plain(Queue::Front, Fills::Partial);
    table.market(quote(99, 5, 101, 3));
    for (order, millis) in [(1, 3_000), (2, 2_000)] {
        table.submit(Ticket { valid_until: Some(ms(millis)), ..post(order, Side::Buy, 1, 98) });
    }
    table.submit(post(3, Side::Buy, 1, 97));
    table.now = ms(2_500);
    table.paper.heard(M, &deal(Some(Side::Sell), 98, 9), table.now, table.now);
    assert_eq!(table.reports(), ["cancelled 2 leaves 1 EXPIRED", "made 1 1@98 leaves 0"]);
    assert_eq!(table.wait(10_000), [""; 0]);
}

#[test]
fn fees_and_funding_are_paid_to_the_last_digit() {
    let instrument = Instrument { fee_maker: -100, fee_taker: 500, ..Instrument::plain() };
    let model = Model { queue: Queue::Front, ..Model::default() };
    let mut table = Table::new(Settings { model, ..at_once() }, instrument);
    table.market(quote(100, 5, 101, 3));
    table.submit(market(1, Side::Sell, 2));
    table.submit(post(2, Side::Buy, 1, 100));
    table.market(deal(Some(Side::Sell), 100, 1));
    let holding = *table.paper.markets()[0].holding();
    // 500 hundredths of a basis point of 200, less 100 of 100.
    assert_eq!(
        (holding.fees.to_string(), holding.cash, holding.turnover),
        ("0.09".into(), Cash::whole(100), Cash::whole(300))
    );
    table.market(Said::Mark(Price::whole(50)));
    let rate: Size = "0.01".parse().unwrap();
    table.market(Said::Funding { rate, due_at: Some(table.now + Span::seconds(60)) });
    assert_eq!(table.wait(59_000), [""; 0]);
    assert_eq!(table.wait(1_000), ["funding -0.5"], "who is short is paid");
    assert_eq!(table.wait(60_000), [""; 0], "once");
    let holding = table.paper.markets()[0].holding();
    assert_eq!(holding.worth(Price::whole(50)).to_string(), "50.41", "100 - 50 - 0.09 + 0.5");
}

#[test]
fn no_more_is_opened_than_the_deposit_carries() {
    let margin = Some(Margin { deposit: Cash::whole(100), leverage: 5 });
    let mut table = Table::new(Settings { margin, open_orders_max: 3, ..at_once() }, Instrument::plain());
    table.market(quote(99, 50, 101, 50));
    assert_eq!(table.submit(post(1, Side::Buy, 2, 99)), ["accepted 1"]);
    assert_eq!(table.submit(market(2, Side::Buy, 3))[0], "accepted 2", "198 and 300 of 500");
    assert_eq!(table.submit(post(3, Side::Buy, 1, 99)), ["rejected 3 MARGIN_SHORT"]);
    let out = with(post(4, Side::Sell, 3, 102), |terms| terms.reduce_only = true);
    assert_eq!(table.submit(out), ["accepted 4"], "what reduces needs none");
    let mut table = Table::new(Settings { open_orders_max: 1, ..at_once() }, Instrument::plain());
    table.market(quote(99, 50, 101, 50));
    table.submit(post(1, Side::Buy, 2, 99));
    assert_eq!(table.submit(post(2, Side::Buy, 2, 99)), ["rejected 2 TOO_MANY_OPEN"]);
}

#[test]
fn requests_and_reports_take_their_time_and_keep_their_order() {
    let latency = Latency::Constant { there: Span::millis(5), back: Span::millis(7) };
    let mut table = Table::new(Settings { latency, ..Settings::default() }, Instrument::plain());
    table.paper.heard(M, &quote(99, 5, 101, 3), ms(0), ms(0));
    table.paper.ask(Request::Submit(market(1, Side::Buy, 1)), ms(10));
    table.paper.heard(M, &quote(99, 5, 102, 3), ms(15), ms(16));
    table.paper.heard(M, &quote(99, 5, 103, 3), ms(16), ms(17));
    assert_eq!((table.paper.next_report_at(), table.paper.told(ms(21))), (Some(ms(22)), None));
    table.now = ms(22);
    assert_eq!(table.reports(), ["accepted 1", "took 1 1@102 leaves 0"], "it came to the market of 15");
    let tape = Latency::Tape { there: Ratio::ONE, back: Ratio::ONE, least: Span(0) };
    let mut table = Table::new(Settings { latency: tape, ..Settings::default() }, Instrument::plain());
    table.paper.heard(M, &quote(99, 5, 101, 3), ms(0), ms(9));
    table.paper.ask(Request::Arm { within: Span::seconds(9) }, ms(10));
    table.paper.heard(M, &quote(99, 5, 101, 3), ms(11), ms(12));
    table.paper.ask(Request::Disarm, ms(12));
    table.paper.elapse(ms(30));
    table.now = ms(30);
    assert_eq!(table.reports(), ["armed", "disarmed"], "a quicker one does not overtake");
}

#[test]
fn a_restart_goes_on_with_what_the_desk_knew() {
    let mut table = Table::plain(Queue::RiskAverse, Fills::Partial);
    let holding = Holding { size: Size::whole(-2), cash: Cash::whole(210), ..Holding::default() };
    table.paper.adopt(M, holding, vec![(limit(1, Side::Buy, 5, 99), Size::whole(3), ms(900))], 41);
    assert_eq!(table.submit(limit(1, Side::Buy, 5, 99)), ["rejected 1 DUPLICATE"]);
    table.market(quote(99, 5, 101, 3));
    assert_eq!(table.market(deal(Some(Side::Sell), 99, 6)), ["made 1 1@99 leaves 1"], "behind all that stands there");
    assert_eq!((table.held().as_str(), table.paper.fills()), ("-1", 42));
    assert_eq!(table.paper.fills_after(41).map(|fill| fill.execution().id).collect::<Vec<_>>(), ["paper-42".into()]);
    assert_eq!(table.paper.fills_after(42).count(), 0);
}

#[derive(Debug, Clone)]
enum Step {
    Market(Said),
    Submit { side: Side, size: i64, price: Option<i64>, post_only: bool, reduce_only: bool },
    Cancel(u64),
    Amend(u64, i64, i64),
    Wait(i64),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let side = || prop_oneof![Just(Side::Buy), Just(Side::Sell)];
    let quoted = (90..110i64, 1..4i64, 0..6i64, 0..6i64)
        .prop_map(|(bid, spread, bid_size, ask_size)| Step::Market(quote(bid, bid_size, bid + spread, ask_size)));
    let dealt = (prop::option::of(side()), 88..114i64, 1..8i64)
        .prop_map(|(taker, price, size)| Step::Market(deal(taker, price, size)));
    let submit =
        (side(), 1..6i64, prop::option::weighted(0.9, 88..114i64), any::<bool>(), prop::bool::weighted(0.2)).prop_map(
            |(side, size, price, post_only, reduce_only)| Step::Submit { side, size, price, post_only, reduce_only },
        );
    let step = prop_oneof![
        4 => quoted,
        4 => dealt,
        4 => submit,
        1 => (0..40u64).prop_map(Step::Cancel),
        1 => (0..40u64, 88..114i64, 1..8i64).prop_map(|(order, price, size)| Step::Amend(order, price, size)),
        1 => (1..3000i64).prop_map(Step::Wait),
    ];
    prop::collection::vec(step, 1..120)
}

fn models() -> impl Strategy<Value = Model> {
    let queue = prop_oneof![
        Just(Queue::Front),
        Just(Queue::RiskAverse),
        (1..4u8).prop_map(|n| Queue::Power { n }),
        (1..4u8).prop_map(|n| Queue::Share { n })
    ];
    let unseen = prop_oneof![Just(Unseen::Behind), Just(Unseen::Empty)];
    (queue, unseen).prop_map(|(queue, unseen)| Model { queue, fills: Fills::Partial, unseen })
}

fn ticket(order: u64, step: &Step) -> Option<Ticket<u64>> {
    let Step::Submit { side, size, price, post_only, reduce_only } = step else { return None };
    let price = price.map(Price::whole);
    let terms =
        Terms { side: *side, size: Size::whole(*size), price, post_only: *post_only, reduce_only: *reduce_only };
    Some(Ticket { order, market: M, terms, valid_until: None })
}

/// All reports of a run with latency and faults.
fn run(model: Model, steps: &[Step], seed: u64) -> (Vec<Report<u64>>, Listing<u64>) {
    let latency = Latency::Jitter {
        there: (Span(0), Span::millis(3)),
        back: (Span(0), Span::millis(3)),
        spike_permille: 50,
        spike: Span::seconds(1),
    };
    let faults =
        Faults { lost_replies_permille: 50, lost_requests_permille: 50, rejects_permille: 50, ..Faults::default() };
    let mut paper = Paper::new(Settings { model, latency, faults, ..Settings::default() }, seed);
    paper.open_market(Instrument { fee_maker: -20, fee_taker: 300, ..Instrument::plain() });
    let (mut now, mut order, mut told) = (ms(0), 0, Vec::new());
    for step in steps {
        now = now + Span::millis(1);
        match step {
            Step::Market(said) => paper.heard(M, said, now, now + Span::millis(2)),
            Step::Submit { .. } => {
                order += 1;
                paper.ask(Request::Submit(ticket(order, step).unwrap()), now);
            }
            Step::Cancel(order) => paper.ask(Request::Cancel { order: *order }, now),
            Step::Amend(order, price, size) => {
                let (price, size) = (Price::whole(*price), Size::whole(*size));
                paper.ask(Request::Amend { order: *order, price, size }, now);
            }
            Step::Wait(millis) => now = now + Span::millis(*millis),
        }
        paper.elapse(now);
        told.extend(std::iter::from_fn(|| paper.told(now)));
    }
    paper.elapse(now + Span::seconds(60));
    told.extend(std::iter::from_fn(|| paper.told(now + Span::seconds(120))));
    (told, paper.list())
}

fn fills(reports: &[Report<u64>]) -> Vec<&Fill<u64>> {
    reports.iter().filter_map(|report| if let What::Filled(fill) = &report.what { Some(fill) } else { None }).collect()
}

proptest! {
    #[test]
    fn the_same_seed_is_the_same_run(model in models(), steps in steps(), seed in any::<u64>()) {
        prop_assert_eq!(run(model, &steps, seed), run(model, &steps, seed));
    }

    #[test]
    fn what_is_held_is_the_sum_of_the_fills(model in models(), steps in steps(), seed in any::<u64>()) {
        let (reports, listing) = run(model, &steps, seed);
        let (mut held, mut cash, mut fees) = (0, 0, 0);
        for (number, fill) in fills(&reports).into_iter().enumerate() {
            prop_assert_eq!(fill.number, number as u64 + 1);
            prop_assert!(fill.size.0 > 0 && fill.leaves.0 >= 0);
            let sign = if fill.side == Side::Buy { 1 } else { -1 };
            held += sign * fill.size.0;
            cash -= i128::from(sign) * (fill.price * fill.size).0;
            fees += fill.fee.0;
        }
        let holding = listing.holdings[0].1;
        prop_assert_eq!((holding.size.0, holding.cash.0, holding.fees.0), (held, cash, fees));
    }

    #[test]
    fn no_order_is_filled_beyond_its_size_or_price_or_after_its_end(model in models(), steps in steps(), seed in any::<u64>()) {
        let steps: Vec<Step> = steps.into_iter().filter(|step| !matches!(step, Step::Amend(..))).collect();
        let (reports, listing) = run(model, &steps, seed);
        let tickets: Vec<_> = steps.iter().filter(|step| matches!(step, Step::Submit { .. })).enumerate()
            .filter_map(|(index, step)| ticket(index as u64 + 1, step)).collect();
        let mut held = Size::ZERO;
        let mut over = std::collections::BTreeSet::new();
        let mut filled = std::collections::BTreeMap::new();
        for report in &reports {
            match &report.what {
                What::Filled(fill) => {
                    let terms = &tickets[fill.order as usize - 1].terms;
                    prop_assert!(!over.contains(&fill.order), "order {} was over", fill.order);
                    let worst = terms.price.unwrap_or(fill.price);
                    let within = if terms.side == Side::Buy { fill.price <= worst } else { fill.price >= worst };
                    prop_assert!(within, "{fill:?} of {terms:?}");
                    prop_assert!(!terms.post_only || fill.liquidity == Liquidity::Maker);
                    let sum = filled.entry(fill.order).or_insert(Size::ZERO);
                    *sum = *sum + fill.size;
                    prop_assert_eq!(*sum + fill.leaves, terms.size);
                    let before = held;
                    held = if fill.side == Side::Buy { held + fill.size } else { held - fill.size };
                    prop_assert!(!terms.reduce_only || held.abs() < before.abs() && held.0.signum() != -before.0.signum());
                    if fill.leaves.0 == 0 { over.insert(fill.order); }
                }
                What::Cancelled { order, .. } | What::Rejected { order, .. } => { over.insert(*order); }
                _ => {}
            }
        }
        for (_, open) in &listing.open {
            prop_assert!(!over.contains(&open.order));
            prop_assert_eq!(open.filled, filled.get(&open.order).copied().unwrap_or_default());
        }
    }

    /// Without latency: what a print gives out is no more than it is, what a quote gives is no more than stands there.
    #[test]
    fn nothing_is_given_out_twice(model in models(), steps in steps()) {
        let mut paper = Paper::new(Settings { model, ..at_once() }, 1);
        paper.open_market(Instrument::plain());
        let (mut now, mut order) = (ms(0), 0);
        for step in &steps {
            now = now + Span::millis(1);
            let before = paper.fills();
            if let Some(ticket) = ticket(order + 1, step) {
                order += 1;
                paper.ask(Request::Submit(ticket), now);
                paper.elapse(now);
            } else if let Step::Market(said) = step {
                paper.heard(M, said, now, now);
                let given = |side: Side| paper.fills_after(before).filter(|fill| fill.side == side).map(|fill| fill.size.0).sum::<i64>();
                let (bought, sold) = (given(Side::Buy), given(Side::Sell));
                match said {
                    Said::Deal(deal) => prop_assert!(bought + sold <= deal.size.0, "{bought} and {sold} of {deal:?}"),
                    Said::Quote(quote) => prop_assert!(bought <= quote.ask_size.0 && sold <= quote.bid_size.0, "{bought} and {sold} of {quote:?}"),
                    _ => prop_assert_eq!((bought, sold), (0, 0)),
                }
            }
        }
    }
}

/// Buys one at the ask when the second quote is heard, and sells it again when woken.
struct Once {
    heard: u32,
    told: Vec<(Timestamp, String)>,
}

impl Trader for Once {
    type Id = u64;

    fn heard(&mut self, row: &Row, desk: &mut Desk<'_, u64>) {
        assert_eq!(row.heard.received_at, desk.now);
        self.heard += 1;
        if self.heard == 2 {
            desk.ask(Request::Submit(market(1, Side::Buy, 1)));
            desk.wake_at(ms(30));
        }
    }
    fn told(&mut self, report: &Report<u64>, desk: &mut Desk<'_, u64>) {
        self.told.push((desk.now, line(&report.what)));
    }
    fn woken(&mut self, desk: &mut Desk<'_, u64>) {
        assert_eq!(desk.now, ms(30));
        desk.ask(Request::Submit(market(2, Side::Sell, 1)));
    }
    fn state(&self) -> &'static str {
        if self.heard < 2 { "WAITING" } else { "DONE" }
    }
}

#[derive(Default)]
struct Seen(Vec<String>);

impl Watch<u64> for Seen {
    fn filled(&mut self, fill: &Fill<u64>, _paper: &Paper<u64>) {
        self.0.push(format!("{} filled", fill.at.millis()));
    }
    fn state(&mut self, state: &'static str, now: Timestamp) {
        self.0.push(format!("{} {state}", now.millis()));
    }
}

#[test]
fn a_trader_is_driven_over_a_tape_each_side_at_its_time() {
    let row = |at: i64, ask: i64| Row {
        market: M,
        heard: Heard { source_at: ms(at), received_at: ms(at + 3), said: quote(99, 5, ask, 5) },
    };
    let tape = [row(0, 101), row(10, 102), row(17, 103), row(19, 104), row(50, 105)];
    let latency = Latency::Constant { there: Span::millis(5), back: Span::millis(4) };
    let mut paper = Paper::new(Settings { latency, ..Settings::default() }, 1);
    paper.open_market(Instrument::plain());
    let (mut trader, mut seen) = (Once { heard: 0, told: Vec::new() }, Seen::default());
    let driven = drive(&tape, &mut paper, &mut trader, &mut seen);
    assert_eq!((driven.rows, driven.reports, driven.ended_at), (5, 4, Some(ms(50))));
    let told: Vec<_> = trader.told.iter().map(|(at, line)| format!("{} {line}", at.millis())).collect();
    assert_eq!(told, ["22 accepted 1", "22 took 1 1@103 leaves 0", "39 accepted 2", "39 took 2 1@99 leaves 0"]);
    assert_eq!(seen.0, ["3 WAITING", "13 DONE", "18 filled", "35 filled"]);
}

#[test]
fn a_made_up_reject_says_its_category() {
    let faults = Faults { rejects_permille: 1000, reject_as: Category::Ambiguous, ..Faults::default() };
    let mut table = Table::new(Settings { faults, ..at_once() }, Instrument::plain());
    table.market(quote(99, 5, 101, 3));
    assert_eq!(table.submit(post(1, Side::Buy, 1, 98)), ["rejected 1 MADE_UP"]);
    assert_eq!(Rejection::MadeUp(Category::Ambiguous).category(), Category::Ambiguous);
    assert_eq!(Rejection::WouldTake.category(), Category::PostOnly);
    assert_eq!(Rejection::RateLimited.category(), Category::RateLimit);
}
