//! A copier that needs no desk, in virtual time: the reference must find nothing wrong with one that is right, and name each
//! deliberate mistake of one that is not.

use super::broker::{Answer, Broker, Reject, Request, Tag};
use super::cast::{Cast, Link, Size};
use super::fake::Fake;
use super::house::Faults;
use super::market::{Market, exact};
use super::reference::{Book, Evidence, Fault, Outage, Verdict, judge};
use super::report::verdict_of;
use super::rng::Rng;
use super::station::{Manner, Station, Upset, Wish};
use super::trader::{Habits, Trader};
use super::watch::Watch;
use rust_decimal::Decimal;
use std::collections::BTreeMap;
use tidehelm_events::id::AccountId;
use tidehelm_events::money::Lots;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::trade::{Change, Entry, Holding, OrderId, Side, Ticket, Trade};
use uuid::Uuid;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mistake {
    None,
    LosesAnOpen,
    OpensTwice,
    OpensAnotherOrderToo,
    WrongVolume,
    WrongSide,
    WrongSymbol,
    ForgetsAClose,
    ForgetsAPart,
    ClosesTooMuch,
    OpensUnasked,
    CopiesAStranger,
}

/// What is open for one trade of one master at one slave.
#[derive(Debug, Clone)]
struct Held {
    order: OrderId,
    side: Side,
    put_in: Decimal,
    filled: Decimal,
    /// The slave's tickets, and what stands of each.
    legs: Vec<(Ticket, Decimal)>,
}

struct World {
    seed: u64,
    cast: Cast,
    market: Market,
    now: Timestamp,
    masters: Vec<(Broker, Trader, Watch)>,
    slaves: Vec<Broker>,
    held: BTreeMap<(usize, Ticket), Held>,
    orders: u128,
    mistake: Mistake,
    /// How many chances for its mistake it lets pass.
    patience: u64,
    mistakes: u64,
    requotes: u64,
}

impl World {
    fn new(seed: u64, faults: Faults, mistake: Mistake) -> World {
        let size = Size { masters: 4, slaves: 16, links_per_slave: 2 };
        let cast = Cast::new(seed, size, faults, Span::seconds(5));
        let now = Timestamp::from_millis(1_700_000_000_000);
        let habits = Habits { pace: Span::millis(800), trades_max: 8, bursts: 4, ..Habits::USUAL };
        let masters = cast.masters.iter().enumerate().map(|(at, master)| {
            let trader = Trader::new(habits, Rng::new(seed, 100 + at as u64), now);
            (master.broker(seed), trader, Watch::default())
        });
        World {
            seed,
            market: Market::new(seed, now),
            now,
            masters: masters.collect(),
            slaves: cast.slaves.iter().map(|slave| slave.broker(seed)).collect(),
            cast,
            held: BTreeMap::new(),
            orders: 0,
            mistake,
            patience: 25,
            mistakes: 0,
            requotes: 0,
        }
    }

    fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Span::millis(50);
            self.market.advance(self.now);
            for at in 0..self.masters.len() {
                let (broker, trader, watch) = &mut self.masters[at];
                for request in trader.act(self.now, broker, &self.market) {
                    broker.send(self.now, request, None);
                }
                broker.advance(self.now, &self.market);
                for change in watch.look(broker.trades()) {
                    self.copy(at, &change);
                }
            }
            for slave in &mut self.slaves {
                slave.advance(self.now, &self.market);
            }
        }
    }

    fn copy(&mut self, master: usize, change: &Change) {
        let account = self.cast.masters[master].account.clone();
        let links: Vec<usize> =
            (0..self.cast.links.len()).filter(|at| self.cast.links[*at].master == account).collect();
        for at in links {
            match change {
                Change::Open(trade) if self.held.contains_key(&(at, trade.ticket)) => {}
                Change::Open(trade) => self.open(at, master, trade),
                Change::Modify { ticket, lots: Some(lots), .. } => self.grow(at, master, *ticket, lots.get()),
                Change::Modify { ticket, price: Some(price), .. } => {
                    let request = |ticket| Request::Modify { ticket, price: Some(*price), sl: None, tp: None };
                    self.modify(at, *ticket, request);
                }
                Change::Modify { .. } => {}
                Change::Close { ticket, remaining, .. } => {
                    self.close(at, master, *ticket, remaining.map_or(Decimal::ZERO, |left| left.get()));
                }
            }
        }
    }

    /// True once, when it is time for the mistake.
    fn errs(&mut self, mistake: Mistake) -> bool {
        if self.mistake != mistake || self.mistakes > 0 {
            return false;
        }
        self.patience = self.patience.saturating_sub(1);
        self.mistakes += u64::from(self.patience == 0);
        self.patience == 0
    }

    fn open(&mut self, at: usize, master: usize, trade: &Trade) {
        let wanted = self.wanted(at, master, trade, trade.lots.get());
        if wanted > Decimal::ZERO {
            let order = self.new_order();
            let held = self.enter(at, trade, wanted, order);
            self.held.insert((at, trade.ticket), held);
        }
    }

    fn grow(&mut self, at: usize, master: usize, ticket: Ticket, lots: Decimal) {
        let Some(source) = self.masters[master].0.trade(ticket).cloned() else { return };
        let Some(held) = self.held.get(&(at, ticket)).cloned() else {
            // What was too small may be enough now.
            let wanted = self.wanted(at, master, &source, lots);
            if wanted > Decimal::ZERO {
                let order = self.new_order();
                let held = self.enter(at, &source, wanted, order);
                self.held.insert((at, ticket), held);
            }
            return;
        };
        let standing: Decimal = held.legs.iter().map(|(_, lots)| lots).sum();
        let more = self.wanted(at, master, &source, lots) - standing;
        let mut grown = Held { put_in: lots, filled: standing, ..held.clone() };
        if more > Decimal::ZERO {
            let order = self.new_order();
            let leg = self.enter(at, &source, more, order);
            grown.filled += leg.filled;
            grown.legs.extend(leg.legs);
        }
        self.held.insert((at, ticket), grown);
    }

    /// Opens so much at the slave and hears what became of it.
    fn enter(&mut self, at: usize, trade: &Trade, lots: Decimal, order: OrderId) -> Held {
        let link = self.cast.links[at].clone();
        let put_in = trade.lots.get();
        let mut side = if link.terms.reverse { trade.side.opposite() } else { trade.side };
        let held = Held { order, side, put_in, filled: Decimal::ZERO, legs: Vec::new() };
        if self.errs(Mistake::LosesAnOpen) {
            return held;
        }
        if self.errs(Mistake::WrongSide) {
            side = side.opposite();
        }
        let slave = self.slave_of(&link);
        let step = self.step(slave, &link, trade);
        let lots = if self.errs(Mistake::WrongVolume) { lots + step } else { lots };
        let entry = match (trade.entry, link.terms.reverse) {
            (Entry::Limit, true) => Entry::Stop,
            (Entry::Stop, true) => Entry::Limit,
            (entry, _) => entry,
        };
        let elsewhere = usize::from(self.errs(Mistake::WrongSymbol));
        let instrument = (self.instrument(&link, trade) + elsewhere) % 6;
        let instrument = if elsewhere == 0 { self.instrument(&link, trade) } else { instrument };
        let symbol = self.slaves[slave].house.symbol(instrument).unwrap().0.clone();
        let (lots, comment) = (exact(Lots::new(lots)), order.short());
        let (sl, tp, magic) = (None, None, 7);
        let request = match entry {
            Entry::Market => Request::Deal { symbol, side, lots, near: None, sl, tp, magic, comment },
            Entry::Limit | Entry::Stop => {
                let (price, expires_at) = (trade.price, None);
                Request::Place { symbol, side, entry, lots, price, sl, tp, magic, comment, expires_at }
            }
        };
        let master =
            if self.errs(Mistake::CopiesAStranger) { AccountId::new("Nobody_1").unwrap() } else { link.master.clone() };
        let tag = Tag { order, master, ticket: trade.ticket, opens: true };
        if self.errs(Mistake::OpensUnasked) {
            self.ask(slave, request.clone(), None, None);
        }
        if self.errs(Mistake::OpensAnotherOrderToo) {
            let order = self.new_order();
            self.ask(slave, request.clone(), Some(Tag { order, ..tag.clone() }), None);
        }
        if self.errs(Mistake::OpensTwice) {
            self.ask(slave, request.clone(), Some(tag.clone()), None);
        }
        let said = self.ask(slave, request, Some(tag), Some(order));
        let filled = said.map_or(Decimal::ZERO, |(_, filled)| filled);
        let legs = said.and_then(|(ticket, filled)| Some((ticket?, filled))).into_iter().collect();
        Held { filled, legs, ..held }
    }

    fn close(&mut self, at: usize, master: usize, ticket: Ticket, left: Decimal) {
        let Some(held) = self.held.get(&(at, ticket)).cloned() else { return };
        let link = self.cast.links[at].clone();
        let slave = self.slave_of(&link);
        let forgets = if left.is_zero() { Mistake::ForgetsAClose } else { Mistake::ForgetsAPart };
        // A mistake that nobody could see is none.
        let shows = held.filled > Decimal::ONE && left * Decimal::TWO < held.put_in && !held.legs.is_empty();
        let forgets = shows && self.errs(forgets);
        let share = if left.is_zero() { Decimal::ZERO } else { held.filled * left / held.put_in };
        let netted = self.masters[master].0.holding == Holding::Netting;
        let source = self.masters[master].0.trade(ticket).filter(|_| netted).cloned();
        // Of a position that grew no more stays than is wanted for what is left.
        let keep = source.map_or(share, |source| share.min(self.wanted(at, master, &source, left)));
        let standing: Decimal = held.legs.iter().map(|(_, lots)| lots).sum();
        let mut close = standing - keep;
        if !left.is_zero() && standing > Decimal::ONE && keep > Decimal::ONE && self.errs(Mistake::ClosesTooMuch) {
            close = standing;
        }
        if forgets {
            close = Decimal::ZERO;
        }
        let mut after = held.clone();
        for (own, lots) in &mut after.legs {
            let part = close.min(*lots);
            if part.is_zero() {
                continue;
            }
            let closed = self.reduce(slave, &link, &held, ticket, *own, part);
            *lots -= closed;
            close -= part;
        }
        self.held.insert((at, ticket), after);
        if left.is_zero() {
            self.held.remove(&(at, ticket));
        }
    }

    /// Closes so much of one leg, and says how much was.
    fn reduce(
        &mut self,
        slave: usize,
        link: &Link,
        held: &Held,
        ticket: Ticket,
        own: Ticket,
        lots: Decimal,
    ) -> Decimal {
        let broker = &self.slaves[slave];
        let tag = Tag { order: held.order, master: link.master.clone(), ticket, opens: false };
        let known = broker.trade(own).cloned();
        if let Some(pending) = known.as_ref().filter(|trade| trade.entry.is_pending()) {
            let request = Request::Cancel { ticket: pending.ticket };
            // It may be filled while the request is under way; then it is closed.
            if self.ask(slave, request, Some(tag.clone()), None).is_some() {
                return lots;
            }
        }
        let broker = &self.slaves[slave];
        let symbol = self.symbol(slave, link, ticket);
        let step = broker.house.listing(&symbol).unwrap().contract.lots_step.get();
        let lots = (lots / step).floor() * step;
        if lots.is_zero() {
            return lots;
        }
        let lots = exact(Lots::new(lots));
        let request = match broker.holding {
            Holding::Hedging => Request::Close { ticket: own, lots: Some(lots) },
            Holding::Netting => Request::Deal {
                symbol,
                side: held.side.opposite(),
                lots,
                near: None,
                sl: None,
                tp: None,
                magic: 7,
                comment: String::new(),
            },
        };
        self.ask(slave, request, Some(tag), None).map_or(Decimal::ZERO, |(_, closed)| closed)
    }

    fn modify(&mut self, at: usize, ticket: Ticket, request: impl Fn(Ticket) -> Request) {
        let Some((own, _)) = self.held.get(&(at, ticket)).and_then(|held| held.legs.first()).copied() else { return };
        let link = self.cast.links[at].clone();
        let slave = self.slave_of(&link);
        let order = self.held[&(at, ticket)].order;
        let tag = Tag { order, master: link.master.clone(), ticket, opens: false };
        self.ask(slave, request(own), Some(tag), None);
    }

    /// Sends a request, waits for what it leads to, and tries again where that is worth it. None where it was refused.
    fn ask(
        &mut self,
        slave: usize,
        request: Request,
        tag: Option<Tag>,
        find: Option<OrderId>,
    ) -> Option<(Option<Ticket>, Decimal)> {
        loop {
            let now = self.now;
            let number = self.slaves[slave].send(now, request.clone(), tag.clone());
            let mut until = now;
            let mut heard: Option<Answer> = None;
            while heard.is_none() && until < now + Span::seconds(10) {
                until = until + Span::millis(20);
                let answers = self.slaves[slave].advance(until, &self.market);
                heard = answers.into_iter().find(|answer| answer.request == number);
            }
            match heard.map(|answer| answer.said) {
                Some(Ok(done)) => return Some((done.ticket, done.lots.get())),
                Some(Err(Reject::Requote)) => self.requotes += 1,
                Some(Err(_)) => return None,
                // Never heard: it was done, as the history shows.
                None => {
                    let past = find.and_then(|order| self.slaves[slave].find(&order.short()));
                    return past.map(|past| (past.done.ticket, past.done.lots.get()));
                }
            }
        }
    }

    fn symbol(&self, slave: usize, link: &Link, ticket: Ticket) -> tidehelm_events::trade::Symbol {
        let master = self.cast.masters.iter().position(|master| master.account == link.master).unwrap();
        let broker = &self.masters[master].0;
        let named = broker.executions().iter().find_map(|execution| match &execution.what {
            super::broker::What::Dealt { ticket: known, symbol, .. }
            | super::broker::What::Placed { ticket: known, symbol, .. }
                if *known == ticket =>
            {
                Some(symbol.clone())
            }
            _ => None,
        });
        let instrument = broker.house.listing(&named.unwrap()).unwrap().instrument;
        self.slaves[slave].house.symbol(instrument).unwrap().0.clone()
    }

    fn instrument(&self, link: &Link, trade: &Trade) -> usize {
        let master = self.cast.masters.iter().find(|master| master.account == link.master).unwrap();
        master.house.listing(&trade.symbol).unwrap().instrument
    }

    fn step(&self, slave: usize, link: &Link, trade: &Trade) -> Decimal {
        let (_, listing) = self.slaves[slave].house.symbol(self.instrument(link, trade)).unwrap();
        listing.contract.lots_step.get()
    }

    fn slave_of(&self, link: &Link) -> usize {
        self.cast.slaves.iter().position(|slave| slave.account == link.slave).unwrap()
    }

    fn wanted(&self, at: usize, master: usize, trade: &Trade, lots: Decimal) -> Decimal {
        let link = &self.cast.links[at];
        let slave = self.slave_of(link);
        let (_, listing) = self.slaves[slave].house.symbol(self.instrument(link, trade)).unwrap();
        let ratio = self.cast.slaves[slave].balance / self.cast.masters[master].balance;
        super::fake::wanted(link, lots, &listing.contract, ratio)
    }

    fn new_order(&mut self) -> OrderId {
        self.orders += 1;
        OrderId(Uuid::new_v5(&Uuid::from_u128(u128::from(self.seed)), &self.orders.to_be_bytes()))
    }

    fn verdict(&self, outages: &[Outage]) -> Verdict {
        let book = |player: &super::cast::Player| (player.account.clone(), player.balance);
        let masters: Vec<_> = self.cast.masters.iter().map(book).collect();
        let slaves: Vec<_> = self.cast.slaves.iter().map(book).collect();
        judge(&Evidence {
            masters: books(&masters, self.masters.iter().map(|(broker, ..)| broker)),
            slaves: books(&slaves, self.slaves.iter()),
            links: &self.cast.links,
            outages,
            unproven: &BTreeMap::new(),
            since: Timestamp::ZERO,
            patience: Span::millis(500),
        })
    }
}

fn books<'a>(players: &'a [(AccountId, Decimal)], brokers: impl Iterator<Item = &'a Broker>) -> Vec<Book<'a>> {
    let book = |((account, balance), broker): (&'a (AccountId, Decimal), &'a Broker)| Book {
        account,
        house: &broker.house,
        holding: broker.holding,
        balance: *balance,
        executions: broker.executions(),
    };
    players.iter().zip(brokers).map(book).collect()
}

#[test]
fn a_right_copier_is_found_right() {
    let (mut trades, mut copied, mut standing, mut bursts) = (0, 0, 0, 0);
    for seed in 1..=6 {
        let mut world = World::new(seed, Faults::NONE, Mistake::None);
        world.run(Span::seconds(240));
        let verdict = world.verdict(&[]);
        assert_eq!(verdict.findings, [], "seed {seed}");
        assert_eq!((verdict.refused, verdict.filled_in_part, verdict.too_late), (0, 0, 0), "{verdict:?}");
        trades += verdict.master_trades;
        copied += verdict.copied;
        standing += verdict.standing;
        bursts += world.masters.iter().map(|(_, trader, _)| trader.bursts()).sum::<u64>();
    }
    assert!(trades > 1000 && copied > 5000 && standing > 100 && bursts > 0, "{trades} {copied} {standing} {bursts}");
}

#[test]
fn a_right_copier_at_bad_brokers_is_found_right_and_the_rest_is_explained() {
    let (mut refused, mut part, mut requotes) = (0, 0, 0);
    for seed in 1..=6 {
        let mut world = World::new(seed, Faults { late: 0, lost: 0, ..Faults::CHAOS }, Mistake::None);
        world.run(Span::seconds(240));
        let verdict = world.verdict(&[]);
        assert_eq!(verdict.findings, [], "seed {seed}");
        refused += verdict.refused;
        part += verdict.filled_in_part;
        requotes += world.requotes;
    }
    assert!(refused > 10 && part > 10 && requotes > 10, "{refused} {part} {requotes}");
}

#[test]
fn each_mistake_is_found_and_named() {
    for (mistake, named) in [
        (Mistake::LosesAnOpen, Fault::Lost),
        (Mistake::OpensTwice, Fault::Doubled),
        (Mistake::OpensAnotherOrderToo, Fault::Doubled),
        (Mistake::WrongVolume, Fault::Drift),
        (Mistake::WrongSide, Fault::WrongSide),
        (Mistake::WrongSymbol, Fault::WrongSymbol),
        (Mistake::ForgetsAClose, Fault::Orphaned),
        (Mistake::ForgetsAPart, Fault::Drift),
        (Mistake::ClosesTooMuch, Fault::Drift),
        (Mistake::OpensUnasked, Fault::Stray),
        (Mistake::CopiesAStranger, Fault::Stray),
    ] {
        let mut found = 0;
        for seed in 1..=4 {
            let mut world = World::new(seed, Faults::NONE, mistake);
            // The end comes soon after, so that closing everything does not cover it up.
            while world.mistakes == 0 {
                world.run(Span::seconds(1));
            }
            world.run(Span::seconds(1));
            let verdict = world.verdict(&[]);
            assert!(verdict.count(named) <= 1, "{mistake:?}, seed {seed}: {:?}", verdict.findings);
            found += verdict.count(named);
            let others: Vec<_> = verdict.findings.iter().filter(|finding| finding.fault != named).collect();
            let follows = |fault| fault == Fault::Lost && named == Fault::Stray;
            assert!(others.iter().all(|finding| follows(finding.fault)), "{mistake:?}, seed {seed}: {others:?}");
        }
        assert!(found >= 3, "{mistake:?} was found {found} times of 4");
    }
}

/// Stations and a plain desk, with a line of some milliseconds between them, in virtual time.
struct Line {
    now: Timestamp,
    market: Market,
    stations: Vec<Station>,
    desk: Fake,
    /// What is under way, by the time of arrival.
    under_way: BTreeMap<(Timestamp, u64), Parcel>,
    /// The generation of each station's connection; none while it has none.
    lines: Vec<Option<u64>>,
    sent: u64,
    asks: BTreeMap<u64, (usize, u64, u32)>,
}

enum Parcel {
    Opened { station: usize, line: u64 },
    ToDesk { station: usize, line: u64, tag: u32, message: Vec<u8> },
    ToStation { station: usize, line: u64, tag: u32, message: Vec<u8> },
}

impl Line {
    fn new(seed: u64, faults: Faults, chaos: Option<Upset>) -> Line {
        let size = Size { masters: 3, slaves: 9, links_per_slave: 2 };
        let cast = Cast::new(seed, size, faults, Span::seconds(3600));
        let now = Timestamp::from_millis(1_700_000_000_000);
        let habits = Habits { pace: Span::millis(900), trades_max: 8, bursts: 4, ..Habits::USUAL };
        let manner = Manner { habits: Some(habits), chaos, heartbeats_only: false };
        let players = cast.masters.iter().chain(&cast.slaves).cloned();
        let mut stations: Vec<Station> = players.map(|player| Station::new(player, seed, None, manner, now)).collect();
        for station in &mut stations {
            station.trade(true);
            station.upset(now);
        }
        let lines = vec![None; stations.len()];
        let market = Market::new(seed, now);
        let mut desk = Fake::default();
        desk.cast = Some(cast);
        Line { now, market, stations, desk, under_way: BTreeMap::new(), lines, sent: 0, asks: BTreeMap::new() }
    }

    fn run(&mut self, span: Span) {
        let end = self.now + span;
        while self.now < end {
            self.now = self.now + Span::millis(5);
            self.market.advance(self.now);
            while let Some(entry) = self.under_way.first_entry().filter(|entry| entry.key().0 <= self.now) {
                let parcel = entry.remove();
                self.arrive(parcel);
            }
            for at in 0..self.stations.len() {
                if self.stations[at].due(self.now) <= self.now {
                    self.stations[at].tick(self.now, &self.market);
                }
                self.grant(at);
            }
        }
    }

    /// Everything is mended and told, and nobody trades any more.
    fn settle(&mut self) {
        for station in &mut self.stations {
            station.trade(false);
            station.calm();
        }
        self.run(Span::seconds(40));
        for station in &self.stations {
            assert!(station.is_settled(), "{} has something under way", station.player.account);
        }
    }

    fn grant(&mut self, at: usize) {
        for wish in std::mem::take(&mut self.stations[at].wishes) {
            match (wish, self.lines[at]) {
                (Wish::Dial, _) => {
                    self.sent += 1;
                    self.lines[at] = Some(self.sent);
                    self.post(Parcel::Opened { station: at, line: self.sent });
                }
                (Wish::HangUp, _) => self.lines[at] = None,
                (Wish::Ask { tag, message }, Some(line)) => {
                    self.post(Parcel::ToDesk { station: at, line, tag, message });
                }
                (Wish::Ask { .. } | Wish::Uplink(_), _) => {}
            }
        }
    }

    fn post(&mut self, parcel: Parcel) {
        self.sent += 1;
        self.under_way.insert((self.now + Span::millis(3), self.sent), parcel);
    }

    fn arrive(&mut self, parcel: Parcel) {
        match parcel {
            Parcel::Opened { station, line } if self.lines[station] == Some(line) => {
                self.desk.reconnected(&self.stations[station].player.account);
                self.stations[station].connected(self.now, &self.market);
                self.grant(station);
            }
            Parcel::ToDesk { station, line, tag, message } => {
                self.sent += 1;
                self.asks.insert(self.sent, (station, line, tag));
                for ((_, ask), message) in self.desk.session((0, self.sent), &message, self.now) {
                    let (station, line, tag) = self.asks.remove(&ask).unwrap();
                    self.post(Parcel::ToStation { station, line, tag, message });
                }
            }
            Parcel::ToStation { station, line, tag, message } if self.lines[station] == Some(line) => {
                self.stations[station].hear(tag, &message, self.now, &self.market);
                self.grant(station);
            }
            Parcel::Opened { .. } | Parcel::ToStation { .. } => {}
        }
    }

    fn verdict(&self) -> Verdict {
        let cast = self.desk.cast.as_ref().unwrap();
        verdict_of(&cast.links, &self.stations, Span::seconds(2))
    }
}

#[test]
fn stations_and_a_plain_desk_agree_with_the_reference() {
    let (mut orders, mut copied) = (0, 0);
    for seed in 1..=3 {
        let mut line = Line::new(seed, Faults::NONE, None);
        line.run(Span::seconds(120));
        line.settle();
        let verdict = line.verdict();
        assert_eq!(verdict.findings, [], "seed {seed}");
        orders += line.stations.iter().map(|station| station.tally.orders).sum::<u64>();
        copied += verdict.copied;
    }
    assert!(orders > 1000 && copied > 500, "{orders} {copied}");
}

#[test]
fn stations_that_are_cut_off_and_crash_agree_with_the_reference() {
    let upset = Upset { every: Span::seconds(12), away_max: Span::seconds(4) };
    let (mut restarts, mut cuts, mut looked_up, mut unproven) = (0, 0, 0, 0);
    for seed in 1..=4 {
        let mut line = Line::new(seed, Faults::CHAOS, Some(upset));
        line.run(Span::seconds(120));
        line.settle();
        let verdict = line.verdict();
        assert_eq!(verdict.findings, [], "seed {seed}");
        let tallies = line.stations.iter().map(|station| &station.tally);
        restarts += tallies.clone().map(|tally| tally.restarts).sum::<u64>();
        cuts += tallies.clone().map(|tally| tally.cuts).sum::<u64>();
        looked_up += tallies.map(|tally| tally.looked_up).sum::<u64>();
        unproven += verdict.unproven;
    }
    assert!(restarts > 20 && cuts > 20 && looked_up > 0, "{restarts} {cuts} {looked_up} {unproven}");
}
