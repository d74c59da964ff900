//! Indicators over bars, oldest first. The only floats of a strategy are here and in what is compared with them.
//!
//! Each is worked out in one fixed order from `+ - * /` and `sqrt`, which every machine rounds in the same way: the same bars give
//! the same bits. Where whole numbers do, whole numbers are used. A value is there once enough was pushed, and None before.

use crate::market::{Bar, Price};

/// The mean of the first so many, then each new value has one part in so many (Wilder's smoothing).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wilder {
    mean: Seeded,
}

/// The mean of the first so many, then each new value has two parts in so many and one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Ema {
    mean: Seeded,
}

/// What both begin with.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Seeded {
    period: u32,
    seen: u32,
    value: f64,
}

impl Seeded {
    fn new(period: u32) -> Self {
        Seeded { period: period.max(1), seen: 0, value: 0.0 }
    }
    /// True while the first ones are gathered; the value is their sum, and at the last of them their mean.
    fn gathers(&mut self, value: f64) -> bool {
        if self.seen >= self.period {
            return false;
        }
        self.seen += 1;
        self.value += value;
        if self.seen == self.period {
            self.value /= f64::from(self.period);
        }
        true
    }
    fn value(&self) -> Option<f64> {
        (self.seen == self.period).then_some(self.value)
    }
}

impl Wilder {
    pub fn new(period: u32) -> Self {
        Wilder { mean: Seeded::new(period) }
    }
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !self.mean.gathers(value) {
            let period = f64::from(self.mean.period);
            self.mean.value = (self.mean.value * (period - 1.0) + value) / period;
        }
        self.mean.value()
    }
}

impl Ema {
    pub fn new(period: u32) -> Self {
        Ema { mean: Seeded::new(period) }
    }
    pub fn push(&mut self, value: f64) -> Option<f64> {
        if !self.mean.gathers(value) {
            let weight = 2.0 / (f64::from(self.mean.period) + 1.0);
            self.mean.value += (value - self.mean.value) * weight;
        }
        self.mean.value()
    }
}

/// Relative strength, 0 to 100, smoothed as Wilder does. 50 where nothing moved.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rsi {
    last: Option<f64>,
    gain: Wilder,
    loss: Wilder,
}

impl Rsi {
    pub fn new(period: u32) -> Self {
        Rsi { last: None, gain: Wilder::new(period), loss: Wilder::new(period) }
    }
    pub fn push(&mut self, close: f64) -> Option<f64> {
        let change = close - self.last.replace(close)?;
        let gain = self.gain.push(if change > 0.0 { change } else { 0.0 });
        let loss = self.loss.push(if change < 0.0 { -change } else { 0.0 });
        let (gain, loss) = (gain?, loss?);
        Some(match (gain > 0.0, loss > 0.0) {
            (false, false) => 50.0,
            (true, false) => 100.0,
            (_, true) => 100.0 - 100.0 / (1.0 + gain / loss),
        })
    }
}

/// How far a bar reaches, the gap to the one before included.
fn true_range(bar: &Bar, close_before: Option<f64>) -> f64 {
    let (high, low) = (bar.high.float(), bar.low.float());
    match close_before {
        None => high - low,
        Some(close) => high.max(close) - low.min(close),
    }
}

/// Average true range, in the quote currency. The first bar counts from high to low.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Atr {
    close: Option<f64>,
    range: Wilder,
}

impl Atr {
    pub fn new(period: u32) -> Self {
        Atr { close: None, range: Wilder::new(period) }
    }
    pub fn push(&mut self, bar: &Bar) -> Option<f64> {
        let range = true_range(bar, self.close);
        self.close = Some(bar.close.float());
        self.range.push(range)
    }
}

/// How directed the market is, 0 to 100, up or down alike (Wilder's ADX). 0 where nothing moves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Adx {
    before: Option<Bar>,
    range: Wilder,
    up: Wilder,
    down: Wilder,
    index: Wilder,
}

impl Adx {
    pub fn new(period: u32) -> Self {
        let smooth = Wilder::new(period);
        Adx { before: None, range: smooth, up: smooth, down: smooth, index: smooth }
    }
    pub fn push(&mut self, bar: &Bar) -> Option<f64> {
        let before = self.before.replace(*bar)?;
        let up = bar.high.float() - before.high.float();
        let down = before.low.float() - bar.low.float();
        let up_move = if up > down && up > 0.0 { up } else { 0.0 };
        let down_move = if down > up && down > 0.0 { down } else { 0.0 };
        let range = self.range.push(true_range(bar, Some(before.close.float())));
        let (up, down) = (self.up.push(up_move), self.down.push(down_move));
        let (range, up, down) = (range?, up?, down?);
        let both = up + down;
        // The range divides out; without one nothing moved.
        let directed = if range > 0.0 && both > 0.0 { 100.0 * (up - down).abs() / both } else { 0.0 };
        self.index.push(directed)
    }
}

/// Moving averages apart from each other, and how far that is from its own average.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Macd {
    fast: Ema,
    slow: Ema,
    signal: Ema,
}

impl Macd {
    pub fn new(fast: u32, slow: u32, signal: u32) -> Self {
        Macd { fast: Ema::new(fast), slow: Ema::new(slow), signal: Ema::new(signal) }
    }
    /// The histogram: the line less its signal.
    pub fn push(&mut self, close: f64) -> Option<f64> {
        let (fast, slow) = (self.fast.push(close), self.slow.push(close));
        let line = fast? - slow?;
        Some(line - self.signal.push(line)?)
    }
}

/// A band of so many standard deviations (of the population) around the mean of the newest closes, in the quote currency.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bollinger {
    pub lower: f64,
    pub middle: f64,
    pub upper: f64,
}

impl Bollinger {
    pub fn of(bars: &[Bar], period: usize, deviations: f64) -> Option<Bollinger> {
        if period == 0 || bars.len() < period {
            return None;
        }
        let newest = newest(bars, period);
        let count = period as f64;
        let middle = newest.iter().map(|bar| bar.close.float()).sum::<f64>() / count;
        let apart = |bar: &Bar| (bar.close.float() - middle) * (bar.close.float() - middle);
        let deviation = (newest.iter().map(apart).sum::<f64>() / count).sqrt();
        Some(Bollinger { lower: middle - deviations * deviation, middle, upper: middle + deviations * deviation })
    }
    /// From edge to edge, as a share of the middle. None where the middle is not above zero.
    pub fn width(&self) -> Option<f64> {
        (self.middle > 0.0).then(|| (self.upper - self.lower) / self.middle)
    }
}

/// The last so many; all of them where there are not so many.
pub fn newest<T>(items: &[T], count: usize) -> &[T] {
    &items[items.len().saturating_sub(count)..]
}

/// The mean of the newest closes, rounded down to a billionth.
pub fn sma(bars: &[Bar], period: usize) -> Option<Price> {
    if period == 0 || bars.len() < period {
        return None;
    }
    let sum: i128 = newest(bars, period).iter().map(|bar| i128::from(bar.close.0)).sum();
    Some(Price(sum.div_euclid(period as i128) as i64))
}

/// As many bars as a box is made of at most.
pub const BOX_MAX: usize = 64;

/// Between which prices the newest bars were, but for the outermost: the lows' and the highs' percentile by nearest rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RangeBox {
    pub low: Price,
    pub high: Price,
}

impl RangeBox {
    /// `outside` is how many in a hundred lie beyond each edge: 5 makes the box from the 5th to the 95th.
    pub fn of(bars: &[Bar], count: usize, outside: u32) -> Option<RangeBox> {
        if count == 0 || count > BOX_MAX || bars.len() < count || outside >= 50 {
            return None;
        }
        let (mut lows, mut highs) = ([Price::ZERO; BOX_MAX], [Price::ZERO; BOX_MAX]);
        for (place, bar) in newest(bars, count).iter().enumerate() {
            (lows[place], highs[place]) = (bar.low, bar.high);
        }
        lows[..count].sort_unstable();
        highs[..count].sort_unstable();
        let low = lows[rank(count, outside) - 1];
        let high = highs[rank(count, 100 - outside) - 1];
        Some(RangeBox { low, high })
    }
}

/// Nearest rank: the first, from one, that so many in a hundred do not lie above of.
fn rank(count: usize, percent: u32) -> usize {
    (count * percent as usize).div_ceil(100).max(1)
}

#[cfg(test)]
mod tests;
