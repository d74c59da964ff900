//! A taker on a market that is folded as it is live, with a restart after every event: it does what it does without any.

use super::*;
use crate::market::{Heard, Market, Quote, Said};

const STEP: Span = Span::millis(150);
const STEP_BEFORE: Span = Span::seconds(5);
/// Enough for the longest average.
const BEFORE: Span = Span::seconds(130 * 60);
const TRADED: Span = Span::seconds(20 * 60);

/// A middle that wanders and is drawn back, and if it is wild, runs away now and then; in tenths of a pip. The same seed, the same path.
struct Path {
    seed: u64,
    is_wild: bool,
    mid: i64,
    drift: i64,
}

impl Path {
    fn next(&mut self) -> i64 {
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let chance = |range: u64, at: u32| ((self.seed >> at) % range) as i64;
        if self.is_wild && chance(400, 40) == 0 {
            self.drift = [0, 0, 2, -2, 1, -1][chance(6, 20) as usize];
        }
        self.mid += self.drift + chance(5, 8) - 2 - self.mid.signum() * i64::from(self.mid.abs() > 5) * chance(2, 30);
        self.mid
    }
}

struct Desk {
    market: Market,
    case: Case,
    path: Path,
    /// Orders that the next quote fills.
    waiting: Vec<(TradeId, ClientOrderId, Side, Size)>,
    log: Vec<Event>,
}

impl Desk {
    fn new(family: AnyFamily, restarts: bool) -> Self {
        let is_wild = matches!(family, AnyFamily::Ping(_) | AnyFamily::TickImbalance(_));
        let settings = crate::market::Settings { instrument: instrument(), ..Default::default() };
        let market = Market::with(market(), settings).unwrap();
        let host = Host { size: Size::whole(10), cooldown_ms: 5_000, reentry_ms: 0, ..Host::default() };
        let mut case = Case::with(Settings { family, host });
        (case.now, case.restarts) = (START, restarts);
        Desk {
            market,
            case,
            path: Path { seed: 88_172_645_463_325_252, is_wild, mid: 0, drift: 0 },
            waiting: Vec::new(),
            log: Vec::new(),
        }
    }

    /// One quote, and what follows from it.
    fn quote(&mut self) -> Quote {
        let mid = BASE + self.path.next() * PIP / 10;
        let size = Size::ONE;
        let quote = Quote { bid: Price(mid - PIP / 5), bid_size: size, ask: Price(mid + PIP / 5), ask_size: size };
        let now = self.case.now;
        self.market.pass(now);
        // Not kept where conflation says so, which is as it should be.
        let _ = self.market.take(&Heard { said: Said::Quote(quote), source_at: now, received_at: now });
        quote
    }

    fn command(&mut self, command: Command) {
        let now = self.case.now;
        let around = Around::of(&self.market, now, Uuid::from_u128(9), Allowed { entry: true, exit: true }).unwrap();
        let events = self.case.decides(command, &around).unwrap();
        for event in &events {
            self.case.hears(event);
            self.wants(event);
        }
        self.log.extend(events);
    }

    fn wants(&mut self, event: &Event) {
        let mut wait = |trade: TradeId, order: &ClientOrderId, terms: &crate::order::Terms| {
            self.waiting.push((trade, order.clone(), terms.side, terms.size));
        };
        match event {
            Event::EntryProposed(proposed) => {
                wait(TradeId(proposed.order.clone()), &proposed.order, &proposed.intent.terms);
            }
            Event::ExitDecided(decided) => {
                for step in &decided.steps {
                    if let ExitAction::Asked { order, intent } = &step.action {
                        wait(step.trade.clone(), order, &intent.terms);
                    }
                }
            }
            _ => {}
        }
    }

    fn fill(&mut self, quote: Quote) {
        for (trade, order, side, size) in std::mem::take(&mut self.waiting) {
            let fill = News::Filled { price: quote.best(side.opposite()), size, fee: Cash::ZERO };
            for news in [News::Submitted, fill, News::Over { life: Life::Filled }] {
                self.command(Command::HearOrder { trade: trade.clone(), order: order.clone(), news });
            }
        }
    }

    fn run(mut self) -> (Taker, Vec<Event>) {
        let trades_from = START + BEFORE;
        while self.case.now < trades_from + TRADED {
            let trades = self.case.now >= trades_from;
            self.case.now = self.case.now + if trades { STEP } else { STEP_BEFORE };
            let quote = self.quote();
            self.fill(quote);
            if trades {
                self.command(Command::Tick(Leg::Exit));
                self.command(Command::Tick(Leg::Entry));
            }
        }
        (self.case.taker, self.log)
    }
}

fn bytes(events: &[Event]) -> Vec<u8> {
    let mut bytes = Vec::new();
    events.iter().for_each(|event| event.encode(&mut bytes));
    bytes
}

#[test]
fn restarts_change_nothing() {
    let mut traded = Vec::new();
    for family in AnyFamily::all() {
        let (taker, log) = Desk::new(family, true).run();
        let (again, repeated) = Desk::new(family, false).run();
        assert_eq!((bytes(&log), &taker), (bytes(&repeated), &again), "{}", family.as_str());
        let entries = log.iter().filter(|event| matches!(event, Event::EntryProposed(_))).count();
        assert_eq!(entries as u64, taker.closed + taker.trades.len() as u64);
        assert!(log.len() > 5_000, "{} events of {}", log.len(), family.as_str());
        traded.push(entries);
    }
    let [ping, _, imbalance, _, blend, pro] = traded.as_slice() else { panic!("{traded:?}") };
    assert!([ping, imbalance, blend, pro].iter().all(|entries| **entries >= 4), "{traded:?}");
}
