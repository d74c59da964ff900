//! Prices, sizes and amounts as scaled integers. No float passes here but on the way into an indicator.

use crate::money;
use rust_decimal::Decimal;
use rust_decimal::prelude::ToPrimitive;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

/// Decimal places of a price and of a size.
pub const PLACES: u32 = 9;
const ONE: i64 = 1_000_000_000;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NumberError {
    #[error("`{0}` is not a decimal number like 12.50")]
    Malformed(String),
    #[error("`{0}` has more than 9 decimal places, or is beyond 9,223,372,036")]
    TooLong(String),
}

macro_rules! scaled {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub i64);

        impl $name {
            pub const ZERO: Self = Self(0);
            pub const ONE: Self = Self(ONE);
            pub const MAX: Self = Self(i64::MAX);

            pub const fn units(self) -> i64 {
                self.0
            }
            pub const fn whole(units: i64) -> Self {
                Self(units * ONE)
            }
            pub const fn is_zero(self) -> bool {
                self.0 == 0
            }
            pub const fn abs(self) -> Self {
                Self(self.0.saturating_abs())
            }
            /// For indicators only: nothing that was a float becomes a number of this type again but by a step's rounding.
            pub fn float(self) -> f64 {
                self.0 as f64 / ONE as f64
            }
            pub fn decimal(self) -> Decimal {
                Decimal::new(self.0, PLACES).normalize()
            }
            pub fn of_decimal(value: Decimal) -> Result<Self, NumberError> {
                let value = value.normalize();
                let long = || NumberError::TooLong(value.to_string());
                if value.scale() > PLACES {
                    return Err(long());
                }
                let units = value.checked_mul(Decimal::from(ONE)).and_then(|units| units.to_i64()).ok_or_else(long)?;
                Ok(Self(units))
            }
            /// The largest multiple of `step` that is not above it.
            pub const fn floor_to(self, step: Self) -> Self {
                if step.0 <= 0 { self } else { Self(self.0.div_euclid(step.0).saturating_mul(step.0)) }
            }
            /// The smallest multiple of `step` that is not below it.
            pub const fn ceil_to(self, step: Self) -> Self {
                if step.0 <= 0 { self } else { Self((-(-self.0).div_euclid(step.0)).saturating_mul(step.0)) }
            }
            pub const fn is_multiple_of(self, step: Self) -> bool {
                step.0 <= 0 || self.0 % step.0 == 0
            }
        }
        impl std::ops::Add for $name {
            type Output = Self;
            fn add(self, other: Self) -> Self {
                Self(self.0.saturating_add(other.0))
            }
        }
        impl std::ops::Sub for $name {
            type Output = Self;
            fn sub(self, other: Self) -> Self {
                Self(self.0.saturating_sub(other.0))
            }
        }
        impl std::ops::Neg for $name {
            type Output = Self;
            fn neg(self) -> Self {
                Self(self.0.saturating_neg())
            }
        }
        impl FromStr for $name {
            type Err = NumberError;
            fn from_str(text: &str) -> Result<Self, NumberError> {
                let number: money::Number = text.parse().map_err(|error| match error {
                    money::DecimalError::TooLong(text) => NumberError::TooLong(text),
                    _ => NumberError::Malformed(text.chars().take(40).collect()),
                })?;
                Self::of_decimal(number.get())
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.decimal(), f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, " {}"), self)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                if !deserializer.is_human_readable() {
                    return i64::deserialize(deserializer).map(Self);
                }
                let number = money::Number::deserialize(deserializer)?;
                Self::of_decimal(number.get()).map_err(serde::de::Error::custom)
            }
        }
    };
}

scaled!(
    /// What one unit costs, in billionths of the quote currency. Below zero where a venue says so.
    Price, "a price"
);
scaled!(
    /// How much of the base, in billionths; below zero for what is short.
    Size, "a size"
);

scaled!(
    /// Hundredths of a per cent, in billionths.
    Bps, "basis points"
);
scaled!(
    /// A share or a multiple, in billionths.
    Ratio, "a ratio"
);

/// An amount in the quote currency, in 10⁻¹⁸: a price times a size, without rounding.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cash(pub i128);

impl Cash {
    pub const ZERO: Self = Self(0);
    const ONE: i128 = 1_000_000_000_000_000_000;

    pub const fn whole(units: i64) -> Self {
        Self(units as i128 * Self::ONE)
    }
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }
    pub const fn abs(self) -> Self {
        Self(self.0.saturating_abs())
    }
    /// This many hundredths of a per cent of it, rounded towards zero.
    pub const fn basis_points(self, bps: i64) -> Self {
        Self(self.0 / 10_000 * bps as i128 + self.0 % 10_000 * bps as i128 / 10_000)
    }
    /// For indicators and charts only.
    pub fn float(self) -> f64 {
        self.0 as f64 / Self::ONE as f64
    }
    /// How much of the base it buys at the price, rounded towards zero. None without a price above zero.
    pub fn size_at(self, price: Price) -> Option<Size> {
        if price.0 <= 0 {
            return None;
        }
        i64::try_from(self.0 / i128::from(price.0)).ok().map(Size)
    }
    /// The price of one unit where so much was paid for the size, rounded towards zero. None for no size.
    pub fn price_of(self, size: Size) -> Option<Price> {
        if size.0 == 0 {
            return None;
        }
        i64::try_from(self.0 / i128::from(size.0)).ok().map(Price)
    }
}

impl std::ops::Mul<Size> for Price {
    type Output = Cash;
    fn mul(self, size: Size) -> Cash {
        Cash(i128::from(self.0) * i128::from(size.0))
    }
}
impl std::ops::Add for Cash {
    type Output = Cash;
    fn add(self, other: Cash) -> Cash {
        Cash(self.0.saturating_add(other.0))
    }
}
impl std::ops::Sub for Cash {
    type Output = Cash;
    fn sub(self, other: Cash) -> Cash {
        Cash(self.0.saturating_sub(other.0))
    }
}
impl std::ops::Neg for Cash {
    type Output = Cash;
    fn neg(self) -> Cash {
        Cash(self.0.saturating_neg())
    }
}
impl fmt::Display for Cash {
    /// All its digits, and none that says nothing.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (whole, rest) = (self.0.unsigned_abs() / Self::ONE as u128, self.0.unsigned_abs() % Self::ONE as u128);
        let sign = if self.0 < 0 { "-" } else { "" };
        if rest == 0 {
            return write!(f, "{sign}{whole}");
        }
        write!(f, "{sign}{whole}.{}", format!("{rest:018}").trim_end_matches('0'))
    }
}
impl fmt::Debug for Cash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "an amount {self}")
    }
}
impl FromStr for Cash {
    type Err = NumberError;
    fn from_str(text: &str) -> Result<Cash, NumberError> {
        let malformed = || NumberError::Malformed(text.chars().take(40).collect());
        let (sign, digits) = match text.strip_prefix('-') {
            Some(digits) => (-1, digits),
            None => (1, text),
        };
        let (whole, rest) = digits.split_once('.').unwrap_or((digits, ""));
        let plain = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !plain(whole) || !plain(rest) || digits.ends_with('.') {
            return Err(malformed());
        }
        let long = || NumberError::TooLong(text.chars().take(40).collect());
        if rest.len() > 18 || whole.len() > 20 {
            return Err(long());
        }
        let whole: i128 = whole.parse().map_err(|_| malformed())?;
        let rest: i128 = format!("{rest:0<18}").parse().map_err(|_| malformed())?;
        whole
            .checked_mul(Self::ONE)
            .and_then(|whole| whole.checked_add(rest))
            .map(|all| Cash(sign * all))
            .ok_or_else(long)
    }
}
impl Serialize for Cash {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { serializer.collect_str(self) } else { self.0.serialize(serializer) }
    }
}
impl<'de> Deserialize<'de> for Cash {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if deserializer.is_human_readable() {
            return String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom);
        }
        i128::deserialize(deserializer).map(Cash)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;
    use proptest::prelude::*;

    #[test]
    fn a_price_is_read_from_its_text_and_written_as_it_is() {
        for (text, units, said) in [
            ("1.50", 1_500_000_000, "1.5"),
            ("0.000000001", 1, "0.000000001"),
            ("-3", -3_000_000_000, "-3"),
            ("9223372036.854775807", i64::MAX, "9223372036.854775807"),
        ] {
            let price: Price = text.parse().unwrap();
            assert_eq!((price.0, price.to_string().as_str()), (units, said), "{text}");
            assert_eq!(serde_json::from_str::<Price>(&format!("\"{text}\"")).unwrap(), price);
            assert_eq!(serde_json::from_str::<Price>(text).unwrap(), price, "as a number");
        }
        for bad in ["", "abc", "0.0000000001", "9223372037", "NaN", "1e400"] {
            assert!(bad.parse::<Price>().is_err(), "{bad}");
        }
    }

    #[test]
    fn a_step_rounds_down_and_up_below_zero_too() {
        let step = Price(50);
        for (units, floor, ceil) in [(149, 100, 150), (150, 150, 150), (-149, -150, -100), (0, 0, 0)] {
            assert_eq!(
                (Price(units).floor_to(step), Price(units).ceil_to(step)),
                (Price(floor), Price(ceil)),
                "{units}"
            );
        }
        assert_eq!(Price(7).floor_to(Price(0)), Price(7), "without a step all is one");
    }

    #[test]
    fn an_amount_is_exact() {
        let cash = "0.1".parse::<Price>().unwrap() * "0.000000003".parse::<Size>().unwrap();
        assert_eq!(cash.to_string(), "0.0000000003");
        assert_eq!("-12.500".parse::<Cash>().unwrap().to_string(), "-12.5");
        assert_eq!(Cash::whole(20).size_at("0.25".parse().unwrap()), Some(Size::whole(80)));
        assert_eq!((Cash::whole(20).size_at(Price(0)), Cash::whole(1).price_of(Size(0))), (None, None));
        assert_eq!(Cash::whole(200).basis_points(5).to_string(), "0.1");
        for bad in ["", "-", ".5", "1.", "1.1234567890123456789", "--1", "+1", "1e3", "999999999999999999999"] {
            assert!(bad.parse::<Cash>().is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(units in any::<i64>(), cash in any::<i64>(), size in any::<i64>()) {
            let cash = Price(cash) * Size(size);
            let mut bytes = Vec::new();
            codec::write(&(Price(units), cash), &mut bytes);
            prop_assert_eq!(codec::read::<(Price, Cash)>(&bytes).unwrap(), (Price(units), cash));
            let json = serde_json::to_string(&(Price(units), cash)).unwrap();
            prop_assert_eq!(serde_json::from_str::<(Price, Cash)>(&json).unwrap(), (Price(units), cash));
        }
    }
}
