//! Which endpoint has which name and address: both are given once on the whole desk.

use crate::id::EndpointId;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Derived from the endpoints' own events and kept beside them, so that a decision about one can look at all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Directory {
    /// In small letters: two that differ in nothing else would be taken for each other.
    names: BTreeMap<String, EndpointId>,
    urls: BTreeMap<String, EndpointId>,
}

impl Directory {
    pub const EMPTY: &'static Directory = &Directory { names: BTreeMap::new(), urls: BTreeMap::new() };

    pub fn by_name(&self, name: &str) -> Option<EndpointId> {
        self.names.get(&name.to_lowercase()).copied()
    }
    /// By an address as [`super::normalise`] gives it.
    pub fn by_url(&self, base_url: &str) -> Option<EndpointId> {
        self.urls.get(base_url).copied()
    }
    /// In the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = EndpointId> {
        self.names.values().copied()
    }
    pub fn len(&self) -> usize {
        self.urls.len()
    }
    pub fn is_empty(&self) -> bool {
        self.urls.is_empty()
    }

    pub(crate) fn enter(&mut self, id: EndpointId, name: &str, base_url: &str) {
        self.leave(id);
        // While a stream was quarantined its name could be given again: then the later one has it.
        self.names.insert(name.to_lowercase(), id);
        self.urls.insert(base_url.into(), id);
    }

    pub(crate) fn leave(&mut self, id: EndpointId) {
        self.names.retain(|_, owner| *owner != id);
        self.urls.retain(|_, owner| *owner != id);
    }
}
