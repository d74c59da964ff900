//! How far from the front of its level's queue an order is thought to stand. A tape tells how much stands at a price, not in which
//! order, so each of these is a guess with a name.

use serde::{Deserialize, Serialize};
use tidehelm_events::market::Size;

/// The probabilistic ones are those of Rigtorp ("Estimating order queue position", 2013) in the forms that the `hftbacktest` crate
/// gives them: with `front` before the order and `back` behind it, what leaves the level without having traded left from behind it
/// with the probability named here.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Queue {
    /// Nobody is before it: whatever trades at its price is ours first.
    Front,
    /// Only trades at its price bring it forward; what is cancelled stood behind it.
    #[default]
    RiskAverse,
    /// back^n / (back^n + front^n)
    Power { n: u8 },
    /// 1 - (front / (front + back))^n
    Share { n: u8 },
}

/// Where an order stands: how much is before it, and how much has traded there since its level was last told.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Place {
    pub ahead: i64,
    traded: i64,
}

impl Place {
    /// Nobody before it.
    pub const FRONT: Place = Place { ahead: 0, traded: 0 };
    /// Nobody knows, so everybody: until the level is told, which puts it behind all that stands there.
    pub const UNSEEN: Place = Place { ahead: i64::MAX, traded: 0 };
}

impl Queue {
    /// Behind all that stands there.
    pub fn joined(self, there: Size) -> Place {
        match self {
            Queue::Front => Place::FRONT,
            Queue::RiskAverse | Queue::Power { .. } | Queue::Share { .. } => Place { ahead: there.0, traded: 0 },
        }
    }

    /// So much traded at its price. What comes back is how much of it reached the order: more than stood before it.
    pub fn traded(self, place: &mut Place, size: Size) -> Size {
        if *place == Place::UNSEEN {
            return Size::ZERO;
        }
        place.ahead = place.ahead.saturating_sub(size.0);
        place.traded = place.traded.saturating_add(size.0);
        if place.ahead >= 0 {
            return Size::ZERO;
        }
        let reached = Size(-place.ahead);
        place.ahead = 0;
        reached
    }

    /// What stands at its price is another size now.
    pub fn changed(self, place: &mut Place, before: Size, now: Size) {
        match self {
            Queue::Front => {}
            Queue::RiskAverse => place.ahead = place.ahead.min(now.0),
            Queue::Power { n } => self.thin(place, before, now, |front, back| {
                let (front, back) = (power(front, n), power(back, n));
                back / (back + front)
            }),
            Queue::Share { n } => self.thin(place, before, now, |front, back| 1.0 - power(front / (front + back), n)),
        }
    }

    /// What traded has been taken off already; of the rest that left, a part stood behind.
    fn thin(self, place: &mut Place, before: Size, now: Size, behind: impl Fn(f64, f64) -> f64) {
        let left = before.0 - now.0 - std::mem::take(&mut place.traded);
        if left <= 0 || place.ahead > before.0 {
            place.ahead = place.ahead.min(now.0);
            return;
        }
        let (front, back) = (place.ahead as f64, (before.0 - place.ahead) as f64);
        let share = behind(front, back);
        let share = if share.is_finite() { share } else { 1.0 };
        let left = left as f64;
        let ahead = front - (1.0 - share) * left + (back - share * left).min(0.0);
        place.ahead = (ahead as i64).clamp(0, now.0.max(0));
    }
}

/// By multiplication, in order: the same on every machine.
fn power(base: f64, n: u8) -> f64 {
    (0..n).fold(1.0, |product, _| product * base)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: i64 = 1_000_000_000;

    /// Joins behind 10; then the level and trades go as told; how much is before it after each.
    fn ahead(queue: Queue, steps: &[(&str, i64)]) -> Vec<i64> {
        let mut place = queue.joined(Size(10 * ONE));
        let mut there = 10 * ONE;
        let mut step = |(what, size): &(&str, i64)| {
            match *what {
                "level" => {
                    queue.changed(&mut place, Size(there), Size(size * ONE));
                    there = size * ONE;
                }
                _ => {
                    queue.traded(&mut place, Size(size * ONE));
                }
            }
            place.ahead * 100 / ONE
        };
        steps.iter().map(&mut step).collect()
    }

    #[test]
    fn each_model_moves_forward_as_it_says() {
        let steps = [("level", 14), ("level", 10), ("trade", 4), ("level", 6), ("level", 3)];
        for (queue, expected) in [
            (Queue::Front, [0, 0, 0, 0, 0]),
            // Growing is behind it; shrinking to 10 leaves 10; 4 traded; 6 stand, all before it; 3.
            (Queue::RiskAverse, [1000, 1000, 600, 600, 300]),
            // 14 to 10 with 10 before and 4 behind: 4/14 of it from behind, so 10 - 10/14·4 = 7.14; then 3.14 after the trade; the
            // 4 that the level lost are the 4 that traded; 3 more leave with 3.14 before and 2.86 behind: 3.14 - 3.14/6·3 = 1.57.
            (Queue::Power { n: 1 }, [1000, 714, 314, 314, 157]),
            // With n = 1 both are the same: 1 - front/(front+back) = back/(front+back).
            (Queue::Share { n: 1 }, [1000, 714, 314, 314, 157]),
            // 16/116 from behind: 10 - 100/116·4 = 6.55; 2.55; then 3.45² / (3.45² + 2.55²) = 0.647 from behind.
            (Queue::Power { n: 2 }, [1000, 655, 255, 255, 149]),
            // 1 - (10/14)² = 0.49 from behind: 10 - 0.51·4 = 7.959; 3.959; 1 - (3.959/6)² = 0.5646: 3.959 - 0.4354·3 + (2.041 -
            // 1.694 is above 0, so nothing) = 2.653.
            (Queue::Share { n: 2 }, [1000, 795, 395, 395, 265]),
        ] {
            assert_eq!(ahead(queue, &steps), expected, "{queue:?}");
        }
    }

    #[test]
    fn what_goes_beyond_those_before_reaches_the_order() {
        let queue = Queue::RiskAverse;
        let mut place = queue.joined(Size(5));
        assert_eq!(queue.traded(&mut place, Size(5)), Size(0), "at the front, but not yet");
        assert_eq!(queue.traded(&mut place, Size(3)), Size(3));
        assert_eq!(place.ahead, 0);
    }

    #[test]
    fn at_an_unseen_level_nothing_reaches_it_until_the_level_is_told() {
        for queue in [Queue::RiskAverse, Queue::Power { n: 3 }, Queue::Share { n: 3 }] {
            let mut place = Place::UNSEEN;
            assert_eq!(queue.traded(&mut place, Size::MAX), Size(0), "{queue:?}");
            queue.changed(&mut place, Size(0), Size(7));
            assert_eq!(place.ahead, 7, "{queue:?}");
        }
    }

    #[test]
    fn nothing_stands_before_it_below_nothing() {
        for queue in [Queue::RiskAverse, Queue::Power { n: 3 }, Queue::Share { n: 3 }] {
            for (joined, before, now) in [(10, 10, 0), (0, 5, 2), (10, 3, 0), (3, 10, 1), (0, 0, 0)] {
                let mut place = queue.joined(Size(joined));
                queue.changed(&mut place, Size(before), Size(now));
                assert!((0..=now.max(0)).contains(&place.ahead), "{queue:?} {joined} {before} {now}: {}", place.ahead);
            }
        }
    }
}
