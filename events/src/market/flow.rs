//! Who pressed: deals of the last second, and liquidations of the last ten.

use super::number::{Ratio, Size};
use crate::time::{Span, Timestamp};
use crate::trade::Side;
use serde::{Deserialize, Serialize};
use std::collections::VecDeque;

pub(super) const IMBALANCE_SPAN: Span = Span::seconds(1);
pub(super) const LIQUIDATIONS_SPAN: Span = Span::seconds(10);
/// Past it the oldest leave early.
const DEALS_MAX: usize = 8_192;
const LIQUIDATIONS_MAX: usize = 1_024;

/// The sums are whole numbers, so that adding and taking away leaves no rest.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct Flow {
    deals: VecDeque<Pressed>,
    bought_less_sold: i128,
    total: i128,
    liquidations: VecDeque<Timestamp>,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Pressed {
    at: Timestamp,
    /// Above zero where a buyer took, below where a seller did; zero where nobody can say.
    signed: i64,
    size: i64,
}

impl Flow {
    /// Times do not go back.
    pub fn add(&mut self, at: Timestamp, taker: Option<Side>, size: Size) {
        let signed = match taker {
            Some(Side::Buy) => size.0,
            Some(Side::Sell) => -size.0,
            None => 0,
        };
        self.forget(at);
        if self.deals.len() >= DEALS_MAX {
            self.forget_first();
        }
        self.bought_less_sold += i128::from(signed);
        self.total += i128::from(size.0);
        self.deals.push_back(Pressed { at, signed, size: size.0 });
    }

    pub fn add_liquidation(&mut self, at: Timestamp) {
        let over = |first: &Timestamp| at.since(*first) >= LIQUIDATIONS_SPAN;
        while self.liquidations.len() >= LIQUIDATIONS_MAX || self.liquidations.front().is_some_and(over) {
            self.liquidations.pop_front();
        }
        self.liquidations.push_back(at);
    }

    /// (bought - sold) / total over the second that ends now, rounded towards zero; zero where nobody dealt.
    pub fn imbalance(&self, now: Timestamp) -> Ratio {
        let (mut net, mut total) = (self.bought_less_sold, self.total);
        for old in self.deals.iter().take_while(|deal| now.since(deal.at) >= IMBALANCE_SPAN) {
            net -= i128::from(old.signed);
            total -= i128::from(old.size);
        }
        // Narrow numbers divide several times faster, and nearly all are narrow.
        let ratio = match (i64::try_from(net * i128::from(Ratio::ONE.0)), i64::try_from(total)) {
            (_, Ok(0)) => return Ratio::ZERO,
            (Ok(net), Ok(total)) => net / total,
            _ => (net * i128::from(Ratio::ONE.0) / total) as i64,
        };
        Ratio(ratio)
    }

    pub fn liquidations(&self, now: Timestamp) -> u32 {
        let recent = self.liquidations.iter().rev().take_while(|at| now.since(**at) < LIQUIDATIONS_SPAN);
        recent.count() as u32
    }

    fn forget(&mut self, now: Timestamp) {
        while self.deals.front().is_some_and(|deal| now.since(deal.at) >= IMBALANCE_SPAN) {
            self.forget_first();
        }
    }

    fn forget_first(&mut self) {
        if let Some(old) = self.deals.pop_front() {
            self.bought_less_sold -= i128::from(old.signed);
            self.total -= i128::from(old.size);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_second_of_deals_says_who_pressed() {
        let at = |millis| Timestamp::from_millis(millis);
        let mut flow = Flow::default();
        assert_eq!(flow.imbalance(at(0)), Ratio::ZERO, "nobody dealt");
        flow.add(at(0), Some(Side::Buy), Size::whole(3));
        flow.add(at(400), Some(Side::Sell), Size::whole(1));
        flow.add(at(900), None, Size::whole(4));
        for (now, ratio) in [(900, 250_000_000), (999, 250_000_000), (1_000, -200_000_000), (1_400, 0), (1_900, 0)] {
            assert_eq!(flow.imbalance(at(now)), Ratio(ratio), "at {now} ms");
        }
    }

    #[test]
    fn liquidations_count_for_ten_seconds() {
        let at = |millis| Timestamp::from_millis(millis);
        let mut flow = Flow::default();
        [0, 5_000, 9_999].into_iter().for_each(|millis| flow.add_liquidation(at(millis)));
        for (now, count) in [(9_999, 3), (10_000, 2), (15_000, 1), (19_999, 0)] {
            assert_eq!(flow.liquidations(at(now)), count, "at {now} ms");
        }
        (0..5_000).for_each(|_| flow.add_liquidation(at(20_000)));
        assert_eq!(flow.liquidations(at(20_000)), LIQUIDATIONS_MAX as u32);
    }

    proptest! {
        /// Whatever came and went: the sums are those of what is in the second, to the last unit.
        #[test]
        fn sums_leave_no_rest(deals in prop::collection::vec((0i64..700, 0u8..3, 1i64..i64::MAX), 1..80), after in 0i64..1_500) {
            let (mut flow, mut now, mut all) = (Flow::default(), 0, Vec::new());
            for (passed, side, size) in deals {
                now += passed;
                let taker = [None, Some(Side::Buy), Some(Side::Sell)][usize::from(side)];
                flow.add(Timestamp::from_millis(now), taker, Size(size));
                all.push((now, [0, 1, -1][usize::from(side)], i128::from(size)));
            }
            now += after;
            let recent: Vec<_> = all.iter().filter(|(at, _, _)| now - at < 1_000).collect();
            let total: i128 = recent.iter().map(|(_, _, size)| size).sum();
            let net: i128 = recent.iter().map(|(_, sign, size)| sign * size).sum();
            let expected = if total == 0 { 0 } else { (net * 1_000_000_000 / total) as i64 };
            prop_assert_eq!(flow.imbalance(Timestamp::from_millis(now)), Ratio(expected));
        }
    }
}
