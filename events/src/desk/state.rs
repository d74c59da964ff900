//! What the desk remembers.

use super::event::*;
use super::pairing::{Pairing, TerminalKey};
use crate::copy::settings::Overrides;
use crate::copy::stop::StopDegree;
use crate::id::{CredentialId, DeskId, Position, StreamId, UserName, Version};
use crate::reason::Reason;
use crate::stream::Stamp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Desk {
    pub id: Option<DeskId>,
    pub settings: Settings,
    pub locked: Option<Reason>,
    /// What copying goes by where nothing else is set.
    pub copy_defaults: Box<Overrides>,
    pub stopped: Option<Stop>,
    pub users: BTreeMap<UserName, User>,
    pub invites: BTreeMap<CredentialId, Invite>,
    pub sessions: BTreeMap<CredentialId, Session>,
    pub tokens: BTreeMap<CredentialId, Token>,
    pub pairings: BTreeMap<CredentialId, Pairing>,
    pub terminal_keys: BTreeMap<CredentialId, TerminalKey>,
    /// Accounts that ever had a key. One that is revoked does not open the way for unsigned messages again.
    pub keyed: BTreeSet<StreamId>,
    /// Silence before this does not count.
    pub listening_since: Timestamp,
    pub cut_through: Position,
    pub revision: Version,
}

/// What STOP says, until it is taken back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stop {
    pub degree: StopDegree,
    pub reason: Reason,
    pub since: Timestamp,
    /// Names it, and its orders.
    pub stop: Uuid,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    pub access: Access,
    pub credential: CredentialId,
    pub since: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Invite {
    pub name: UserName,
    pub access: Access,
    pub expires_at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    pub name: UserName,
    pub started_at: Timestamp,
    pub expires_at: Timestamp,
    pub peer: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Token {
    pub name: String,
    pub access: Access,
    pub created_at: Timestamp,
    pub expires_at: Option<Timestamp>,
}

impl Desk {
    pub fn admins(&self) -> usize {
        self.users.values().filter(|user| user.access == Access::Admin).count()
    }

    pub(super) fn remember(&mut self, event: &Event, at: &Stamp) {
        match event {
            Event::Opened(opened) => {
                assert!(self.id.is_none(), "the desk was opened twice");
                self.id = Some(opened.desk);
                self.listening_since = at.recorded_at;
            }
            Event::SettingsChanged(change) => {
                self.settings = change.settings.clone();
                self.revision = at.version;
            }
            Event::Locked(lock) => {
                assert!(self.locked.is_none(), "the desk was locked twice");
                self.locked = Some(lock.reason.clone());
            }
            Event::Unlocked(_) => assert!(self.locked.take().is_some(), "the desk was unlocked without a lock"),
            Event::CopyDefaultsChanged(change) => {
                self.copy_defaults = change.defaults.clone();
                self.revision = at.version;
            }
            Event::Stopped(stop) => {
                let (degree, reason, since) = (stop.degree, stop.reason.clone(), at.recorded_at);
                self.stopped = Some(Stop { degree, reason, since, stop: stop.stop });
            }
            Event::Resumed(_) => assert!(self.stopped.take().is_some(), "the desk was resumed without a stop"),
            Event::UserInvited(invited) => self.invited(invited, at),
            Event::UserAdded(added) => {
                self.invites.retain(|_, invite| invite.name != added.name);
                let user = User { access: added.access, credential: added.credential, since: at.recorded_at };
                assert!(self.users.insert(added.name.clone(), user).is_none(), "user {} came in twice", added.name);
            }
            Event::UserRemoved(removed) => {
                self.users.remove(&removed.name);
                self.invites.retain(|_, invite| invite.name != removed.name);
            }
            Event::RoleChanged(change) => self.user(&change.name).access = change.access,
            Event::PasswordChanged(change) => self.user(&change.name).credential = change.credential,
            Event::SessionStarted(started) => {
                let session = Session {
                    name: started.name.clone(),
                    started_at: at.recorded_at,
                    expires_at: started.expires_at,
                    peer: started.peer.clone(),
                };
                self.sessions.insert(started.session, session);
            }
            Event::SessionEnded(ended) => {
                assert!(self.sessions.remove(&ended.session).is_some(), "session {} ended twice", ended.session);
            }
            Event::TokenCreated(created) => {
                let token = Token {
                    name: created.name.clone(),
                    access: created.access,
                    created_at: at.recorded_at,
                    expires_at: created.expires_at,
                };
                self.tokens.insert(created.token, token);
            }
            // What it opens lies beside what proves it, in the vault: whoever cannot read that cannot tell whose key it is.
            Event::ApiKeyIssued(issued) => {
                let (access, created_at) = (Access::Viewer, at.recorded_at);
                let token = Token { name: issued.name.clone(), access, created_at, expires_at: issued.expires_at };
                self.tokens.insert(issued.key, token);
            }
            Event::TokenRevoked(revoked) => {
                assert!(self.tokens.remove(&revoked.token).is_some(), "token {} was revoked twice", revoked.token);
            }
            Event::PairingOpened(opened) => self.pairing_opened(opened, at),
            Event::PairingFailed(failed) => self.pairing_failed(failed),
            Event::PairingUsed(used) => self.pairing_gone(used.pairing),
            Event::PairingEnded(ended) => self.pairing_gone(ended.pairing),
            Event::KeyIssued(issued) => self.key_issued(issued, at),
            Event::KeyRevoked(revoked) => self.key_revoked(revoked),
            Event::ClockStepped(_) | Event::ServerStarted(_) => self.listening_since = at.recorded_at,
            Event::TelemetryCut(cut) => self.cut_through = cut.through,
            Event::AccessDenied(_) | Event::StrangerRefused(_) | Event::SecretsResealed(_) => {}
        }
    }

    /// Invitations that have run out go, so that they do not pile up.
    fn invited(&mut self, invited: &UserInvited, at: &Stamp) {
        self.invites.retain(|_, invite| invite.name != invited.name && invite.expires_at > at.recorded_at);
        let invite = Invite { name: invited.name.clone(), access: invited.access, expires_at: invited.expires_at };
        self.invites.insert(invited.credential, invite);
    }

    fn user(&mut self, name: &UserName) -> &mut User {
        match self.users.get_mut(name) {
            Some(user) => user,
            None => panic!("something changed about {name}, who is no user"),
        }
    }
}
