//! What opens endpoints: sealed in the vault, open in memory only. The log has ids.

use crate::keys::{KeyError, Keys, Kind, OpenedText};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;
use tidehelm_actors::port::LogFault;
use tidehelm_events::id::CredentialId;
use tidehelm_events::truth::Truth;

/// Longest secret. It goes into one header.
pub const SECRET_MAX: usize = 4_096;
/// How often secrets that could not be opened are tried again.
const RETRY_EVERY: Duration = Duration::from_secs(5);

#[derive(Debug, thiserror::Error)]
pub enum SecretError {
    #[error("1 to {SECRET_MAX} printable ASCII characters without spaces: it is sent in a header")]
    Malformed,
    #[error("the secret cannot be sealed: {0}")]
    Key(#[from] KeyError),
}

/// All secrets that endpoints refer to.
pub struct Secrets {
    keys: Arc<Keys>,
    table: RwLock<Table>,
    /// Who changes which secret an endpoint has looks and acts under this, so that none is left behind.
    pub turn: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Table {
    open: BTreeMap<CredentialId, Arc<str>>,
    /// Referred to, and not to be opened: with the code of the reason.
    shut: BTreeMap<CredentialId, &'static str>,
}

impl Secrets {
    /// Opens what endpoints refer to, and destroys what a crash left behind. One that cannot be opened stops nothing: its
    /// endpoint cannot be asked until it can be.
    pub async fn load(keys: Arc<Keys>, truth: &Truth) -> Result<Self, LogFault> {
        let referred = referred(truth);
        // What a quarantined endpoint refers to nobody can say.
        if !truth.has_quarantined() {
            keys.sweep_kind(Kind::EndpointSecret, &referred).await?;
        }
        let secrets = Secrets { keys, table: RwLock::default(), turn: tokio::sync::Mutex::default() };
        secrets.open(&referred.into_iter().collect::<Vec<_>>()).await?;
        Ok(secrets)
    }

    /// Seals a secret in the vault. It counts once an endpoint's event refers to it; until then it is only ours.
    pub async fn put(&self, plain: &str) -> Result<CredentialId, SecretError> {
        if !is_secret(plain) {
            return Err(SecretError::Malformed);
        }
        let id = self.keys.seal_text(Kind::EndpointSecret, plain).await?;
        self.write(|table| table.open.insert(id, plain.into()));
        Ok(id)
    }

    /// The secret itself, where it is there and can be opened.
    pub fn get(&self, id: CredentialId) -> Option<Arc<str>> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).open.get(&id).cloned()
    }

    /// Why [`Secrets::get`] has none: a stable code.
    pub fn why_not(&self, id: CredentialId) -> &'static str {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        table.shut.get(&id).copied().unwrap_or("secret_absent")
    }

    /// How many there are, and how many of them cannot be opened.
    pub fn count(&self) -> (usize, usize) {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        (table.open.len() + table.shut.len(), table.shut.len())
    }

    /// Why some cannot be opened: each reason once.
    pub fn troubles(&self) -> Vec<&'static str> {
        let table = self.table.read().unwrap_or_else(PoisonError::into_inner);
        let codes: BTreeSet<_> = table.shut.values().copied().collect();
        codes.into_iter().collect()
    }

    /// Destroys it, in memory and in the vault.
    pub async fn destroy(&self, id: CredentialId) -> Result<(), LogFault> {
        self.write(|table| {
            table.open.remove(&id);
            table.shut.remove(&id);
        });
        self.keys.destroy(id).await
    }

    /// Opens secrets once their master key is back.
    pub async fn keep(self: Arc<Self>) {
        let mut retry = tokio::time::interval(RETRY_EVERY);
        loop {
            retry.tick().await;
            let shut: Vec<_> = self.table.read().unwrap_or_else(PoisonError::into_inner).shut.keys().copied().collect();
            if shut.is_empty() {
                continue;
            }
            if let Err(error) = self.open(&shut).await {
                tracing::warn!(%error, "the secrets of endpoints cannot be read");
            }
        }
    }

    async fn open(&self, ids: &[CredentialId]) -> Result<(), LogFault> {
        let opened = self.keys.open_texts(Kind::EndpointSecret, ids).await?;
        let (mut shut, mut why) = (0, "");
        for (id, text) in opened {
            if let Some(code) = self.take_in((id, text)) {
                (shut, why) = (shut + 1, code);
            }
        }
        if shut > 0 {
            tracing::warn!(
                shut,
                why,
                "secrets of endpoints cannot be opened; these endpoints are not asked: see `tidehelm secrets status`"
            );
        }
        Ok(())
    }

    /// The code of the reason, where it cannot be opened and nobody was told yet.
    fn take_in(&self, (id, text): OpenedText) -> Option<&'static str> {
        self.write(|table| match text {
            Ok(text) => {
                table.shut.remove(&id);
                table.open.insert(id, text);
                None
            }
            Err(why) => table.shut.insert(id, why.code()).is_none().then_some(why.code()),
        })
    }

    fn write<R>(&self, change: impl FnOnce(&mut Table) -> R) -> R {
        change(&mut self.table.write().unwrap_or_else(PoisonError::into_inner))
    }
}

/// It can be sent in a header as it is.
pub fn is_secret(plain: &str) -> bool {
    (1..=SECRET_MAX).contains(&plain.len()) && plain.bytes().all(|byte| byte.is_ascii_graphic())
}

fn referred(truth: &Truth) -> BTreeSet<CredentialId> {
    truth.endpoints().filter_map(|endpoint| endpoint.settings.as_ref()?.secret).collect()
}
