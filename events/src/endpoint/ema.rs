//! Exponential moving averages without floats.

use serde::{Deserialize, Serialize};

/// An average in which each sample counts a fifth (α = 0.2) and the first one counts whole. It is kept in thousandths of what
/// the samples are in, rounded towards the value before, so that every machine has the same.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ema {
    thousandths: u64,
    samples: u64,
}

const ONE: u64 = 1_000;
const SAMPLE_MAX: u64 = u64::MAX / ONE;

impl Ema {
    pub fn add(&mut self, sample: u64) {
        let sample = sample.min(SAMPLE_MAX) * ONE;
        self.thousandths = match (self.samples, sample >= self.thousandths) {
            (0, _) => sample,
            (_, true) => self.thousandths + (sample - self.thousandths) / 5,
            (_, false) => self.thousandths - (self.thousandths - sample) / 5,
        };
        self.samples = self.samples.saturating_add(1);
    }

    /// Rounded to the nearest; none before the first sample.
    pub fn value(&self) -> Option<u64> {
        (self.samples > 0).then_some((self.thousandths + ONE / 2) / ONE)
    }
    pub fn samples(&self) -> u64 {
        self.samples
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(samples: &[u64]) -> Option<u64> {
        let mut average = Ema::default();
        samples.iter().for_each(|sample| average.add(*sample));
        average.value()
    }

    #[test]
    fn a_sample_counts_a_fifth_and_the_first_one_whole() {
        for (samples, value) in [
            (&[][..], None),
            (&[50_000_000], Some(50_000_000)),
            (&[100, 200], Some(120)),
            (&[100, 200, 200], Some(136)),
            (&[200, 100], Some(180)),
            (&[0, 5], Some(1)),
            (&[u64::MAX], Some(SAMPLE_MAX)),
        ] {
            assert_eq!(of(samples), value, "{samples:?}");
        }
    }

    proptest! {
        /// However many thousand small steps: it stays within what was measured, and near the exact value.
        #[test]
        fn it_stays_within_its_samples_and_does_not_drift(samples in prop::collection::vec(1u64..1_000_000_000, 1..200)) {
            let value = of(&samples).unwrap();
            prop_assert!(samples.iter().min().unwrap() <= &value && &value <= samples.iter().max().unwrap());
            let exact = samples[1..].iter().fold(samples[0] as f64, |old, sample| old + 0.2 * (*sample as f64 - old));
            prop_assert!((value as f64 - exact).abs() <= 1.0, "{value} and {exact}");
        }
    }
}
