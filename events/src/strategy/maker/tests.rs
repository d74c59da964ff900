//! Makers from the outside: what they see, and what they make of it.

mod any_venue;
mod gate;
mod markets;
mod modes;
mod parameters;
mod plans;
mod quotes;

use super::sample::{features, market, order_id, strategy};
use super::*;
use crate::codec;
use crate::id::{Position, Principal, Version};
use crate::market::{Features, Instrument, Size};
use crate::order::Life;
use crate::sample::{START, reason};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use crate::trade::Side;

/// One maker with a clock, and all that it looks at.
#[derive(Clone)]
struct Case {
    maker: Maker,
    now: Timestamp,
    version: u64,
    features: Features,
    instrument: Instrument,
    warm: bool,
    inventory: Option<Size>,
    orders: Vec<Working>,
    /// None: all that was decided.
    carried_through: Option<Position>,
    outside: Reasons,
    none_left_at: Option<Timestamp>,
    /// Orders that were accepted so far.
    accepted: u32,
}

impl Case {
    /// Set up, without parameters.
    fn opened() -> Self {
        let tick = "0.01".parse().unwrap();
        let step = "0.001".parse().unwrap();
        let mut case = Case {
            maker: Maker::new(strategy()),
            now: START,
            version: 0,
            features: features(),
            instrument: Instrument { tick, step, size_min: step, ..Instrument::plain() },
            warm: true,
            inventory: Some(Size::ZERO),
            orders: vec![],
            carried_through: None,
            outside: Reasons::NONE,
            none_left_at: None,
            accepted: 0,
        };
        case.does(Command::Open { market: market() });
        case
    }

    /// It goes by these from now on.
    fn with(values: Parameters) -> Self {
        let mut case = Case::opened();
        case.sets(values);
        case
    }

    /// NORMAL, with nothing in the book yet: the next tick places.
    fn normal(values: Parameters) -> Self {
        let mut case = Case::with(values);
        let calm = case.features;
        case.rests();
        // What it places on the way is taken off unseen.
        case.features = calm;
        assert_eq!(case.maker.mode, Mode::Normal);
        case.orders.clear();
        case.passes(60_000);
        case
    }

    /// The usual parameters.
    fn usual() -> Self {
        Case::normal(Parameters::default())
    }

    /// From PAUSE to NORMAL by all steps; nothing is taken by the venue.
    fn rests(&mut self) {
        for _ in 0..300 {
            self.none_left_at = Some(self.now);
            self.tick();
            self.passes(200);
            if self.maker.mode == Mode::Normal {
                return;
            }
        }
        panic!("it never got to NORMAL: {:?}", self.maker.why);
    }

    fn sets(&mut self, values: Parameters) {
        let set = Command::SetParameters {
            values: Box::new(values),
            comment: reason("as a test wants it"),
            by: Principal::Operator,
            activate: true,
            expected: None,
        };
        self.does(set);
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let (desk, copy_defaults) = (crate::desk::Settings::default(), Default::default());
        let (now, endpoints) = (self.now, Default::default());
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
        let events = self.maker.decide(command, &seen)?.events;
        self.take(&events);
        Ok(events)
    }

    fn does(&mut self, command: Command) -> Vec<Event> {
        self.tries(command).unwrap()
    }

    fn refuses(&mut self, command: Command) -> Refusal {
        self.tries(command).unwrap_err()
    }

    fn look(&self) -> Look<'_> {
        Look {
            features: &self.features,
            instrument: &self.instrument,
            warm: self.warm,
            inventory: self.inventory,
            orders: &self.orders,
            carried_through: self.carried_through.unwrap_or(Position(self.version)),
            outside: self.outside,
            none_left_at: self.none_left_at,
        }
    }

    fn tick(&mut self) -> Vec<Event> {
        let events = self.maker.tick(&self.look(), self.now);
        assert_eq!(self.maker.tick(&self.look(), self.now), events, "the same look led to something else");
        self.take(&events);
        events
    }

    fn take(&mut self, events: &[Event]) {
        for event in events {
            self.version += 1;
            let (position, version) = (Position(self.version), Version(self.version));
            let at = Stamp { position, version, received_at: self.now, recorded_at: self.now };
            self.maker.evolve(event, &at);
        }
        let mut bytes = Vec::new();
        codec::write(&self.maker, &mut bytes);
        assert_eq!(codec::read::<Maker>(&bytes).unwrap(), self.maker, "the state does not come back from its bytes");
    }

    fn passes(&mut self, millis: i64) {
        self.now = self.now + Span::millis(millis);
    }

    /// Ticks every so often until the time has passed, and all that followed.
    fn ticks_for(&mut self, millis: i64, every: i64) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..millis / every {
            self.passes(every);
            events.extend(self.tick());
        }
        events
    }

    /// The venue takes what is placed, and all cancels are done.
    fn venue_does(&mut self, events: &[Event]) {
        for decided in decisions(events) {
            self.orders.retain(|order| decided.cancel.iter().all(|cancel| cancel.order != order.id));
            for place in &decided.place {
                self.accepts(place);
            }
        }
    }

    fn accepts(&mut self, place: &Place) {
        self.accepted += 1;
        let Place { side, level, price, size: left, .. } = *place;
        let (id, life, since) = (order_id(self.accepted), Life::Accepted, self.now);
        self.orders.push(Working { id, side, level, price, left, life, since });
    }

    /// A tick of which the venue does everything at once.
    fn quotes(&mut self) -> Vec<Event> {
        let events = self.tick();
        self.venue_does(&events);
        events
    }
}

fn decisions(events: &[Event]) -> impl Iterator<Item = &Decided> {
    events.iter().filter_map(|event| match event {
        Event::Decided(decided) => Some(&**decided),
        _ => None,
    })
}

fn placed(events: &[Event]) -> Vec<(Side, String, String)> {
    let places = decisions(events).flat_map(|decided| &decided.place);
    places.map(|place| (place.side, place.price.to_string(), place.size.to_string())).collect()
}

fn cancelled(events: &[Event]) -> Vec<CancelWhy> {
    decisions(events).flat_map(|decided| &decided.cancel).map(|cancel| cancel.why).collect()
}

fn turns(events: &[Event]) -> Vec<(Mode, Vec<&'static str>)> {
    let turns = events.iter().filter_map(|event| match event {
        Event::ModeChanged(change) => Some((change.new, change.why.all.codes())),
        _ => None,
    });
    turns.collect()
}

#[test]
fn every_kind_comes_back_from_bytes_and_json() {
    let samples = sample::samples();
    let numbers: Vec<u16> = samples.iter().map(Event::number).collect();
    assert_eq!(numbers, Event::KINDS.iter().map(|kind| kind.number).collect::<Vec<_>>());
    for event in samples {
        let kind = event.kind();
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(Event::decode(kind.number, kind.schema, &bytes).unwrap().unwrap(), event);
        assert_eq!(Event::from_json(kind.name, &event.to_json()).unwrap().unwrap(), event, "{}", event.to_json());
    }
}
