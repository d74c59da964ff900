//! What passes through the sockets, as numbers that only grow, and how many are there now.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        #[derive(Debug, Default)]
        pub struct Counters { $($(#[$doc])* pub(super) $name: Count),* }

        impl Counters {
            $($(#[$doc])* pub fn $name(&self) -> u64 {
                self.$name.0.load(Ordering::Relaxed)
            })*
        }
    };
}

counters! {
    /// Connections that came, on all sockets.
    pipes_opened;
    pipes_closed;
    /// Connections that were turned away: too many, or not of the relay.
    pipes_refused;
    session_received;
    session_answered;
    /// Answers that had nobody to go to any more.
    session_unsent;
    /// Requests beyond those that one connection may have waiting.
    session_too_many;
    uplink_received;
    /// Messages for which there was no room.
    uplink_dropped;
    feed_published;
    /// Messages that the feed itself could not take.
    feed_dropped;
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counters {
    /// Connections that are there.
    pub fn pipes(&self) -> u64 {
        self.pipes_opened().saturating_sub(self.pipes_closed())
    }
}
