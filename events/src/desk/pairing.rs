//! How a terminal comes to its key: a code that a person makes, and the key that it is exchanged for.
//!
//! The code and the key are in the vault. What stands here is which there are, whom they are for, and what became of them.

use super::command::Refusal;
use super::event::*;
use super::state::Desk;
use crate::id::{AccountId, CredentialId, Role, StreamId};
use crate::stream::Stamp;
use crate::time::Timestamp;
use serde::{Deserialize, Serialize};

/// Wrong tries after which a code is dead.
pub const TRIES_MAX: u8 = 5;
const PAIRINGS_MAX: usize = 100;
const KEYS_MAX: usize = 100_000;

/// A code that waits for its terminal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pairing {
    pub account: Option<AccountId>,
    pub role: Option<Role>,
    pub opened_at: Timestamp,
    pub expires_at: Timestamp,
    /// Wrong ones.
    pub tries: u8,
}

/// The key with which the terminal of an account signs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TerminalKey {
    pub account: AccountId,
    pub role: Role,
    pub issued_at: Timestamp,
}

impl Pairing {
    fn fits(&self, account: &AccountId, role: Role) -> bool {
        self.account.as_ref().is_none_or(|named| named == account) && self.role.is_none_or(|named| named == role)
    }

    fn is_for_the_same(&self, opened: &PairingOpened) -> bool {
        self.account.is_some() && self.account == opened.account && self.role == opened.role
    }
}

impl Desk {
    /// True once the account has had a key in this role, for ever: then nothing unsigned is taken for it.
    pub fn is_keyed(&self, account: &AccountId, role: Role) -> bool {
        self.keyed.contains(&StreamId::Account(role, account.clone()))
    }

    /// Codes that have run out end here, so that they do not pile up; one for the same account and role gives way.
    pub(super) fn open_pairing(&self, opened: PairingOpened, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let mut events = Vec::new();
        for (id, pairing) in &self.pairings {
            if pairing.expires_at <= now {
                events.push(ended(*id, PairingEnd::Expired));
            } else if pairing.is_for_the_same(&opened) {
                events.push(ended(*id, PairingEnd::Replaced));
            }
        }
        if self.pairings.len() - events.len() >= PAIRINGS_MAX {
            return Err(Refusal::Full(PAIRINGS_MAX));
        }
        events.push(Event::PairingOpened(opened));
        Ok(events)
    }

    pub(super) fn fail_pairing(&self, failed: PairingFailed, now: Timestamp) -> Result<Vec<Event>, Refusal> {
        let (id, tries) = match self.pairings.get(&failed.pairing) {
            None => return Err(Refusal::PairingUnknown),
            Some(pairing) if pairing.expires_at <= now => return Ok(vec![ended(failed.pairing, PairingEnd::Expired)]),
            Some(pairing) => (failed.pairing, pairing.tries + 1),
        };
        let mut events = vec![Event::PairingFailed(failed)];
        if tries >= TRIES_MAX {
            events.push(ended(id, PairingEnd::TooManyTries));
        }
        Ok(events)
    }

    /// Refuses in this order: unknown or expired, of another account or role, an account that must be named, too many keys.
    /// The key takes the place of the one that the account had in this role.
    pub(super) fn use_pairing(
        &self,
        used: PairingUsed,
        key: CredentialId,
        now: Timestamp,
    ) -> Result<Vec<Event>, Refusal> {
        let Some(pairing) = self.pairings.get(&used.pairing).filter(|pairing| pairing.expires_at > now) else {
            return Err(Refusal::PairingUnknown);
        };
        let (account, role) = (used.account.clone(), used.role);
        if !pairing.fits(&account, role) {
            return Err(Refusal::PairingElsewhere);
        }
        if pairing.account.is_none() && self.is_keyed(&account, role) {
            return Err(Refusal::PairingUnnamed(account));
        }
        if self.terminal_keys.len() >= KEYS_MAX {
            return Err(Refusal::Full(KEYS_MAX));
        }
        let mut events = vec![Event::PairingUsed(used)];
        let before = self.keys_of(&account, role).map(|(id, known)| known.revoked(*id, KeyEnd::Replaced));
        events.extend(before);
        events.push(Event::KeyIssued(KeyIssued { key, account, role }));
        Ok(events)
    }

    pub(super) fn cancel_pairing(&self, pairing: CredentialId) -> Result<Vec<Event>, Refusal> {
        match self.pairings.contains_key(&pairing) {
            true => Ok(vec![ended(pairing, PairingEnd::Cancelled)]),
            false => Err(Refusal::PairingUnknown),
        }
    }

    pub(super) fn revoke_key(&self, key: CredentialId) -> Result<Vec<Event>, Refusal> {
        match self.terminal_keys.get(&key) {
            Some(known) => Ok(vec![known.revoked(key, KeyEnd::Revoked)]),
            None => Err(Refusal::KeyUnknown),
        }
    }

    fn keys_of(&self, account: &AccountId, role: Role) -> impl Iterator<Item = (&CredentialId, &TerminalKey)> {
        self.terminal_keys.iter().filter(move |(_, known)| known.account == *account && known.role == role)
    }

    pub(super) fn pairing_opened(&mut self, opened: &PairingOpened, at: &Stamp) {
        let pairing = Pairing {
            account: opened.account.clone(),
            role: opened.role,
            opened_at: at.recorded_at,
            expires_at: opened.expires_at,
            tries: 0,
        };
        self.pairings.insert(opened.pairing, pairing);
    }

    pub(super) fn pairing_failed(&mut self, failed: &PairingFailed) {
        match self.pairings.get_mut(&failed.pairing) {
            Some(pairing) => pairing.tries += 1,
            None => panic!("pairing {} was tried, and was not open", failed.pairing),
        }
    }

    pub(super) fn pairing_gone(&mut self, pairing: CredentialId) {
        assert!(self.pairings.remove(&pairing).is_some(), "pairing {pairing} ended and was not open");
    }

    pub(super) fn key_issued(&mut self, issued: &KeyIssued, at: &Stamp) {
        let key = TerminalKey { account: issued.account.clone(), role: issued.role, issued_at: at.recorded_at };
        self.terminal_keys.insert(issued.key, key);
        self.keyed.insert(StreamId::Account(issued.role, issued.account.clone()));
    }

    pub(super) fn key_revoked(&mut self, revoked: &KeyRevoked) {
        assert!(self.terminal_keys.remove(&revoked.key).is_some(), "key {} was revoked twice", revoked.key);
    }
}

impl TerminalKey {
    fn revoked(&self, key: CredentialId, why: KeyEnd) -> Event {
        Event::KeyRevoked(KeyRevoked { key, account: self.account.clone(), role: self.role, why })
    }
}

fn ended(pairing: CredentialId, why: PairingEnd) -> Event {
    Event::PairingEnded(PairingEnded { pairing, why })
}
