//! What must always hold, by number, and the auditor who reads every commit at the moment it is physically written and checks
//! it without asking the desk.

use super::ledger::Ledger;
use super::recount::Recount;
use super::reference::Reference;
use crate::restore::Restored;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use tidehelm_events::account::{self, MasterNoted};
use tidehelm_events::answer::{ANSWER_AGE_MAX, ANSWERS_MAX, Answer, Answered, BodyHash};
use tidehelm_events::commit::{Commit, Head, Unpacked};
use tidehelm_events::envelope::Record;
use tidehelm_events::event::Event;
use tidehelm_events::id::{AccountId, CommandId, Epoch, Position, Principal, Role, StreamId, StreamNo, Version};
use tidehelm_events::money::Money;
use tidehelm_events::react::Effect;
use tidehelm_events::reason::{RuntimeStatus, Warnings};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::Ticket;
use tidehelm_events::view::Fold;

macro_rules! invariants {
    ($($name:ident = $number:literal $why:literal;)*) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Invariant { $( #[doc = $why] $name = $number ),* }

        impl Invariant {
            pub const ALL: &'static [Invariant] = &[$(Invariant::$name),*];
            pub fn why(self) -> &'static str {
                match self { $(Invariant::$name => $why),* }
            }
        }
    };
}

invariants! {
    Standing = 0 "The desk does not stop by itself: a broken assertion is a bug of ours.";
    Chain = 1 "Positions have no gaps and every commit follows the one before by hash: a log with a hole proves nothing.";
    Versions = 2 "Versions of a stream have no gaps: `If-Match` and readers of one stream count on it.";
    DurableReplies = 3 "A reply that left is in the log: what was promised survives any crash.";
    DurableEffects = 4 "An effect's event is in the log before the effect leaves: nothing is done that is not known afterwards.";
    OneAnswer = 5 "A command is answered once, and each repeat hears the same: callers repeat because they do not know.";
    RefusedStays = 6 "A refused command changes nothing, ever: its caller was told no and went on.";
    Reactions = 7 "Each reaction happens once, after its cause, in the same commit unless that was full: twice is a doubled order.";
    SameFold = 8 "Live, replayed and restored states are the same: a desk that disagrees with its log cannot be audited.";
    Debts = 9 "A restart owes exactly what was owed: a debt lost is a slave that trades against a master that is gone.";
    TimeForward = 10 "Times of recording never go back: `as of` and deadlines compare them.";
    Fencing = 11 "Only the last writer appends: two desks that both write are two truths.";
    Silence = 12 "Offline means silent for the timeout while the desk was listening, and is noticed within a tick of it.";
    NothingDropped = 13 "Every order gets a reply or a fault: a caller that hears nothing cannot know why.";
    BatchBound = 14 "A commit exceeds its bound by no more than one order: the disk's latency is everybody's.";
    ReceivedAt = 15 "A message is dated by its arrival, not by when it was worked off: a busy desk must not keep the dead alive.";
    AnswerEvents = 16 "A yes names its own events and nothing else: people look there for what they did.";
    Agreement = 17 "When nothing is owed, every status is what the specification's table says: that is what people act on.";
    Settled = 18 "When the faults stop, everybody gets an answer and every terminal its configuration: no fault leaves a scar.";
    Quiet = 19 "A world in which nothing changes costs one event for each heartbeat and nothing else.";
    Revisions = 21 "What was decided on a revision was decided on that one: of two who edit the same, one is told.";
    ExecutedOnce = 22 "A broker does an order at most once, however often it is offered: twice is somebody's money.";
    OrdersLogged = 23 "What is offered to a terminal stands in the log, just so: nothing is traded that is not known afterwards.";
    CrossTalk = 24 "ACC_1 never gets what is for ACC_12, and nobody answers for another.";
    Offers = 25 "What the effects say is outstanding is what the log says: else an order is offered for ever, or never again.";
    OneDecision = 26 "Each signal is decided once on each link that was followed then, with all its orders in one place.";
    OrderNumbers = 27 "A slave's orders are numbered without gaps, and no two have one id: terminals go by both.";
    Volumes = 28 "What is opened and closed is what the specification's rule says, by an arithmetic of its own.";
    Entries = 29 "Nothing is opened while STOP, a limit, the link or its status forbids it, and nothing but by a signal.";
    NeverLate = 30 "A close or a modification never runs out: it leaves a position that nobody wants.";
    Signals = 31 "A signal that is taken is the one that the terminal told under that number in that registration.";
    Copies = 32 "When the faults stop, desk, terminals and brokers hold the same trades, in the master's share.";
    Marks = 33 "What limits are measured from is what was heard, whatever was restarted: a forgotten peak is a limit that is off.";
    Requests = 34 "A request that was told and acknowledged is counted once, whatever crashed, and every sum is that of the same requests.";
    EndpointHealth = 35 "An endpoint's status is what the specification makes of what was heard of it: requests go by it.";
    StaleProbes = 36 "A probe by older settings changes nothing: it says how somebody else is.";
    GivenOnce = 37 "No two endpoints that are there have one name or one address: figures and keys go by both.";
    RoundTrip = 20 "A fold's bytes are the fold: what a snapshot loses, a restart loses.";
}

impl fmt::Display for Invariant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "I{} {:?}", *self as u8, self)
    }
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    pub invariant: Invariant,
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}\n  ({})", self.invariant, self.what, self.invariant.why())
    }
}

pub type Checked = Result<(), Violation>;

pub fn violation(invariant: Invariant, what: impl Into<String>) -> Violation {
    Violation { invariant, what: what.into() }
}

/// Fails with the sentence unless the condition holds.
macro_rules! hold {
    ($condition:expr, $invariant:ident, $($what:tt)*) => {
        if !$condition {
            return Err($crate::world::invariants::violation(
                $crate::world::invariants::Invariant::$invariant,
                format!($($what)*),
            ));
        }
    };
}
pub(super) use hold;

/// Who asked what of whom, under which id.
pub type Key = (StreamId, Principal, CommandId);

/// A reaction that must come: index `index` of what `cause` set off.
#[derive(Debug, Clone)]
struct Obligation {
    cause: Position,
    index: u32,
    slave: StreamId,
    due: Due,
    done: bool,
    /// At some moment since the cause there was nothing to tell: not linked any more, or known already.
    moot: bool,
}

/// What a stream must do about its cause.
#[derive(Debug, Clone)]
enum Due {
    Note(MasterNoted),
    /// Decide about trades of a master.
    Decide(AccountId, BTreeSet<Ticket>),
    /// Give up a link whose group is gone.
    GiveUp(AccountId),
    Stop,
}

/// The place of a debt: position of its cause, index among the cause's reactions, and who is to be told.
pub type Owed = (Position, u32, StreamId);

#[derive(Debug)]
struct Recorded {
    answered: Answered,
    kept_in: StreamNo,
    /// How many answers its stream had when it came.
    ordinal: usize,
    at: Timestamp,
}

#[derive(Debug, Default)]
pub struct Auditor {
    batch_events_max: usize,
    head: Head,
    epoch: Epoch,
    fold: Fold,
    space: Unpacked,
    versions: BTreeMap<StreamNo, Version>,
    recorded_at: Timestamp,
    targets: BTreeMap<u64, (StreamId, Option<Version>)>,
    /// The revision that a command found, by its first event.
    found: BTreeMap<Key, Version>,
    answers: BTreeMap<Key, Recorded>,
    answers_kept: BTreeMap<StreamNo, usize>,
    events_of: BTreeMap<Key, Vec<Position>>,
    reference: Reference,
    known: BTreeMap<(StreamId, AccountId), (RuntimeStatus, Warnings)>,
    obligations: Vec<Obligation>,
    noted: BTreeSet<(StreamNo, Position)>,
    owed_at: BTreeMap<Position, Vec<Owed>>,
    /// What each number of a configuration stands for, and which of them left.
    configs: BTreeMap<(StreamId, u64), Box<account::Config>>,
    configs_told: BTreeSet<(StreamId, u64)>,
    pub ledger: Ledger,
    pub recount: Recount,
    peaks: BTreeMap<StreamId, Money>,
    pub reactions: u64,
    pub heartbeats: u64,
    pub offline: u64,
    pub days: u64,
}

impl Auditor {
    pub fn new(batch_events_max: usize) -> Self {
        Auditor { batch_events_max, ..Auditor::default() }
    }

    pub fn head(&self) -> Head {
        self.head
    }
    /// The replayed state up to the log's physical end.
    pub fn fold(&self) -> &Fold {
        &self.fold
    }
    pub fn reference(&self) -> &Reference {
        &self.reference
    }
    /// Nobody of an earlier epoch may append from now on.
    pub fn taken_over(&mut self, epoch: Epoch) {
        self.epoch = self.epoch.max(epoch);
    }
    /// An order with an id is on its way.
    pub fn expect(&mut self, body: BodyHash, to: &StreamId, revision: Option<Version>) {
        self.targets.insert(body.0, (to.clone(), revision));
    }
    pub fn owed_at(&self, position: Position) -> Vec<Owed> {
        self.owed_at.get(&position).cloned().unwrap_or_default()
    }
    pub fn is_anything_owed(&self) -> bool {
        !self.owed_at(self.head.position).is_empty()
    }

    /// Reads a commit that has just been written.
    pub fn commit(&mut self, commit: &Commit) -> Checked {
        let header = &commit.header;
        hold!(
            header.epoch >= self.epoch,
            Fencing,
            "commit {} of epoch {} was written after epoch {} took over",
            header.first,
            header.epoch,
            self.epoch
        );
        commit.check(&self.head).map_err(|error| violation(Invariant::Chain, error.to_string()))?;
        hold!(
            header.committed_at >= self.head.committed_at,
            TimeForward,
            "commit {} is dated {}, before {}",
            header.first,
            header.committed_at,
            self.head.committed_at
        );
        let mut space = std::mem::take(&mut self.space);
        commit.unpack_into(&mut space).map_err(|error| violation(Invariant::Chain, error.to_string()))?;
        let learned = self.fold.truth.learn(&space.names);
        learned.map_err(|error| violation(Invariant::SameFold, error.to_string()))?;
        space.records.iter().try_for_each(|record| self.record(record, header.committed_at))?;
        self.batch_bound(&space.records)?;
        self.recount.settle(&self.fold)?;
        self.head = commit.head();
        self.settle(commit, space.records.len())?;
        self.space = space;
        self.agreement()
    }

    fn record(&mut self, record: &Record, committed_at: Timestamp) -> Checked {
        let position = record.position;
        let next = self.versions.get(&record.stream).map_or(Version(1), |version| version.next());
        hold!(record.version == next, Versions, "event {position} is version {}, not {next}", record.version);
        self.versions.insert(record.stream, record.version);
        let forward = record.recorded_at >= self.recorded_at && record.recorded_at <= committed_at;
        hold!(forward, TimeForward, "event {position} is dated {}, after {}", record.recorded_at, self.recorded_at);
        self.recorded_at = record.recorded_at;
        hold!(record.received_at <= record.recorded_at, ReceivedAt, "event {position} arrived after it was recorded");
        let caused = record.causation.is_none_or(|cause| cause < position) && record.correlation <= position;
        hold!(caused, Reactions, "event {position} comes before its cause {:?}", record.causation);
        self.find_revision(record);
        if let Some(stream) = self.fold.truth.names().get(record.stream).cloned() {
            self.ledger.read(&self.fold.truth, &stream, record)?;
        }
        let folded = self.fold.apply(record);
        folded.map_err(|error| violation(Invariant::SameFold, error.to_string()))?;
        let Some(stream) = self.fold.truth.names().get(record.stream).cloned() else {
            return Err(violation(Invariant::Chain, format!("event {position} is of a stream without a name")));
        };
        match &record.event {
            Event::Answered(answered) => self.answered(record, answered)?,
            Event::Account(event) => {
                self.of_command(&stream, record)?;
                self.of_account(&stream, record, event)?;
            }
            Event::Desk(event) => {
                self.of_command(&stream, record)?;
                self.of_desk(record, event);
            }
            Event::Endpoint(event) => {
                self.of_command(&stream, record)?;
                self.recount.read(&stream, record, event, &self.fold)?;
            }
            Event::Alert(_)
            | Event::Market(_)
            | Event::Guard(_)
            | Event::Strategy(_)
            | Event::Maker(_)
            | Event::Taker(_)
            | Event::Venue(_) => {
                let why = format!("event {position} is of alerts or strategies, and there are none");
                return Err(violation(Invariant::Chain, why));
            }
            Event::Unknown(_) => return Err(violation(Invariant::Chain, format!("event {position} is of no kind"))),
        }
        Ok(())
    }

    fn find_revision(&mut self, record: &Record) {
        let truth = &self.fold.truth;
        let (Some(id), Some(stream)) = (record.command, truth.names().get(record.stream)) else { return };
        let revision = truth.slot(record.stream).map_or(Version(0), |slot| slot.revision());
        self.found.entry((stream.clone(), record.by.clone(), id)).or_insert(revision);
    }

    /// Events come before their answer, never after it.
    fn of_command(&mut self, stream: &StreamId, record: &Record) -> Checked {
        let Some(id) = record.command else { return Ok(()) };
        let key = (stream.clone(), record.by.clone(), id);
        if let Some(known) = self.answers.get(&key) {
            let invariant = match known.answered.answer {
                Answer::Refused(_) => Invariant::RefusedStays,
                Answer::Done { .. } => Invariant::OneAnswer,
            };
            return Err(violation(invariant, format!("event {} of {key:?}, which was answered", record.position)));
        }
        self.events_of.entry(key).or_default().push(record.position);
        Ok(())
    }

    fn answered(&mut self, record: &Record, answered: &Answered) -> Checked {
        let Some((to, expected)) = self.targets.get(&answered.body.0).cloned() else {
            return Err(violation(Invariant::OneAnswer, format!("event {} answers nobody", record.position)));
        };
        let Some(id) = record.command else {
            return Err(violation(Invariant::OneAnswer, format!("event {} answers no command", record.position)));
        };
        let key = (to, answered.principal.clone(), id);
        let events = self.events_of.remove(&key).unwrap_or_default();
        if let Some(expected) = expected {
            let found = self.found.get(&key).copied().unwrap_or_default();
            let stale = code(&answered.answer) == Some("revision_stale");
            hold!(stale == (found != expected), Revisions, "{key:?} was for {expected}, found {found}, stale: {stale}");
        }
        match &answered.answer {
            Answer::Refused(_) => {
                hold!(events.is_empty(), RefusedStays, "{key:?} was refused and has events {events:?}");
            }
            Answer::Done { first, last, changed } => {
                let named: Vec<_> = (first.0..=last.0).filter(|_| *changed).map(Position).collect();
                hold!(events == named, AnswerEvents, "{key:?} names {named:?} and has {events:?}");
            }
        }
        let ordinal = self.answers_kept.entry(record.stream).or_default();
        *ordinal += 1;
        let recorded =
            Recorded { answered: answered.clone(), kept_in: record.stream, ordinal: *ordinal, at: record.recorded_at };
        let known = self.answers.insert(key.clone(), recorded);
        hold!(known.is_none(), OneAnswer, "{key:?} is answered twice, the second time at {}", record.position);
        Ok(())
    }

    fn of_account(&mut self, stream: &StreamId, record: &Record, event: &account::Event) -> Checked {
        let StreamId::Account(role, account) = stream else {
            return Err(violation(Invariant::Chain, format!("event {} is not of {stream}", record.position)));
        };
        self.reference.hear(*role, account, event);
        match event {
            account::Event::HeartbeatSeen(_) => self.heartbeats += 1,
            account::Event::Disconnected(_) => self.offline += 1,
            account::Event::StatusChanged(change) if *role == Role::Master => {
                for (index, slave) in (1..).zip(self.reference.followers(account)) {
                    let (master, status, warnings) = (account.clone(), change.new, change.warnings);
                    let note = Due::Note(MasterNoted { master, status, warnings });
                    self.oblige(record.position, index, &slave, note);
                }
            }
            account::Event::LinkAdded(link) => {
                let knowledge = (RuntimeStatus::Disabled, Warnings::NONE);
                self.known.insert((stream.clone(), link.master.clone()), knowledge);
                let note = self.note_of(&link.master);
                self.oblige(record.position, 1, account, Due::Note(note));
            }
            account::Event::LinkEnded(link) => {
                self.known.remove(&(stream.clone(), link.master.clone()));
            }
            account::Event::MasterNoted(note) => self.noted(stream, record, note)?,
            account::Event::SignalTaken(taken) => {
                let ticket = taken.change.ticket();
                for (index, slave) in (1..).zip(self.reference.followers(account)) {
                    let due = Due::Decide(account.clone(), BTreeSet::from([ticket]));
                    self.oblige(record.position, index, &slave, due);
                }
            }
            account::Event::GroupRemoved(_) => {
                for (index, slave) in (1..).zip(self.reference.followers(account)) {
                    self.oblige(record.position, index, &slave, Due::GiveUp(account.clone()));
                }
            }
            account::Event::SyncWanted(wanted) => {
                let master = self.fold.truth.account(&StreamId::master(&wanted.master));
                let book = master.and_then(|master| master.master_book.as_ref());
                let tickets: BTreeSet<Ticket> = book.iter().flat_map(|book| book.trades.keys().copied()).collect();
                if !tickets.is_empty() {
                    self.oblige(record.position, 1, account, Due::Decide(wanted.master.clone(), tickets));
                }
            }
            account::Event::CopyDecided(decided) => self.decided(stream, record, decided)?,
            account::Event::LinkRemoved(link) => {
                let given_up = |owed: &&mut Obligation| {
                    record.causation == Some(owed.cause)
                        && owed.slave == *stream
                        && matches!(&owed.due, Due::GiveUp(master) if *master == link.master)
                };
                if let Some(owed) = self.obligations.iter_mut().find(given_up) {
                    owed.done = true;
                    self.reactions += 1;
                }
            }
            account::Event::StopTaken(_) => {
                let owed = self.obligations.iter_mut().find(|owed| {
                    record.causation == Some(owed.cause) && owed.slave == *stream && matches!(owed.due, Due::Stop)
                });
                let Some(owed) = owed.filter(|owed| !owed.done) else {
                    let what = format!("event {}: {stream} did not owe a stop", record.position);
                    return Err(violation(Invariant::Reactions, what));
                };
                owed.done = true;
                self.reactions += 1;
            }
            _ => {}
        }
        self.remember_config(stream, event);
        for obligation in self.obligations.iter_mut().filter(|obligation| obligation.slave == *stream) {
            obligation.moot |= is_moot(&self.known, &self.reference, obligation);
        }
        self.marks(stream, event)
    }

    fn remember_config(&mut self, stream: &StreamId, event: &account::Event) {
        // Settings come before the statuses that follow from them, and those have the next number.
        if matches!(event, account::Event::HeartbeatSeen(_) | account::Event::SettingsChanged(_)) {
            return;
        }
        let Some(account) = self.fold.truth.account(stream) else { return };
        let key = (stream.clone(), account.config_version);
        self.configs.insert(key, Box::new(account.config()));
    }

    fn note_of(&self, master: &AccountId) -> MasterNoted {
        let (status, words) = self.reference.expected(Role::Master, master);
        let status = if status == 2 { RuntimeStatus::Connected } else { RuntimeStatus::Disabled };
        let all = tidehelm_events::reason::Warning::ALL.iter().copied();
        let warnings = all.filter(|warning| words.contains(&warning.code())).collect();
        MasterNoted { master: master.clone(), status, warnings }
    }

    fn oblige(&mut self, cause: Position, index: u32, slave: &AccountId, due: Due) {
        let mut owed = Obligation { cause, index, slave: StreamId::slave(slave), due, done: false, moot: false };
        owed.moot = is_moot(&self.known, &self.reference, &owed);
        self.obligations.push(owed);
    }

    fn noted(&mut self, stream: &StreamId, record: &Record, note: &MasterNoted) -> Checked {
        let position = record.position;
        let Some(cause) = record.causation else {
            return Err(violation(Invariant::Reactions, format!("event {position} is a reaction to nothing")));
        };
        let first = self.noted.insert((record.stream, cause));
        hold!(first, Reactions, "event {position} is the second reaction of {stream} to {cause}");
        let owed = self.obligations.iter_mut().find(|owed| owed.cause == cause && owed.slave == *stream);
        let Some(owed) = owed else {
            return Err(violation(
                Invariant::Reactions,
                format!("event {position}: {stream} did not owe {cause} that"),
            ));
        };
        let same = matches!(&owed.due, Due::Note(due) if due == note);
        hold!(same, Reactions, "event {position} notes {note:?}, not {:?}", owed.due);
        owed.done = true;
        self.known.insert((stream.clone(), note.master.clone()), (note.status, note.warnings));
        self.reactions += 1;
        Ok(())
    }

    /// Once about each trade that the cause is about.
    fn decided(&mut self, stream: &StreamId, record: &Record, decided: &account::CopyDecided) -> Checked {
        let position = record.position;
        let owed =
            self.obligations.iter_mut().find(|owed| record.causation == Some(owed.cause) && owed.slave == *stream);
        let Some(Obligation { due: Due::Decide(master, tickets), done, .. }) = owed else {
            return Err(violation(Invariant::OneDecision, format!("event {position}: {stream} has nothing to decide")));
        };
        let first = *master == decided.master && tickets.remove(&decided.ticket);
        hold!(first, OneDecision, "event {position} decides about {} of {} again", decided.ticket, decided.master);
        if tickets.is_empty() {
            *done = true;
            self.reactions += 1;
        }
        Ok(())
    }

    /// STOP goes to every slave that holds copies, in the order in which the desk came to know them.
    fn of_desk(&mut self, record: &Record, event: &tidehelm_events::desk::Event) {
        if let tidehelm_events::desk::Event::Stopped(_) = event {
            let holds =
                |account: &&account::Account| account.slave_book.as_ref().is_some_and(|book| !book.copies.is_empty());
            let slaves = self.fold.truth.accounts().map(|(_, account)| account).filter(holds);
            let slaves: Vec<AccountId> = slaves.map(|account| account.id.clone()).collect();
            for (index, slave) in (1..).zip(slaves) {
                self.oblige(record.position, index, &slave, Due::Stop);
            }
        }
    }

    /// The highest equity since the account has limits, and the day that began last.
    fn marks(&mut self, stream: &StreamId, event: &account::Event) -> Checked {
        let protection = self.fold.truth.account(stream).and_then(|account| account.protection.as_ref());
        match (event, protection) {
            (account::Event::HeartbeatSeen(heartbeat), Some(protection)) => {
                let peak = self.peaks.entry(stream.clone()).or_insert(heartbeat.equity);
                *peak = (*peak).max(heartbeat.equity);
                let found = protection.marks.peak;
                hold!(found == *peak, Marks, "the peak of {stream} is {found}, heard was {peak}");
            }
            (account::Event::DayStarted(day), Some(protection)) => {
                self.days += 1;
                let found = protection.marks.day.map(|day| (day.number, day.balance, day.equity));
                let told = Some((day.day, day.balance, day.equity));
                hold!(found == told, Marks, "the day of {stream} is {found:?}, it began as {told:?}");
            }
            _ => {}
        }
        Ok(())
    }

    /// What the header says was worked off was, what it says is owed is.
    fn settle(&mut self, commit: &Commit, events: usize) -> Checked {
        let (first, through) = (commit.header.first, commit.header.reacted);
        let mut owed = Vec::new();
        for due in std::mem::take(&mut self.obligations) {
            let past = (due.cause, due.index) <= (through.cause, through.index);
            if past {
                hold!(due.done || due.moot, Reactions, "commit {first} says that {due:?} was worked off, it was not");
            } else {
                hold!(!due.done, Debts, "commit {first} says that {due:?} is owed, it was worked off");
                owed.push(due);
            }
        }
        if !owed.is_empty() {
            hold!(
                events >= self.batch_events_max,
                Reactions,
                "commit {first} has {events} events and leaves reactions to the next one"
            );
            let places = owed.iter().map(|due| (due.cause, due.index, due.slave.clone())).collect();
            self.owed_at.insert(commit.header.last, places);
        }
        self.obligations = owed;
        Ok(())
    }

    /// Beyond the bound there is nothing but the rest of one order.
    fn batch_bound(&self, records: &[Record]) -> Checked {
        let order = |record: &Record| (record.correlation, record.causation);
        let Some(last_allowed) = records.get(self.batch_events_max - 1) else { return Ok(()) };
        let rest = &records[self.batch_events_max..];
        let one = rest.iter().all(|record| order(record) == order(last_allowed));
        hold!(one, BatchBound, "a commit of {} events, the bound is {}", records.len(), self.batch_events_max);
        Ok(())
    }

    /// Statuses against the reference, wherever nothing is owed.
    fn agreement(&self) -> Checked {
        if self.is_anything_owed() {
            return Ok(());
        }
        for (role, id) in self.reference.accounts() {
            let stream = StreamId::Account(role, id.clone());
            let Some(account) = self.fold.truth.account(&stream) else {
                return Err(violation(Invariant::SameFold, format!("{stream} has events and no state")));
            };
            let found = (account.status.code(), account.warnings.codes());
            let expected = self.reference.expected(role, &id);
            let at = self.head.position;
            hold!(found == expected, Agreement, "{stream} is {found:?} at {at}, the table says {expected:?}");
            for (master, link) in &account.links {
                let found = (link.status.code(), link.warnings.codes());
                let expected = self.reference.expected_link(&id, master);
                let link = format!("{stream} with {master}");
                hold!(found == expected, Agreement, "{link} is {found:?} at {at}, the table says {expected:?}");
            }
        }
        Ok(())
    }

    /// A reply to an order with an id is about to leave.
    pub fn reply(&self, key: &Key, body: BodyHash, answer: &Answer, now: Timestamp) -> Checked {
        let Some(recorded) = self.answers.get(key) else {
            return Err(violation(
                Invariant::DurableReplies,
                format!("{key:?} hears {answer:?}, the log knows nothing"),
            ));
        };
        if code(answer) == Some("answer_expired") {
            let kept = self.answers_kept.get(&recorded.kept_in).copied().unwrap_or_default();
            let past = kept - recorded.ordinal >= ANSWERS_MAX || now.since(recorded.at) > ANSWER_AGE_MAX;
            hold!(past, OneAnswer, "{key:?} hears that its answer expired, which is recent");
            return Ok(());
        }
        if recorded.answered.body != body {
            let told = code(answer) == Some("command_id_reused");
            hold!(told, OneAnswer, "{key:?} was used for something else and hears {answer:?}");
            return Ok(());
        }
        let known = &recorded.answered.answer;
        hold!(known == answer, OneAnswer, "{key:?} hears {answer:?}, the log says {known:?}");
        Ok(())
    }

    /// An effect is about to leave.
    pub fn effect(&mut self, effect: &Effect) -> Checked {
        if let Effect::ConfigDue { stream, config } = effect {
            let known = self.configs.get(&(stream.clone(), config.version));
            let first = self.configs_told.insert((stream.clone(), config.version));
            hold!(
                known == Some(config) && first,
                DurableEffects,
                "{effect:?} leaves for the first time: {first}; the log says {known:?}"
            );
        }
        if let Effect::OrderDue { stream, order } = effect {
            self.ledger.offered(stream, order)?;
        }
        Ok(())
    }

    /// A desk was restored at `head`.
    pub fn restored(&self, restored: &Restored, head: Head) -> Checked {
        let found: Vec<Owed> =
            restored.debts.iter().map(|debt| (debt.through.cause, debt.through.index, debt.to.clone())).collect();
        let owed = self.owed_at(head.position);
        hold!(found == owed, Debts, "restored at {} with debts {found:?}, owed were {owed:?}", head.position);
        if head.position == self.head.position {
            hold!(restored.fold == self.fold, SameFold, "restored at {} to another state", head.position);
        }
        Ok(())
    }
}

fn is_moot(
    known: &BTreeMap<(StreamId, AccountId), (RuntimeStatus, Warnings)>,
    reference: &Reference,
    owed: &Obligation,
) -> bool {
    let knowledge = |master: &AccountId| known.get(&(owed.slave.clone(), master.clone()));
    match &owed.due {
        Due::Note(note) => knowledge(&note.master).is_none_or(|known| *known == (note.status, note.warnings)),
        Due::Decide(master, _) => knowledge(master).is_none(),
        Due::GiveUp(master) => !reference.is_member(&owed.slave, master),
        Due::Stop => false,
    }
}

/// The code of a refusal.
pub fn code(answer: &Answer) -> Option<&str> {
    match answer {
        Answer::Refused(denial) => Some(&denial.code),
        Answer::Done { .. } => None,
    }
}
