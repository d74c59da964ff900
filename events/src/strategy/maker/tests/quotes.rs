//! Prices and sizes: on ticks and steps, crossing nobody, as the formulas say.

use super::*;
use crate::market::{Bps, Cash, Price, Quote, Ratio};
use crate::strategy::maker::model::{AvellanedaStoikov, Glft, Ladder};
use crate::strategy::maker::quote::{Care, Quotes, Target};
use proptest::prelude::*;

const CALM: Care = Care { defensive: false, reduce_only: false };

fn wanted(case: &Case, care: Care) -> Result<Quotes, &'static str> {
    let parameters = case.maker.parameters().unwrap();
    let scene = Scene { parameters, features: &case.features, inventory: case.inventory.unwrap() };
    let spread = parameters.model.spread(&scene).ok_or("no spread")?;
    Ok(Quotes::of(&scene, spread, &case.features.quote.unwrap(), &case.instrument, care))
}

/// `bid x size | ask x size`, level by level.
fn said(quotes: &Quotes) -> String {
    let level = |target: &Target| format!("{}x{}", target.price, target.size);
    let sides = quotes.sides.map(|side| side.iter().flatten().map(level).collect::<Vec<_>>().join(" "));
    format!("{} | {}", sides[0], sides[1])
}

/// Worked out by hand from the formulas: mid 100, tick 0.01, step 0.001.
#[test]
fn prices_and_sizes_are_those_of_the_formulas() {
    type Change = fn(&mut Case);
    let table: [(&str, Change, Care, &str); 16] = [
        // half = 10 + 5 + 0.2 = 15.2
        ("calm", |_| {}, CALM, "99.84x0.2 | 100.16x0.2"),
        ("no volatility", |c| c.features.vol_10s = Some(Bps::ZERO), CALM, "99.89x0.2 | 100.11x0.2"),
        ("all one way", |c| c.features.imbalance_1s = Some(-Ratio::ONE), CALM, "99.84x0.2 | 100.16x0.2"),
        // skew = 5 x 0.5 / 1 = 2.5: 99.823 and 100.127
        ("long", |c| c.inventory = "0.5".parse().ok(), CALM, "99.82x0.2 | 100.13x0.2"),
        ("short", |c| c.inventory = "-0.5".parse().ok(), CALM, "99.87x0.2 | 100.18x0.2"),
        // Twice as far, half as much: 30.4 bps, 0.1
        ("defensive", |_| {}, Care { defensive: true, reduce_only: false }, "99.69x0.1 | 100.31x0.1"),
        (
            "long and over the limit: only asks, with skew 5 x 1.2 = 6",
            |c| c.inventory = "1.2".parse().ok(),
            Care { defensive: false, reduce_only: true },
            " | 100.1x0.2",
        ),
        (
            "short and over the limit: no more than is held",
            |c| c.inventory = "-0.15".parse().ok(),
            Care { defensive: false, reduce_only: true },
            "99.85x0.15 | ",
        ),
        // 100.127 x 20: a coarse tick rounds away from the middle
        ("a coarse tick", |c| c.instrument.tick = "0.5".parse().unwrap(), CALM, "99.5x0.2 | 100.5x0.2"),
        (
            "a skew beyond the spread crosses nobody",
            |c| {
                c.inventory = "1".parse().ok();
                c.sets(Parameters { inventory_skew_gain: Bps::whole(40), ..Parameters::default() });
            },
            CALM,
            // 100 x (1 - 0.00552) = 99.448; 100 x (1 + 0.00152 - 0.004) = 99.752, which the best bid + 1 tick bounds
            "99.44x0.2 | 100x0.2",
        ),
        (
            "three levels, 5 bps apart",
            |c| c.sets(Parameters { levels: 3, ..Parameters::default() }),
            CALM,
            // 15.2, 20.2, 25.2
            "99.84x0.2 99.79x0.2 99.74x0.2 | 100.16x0.2 100.21x0.2 100.26x0.2",
        ),
        (
            "levels nearer than a tick still differ by one",
            |c| c.sets(Parameters { levels: 3, level_step_bps: "0.01".parse().unwrap(), ..Parameters::default() }),
            CALM,
            "99.84x0.2 99.83x0.2 99.82x0.2 | 100.16x0.2 100.17x0.2 100.18x0.2",
        ),
        (
            "a ladder",
            |c| {
                let model = Model::Ladder(Ladder { widening: Ratio::whole(2), growth: "1.5".parse().unwrap() });
                c.sets(Parameters { model, levels: 3, ..Parameters::default() });
            },
            CALM,
            // 15.2, 30.4, 60.8 bps; 0.2, 0.3, 0.45
            "99.84x0.2 99.69x0.3 99.39x0.45 | 100.16x0.2 100.31x0.3 100.61x0.45",
        ),
        // 20 at 100 is 0.2, the venue wants more
        ("too small", |c| c.instrument.size_min = "0.201".parse().unwrap(), CALM, " | "),
        ("worth too little", |c| c.instrument.notional_min = Some(Cash::whole(20)), CALM, " | 100.16x0.2"),
        (
            "no more than the venue takes",
            |c| c.instrument.size_max = "0.05".parse().ok(),
            CALM,
            "99.84x0.05 | 100.16x0.05",
        ),
    ];
    for (name, change, care, expected) in table {
        let mut case = Case::with(Parameters::default());
        change(&mut case);
        assert_eq!(said(&wanted(&case, care).unwrap()), expected, "{name}");
    }
}

#[test]
fn why_a_side_is_empty_is_said() {
    let mut case = Case::usual();
    case.instrument.size_min = "0.201".parse().unwrap();
    let events = case.tick();
    assert_eq!(placed(&events), []);
    assert!(case.maker.why.all.has(Reason::SizeBelowMinimum));
    assert!(case.tick().is_empty(), "the same is not said twice");
    case.instrument.size_min = "0.2".parse().unwrap();
    case.passes(200);
    assert_eq!(placed(&case.tick()).len(), 2);
    assert!(!case.maker.why.all.has(Reason::SizeBelowMinimum));
}

/// By the papers' formulas, with a calculator: vol 5 bps over 10 s is 1.5811 for the root of a second.
#[test]
fn the_models_of_the_papers_give_their_numbers() {
    let stoikov = Model::AvellanedaStoikov(AvellanedaStoikov {
        risk_aversion: "0.1".parse().unwrap(),
        decay: "0.05".parse().unwrap(),
        horizon_s: 60,
    });
    // γσ²T = 0.1 x 2.5 x 60 = 15; half = 7.5 + ln(3)/0.1 = 18.48612; skew = 0.5 x 15 = 7.5
    let glft = Model::Glft(Glft {
        risk_aversion: "0.1".parse().unwrap(),
        decay: "0.05".parse().unwrap(),
        arrival: Ratio::ONE,
        units: 10,
    });
    // c = √(0.1/(2 x 0.05) x 3^1.5) = 2.279507; σc = 3.604217; half = 10.98612 + 1.80211; skew = 0.5 x 10 x 3.604217
    for (model, half, skew) in [(stoikov, 18.486_123, 7.5), (glft, 12.788_231, 18.021_087)] {
        let mut case = Case::with(Parameters { model, ..Parameters::default() });
        case.inventory = "0.5".parse().ok();
        let parameters = case.maker.parameters().unwrap();
        let scene = Scene { parameters, features: &case.features, inventory: case.inventory.unwrap() };
        let spread = parameters.model.spread(&scene).unwrap();
        assert!((spread.half.float() - half).abs() < 1e-5, "{model:?}: {:?}", spread);
        assert!((spread.skew.float() - skew).abs() < 1e-5, "{model:?}: {:?}", spread);
    }
}

#[test]
fn a_model_that_lacks_something_quotes_nothing() {
    for model in [
        Model::Linear,
        Model::AvellanedaStoikov(AvellanedaStoikov { risk_aversion: Ratio::ONE, decay: Ratio::ONE, horizon_s: 1 }),
    ] {
        let mut case = Case::with(Parameters { model, ..Parameters::default() });
        case.features.vol_10s = None;
        assert_eq!(wanted(&case, CALM), Err("no spread"), "{model:?}");
    }
}

fn any_model() -> impl Strategy<Value = Model> {
    let ratio = || (1_000_000i64..1_000_000_000_000).prop_map(Ratio);
    prop_oneof![
        Just(Model::Linear),
        (1_001_000_000i64..10_000_000_000, 100_000_000i64..10_000_000_000)
            .prop_map(|(widening, growth)| Model::Ladder(Ladder { widening: Ratio(widening), growth: Ratio(growth) })),
        (ratio(), ratio(), 1u32..86_400).prop_map(|(risk_aversion, decay, horizon_s)| Model::AvellanedaStoikov(
            AvellanedaStoikov { risk_aversion, decay, horizon_s }
        )),
        (ratio(), ratio(), ratio(), 1u32..1_000).prop_map(|(risk_aversion, decay, arrival, units)| Model::Glft(Glft {
            risk_aversion,
            decay,
            arrival,
            units
        })),
    ]
}

proptest! {
    /// Whatever model, market and instrument: on ticks and steps, nobody crossed, levels apart, within what the venue takes.
    #[test]
    fn a_quote_is_always_one_that_the_venue_takes(
        model in any_model(),
        bid in prop_oneof![1 => 1i64..9_000_000_000_000_000_000, 3 => 1_000_000_000i64..1_000_000_000_000],
        gap in prop_oneof![1 => 1i64..1_000_000_000_000, 3 => 1i64..1_000_000_000],
        tick in prop_oneof![1 => 1i64..5_000_000_000, 3 => prop_oneof![Just(1i64), Just(1_000_000), Just(10_000_000)]],
        step in prop_oneof![1 => 1i64..1_000_000_000, 3 => Just(1_000i64)],
        inventory in prop_oneof![1 => any::<i64>(), 3 => -2_000_000_000i64..=2_000_000_000],
        vol in prop_oneof![1 => 0i64..i64::MAX, 3 => 0i64..50_000_000_000],
        imbalance in -1_000_000_000i64..=1_000_000_000,
        levels in 1u8..=8,
        gain in 0i64..=1_000,
        reduce_only in any::<bool>(),
        defensive in any::<bool>(),
    ) {
        let inventory_skew_gain = Bps::whole(gain);
        let mut case = Case::with(Parameters { model, levels, inventory_skew_gain, ..Parameters::default() });
        case.instrument = Instrument { tick: Price(tick), step: Size(step), size_min: Size(step), ..Instrument::plain() };
        let quote = Quote { bid: Price(bid), bid_size: Size::ONE, ask: Price(bid.saturating_add(gap)), ask_size: Size::ONE };
        case.features.quote = Some(quote);
        case.features.vol_10s = Some(Bps(vol));
        case.features.imbalance_1s = Some(Ratio(imbalance));
        case.inventory = Some(Size(inventory));
        let Ok(quotes) = wanted(&case, Care { defensive, reduce_only }) else { return Ok(()) };
        let all: Vec<(usize, Target)> =
            quotes.sides.iter().enumerate().flat_map(|(side, levels)| levels.iter().flatten().map(move |target| (side, *target))).collect();
        for (side, target) in &all {
            prop_assert!(target.price.0 > 0 && target.price.is_multiple_of(Price(tick)), "{target:?}");
            prop_assert!(target.size.0 > 0 && target.size.is_multiple_of(Size(step)), "{target:?}");
            let crosses = if *side == 0 { target.price >= quote.ask } else { target.price <= quote.bid };
            prop_assert!(!crosses, "{target:?} crosses {quote:?}");
        }
        for side in &quotes.sides {
            let prices: std::collections::BTreeSet<_> = side.iter().flatten().map(|target| target.price).collect();
            prop_assert_eq!(prices.len(), side.iter().flatten().count(), "two levels of one price");
        }
        let best = |side: usize| quotes.sides[side][0].map(|target| target.price);
        if let (Some(bid), Some(ask)) = (best(0), best(1)) {
            prop_assert!(bid < ask);
        }
        if reduce_only {
            let growing = if inventory > 0 { 0 } else { 1 };
            prop_assert!(inventory != 0 && quotes.sides[growing].iter().all(Option::is_none) || inventory == 0 && all.is_empty());
            let sum: i128 = all.iter().map(|(_, target)| i128::from(target.size.0)).sum();
            prop_assert!(sum <= i128::from(inventory.unsigned_abs()), "more than is held");
        }
    }
}
