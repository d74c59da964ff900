//! Read models: folds over every stream in position order. The same code answers now, `as_of` and a rebuild.

mod activity;
pub mod endpoints;
pub mod fills;
mod history;
mod latency;
pub mod live;
mod trails;

pub use activity::Activity;
pub use endpoints::Endpoints;
pub use history::{History, Transition};
pub use latency::{Latency, Spread, Stages};
pub use trails::{Given, Trail, Trails};

use crate::codec;
use crate::commit::{Commit, CommitError, Hash, Unpacked};
use crate::envelope::Record;
use crate::truth::{Truth, Unbelievable};
use serde::{Deserialize, Serialize};

/// A fold over the whole log that people look at.
pub trait View: Default + Serialize {
    const NAME: &'static str;
    fn apply(&mut self, record: &Record, truth: &Truth);
}

/// Every read model of the desk.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Views {
    pub activity: Activity,
    pub history: History,
    pub trails: Trails,
    pub latency: Latency,
    pub endpoints: Endpoints,
}

impl Views {
    pub const NAMES: &'static [&'static str] =
        &[Activity::NAME, History::NAME, Trails::NAME, Latency::NAME, Endpoints::NAME];

    pub fn apply(&mut self, record: &Record, truth: &Truth) {
        self.activity.apply(record, truth);
        self.history.apply(record, truth);
        self.trails.apply(record, truth);
        self.latency.apply(record, truth);
        self.endpoints.apply(record, truth);
    }

    /// Hash of the bytes of each, for comparing an incremental one with a rebuilt one.
    pub fn hashes(&self) -> Vec<(&'static str, Hash)> {
        fn hash<V: View>(view: &V) -> (&'static str, Hash) {
            let mut bytes = Vec::new();
            codec::write(view, &mut bytes);
            (V::NAME, Hash::of(&bytes))
        }
        let Views { activity, history, trails, latency, endpoints } = self;
        vec![hash(activity), hash(history), hash(trails), hash(latency), hash(endpoints)]
    }
}

/// Everything that follows from the log up to a position: what a snapshot holds and a restart restores.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Fold {
    pub truth: Truth,
    pub views: Views,
}

/// Why a commit cannot be folded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FoldError {
    #[error(transparent)]
    Commit(#[from] CommitError),
    #[error(transparent)]
    Unbelievable(#[from] Unbelievable),
}

impl Fold {
    pub fn apply(&mut self, record: &Record) -> Result<(), Unbelievable> {
        self.truth.apply(record)?;
        self.views.apply(record, &self.truth);
        Ok(())
    }

    /// Folds a commit in, with space that is used again; `each` sees every record right after it.
    pub fn apply_commit(
        &mut self,
        commit: &Commit,
        space: &mut Unpacked,
        mut each: impl FnMut(&Truth, &Record),
    ) -> Result<(), FoldError> {
        commit.unpack_into(space)?;
        self.truth.learn(&space.names)?;
        for record in &space.records {
            self.apply(record)?;
            each(&self.truth, record);
        }
        Ok(())
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        codec::write(self, &mut bytes);
        bytes
    }

    pub fn from_bytes(bytes: &[u8]) -> Result<Self, codec::CodecError> {
        codec::read_large(bytes)
    }
}

#[cfg(test)]
mod tests;
