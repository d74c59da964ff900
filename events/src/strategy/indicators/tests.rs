//! Against published figures, and against what a calculation with forty digits says of the same bars.

use super::*;
use crate::time::Timestamp;

fn close_to(value: f64, expected: f64, within: f64) -> bool {
    (value - expected).abs() <= within
}

fn bar(open: i64, high: i64, low: i64, close: i64) -> Bar {
    let price = |points: i64| Price(points * 10_000);
    Bar {
        open_at: Timestamp::ZERO,
        open: price(open),
        high: price(high),
        low: price(low),
        close: price(close),
        ticks: 1,
    }
}

/// Sixty bars of a made-up market around 1.00000.
fn bars() -> Vec<Bar> {
    let mut bars = Vec::new();
    let mut open = 100_000;
    for i in 0..60 {
        let close = open + ((i * 37) % 23 - 11) * 10 + if i > 30 { 15 } else { -5 };
        bars.push(bar(open, open.max(close) + (i * 7) % 13 * 3, open.min(close) - (i * 5) % 11 * 4, close));
        open = close;
    }
    bars
}

/// The closes with which Wilder's relative strength is usually explained, and what it is there.
const CLOSES: &str = "44.3389 44.0902 44.1497 43.6124 44.3278 44.8264 45.0955 45.4245 45.8433 46.0826 45.8931 46.0328 \
    45.6140 46.2820 46.2820 46.0028 46.0328 46.4116 46.2222 45.6439 46.2122 46.2521 45.7137 46.4515 45.7835 45.3548 \
    44.0288 44.1783 44.2181 44.5672 43.4205 42.6628 43.1314";
const STRENGTHS: [f64; 19] = [
    70.53, 66.32, 66.55, 69.41, 66.36, 57.97, 62.93, 63.26, 56.06, 62.38, 54.71, 50.42, 39.99, 41.46, 41.87, 45.46,
    37.30, 33.08, 37.77,
];

#[test]
fn relative_strength_is_the_published_one() {
    let mut rsi = Rsi::new(14);
    let closes = CLOSES.split_whitespace().map(|close| close.parse::<Price>().unwrap().float());
    let found: Vec<Option<f64>> = closes.map(|close| rsi.push(close)).collect();
    assert!(found[..14].iter().all(Option::is_none), "fourteen changes are needed");
    let found: Vec<f64> = found[14..].iter().map(|value| value.unwrap()).collect();
    assert_eq!(found.len(), STRENGTHS.len());
    for (found, expected) in found.iter().zip(STRENGTHS) {
        assert!(close_to(*found, expected, 0.005), "{found} {expected}");
    }
}

#[test]
fn relative_strength_at_its_ends() {
    let last = |closes: &[f64]| {
        let mut rsi = Rsi::new(2);
        closes.iter().fold(None, |_, close| rsi.push(*close))
    };
    assert_eq!(last(&[1.0, 2.0, 3.0]), Some(100.0));
    assert_eq!(last(&[3.0, 2.0, 1.0]), Some(0.0));
    assert_eq!(last(&[1.0, 1.0, 1.0]), Some(50.0), "nothing moved");
    assert_eq!(last(&[1.0, 2.0, 1.0]), Some(50.0));
    assert_eq!(last(&[1.0, 2.0]), None);
}

#[test]
fn each_is_what_forty_digits_say() {
    let bars = bars();
    let all = bars.as_slice();
    let (mut atr, mut adx, mut macd, mut rsi) = (Atr::new(14), Adx::new(14), Macd::new(12, 26, 9), Rsi::new(14));
    let mut found = (None, None, None, None);
    for bar in &bars {
        let close = bar.close.float();
        found = (atr.push(bar), adx.push(bar), macd.push(close), rsi.push(close));
    }
    let band = Bollinger::of(all, 20, 2.0).unwrap();
    for (name, value, expected) in [
        ("atr", found.0.unwrap(), 0.000_993_755_016_052_124_5),
        ("adx", found.1.unwrap(), 14.433_428_899_982_661),
        ("macd", found.2.unwrap(), 0.000_079_021_301_533_075_85),
        ("rsi", found.3.unwrap(), 62.658_259_663_187_094),
        ("lower", band.lower, 0.999_101_812_784_851_1),
        ("middle", band.middle, 1.00048),
        ("upper", band.upper, 1.001_858_187_215_149),
    ] {
        assert!(close_to(value, expected, expected * 1e-11), "{name}: {value} {expected}");
    }
    assert_eq!(sma(all, 10).unwrap().to_string(), "1.000845");
    let RangeBox { low, high } = RangeBox::of(all, 24, 5).unwrap();
    assert_eq!((low.to_string().as_str(), high.to_string().as_str()), ("0.99793", "1.00154"));
}

#[test]
fn nothing_is_said_before_enough_was_seen() {
    let bars = bars();
    let first = |push: &mut dyn FnMut(&Bar) -> bool| bars.iter().position(push).map(|place| place + 1);
    let (mut atr, mut adx) = (Atr::new(14), Adx::new(14));
    let (mut macd, mut rsi) = (Macd::new(12, 26, 9), Rsi::new(14));
    assert_eq!(first(&mut |bar| atr.push(bar).is_some()), Some(14));
    assert_eq!(first(&mut |bar| adx.push(bar).is_some()), Some(28), "14 changes, then 14 indices");
    assert_eq!(first(&mut |bar| macd.push(bar.close.float()).is_some()), Some(34), "26, then 9");
    assert_eq!(first(&mut |bar| rsi.push(bar.close.float()).is_some()), Some(15));
    let few = &bars[..3];
    assert_eq!((sma(few, 4), Bollinger::of(few, 4, 2.0), RangeBox::of(few, 4, 5)), (None, None, None));
    assert_eq!((sma(few, 0), Bollinger::of(few, 0, 2.0), RangeBox::of(few, 0, 5)), (None, None, None));
    assert_eq!(RangeBox::of(&bars, 3, 50), None, "nothing would be inside");
}

#[test]
fn a_market_that_stands_still_has_no_direction_and_no_width() {
    let still = vec![bar(100, 100, 100, 100); 60];
    let mut adx = Adx::new(14);
    assert_eq!(still.iter().fold(None, |_, bar| adx.push(bar)), Some(0.0));
    let mut atr = Atr::new(14);
    assert_eq!(still.iter().fold(None, |_, bar| atr.push(bar)), Some(0.0));
    let band = Bollinger::of(&still, 20, 2.0).unwrap();
    assert!(band.width().unwrap().abs() < 1e-9, "{band:?}");
    assert_eq!(Bollinger { lower: 0.0, middle: 0.0, upper: 0.0 }.width(), None);
}

#[test]
fn a_market_that_goes_one_way_is_wholly_directed() {
    for way in [1, -1] {
        let going: Vec<Bar> = (0..60)
            .map(|i| bar(1_000 + way * i * 10, 1_008 + way * i * 10, 992 + way * i * 10, 1_000 + way * i * 10))
            .collect();
        let mut adx = Adx::new(14);
        assert_eq!(going.iter().fold(None, |_, bar| adx.push(bar)), Some(100.0));
    }
}

#[test]
fn the_same_bars_give_the_same_bits() {
    let bars = bars();
    let bits = || {
        let (mut atr, mut adx, mut macd) = (Atr::new(14), Adx::new(14), Macd::new(12, 26, 9));
        let mut last = [0; 3];
        for bar in &bars {
            let found = [atr.push(bar), adx.push(bar), macd.push(bar.close.float())];
            last = found.map(|value| value.map_or(0, f64::to_bits));
        }
        last
    };
    // Another language with the same order of the same operations came to the same: what says otherwise breaks replay.
    assert_eq!(bits(), [0x3f50_481c_52d3_d07a, 0x402c_ddea_648d_21e6, 0x3f14_b707_9f82_8788]);
}
