//! Arithmetic that says no instead of overflowing.

use crate::money::{Lots, Price};
use rust_decimal::Decimal;

/// The product of all, divided once, so that nothing is lost on the way.
pub fn ratio(above: &[Decimal], below: &[Decimal]) -> Option<Decimal> {
    product(above)?.checked_div(product(below)?)
}

fn product(factors: &[Decimal]) -> Option<Decimal> {
    factors.iter().try_fold(Decimal::ONE, |product, factor| product.checked_mul(*factor))
}

/// The largest multiple of the step that is not above the value.
pub fn floor_to(value: Decimal, step: Decimal) -> Option<Decimal> {
    if step <= Decimal::ZERO || value < Decimal::ZERO {
        return None;
    }
    value.checked_sub(value.checked_rem(step)?)
}

/// The smallest multiple of the step that is not below the value.
pub fn ceil_to(value: Decimal, step: Decimal) -> Option<Decimal> {
    let floor = floor_to(value, step)?;
    if floor == value { Some(floor) } else { floor.checked_add(step) }
}

pub fn lots(value: Decimal) -> Option<Lots> {
    Lots::new(value).ok()
}

/// Rounded to as many decimal places as the symbol has.
pub fn price(value: Decimal, digits: Option<u8>) -> Option<Price> {
    let places = u32::from(digits.unwrap_or(12)).min(12);
    Price::new(value.round_dp(places)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decimal(text: &str) -> Decimal {
        text.parse().unwrap()
    }

    #[test]
    fn a_multiple_of_the_step() {
        for (value, step, floor, ceil) in [
            ("0.165", "0.01", "0.16", "0.17"),
            ("0.16", "0.01", "0.16", "0.16"),
            ("7.4", "0.5", "7", "7.5"),
            ("0", "0.01", "0", "0"),
            ("0.009", "0.01", "0", "0.01"),
            ("10", "3", "9", "12"),
        ] {
            assert_eq!(floor_to(decimal(value), decimal(step)), Some(decimal(floor)), "{value} by {step}");
            assert_eq!(ceil_to(decimal(value), decimal(step)), Some(decimal(ceil)), "{value} by {step}");
        }
        assert_eq!(floor_to(Decimal::ONE, Decimal::ZERO), None);
        assert_eq!(floor_to(-Decimal::ONE, Decimal::ONE), None);
    }

    proptest! {
        #[test]
        fn nothing_overflows(a in any::<i64>(), b in any::<i64>(), sa in 0u32..=12, sb in 0u32..=12) {
            let (a, b) = (Decimal::new(a, sa), Decimal::new(b, sb));
            let (floor, ceil) = (floor_to(a, b), ceil_to(a, b));
            if let (Some(floor), Some(ceil)) = (floor, ceil) {
                prop_assert!(floor <= a && a <= ceil && a - floor < b && ceil - a < b);
            }
            let _ = ratio(&[a, a, b], &[b, a]);
        }
    }
}
