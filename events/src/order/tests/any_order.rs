//! Whatever is wanted and reported in whatever order.

use super::*;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

#[derive(Debug, Clone)]
enum Step {
    Quote(u8, bool, i64),
    Enter(i64),
    Leave(u8, i64),
    Cancel(u8),
    Report(u8, u8, i64),
    /// The same fills again, the last ones first.
    Repeat(u8),
    Foreign(bool, i64),
    Pass(i64),
    Watch(bool),
}

fn any_step() -> impl Strategy<Value = Step> {
    let size = 2i64..1_500;
    prop_oneof![
        3 => (0u8..3, any::<bool>(), size.clone()).prop_map(|(level, buy, size)| Step::Quote(level, buy, size)),
        2 => size.clone().prop_map(Step::Enter),
        3 => (any::<u8>(), size.clone()).prop_map(|(which, size)| Step::Leave(which, size)),
        1 => any::<u8>().prop_map(Step::Cancel),
        8 => (any::<u8>(), 0u8..12, size.clone()).prop_map(|(which, what, size)| Step::Report(which, what, size)),
        2 => any::<u8>().prop_map(Step::Repeat),
        1 => (any::<bool>(), size).prop_map(|(buy, size)| Step::Foreign(buy, size)),
        2 => (0i64..20_000).prop_map(Step::Pass),
        1 => any::<bool>().prop_map(Step::Watch),
    ]
}

fn milli(size: i64) -> Size {
    Size(size * 1_000_000)
}
fn side(buy: bool) -> Side {
    if buy { Side::Buy } else { Side::Sell }
}

/// A case, and what somebody knows who only counts what the venue did.
struct World {
    case: Case,
    fills: Vec<(Option<ClientOrderId>, Execution)>,
    submitted: BTreeSet<ClientOrderId>,
    seen: usize,
    /// An order was filled after its end.
    late: bool,
}

impl World {
    fn new() -> Self {
        let mut case = Case::new();
        case.venue.bounds.get_mut(&strategy(TAKER)).unwrap().open_max = 3;
        World { case, fills: Vec::new(), submitted: BTreeSet::new(), seen: 0, late: false }
    }

    fn orders(&self) -> Vec<Order> {
        self.case.venue.live.values().chain(&self.case.venue.done).cloned().collect()
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Quote(level, buy, size) => {
                let at = if *buy { "99.5" } else { "102" };
                let plain = quoted(side(*buy), "1", at);
                let terms = Terms { size: milli(*size), ..plain.terms.clone() };
                self.case.submits(Intent { purpose: Purpose::Quote { level: *level }, terms, ..plain });
            }
            Step::Enter(size) => drop(self.case.submits(entry(&milli(*size).to_string()))),
            Step::Leave(which, size) => {
                let trades: Vec<_> = self.case.venue.book.trades.keys().cloned().collect();
                if let Some(trade) = trades.get(usize::from(*which) % trades.len().max(1)) {
                    let way = if which % 2 == 0 { Way::Take } else { Way::Stop };
                    self.case.submits(exit(trade, way, &milli(*size).to_string()));
                }
            }
            Step::Cancel(which) => {
                let orders = self.orders();
                if let Some(order) = orders.get(usize::from(*which) % orders.len().max(1)) {
                    self.case.does(Command::Cancel { order: order.id.clone(), by: None });
                }
            }
            Step::Report(which, what, size) => self.report(*which, *what, *size),
            Step::Repeat(which) => {
                for (order, execution) in self.fills.iter().rev().take(usize::from(*which % 8)) {
                    let report =
                        Report::Filled { order: order.clone(), market: market(BTC), execution: execution.clone() };
                    assert!(self.case.reports(report).is_empty(), "{} was counted twice", execution.id);
                }
            }
            Step::Foreign(buy, size) => self.fill(None, side(*buy), *size),
            Step::Pass(millis) => self.case.passes(*millis),
            Step::Watch(flatten) => {
                self.case.stopped = flatten.then_some(StopDegree::Flatten);
                self.case.does(Command::Watch);
            }
        }
    }

    fn fill(&mut self, order: Option<ClientOrderId>, side: Side, size: i64) {
        let id = format!("f{}", self.fills.len());
        let execution = Execution { size: milli(size), at: self.case.now, ..execution(&id, side, "1", "100") };
        self.fills.push((order.clone(), execution.clone()));
        assert_eq!(self.case.reports(Report::Filled { order, market: market(BTC), execution }), ["order_filled"]);
    }

    fn report(&mut self, which: u8, what: u8, size: i64) {
        let orders = self.orders();
        let Some(known) = orders.get(usize::from(which) % orders.len().max(1)) else { return };
        let order = known.id.clone();
        let report = match what {
            0..=2 => Report::Accepted { order, venue_order: Some("v".into()) },
            3 => Report::Rejected { order, category: Category::Margin, detail: "no".into() },
            4 => Report::TimedOut { order },
            5 => Report::Told { order, filled: milli(size) },
            6 => Report::Cancelled { order },
            7 => Report::CancelRejected { order, category: Category::Ambiguous, detail: "slow".into() },
            8 => Report::NotThere { order, asked_at: self.case.now },
            _ => {
                let left = known.remaining().0 / 1_000_000;
                self.late |= left > 0 && known.life.is_over();
                return match left {
                    0 => {}
                    left => self.fill(Some(order), known.terms.side, size.min(left)),
                };
            }
        };
        self.case.reports(report);
    }

    fn check(&mut self) {
        let (venue, book) = (&self.case.venue, &self.case.venue.book);
        let btc = market(BTC);
        // What the venue holds is the sum of what it did, and each part of it has one owner.
        let sum = |fills: &[(Option<ClientOrderId>, Execution)]| {
            fills.iter().fold(Size::ZERO, |sum, (_, execution)| sum + book::signed(execution.side, execution.size))
        };
        assert_eq!(book.net(&btc), sum(&self.fills));
        let held = book.markets.get(&btc).cloned().unwrap_or_default();
        let inventories = held.inventories.values().fold(Size::ZERO, |sum, holding| sum + holding.size);
        let trades = book.trades.values().fold(Size::ZERO, |sum, trade| sum + trade.signed());
        assert_eq!(held.unowned + inventories + trades, held.net);
        assert!(book.trades.values().all(|trade| trade.size.0 > 0));
        // Nothing is asked of the venue but what was submitted, each once.
        for ask in &self.case.asked[self.seen..] {
            if let Ask::Submit { order, .. } = ask {
                assert!(self.submitted.insert(order.clone()), "{order} went out twice");
                assert!(venue.order(order).is_some());
            }
        }
        self.seen = self.case.asked.len();
        // One order for each side and level, and one exit for each position.
        let mut slots = BTreeMap::new();
        for order in venue.live.values() {
            assert!(!order.life.is_over() && self.submitted.contains(&order.id));
            let slot = match order.intent.purpose {
                Purpose::Quote { level } | Purpose::Reduce { level } => {
                    (format!("level {level}"), order.terms.side as u8)
                }
                Purpose::Entry => ("entry".to_string(), 0),
                Purpose::Exit(_) => (format!("exit {:?}", order.intent.trade), 0),
            };
            let slot = (order.id.strategy.clone(), slot);
            // One that was thought over and came after all may stand beside the one that took its place.
            if order.category != Some(Category::Network) {
                assert_eq!(slots.insert(slot.clone(), &order.id), None, "{slot:?}");
            }
        }
        assert!(venue.done.iter().all(|order| order.life.is_over()));
    }
}

proptest! {
    #[test]
    fn the_book_is_what_the_venue_did(steps in prop::collection::vec(any_step(), 1..120)) {
        let mut world = World::new();
        for step in &steps {
            world.step(step);
            world.check();
        }
    }

    /// The same fills in another order, some of them twice, hold the same.
    #[test]
    fn fills_hold_the_same_in_any_order(
        fills in prop::collection::vec((any::<bool>(), 1i64..500), 1..30),
        shuffle in prop::collection::vec(any::<prop::sample::Index>(), 60),
    ) {
        let tell = |case: &mut Case, number: usize| {
            let (buy, size) = fills[number];
            let execution = Execution { size: milli(size), ..execution(&format!("f{number}"), side(buy), "1", "100") };
            case.reports(Report::Filled { order: None, market: market(BTC), execution });
        };
        let (mut straight, mut mixed) = (Case::new(), Case::new());
        (0..fills.len()).for_each(|number| tell(&mut straight, number));
        shuffle.iter().for_each(|index| tell(&mut mixed, index.index(fills.len())));
        (0..fills.len()).for_each(|number| tell(&mut mixed, number));
        let sum: i64 = fills.iter().map(|(buy, size)| if *buy { *size } else { -size }).sum();
        prop_assert_eq!(straight.venue.book.net(&market(BTC)), milli(sum));
        prop_assert_eq!(mixed.venue.book.net(&market(BTC)), milli(sum));
    }

    /// At worst nothing is larger than the units that cannot be switched off.
    #[test]
    fn what_can_be_held_at_worst_stays_within_the_units(steps in prop::collection::vec(any_step(), 1..80)) {
        let mut world = World::new();
        for step in &steps {
            // What others do at the venue is not ours to limit.
            if matches!(step, Step::Foreign(..)) {
                continue;
            }
            world.step(step);
            let venue = &world.case.venue;
            // An order that was thought over and came back is counted from then on, and was not before.
            world.late |= venue.live.values().any(|order| order.category == Some(Category::Network));
            if world.late {
                break;
            }
            let net = venue.book.net(&market(BTC));
            for side in [Side::Buy, Side::Sell] {
                let growing = venue.live.values().filter(|order| order.may_grow() && order.terms.side == side);
                let worst = book::signed(side, net) + growing.fold(Size::ZERO, |sum, order| sum + order.remaining());
                prop_assert!(worst <= units("2"), "{worst}");
            }
        }
    }
}
