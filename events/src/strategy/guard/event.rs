//! What can happen to the guard.

use crate::copy::StopDegree;
use crate::event::events;
use crate::id::{Principal, StrategyId};
use crate::reason::Reason;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

events! {
    pub enum Event {
        /// The guard got to know a strategy, with its flags.
        Enrolled(Enrolled) = 540 "strategy_enrolled" v 1 Business;
        /// A strategy exists no more; nothing of it passes.
        Withdrawn(Withdrawn) = 541 "strategy_withdrawn" v 1 Business;
        /// Somebody changed the flags of the desk or of a strategy; all of them as they are now.
        Changed(Changed) = 542 "strategy_control_changed" v 1 Business;
        /// A permission to enter ran out.
        Expired(Expired) = 543 "strategy_control_expired" v 1 Business;
        /// All strategies were stopped; how far it goes.
        Stopped(Stopped) = 544 "strategies_stopped" v 1 Business;
        /// The stop of all strategies was taken back.
        Resumed(Resumed) = 545 "strategies_resumed" v 1 Business;
        /// The control plane was there.
        Beaten(Beaten) = 546 "strategy_control_beat" v 1 Telemetry;
    }
}

macro_rules! payloads {
    ($( $(#[$meta:meta])* $name:ident { $( $(#[$doc:meta])* $field:ident : $type:ty ),* $(,)? } )*) => { $(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( $(#[$doc])* pub $field: $type ),* }
    )* };
}

payloads! {
    Enrolled { strategy: StrategyId, flags: Flags, by: Principal }
    Withdrawn { strategy: StrategyId }
    Changed {
        scope: Scope,
        flags: Flags,
        /// Of the desk only; false for a strategy.
        lock: bool,
        note: Option<Reason>,
        by: Principal,
        /// From then on nothing is entered.
        expires_at: Option<Timestamp>,
    }
    Expired { scope: Scope }
    Stopped { degree: Degree, reason: Reason, by: Principal }
    Resumed { reason: Reason, by: Principal }
    Beaten {}
}

/// What may be done, as people set it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Flags {
    pub entry: bool,
    pub exit: bool,
}

impl Flags {
    pub const ON: Flags = Flags { entry: true, exit: true };
    /// As a strategy begins where nobody said anything: it may leave and not enter.
    pub const EXIT_ONLY: Flags = Flags { entry: false, exit: true };
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    Desk,
    Strategy(StrategyId),
}

/// How far a stop of strategies goes; each degree does what the one before does, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Degree {
    /// Nothing is entered.
    BlockEntries,
    /// And what stands at venues and could make a position larger is cancelled.
    CloseOnly,
    /// And everything is given up.
    Flatten,
}

impl Degree {
    pub const ALL: [Degree; 3] = [Degree::BlockEntries, Degree::CloseOnly, Degree::Flatten];

    pub fn as_str(self) -> &'static str {
        match self {
            Degree::BlockEntries => "block_entries",
            Degree::CloseOnly => "close_only",
            Degree::Flatten => "flatten",
        }
    }
    /// What a STOP of the whole desk means for strategies.
    pub fn of_desk(degree: StopDegree) -> Degree {
        match degree {
            StopDegree::Pause => Degree::BlockEntries,
            StopDegree::Cancel => Degree::CloseOnly,
            StopDegree::Flatten => Degree::Flatten,
        }
    }
}
