//! What people set about a market.

use super::command::Refusal;
use super::number::{Bps, Ratio};
use super::word::Instrument;
use crate::time::Span;
use serde::{Deserialize, Serialize};

/// All of it, as it is now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    pub instrument: Instrument,
    /// A quote is kept so long after the last one that was, in any case …
    pub conflate_ms: u32,
    /// … and sooner where the middle moved so far.
    pub conflate_bps: Bps,
    /// A quote that is older says nothing of now.
    pub stale_ms: u32,
    /// A mark or an index that is older says nothing of now.
    pub reference_stale_ms: u32,
    /// So long without a break is the market heard before strategies start …
    pub warm_ms: u32,
    /// … with so many minutes before.
    pub warm_bars: u16,
    /// Levels of the book that are kept on each side; zero: no book is kept.
    pub book_levels: u16,
    /// The best of the book are quotes, where the venue tells no others.
    pub quote_from_book: bool,
    /// What the venue says is kept as it came, too.
    pub keep_raw: bool,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            instrument: Instrument::plain(),
            conflate_ms: 100,
            conflate_bps: Bps::ONE,
            stale_ms: 5_000,
            reference_stale_ms: 30_000,
            warm_ms: 10_000,
            warm_bars: 0,
            book_levels: 0,
            quote_from_book: false,
            keep_raw: false,
        }
    }
}

/// What of an amount may go into fees, in hundredths of a basis point: a tenth.
const FEE_MAX: i32 = 100_000;

impl Settings {
    /// Refuses the first that is out of its range, in the order in which they are written.
    pub(super) fn checked(self) -> Result<Self, Refusal> {
        let invalid = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.into() });
        let Instrument { tick, step, size_min, size_max, notional_min, pip, fee_maker, fee_taker, .. } =
            &self.instrument;
        if tick.0 <= 0 || step.0 <= 0 || pip.0 <= 0 {
            return invalid("instrument", "`tick`, `step` and `pip` are above 0");
        }
        if size_min.0 < 0 || size_max.is_some_and(|most| most < *size_min || most.is_zero()) {
            return invalid("instrument", "`size_min` is 0 or more, and `size_max` above 0 and not below it");
        }
        if notional_min.is_some_and(|least| least.0 < 0) {
            return invalid("instrument", "`notional_min` is 0 or more");
        }
        if [fee_maker, fee_taker].iter().any(|fee| !(-FEE_MAX..=FEE_MAX).contains(*fee)) {
            return invalid("instrument", "fees are -100000 to 100000 hundredths of a basis point");
        }
        if !(0..=100 * Ratio::ONE.0).contains(&self.conflate_bps.0) {
            return invalid("conflate_bps", "0 to 100");
        }
        for (field, value, least, most) in self.numbers() {
            if !(least..=most).contains(&value) {
                return Err(Refusal::SettingInvalid { field, why: format!("{least} to {most}, got {value}") });
            }
        }
        if self.quote_from_book && self.book_levels == 0 {
            return invalid("quote_from_book", "only where `book_levels` is above 0");
        }
        Ok(self)
    }

    fn numbers(&self) -> [(&'static str, u32, u32, u32); 6] {
        [
            ("conflate_ms", self.conflate_ms, 0, 60_000),
            ("stale_ms", self.stale_ms, 100, 600_000),
            ("reference_stale_ms", self.reference_stale_ms, 100, 3_600_000),
            ("warm_ms", self.warm_ms, 0, 3_600_000),
            ("warm_bars", self.warm_bars.into(), 0, super::bars::BARS_MAX as u32),
            ("book_levels", self.book_levels.into(), 0, 1_000),
        ]
    }

    pub fn conflate(&self) -> Span {
        Span::millis(self.conflate_ms.into())
    }
    pub fn stale(&self) -> Span {
        Span::millis(self.stale_ms.into())
    }
    pub fn reference_stale(&self) -> Span {
        Span::millis(self.reference_stale_ms.into())
    }
    pub fn warm(&self) -> Span {
        Span::millis(self.warm_ms.into())
    }
}
