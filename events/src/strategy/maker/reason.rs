//! Why a maker is as careful as it is. Codes are never renamed.

use serde::{Deserialize, Serialize};

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $bit:literal $code:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Reason { $($(#[$doc])* $name = $bit),* }

        impl Reason {
            pub const ALL: &'static [Reason] = &[$(Reason::$name),*];
            pub fn code(self) -> &'static str {
                match self { $(Reason::$name => $code),* }
            }
        }
    };
}

reasons! {
    /// The last good quote is too old.
    DataStale = 0 "DATA_STALE";
    MarkIndexDiverged = 1 "MARK_INDEX_DIVERGED";
    LiquidationSpike = 2 "LIQUIDATION_SPIKE";
    /// More is held than may be: only what makes it less is quoted.
    InventoryLimit = 3 "INVENTORY_LIMIT";
    /// Far more is held than may be: nothing is quoted.
    InventoryExceeded = 4 "INVENTORY_EXCEEDED";
    /// Something that the decision needs is not known, or cannot be worked out.
    FeatureMissing = 5 "FEATURE_MISSING";
    /// Nobody knows what is held, which is not the same as nothing.
    PositionUnknown = 6 "POSITION_UNKNOWN";
    NoParameters = 7 "NO_PARAMETERS";
    /// The market is not warm yet.
    MarketCold = 8 "MARKET_COLD";
    VenueErrors = 9 "VENUE_ERRORS";
    LogFailed = 10 "LOG_FAILED";
    /// The guard lets nothing in.
    Guard = 11 "GUARD";
    RiskHalt = 12 "RISK_HALT";
    /// What the guard last said is too old.
    ControlStale = 13 "CONTROL_STALE";
    EndpointDown = 14 "ENDPOINT_DOWN";
    /// The venue would not take all orders away if we fell silent.
    DeadManUnarmed = 15 "DEAD_MAN_UNARMED";
    Closed = 16 "CLOSED";
    DefensiveVol = 17 "DEFENSIVE_VOL";
    DefensiveTox = 18 "DEFENSIVE_TOX";
    /// What would be quoted is less than the venue takes.
    SizeBelowMinimum = 19 "SIZE_BELOW_MINIMUM";
    /// A price would not be above zero, or is beyond what a number holds.
    PriceOutOfRange = 20 "PRICE_OUT_OF_RANGE";
    /// The venue has not said yet that none of our orders is left.
    NotDrained = 21 "NOT_DRAINED";
    /// What made it careful is over, and has been for long enough.
    Cleared = 22 "CLEARED";
}

/// A set of reasons; lists come out in the order of [`Reason::ALL`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reasons(u32);

impl Reasons {
    pub const NONE: Reasons = Reasons(0);

    pub const fn of(reason: Reason) -> Self {
        Reasons(1 << reason as u32)
    }
    pub const fn with(self, reason: Reason) -> Self {
        Reasons(self.0 | 1 << reason as u32)
    }
    /// With it where the condition holds.
    pub const fn with_if(self, holds: bool, reason: Reason) -> Self {
        if holds { self.with(reason) } else { self }
    }
    pub const fn union(self, other: Reasons) -> Self {
        Reasons(self.0 | other.0)
    }
    pub const fn has(self, reason: Reason) -> bool {
        self.0 & (1 << reason as u32) != 0
    }
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
    pub const fn without(self, other: Reasons) -> Self {
        Reasons(self.0 & !other.0)
    }
    /// Those that both have.
    pub const fn and(self, other: Reasons) -> Self {
        Reasons(self.0 & other.0)
    }
    pub fn iter(self) -> impl Iterator<Item = Reason> {
        Reason::ALL.iter().copied().filter(move |reason| self.has(*reason))
    }
    pub fn codes(self) -> Vec<&'static str> {
        self.iter().map(Reason::code).collect()
    }
}
impl FromIterator<Reason> for Reasons {
    fn from_iter<I: IntoIterator<Item = Reason>>(reasons: I) -> Self {
        reasons.into_iter().fold(Reasons::NONE, Reasons::with)
    }
}
impl Serialize for Reasons {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.codes().serialize(serializer) } else { self.0.serialize(serializer) }
    }
}
impl<'de> Deserialize<'de> for Reasons {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u32::deserialize(deserializer).map(Reasons);
        }
        let known = |code: &String| Reason::ALL.iter().copied().find(|reason| reason.code() == code);
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|code| {
                known(code).ok_or_else(|| serde::de::Error::custom(format!("unknown reason `{}`", code.escape_debug())))
            })
            .collect()
    }
}

/// All reasons that hold, and what each leads to where that is a mode.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    pub all: Reasons,
    /// Those that lead to PAUSE.
    pub pausing: Reasons,
    /// Those that lead to DEFENSIVE.
    pub defensive: Reasons,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec;

    #[test]
    fn a_set_is_written_by_codes_and_read_again() {
        let all: Reasons = Reason::ALL.iter().copied().collect();
        let json = serde_json::to_string(&all).unwrap();
        assert!(json.starts_with(r#"["DATA_STALE","MARK_INDEX_DIVERGED""#), "{json}");
        assert_eq!(serde_json::from_str::<Reasons>(&json).unwrap(), all);
        let mut bytes = Vec::new();
        codec::write(&all, &mut bytes);
        assert_eq!(codec::read::<Reasons>(&bytes).unwrap(), all);
        assert!(serde_json::from_str::<Reasons>(r#"["data_stale"]"#).is_err());
        let codes: std::collections::BTreeSet<_> = all.codes().into_iter().collect();
        assert_eq!(codes.len(), Reason::ALL.len(), "two reasons of one code");
    }
}
