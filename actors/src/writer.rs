//! The thread that owns the store's writing side. It takes one job at a time and answers each.

use crate::journal::Sealed;
use crate::port::{AppendFault, Saved, Store};
use crate::restore::{RestoreError, Restored, Restorer};
use std::time::Duration;
use tidehelm_events::commit::Head;
use tidehelm_events::id::{Epoch, NodeId, Position, StreamId};
use tidehelm_events::truth;
use tidehelm_events::view::Fold;
use tokio::sync::{mpsc, oneshot};

/// Jobs wait here; the desk has at most one commit and one of each other kind under way.
const JOBS_MAX: usize = 8;
/// A tail is read in pieces of this many commits.
const PIECE: usize = 256;

pub enum Job {
    Append(Box<Sealed>, oneshot::Sender<Result<(), AppendFault>>),
    /// Takes over as the writer and reads the log, again and again until both work.
    Recover(oneshot::Sender<(Restored, Head)>),
    Save(Saved),
    Renew(Epoch, oneshot::Sender<Result<(), AppendFault>>),
    Release(Epoch, oneshot::Sender<()>),
}

/// How a restart went.
#[derive(Debug, Clone, Copy, Default)]
pub struct Report {
    pub snapshot: Option<Position>,
    pub events: u64,
}

#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    #[error(transparent)]
    Log(#[from] crate::port::LogFault),
    #[error("{0}")]
    Restore(#[from] RestoreError),
    #[error("the log is not whole: {0}")]
    Commit(#[from] tidehelm_events::commit::CommitError),
}

/// Takes over the log and restores from it.
pub async fn open(
    store: &mut dyn Store,
    node: NodeId,
    quarantined: &[StreamId],
) -> Result<(Restored, Head, Report), OpenError> {
    let head = store.take_over(node).await?;
    let (restored, report) = restore(store, Position(u64::MAX), quarantined).await?;
    Ok((restored, head, report))
}

/// The state at the end of the log, or at the last commit's end at or before `to`: newest good snapshot, then the tail.
pub async fn restore(
    store: &mut dyn Store,
    to: Position,
    quarantined: &[StreamId],
) -> Result<(Restored, Report), OpenError> {
    let (fold, snapshot) = match quarantined.is_empty() {
        true => start(store, to).await?,
        false => base(store).await?,
    };
    let mut restorer = Restorer::new(fold, quarantined.iter().cloned());
    let mut previous: Option<Head> = None;
    'log: loop {
        let entries = store.read(restorer.position(), PIECE).await?;
        if entries.is_empty() {
            break;
        }
        for entry in &entries {
            if entry.head().position > to {
                break 'log;
            }
            let after = previous.unwrap_or_else(|| before(entry, restorer.position()));
            entry.check(&after)?;
            restorer.entry(entry)?;
            previous = Some(entry.head());
        }
    }
    let report = Report { snapshot, events: restorer.events() };
    Ok((restorer.finish(), report))
}

/// The head that the first entry after a snapshot claims to follow.
fn before(entry: &tidehelm_events::commit::Entry, position: Position) -> Head {
    use tidehelm_events::commit::Entry;
    let hash = match entry {
        Entry::Commit(commit) => commit.header.prev_hash,
        Entry::Seal(seal) => seal.prev_hash,
    };
    Head { position, hash, ..Head::default() }
}

/// The newest snapshot that is whole; bad ones are put aside with a warning.
async fn start(store: &mut dyn Store, to: Position) -> Result<(Fold, Option<Position>), OpenError> {
    let end = store.head().await?.position;
    while let Some(saved) = store.newest(to.min(end), truth::SCHEMA).await? {
        match believe(&saved) {
            Ok(fold) => return Ok((fold, Some(saved.position))),
            Err(why) => {
                tracing::warn!(position = saved.position.0, %why, "a snapshot is bad and is not used");
                store.discard(saved.position).await?;
            }
        }
    }
    base(store).await
}

async fn base(store: &mut dyn Store) -> Result<(Fold, Option<Position>), OpenError> {
    let Some(saved) = store.base().await? else { return Ok((Fold::default(), None)) };
    match believe(&saved) {
        Ok(fold) => Ok((fold, Some(saved.position))),
        Err(why) => Err(crate::port::LogFault::new(
            format!("reading the base at position {}, which replaces cut telemetry; restore a backup", saved.position),
            why,
        )
        .into()),
    }
}

fn believe(saved: &Saved) -> Result<Fold, String> {
    if !saved.is_whole() {
        return Err("its bytes are not the ones that were saved".into());
    }
    let fold = Fold::from_bytes(&saved.bytes).map_err(|error| error.to_string())?;
    if fold.truth.position() != saved.position {
        return Err(format!("it stands at position {}, not where it says", fold.truth.position()));
    }
    Ok(fold)
}

/// Starts the thread; it ends when all senders are gone.
pub fn spawn(
    mut store: Box<dyn Store>,
    node: NodeId,
    quarantined: Vec<StreamId>,
) -> std::io::Result<(mpsc::Sender<Job>, std::thread::JoinHandle<()>)> {
    let (jobs, mut work) = mpsc::channel(JOBS_MAX);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let thread = std::thread::Builder::new().name("log-writer".into()).spawn(move || {
        runtime.block_on(async move {
            while let Some(job) = work.recv().await {
                run(&mut *store, node, &quarantined, job).await;
            }
        });
    })?;
    Ok((jobs, thread))
}

async fn run(store: &mut dyn Store, node: NodeId, quarantined: &[StreamId], job: Job) {
    match job {
        Job::Append(sealed, done) => {
            let outcome = store.append(&sealed.commit, &sealed.audit, &sealed.expected).await;
            let _ = done.send(outcome);
        }
        Job::Recover(done) => {
            if let Some(recovered) = recover(store, node, quarantined, &done).await {
                let _ = done.send(recovered);
            }
        }
        Job::Save(saved) => {
            if let Err(error) = store.save(&saved).await {
                tracing::warn!(position = saved.position.0, %error, "a snapshot could not be saved; the next one will be");
            }
        }
        Job::Renew(epoch, done) => {
            let _ = done.send(store.renew(node, epoch).await);
        }
        Job::Release(epoch, done) => {
            if let Err(error) = store.release(node, epoch).await {
                tracing::warn!(%error, "the log could not be given back in order; nothing is lost, the next server may have to wait for a moment");
            }
            let _ = done.send(());
        }
    }
}

async fn recover(
    store: &mut dyn Store,
    node: NodeId,
    quarantined: &[StreamId],
    wanted: &oneshot::Sender<(Restored, Head)>,
) -> Option<(Restored, Head)> {
    let mut pause = Duration::from_millis(50);
    while !wanted.is_closed() {
        match open(store, node, quarantined).await {
            Ok((restored, head, _)) => return Some((restored, head)),
            Err(error) => tracing::warn!(%error, "the log is not usable yet; trying again"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(2));
    }
    None
}
