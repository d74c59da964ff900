//! Those who ask: people, programs and terminals that send commands with an id again and again until they are answered.

use super::agenda::{MILLI, SECOND};
use super::host::{Parcel, tell};
use super::invariants::{Checked, code, hold};
use super::masters::lots;
use super::recount::Lane;
use super::terminals::symbol;
use super::{Happening, World};
use crate::journal::Fault;
use crate::node::{Command, Order};
use rust_decimal::Decimal;
use tidehelm_events::account::protection::{Action, Amount, Daily, Rules};
use tidehelm_events::account::{self, AccountSettings};
use tidehelm_events::answer::{Answer, BodyHash};
use tidehelm_events::copy::settings::{Mapping, Mode, Overrides, SyncMode, Volume, WindDown};
use tidehelm_events::copy::stop::StopDegree;
use tidehelm_events::desk::{self, Access, AccessDenied, SessionEnd, Settings, StrangerRefused};
use tidehelm_events::id::{CommandId, CredentialId, EndpointId, Principal, Role, StreamId, UserName, Version};
use tidehelm_events::money::{Factor, Money, Price};
use tidehelm_events::reason::Reason;
use tidehelm_events::time::{Span, Timestamp};

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sender {
    /// By its number in the list of what was asked.
    Caller(usize),
    /// A terminal's heartbeat: it waits for nothing, but hears when nobody knows it.
    Beat { terminal: usize, epoch: u64, tag: u64 },
    /// A terminal that waits for its answer on its connection.
    Session { terminal: usize, tag: u64, epoch: u64, poll: bool },
    /// The proxy of a server, which tells of requests.
    Teller { process: u64, lane: Lane },
    /// What a server's probe heard.
    Prober { process: u64, endpoint: EndpointId },
    /// The desk itself.
    Desk,
}

/// A command, and what its caller knows of it.
#[derive(Debug)]
pub struct Asked {
    pub order: Order,
    /// The first command under the same id, where the caller used it again for something else.
    pub reuses: Option<usize>,
    pub sent: u32,
    /// Who hears it first at the terminal, where a terminal asked.
    pub answer: Option<Answer>,
}

/// Somebody at the desk.
#[derive(Debug, Clone)]
pub struct Person {
    pub principal: Principal,
    pub commands: u64,
}

impl World {
    pub(super) fn invite_people(&mut self) {
        let ann = UserName::new("ann").map(Principal::User);
        let bob = UserName::new("bob").map(Principal::User);
        let token = Principal::Token(CredentialId(self.rng.uuid()));
        for principal in [ann.ok(), bob.ok(), Some(token), Some(Principal::Operator)].into_iter().flatten() {
            self.people.push(Person { principal, commands: 0 });
            let first = self.rng.between(0, 3 * SECOND);
            self.agenda.plan(first, Happening::Act { person: self.people.len() - 1 });
        }
    }

    /// The first thing that people do: everything is switched on, and slaves get masters.
    pub(super) fn set_up(&mut self, terminal: usize) {
        let to = self.terminals[terminal].stream.clone();
        let by = self.people[0].principal.clone();
        let mut wishes = vec![account::Command::SetIntent { enabled: true }];
        if self.terminals[terminal].role() == Role::Slave {
            for _ in 0..2 {
                let (master, settings) = (self.a_master(), self.overrides());
                wishes.push(account::Command::Link { master, enabled: true, settings });
            }
            let settings = AccountSettings { require_all_masters: false, ..*self.account_settings() };
            wishes.push(account::Command::ChangeSettings(Box::new(settings)));
        }
        for wish in wishes {
            let id = CommandId(self.rng.uuid());
            let order = self.order(to.clone(), Command::Account(wish), by.clone(), Some(id), None);
            self.ask(order, None);
        }
    }

    /// A person wants something, and then waits a while.
    pub(super) fn act(&mut self, person: usize) {
        if !self.is_stormy() {
            return;
        }
        let pause = self.rng.between(100 * MILLI, 3 * SECOND);
        self.agenda.plan(self.now + pause, Happening::Act { person });
        let principal = self.people[person].principal.clone();
        if self.rng.permille(40)
            && let Some(first) = self.an_earlier_one(&principal)
        {
            let (to, id) = (self.asked[first].order.to.clone(), self.asked[first].order.id);
            let command = self.wish_for(&to);
            let order = self.order(to, command, principal, id, None);
            self.ask(order, Some(first));
            return;
        }
        let (to, command) = self.wish();
        self.people[person].commands += 1;
        let id = match self.rng.below(2) {
            0 => CommandId(self.rng.uuid()),
            _ => CommandId::from_key(&self.people[person].commands.to_string()),
        };
        let expected = if self.rng.permille(200) { self.seen_revision(&to) } else { None };
        let order = self.order(to, command, principal, Some(id), expected);
        self.ask(order, None);
    }

    fn an_earlier_one(&mut self, principal: &Principal) -> Option<usize> {
        let theirs = |(_, asked): &(usize, &Asked)| asked.order.by == *principal && asked.reuses.is_none();
        let all: Vec<usize> = self.asked.iter().enumerate().filter(theirs).map(|(number, _)| number).collect();
        (!all.is_empty()).then(|| self.rng.pick(&all))
    }

    /// What the person reads before writing: the durable revision, or one that was read some time ago.
    fn seen_revision(&mut self, to: &StreamId) -> Option<Version> {
        let stale = self.rng.below(3) == 0;
        let seen = self.processes.values().find_map(|process| process.revision(to)).unwrap_or_default();
        Some(if stale { Version(seen.0.saturating_sub(1)) } else { seen })
    }

    pub(super) fn order(
        &mut self,
        to: StreamId,
        command: Command,
        by: Principal,
        id: Option<CommandId>,
        expected: Option<Version>,
    ) -> Order {
        let body = match id {
            Some(_) => BodyHash::of(format!("{to} {command:?} {expected:?}").as_bytes()),
            None => BodyHash(0),
        };
        let occurred_at = Timestamp(super::WALL_START + self.now + self.rng.between(-SECOND, SECOND));
        Order { to, command, by, id, body, expected, occurred_at, received_at: occurred_at }
    }

    pub(super) fn ask(&mut self, order: Order, reuses: Option<usize>) {
        let number = self.asked.len();
        self.counts.commands += 1;
        self.note(format_args!("{} asks #{number} of {}: {:?}", order.by, order.to, order.command));
        self.auditor.expect(order.body, &order.to, order.expected);
        self.asked.push(Asked { order, reuses, sent: 0, answer: None });
        self.send(number, 0);
    }

    /// Sends the command for the time after `sent`, and plans to ask after it.
    pub(super) fn send(&mut self, number: usize, sent: u32) {
        if self.asked[number].answer.is_some() || self.asked[number].sent != sent {
            return;
        }
        self.asked[number].sent += 1;
        let parcel = Parcel { order: self.asked[number].order.clone(), sender: Sender::Caller(number) };
        self.post(parcel);
        let patience = self.rng.between(SECOND, 4 * SECOND);
        self.agenda.plan(self.now + patience, Happening::Send { asked: number, sent: sent + 1 });
    }

    /// Hands a parcel to the network.
    pub(super) fn post(&mut self, parcel: Parcel) {
        for delay in self.deliveries() {
            self.agenda.plan(self.now + delay, Happening::Arrive(Box::new(parcel.clone())));
        }
    }

    /// How long each copy of a message takes: no copy, one or two.
    pub(super) fn deliveries(&mut self) -> Vec<super::agenda::Micros> {
        if !self.is_stormy() {
            return vec![self.rng.between(MILLI / 5, 2 * MILLI)];
        }
        if self.rng.permille(self.climate.lose) {
            self.counts.lost_messages += 1;
            return Vec::new();
        }
        let copies = if self.rng.permille(self.climate.double) { 2 } else { 1 };
        self.counts.doubled_messages += copies - 1;
        let mut delays = Vec::new();
        for _ in 0..copies {
            let late = self.rng.permille(self.climate.late);
            let most = if late { self.climate.late_max } else { 30 * MILLI };
            delays.push(self.rng.between(MILLI / 5, most));
        }
        delays
    }

    /// An answer leaves the desk.
    pub(super) fn answered(&mut self, sender: Sender, answer: Answer) -> Checked {
        let asked = matches!(sender, Sender::Caller(_) | Sender::Beat { .. } | Sender::Session { .. });
        self.counts.replies += u64::from(asked);
        match sender {
            Sender::Desk => {}
            Sender::Caller(asked) => {
                self.note(format_args!("#{asked} is {}", tell(&answer)));
                for delay in self.deliveries() {
                    self.agenda.plan(self.now + delay, Happening::Hear { asked, answer: Box::new(answer.clone()) });
                }
            }
            Sender::Beat { .. } | Sender::Session { .. } => {}
            Sender::Teller { process, lane } => return self.requests_taken(process, lane, &answer),
            Sender::Prober { process, endpoint } => self.probe_told(process, endpoint),
        }
        Ok(())
    }

    /// The caller hears an answer, perhaps not for the first time.
    pub(super) fn hear(&mut self, number: usize, answer: Answer) -> Checked {
        self.counts.repeats += u64::from(self.asked[number].answer.is_some());
        match code(&answer) {
            Some("answer_expired") => self.counts.expired_answers += 1,
            Some("command_id_reused") => self.counts.reused_ids += 1,
            Some("revision_stale") => self.counts.stale_revisions += 1,
            _ => {}
        }
        self.counts.refusals += u64::from(code(&answer).is_some());
        let asked = &mut self.asked[number];
        if let Some(first) = &asked.answer {
            let expired = [Some(first), Some(&answer)].into_iter().flatten().any(|a| code(a) == Some("answer_expired"));
            hold!(expired || *first == answer, OneAnswer, "#{number} heard {first:?}, and now hears {answer:?}");
        }
        asked.answer = Some(answer);
        Ok(())
    }

    /// A fault is told at once; it says nothing about the command, which is sent again under the same id.
    pub(super) fn fault(&mut self, number: u64, parcel: Parcel, fault: Fault) -> Checked {
        if let Sender::Session { terminal, tag, .. } = parcel.sender {
            self.session_fault((number, terminal, tag), fault);
        }
        self.counts.faults_told += u64::from(parcel.sender != Sender::Desk);
        match parcel.sender {
            Sender::Caller(asked) => {
                let soon = self.now + self.rng.between(50 * MILLI, 500 * MILLI);
                let sent = self.asked[asked].sent;
                self.agenda.plan(soon, Happening::Send { asked, sent });
            }
            Sender::Teller { process, lane } => self.requests_in_doubt(process, lane),
            Sender::Prober { process, endpoint } => self.probe_told(process, endpoint),
            Sender::Beat { .. } | Sender::Session { .. } | Sender::Desk => {}
        }
        Ok(())
    }

    fn wish(&mut self) -> (StreamId, Command) {
        if self.rng.permille(200) {
            return self.wish_about_endpoints();
        }
        let to = match self.rng.below(10) {
            0..=2 => StreamId::Desk,
            3..=4 => StreamId::master(&self.a_master()),
            _ => StreamId::slave(&self.a_slave()),
        };
        let command = self.wish_for(&to);
        (to, command)
    }

    pub(super) fn wish_for(&mut self, to: &StreamId) -> Command {
        match to {
            StreamId::Desk => Command::Desk(self.wish_for_desk()),
            StreamId::Endpoint(_) => self.wish_for_endpoint(),
            StreamId::Proxy => self.wish_for_proxy(),
            StreamId::Alerts | StreamId::Guard | StreamId::Market(_) | StreamId::Strategy(_) | StreamId::Venue(_) => {
                unreachable!("the world has no {to}")
            }
            StreamId::Account(Role::Master, _) => Command::Account(self.wish_for_master()),
            StreamId::Account(Role::Slave, _) => Command::Account(self.wish_for_slave()),
        }
    }

    fn wish_for_master(&mut self) -> account::Command {
        let name = self.rng.pick(&["Gold".to_string(), "Majors".to_string(), String::new()]);
        match self.rng.below(20) {
            0..=11 => account::Command::SetIntent { enabled: self.rng.permille(850) },
            12..=13 => {
                account::Command::CreateGroup { name, settings: self.overrides(), enabled: self.rng.permille(500) }
            }
            14..=15 => account::Command::ChangeGroup { name, settings: self.overrides(), enabled: None },
            16 => account::Command::RemoveGroup,
            17 => account::Command::Link { master: self.a_master(), enabled: true, settings: Box::default() },
            _ => account::Command::ChangeSettings(self.account_settings()),
        }
    }

    fn wish_for_slave(&mut self) -> account::Command {
        let master = self.a_master();
        match self.rng.below(40) {
            0..=9 => account::Command::SetIntent { enabled: self.rng.permille(850) },
            10..=25 => account::Command::Link { master, enabled: self.rng.permille(950), settings: self.overrides() },
            26..=29 => account::Command::SwitchLink { master, enabled: self.rng.permille(800), expected: None },
            30..=32 => {
                account::Command::ChangeLink { master, settings: self.overrides(), enabled: None, expected: None }
            }
            33..=34 => {
                let all =
                    [WindDown::Keep, WindDown::CloseOnlyByPosition, WindDown::CloseOnlyBySymbol, WindDown::CloseNow];
                let wind_down = self.rng.permille(800).then(|| self.rng.pick(&all));
                account::Command::Unlink { master, wind_down, expected: None }
            }
            _ => account::Command::ChangeSettings(self.account_settings()),
        }
    }

    /// Some of what can be set; mostly copying goes on.
    fn overrides(&mut self) -> Box<Overrides> {
        let factor = |hundredths| Factor::new(Decimal::new(hundredths, 2)).unwrap_or_default();
        let mapping = Mapping { from: symbol("GOLD"), to: symbol("XAUUSD") };
        let distance_max = Price::ZERO;
        let volume = match self.rng.below(4) {
            0 => Some(Volume::Fixed(lots(Decimal::new(self.rng.between(0, 400), 2)))),
            1..=2 => Some(Volume::Multiplier(factor(self.rng.between(5, 300)))),
            _ => None,
        };
        let sync =
            [SyncMode::Skip, SyncMode::MarketOrder { distance_max }, SyncMode::LimitOrder { expires_ms: 20_000 }];
        Box::new(Overrides {
            volume,
            mode: self.rng.permille(80).then(|| self.rng.pick(&[Mode::Off, Mode::Observe, Mode::Live])),
            reverse: self.rng.permille(200).then(|| self.rng.permille(500)),
            copy_pending: self.rng.permille(100).then_some(false),
            symbol_map: self.rng.permille(500).then(|| vec![mapping]),
            sync_mode: self.rng.permille(500).then(|| self.rng.pick(&sync)),
            wind_down: self.rng.permille(200).then(|| self.rng.pick(&[WindDown::CloseNow, WindDown::Keep])),
            ..Overrides::default()
        })
    }

    fn account_settings(&mut self) -> Box<AccountSettings> {
        let copy = if self.rng.permille(300) { *self.overrides() } else { Overrides::default() };
        let action = self.rng.pick(&[Action::BlockEntry, Action::CloseOnly, Action::Flatten]);
        let amount = Amount::Money(Money::new(Decimal::from(self.rng.between(20, 400))).unwrap_or_default());
        let daily_loss =
            self.rng.permille(700).then_some(Daily { amount, from: <_>::default(), action, lasts: <_>::default() });
        let protection = Rules { daily_loss, ..Rules::default() };
        Box::new(AccountSettings { copy, require_all_masters: self.rng.permille(300), protection })
    }

    fn wish_for_desk(&mut self) -> desk::Command {
        let name = self.a_name();
        let access = self.rng.pick(&[Access::Viewer, Access::Operator, Access::Admin]);
        let credential = CredentialId(self.rng.uuid());
        let old = self.a_credential();
        let expires_at = Timestamp(super::WALL_START + self.now) + Span::seconds(self.rng.between(1, 120));
        match self.rng.below(27) {
            22 => {
                let degree = self.rng.pick(&[StopDegree::Pause, StopDegree::Cancel, StopDegree::Flatten]);
                desk::Command::Stop { degree, reason: because("panic"), stop: self.rng.uuid() }
            }
            23..=25 => desk::Command::Resume { reason: because("over") },
            26 => desk::Command::ChangeCopyDefaults(self.overrides()),
            0 => desk::Command::Lock { reason: because("news") },
            1..=4 => desk::Command::Unlock { reason: because("over") },
            5 | 19..=21 => desk::Command::ChangeSettings(Settings {
                name: self.rng.pick(&["Tidehelm".to_string(), "Desk".to_string(), String::new()]),
                timeout_seconds: self.rng.pick(&[2, 3, 5, 10, 1]),
                session_hours: 12,
            }),
            6 => desk::Command::Invite { name, access, credential: self.keep(credential), expires_at },
            7 => desk::Command::AcceptInvite { invite: old, name, credential },
            8..=9 => desk::Command::AddUser { name, access, credential },
            10 => desk::Command::RemoveUser { name },
            11 => desk::Command::ChangeRole { name, access },
            12 => desk::Command::ChangePassword { name, credential, keep: Some(old) },
            13..=14 => {
                let session = self.keep(credential);
                desk::Command::StartSession { session, name, expires_at, peer: "10.0.0.1".into() }
            }
            15 => desk::Command::EndSession { session: old, why: SessionEnd::LoggedOut },
            16 => {
                let token = self.keep(credential);
                desk::Command::CreateToken { token, name: name.to_string(), access, expires_at: None }
            }
            17 => desk::Command::RevokeToken { token: old },
            _ => match self.rng.below(2) {
                0 => desk::Command::NoteDenied(AccessDenied { action: "lock".into(), needs: Access::Admin }),
                _ => desk::Command::NoteStranger(StrangerRefused {
                    peer: "10.0.0.2".into(),
                    count: 3,
                    why: "no key".into(),
                }),
            },
        }
    }

    fn keep(&mut self, credential: CredentialId) -> CredentialId {
        self.credentials.push(credential);
        credential
    }
    fn a_credential(&mut self) -> CredentialId {
        let all = self.credentials.clone();
        if all.is_empty() { CredentialId(self.rng.uuid()) } else { self.rng.pick(&all) }
    }
    fn a_name(&mut self) -> UserName {
        let text = self.rng.pick(&["ann", "bob", "cy", "dee", "eve"]);
        match UserName::new(text) {
            Ok(name) => name,
            Err(error) => unreachable!("{error}"),
        }
    }
}

fn because(text: &str) -> Reason {
    match Reason::new(text) {
        Ok(reason) => reason,
        Err(error) => unreachable!("{error}"),
    }
}
