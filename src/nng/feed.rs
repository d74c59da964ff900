//! `feed`: what happened, for whoever looks on. Never anything that has to arrive.

use super::door::Passage;
use super::{Counters, Door, Error, FEED_MAX, Limits, limit};
use nng::options::{Options, SendBufferSize};
use nng::{Message, Protocol, Socket};
use std::sync::Arc;

/// How many messages a subscriber may be behind.
const BEHIND_MAX: i32 = 256;

pub(super) struct Feed {
    socket: Socket,
    door: Arc<Door>,
    counters: Arc<Counters>,
}

impl Feed {
    pub(super) fn open(counters: Arc<Counters>, limits: Limits) -> Result<Self, Error> {
        let failed = |source| Error::Open { socket: "feed", source };
        let socket = Socket::new(Protocol::Pub0).map_err(failed)?;
        limit("feed", &socket, FEED_MAX)?;
        socket.set_opt::<SendBufferSize>(BEHIND_MAX).map_err(failed)?;
        let door = Door::new(Arc::clone(&counters), limits);
        let watch = Arc::clone(&door);
        let notify = socket.pipe_notify(move |pipe, event| match watch.pass(pipe, event) {
            Passage::Came(_) | Passage::Gone(_) | Passage::Nothing => {}
        });
        notify.map_err(failed)?;
        Ok(Feed { socket, door, counters })
    }
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }
    pub(super) fn door(&self) -> &Door {
        &self.door
    }

    pub(super) fn publish(&self, topic: &str, document: &[u8]) {
        let mut message = Message::with_capacity(topic.len() + 1 + document.len());
        message.push_back(topic.as_bytes());
        message.push_back(b" ");
        message.push_back(document);
        match self.socket.try_send(message) {
            Ok(()) => self.counters.feed_published.add(),
            Err(_) => self.counters.feed_dropped.add(),
        }
    }
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.socket.close();
    }
}
