//! How much the middle moves, by the clock and not by the number of updates.

use super::number::Bps;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub(super) const SPAN: Span = Span::seconds(10);
/// The middle is looked at once in so long: what it was last there.
const STEP: Span = Span::millis(200);
const STEPS: i64 = SPAN.0 / STEP.0;

/// Logarithmic returns from step to step in whole billionths, and their sums, so that what leaves the window leaves no rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Volatility {
    /// Of the steps that are over, oldest first; at most one fewer than the window has steps.
    returns: VecDeque<i64>,
    sum: i128,
    squares: i128,
    open: Option<Open>,
}

/// The step that is not over yet.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Open {
    step: i64,
    /// Twice the middle, at the end of the step before and now.
    before: i128,
    last: i128,
}

impl Volatility {
    /// Times do not go back; the middle is above zero.
    pub fn add(&mut self, at: Timestamp, mid_twice: i128) {
        let step = step_of(at);
        match &mut self.open {
            None => self.open = Some(Open { step, before: mid_twice, last: mid_twice }),
            Some(open) if open.step >= step => open.last = mid_twice,
            Some(open) => {
                let (done, passed) = (*open, step - open.step);
                *open = Open { step, before: done.last, last: mid_twice };
                if passed >= STEPS {
                    (self.returns, self.sum, self.squares) = (VecDeque::new(), 0, 0);
                    return;
                }
                self.push(done.moved());
                (1..passed).for_each(|_| self.push(0));
            }
        }
    }

    /// The standard deviation of the returns of the last ten seconds, as what a move of ten seconds is: √n times that of a step. A
    /// single move in a still market is its own size. None where nothing was heard in all that time.
    pub fn over_window(&self, now: Timestamp) -> Option<Bps> {
        let open = self.open?;
        let passed = (step_of(now) - open.step).max(0);
        if passed >= STEPS {
            return None;
        }
        let (mut sum, mut squares) = (self.sum, self.squares);
        let still_in = (STEPS - 1 - passed) as usize;
        for old in self.returns.iter().take(self.returns.len().saturating_sub(still_in)) {
            sum -= i128::from(*old);
            squares -= i128::from(*old) * i128::from(*old);
        }
        let moved = i128::from(open.moved());
        (sum, squares) = (sum + moved, squares + moved * moved);
        // The sums are exact; a square root of IEEE 754 is the same on every machine. From billionths to billionths of a basis point.
        let variance = (i128::from(STEPS) * squares - sum * sum) as f64 / (STEPS - 1) as f64;
        Some(Bps((variance.sqrt() * 1e4) as i64))
    }

    fn push(&mut self, moved: i64) {
        if self.returns.len() as i64 >= STEPS - 1
            && let Some(old) = self.returns.pop_front()
        {
            self.sum -= i128::from(old);
            self.squares -= i128::from(old) * i128::from(old);
        }
        self.sum += i128::from(moved);
        self.squares += i128::from(moved) * i128::from(moved);
        self.returns.push_back(moved);
    }
}

impl Open {
    /// The logarithm of what it became over what it was, in billionths, rounded to the nearest.
    fn moved(&self) -> i64 {
        if self.last == self.before {
            return 0;
        }
        let change = (self.last - self.before) as f64 / self.before as f64;
        (libm::log1p(change) * 1e9).round() as i64
    }
}

fn step_of(at: Timestamp) -> i64 {
    at.0.div_euclid(STEP.0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const MID: i128 = 2 * 50_000 * 1_000_000_000;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_single_move_is_its_own_size() {
        let mut still = Volatility::default();
        assert_eq!(still.over_window(at(0)), None);
        still.add(at(0), MID);
        assert_eq!(still.over_window(at(0)), Some(Bps(0)));
        still.add(at(5_000), MID + MID / 200);
        let moved = still.over_window(at(5_000)).unwrap();
        // ln 1.005 is 49.875 basis points.
        assert!((moved.0 - 49_875_415_000).abs() < 20_000, "{moved}");
        assert_eq!(still.over_window(at(14_000)), Some(moved), "it is still in the window");
        assert_eq!(still.over_window(at(14_999)), Some(moved));
        assert_eq!(still.over_window(at(15_000)), None, "nothing was heard for ten seconds");
    }

    #[test]
    fn a_steady_trend_is_no_volatility() {
        let mut trend = Volatility::default();
        (0..100).for_each(|step| trend.add(at(step * 200), MID + MID / 10_000 * i128::from(step)));
        assert!(trend.over_window(at(99 * 200)).unwrap() < Bps(100_000_000), "a hundredth of what it moved");
    }

    proptest! {
        /// A market that is told ten times a second reads as when it is told a thousand times.
        #[test]
        fn the_rate_of_updates_is_not_seen(moves in prop::collection::vec(-40i128..=40, 12_000)) {
            let (mut often, mut seldom, mut mid) = (Volatility::default(), Volatility::default(), MID);
            for (milli, moved) in moves.iter().enumerate() {
                mid += MID / 1_000_000 * moved;
                often.add(at(milli as i64), mid);
                if milli % 100 == 99 {
                    seldom.add(at(milli as i64), mid);
                }
            }
            let now = at(11_999);
            let (often, seldom) = (often.over_window(now).unwrap(), seldom.over_window(now).unwrap());
            prop_assert_eq!(often, seldom);
        }

        /// However it is reached: the same as worked out from the moves in floats.
        #[test]
        fn it_is_the_standard_deviation_of_its_window(ticks in prop::collection::vec((1i64..900, 90_000i128..110_000), 20..200)) {
            let (mut volatility, mut now, mut at_step) = (Volatility::default(), 0i64, std::collections::BTreeMap::new());
            for (passed, mid) in ticks {
                now += passed;
                volatility.add(at(now), mid);
                // It begins at what was heard first.
                at_step.entry(now / 200 - if at_step.is_empty() { 1 } else { 0 }).or_insert(mid as f64);
                at_step.insert(now / 200, mid as f64);
            }
            let (first, end) = (*at_step.keys().next().unwrap(), now / 200);
            let close = |step: i64| *at_step.range(..=step.max(first)).next_back().unwrap().1;
            let returns: Vec<f64> = (end - 49..=end).map(|step| libm::log(close(step) / close(step - 1))).collect();
            let mean = returns.iter().sum::<f64>() / 50.0;
            let variance = returns.iter().map(|one| (one - mean) * (one - mean)).sum::<f64>() / 49.0;
            let expected = (variance * 50.0).sqrt() * 1e4;
            let found = volatility.over_window(at(now)).unwrap().float();
            prop_assert!((found - expected).abs() <= 0.01, "{} and {}", found, expected);
        }
    }
}
