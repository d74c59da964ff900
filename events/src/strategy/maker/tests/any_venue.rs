//! A maker at a venue that is slow, forgets, rejects and fills as it likes, in any market.

use super::*;
use crate::market::{Bps, Price, Quote, Ratio};
use proptest::prelude::*;
use std::collections::VecDeque;

/// What the venue's stream does with the next thing that comes to it, or the world with the market.
#[derive(Debug, Clone)]
enum Step {
    /// Decisions up to now come to the venue's stream.
    Carry,
    /// The next order that is on its way is taken, or not.
    Answer {
        accept: bool,
    },
    /// Its answer got lost, or is found again.
    Lose,
    /// The next cancel is done, or not.
    Cancel {
        done: bool,
    },
    Fill {
        which: usize,
        all: bool,
    },
    Asked,
    Market {
        bid: i64,
        vol: i64,
        imbalance: i64,
    },
    Missing,
    Stale,
    Inventory(Option<i64>),
    Outside(bool),
    /// The process is started anew from the log.
    Restart,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => Just(Step::Carry),
        6 => any::<bool>().prop_map(|accept| Step::Answer { accept }),
        1 => Just(Step::Lose),
        6 => any::<bool>().prop_map(|done| Step::Cancel { done }),
        2 => (0usize..8, any::<bool>()).prop_map(|(which, all)| Step::Fill { which, all }),
        2 => Just(Step::Asked),
        6 => (9_000i64..11_000, 0i64..70, -10i64..=10).prop_map(|(bid, vol, imbalance)| Step::Market { bid, vol, imbalance }),
        1 => Just(Step::Missing),
        1 => Just(Step::Stale),
        1 => prop::option::of(-2_000i64..2_000).prop_map(Step::Inventory),
        2 => (1_001i64..1_500).prop_map(|held| Step::Inventory(Some(held))),
        1 => any::<bool>().prop_map(Step::Outside),
        1 => Just(Step::Restart),
    ]
}

/// The way from a decision to the venue and back.
struct Venue {
    case: Case,
    /// Decisions that did not come to the venue's stream yet.
    on_the_way: VecDeque<(Position, Decided)>,
    log: Vec<(Event, Stamp)>,
    born: u32,
}

impl Venue {
    fn new(levels: u8) -> Self {
        let values = Parameters {
            // Three levels are more than may be held, so that together they can be too much.
            quote_size: crate::market::Cash::whole(60),
            levels,
            pause_min_duration_ms: 1_000,
            defensive_clear_ms: 1_000,
            ..Parameters::default()
        };
        let mut case = Case::with(values);
        case.carried_through = Some(Position(0));
        Venue { case, on_the_way: VecDeque::new(), log: vec![], born: 0 }
    }

    fn tick(&mut self) -> Vec<Event> {
        let case = &mut self.case;
        let events = case.maker.tick(&case.look(), case.now);
        for event in &events {
            case.version += 1;
            let (position, version) = (Position(case.version), Version(case.version));
            let at = Stamp { position, version, received_at: case.now, recorded_at: case.now };
            case.maker.evolve(event, &at);
            self.log.push((event.clone(), at));
            if let Event::Decided(decided) = event {
                self.on_the_way.push_back((position, (**decided).clone()));
            }
        }
        events
    }

    fn does(&mut self, step: &Step) {
        let case = &mut self.case;
        match step {
            Step::Carry => {
                for (position, decided) in self.on_the_way.drain(..) {
                    case.carried_through = Some(position);
                    for cancel in &decided.cancel {
                        let order = case.orders.iter_mut().find(|order| order.id == cancel.order);
                        if let Some(order) = order.filter(|order| !order.is_between() && !order.life.is_over()) {
                            order.life = Life::CancelRequested;
                        }
                    }
                    for place in &decided.place {
                        self.born += 1;
                        let Place { side, level, price, size: left, .. } = *place;
                        let (id, life, since) = (order_id(self.born), Life::Submitted, case.now);
                        case.orders.push(Working { id, side, level, price, left, life, since });
                    }
                }
            }
            Step::Answer { accept } => {
                let waits = |order: &&mut Working| matches!(order.life, Life::Submitted | Life::Unknown);
                if let Some(order) = case.orders.iter_mut().find(waits) {
                    order.life = if *accept { Life::Accepted } else { Life::Rejected };
                }
            }
            Step::Lose => {
                if let Some(order) = case.orders.iter_mut().find(|order| order.life == Life::Submitted) {
                    order.life = Life::Unknown;
                }
            }
            Step::Cancel { done } => {
                if let Some(order) = case.orders.iter_mut().find(|order| order.life == Life::CancelRequested) {
                    order.life = if *done { Life::Cancelled } else { Life::Accepted };
                }
            }
            Step::Fill { which, all } => {
                let known = |life| matches!(life, Life::Accepted | Life::PartiallyFilled | Life::CancelRequested);
                let order = case.orders.iter_mut().filter(|order| known(order.life)).nth(*which);
                if let Some(order) = order {
                    let size = if *all { order.left } else { Size(order.left.0 / 2) };
                    order.left = order.left - size;
                    order.life = if *all { Life::Filled } else { order.life };
                    let signed = if order.side == Side::Buy { size } else { -size };
                    case.inventory = case.inventory.map(|held| held + signed);
                }
            }
            Step::Asked => {
                let none = case.orders.iter().all(|order| order.life.is_over());
                case.none_left_at = if none { Some(case.now) } else { case.none_left_at };
            }
            Step::Market { bid, vol, imbalance } => {
                let (bid, ask) = (Price(bid * 10_000_000), Price((bid + 2) * 10_000_000));
                case.features.quote = Some(Quote { bid, bid_size: Size::ONE, ask, ask_size: Size::ONE });
                case.features.vol_10s = Some(Bps::whole(*vol));
                case.features.imbalance_1s = Some(Ratio(imbalance * 100_000_000));
                case.features.quote_age = Some(Span::millis(50));
            }
            Step::Missing => case.features.vol_10s = None,
            Step::Stale => case.features.quote_age = Some(Span::seconds(6)),
            Step::Inventory(held) => case.inventory = held.map(|thousandths| Size(thousandths * 1_000_000)),
            Step::Outside(holds) => {
                case.outside = if *holds { Reasons::of(Reason::VenueErrors) } else { Reasons::NONE };
            }
            Step::Restart => {
                let mut bytes = Vec::new();
                codec::write(&case.maker, &mut bytes);
                case.maker = codec::read(&bytes).unwrap();
            }
        }
        // What is over is told for a while and then no longer.
        if case.orders.len() > 40 {
            case.orders.retain(|order| !order.life.is_over());
        }
    }

    /// Orders of which something may still come, on the way or at the venue.
    fn alive(&self, side: Side, level: u8) -> usize {
        let at_venue = self.case.orders.iter().filter(|order| !order.life.is_over());
        let coming = self.on_the_way.iter().flat_map(|(_, decided)| &decided.place);
        at_venue.filter(|order| (order.side, order.level) == (side, level)).count()
            + coming.filter(|place| (place.side, place.level) == (side, level)).count()
    }

    /// What may still be dealt on that side, on the way or at the venue.
    fn open(&self, side: Side) -> i64 {
        let at_venue = self.case.orders.iter().filter(|order| !order.life.is_over() && order.side == side);
        let coming = self.on_the_way.iter().flat_map(|(_, decided)| &decided.place).filter(|place| place.side == side);
        at_venue.map(|order| order.left.0).sum::<i64>() + coming.map(|place| place.size.0).sum::<i64>()
    }
}

fn check(venue: &Venue, events: &[Event]) -> Result<(), TestCaseError> {
    let case = &venue.case;
    for side in [Side::Buy, Side::Sell] {
        for level in 0..8 {
            prop_assert!(venue.alive(side, level) <= 1, "two orders at {:?} {}", side, level);
        }
    }
    let quote = case.features.quote.unwrap();
    for decided in decisions(events) {
        let held = case.inventory.unwrap_or_default();
        for place in &decided.place {
            prop_assert!(case.maker.mode != Mode::Pause && case.inventory.is_some());
            prop_assert!(place.price.is_multiple_of(case.instrument.tick));
            let crosses = if place.side == Side::Buy { place.price >= quote.ask } else { place.price <= quote.bid };
            prop_assert!(!crosses, "{:?} crosses {:?}", place, quote);
            if held.abs() > Size::ONE {
                let shrinks = if held.0 > 0 { Side::Sell } else { Side::Buy };
                prop_assert!(place.reduce_only && place.side == shrinks && place.size <= held.abs(), "{:?}", place);
                prop_assert!(venue.open(place.side) <= held.abs().0, "together they deal more than is held");
            }
        }
        let mut cancelled: Vec<_> = decided.cancel.iter().map(|cancel| &cancel.order).collect();
        let count = cancelled.len();
        cancelled.sort();
        cancelled.dedup();
        prop_assert_eq!(cancelled.len(), count, "cancelled twice in one decision");
    }
    let changes =
        events.iter().filter(|event| matches!(event, Event::ModeChanged(_) | Event::ReasonsChanged(_))).count();
    prop_assert!(changes <= 1 && decisions(events).count() <= 1 && events.len() <= 2, "{:?}", events);
    Ok(())
}

proptest! {
    #[test]
    fn never_two_orders_at_one_place_and_never_more_of_what_is_too_much(
        levels in 1u8..4,
        steps in prop::collection::vec((0i64..600, any_step()), 1..250),
    ) {
        let mut venue = Venue::new(levels);
        let (mut placed_last, mut mode) = (std::collections::BTreeMap::new(), venue.case.maker.mode);
        let mut since_pause = None;
        for (millis, step) in steps {
            venue.case.passes(millis);
            venue.does(&step);
            let events = venue.tick();
            check(&venue, &events)?;
            for place in decisions(&events).flat_map(|decided| &decided.place) {
                let before = placed_last.insert((place.side, place.level), venue.case.now);
                let rested = before.is_none_or(|before| venue.case.now.since(before) >= Span::millis(1_000));
                prop_assert!(rested, "placed again within the refresh interval");
            }
            let now = venue.case.maker.mode;
            match (mode, now) {
                (Mode::Pause, Mode::Normal) => prop_assert!(false, "straight from PAUSE to NORMAL"),
                (Mode::Pause, Mode::Defensive) => {
                    let lasted = since_pause.is_none_or(|since| venue.case.now.since(since) >= Span::millis(1_000));
                    prop_assert!(lasted && venue.case.maker.drained);
                    prop_assert!(venue.case.orders.iter().all(|order| order.life.is_over()), "left with orders at the venue");
                }
                (_, Mode::Pause) if mode != Mode::Pause => since_pause = Some(venue.case.now),
                _ => {}
            }
            mode = now;
        }
        // The same log, folded anew, is the same state.
        let mut again = Case::with(venue.case.maker.parameters().unwrap().clone()).maker;
        venue.log.iter().for_each(|(event, at)| again.evolve(event, at));
        prop_assert_eq!(again, venue.case.maker);
    }
}
