//! The thread that shows what is durable and saves snapshots of it, beside the desk and never in its way.

use crate::durable::Durable;
use crate::journal::Batch;
use crate::port::{Clock, Saved};
use crate::writer::Job;
use std::sync::Arc;
use std::sync::mpsc as std_mpsc;
use tidehelm_events::commit::Hash;
use tidehelm_events::id::Position;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::truth;
use tokio::sync::mpsc;

/// When a snapshot is due.
#[derive(Debug, Clone, Copy)]
pub struct Policy {
    pub every_events: u64,
    pub every: Span,
}

impl Default for Policy {
    fn default() -> Self {
        Policy { every_events: 200_000, every: Span::seconds(300) }
    }
}

pub enum Task {
    Show(Arc<Batch>),
    /// A snapshot now, whatever the policy says; the answer is where it stands, and none comes while a reaction is owed.
    Snapshot(tokio::sync::oneshot::Sender<Position>),
}

/// Batches wait here; while it is full the desk seals nothing.
pub const BATCHES_MAX: usize = 256;

pub fn spawn(
    durable: Arc<Durable>,
    jobs: mpsc::Sender<Job>,
    clock: Arc<dyn Clock>,
    policy: Policy,
) -> std::io::Result<(std_mpsc::SyncSender<Task>, std::thread::JoinHandle<()>)> {
    let (tasks, work) = std_mpsc::sync_channel(BATCHES_MAX);
    let mut projector = Projector { durable, jobs, policy, saved_at: clock.now(), clock, events: 0, drained: true };
    let thread = std::thread::Builder::new().name("projector".into()).spawn(move || {
        while let Ok(task) = work.recv() {
            match task {
                Task::Show(batch) => projector.show(&batch),
                Task::Snapshot(done) => {
                    projector.snapshot();
                    projector.answer(done);
                }
            }
        }
    })?;
    Ok((tasks, thread))
}

struct Projector {
    durable: Arc<Durable>,
    jobs: mpsc::Sender<Job>,
    clock: Arc<dyn Clock>,
    policy: Policy,
    saved_at: Timestamp,
    events: u64,
    /// No reaction was owed at the end of what is shown: a snapshot of anything else would lose the debt.
    drained: bool,
}

impl Projector {
    fn show(&mut self, batch: &Arc<Batch>) {
        self.durable.take_in(batch);
        self.events += batch.records.len() as u64;
        self.drained = batch.drained;
        let due = self.events >= self.policy.every_events || self.clock.now().since(self.saved_at) >= self.policy.every;
        if due {
            self.snapshot();
        }
    }

    fn answer(&self, done: tokio::sync::oneshot::Sender<Position>) {
        if self.drained {
            // Who wanted it may have gone.
            let _ = done.send(self.durable.read(|fold| fold.truth.position()));
        }
    }

    fn snapshot(&mut self) {
        if self.events == 0 || !self.drained {
            return;
        }
        let taken = self.durable.read(|fold| {
            let whole = !fold.truth.has_quarantined();
            whole.then(|| (fold.truth.position(), fold.to_bytes()))
        });
        let Some((position, bytes)) = taken else { return };
        let at = self.clock.now();
        let hash = Hash::of(&bytes);
        let build = env!("CARGO_PKG_VERSION").to_string();
        let saved = Saved { position, schema: truth::SCHEMA, build, at, hash, bytes };
        if self.jobs.blocking_send(Job::Save(saved)).is_ok() {
            (self.saved_at, self.events) = (at, 0);
        }
    }
}
