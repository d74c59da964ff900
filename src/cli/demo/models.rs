//! The demo's endpoints: simulated LLM servers that answer at different speeds, fail now and then, and one that comes and goes;
//! and clients that ask them through the proxy.

use super::Admin;
use crate::cli::output::CliError;
use crate::load::{self, Options};
use crate::upstream::{Behaviour, Fault, Upstream};
use serde_json::json;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;
use tidehelm_events::endpoint::Kind;

const SMALL: &str = "llama-3.1-8b";
const LARGE: &str = "qwen2.5-32b";
/// The one that comes and goes is there for so long, and then away.
const THERE: Duration = Duration::from_secs(50);
const AWAY: Duration = Duration::from_secs(20);
/// How often whoever waits looks whether it is over.
const LOOK: Duration = Duration::from_millis(200);

/// Running servers and their clients, until it is dropped.
pub struct Models {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
    /// Those that only answer.
    _servers: Vec<Upstream>,
}

struct Client {
    name: &'static str,
    model: &'static str,
    at_a_time: usize,
    streaming: u32,
}

const CLIENTS: [Client; 3] = [
    Client { name: "assistant", model: SMALL, at_a_time: 3, streaming: 80 },
    Client { name: "summaries", model: SMALL, at_a_time: 1, streaming: 0 },
    Client { name: "research", model: LARGE, at_a_time: 2, streaming: 50 },
];

impl Models {
    pub(super) fn start(admin: &Admin, desk: &str, seed: u64) -> Result<Models, CliError> {
        let failed = |error| CliError::failed("cannot start a simulated LLM server").caused_by(error);
        let mut models = Models { stop: Arc::default(), threads: Vec::new(), _servers: Vec::new() };
        for (number, (name, behaviour)) in servers(seed).into_iter().enumerate() {
            let server = Upstream::start(behaviour).map_err(failed)?;
            // Asked often, so that what it does is seen soon.
            let body = json!({"name": name, "base_url": server.url(), "tags": ["demo"], "health_interval_seconds": 5});
            admin.text("/api/endpoints", &body, "id")?;
            match number {
                0 | 1 => models._servers.push(server),
                _ => models.beside(move |stop| come_and_go(&server, &stop)),
            }
        }
        for Client { name, model, at_a_time, streaming } in CLIENTS {
            let key = admin.text("/api/proxy/keys", &json!({"name": name}), "key")?;
            let options = Options {
                url: desk.into(),
                key: Some(key),
                model: model.into(),
                concurrency: at_a_time,
                threads: 1,
                run_for: Duration::from_secs(60),
                requests_max: u64::MAX,
                streaming,
                prompt_bytes: 600,
                answer_within: Duration::from_secs(30),
                rest_after_error: Duration::from_millis(500),
            };
            models.beside(move |stop| ask_on(&options, &stop));
        }
        Ok(models)
    }

    fn beside(&mut self, work: impl FnOnce(Arc<AtomicBool>) + Send + 'static) {
        let stop = self.stop.clone();
        self.threads.push(std::thread::spawn(move || work(stop)));
    }
}

impl Drop for Models {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Release);
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

fn servers(seed: u64) -> [(&'static str, Behaviour); 3] {
    let millis = Duration::from_millis;
    let both = || vec![SMALL.to_string(), LARGE.to_string()];
    let fast = Behaviour {
        kind: Kind::Vllm,
        models: vec![SMALL.into()],
        latency: (millis(60), millis(180)),
        tokens: 80,
        pace: millis(8),
        seed,
        ..Behaviour::default()
    };
    let slow = Behaviour {
        kind: Kind::Ollama,
        models: both(),
        latency: (millis(200), millis(700)),
        tokens: 60,
        pace: millis(25),
        faults: vec![(Fault::Status(500), 20), (Fault::Cut, 10), (Fault::Close, 10)],
        seed: seed + 1,
        ..Behaviour::default()
    };
    let guest = Behaviour {
        kind: Kind::LmStudio,
        models: vec![LARGE.into()],
        latency: (millis(120), millis(400)),
        tokens: 120,
        pace: millis(15),
        seed: seed + 2,
        ..Behaviour::default()
    };
    [("rack-1", fast), ("workshop", slow), ("laptop", guest)]
}

fn come_and_go(server: &Upstream, stop: &AtomicBool) {
    while !stop.load(Ordering::Acquire) {
        rest(THERE, stop);
        server.go_down();
        rest(AWAY, stop);
        server.come_back();
    }
}

/// What becomes of the requests is what the dashboard shows.
fn ask_on(options: &Options, stop: &Arc<AtomicBool>) {
    while !stop.load(Ordering::Acquire) {
        if load::run(options, stop.clone()).is_err() {
            rest(Duration::from_secs(1), stop);
        }
    }
}

fn rest(time: Duration, stop: &AtomicBool) {
    let since = crate::ambient::stopwatch();
    while since.elapsed() < time && !stop.load(Ordering::Acquire) {
        std::thread::sleep(LOOK);
    }
}
