//! What people may see: the fold of what is durable, and the last events for those who follow.

use crate::journal::Batch;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::Duration;
use tidehelm_events::commit::Head;
use tidehelm_events::id::Position;
use tidehelm_events::view::Fold;
use tokio::sync::watch;

/// Followers that are further behind than this read from the log instead.
const RECENT_EVENTS: usize = 20_000;

pub struct Durable {
    fold: RwLock<Fold>,
    recent: Mutex<Recent>,
    head: watch::Sender<Head>,
}

#[derive(Default)]
struct Recent {
    batches: VecDeque<Arc<Batch>>,
    events: usize,
}

impl Durable {
    pub fn new(fold: Fold, head: Head) -> Arc<Self> {
        Arc::new(Durable { fold: RwLock::new(fold), recent: Mutex::default(), head: watch::Sender::new(head) })
    }

    /// Looks at the durable state. It stands still while `look` runs, so `look` is brief.
    pub fn read<R>(&self, look: impl FnOnce(&Fold) -> R) -> R {
        look(&self.fold.read().unwrap_or_else(PoisonError::into_inner))
    }

    pub fn head(&self) -> Head {
        *self.head.borrow()
    }

    pub fn subscribe(&self) -> watch::Receiver<Head> {
        self.head.subscribe()
    }

    /// Waits until the state shows `position`; false if it does not within the time.
    pub async fn shows(&self, position: Position, within: Duration) -> bool {
        let mut head = self.subscribe();
        let reached = head.wait_for(|head| head.position >= position);
        matches!(tokio::time::timeout(within, reached).await, Ok(Ok(_)))
    }

    /// The batches with events after a position, oldest first; none if some of them are not kept here any more.
    pub fn recent(&self, after: Position) -> Option<Vec<Arc<Batch>>> {
        let recent = self.lock();
        let first = recent.batches.front()?.records.first()?.position;
        if first > after.next() {
            return None;
        }
        let start = recent.batches.partition_point(|batch| batch.head.position <= after);
        Some(recent.batches.range(start..).cloned().collect())
    }

    /// Takes in the next durable commit.
    pub fn take_in(&self, batch: &Arc<Batch>) {
        {
            let mut fold = self.fold.write().unwrap_or_else(PoisonError::into_inner);
            if fold.truth.position() >= batch.head.position {
                return;
            }
            if let Err(unbelievable) = fold.truth.learn(&batch.names) {
                panic!("a durable commit that the fold does not believe: {unbelievable}");
            }
            for record in &batch.records {
                if let Err(unbelievable) = fold.apply(record) {
                    panic!("a durable commit that the fold does not believe: {unbelievable}");
                }
            }
        }
        self.remember(batch);
        self.head.send_replace(batch.head);
    }

    /// Starts again from what the log says.
    pub fn reset(&self, fold: Fold, head: Head) {
        *self.fold.write().unwrap_or_else(PoisonError::into_inner) = fold;
        *self.lock() = Recent::default();
        self.head.send_replace(head);
    }

    fn remember(&self, batch: &Arc<Batch>) {
        let mut recent = self.lock();
        recent.events += batch.records.len();
        recent.batches.push_back(batch.clone());
        while recent.events > RECENT_EVENTS && recent.batches.len() > 1 {
            let Some(oldest) = recent.batches.pop_front() else { return };
            recent.events -= oldest.records.len();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Recent> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
