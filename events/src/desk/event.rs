//! What can happen to the desk.

use crate::commit::Hash;
use crate::copy::settings::Overrides;
use crate::copy::stop::StopDegree;
use crate::endpoint::Api;
use crate::event::events;
use crate::id::{AccountId, CredentialId, DeskId, Position, Role, UserName};
use crate::reason::Reason;
use crate::time::{Span, Timestamp};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use uuid::Uuid;

events! {
    pub enum Event {
        /// The log was begun; always the first event.
        Opened(Opened) = 100 "desk_opened" v 1 Business;
        /// A person changed the settings; all of them as they are now.
        SettingsChanged(SettingsChanged) = 101 "settings_changed" v 1 Business;
        /// Nothing can be switched on until the desk is unlocked.
        Locked(Locked) = 102 "desk_locked" v 1 Business;
        /// The lock was taken off.
        Unlocked(Unlocked) = 103 "desk_unlocked" v 1 Business;
        /// A person changed what copying goes by where nothing else is set; all of it as it is now.
        CopyDefaultsChanged(CopyDefaultsChanged) = 104 "copy_defaults_changed" v 1 Business;
        /// STOP was pressed; how far it goes.
        Stopped(Stopped) = 105 "desk_stopped" v 1 Business;
        /// STOP was taken back.
        Resumed(Resumed) = 106 "desk_resumed" v 1 Business;
        /// A person was invited and has a link to come in.
        UserInvited(UserInvited) = 110 "user_invited" v 1 Business;
        /// A person came in by an invitation, or was added by an operator.
        UserAdded(UserAdded) = 111 "user_added" v 1 Business;
        /// A person may no longer use the desk; sessions and invitations end with it.
        UserRemoved(UserRemoved) = 112 "user_removed" v 1 Business;
        /// A person has another role.
        RoleChanged(RoleChanged) = 113 "user_role_changed" v 1 Business;
        /// A person has another password; the other sessions end.
        PasswordChanged(PasswordChanged) = 114 "user_password_changed" v 1 Business;
        /// A person logged in.
        SessionStarted(SessionStarted) = 120 "session_started" v 1 Business;
        /// A session ended: logged out, revoked or expired.
        SessionEnded(SessionEnded) = 121 "session_ended" v 1 Business;
        /// A program got a key.
        TokenCreated(TokenCreated) = 130 "token_created" v 1 Business;
        /// A program's key was revoked.
        TokenRevoked(TokenRevoked) = 131 "token_revoked" v 1 Business;
        /// A program got a key for the proxy, and what it opens. It is listed and revoked as other keys of programs are.
        ApiKeyIssued(ApiKeyIssued) = 132 "api_key_issued" v 1 Business;
        /// Somebody known was not allowed to do something.
        AccessDenied(AccessDenied) = 140 "access_denied" v 1 Business;
        /// Strangers were turned away; one event per peer and minute.
        StrangerRefused(StrangerRefused) = 141 "stranger_refused" v 1 Business;
        /// The machine's clock was set; no silence counts from before this.
        ClockStepped(ClockStepped) = 150 "clock_stepped" v 1 Business;
        /// A server began to write this log; no silence counts from before this.
        ServerStarted(ServerStarted) = 151 "server_started" v 1 Business;
        /// Telemetry up to a position was cut; the base that replaces it has this hash.
        TelemetryCut(TelemetryCut) = 152 "telemetry_cut" v 1 Business;
        /// A code was made with which a terminal may fetch a key; none for an account or a role leaves that to the terminal.
        PairingOpened(PairingOpened) = 160 "pairing_opened" v 1 Business;
        /// Somebody tried a code and had it wrong, or for another account.
        PairingFailed(PairingFailed) = 161 "pairing_failed" v 1 Business;
        /// A terminal came with the code; the code is spent.
        PairingUsed(PairingUsed) = 162 "pairing_used" v 1 Business;
        /// A code is good no longer, and nobody used it.
        PairingEnded(PairingEnded) = 163 "pairing_ended" v 1 Business;
        /// The terminal of an account has a key. From now on nothing unsigned is taken for this account in this role.
        KeyIssued(KeyIssued) = 164 "terminal_key_issued" v 1 Business;
        /// A terminal's key opens nothing any more.
        KeyRevoked(KeyRevoked) = 165 "terminal_key_revoked" v 1 Business;
        /// Everything that is sealed was sealed anew, with another master key.
        SecretsResealed(SecretsResealed) = 166 "secrets_resealed" v 1 Business;
    }
}

/// What people can set while the desk runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    pub name: String,
    /// A terminal that is silent for longer is lost.
    pub timeout_seconds: u32,
    /// So long after logging in, a person has to log in again.
    pub session_hours: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { name: "Tidehelm".into(), timeout_seconds: 30, session_hours: 12 }
    }
}

impl Settings {
    pub fn timeout(&self) -> Span {
        Span::seconds(i64::from(self.timeout_seconds))
    }
}

/// What a principal may do: each role includes the ones before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    Viewer,
    Operator,
    Admin,
}

impl Access {
    pub fn as_str(self) -> &'static str {
        match self {
            Access::Viewer => "viewer",
            Access::Operator => "operator",
            Access::Admin => "admin",
        }
    }
}

/// What a key for the proxy opens, and how much of it. Zero is no limit, an empty list is everything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct KeyScope {
    /// Names that may be asked for; one that ends in `*` stands for all that begin so.
    pub models: BTreeSet<String>,
    pub apis: BTreeSet<Api>,
    pub requests_per_minute: u32,
    pub in_flight_max: u32,
    /// Of a UTC day, input and output together.
    pub tokens_per_day: u64,
}

macro_rules! payloads {
    ($( $name:ident { $( $field:ident : $type:ty ),* $(,)? } )*) => { $(
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
        pub struct $name { $( pub $field: $type ),* }
    )* };
}

payloads! {
    Opened { desk: DeskId, build: String }
    SettingsChanged { settings: Settings }
    Locked { reason: Reason }
    Unlocked { reason: Reason }
    CopyDefaultsChanged { defaults: Box<Overrides> }
    Stopped { degree: StopDegree, reason: Reason, stop: Uuid }
    Resumed { reason: Reason }
    UserInvited { name: UserName, access: Access, credential: CredentialId, expires_at: Timestamp }
    UserAdded { name: UserName, access: Access, credential: CredentialId }
    UserRemoved { name: UserName }
    RoleChanged { name: UserName, access: Access }
    PasswordChanged { name: UserName, credential: CredentialId }
    SessionStarted { session: CredentialId, name: UserName, expires_at: Timestamp, peer: String }
    SessionEnded { session: CredentialId, why: SessionEnd }
    TokenCreated { token: CredentialId, name: String, access: Access, expires_at: Option<Timestamp> }
    TokenRevoked { token: CredentialId }
    ApiKeyIssued { key: CredentialId, name: String, scope: Box<KeyScope>, expires_at: Option<Timestamp> }
    AccessDenied { action: String, needs: Access }
    StrangerRefused { peer: String, count: u32, why: String }
    ClockStepped { by: Span }
    ServerStarted { node: String, build: String, desk_time: Timestamp }
    TelemetryCut { through: Position, base_hash: Hash, events: u64 }
    PairingOpened { pairing: CredentialId, account: Option<AccountId>, role: Option<Role>, expires_at: Timestamp }
    PairingFailed { pairing: CredentialId, account: AccountId, role: Role, peer: String }
    PairingUsed { pairing: CredentialId, account: AccountId, role: Role, peer: String }
    PairingEnded { pairing: CredentialId, why: PairingEnd }
    KeyIssued { key: CredentialId, account: AccountId, role: Role }
    KeyRevoked { key: CredentialId, account: AccountId, role: Role, why: KeyEnd }
    SecretsResealed { master_key: String, sealed: u32 }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SessionEnd {
    LoggedOut,
    Revoked,
    Expired,
    PasswordChanged,
    UserRemoved,
}

/// Why a code ended that nobody used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PairingEnd {
    Expired,
    Cancelled,
    TooManyTries,
    /// Another code was made for the same account and role.
    Replaced,
}

/// Why a terminal's key ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyEnd {
    Revoked,
    /// The terminal was paired again, and has another one.
    Replaced,
}
