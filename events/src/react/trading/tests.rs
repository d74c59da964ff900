//! A day of strategies, from a market's quote to a position and back, over the log alone.

use crate::id::{MarketId, Principal, StrategyId, StreamId, VenueId};
use crate::market::{self, Heard, Instrument, Quote, Said};
use crate::order::{self, Ask, Bounds, ClientOrderId, Execution, Life, Liquidity, Listing, Report};
use crate::react::Effect;
use crate::sample::{log::Log, reason, user};
use crate::strategy;
use crate::strategy::guard::{self, Degree, Scope, Write};
use crate::strategy::maker::{self, Mode, Parameters};
use crate::strategy::taker::{self, AnyFamily, Ping};
use crate::time::Span;
use crate::truth::Command;

struct Day {
    log: Log,
    market: MarketId,
    venue: VenueId,
    maker: StrategyId,
}

impl Day {
    /// A market that is heard, a venue that is connected, and one maker that may quote.
    fn new() -> Self {
        let market: MarketId = "paper:BTC-USD".parse().unwrap();
        let (venue, maker) = (market.venue.clone(), StrategyId::new("btc_maker").unwrap());
        let mut day = Day { log: Log::new(), market, venue, maker };
        day.venue(order::Command::Open(Box::default()));
        let instrument =
            Instrument { tick: "0.1".parse().unwrap(), step: "0.001".parse().unwrap(), ..Instrument::plain() };
        let settings = market::Settings { instrument, warm_ms: 0, ..market::Settings::default() };
        day.market(market::Command::Set(Box::new(settings)));
        day.venue(order::Command::Link { up: true, why: "".into() });
        day.lists();
        day.venue(order::Command::TakeAccount { equity: market::Cash::whole(10_000), margin_free: None });
        day.guard(guard::Command::Beat);
        day.strategy(maker::Command::Open { market: day.market.clone() });
        let parameters = Parameters {
            uses_mark_index: false,
            quote_size: market::Cash::whole(500),
            uses_liquidations: false,
            pause_min_duration_ms: 0,
            defensive_clear_ms: 0,
            ..Parameters::default()
        };
        let by = Principal::User(user("anna"));
        day.strategy(maker::Command::SetParameters {
            values: Box::new(parameters),
            comment: reason("first"),
            by,
            activate: true,
            expected: None,
        });
        day.venue(order::Command::Bind {
            strategy: day.maker.clone(),
            bounds: Box::new(Bounds::maker(market::Size::whole(1))),
        });
        day
    }

    fn wish(&mut self, to: StreamId, command: Command) {
        self.log.wish(&to, command).unwrap();
    }
    fn venue(&mut self, command: order::Command) {
        self.wish(StreamId::Venue(self.venue.clone()), Command::Venue(command));
    }
    fn market(&mut self, command: market::Command) {
        self.wish(StreamId::Market(self.market.clone()), Command::Market(command));
    }
    fn guard(&mut self, command: guard::Command) {
        self.wish(StreamId::Guard, Command::Guard(command));
    }
    fn strategy(&mut self, command: maker::Command) {
        let command = Command::Strategy(strategy::Command::Maker(command));
        self.wish(StreamId::Strategy(self.maker.clone()), command);
    }
    fn allow(&mut self, entry: bool) {
        let write = Write {
            scope: Scope::Strategy(self.maker.clone()),
            entry: Some(entry),
            exit: None,
            lock: None,
            note: None,
            ttl: None,
            expected: None,
            by: Principal::User(user("anna")),
        };
        self.guard(guard::Command::Write(Box::new(write)));
    }
    /// The venue says what there is: our live orders, and what the book holds.
    fn lists(&mut self) {
        let venue = self.log.fold.truth.venue(&self.venue).unwrap();
        let orders = venue.live.values().map(|order| order::ListedOrder {
            order: Some(order.id.clone()),
            venue_order: order.id.to_string().into(),
            market: order.intent.market.clone(),
            side: order.terms.side,
            price: order.terms.price,
            size: order.terms.size,
            filled: order.filled,
        });
        let (orders, size) = (orders.collect(), venue.book.net(&self.market));
        let positions = Some(vec![order::ListedPosition { market: self.market.clone(), size }]);
        let listing = Listing { asked_at: self.log.now, orders: Some(orders), positions, fills: vec![] };
        self.venue(order::Command::Reconcile(Box::new(listing)));
    }
    /// So many seconds of quotes around a middle, four in each.
    fn quotes(&mut self, seconds: i64, mid: i64) {
        for _ in 0..seconds * 4 {
            self.log.now = self.log.now + Span::millis(250);
            if self.log.now.millis() % 5_000 == 0 {
                self.guard(guard::Command::Beat);
                self.lists();
            }
            let quote = Quote {
                bid: market::Price::whole(mid),
                bid_size: market::Size::whole(5),
                ask: market::Price::whole(mid + 1),
                ask_size: market::Size::whole(5),
            };
            let heard = Heard { said: Said::Quote(quote), source_at: self.log.now, received_at: self.log.now };
            self.market(market::Command::Hear(vec![heard]));
        }
    }
    fn live(&self) -> Vec<(ClientOrderId, Life)> {
        let venue = self.log.fold.truth.venue(&self.venue).unwrap();
        venue.live.values().map(|order| (order.id.clone(), order.life)).collect()
    }
    fn mode(&self) -> Mode {
        self.log.fold.truth.strategy(&self.maker).unwrap().maker().unwrap().mode
    }
    /// What the venue was asked since the last time.
    fn asked(&mut self) -> Vec<Ask> {
        let asked = |effect| match effect {
            Effect::VenueAsked { ask, .. } => Some(*ask),
            _ => None,
        };
        self.log.effects.drain(..).filter_map(asked).collect()
    }
    /// The venue does what it was asked.
    fn works(&mut self) {
        for ask in self.asked() {
            let report = match ask {
                Ask::Submit { order, .. } => Report::Accepted { order, venue_order: None },
                Ask::Cancel { order } => Report::Cancelled { order },
                _ => continue,
            };
            self.venue(order::Command::Report(Box::new(report)));
        }
    }
    fn count(&self, kind: &str) -> usize {
        self.log.records.iter().filter(|record| record.event.kind().name == kind).count()
    }
    /// Quotes for so long, with the venue at work after each second.
    fn passes(&mut self, seconds: i64, mid: i64) {
        for _ in 0..seconds {
            self.quotes(1, mid);
            self.works();
        }
    }
}

#[test]
fn a_maker_quotes_once_it_may_and_not_before() {
    let mut day = Day::new();
    day.passes(30, 50_000);
    assert_eq!((day.mode(), day.live(), day.count("order_submitted")), (Mode::Pause, vec![], 0), "it may not enter");
    day.allow(true);
    day.passes(40, 50_000);
    assert_eq!(day.mode(), Mode::Normal);
    let live = day.live();
    assert_eq!(live.len(), 2, "one on each side: {live:?}");
    assert!(live.iter().all(|(_, life)| *life == Life::Accepted), "{live:?}");
    let submitted = day.log.records.iter().filter(|record| record.event.kind().name == "order_submitted");
    for record in submitted {
        let cause = record.causation.expect("an order has a cause");
        let decision = day.log.records.iter().find(|decision| decision.position == cause).unwrap();
        assert_eq!(decision.event.kind().name, "maker_decided", "and it is a decision in the log");
    }
}

#[test]
fn a_flag_that_goes_off_takes_the_quotes_with_it() {
    let mut day = Day::new();
    day.allow(true);
    day.passes(40, 50_000);
    assert_eq!(day.live().len(), 2);
    day.asked();
    day.allow(false);
    let asked = day.asked();
    assert!(asked.len() == 2 && asked.iter().all(|ask| matches!(ask, Ask::Cancel { .. })), "{asked:?}");
    assert_eq!(day.mode(), Mode::Pause);
    let acknowledged = day.log.fold.truth.venue(&day.venue).unwrap().control;
    assert_eq!(
        acknowledged,
        day.log.fold.truth.guard().unwrap().revision,
        "the gateway says which revision it enforces"
    );
}

#[test]
fn a_fill_is_held_by_its_maker_and_skews_what_it_quotes() {
    let mut day = Day::new();
    day.allow(true);
    day.passes(40, 50_000);
    let venue = day.log.fold.truth.venue(&day.venue).unwrap();
    let bid = venue.live.values().find(|order| order.terms.side == crate::trade::Side::Buy).unwrap().clone();
    let (price, size) = (bid.terms.price.unwrap(), bid.terms.size);
    for _ in 0..2 {
        let execution = Execution {
            id: "t-1".into(),
            side: bid.terms.side,
            price,
            size,
            fee: market::Cash::ZERO,
            liquidity: Liquidity::Maker,
            at: day.log.now,
        };
        let (order, market) = (Some(bid.id.clone()), day.market.clone());
        day.venue(order::Command::Report(Box::new(Report::Filled { order, market, execution })));
    }
    assert_eq!(day.count("order_filled"), 1, "told twice, held once");
    let venue = day.log.fold.truth.venue(&day.venue).unwrap();
    assert_eq!(venue.book.of_strategy(&day.maker, &day.market), size);
    day.passes(10, 50_000);
    let venue = day.log.fold.truth.venue(&day.venue).unwrap();
    let again = venue.live.values().find(|order| order.terms.side == bid.terms.side).expect("the side is quoted again");
    assert!(again.terms.price.unwrap() <= price, "and no higher, since something is held");
}

#[test]
fn a_stop_cancels_and_a_resume_brings_it_back() {
    let mut day = Day::new();
    day.allow(true);
    day.passes(40, 50_000);
    let by = Principal::User(user("anna"));
    day.guard(guard::Command::Stop { degree: Degree::CloseOnly, reason: reason("news"), by: by.clone() });
    day.passes(20, 50_000);
    assert_eq!((day.live(), day.mode()), (vec![], Mode::Pause));
    day.guard(guard::Command::Resume { reason: reason("over"), by });
    day.passes(40, 50_000);
    assert_eq!((day.live().len(), day.mode()), (2, Mode::Normal));
}

#[test]
fn a_control_plane_that_is_silent_lets_nothing_in() {
    let mut day = Day::new();
    day.allow(true);
    day.passes(40, 50_000);
    day.log.now = day.log.now + Span::seconds(16);
    let quote = Quote {
        bid: market::Price::whole(50_000),
        bid_size: market::Size::whole(5),
        ask: market::Price::whole(50_001),
        ask_size: market::Size::whole(5),
    };
    let heard = Heard { said: Said::Quote(quote), source_at: day.log.now, received_at: day.log.now };
    day.market(market::Command::Hear(vec![heard]));
    assert_eq!(day.mode(), Mode::Pause);
    let strategy = day.log.fold.truth.strategy(&day.maker).unwrap();
    assert!(strategy.maker().unwrap().why.all.has(maker::Reason::ControlStale));
}

#[test]
fn a_taker_is_heard_of_and_hears() {
    let mut day = Day::new();
    let taker = StrategyId::new("btc_ping").unwrap();
    let settings = Box::new(taker::Settings::of(AnyFamily::Ping(Ping::default())));
    let by = Principal::User(user("anna"));
    let register = taker::Command::Register { market: day.market.clone(), settings, comment: reason("first"), by };
    day.wish(StreamId::Strategy(taker.clone()), Command::Strategy(strategy::Command::Taker(register)));
    assert!(day.log.fold.truth.guard().unwrap().strategies.contains_key(&taker), "the guard knows it");
    day.passes(5, 50_000);
    let legs = taker::Leg::ALL.map(|leg| day.log.fold.truth.strategy(&taker).unwrap().taker().unwrap().leg(leg).ticks);
    assert!(legs.iter().all(|ticks| *ticks > 0), "both legs live: {legs:?}");
    assert_eq!(day.log.fold.truth.strategies_of(&day.market).count(), 2);
}

#[test]
fn the_same_log_gives_the_same_state() {
    let mut day = Day::new();
    day.allow(true);
    day.passes(30, 50_000);
    day.log.seal();
    let mut fold = crate::view::Fold::default();
    let mut space = crate::commit::Unpacked::default();
    for commit in &day.log.commits {
        fold.apply_commit(commit, &mut space, |_, _| {}).unwrap();
    }
    assert_eq!(fold, day.log.fold);
    let bytes = fold.to_bytes();
    assert_eq!(crate::view::Fold::from_bytes(&bytes).unwrap(), day.log.fold, "also through a snapshot");
}

#[test]
fn a_maker_that_needs_an_endpoint_pauses_while_it_is_away() {
    use crate::endpoint::{self, ProbeOutcome};
    use crate::sample::endpoint::{endpoint_id, settings};
    let mut day = Day::new();
    day.allow(true);
    let id = endpoint_id(1);
    let probed = |outcome, revision| endpoint::Command::TakeProbe { outcome, found: None, revision, jitter: 0 };
    day.log.endpoint(id, endpoint::Command::Register(Box::new(settings("llm")))).unwrap();
    let revision = day.log.fold.truth.endpoint(id).unwrap().revision;
    for _ in 0..3 {
        day.log.endpoint(id, probed(ProbeOutcome::Answered { took: Span::millis(5) }, revision)).unwrap();
    }
    let by = Principal::User(user("anna"));
    let bind = strategy::Command::BindEndpoint { endpoint: Some(id), by };
    day.wish(StreamId::Strategy(day.maker.clone()), Command::Strategy(bind));
    day.passes(40, 50_000);
    assert_eq!((day.mode(), day.live().len()), (Mode::Normal, 2));
    let before = day.log.records.len();
    for _ in 0..3 {
        let failed = ProbeOutcome::Failed { failure: endpoint::Failure::Timeout, detail: "5 s".into() };
        day.log.endpoint(id, probed(failed, revision)).unwrap();
    }
    let maker = day.log.fold.truth.strategy(&day.maker).unwrap().maker().unwrap();
    assert!(maker.mode == Mode::Pause && maker.why.all.has(maker::Reason::EndpointDown), "{:?}", maker.why);
    let asked = day.asked();
    assert!(asked.iter().filter(|ask| matches!(ask, Ask::Cancel { .. })).count() == 2, "{asked:?}");
    let paused =
        day.log.records[before..].iter().find(|record| record.event.kind().name == "maker_mode_changed").unwrap();
    let cause = day.log.records.iter().find(|record| Some(record.position) == paused.causation).unwrap();
    assert_eq!(cause.event.kind().name, "endpoint_status_changed", "in the same commit, and the log says why");
}
