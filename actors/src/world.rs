//! The same desk in virtual time: terminals, people, a network, disks and clocks made from one number, with every fault that we
//! could think of, and an auditor who checks each step against numbered invariants.
//!
//! A world storms for a while; then the faults stop and everything must come right; then nothing changes any more and nothing
//! may happen but heartbeats. The same seed is the same history, to the last byte.

pub mod agenda;
mod brokers;
mod climate;
mod endpoints;
mod health;
mod history;
mod host;
pub mod invariants;
mod ledger;
mod masters;
pub mod mutants;
mod people;
mod proxy;
mod recount;
pub mod reference;
mod replay;
pub(crate) mod rng;
mod session;
mod store;
mod terminals;
#[cfg(test)]
mod tests;

use agenda::{Agenda, MILLI, Micros, SECOND};
use climate::Climate;
use endpoints::{Affair, Endpoints};
pub use history::Counts;
use history::History;
use host::{Config, Parcel, Process};
use invariants::{Auditor, Checked, Invariant, Violation, hold, violation};
use mutants::Mutant;
use people::{Asked, Person};
use rng::Rng;
use rust_decimal::Decimal;
use session::Told;
use std::collections::BTreeMap;
use std::collections::BTreeSet;
use std::fmt::Arguments;
use std::panic::{AssertUnwindSafe, catch_unwind};
use store::Store;
use terminals::Terminal;
use tidehelm_events::account::{Account, Connection};
use tidehelm_events::answer::Answer;
use tidehelm_events::commit::{Hash, Head};
use tidehelm_events::id::{CredentialId, Position, Role, StreamId};
use tidehelm_events::reason::Warning;
use tidehelm_events::trade::{OrderId, Ticket, Trade};

/// 2026-01-05T00:00:00Z
const WALL_START: i64 = 1_767_571_200_000_000;

/// How long each part of a world lasts.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    pub storm: Micros,
    /// The storm ends after so many steps, if not before.
    pub steps: u64,
    pub calm: Micros,
    pub quiet: Micros,
    pub loud: bool,
    pub mutant: Option<Mutant>,
}

impl Default for Plan {
    fn default() -> Self {
        Plan { storm: 60 * SECOND, steps: u64::MAX, calm: 45 * SECOND, quiet: 120 * SECOND, loud: false, mutant: None }
    }
}

/// What became of a world.
#[derive(Debug, Clone)]
pub struct Outcome {
    pub seed: u64,
    pub counts: Counts,
    /// Hash of every line of its history and of its log.
    pub hash: Hash,
    pub violation: Option<Violation>,
    /// The last lines, or all of them where it was loud.
    pub lines: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Storm,
    Calm,
    Quiet,
    Over,
}

/// What can be on the agenda.
#[derive(Debug)]
enum Happening {
    Start { machine: usize },
    TakeOver { process: u64 },
    Restore { process: u64, head: Head },
    Tick { process: u64 },
    Work { process: u64 },
    Flush { process: u64 },
    Write { append: u64 },
    Say { append: u64 },
    Crash,
    SecondDesk,
    ClockStep,
    DiskFull,
    Beat { terminal: usize },
    Live { terminal: usize },
    SetUp { terminal: usize },
    Poll { terminal: usize },
    Trade { terminal: usize },
    ByHand { terminal: usize },
    Broker { terminal: usize, order: OrderId },
    Triggered { terminal: usize, ticket: Ticket, expires: bool },
    Impatient { terminal: usize, tag: u64, tries: u32 },
    SayAgain { terminal: usize, tag: u64, tries: u32 },
    Speak { process: u64, parcel: Box<Parcel> },
    Told { terminal: usize, tag: u64, told: Box<Told> },
    Superseded { terminal: usize, epoch: u64 },
    TerminalUp { terminal: usize },
    Endpoint(Affair),
    Act { person: usize },
    Send { asked: usize, sent: u32 },
    Arrive(Box<Parcel>),
    Hear { asked: usize, answer: Box<Answer> },
    Config { stream: StreamId, config: Box<Config>, process: u64 },
    Acknowledged { process: u64, stream: StreamId, seen: (u64, u64) },
    Calm,
    Quiet,
    End,
}

pub struct World {
    seed: u64,
    rng: Rng,
    climate: Climate,
    mutant: Option<Mutant>,
    now: Micros,
    agenda: Agenda<Happening>,
    history: History,
    counts: Counts,
    phase: Phase,
    plan: Plan,
    /// How far the wall clock has been set off the truth, and each machine's beside it.
    wall_offset: Micros,
    skews: [Micros; 2],
    store: Store,
    auditor: Auditor,
    processes: BTreeMap<u64, Process>,
    next_process: u64,
    next_ticket: u64,
    next_tag: u64,
    terminals: Vec<Terminal>,
    people: Vec<Person>,
    asked: Vec<Asked>,
    credentials: Vec<CredentialId>,
    endpoints: Endpoints,
    quiet_from: (Position, Counts),
    quiet_days: u64,
}

/// Runs one world to its end or its first violation.
pub fn run(seed: u64, plan: &Plan) -> Outcome {
    let mut world = World::new(seed, plan);
    let ran = catch_unwind(AssertUnwindSafe(|| world.go_on()));
    let violation = match ran {
        Ok(Ok(())) => None,
        Ok(Err(violation)) => Some(violation),
        Err(panic) => Some(violation(Invariant::Standing, sentence(panic.as_ref()))),
    };
    world.outcome(violation)
}

fn sentence(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no reason given").to_string()
}

impl World {
    fn new(seed: u64, plan: &Plan) -> Self {
        let mut rng = Rng::new(seed);
        let climate = Climate::draw(&mut rng);
        let skews = [0, rng.between(-3 * SECOND, 3 * SECOND)];
        let mut world = World {
            seed,
            auditor: Auditor::new(climate.limits.batch_events_max),
            rng,
            climate,
            mutant: plan.mutant,
            now: 0,
            agenda: Agenda::default(),
            history: History::new(plan.loud),
            counts: Counts::default(),
            phase: Phase::Storm,
            plan: *plan,
            wall_offset: 0,
            skews,
            store: Store::default(),
            processes: BTreeMap::new(),
            next_process: 0,
            next_ticket: 0,
            next_tag: 0,
            terminals: Vec::new(),
            people: Vec::new(),
            asked: Vec::new(),
            credentials: Vec::new(),
            endpoints: Endpoints::default(),
            quiet_from: (Position(0), Counts::default()),
            quiet_days: 0,
        };
        world.agenda.plan(0, Happening::Start { machine: 0 });
        world.agenda.plan(plan.storm, Happening::Calm);
        world.install_terminals();
        world.invite_people();
        world.install_endpoints();
        world.plan_faults();
        world
    }

    fn plan_faults(&mut self) {
        let Climate { crash_every, takeover_every, jump_every, full_every, .. } = self.climate;
        for (every, what) in [
            (crash_every, Happening::Crash),
            (takeover_every, Happening::SecondDesk),
            (jump_every, Happening::ClockStep),
            (full_every, Happening::DiskFull),
        ] {
            let at = self.rng.between(SECOND, 2 * every);
            self.agenda.plan(at, what);
        }
    }

    fn go_on(&mut self) -> Checked {
        while self.phase != Phase::Over {
            let Some((at, what)) = self.agenda.pop() else { unreachable!("the agenda of a world ends with its end") };
            self.now = at;
            self.counts.steps += 1;
            if self.counts.steps == self.plan.steps && self.is_stormy() {
                self.agenda.plan(self.now, Happening::Calm);
            }
            self.happen(what)?;
        }
        Ok(())
    }

    fn happen(&mut self, what: Happening) -> Checked {
        match what {
            Happening::Start { machine } => self.start(machine),
            Happening::TakeOver { process } => self.take_over(process),
            Happening::Restore { process, head } => self.restore(process, head)?,
            Happening::Tick { process } => self.tick(process)?,
            Happening::Work { process } => {
                self.work(process)?;
                self.perhaps_crash(process);
            }
            Happening::Flush { process } => {
                self.flush(process)?;
                self.perhaps_crash(process);
            }
            Happening::Write { append } => {
                self.write(append)?;
                self.perhaps_crash(self.store.appends.get(&append).map_or(0, |append| append.process));
            }
            Happening::Say { append } => {
                let process = self.store.appends.get(&append).map_or(0, |append| append.process);
                self.say(append)?;
                self.perhaps_crash(process);
            }
            Happening::Crash => self.crash_one()?,
            Happening::SecondDesk => self.second_desk(),
            Happening::ClockStep => self.step_clock(),
            Happening::DiskFull => self.fill_disk(),
            Happening::Beat { terminal } => self.beat(terminal),
            Happening::Live { terminal } => self.live(terminal),
            Happening::SetUp { terminal } => self.set_up(terminal),
            Happening::Poll { terminal } => self.poll(terminal),
            Happening::Trade { terminal } => self.trade(terminal),
            Happening::ByHand { terminal } => self.by_hand(terminal),
            Happening::Broker { terminal, order } => self.broker(terminal, order)?,
            Happening::Triggered { terminal, ticket, expires } => self.triggered(terminal, ticket, expires),
            Happening::Impatient { terminal, tag, tries } => self.impatient(terminal, tag, tries),
            Happening::SayAgain { terminal, tag, tries } => self.say_again(terminal, tag, tries),
            Happening::Speak { process, parcel } => self.arrive_at(process, *parcel),
            Happening::Told { terminal, tag, told } => self.told(terminal, tag, *told),
            Happening::Superseded { terminal, epoch } => self.superseded(terminal, epoch),
            Happening::TerminalUp { terminal } => self.terminal_up(terminal),
            Happening::Endpoint(affair) => self.affair(affair),
            Happening::Act { person } => self.act(person),
            Happening::Send { asked, sent } => self.send(asked, sent),
            Happening::Arrive(parcel) => self.arrive(*parcel),
            Happening::Hear { asked, answer } => self.hear(asked, *answer)?,
            Happening::Config { stream, config, process } => self.config(&stream, *config, process),
            Happening::Acknowledged { process, stream, seen } => self.acknowledged(process, &stream, seen),
            Happening::Calm => self.calm(),
            Happening::Quiet => self.be_quiet()?,
            Happening::End => self.end()?,
        }
        Ok(())
    }

    fn note(&mut self, what: Arguments<'_>) {
        self.history.note(self.now, what);
    }
    fn is_stormy(&self) -> bool {
        self.phase == Phase::Storm
    }

    fn is_quiet(&self) -> bool {
        self.phase == Phase::Quiet
    }

    /// At any step, so that no order of things is spared; more often where reactions are owed, which is rare and brief.
    fn perhaps_crash(&mut self, process: u64) {
        let chance = self.climate.crash_after_step + if self.auditor.is_anything_owed() { 30 } else { 0 };
        if self.is_stormy() && self.rng.permille(chance) {
            self.crash(process);
        }
    }

    fn crash_one(&mut self) -> Checked {
        if !self.is_stormy() {
            return Ok(());
        }
        let next = self.rng.between(SECOND, 2 * self.climate.crash_every);
        self.agenda.plan(self.now + next, Happening::Crash);
        let all: Vec<u64> = self.processes.keys().copied().collect();
        if !all.is_empty() {
            let process = self.rng.pick(&all);
            match self.rng.below(4) {
                0 => self.leave(process)?,
                _ => self.crash(process),
            }
        }
        Ok(())
    }

    /// Somebody starts a desk on the other machine while the first still runs.
    fn second_desk(&mut self) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.between(SECOND, 2 * self.climate.takeover_every);
        self.agenda.plan(self.now + next, Happening::SecondDesk);
        let machine = self.rng.below(2) as usize;
        if !self.processes.is_empty() && self.processes.values().all(|process| process.machine != machine) {
            self.counts.takeovers += 1;
            self.start(machine);
        }
    }

    fn step_clock(&mut self) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.between(SECOND, 2 * self.climate.jump_every);
        self.agenda.plan(self.now + next, Happening::ClockStep);
        let by = match self.rng.below(6) {
            0 => 3600 * SECOND,
            1 => -3600 * SECOND,
            2 => self.rng.between(-20 * SECOND, 0),
            3 => 25 * 3600 * SECOND,
            _ => self.rng.between(0, 20 * SECOND),
        };
        self.wall_offset += by;
        match by < 0 {
            true => self.counts.clock_steps_back += 1,
            false => self.counts.clock_steps_forward += 1,
        }
        self.note(format_args!("the clock is set by {} s", by / SECOND));
    }

    fn fill_disk(&mut self) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.between(SECOND, 2 * self.climate.full_every);
        self.agenda.plan(self.now + next, Happening::DiskFull);
        self.store.full_until = self.now + self.rng.between(100 * MILLI, 8 * SECOND);
        self.note(format_args!("the disk is full"));
    }

    /// The faults stop: machines, networks, disks and clocks do what they should, and nobody changes their mind.
    fn calm(&mut self) {
        if !self.is_stormy() {
            return;
        }
        self.note(format_args!("the faults stop"));
        self.phase = Phase::Calm;
        self.store.full_until = 0;
        let disk = |what: &Happening| matches!(what, Happening::Write { .. } | Happening::Say { .. });
        self.agenda.hasten(self.now + SECOND, disk);
        if self.processes.is_empty() {
            self.agenda.plan(self.now + SECOND, Happening::Start { machine: 0 });
        }
        self.calm_endpoints();
        self.agenda.plan(self.now + self.plan.calm, Happening::Quiet);
    }

    fn be_quiet(&mut self) -> Checked {
        self.settled()?;
        self.trades_settled()?;
        self.endpoints_settled()?;
        self.note(format_args!("nothing changes any more"));
        self.phase = Phase::Quiet;
        self.quiet_from = (self.accepted(), self.counts);
        self.quiet_days = self.auditor.days;
        self.agenda.plan(self.now + self.plan.quiet, Happening::End);
        Ok(())
    }

    /// How far the only desk has accepted.
    fn accepted(&self) -> Position {
        self.processes.values().next().map_or(Position(0), Process::accepted)
    }

    /// Everybody has an answer, nothing is owed, and the desk, the reference and the terminals say the same.
    fn settled(&self) -> Checked {
        let waiting = self.asked.iter().position(|asked| asked.answer.is_none());
        hold!(waiting.is_none(), Settled, "#{} has no answer", waiting.unwrap_or_default());
        hold!(!self.auditor.is_anything_owed(), Settled, "reactions are still owed");
        hold!(self.processes.len() == 1, Settled, "{} desks are running", self.processes.len());
        for process in self.processes.values() {
            hold!(process.is_serving(), Settled, "the desk is not ready");
            hold!(process.outbox() == 0, Settled, "{} configurations were not taken", process.outbox());
        }
        for terminal in &self.terminals {
            let stream = &terminal.stream;
            let Some(account) = self.auditor.fold().truth.account(stream) else { continue };
            let online = account.connection == Connection::Online;
            // Where another broker's terminal came first, the account is that one's.
            let ours = account.identity.as_ref().is_some_and(|identity| identity.broker == "Broker");
            let alive = terminal.is_alive() && ours;
            hold!(online == alive, Settled, "{stream} beats: {alive}, and is shown online: {online}");
            let told = terminal.config.as_ref().map(|config| config.config.clone());
            let is = Some(account.config());
            hold!(told == is, Settled, "{stream} was told {told:?}, it is {is:?}");
        }
        Ok(())
    }

    /// Desk, terminals and brokers hold the same trades, and each copy is the master's share.
    fn trades_settled(&mut self) -> Checked {
        for terminal in &self.terminals {
            let Some(account) = self.auditor.fold().truth.account(&terminal.stream) else { continue };
            if account.identity.as_ref().is_none_or(|identity| identity.broker != "Broker") {
                continue;
            }
            let stream = &terminal.stream;
            hold!(terminal.line.epoch == account.epoch, Copies, "{stream} has another epoch than {}", account.epoch);
            hold!(terminal.line.has_answers(), Copies, "{stream} waits for answers: {:?}", terminal.line);
            match terminal.role() {
                Role::Master => settled_master(terminal, account)?,
                Role::Slave => self.counts.copies_settled += settled_slave(&self.auditor, terminal, account)?,
            }
        }
        Ok(())
    }

    /// One event for each heartbeat and each probe, one for each trading day that begins, and nothing else.
    fn end(&mut self) -> Checked {
        let (from, before) = self.quiet_from;
        let beats = self.counts.quiet_heartbeats;
        let grew = self.accepted().0 - from.0;
        let (days, probes) = (self.auditor.days - self.quiet_days, self.counts.quiet_probes);
        let all = beats + days + probes;
        hold!(grew == all, Quiet, "{beats} heartbeats, {probes} probes and {days} new days made {grew} events");
        let kept = self.store.log.after(from, usize::MAX).into_iter().map(|entry| match entry {
            tidehelm_events::commit::Entry::Commit(commit) => u64::from(commit.header.kept_count),
            tidehelm_events::commit::Entry::Seal(_) => 0,
        });
        hold!(kept.sum::<u64>() == days, Quiet, "something happened beside heartbeats and probes");
        hold!(self.counts.effects == before.effects, Quiet, "effects left in a quiet world");
        hold!(self.counts.commands == before.commands, Quiet, "somebody asked something in a quiet world");
        self.phase = Phase::Over;
        Ok(())
    }

    fn outcome(mut self, violation: Option<Violation>) -> Outcome {
        let head = self.auditor.head();
        self.note(format_args!("the log ends at {} with {}", head.position, head.hash));
        self.counts.events = head.position.0;
        self.counts.heartbeats = self.auditor.heartbeats;
        self.counts.reactions = self.auditor.reactions;
        self.counts.went_offline = self.auditor.offline;
        self.counts.endpoint_status_changes = self.auditor.recount.status_changes;
        self.counts.stale_probes = self.auditor.recount.stale_probes();
        self.counts.requests_unheard = self.auditor.recount.unheard();
        let ledger = &self.auditor.ledger;
        self.counts.decisions = ledger.decisions;
        self.counts.copies_begun = ledger.copies_begun;
        self.counts.orders = ledger.orders_issued;
        self.counts.corrections = ledger.corrections;
        self.counts.state_differences = ledger.differences;
        self.counts.stops = ledger.stops;
        self.counts.limits_hit = ledger.limits_hit;
        self.counts.links_wound_down = ledger.wound_down;
        Outcome {
            seed: self.seed,
            counts: self.counts,
            hash: self.history.hash(),
            violation,
            lines: self.history.lines(),
        }
    }
}

fn settled_master(terminal: &Terminal, account: &Account) -> Checked {
    let stream = &terminal.stream;
    hold!(terminal.master.is_told(), Copies, "{stream} has signals that were not taken");
    let Some(book) = &account.master_book else { return Ok(()) };
    hold!(!book.snapshot_wanted, Copies, "{stream} was asked for its positions and did not tell");
    let known: BTreeMap<Ticket, Trade> =
        book.trades.iter().map(|(ticket, known)| (*ticket, known.trade.clone())).collect();
    hold!(known == terminal.master.trades, Copies, "{stream} holds {:?}, known is {known:?}", terminal.master.trades);
    Ok(())
}

/// How many copies there are, all as they should be.
fn settled_slave(auditor: &Auditor, terminal: &Terminal, account: &Account) -> Result<u64, Violation> {
    let stream = &terminal.stream;
    hold!(terminal.slave.is_settled(), Copies, "{stream} has orders to carry out, or results to tell");
    let Some(book) = &account.slave_book else { return Ok(0) };
    hold!(!book.snapshot_wanted, Copies, "{stream} was asked for its positions and did not tell");
    hold!(book.outbox.is_empty(), Copies, "{stream} has not answered {:?}", book.outbox);
    let warned =
        [Warning::VolumeDrift, Warning::OrderUnproven].into_iter().any(|warning| account.warnings.has(warning));
    let mut owned: BTreeSet<OrderId> = BTreeSet::new();
    let mut count = 0;
    for (master, ticket, copy) in book.all_copies() {
        owned.extend(copy.legs.iter().map(|leg| leg.order));
        let key = format!("{stream}: {ticket} of {master}");
        let odd = copy.legs.iter().any(|leg| auditor.ledger.is_disturbed(leg.order));
        for leg in copy.legs.iter().filter(|leg| !auditor.ledger.is_disturbed(leg.order)) {
            let (held, told) = (terminal.slave.held_of(leg.order), leg.held());
            hold!(held == told, Copies, "{key}: the broker holds {held} of {leg:?}");
        }
        let held: Decimal = copy.legs.iter().map(|leg| terminal.slave.held_of(leg.order).get()).sum();
        let followed = auditor.fold().truth.account(&StreamId::master(master));
        let theirs = followed.and_then(|followed| followed.master_book.as_ref()?.trade(ticket));
        let left = theirs.map_or(Decimal::ZERO, |trade| trade.lots.get());
        hold!(left == copy.master_left.get(), Copies, "{key} has {left} left, the copy says {}", copy.master_left);
        let winding = account.links.get(master).is_some_and(|link| link.winding.is_some());
        if winding || warned {
            continue;
        }
        let share = auditor.ledger.due(copy, |leg| leg.filled);
        let step = terminals::step(&copy.symbol);
        hold!(held <= share + step, Copies, "{key} holds {held}, its share is {share}: {copy:?}");
        hold!(odd || held + step >= share, Copies, "{key} holds {held}, its share is {share}: {copy:?}");
        count += u64::from(held > Decimal::ZERO && !odd);
    }
    let strange = |(order, _): &&(OrderId, Trade)| {
        !owned.contains(order) && !auditor.ledger.is_released(*order) && !auditor.ledger.is_disturbed(*order)
    };
    let stranger = terminal.slave.positions.values().find(strange);
    hold!(warned || stranger.is_none(), Copies, "{stream} holds {stranger:?}, which is nobody's copy");
    Ok(count)
}
