//! Passwords, sessions, tokens, invitations, pairing codes and the keys of terminals: what proves that somebody is who they say.
//!
//! The log holds ids; what is behind them (argon2 of passwords, BLAKE3 of random secrets, sealed keys) is in the vault. A
//! credential counts only with both: the vault's row, written first, and the desk's event.

mod code;
mod terminals;

pub use code::Code;
pub use terminals::{NoKey, TerminalKey, TerminalKeys};

use crate::ambient;
use crate::seal::{self, KeyBytes, MasterFile, MasterId, MasterKey, SealError};
use crate::store::{Reader, Secret, Store};
use argon2::password_hash::{PasswordHash, PasswordHasher, PasswordVerifier, SaltString};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use subtle::ConstantTimeEq;
use tidehelm_actors::port::LogFault;
use tidehelm_events::desk::{self, Desk};
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
    Seal(#[from] SealError),
    #[error("key {key}: {source}")]
    Row { key: CredentialId, source: SealError },
    #[error("nothing is sealed, so that there is no master key yet")]
    NothingSealed,
    #[error(transparent)]
    Store(#[from] LogFault),
}

type Digest = [u8; 32];
type Opened = (CredentialId, Result<TerminalKey, SealError>);
/// A text that was sealed, or why it cannot be opened.
pub type OpenedText = (CredentialId, Result<Arc<str>, SealError>);

/// Of a hash, at the beginning of what is kept of a random secret.
const HASH_BYTES: usize = 32;

/// From so many keys on, the vault is read at once rather than row by row.
const MANY: usize = 8;

/// What a secret is for; one of another kind does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Password,
    Session,
    Token,
    Invite,
    Pairing,
    TerminalKey,
    /// Of a channel of alerts: the key of a webhook, the token of a bot, a password.
    ChannelSecret,
    EndpointSecret,
    /// Of a client of the proxy: behind the hash stands what it opens.
    ApiKey,
}

impl Kind {
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Password => "password",
            Kind::Session => "session",
            Kind::Token => "token",
            Kind::Invite => "invite",
            Kind::Pairing => "pairing",
            Kind::TerminalKey => "terminal_key",
            Kind::ChannelSecret => "channel_secret",
            Kind::EndpointSecret => "endpoint_secret",
            Kind::ApiKey => "api_key",
        }
    }

    /// True of what is not a hash, but sealed, since it must be usable again.
    fn is_sealed(kind: &str) -> bool {
        [Kind::TerminalKey, Kind::EndpointSecret, Kind::ChannelSecret].iter().any(|sealed| sealed.as_str() == kind)
    }
}

/// What a code comes to that somebody tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    Right(CredentialId),
    /// There is such a code, and it goes on otherwise.
    Wrong(CredentialId),
    Unknown,
}

/// What was sealed anew.
#[derive(Debug, Clone)]
pub struct Resealed {
    pub master: MasterId,
    pub count: u32,
    /// Where the key is that was in use before.
    pub kept: PathBuf,
}

/// All credentials that the desk knows, in memory; the vault is read once at the start.
pub struct Keys {
    vault: Mutex<Store>,
    reader: Reader,
    master: MasterFile,
    pub terminals: Arc<TerminalKeys>,
    /// Who changes the table of terminals looks at the desk under this, so that it never goes back.
    turn: Mutex<()>,
    known: RwLock<BTreeMap<CredentialId, (String, Vec<u8>)>>,
    /// Hashing takes 19 MiB and a core: so many at once, the others wait.
    hashing: Semaphore,
}

const HASHING_MAX: usize = 2;

impl Keys {
    pub async fn load(vault: Store, master: MasterFile, desk: &Desk) -> Result<Self, LogFault> {
        let passwords = desk.users.values().map(|user| user.credential);
        let others = desk.invites.keys().chain(desk.sessions.keys()).chain(desk.tokens.keys());
        let others = others.chain(desk.pairings.keys()).copied();
        let (reader, mut known) = (vault.reader(), BTreeMap::new());
        for id in passwords.chain(others) {
            if let Some(secret) = reader.secret(id).await? {
                known.insert(id, (secret.kind, secret.bytes));
            }
        }
        let keys = Keys {
            vault: Mutex::new(vault),
            reader,
            master,
            terminals: Arc::default(),
            turn: Mutex::default(),
            known: RwLock::new(known),
            hashing: Semaphore::new(HASHING_MAX),
        };
        keys.sweep(desk).await?;
        keys.follow(|| desk.terminal_keys.clone()).await?;
        Ok(keys)
    }

    /// Destroys codes and keys that the log ended, or never heard of, and that a crash left in the vault.
    async fn sweep(&self, desk: &Desk) -> Result<(), LogFault> {
        // Without a desk (a quarantined one) nobody can say what counts.
        if desk.id.is_none() {
            return Ok(());
        }
        for (id, secret) in self.reader.secrets().await? {
            let is = |kind: Kind| secret.kind == kind.as_str();
            let over = is(Kind::TerminalKey) && !desk.terminal_keys.contains_key(&id)
                || is(Kind::Pairing) && !desk.pairings.contains_key(&id);
            if over {
                self.destroy(id).await?;
            }
        }
        Ok(())
    }

    /// Makes the table of terminals what the desk says: keys that ended are destroyed, new ones and those that could not be
    /// opened before are opened.
    pub async fn follow(
        &self,
        issued: impl FnOnce() -> BTreeMap<CredentialId, desk::TerminalKey>,
    ) -> Result<(), LogFault> {
        let _turn = self.turn.lock().await;
        let issued = issued();
        let table = self.terminals.table();
        let gone: Vec<_> = table.open.keys().chain(table.shut.keys()).filter(|id| !issued.contains_key(id)).collect();
        let new: Vec<_> = issued.into_iter().filter(|(id, _)| !table.open.contains_key(id)).collect();
        self.terminals.change(|table| gone.iter().for_each(|id| table.forget(**id)));
        let opened = self.open(new).await?;
        self.terminals.change(|table| opened.into_iter().for_each(|(id, key)| table.take_in(id, key)));
        for id in gone {
            self.destroy(*id).await?;
        }
        Ok(())
    }

    async fn open(&self, keys: Vec<(CredentialId, desk::TerminalKey)>) -> Result<Vec<Opened>, LogFault> {
        let mut ring = self.master.ring();
        let mut rows: BTreeMap<_, _> = match keys.len() {
            0..MANY => BTreeMap::new(),
            MANY.. => sealed(&self.reader).await?.into_iter().collect(),
        };
        let mut opened = Vec::new();
        for (id, key) in keys {
            let row = match rows.remove(&id) {
                Some(row) => Some(row),
                None => self.reader.secret(id).await?.filter(|row| Kind::is_sealed(&row.kind)),
            };
            let secret = row.ok_or(SealError::Absent).and_then(|row| ring.open(&row.bytes, id, &row.kind));
            opened.push((id, secret.map(|secret| TerminalKey { account: key.account, role: key.role, secret })));
        }
        Ok(opened)
    }

    /// A new code for a pairing, which no other that is open is taken for.
    pub async fn issue_code(&self) -> Result<(CredentialId, Code), LogFault> {
        let id = CredentialId(ambient::uuid());
        let code = std::iter::repeat_with(Code::random).find(|code| self.named(code).is_none());
        let code = code.unwrap_or_else(|| unreachable!("there is always a next one"));
        self.put(id, Kind::Pairing, code.kept(id)).await?;
        Ok((id, code))
    }

    /// Which code was meant, and whether it is right.
    pub fn try_code(&self, code: &Code) -> Tried {
        let Some((id, kept)) = self.named(code) else { return Tried::Unknown };
        let hash = code.hash(id);
        let right = code::kept(&kept).is_some_and(|(_, kept)| bool::from(kept.ct_eq(&hash)));
        if right { Tried::Right(id) } else { Tried::Wrong(id) }
    }

    fn named(&self, code: &Code) -> Option<(CredentialId, Vec<u8>)> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let mut pairings = known.iter().filter(|(_, (kind, _))| kind == Kind::Pairing.as_str());
        let meant = pairings.find(|(_, (_, bytes))| code::kept(bytes).is_some_and(|(name, _)| name == code.name()));
        meant.map(|(id, (_, bytes))| (*id, bytes.clone()))
    }

    /// A new key for a terminal, sealed in the vault. It counts once the log says so.
    pub async fn issue_key(&self) -> Result<(CredentialId, KeyBytes), KeyError> {
        let (id, secret) = (CredentialId(ambient::uuid()), KeyBytes::random());
        let mut vault = self.vault.lock().await;
        let (kind, master) = (Kind::TerminalKey.as_str(), self.master_for_new().await?);
        let row = Secret { kind: kind.into(), bytes: master.seal(&secret, id, kind), created_at: ambient::wall() };
        vault.put_secret(id, &row).await?;
        Ok((id, secret))
    }

    /// Seals a text that must be usable again. It counts once the log says so.
    pub async fn seal_text(&self, kind: Kind, text: &str) -> Result<CredentialId, KeyError> {
        let id = CredentialId(ambient::uuid());
        let mut vault = self.vault.lock().await;
        let master = self.master_for_new().await?;
        let bytes = master.seal_bytes(text.as_bytes(), id, kind.as_str());
        let row = Secret { kind: kind.as_str().into(), bytes, created_at: ambient::wall() };
        vault.put_secret(id, &row).await?;
        Ok(id)
    }

    /// Opens one.
    pub async fn open_text(&self, kind: Kind, id: CredentialId) -> Result<Arc<str>, KeyError> {
        let opened = self.open_texts(kind, &[id]).await?.pop();
        Ok(opened.map_or(Err(SealError::Absent), |(_, text)| text)?)
    }

    /// Opens texts that were sealed.
    pub async fn open_texts(&self, kind: Kind, ids: &[CredentialId]) -> Result<Vec<OpenedText>, LogFault> {
        let (mut ring, mut opened) = (self.master.ring(), Vec::new());
        for id in ids {
            let row = self.reader.secret(*id).await?.filter(|row| row.kind == kind.as_str());
            let text = row.ok_or(SealError::Absent).and_then(|row| {
                let bytes = ring.open_bytes(&row.bytes, *id, &row.kind)?;
                std::str::from_utf8(&bytes).map(Arc::from).map_err(|_| SealError::Unsealed)
            });
            opened.push((*id, text));
        }
        Ok(opened)
    }

    /// Destroys what the vault has of a kind and nobody refers to.
    pub async fn sweep_kind(&self, kind: Kind, referred: &BTreeSet<CredentialId>) -> Result<(), LogFault> {
        for (id, secret) in self.reader.secrets().await? {
            if secret.kind == kind.as_str() && !referred.contains(&id) {
                self.destroy(id).await?;
            }
        }
        Ok(())
    }

    /// Makes sure that a key can be sealed.
    pub async fn ready_to_seal(&self) -> Result<(), KeyError> {
        let _vault = self.vault.lock().await;
        self.master_for_new().await.map(drop)
    }

    /// The master key, so that a key can be sealed. Made now only if nothing is sealed yet: a lost one is not replaced silently. For
    /// who holds the vault: two at once would make two keys.
    async fn master_for_new(&self) -> Result<MasterKey, KeyError> {
        match self.master.current() {
            Err(SealError::Missing(_)) if sealed(&self.reader).await?.is_empty() => Ok(self.master.current_or_new()?),
            found => Ok(found?),
        }
    }

    /// Seals everything with a new master key. Where it stops halfway, each value still opens, and the next rotation goes on.
    pub async fn rotate(&self) -> Result<Resealed, KeyError> {
        let mut vault = self.vault.lock().await;
        let rows = sealed(&self.reader).await?;
        let master = match self.master.begin_rotation() {
            Err(SealError::Missing(_)) if rows.is_empty() => return Err(KeyError::NothingSealed),
            begun => begun?,
        };
        let (mut ring, count) = (self.master.ring(), rows.len());
        for (id, row) in rows {
            let secret =
                ring.open_bytes(&row.bytes, id, &row.kind).map_err(|source| KeyError::Row { key: id, source })?;
            let bytes = master.seal_bytes(&secret, id, &row.kind);
            vault.put_secret(id, &Secret { bytes, ..row }).await?;
        }
        let kept = self.master.finish_rotation()?;
        Ok(Resealed { master: master.id, count: u32::try_from(count).unwrap_or(u32::MAX), kept })
    }

    /// How it stands with what is sealed.
    pub async fn survey(&self) -> Result<Survey, LogFault> {
        survey(&self.reader, &self.master).await
    }

    /// Gives the vault's connections back.
    pub async fn close(self) -> Result<(), LogFault> {
        self.vault.into_inner().close().await
    }

    /// A new random secret: its id, and the text that its owner gets to see once.
    pub async fn issue(&self, kind: Kind) -> Result<(CredentialId, String), LogFault> {
        self.issue_with(kind, &[]).await
    }

    /// A new key for a client of the proxy, with what it opens.
    pub async fn issue_api_key(&self, scope: &desk::KeyScope) -> Result<(CredentialId, String), LogFault> {
        let scope =
            serde_json::to_vec(scope).map_err(|error| LogFault::new("cannot write the scope of a key", error))?;
        self.issue_with(Kind::ApiKey, &scope).await
    }

    /// What a key for the proxy opens; none where it is none.
    pub fn scope(&self, id: CredentialId) -> Option<desk::KeyScope> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        let (_, bytes) = known.get(&id).filter(|(kind, _)| kind == Kind::ApiKey.as_str())?;
        serde_json::from_slice(bytes.get(HASH_BYTES..)?).ok()
    }

    async fn issue_with(&self, kind: Kind, more: &[u8]) -> Result<(CredentialId, String), LogFault> {
        let (id, secret) = (CredentialId(ambient::uuid()), ambient::random::<32>());
        self.put(id, kind, [blake3::hash(&secret).as_bytes(), more].concat()).await?;
        let prefix = match kind {
            Kind::Token | Kind::ApiKey => "thk_",
            Kind::Password
            | Kind::Session
            | Kind::Invite
            | Kind::Pairing
            | Kind::TerminalKey
            | Kind::EndpointSecret
            | Kind::ChannelSecret => "",
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
        let kept = bytes.get(..HASH_BYTES)?;
        (known_kind == kind.as_str() && bool::from(kept.ct_eq(hash.as_bytes()))).then_some(id)
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
        self.terminals.change(|table| table.forget(id));
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

async fn sealed(reader: &Reader) -> Result<Vec<(CredentialId, Secret)>, LogFault> {
    let mut secrets = reader.secrets().await?;
    secrets.retain(|(_, secret)| Kind::is_sealed(&secret.kind));
    Ok(secrets)
}

/// How it stands with what is sealed.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
pub struct Survey {
    #[schema(value_type = String)]
    pub master_key_file: PathBuf,
    /// The one that new values are sealed with.
    pub master_key: Option<String>,
    /// What is wrong with it.
    pub trouble: Option<String>,
    pub sealed: usize,
    /// How many were sealed with which master key.
    pub sealed_with: BTreeMap<String, usize>,
    pub unreadable: usize,
    /// Why: each reason once.
    pub reasons: Vec<String>,
    /// A rotation was begun and not finished.
    pub rotating: bool,
}

/// Tries to open everything that is sealed in a vault, which may be one beside a running server.
pub async fn survey(reader: &Reader, master: &MasterFile) -> Result<Survey, LogFault> {
    let (current, rows) = (master.current(), sealed(reader).await?);
    let (mut ring, mut sealed_with, mut reasons) = (master.ring(), BTreeMap::new(), BTreeSet::new());
    let mut unreadable = 0;
    for (id, row) in &rows {
        let with = seal::sealed_with(&row.bytes).map_or_else(|_| "unknown".into(), |with| with.to_string());
        *sealed_with.entry(with).or_default() += 1;
        if let Err(why) = ring.open_bytes(&row.bytes, *id, &row.kind) {
            unreadable += 1;
            reasons.insert(why.to_string());
        }
    }
    Ok(Survey {
        master_key_file: master.path().into(),
        master_key: current.as_ref().ok().map(|key| key.id.to_string()),
        trouble: current.err().filter(|why| !rows.is_empty() || !why.is_missing()).map(|why| why.to_string()),
        sealed: rows.len(),
        sealed_with,
        unreadable,
        reasons: reasons.into_iter().collect(),
        rotating: master.is_rotating(),
    })
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
    use crate::store::{Mode, SqliteOptions, SqliteStore};
    use tidehelm_events::id::{AccountId, Role};
    use tidehelm_events::time::Timestamp;

    #[test]
    fn a_password_is_itself_and_nothing_else() {
        let hash = hash_password("correct horse").unwrap();
        assert!(hash.starts_with("$argon2id$"));
        assert!(verify_password(&hash, "correct horse"));
        assert!(!verify_password(&hash, "correct hors") && !verify_password("", "") && !verify_password("x", "x"));
    }

    /// A vault on disk, its master key beside it, and what the log would say.
    struct Case {
        temp: tempfile::TempDir,
        desk: Desk,
    }

    impl Case {
        fn new() -> Self {
            let id = Some(tidehelm_events::id::DeskId(ambient::uuid()));
            Case { temp: tempfile::tempdir().unwrap(), desk: Desk { id, ..Desk::default() } }
        }

        fn master(&self) -> MasterFile {
            MasterFile::at(self.temp.path().join("keys/master.key"))
        }

        async fn load(&self) -> Keys {
            let (dir, options) = (self.temp.path().join("data"), SqliteOptions::default());
            let store = SqliteStore::open(&dir, Mode::Write, options).await.unwrap();
            Keys::load(Store::Sqlite(store), self.master(), &self.desk).await.unwrap()
        }

        /// Issues a key, and has the log say so.
        async fn issue(&mut self, keys: &Keys, account: &str) -> (CredentialId, [u8; 32]) {
            let (id, secret) = keys.issue_key().await.unwrap();
            assert!(keys.terminals.find(id).is_none(), "a key that the log does not know is good");
            let (account, role) = (AccountId::new(account).unwrap(), Role::Slave);
            self.desk.terminal_keys.insert(id, desk::TerminalKey { account, role, issued_at: Timestamp(0) });
            self.follow(keys).await;
            (id, *secret.expose())
        }

        async fn follow(&self, keys: &Keys) {
            keys.follow(|| self.desk.terminal_keys.clone()).await.unwrap();
        }
    }

    #[tokio::test]
    async fn a_key_is_found_until_the_log_ends_it_and_then_destroyed() {
        let mut case = Case::new();
        let keys = case.load().await;
        let (first, secret) = case.issue(&keys, "A_1").await;
        let (second, _) = case.issue(&keys, "A_12").await;
        let found = keys.terminals.find(first).unwrap();
        assert_eq!((found.account.as_str(), found.role, found.secret.expose()), ("A_1", Role::Slave, &secret));
        assert!(format!("{found:?}").contains("secret: KeyBytes(…)"), "its secret is printed: {found:?}");
        case.desk.terminal_keys.remove(&first);
        case.follow(&keys).await;
        assert!(keys.terminals.find(first).is_none() && keys.terminals.find(second).is_some());
        assert_eq!(keys.terminals.why_not(first), NoKey::Unknown);
        let left = keys.reader.secrets().await.unwrap();
        assert_eq!(left.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [second]);
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn keys_are_there_again_after_a_start_and_rubbish_is_not() {
        let mut case = Case::new();
        let keys = case.load().await;
        let mut issued = Vec::new();
        for number in 0..MANY + 2 {
            issued.push(case.issue(&keys, &format!("A_{number}")).await);
        }
        keys.issue_key().await.unwrap();
        keys.issue_code().await.unwrap();
        keys.close().await.unwrap();
        let keys = case.load().await;
        for (id, secret) in &issued {
            assert_eq!(keys.terminals.find(*id).unwrap().secret.expose(), secret);
        }
        assert_eq!(keys.reader.secrets().await.unwrap().len(), issued.len(), "what no event names was not swept");
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn without_a_desk_nothing_is_swept() {
        let mut case = Case::new();
        let keys = case.load().await;
        case.issue(&keys, "A_1").await;
        keys.close().await.unwrap();
        let quarantined = Case { desk: Desk::default(), ..case };
        let keys = quarantined.load().await;
        assert_eq!(keys.reader.secrets().await.unwrap().len(), 1);
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn without_its_master_key_a_key_is_shut_until_the_file_is_back() {
        let mut case = Case::new();
        let keys = case.load().await;
        let (id, secret) = case.issue(&keys, "A_1").await;
        keys.close().await.unwrap();
        let (file, aside) = (case.master().path().to_path_buf(), case.temp.path().join("aside"));
        std::fs::rename(&file, &aside).unwrap();
        let keys = case.load().await;
        assert!(keys.terminals.find(id).is_none());
        assert_eq!(keys.terminals.why_not(id), NoKey::Shut { why: "master_key_missing" });
        assert_eq!((keys.terminals.count(), keys.terminals.troubles()), ((1, 1), vec!["master_key_missing"]));
        let refused = keys.issue_key().await.unwrap_err();
        assert!(matches!(refused, KeyError::Seal(SealError::Missing(_))), "{refused}");
        assert!(!file.exists(), "a lost master key was replaced");
        let survey = keys.survey().await.unwrap();
        assert_eq!((survey.sealed, survey.unreadable, survey.reasons.len()), (1, 1, 1));
        assert!(survey.trouble.unwrap().contains("is missing"));
        std::fs::rename(&aside, &file).unwrap();
        case.follow(&keys).await;
        assert_eq!(keys.terminals.find(id).unwrap().secret.expose(), &secret);
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_rotation_seals_everything_anew_wherever_the_last_one_stopped() {
        let mut case = Case::new();
        let keys = case.load().await;
        assert!(matches!(keys.rotate().await, Err(KeyError::NothingSealed)));
        let (first, _) = case.issue(&keys, "A_1").await;
        let (second, secret) = case.issue(&keys, "A_2").await;
        let old = case.master().current().unwrap().id;
        // As if it had stopped after the first row.
        let next = case.master().begin_rotation().unwrap();
        let row = keys.reader.secret(first).await.unwrap().unwrap();
        let opened = keys.master.ring().open(&row.bytes, first, &row.kind).unwrap();
        let half = Secret { bytes: next.seal(&opened, first, &row.kind), ..row };
        keys.vault.lock().await.put_secret(first, &half).await.unwrap();
        assert!(keys.survey().await.unwrap().rotating);
        assert_eq!(keys.survey().await.unwrap().unreadable, 0);
        let resealed = keys.rotate().await.unwrap();
        assert_eq!((resealed.count, resealed.master), (2, next.id));
        std::fs::remove_file(&resealed.kept).unwrap();
        let survey = keys.survey().await.unwrap();
        assert_eq!(survey.sealed_with, BTreeMap::from([(next.id.to_string(), 2)]), "some is sealed with {old}");
        assert_eq!((survey.unreadable, survey.rotating), (0, false));
        keys.close().await.unwrap();
        let keys = case.load().await;
        assert_eq!(keys.terminals.find(second).unwrap().secret.expose(), &secret);
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_rotation_stops_at_what_it_cannot_open_and_names_it() {
        let mut case = Case::new();
        let keys = case.load().await;
        let (id, _) = case.issue(&keys, "A_1").await;
        let mut row = keys.reader.secret(id).await.unwrap().unwrap();
        *row.bytes.last_mut().unwrap() ^= 1;
        keys.vault.lock().await.put_secret(id, &row).await.unwrap();
        let error = keys.rotate().await.unwrap_err();
        assert!(error.to_string().contains(&id.to_string()), "{error}");
        assert_eq!(keys.survey().await.unwrap().unreadable, 1);
        keys.close().await.unwrap();
    }

    #[tokio::test]
    async fn a_code_is_right_wrong_or_unknown() {
        let case = Case::new();
        let keys = case.load().await;
        let (id, code) = keys.issue_code().await.unwrap();
        assert_eq!(keys.try_code(&code), Tried::Right(id));
        let text = code.to_string();
        let other = |at: usize| {
            let with = if text.as_bytes()[at] == b'2' { "3" } else { "2" };
            let mut changed = text.clone();
            changed.replace_range(at..=at, with);
            keys.try_code(&Code::read(&changed).unwrap())
        };
        assert_eq!([0, 1, 2].map(other), [Tried::Unknown; 3], "its name is another");
        assert_eq!([3, 4, 5, 6, 7].map(other), [Tried::Wrong(id); 5]);
        let row = keys.reader.secret(id).await.unwrap().unwrap();
        assert!(!row.bytes.windows(text.len()).any(|some| some == text.as_bytes()), "the vault has the code itself");
        keys.destroy(id).await.unwrap();
        assert_eq!(keys.try_code(&code), Tried::Unknown);
        keys.close().await.unwrap();
    }
}
