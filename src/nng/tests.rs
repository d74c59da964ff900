//! Against real sockets, with a terminal that speaks SP by hand.

mod hostile;
mod pynng;
mod sp;
mod tls;

use super::*;
use sp::{PROTOCOL_PUSH, PROTOCOL_REQ, PROTOCOL_SUB, Sp};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

/// Echoes; parks what starts with `park` until `free`; remembers what it heard.
#[derive(Default)]
pub(super) struct Echo {
    parked: Mutex<Vec<Reply>>,
    heard: Mutex<Vec<Vec<u8>>>,
    uplinked: Mutex<Vec<Vec<u8>>>,
    peers: Mutex<Vec<Peer>>,
    gone: Mutex<Vec<PipeId>>,
    uplink_calls: AtomicUsize,
    uplink_stuck: AtomicBool,
}

impl Terminals for Echo {
    fn uplink(&self, _peer: &Peer, message: &[u8]) {
        self.uplink_calls.fetch_add(1, Ordering::SeqCst);
        until("the test lets the uplink go on", || !self.uplink_stuck.load(Ordering::SeqCst));
        self.uplinked.lock().unwrap().push(message.to_vec());
    }
    fn session(&self, _peer: &Peer, message: &[u8], reply: Reply) {
        self.heard.lock().unwrap().push(message.to_vec());
        match message {
            b"free" => {
                self.parked.lock().unwrap().drain(..).for_each(|parked| parked.send(b"freed"));
                reply.send(b"done");
            }
            _ if message.starts_with(b"park") => self.parked.lock().unwrap().push(reply),
            b"drop" => drop(reply),
            _ => reply.send(message),
        }
    }
    fn too_many(&self, _peer: &Peer, _message: &[u8]) -> Vec<u8> {
        b"too_many_requests".to_vec()
    }
    fn came(&self, peer: &Peer) {
        self.peers.lock().unwrap().push(*peer);
    }
    fn gone(&self, pipe: PipeId) {
        self.gone.lock().unwrap().push(pipe);
    }
}

/// Waits until it is so, and fails where it never is.
pub(super) fn until(what: &str, is_so: impl Fn() -> bool) {
    let watch = crate::ambient::stopwatch();
    while !is_so() {
        assert!(watch.elapsed() < Duration::from_secs(20), "waited in vain until {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

pub(super) struct Stand {
    pub(super) echo: Arc<Echo>,
    pub(super) sockets: Sockets,
}

impl Stand {
    pub(super) fn new() -> Self {
        Stand::with(|_| {})
    }
    pub(super) fn with(change: impl FnOnce(&mut Listen)) -> Self {
        let any = || vec!["tcp://127.0.0.1:0".to_string()];
        let mut listen = Listen { uplink: any(), session: any(), feed: any(), ..Listen::default() };
        change(&mut listen);
        let echo = Arc::new(Echo::default());
        let sockets = Sockets::open(&listen, Arc::clone(&echo) as Arc<dyn Terminals>).unwrap();
        Stand { echo, sockets }
    }
    pub(super) fn session(&self) -> Sp {
        Sp::connect(&self.sockets.bound().session[0], PROTOCOL_REQ)
    }
    fn uplink(&self) -> Sp {
        Sp::connect(&self.sockets.bound().uplink[0], PROTOCOL_PUSH)
    }
    fn counters(&self) -> &Counters {
        self.sockets.counters()
    }
    /// The only one that came; its answer may be there before this is told.
    pub(super) fn peer(&self) -> Peer {
        until("somebody came", || !self.echo.peers.lock().unwrap().is_empty());
        let peers = self.echo.peers.lock().unwrap().clone();
        let [peer] = peers[..] else { panic!("one came: {peers:?}") };
        peer
    }
}

#[test]
fn a_request_gets_its_answer() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    for text in ["one", "", "three"] {
        assert_eq!(terminal.ask(text.as_bytes()), text.as_bytes());
    }
    assert_eq!((stand.counters().session_received(), stand.counters().session_answered()), (3, 3));
}

#[test]
fn requests_of_a_connection_are_taken_in_their_order() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    let texts: Vec<Vec<u8>> = (0..2000u32).map(|number| number.to_string().into_bytes()).collect();
    for burst in texts.chunks(REQUESTS_MAX) {
        burst.iter().for_each(|text| terminal.send_request(7, text));
        burst.iter().for_each(|_| assert_eq!(terminal.receive_answer().0, 7));
    }
    assert_eq!(*stand.echo.heard.lock().unwrap(), texts);
}

#[test]
fn a_parked_poll_holds_nothing_up_and_is_answered_later() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    terminal.send_request(1, b"park");
    terminal.send_request(2, b"meanwhile");
    assert_eq!(terminal.receive_answer(), (2, b"meanwhile".to_vec()));
    terminal.send_request(3, b"free");
    let mut answers = [terminal.receive_answer(), terminal.receive_answer()];
    answers.sort();
    assert_eq!(answers, [(1, b"freed".to_vec()), (3, b"done".to_vec())]);
}

#[test]
fn the_request_beyond_the_limit_is_told_so_and_room_comes_back() {
    let stand = Stand::new();
    let (mut greedy, mut other) = (stand.session(), stand.session());
    (0..REQUESTS_MAX as u32).for_each(|id| greedy.send_request(id, b"park"));
    greedy.send_request(99, b"hello");
    assert_eq!(greedy.receive_answer(), (99, b"too_many_requests".to_vec()));
    assert_eq!(other.ask(b"hello"), b"hello", "the limit is each connection's own");
    assert_eq!(other.ask(b"free"), b"done");
    (0..REQUESTS_MAX).for_each(|_| assert_eq!(greedy.receive_answer().1, b"freed"));
    assert_eq!(greedy.ask(b"again"), b"again");
    assert_eq!(stand.counters().session_too_many(), 1);
}

#[test]
fn a_request_that_nobody_answers_makes_room() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    (0..3 * REQUESTS_MAX as u32).for_each(|id| terminal.send_request(id, b"drop"));
    assert_eq!(terminal.ask(b"hello"), b"hello");
    assert_eq!(stand.counters().session_too_many(), 0);
}

#[test]
fn who_comes_and_goes_is_seen_and_polls_of_the_gone_go_nowhere() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    terminal.send_request(1, b"park");
    until("it is parked", || stand.echo.parked.lock().unwrap().len() == 1);
    let peer = stand.peer();
    assert_eq!((peer.via, peer.address), (Via::Loopback, Some(terminal.local())));
    assert!(peer.is_local() && peer.is_private());
    drop(terminal);
    until("it is gone", || *stand.echo.gone.lock().unwrap() == [peer.pipe]);
    assert_eq!(stand.session().ask(b"free"), b"done");
    assert_eq!(stand.counters().session_unsent(), 1);
}

#[test]
fn a_connection_can_be_broken_off() {
    let stand = Stand::new();
    let mut terminal = stand.session();
    assert_eq!(terminal.ask(b"hello"), b"hello");
    stand.sockets.disconnect(stand.peer().pipe);
    assert!(terminal.is_over());
}

#[test]
fn more_connections_than_the_limit_are_turned_away() {
    let stand = Stand::with(|listen| listen.limits.pipes_max = 2);
    let (mut first, mut second) = (stand.session(), stand.session());
    assert_eq!((first.ask(b"a"), second.ask(b"b")), (b"a".to_vec(), b"b".to_vec()));
    assert!(stand.session().is_over());
    assert_eq!((stand.counters().pipes(), stand.counters().pipes_refused()), (2, 1));
    drop(first);
    until("there is room", || stand.counters().pipes() == 1);
    assert_eq!(stand.session().ask(b"c"), b"c");
}

#[test]
fn the_uplink_takes_what_comes_in_its_order() {
    let stand = Stand::new();
    let mut terminal = stand.uplink();
    let texts: Vec<Vec<u8>> = (0..5000u32).map(|number| number.to_string().into_bytes()).collect();
    texts.iter().for_each(|text| terminal.send(text));
    until("all is heard", || stand.echo.uplinked.lock().unwrap().len() == texts.len());
    assert_eq!(*stand.echo.uplinked.lock().unwrap(), texts);
}

#[test]
fn what_does_not_fit_on_the_uplink_is_dropped_and_counted() {
    for bytes_max in [usize::MAX, 4 * 9] {
        let stand = Stand::with(|listen| {
            listen.limits.queue_max = if bytes_max == usize::MAX { 4 } else { usize::MAX };
            listen.limits.queue_bytes_max = bytes_max;
        });
        stand.echo.uplink_stuck.store(true, Ordering::SeqCst);
        let mut terminal = stand.uplink();
        terminal.send(b"the first");
        until("the reader is stuck", || stand.echo.uplink_calls.load(Ordering::SeqCst) == 1);
        (0..10).for_each(|_| terminal.send(b"heartbeat"));
        until("all came", || stand.counters().uplink_received() == 11);
        stand.echo.uplink_stuck.store(false, Ordering::SeqCst);
        until("the queue is read", || stand.echo.uplinked.lock().unwrap().len() == 5);
        assert_eq!(stand.counters().uplink_dropped(), 6);
    }
}

#[test]
fn the_feed_tells_those_who_subscribed() {
    let stand = Stand::new();
    let mut tool = Sp::connect(&stand.sockets.bound().feed[0], PROTOCOL_SUB);
    until("it is there", || stand.counters().pipes() == 1);
    stand.sockets.publish("status_changed", b"{\"position\":1}");
    assert_eq!(tool.receive(), b"status_changed {\"position\":1}");
    assert_eq!(stand.counters().feed_published(), 1);
}

#[test]
fn a_local_socket_is_for_our_own_user() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("session");
    let address = format!("ipc://{}", path.display());
    let stand = Stand::with(|listen| listen.session = vec![address.clone()]);
    let client = Socket::new(nng::Protocol::Req0).unwrap();
    client.dial(&address).unwrap();
    client.send(nng::Message::from(&b"hello"[..])).unwrap();
    assert_eq!(&client.recv().unwrap()[..], b"hello");
    let peer = stand.peer();
    assert_eq!((peer.via, peer.is_local()), (Via::Ipc, true));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn an_address_that_cannot_be_used_is_named() {
    let stand = Stand::new();
    let taken = stand.sockets.bound().session[0].clone();
    let open = |address: &str| {
        let listen = Listen { session: vec![address.into()], ..Listen::default() };
        let sockets = Sockets::open(&listen, Arc::new(Echo::default()));
        sockets.err().map(|error| error.to_string())
    };
    assert_eq!(open(&taken), Some(format!("cannot listen for session on {taken}")));
    assert!(open("http://127.0.0.1").unwrap().contains("is no address"));
    assert!(open("tls+tcp://127.0.0.1:0").unwrap().contains("needs a certificate"));
    assert_eq!(open("tcp://127.0.0.1:0"), None);
}

/// Parked replies outlive the sockets, and closing waits for nobody.
#[test]
fn closing_the_sockets_with_parked_polls_ends() {
    for _ in 0..20 {
        let stand = Stand::new();
        let mut terminal = stand.session();
        terminal.send_request(1, b"park");
        until("it is parked", || stand.echo.parked.lock().unwrap().len() == 1);
        let Stand { echo, sockets } = stand;
        drop(sockets);
        assert!(terminal.is_over());
        echo.parked.lock().unwrap().drain(..).for_each(|parked| parked.send(b"late"));
    }
}
