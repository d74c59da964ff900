//! What a master's terminal sees: its account now against its account as it was last told, so that nothing is lost while the
//! terminal was away.

use std::collections::BTreeMap;
use tidehelm_events::trade::{Change, Ticket, Trade};

#[derive(Debug, Clone, Default)]
pub struct Watch {
    known: BTreeMap<Ticket, Trade>,
}

impl Watch {
    /// What has become of the account's trades, and remembers them as they are now.
    pub fn look<'a>(&mut self, trades: impl Iterator<Item = &'a Trade>) -> Vec<Change> {
        let now: BTreeMap<Ticket, &Trade> = trades.map(|trade| (trade.ticket, trade)).collect();
        let mut changes = Vec::new();
        for ticket in self.known.keys().filter(|ticket| !now.contains_key(ticket)) {
            changes.push(Change::Close { ticket: *ticket, ratio: None, remaining: None, price: None });
        }
        for (ticket, trade) in &now {
            match self.known.get(ticket) {
                Some(known) => changes.extend(changed(known, trade)),
                None => changes.push(Change::Open((*trade).clone())),
            }
        }
        self.known.retain(|ticket, _| now.contains_key(ticket));
        for (ticket, trade) in now {
            if self.known.get(&ticket) != Some(trade) {
                self.known.insert(ticket, trade.clone());
            }
        }
        changes
    }
}

fn changed(was: &Trade, is: &Trade) -> Vec<Change> {
    let ticket = is.ticket;
    let filled = was.entry.is_pending() && !is.entry.is_pending();
    let mut changes = Vec::new();
    if filled {
        changes.push(Change::Open(is.clone()));
    }
    // Of a pending order that was filled against a position, the rest is left.
    if is.lots < was.lots {
        changes.push(Change::Close { ticket, ratio: None, remaining: Some(is.lots), price: None });
    }
    let grown = (is.lots > was.lots).then_some(is.lots);
    let moved = (is.entry.is_pending() && is.price != was.price).then_some(is.price);
    let stops_moved = !filled && (is.sl, is.tp) != (was.sl, was.tp);
    if grown.is_some() || moved.is_some() || stops_moved {
        changes.push(Change::Modify { ticket, price: moved, sl: is.sl, tp: is.tp, lots: grown });
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::trade::{Entry, Side, Symbol};

    fn trade(ticket: u64, entry: Entry, lots: &str, price: &str, sl: Option<&str>) -> Trade {
        Trade {
            ticket: Ticket(ticket),
            symbol: Symbol::new("EURUSD").unwrap(),
            side: Side::Buy,
            entry,
            lots: lots.parse().unwrap(),
            price: price.parse().unwrap(),
            sl: sl.map(|sl| sl.parse().unwrap()),
            tp: None,
            magic: 0,
            comment: String::new(),
        }
    }

    fn told(change: &Change) -> String {
        let text = |value: &dyn std::fmt::Display| value.to_string();
        match change {
            Change::Open(trade) => format!("open {} {:?} {}", trade.ticket, trade.entry, trade.lots),
            Change::Modify { ticket, price, sl, lots, .. } => format!(
                "modify {ticket} price {} sl {} lots {}",
                price.map_or("-".into(), |price| text(&price)),
                sl.map_or("-".into(), |sl| text(&sl)),
                lots.map_or("-".into(), |lots| text(&lots))
            ),
            Change::Close { ticket, remaining, .. } => {
                format!("close {ticket} remaining {}", remaining.map_or("-".into(), |lots| text(&lots)))
            }
        }
    }

    /// given what was there / when this is there / then these changes are told
    #[test]
    fn a_difference_is_told_as_it_is_now() {
        use Entry::{Limit, Market};
        let one = |entry, lots, price, sl| vec![trade(1, entry, lots, price, sl)];
        type Row = (&'static str, Vec<Trade>, Vec<Trade>, &'static [&'static str]);
        let table: [Row; 11] = [
            ("nothing", vec![], vec![], &[]),
            ("opened", vec![], one(Market, "1", "1.1", None), &["open 1 Market 1"]),
            ("closed", one(Market, "1", "1.1", None), vec![], &["close 1 remaining -"]),
            ("part", one(Market, "1", "1.1", None), one(Market, "0.4", "1.1", None), &["close 1 remaining 0.4"]),
            (
                "grown",
                one(Market, "1", "1.1", None),
                one(Market, "1.5", "1.2", None),
                &["modify 1 price - sl - lots 1.5"],
            ),
            (
                "stop set",
                one(Market, "1", "1.1", None),
                one(Market, "1", "1.1", Some("1.0")),
                &["modify 1 price - sl 1 lots -"],
            ),
            (
                "stop removed, part closed",
                one(Market, "1", "1.1", Some("1.0")),
                one(Market, "0.5", "1.1", None),
                &["close 1 remaining 0.5", "modify 1 price - sl - lots -"],
            ),
            ("filled", one(Limit, "1", "1.1", None), one(Market, "1", "1.1", None), &["open 1 Market 1"]),
            (
                "filled and netted",
                one(Limit, "1", "1.1", None),
                one(Market, "0.3", "1.1", None),
                &["open 1 Market 0.3", "close 1 remaining 0.3"],
            ),
            (
                "pending moved",
                one(Limit, "1", "1.1", None),
                one(Limit, "1", "1.05", None),
                &["modify 1 price 1.05 sl - lots -"],
            ),
            (
                "another",
                one(Market, "1", "1.1", None),
                vec![trade(2, Market, "1", "1.1", None)],
                &["close 1 remaining -", "open 2 Market 1"],
            ),
        ];
        for (name, given, when, then) in table {
            let mut watch = Watch::default();
            watch.look(given.iter());
            assert_eq!(watch.look(when.iter()).iter().map(told).collect::<Vec<_>>(), then, "{name}");
            assert_eq!(watch.look(when.iter()), [], "{name}: told once");
        }
    }
}
