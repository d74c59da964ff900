//! `session`: requests, each with its answer, in whatever order the answers come.

use super::door::{Passage, lock};
use super::outbox::Outbox;
use super::{Counters, Door, Error, Limits, PipeId, REQUESTS_MAX, SESSION_MAX, Terminals, limit};
use nng::options::{MaxTtl, Options, SendBufferSize};
use nng::{Message, Protocol, RawSocket, Socket};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use tidehelm_terminal::ear::Ear;

/// How many answers NNG holds before it spreads them over the connections.
const SEND_BUFFER: i32 = 1024;

pub(super) struct Session {
    socket: Socket,
    door: Arc<Door>,
    desk: Arc<Desk>,
    requests: Ear,
}

struct Desk {
    door: Arc<Door>,
    outbox: Outbox,
    /// How many requests of each connection wait.
    waiting: Mutex<HashMap<PipeId, usize>>,
    terminals: Arc<dyn Terminals>,
    counters: Arc<Counters>,
}

/// The answer that a request waits for.
pub struct Reply {
    desk: Arc<Desk>,
    /// Connection and id of the request.
    header: [u8; 8],
    pipe: PipeId,
}

impl Session {
    pub(super) fn open(terminals: Arc<dyn Terminals>, counters: Arc<Counters>, limits: Limits) -> Result<Self, Error> {
        let failed = |source| Error::Open { socket: "session", source };
        let socket = RawSocket::new(Protocol::Rep0).map_err(failed)?.socket;
        limit("session", &socket, SESSION_MAX)?;
        socket.set_opt::<SendBufferSize>(SEND_BUFFER).map_err(failed)?;
        // Requests come straight from who asks: the header is one hop and one id.
        socket.set_opt::<MaxTtl>(1).map_err(failed)?;
        let door = Door::new(Arc::clone(&counters), limits);
        let outbox = Outbox::new(&socket).map_err(failed)?;
        let desk = Desk { door: Arc::clone(&door), outbox, waiting: Mutex::default(), terminals, counters };
        let desk = Arc::new(desk);
        watch(&socket, &desk).map_err(failed)?;
        let taker = Arc::clone(&desk);
        let requests = Ear::open(&socket, move |message| taker.take(message)).map_err(failed)?;
        Ok(Session { socket, door, desk, requests })
    }
    pub(super) fn socket(&self) -> &Socket {
        &self.socket
    }
    pub(super) fn door(&self) -> &Door {
        &self.door
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.requests.close();
        self.desk.outbox.close();
        self.socket.close();
    }
}

fn watch(socket: &Socket, desk: &Arc<Desk>) -> Result<(), nng::Error> {
    // The socket keeps this callback, and the desk keeps the socket: it must not be kept by it in turn.
    let desk = Arc::downgrade(desk);
    socket.pipe_notify(move |pipe, event| {
        let Some(desk) = desk.upgrade() else { return };
        match desk.door.pass(pipe, event) {
            Passage::Came(peer) => desk.terminals.came(&peer),
            Passage::Gone(pipe) => {
                lock(&desk.waiting).remove(&pipe);
                desk.terminals.gone(pipe);
            }
            Passage::Nothing => {}
        }
    })
}

impl Desk {
    fn take(self: &Arc<Self>, mut message: Message) {
        self.counters.session_received.add();
        let Ok(header) = <[u8; 8]>::try_from(message.as_mut_header().as_slice()) else { return };
        let Some(peer) = message.pipe().and_then(|pipe| self.door.peer(pipe)) else { return };
        if !self.is_room(peer.pipe) {
            self.counters.session_too_many.add();
            if self.outbox.is_busy() {
                return;
            }
            return self.send(header, &self.terminals.too_many(&peer, &message));
        }
        self.terminals.session(&peer, &message, Reply { desk: Arc::clone(self), header, pipe: peer.pipe });
    }

    /// Counts the request in, where there is room.
    fn is_room(&self, pipe: PipeId) -> bool {
        let mut waiting = lock(&self.waiting);
        let count = waiting.entry(pipe).or_default();
        let room = *count < REQUESTS_MAX;
        *count += usize::from(room);
        room
    }

    fn no_longer_waits(&self, pipe: PipeId) {
        let mut waiting = lock(&self.waiting);
        if let Some(count) = waiting.get_mut(&pipe) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&pipe);
            }
        }
    }

    fn send(&self, header: [u8; 8], body: &[u8]) {
        let mut message = Message::from(body);
        message.as_mut_header().push_back(&header);
        self.outbox.send(message);
    }
}

impl Reply {
    /// A success proves nothing: the answer may be lost on the way.
    pub fn send(self, body: &[u8]) {
        let desk = &self.desk;
        if !desk.door.is_inside(self.pipe) {
            return desk.counters.session_unsent.add();
        }
        desk.counters.session_answered.add();
        desk.send(self.header, body);
    }
    pub fn pipe(&self) -> PipeId {
        self.pipe
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.desk.no_longer_waits(self.pipe);
    }
}
