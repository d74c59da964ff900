//! The proxy against a trivial upstream, direct and through the desk in one run: `cargo bench --bench proxy`.
//!
//! Everything shares the machine: the load (one thread of this process), the upstream (a process), the desk (another one). What
//! the proxy adds is the difference of the medians, and of the 99th percentiles, of the same questions to the same upstream.
#![allow(clippy::disallowed_methods, reason = "a benchmark reads the real clock")]
#![allow(clippy::unwrap_used, reason = "a benchmark that cannot run should stop")]

use serde_json::{Value, json};
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tidehelm::load::{Options, Report, run};

const WARM: Duration = Duration::from_millis(700);

fn main() {
    if std::env::args().any(|argument| argument == "--list") {
        return;
    }
    let seconds = std::env::var("SECONDS_EACH").ok().and_then(|text| text.parse().ok()).unwrap_or(3.0);
    let upstream = Process::start(&["upstream", "--tokens", "8"]);
    let dir = tempfile::tempdir().unwrap();
    let data = dir.path().join("data");
    let mut arguments = vec!["serve", "--data", data.to_str().unwrap(), "--bind", "127.0.0.1:0"];
    arguments.extend(["--set", "http.auth=off", "--set", "log.level=warn"]);
    for socket in ["terminals.uplink", "terminals.session", "terminals.feed"] {
        arguments.extend(["--set", Box::leak(format!("{socket}=tcp://127.0.0.1:0").into_boxed_str())]);
    }
    let desk = Process::start(&arguments);
    let key = set_up(&desk.url, &upstream.url);
    println!(
        "{:26} {:>9} {:>9} {:>9} | {:>9} {:>9} {:>9} | {:>9} {:>9} {:>6}",
        "", "direct", "p50 ms", "p99 ms", "proxied", "p50 ms", "p99 ms", "+p50 ms", "+p99 ms", "ratio"
    );
    let mut sent = 0;
    for (what, concurrency, streaming) in
        [("1 at a time", 1, 0), ("16 at a time", 16, 0), ("64 at a time", 64, 0), ("16 streams at a time", 16, 100)]
    {
        let options = |url: &str, run_for| Options {
            url: url.into(),
            key: Some(key.clone()),
            model: "llama-3".into(),
            concurrency,
            threads: 1,
            run_for,
            requests_max: u64::MAX,
            streaming,
            prompt_bytes: 200,
            answer_within: Duration::from_secs(10),
            rest_after_error: Duration::ZERO,
        };
        let measured = |url: &str| -> (Report, u64) {
            let warm = run(&options(url, WARM), Arc::default()).unwrap();
            let report = run(&options(url, Duration::from_secs_f64(seconds)), Arc::default()).unwrap();
            assert!(report.errors.is_empty() && warm.errors.is_empty(), "{report:?}");
            (report.clone(), report.sent + warm.sent)
        };
        let (direct, _) = measured(&upstream.url);
        let (proxied, count) = measured(&desk.url);
        sent += count;
        let (one, other) = (direct.milliseconds, proxied.milliseconds);
        println!(
            "{what:26} {:>7.0}/s {:>9.3} {:>9.3} | {:>7.0}/s {:>9.3} {:>9.3} | {:>9.3} {:>9.3} {:>6.2}",
            direct.per_second,
            one.p50,
            one.p99,
            proxied.per_second,
            other.p50,
            other.p99,
            other.p50 - one.p50,
            other.p99 - one.p99,
            proxied.per_second / direct.per_second,
        );
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    let counted = loop {
        let stats = get(&format!("{}/api/dashboard/stats", desk.url));
        let counted = stats["stats"]["success"].as_u64().unwrap();
        if counted >= sent || Instant::now() > deadline {
            break counted;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    println!(
        "{sent} requests went through the proxy; the desk counted {counted}, {} of them of its own models",
        counted - sent
    );
    assert!(counted >= sent);
}

fn get(url: &str) -> Value {
    let text = ureq::get(url).call().unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

fn post(url: &str, body: &Value) -> Value {
    let text = ureq::post(url).send(body.to_string()).unwrap().body_mut().read_to_string().unwrap();
    serde_json::from_str(&text).unwrap()
}

/// The upstream as the desk's only endpoint, and a key.
fn set_up(desk: &str, upstream: &str) -> String {
    post(&format!("{desk}/api/endpoints"), &json!({"name": "trivial", "base_url": upstream}));
    let key = post(&format!("{desk}/api/proxy/keys"), &json!({"name": "bench"}))["key"].as_str().unwrap().to_string();
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let models = get(&format!("{desk}/v1/models"));
        if models["data"].as_array().is_some_and(|models| !models.is_empty()) {
            return key;
        }
        assert!(Instant::now() < deadline, "the endpoint is not in service");
        std::thread::sleep(Duration::from_millis(20));
    }
}

struct Process {
    child: Child,
    url: String,
}

impl Process {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
        let mut child = command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        let mut out = BufReader::new(child.stdout.take().unwrap());
        out.read_line(&mut line).unwrap();
        // The rest is read, so that nobody waits at a full pipe.
        std::thread::spawn(move || out.lines().for_each(drop));
        let url = line.split_whitespace().last().unwrap().to_string();
        Process { child, url }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
