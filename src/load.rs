//! Load for a proxy, or for any server with the interface of OpenAI: what `tidehelm load` and the benchmark drive.
//!
//! Each connection asks, reads the answer to its end, and asks again. What it counts is compared with what the desk counted.

use crate::ambient::stopwatch;
use crate::proxy::line::{Body, Fault, Line, Target};
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

#[derive(Debug, Clone)]
pub struct Options {
    pub url: String,
    pub key: Option<String>,
    pub model: String,
    pub concurrency: usize,
    pub threads: usize,
    pub run_for: Duration,
    /// No more than so many requests, all together.
    pub requests_max: u64,
    /// Of a hundred, how many want a stream.
    pub streaming: u32,
    /// Bytes of the question, about.
    pub prompt_bytes: usize,
    pub answer_within: Duration,
    /// What an asker waits after a failure, at least. A program that is measured waits for nothing.
    pub rest_after_error: Duration,
}

/// Nobody hammers a server that is gone.
const REST_WITHOUT_SERVER: Duration = Duration::from_millis(5);

/// What came of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Report {
    pub sent: u64,
    pub success: u64,
    /// Everything else, by what it was.
    pub errors: BTreeMap<String, u64>,
    pub seconds: f64,
    pub per_second: f64,
    pub streamed: u64,
    pub milliseconds: Times,
    /// To the first byte of streams.
    pub first_byte_milliseconds: Times,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Times {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub max: f64,
}

#[derive(Default)]
struct Tally {
    sent: u64,
    success: u64,
    streamed: u64,
    errors: BTreeMap<String, u64>,
    micros: Vec<u32>,
    first_micros: Vec<u32>,
}

struct Shared {
    options: Options,
    target: Arc<Target>,
    stop: Arc<AtomicBool>,
    sent: AtomicU64,
}

/// Runs until the time is over, or `stop` is set.
pub fn run(options: &Options, stop: Arc<AtomicBool>) -> std::io::Result<Report> {
    let target = Target::of(options.url.trim_end_matches('/')).ok_or(std::io::ErrorKind::InvalidInput)?;
    let shared = Arc::new(Shared { options: options.clone(), target: Arc::new(target), stop, sent: AtomicU64::new(0) });
    let threads = options.threads.clamp(1, options.concurrency.max(1));
    let began = stopwatch();
    let running: Vec<_> = (0..threads)
        .map(|thread| {
            let (shared, count) = (shared.clone(), share(options.concurrency, threads, thread));
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
            std::thread::Builder::new()
                .name("load".into())
                .spawn(move || runtime.block_on(lines(shared, thread, count)))
        })
        .collect::<std::io::Result<_>>()?;
    let mut sum = Tally::default();
    for thread in running {
        sum.take_in(thread.join().unwrap_or_default());
    }
    Ok(sum.report(began.elapsed()))
}

fn share(all: usize, parts: usize, part: usize) -> usize {
    all / parts + usize::from(part < all % parts)
}

async fn lines(shared: Arc<Shared>, thread: usize, count: usize) -> Tally {
    let local = tokio::task::LocalSet::new();
    let mut sum = Tally::default();
    local
        .run_until(async {
            let tasks = (0..count).map(|at| tokio::task::spawn_local(one_line(shared.clone(), thread * 1_000 + at)));
            for task in tasks.collect::<Vec<_>>() {
                sum.take_in(task.await.unwrap_or_default());
            }
        })
        .await;
    sum
}

async fn one_line(shared: Arc<Shared>, number: usize) -> Tally {
    let (options, began) = (&shared.options, stopwatch());
    let mut tally = Tally::default();
    let requests = [request(&shared, false), request(&shared, true)];
    let mut line = None;
    let mut turn = number as u32;
    while began.elapsed() < options.run_for && !shared.stop.load(Ordering::Relaxed) {
        if shared.sent.fetch_add(1, Ordering::Relaxed) >= options.requests_max {
            break;
        }
        // Spread evenly, and not all connections at the same time.
        turn = turn.wrapping_add(1);
        let streams = turn.wrapping_mul(37) % 100 < options.streaming;
        let started = stopwatch();
        let asked = ask(&mut line, &shared.target, &requests[usize::from(streams)], streams, started);
        tally.sent += 1;
        let outcome = tokio::time::timeout(options.answer_within, asked).await;
        let took = u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX);
        match outcome {
            Ok(Ok(first)) => {
                tally.success += 1;
                tally.micros.push(took);
                if streams {
                    tally.streamed += 1;
                    tally.first_micros.push(first);
                }
            }
            Ok(Err(error)) => {
                *tally.errors.entry(error).or_default() += 1;
                let least = if line.is_none() { REST_WITHOUT_SERVER } else { Duration::ZERO };
                tokio::time::sleep(options.rest_after_error.max(least)).await;
            }
            Err(_) => {
                line = None;
                *tally.errors.entry("timeout".into()).or_default() += 1;
            }
        }
    }
    tally
}

fn request(shared: &Shared, stream: bool) -> (Vec<u8>, Vec<u8>) {
    let Options { key, model, prompt_bytes, .. } = &shared.options;
    let question = "tide ".repeat(prompt_bytes.div_ceil(5));
    let body = serde_json::json!({
        "model": model, "stream": stream, "messages": [{"role": "user", "content": question.trim_end()}],
    });
    let body = body.to_string().into_bytes();
    let key = key.as_ref().map(|key| format!("authorization: Bearer {key}\r\n")).unwrap_or_default();
    let Target { base, authority, .. } = &*shared.target;
    let head = format!(
        "POST {base}/v1/chat/completions HTTP/1.1\r\nhost: {authority}\r\n{key}content-type: application/json\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    (head.into_bytes(), body)
}

/// Microseconds to the first byte of the body, or what went wrong.
async fn ask(
    line: &mut Option<Line>,
    target: &Target,
    (head, body): &(Vec<u8>, Vec<u8>),
    streams: bool,
    started: crate::ambient::Stopwatch,
) -> Result<u32, String> {
    let said = |fault: Fault| match fault {
        Fault::Connect(_) => "connect".to_string(),
        Fault::Tls(_) => "tls".into(),
        Fault::Broken(_) => "broken".into(),
        Fault::NotHttp(_) => "not_http".into(),
    };
    let mut open = match line.take() {
        Some(open) => open,
        None => Line::open(target).await.map_err(said)?,
    };
    let sent = open.send(head, body).await;
    let mut answer = open.head().await.map_err(said)?;
    if sent.is_err() && answer.status < 400 {
        return Err("broken".into());
    }
    let (mut first, mut end) = (None, Vec::new());
    while let Some(piece) = open.next(&mut answer.body).await.map_err(|fault| format!("{}_midway", said(fault)))? {
        first.get_or_insert_with(|| u32::try_from(started.elapsed().as_micros()).unwrap_or(u32::MAX));
        if streams {
            end.extend_from_slice(&piece[piece.len().saturating_sub(16)..]);
            end.drain(..end.len().saturating_sub(16));
        }
    }
    if answer.keep && answer.body == Body::Done {
        *line = Some(open);
    }
    match answer.status {
        200 if streams && !end.ends_with(b"data: [DONE]\n\n") => Err("stream_without_end".into()),
        200 => Ok(first.unwrap_or_default()),
        status => Err(format!("http_{status}")),
    }
}

impl Tally {
    fn take_in(&mut self, other: Tally) {
        self.sent += other.sent;
        self.success += other.success;
        self.streamed += other.streamed;
        self.micros.extend(other.micros);
        self.first_micros.extend(other.first_micros);
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }

    fn report(self, took: Duration) -> Report {
        let Tally { sent, success, streamed, errors, micros, first_micros } = self;
        let seconds = took.as_secs_f64();
        Report {
            sent,
            success,
            streamed,
            errors,
            seconds,
            per_second: success as f64 / seconds.max(1e-9),
            milliseconds: Times::of(micros),
            first_byte_milliseconds: Times::of(first_micros),
        }
    }
}

impl Times {
    fn of(mut micros: Vec<u32>) -> Self {
        micros.sort_unstable();
        let at = |share: f64| match micros.len() {
            0 => 0.0,
            count => f64::from(micros[((count - 1) as f64 * share) as usize]) / 1e3,
        };
        Times { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: at(1.0) }
    }
}

impl Report {
    pub fn text(&self) -> String {
        let row = |what: &str, times: &Times| {
            let Times { p50, p90, p99, max } = times;
            format!("{what:22} p50 {p50:.3} ms, p90 {p90:.3} ms, p99 {p99:.3} ms, max {max:.3} ms\n")
        };
        let mut text = format!(
            "{} requests in {:.1} s, {} good ({:.0} a second), {} streams\n",
            self.sent, self.seconds, self.success, self.per_second, self.streamed
        );
        text += &row("whole answer", &self.milliseconds);
        if self.streamed > 0 {
            text += &row("first byte of streams", &self.first_byte_milliseconds);
        }
        for (error, count) in &self.errors {
            text += &format!("{count:8} {error}\n");
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::upstream::{Behaviour, Fault, Upstream};

    fn options(upstream: &Upstream) -> Options {
        Options {
            url: upstream.url(),
            key: None,
            model: "llama-3".into(),
            concurrency: 8,
            threads: 2,
            run_for: Duration::from_secs(20),
            requests_max: 400,
            streaming: 50,
            prompt_bytes: 100,
            answer_within: Duration::from_secs(5),
            rest_after_error: Duration::ZERO,
        }
    }

    #[test]
    fn everything_that_was_sent_is_counted_as_what_it_was() {
        let upstream = Upstream::start(Behaviour::default()).unwrap();
        let report = run(&options(&upstream), Arc::default()).unwrap();
        assert_eq!((report.sent, report.success, report.errors.len()), (400, 400, 0), "{report:?}");
        assert!((100..300).contains(&report.streamed), "{report:?}");
        // It counts an answer once it is written, which is when its reader may be ahead.
        let deadline = stopwatch();
        while upstream.counters().answered.load(Ordering::Relaxed) < 400 && deadline.elapsed().as_secs() < 20 {
            std::thread::yield_now();
        }
        assert_eq!(upstream.counters().answered.load(Ordering::Relaxed), 400);

        upstream.behave(Behaviour {
            faults: vec![(Fault::Status(500), 200), (Fault::Cut, 200), (Fault::Close, 100)],
            ..Behaviour::default()
        });
        let report = run(&options(&upstream), Arc::default()).unwrap();
        let errors: u64 = report.errors.values().sum();
        assert_eq!((report.sent, report.success + errors), (400, 400), "{report:?}");
        assert!(report.errors.keys().map(String::as_str).eq(["broken", "broken_midway", "http_500"]), "{report:?}");
    }
}
