//! Whose silence ends when: one wheel for all accounts. A heartbeat costs nothing here; a deadline that turns out to lie later
//! is put back.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use tidehelm_events::id::{StreamId, StreamNo};
use tidehelm_events::time::Timestamp;
use tidehelm_events::truth::{State, Truth};

#[derive(Debug, Default)]
pub struct Watch {
    deadlines: BinaryHeap<Reverse<(Timestamp, StreamNo)>>,
    armed: Vec<bool>,
}

impl Watch {
    /// Watches every account that is online in a restored state.
    pub fn over(truth: &Truth) -> Self {
        let mut watch = Watch::default();
        (0..truth.names().len() as u32).for_each(|number| watch.arm(truth, StreamNo(number)));
        watch
    }

    /// Watches a stream that came online; does nothing where it is watched already.
    pub fn arm(&mut self, truth: &Truth, stream: StreamNo) {
        let index = stream.0 as usize;
        if self.armed.len() <= index {
            self.armed.resize(index + 1, false);
        }
        if !self.armed[index]
            && let Some(deadline) = deadline(truth, stream)
        {
            self.armed[index] = true;
            self.deadlines.push(Reverse((deadline, stream)));
        }
    }

    /// The accounts whose silence has lasted too long, and the others put back to where their deadline really lies.
    pub fn due(&mut self, truth: &Truth, now: Timestamp) -> Vec<StreamId> {
        let mut due = Vec::new();
        while let Some(Reverse((at, stream))) = self.deadlines.peek().copied() {
            if at > now {
                break;
            }
            self.deadlines.pop();
            self.armed[stream.0 as usize] = false;
            match deadline(truth, stream) {
                Some(deadline) if deadline <= now => due.extend(truth.names().get(stream).cloned()),
                Some(_) => self.arm(truth, stream),
                None => {}
            }
        }
        due
    }

    pub fn len(&self) -> usize {
        self.deadlines.len()
    }
    pub fn is_empty(&self) -> bool {
        self.deadlines.is_empty()
    }
}

fn deadline(truth: &Truth, stream: StreamNo) -> Option<Timestamp> {
    let desk = truth.desk()?;
    let State::Account(account) = &truth.slot(stream)?.state else { return None };
    account.deadline(desk.listening_since, desk.settings.timeout())
}
