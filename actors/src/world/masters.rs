//! Masters' terminals trade: what their brokers hold, and the signals that tell it.

use super::agenda::MILLI;
use super::terminals::symbol;
use super::{Happening, World};
use rust_decimal::Decimal;
use std::collections::{BTreeMap, VecDeque};
use tidehelm_events::account::{Signal, Snapshot, SnapshotTrade};
use tidehelm_events::id::Role;
use tidehelm_events::money::{Factor, Lots, Price};
use tidehelm_events::trade::{Change, Entry, Side, Ticket, Trade};

#[derive(Debug, Default)]
pub struct Master {
    /// What the broker holds: it survives everything.
    pub trades: BTreeMap<Ticket, Trade>,
    last_ticket: u64,
    /// Signals that the desk has not taken, and the number of the last one. Lost in a crash.
    waiting: VecDeque<(Signal, bool)>,
    last: u64,
}

impl Master {
    pub fn last_seq(&self) -> u64 {
        self.last
    }
    pub fn is_told(&self) -> bool {
        self.waiting.is_empty()
    }
}

impl World {
    /// Something happens to the master's trades.
    pub(super) fn trade(&mut self, terminal: usize) {
        if !self.is_stormy() {
            return;
        }
        let pause = self.rng.between(200 * MILLI, self.climate.trade_every);
        self.agenda.plan(self.now + pause, Happening::Trade { terminal });
        let burst = if self.rng.permille(50) { 6 } else { 1 };
        for _ in 0..burst {
            let Some(change) = self.change(terminal) else { continue };
            let grows = matches!(change, Change::Modify { lots: Some(_), .. });
            let ticket = change.ticket();
            self.changed(terminal, change);
            if grows && self.rng.permille(500) {
                self.grow_on(terminal, ticket);
            }
        }
        self.converse(terminal);
    }

    fn change(&mut self, terminal: usize) -> Option<Change> {
        let trades = &self.terminals[terminal].master.trades;
        let known: Vec<Trade> = trades.values().cloned().collect();
        if known.is_empty() || (known.len() < 8 && self.rng.permille(350)) {
            return Some(self.open(terminal));
        }
        let trade = self.rng.pick(&known);
        let ticket = trade.ticket;
        let level = |world: &mut World| world.rng.permille(600).then(|| world.price());
        Some(match (self.rng.below(10), trade.entry) {
            (0, Entry::Market) => self.grow(&trade, 200),
            (0..=2, Entry::Limit | Entry::Stop) => {
                Change::Modify { ticket, price: Some(self.price()), sl: trade.sl, tp: trade.tp, lots: None }
            }
            (3..=5, Entry::Limit | Entry::Stop) => Change::Open(Trade { entry: Entry::Market, ..trade }),
            (1, _) => Change::Modify { ticket, price: None, sl: level(self), tp: trade.tp, lots: None },
            (2, _) => Change::Modify { ticket, price: None, sl: trade.sl, tp: level(self), lots: None },
            (3, _) => Change::Modify { ticket, price: None, sl: None, tp: None, lots: None },
            (4..=6, Entry::Market) if trade.lots > lots(Decimal::new(1, 2)) => {
                self.counts.partial_closes += 1;
                self.close_part(&trade)
            }
            _ => Change::Close { ticket, ratio: None, remaining: None, price: None },
        })
    }

    /// A position that grew goes on in steps of which most are too small for a slave.
    fn grow_on(&mut self, terminal: usize, ticket: Ticket) {
        for _ in 0..6 {
            let Some(trade) = self.terminals[terminal].master.trades.get(&ticket).cloned() else { return };
            let change = self.grow(&trade, 20);
            self.changed(terminal, change);
        }
    }

    fn grow(&mut self, trade: &Trade, most: i64) -> Change {
        let lots = Some(lots(trade.lots.get() + Decimal::new(self.rng.between(1, most), 2)));
        self.counts.growths += 1;
        Change::Modify { ticket: trade.ticket, price: None, sl: trade.sl, tp: trade.tp, lots }
    }

    fn open(&mut self, terminal: usize) -> Change {
        let master = &mut self.terminals[terminal].master;
        master.last_ticket += 1;
        let ticket = Ticket(1_000 + master.last_ticket);
        let name = self.rng.pick(&["EURUSD.m", "EURUSD.m", "GOLD.m", "US500.m", "BTCUSD.m"]);
        let most = self.rng.pick(&[10, 300, 300, 9_000]);
        Change::Open(Trade {
            ticket,
            symbol: symbol(name),
            side: self.rng.pick(&[Side::Buy, Side::Sell]),
            entry: self.rng.pick(&[Entry::Market, Entry::Market, Entry::Market, Entry::Limit, Entry::Stop]),
            lots: lots(Decimal::new(self.rng.between(1, most), 2)),
            price: self.price(),
            sl: self.rng.permille(500).then(|| self.price()),
            tp: self.rng.permille(500).then(|| self.price()),
            magic: 7,
            comment: "world".into(),
        })
    }

    /// Hundredths of a lot go, and the terminal says how many are left, or which part went as exactly as it can.
    fn close_part(&mut self, trade: &Trade) -> Change {
        let hundredths = i64::try_from((trade.lots.get() * Decimal::ONE_HUNDRED).trunc()).unwrap_or(2);
        let left = Decimal::new(self.rng.between(1, (hundredths - 1).max(1)), 2);
        let (ticket, price) = (trade.ticket, None);
        if self.rng.permille(500) {
            return Change::Close { ticket, ratio: None, remaining: Some(lots(left)), price };
        }
        let ratio = ((trade.lots.get() - left) / trade.lots.get()).round_dp(12);
        Change::Close { ticket, ratio: Factor::new(ratio).ok(), remaining: None, price }
    }

    fn price(&mut self) -> Price {
        Price::new(Decimal::new(self.rng.between(100, 130), 2)).unwrap_or_default()
    }

    /// The broker did it, and the terminal, where it runs, puts it down to be told.
    fn changed(&mut self, terminal: usize, change: Change) {
        let seen = self.terminal_clock(terminal);
        self.note(format_args!("master {}: {change:?}", self.terminals[terminal].stream.clone()));
        let down = self.terminals[terminal].line.down;
        let master = &mut self.terminals[terminal].master;
        master.happen(&change);
        if !down {
            self.counts.signals += 1;
            master.last += 1;
            let signal = Signal { signal_seq: master.last, change, broker_at: None, seen_at: Some(seen) };
            master.waiting.push_back((signal, false));
        }
    }

    /// The next signal that is not under way.
    pub(super) fn next_signal(&mut self, terminal: usize) -> Option<Signal> {
        let (signal, sent) = self.terminals[terminal].master.waiting.iter_mut().find(|(_, sent)| !sent)?;
        *sent = true;
        Some(signal.clone())
    }

    pub(super) fn signal_answered(&mut self, terminal: usize, seq: u64, refused: Option<&str>) {
        match refused {
            None => self.terminals[terminal].master.taken(seq),
            Some("signal_old") => {
                self.counts.signals_repeated += 1;
                self.terminals[terminal].master.taken(seq);
            }
            Some("signal_gap") => {
                self.counts.signal_gaps += 1;
                self.terminals[terminal].master.waiting.iter_mut().for_each(|(_, sent)| *sent = false);
                self.terminals[terminal].line.forget_signals();
            }
            Some(_) => {
                self.counts.signals_refused += 1;
                self.terminals[terminal].master.drop_refused(seq);
                self.terminals[terminal].line.forget_signals();
                self.terminals[terminal].wants_snapshot = true;
            }
        }
    }

    /// A new epoch counts from 1, without those that were taken in the one before.
    pub(super) fn renumber(&mut self, terminal: usize, taken: u64) {
        let master = &mut self.terminals[terminal].master;
        master.taken(taken);
        master.number_from(1);
    }

    pub(super) fn forget_signals(&mut self, terminal: usize) {
        let master = &mut self.terminals[terminal].master;
        (master.waiting, master.last) = (VecDeque::new(), 0);
    }

    /// All that the account holds, once every change is told.
    pub(super) fn next_snapshot(&mut self, terminal: usize) -> Option<Snapshot> {
        if !self.terminals[terminal].wants_snapshot || !self.terminals[terminal].master.is_told() {
            return None;
        }
        self.terminals[terminal].wants_snapshot = false;
        Some(self.snapshot_of(terminal))
    }

    /// What the account holds now.
    pub(super) fn snapshot_of(&self, terminal: usize) -> Snapshot {
        let through_signal_seq = self.through(terminal);
        let shown = |(trade, order): (Trade, _)| SnapshotTrade { trade, order };
        let trades = self.held(terminal).into_iter().map(shown).collect();
        Snapshot { trades, through_signal_seq }
    }

    /// The number that a hash or a snapshot reaches through: of the last signal, or of the last order that was carried out.
    pub(super) fn through(&self, terminal: usize) -> u64 {
        match self.terminals[terminal].role() {
            Role::Master => self.terminals[terminal].master.last_seq(),
            Role::Slave => self.done_through(terminal),
        }
    }
}

impl Master {
    fn happen(&mut self, change: &Change) {
        match change {
            Change::Open(trade) => drop(self.trades.insert(trade.ticket, trade.clone())),
            Change::Modify { ticket, price, sl, tp, lots } => {
                let Some(trade) = self.trades.get_mut(ticket) else { return };
                (trade.sl, trade.tp) = (*sl, *tp);
                (trade.price, trade.lots) = (price.unwrap_or(trade.price), lots.unwrap_or(trade.lots));
            }
            Change::Close { ticket, ratio, remaining, .. } => {
                let Some(trade) = self.trades.get_mut(ticket) else { return };
                let by_ratio = ratio.map(|ratio| (trade.lots.get() * (Decimal::ONE - ratio.get())).round_dp(8));
                match remaining.map(Lots::get).or(by_ratio) {
                    Some(left) => trade.lots = lots(left),
                    None => drop(self.trades.remove(ticket)),
                }
            }
        }
    }

    fn taken(&mut self, through: u64) {
        while self.waiting.front().is_some_and(|(signal, _)| signal.signal_seq <= through) {
            self.waiting.pop_front();
        }
    }

    fn drop_refused(&mut self, seq: u64) {
        let Some(at) = self.waiting.iter().position(|(signal, _)| signal.signal_seq == seq) else { return };
        self.waiting.remove(at);
        let first = self.waiting.front().map_or(seq, |(signal, _)| signal.signal_seq.min(seq));
        self.number_from(first);
    }

    fn number_from(&mut self, first: u64) {
        self.last = first.saturating_sub(1);
        for (signal, sent) in &mut self.waiting {
            self.last += 1;
            signal.signal_seq = self.last;
            *sent = false;
        }
    }
}

pub fn lots(value: Decimal) -> Lots {
    Lots::new(value).unwrap_or(Lots::ZERO)
}
