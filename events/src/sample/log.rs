//! A small log that grows as a desk would grow it: decided, numbered, folded, reacted to and committed.

mod endpoints;
pub mod trading;

use super::*;
use crate::alert;
use crate::commit::{Commit, Head, Reacted, Sealing, pack};
use crate::copy::settings::WindDown;
use crate::endpoint;
use crate::id::{EndpointId, Epoch, NodeId, Role, StreamId};
use crate::react::{Effect, Reaction, reactions};
use crate::truth::{Command as Wish, Times};
use crate::view::Fold;
use std::collections::VecDeque;

#[derive(Debug, Clone, Default)]
pub struct Log {
    pub fold: Fold,
    pub commits: Vec<Commit>,
    pub records: Vec<Record>,
    pub head: Head,
    pub now: Timestamp,
    /// What left the desk, in order.
    pub effects: Vec<Effect>,
    committed: usize,
    names: Vec<(StreamNo, StreamId)>,
}

impl Log {
    pub fn new() -> Self {
        let mut log = Log { now: START, ..Log::default() };
        log.desk(desk::Command::Open { desk: desk_id(), build: "0.1.0".into() }).unwrap();
        log
    }

    pub fn desk(&mut self, command: desk::Command) -> Result<usize, Denial> {
        self.wish(&StreamId::Desk, Wish::Desk(command))
    }
    pub fn account(&mut self, to: &StreamId, command: account::Command) -> Result<usize, Denial> {
        self.wish(to, Wish::Account(command))
    }

    pub fn endpoint(&mut self, id: EndpointId, command: endpoint::Command) -> Result<usize, Denial> {
        self.wish(&StreamId::Endpoint(id), Wish::Endpoint(command))
    }
    pub fn proxy(&mut self, command: endpoint::ProxyCommand) -> Result<usize, Denial> {
        self.wish(&StreamId::Proxy, Wish::Proxy(command))
    }
    pub fn alerts(&mut self, command: alert::Command) -> Result<usize, Denial> {
        self.wish(&StreamId::Alerts, Wish::Alerts(command))
    }

    /// Decides, appends and works the reactions off; how many events that made.
    pub fn wish(&mut self, to: &StreamId, wish: Wish) -> Result<usize, Denial> {
        let before = self.records.len();
        let events = self.decide(to, wish)?;
        let mut owed = VecDeque::new();
        self.append(to, events, None, &mut owed);
        while let Some(reaction) = owed.pop_front() {
            let command = reaction.command.clone();
            let events =
                self.decide(&reaction.to, command).unwrap_or_else(|no| panic!("{reaction:?} was refused: {no:?}"));
            self.append(&reaction.to.clone(), events, Some(&reaction), &mut owed);
        }
        Ok(self.records.len() - before)
    }

    /// Records what a command was answered.
    pub fn answer(&mut self, to: &StreamId, answer: Answer) {
        let event = super::answered(self.records.len() as u64, answer);
        self.append(to, vec![event], None, &mut VecDeque::new());
    }

    /// What nobody would decide now, as a log may have it.
    pub fn has(&mut self, to: &StreamId, event: Event) {
        self.append(to, vec![event], None, &mut VecDeque::new());
    }

    pub fn seal(&mut self) {
        let open = &self.records[self.committed..];
        if open.is_empty() {
            return;
        }
        let sealing = Sealing {
            previous: self.head,
            now: self.now,
            node: NodeId(Uuid::from_u128(1)),
            epoch: Epoch(1),
            reacted: Reacted::all_through(self.fold.truth.position()),
        };
        let commit = pack(&self.names, open, &sealing);
        self.head = commit.head();
        self.commits.push(commit);
        self.committed = self.records.len();
        self.names.clear();
    }

    fn decide(&mut self, to: &StreamId, wish: Wish) -> Result<Vec<Event>, Denial> {
        let unopened = desk::Desk::default();
        let truth = &self.fold.truth;
        let (received_at, sent_at) = (self.now - Span::millis(3), self.now - Span::millis(50));
        let seen = truth.seen(Times { now: self.now, received_at, sent_at }, &unopened);
        let decided = truth.decide(to, &wish, truth.names().number(to), &seen)?;
        self.effects.extend(decided.effects);
        Ok(decided.events)
    }

    fn append(&mut self, to: &StreamId, events: Vec<Event>, from: Option<&Reaction>, owed: &mut VecDeque<Reaction>) {
        for event in events {
            let (stream, new) = self.fold.truth.enter(to);
            if new {
                self.names.push((stream, to.clone()));
            }
            let position = self.fold.truth.position().next();
            let version = self.fold.truth.slot(stream).unwrap().version.next();
            let record = Record {
                occurred_at: self.now - Span::millis(50),
                received_at: self.now - Span::millis(3),
                recorded_at: self.now,
                by: if from.is_some() { Principal::Desk } else { Principal::Terminal },
                causation: from.map(|reaction| reaction.through.cause),
                correlation: from.map_or(position, |reaction| reaction.correlation),
                ..super::record(position.0, stream.0, version.0, event)
            };
            self.fold.apply(&record).unwrap();
            owed.extend(reactions(&self.fold.truth, &record));
            self.records.push(record);
        }
    }
}

/// With something to trade.
fn trader() -> Registered {
    let contracts = ["EURUSD", "GBPUSD"].map(|name| (trade::symbol(name), trade::contract()));
    Registered { contracts: contracts.into(), ..registered() }
}

/// What a random log is made of: what is done, to whom, and with what.
pub type Step = (u8, u8, u8);

const ACCOUNTS: [&str; 3] = ["A_1", "A_12", "B_7"];

/// The log of a random day: terminals come, beat, fall silent and go, people switch and link, the desk answers and commits.
pub fn day(steps: &[Step]) -> Log {
    let mut log = Log::new();
    for name in ["anna", "ben"] {
        log.desk(desk::Command::AddUser { name: user(name), access: Access::Admin, credential: credential(1) })
            .unwrap();
    }
    for step in steps {
        // Trading is quick; whole minutes pass between the rest.
        let pace = if step.0 % 32 < 16 { 200 } else { 5 };
        log.now = log.now + Span::millis(i64::from(step.2) * pace);
        do_step(&mut log, *step);
    }
    log.seal();
    log
}

fn do_step(log: &mut Log, (what, whom, with): Step) {
    let id = account_id(ACCOUNTS[usize::from(whom) % 3]);
    let role = if whom & 4 == 0 { Role::Master } else { Role::Slave };
    let to = StreamId::Account(role, id.clone());
    let (slave, master) = (StreamId::slave(&id), account_id(ACCOUNTS[usize::from(with) % 3]));
    let done = match what % 40 {
        0 | 1 => log.account(&to, account::Command::Register(Box::new(trader()))),
        2..=5 => log.account(&to, account::Command::Heartbeat(heartbeat(with % 4 != 0))),
        6 => log.account(&to, account::Command::Unregister),
        7 | 8 => log.account(&to, account::Command::SetIntent { enabled: with % 3 != 0 }),
        9 | 10 => {
            log.account(&slave, account::Command::Link { master, enabled: with & 16 == 0, settings: Box::default() })
        }
        11 => {
            let ends = [
                None,
                Some(WindDown::CloseNow),
                Some(WindDown::CloseOnlyByPosition),
                Some(WindDown::CloseOnlyBySymbol),
            ];
            let wind_down = ends[usize::from(with / 3) % 4];
            log.account(&slave, account::Command::Unlink { master, wind_down, expected: None })
        }
        12 => return check_silence(log),
        13 => return log.seal(),
        14 | 15 => log.desk(desk_command(with)),
        what @ 32.. => {
            let _ = endpoints::step(log, what - 32, whom, with);
            return;
        }
        what => trading::step(log, &to, master, what, with),
    };
    let position = log.fold.truth.position();
    let known = log.fold.truth.slot_of(&to).is_some();
    match done {
        Err(denial) if known => log.answer(&to, Answer::Refused(denial)),
        Ok(count) if known && whom & 8 != 0 => {
            log.answer(&to, Answer::Done { first: position, last: position, changed: count > 0 });
        }
        _ => {}
    }
}

fn check_silence(log: &mut Log) {
    let accounts: Vec<StreamId> = log.fold.truth.names().iter().map(|(_, id)| id.clone()).collect();
    for id in accounts.iter().filter(|id| matches!(id, StreamId::Account(..))) {
        log.account(id, account::Command::CheckSilence).unwrap();
    }
}

fn desk_command(with: u8) -> desk::Command {
    use desk::Command;
    let name = user(["anna", "ben", "carl"][usize::from(with / 8) % 3]);
    let expires_at = START + Span::seconds(i64::from(with) * 10);
    match with % 11 {
        0 => Command::AddUser { name, access: Access::Admin, credential: credential(with.into()) },
        1 => Command::RemoveUser { name },
        2 => Command::Invite { name, access: Access::Viewer, credential: credential(with.into()), expires_at },
        3 => Command::StartSession { session: credential(with.into()), name, expires_at, peer: "192.0.2.1".into() },
        4 => Command::ChangePassword { name, credential: credential(with.into()), keep: None },
        5 => Command::ChangeSettings(Settings { timeout_seconds: 2 + u32::from(with), ..Settings::default() }),
        6 => Command::Lock { reason: reason("a random lock") },
        7 => Command::OpenPairing(desk::PairingOpened {
            pairing: credential(7),
            account: with.is_multiple_of(2).then(|| account_id(ACCOUNTS[0])),
            role: None,
            expires_at,
        }),
        8 => Command::UsePairing {
            used: desk::PairingUsed {
                pairing: credential(7),
                account: account_id(ACCOUNTS[0]),
                role: Role::Slave,
                peer: "192.0.2.2".into(),
            },
            key: credential(8),
        },
        9 => Command::RevokeKey { key: credential(8) },
        _ => Command::Unlock { reason: reason("and off again") },
    }
}
