//! The sockets that terminals speak to, over NNG. Frames pass through as bytes: who may say what is not known here.
//!
//! | Socket | NNG | Why so |
//! |---|---|---|
//! | session | raw REP | one receive takes requests in the order in which they came; a request that waits is its 8-byte header, so that 10,000 parked polls cost nothing but their connections |
//! | uplink | PULL | one receive feeds a queue with a limit in messages and bytes; what does not fit is dropped, newest first, and counted |
//! | feed | PUB | read-only; a subscriber that does not keep up loses messages |
//!
//! Every socket has a maximum size of messages, checked by NNG before it allocates; whoever claims more is disconnected. A peer
//! that never reads holds at most its socket's buffers and 64 answers; NNG drops what does not fit there.
//!
//! NNG as it is built here has no TLS. SP over TLS is SP inside a TLS stream, so a relay ends TLS and passes the bytes to
//! a listener of its own on the loopback device, which takes connections of the relay only.

mod counters;
mod door;
mod feed;
mod outbox;
mod session;
mod tls;
mod uplink;

#[cfg(test)]
mod tests;

pub use counters::Counters;
pub use session::Reply;

use door::Door;
use feed::Feed;
use nng::options::transport::{ipc, tcp};
use nng::options::{LocalAddr, Options, RecvMaxSize, RemAddr};
use nng::{Listener, ListenerBuilder, Pipe, Socket};
use session::Session;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use tidehelm_terminal::wire;
use tls::Relay;
use uplink::Uplink;

/// Who is spoken to. Calls come from NNG's threads and must not wait for anything.
pub trait Terminals: Send + Sync + 'static {
    /// A message on `uplink`: a frame or a batch. From one thread, one after the other.
    fn uplink(&self, peer: &Peer, message: &[u8]);
    /// A request on `session`. Those of one connection come in the order in which they were sent. A reply that is dropped
    /// leaves the request without an answer.
    fn session(&self, peer: &Peer, message: &[u8], reply: Reply);
    /// The answer to a request of a connection that has [`REQUESTS_MAX`] unanswered ones.
    fn too_many(&self, peer: &Peer, message: &[u8]) -> Vec<u8>;
    /// A connection of `session` is there, and can be answered. Its first request may have come before.
    fn came(&self, peer: &Peer);
    /// A connection of `session` is gone. Replies to it go nowhere.
    fn gone(&self, pipe: PipeId);
}

/// The most requests of one connection that wait for an answer.
pub const REQUESTS_MAX: usize = 32;

/// A connection. No two ever have the same number, not even on different sockets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PipeId(pub u64);

/// Who is at the other end of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Peer {
    pub pipe: PipeId,
    pub via: Via,
    /// None for a local socket, and for who was gone before we could ask.
    pub address: Option<SocketAddr>,
}

/// How a connection came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// A socket in the file system, which only our own user can open.
    Ipc,
    /// TCP from this machine to this machine.
    Loopback,
    Remote,
    Tls,
}

impl Peer {
    /// The other end is on this machine.
    pub fn is_local(&self) -> bool {
        matches!(self.via, Via::Ipc | Via::Loopback)
    }
    /// What is said cannot be read on the way.
    pub fn is_private(&self) -> bool {
        self.via != Via::Remote
    }
}

/// Where to listen: `tcp://HOST:PORT`, `tls+tcp://HOST:PORT` or `ipc:///PATH`. Port 0 takes any.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    pub uplink: Vec<String>,
    pub session: Vec<String>,
    pub feed: Vec<String>,
    /// Wanted for `tls+tcp`.
    pub tls: Option<Arc<rustls::ServerConfig>>,
    pub limits: Limits,
}

#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The most connections of a socket.
    pub pipes_max: usize,
    /// What waits on `uplink` until it is looked at.
    pub queue_max: usize,
    pub queue_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits { pipes_max: 20_000, queue_max: 65_536, queue_bytes_max: 32 << 20 }
    }
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot open the socket for {socket}")]
    Open {
        socket: &'static str,
        #[source]
        source: nng::Error,
    },
    #[error("cannot listen for {socket} on {address}")]
    Listen {
        socket: &'static str,
        address: String,
        #[source]
        source: nng::Error,
    },
    #[error("cannot listen with TLS for {socket} on {address}")]
    Tls {
        socket: &'static str,
        address: String,
        #[source]
        source: std::io::Error,
    },
    #[error("cannot start a thread for {what}")]
    Thread {
        what: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("`{0}` is no address to listen on: write tcp://HOST:PORT, tls+tcp://HOST:PORT or ipc:///PATH")]
    Address(String),
    #[error("{0} needs a certificate: set tls.cert and tls.key")]
    NoCertificate(String),
}

/// The open sockets. They close when this is dropped.
pub struct Sockets {
    session: Session,
    uplink: Uplink,
    feed: Feed,
    bound: Bound,
    counters: Arc<Counters>,
    #[cfg_attr(not(test), expect(dead_code, reason = "they relay until they are dropped"))]
    relays: Vec<Relay>,
}

/// Where the sockets are to be found, with the ports that were given.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bound {
    pub uplink: Vec<String>,
    pub session: Vec<String>,
    pub feed: Vec<String>,
}

impl Sockets {
    pub fn open(listen: &Listen, terminals: Arc<dyn Terminals>) -> Result<Self, Error> {
        let counters = Arc::new(Counters::default());
        let mut relays = Vec::new();
        let session = Session::open(Arc::clone(&terminals), Arc::clone(&counters), listen.limits)?;
        let uplink = Uplink::open(terminals, Arc::clone(&counters), listen.limits)?;
        let feed = Feed::open(Arc::clone(&counters), listen.limits)?;
        let mut place = |name, socket: &Socket, door: &Door, addresses: &[String]| {
            let each =
                addresses.iter().map(|address| bind(name, socket, door, address, listen.tls.as_ref(), &mut relays));
            each.collect::<Result<Vec<_>, _>>()
        };
        let bound = Bound {
            uplink: place("uplink", uplink.socket(), uplink.door(), &listen.uplink)?,
            session: place("session", session.socket(), session.door(), &listen.session)?,
            feed: place("feed", feed.socket(), feed.door(), &listen.feed)?,
        };
        Ok(Sockets { session, uplink, feed, bound, counters, relays })
    }

    pub fn bound(&self) -> &Bound {
        &self.bound
    }
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
    /// The same, for who outlives the sockets.
    pub fn shared_counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
    /// Tells everybody who subscribed to the topic, or to a beginning of it: `topic {json}`.
    pub fn publish(&self, topic: &str, document: &[u8]) {
        self.feed.publish(topic, document);
    }
    /// Breaks a connection off, wherever it is.
    pub fn disconnect(&self, pipe: PipeId) {
        self.session.door().disconnect(pipe);
        self.uplink.door().disconnect(pipe);
    }
}

/// Begins to listen, and says where.
fn bind(
    name: &'static str,
    socket: &Socket,
    door: &Door,
    address: &str,
    tls: Option<&Arc<rustls::ServerConfig>>,
    relays: &mut Vec<Relay>,
) -> Result<String, Error> {
    if let Some(outer) = address.strip_prefix("tls+tcp://") {
        let config = tls.ok_or_else(|| Error::NoCertificate(address.into()))?;
        let inner = listen_at(name, socket, "tcp://127.0.0.1:0")?;
        let inner_at = inner.1.ok_or_else(|| Error::Address(address.into()))?;
        door.open_for_relay(inner.0);
        let source = |source| Error::Tls { socket: name, address: address.into(), source };
        let relay = Relay::start(outer, inner_at, Arc::clone(config), door.passes()).map_err(source)?;
        let bound = format!("tls+tcp://{}", relay.address());
        relays.push(relay);
        return Ok(bound);
    }
    if !address.starts_with("tcp://") && !address.starts_with("ipc://") {
        return Err(Error::Address(address.into()));
    }
    let (_, at) = listen_at(name, socket, address)?;
    Ok(at.map_or_else(|| address.into(), |at| format!("tcp://{at}")))
}

/// The listener, and its address where it is TCP.
fn listen_at(name: &'static str, socket: &Socket, address: &str) -> Result<(Listener, Option<SocketAddr>), Error> {
    let failed = |source| Error::Listen { socket: name, address: address.into(), source };
    let builder = ListenerBuilder::new(socket, address).map_err(failed)?;
    if address.starts_with("ipc://") {
        builder.set_opt::<ipc::Permissions>(0o600).map_err(failed)?;
    } else {
        // A machine that vanished is noticed, even where nothing is said.
        builder.set_opt::<tcp::KeepAlive>(true).map_err(failed)?;
    }
    let listener = builder.start().map_err(|(_, error)| failed(error))?;
    let at = listener.get_opt::<LocalAddr>().ok().and_then(|at| socket_addr(&at));
    Ok((listener, at))
}

/// The most bytes of a message on a socket, set before it listens.
fn limit(name: &'static str, socket: &Socket, max: usize) -> Result<(), Error> {
    socket.set_opt::<RecvMaxSize>(max).map_err(|source| Error::Open { socket: name, source })
}

/// The address as std knows it: the binding leaves the port in network order.
fn socket_addr(address: &nng::SocketAddr) -> Option<SocketAddr> {
    match address {
        nng::SocketAddr::Inet(at) => Some(SocketAddr::new(IpAddr::V4(*at.ip()), u16::from_be(at.port()))),
        nng::SocketAddr::Inet6(at) => Some(SocketAddr::new(IpAddr::V6(*at.ip()), u16::from_be(at.port()))),
        _ => None,
    }
}

fn remote(pipe: Pipe) -> Option<nng::SocketAddr> {
    pipe.get_opt::<RemAddr>().ok()
}

/// The header of REQ and REP before the body: the id of the request.
const REQUEST_ID: usize = 4;
/// The most bytes of a message on `session`, on `uplink`, and on `feed`, where nobody has anything to say.
const SESSION_MAX: usize = wire::MESSAGE_MAX + REQUEST_ID;
const UPLINK_MAX: usize = wire::UPLINK_MAX;
const FEED_MAX: usize = 1024;
