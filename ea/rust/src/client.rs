//! A terminal on threads of its own: nothing that its caller does waits for the desk, the disk or the broker.
//!
//! One thread runs the [`Terminal`] and keeps its memory, one speaks to the broker, NNG has its own. Whoever embeds it hands in
//! a [`Broker`] and a [`Memory`], tells what it sees, and takes what is to be shown.

mod clock;
mod file;
mod line;
#[cfg(test)]
mod tests;
mod uplink;

pub use file::{FileMemory, MemoryError};
pub use line::{Line, Reconnect, Word};

use crate::terminal::{Execution, Figures, Output, Phase, Recollection, Record, Settings, Shown, Terminal};
use crate::wire::{Held, Quote};
use clock::Clock;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Change, OrderId, OrderResult};

/// What executes orders. Called from one thread, in the order of the orders; it may take its time.
pub trait Broker: Send + 'static {
    /// Does it, with [`OrderId::short`] in the comment of what it opens, and says what became of it.
    fn execute(&mut self, execution: &Execution) -> OrderResult;
    /// What became of an order that may have been executed before a restart: from positions, orders and history. None where
    /// nothing can be proven.
    fn recover(&mut self, execution: &Execution) -> Option<OrderResult>;
    /// All that the account holds.
    fn trades(&mut self) -> Vec<Held>;
}

/// What outlives a restart.
pub trait Memory: Send + 'static {
    fn recollection(&self) -> Recollection;
    /// On the disk when it returns, where [`Record::must_last`] says so.
    fn keep(&mut self, record: &Record) -> Result<(), MemoryError>;
}

/// Where the desk is: `tcp://HOST:PORT` or `ipc:///PATH`.
#[derive(Debug, Clone)]
pub struct Addresses {
    pub session: String,
    pub uplink: String,
}

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("cannot connect to {address}")]
    Address {
        address: String,
        #[source]
        source: nng::Error,
    },
    #[error("cannot start a thread")]
    Thread(#[source] std::io::Error),
}

/// What is known of a terminal from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Status {
    pub phase: Phase,
    pub epoch: u64,
    pub is_desk_silent: bool,
    /// Every signal and every result is with the desk.
    pub is_settled: bool,
    /// Why it stopped by itself: its memory cannot be written, and what is not remembered is not done.
    pub fault: Option<String>,
}

/// A running terminal. It ends when this is dropped, without a goodbye.
pub struct Client {
    inputs: Sender<Input>,
    shared: Arc<Shared>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    status: Mutex<Status>,
    shown: Mutex<VecDeque<Shown>>,
}

/// More than this is not kept for somebody who never looks; the oldest goes first.
const SHOWN_MAX: usize = 1000;

const RECONNECT: Reconnect = Reconnect { least: Duration::from_millis(100), most: Duration::from_secs(10) };

enum Input {
    Heard(Word),
    Figures(Figures),
    Changed(Box<Change>, Option<Timestamp>, Timestamp),
    Quoted(Quote),
    Done(Box<OrderResult>),
    Unproven(OrderId),
    Held(Vec<Held>),
    Pair(String),
    Leave,
    Resume,
    Stop,
}

enum Job {
    Execute(Box<Execution>),
    Recover(Box<Execution>),
    ListTrades,
}

impl Client {
    pub fn start(
        addresses: &Addresses,
        settings: Settings,
        broker: impl Broker,
        memory: impl Memory,
    ) -> Result<Self, Error> {
        let (inputs, heard) = channel();
        let (jobs, work) = channel();
        let to_terminal = inputs.clone();
        let line = Line::open(addresses, RECONNECT, move |word| {
            // It may have ended.
            let _ = to_terminal.send(Input::Heard(word));
        })?;
        let terminal = Terminal::new(settings, memory.recollection());
        let status = Status { phase: terminal.phase(), epoch: 0, is_desk_silent: true, is_settled: true, fault: None };
        let shared = Arc::new(Shared { status: Mutex::new(status), shown: Mutex::default() });
        let (to_terminal, of_runner) = (inputs.clone(), Arc::clone(&shared));
        let broker = spawn("broker", move || work_off(broker, &work, &to_terminal))?;
        let run = move || Runner { terminal, memory, line, jobs, shared: of_runner, clock: Clock::start() }.run(&heard);
        let runner = spawn("terminal", run)?;
        Ok(Client { inputs, shared, threads: vec![runner, broker] })
    }

    /// The account is so now, with every change that was told before. Nothing is said to the desk before the first of these.
    pub fn figures(&self, figures: Figures) {
        self.tell(Input::Figures(figures));
    }
    /// A master's trade changed; seen now.
    pub fn changed(&self, change: Change, broker_at: Option<Timestamp>) {
        self.tell(Input::Changed(Box::new(change), broker_at, clock::wall()));
    }
    pub fn quoted(&self, quote: Quote) {
        self.tell(Input::Quoted(quote));
    }
    /// A person typed in a pairing code.
    pub fn pair(&self, code: String) {
        self.tell(Input::Pair(code));
    }
    /// Says goodbye once everything is told.
    pub fn leave(&self) {
        self.tell(Input::Leave);
    }
    /// Begins anew after [`Phase::Gone`].
    pub fn resume(&self) {
        self.tell(Input::Resume);
    }
    pub fn status(&self) -> Status {
        lock(&self.shared.status).clone()
    }
    /// The next thing to show, oldest first.
    pub fn shown(&self) -> Option<Shown> {
        lock(&self.shared.shown).pop_front()
    }

    fn tell(&self, input: Input) {
        // It fails only where the terminal has stopped, and its status says why.
        let _ = self.inputs.send(input);
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.tell(Input::Stop);
        for thread in self.threads.drain(..) {
            // A thread that panicked has said so.
            let _ = thread.join();
        }
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, Error> {
    std::thread::Builder::new().name(name.into()).spawn(run).map_err(Error::Thread)
}

fn work_off(mut broker: impl Broker, work: &Receiver<Job>, terminal: &Sender<Input>) {
    for job in work {
        let input = match job {
            Job::Execute(execution) => Input::Done(Box::new(broker.execute(&execution))),
            Job::Recover(execution) => match broker.recover(&execution) {
                Some(result) => Input::Done(Box::new(result)),
                None => Input::Unproven(execution.order.id),
            },
            Job::ListTrades => Input::Held(broker.trades()),
        };
        if terminal.send(input).is_err() {
            return;
        }
    }
}

struct Runner<M> {
    terminal: Terminal,
    memory: M,
    line: Line,
    jobs: Sender<Job>,
    shared: Arc<Shared>,
    clock: Clock,
}

impl<M: Memory> Runner<M> {
    fn run(mut self, heard: &Receiver<Input>) {
        loop {
            match heard.recv_timeout(self.patience()) {
                Ok(Input::Stop) | Err(RecvTimeoutError::Disconnected) => return,
                Ok(input) => self.take(input),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let now = self.clock.now();
            if self.terminal.due().is_some_and(|due| due <= now) {
                self.terminal.tick(now);
            }
            if let Err(fault) = self.follow() {
                lock(&self.shared.status).fault = Some(fault.to_string());
                return;
            }
            self.publish();
        }
    }

    fn patience(&self) -> Duration {
        const MOST: Duration = Duration::from_millis(500);
        let Some(due) = self.terminal.due() else { return MOST };
        let micros = due.since(self.clock.now()).0.max(0);
        Duration::from_micros(micros.unsigned_abs()).min(MOST)
    }

    fn take(&mut self, input: Input) {
        let (terminal, now) = (&mut self.terminal, self.clock.now());
        match input {
            Input::Heard(Word::Connected) => terminal.connected(now),
            Input::Heard(Word::Disconnected) => terminal.disconnected(now),
            Input::Heard(Word::Answer { tag, message }) => terminal.hear(tag, &message, now),
            Input::Figures(figures) => terminal.figures(figures),
            Input::Changed(change, broker_at, seen_at) => terminal.changed(*change, broker_at, seen_at.min(now)),
            Input::Quoted(quote) => terminal.quoted(quote, now),
            Input::Done(result) => terminal.done(*result, now),
            Input::Unproven(order) => terminal.unproven(order, now),
            Input::Held(trades) => terminal.held(trades, now),
            Input::Pair(code) => terminal.pair(code, now),
            Input::Leave => terminal.leave(now),
            Input::Resume => terminal.resume(now),
            Input::Stop => {}
        }
    }

    /// In order: nothing is done before what must be remembered is.
    fn follow(&mut self) -> Result<(), MemoryError> {
        while let Some(output) = self.terminal.poll() {
            match output {
                Output::Uplink(message) => self.line.tell(&message),
                Output::Ask { tag, message } => self.line.ask(tag, &message),
                Output::Remember(record) => self.memory.keep(&record)?,
                Output::Execute(execution) => self.give(Job::Execute(execution)),
                Output::Recover(execution) => self.give(Job::Recover(execution)),
                Output::ListTrades => self.give(Job::ListTrades),
                Output::Show(shown) => self.show(shown),
            }
        }
        Ok(())
    }

    fn give(&self, job: Job) {
        // It fails only where the broker's thread panicked: what it had to do has no result then.
        let _ = self.jobs.send(job);
    }

    fn show(&self, shown: Shown) {
        let mut waiting = lock(&self.shared.shown);
        if waiting.len() == SHOWN_MAX {
            waiting.pop_front();
        }
        waiting.push_back(shown);
    }

    fn publish(&self) {
        let mut status = lock(&self.shared.status);
        status.phase = self.terminal.phase();
        status.epoch = self.terminal.epoch();
        status.is_desk_silent = self.terminal.is_desk_silent(self.clock.now());
        status.is_settled = self.terminal.is_settled();
    }
}

/// What the lock guards is whole after every line that holds it.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
