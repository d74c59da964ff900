//! What the desk answers to a command.

use super::command::{Command, Refusal};
use super::event::*;
use super::state::{Desk, Invite};
use crate::copy::settings::{Overrides, validate};
use crate::copy::stop::StopDegree;
use crate::id::{CredentialId, UserName};
use crate::react::Effect;
use crate::reason::Reason;
use crate::stream::{Decision, Seen, Stamp, Stream};
use crate::time::Timestamp;
use uuid::Uuid;

const USERS_MAX: usize = 1_000;
const SESSIONS_MAX: usize = 10_000;
const TOKENS_MAX: usize = 1_000;
/// Of the scope of one key.
const MODELS_MAX: usize = 64;

impl Stream for Desk {
    type Command = Command;
    type Event = Event;
    type Refusal = Refusal;

    fn decide(&self, command: Command, seen: &Seen<'_>) -> Result<Decision<Event>, Refusal> {
        let events = match command {
            Command::Open { desk, build } => self.open(Opened { desk, build })?,
            Command::ChangeSettings(settings) => self.change_settings(settings)?,
            Command::Lock { reason } => match &self.locked {
                Some(why) => return Err(Refusal::LockedAlready(why.clone())),
                None => vec![Event::Locked(Locked { reason })],
            },
            Command::Unlock { reason } => match &self.locked {
                Some(_) => vec![Event::Unlocked(Unlocked { reason })],
                None => return Err(Refusal::NotLocked),
            },
            Command::ChangeCopyDefaults(defaults) => self.change_copy_defaults(defaults)?,
            Command::Stop { degree, reason, stop } => return self.stop(degree, reason, stop),
            Command::Resume { reason } => return self.resume(reason),
            Command::Invite { name, access, credential, expires_at } => {
                self.invite(UserInvited { name, access, credential, expires_at }, seen.now)?
            }
            Command::AcceptInvite { invite, name, credential } => self.accept(invite, name, credential, seen.now)?,
            Command::AddUser { name, access, credential } => {
                self.check_new_user(&name)?;
                vec![Event::UserAdded(UserAdded { name, access, credential })]
            }
            Command::RemoveUser { name } => self.remove_user(name)?,
            Command::ChangeRole { name, access } => self.change_role(name, access)?,
            Command::ChangePassword { name, credential, keep } => self.change_password(name, credential, keep)?,
            Command::StartSession { session, name, expires_at, peer } => {
                self.start_session(SessionStarted { session, name, expires_at, peer }, seen.now)?
            }
            Command::EndSession { session, why } => match self.sessions.contains_key(&session) {
                true => vec![Event::SessionEnded(SessionEnded { session, why })],
                false => return Err(Refusal::SessionUnknown),
            },
            Command::CreateToken { token, name, access, expires_at } => {
                self.create_token(TokenCreated { token, name, access, expires_at })?
            }
            Command::RevokeToken { token } => match self.tokens.contains_key(&token) {
                true => vec![Event::TokenRevoked(TokenRevoked { token })],
                false => return Err(Refusal::TokenUnknown),
            },
            Command::IssueApiKey(issued) => self.issue_api_key(issued)?,
            Command::OpenPairing(opened) => self.open_pairing(opened, seen.now)?,
            Command::FailPairing(failed) => self.fail_pairing(failed, seen.now)?,
            Command::UsePairing { used, key } => self.use_pairing(used, key, seen.now)?,
            Command::CancelPairing { pairing } => self.cancel_pairing(pairing)?,
            Command::RevokeKey { key } => self.revoke_key(key)?,
            Command::NoteResealed(resealed) => vec![Event::SecretsResealed(resealed)],
            Command::NoteDenied(denied) => vec![Event::AccessDenied(denied)],
            Command::NoteStranger(stranger) => vec![Event::StrangerRefused(stranger)],
            Command::NoteClockStep(step) => vec![Event::ClockStepped(step)],
            Command::NoteStart(started) => vec![Event::ServerStarted(started)],
            Command::NoteCut(cut) => vec![Event::TelemetryCut(cut)],
        };
        Ok(events.into())
    }

    fn evolve(&mut self, event: &Event, at: &Stamp) {
        self.remember(event, at);
    }
}

impl Desk {
    fn open(&self, opened: Opened) -> Result<Vec<Event>, Refusal> {
        if self.id.is_some() {
            return Err(Refusal::OpenAlready);
        }
        Ok(vec![Event::Opened(opened)])
    }

    fn change_settings(&self, settings: Settings) -> Result<Vec<Event>, Refusal> {
        let invalid = |field, why: &str| Err(Refusal::SettingInvalid { field, why: why.to_string() });
        let length = settings.name.chars().count();
        if !(1..=64).contains(&length) || settings.name.chars().any(char::is_control) {
            return invalid("name", "1 to 64 characters, no control characters");
        }
        if !(2..=3600).contains(&settings.timeout_seconds) {
            return invalid("timeout_seconds", "2 to 3600 seconds");
        }
        if !(1..=720).contains(&settings.session_hours) {
            return invalid("session_hours", "1 to 720 hours");
        }
        if settings == self.settings {
            return Ok(vec![]);
        }
        Ok(vec![Event::SettingsChanged(SettingsChanged { settings })])
    }

    fn change_copy_defaults(&self, defaults: Box<Overrides>) -> Result<Vec<Event>, Refusal> {
        validate(&defaults).map_err(Refusal::CopyDefaultInvalid)?;
        let same = defaults == self.copy_defaults;
        Ok(if same { vec![] } else { vec![Event::CopyDefaultsChanged(CopyDefaultsChanged { defaults })] })
    }

    /// It can go further, and not less far: for that it is taken back. One that was taken in before changes nothing.
    fn stop(&self, degree: StopDegree, reason: Reason, stop: Uuid) -> Result<Decision<Event>, Refusal> {
        if self.stopped.as_ref().is_some_and(|known| known.stop == stop) {
            return Ok(Decision::nothing());
        }
        if let Some(known) = self.stopped.as_ref().filter(|known| known.degree >= degree) {
            return Err(Refusal::StoppedAlready(known.degree));
        }
        let events = vec![Event::Stopped(Stopped { degree, reason, stop })];
        Ok(Decision { events, effects: vec![Effect::StopChanged { degree: Some(degree) }] })
    }

    fn resume(&self, reason: Reason) -> Result<Decision<Event>, Refusal> {
        if self.stopped.is_none() {
            return Err(Refusal::NotStopped);
        }
        let events = vec![Event::Resumed(Resumed { reason })];
        Ok(Decision { events, effects: vec![Effect::StopChanged { degree: None }] })
    }

    /// A second invitation takes the place of the first.
    fn invite(&self, invited: UserInvited, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        self.check_new_user(&invited.name)?;
        if self.other_invites(&invited.name, now).count() >= USERS_MAX {
            return Err(Refusal::Full(USERS_MAX));
        }
        Ok(vec![Event::UserInvited(invited)])
    }

    /// The invited person may choose another name than the one that stood in the invitation, but nobody else's.
    fn accept(
        &self,
        invite: CredentialId,
        name: UserName,
        credential: CredentialId,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let Some(invited) = self.invites.get(&invite).filter(|invited| invited.expires_at > now) else {
            return Err(Refusal::InviteUnknown);
        };
        self.check_new_user(&name)?;
        if self.other_invites(&invited.name, now).any(|other| other.name == name) {
            return Err(Refusal::UserKnown(name));
        }
        let mut events = vec![Event::UserAdded(UserAdded { name: name.clone(), access: invited.access, credential })];
        if name != invited.name {
            events.push(Event::UserRemoved(UserRemoved { name: invited.name.clone() }));
        }
        Ok(events)
    }

    fn other_invites(&self, name: &UserName, now: Timestamp) -> impl Iterator<Item = &Invite> {
        self.invites.values().filter(move |other| other.name != *name && other.expires_at > now)
    }

    fn check_new_user(&self, name: &UserName) -> Result<(), Refusal> {
        if self.users.contains_key(name) {
            return Err(Refusal::UserKnown(name.clone()));
        }
        if self.users.len() >= USERS_MAX {
            return Err(Refusal::Full(USERS_MAX));
        }
        Ok(())
    }

    fn remove_user(&self, name: UserName) -> Result<Vec<Event>, Refusal> {
        let invited = self.invites.values().any(|invite| invite.name == name);
        if !invited || self.users.contains_key(&name) {
            self.check_not_last_admin(&name)?;
        }
        let mut events = self.end_sessions(&name, None, SessionEnd::UserRemoved);
        events.push(Event::UserRemoved(UserRemoved { name }));
        Ok(events)
    }

    fn change_role(&self, name: UserName, access: Access) -> Result<Vec<Event>, Refusal> {
        if self.users.get(&name).is_some_and(|user| user.access == access) {
            return Ok(vec![]);
        }
        self.check_not_last_admin(&name)?;
        Ok(vec![Event::RoleChanged(RoleChanged { name, access })])
    }

    fn check_not_last_admin(&self, name: &UserName) -> Result<(), Refusal> {
        match self.users.get(name) {
            None => Err(Refusal::UserUnknown(name.clone())),
            Some(user) if user.access == Access::Admin && self.admins() == 1 => Err(Refusal::LastAdmin(name.clone())),
            Some(_) => Ok(()),
        }
    }

    fn change_password(
        &self,
        name: UserName,
        credential: CredentialId,
        keep: Option<CredentialId>,
    ) -> Result<Vec<Event>, Refusal> {
        if !self.users.contains_key(&name) {
            return Err(Refusal::UserUnknown(name));
        }
        let mut events = self.end_sessions(&name, keep, SessionEnd::PasswordChanged);
        events.push(Event::PasswordChanged(PasswordChanged { name, credential }));
        Ok(events)
    }

    fn end_sessions(&self, name: &UserName, keep: Option<CredentialId>, why: SessionEnd) -> Vec<Event> {
        let theirs = self.sessions.iter().filter(|(id, session)| session.name == *name && Some(**id) != keep);
        theirs.map(|(session, _)| Event::SessionEnded(SessionEnded { session: *session, why })).collect()
    }

    /// Sessions that have run out end here, so that they do not pile up.
    fn start_session(&self, started: SessionStarted, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        if !self.users.contains_key(&started.name) {
            return Err(Refusal::UserUnknown(started.name));
        }
        let expired = self.sessions.iter().filter(|(_, session)| session.expires_at <= now);
        let ended = |session: &CredentialId| SessionEnded { session: *session, why: SessionEnd::Expired };
        let mut events: Vec<_> = expired.map(|(session, _)| Event::SessionEnded(ended(session))).collect();
        if self.sessions.len() - events.len() >= SESSIONS_MAX {
            return Err(Refusal::Full(SESSIONS_MAX));
        }
        events.push(Event::SessionStarted(started));
        Ok(events)
    }

    fn create_token(&self, created: TokenCreated) -> Result<Vec<Event>, Refusal> {
        self.check_new_token(&created.name)?;
        Ok(vec![Event::TokenCreated(created)])
    }

    fn issue_api_key(&self, issued: ApiKeyIssued) -> Result<Vec<Event>, Refusal> {
        self.check_new_token(&issued.name)?;
        let good = |name: &String| (1..=128).contains(&name.chars().count()) && !name.chars().any(char::is_control);
        if issued.scope.models.len() > MODELS_MAX || !issued.scope.models.iter().all(good) {
            let why = format!("at most {MODELS_MAX} names of 1 to 128 characters, no control characters");
            return Err(Refusal::SettingInvalid { field: "models", why });
        }
        Ok(vec![Event::ApiKeyIssued(issued)])
    }

    fn check_new_token(&self, name: &str) -> Result<(), Refusal> {
        if !(1..=64).contains(&name.chars().count()) || name.chars().any(char::is_control) {
            return Err(Refusal::TokenName);
        }
        if self.tokens.len() >= TOKENS_MAX {
            return Err(Refusal::Full(TOKENS_MAX));
        }
        Ok(())
    }
}
