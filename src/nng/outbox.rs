//! Sends without ever waiting: what the socket does not take at once goes out as soon as it does.

use super::door::lock;
use nng::{Aio, AioResult, Message, Socket};
use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

const BUSY: usize = 4096;

pub(super) struct Outbox {
    socket: Socket,
    aio: Aio,
    queue: Arc<Mutex<Queue>>,
}

#[derive(Default)]
struct Queue {
    messages: VecDeque<Message>,
    /// The one operation is under way.
    sending: bool,
    closed: bool,
}

impl Outbox {
    pub(super) fn new(socket: &Socket) -> Result<Self, nng::Error> {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let (next, to) = (Arc::clone(&queue), socket.clone());
        let aio = Aio::new(move |aio, done| {
            if !matches!(done, AioResult::Send(Err((_, nng::Error::Closed)))) {
                send_next(&mut lock(&next), &to, &aio);
            }
        })?;
        Ok(Outbox { socket: socket.clone(), aio, queue })
    }

    /// More waits than an honest desk ever has to say at once.
    pub(super) fn is_busy(&self) -> bool {
        lock(&self.queue).messages.len() > BUSY
    }

    /// The queue is as long as what waits for answers, which is bounded for each connection.
    pub(super) fn send(&self, message: Message) {
        let mut queue = lock(&self.queue);
        if queue.closed {
            return;
        }
        queue.messages.push_back(message);
        if !std::mem::replace(&mut queue.sending, true) {
            send_next(&mut queue, &self.socket, &self.aio);
        }
    }

    /// Before the socket is closed: NNG never ends an operation that begins while it is.
    pub(super) fn close(&self) {
        let mut queue = lock(&self.queue);
        queue.closed = true;
        queue.messages.clear();
        drop(queue);
        self.aio.cancel();
        self.aio.wait();
    }
}

/// The queue is held until the operation has begun.
fn send_next(queue: &mut Queue, socket: &Socket, aio: &Aio) {
    queue.sending = match queue.messages.pop_front() {
        // It fails only where the socket is closed: nobody is there to be answered.
        Some(message) => socket.send_async(aio, message).is_ok(),
        None => false,
    };
}
