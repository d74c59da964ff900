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
}

impl Outbox {
    pub(super) fn new(socket: &Socket) -> Result<Self, nng::Error> {
        let queue = Arc::new(Mutex::new(Queue::default()));
        let (next, to) = (Arc::clone(&queue), socket.clone());
        let aio = Aio::new(move |aio, done| {
            if matches!(done, AioResult::Send(Err((_, nng::Error::Closed)))) {
                return;
            }
            send_next(&next, &to, &aio);
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
        queue.messages.push_back(message);
        if !std::mem::replace(&mut queue.sending, true) {
            drop(queue);
            send_next(&self.queue, &self.socket, &self.aio);
        }
    }
}

impl Drop for Outbox {
    fn drop(&mut self) {
        // An operation that ends inside its own callback would wait for itself.
        self.aio.wait();
    }
}

fn send_next(queue: &Mutex<Queue>, socket: &Socket, aio: &Aio) {
    let mut queue = lock(queue);
    let Some(message) = queue.messages.pop_front() else {
        queue.sending = false;
        return;
    };
    drop(queue);
    // It fails only where the socket is closed: nobody is there to be answered.
    let _ = socket.send_async(aio, message);
}
