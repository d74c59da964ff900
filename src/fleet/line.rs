//! The connections of one station: a raw REQ for `session`, so that many requests may wait at once, and a PUSH for `uplink`.

use nng::options::{Options, ReconnectMaxTime, ReconnectMinTime, RecvBufferSize, RecvMaxSize, SendBufferSize};
use nng::{Aio, AioResult, Message, PipeEvent, Protocol, RawSocket, Socket};
use std::sync::mpsc::Sender;
use std::time::Duration;
use tidehelm_terminal::wire::MESSAGE_MAX;

/// Where the desk listens for terminals.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub session: String,
    pub uplink: String,
}

/// What happened on a line. Its number tells it from the one that the station had before.
#[derive(Debug)]
pub struct Happening {
    pub station: usize,
    pub line: u64,
    pub what: What,
}

#[derive(Debug)]
pub enum What {
    Connected,
    Disconnected,
    Answer { tag: u32, message: Vec<u8> },
}

/// How many requests and answers NNG holds for a station.
const BUFFER: i32 = 64;

pub struct Line {
    pub number: u64,
    session: Socket,
    uplink: Socket,
    receive: Aio,
}

impl Line {
    /// Connects in the background, again and again until it is dropped.
    pub fn dial(
        addresses: &Addresses,
        station: usize,
        number: u64,
        told: &Sender<Happening>,
    ) -> Result<Line, nng::Error> {
        let session = RawSocket::new(Protocol::Req0)?.socket;
        let uplink = Socket::new(Protocol::Push0)?;
        for socket in [&session, &uplink] {
            socket.set_opt::<RecvMaxSize>(MESSAGE_MAX)?;
            socket.set_opt::<ReconnectMinTime>(Some(Duration::from_millis(50)))?;
            socket.set_opt::<ReconnectMaxTime>(Some(Duration::from_secs(1)))?;
        }
        session.set_opt::<RecvBufferSize>(BUFFER)?;
        session.set_opt::<SendBufferSize>(BUFFER)?;
        uplink.set_opt::<SendBufferSize>(8)?;
        let tell = teller(station, number, told);
        session.pipe_notify(move |_, event| match event {
            PipeEvent::AddPost => tell(What::Connected),
            PipeEvent::RemovePost => tell(What::Disconnected),
            _ => {}
        })?;
        let receive = receive(&session, teller(station, number, told))?;
        session.dial_async(&addresses.session)?;
        uplink.dial_async(&addresses.uplink)?;
        Ok(Line { number, session, uplink, receive })
    }

    /// What does not fit is lost: who gets no answer asks again.
    pub fn ask(&self, tag: u32, message: &[u8]) {
        let mut message = Message::from(message);
        message.as_mut_header().push_back(&tag.to_be_bytes());
        let _ = self.session.try_send(message);
    }

    pub fn uplink(&self, frame: &[u8]) {
        let _ = self.uplink.try_send(Message::from(frame));
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.session.close();
        self.uplink.close();
        self.receive.wait();
    }
}

fn teller(station: usize, line: u64, told: &Sender<Happening>) -> impl Fn(What) + Send + Sync + use<> {
    let told = told.clone();
    move |what| {
        // The fleet may have ended.
        let _ = told.send(Happening { station, line, what });
    }
}

/// One receive at a time, so that answers come in their order.
fn receive(socket: &Socket, tell: impl Fn(What) + Send + Sync + 'static) -> Result<Aio, nng::Error> {
    let from = socket.clone();
    let aio = Aio::new(move |aio, done| match done {
        AioResult::Recv(Ok(mut message)) => {
            let tag = <[u8; 4]>::try_from(message.as_mut_header().as_slice()).map(u32::from_be_bytes);
            if let Ok(tag) = tag {
                tell(What::Answer { tag, message: message.as_slice().to_vec() });
            }
            let _ = from.recv_async(&aio);
        }
        AioResult::Recv(Err(nng::Error::Closed)) => {}
        AioResult::Recv(Err(_)) | AioResult::Send(_) | AioResult::Sleep(_) => {
            let _ = from.recv_async(&aio);
        }
    })?;
    socket.recv_async(&aio)?;
    Ok(aio)
}
