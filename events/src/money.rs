//! Exact decimals, one type for each meaning. No float passes here: JSON numbers are read from their text.

use rust_decimal::Decimal;
use serde::de::{self, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;
use std::str::FromStr;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecimalError {
    #[error("`{0}` is not a decimal number like 12.50")]
    Malformed(String),
    #[error("`{0}` has more than 18 digits or 12 decimal places")]
    TooLong(String),
    #[error("{what} cannot be negative: {text}")]
    Negative { what: &'static str, text: String },
}

const SCALE_MAX: u32 = 12;

macro_rules! decimal {
    ($(#[$doc:meta])* $name:ident, $what:literal, negative: $negative:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Decimal);

        impl $name {
            pub const ZERO: Self = Self(Decimal::ZERO);

            pub fn new(value: Decimal) -> Result<Self, DecimalError> {
                let value = value.normalize();
                if value.scale() > SCALE_MAX || i64::try_from(value.mantissa()).is_err() {
                    return Err(DecimalError::TooLong(value.to_string()));
                }
                if !$negative && value.is_sign_negative() && !value.is_zero() {
                    return Err(DecimalError::Negative { what: $what, text: value.to_string() });
                }
                Ok(Self(value))
            }
            pub fn get(self) -> Decimal {
                self.0
            }
        }
        impl FromStr for $name {
            type Err = DecimalError;
            fn from_str(text: &str) -> Result<Self, DecimalError> {
                Self::new(parse(text)?)
            }
        }
        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($what, " {}"), self.0)
            }
        }
        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                write_decimal(self.0, serializer)
            }
        }
        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Self::new(read_decimal(deserializer)?).map_err(de::Error::custom)
            }
        }
    };
}

decimal!(
    /// An amount in the account's currency.
    Money, "an amount", negative: true
);
decimal!(
    /// A price of one unit. Spreads and some instruments are below zero.
    Price, "a price", negative: true
);
decimal!(
    /// A volume.
    Lots, "a volume", negative: false
);
decimal!(
    /// A bare number: a ratio, a multiplier, per cent.
    Factor, "a factor", negative: false
);
decimal!(
    /// A bare number that may be below zero; what it counts is said beside it.
    Number, "a number", negative: true
);

impl Factor {
    pub const ONE: Self = Self(Decimal::ONE);
}

fn parse(text: &str) -> Result<Decimal, DecimalError> {
    let malformed = || DecimalError::Malformed(text.chars().take(40).collect());
    let digits = text.bytes().filter(u8::is_ascii_digit).count();
    let plain = text.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'-' | b'+' | b'e' | b'E'));
    if digits == 0 || !plain {
        return Err(malformed());
    }
    if text.len() > 64 {
        return Err(DecimalError::TooLong(text.chars().take(40).collect()));
    }
    if text.contains(['e', 'E']) {
        return Decimal::from_scientific(text).map_err(|_| malformed());
    }
    Decimal::from_str_exact(text).map_err(|error| match error {
        rust_decimal::Error::Underflow | rust_decimal::Error::ExceedsMaximumPossibleValue => {
            DecimalError::TooLong(text.into())
        }
        _ => malformed(),
    })
}

fn write_decimal<S: Serializer>(value: Decimal, serializer: S) -> Result<S::Ok, S::Error> {
    if serializer.is_human_readable() {
        return serializer.collect_str(&value);
    }
    let mantissa = i64::try_from(value.mantissa()).map_err(serde::ser::Error::custom)?;
    (mantissa, value.scale() as u8).serialize(serializer)
}

fn read_decimal<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Decimal, D::Error> {
    if deserializer.is_human_readable() {
        return deserializer.deserialize_any(Text);
    }
    let (mantissa, scale) = <(i64, u8)>::deserialize(deserializer)?;
    if u32::from(scale) > SCALE_MAX {
        return Err(de::Error::custom("a decimal of more than 12 places"));
    }
    Ok(Decimal::new(mantissa, u32::from(scale)))
}

struct Text;

impl<'de> Visitor<'de> for Text {
    type Value = Decimal;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a decimal number, as a string or a number")
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Decimal, E> {
        parse(text).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Decimal, E> {
        Ok(Decimal::from(value))
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Decimal, E> {
        Ok(Decimal::from(value))
    }
    /// serde_json hands a number over as its text in this shape (`arbitrary_precision`), so that no digit is lost.
    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Decimal, A::Error> {
        let number = serde_json::Number::deserialize(de::value::MapAccessDeserializer::new(map))?;
        parse(&number.to_string()).map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_json_number_is_read_from_its_text() {
        for (json, text) in [
            ("\"0.10\"", "0.1"),
            ("0.1", "0.1"),
            ("100000000000.000001", "100000000000.000001"),
            ("1e3", "1000"),
            ("-3", "-3"),
        ] {
            assert_eq!(serde_json::from_str::<Money>(json).unwrap().to_string(), text, "{json}");
        }
        for bad in [
            "\"\"",
            "\"abc\"",
            "\"NaN\"",
            "null",
            "true",
            "\"1,5\"",
            "1e400",
            "\"9999999999999999999\"",
            "[1]",
            "\"0.0000000000001\"",
        ] {
            assert!(serde_json::from_str::<Money>(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&"12.50".parse::<Money>().unwrap()).unwrap(), "\"12.5\"");
    }

    #[test]
    fn a_volume_is_never_negative() {
        assert!(matches!("-0.01".parse::<Lots>(), Err(DecimalError::Negative { .. })));
        assert_eq!("-0".parse::<Lots>().unwrap(), Lots::ZERO);
    }

    proptest! {
        #[test]
        fn bytes_and_text_come_back(mantissa in any::<i64>(), scale in 0u32..=12) {
            let money = Money::new(Decimal::new(mantissa, scale)).unwrap();
            let bytes = bincode::serde::encode_to_vec(money, bincode::config::standard()).unwrap();
            let (back, used): (Money, usize) = bincode::serde::decode_from_slice(&bytes, bincode::config::standard()).unwrap();
            prop_assert_eq!((back, used), (money, bytes.len()));
            prop_assert_eq!(money.to_string().parse::<Money>().unwrap(), money);
        }
    }
}
