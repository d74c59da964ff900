//! What we ask of the outside.

use crate::node::Order;
use async_trait::async_trait;
use tidehelm_events::commit::{Commit, Entry, Hash, Head};
use tidehelm_events::endpoint::detect::Found;
use tidehelm_events::endpoint::{Model, ProbeOutcome, Settings};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::react::Effect;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;

/// A store that could not do what it was asked, and surely has not done it.
#[derive(Debug, thiserror::Error)]
#[error("{doing}: {why}")]
pub struct LogFault {
    pub doing: String,
    pub why: String,
}

impl LogFault {
    pub fn new(doing: impl Into<String>, why: impl std::fmt::Display) -> Self {
        LogFault { doing: doing.into(), why: why.to_string() }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum AppendFault {
    /// The log's end is not where the writer thought: somebody else wrote.
    #[error("the log has moved on: it ends at position {}, not at {}", found.position, expected.position)]
    Conflict { expected: Head, found: Head },
    /// A writer of a later epoch has taken over.
    #[error("another server has taken over: epoch {found} is later than ours, {ours}")]
    Fenced { ours: Epoch, found: Epoch },
    /// Surely not written.
    #[error("cannot append: {0}")]
    Unavailable(String),
    /// Written or not: only the log can tell, later. It may even be written yet; whoever takes over first fences it off, so
    /// that what he then reads stays true.
    #[error("cannot say whether the commit was written: {0}")]
    InDoubt(String),
}

/// Any log that can compare and append. One writer at a time, fenced by epoch.
#[async_trait]
pub trait CommitLog: Send {
    /// Becomes the writer, with an epoch later than any before, and says where the log ends. Waits no longer than the lease of
    /// a writer that has died.
    async fn take_over(&mut self, node: NodeId) -> Result<Head, LogFault>;

    /// Makes the commit durable, all of it with its audit rows or nothing, if the log ends at `expected`.
    async fn append(&mut self, commit: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault>;

    /// Entries that end after a position, in order, at most `limit`: the first is the one that holds the next position. Fewer
    /// than asked for is not the end of the log; none is.
    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault>;

    async fn head(&mut self) -> Result<Head, LogFault>;

    /// Says that the writer lives; an idle writer does so a few times a lease.
    async fn renew(&mut self, node: NodeId, epoch: Epoch) -> Result<(), AppendFault>;

    /// Gives the lease back, so that the next writer need not wait.
    async fn release(&mut self, node: NodeId, epoch: Epoch) -> Result<(), LogFault>;
}

/// A fold at a position, as bytes with their hash: a snapshot, which is a cache, or a base, which is truth after a cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saved {
    pub position: Position,
    pub schema: u16,
    pub build: String,
    pub at: Timestamp,
    pub hash: Hash,
    pub bytes: Vec<u8>,
}

impl Saved {
    pub fn is_whole(&self) -> bool {
        Hash::of(&self.bytes) == self.hash
    }
}

/// Where folds are kept beside the log.
#[async_trait]
pub trait Depot: Send {
    async fn save(&mut self, saved: &Saved) -> Result<(), LogFault>;
    /// The newest at or before a position, of this schema; older ones after it was found to be bad.
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault>;
    async fn discard(&mut self, position: Position) -> Result<(), LogFault>;
    /// Position and time of each, oldest first.
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault>;
    /// The base that replaces what was cut before it, if anything was cut.
    async fn base(&mut self) -> Result<Option<Saved>, LogFault>;
}

/// A store that carries the log and the folds beside it.
pub trait Store: CommitLog + Depot {}
impl<T: CommitLog + Depot> Store for T {}

/// The only way to learn what time it is.
pub trait Clock: Send + Sync {
    /// Desk time: never goes back while the server runs, and never stands still.
    fn now(&self) -> Timestamp;
    /// By how much the machine's clock was set since the last question; forward steps are taken over, backward ones not.
    fn step(&self) -> Option<Span>;
    /// Desk time is at least this from now on.
    fn at_least(&self, time: Timestamp);
}

/// Where effects go. It must not block; what it cannot take it counts.
pub trait Outlet: Send {
    /// The desk stands where this fold says, and nothing that was said before counts: at its start, and after a commit whose fate
    /// was not known.
    fn restored(&mut self, fold: &Fold);
    /// The effects of one commit, in their order. It is durable.
    fn release(&mut self, effects: Vec<Effect>);
    /// What comes before every other order, right after the desk stands somewhere anew: what was done without the log.
    fn first(&mut self) -> Vec<Order> {
        Vec::new()
    }
}

/// Asks endpoints how they are.
#[async_trait]
pub trait Prober: Send + Sync {
    /// Comes to an end within the endpoint's time for probes, whatever the other side does.
    async fn probe(&self, question: Question) -> Probe;
}

/// Whom to ask: an endpoint as it is set, and what it turned out to be before.
#[derive(Debug, Clone, PartialEq)]
pub struct Question {
    pub settings: Box<Settings>,
    pub found: Option<Found>,
}

/// What was heard of an endpoint.
#[derive(Debug, Clone, PartialEq)]
pub struct Probe {
    pub outcome: ProbeOutcome,
    /// What the answer said of the server, where it said something new.
    pub found: Option<Found>,
    /// All models that it lists; none where it lists none, or was not understood.
    pub models: Option<Vec<Model>>,
}
