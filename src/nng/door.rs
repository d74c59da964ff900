//! The door of a socket: who comes in, and who is in.

use super::{Counters, Limits, Peer, PipeId, Via, remote, socket_addr};
use nng::{Listener, Pipe, PipeEvent};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections of the relay: their port here, and whom they are for.
pub(super) type Passes = Arc<Mutex<HashMap<u16, SocketAddr>>>;

pub(crate) struct Door {
    inside: Mutex<Inside>,
    /// The listener that is for the relay only.
    relay: Mutex<Vec<Listener>>,
    passes: Passes,
    limits: Limits,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Inside {
    peers: HashMap<Pipe, Peer>,
    pipes: HashMap<PipeId, Pipe>,
}

static LAST_ID: AtomicU64 = AtomicU64::new(0);

/// What a pipe's event was.
pub(super) enum Passage {
    Came(Peer),
    Gone(PipeId),
    Nothing,
}

impl Door {
    pub(super) fn new(counters: Arc<Counters>, limits: Limits) -> Arc<Self> {
        let (inside, relay, passes) = (Mutex::default(), Mutex::default(), Passes::default());
        Arc::new(Door { inside, relay, passes, limits, counters })
    }
    pub(super) fn passes(&self) -> Passes {
        Arc::clone(&self.passes)
    }
    pub(super) fn open_for_relay(&self, listener: Listener) {
        lock(&self.relay).push(listener);
    }
    pub(super) fn peer(&self, pipe: Pipe) -> Option<Peer> {
        lock(&self.inside).peers.get(&pipe).copied()
    }
    pub(super) fn is_inside(&self, pipe: PipeId) -> bool {
        lock(&self.inside).pipes.contains_key(&pipe)
    }
    pub(super) fn disconnect(&self, pipe: PipeId) {
        let inside = lock(&self.inside).pipes.get(&pipe).copied();
        if let Some(pipe) = inside {
            pipe.close();
        }
    }

    /// A pipe is known before its first message can come, and until after its last.
    pub(super) fn pass(&self, pipe: Pipe, event: PipeEvent) -> Passage {
        match event {
            PipeEvent::AddPre => self.come_in(pipe),
            PipeEvent::AddPost => self.peer(pipe).map_or(Passage::Nothing, Passage::Came),
            PipeEvent::RemovePost => self.go_out(pipe),
            _ => Passage::Nothing,
        }
    }

    fn come_in(&self, pipe: Pipe) -> Passage {
        let peer = self.identify(pipe);
        let mut inside = lock(&self.inside);
        let Some(peer) = peer.filter(|_| inside.peers.len() < self.limits.pipes_max) else {
            drop(inside);
            self.counters.pipes_refused.add();
            pipe.close();
            return Passage::Nothing;
        };
        inside.peers.insert(pipe, peer);
        inside.pipes.insert(peer.pipe, pipe);
        self.counters.pipes_opened.add();
        Passage::Nothing
    }

    fn go_out(&self, pipe: Pipe) -> Passage {
        let mut inside = lock(&self.inside);
        let Some(peer) = inside.peers.remove(&pipe) else { return Passage::Nothing };
        inside.pipes.remove(&peer.pipe);
        self.counters.pipes_closed.add();
        Passage::Gone(peer.pipe)
    }

    /// None for somebody who came by the relay's listener and is not the relay.
    fn identify(&self, nng: Pipe) -> Option<Peer> {
        let pipe = PipeId(LAST_ID.fetch_add(1, Ordering::Relaxed) + 1);
        let address = remote(nng);
        let inet = address.as_ref().and_then(socket_addr);
        if nng.listener().is_some_and(|listener| lock(&self.relay).contains(&listener)) {
            let whom = lock(&self.passes).get(&inet?.port()).copied()?;
            return Some(Peer { pipe, via: Via::Tls, address: Some(whom) });
        }
        let via = match (&address, inet) {
            (_, Some(inet)) if inet.ip().to_canonical().is_loopback() => Via::Loopback,
            (Some(nng::SocketAddr::Ipc(_)), _) => Via::Ipc,
            _ => Via::Remote,
        };
        Some(Peer { pipe, via, address: inet })
    }
}

/// What the lock guards is whole after every line that holds it.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
