//! How long a request takes to the venue, and its report back.

use crate::world::rng::Rng;
use serde::{Deserialize, Serialize};
use tidehelm_events::market::Ratio;
use tidehelm_events::time::Span;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Latency {
    Constant {
        there: Span,
        back: Span,
    },
    /// Evenly between the two, both included, by the run's seed; so many of a thousand take `spike` longer.
    Jitter {
        there: (Span, Span),
        back: (Span, Span),
        spike_permille: u16,
        spike: Span,
    },
    /// A multiple of what the newest market event took from the venue to the recording (`received_at` - `source_at`), and a least.
    Tape {
        there: Ratio,
        back: Ratio,
        least: Span,
    },
}

impl Default for Latency {
    fn default() -> Self {
        Latency::Constant { there: Span::millis(10), back: Span::millis(10) }
    }
}

impl Latency {
    pub fn there(&self, rng: &mut Rng, feed: Span) -> Span {
        match self {
            Latency::Constant { there, .. } => least(*there, Span(0)),
            Latency::Jitter { there, spike_permille, spike, .. } => drawn(*there, *spike_permille, *spike, rng),
            Latency::Tape { there, least: floor, .. } => least(times(feed, *there), *floor),
        }
    }
    pub fn back(&self, rng: &mut Rng, feed: Span) -> Span {
        match self {
            Latency::Constant { back, .. } => least(*back, Span(0)),
            Latency::Jitter { back, spike_permille, spike, .. } => drawn(*back, *spike_permille, *spike, rng),
            Latency::Tape { back, least: floor, .. } => least(times(feed, *back), *floor),
        }
    }
}

fn drawn((from, to): (Span, Span), spike_permille: u16, spike: Span, rng: &mut Rng) -> Span {
    let span = rng.between(from.0, to.0);
    let spiked = spike_permille > 0 && rng.permille(u64::from(spike_permille));
    least(Span(if spiked { span.saturating_add(spike.0) } else { span }), Span(0))
}

/// Rounded down to a microsecond.
fn times(span: Span, ratio: Ratio) -> Span {
    let micros = i128::from(span.0) * i128::from(ratio.0) / i128::from(Ratio::ONE.0);
    Span(i64::try_from(micros).unwrap_or(i64::MAX))
}

/// No time runs backwards.
fn least(span: Span, floor: Span) -> Span {
    Span(span.0.max(floor.0).max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_latency_is_what_it_says() {
        let rng = &mut Rng::new(7);
        let feed = Span::millis(4);
        let constant = Latency::Constant { there: Span::millis(3), back: Span::millis(-5) };
        assert_eq!((constant.there(rng, feed), constant.back(rng, feed)), (Span::millis(3), Span(0)));

        let half = Ratio(Ratio::ONE.0 / 2);
        let tape = Latency::Tape { there: Ratio::whole(2), back: half, least: Span::millis(3) };
        assert_eq!((tape.there(rng, feed), tape.back(rng, feed)), (Span::millis(8), Span::millis(3)));
        assert_eq!(tape.there(rng, Span::millis(-9)), Span::millis(3), "a tape with a clock that is wrong");

        let (low, high) = (Span::millis(1), Span::millis(2));
        let jitter =
            Latency::Jitter { there: (low, high), back: (low, low), spike_permille: 100, spike: Span::millis(50) };
        let drawn: Vec<Span> = (0..1000).map(|_| jitter.there(rng, feed)).collect();
        let spiked = drawn.iter().filter(|span| span.0 >= 51_000).count();
        assert!(drawn.iter().all(|span| (1_000..=2_000).contains(&(span.0 % 50_000))), "{drawn:?}");
        assert!((60..140).contains(&spiked), "{spiked} of a thousand");
    }
}
