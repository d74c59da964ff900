//! `uplink`: what nobody answers. Taken in by NNG's thread, looked at on one of our own.

use super::door::{Passage, lock};
use super::{Counters, Door, Error, Limits, Peer, Terminals, UPLINK_MAX, limit};
use nng::{Message, Protocol, Socket};
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::JoinHandle;
use tidehelm_terminal::ear::Ear;

pub(super) struct Uplink {
    socket: Socket,
    door: Arc<Door>,
    queue: Arc<Queue>,
    messages: Ear,
    reader: Option<JoinHandle<()>>,
}

struct Queue {
    inside: Mutex<Inside>,
    filled: Condvar,
    limits: Limits,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Inside {
    messages: VecDeque<(Peer, Message)>,
    bytes: usize,
    closed: bool,
}

impl Uplink {
    pub(super) fn open(terminals: Arc<dyn Terminals>, counters: Arc<Counters>, limits: Limits) -> Result<Self, Error> {
        let failed = |source| Error::Open { socket: "uplink", source };
        let socket = Socket::new(Protocol::Pull0).map_err(failed)?;
        limit("uplink", &socket, UPLINK_MAX)?;
        let door = Door::new(Arc::clone(&counters), limits);
        watch(&socket, &door).map_err(failed)?;
        let (inside, filled) = (Mutex::default(), Condvar::new());
        let queue = Arc::new(Queue { inside, filled, limits, counters });
        let reader = read(Arc::clone(&queue), terminals)?;
        let messages = hear(&socket, Arc::clone(&door), Arc::clone(&queue)).map_err(failed)?;
        Ok(Uplink { socket, door, queue, messages, reader: Some(reader) })
    }
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }
    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}

impl Drop for Uplink {
    fn drop(&mut self) {
        self.messages.close();
        self.socket.close();
        lock(&self.queue.inside).closed = true;
        self.queue.filled.notify_all();
        if let Some(reader) = self.reader.take() {
            // It panicked if this fails, and has said so.
            let _ = reader.join();
        }
    }
}

fn watch(socket: &Socket, door: &Arc<Door>) -> Result<(), nng::Error> {
    let door = Arc::clone(door);
    socket.pipe_notify(move |pipe, event| match door.pass(pipe, event) {
        Passage::Came(_) | Passage::Gone(_) | Passage::Nothing => {}
    })
}

fn hear(socket: &Socket, door: Arc<Door>, queue: Arc<Queue>) -> Result<Ear, nng::Error> {
    Ear::open(socket, move |mut message| {
        if let Some(peer) = message.pipe().and_then(|pipe| door.peer(pipe)) {
            queue.push(peer, message);
        }
    })
}

fn read(queue: Arc<Queue>, terminals: Arc<dyn Terminals>) -> Result<JoinHandle<()>, Error> {
    let thread = std::thread::Builder::new().name("uplink".into());
    let all = move || {
        while let Some(messages) = queue.take_all() {
            for (peer, message) in messages {
                terminals.uplink(&peer, &message);
            }
        }
    };
    thread.spawn(all).map_err(|source| Error::Thread { what: "uplink", source })
}

impl Queue {
    /// What does not fit is dropped: a heartbeat comes again in a second, and an old one is worth less than none.
    fn push(&self, peer: Peer, message: Message) {
        self.counters.uplink_received.add();
        let mut inside = lock(&self.inside);
        let bytes = inside.bytes + message.len();
        if inside.messages.len() >= self.limits.queue_max || bytes > self.limits.queue_bytes_max {
            return self.counters.uplink_dropped.add();
        }
        inside.bytes = bytes;
        inside.messages.push_back((peer, message));
        if inside.messages.len() == 1 {
            self.filled.notify_one();
        }
    }

    /// Waits for something. None when the socket is closed.
    fn take_all(&self) -> Option<VecDeque<(Peer, Message)>> {
        let mut inside = lock(&self.inside);
        while inside.messages.is_empty() && !inside.closed {
            inside = self.filled.wait(inside).unwrap_or_else(PoisonError::into_inner);
        }
        inside.bytes = 0;
        let messages = std::mem::take(&mut inside.messages);
        (!inside.closed).then_some(messages)
    }
}
