//! What can be wanted of the guard, and why it may be refused.

use super::event::{Degree, Flags, Scope};
use crate::answer::{Denial, Status};
use crate::id::{Principal, StrategyId, Version};
use crate::reason::Reason;
use crate::time::Span;

/// The longest that a permission can be given for.
pub const TTL_MAX: Span = Span::hours(24 * 366);

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    /// A strategy exists from now on. One that is known already stays as it is set.
    Enroll {
        strategy: StrategyId,
        flags: Flags,
        by: Principal,
    },
    /// It exists no more.
    Withdraw {
        strategy: StrategyId,
    },
    Write(Box<Write>),
    Stop {
        degree: Degree,
        reason: Reason,
        by: Principal,
    },
    Resume {
        reason: Reason,
        by: Principal,
    },
    /// The control plane says that it is there, and notes what has run out.
    Beat,
}

/// What a person wants of the flags; None leaves one as it is.
#[derive(Debug, Clone, PartialEq)]
pub struct Write {
    pub scope: Scope,
    pub entry: Option<bool>,
    pub exit: Option<bool>,
    pub lock: Option<bool>,
    pub note: Option<Reason>,
    /// Entries are allowed for so long, counted from now. None: until somebody says otherwise.
    pub ttl: Option<Span>,
    /// The revision that the writer saw.
    pub expected: Option<Version>,
    pub by: Principal,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("there is no strategy {0}")]
    StrategyUnknown(StrategyId),
    #[error("give at least one of entry_enabled, exit_enabled and global_lock")]
    FlagsMissing,
    #[error("global_lock is for the whole desk; write it with target `global`")]
    LockIsGlobal,
    #[error("a ttl is at least one second and at most 366 days")]
    TtlOutOfRange,
    #[error("the control has changed: it is at revision {found}, and you saw {expected}; read it and write again")]
    RevisionConflict { expected: Version, found: Version },
    #[error("the desk is locked: nothing can be switched on; unlock it first")]
    DeskLocked,
    #[error("strategies are stopped already, as far as `{}`; resume first if it should be less", .0.as_str())]
    StoppedAlready(Degree),
    #[error("strategies are not stopped")]
    NotStopped,
    #[error("the guard knows at most {0} strategies; withdraw one first")]
    Full(usize),
}

impl Refusal {
    pub fn code(&self) -> &'static str {
        match self {
            Refusal::StrategyUnknown(_) => "strategy_unknown",
            Refusal::FlagsMissing => "flags_missing",
            Refusal::LockIsGlobal => "lock_is_global",
            Refusal::TtlOutOfRange => "ttl_out_of_range",
            Refusal::RevisionConflict { .. } => "revision_conflict",
            Refusal::DeskLocked => "desk_locked",
            Refusal::StoppedAlready(_) => "stopped_already",
            Refusal::NotStopped => "not_stopped",
            Refusal::Full(_) => "full",
        }
    }

    pub fn denial(&self) -> Denial {
        let (status, field) = match self {
            Refusal::StrategyUnknown(_) => (Status::Invalid, Some("strategy")),
            Refusal::FlagsMissing => (Status::Invalid, None),
            Refusal::LockIsGlobal => (Status::Invalid, Some("global_lock")),
            Refusal::TtlOutOfRange => (Status::Invalid, Some("ttl_s")),
            Refusal::RevisionConflict { .. } => (Status::Conflict, Some("expected_rev")),
            Refusal::DeskLocked | Refusal::NotStopped | Refusal::Full(_) => (Status::Conflict, None),
            Refusal::StoppedAlready(_) => (Status::Conflict, Some("degree")),
        };
        Denial { code: self.code().into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
