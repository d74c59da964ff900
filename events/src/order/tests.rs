//! A venue's gateway from the outside: what it is told, what it lets out, and what it holds.

mod any_order;
mod checks;
mod exits;
mod lives;
mod positions;
mod risks;

use super::samples::{cash, execution, instrument, market, order, price, strategy, units};
use super::*;
use crate::copy::StopDegree;
use crate::endpoint::Directory;
use crate::id::{MarketId, Position, Principal, VenueId, Version};
use crate::market::{Cash, Quote, Size};
use crate::sample::{START, reason, user};
use crate::strategy::guard::{self, Guard};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use std::collections::BTreeMap;

const BTC: &str = "paper:BTC-USD";
const MAKER: &str = "btc_maker";
const TAKER: &str = "btc_ping";

/// A gateway with a clock, a guard and a market.
#[derive(Clone)]
struct Case {
    venue: Venue,
    guard: Guard,
    quotes: BTreeMap<MarketId, QuoteSeen>,
    stopped: Option<StopDegree>,
    now: Timestamp,
    version: u64,
    number: u32,
    /// What the venue was asked.
    asked: Vec<Ask>,
}

fn quote(bid: &str, ask: &str) -> Quote {
    Quote { bid: price(bid), bid_size: units("5"), ask: price(ask), ask_size: units("5") }
}

fn settings() -> Settings {
    let limits = Limits { units_max: units("2"), drawdown_day_max: Cash::whole(500), ..Limits::default() };
    Settings { limits, ..Settings::default() }
}

impl Case {
    fn empty() -> Self {
        Case {
            venue: Venue::new(VenueId::new("paper").unwrap()),
            guard: Guard::default(),
            quotes: BTreeMap::new(),
            stopped: None,
            now: START,
            version: 0,
            number: 0,
            asked: Vec::new(),
        }
    }

    /// Open, connected, reconciled; a maker and a taker that may do everything; BTC at 100 to 101.
    fn new() -> Self {
        Case::with(settings())
    }

    fn with(settings: Settings) -> Self {
        let mut case = Case::empty();
        case.does(Command::Open(Box::new(settings)));
        let instrument = Box::new(crate::market::Instrument { notional_min: None, ..instrument() });
        case.does(Command::ListMarket { market: market(BTC), instrument });
        case.does(Command::Bind { strategy: strategy(MAKER), bounds: Box::new(Bounds::maker(units("2"))) });
        case.does(Command::Bind { strategy: strategy(TAKER), bounds: Box::new(Bounds::taker(units("2"))) });
        for name in [MAKER, TAKER] {
            let (strategy, flags) = (strategy(name), guard::Flags::ON);
            case.guards(guard::Command::Enroll { strategy, flags, by: Principal::Operator });
        }
        case.quotes("100", "101");
        case.does(Command::Link { up: true, why: "logged in".into() });
        case.lists(vec![], &[]);
        assert!(case.venue.link.reconciled);
        case
    }

    fn seen<T>(&self, of: impl FnOnce(&Seen<'_>) -> T) -> T {
        let (desk, copy_defaults, endpoints) =
            (crate::desk::Settings::default(), Default::default(), Directory::default());
        let now = self.now;
        of(&Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: self.stopped,
            endpoints: &endpoints,
        })
    }
    fn stamp(&mut self) -> Stamp {
        self.version += 1;
        let (position, version) = (Position(self.version), Version(self.version));
        Stamp { position, version, received_at: self.now, recorded_at: self.now }
    }
    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let before = self.venue.clone();
        let around = Around { guard: &self.guard, markets: &self.quotes };
        let decided = self.seen(|seen| self.venue.decide(command, &around, seen));
        assert_eq!(self.venue, before, "a decision changed something");
        let events = decided?.events;
        for event in &events {
            let stamp = self.stamp();
            self.venue.evolve(event, &stamp);
            self.asked.extend(Ask::of(event));
        }
        Ok(events)
    }
    fn does(&mut self, command: Command) -> Vec<&'static str> {
        self.tries(command).unwrap().iter().map(|event| event.kind().name).collect()
    }
    fn refuses(&mut self, command: Command) -> &'static str {
        self.tries(command).unwrap_err().code()
    }
    fn guards(&mut self, command: guard::Command) {
        let events = self.seen(|seen| self.guard.decide(command, seen)).unwrap().events;
        for event in &events {
            let stamp = self.stamp();
            self.guard.evolve(event, &stamp);
        }
    }
    fn writes(&mut self, scope: guard::Scope, entry: Option<bool>, exit: Option<bool>, lock: Option<bool>) {
        let by = Principal::User(user("anna"));
        let write = guard::Write { scope, entry, exit, lock, note: None, ttl: None, expected: None, by };
        self.guards(guard::Command::Write(Box::new(write)));
    }
    fn stops(&mut self, degree: guard::Degree) {
        self.guards(guard::Command::Stop { degree, reason: reason("news"), by: Principal::Operator });
    }
    fn quotes(&mut self, bid: &str, ask: &str) {
        let seen = QuoteSeen { quote: quote(bid, ask), source_at: self.now, received_at: self.now };
        self.quotes.insert(market(BTC), seen);
    }
    /// Time passes, and everything is heard again.
    fn passes(&mut self, millis: i64) {
        self.now = self.now + Span::millis(millis);
        for seen in self.quotes.values_mut() {
            (seen.source_at, seen.received_at) = (self.now, self.now);
        }
        self.guards(guard::Command::Beat);
    }

    /// The venue holds what the book says.
    fn confirms(&mut self) {
        let stamp = self.stamp();
        let confirmed = PositionsConfirmed { asked_at: self.now };
        self.venue.evolve(&Event::PositionsConfirmed(confirmed), &stamp);
    }

    fn submits(&mut self, intent: Intent) -> Vec<Event> {
        self.number += 1;
        let order = order(intent.strategy.as_str(), self.number);
        self.tries(Command::Submit { order, intent: Box::new(intent) }).unwrap()
    }
    /// The order that was submitted.
    fn sends(&mut self, intent: Intent) -> ClientOrderId {
        let events = self.submits(intent);
        match events.last() {
            Some(Event::OrderSubmitted(submitted)) => submitted.order.clone(),
            other => panic!("{other:?}"),
        }
    }
    /// The check that did not let it pass.
    fn finds(&mut self, intent: Intent) -> Finding {
        let events = self.submits(intent);
        match events.as_slice() {
            [Event::OrderRefused(refused)] => refused.finding.clone(),
            other => panic!("{other:?}"),
        }
    }
    fn reports(&mut self, report: Report) -> Vec<&'static str> {
        self.does(Command::Report(Box::new(report)))
    }
    fn accepts(&mut self, order: &ClientOrderId) {
        let venue_order = Some(format!("v{}", self.version).into());
        self.reports(Report::Accepted { order: order.clone(), venue_order });
    }
    fn fills(&mut self, order: &ClientOrderId, id: &str, side: Side, size: &str, at: &str) -> Vec<&'static str> {
        let execution = Execution { at: self.now, ..execution(id, side, size, at) };
        self.reports(Report::Filled { order: Some(order.clone()), market: market(BTC), execution })
    }
    /// Sent, taken and filled as a whole at 101.
    fn enters(&mut self, size: &str) -> TradeId {
        let entry = self.sends(entry(size));
        self.accepts(&entry);
        let id = format!("fill-{}", self.number);
        self.fills(&entry, &id, Side::Buy, size, "101");
        TradeId(entry)
    }
    fn lists(&mut self, orders: Vec<ListedOrder>, positions: &[(&str, &str)]) -> Vec<&'static str> {
        let positions = positions.iter().map(|(of, size)| ListedPosition { market: market(of), size: units(size) });
        let positions = Some(positions.collect());
        let listing = Listing { asked_at: self.now, orders: Some(orders), positions, fills: vec![] };
        self.does(Command::Reconcile(Box::new(listing)))
    }
    fn life(&self, order: &ClientOrderId) -> Life {
        self.venue.order(order).unwrap().life
    }
    fn held(&self, name: &str) -> Size {
        self.venue.book.of_strategy(&strategy(name), &market(BTC))
    }
}

fn intent(name: &str, purpose: Purpose, side: Side, size: &str) -> Intent {
    Intent {
        strategy: strategy(name),
        market: market(BTC),
        purpose,
        terms: Terms { side, size: units(size), price: None, post_only: false, reduce_only: false },
        trade: None,
        probability: None,
        loss_exit: None,
        valid_until: None,
        why: "a test".into(),
    }
}
/// At the market, given up at 51.
fn entry(size: &str) -> Intent {
    Intent { loss_exit: Some(price("51")), ..intent(TAKER, Purpose::Entry, Side::Buy, size) }
}
fn quoted(side: Side, size: &str, at: &str) -> Intent {
    let plain = intent(MAKER, Purpose::Quote { level: 0 }, side, size);
    Intent { terms: Terms { price: Some(price(at)), post_only: true, ..plain.terms }, ..plain }
}
fn exit(trade: &TradeId, way: Way, size: &str) -> Intent {
    Intent { trade: Some(trade.clone()), ..intent(TAKER, Purpose::Exit(way), Side::Sell, size) }
}

#[test]
fn every_kind_has_a_sample_and_every_word_its_code() {
    let samples = samples::samples();
    let kinds: Vec<_> = samples.iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
    for event in samples {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(Event::decode(event.number(), 1, &bytes).unwrap().unwrap(), event);
        assert_eq!(Event::from_json(event.kind().name, &event.to_json()).unwrap().unwrap(), event);
    }
    let mut words = Vec::new();
    samples::words(&mut words);
    let codes = |of| words.iter().filter(|word| word.0 == of).map(|word| word.2.as_str().unwrap()).collect::<Vec<_>>();
    assert_eq!(codes("order_check"), Check::ALL.map(Check::code));
    assert_eq!(codes("order_category"), Category::ALL.map(Category::code));
}

#[test]
fn a_state_is_what_its_bytes_say() {
    let mut case = Case::new();
    case.enters("0.5");
    case.sends(quoted(Side::Buy, "0.1", "99.5"));
    let mut bytes = Vec::new();
    crate::codec::write(&case.venue, &mut bytes);
    assert_eq!(crate::codec::read::<Venue>(&bytes).unwrap(), case.venue);
    let json = serde_json::to_value(&case.venue).unwrap();
    assert_eq!(serde_json::from_value::<Venue>(json).unwrap(), case.venue);
}
