//! From a change to everybody who watches: `cargo bench --bench live -- [SOCKETS]`, 1,000 without it.
//!
//! A server in a process of its own, a caller that switches an account on and off, and clients that note when they hear of it.
//! Time runs from before the request is sent, so that it includes the commit; beside it stands the time of the answer, which
//! includes the commit too. The clients run here, on the same machine.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use futures_util::StreamExt;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};
use tokio_tungstenite::connect_async;
use tokio_tungstenite::tungstenite::Message;

const CHANGES: usize = 200;
const ACCOUNTS: usize = 1000;

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let asked = std::env::args().skip(1).find_map(|argument| argument.parse().ok());
    let sockets: usize = asked.unwrap_or(1000);
    println!(
        "{:<64}  {:>9}  {:>9}  {:>9}  {:>9}",
        "milliseconds, request to client", "p50", "p99", "max", "server CPU"
    );
    for (what, sockets, pause, beats) in [
        ("10 clients, 20 changes a second", 10, 50, false),
        ("all clients, 20 changes a second", sockets, 50, false),
        ("all clients, changes as fast as they are answered", sockets, 0, false),
        ("all clients, 20 changes and 1,000 heartbeats a second", sockets, 50, true),
    ] {
        let place = std::env::var_os("TIDEHELM_BENCH_DIR").map_or_else(|| std::env::current_dir().unwrap(), Into::into);
        let dir = tempfile::Builder::new().prefix(".bench-").tempdir_in(place).unwrap();
        let server = Server::start(dir.path(), sockets);
        let measured = measure(&server, sockets, Duration::from_millis(pause), beats);
        measured.print(&format!("{what} ({sockets})"));
    }
}

struct Server {
    child: Child,
    base: String,
}

impl Server {
    fn start(dir: &Path, sockets: usize) -> Server {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
        command.args(["serve", "--bind", "127.0.0.1:0", "--set", "http.auth=off", "--set", "actors.mailbox=10000"]);
        command.arg("--set").arg(format!("http.ws_clients_max={}", sockets.max(1))).arg("--data").arg(dir);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let base = line.trim().strip_prefix("Tidehelm is at ").unwrap().to_string();
        Server { child, base }
    }

    fn post(&self, agent: &ureq::Agent, path: &str, body: &str) -> String {
        let answer = agent.post(format!("{}{path}", self.base)).send(body).unwrap();
        answer.headers().get("tidehelm-events").map(|events| events.to_str().unwrap().to_string()).unwrap_or_default()
    }

    /// Seconds of processor time so far.
    fn cpu(&self) -> f64 {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap().split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        ticks / 100.0
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Measured {
    told: Vec<f64>,
    answered: Vec<f64>,
    cpu_share: f64,
    cpu_a_delivery: f64,
}

impl Measured {
    fn print(mut self, what: &str) {
        let heard = self.told.len();
        let row = |values: &mut Vec<f64>| {
            values.sort_by(f64::total_cmp);
            let at = |share: f64| values[((values.len() - 1) as f64 * share) as usize] * 1e3;
            (at(0.5), at(0.99), at(1.0))
        };
        let (told, answered) = (row(&mut self.told), row(&mut self.answered));
        let cpu = format!("{:.0} %", self.cpu_share * 100.0);
        println!("{what:<64}  {:>9.2}  {:>9.2}  {:>9.2}  {cpu:>9}", told.0, told.1, told.2);
        let beside = format!("  its answers beside it; {heard} deliveries, {:.1} µs each", self.cpu_a_delivery * 1e6);
        println!("{beside:<64}  {:>9.2}  {:>9.2}  {:>9.2}", answered.0, answered.1, answered.2);
    }
}

fn measure(server: &Server, sockets: usize, pause: Duration, beats: bool) -> Measured {
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let registration = r#"{"platform":"MT5","broker":"Demo","server":"Demo-1","trade_allowed":true}"#;
    for account in 0..if beats { ACCOUNTS } else { 1 } {
        server.post(&agent, &format!("/api/accounts/master/M_{account}/register"), registration);
    }
    let (ready, heard) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let url = format!("{}/ws", server.base.replace("http://", "ws://"));
    let clients = std::thread::spawn({
        let (ready, heard) = (ready.clone(), heard.clone());
        move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let watch = |_| tokio::spawn(watch(url.clone(), ready.clone(), heard.clone()));
                let tasks: Vec<_> = (0..sockets).map(watch).collect();
                let mut all = Vec::new();
                for task in tasks {
                    all.extend(task.await.unwrap());
                }
                all
            })
        }
    });
    while ready.load(Ordering::Relaxed) < sockets {
        std::thread::sleep(Duration::from_millis(10));
    }
    let beating = Arc::new(AtomicUsize::new(usize::from(beats)));
    let heart = std::thread::spawn({
        let (beating, base) = (beating.clone(), server.base.clone());
        move || beat(&base, &beating)
    });
    std::thread::sleep(Duration::from_secs(2));
    let (cpu, started) = (server.cpu(), Instant::now());
    let (mut sent, mut answered) = (BTreeMap::new(), Vec::new());
    for change in 0..CHANGES {
        let begun = Instant::now();
        let body = if change % 2 == 0 { r#"{"enabled":true}"# } else { r#"{"enabled":false}"# };
        let events = server.post(&agent, "/api/accounts/master/M_0/toggle", body);
        answered.push(begun.elapsed().as_secs_f64());
        sent.insert(events.split("..").next().unwrap().parse::<u64>().unwrap(), begun);
        std::thread::sleep(pause.saturating_sub(begun.elapsed()));
    }
    while heard.load(Ordering::Relaxed) < sockets * CHANGES {
        std::thread::sleep(Duration::from_millis(5));
    }
    let (used, took) = (server.cpu() - cpu, started.elapsed().as_secs_f64());
    beating.store(0, Ordering::Relaxed);
    heart.join().unwrap();
    let told: Vec<f64> = clients.join().unwrap().iter().map(|(at, when)| (*when - sent[at]).as_secs_f64()).collect();
    assert_eq!(told.len(), sockets * CHANGES, "everybody heard of everything");
    Measured { told, answered, cpu_share: used / took, cpu_a_delivery: used / (sockets * CHANGES) as f64 }
}

/// One client: when it heard of each change.
async fn watch(url: String, ready: Arc<AtomicUsize>, heard: Arc<AtomicUsize>) -> Vec<(u64, Instant)> {
    let (mut socket, _) = connect_async(url).await.unwrap();
    let mut told = Vec::with_capacity(CHANGES);
    while told.len() < CHANGES {
        let Some(Ok(message)) = socket.next().await else { panic!("the server closed a session") };
        let Message::Text(text) = message else { continue };
        if told.is_empty() && text.contains(r#""type":"snapshot""#) && text.contains(r#""part":1,"#) {
            ready.fetch_add(1, Ordering::Relaxed);
        }
        if text.contains(r#""kind":"intent_set""#) {
            let position = text.strip_prefix(r#"{"position":"#).unwrap().split(',').next().unwrap().parse().unwrap();
            told.push((position, Instant::now()));
            heard.fetch_add(1, Ordering::Relaxed);
        }
    }
    told
}

/// Every account beats once a second, in ten lists.
fn beat(base: &str, beating: &AtomicUsize) {
    let agent: ureq::Agent = ureq::Agent::config_builder().build().into();
    let mut round = 0;
    while beating.load(Ordering::Relaxed) > 0 {
        let begun = Instant::now();
        let share = ACCOUNTS / 10;
        let list: Vec<String> = (0..share).map(|index| heartbeat(round % 10 * share + index, round)).collect();
        agent.post(format!("{base}/api/heartbeats")).send(format!("[{}]", list.join(","))).unwrap();
        round += 1;
        std::thread::sleep(Duration::from_millis(100).saturating_sub(begun.elapsed()));
    }
}

fn heartbeat(account: usize, round: usize) -> String {
    format!(
        r#"{{"role":"master","account":"M_{account}","balance":"1000.00","equity":"{round}.50","free_margin":"900.00","open_positions":1,"trade_allowed":true}}"#
    )
}
