//! The two connections to the desk. NNG makes them again when they break.

use super::{Addresses, Error, Input};
use crate::wire::MESSAGE_MAX;
use nng::options::{Options, ReconnectMaxTime, ReconnectMinTime, RecvMaxSize, SendBufferSize};
use nng::{Aio, AioResult, Message, PipeEvent, Protocol, RawSocket, Socket};
use std::sync::mpsc::Sender;
use std::time::Duration;

const RECONNECT_MIN: Duration = Duration::from_millis(100);
const RECONNECT_MAX: Duration = Duration::from_secs(10);
/// What waits while a connection is busy. What does not fit is lost, and the terminal says it again.
const SEND_BUFFER: i32 = 64;

pub(super) struct Line {
    /// Raw, so that many requests are under way at once and each can be said again.
    session: Socket,
    uplink: Socket,
    receive: Aio,
}

impl Line {
    pub(super) fn open(addresses: &Addresses, terminal: &Sender<Input>) -> Result<Self, Error> {
        let at = |address: &str| {
            let address = address.to_string();
            move |source| Error::Address { address, source }
        };
        let session = session(&addresses.session, terminal).map_err(at(&addresses.session))?;
        let receive = receive(&session, terminal).map_err(at(&addresses.session))?;
        let uplink = uplink(&addresses.uplink).map_err(at(&addresses.uplink))?;
        Ok(Line { session, uplink, receive })
    }

    pub(super) fn ask(&self, tag: u32, message: &[u8]) {
        let mut request = Message::from(message);
        request.as_mut_header().push_back(&tag.to_be_bytes());
        let _ = self.session.try_send(request);
    }
    pub(super) fn tell(&self, message: &[u8]) {
        let _ = self.uplink.try_send(Message::from(message));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.session.close();
        self.uplink.close();
        // An operation that ends inside its own callback would wait for itself.
        self.receive.wait();
    }
}

fn session(address: &str, terminal: &Sender<Input>) -> Result<Socket, nng::Error> {
    let socket = RawSocket::new(Protocol::Req0)?.socket;
    prepare(&socket)?;
    let terminal = terminal.clone();
    socket.pipe_notify(move |_, event| {
        let input = match event {
            PipeEvent::AddPost => Input::Connected,
            PipeEvent::RemovePost => Input::Disconnected,
            _ => return,
        };
        let _ = terminal.send(input);
    })?;
    socket.dial_async(address)?;
    Ok(socket)
}

fn uplink(address: &str) -> Result<Socket, nng::Error> {
    let socket = Socket::new(Protocol::Push0)?;
    prepare(&socket)?;
    socket.dial_async(address)?;
    Ok(socket)
}

fn prepare(socket: &Socket) -> Result<(), nng::Error> {
    socket.set_opt::<RecvMaxSize>(MESSAGE_MAX + 4)?;
    socket.set_opt::<SendBufferSize>(SEND_BUFFER)?;
    socket.set_opt::<ReconnectMinTime>(Some(RECONNECT_MIN))?;
    socket.set_opt::<ReconnectMaxTime>(Some(RECONNECT_MAX))
}

fn receive(session: &Socket, terminal: &Sender<Input>) -> Result<Aio, nng::Error> {
    let (from, terminal) = (session.clone(), terminal.clone());
    let aio = Aio::new(move |aio, done| match done {
        AioResult::Recv(Ok(mut message)) => {
            if let Ok(tag) = <[u8; 4]>::try_from(message.as_mut_header().as_slice()) {
                let _ = terminal.send(Input::Heard(u32::from_be_bytes(tag), message.to_vec()));
            }
            let _ = from.recv_async(&aio);
        }
        AioResult::Recv(Err(nng::Error::Closed)) => {}
        AioResult::Recv(Err(_)) | AioResult::Send(_) | AioResult::Sleep(_) => {
            let _ = from.recv_async(&aio);
        }
    })?;
    session.recv_async(&aio)?;
    Ok(aio)
}
