//! What can be wanted of the desk, and why it may be refused.

use super::event::*;
use crate::answer::{Denial, Status};
use crate::copy::settings::{Invalid, Overrides};
use crate::copy::stop::StopDegree;
use crate::id::{AccountId, CredentialId, DeskId, UserName};
use crate::reason::Reason;
use crate::time::Timestamp;
use uuid::Uuid;

#[derive(Debug, Clone, PartialEq)]
pub enum Command {
    Open {
        desk: DeskId,
        build: String,
    },
    ChangeSettings(Settings),
    Lock {
        reason: Reason,
    },
    Unlock {
        reason: Reason,
    },
    ChangeCopyDefaults(Box<Overrides>),
    /// `stop` names this STOP: the orders that it causes are named by it.
    Stop {
        degree: StopDegree,
        reason: Reason,
        stop: Uuid,
    },
    Resume {
        reason: Reason,
    },
    Invite {
        name: UserName,
        access: Access,
        credential: CredentialId,
        expires_at: Timestamp,
    },
    /// By the invitation's credential; the password's is its successor.
    AcceptInvite {
        invite: CredentialId,
        name: UserName,
        credential: CredentialId,
    },
    AddUser {
        name: UserName,
        access: Access,
        credential: CredentialId,
    },
    RemoveUser {
        name: UserName,
    },
    ChangeRole {
        name: UserName,
        access: Access,
    },
    ChangePassword {
        name: UserName,
        credential: CredentialId,
        keep: Option<CredentialId>,
    },
    StartSession {
        session: CredentialId,
        name: UserName,
        expires_at: Timestamp,
        peer: String,
    },
    EndSession {
        session: CredentialId,
        why: SessionEnd,
    },
    CreateToken {
        token: CredentialId,
        name: String,
        access: Access,
        expires_at: Option<Timestamp>,
    },
    RevokeToken {
        token: CredentialId,
    },
    /// A key for the proxy. It is revoked as a token is.
    IssueApiKey(ApiKeyIssued),
    OpenPairing(PairingOpened),
    /// Somebody had the code wrong.
    FailPairing(PairingFailed),
    /// Somebody had the code right, and there is a key for them.
    UsePairing {
        used: PairingUsed,
        key: CredentialId,
    },
    CancelPairing {
        pairing: CredentialId,
    },
    RevokeKey {
        key: CredentialId,
    },
    NoteResealed(SecretsResealed),
    NoteDenied(AccessDenied),
    NoteStranger(StrangerRefused),
    NoteClockStep(ClockStepped),
    NoteStart(ServerStarted),
    NoteCut(TelemetryCut),
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    #[error("this log is open already")]
    OpenAlready,
    #[error("`{field}`: {why}")]
    SettingInvalid { field: &'static str, why: String },
    #[error("the desk is locked already, because: {0}")]
    LockedAlready(Reason),
    #[error("the desk is not locked")]
    NotLocked,
    #[error("{}: {}", .0.field, .0.why)]
    CopyDefaultInvalid(Invalid),
    #[error("the desk is stopped already, as far as `{}`; resume first if it should be less", .0.as_str())]
    StoppedAlready(StopDegree),
    #[error("the desk is not stopped")]
    NotStopped,
    #[error("a user {0} exists already")]
    UserKnown(UserName),
    #[error("there is no user {0}")]
    UserUnknown(UserName),
    #[error("{0} is the only admin; make somebody else an admin first")]
    LastAdmin(UserName),
    #[error("this invitation is not known: it was used, revoked or has expired; ask for a new one")]
    InviteUnknown,
    #[error("this session has ended")]
    SessionUnknown,
    #[error("there is no such token")]
    TokenUnknown,
    #[error("a token's name has 1 to 64 characters and no control characters")]
    TokenName,
    #[error("a desk has at most {0} of these; remove one first")]
    Full(usize),
    #[error("this code is not known: it is mistyped, was used, has expired or was tried too often; ask for a new one")]
    PairingUnknown,
    #[error("this code is for another account or role; it was not used up, and this counts as a wrong try")]
    PairingElsewhere,
    #[error("{0} has had a key before, so that only a code that names it gives it another one")]
    PairingUnnamed(AccountId),
    #[error("there is no such key")]
    KeyUnknown,
}

impl Refusal {
    pub fn denial(&self) -> Denial {
        let (code, status, field) = match self {
            Refusal::OpenAlready => ("open_already", Status::Conflict, None),
            Refusal::SettingInvalid { field, .. } => ("setting_invalid", Status::Invalid, Some(*field)),
            Refusal::LockedAlready(_) => ("locked_already", Status::Conflict, None),
            Refusal::NotLocked => ("not_locked", Status::Conflict, None),
            Refusal::CopyDefaultInvalid(invalid) => ("setting_invalid", Status::Invalid, Some(invalid.field.as_str())),
            Refusal::StoppedAlready(_) => ("stopped_already", Status::Conflict, Some("degree")),
            Refusal::NotStopped => ("not_stopped", Status::Conflict, None),
            Refusal::UserKnown(_) => ("user_known", Status::Conflict, Some("name")),
            Refusal::UserUnknown(_) => ("user_unknown", Status::NotFound, None),
            Refusal::LastAdmin(_) => ("last_admin", Status::Conflict, None),
            Refusal::InviteUnknown => ("invite_unknown", Status::NotFound, Some("code")),
            Refusal::SessionUnknown => ("session_unknown", Status::NotFound, None),
            Refusal::TokenUnknown => ("token_unknown", Status::NotFound, None),
            Refusal::TokenName => ("token_name_invalid", Status::Invalid, Some("name")),
            Refusal::Full(_) => ("full", Status::Conflict, None),
            Refusal::PairingUnknown => ("pairing_unknown", Status::NotFound, Some("code")),
            Refusal::PairingElsewhere => ("pairing_elsewhere", Status::Forbidden, Some("account")),
            Refusal::PairingUnnamed(_) => ("pairing_unnamed", Status::Forbidden, Some("account")),
            Refusal::KeyUnknown => ("key_unknown", Status::NotFound, None),
        };
        Denial { code: code.into(), detail: self.to_string(), status, field: field.map(Into::into) }
    }
}
