//! A maker in front of a market that is folded from what a venue says.

use super::*;
use crate::market::{Heard, Market, Phase, Price, Quote, Said, Settings};

struct Scene {
    market: Market,
    case: Case,
}

impl Scene {
    fn new(values: Parameters) -> Self {
        let case = Case::with(values);
        let settings = Settings { instrument: case.instrument.clone(), ..Settings::default() };
        Scene { market: Market::with(market(), settings).unwrap(), case }
    }

    fn says(&mut self, said: Said) {
        let at = self.case.now;
        // What is conflated is not used; that is the market's business.
        let _ = self.market.take(&Heard { said, source_at: at, received_at: at });
    }

    fn quote(&mut self, mid: Price) {
        let (by, size) = (Price(10_000_000), Size::ONE);
        self.says(Said::Quote(Quote { bid: mid - by, bid_size: size, ask: mid + by, ask_size: size }));
    }

    fn tick(&mut self) -> Vec<Event> {
        let (market, case) = (&mut self.market, &mut self.case);
        market.pass(case.now);
        case.features = market.features(case.now);
        case.warm = matches!(market.phase, Phase::Warm | Phase::Stale);
        // The venue has what is known here, and says so.
        case.none_left_at = if case.orders.is_empty() { Some(case.now) } else { case.none_left_at };
        case.quotes()
    }

    /// Says these each 200 ms, and what followed.
    fn runs(&mut self, millis: i64, says: impl Fn(&mut Scene)) -> Vec<Event> {
        let mut events = Vec::new();
        for _ in 0..millis / 200 {
            says(self);
            events.extend(self.tick());
            self.case.passes(200);
        }
        events
    }
}

fn all(scene: &mut Scene) {
    scene.quote(Price::whole(100));
    scene.says(Said::Mark(Price::whole(100)));
    scene.says(Said::Index(Price::whole(100)));
}

#[test]
fn it_waits_until_the_market_is_warm_and_quotes_then() {
    let mut scene = Scene::new(Parameters::default());
    let events = scene.runs(60_000, all);
    let modes: Vec<_> = turns(&events).into_iter().map(|(mode, _)| mode).collect();
    assert_eq!(modes, [Mode::Defensive, Mode::Normal]);
    assert_eq!(scene.case.orders.len(), 2);
    // Warm after 10 s, and ten seconds of rest after that.
    let first = decisions(&events).find(|decided| !decided.place.is_empty()).unwrap();
    assert_eq!(first.mode, Mode::Defensive);
    assert!(first.valid_until.since(START) >= Span::seconds(10 + 10 + 5));
}

#[test]
fn a_silent_quote_is_stale_however_alive_the_mark_is() {
    let mut scene = Scene::new(Parameters::default());
    scene.runs(60_000, all);
    let events = scene.runs(8_000, |scene| {
        scene.says(Said::Mark(Price::whole(100)));
        scene.says(Said::Index(Price::whole(100)));
    });
    let (mode, codes) = turns(&events).remove(0);
    assert!(mode == Mode::Pause && codes.contains(&"DATA_STALE"), "{codes:?}");
    assert!(scene.case.orders.is_empty());
    assert!(events.contains(&Event::Drained(Drained {})));
    // It comes back by itself.
    let events = scene.runs(60_000, all);
    let modes: Vec<_> = turns(&events).into_iter().map(|(mode, _)| mode).collect();
    assert_eq!(modes, [Mode::Defensive, Mode::Normal]);
}

#[test]
fn a_mark_without_an_index_is_quoted_by_nobody() {
    let mut scene = Scene::new(Parameters::default());
    let events = scene.runs(60_000, |scene| {
        scene.quote(Price::whole(100));
        scene.says(Said::Mark(Price::whole(100)));
    });
    assert_eq!(placed(&events), []);
    assert!(scene.case.maker.why.all.has(Reason::FeatureMissing));
}

/// Up and down by 2 bps and more, with a burst in the middle.
fn rough(scene: &mut Scene) {
    let second = scene.case.now.since(START).0 / 1_000_000;
    let swing = if (40..50).contains(&second) { 60 } else { 2 };
    let step = (second * 7 % 11 - 5) * swing;
    scene.quote(Price::whole(100) + Price(step * 10_000_000));
    scene.says(Said::Mark(Price::whole(100)));
    scene.says(Said::Index(Price::whole(100)));
}

#[test]
fn a_burst_makes_it_defensive_and_the_same_tape_makes_the_same_decisions() {
    let run = || {
        let mut scene = Scene::new(Parameters::default());
        (scene.runs(120_000, rough), scene.case.maker)
    };
    let (events, maker) = run();
    let bursts = turns(&events).iter().filter(|(_, codes)| codes.contains(&"DEFENSIVE_VOL")).count();
    assert!(bursts == 1 && placed(&events).len() > 20, "{:?}", turns(&events));
    assert_eq!(run(), (events, maker));
}

/// The log is cut after any of its events, and the state read from its bytes goes on from there.
#[test]
fn it_is_the_same_wherever_it_is_started_anew() {
    let mut scene = Scene::new(Parameters::default());
    let from = scene.case.maker.clone();
    let mut log = Vec::new();
    for _ in 0..300 {
        rough(&mut scene);
        let before = scene.case.version;
        let events = scene.tick();
        for (index, event) in events.into_iter().enumerate() {
            let number = before + 1 + index as u64;
            let (position, version) = (Position(number), Version(number));
            log.push((event, Stamp { position, version, received_at: scene.case.now, recorded_at: scene.case.now }));
        }
        scene.case.passes(200);
    }
    assert!(log.len() > 30);
    for cut in 0..=log.len() {
        let mut maker = from.clone();
        log[..cut].iter().for_each(|(event, at)| maker.evolve(event, at));
        let mut bytes = Vec::new();
        codec::write(&maker, &mut bytes);
        let mut again: Maker = codec::read(&bytes).unwrap();
        log[cut..].iter().for_each(|(event, at)| again.evolve(event, at));
        assert_eq!(again, scene.case.maker, "cut after {cut}");
    }
}
