//! The two connections to the desk. They are made again when they break.

use super::uplink::Uplink;
use super::{Addresses, Error};
use crate::ear::Ear;
use crate::wire::MESSAGE_MAX;
use nng::options::{Options, ReconnectMaxTime, ReconnectMinTime, RecvBufferSize, RecvMaxSize, SendBufferSize};
use nng::{Message, PipeEvent, Protocol, RawSocket, Socket};
use std::sync::Arc;
use std::time::Duration;

/// How long to wait before connecting again, at least in the beginning and at most later.
#[derive(Debug, Clone, Copy)]
pub struct Reconnect {
    pub least: Duration,
    pub most: Duration,
}

/// What happens on a line.
#[derive(Debug)]
pub enum Word {
    Connected,
    Disconnected,
    Answer { tag: u32, message: Vec<u8> },
}

pub struct Line {
    /// Raw, so that many requests are under way at once and each can be said again.
    session: Socket,
    uplink: Uplink,
    answers: Ear,
}

/// What waits while a connection is busy. What does not fit is lost, and the terminal says it again.
const REQUESTS: i32 = 64;
const TELEMETRY: i32 = 8;

impl Line {
    /// Connects in the background, again and again until it is dropped. `tell` is called by threads of NNG.
    pub fn open(
        addresses: &Addresses,
        reconnect: Reconnect,
        tell: impl Fn(Word) + Send + Sync + 'static,
    ) -> Result<Self, Error> {
        let at = |address: &str| {
            let address = address.to_string();
            move |source| Error::Address { address, source }
        };
        let tell: Arc<Tell> = Arc::new(tell);
        let session = session(reconnect, &tell).map_err(at(&addresses.session))?;
        let answer = move |mut message: Message| {
            if let Ok(tag) = <[u8; 4]>::try_from(message.as_mut_header().as_slice()) {
                tell(Word::Answer { tag: u32::from_be_bytes(tag), message: message.to_vec() });
            }
        };
        let answers = Ear::open(&session, answer).map_err(at(&addresses.session))?;
        session.dial_async(&addresses.session).map_err(at(&addresses.session))?;
        let uplink = Uplink::open(&addresses.uplink, reconnect, TELEMETRY).map_err(at(&addresses.uplink))?;
        Ok(Line { session, uplink, answers })
    }

    pub fn ask(&self, tag: u32, message: &[u8]) {
        let mut request = Message::from(message);
        request.as_mut_header().push_back(&tag.to_be_bytes());
        let _ = self.session.try_send(request);
    }
    pub fn tell(&mut self, message: &[u8]) {
        self.uplink.tell(message);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.answers.close();
        self.session.close();
        self.uplink.close();
    }
}

type Tell = dyn Fn(Word) + Send + Sync;

fn session(reconnect: Reconnect, tell: &Arc<Tell>) -> Result<Socket, nng::Error> {
    let socket = RawSocket::new(Protocol::Req0)?.socket;
    prepare(&socket, reconnect, REQUESTS)?;
    socket.set_opt::<RecvBufferSize>(REQUESTS)?;
    let tell = Arc::clone(tell);
    socket.pipe_notify(move |_, event| match event {
        PipeEvent::AddPost => tell(Word::Connected),
        PipeEvent::RemovePost => tell(Word::Disconnected),
        _ => {}
    })?;
    Ok(socket)
}

pub(super) fn prepare(socket: &Socket, reconnect: Reconnect, buffer: i32) -> Result<(), nng::Error> {
    socket.set_opt::<RecvMaxSize>(MESSAGE_MAX + 4)?;
    socket.set_opt::<SendBufferSize>(buffer)?;
    socket.set_opt::<ReconnectMinTime>(Some(reconnect.least))?;
    socket.set_opt::<ReconnectMaxTime>(Some(reconnect.most))
}
