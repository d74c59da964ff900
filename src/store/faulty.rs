//! A log that fails on demand, for tests of what works with one.

use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidehelm_actors::port::{AppendFault, CommitLog, Depot, LogFault, Saved};
use tidehelm_events::commit::{Commit, Entry, Head};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{Epoch, NodeId, Position};
use tidehelm_events::time::Timestamp;

/// What becomes of an append.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fault {
    /// Not written, and it says so.
    Refuse,
    /// Written, but it cannot say so.
    DoubtWritten,
    /// Not written, but it cannot say so.
    DoubtLost,
    /// It cannot say so yet: written before the next thing that is asked of the log.
    DoubtLate,
    /// Done after a while.
    Delay(Duration),
}

/// The script of a faulty log; clones direct the same one.
#[derive(Debug, Clone, Default)]
pub struct Script(Arc<Mutex<Scene>>);

#[derive(Debug, Default)]
struct Scene {
    faults: VecDeque<Option<Fault>>,
    down: bool,
    played: u64,
}

impl Script {
    /// The append after those that are scripted already.
    pub fn then(&self, fault: Fault) -> &Self {
        self.scene().faults.push_back(Some(fault));
        self
    }

    /// So many appends go well.
    pub fn then_well(&self, appends: usize) -> &Self {
        self.scene().faults.extend(std::iter::repeat_n(None, appends));
        self
    }

    /// While the log is down it refuses everything and knows nothing.
    pub fn down(&self, down: bool) {
        self.scene().down = down;
    }

    /// How many appends did not go well.
    pub fn played(&self) -> u64 {
        self.scene().played
    }

    fn next(&self) -> Option<Fault> {
        let mut scene = self.scene();
        let fault = if scene.down { Some(Fault::Refuse) } else { scene.faults.pop_front().flatten() };
        scene.played += u64::from(fault.is_some());
        fault
    }

    fn up(&self) -> Result<(), LogFault> {
        if self.scene().down {
            Err(LogFault::new("cannot reach the log", "the script says that it is down"))
        } else {
            Ok(())
        }
    }

    fn scene(&self) -> MutexGuard<'_, Scene> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Any log, with a script of what goes wrong.
#[derive(Debug)]
pub struct FaultyLog<L> {
    log: L,
    script: Script,
    late: Option<(Commit, Vec<Envelope>, Head)>,
}

impl<L: CommitLog> FaultyLog<L> {
    pub fn new(log: L, script: Script) -> Self {
        FaultyLog { log, script, late: None }
    }

    /// A commit that was under way arrives, and finds the log as it is by now.
    async fn arrive(&mut self) {
        if let Some((commit, audit, expected)) = self.late.take()
            && let Err(fault) = self.log.append(&commit, &audit, &expected).await
        {
            tracing::debug!(%fault, "a late commit was refused");
        }
    }
}

#[async_trait]
impl<L: CommitLog> CommitLog for FaultyLog<L> {
    async fn take_over(&mut self, node: NodeId) -> Result<Head, LogFault> {
        self.script.up()?;
        self.arrive().await;
        self.log.take_over(node).await
    }

    async fn append(&mut self, commit: &Commit, audit: &[Envelope], expected: &Head) -> Result<(), AppendFault> {
        self.arrive().await;
        let doubt = || Err(AppendFault::InDoubt("the script says so".into()));
        match self.script.next() {
            None => self.log.append(commit, audit, expected).await,
            Some(Fault::Refuse) => Err(AppendFault::Unavailable("the script says so".into())),
            Some(Fault::DoubtLost) => doubt(),
            Some(Fault::DoubtWritten) => {
                self.log.append(commit, audit, expected).await?;
                doubt()
            }
            Some(Fault::DoubtLate) => {
                self.late = Some((commit.clone(), audit.to_vec(), *expected));
                doubt()
            }
            Some(Fault::Delay(delay)) => {
                tokio::time::sleep(delay).await;
                self.log.append(commit, audit, expected).await
            }
        }
    }

    async fn read(&mut self, after: Position, limit: usize) -> Result<Vec<Entry>, LogFault> {
        self.script.up()?;
        self.arrive().await;
        self.log.read(after, limit).await
    }

    async fn head(&mut self) -> Result<Head, LogFault> {
        self.script.up()?;
        self.arrive().await;
        self.log.head().await
    }

    async fn renew(&mut self, node: NodeId, epoch: Epoch) -> Result<(), AppendFault> {
        self.script.up().map_err(|fault| AppendFault::Unavailable(fault.to_string()))?;
        self.arrive().await;
        self.log.renew(node, epoch).await
    }

    async fn release(&mut self, node: NodeId, epoch: Epoch) -> Result<(), LogFault> {
        self.script.up()?;
        self.log.release(node, epoch).await
    }
}

#[async_trait]
impl<L: CommitLog + Depot> Depot for FaultyLog<L> {
    async fn save(&mut self, saved: &Saved) -> Result<(), LogFault> {
        self.script.up()?;
        self.log.save(saved).await
    }
    async fn newest(&mut self, at_or_before: Position, schema: u16) -> Result<Option<Saved>, LogFault> {
        self.script.up()?;
        self.log.newest(at_or_before, schema).await
    }
    async fn discard(&mut self, position: Position) -> Result<(), LogFault> {
        self.script.up()?;
        self.log.discard(position).await
    }
    async fn list(&mut self) -> Result<Vec<(Position, Timestamp)>, LogFault> {
        self.script.up()?;
        self.log.list().await
    }
    async fn base(&mut self) -> Result<Option<Saved>, LogFault> {
        self.script.up()?;
        self.log.base().await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::conform::sample::{Tale, node};
    use tidehelm_actors::memory::MemoryLog;

    #[tokio::test]
    async fn each_fault_does_what_it_says() {
        let script = Script::default();
        let mut log = FaultyLog::new(MemoryLog::default(), script.clone());
        for (fault, in_doubt, written) in [
            (Fault::Refuse, false, false),
            (Fault::DoubtLost, true, false),
            (Fault::DoubtWritten, true, true),
            (Fault::DoubtLate, true, true),
        ] {
            let mut tale = Tale::new(log.take_over(node()).await.unwrap());
            script.then_well(1).then(fault.clone());
            let fine = tale.next(1, 1);
            log.append(&fine.commit, &fine.audit, &fine.expected).await.unwrap();
            let next = tale.next(1, 1);
            let outcome = log.append(&next.commit, &next.audit, &next.expected).await;
            assert_eq!(matches!(outcome, Err(AppendFault::InDoubt(_))), in_doubt, "{fault:?}: {outcome:?}");
            let end = if written { next.commit.head() } else { next.expected };
            assert_eq!(log.head().await.unwrap(), end, "{fault:?}");
        }
        assert_eq!(script.played(), 4);
        script.down(true);
        assert!(log.head().await.is_err() && log.take_over(node()).await.is_err());
        script.down(false);
        log.head().await.unwrap();
    }

    #[tokio::test]
    async fn a_late_commit_finds_that_somebody_has_taken_over() {
        let script = Script::default();
        let mut log = FaultyLog::new(MemoryLog::default(), script.clone());
        let mut tale = Tale::new(log.take_over(node()).await.unwrap());
        script.then(Fault::DoubtLate);
        let late = tale.next(1, 1);
        let _ = log.append(&late.commit, &late.audit, &late.expected).await;
        let fresh = Tale::new(log.log.take_over(node()).await.unwrap()).next(1, 1);
        log.append(&fresh.commit, &fresh.audit, &fresh.expected).await.unwrap();
        assert_eq!(log.head().await.unwrap(), fresh.commit.head());
    }
}
