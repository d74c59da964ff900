//! Scenarios as text: what terminals and people do, and after each line what the desk made of it.
//!
//! A line that begins with `>` is what is expected of the line before it, in the order of the log; there must be nothing else.
//! Of statuses only a changed number is shown. A scene begins with lines of its own, about which nothing is expected.

use crate::account::*;
use crate::copy::{Origin, StopDegree};
use crate::desk;
use crate::event::Event as AnyEvent;
use crate::id::{AccountId, Role, StreamId, Version};
use crate::money::{Lots, Price};
use crate::react::Effect;
use crate::reason::Reason;
use crate::sample::log::Log;
use crate::sample::{self, account_id};
use crate::time::Span;
use crate::trade::{
    Affixes, Change, Contract, Entry, Holding, Instruction, Order, OrderId, OrderReason, OrderResult, Outcome, Side,
    Symbol, Ticket, Trade,
};
use std::collections::BTreeMap;
use std::fmt::Write;
use std::str::SplitWhitespace;
use uuid::Uuid;

#[derive(Clone)]
pub struct Scene {
    pub log: Log,
    signals: BTreeMap<AccountId, u64>,
    stops: u128,
    /// How far the log was shown.
    shown: usize,
    effects_shown: usize,
}

/// A master M and a slave S that copies lot for lot, both ready.
pub fn pair() -> Scene {
    Scene::new("master M\nslave S of M")
}

impl Scene {
    pub fn new(given: &str) -> Self {
        let mut scene = Scene { log: Log::new(), signals: BTreeMap::new(), stops: 0, shown: 0, effects_shown: 0 };
        for line in lines(given) {
            scene.does(line).unwrap_or_else(|no| panic!("{line}: {no}"));
        }
        scene
    }

    /// Plays the text and compares.
    pub fn plays(&mut self, text: &str) {
        self.looked();
        let wanted: Vec<&str> = lines(text).collect();
        let mut found = Vec::new();
        for line in wanted.iter().filter(|line| !line.starts_with('>')) {
            found.push(line.to_string());
            if let Err(code) = self.does(line) {
                found.push(format!("> refused {code}"));
            }
            found.extend(self.news().into_iter().map(|news| format!("> {news}")));
        }
        assert_eq!(found.join("\n"), wanted.join("\n"));
    }

    pub fn account(&self, stream: &str) -> &Account {
        self.log.fold.truth.account(&stream.parse().unwrap()).unwrap()
    }
    pub fn book(&self, slave: &str) -> &SlaveBook {
        self.account(&format!("slave/{slave}")).slave_book.as_ref().unwrap()
    }
    /// The order with this number, whether or not it is answered.
    pub fn order(&self, slave: &str, seq: u64) -> Order {
        let account = account_id(slave);
        let orders = self.issued().filter(|(of, order)| *of == account && order.seq == seq);
        orders.last().unwrap_or_else(|| panic!("{slave} has no order #{seq}")).1.clone()
    }
    pub fn issued(&self) -> impl Iterator<Item = (AccountId, &Order)> {
        self.log.records.iter().filter_map(|record| match &record.event {
            AnyEvent::Account(Event::OrderIssued(issued)) => {
                let Some(StreamId::Account(_, slave)) = self.log.fold.truth.names().get(record.stream) else {
                    return None;
                };
                Some((slave.clone(), issued.order.as_ref()))
            }
            _ => None,
        })
    }

    pub fn decisions(&self) -> impl Iterator<Item = (AccountId, &CopyDecided)> {
        self.log.records.iter().filter_map(|record| match &record.event {
            AnyEvent::Account(Event::CopyDecided(decided)) => {
                let Some(StreamId::Account(_, slave)) = self.log.fold.truth.names().get(record.stream) else {
                    return None;
                };
                Some((slave.clone(), decided))
            }
            _ => None,
        })
    }
    /// The last one about a ticket.
    pub fn decision(&self, ticket: u64) -> CopyDecided {
        let about = self.decisions().filter(|(_, decided)| decided.ticket == Ticket(ticket));
        about.last().unwrap_or_else(|| panic!("nothing was decided about {ticket}")).1.clone()
    }

    /// What a line of a scene says; or the code of the refusal.
    pub fn does(&mut self, line: &str) -> Result<(), String> {
        let mut words = line.split_whitespace();
        match words.next().unwrap() {
            "master" => self.master(&mut words),
            "slave" => self.slave(line, &mut words),
            "wait" => {
                self.log.now = self.log.now + span(words.next().unwrap());
                Ok(())
            }
            "desk" => {
                let defaults = Box::new(json(line));
                self.log.desk(desk::Command::ChangeCopyDefaults(defaults)).map(drop).map_err(|no| no.code)
            }
            "stop" => {
                self.stops += 1;
                let degree = match words.next().unwrap() {
                    "pause" => StopDegree::Pause,
                    "cancel" => StopDegree::Cancel,
                    _ => StopDegree::Flatten,
                };
                let (reason, stop) = (reason(), Uuid::from_u128(self.stops));
                self.log.desk(desk::Command::Stop { degree, reason, stop }).map(drop).map_err(|no| no.code)
            }
            "resume" => self.log.desk(desk::Command::Resume { reason: reason() }).map(drop).map_err(|no| no.code),
            name => self.somebody_does(name, line, &mut words),
        }
    }

    fn somebody_does(&mut self, name: &str, line: &str, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let id = account_id(name);
        let to = if name.starts_with('M') { StreamId::master(&id) } else { StreamId::slave(&id) };
        let what = words.next().unwrap().trim_end_matches(':');
        let command = match what {
            "open" => return self.signal(&id, line, |words| Change::Open(trade(words))),
            "modify" => return self.signal(&id, line, modify),
            "close" => return self.signal(&id, line, close),
            "fills" | "places" | "rejects" | "expires" | "cancels" | "nothing" | "unknown" | "part" => {
                let result = Box::new(self.result(name, what, words));
                Command::Result { result, durable_at: None, sent_at: None }
            }
            "holds" => Command::Snapshot(Box::new(self.snapshot(&to, name, line))),
            "acks" => Command::Ack { order_seq: words.next().unwrap().parse().unwrap() },
            "registers" => Command::Register(Box::new(self.again(&to))),
            "beats" => Command::Heartbeat(self.heartbeat(&to, line)),
            "bars" => Command::Heartbeat(HeartbeatSeen { trade_allowed: false, ..quiet() }),
            "quotes" => {
                let mut price = || words.next().unwrap().parse().unwrap();
                let (bid, ask) = (price(), price());
                Command::Quote(QuoteSeen { symbol: symbol(words.next().unwrap()), bid, ask })
            }
            "lost" => {
                self.log.now = self.log.now + Span::seconds(31);
                Command::CheckSilence
            }
            "leaves" => Command::Unregister,
            "on" | "off" => Command::SetIntent { enabled: what == "on" },
            "follows" => {
                let master = account_id(words.next().unwrap());
                Command::Link { master, enabled: true, settings: Box::new(json(line)) }
            }
            "link" => self.link(words, line),
            "unlinks" => {
                let master = account_id(words.next().unwrap());
                let wind_down = words.next().map(|mode| serde_json::from_value(mode.into()).unwrap());
                Command::Unlink { master, wind_down, expected: None }
            }
            "group" => {
                let settings = Box::new(json(line));
                Command::ChangeGroup { name: name.into(), settings, enabled: None }
            }
            "dissolves" => Command::RemoveGroup,
            "settings" => Command::ChangeSettings(Box::new(json(line))),
            "rearms" => Command::Rearm(Box::new(json(line))),
            other => panic!("nobody can `{other}`: {line}"),
        };
        self.log.account(&to, command).map(drop).map_err(|no| no.code)
    }

    fn link(&self, words: &mut SplitWhitespace<'_>, line: &str) -> Command {
        let master = account_id(words.next().unwrap());
        let mut rest = words.clone();
        let what = rest.next().unwrap();
        let expected = rest.next_back().and_then(|word| word.strip_prefix('v')).map(|v| Version(v.parse().unwrap()));
        match what {
            "on" | "off" => Command::SwitchLink { master, enabled: what == "on", expected },
            _ => Command::ChangeLink { master, settings: Box::new(json(line)), enabled: None, expected },
        }
    }

    /// `master M [EURUSD …]`: there, allowed to trade, switched on, and holding nothing.
    fn master(&mut self, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let to = StreamId::master(&account_id(words.next().unwrap()));
        self.comes(&to, terminal(words))?;
        self.log.account(&to, Command::SetIntent { enabled: true }).map(drop).map_err(|no| no.code)
    }

    /// `slave S of M [netting] [suffix .x] [EURUSD …] [{settings of the link}]`
    fn slave(&mut self, line: &str, words: &mut SplitWhitespace<'_>) -> Result<(), String> {
        let to = StreamId::slave(&account_id(words.next().unwrap()));
        let master = words.nth(1).map(account_id);
        self.comes(&to, terminal(words))?;
        let Some(master) = master else { return Ok(()) };
        let command = Command::Link { master, enabled: true, settings: Box::new(json(line)) };
        self.log.account(&to, command).map(drop).map_err(|no| no.code)
    }

    fn comes(&mut self, to: &StreamId, registered: Registered) -> Result<(), String> {
        let nothing = Snapshot { trades: vec![], through_signal_seq: 0 };
        for command in
            [Command::Register(Box::new(registered)), Command::Snapshot(Box::new(nothing)), Command::Heartbeat(quiet())]
        {
            self.log.account(to, command).map_err(|no| no.code)?;
        }
        Ok(())
    }

    /// The terminal as it was, started anew.
    fn again(&mut self, to: &StreamId) -> Registered {
        let StreamId::Account(_, id) = to else { panic!("only accounts register") };
        self.signals.remove(id);
        let known = self.log.fold.truth.account(to).and_then(|account| account.identity.clone());
        let Some(known) = known else { return terminal(&mut "".split_whitespace()) };
        let Identity { holding, affixes, contracts, .. } = *known;
        Registered { holding, affixes, contracts, ..sample::registered() }
    }

    /// `… seen 6s ago` for what took so long, `… as 7` for another number than the next.
    fn signal(
        &mut self,
        master: &AccountId,
        line: &str,
        change: fn(&mut SplitWhitespace<'_>) -> Change,
    ) -> Result<(), String> {
        let (line, seq) = match line.split_once(" as ") {
            Some((line, seq)) => (line, Some(seq.parse().unwrap())),
            None => (line, None),
        };
        let (line, age) = match line.split_once(" seen ") {
            Some((line, ago)) => (line, span(ago.split(' ').next().unwrap())),
            None => (line, Span(0)),
        };
        let next = self.signals.get(master).copied().unwrap_or(0) + 1;
        let change = change(&mut line.split_whitespace());
        let seen_at = Some(self.log.now - Span::millis(50) - age);
        let signal = Signal { signal_seq: seq.unwrap_or(next), change, broker_at: None, seen_at };
        let done = self.log.account(&StreamId::master(master), Command::Signal(Box::new(signal)));
        if done.is_ok() {
            self.signals.insert(master.clone(), seq.unwrap_or(next));
        }
        done.map(drop).map_err(|no| no.code)
    }

    /// `S fills #1 [0.5]`, for a close what was closed; the position's ticket is 800 and the number.
    fn result(&self, slave: &str, what: &str, words: &mut SplitWhitespace<'_>) -> OrderResult {
        let seq = words.next().unwrap().strip_prefix('#').unwrap();
        let order = match seq.parse() {
            Ok(seq) => self.order(slave, seq).id,
            Err(_) => sample::trade::order_id(404),
        };
        let lots = words.next().map(|lots| lots.parse().unwrap());
        let outcome = match what {
            "fills" => Outcome::Filled,
            "part" => Outcome::Partial,
            "places" => Outcome::Placed,
            "rejects" => Outcome::Rejected,
            "expires" => Outcome::Expired,
            "cancels" => Outcome::Cancelled,
            "nothing" => Outcome::Nothing,
            _ => Outcome::Unknown,
        };
        let there = matches!(outcome, Outcome::Filled | Outcome::Partial | Outcome::Placed);
        let ticket = seq.parse().ok().filter(|_| there).map(|seq: u64| Ticket(800 + seq));
        let (price, sl, tp, error) = (None, None, None, None);
        OrderResult { order, outcome, ticket, price, lots, sl, tp, error, received_at: None, done_at: None }
    }

    /// `M holds 1 buy EURUSD 0.5, …`; `S holds 801 buy EURUSD 0.5 #1` with the order that opened it.
    fn snapshot(&self, to: &StreamId, name: &str, line: &str) -> Snapshot {
        let (line, through) = match line.split_once(" through ") {
            Some((line, through)) => (line, Some(through.parse().unwrap())),
            None => (line, None),
        };
        let shown = listed(line).map(|text| {
            let (text, seq) = text.split_once('#').map_or((text, None), |(text, seq)| (text, Some(seq)));
            let order = seq.map(|seq| match seq.trim().parse() {
                Ok(seq) => self.order(name, seq).id,
                Err(_) => sample::trade::order_id(404),
            });
            SnapshotTrade { trade: trade(&mut text.split_whitespace()), order }
        });
        Snapshot { trades: shown.collect(), through_signal_seq: through.unwrap_or_else(|| self.through(to)) }
    }

    /// `M beats` says nothing of its trades; `M beats: 1 buy EURUSD 0.5, …` says their hash, `M beats:` that there are none.
    fn heartbeat(&self, to: &StreamId, line: &str) -> HeartbeatSeen {
        let (line, equity) = match line.split_once(" equity ") {
            Some((line, equity)) => (line, equity.parse().unwrap()),
            None => (line, quiet().equity),
        };
        let (line, through) = match line.split_once(" through ") {
            Some((line, through)) => (line, through.parse().unwrap()),
            None => (line, self.through(to)),
        };
        let trades: Vec<Trade> = listed(line).map(|text| trade(&mut text.split_whitespace())).collect();
        let said = line.contains(':');
        let state_hash = if said { crate::trade::hash::state_hash(&trades) } else { StateHash::default() };
        let open_positions = trades.len() as u32;
        HeartbeatSeen { state_hash, through_signal_seq: through, open_positions, equity, ..quiet() }
    }

    /// As far as the terminal and the desk both are.
    fn through(&self, to: &StreamId) -> u64 {
        let account = self.log.fold.truth.account(to).unwrap();
        match account.role {
            Role::Master => account.master_book.as_ref().map_or(0, |book| book.signal_seq),
            Role::Slave => account.slave_book.as_ref().map_or(0, |book| book.order_seq),
        }
    }

    /// What happened since the last look.
    fn news(&mut self) -> Vec<String> {
        let mut news = Vec::new();
        for record in &self.log.records[self.shown..] {
            let Some(StreamId::Account(_, name)) = self.log.fold.truth.names().get(record.stream) else { continue };
            let AnyEvent::Account(event) = &record.event else { continue };
            news.extend(self.told(name, event).map(|told| format!("{name} {told}")));
        }
        for effect in &self.log.effects[self.effects_shown..] {
            if let Effect::SnapshotDue { stream: StreamId::Account(_, name) } = effect {
                news.push(format!("{name} is asked for all"));
            }
        }
        self.looked();
        news
    }

    fn looked(&mut self) {
        (self.shown, self.effects_shown) = (self.log.records.len(), self.log.effects.len());
    }

    fn told(&self, name: &AccountId, event: &Event) -> Option<String> {
        Some(match event {
            Event::CopyDecided(decided) => format!("{}: {}", decided.ticket, decided.plan.rule),
            Event::OrderIssued(issued) => self.order_text(name, &issued.order),
            Event::WarningRaised(raised) => format!("warns {}", raised.warning.code()),
            Event::WarningCleared(cleared) => format!("clears {}", cleared.warning.code()),
            Event::LinkAdded(added) => format!("follows {}", added.master),
            Event::LinkRemoved(removed) => format!("leaves {}: {}", removed.master, removed.wind_down.as_str()),
            Event::LinkEnded(ended) => format!("is done with {}", ended.master),
            Event::SyncWanted(wanted) => format!("looks at {}", wanted.master),
            Event::StateDiffered(_) => "differs".into(),
            Event::SnapshotTaken(taken) => snapshot_text(taken),
            Event::SignalTaken(taken) if taken.origin == Origin::Snapshot => {
                format!("shows {}", change_text(&taken.change))
            }
            Event::NumbersSkipped(skipped) => format!("numbers go on above {}", skipped.through),
            Event::StopTaken(stop) => format!("stops: {}", stop.degree.as_str()),
            Event::StatusChanged(change) if change.old != change.new => {
                format!("is {} → {}", change.old.code(), change.new.code())
            }
            Event::LimitNear(near) => format!("is near {}", near.limit),
            Event::LimitHit(hit) => format!("hit {}", hit.limit),
            Event::LimitCleared(cleared) => format!("is clear of {}", cleared.limit),
            Event::Rearmed(_) => "is armed again".into(),
            _ => return None,
        })
    }

    fn order_text(&self, name: &AccountId, order: &Order) -> String {
        let mut text = format!("#{} ", order.seq);
        let of = |id: OrderId| {
            let known = self.issued().find(|(slave, known)| slave == name && known.id == id);
            known.map_or("?".to_string(), |(_, known)| format!("#{}", known.seq))
        };
        match &order.instruction {
            Instruction::Open { symbol, side, entry, lots, price, sl, tp, expires_at, .. } => {
                let waits = match entry {
                    Entry::Market => String::new(),
                    Entry::Limit => format!(" limit at {price}"),
                    Entry::Stop => format!(" stop at {price}"),
                };
                let until = expires_at.map(|at| format!(" for {} s", at.since(self.log.now).0 / 1_000_000));
                write!(text, "{} {symbol} {lots}{waits}{}", side.as_str(), levels(*sl, *tp, "")).unwrap();
                text.push_str(&until.unwrap_or_default());
            }
            Instruction::Modify { of: opened, price, sl, tp } => {
                let price = price.map(|price| format!(" at {price}")).unwrap_or_default();
                write!(text, "modify {}{price}{}", of(*opened), levels(*sl, *tp, " no levels")).unwrap();
            }
            Instruction::Close { of: opened, lots } => {
                let lots = lots.map(|lots| format!(" {lots}")).unwrap_or_default();
                write!(text, "close {}{lots}", of(*opened)).unwrap();
            }
        }
        if order.reason != OrderReason::Signal {
            let reason = crate::event::json(&order.reason);
            write!(text, " ({})", reason.as_str().unwrap()).unwrap();
        }
        text
    }
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.is_empty())
}

/// What stands between `holds` or `:` and the end, by commas.
fn listed(line: &str) -> impl Iterator<Item = &str> {
    let list = line.split_once(" holds").or_else(|| line.split_once(':')).map_or("", |(_, list)| list);
    list.split(',').map(str::trim).filter(|text| !text.is_empty())
}

fn json<T: serde::de::DeserializeOwned>(line: &str) -> T {
    let text = line.find('{').map_or("{}", |at| &line[at..=line.rfind('}').unwrap()]);
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn span(text: &str) -> Span {
    let (number, unit) = text.split_at(text.find(|c: char| !c.is_ascii_digit()).unwrap());
    let number: i64 = number.parse().unwrap();
    if unit == "ms" { Span::millis(number) } else { Span::seconds(number) }
}

fn reason() -> Reason {
    sample::reason("a test")
}

fn symbol(text: &str) -> Symbol {
    sample::trade::symbol(text)
}

/// Says nothing of its positions.
pub fn quiet() -> HeartbeatSeen {
    HeartbeatSeen {
        balance: sample::trade::money("10000"),
        equity: sample::trade::money("10000"),
        free_margin: sample::trade::money("9000"),
        open_positions: 0,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: 0,
    }
}

/// A terminal that trades EURUSD and GBPUSD, or what is named, in steps of 0.01.
fn terminal(words: &mut SplitWhitespace<'_>) -> Registered {
    let mut registered = sample::registered();
    let (mut affixes, mut names): (Affixes, Vec<Symbol>) = Default::default();
    while let Some(word) = words.next() {
        match word {
            "netting" => registered.holding = Holding::Netting,
            "suffix" => affixes.suffix = words.next().unwrap().into(),
            "prefix" => affixes.prefix = words.next().unwrap().into(),
            word if word.starts_with('{') => break,
            word => names.push(symbol(word)),
        }
    }
    if names.is_empty() {
        names = ["EURUSD", "GBPUSD"].map(|name| symbol(&format!("{}{name}{}", affixes.prefix, affixes.suffix))).into();
    }
    let contracts: BTreeMap<Symbol, Contract> =
        names.into_iter().map(|name| (name, sample::trade::contract())).collect();
    Registered { affixes, contracts, ..registered }
}

/// `[M open] 1 buy EURUSD 0.5 [limit|stop] [at 1.1] [sl 1.09] [tp 1.12] [magic 7] [comment x]`
fn trade(words: &mut SplitWhitespace<'_>) -> Trade {
    let mut word = words.next().unwrap();
    while !word.chars().all(|c| c.is_ascii_digit()) {
        word = words.next().unwrap();
    }
    let mut trade = Trade {
        ticket: Ticket(word.parse().unwrap()),
        side: if words.next().unwrap() == "buy" { Side::Buy } else { Side::Sell },
        symbol: symbol(words.next().unwrap()),
        lots: words.next().unwrap().parse().unwrap(),
        entry: Entry::Market,
        price: sample::trade::price("1.1"),
        sl: None,
        tp: None,
        magic: 0,
        comment: String::new(),
    };
    while let Some(word) = words.next() {
        match word {
            "limit" => trade.entry = Entry::Limit,
            "stop" => trade.entry = Entry::Stop,
            "at" => trade.price = words.next().unwrap().parse().unwrap(),
            "sl" => trade.sl = words.next().map(|price| price.parse().unwrap()),
            "tp" => trade.tp = words.next().map(|price| price.parse().unwrap()),
            "magic" => trade.magic = words.next().unwrap().parse().unwrap(),
            "comment" => trade.comment = words.next().unwrap().into(),
            other => panic!("a trade has no `{other}`"),
        }
    }
    trade
}

/// `M modify 1 [at 1.2] [sl 1.09] [tp 1.12] [lots 2]`: what is not said of the levels is none.
fn modify(words: &mut SplitWhitespace<'_>) -> Change {
    let ticket = Ticket(words.nth(2).unwrap().parse().unwrap());
    let (mut at, mut sl, mut tp, mut lots) = (None, None, None, None);
    while let Some(word) = words.next() {
        let value = words.next().unwrap();
        match word {
            "at" => at = Some(value.parse::<Price>().unwrap()),
            "sl" => sl = Some(value.parse().unwrap()),
            "tp" => tp = Some(value.parse().unwrap()),
            _ => lots = Some(value.parse::<Lots>().unwrap()),
        }
    }
    Change::Modify { ticket, price: at, sl, tp, lots }
}

/// `M close 1`, `M close 1 ratio 0.5`, `M close 1 to 0.2`
fn close(words: &mut SplitWhitespace<'_>) -> Change {
    let ticket = Ticket(words.nth(2).unwrap().parse().unwrap());
    let (mut ratio, mut remaining) = (None, None);
    match words.next() {
        Some("ratio") => ratio = Some(words.next().unwrap().parse().unwrap()),
        Some(_) => remaining = Some(words.next().unwrap().parse().unwrap()),
        None => {}
    }
    Change::Close { ticket, ratio, remaining, price: None }
}

fn levels(sl: Option<Price>, tp: Option<Price>, neither: &str) -> String {
    match (sl, tp) {
        (None, None) => neither.to_string(),
        (Some(sl), None) => format!(" sl {sl}"),
        (None, Some(tp)) => format!(" tp {tp}"),
        (Some(sl), Some(tp)) => format!(" sl {sl} tp {tp}"),
    }
}

fn snapshot_text(taken: &SnapshotTaken) -> String {
    let mut text = String::from("told all");
    for drift in &taken.drifted {
        write!(text, ", {} instead of {}", drift.found, drift.expected).unwrap();
    }
    if !taken.unknown.is_empty() {
        let unknown: Vec<String> = taken.unknown.iter().map(ToString::to_string).collect();
        write!(text, ", strange {}", unknown.join(" ")).unwrap();
    }
    text
}

fn change_text(change: &Change) -> String {
    match change {
        Change::Open(trade) => format!("open {} {}", trade.ticket, trade.lots),
        Change::Modify { ticket, price, sl, tp, lots } => {
            let lots = lots.map(|lots| format!(" lots {lots}")).unwrap_or_default();
            let price = price.map(|price| format!(" at {price}")).unwrap_or_default();
            format!("modify {ticket}{price}{}{lots}", levels(*sl, *tp, " no levels"))
        }
        Change::Close { ticket, remaining: Some(left), .. } => format!("close {ticket} to {left}"),
        Change::Close { ticket, .. } => format!("close {ticket}"),
    }
}
