//! The dashboard of a desk that has had a million requests: `cargo bench --bench overview -- [REQUESTS]`.
//!
//! A log of requests is written as the desk writes it, 100 endpoints, 20 models and 1,000 clients. Then the server itself is
//! started on it, in a process of its own: without a snapshot, so that it reads all of it, and again with the one that it left.
//! Time to the dashboard runs from the start of the process to the first overview with the right totals.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use serde_json::Value;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command as Process, Stdio};
use std::time::{Duration, Instant};
use tidehelm::ambient;
use tidehelm::store::{Mode, SqliteOptions, SqliteStore};
use tidehelm_actors::journal::{Journal, Limits};
use tidehelm_actors::node::{Command, Order};
use tidehelm_actors::port::CommitLog;
use tidehelm_actors::writer;
use tidehelm_events::desk;
use tidehelm_events::endpoint::{
    self, Api, Ending, Outcome, ProbeOutcome, RequestFinished, Settings, Tokens, TokensKnown,
};
use tidehelm_events::id::{DeskId, EndpointId, NodeId, Position, Principal, StreamId, Version};
use tidehelm_events::time::{Span, Timestamp};
use uuid::Uuid;

/// The binary's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

const ENDPOINTS: u64 = 100;
const MODELS: u64 = 20;
const CLIENTS: u64 = 1_000;
const ASKED: usize = 500;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let requests: u64 = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000);
    let place = std::env::var_os("TIDEHELM_BENCH_DIR").map_or_else(|| std::env::current_dir().unwrap(), Into::into);
    let temp = tempfile::Builder::new().prefix(".bench-").tempdir_in(place).unwrap();
    let dir = temp.path().join("data");
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(write(&dir, requests));
    println!("{requests} requests of {ENDPOINTS} endpoints, written in {:.1} s", began.elapsed().as_secs_f64());
    for what in ["without a snapshot, all of the log", "with the snapshot of a stop in good order"] {
        let (server, first) = Server::start(&dir, requests);
        println!("{what}: dashboard after {:.2} s", first.as_secs_f64());
        let tables = server.tables_filled();
        println!("  tables of requests are there {:.2} s later", tables.as_secs_f64());
        for path in ["overview", "stats", "model-stats?days=400", "clients", "requests?limit=100"] {
            server.measure(path);
        }
        server.stop();
    }
}

/// Writes the log.
async fn write(dir: &Path, requests: u64) {
    let mut store = SqliteStore::open(dir, Mode::Write, SqliteOptions::default()).await.unwrap();
    let node = NodeId(Uuid::from_u128(7));
    let (restored, head, _) = writer::open(&mut store, node, &[]).await.unwrap();
    let mut journal = Journal::<()>::new(restored, head, node, Limits::default());
    let mut now = Timestamp(ambient::wall().0 - i64::try_from(requests).unwrap() * 2_000);
    let id = |number: u64| EndpointId(Uuid::from_u128(0x0e9d_0000 + u128::from(number)));
    let tell = |journal: &mut Journal<()>, to: StreamId, command: Command, now: Timestamp| {
        journal.submit(Order::once(to, Principal::Desk, command, now), (), now).unwrap();
    };
    let opening = desk::Command::Open { desk: DeskId(Uuid::from_u128(3)), build: "bench".into() };
    tell(&mut journal, StreamId::Desk, Command::Desk(opening), now);
    for number in 0..ENDPOINTS {
        let (name, base_url) = (format!("box {number:03}"), format!("http://127.0.0.1:9/{number}"));
        let settings = Settings { name, base_url, health_interval_seconds: 3_600, ..Settings::default() };
        let register = endpoint::Command::Register(Box::new(settings));
        tell(&mut journal, StreamId::Endpoint(id(number)), Command::Endpoint(register), now);
        let outcome = ProbeOutcome::Answered { took: Span::millis(5) };
        let probe = endpoint::Command::TakeProbe { outcome, found: None, revision: Version(1), jitter: 5 };
        tell(&mut journal, StreamId::Endpoint(id(number)), Command::Endpoint(probe), now);
    }
    for seq in 1..=requests {
        now = now + Span::millis(2);
        let finished = finished(seq);
        let command = endpoint::Command::FinishRequest { finished: Box::new(finished), jitter: 5 };
        tell(&mut journal, StreamId::Endpoint(id(seq % ENDPOINTS)), Command::Endpoint(command), now);
        if seq.is_multiple_of(5_000) || seq == requests {
            while let Some(sealed) = journal.seal(now) {
                store.append(&sealed.commit, &sealed.audit, &sealed.expected).await.unwrap();
                journal.durable();
            }
        }
    }
    assert!(journal.durable_head().position > Position(requests));
    store.close().await.unwrap();
}

fn finished(seq: u64) -> RequestFinished {
    let good = !seq.is_multiple_of(50);
    RequestFinished {
        request: Uuid::from_u128(seq.into()),
        run: 1,
        seq,
        model: format!("model-{}", seq % MODELS),
        api: Api::ChatCompletions,
        outcome: if good { Outcome::Success } else { Outcome::UpstreamError },
        http_status: Some(if good { 200 } else { 400 }),
        tokens: Tokens { input: 200, output: 100 + seq % 50, known: TokensKnown::Reported },
        duration: Span::millis(900 + (seq % 400) as i64),
        first_byte: Some(Span::millis(60)),
        ending: Ending::StreamEnded,
        client: Some(format!("10.0.{}.{}", seq % CLIENTS / 250, seq % CLIENTS % 250)),
        key: None,
    }
}

struct Server {
    child: Child,
    base: String,
    agent: ureq::Agent,
    end: u64,
}

impl Server {
    /// Starts one, and says how long it took until the dashboard was right.
    fn start(dir: &Path, requests: u64) -> (Server, Duration) {
        let began = Instant::now();
        let mut command = Process::new(env!("CARGO_BIN_EXE_tidehelm"));
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "http.auth=off"]).arg("--data").arg(dir);
        for socket in ["uplink", "session", "feed"] {
            command.arg("--set").arg(format!("terminals.{socket}=tcp://127.0.0.1:0"));
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("Tidehelm is at ").unwrap().to_string();
        let agent = ureq::Agent::config_builder().proxy(None).build().into();
        let mut server = Server { child, base, agent, end: 0 };
        let overview = server.get("overview");
        let took = began.elapsed();
        assert_eq!(overview["stats"]["total"].as_u64(), Some(requests), "every request, once");
        assert_eq!(overview["endpoints"].as_array().map(Vec::len), Some(ENDPOINTS as usize));
        server.end = overview["position"].as_u64().unwrap();
        (server, took)
    }

    fn get(&self, path: &str) -> Value {
        let text = self.text(path);
        serde_json::from_str(&text).unwrap()
    }

    fn text(&self, path: &str) -> String {
        let url = format!("{}/api/dashboard/{path}", self.base);
        self.agent.get(&url).call().unwrap().body_mut().read_to_string().unwrap()
    }

    fn tables_filled(&self) -> Duration {
        let began = Instant::now();
        while self.get("requests?limit=1")["through"].as_u64() < Some(self.end) {
            std::thread::sleep(Duration::from_millis(20));
        }
        began.elapsed()
    }

    fn measure(&self, path: &str) {
        (0..20).for_each(|_| drop(self.text(path)));
        let (mut took, mut bytes) = (Vec::with_capacity(ASKED), 0);
        for _ in 0..ASKED {
            let began = Instant::now();
            bytes = self.text(path).len();
            took.push(began.elapsed());
        }
        took.sort_unstable();
        let millis = |at: usize| took[at].as_secs_f64() * 1e3;
        let (p50, p99, max) = (millis(ASKED / 2), millis(ASKED * 99 / 100), millis(ASKED - 1));
        println!("  {path:<24} p50 {p50:>7.2} ms  p99 {p99:>7.2} ms  max {max:>7.2} ms  {:>5} KiB", bytes / 1024);
    }

    fn stop(mut self) {
        Process::new("kill").args(["-TERM", &self.child.id().to_string()]).status().unwrap();
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
