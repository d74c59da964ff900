//! Made-up terminals: they register, beat, fall silent, say goodbye, forbid trading, and have clocks of their own.

use super::agenda::{MILLI, Micros, SECOND};
use super::host::{Config, Parcel};
use super::people::Sender;
use super::{Happening, World};
use crate::node::Command;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::id::{AccountId, CommandId, Principal, Role, StreamId};
use tidehelm_events::money::Money;
use tidehelm_events::time::Timestamp;

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
}

impl World {
    /// Masters, slaves, and one account that is both.
    pub(super) fn install_terminals(&mut self) {
        let masters = (1..=self.climate.masters).map(|number| (Role::Master, format!("ACC_{number}")));
        let slaves = (1..=self.climate.slaves).map(|number| (Role::Slave, format!("ACC_1{number}")));
        let both = [(Role::Slave, "ACC_1".to_string())];
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
            });
            let terminal = self.terminals.len() - 1;
            let first = self.rng.between(0, 2 * SECOND);
            self.agenda.plan(first, Happening::Beat { terminal });
            let change = self.rng.between(SECOND, 20 * SECOND);
            self.agenda.plan(change, Happening::Live { terminal });
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
        let Terminal { every, beating, allowed, .. } = self.terminals[terminal];
        self.agenda.plan(self.now + every, Happening::Beat { terminal });
        if !beating {
            return;
        }
        let heartbeat = account::Command::Heartbeat(HeartbeatSeen {
            balance: Money::ZERO,
            equity: Money::ZERO,
            free_margin: Money::ZERO,
            open_positions: 0,
            trade_allowed: allowed,
            state_hash: StateHash::default(),
            through_signal_seq: 0,
        });
        self.send_without_id(terminal, heartbeat);
    }

    fn send_without_id(&mut self, terminal: usize, command: account::Command) {
        let Terminal { stream, skew, .. } = &self.terminals[terminal];
        let (to, occurred_at) = (stream.clone(), Timestamp(super::WALL_START + self.now + skew));
        let mut order = self.order(to, Command::Account(command), Principal::Terminal, None, None);
        order.occurred_at = occurred_at;
        self.post(Parcel { order, sender: Sender::Beat(terminal) });
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

    /// Says who it is: mostly right, sometimes from the wrong broker or with a text that no terminal sends.
    pub(super) fn register(&mut self, terminal: usize) {
        let stormy = self.is_stormy();
        let broker = if stormy && self.rng.permille(100) { "Other" } else { "Broker" };
        let name = if stormy && self.rng.permille(200) { "a\nb" } else { "name" };
        let registered = account::Command::Register(Box::new(Registered {
            platform: "mt5".into(),
            broker: broker.into(),
            server: "live".into(),
            name: name.into(),
            currency: "EUR".into(),
            leverage: 100,
            trade_allowed: self.terminals[terminal].allowed,
            ea_version: "1".into(),
            ..Registered::default()
        }));
        match self.rng.below(3) {
            0 => self.send_without_id(terminal, registered),
            _ => self.ask_as_terminal(terminal, registered),
        }
    }

    /// Something changes at the terminal's side.
    pub(super) fn live(&mut self, terminal: usize) {
        if !self.is_stormy() {
            return;
        }
        let pause = self.rng.between(SECOND, 20 * SECOND);
        self.agenda.plan(self.now + pause, Happening::Live { terminal });
        match self.rng.below(6) {
            0 => self.register(terminal),
            1 | 2 => self.terminals[terminal].allowed ^= true,
            3 => {
                self.terminals[terminal].beating = false;
                match self.rng.below(2) {
                    0 => self.send_without_id(terminal, account::Command::Unregister),
                    _ => self.ask_as_terminal(terminal, account::Command::Unregister),
                }
            }
            4 => self.terminals[terminal].beating = false,
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
