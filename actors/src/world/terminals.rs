//! Made-up terminals: they register, beat, fall silent, say goodbye, forbid trading, and have clocks of their own.

use super::agenda::{MILLI, Micros, SECOND};
use super::brokers::Slave;
use super::host::{Config, Parcel};
use super::masters::{Master, lots};
use super::people::Sender;
use super::session::Line;
use super::{Happening, World};
use crate::node::Command;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tidehelm_events::account::{self, HeartbeatSeen, Registered};
use tidehelm_events::id::{AccountId, CommandId, Principal, Role, StreamId};
use tidehelm_events::money::{Factor, Money, Price};
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::hash::state_hash;
use tidehelm_events::trade::{Affixes, Contract, Holding, Symbol, Trade};

#[derive(Debug)]
pub struct Terminal {
    pub stream: StreamId,
    /// How far its clock is off.
    skew: Micros,
    every: Micros,
    pub beating: bool,
    allowed: bool,
    registrations: u64,
    /// What it was last told.
    pub config: Option<Config>,
    pub line: Line,
    /// Its epoch before it had to register again.
    pub before: u64,
    pub wants_snapshot: bool,
    /// The desk's time as it was said last, and when.
    pub desk_time: (Timestamp, Micros),
    pub master: Master,
    pub slave: Slave,
    /// In hundredths.
    equity: i64,
}

impl Terminal {
    pub fn role(&self) -> Role {
        match &self.stream {
            StreamId::Account(role, _) => *role,
            other => unreachable!("{other} is no terminal"),
        }
    }
    pub fn is_alive(&self) -> bool {
        self.beating && !self.line.down
    }
}

impl World {
    /// Masters, slaves, and two accounts that are both.
    pub(super) fn install_terminals(&mut self) {
        let masters = (1..=self.climate.masters).map(|number| (Role::Master, format!("ACC_{number}")));
        let slaves = (1..=self.climate.slaves).map(|number| (Role::Slave, format!("ACC_1{number}")));
        let both = [(Role::Slave, "ACC_1".to_string()), (Role::Master, "ACC_11".to_string())];
        for (role, name) in masters.chain(slaves).chain(both).collect::<Vec<_>>() {
            let account = match AccountId::new(name) {
                Ok(account) => account,
                Err(error) => unreachable!("{error}"),
            };
            self.terminals.push(Terminal {
                stream: StreamId::Account(role, account),
                skew: self.rng.between(-90 * SECOND, 90 * SECOND),
                every: self.rng.between(600 * MILLI, 1_500 * MILLI),
                beating: true,
                allowed: true,
                registrations: 0,
                config: None,
                line: Line::default(),
                before: 0,
                wants_snapshot: false,
                desk_time: (Timestamp::ZERO, 0),
                master: Master::default(),
                slave: Slave::default(),
                equity: 1_000_000,
            });
            let terminal = self.terminals.len() - 1;
            let first = self.rng.between(0, 2 * SECOND);
            self.agenda.plan(first, Happening::Beat { terminal });
            let change = self.rng.between(SECOND, 20 * SECOND);
            self.agenda.plan(change, Happening::Live { terminal });
            let set_up = self.rng.between(SECOND, 6 * SECOND);
            self.agenda.plan(set_up, Happening::SetUp { terminal });
            let poll = self.rng.between(0, SECOND);
            self.agenda.plan(poll, Happening::Poll { terminal });
            let trade = self.rng.between(SECOND, 4 * SECOND);
            self.agenda.plan(
                trade,
                match role {
                    Role::Master => Happening::Trade { terminal },
                    Role::Slave => Happening::ByHand { terminal },
                },
            );
        }
    }

    pub(super) fn a_master(&mut self) -> AccountId {
        self.an_account(Role::Master)
    }
    pub(super) fn a_slave(&mut self) -> AccountId {
        self.an_account(Role::Slave)
    }
    fn an_account(&mut self, wanted: Role) -> AccountId {
        let mut all: Vec<AccountId> = Vec::new();
        for terminal in &self.terminals {
            if let StreamId::Account(role, account) = &terminal.stream
                && *role == wanted
            {
                all.push(account.clone());
            }
        }
        self.rng.pick(&all)
    }

    pub(super) fn beat(&mut self, terminal: usize) {
        let Terminal { every, allowed, .. } = self.terminals[terminal];
        self.agenda.plan(self.now + every, Happening::Beat { terminal });
        if !self.terminals[terminal].is_alive() {
            return;
        }
        if self.terminals[terminal].line.epoch == 0 {
            return self.converse(terminal);
        }
        if self.is_stormy() {
            let by = self.rng.between(-4_000, 4_000);
            self.terminals[terminal].equity = (self.terminals[terminal].equity + by).clamp(100_000, 2_000_000);
        }
        let balance = money(1_000_000);
        let equity = money(self.terminals[terminal].equity);
        let held: Vec<Trade> = self.held(terminal).into_iter().map(|(trade, _)| trade).collect();
        let heartbeat = account::Command::Heartbeat(HeartbeatSeen {
            balance,
            equity,
            free_margin: equity,
            open_positions: held.len() as u32,
            trade_allowed: allowed,
            state_hash: state_hash(&held),
            through_signal_seq: self.through(terminal),
        });
        self.send_without_id(terminal, heartbeat);
    }

    fn send_without_id(&mut self, terminal: usize, command: account::Command) {
        let (to, occurred_at) = (self.terminals[terminal].stream.clone(), self.terminal_clock(terminal));
        let mut order = self.order(to, Command::Account(command), Principal::Terminal, None, None);
        order.occurred_at = occurred_at;
        self.next_tag += 1;
        let (epoch, tag) = (self.terminals[terminal].line.epoch, self.next_tag);
        self.post(Parcel { order, sender: Sender::Beat { terminal, epoch, tag } });
    }

    /// A terminal counts its commands, so that two terminals use the same keys.
    fn ask_as_terminal(&mut self, terminal: usize, command: account::Command) {
        self.terminals[terminal].registrations += 1;
        let Terminal { stream, registrations, .. } = &self.terminals[terminal];
        let id = CommandId::from_key(&registrations.to_string());
        let to = stream.clone();
        let order = self.order(to, Command::Account(command), Principal::Terminal, Some(id), None);
        self.ask(order, None);
    }

    /// By the terminal's own clock.
    pub(super) fn terminal_clock(&self, terminal: usize) -> Timestamp {
        Timestamp(super::WALL_START + self.now + self.terminals[terminal].skew)
    }

    /// Another program in the same account says who it is: mostly right, sometimes from the wrong broker or with a text that no
    /// terminal sends.
    fn register_beside(&mut self, terminal: usize) {
        let registered = account::Command::Register(Box::new(self.identity(terminal, true)));
        match self.rng.below(3) {
            0 => self.send_without_id(terminal, registered),
            _ => self.ask_as_terminal(terminal, registered),
        }
    }

    pub(super) fn identity(&mut self, terminal: usize, careless: bool) -> Registered {
        let broker = if careless && self.rng.permille(150) { "Other" } else { "Broker" };
        let name = if careless && self.rng.permille(300) { "a\nb" } else { "name" };
        let (affixes, contracts) = naming(&self.terminals[terminal].stream);
        Registered {
            platform: "mt5".into(),
            broker: broker.into(),
            server: "live".into(),
            name: name.into(),
            currency: "EUR".into(),
            leverage: 100,
            trade_allowed: self.terminals[terminal].allowed,
            ea_version: "1".into(),
            holding: holding(&self.terminals[terminal].stream),
            affixes,
            contracts,
            ..Registered::default()
        }
    }

    /// Something changes at the terminal's side.
    pub(super) fn live(&mut self, terminal: usize) {
        if !self.is_stormy() {
            return;
        }
        let pause = self.rng.between(SECOND, 20 * SECOND);
        self.agenda.plan(self.now + pause, Happening::Live { terminal });
        match self.rng.below(20) {
            0 => self.register_beside(terminal),
            1 => self.terminals[terminal].allowed = false,
            2..=4 => self.terminals[terminal].allowed = true,
            5 => {
                self.terminals[terminal].beating = false;
                match self.rng.below(2) {
                    0 => self.send_without_id(terminal, account::Command::Unregister),
                    _ => self.ask_as_terminal(terminal, account::Command::Unregister),
                }
            }
            6 => self.terminals[terminal].beating = false,
            7..=8 => self.crash_terminal(terminal),
            _ => self.terminals[terminal].beating = true,
        }
        let Terminal { stream, beating, allowed, .. } = &self.terminals[terminal];
        let (stream, beating, allowed) = (stream.clone(), *beating, *allowed);
        self.note(format_args!("terminal {stream}: beating {beating}, allowed {allowed}"));
    }

    /// A configuration reaches the terminal, which takes the latest and says so.
    pub(super) fn config(&mut self, stream: &StreamId, config: Config, process: u64) {
        let Some(terminal) = self.terminals.iter_mut().find(|terminal| terminal.stream == *stream) else { return };
        let seen = config.number;
        if terminal.config.as_ref().is_none_or(|known| known.number < seen) {
            terminal.config = Some(config);
        }
        for delay in self.deliveries() {
            let stream = stream.clone();
            self.agenda.plan(self.now + delay, Happening::Acknowledged { process, stream, seen });
        }
    }
}

pub fn symbol(name: &str) -> Symbol {
    match Symbol::new(name) {
        Ok(symbol) => symbol,
        Err(error) => unreachable!("{error}"),
    }
}

/// What a broker sells a symbol by: its smallest volume, too.
pub fn step(symbol: &Symbol) -> Decimal {
    match symbol.as_str() {
        name if name.contains("XAU") || name.contains("GOLD") => Decimal::new(1, 1),
        name if name.contains("US500") => Decimal::ONE,
        _ => Decimal::new(1, 2),
    }
}

/// Half of the masters hold one position a symbol, so that what is too small to be copied may become large enough.
fn holding(stream: &StreamId) -> Holding {
    let StreamId::Account(role, account) = stream else { return Holding::Hedging };
    let even = account.as_str().bytes().last().is_some_and(|digit| digit % 2 == 0);
    if *role == Role::Master && even { Holding::Netting } else { Holding::Hedging }
}

/// How the account's broker names things, and what it trades.
fn naming(stream: &StreamId) -> (Affixes, BTreeMap<Symbol, Contract>) {
    let StreamId::Account(role, account) = stream else { return <_>::default() };
    let odd = account.as_str().bytes().last().is_some_and(|digit| digit % 2 == 1);
    let affixes =
        |prefix: &str, suffix: &str, specials| Affixes { prefix: prefix.into(), suffix: suffix.into(), specials };
    let gold = BTreeMap::from([(symbol("XAUUSD"), symbol("GOLD.m"))]);
    let (affixes, names) = match (role, odd) {
        (Role::Master, true) => (affixes("", ".m", gold), ["EURUSD.m", "GOLD.m", "US500.m", "BTCUSD.m"].as_slice()),
        (Role::Master, false) => (affixes("", ".m", BTreeMap::new()), ["EURUSD.m", "GOLD.m", "US500.m"].as_slice()),
        (Role::Slave, true) => (affixes("x", "", BTreeMap::new()), ["xEURUSD", "xXAUUSD", "xUS500"].as_slice()),
        (Role::Slave, false) => {
            (affixes("", ".pro", BTreeMap::new()), ["EURUSD.pro", "XAUUSD.pro", "US500.pro"].as_slice())
        }
    };
    (affixes, names.iter().map(|name| (symbol(name), contract(name))).collect())
}

fn contract(name: &str) -> Contract {
    let step = step(&symbol(name));
    Contract {
        lots_step: lots(step),
        lots_min: lots(step),
        lots_max: lots(Decimal::from(50)),
        size: Factor::ZERO,
        digits: 2,
        tick_value: Money::ZERO,
        tick_size: Price::ZERO,
    }
}

fn money(hundredths: i64) -> Money {
    Money::new(Decimal::new(hundredths, 2)).unwrap_or_default()
}
