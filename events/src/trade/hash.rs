//! One hash over all that an account holds, worked out alike by terminals and the desk.

use super::Trade;
use crate::account::StateHash;
use sha2::{Digest, Sha256};
use std::fmt::Write;

/// SHA-256 of a line `ticket|symbol|side|lots|sl|tp` for each position and pending order, by ticket, each ended by a newline.
/// Decimals have no zeros at their end, what is not set is empty: `17|EURUSD|buy|0.1||1.25`.
pub fn state_hash<'a>(trades: impl IntoIterator<Item = &'a Trade>) -> StateHash {
    let mut trades: Vec<&Trade> = trades.into_iter().collect();
    trades.sort_by_key(|trade| trade.ticket);
    let (mut hash, mut line) = (Sha256::new(), String::new());
    for trade in trades {
        line.clear();
        write_line(&mut line, trade);
        hash.update(line.as_bytes());
    }
    StateHash(hash.finalize().into())
}

fn write_line(line: &mut String, trade: &Trade) {
    let Trade { ticket, symbol, side, lots, sl, tp, .. } = trade;
    let text = |price: &Option<crate::money::Price>| price.map(|price| price.to_string()).unwrap_or_default();
    // Writing to a string cannot fail.
    let _ = writeln!(line, "{ticket}|{symbol}|{}|{lots}|{}|{}", side.as_str(), text(sl), text(tp));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::money::{Lots, Price};
    use crate::trade::{Entry, Side, Symbol, Ticket};

    fn trade(ticket: u64, lots: &str, sl: Option<&str>) -> Trade {
        let price = |text: &str| text.parse::<Price>().unwrap();
        Trade {
            ticket: Ticket(ticket),
            symbol: Symbol::new("EURUSD").unwrap(),
            side: Side::Buy,
            entry: Entry::Market,
            lots: lots.parse::<Lots>().unwrap(),
            price: price("1.1"),
            sl: sl.map(price),
            tp: Some(price("1.250")),
            magic: 0,
            comment: String::new(),
        }
    }

    #[test]
    fn a_line_is_what_the_documents_say() {
        let mut line = String::new();
        write_line(&mut line, &trade(17, "0.10", None));
        assert_eq!(line, "17|EURUSD|buy|0.1||1.25\n");
    }

    #[test]
    fn the_hash_is_that_of_the_lines_by_ticket() {
        let lines = "9|EURUSD|buy|0.1|1.05|1.25\n17|EURUSD|buy|2||1.25\n";
        let trades = [trade(17, "2", None), trade(9, "0.1", Some("1.05"))];
        assert_eq!(state_hash(&trades), StateHash(Sha256::digest(lines).into()));
        assert_eq!(state_hash(&[]), StateHash(Sha256::digest("").into()));
    }

    #[test]
    fn every_field_of_a_line_counts_and_nothing_else_does() {
        let base = state_hash(&[trade(17, "2", None)]);
        for other in [trade(18, "2", None), trade(17, "2.01", None), trade(17, "2", Some("1"))] {
            assert_ne!(state_hash(&[other]), base);
        }
        let same = Trade { comment: "tp 1".into(), magic: 7, price: "9".parse().unwrap(), ..trade(17, "2.00", None) };
        assert_eq!(state_hash(&[same]), base);
    }
}
