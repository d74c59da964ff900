//! How a terminal and a desk talk where everything must be answered: requests in order on a connection that may break, each said
//! again until its answer is there; the desk hears each once, whatever the network does.

use super::agenda::{MILLI, Micros, SECOND};
use super::host::Parcel;
use super::invariants::code;
use super::people::Sender;
use super::{Happening, World};
use crate::journal::Fault;
use crate::node::Command;
use std::collections::BTreeMap;
use tidehelm_events::account;
use tidehelm_events::answer::Answer;
use tidehelm_events::id::{Principal, Role, StreamId};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Order, OrderId, OrderResult};

/// How many signals or results are under way at once.
const UNDER_WAY_MAX: usize = 4;

/// A terminal's end of the conversation. All of it is lost when the terminal crashes.
#[derive(Debug, Default)]
pub struct Line {
    pub epoch: u64,
    pub down: bool,
    process: u64,
    broken: bool,
    clear_at: Micros,
    asked: BTreeMap<u64, Asking>,
}

#[derive(Debug, Clone)]
struct Asking {
    what: What,
    epoch: u64,
    command: account::Command,
    sent_at: Timestamp,
    tries: u32,
}

#[derive(Debug, Clone, PartialEq)]
pub enum What {
    Register,
    /// By its number.
    Signal(u64),
    Snapshot,
    Result(Box<OrderResult>),
    Poll,
}

/// What a terminal is told.
#[derive(Debug, Clone)]
pub enum Told {
    Answer(Answer),
    Registered {
        epoch: u64,
        previous: Option<(u64, u64)>,
    },
    /// Another registration counts.
    Superseded,
    /// Not now.
    Again,
    Deliveries(Deliveries),
}

/// The answer of a poll: everything that is outstanding.
#[derive(Debug, Clone, Default)]
pub struct Deliveries {
    pub orders: Vec<Order>,
    pub snapshot: bool,
    pub desk_time: Timestamp,
}

/// A desk's end: what it heard from a terminal, so that it hears nothing twice.
#[derive(Debug, Default)]
pub struct Heard {
    highest: u64,
    requests: BTreeMap<u64, Option<Told>>,
    /// The last heartbeat.
    pub beat: u64,
}

/// What a desk makes of a request.
#[derive(Debug)]
pub enum Hearing {
    New,
    Again(Told),
    /// It is under way, or was overtaken.
    Nothing,
}

impl Heard {
    pub fn hear(&mut self, tag: u64) -> Hearing {
        match self.requests.get(&tag) {
            Some(Some(Told::Again)) => {}
            Some(Some(told)) => return Hearing::Again(told.clone()),
            Some(None) => return Hearing::Nothing,
            None if tag < self.highest => return Hearing::Nothing,
            None => {}
        }
        self.highest = self.highest.max(tag);
        self.requests.insert(tag, None);
        Hearing::New
    }
    /// What was under way will not be answered: it may be said again.
    pub fn forget(&mut self) {
        let under_way = self.requests.values_mut().filter(|told| told.is_none());
        under_way.for_each(|told| *told = Some(Told::Again));
    }
    pub fn answer(&mut self, tag: u64, told: &Told) {
        self.requests.insert(tag, Some(told.clone()));
        if self.requests.len() > 64 {
            let over = |told: &Option<Told>| matches!(told, Some(told) if !matches!(told, Told::Again));
            let oldest = self.requests.iter().find(|(_, told)| over(told)).map(|(tag, _)| *tag);
            oldest.map(|tag| self.requests.remove(&tag));
        }
    }
}

impl Line {
    fn is_asking(&self, fits: impl Fn(&What) -> bool) -> bool {
        self.asked.values().any(|asking| fits(&asking.what))
    }
    fn count(&self, fits: impl Fn(&What) -> bool) -> usize {
        self.asked.values().filter(|asking| fits(&asking.what)).count()
    }
    /// All but a poll has its answer.
    pub fn has_answers(&self) -> bool {
        !self.is_asking(|what| *what != What::Poll)
    }
    /// Their numbers are no longer what they were.
    pub fn forget_signals(&mut self) {
        self.asked.retain(|_, asking| !matches!(asking.what, What::Signal(_)));
    }
    pub fn is_telling(&self, order: OrderId) -> bool {
        self.is_asking(|what| matches!(what, What::Result(result) if result.order == order))
    }
}

impl World {
    /// Says what there is to say: who it is, if the desk does not know, else signals, results and all positions.
    pub(super) fn converse(&mut self, terminal: usize) {
        let line = &self.terminals[terminal].line;
        if line.down {
            return;
        }
        if line.epoch == 0 {
            if !line.is_asking(|what| *what == What::Register) {
                let registered = self.identity(terminal, false);
                self.request(terminal, What::Register, account::Command::Register(Box::new(registered)));
            }
            return;
        }
        while self.terminals[terminal].line.count(|what| matches!(what, What::Signal(_))) < UNDER_WAY_MAX {
            let Some(signal) = self.next_signal(terminal) else { break };
            let what = What::Signal(signal.signal_seq);
            let key = (self.terminals[terminal].stream.clone(), self.terminals[terminal].line.epoch, signal.signal_seq);
            self.auditor.ledger.told(key, signal.change.clone());
            self.request(terminal, what, account::Command::Signal(Box::new(signal)));
        }
        while self.terminals[terminal].line.count(|what| matches!(what, What::Result(_))) < UNDER_WAY_MAX {
            let Some(result) = self.next_result(terminal) else { break };
            let command =
                account::Command::Result { result: Box::new(result.clone()), durable_at: None, sent_at: None };
            self.request(terminal, What::Result(Box::new(result)), command);
        }
        if !self.terminals[terminal].line.is_asking(|what| *what == What::Snapshot)
            && let Some(snapshot) = self.next_snapshot(terminal)
        {
            self.counts.position_snapshots += 1;
            self.request(terminal, What::Snapshot, account::Command::Snapshot(Box::new(snapshot)));
        }
    }

    /// Asks the desk what there is to do, one poll at a time, and says how far it has come.
    pub(super) fn poll(&mut self, terminal: usize) {
        let pause = if self.is_quiet() { 5 * SECOND } else { self.rng.between(150 * MILLI, 700 * MILLI) };
        self.agenda.plan(self.now + pause, Happening::Poll { terminal });
        let line = &self.terminals[terminal].line;
        if line.down || line.epoch == 0 || line.is_asking(|what| *what == What::Poll) {
            return self.converse(terminal);
        }
        let order_seq = self.done_through(terminal);
        self.request(terminal, What::Poll, account::Command::Ack { order_seq });
        self.converse(terminal);
    }

    fn request(&mut self, terminal: usize, what: What, command: account::Command) {
        self.next_tag += 1;
        let tag = self.next_tag;
        let sent_at = self.terminal_clock(terminal);
        let line = &mut self.terminals[terminal].line;
        let epoch = if what == What::Register { 0 } else { line.epoch };
        line.asked.insert(tag, Asking { what, epoch, command, sent_at, tries: 0 });
        self.say_request(terminal, tag);
    }

    /// On one connection what was said first arrives first, and after what was lost nothing arrives.
    fn say_request(&mut self, terminal: usize, tag: u64) {
        let to = self.terminals[terminal].stream.clone();
        // What a slave held when it was asked first may be older than the results that were taken since.
        let again = |asking: &Asking| asking.what == What::Snapshot && asking.tries > 0;
        let aged = self.terminals[terminal].line.asked.get(&tag).is_some_and(again);
        let fresh = (aged && self.terminals[terminal].role() == Role::Slave).then(|| self.snapshot_of(terminal));
        let line = &mut self.terminals[terminal].line;
        let Some(asking) = line.asked.get_mut(&tag) else { return };
        if let Some(fresh) = fresh {
            asking.command = account::Command::Snapshot(Box::new(fresh));
        }
        asking.tries += 1;
        let (Asking { what, epoch, command, sent_at, tries }, process) = (asking.clone(), line.process);
        let mut order = self.order(to, Command::Account(command), Principal::Terminal, None, None);
        order.occurred_at = sent_at;
        let sender = Sender::Session { terminal, tag, epoch, poll: what == What::Poll };
        let delay = self.deliveries().first().copied();
        let line = &mut self.terminals[terminal].line;
        match delay {
            Some(delay) if !line.broken => {
                line.clear_at = line.clear_at.max(self.now + delay);
                let happening = Happening::Speak { process, parcel: Box::new(Parcel { order, sender }) };
                self.agenda.plan(line.clear_at, happening);
            }
            Some(_) | None => line.broken = true,
        }
        let patience = self.rng.between(SECOND, 3 * SECOND);
        self.agenda.plan(self.now + patience, Happening::Impatient { terminal, tag, tries });
    }

    /// There is no answer: the terminal connects anew, perhaps to another desk, and says all again that has none.
    pub(super) fn impatient(&mut self, terminal: usize, tag: u64, tries: u32) {
        let line = &self.terminals[terminal].line;
        if line.asked.get(&tag).is_none_or(|asking| asking.tries != tries) {
            return;
        }
        let all: Vec<u64> = self.processes.keys().copied().collect();
        let process = if all.is_empty() { 0 } else { self.rng.pick(&all) };
        let line = &mut self.terminals[terminal].line;
        (line.process, line.broken, line.clear_at) = (process, false, self.now);
        line.asked.retain(|_, asking| asking.what != What::Poll);
        let tags: Vec<u64> = line.asked.keys().copied().collect();
        self.counts.reconnections += 1;
        tags.into_iter().for_each(|tag| self.say_request(terminal, tag));
    }

    /// A desk tells the terminal something.
    pub(super) fn tell_terminal(&mut self, terminal: usize, tag: u64, told: &Told) {
        for delay in self.deliveries() {
            let told = Box::new(told.clone());
            self.agenda.plan(self.now + delay, Happening::Told { terminal, tag, told });
        }
    }

    pub(super) fn session_fault(&mut self, (number, terminal, tag): (u64, usize, u64), _: Fault) {
        self.tell_heard(number, terminal, tag, &Told::Again);
    }

    /// Remembers the answer for those who ask again, and lets it out.
    pub(super) fn tell_heard(&mut self, number: u64, terminal: usize, tag: u64, told: &Told) {
        if let Some(process) = self.processes.get_mut(&number) {
            process.sessions.entry(terminal).or_default().answer(tag, told);
        }
        self.tell_terminal(terminal, tag, told);
    }

    /// The terminal hears an answer; only the first one to what it asked counts.
    pub(super) fn told(&mut self, terminal: usize, tag: u64, told: Told) {
        let line = &self.terminals[terminal].line;
        let Some(tries) = line.asked.get(&tag).map(|asking| asking.tries).filter(|_| !line.down) else { return };
        if let Told::Again = told {
            let again = self.now + self.rng.between(50 * MILLI, 500 * MILLI);
            return self.agenda.plan(again, Happening::SayAgain { terminal, tag, tries });
        }
        let Some(asking) = self.terminals[terminal].line.asked.remove(&tag) else { return };
        match (asking.what, told) {
            (_, Told::Superseded) => self.superseded(terminal, asking.epoch),
            (What::Register, Told::Registered { epoch, previous }) => self.take_epoch(terminal, epoch, previous),
            (What::Register, _) => {}
            (What::Poll, Told::Deliveries(deliveries)) => self.take_deliveries(terminal, deliveries),
            (What::Signal(seq), Told::Answer(answer)) => self.signal_answered(terminal, seq, code(&answer)),
            (What::Result(result), Told::Answer(_)) => self.result_told(terminal, &result),
            (What::Snapshot, Told::Answer(answer)) => {
                self.counts.position_snapshots_refused += u64::from(code(&answer).is_some());
            }
            (What::Poll | What::Signal(_) | What::Result(_) | What::Snapshot, _) => {}
        }
        self.converse(terminal);
    }

    /// Unless it was said again meanwhile.
    pub(super) fn say_again(&mut self, terminal: usize, tag: u64, tries: u32) {
        if self.terminals[terminal].line.asked.get(&tag).is_some_and(|asking| asking.tries == tries) {
            self.say_request(terminal, tag);
        }
    }

    /// Somebody else registered: the terminal registers again, as a person would have it do.
    pub(super) fn superseded(&mut self, terminal: usize, epoch: u64) {
        let line = &mut self.terminals[terminal].line;
        if !line.down && line.epoch == epoch && epoch > 0 {
            self.counts.superseded += 1;
            line.epoch = 0;
            line.asked.clear();
            self.terminals[terminal].before = epoch;
            self.converse(terminal);
        }
    }

    /// What the desk took in the epoch before is not told again; the rest is counted anew.
    fn take_epoch(&mut self, terminal: usize, epoch: u64, previous: Option<(u64, u64)>) {
        self.counts.epochs += 1;
        let before = self.terminals[terminal].before;
        let line = &mut self.terminals[terminal].line;
        line.epoch = epoch;
        line.asked.retain(|_, asking| asking.what == What::Register);
        let taken = previous.filter(|(of, _)| *of == before).map_or(0, |(_, seq)| seq);
        self.renumber(terminal, taken);
        self.note(format_args!("terminal {} has epoch {epoch}", self.terminals[terminal].stream.clone()));
    }

    fn take_deliveries(&mut self, terminal: usize, deliveries: Deliveries) {
        if deliveries.snapshot {
            self.terminals[terminal].wants_snapshot = true;
        }
        self.terminals[terminal].desk_time = (deliveries.desk_time, self.now);
        if let StreamId::Account(Role::Slave, _) = self.terminals[terminal].stream {
            deliveries.orders.into_iter().for_each(|order| self.take_order(terminal, order));
            self.work_orders(terminal);
        }
    }

    /// The terminal loses all that it did not write down, and comes back after a while.
    pub(super) fn crash_terminal(&mut self, terminal: usize) {
        if self.terminals[terminal].line.down {
            return;
        }
        self.counts.terminal_crashes += 1;
        self.note(format_args!("terminal {} crashes", self.terminals[terminal].stream.clone()));
        self.terminals[terminal].line = Line { down: true, ..Line::default() };
        self.terminals[terminal].before = 0;
        self.terminals[terminal].config = None;
        self.terminals[terminal].wants_snapshot = false;
        self.forget_signals(terminal);
        self.forget_orders(terminal);
        let pause = self.rng.between(500 * MILLI, 8 * SECOND);
        self.agenda.plan(self.now + pause, Happening::TerminalUp { terminal });
    }

    pub(super) fn terminal_up(&mut self, terminal: usize) {
        self.terminals[terminal].line.down = false;
        self.recover_orders(terminal);
        self.converse(terminal);
    }
}
