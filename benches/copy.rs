//! Copying over NNG against the real server: `cargo bench --bench copy`.
//!
//! `cargo bench --bench copy -- idle` runs the parts whose names begin so: idle, busy, heartbeats, fan.
//! A signal's way is from the write of its bytes to the last byte of the order at the slave, durable in between; it is given as
//! a multiple of one fdatasync plus one bare NNG round trip, measured in the same run. Terminals are plain TCP that speaks SP.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidehelm_events::account::StateHash;
use tidehelm_events::id::{AccountId, Role};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{
    Affixes, Change, Contract, Entry, Holding, OrderResult, Outcome, Side, Symbol, Ticket, Trade,
};
use tidehelm_terminal::wire::{self, Answer, Codec, Delivery, Envelope, Request};

const SIGNALS: usize = 400;
const BUSY_SIGNALS: usize = 400;
const TERMINALS: usize = 10_000;
const SLAVES: usize = 1_000;
const REQ: u16 = 0x30;
const PUSH: u16 = 0x50;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|wanted| name.starts_with(wanted.as_str()));
    let base = baseline();
    if is_wanted("idle") {
        let desk = Desk::start();
        let times = signals(&desk, SIGNALS);
        show("signal in, order out, idle", times, base);
    }
    if is_wanted("busy") || is_wanted("heartbeats") {
        let desk = Desk::start();
        heartbeats(&desk, base);
    }
    if is_wanted("fan") {
        fan_out(base);
    }
}

/// One fdatasync and one bare round trip, after a rest as long as the one before each signal: a machine that sleeps is slower.
#[derive(Clone, Copy)]
struct Base {
    sync: Duration,
    round: Duration,
}

/// Before each signal, so that what the one before set in motion has come to its end.
const REST: Duration = Duration::from_millis(3);

fn baseline() -> Base {
    let dir = tempfile::tempdir().unwrap();
    let mut file = std::fs::File::create(dir.path().join("probe")).unwrap();
    let mut sync = |rest: Duration| {
        median((0..300).map(|_| {
            std::thread::sleep(rest);
            file.write_all(&[7; 4096]).unwrap();
            let start = Instant::now();
            file.sync_data().unwrap();
            start.elapsed()
        }))
    };
    let (busy_sync, rested_sync) = (sync(Duration::ZERO), sync(REST));
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
    let mut client = Sp::connect(&format!("tcp://127.0.0.1:{port}"), REQ);
    let mut round = |rest: Duration| {
        median((0..600).map(|_| {
            std::thread::sleep(rest);
            let start = Instant::now();
            client.request(1, &[7; 170]);
            client.answer();
            start.elapsed()
        }))
    };
    let (busy_round, rested_round) = (round(Duration::ZERO), round(REST));
    bare.close();
    println!(
        "one fdatasync of 4 KiB {busy_sync:?}, one bare NNG round trip {busy_round:?} (medians, one after the other)"
    );
    println!("after {REST:?} of rest {rested_sync:?} and {rested_round:?}: what the multiples below are of");
    Base { sync: rested_sync, round: rested_round }
}

fn median(times: impl Iterator<Item = Duration>) -> Duration {
    let mut times: Vec<Duration> = times.collect();
    times.sort_unstable();
    times[times.len() / 2]
}

fn show(what: &str, mut times: Vec<Duration>, base: Base) {
    times.sort_unstable();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    let one = (base.sync + base.round).as_secs_f64();
    let multiple = |time: Duration| time.as_secs_f64() / one;
    let (p50, p99, max) = (at(0.5), at(0.99), at(1.0));
    println!(
        "{what:44} p50 {p50:.2?} ({:.1} x), p99 {p99:.2?} ({:.1} x), max {max:.2?} ({:.1} x) of {}",
        multiple(p50),
        multiple(p99),
        multiple(max),
        times.len()
    );
}

/// A running server in a directory of its own.
struct Desk {
    child: Child,
    http: String,
    session: String,
    uplink: String,
    _dir: tempfile::TempDir,
}

impl Desk {
    fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
        command.arg("serve").arg("--data").arg(&data).args(["--bind", "127.0.0.1:0"]);
        for setting in [
            "http.auth=off",
            "log.level=warn",
            "terminals.uplink=tcp://127.0.0.1:0",
            "terminals.session=tcp://127.0.0.1:0",
            "terminals.feed=tcp://127.0.0.1:0",
        ] {
            command.args(["--set", setting]);
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let http = lines.next().unwrap().unwrap().rsplit(' ').next().unwrap().to_string();
        let terminals = lines.next().unwrap().unwrap();
        let address = |name: &str| {
            let rest = terminals.split(name).nth(1).unwrap().trim_start();
            rest.split([',', ' ']).next().unwrap().to_string()
        };
        let (session, uplink) = (address("session"), address("uplink"));
        // The rest of what it says is read so that it can say it.
        std::thread::spawn(move || lines.for_each(drop));
        Desk { child, http, session, uplink, _dir: dir }
    }

    fn post(&self, path: &str, body: serde_json::Value) {
        // A master that has just registered gets its group a moment later.
        let deadline = Instant::now() + Duration::from_secs(5);
        loop {
            match ureq::post(format!("{}/api/{path}", self.http)).send_json(&body) {
                Err(ureq::Error::StatusCode(404)) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                answer => return assert!(answer.unwrap().status().is_success()),
            }
        }
    }

    /// Processor time so far, and resident memory.
    fn cost(&self) -> (Duration, u64) {
        let id = self.child.id();
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).unwrap();
        let fields: Vec<&str> = stat.rsplit(')').next().unwrap().split_whitespace().collect();
        let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
        let kib: u64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
        (Duration::from_millis(ticks * 10), kib >> 10)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// SP by hand.
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
    fn push(&mut self, body: &[u8]) {
        let mut message = (body.len() as u64).to_be_bytes().to_vec();
        message.extend_from_slice(body);
        self.0.write_all(&message).unwrap();
    }
    fn request(&mut self, id: u32, body: &[u8]) {
        let mut message = (body.len() as u64 + 4).to_be_bytes().to_vec();
        message.extend_from_slice(&(id | 1 << 31).to_be_bytes());
        message.extend_from_slice(body);
        self.0.write_all(&message).unwrap();
    }
    fn answer(&mut self) -> Vec<u8> {
        let mut head = [0; 12];
        self.0.read_exact(&mut head).unwrap();
        let mut body = vec![0; u64::from_be_bytes(head[..8].try_into().unwrap()) as usize - 4];
        self.0.read_exact(&mut body).unwrap();
        body
    }
}

/// One terminal with a connection of its own.
struct Terminal {
    line: Sp,
    account: AccountId,
    role: Role,
    epoch: u64,
    seq: u64,
    order_seq: u64,
}

impl Terminal {
    fn register(desk: &Desk, role: Role, name: &str) -> Self {
        let account = AccountId::new(name).unwrap();
        let mut terminal =
            Terminal { line: Sp::connect(&desk.session, REQ), account, role, epoch: 0, seq: 0, order_seq: 0 };
        let Answer::Welcome(welcome) = terminal.ask(wire::Hello {}.into()) else { panic!("no welcome") };
        let (broker, number) = name.rsplit_once('_').unwrap();
        let contract = Contract {
            lots_step: "0.01".parse().unwrap(),
            lots_min: "0.01".parse().unwrap(),
            lots_max: "100".parse().unwrap(),
            size: "100000".parse().unwrap(),
            digits: 5,
            tick_value: "1".parse().unwrap(),
            tick_size: "0.00001".parse().unwrap(),
        };
        let register = wire::Register {
            nonce: welcome.nonce,
            identity: wire::Identity {
                platform: "bench".into(),
                account_number: number.parse().unwrap(),
                broker: broker.into(),
                server: "live".into(),
                name: name.into(),
                currency: "EUR".into(),
                leverage: 100,
                ea_version: "1".into(),
            },
            holding: Holding::Hedging,
            trade_allowed: true,
            affixes: Affixes::default(),
            contracts: BTreeMap::from([(Symbol::new("EURUSD").unwrap(), contract)]),
        };
        match terminal.ask(register.into()) {
            Answer::Registered(registered) => terminal.epoch = registered.epoch,
            other => panic!("{other:?}"),
        }
        terminal
    }
    fn frame(&mut self, body: Request) -> Vec<u8> {
        self.seq += 1;
        let Terminal { account, role, epoch, seq, .. } = self;
        let envelope =
            Envelope { account: account.clone(), role: *role, epoch: *epoch, seq: *seq, sent_at: wall(), body };
        wire::encode(&envelope, Codec::Binary)
    }
    fn say(&mut self, body: Request) {
        let frame = self.frame(body);
        self.line.request(self.seq as u32, &frame);
    }
    fn hear(&mut self) -> Answer {
        let bytes = self.line.answer();
        wire::decode::<Answer>(wire::open(&bytes).unwrap().inner).unwrap().body
    }
    fn ask(&mut self, body: Request) -> Answer {
        self.say(body);
        self.hear()
    }
    fn poll(&mut self) {
        let next = wire::Next { wait_ms: 25_000, order_seq: self.order_seq, config_version: 0 };
        self.say(next.into());
    }
    fn heartbeat(&mut self) -> Vec<u8> {
        let money = |text: &str| text.parse().unwrap();
        let heartbeat = wire::Heartbeat {
            balance: money("10000"),
            equity: money("10012.34"),
            free_margin: money("9000.5"),
            open_positions: 3,
            trade_allowed: true,
            state_hash: StateHash::default(),
            through_signal_seq: 0,
            identity: None,
        };
        self.frame(heartbeat.into())
    }
    /// Reads until an order is there; configurations on the way are asked past.
    fn order(&mut self) -> tidehelm_events::trade::Order {
        loop {
            let Answer::Deliveries(deliveries) = self.hear() else { panic!("no deliveries") };
            let mut order = None;
            for delivery in deliveries.list {
                match delivery {
                    Delivery::Order(found) => order = Some(*found),
                    Delivery::RequestSnapshot {} | Delivery::Config(_) | Delivery::Notice(_) => {}
                }
            }
            match order {
                Some(order) => {
                    self.order_seq = order.seq;
                    return order;
                }
                None => self.poll(),
            }
        }
    }
    fn done(&mut self, order: &tidehelm_events::trade::Order) {
        let result = OrderResult {
            order: order.id,
            outcome: Outcome::Filled,
            ticket: Some(Ticket(order.seq)),
            price: None,
            lots: None,
            sl: None,
            tp: None,
            error: None,
            received_at: None,
            done_at: None,
        };
        match self.ask(result.into()) {
            Answer::Accepted(_) => {}
            other => panic!("{other:?}"),
        }
    }
}

fn wall() -> Timestamp {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    Timestamp(since.as_micros() as i64)
}

fn signal(number: u64) -> Request {
    let ticket = Ticket(number.div_ceil(2));
    let change = match number % 2 {
        1 => Change::Open(Trade {
            ticket,
            symbol: Symbol::new("EURUSD").unwrap(),
            side: Side::Buy,
            entry: Entry::Market,
            lots: "0.10".parse().unwrap(),
            price: "1.08".parse().unwrap(),
            sl: None,
            tp: None,
            magic: 0,
            comment: String::new(),
        }),
        _ => Change::Close { ticket, ratio: None, remaining: None, price: None },
    };
    wire::Signal { signal_seq: number, change, broker_at: None, seen_at: wall() }.into()
}

/// Master and slaves that are connected.
fn cast(desk: &Desk, slaves: usize) -> (Terminal, Vec<Terminal>) {
    let mut master = Terminal::register(desk, Role::Master, "Bench_1");
    desk.post("trade-groups/Bench_1/toggle", serde_json::json!({"enabled": true}));
    let mut uplink = Sp::connect(&desk.uplink, PUSH);
    let mut all: Vec<Terminal> =
        (0..slaves).map(|number| Terminal::register(desk, Role::Slave, &format!("Slave_{number}"))).collect();
    for slave in &all {
        let member = serde_json::json!({"slave_account": slave.account.as_str(), "enabled": true});
        desk.post("trade-groups/Bench_1/members", member);
    }
    for terminal in all.iter_mut().chain([&mut master]) {
        let heartbeat = terminal.heartbeat();
        uplink.push(&heartbeat);
    }
    std::thread::sleep(Duration::from_millis(300 + slaves as u64 / 2));
    // Hanging up would lose what is not read yet; it was read by now.
    drop(uplink);
    (master, all)
}

fn signals(desk: &Desk, count: usize) -> Vec<Duration> {
    let (mut master, mut slaves) = cast(desk, 1);
    let slave = &mut slaves[0];
    let mut uplink = Sp::connect(&desk.uplink, PUSH);
    let mut times = Vec::new();
    for number in 1..=count as u64 {
        if number.is_multiple_of(50) {
            let beats = [master.heartbeat(), slave.heartbeat()];
            beats.iter().for_each(|beat| uplink.push(beat));
        }
        slave.poll();
        std::thread::sleep(REST);
        let frame = master.frame(signal(number));
        let start = Instant::now();
        master.line.request(number as u32, &frame);
        let order = slave.order();
        times.push(start.elapsed());
        assert!(matches!(master.hear(), Answer::Accepted(_)));
        slave.done(&order);
    }
    times
}

/// 10,000 connected terminals, each with a parked poll and a heartbeat a second; then signals beside that; then as many
/// heartbeats as go.
fn heartbeats(desk: &Desk, base: Base) {
    let count = std::env::var("TIDEHELM_BENCH_TERMINALS").map_or(TERMINALS, |count| count.parse().unwrap());
    let start = Instant::now();
    let mut terminals: Vec<Terminal> =
        (0..count).map(|number| Terminal::register(desk, Role::Slave, &format!("Many_{number}"))).collect();
    println!("{count} terminals registered one after the other in {:.1?}", start.elapsed());
    terminals.iter_mut().for_each(Terminal::poll);
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let uplink = Sp::connect(&desk.uplink, PUSH);
    let frames: Vec<Terminal> = terminals;
    let sender = std::thread::spawn({
        let (stop, sent) = (stop.clone(), sent.clone());
        move || beat(frames, uplink, &stop, &sent)
    });
    std::thread::sleep(Duration::from_secs(5));
    let (before, _) = desk.cost();
    let (from, began) = (sent.load(Ordering::Relaxed), Instant::now());
    std::thread::sleep(Duration::from_secs(10));
    let (after, rss) = desk.cost();
    let rate = (sent.load(Ordering::Relaxed) - from) as f64 / began.elapsed().as_secs_f64();
    let core = (after - before).as_secs_f64() / began.elapsed().as_secs_f64();
    println!(
        "{rate:.0} heartbeats/s from {count} connected terminals: {:.0} % of a core, {rss} MiB resident",
        core * 100.0
    );
    let times = signals(desk, BUSY_SIGNALS);
    show(&format!("signal in, order out, beside {rate:.0} heartbeats/s"), times, base);
    stop.store(true, Ordering::Relaxed);
    let terminals = sender.join().unwrap();
    flood(desk, terminals);
}

/// A heartbeat of each terminal each second, evenly.
fn beat(mut terminals: Vec<Terminal>, mut uplink: Sp, stop: &AtomicBool, sent: &AtomicU64) -> Vec<Terminal> {
    let slices = 100;
    let slice = terminals.len().div_ceil(slices);
    let start = Instant::now();
    for turn in 0.. {
        if stop.load(Ordering::Relaxed) {
            break;
        }
        let from = (turn % slices) * slice;
        for terminal in terminals.iter_mut().skip(from).take(slice) {
            let heartbeat = terminal.heartbeat();
            uplink.push(&heartbeat);
            sent.fetch_add(1, Ordering::Relaxed);
        }
        let due = start + Duration::from_millis(10 * (turn as u64 + 1));
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    terminals
}

/// As many heartbeats as the desk takes: what the log holds of them afterwards counts.
fn flood(desk: &Desk, mut terminals: Vec<Terminal>) {
    let mut uplink = Sp::connect(&desk.uplink, PUSH);
    let position = || {
        let mut answer = ureq::get(format!("{}/api/status", desk.http)).call().unwrap();
        let status: serde_json::Value = answer.body_mut().read_json().unwrap();
        status["position"].as_u64().unwrap()
    };
    let batches: Vec<Vec<u8>> = (0..30)
        .flat_map(|_| {
            let mut batches = Vec::new();
            let mut batch = wire::Batch::default();
            for terminal in &mut terminals {
                let heartbeat = terminal.heartbeat();
                if !batch.push(&heartbeat) {
                    batches.push(batch.take());
                    assert!(batch.push(&heartbeat));
                }
            }
            batches.push(batch.take());
            batches
        })
        .collect();
    let sent = 30 * terminals.len() as u64;
    std::thread::sleep(Duration::from_secs(1));
    let (before, began) = (position(), Instant::now());
    batches.iter().for_each(|batch| uplink.push(batch));
    let (mut last, mut at) = (before, began);
    while at.elapsed() < Duration::from_secs(2) {
        let now = position();
        if now > last {
            (last, at) = (now, Instant::now());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    let taken = last - before;
    let rate = taken as f64 / (at - began).as_secs_f64();
    println!(
        "heartbeats as fast as they go, in batches       {rate:.0}/s durable; {taken} of {sent} taken, the rest counted as dropped"
    );
}

/// One signal, 1,000 slaves with a connection and a parked poll each.
fn fan_out(base: Base) {
    let desk = Desk::start();
    let (mut master, mut slaves) = cast(&desk, SLAVES);
    let mut firsts = Vec::new();
    let mut lasts = Vec::new();
    for number in 1..=10 {
        slaves.iter_mut().for_each(Terminal::poll);
        std::thread::sleep(Duration::from_millis(500));
        let frame = master.frame(signal(number));
        let start = Instant::now();
        master.line.request(number as u32, &frame);
        let mut orders = Vec::with_capacity(slaves.len());
        for slave in &mut slaves {
            orders.push(slave.order());
            if orders.len() == 1 {
                firsts.push(start.elapsed());
            }
        }
        lasts.push(start.elapsed());
        assert!(matches!(master.hear(), Answer::Accepted(_)));
        slaves.iter_mut().zip(&orders).for_each(|(slave, order)| slave.done(order));
    }
    show(&format!("fan-out to {SLAVES} slaves, first order"), firsts, base);
    show(&format!("fan-out to {SLAVES} slaves, last order"), lasts, base);
}
