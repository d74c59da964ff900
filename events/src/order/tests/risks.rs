//! Losses that stop entries, and who lets them in again.

use super::*;

impl Case {
    fn worth(&mut self, equity: &str) -> Vec<&'static str> {
        self.does(Command::TakeAccount { equity: cash(equity), margin_free: None })
    }
}

#[test]
fn a_day_that_loses_too_much_ends_entries_until_the_next() {
    let mut case = Case::new();
    assert_eq!(case.worth("10000"), ["venue_day_began", "venue_account_seen"]);
    assert!(case.worth("10000").is_empty());
    let quote = case.sends(quoted(Side::Buy, "0.1", "99.5"));
    case.accepts(&quote);
    assert_eq!(case.worth("9500.01"), ["venue_account_seen"]);
    assert_eq!(case.worth("9500"), ["venue_account_seen", "risk_halted", "order_cancel_requested"]);
    let finding = case.finds(entry("0.1"));
    assert_eq!(finding, Finding::of(Check::RiskHalt, Measure::Cash(cash("500")), Measure::Cash(cash("500"))));
    assert_eq!(case.worth("9900"), ["venue_account_seen"], "it stays, whatever is won back");
    assert_eq!(case.finds(entry("0.1")).check, Check::RiskHalt);
    case.passes(24 * 3_600_000);
    assert_eq!(case.worth("9890"), ["venue_day_began", "venue_account_seen"]);
    assert_eq!(case.venue.risk.day_start, cash("9900"), "a night's loss is the new day's");
    case.lists(vec![], &[]);
    case.sends(entry("0.1"));
}

#[test]
fn what_was_lost_in_all_ends_entries_until_a_person_lets_them_in() {
    let mut case = Case::new();
    case.worth("10000");
    case.worth("10300");
    for equity in ["9850", "9400"] {
        case.passes(24 * 3_600_000);
        assert_eq!(case.worth(equity), ["venue_day_began", "venue_account_seen"]);
    }
    case.passes(24 * 3_600_000);
    assert_eq!(case.worth("9300"), ["venue_day_began", "venue_account_seen", "risk_halted"]);
    case.passes(24 * 3_600_000);
    case.worth("9350");
    case.lists(vec![], &[]);
    assert_eq!(case.finds(entry("0.1")).check, Check::RiskHalt, "another day does not end it");
    let clear = Command::ClearHalt { reason: reason("the cause was found"), by: Principal::Operator };
    assert_eq!(case.does(clear.clone()), ["risk_cleared"]);
    case.sends(entry("0.1"));
    assert_eq!(case.refuses(clear), "not_halted");
    assert_eq!(case.worth("8900"), ["venue_account_seen"], "and counts anew");
    assert_eq!(case.worth("8800")[..2], ["venue_account_seen", "risk_halted"], "with the day's");
}

#[test]
fn a_halt_gives_all_up_where_that_is_set() {
    let limits = Limits { halt_flattens: true, ..settings().limits };
    let mut case = Case::with(Settings { limits, ..settings() });
    case.enters("0.5");
    case.worth("10000");
    assert!(case.does(Command::Watch).is_empty());
    case.worth("9000");
    assert_eq!(case.does(Command::Watch), ["order_submitted"]);
}

#[test]
fn troubles_are_counted_and_not_for_ever() {
    let mut case = Case::new();
    for (category, troubles) in [(Category::PostOnly, 0), (Category::Margin, 1), (Category::Auth, 2)] {
        let order = case.sends(quoted(Side::Buy, "0.1", "99.5"));
        case.reports(Report::Rejected { order, category, detail: "no".into() });
        assert_eq!(case.venue.troubles_since(case.now - Span::seconds(60)), troubles, "{category:?}");
    }
    case.passes(60_001);
    assert_eq!(case.venue.troubles_since(case.now - Span::seconds(60)), 0);
}
