//! A simulated LLM server, for the demo, for load and for tests: it speaks as several kinds of servers do, as fast or as slow as
//! it is told, and fails in the ways in which such servers fail.
//!
//! Everything that it draws by chance comes from its seed and the number of the request.

mod answer;
mod serve;

use crate::fleet::rng::Rng;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, PoisonError, RwLock};
use std::thread::JoinHandle;
use std::time::Duration;
use tidehelm_events::endpoint::Kind;
use tokio::sync::watch;

/// How it answers.
#[derive(Debug, Clone, PartialEq)]
pub struct Behaviour {
    pub kind: Kind,
    pub models: Vec<String>,
    /// Time to the first byte of an answer: from, to.
    pub latency: (Duration, Duration),
    /// Of an answer.
    pub tokens: u32,
    /// Between two tokens of a stream.
    pub pace: Duration,
    pub usage: Usage,
    /// What stands behind `Bearer`; without it everybody is served.
    pub secret: Option<String>,
    /// How many of a thousand requests fail in which way; the first that is drawn counts.
    pub faults: Vec<(Fault, u32)>,
    /// Questions about itself (health, models) fail as well.
    pub sick: bool,
    pub seed: u64,
}

/// What it says of the tokens that it used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Usage {
    Told,
    Kept,
    /// More than anybody believes.
    Lied,
}

/// In which way it fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// The connection ends before an answer.
    Close,
    /// This status, with an error in the usual form.
    Status(u16),
    /// No answer, and no end.
    Hang,
    /// The connection ends in the middle of the answer.
    Cut,
    /// It says that it writes nothing more, in the middle of the answer, and goes on reading.
    HalfClose,
    /// The answer comes byte by byte.
    Slow,
    /// The body is no JSON, the events of a stream are none.
    Malformed,
    /// What stands for HTTP is none.
    Garbage,
}

impl Default for Behaviour {
    fn default() -> Self {
        Behaviour {
            kind: Kind::OpenaiCompatible,
            models: vec!["llama-3".into()],
            latency: (Duration::ZERO, Duration::ZERO),
            tokens: 16,
            pace: Duration::ZERO,
            usage: Usage::Told,
            secret: None,
            faults: Vec::new(),
            sick: false,
            seed: 1,
        }
    }
}

/// What it saw, ever.
#[derive(Debug, Default)]
pub struct Counters {
    pub connections: AtomicU64,
    /// Requests for an answer of a model, not those about itself.
    pub requests: AtomicU64,
    /// Answers that were written to their end.
    pub answered: AtomicU64,
    /// Requests whose client went away before the end.
    pub left: AtomicU64,
    /// Questions about itself.
    pub questions: AtomicU64,
}

struct Shared {
    behaviour: RwLock<Arc<Behaviour>>,
    counters: Counters,
    /// True while it listens.
    open: AtomicBool,
    /// Grows when every connection is to end.
    cuts: watch::Sender<u64>,
}

impl Shared {
    fn behaviour(&self) -> Arc<Behaviour> {
        self.behaviour.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A running one, on a thread of its own. It ends when it is dropped.
pub struct Upstream {
    shared: Arc<Shared>,
    address: SocketAddr,
    stop: watch::Sender<bool>,
    /// False while connections are to be refused.
    listen: watch::Sender<bool>,
    thread: Option<JoinHandle<()>>,
}

impl Upstream {
    /// Starts one on a free port of this machine.
    pub fn start(behaviour: Behaviour) -> std::io::Result<Self> {
        Upstream::start_on(([127, 0, 0, 1], 0).into(), behaviour)
    }

    pub fn start_on(at: SocketAddr, behaviour: Behaviour) -> std::io::Result<Self> {
        let listener = std::net::TcpListener::bind(at)?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared {
            behaviour: RwLock::new(Arc::new(behaviour)),
            counters: Counters::default(),
            open: AtomicBool::new(true),
            cuts: watch::Sender::new(0),
        });
        let (stop, stopping) = watch::channel(false);
        let (listen, listening) = watch::channel(true);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let served = serve::Door { shared: shared.clone(), address, stopping, listening };
        let run = move || runtime.block_on(served.serve(listener));
        let thread = std::thread::Builder::new().name("upstream".into()).spawn(run)?;
        Ok(Upstream { shared, address, stop, listen, thread: Some(thread) })
    }

    pub fn address(&self) -> SocketAddr {
        self.address
    }
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
    pub fn counters(&self) -> &Counters {
        &self.shared.counters
    }
    pub fn behaviour(&self) -> Behaviour {
        (*self.shared.behaviour()).clone()
    }
    /// From the next request on.
    pub fn behave(&self, behaviour: Behaviour) {
        *self.shared.behaviour.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(behaviour);
    }
    /// Ends every connection at once, and refuses new ones, until [`Upstream::come_back`].
    pub fn go_down(&self) {
        let _ = self.listen.send(false);
        // Who connects after this returned is refused.
        while self.shared.open.load(Ordering::Acquire) && self.thread.as_ref().is_some_and(|it| !it.is_finished()) {
            std::thread::yield_now();
        }
        self.shared.cuts.send_modify(|cuts| *cuts += 1);
    }
    pub fn come_back(&self) {
        let _ = self.listen.send(true);
        while !self.shared.open.load(Ordering::Acquire) && self.thread.as_ref().is_some_and(|it| !it.is_finished()) {
            std::thread::yield_now();
        }
    }
}

impl Drop for Upstream {
    fn drop(&mut self) {
        let _ = self.stop.send(true);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Behaviour {
    /// How the request of this number fails, if it does.
    fn fault(&self, rng: &mut Rng) -> Option<Fault> {
        self.faults.iter().find(|(_, chance)| rng.permille(u64::from(*chance))).map(|(fault, _)| *fault)
    }

    fn wait(&self, rng: &mut Rng) -> Duration {
        let (from, to) = (self.latency.0.as_micros() as i64, self.latency.1.as_micros() as i64);
        Duration::from_micros(rng.between(from, to.max(from)) as u64)
    }
}

impl std::str::FromStr for Fault {
    type Err = String;

    /// `close`, `500`, `hang`, `cut`, `half-close`, `slow`, `malformed`, `garbage`.
    fn from_str(text: &str) -> Result<Self, String> {
        Ok(match text {
            "close" => Fault::Close,
            "hang" => Fault::Hang,
            "cut" => Fault::Cut,
            "half-close" => Fault::HalfClose,
            "slow" => Fault::Slow,
            "malformed" => Fault::Malformed,
            "garbage" => Fault::Garbage,
            status => match status.parse() {
                Ok(status @ 400..=599) => Fault::Status(status),
                _ => {
                    let known = "close, hang, cut, half-close, slow, malformed, garbage or a status from 400 to 599";
                    return Err(format!("`{text}` is none of {known}"));
                }
            },
        })
    }
}

#[cfg(test)]
mod tests;
