//! Passwords, sessions, tokens and invitations: what proves that somebody is who they say.
//!
//! The log holds ids; what is behind them (argon2 of passwords, BLAKE3 of random secrets) is in the vault. A credential counts
//! only with both: the vault's row, written first, and the desk's event.

use crate::ambient;
use crate::store::{Secret, Store};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};
use subtle::ConstantTimeEq;
use tidehelm_actors::port::LogFault;
use tidehelm_events::desk::Desk;
use tidehelm_events::id::CredentialId;
use tokio::sync::{Mutex, Semaphore};

/// Shortest password. Length is what makes one strong.
pub const PASSWORD_MIN: usize = 10;
const PASSWORD_MAX: usize = 256;

#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    #[error("a password has {PASSWORD_MIN} to {PASSWORD_MAX} characters")]
    PasswordLength,
    #[error("the password could not be hashed: {0}")]
    Hash(String),
    #[error(transparent)]
    Store(#[from] LogFault),
}

/// What a secret is for; one of another kind does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Password,
    Session,
    Token,
    Invite,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Password => "password",
            Kind::Session => "session",
            Kind::Token => "token",
            Kind::Invite => "invite",
        }
    }
}

/// All credentials that the desk knows, in memory; the vault is read once at the start.
pub struct Keys {
    vault: Mutex<Store>,
    known: RwLock<BTreeMap<CredentialId, (String, Vec<u8>)>>,
    /// Hashing takes 19 MiB and a core: so many at once, the others wait.
    hashing: Semaphore,
}

const HASHING_MAX: usize = 2;

impl Keys {
    pub async fn load(vault: Store, desk: &Desk) -> Result<Self, LogFault> {
        let passwords = desk.users.values().map(|user| user.credential);
        let others = desk.invites.keys().chain(desk.sessions.keys()).chain(desk.tokens.keys()).copied();
        let (reader, mut known) = (vault.reader(), BTreeMap::new());
        for id in passwords.chain(others) {
            if let Some(secret) = reader.secret(id).await? {
                known.insert(id, (secret.kind, secret.bytes));
            }
        }
        Ok(Keys { vault: Mutex::new(vault), known: RwLock::new(known), hashing: Semaphore::new(HASHING_MAX) })
    }

    /// Gives the vault's connections back.
    pub async fn close(self) -> Result<(), LogFault> {
        self.vault.into_inner().close().await
    }

    /// A new random secret: its id, and the text that its owner gets to see once.
    pub async fn issue(&self, kind: Kind) -> Result<(CredentialId, String), LogFault> {
        let (id, secret) = (CredentialId(ambient::uuid()), ambient::random::<32>());
        self.put(id, kind, blake3::hash(&secret).as_bytes().to_vec()).await?;
        let prefix = match kind {
            Kind::Token => "thk_",
            Kind::Password | Kind::Session | Kind::Invite => "",
        };
        let mut both = id.0.as_bytes().to_vec();
        both.extend_from_slice(&secret);
        Ok((id, format!("{prefix}{}", URL_SAFE_NO_PAD.encode(both))))
    }

    /// The id of the secret, if it is one that we issued for this.
    pub fn check(&self, kind: Kind, text: &str) -> Option<CredentialId> {
        let text = text.strip_prefix("thk_").unwrap_or(text);
        let both = URL_SAFE_NO_PAD.decode(text).ok()?;
        let (id, secret) = both.split_at_checked(16)?;
        let id = CredentialId(uuid::Uuid::from_slice(id).ok()?);
        let hash = blake3::hash(secret);
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (known_kind, bytes) = known.get(&id)?;
        (known_kind == kind.as_str() && bool::from(bytes.as_slice().ct_eq(hash.as_bytes()))).then_some(id)
    }

    /// Hashes a password; slow on purpose, so not on a thread that serves.
    pub async fn set_password(&self, password: String) -> Result<CredentialId, KeyError> {
        if !(PASSWORD_MIN..=PASSWORD_MAX).contains(&password.chars().count()) {
            return Err(KeyError::PasswordLength);
        }
        let _turn = self.hashing.acquire().await;
        let hash = tokio::task::spawn_blocking(move || hash_password(&password));
        let hash = hash.await.map_err(|error| KeyError::Hash(error.to_string()))??;
        let id = CredentialId(ambient::uuid());
        self.put(id, Kind::Password, hash.into_bytes()).await?;
        Ok(id)
    }

    /// True if the password is the one behind the credential. Takes as long where there is no such credential.
    pub async fn check_password(&self, id: Option<CredentialId>, password: String) -> bool {
        let hash = id.and_then(|id| {
            let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
            let (kind, bytes) = known.get(&id)?;
            (kind == Kind::Password.as_str()).then(|| String::from_utf8(bytes.clone()).ok()).flatten()
        });
        let _turn = self.hashing.acquire().await;
        let checked = tokio::task::spawn_blocking(move || match hash {
            Some(hash) => verify_password(&hash, &password),
            None => hash_password(&password).is_err(),
        });
        checked.await.unwrap_or(false)
    }

    /// Destroys what was behind a credential.
    pub async fn destroy(&self, id: CredentialId) -> Result<(), LogFault> {
        self.vault.lock().await.delete_secret(id).await?;
        self.known.write().unwrap_or_else(PoisonError::into_inner).remove(&id);
        Ok(())
    }

    async fn put(&self, id: CredentialId, kind: Kind, bytes: Vec<u8>) -> Result<(), LogFault> {
        let secret = Secret { kind: kind.as_str().into(), bytes: bytes.clone(), created_at: ambient::wall() };
        self.vault.lock().await.put_secret(id, &secret).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.insert(id, (kind.as_str().to_string(), bytes));
        Ok(())
    }
}

fn argon() -> Argon2<'static> {
    Argon2::new(Algorithm::Argon2id, Version::V0x13, Params::default())
}

fn hash_password(password: &str) -> Result<String, KeyError> {
    let failed = |error: argon2::password_hash::Error| KeyError::Hash(error.to_string());
    let salt = SaltString::encode_b64(&ambient::random::<16>()).map_err(failed)?;
    let hash = argon().hash_password(password.as_bytes(), &salt).map_err(failed)?;
    Ok(hash.to_string())
}

fn verify_password(hash: &str, password: &str) -> bool {
    PasswordHash::new(hash).is_ok_and(|hash| argon().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_is_itself_and_nothing_else() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password(&hash, "correct horse"));
        assert!(!verify_password(&hash, "correct hors") && !verify_password("", "") && !verify_password("x", "x"));
    }
}
