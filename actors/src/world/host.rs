//! The desk's process: it drives the journal as a real host does, with a clock of its own, and may end at any step.

use super::agenda::{MILLI, Micros, SECOND};
use super::invariants::{self, Checked, Invariant, Key, hold, violation};
use super::mutants::Mutant;
use super::people::Sender;
use super::replay::fold_entries;
use super::session::{Deliveries, Heard, Hearing, Told};
use super::store::{Fate, fate};
use super::{Happening, World};
use crate::journal::{Batch, Fault, Journal, Limits, Released, Reply, Sealed, check_silence};
use crate::node::{Command, Order};
use crate::port::{AppendFault, Saved};
use crate::restore::Restored;
use std::collections::{BTreeMap, VecDeque};
use tidehelm_events::account::{self, Connection};
use tidehelm_events::answer::Answer;
use tidehelm_events::commit::{Commit, Entry, Hash, Head, Reacted};
use tidehelm_events::desk::{self, ClockStepped, ServerStarted};
use tidehelm_events::endpoint;
use tidehelm_events::event::Event;
use tidehelm_events::id::{DeskId, NodeId, Position, StreamId};
use tidehelm_events::react::Effect;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Order as Outstanding, OrderId};
use tidehelm_events::truth::SCHEMA;
use tidehelm_events::view::Fold;
use uuid::Uuid;

/// An order on its way, and who waits for its answer.
#[derive(Debug, Clone)]
pub struct Parcel {
    pub order: Order,
    pub sender: Sender,
}

/// A parcel that has arrived.
#[derive(Debug)]
struct Arrived {
    parcel: Parcel,
    received_at: Timestamp,
    at: Micros,
}

/// A running server.
pub struct Process {
    pub machine: usize,
    node: NodeId,
    /// Desk time is the first, plus what has truly passed since the second.
    anchor: (Timestamp, Micros),
    busy_until: Micros,
    inbox: VecDeque<Arrived>,
    /// None while it is not ready.
    serving: Option<Serving>,
    /// It was asked to stop: it takes nothing new and ends when all that it took is durable.
    leaving: bool,
    outbox: BTreeMap<StreamId, Config>,
    configs: u64,
    /// What it heard from each terminal, and what each is to be told.
    pub sessions: BTreeMap<usize, Heard>,
    due: BTreeMap<StreamId, Due>,
}

/// What the effects say that a terminal is to be told.
#[derive(Debug, Default)]
struct Due {
    orders: BTreeMap<u64, Outstanding>,
    snapshot: bool,
}

/// What a terminal must be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Epoch of the desk that sent it, and its count there: a later one wins.
    pub number: (u64, u64),
    pub config: account::Config,
}

/// A desk that is ready.
struct Serving {
    journal: Journal<u64>,
    /// True time from which it listens: the start, or a step of the clock.
    listening: Micros,
    /// True time of arrival of the last heartbeat that was accepted.
    heard: BTreeMap<StreamId, Micros>,
    /// The same of one that was turned away, and when that last happened to anybody.
    turned_away: BTreeMap<StreamId, Micros>,
    deaf_until: Micros,
    outstanding: BTreeMap<u64, Parcel>,
    flying: Option<u64>,
    flush_at: Option<Micros>,
    renew_at: Micros,
    /// What followers of the durable log know.
    fold: Fold,
    /// Epochs by the position of their registration, and what each was told of the one before.
    registered: BTreeMap<Position, u64>,
    previous: BTreeMap<(StreamId, u64), Option<(u64, u64)>>,
}

impl Process {
    pub fn is_serving(&self) -> bool {
        self.serving.is_some()
    }
    pub fn is_leaving(&self) -> bool {
        self.leaving
    }
    /// What followers of the durable log know; none while it has no log.
    pub fn durable(&self) -> Option<&Fold> {
        self.serving.as_ref().map(|serving| &serving.fold)
    }
    pub fn outbox(&self) -> usize {
        self.outbox.len()
    }
    pub fn accepted(&self) -> Position {
        self.serving.as_ref().map_or(Position(0), |serving| serving.journal.truth().position())
    }
    pub fn revision(&self, stream: &StreamId) -> Option<tidehelm_events::id::Version> {
        Some(self.serving.as_ref()?.fold.truth.slot_of(stream)?.revision())
    }
    fn owe(&mut self, epoch: u64, stream: StreamId, config: account::Config) {
        self.configs += 1;
        self.outbox.insert(stream, Config { number: (epoch, self.configs), config });
    }
}

impl World {
    fn wall(&self, machine: usize) -> Timestamp {
        Timestamp(super::WALL_START + self.now + self.wall_offset + self.skews[machine])
    }

    pub(super) fn desk_now(&self, process: &Process) -> Timestamp {
        match self.mutant {
            Some(Mutant::WallClock) => self.wall(process.machine),
            _ => process.anchor.0 + Span(self.now - process.anchor.1),
        }
    }

    pub(super) fn start(&mut self, machine: usize) {
        if self.processes.values().any(|process| process.machine == machine) {
            return;
        }
        self.next_process += 1;
        let number = self.next_process;
        let process = Process {
            machine,
            node: NodeId(Uuid::from_u128(u128::from(number))),
            anchor: (self.wall(machine), self.now),
            busy_until: 0,
            inbox: VecDeque::new(),
            serving: None,
            leaving: false,
            outbox: BTreeMap::new(),
            configs: 0,
            sessions: BTreeMap::new(),
            due: BTreeMap::new(),
        };
        self.processes.insert(number, process);
        self.note(format_args!("process {number} starts on machine {machine}"));
        self.agenda.plan(self.now, Happening::TakeOver { process: number });
        let tick = self.climate.tick;
        self.agenda.plan(self.now + tick, Happening::Tick { process: number });
    }

    /// Nothing of the process is left but what the store is doing for it.
    pub(super) fn crash(&mut self, number: u64) {
        let Some(process) = self.processes.remove(&number) else { return };
        self.counts.crashes += 1;
        if let Some(append) = process.serving.as_ref().and_then(|serving| serving.flying) {
            self.counts.crashes_in_commit += 1;
            let written = self.store.appends.get(&append).is_some_and(|append| append.result.is_some());
            self.counts.crashes_in_commit_written += u64::from(written);
            if self.rng.permille(500) {
                self.store.appends.remove(&append);
            }
        }
        self.note(format_args!("process {number} crashes"));
        let pause = self.rng.between(100 * MILLI, 10 * SECOND);
        self.agenda.plan(self.now + pause, Happening::Start { machine: process.machine });
    }

    /// Asks the process to stop, as an operator does.
    pub(super) fn leave(&mut self, number: u64) -> Checked {
        if let Some(process) = self.processes.get_mut(&number).filter(|process| process.is_serving()) {
            process.leaving = true;
            self.note(format_args!("process {number} is asked to stop"));
        }
        self.pump(number)
    }

    /// Ends a process that was asked to stop once nothing waits any more.
    fn finish(&mut self, number: u64) -> Checked {
        let idle = |process: &Process| process.serving.as_ref().is_some_and(|serving| serving.journal.is_idle());
        let leaves = |process: &Process| process.leaving && idle(process) && self.is_told(number);
        if !self.processes.get(&number).is_some_and(leaves) {
            return Ok(());
        }
        let Some(process) = self.processes.remove(&number) else { return Ok(()) };
        let Some(serving) = process.serving else { return Ok(()) };
        let left = (serving.outstanding.len(), serving.journal.debts());
        hold!(left == (0, 0), NothingDropped, "process {number} stops and leaves {left:?} tickets and debts");
        self.counts.graceful_stops += 1;
        self.note(format_args!("process {number} stops"));
        self.agenda.plan(self.now + SECOND, Happening::Start { machine: process.machine });
        Ok(())
    }

    pub(super) fn take_over(&mut self, number: u64) {
        if !self.processes.contains_key(&number) {
            return;
        }
        if self.store.is_full(self.now) {
            let again = self.now + self.rng.between(200 * MILLI, SECOND);
            self.agenda.plan(again, Happening::TakeOver { process: number });
            return;
        }
        let head = self.store.log.next_epoch();
        self.auditor.taken_over(head.epoch);
        self.note(format_args!("process {number} takes over at {} with epoch {}", head.position, head.epoch));
        let slow = self.rng.between(MILLI, 300 * MILLI);
        self.agenda.plan(self.now + slow, Happening::Restore { process: number, head });
    }

    /// From the log to a desk that serves: snapshot, tail, debts, and the notes that every start makes.
    pub(super) fn restore(&mut self, number: u64, head: Head) -> Checked {
        let Some(mut process) = self.processes.remove(&number) else { return Ok(()) };
        let restored = self.restored(head)?;
        self.auditor.restored(&restored, head)?;
        self.counts.starts += 1;
        self.counts.debts_made_good += restored.debts.len() as u64;
        self.note(format_args!("process {number} restored to {}, {} owed", head.position, restored.debts.len()));
        let now = self.desk_now(&process).max(head.committed_at);
        process.anchor = (now, self.now);
        process.outbox.clear();
        process.due = self.due_after(&restored.fold);
        for (_, account) in restored.fold.truth.accounts() {
            let stream = StreamId::Account(account.role, account.id.clone());
            process.owe(head.epoch.0, stream, account.config());
        }
        let limits = match self.mutant {
            Some(Mutant::BatchUnbounded) => Limits { batch_events_max: usize::MAX, ..self.climate.limits },
            _ => self.climate.limits,
        };
        let fold = restored.fold.clone();
        let is_new = fold.truth.desk_id().is_none();
        self.begin_proxy(number, head.epoch);
        process.serving = Some(Serving {
            journal: Journal::new(restored, head, process.node, limits),
            listening: self.now,
            heard: BTreeMap::new(),
            turned_away: BTreeMap::new(),
            deaf_until: 0,
            outstanding: BTreeMap::new(),
            flying: None,
            flush_at: None,
            renew_at: self.now + 3 * SECOND,
            fold,
            registered: BTreeMap::new(),
            previous: BTreeMap::new(),
        });
        #[cfg(test)]
        if let Some(serving) = &mut process.serving {
            serving.journal.skip_offline = self.mutant == Some(Mutant::OfflineSlaveSkipped);
            serving.journal.forget_growth = self.mutant == Some(Mutant::GrowthForgotten);
            serving.journal.bend = super::mutants::bent_decisions(self.mutant);
        }
        self.processes.insert(number, process);
        if is_new {
            let desk = DeskId(Uuid::from_u128(u128::from(self.seed) << 64 | 7));
            self.own(number, desk::Command::Open { desk, build: "world".into() });
        }
        if self.mutant != Some(Mutant::StartUnnoted) {
            let started = ServerStarted { node: number.to_string(), build: "world".into(), desk_time: now };
            self.own(number, desk::Command::NoteStart(started));
        }
        self.pump(number)
    }

    /// What a start offers again, from what is durable.
    fn due_after(&self, fold: &Fold) -> BTreeMap<StreamId, Due> {
        let mut due = BTreeMap::new();
        for (_, account) in fold.truth.accounts() {
            due.insert(StreamId::Account(account.role, account.id.clone()), due_of(account));
        }
        for due in due.values_mut() {
            match self.mutant {
                Some(Mutant::OutboxForgotten) => due.orders.clear(),
                Some(Mutant::OrderIdChanged) => {
                    due.orders.values_mut().for_each(|order| order.id = OrderId(Uuid::new_v5(&order.id.0, b"again")));
                }
                _ => {}
            }
        }
        due
    }

    fn restored(&mut self, head: Head) -> Result<Restored, invariants::Violation> {
        let entries: Vec<Entry> = self.store.log.entries.clone();
        let entries: Vec<Entry> = entries.into_iter().filter(|entry| entry.head().position <= head.position).collect();
        let (snapshot, used) = self.newest_snapshot(head);
        let mut restored = fold_entries(snapshot, &entries, self.mutant)?;
        if used {
            self.counts.snapshots_used += 1;
        }
        if used || self.rng.permille(100) {
            self.counts.full_replays += 1;
            let full = fold_entries(Fold::default(), &entries, self.mutant)?;
            let same = full.fold == restored.fold && full.debts == restored.debts;
            hold!(same, SameFold, "snapshot and tail are not the full replay at {}", head.position);
        }
        if self.mutant == Some(Mutant::DebtsLost) {
            restored.debts.clear();
        }
        Ok(restored)
    }

    /// The newest snapshot that can be believed. Others are discarded.
    fn newest_snapshot(&mut self, head: Head) -> (Fold, bool) {
        while let Some(at) = self.store.log.saved.iter().rposition(|saved| saved.position <= head.position) {
            let saved = &self.store.log.saved[at];
            let whole = saved.is_whole() || self.mutant == Some(Mutant::SnapshotUnchecked);
            let fold = (saved.schema == SCHEMA && whole).then(|| Fold::from_bytes(&saved.bytes).ok()).flatten();
            if let Some(fold) = fold.filter(|fold| fold.truth.position() == saved.position) {
                return (fold, true);
            }
            self.counts.bad_snapshots_ignored += 1;
            self.store.log.saved.remove(at);
        }
        (Fold::default(), false)
    }

    /// A message reaches whichever desk answers at the address: of two that both think it is theirs, any.
    pub(super) fn arrive(&mut self, parcel: Parcel) {
        let all: Vec<u64> = self.processes.keys().copied().collect();
        if all.is_empty() {
            return;
        }
        let number = self.rng.pick(&all);
        self.arrive_at(number, parcel);
    }

    /// A message reaches this desk, if it is still there.
    pub(super) fn arrive_at(&mut self, number: u64, parcel: Parcel) {
        let Some(process) = self.processes.get(&number) else { return };
        let received_at = self.desk_now(process);
        let pause = self.is_stormy() && self.rng.permille(self.climate.pause);
        let busy = if pause { self.now + self.rng.between(100 * MILLI, 3 * SECOND) } else { 0 };
        let quick = self.now + self.rng.between(10, 500);
        let Some(process) = self.processes.get_mut(&number) else { return };
        process.busy_until = process.busy_until.max(busy);
        process.inbox.push_back(Arrived { parcel, received_at, at: self.now });
        self.agenda.plan(quick.max(process.busy_until), Happening::Work { process: number });
    }

    /// Takes the next message from the mailbox.
    pub(super) fn work(&mut self, number: u64) -> Checked {
        let Some(mut process) = self.processes.remove(&number) else { return Ok(()) };
        let Some(Arrived { mut parcel, received_at, at }) = process.inbox.pop_front() else {
            self.processes.insert(number, process);
            return Ok(());
        };
        let now = self.desk_now(&process);
        parcel.order.received_at = if self.mutant == Some(Mutant::ProcessingTime) { now } else { received_at };
        if !self.admits(&mut process, &mut parcel) {
            self.processes.insert(number, process);
            return Ok(());
        }
        let ticket = self.ticket();
        let mut order = parcel.order.clone();
        match (self.mutant, parcel.sender) {
            (Some(Mutant::DoubledIsNew), Sender::Caller(asked)) if self.asked[asked].sent > 1 => order.id = None,
            (Some(Mutant::ReuseUnnoticed), Sender::Caller(asked)) => {
                order.body = self.asked[asked].reuses.map_or(order.body, |first| self.asked[first].order.body);
            }
            _ => {}
        }
        let beat = matches!(order.command, Command::Account(account::Command::Heartbeat(_)));
        let told = matches!(parcel.sender, Sender::Teller { .. });
        let probe = matches!(parcel.sender, Sender::Prober { .. });
        match beat {
            true => self.note(format_args!("process {number} takes {ticket}: {} beats", order.to)),
            false if told => self.note(format_args!("process {number} takes {ticket}: {} had requests", order.to)),
            false => self.note(format_args!("process {number} takes {ticket}: {} {:?}", order.to, order.command)),
        }
        // Who stops takes nothing new, but for what was asked of it before.
        let leaving = process.leaving && !told;
        let Some(serving) = process.serving.as_mut().filter(|_| !leaving) else {
            self.processes.insert(number, process);
            return self.fault(number, parcel, if leaving { Fault::Stopping } else { Fault::Unavailable });
        };
        let quiet = self.phase == super::Phase::Quiet;
        let to = order.to.clone();
        serving.outstanding.insert(ticket, parcel);
        let submitted = serving.journal.submit(order, ticket, now);
        let mut turned_away = None;
        match submitted {
            Ok(()) if beat => {
                let heard = serving.heard.entry(to).or_insert(at);
                *heard = at.max(*heard);
                self.counts.quiet_heartbeats += u64::from(quiet);
            }
            Ok(()) => self.counts.quiet_probes += u64::from(quiet && probe),
            Err((ticket, fault)) => {
                if beat {
                    serving.turned_away.insert(to, at);
                    serving.deaf_until = self.now;
                }
                turned_away = serving.outstanding.remove(&ticket).map(|parcel| (parcel, fault));
            }
        }
        self.processes.insert(number, process);
        if let Some((parcel, fault)) = turned_away {
            self.counts.overloads += u64::from(fault == Fault::Overloaded);
            self.fault(number, parcel, fault)?;
        }
        self.pump(number)
    }

    /// The session's part: nothing is heard twice, and only the registration that counts is believed.
    fn admits(&mut self, process: &mut Process, parcel: &mut Parcel) -> bool {
        let truth = process.serving.as_ref().map(|serving| serving.journal.truth());
        let known = truth.and_then(|truth| truth.account(&parcel.order.to));
        let counts = known.map_or(0, |account| account.epoch);
        let signals = known.and_then(|account| account.master_book.as_ref()).map_or(0, |book| book.signal_seq);
        let beats = matches!(parcel.order.command, Command::Account(account::Command::Heartbeat(_)));
        match parcel.sender {
            Sender::Beat { terminal, epoch, tag } if beats => {
                let heard = process.sessions.entry(terminal).or_default();
                let fresh = tag > heard.beat;
                heard.beat = heard.beat.max(tag);
                if epoch < counts {
                    self.agenda.plan(self.now + 50 * MILLI, Happening::Superseded { terminal, epoch });
                }
                fresh && epoch == counts
            }
            Sender::Session { terminal, tag, epoch, .. } => {
                match process.sessions.entry(terminal).or_default().hear(tag) {
                    Hearing::New => {}
                    Hearing::Nothing => return false,
                    Hearing::Again(told) => {
                        self.tell_terminal(terminal, tag, &told);
                        return false;
                    }
                }
                let old = epoch > 0 && epoch != counts && self.mutant != Some(Mutant::EpochUnchecked);
                if old && process.serving.is_some() {
                    let told = Told::Superseded;
                    process.sessions.entry(terminal).or_default().answer(tag, &told);
                    self.tell_terminal(terminal, tag, &told);
                    return false;
                }
                match (&mut parcel.order.command, self.mutant) {
                    (Command::Account(account::Command::Signal(signal)), Some(Mutant::SignalGapAccepted)) => {
                        signal.signal_seq = signal.signal_seq.max(signals + 1);
                    }
                    (Command::Account(account::Command::Result { .. }), Some(Mutant::ResultUnheard))
                        if self.rng.permille(50) =>
                    {
                        let position = Position(0);
                        let answer = Answer::Done { first: position, last: position, changed: false };
                        self.tell_terminal(terminal, tag, &Told::Answer(answer));
                        return false;
                    }
                    _ => {}
                }
                true
            }
            Sender::Prober { endpoint, .. } if self.mutant == Some(Mutant::RevisionUnchecked) => {
                let now = truth.and_then(|truth| truth.endpoint(endpoint)).map(|endpoint| endpoint.revision);
                if let (Command::Endpoint(endpoint::Command::TakeProbe { revision, .. }), Some(now)) =
                    (&mut parcel.order.command, now)
                {
                    *revision = now;
                }
                true
            }
            Sender::Caller(_) | Sender::Beat { .. } | Sender::Desk | Sender::Teller { .. } | Sender::Prober { .. } => {
                true
            }
        }
    }

    fn ticket(&mut self) -> u64 {
        self.next_ticket += 1;
        self.next_ticket
    }

    /// An order of the process itself. It has no patience: a fault is not repeated.
    fn own(&mut self, number: u64, command: desk::Command) {
        let ticket = self.ticket();
        let Some(mut process) = self.processes.remove(&number) else { return };
        let now = self.desk_now(&process);
        let order = Order::own(command, now);
        self.submit_own(&mut process, order, ticket, now);
        self.processes.insert(number, process);
    }

    fn submit_own(&mut self, process: &mut Process, order: Order, ticket: u64, now: Timestamp) {
        let Some(serving) = &mut process.serving else { return };
        serving.outstanding.insert(ticket, Parcel { order: order.clone(), sender: Sender::Desk });
        if let Err((ticket, _)) = serving.journal.submit(order, ticket, now) {
            self.counts.overloads += 1;
            serving.outstanding.remove(&ticket);
        }
    }

    /// The regular look: at the wall clock, at accounts that are silent, at terminals that were not reached.
    pub(super) fn tick(&mut self, number: u64) -> Checked {
        let Some(process) = self.processes.get(&number) else { return Ok(()) };
        let next = self.now + self.climate.tick;
        self.agenda.plan(next.max(process.busy_until), Happening::Tick { process: number });
        if !process.is_serving() {
            return Ok(());
        }
        if let Some(fenced) = self.renewal(number) {
            return self.forget(number, &fenced);
        }
        self.look_at_the_clock(number);
        self.look_for_silence(number)?;
        self.send_configs(number);
        self.look_at_endpoints(number);
        self.pump(number)
    }

    /// An idle writer asks now and then whether it still is the writer: a desk without anything to write is fenced as well.
    fn renewal(&mut self, number: u64) -> Option<AppendFault> {
        let found = self.store.log.end().epoch;
        let serving = self.processes.get_mut(&number)?.serving.as_mut()?;
        if self.now < serving.renew_at || serving.flying.is_some() {
            return None;
        }
        serving.renew_at = self.now + 3 * SECOND;
        let ours = serving.journal.epoch();
        (ours != found).then_some(AppendFault::Fenced { ours, found })
    }

    /// A wall clock that is more than a second ahead is followed, like a start; one that went back is not.
    fn look_at_the_clock(&mut self, number: u64) {
        let Some(process) = self.processes.get(&number) else { return };
        let by = self.wall(process.machine).since(self.desk_now(process));
        if by <= Span::seconds(1) || self.mutant == Some(Mutant::WallClock) {
            return;
        }
        let anchor = (self.wall(process.machine), self.now);
        self.counts.steps_adopted += 1;
        self.note(format_args!("process {number} follows the clock by {} s", by.0 / SECOND));
        if let Some(process) = self.processes.get_mut(&number) {
            process.anchor = anchor;
            if let Some(serving) = &mut process.serving {
                serving.listening = self.now;
            }
        }
        if self.mutant != Some(Mutant::StepUnnoted) {
            self.own(number, desk::Command::NoteClockStep(ClockStepped { by }));
        }
    }

    fn look_for_silence(&mut self, number: u64) -> Checked {
        let Some(mut process) = self.processes.remove(&number) else { return Ok(()) };
        let now = self.desk_now(&process);
        let silent = match &mut process.serving {
            Some(serving) => serving.journal.silent(now),
            None => Vec::new(),
        };
        for stream in silent {
            let before = connection(&process, &stream);
            let ticket = self.ticket();
            self.submit_own(&mut process, check_silence(stream.clone(), now), ticket, now);
            if before == Some(Connection::Online) && connection(&process, &stream) == Some(Connection::Lost) {
                self.note(format_args!("process {number}: {stream} is silent"));
                self.check_offline(&process, &stream)?;
            }
        }
        let checked = self.check_online(&process);
        self.processes.insert(number, process);
        checked
    }

    /// Truly silent for the timeout, while somebody listened. A heartbeat that was turned away is no silence.
    fn check_offline(&self, process: &Process, stream: &StreamId) -> Checked {
        let Some(serving) = &process.serving else { return Ok(()) };
        let knocked = serving.turned_away.get(stream).copied().unwrap_or_default();
        let deadline = true_deadline(serving, stream).max(knocked + timeout(serving));
        hold!(deadline <= self.now, Silence, "{stream} is shown offline {} µs early", deadline - self.now);
        Ok(())
    }

    /// After each tick nobody is shown online who was truly silent for the timeout.
    fn check_online(&self, process: &Process) -> Checked {
        let Some(serving) = &process.serving else { return Ok(()) };
        for (_, account) in serving.journal.truth().accounts() {
            if account.connection == Connection::Online {
                let stream = StreamId::Account(account.role, account.id.clone());
                let late = self.now - true_deadline(serving, &stream).max(serving.deaf_until + timeout(serving));
                hold!(late <= 0, Silence, "{stream} is shown online {late} µs after its timeout");
            }
        }
        Ok(())
    }

    fn send_configs(&mut self, number: u64) {
        let Some(process) = self.processes.get(&number) else { return };
        let due: Vec<_> = process.outbox.iter().map(|(stream, config)| (stream.clone(), config.clone())).collect();
        for (stream, config) in due {
            for delay in self.deliveries() {
                let (stream, config) = (stream.clone(), Box::new(config.clone()));
                self.agenda.plan(self.now + delay, Happening::Config { stream, config, process: number });
            }
        }
    }

    pub(super) fn acknowledged(&mut self, number: u64, stream: &StreamId, seen: (u64, u64)) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        if process.outbox.get(stream).is_some_and(|config| config.number == seen) {
            process.outbox.remove(stream);
        }
    }

    /// Lets out what may leave and plans the next commit.
    fn pump(&mut self, number: u64) -> Checked {
        let Some(serving) = self.processes.get_mut(&number).and_then(|process| process.serving.as_mut()) else {
            return Ok(());
        };
        let ready = serving.journal.release_ready();
        self.let_out(number, ready)?;
        let gather = self.rng.between(0, 2 * MILLI);
        let Some(process) = self.processes.get(&number) else { return Ok(()) };
        let desk_now = self.desk_now(process);
        let Some(serving) = self.processes.get_mut(&number).and_then(|process| process.serving.as_mut()) else {
            return Ok(());
        };
        let Some(wanted) = serving.journal.wants_seal() else { return self.finish(number) };
        let at = self.now + wanted.since(desk_now).0.max(0) + gather;
        if serving.flush_at.is_none_or(|planned| at < planned) {
            serving.flush_at = Some(at);
            self.agenda.plan(at, Happening::Flush { process: number });
        }
        Ok(())
    }

    pub(super) fn flush(&mut self, number: u64) -> Checked {
        let Some(mut process) = self.processes.remove(&number) else { return Ok(()) };
        let now = self.desk_now(&process);
        let mut sealed = None;
        if let Some(serving) = process.serving.as_mut().filter(|serving| serving.flush_at == Some(self.now)) {
            serving.flush_at = None;
            sealed = serving.journal.seal(now);
        }
        let begun = match sealed {
            Some(sealed) => self.append(number, &mut process, sealed),
            None => Ok(()),
        };
        self.processes.insert(number, process);
        begun?;
        self.pump(number)
    }

    fn append(&mut self, number: u64, process: &mut Process, sealed: Sealed) -> Checked {
        let header = &sealed.commit.header;
        self.note(format_args!("process {number} seals {} to {}", header.first, header.last));
        if header.reacted != Reacted::all_through(header.last) {
            self.counts.commits_with_debts += 1;
        }
        match self.mutant {
            Some(Mutant::RepliesBeforeDurable) => self.reply_early(number, process, &sealed.commit)?,
            Some(Mutant::EffectsBeforeDurable | Mutant::OrdersBeforeDurable) => {
                self.act_early(process, &sealed.commit)?
            }
            _ => {}
        }
        let full = self.store.is_full(self.now);
        let stormy = self.is_stormy();
        let fate = fate(&mut self.rng, &self.climate, self.now, stormy, full);
        let append = self.store.begin(number, sealed, fate);
        if let Some(serving) = &mut process.serving {
            serving.flying = Some(append);
        }
        let (write_at, say_at) = match fate {
            Fate::Kept { write_at, say_at } => {
                self.counts.stalls += u64::from(say_at - self.now > 500 * MILLI);
                (Some(write_at), say_at)
            }
            Fate::Refused { say_at } => (None, say_at),
            Fate::Doubtful { write_at, say_at } => {
                self.counts.late_writes += u64::from(write_at.is_some_and(|at| at > say_at));
                (write_at, say_at)
            }
        };
        if let Some(at) = write_at {
            self.agenda.plan(at, Happening::Write { append });
        }
        self.agenda.plan(say_at, Happening::Say { append });
        Ok(())
    }

    /// The store touches the disk.
    pub(super) fn write(&mut self, append: u64) -> Checked {
        let Some(tried) = self.store.write(append, self.mutant) else { return Ok(()) };
        let (first, last) = (tried.sealed.commit.header.first, tried.sealed.commit.header.last);
        let outcome = match &tried.result {
            Some(Ok(())) => {
                self.counts.commits += 1;
                self.counts.in_doubt_written += u64::from(matches!(tried.fate, Fate::Doubtful { .. }));
                self.auditor.commit(&tried.sealed.commit)?;
                "written".to_string()
            }
            Some(Err(fault)) => fault.to_string(),
            None => unreachable!("an append that was tried has a result"),
        };
        self.note(format_args!("the store: {first} to {last}: {outcome}"));
        Ok(())
    }

    /// The store tells the desk what became of its append.
    pub(super) fn say(&mut self, append: u64) -> Checked {
        let Some(told) = self.store.appends.get_mut(&append) else { return Ok(()) };
        let number = told.process;
        let late =
            matches!(told.fate, Fate::Doubtful { write_at: Some(at), .. } if at >= self.now && told.result.is_none());
        let outcome = match told.fate {
            Fate::Kept { .. } => match told.result.take() {
                Some(result) => result,
                None => unreachable!("an append is written before it is confirmed"),
            },
            Fate::Refused { .. } => Err(AppendFault::Unavailable("the disk is full".into())),
            Fate::Doubtful { .. } => Err(AppendFault::InDoubt("the connection ended".into())),
        };
        if !late {
            self.store.appends.remove(&append);
        }
        let waits = |process: &Process| process.serving.as_ref().is_some_and(|serving| serving.flying == Some(append));
        if !self.processes.get(&number).is_some_and(waits) {
            return Ok(());
        }
        match (outcome, self.mutant) {
            (Ok(()), _) => self.durable(number),
            (Err(AppendFault::Conflict { .. } | AppendFault::Fenced { .. }), Some(Mutant::ConflictIsSuccess)) => {
                self.durable(number)
            }
            (Err(AppendFault::InDoubt(_)), Some(Mutant::DoubtKept)) => self.keep_state(number),
            (Err(AppendFault::Unavailable(_)), Some(Mutant::FailureKept)) => self.keep_state(number),
            (Err(fault), _) => self.forget(number, &fault),
        }
    }

    fn durable(&mut self, number: u64) -> Checked {
        let Some(serving) = self.processes.get_mut(&number).and_then(|process| process.serving.as_mut()) else {
            return Ok(());
        };
        serving.flying = None;
        let Released { replies, effects, batch } = serving.journal.durable();
        let followed = serving
            .fold
            .truth
            .learn(&batch.names)
            .and_then(|()| batch.records.iter().try_for_each(|record| serving.fold.apply(record)));
        followed.map_err(|error| violation(Invariant::SameFold, error.to_string()))?;
        let epoch = serving.journal.epoch().0;
        for record in &batch.records {
            if let Event::Account(account::Event::Registered(registered)) = &record.event {
                serving.registered.insert(record.position, registered.epoch);
            }
        }
        for effect in &effects {
            if let Effect::Registered { stream, epoch, previous } = effect {
                serving.previous.insert((stream.clone(), *epoch), *previous);
            }
        }
        self.note(format_args!("process {number}: durable to {}", batch.head.position));
        self.let_out(number, replies)?;
        for effect in effects {
            self.counts.effects += 1;
            self.auditor.effect(&effect)?;
            self.follow_effect(number, epoch, effect);
        }
        self.check_due(number)?;
        self.compare(number, &batch)?;
        self.pump(number)
    }

    /// What an effect says that terminals are to be told.
    fn follow_effect(&mut self, number: u64, epoch: u64, effect: Effect) {
        let Some(process) = self.processes.get_mut(&number) else { return };
        match effect {
            Effect::ConfigDue { stream, config } => process.owe(epoch, stream, *config),
            Effect::Registered { stream, .. } => {
                let serving = process.serving.as_ref();
                let account = serving.and_then(|serving| serving.fold.truth.account(&stream));
                if let Some(config) = account.map(account::Account::config) {
                    process.owe(epoch, stream, config);
                }
            }
            Effect::OrderDue { stream, order } => {
                process.due.entry(stream).or_default().orders.insert(order.seq, *order);
            }
            Effect::OrderDone { stream, seq, .. } => {
                process.due.entry(stream).or_default().orders.remove(&seq);
            }
            Effect::SnapshotDue { stream } => process.due.entry(stream).or_default().snapshot = true,
            Effect::SnapshotDone { stream } => process.due.entry(stream).or_default().snapshot = false,
            Effect::VenueAsked { .. } | Effect::StopChanged { .. } => {}
        }
    }

    /// What the effects made of it is what the durable state says.
    fn check_due(&self, number: u64) -> Checked {
        let Some(process) = self.processes.get(&number) else { return Ok(()) };
        let Some(serving) = &process.serving else { return Ok(()) };
        for (_, account) in serving.fold.truth.accounts() {
            let stream = StreamId::Account(account.role, account.id.clone());
            let (orders, snapshot) = match process.due.get(&stream) {
                Some(due) => (Some(&due.orders), due.snapshot),
                None => (None, false),
            };
            let wanted = account.slave_book.as_ref().map(|book| &book.outbox);
            let same = match (orders, wanted) {
                (Some(orders), Some(wanted)) => orders == wanted,
                (Some(orders), None) | (None, Some(orders)) => orders.is_empty(),
                (None, None) => true,
            };
            hold!(same, Offers, "{stream} is offered {orders:?}, outstanding is {wanted:?}");
            let wanted = snapshot_wanted(account);
            hold!(snapshot == wanted, Offers, "{stream} is asked for its positions: {snapshot}, wanted: {wanted}");
        }
        Ok(())
    }

    /// What a poll of the terminal is answered.
    fn deliveries_for(&mut self, number: u64, terminal: usize) -> Result<Deliveries, invariants::Violation> {
        let stream = self.terminals[terminal].stream.clone();
        let Some(process) = self.processes.get(&number) else { return Ok(Deliveries::default()) };
        let name = stream.to_string();
        let mine = |other: &StreamId| match self.mutant {
            Some(Mutant::WrongSlaveByPrefix) => other.to_string().starts_with(&name),
            _ => *other == stream,
        };
        let due = process.due.iter().filter(|(other, _)| mine(other));
        let orders: Vec<Outstanding> = due.flat_map(|(_, due)| due.orders.values().take(30).cloned()).collect();
        let snapshot = process.due.get(&stream).is_some_and(|due| due.snapshot);
        let desk_time = self.desk_now(process);
        self.counts.orders_offered += orders.len() as u64;
        orders.iter().try_for_each(|order| self.auditor.ledger.offered(&stream, order))?;
        Ok(Deliveries { orders, snapshot, desk_time })
    }

    fn session_reply(
        &mut self,
        number: u64,
        (terminal, tag, poll): (usize, u64, bool),
        order: &Order,
        answer: Answer,
    ) -> Checked {
        let registers = matches!(order.command, Command::Account(account::Command::Register(_)));
        let told = match (&answer, poll) {
            (_, true) => Told::Deliveries(self.deliveries_for(number, terminal)?),
            (Answer::Done { first, last, .. }, false) if registers => {
                let Some(serving) = self.processes.get(&number).and_then(|process| process.serving.as_ref()) else {
                    return Ok(());
                };
                let Some((_, epoch)) = serving.registered.range(*first..=*last).next() else { return Ok(()) };
                let previous = serving.previous.get(&(order.to.clone(), *epoch)).copied().flatten();
                Told::Registered { epoch: *epoch, previous }
            }
            (_, false) => Told::Answer(answer),
        };
        self.tell_heard(number, terminal, tag, &told);
        Ok(())
    }

    /// Live state, followed state and replayed state, where they stand at the same position; and sometimes a snapshot.
    fn compare(&mut self, number: u64, batch: &Batch) -> Checked {
        let (head, often) = (batch.head, 8);
        let position = head.position;
        let drained = self.auditor.owed_at(position).is_empty();
        hold!(drained == batch.drained, Debts, "the batch up to {position} says drained: {}", batch.drained);
        if position != self.auditor.head().position {
            return Ok(());
        }
        let careless = !drained && self.mutant == Some(Mutant::SnapshotWithDebts);
        if careless || (drained && self.rng.permille(self.climate.snapshot)) {
            self.snapshot(number, head)?;
        }
        if !position.0.is_multiple_of(often) {
            return Ok(());
        }
        let Some(serving) = self.processes.get(&number).and_then(|process| process.serving.as_ref()) else {
            return Ok(());
        };
        hold!(serving.fold == *self.auditor.fold(), SameFold, "the follower differs from the replay at {position}");
        if serving.journal.is_idle() && serving.journal.debts() == 0 {
            self.counts.states_compared += 1;
            let same = *serving.journal.truth() == self.auditor.fold().truth;
            hold!(same, SameFold, "the live state differs from the replay at {position}");
            if position.0.is_multiple_of(8 * often) {
                let (live, replayed) = (serving.journal.truth().hash(), self.auditor.fold().truth.hash());
                hold!(live == replayed, SameFold, "the live hash differs from the replayed one at {position}");
            }
        }
        Ok(())
    }

    fn snapshot(&mut self, number: u64, head: Head) -> Checked {
        let Some(serving) = self.processes.get(&number).and_then(|process| process.serving.as_ref()) else {
            return Ok(());
        };
        let mut bytes = serving.fold.to_bytes();
        let back = Fold::from_bytes(&bytes).map_err(|error| violation(Invariant::RoundTrip, error.to_string()))?;
        hold!(back == serving.fold, RoundTrip, "the fold at {} comes back as another", head.position);
        let mut hash = Hash::of(&bytes);
        let mut schema = SCHEMA;
        if self.is_stormy() && self.rng.permille(self.climate.spoil) {
            match self.rng.below(4) {
                0 => {
                    bytes.truncate(bytes.len() / 2);
                    hash = Hash::of(&bytes);
                }
                1 => schema += 1,
                _ => {
                    let at = self.rng.below(bytes.len() as u64) as usize;
                    bytes[at] ^= 1 << self.rng.below(8);
                }
            }
        }
        self.counts.snapshots_taken += 1;
        let at = head.committed_at;
        let saved = Saved { position: head.position, schema, build: "world".into(), at, hash, bytes };
        self.store.log.saved.retain(|known| known.position != head.position);
        self.store.log.saved.push(saved);
        self.store.log.saved.sort_by_key(|saved| saved.position);
        Ok(())
    }

    /// Nothing of the commit leaves. A desk that was fenced ends; one that met a fault reads the log again.
    fn forget(&mut self, number: u64, fault: &AppendFault) -> Checked {
        let Some(mut process) = self.processes.remove(&number) else { return Ok(()) };
        let Some(serving) = process.serving.take() else { return Ok(()) };
        self.note(format_args!("process {number}: {fault}"));
        process.sessions.values_mut().for_each(Heard::forget);
        let mut outstanding = serving.outstanding;
        let given_back = serving.journal.forget();
        let count = given_back.len();
        let parcels: Vec<Parcel> = given_back.iter().filter_map(|ticket| outstanding.remove(ticket)).collect();
        hold!(
            parcels.len() == count && outstanding.is_empty(),
            NothingDropped,
            "forgetting gave back {count} tickets, {} of them known, and kept {outstanding:?}",
            parcels.len()
        );
        parcels.into_iter().try_for_each(|parcel| self.fault(number, parcel, Fault::Unavailable))?;
        match fault {
            AppendFault::Fenced { .. } | AppendFault::Conflict { .. } => {
                self.counts.fenced_writers += 1;
                return Ok(());
            }
            AppendFault::Unavailable(_) => self.counts.store_refusals += 1,
            AppendFault::InDoubt(_) => self.counts.in_doubt += 1,
        }
        self.processes.insert(number, process);
        let pause = self.rng.between(10 * MILLI, 500 * MILLI);
        self.agenda.plan(self.now + pause, Happening::TakeOver { process: number });
        Ok(())
    }

    /// Replies that the journal lets go.
    fn let_out(&mut self, number: u64, replies: Vec<(u64, Reply)>) -> Checked {
        let Some(process) = self.processes.get(&number) else { return Ok(()) };
        let now = self.desk_now(process);
        for (ticket, reply) in replies {
            let serving = self.processes.get_mut(&number).and_then(|process| process.serving.as_mut());
            let Some(parcel) = serving.and_then(|serving| serving.outstanding.remove(&ticket)) else {
                return Err(violation(Invariant::NothingDropped, format!("ticket {ticket} comes back twice")));
            };
            self.reply(number, parcel, reply, now)?;
        }
        Ok(())
    }

    fn reply(&mut self, number: u64, parcel: Parcel, reply: Reply, now: Timestamp) -> Checked {
        let Parcel { order, sender } = parcel;
        let end = self.auditor.head().position;
        let position = reply.position;
        hold!(position <= end, DurableReplies, "a reply reflects {position}, the log ends at {end}");
        if let Some(id) = order.id {
            let key: Key = (order.to.clone(), order.by.clone(), id);
            self.auditor.reply(&key, order.body, &reply.answer, now)?;
        }
        if let Sender::Session { terminal, tag, poll, .. } = sender {
            return self.session_reply(number, (terminal, tag, poll), &order, reply.answer);
        }
        self.answered(sender, reply.answer)
    }

    fn reply_early(&mut self, number: u64, process: &mut Process, commit: &Commit) -> Checked {
        let Ok(unpacked) = commit.unpack() else { return Ok(()) };
        let now = self.desk_now(process);
        for record in unpacked.records {
            let Event::Answered(answered) = record.event else { continue };
            let Some(serving) = &process.serving else { continue };
            let asks = |parcel: &&Parcel| parcel.order.id == Some(answered.command_id);
            let Some(parcel) = serving.outstanding.values().find(asks).cloned() else { continue };
            self.reply(number, parcel, Reply { answer: answered.answer, position: record.position }, now)?;
        }
        Ok(())
    }

    fn act_early(&mut self, process: &Process, commit: &Commit) -> Checked {
        let Ok(unpacked) = commit.unpack() else { return Ok(()) };
        for record in unpacked.records {
            let names = process.serving.as_ref().map(|serving| serving.journal.truth().names());
            let stream = names.and_then(|names| names.get(record.stream).cloned());
            let (Event::Account(event), Some(stream)) = (record.event, stream) else { continue };
            if let (account::Event::OrderIssued(issued), Some(Mutant::OrdersBeforeDurable)) = (&event, self.mutant) {
                self.auditor.effect(&Effect::OrderDue { stream, order: issued.order.clone() })?;
                continue;
            }
            if let (account::Event::StatusChanged(_), Some(Mutant::EffectsBeforeDurable)) = (event, self.mutant) {
                let account = process.serving.as_ref().and_then(|serving| serving.journal.truth().account(&stream));
                let Some(config) = account.map(account::Account::config) else { continue };
                self.auditor.effect(&Effect::ConfigDue { stream, config: Box::new(config) })?;
            }
        }
        Ok(())
    }

    /// A mutant: the commit counts as failed for its callers, and goes on to count for the state.
    fn keep_state(&mut self, number: u64) -> Checked {
        let Some(serving) = self.processes.get_mut(&number).and_then(|process| process.serving.as_mut()) else {
            return Ok(());
        };
        serving.flying = None;
        let Released { replies, .. } = serving.journal.durable();
        let parcels: Vec<_> = replies.iter().filter_map(|(ticket, _)| serving.outstanding.remove(ticket)).collect();
        parcels.into_iter().try_for_each(|parcel| self.fault(number, parcel, Fault::Unavailable))?;
        self.pump(number)
    }
}

fn due_of(account: &account::Account) -> Due {
    let orders = account.slave_book.as_ref().map(|book| book.outbox.clone()).unwrap_or_default();
    Due { orders, snapshot: snapshot_wanted(account) }
}

fn snapshot_wanted(account: &account::Account) -> bool {
    let master = account.master_book.as_ref().is_some_and(|book| book.snapshot_wanted);
    master || account.slave_book.as_ref().is_some_and(|book| book.snapshot_wanted)
}

fn connection(process: &Process, stream: &StreamId) -> Option<Connection> {
    Some(process.serving.as_ref()?.journal.truth().account(stream)?.connection)
}

/// When the account counts as lost, by true time and what this desk has truly heard.
fn true_deadline(serving: &Serving, stream: &StreamId) -> Micros {
    let heard = serving.heard.get(stream).copied().unwrap_or(serving.listening);
    heard.max(serving.listening) + timeout(serving)
}

fn timeout(serving: &Serving) -> Micros {
    serving.journal.truth().desk().map_or(0, |desk| desk.settings.timeout().0)
}

/// How an answer reads in the history.
pub fn tell(answer: &Answer) -> String {
    match answer {
        Answer::Done { first, last, changed: true } => format!("done {first} to {last}"),
        Answer::Done { .. } => "done already".into(),
        Answer::Refused(denial) => format!("refused: {}", denial.code),
    }
}
