//! What people set about a maker: each number with its default, its range, and which way it is the more careful one.

use super::command::Refusal;
use super::model::Model;
use super::quote::LEVELS_MAX;
use crate::market::{Bps, Cash, Ratio, Size};
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// Which way a number is the more careful one. A machine's proposal may only go there; a person may go both ways.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Tightens {
    Up,
    Down,
    /// It is no limit of a risk.
    No,
}

/// One number of a parameter set, in a form that all of them have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Number {
    pub name: &'static str,
    pub value: Cash,
    pub least: Cash,
    pub most: Cash,
    pub tightens: Tightens,
}

/// A type that a number can have, as so many of its smallest unit.
trait Numeric: Copy {
    /// In 10⁻¹⁸.
    const UNIT: i128;
    fn units(self) -> i128;
    fn of_units(units: i128) -> Option<Self>;

    fn exact(self) -> Cash {
        Cash(self.units() * Self::UNIT)
    }
    /// None where the type cannot hold it exactly.
    fn of(value: Cash) -> Option<Self> {
        if value.0 % Self::UNIT == 0 { Self::of_units(value.0 / Self::UNIT) } else { None }
    }
}

const BILLIONTH: i128 = 1_000_000_000;
const WHOLE: i128 = BILLIONTH * BILLIONTH;

macro_rules! scaled {
    ($($type:ident),*) => { $( impl Numeric for $type {
        const UNIT: i128 = BILLIONTH;
        fn units(self) -> i128 {
            self.0.into()
        }
        fn of_units(units: i128) -> Option<Self> {
            i64::try_from(units).ok().map($type)
        }
    } )* };
}
macro_rules! counted {
    ($($type:ident),*) => { $( impl Numeric for $type {
        const UNIT: i128 = WHOLE;
        fn units(self) -> i128 {
            self.into()
        }
        fn of_units(units: i128) -> Option<Self> {
            units.try_into().ok()
        }
    } )* };
}
scaled!(Bps, Ratio, Size);
counted!(u8, u32);
impl Numeric for Cash {
    const UNIT: i128 = 1;
    fn units(self) -> i128 {
        self.0
    }
    fn of_units(units: i128) -> Option<Self> {
        Some(Cash(units))
    }
}

const fn whole(units: i64) -> Cash {
    Cash::whole(units)
}
const fn thousandths(units: i64) -> Cash {
    Cash(units as i128 * (WHOLE / 1_000))
}
const fn billionths(units: i64) -> Cash {
    Cash(units as i128 * BILLIONTH)
}

macro_rules! parameters {
    ($( $(#[doc = $doc:literal])* $field:ident: $type:ty = $default:expr, $least:expr => $most:expr, $tightens:ident; )*) => {
        /// All of them, as they are to be.
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct Parameters {
            pub model: Model,
            $( $(#[doc = $doc])* pub $field: $type, )*
            /// The market has a mark and an index; without them nothing is quoted.
            pub uses_mark_index: bool,
            /// The venue says which deals were liquidations.
            pub uses_liquidations: bool,
            pub on_venue_errors: Response,
            pub on_endpoint_down: Response,
        }

        impl Default for Parameters {
            fn default() -> Self {
                Parameters {
                    model: Model::Linear,
                    $( $field: $default, )*
                    uses_mark_index: true,
                    uses_liquidations: true,
                    on_venue_errors: Response::Pause,
                    on_endpoint_down: Response::Pause,
                }
            }
        }

        impl Parameters {
            /// Every number, in the order in which they stand.
            pub fn numbers(&self) -> Vec<Number> {
                vec![$( Number {
                    name: stringify!($field),
                    value: self.$field.exact(),
                    least: $least,
                    most: $most,
                    tightens: Tightens::$tightens,
                } ),*]
            }
            /// The set with one number changed; not checked.
            pub fn with(mut self, name: &str, value: Cash) -> Result<Self, Refusal> {
                let uneven = |field| Refusal::ParameterInvalid { field, why: "it has more places than this number keeps".into() };
                match name {
                    $( stringify!($field) => {
                        self.$field = <$type as Numeric>::of(value).ok_or_else(|| uneven(stringify!($field)))?;
                    } )*
                    _ => return Err(Refusal::ParameterUnknown(name.chars().take(64).collect())),
                }
                Ok(self)
            }
        }
    };
}

parameters! {
    /// Half of the distance between the two prices in a calm market.
    base_half_spread_bps: Bps = Bps::whole(10), thousandths(10) => whole(1_000), No;
    /// Basis points of half spread for each basis point of volatility.
    vol_spread_gain: Ratio = Ratio::ONE, whole(0) => whole(100), No;
    /// Basis points of half spread where all that is dealt goes one way.
    tox_spread_gain: Ratio = Ratio::ONE, whole(0) => whole(1_000), No;
    /// What a quote is worth, in the quote currency.
    quote_size: Cash = Cash::whole(20), millionth() => whole(1_000_000_000), Down;
    /// Levels of each side.
    levels: u8 = 1, whole(1) => whole(LEVELS_MAX as i64), Down;
    /// How much further from the middle each level is than the one before.
    level_step_bps: Bps = Bps::whole(5), thousandths(10) => whole(1_000), No;
    /// A side is not placed anew more often.
    refresh_interval_ms: u32 = 1_000, whole(50) => whole(3_600_000), No;
    /// A target that moved by less leaves the order where it is.
    min_requote_bps: Bps = Bps::ONE, whole(0) => whole(1_000), No;
    /// An older quote stops quoting; an older order is replaced.
    stale_cancel_ms: u32 = 5_000, whole(100) => whole(3_600_000), Down;
    /// How often it is looked at, at most.
    tick_ms: u32 = 200, whole(10) => whole(60_000), No;
    /// What is held at most, in the base.
    max_inventory: Size = Size::ONE, billionths(1) => whole(9_000_000_000), Down;
    /// Past this multiple of it nothing is quoted.
    pause_inventory_ratio: Ratio = Ratio(1_500_000_000), whole(1) => whole(100), Down;
    /// By how much both prices move against what is held where that is the most that may be held.
    inventory_skew_gain: Bps = Bps::whole(5), whole(0) => whole(1_000), No;
    pause_mark_index_bps: Bps = Bps::whole(50), thousandths(10) => whole(10_000), Down;
    pause_liq_count_10s: u32 = 3, whole(1) => whole(1_000_000), Down;
    /// How long a PAUSE lasts after what caused it is over.
    pause_min_duration_ms: u32 = 10_000, whole(0) => whole(86_400_000), Up;
    defensive_vol_bps: Bps = Bps::whole(50), thousandths(10) => whole(10_000), Down;
    /// One above 1 is never reached.
    defensive_imbalance: Ratio = Ratio(700_000_000), thousandths(1) => whole(2), Down;
    /// By which share below its threshold a measure has to be before it counts as over.
    defensive_hysteresis: Ratio = Ratio(200_000_000), whole(0) => thousandths(900), Up;
    /// How long what made it DEFENSIVE has to be over.
    defensive_clear_ms: u32 = 10_000, whole(0) => whole(86_400_000), Up;
    /// So many times as far from the middle while DEFENSIVE.
    defensive_widen: Ratio = Ratio(2_000_000_000), whole(1) => whole(100), Up;
    /// This share of the size while DEFENSIVE.
    defensive_shrink: Ratio = Ratio(500_000_000), thousandths(1) => whole(1), Down;
}

const fn millionth() -> Cash {
    billionths(1_000)
}

/// How careful something from outside makes it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Response {
    #[default]
    Pause,
    Defensive,
}

impl Parameters {
    /// As they are kept. Refuses the first number that is at fault, in the order in which they stand, then the model.
    pub fn checked(self) -> Result<Self, Refusal> {
        for Number { name, value, least, most, .. } in self.numbers() {
            if value < least || value > most {
                return Err(Refusal::ParameterInvalid { field: name, why: format!("{least} to {most}, got {value}") });
            }
        }
        self.model.checked()?;
        if self.tick_ms > self.stale_cancel_ms {
            return Err(Refusal::ParameterInvalid {
                field: "tick_ms",
                why: "not longer than `stale_cancel_ms`: what is old would be seen too late".into(),
            });
        }
        Ok(self)
    }

    pub fn tick(&self) -> Span {
        Span::millis(self.tick_ms.into())
    }
    pub(super) fn refresh_interval(&self) -> Span {
        Span::millis(self.refresh_interval_ms.into())
    }
    pub(super) fn stale_cancel(&self) -> Span {
        Span::millis(self.stale_cancel_ms.into())
    }
    pub(super) fn pause_min_duration(&self) -> Span {
        Span::millis(self.pause_min_duration_ms.into())
    }
    pub(super) fn defensive_clear(&self) -> Span {
        Span::millis(self.defensive_clear_ms.into())
    }
}
