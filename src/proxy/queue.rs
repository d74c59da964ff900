//! Who waits for an endpoint that has room: first come, first served, among those who can use the room.

use std::collections::{BTreeMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tidehelm_events::id::EndpointId;
use tokio::sync::Notify;

#[derive(Default)]
pub struct Queue {
    length: AtomicUsize,
    waiters: Mutex<Waiters>,
}

#[derive(Default)]
struct Waiters {
    next: u64,
    /// Those who were not called yet.
    list: VecDeque<Waiter>,
    /// Who was called for which endpoint, and has not taken it yet.
    called: BTreeMap<u64, EndpointId>,
}

struct Waiter {
    number: u64,
    wants: Vec<EndpointId>,
    call: Arc<Notify>,
}

/// A place in the queue, until it is dropped.
pub struct Waiting<'a> {
    queue: &'a Queue,
    number: u64,
    call: Arc<Notify>,
}

impl Queue {
    pub fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    fn waiters(&self) -> MutexGuard<'_, Waiters> {
        self.waiters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody waits for one of these already.
    pub fn has_others(&self, wants: impl FnOnce() -> Vec<EndpointId>) -> bool {
        if self.len() == 0 {
            return false;
        }
        let wants = wants();
        self.waiters().list.iter().any(|waiter| waiter.wants.iter().any(|id| wants.contains(id)))
    }

    /// A place at the end; none where as many wait as may.
    pub fn enter(&self, wants: Vec<EndpointId>, most: usize) -> Option<Waiting<'_>> {
        let next = |length: usize| (length < most).then_some(length + 1);
        self.length.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok()?;
        let call = Arc::new(Notify::new());
        let mut waiters = self.waiters();
        let number = waiters.next;
        waiters.next += 1;
        waiters.list.push_back(Waiter { number, wants, call: call.clone() });
        Some(Waiting { queue: self, number, call })
    }

    /// Calls the first one who can use this endpoint.
    pub fn freed(&self, endpoint: EndpointId) {
        if self.len() == 0 {
            return;
        }
        self.waiters().call(endpoint);
    }
}

impl Waiters {
    fn call(&mut self, endpoint: EndpointId) {
        let first = self.list.iter().position(|waiter| waiter.wants.contains(&endpoint));
        if let Some(waiter) = first.and_then(|first| self.list.remove(first)) {
            self.called.insert(waiter.number, endpoint);
            waiter.call.notify_one();
        }
    }
}

impl Waiting<'_> {
    /// Comes back when it was called, or after a while: true if it was called.
    pub async fn turn(&self, peek_every: Duration) -> bool {
        tokio::time::timeout(peek_every, self.call.notified()).await.is_ok()
    }

    /// Nobody who came before waits for one of these.
    pub fn is_first(&self, wants: &[EndpointId]) -> bool {
        let waiters = self.queue.waiters();
        let before = waiters.list.iter().take_while(|waiter| waiter.number < self.number);
        before.flat_map(|waiter| &waiter.wants).all(|id| !wants.contains(id))
    }

    /// It has an endpoint: it needs no call any more.
    pub fn served(&self) {
        self.queue.waiters().called.remove(&self.number);
    }

    /// There was nothing for it: it waits again, where it stood.
    pub fn again(&self, wants: Vec<EndpointId>) {
        let mut waiters = self.queue.waiters();
        waiters.called.remove(&self.number);
        waiters.list.retain(|waiter| waiter.number != self.number);
        let at = waiters.list.partition_point(|waiter| waiter.number < self.number);
        waiters.list.insert(at, Waiter { number: self.number, wants, call: self.call.clone() });
    }
}

impl Drop for Waiting<'_> {
    /// A call that it did not use goes to the next one.
    fn drop(&mut self) {
        let mut waiters = self.queue.waiters();
        waiters.list.retain(|waiter| waiter.number != self.number);
        if let Some(endpoint) = waiters.called.remove(&self.number) {
            waiters.call(endpoint);
        }
        drop(waiters);
        self.queue.length.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;

    const AT_ONCE: Duration = Duration::from_secs(60);

    fn id(number: u128) -> EndpointId {
        EndpointId(uuid::Uuid::from_u128(number))
    }

    #[tokio::test]
    async fn who_came_first_is_called_first_if_it_can_use_the_room() {
        let queue = Queue::default();
        let one = queue.enter(vec![id(1)], 3).unwrap();
        let both = queue.enter(vec![id(1), id(2)], 3).unwrap();
        let other = queue.enter(vec![id(2)], 3).unwrap();
        assert!(queue.enter(vec![id(1)], 3).is_none(), "it is full");
        assert!(queue.has_others(|| vec![id(2)]) && !queue.has_others(|| vec![id(3)]));
        queue.freed(id(2));
        assert!(both.turn(AT_ONCE).now_or_never().is_some() && other.turn(AT_ONCE).now_or_never().is_none());
        // Somebody was faster: it stands where it stood.
        both.again(vec![id(1), id(2)]);
        queue.freed(id(2));
        assert!(both.turn(AT_ONCE).now_or_never().is_some());
        queue.freed(id(1));
        assert!(one.turn(AT_ONCE).now_or_never().is_some());
        drop((one, both));
        queue.freed(id(2));
        assert!(other.turn(AT_ONCE).now_or_never().is_some());
        drop(other);
        assert_eq!((queue.len(), queue.waiters().list.len()), (0, 0));
    }

    #[tokio::test]
    async fn a_call_that_is_not_used_goes_to_the_next_one() {
        let queue = Queue::default();
        let enter = || queue.enter(vec![id(1)], 9).unwrap();
        let (left, next, last) = (enter(), enter(), enter());
        assert!(left.is_first(&[id(1)]) && !next.is_first(&[id(1)]) && next.is_first(&[id(2)]));
        queue.freed(id(1));
        drop(left);
        assert_eq!(next.turn(AT_ONCE).now_or_never(), Some(true));
        next.served();
        drop(next);
        assert_eq!(last.turn(AT_ONCE).now_or_never(), None, "it was used");
        assert!(last.is_first(&[id(1)]));
        drop(last);
        assert_eq!((queue.len(), queue.waiters().called.len()), (0, 0));
    }
}
