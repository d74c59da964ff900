//! The keys of terminals, opened and in memory: each message that comes in is checked with one.

use crate::seal::{KeyBytes, SealError};
use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};
use tidehelm_events::id::{AccountId, CredentialId, Role};

/// A key that is good, and whose it is.
#[derive(Debug, Clone)]
pub struct TerminalKey {
    pub account: AccountId,
    pub role: Role,
    /// For HMAC-SHA256.
    pub secret: KeyBytes,
}

/// Why there is no key under an id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NoKey {
    #[error("this key is not known: it was revoked, or is of another desk; pair the terminal again")]
    Unknown,
    #[error("this key is known, and the desk cannot open it ({why}); `tidehelm secrets status` says what to do")]
    Shut { why: &'static str },
}

impl NoKey {
    /// Stable, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            NoKey::Unknown => "key_unknown",
            NoKey::Shut { .. } => "key_shut",
        }
    }
}

/// All keys that the desk counts on. Any thread may look; nobody waits but for the exchange of a pointer.
#[derive(Default)]
pub struct TerminalKeys {
    table: RwLock<Arc<Table>>,
}

/// Replaced as a whole.
#[derive(Clone, Default)]
pub(super) struct Table {
    pub open: BTreeMap<CredentialId, Arc<TerminalKey>>,
    /// Known to the desk, and not to be opened: with the code of the reason.
    pub shut: BTreeMap<CredentialId, &'static str>,
}

impl TerminalKeys {
    pub fn find(&self, key: CredentialId) -> Option<Arc<TerminalKey>> {
        self.table().open.get(&key).cloned()
    }

    /// Why [`TerminalKeys::find`] finds nothing.
    pub fn why_not(&self, key: CredentialId) -> NoKey {
        self.table().shut.get(&key).map_or(NoKey::Unknown, |why| NoKey::Shut { why })
    }

    /// How many keys there are, and how many of them cannot be opened.
    pub fn count(&self) -> (usize, usize) {
        let table = self.table();
        (table.open.len() + table.shut.len(), table.shut.len())
    }

    /// Why some cannot be opened: each reason once.
    pub fn troubles(&self) -> Vec<&'static str> {
        let mut codes: Vec<_> = self.table().shut.values().copied().collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub(super) fn table(&self) -> Arc<Table> {
        self.table.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Table)) {
        let mut table = self.table.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut table));
    }
}

impl Table {
    pub fn take_in(&mut self, id: CredentialId, opened: Result<TerminalKey, SealError>) {
        match opened {
            Ok(key) => {
                self.shut.remove(&id);
                self.open.insert(id, Arc::new(key));
            }
            Err(why) => {
                self.shut.insert(id, why.code());
            }
        }
    }

    pub fn forget(&mut self, id: CredentialId) {
        self.open.remove(&id);
        self.shut.remove(&id);
    }
}
