//! Takers from the outside: what they are told, and what they make of it.

mod any_market;
mod exits;
mod families;
mod hosting;
mod on_a_market;
mod orders;
mod params;

use super::*;
use crate::codec;
use crate::id::{MarketId, Position, Principal, StrategyId, Version};
use crate::market::{Bar, Cash, Instrument, Price, Ratio, Size, Tick};
use crate::order::{ClientOrderId, Life, Purpose, TradeId, Way};
use crate::sample::{START, reason, taker as sample};
use crate::stream::{Seen, Stamp};
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use uuid::Uuid;

pub(super) const BASE: i64 = 1_100_000_000;
const PIP: i64 = 100_000;

/// So many pips from 1.10000.
fn at_pips(text: &str) -> Price {
    let pips: Ratio = text.parse().unwrap_or_else(|_| panic!("`{text}` pips"));
    Price(BASE + pips.0 / 10_000)
}

/// A difference in pips, as text.
fn in_pips(price: Price) -> String {
    Ratio(price.0 * 10_000).to_string()
}

fn quote(at: Timestamp, mid: Price, spread: &str) -> Tick {
    let spread: Ratio = spread.parse().unwrap();
    let half = spread.0 / 20_000;
    Tick { at, bid: Price(mid.0 - half), ask: Price(mid.0 + half) }
}

fn taker_id() -> StrategyId {
    StrategyId::new("eur_taker").unwrap()
}

fn market() -> MarketId {
    "paper:EURUSD".parse().unwrap()
}

fn instrument() -> Instrument {
    Instrument {
        tick: Price(10_000),
        step: Size::ONE,
        size_min: Size::whole(2),
        size_max: Some(Size::whole(1_000)),
        pip: Price(PIP),
        ..Instrument::plain()
    }
}

/// One taker with a clock and a market. Every event is followed by a restart.
#[derive(Clone)]
struct Case {
    taker: Taker,
    now: Timestamp,
    version: u64,
    ticks: Vec<Tick>,
    bars: Vec<Bar>,
    instrument: Instrument,
    allowed: Allowed,
    is_warm: bool,
    /// None: as old as the last tick is.
    quote_age: Option<Span>,
    restarts: bool,
}

impl Case {
    fn empty() -> Self {
        Case {
            taker: Taker::new(taker_id()),
            now: START,
            version: 0,
            ticks: Vec::new(),
            bars: Vec::new(),
            instrument: instrument(),
            allowed: Allowed { entry: true, exit: true },
            is_warm: true,
            quote_age: None,
            restarts: true,
        }
    }

    /// Registered with the defaults of a family, but for the size: 10.
    fn of(family: AnyFamily) -> Self {
        let host = Host { size: Size::whole(10), ..Host::default() };
        Case::with(Settings { family, host })
    }

    fn with(settings: Settings) -> Self {
        let mut case = Case::empty();
        let (by, comment) = (Principal::Operator, reason("first"));
        case.does(Command::Register { market: market(), settings: Box::new(settings), by, comment });
        case
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let mut bars: [&[Bar]; 5] = [&[]; 5];
        bars[0] = &self.bars;
        let around = Around {
            cause: Uuid::from_u128(7),
            instrument: &self.instrument,
            ticks: &self.ticks,
            bars,
            quote_age: self.quote_age.or(self.ticks.last().map(|tick| self.now.since(tick.at))),
            is_warm: self.is_warm,
            allowed: self.allowed,
        };
        let events = self.decides(command, &around)?;
        for event in &events {
            self.hears(event);
        }
        Ok(events)
    }

    fn decides(&self, command: Command, around: &Around<'_>) -> Result<Vec<Event>, Refusal> {
        let (desk, copy_defaults, endpoints) = (Default::default(), Default::default(), Default::default());
        let now = self.now;
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: &endpoints,
        };
        let before = self.taker.clone();
        let decided = self.taker.decide(command, &seen, around);
        assert_eq!(self.taker, before, "a decision changed something");
        let decided = decided?;
        assert_eq!(decided.effects, []);
        Ok(decided.events)
    }

    /// As the log holds it, and with a restart after it.
    fn hears(&mut self, event: &Event) {
        self.version += 1;
        let (position, version) = (Position(self.version), Version(self.version));
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        let kind = event.kind();
        let read = Event::decode(kind.number, kind.schema, &bytes).unwrap().unwrap();
        assert_eq!((&read, Event::from_json(kind.name, &event.to_json()).unwrap().unwrap()), (event, read.clone()));
        self.taker.evolve(&read, &Stamp { position, version, received_at: self.now, recorded_at: self.now });
        if !self.restarts {
            return;
        }
        let mut bytes = Vec::new();
        codec::write(&self.taker, &mut bytes);
        let restored: Taker = codec::read(&bytes).unwrap();
        assert_eq!(restored, self.taker);
        self.taker = restored;
    }

    fn does(&mut self, command: Command) -> Vec<&'static str> {
        self.tries(command).unwrap().iter().map(|event| event.kind().name).collect()
    }

    fn refuses(&mut self, command: Command) -> &'static str {
        self.tries(command).unwrap_err().code()
    }

    fn ticks(&mut self, leg: Leg) -> Event {
        let mut events = self.tries(Command::Tick(leg)).unwrap();
        assert_eq!(events.len(), 1, "one event for one tick");
        events.remove(0)
    }

    /// Why the leg did nothing.
    fn quiet(&mut self, leg: Leg) -> &'static str {
        match self.ticks(leg) {
            Event::Ticked(ticked) => ticked.quiet.code(),
            Event::ExitMarked(marked) => marked.quiet.code(),
            other => panic!("{other:?}"),
        }
    }

    fn steps(&mut self) -> Vec<ExitStep> {
        match self.ticks(Leg::Exit) {
            Event::ExitDecided(decided) => decided.steps,
            other => panic!("{other:?}"),
        }
    }

    fn passes(&mut self, millis: i64) {
        self.now = self.now + Span::millis(millis);
    }

    /// A quote without a spread, just now.
    fn quotes(&mut self, pips: &str) {
        self.ticks.push(quote(self.now, at_pips(pips), "0"));
    }

    fn news(&mut self, order: &ClientOrderId, news: News) -> Vec<&'static str> {
        let open = self.taker.trades.iter();
        let of = open.clone().find(|trade| trade.exit.as_ref().is_some_and(|exit| exit.order == *order));
        let trade = of.map_or_else(|| TradeId(order.clone()), |trade| trade.id.clone());
        self.does(Command::HearOrder { trade, order: order.clone(), news })
    }

    fn fills(&mut self, order: &ClientOrderId, pips: &str, size: i64) -> Vec<&'static str> {
        let fill = News::Filled { price: at_pips(pips), size: Size::whole(size), fee: Cash::ZERO };
        self.news(order, fill)
    }

    /// A ping that was entered at zero pips by a burst, 10 of it, with that plan.
    fn holding(side: Side, plan: Plan) -> (Self, ClientOrderId) {
        let mut case = Case::of(AnyFamily::Ping(Ping::default()));
        let mut proposed = sample::proposed();
        proposed.plan = plan;
        proposed.intent.terms.side = side;
        proposed.intent.terms.size = Size::whole(10);
        let loss = plan.loss().unwrap();
        proposed.intent.loss_exit = Some(Price(BASE) - flow::along(side, loss));
        let order = proposed.order.clone();
        case.hears(&Event::EntryProposed(Box::new(proposed)));
        case.news(&order, News::Submitted);
        case.fills(&order, "0", 10);
        case.news(&order, News::Over { life: Life::Filled });
        (case, order)
    }
}

/// `stop 2 take 3 out 900s`, in pips.
fn plan(text: &str) -> Plan {
    let words: Vec<&str> = text.split_whitespace().collect();
    let mut plan = Plan::default();
    let pips = |text: &str| at_pips(text) - Price(BASE);
    let span = |text: &str| Span::seconds(text.trim_end_matches('s').parse().unwrap());
    let mut rest = words.as_slice();
    while let [name, value, more @ ..] = rest {
        rest = more;
        match *name {
            "stop" => plan.stop = Some(pips(value)),
            "adverse" => plan.adverse_max = Some(pips(value)),
            "take" => plan.take = Some(pips(value)),
            "out" => plan.time_stop = Some(span(value)),
            "losers" => plan.losers_out = Some(span(value)),
            "partial" => {
                let ["at", at, "then", to, more @ ..] = rest else { panic!("{text}") };
                plan.partial = Some(Partial { at: pips(at), share: value.parse().unwrap(), stop_to: pips(to) });
                rest = more;
            }
            "lock" => {
                let ["from", from, more @ ..] = rest else { panic!("{text}") };
                plan.lock = Some(Lock { from: pips(from), share: value.parse().unwrap() });
                rest = more;
            }
            other => panic!("{other} in {text}"),
        }
    }
    plan
}

/// Rows of a table, without comments.
fn rows(table: &str) -> impl Iterator<Item = Vec<&str>> {
    let rows = table.lines().filter(|row| !row.starts_with('#') && !row.trim().is_empty());
    rows.map(|row| row.split('|').map(str::trim).collect())
}

fn way_name(way: Way) -> String {
    serde_json::to_value(way).unwrap().as_str().unwrap().into()
}
