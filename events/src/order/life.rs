//! The life of an order as one flat table: where it is, what happens, where it is then.

use super::word::Life;

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Turn {
    Accept,
    Reject,
    /// No reply came in time.
    TimeOut,
    /// A part was filled.
    FillPart,
    /// The last of it was filled.
    FillAll,
    RequestCancel,
    RejectCancel,
    Cancel,
    Expire,
}

impl Turn {
    pub const ALL: [Turn; 9] = [
        Turn::Accept,
        Turn::Reject,
        Turn::TimeOut,
        Turn::FillPart,
        Turn::FillAll,
        Turn::RequestCancel,
        Turn::RejectCancel,
        Turn::Cancel,
        Turn::Expire,
    ];
}

/// Where the order is then; None where it does not go anywhere. `filled`: something of it was filled before.
///
/// Reports overtake each other: an acceptance after a fill says nothing new, and a fill after the end is a fill (the book takes it)
/// of an order that is as over as it was.
pub fn after(life: Life, turn: Turn, filled: bool) -> Option<Life> {
    use Life::*;
    match (life, turn) {
        (Intended, _) => None,
        (Submitted | Unknown, Turn::Accept) => Some(Accepted),
        (Submitted, Turn::TimeOut) => Some(Unknown),
        // A venue may take an order back after it took it, as long as nothing came of it.
        (Submitted | Unknown | Accepted | CancelRequested, Turn::Reject) if !filled => Some(Rejected),
        (Submitted | Unknown | Accepted | PartiallyFilled, Turn::FillPart) => Some(PartiallyFilled),
        (Submitted | Unknown | Accepted | PartiallyFilled | CancelRequested, Turn::FillAll) => Some(Filled),
        (Submitted | Unknown | Accepted | PartiallyFilled, Turn::RequestCancel) => Some(CancelRequested),
        (CancelRequested, Turn::RejectCancel) => Some(if filled { PartiallyFilled } else { Accepted }),
        (Submitted | Unknown | Accepted | PartiallyFilled | CancelRequested, Turn::Cancel) => Some(Cancelled),
        (Submitted | Unknown | Accepted | PartiallyFilled | CancelRequested, Turn::Expire) => Some(Expired),
        // The rest of it came after all.
        (Cancelled | Expired, Turn::FillAll) => Some(Filled),
        (Accepted | PartiallyFilled | CancelRequested, Turn::Accept | Turn::TimeOut) => None,
        (Unknown, Turn::TimeOut) => None,
        (CancelRequested, Turn::FillPart | Turn::RequestCancel) => None,
        (Submitted | Unknown | Accepted | PartiallyFilled, Turn::RejectCancel) => None,
        (Submitted | Unknown | Accepted | PartiallyFilled | CancelRequested, Turn::Reject) => None,
        (Filled | Cancelled | Expired | Rejected | Refused, _) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One line for each life: where `accept reject time-out part all cancel? cancel-no cancelled expired` lead. `.` is nowhere.
    const TABLE: &str = "
        intended         .        .        .       .    .      .      .        .         .
        submitted        accepted rejected unknown part filled asked  .        cancelled expired
        unknown          accepted rejected .       part filled asked  .        cancelled expired
        accepted         .        rejected .       part filled asked  .        cancelled expired
        partially_filled .        .        .       part filled asked  .        cancelled expired
        cancel_requested .        rejected .       .    filled .      accepted cancelled expired
        filled           .        .        .       .    .      .      .        .         .
        cancelled        .        .        .       .    filled .      .        .         .
        expired          .        .        .       .    filled .      .        .         .
        rejected         .        .        .       .    .      .      .        .         .
        refused          .        .        .       .    .      .      .        .         .
    ";

    #[test]
    fn an_order_lives_as_the_table_says() {
        let lives = [
            Life::Intended,
            Life::Submitted,
            Life::Unknown,
            Life::Accepted,
            Life::PartiallyFilled,
            Life::CancelRequested,
            Life::Filled,
            Life::Cancelled,
            Life::Expired,
            Life::Rejected,
            Life::Refused,
        ];
        let word = |life: Option<Life>| match life {
            None => ".".to_string(),
            Some(Life::PartiallyFilled) => "part".to_string(),
            Some(Life::CancelRequested) => "asked".to_string(),
            Some(life) => serde_json::to_value(life).unwrap().as_str().unwrap().to_string(),
        };
        let lines: Vec<_> = TABLE.lines().filter(|line| !line.trim().is_empty()).collect();
        assert_eq!(lines.len(), lives.len());
        for (line, life) in lines.into_iter().zip(lives) {
            let cells: Vec<_> = line.split_whitespace().collect();
            assert_eq!(cells[0], serde_json::to_value(life).unwrap().as_str().unwrap());
            for (turn, cell) in Turn::ALL.into_iter().zip(&cells[1..]) {
                let filled = life == Life::PartiallyFilled;
                assert_eq!(word(after(life, turn, filled)), *cell, "{life:?} {turn:?}");
            }
        }
        assert_eq!(after(Life::CancelRequested, Turn::RejectCancel, true), Some(Life::PartiallyFilled));
        assert_eq!(after(Life::Accepted, Turn::Reject, true), None);
    }
}
