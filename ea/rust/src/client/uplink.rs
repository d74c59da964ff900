//! The connection for what nobody answers.

use super::clock::Clock;
use super::line::{Reconnect, prepare};
use nng::options::{Options, ReconnectMaxTime, ReconnectMinTime};
use nng::{Message, PipeEvent, Protocol, Socket};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tidehelm_events::time::{Span, Timestamp};

/// PUSH, with a socket of its own for each connection.
///
/// A connection of NNG that breaks while it sends may stay among those that the socket sends to, and is used after it was
/// freed (nanomsg/nng, issues 1523 and 1653; 1.11 still does). So a socket whose connection has gone sends nothing any more
/// and makes no other: another socket takes its place.
pub(super) struct Uplink {
    address: String,
    reconnect: Reconnect,
    buffer: i32,
    socket: Socket,
    state: Arc<Mutex<State>>,
    /// When this socket began, and how long it may take to connect.
    since: Timestamp,
    clock: Clock,
    patience: Duration,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Connecting,
    Connected,
    Gone,
}

/// So long that NNG does not connect again by itself. It doubles this in 32 bits of milliseconds.
const NEVER: Duration = Duration::from_secs(10 * 24 * 3600);

impl Uplink {
    pub(super) fn open(address: &str, reconnect: Reconnect, buffer: i32) -> Result<Uplink, nng::Error> {
        let (socket, state) = dial(address, reconnect, buffer)?;
        let (address, patience, clock) = (address.to_string(), reconnect.least, Clock::start());
        Ok(Uplink { address, reconnect, buffer, socket, state, since: clock.now(), clock, patience })
    }

    /// What does not fit is lost.
    pub(super) fn tell(&mut self, message: &[u8]) {
        if self.is_over() {
            // Where there is no socket to be had now, the next message tries again.
            let Ok((socket, state)) = dial(&self.address, self.reconnect, self.buffer) else { return };
            std::mem::replace(&mut self.socket, socket).close();
            (self.state, self.since) = (state, self.clock.now());
        }
        // Held while it sends: a connection is not freed before it was said that it has gone.
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        if *state != State::Gone {
            let _ = self.socket.try_send(Message::from(message));
        }
    }

    pub(super) fn close(&self) {
        self.socket.close();
    }

    fn is_over(&mut self) -> bool {
        match *self.state.lock().unwrap_or_else(PoisonError::into_inner) {
            State::Connected => {
                self.patience = self.reconnect.least;
                false
            }
            State::Gone => true,
            State::Connecting if self.clock.now() < self.since + Span::micros(self.patience.as_micros() as i64) => {
                false
            }
            State::Connecting => {
                self.patience = (self.patience * 2).min(self.reconnect.most);
                true
            }
        }
    }
}

fn dial(address: &str, reconnect: Reconnect, buffer: i32) -> Result<(Socket, Arc<Mutex<State>>), nng::Error> {
    let socket = Socket::new(Protocol::Push0)?;
    prepare(&socket, reconnect, buffer)?;
    socket.set_opt::<ReconnectMinTime>(Some(NEVER))?;
    socket.set_opt::<ReconnectMaxTime>(Some(NEVER))?;
    let state = Arc::new(Mutex::new(State::Connecting));
    let told = Arc::clone(&state);
    socket.pipe_notify(move |_, event| {
        let mut state = told.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            PipeEvent::AddPost if *state == State::Connecting => *state = State::Connected,
            PipeEvent::RemovePost => *state = State::Gone,
            _ => {}
        }
    })?;
    socket.dial_async(address)?;
    Ok((socket, state))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::thread;

    const QUICK: Reconnect = Reconnect { least: Duration::from_millis(1), most: Duration::from_millis(10) };

    fn listen(address: &str) -> Socket {
        let socket = Socket::new(Protocol::Pull0).unwrap();
        while socket.listen(address).is_err() {
            thread::yield_now();
        }
        socket
    }

    #[test]
    fn who_listens_may_go_and_come_back_in_the_middle_of_what_is_told() {
        let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let address = format!("tcp://{free}");
        let over = Arc::new(AtomicBool::new(false));
        let tellers: Vec<_> = (0..4)
            .map(|_| {
                let (address, over) = (address.clone(), Arc::clone(&over));
                thread::spawn(move || {
                    let mut uplink = Uplink::open(&address, QUICK, 8).unwrap();
                    while !over.load(Ordering::Relaxed) {
                        uplink.tell(&[7; 300]);
                    }
                })
            })
            .collect();
        for round in 0..150 {
            let desk = listen(&address);
            let message = desk.recv().unwrap();
            assert_eq!(message.as_slice(), [7; 300], "round {round}");
            desk.close();
        }
        over.store(true, Ordering::Relaxed);
        tellers.into_iter().for_each(|teller| teller.join().unwrap());
    }
}
