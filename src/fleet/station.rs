//! One account of the fleet: its broker, its terminal, and for a master somebody who trades. No socket, no clock: what is to be
//! sent comes out, what came goes in.

mod chaos;
mod executor;

pub use chaos::{Chaos, Upset};

use super::broker::{Broker, Execution};
use super::cast::Player;
use super::market::Market;
use super::reference::Outage;
use super::rng::Rng;
use super::trader::{Habits, Trader};
use super::watch::Watch;
use executor::{Executor, File};
use std::collections::BTreeMap;
use tidehelm_events::id::Role;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::hash::state_hash;
use tidehelm_events::trade::{OrderId, OrderResult, Outcome, Stamps, Symbol, Trade};
use tidehelm_terminal::terminal::{
    Credentials, Figures, Output, Phase, Recollection, Record, Settings, Shown, Terminal,
};
use tidehelm_terminal::wire::{Held, Identity};

/// What a station wants of the world.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wish {
    /// Connections for `session` and `uplink`.
    Dial,
    HangUp,
    Ask {
        tag: u32,
        message: Vec<u8>,
    },
    Uplink(Vec<u8>),
}

/// What a station did and saw.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    pub signals: u64,
    pub orders: u64,
    pub heartbeats: u64,
    pub registrations: u64,
    pub restarts: u64,
    pub cuts: u64,
    /// Connections that were lost without our doing.
    pub lost_lines: u64,
    pub resent: u64,
    pub repeated: u64,
    pub looked_up: u64,
    pub expired: u64,
    pub rejected: u64,
    /// What the desk refused, by its code.
    pub refusals: BTreeMap<String, u64>,
    /// In microseconds: from the master's broker to this terminal, and its parts.
    pub to_terminal: Vec<i64>,
    pub to_desk: Vec<i64>,
    pub in_desk: Vec<i64>,
    pub from_desk: Vec<i64>,
    pub at_broker: Vec<i64>,
}

pub struct Station {
    pub player: Player,
    pub broker: Broker,
    pub tally: Tally,
    pub outages: Vec<Outage>,
    /// Orders of which nobody can say what became, and the symbol that they are about.
    pub unproven: BTreeMap<OrderId, Option<Symbol>>,
    /// The symbols of orders whose result nobody has said yet.
    about: BTreeMap<OrderId, Option<Symbol>>,
    pub wishes: Vec<Wish>,
    pub trader: Option<Trader>,
    trades: bool,
    /// None while the terminal is down.
    terminal: Option<Terminal>,
    executor: Executor,
    /// What the terminal's files hold.
    memory: Recollection,
    watch: Watch,
    watch_kept: Watch,
    chaos: Option<Chaos>,
    away_since: Option<Timestamp>,
    connected: bool,
    figures_due: Timestamp,
    heartbeats_only: bool,
    /// After a restart a terminal says all that the account holds: what came and went meanwhile it cannot know.
    tells_all: bool,
    last_counts: (u64, u64),
}

/// How a station is run.
#[derive(Debug, Clone, Copy)]
pub struct Manner {
    pub habits: Option<Habits>,
    pub chaos: Option<Upset>,
    pub heartbeats_only: bool,
}

impl Station {
    pub fn new(player: Player, seed: u64, credentials: Option<Credentials>, manner: Manner, now: Timestamp) -> Station {
        let broker = player.broker(seed);
        let mut memory = Recollection::default();
        if let Some(credentials) = credentials {
            memory.apply(&Record::Credentials(credentials));
        }
        let number = player.login << 1 | u64::from(player.role == Role::Slave);
        let trader = manner.habits.filter(|_| player.role == Role::Master);
        let mut station = Station {
            trader: trader.map(|habits| Trader::new(habits, Rng::new(seed, number | 1 << 50), now)),
            chaos: manner.chaos.map(|upset| Chaos::new(upset, Rng::new(seed, number | 1 << 51))),
            executor: Executor::new(File::default()),
            broker,
            tally: Tally::default(),
            outages: Vec::new(),
            unproven: BTreeMap::new(),
            about: BTreeMap::new(),
            wishes: Vec::new(),
            trades: false,
            terminal: None,
            memory,
            watch: Watch::default(),
            watch_kept: Watch::default(),
            away_since: Some(now),
            connected: false,
            figures_due: now,
            heartbeats_only: manner.heartbeats_only,
            tells_all: false,
            last_counts: (0, 0),
            player,
        };
        station.start();
        station
    }

    /// From now on its master trades.
    pub fn trade(&mut self, trades: bool) {
        self.trades = trades;
    }
    /// From now on what may go wrong does.
    pub fn upset(&mut self, now: Timestamp) {
        if let Some(chaos) = &mut self.chaos {
            chaos.begin(now);
        }
    }
    /// From now on nothing goes wrong but what is wrong with the broker.
    pub fn calm(&mut self) {
        if let Some(chaos) = &mut self.chaos {
            chaos.calm();
        }
    }
    pub fn is_live(&self) -> bool {
        self.terminal.as_ref().is_some_and(|terminal| terminal.phase() == Phase::Live)
    }
    /// Nothing is under way anywhere that this station knows of.
    pub fn is_settled(&self) -> bool {
        let settled = self.terminal.as_ref().is_some_and(Terminal::is_settled);
        self.is_live() && settled && self.executor.is_idle() && self.broker.is_idle()
    }
    pub fn executions(&self) -> &[Execution] {
        self.broker.executions()
    }

    pub fn connected(&mut self, now: Timestamp, market: &Market) {
        self.connected = true;
        if let Some(terminal) = &mut self.terminal {
            terminal.connected(now);
        }
        self.go_on(now, market);
    }
    pub fn disconnected(&mut self, now: Timestamp, market: &Market) {
        self.connected = false;
        self.tally.lost_lines += 1;
        self.away_since.get_or_insert(now);
        if let Some(terminal) = &mut self.terminal {
            terminal.disconnected(now);
        }
        self.go_on(now, market);
    }
    pub fn hear(&mut self, tag: u32, message: &[u8], now: Timestamp, market: &Market) {
        if let Some(terminal) = &mut self.terminal {
            terminal.hear(tag, message, now);
        }
        self.go_on(now, market);
    }

    /// It is later.
    pub fn tick(&mut self, now: Timestamp, market: &Market) {
        self.suffer(now);
        for answer in self.broker.advance(now, market) {
            if let Some(terminal) = &mut self.terminal {
                self.executor.answered(answer, &mut self.broker, terminal, now);
            }
        }
        if let Some(trader) = self.trader.as_mut().filter(|_| self.trades) {
            for request in trader.act(now, &self.broker, market) {
                self.broker.send(now, request, None);
            }
        }
        if let Some(terminal) = &mut self.terminal {
            self.executor.tick(&mut self.broker, terminal, now);
            terminal.tick(now);
        }
        self.go_on(now, market);
    }

    /// When [`Station::tick`] has something to do.
    pub fn due(&self, now: Timestamp) -> Timestamp {
        let market = Some(now + Span::millis(250)).filter(|_| self.broker.count() > 0);
        let trader = self.trader.as_ref().filter(|_| self.trades).map(|trader| trader.due);
        let terminal = self.terminal.as_ref().and_then(Terminal::due);
        let chaos = self.chaos.as_ref().map(|chaos| chaos.due);
        let all = [market, trader, terminal, chaos, self.broker.due(), self.executor.due(), Some(self.figures_due)];
        all.into_iter().flatten().min().unwrap_or(now)
    }

    fn start(&mut self) {
        self.terminal = Some(Terminal::new(settings(&self.player), self.memory.clone()));
        self.wishes.push(Wish::Dial);
    }

    fn suffer(&mut self, now: Timestamp) {
        let Some(chaos) = &mut self.chaos else { return };
        match chaos.next(now) {
            chaos::Next::Nothing => {}
            chaos::Next::Cut => {
                self.tally.cuts += 1;
                self.drop_line(now);
            }
            chaos::Next::Mend => self.wishes.push(Wish::Dial),
            chaos::Next::Crash => {
                self.tally.restarts += 1;
                self.drop_line(now);
                self.crash();
            }
            chaos::Next::Restart => {
                self.start();
                self.tells_all = true;
            }
        }
    }

    fn drop_line(&mut self, now: Timestamp) {
        self.connected = false;
        self.away_since.get_or_insert(now);
        self.wishes.push(Wish::HangUp);
        if let Some(terminal) = &mut self.terminal {
            terminal.disconnected(now);
        }
    }

    /// What was only in the terminal's memory is gone. What it had sent to its broker is on its way.
    fn crash(&mut self) {
        self.count_oddities();
        self.terminal = None;
        self.executor = Executor::new(self.executor.file.clone());
        self.watch = self.watch_kept.clone();
        self.broker.hang_up();
        self.last_counts = (0, 0);
    }

    /// Tells the terminal what the account has become, and does what the terminal says.
    fn go_on(&mut self, now: Timestamp, market: &Market) {
        if self.terminal.is_some() {
            self.look(now, market);
        }
        while let Some(output) = self.terminal.as_mut().and_then(Terminal::poll) {
            self.put_out(output, now);
        }
        if self.is_live()
            && self.connected
            && let Some(from) = self.away_since.take()
        {
            self.tally.registrations += 1;
            let who = Some((self.player.role, self.player.account.clone()));
            self.outages.push(Outage { who, from, to: now });
        }
    }

    fn look(&mut self, now: Timestamp, market: &Market) {
        let Some(terminal) = &mut self.terminal else { return };
        let mut changed = false;
        if self.player.role == Role::Master && !self.heartbeats_only {
            for change in self.watch.look(self.broker.trades()) {
                changed = true;
                self.tally.signals += 1;
                terminal.changed(change, Some(now), now);
            }
            if terminal.is_settled() {
                self.watch_kept = self.watch.clone();
            }
        }
        if self.tells_all && terminal.phase() == Phase::Live {
            self.tells_all = false;
            terminal.held(held(&self.executor, &self.broker), now);
        }
        if changed || now >= self.figures_due {
            self.figures_due = now + Span::seconds(1);
            let figures = self.broker.figures(market);
            let open = self.broker.trades().filter(|trade| !trade.entry.is_pending()).count();
            terminal.figures(Figures {
                balance: figures.balance,
                equity: figures.equity,
                free_margin: figures.free_margin,
                open_positions: open as u32,
                trade_allowed: true,
                state_hash: state_hash(self.broker.trades()),
            });
        }
    }

    fn put_out(&mut self, output: Output, now: Timestamp) {
        let Some(terminal) = &mut self.terminal else { return };
        match output {
            Output::Uplink(frame) => {
                self.tally.heartbeats += 1;
                self.wishes.push(Wish::Uplink(frame));
            }
            Output::Ask { tag, message } => self.wishes.push(Wish::Ask { tag, message }),
            Output::Remember(record) => {
                if let Record::Result { result, .. } = &record {
                    if result.outcome != Outcome::Unknown {
                        self.about.remove(&result.order);
                    }
                    self.tally.count_result(result);
                }
                self.memory.apply(&record);
            }
            Output::Execute(execution) => {
                self.tally.count_order(&execution.order.stamps, execution.received_at);
                self.about.insert(execution.order.id, self.executor.symbol_of(&execution));
                self.executor.execute(*execution, &mut self.broker, terminal, now);
            }
            Output::Recover(execution) => {
                self.tally.looked_up += 1;
                self.about.insert(execution.order.id, self.executor.symbol_of(&execution));
                self.executor.recover(*execution);
            }
            Output::ListTrades => terminal.held(held(&self.executor, &self.broker), now),
            Output::Show(Shown::Unknown(order)) => {
                let symbol = self.about.remove(&order).flatten();
                self.unproven.insert(order, symbol);
            }
            Output::Show(Shown::Refused(_, refused)) => *self.tally.refusals.entry(refused.code).or_default() += 1,
            Output::Show(_) => {}
        }
    }

    /// Brings the tally up to what the terminal has counted.
    pub fn count_oddities(&mut self) {
        let Some(terminal) = &self.terminal else { return };
        let counts = terminal.counts();
        let (resent, repeated) = self.last_counts;
        self.tally.resent += counts.resent - resent;
        self.tally.repeated += counts.orders_repeated - repeated;
        self.last_counts = (counts.resent, counts.orders_repeated);
    }
}

fn held(executor: &Executor, broker: &Broker) -> Vec<Held> {
    let held = |trade: &Trade| Held { order: executor.order_of(trade.ticket), trade: trade.clone() };
    broker.trades().map(held).collect()
}

impl Tally {
    fn count_order(&mut self, stamps: &Stamps, received_at: Timestamp) {
        self.orders += 1;
        let passed = |from: Option<Timestamp>, to: Option<Timestamp>| Some(to?.since(from?).0);
        self.to_terminal.extend(passed(stamps.broker, Some(received_at)));
        self.to_desk.extend(passed(stamps.seen, stamps.received));
        self.in_desk.extend(passed(stamps.received, stamps.decided));
        self.from_desk.extend(passed(stamps.decided, Some(received_at)));
    }

    fn count_result(&mut self, result: &OrderResult) {
        match result.outcome {
            Outcome::Filled | Outcome::Partial | Outcome::Placed => {
                let passed = result.done_at.zip(result.received_at).map(|(done, received)| done.since(received).0);
                self.at_broker.extend(passed);
            }
            Outcome::Rejected => self.rejected += 1,
            Outcome::Expired => self.expired += 1,
            Outcome::Cancelled | Outcome::Nothing | Outcome::Unknown => {}
        }
    }
}

fn settings(player: &Player) -> Settings {
    let house = &player.house;
    let identity = Identity {
        platform: "mt5".into(),
        account_number: player.login,
        broker: house.name.into(),
        server: house.server.into(),
        name: format!("Fleet {}", player.login),
        currency: "USD".into(),
        leverage: house.leverage,
        ea_version: env!("CARGO_PKG_VERSION").into(),
    };
    let contracts = house.listings.iter().map(|(symbol, listing)| (symbol.clone(), listing.contract.clone()));
    Settings {
        holding: player.holding,
        affixes: house.affixes.clone(),
        contracts: contracts.collect(),
        ..Settings::new(player.account.clone(), player.role, identity)
    }
}
