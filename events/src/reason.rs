//! Why something is as it is: texts that people give, warnings that the desk gives, and the status that follows.

use serde::{Deserialize, Serialize};
use std::fmt;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to 500 characters and no control characters")]
pub struct ReasonError;

/// What a person wrote to say why: 1 to 500 characters.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Reason(Box<str>);

impl Reason {
    pub fn new(text: impl Into<String>) -> Result<Self, ReasonError> {
        let text: String = text.into();
        let text = text.trim();
        if text.is_empty() || text.chars().count() > 500 || text.chars().any(char::is_control) {
            return Err(ReasonError);
        }
        Ok(Reason(text.into()))
    }
    pub fn as_str(&self) -> &str {
        &self.0
    }
}
impl TryFrom<String> for Reason {
    type Error = ReasonError;
    fn try_from(text: String) -> Result<Self, ReasonError> {
        Reason::new(text)
    }
}
impl From<Reason> for String {
    fn from(reason: Reason) -> String {
        reason.0.into()
    }
}
impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// 0 DISABLED, 1 ENABLED (ready, master not), 2 CONNECTED. A master is 0 or 2.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RuntimeStatus {
    #[default]
    Disabled,
    Enabled,
    Connected,
}

impl RuntimeStatus {
    pub fn code(self) -> u8 {
        self as u8
    }
}
impl Serialize for RuntimeStatus {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u8(self.code())
    }
}
impl<'de> Deserialize<'de> for RuntimeStatus {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        match u8::deserialize(deserializer)? {
            0 => Ok(RuntimeStatus::Disabled),
            1 => Ok(RuntimeStatus::Enabled),
            2 => Ok(RuntimeStatus::Connected),
            other => Err(serde::de::Error::custom(format!("a runtime status is 0, 1 or 2, got {other}"))),
        }
    }
}

macro_rules! warnings {
    ($($name:ident = $bit:literal $code:literal $priority:literal;)*) => {
        /// A warning of the status engine. Codes are never renamed; the order is that of their priority.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Warning { $($name = $bit),* }

        impl Warning {
            pub const ALL: &'static [Warning] = &[$(Warning::$name),*];
            pub fn code(self) -> &'static str {
                match self { $(Warning::$name => $code),* }
            }
            pub fn priority(self) -> u16 {
                match self { $(Warning::$name => $priority),* }
            }
        }
    };
}

warnings! {
    SlaveWebUiDisabled = 0 "slave_web_ui_disabled" 10;
    SlaveOffline = 1 "slave_offline" 20;
    SlaveAutoTradingDisabled = 2 "slave_auto_trading_disabled" 30;
    MasterWebUiDisabled = 3 "master_web_ui_disabled" 40;
    MasterOffline = 4 "master_offline" 50;
    MasterAutoTradingDisabled = 5 "master_auto_trading_disabled" 60;
    NoMasterAssigned = 6 "no_master_assigned" 70;
    MasterClusterDegraded = 7 "master_cluster_degraded" 80;
    ClockSkew = 8 "clock_skew" 90;
    SymbolUnmapped = 9 "symbol_unmapped" 100;
    LotBelowMin = 10 "lot_below_min" 110;
    StaleAccount = 11 "stale_account" 120;
    DuplicateEa = 12 "duplicate_ea" 130;
    LimitNear = 13 "limit_near" 140;
    LimitHit = 14 "limit_hit" 150;
    UnknownPosition = 15 "unknown_position" 160;
    VolumeDrift = 16 "volume_drift" 170;
    OrderUnproven = 17 "order_unproven" 180;
    LogBehindTerminal = 18 "log_behind_terminal" 190;
    EaVersionOld = 19 "ea_version_old" 200;
}

impl Serialize for Warning {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(self.code())
        } else {
            serializer.serialize_u8(*self as u8)
        }
    }
}
impl<'de> Deserialize<'de> for Warning {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let unknown = |what: String| serde::de::Error::custom(format!("unknown warning `{what}`"));
        if deserializer.is_human_readable() {
            let code = String::deserialize(deserializer)?;
            return Warning::ALL.iter().copied().find(|warning| warning.code() == code).ok_or_else(|| unknown(code));
        }
        let bit = u8::deserialize(deserializer)?;
        Warning::ALL.iter().copied().find(|warning| *warning as u8 == bit).ok_or_else(|| unknown(bit.to_string()))
    }
}

/// A set of warnings; lists come out sorted by priority.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Warnings(u32);

impl Warnings {
    pub const NONE: Warnings = Warnings(0);

    pub fn with(self, warning: Warning) -> Self {
        Warnings(self.0 | 1 << warning as u32)
    }
    pub fn without(self, warning: Warning) -> Self {
        Warnings(self.0 & !(1 << warning as u32))
    }
    pub fn union(self, other: Warnings) -> Self {
        Warnings(self.0 | other.0)
    }
    pub fn has(self, warning: Warning) -> bool {
        self.0 & (1 << warning as u32) != 0
    }
    pub fn iter(self) -> impl Iterator<Item = Warning> {
        Warning::ALL.iter().copied().filter(move |warning| self.has(*warning))
    }
    pub fn codes(self) -> Vec<&'static str> {
        self.iter().map(Warning::code).collect()
    }
}
impl FromIterator<Warning> for Warnings {
    fn from_iter<I: IntoIterator<Item = Warning>>(warnings: I) -> Self {
        warnings.into_iter().fold(Warnings::NONE, Warnings::with)
    }
}
impl Serialize for Warnings {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() { self.codes().serialize(serializer) } else { self.0.serialize(serializer) }
    }
}
impl<'de> Deserialize<'de> for Warnings {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        if !deserializer.is_human_readable() {
            return u32::deserialize(deserializer).map(Warnings);
        }
        Vec::<String>::deserialize(deserializer)?
            .iter()
            .map(|code| {
                let known = Warning::ALL.iter().copied().find(|warning| warning.code() == code);
                known.ok_or_else(|| serde::de::Error::custom(format!("unknown warning code `{code}`")))
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn warnings_come_out_by_priority() {
        let set: Warnings = Warning::ALL.iter().rev().copied().collect();
        let priorities: Vec<_> = set.iter().map(Warning::priority).collect();
        assert!(priorities.is_sorted() && priorities.len() == Warning::ALL.len());
        let json = serde_json::to_string(&set).unwrap();
        assert_eq!(serde_json::from_str::<Warnings>(&json).unwrap(), set);
    }

    #[test]
    fn a_reason_says_something() {
        assert!(Reason::new("  ").is_err() && Reason::new("a\nb").is_err() && Reason::new("x".repeat(501)).is_err());
        assert_eq!(Reason::new(" news ").unwrap().as_str(), "news");
    }
}
