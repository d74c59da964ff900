//! What can be wanted of an account, and why it may be refused.

use super::event::{HeartbeatSeen, Registered};
use crate::answer::{Denial, Status};
use crate::id::AccountId;
use crate::reason::{RuntimeStatus, Warnings};

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Register(Registered),
    Heartbeat(HeartbeatSeen),
    Unregister,
    SetIntent {
        enabled: bool,
    },
    Link {
        master: AccountId,
    },
    Unlink {
        master: AccountId,
    },
    /// The desk's timer asks whether the silence is too long.
    CheckSilence,
    /// The desk tells a slave what became of its master.
    NoteMaster(MasterNote),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MasterNote {
    pub master: AccountId,
    pub status: RuntimeStatus,
    pub warnings: Warnings,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("no terminal has registered this account yet; start its terminal, or check the name")]
    AccountUnknown,
    #[error(
        "the account belongs to {known}, this terminal reports {claimed}; remove the account first if it has moved"
    )]
    IdentityMismatch { known: String, claimed: String },
    #[error("`{field}` is longer than 100 characters or has control characters")]
    TextInvalid { field: &'static str },
    #[error("the desk is locked; nothing can be switched on until it is unlocked")]
    DeskLocked,
    #[error("only a slave follows masters")]
    NotASlave,
    #[error("an account cannot follow itself")]
    LinkToItself,
    #[error("the slave follows {0} already")]
    LinkKnown(AccountId),
    #[error("the slave does not follow {0}")]
    LinkUnknown(AccountId),
    #[error("a slave follows at most {0} masters")]
    LinksFull(usize),
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::AccountUnknown => ("account_unknown", Status::NotFound, None),
            Refusal::IdentityMismatch { .. } => ("account_identity_mismatch", Status::Conflict, None),
            Refusal::TextInvalid { field } => ("text_invalid", Status::Invalid, Some(*field)),
            Refusal::DeskLocked => ("desk_locked", Status::Conflict, None),
            Refusal::NotASlave => ("not_a_slave", Status::Conflict, None),
            Refusal::LinkToItself => ("link_to_itself", Status::Invalid, Some("master")),
            Refusal::LinkKnown(_) => ("link_known", Status::Conflict, None),
            Refusal::LinkUnknown(_) => ("link_unknown", Status::NotFound, None),
            Refusal::LinksFull(_) => ("links_full", Status::Conflict, None),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
