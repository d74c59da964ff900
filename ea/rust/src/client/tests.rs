//! The client against a desk of a few lines, over real sockets.

mod file;

use super::*;
use crate::terminal::tests::{Desk, change, figures, open_order, settings};
use crate::wire::sample::{order, order_id, result};
use nng::options::{LocalAddr, Options};
use nng::{Listener, Message, Protocol, RawSocket, Socket};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tidehelm_events::trade::{Order, Outcome, Stamps, Ticket};

/// Waits until it is so, and fails where it never is.
fn until(what: &str, is_so: impl Fn() -> bool) {
    let clock = Clock::start();
    let start = clock.now();
    while !is_so() {
        assert!(clock.now().since(start).0 < 30_000_000, "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// A desk that listens. Dropped, it is gone; what it knows is kept.
struct Served {
    desk: Arc<Mutex<Desk>>,
    session: Socket,
    uplink: Socket,
    addresses: Addresses,
    threads: Vec<JoinHandle<()>>,
}

impl Served {
    fn new() -> Self {
        Served::at("tcp://127.0.0.1:0", Arc::default())
    }
    fn at(address: &str, desk: Arc<Mutex<Desk>>) -> Self {
        let session = RawSocket::new(Protocol::Rep0).unwrap().socket;
        let uplink = Socket::new(Protocol::Pull0).unwrap();
        let listen =
            |socket: &Socket, address: &str| match Listener::new(socket, address).unwrap().get_opt::<LocalAddr>() {
                Ok(nng::SocketAddr::Inet(at)) => format!("tcp://127.0.0.1:{}", u16::from_be(at.port())),
                other => panic!("{other:?}"),
            };
        let addresses = Addresses { session: listen(&session, address), uplink: listen(&uplink, "tcp://127.0.0.1:0") };
        let (from, to) = (session.clone(), Arc::clone(&desk));
        let answering = std::thread::spawn(move || {
            while let Ok(mut message) = from.recv() {
                let header: [u8; 8] = message.as_mut_header().as_slice().try_into().unwrap();
                let mut desk = lock(&to);
                let answered = desk.hear_from(header, &message);
                let spoken = desk.speak_to();
                drop(desk);
                answered.into_iter().chain(spoken).for_each(|(header, answer)| send(&from, header, &answer));
            }
        });
        Served { desk, session, uplink, addresses, threads: vec![answering] }
    }
    fn speak(&self) {
        let spoken = lock(&self.desk).speak_to();
        spoken.into_iter().for_each(|(header, answer)| send(&self.session, header, &answer));
    }
    fn order(&self, number: u64) -> OrderId {
        let id = order_id(u128::from(number));
        let (instruction, stamps) = (open_order(), Stamps::default());
        lock(&self.desk).outbox.push(Order { id, seq: number, instruction, deadline: None, stamps, ..order() });
        self.speak();
        id
    }
    fn results(&self) -> Vec<(OrderId, Outcome)> {
        lock(&self.desk).results.iter().map(|result| (result.order, result.outcome)).collect()
    }
    fn signals(&self) -> Vec<Ticket> {
        lock(&self.desk).signals.clone()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.session.close();
        self.uplink.close();
        self.threads.drain(..).for_each(|thread| thread.join().unwrap());
        lock(&self.desk).poll = None;
    }
}

fn send(socket: &Socket, header: [u8; 8], answer: &[u8]) {
    let mut message = Message::from(answer);
    message.as_mut_header().push_back(&header);
    let _ = socket.send(message);
}

impl Desk {
    fn hear_from(&mut self, header: [u8; 8], message: &[u8]) -> Option<([u8; 8], Vec<u8>)> {
        let tag = u32::from_be_bytes(header[4..].try_into().unwrap());
        let answer = self.hear(tag, message, clock::wall());
        if answer.is_none() {
            self.poll_from = header;
        }
        answer.map(|(_, answer)| (header, answer))
    }
    fn speak_to(&mut self) -> Option<([u8; 8], Vec<u8>)> {
        self.speak(clock::wall()).map(|(_, answer)| (self.poll_from, answer))
    }
}

/// A broker whose executions are counted, and which may be made to wait.
#[derive(Clone, Default)]
struct Hands {
    executed: Arc<Mutex<Vec<OrderId>>>,
    recovered: Arc<AtomicUsize>,
    stuck: Arc<AtomicBool>,
}

impl Broker for Hands {
    fn execute(&mut self, execution: &Execution) -> OrderResult {
        lock(&self.executed).push(execution.order.id);
        until("the broker goes on", || !self.stuck.load(Ordering::SeqCst));
        OrderResult { outcome: Outcome::Filled, ..result(execution.order.id) }
    }
    fn recover(&mut self, execution: &Execution) -> Option<OrderResult> {
        self.recovered.fetch_add(1, Ordering::SeqCst);
        let known = lock(&self.executed).contains(&execution.order.id);
        known.then(|| OrderResult { outcome: Outcome::Filled, ..result(execution.order.id) })
    }
    fn trades(&mut self) -> Vec<Held> {
        Vec::new()
    }
}

/// A memory that is kept in memory, and may be full.
#[derive(Default)]
struct Slate {
    known: Recollection,
    full: bool,
}

impl Memory for Slate {
    fn recollection(&self) -> Recollection {
        self.known.clone()
    }
    fn keep(&mut self, record: &Record) -> Result<(), MemoryError> {
        self.known.apply(record);
        match self.full {
            false => Ok(()),
            true => Err(MemoryError::Io {
                doing: "write",
                path: "slate".into(),
                source: std::io::ErrorKind::StorageFull.into(),
            }),
        }
    }
}

fn start(served: &Served, hands: &Hands, memory: impl Memory) -> Client {
    let client = Client::start(&served.addresses, settings(), hands.clone(), memory).unwrap();
    client.figures(figures());
    until("it is live", || client.status().phase == Phase::Live);
    client
}

#[test]
fn it_registers_tells_signals_and_executes_orders() {
    let (served, hands) = (Served::new(), Hands::default());
    let client = start(&served, &hands, Slate::default());
    (1..=50).for_each(|ticket| client.changed(change(ticket), None));
    until("the signals are there", || served.signals().len() == 50);
    assert_eq!(served.signals(), (1..=50).map(Ticket).collect::<Vec<_>>());
    let ids: Vec<OrderId> = (1..=20).map(|number| served.order(number)).collect();
    until("the results are there", || served.results().len() == 20);
    assert_eq!(*lock(&hands.executed), ids);
    let heartbeat = served.uplink.recv().unwrap();
    assert!(crate::wire::decode::<crate::wire::Request>(&heartbeat).is_ok());
    client.leave();
    until("it has left", || client.status().phase == Phase::Gone);
    assert_eq!(lock(&served.desk).goodbyes, 1);
}

#[test]
fn it_comes_back_to_a_desk_that_was_away() {
    let (served, hands) = (Served::new(), Hands::default());
    let client = start(&served, &hands, Slate::default());
    let first = served.order(1);
    until("the first is done", || served.results().len() == 1);
    let (address, desk) = (served.addresses.session.clone(), Arc::clone(&served.desk));
    drop(served);
    client.changed(change(7), None);
    assert_eq!(client.status().phase, Phase::Live);
    let served = Served::at(&address, desk);
    until("the signal is there", || served.signals() == [Ticket(7)]);
    let second = served.order(2);
    until("the second is done", || served.results().len() == 2);
    assert_eq!(*lock(&hands.executed), [first, second]);
    assert_eq!(lock(&served.desk).epoch, 1, "the same registration goes on");
}

#[test]
fn after_a_restart_an_order_that_was_with_the_broker_is_looked_up() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory");
    let (served, hands) = (Served::new(), Hands::default());
    hands.stuck.store(true, Ordering::SeqCst);
    let client = start(&served, &hands, FileMemory::open(&path).unwrap());
    let id = served.order(1);
    until("the broker has it", || lock(&hands.executed).len() == 1);
    // As a crash would: the terminal's thread ends first, and never hears of the result.
    client.tell(Input::Stop);
    until("its thread is over", || client.threads[0].is_finished());
    hands.stuck.store(false, Ordering::SeqCst);
    drop(client);
    lock(&served.desk).poll = None;
    let _client = start(&served, &hands, FileMemory::open(&path).unwrap());
    until("the result is there", || served.results() == [(id, Outcome::Filled)]);
    assert_eq!((lock(&hands.executed).len(), hands.recovered.load(Ordering::SeqCst)), (1, 1));
}

#[test]
fn what_cannot_be_remembered_is_not_done() {
    let (served, hands) = (Served::new(), Hands::default());
    let client = start(&served, &hands, Slate { full: true, ..Slate::default() });
    served.order(1);
    until("it stops", || client.status().fault.is_some());
    assert!(client.status().fault.unwrap().contains("cannot write slate"));
    drop(client);
    assert_eq!(*lock(&hands.executed), []);
}

#[test]
fn stopping_without_a_desk_ends() {
    let addresses = Addresses { session: "tcp://127.0.0.1:1".into(), uplink: "tcp://127.0.0.1:1".into() };
    let client = Client::start(&addresses, settings(), Hands::default(), Slate::default()).unwrap();
    client.changed(change(1), None);
    assert!(client.status().is_desk_silent);
    drop(client);
    let wrong = Addresses { session: "nowhere".into(), ..addresses };
    let error = Client::start(&wrong, settings(), Hands::default(), Slate::default()).err().unwrap();
    assert_eq!(error.to_string(), "cannot connect to nowhere");
}
