//! The sockets' figures, beside bare NNG in the same run: `cargo bench --bench nng`.
//!
//! `cargo bench --bench nng -- round` runs the parts whose names begin so: round, uplink, pipes.
//! `TIDEHELM_BENCH_PIPES` says how many connections there are (10,000 without it; each takes two descriptors).
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tidehelm::nng::{Listen, Peer, PipeId, Reply, Sockets, Terminals};

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ROUNDS: usize = 20_000;
const UPLINKED: usize = 500_000;
const PIPES: usize = 10_000;
/// A heartbeat in bincode, with its MAC.
const HEARTBEAT: usize = 170;
const REQ: u16 = 0x30;
const PUSH: u16 = 0x50;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let parts: [(&str, fn()); 3] = [("round", round_trip), ("uplink", uplink), ("pipes", pipes)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str())) {
            part();
        }
    }
}

#[derive(Default)]
struct Echo {
    parked: Mutex<Vec<Reply>>,
    uplinked: AtomicU64,
    gone: AtomicU64,
}

impl Terminals for Echo {
    fn uplink(&self, _: &Peer, _: &[u8]) {
        self.uplinked.fetch_add(1, Ordering::Relaxed);
    }
    fn session(&self, _: &Peer, message: &[u8], reply: Reply) {
        match message {
            b"park" => self.parked.lock().unwrap().push(reply),
            _ => reply.send(message),
        }
    }
    fn too_many(&self, _: &Peer, _: &[u8]) -> Vec<u8> {
        Vec::new()
    }
    fn came(&self, _: &Peer) {}
    fn gone(&self, _: PipeId) {
        self.gone.fetch_add(1, Ordering::Relaxed);
    }
}

fn open() -> (Arc<Echo>, Sockets) {
    let any = || vec!["tcp://127.0.0.1:0".to_string()];
    let echo = Arc::new(Echo::default());
    let listen = Listen { uplink: any(), session: any(), ..Listen::default() };
    let sockets = Sockets::open(&listen, Arc::clone(&echo) as Arc<dyn Terminals>).unwrap();
    (echo, sockets)
}

/// SP by hand: what a terminal is.
struct Sp(TcpStream);

impl Sp {
    fn connect(address: &str, protocol: u16) -> Self {
        let mut stream = TcpStream::connect(address.strip_prefix("tcp://").unwrap()).unwrap();
        stream.set_nodelay(true).unwrap();
        let [high, low] = protocol.to_be_bytes();
        stream.write_all(&[0, b'S', b'P', 0, high, low, 0, 0]).unwrap();
        stream.read_exact(&mut [0; 8]).unwrap();
        Sp(stream)
    }
    fn request(&mut self, body: &[u8]) {
        let mut message = (body.len() as u64 + 4).to_be_bytes().to_vec();
        message.extend_from_slice(&[0x80, 0, 0, 1]);
        message.extend_from_slice(body);
        self.0.write_all(&message).unwrap();
    }
    fn answer(&mut self, body: &mut [u8]) {
        let mut head = [0; 12];
        self.0.read_exact(&mut head).unwrap();
        self.0.read_exact(body).unwrap();
    }
}

fn round_trip() {
    let bare = nng::Socket::new(nng::Protocol::Rep0).unwrap();
    let listener = nng::Listener::new(&bare, "tcp://127.0.0.1:0").unwrap();
    let port = match nng::options::Options::get_opt::<nng::options::LocalAddr>(&listener).unwrap() {
        nng::SocketAddr::Inet(at) => u16::from_be(at.port()),
        other => panic!("{other}"),
    };
    let server = bare.clone();
    std::thread::spawn(move || {
        while let Ok(message) = server.recv() {
            if server.send(message).is_err() {
                return;
            }
        }
    });
    show("round trip, bare NNG (blocking REP)", &mut Sp::connect(&format!("tcp://127.0.0.1:{port}"), REQ));
    bare.close();
    let (_echo, sockets) = open();
    show("round trip, session", &mut Sp::connect(&sockets.bound().session[0], REQ));
}

fn show(what: &str, terminal: &mut Sp) {
    let body = [7; HEARTBEAT];
    let mut times: Vec<Duration> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            terminal.request(&body);
            terminal.answer(&mut [0; HEARTBEAT]);
            start.elapsed()
        })
        .collect();
    times.sort_unstable();
    let at = |share: usize| times[ROUNDS * share / 100];
    println!("{what:38} p50 {:?}, p99 {:?}", at(50), at(99));
}

fn uplink() {
    let (echo, sockets) = open();
    let mut message = (HEARTBEAT as u64).to_be_bytes().to_vec();
    message.extend_from_slice(&[7; HEARTBEAT]);
    let start = Instant::now();
    let address = &sockets.bound().uplink[0];
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let mut terminal = Sp::connect(address, PUSH);
                (0..UPLINKED / 8).for_each(|_| terminal.0.write_all(&message).unwrap());
                // Hanging up would lose what is not read yet.
                wait(|| sockets.counters().uplink_received() == UPLINKED as u64);
            });
        }
    });
    wait(|| echo.uplinked.load(Ordering::Relaxed) + sockets.counters().uplink_dropped() == UPLINKED as u64);
    let (rate, dropped) = (UPLINKED as f64 / start.elapsed().as_secs_f64(), sockets.counters().uplink_dropped());
    println!("{:38} {rate:.0} messages/s of {HEARTBEAT} bytes, {dropped} dropped", "uplink, 8 connections");
}

fn pipes() {
    let count = std::env::var("TIDEHELM_BENCH_PIPES").map_or(PIPES, |count| count.parse().unwrap());
    let (echo, sockets) = open();
    let address = &sockets.bound().session[0];
    let before = resident();
    let start = Instant::now();
    let mut terminals: Vec<Sp> = (0..count).map(|_| Sp::connect(address, REQ)).collect();
    let connected = (start.elapsed(), resident());
    terminals.iter_mut().for_each(|terminal| terminal.request(b"park"));
    wait(|| echo.parked.lock().unwrap().len() == count);
    let parked = resident();
    let each = |bytes: u64| bytes.saturating_sub(before) as f64 / count as f64 / 1024.0;
    println!("{:38} {count} in {:.1?}, {:.1} KiB each", "connections of session", connected.0, each(connected.1));
    println!("{:38} {:.1} KiB each, {} MiB in all", "with a parked poll", each(parked), parked >> 20);
    let start = Instant::now();
    echo.parked.lock().unwrap().drain(..).for_each(|reply| reply.send(&[7; HEARTBEAT]));
    terminals.iter_mut().for_each(|terminal| terminal.answer(&mut [0; HEARTBEAT]));
    println!("{:38} {:.0?}", "all polls answered and read in", start.elapsed());
    show("round trip, session, beside them", &mut terminals[0]);
    let start = Instant::now();
    drop(terminals);
    wait(|| echo.gone.load(Ordering::Relaxed) == count as u64);
    println!("{:38} {:.0?}", "all of them gone in", start.elapsed());
}

fn wait(is_so: impl Fn() -> bool) {
    let start = Instant::now();
    while !is_so() {
        assert!(start.elapsed() < Duration::from_secs(120), "waited in vain");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// What this process holds in memory, in bytes.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() << 10
}
