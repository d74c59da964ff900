//! What terminals hold against what the desk thinks they hold.

use super::scene::{Scene, pair};
use crate::id::StreamId;
use crate::react::Effect;
use crate::sample::account_id;
use crate::trade::Order;
use std::fmt::Write;

#[test]
fn a_difference_is_said_once_and_a_snapshot_becomes_changes_that_are_copied() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M open 2 buy EURUSD 1
         > S 2: copied
         > S #2 buy EURUSD 1
         S fills #1
         S fills #2
         M beats: 2 buy EURUSD 0.4 sl 1.05, 3 sell GBPUSD 0.1
         > M differs
         > M is asked for all
         M beats: 2 buy EURUSD 0.4 sl 1.05, 3 sell GBPUSD 0.1
         M holds 2 buy EURUSD 0.4 sl 1.05, 3 sell GBPUSD 0.1
         > M told all
         > M shows close 1
         > M shows close 2 to 0.4
         > M shows modify 2 sl 1.05
         > M shows open 3 0.1
         > S 1: copied
         > S #3 close #1 (sync)
         > S 2: copied
         > S #4 close #2 0.6 (sync)
         > S 2: copied
         > S #5 modify #2 sl 1.05 (sync)
         > S 3: sync_off
         M beats: 2 buy EURUSD 0.4 sl 1.05, 3 sell GBPUSD 0.1",
    );
}

#[test]
fn a_hash_counts_only_where_both_are_at_the_same_signal() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M beats: through 0
         M beats: 1 buy EURUSD 0.5, 2 buy EURUSD 0.5 through 2
         M beats
         M beats: 1 buy EURUSD 0.5
         M beats:
         > M differs
         > M is asked for all",
    );
}

#[test]
fn a_snapshot_that_is_older_or_doubled_is_refused() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M holds 1 buy EURUSD 0.5 through 0
         > refused snapshot_stale
         M holds 1 buy EURUSD 0.5 through 2
         > refused snapshot_stale
         M holds 1 buy EURUSD 0.5, 1 buy EURUSD 0.5
         > refused snapshot_doubled
         M holds 1 buy EURUSD 0.5
         > M told all",
    );
}

/// what we know | what the terminal shows | the changes
const CAUGHT_UP: &str = "
    buy EURUSD 0.5 sl 1.05           | buy EURUSD 0.5 sl 1.05          |
    buy EURUSD 0.5 sl 1.05           | buy EURUSD 0.5                  | modify 1 no levels
    buy EURUSD 0.5                   | buy EURUSD 0.5 sl 1.05 tp 1.2   | modify 1 sl 1.05 tp 1.2
    buy EURUSD 0.5                   | buy EURUSD 0.7                  | modify 1 no levels lots 0.7
    buy EURUSD 0.5                   | buy EURUSD 0.2                  | close 1 to 0.2
    buy EURUSD 0.5 limit at 1.09     | buy EURUSD 0.5 limit at 1.08    | modify 1 at 1.08 no levels
    buy EURUSD 0.5 limit at 1.09     | buy EURUSD 0.5 at 1.09          | open 1 0.5
    buy EURUSD 0.5 limit at 1.09     | buy EURUSD 0.5 stop at 1.11     | close 1, open 1 0.5
    buy EURUSD 0.5                   | sell EURUSD 0.5                 | close 1, open 1 0.5
    buy EURUSD 0.5                   | buy GBPUSD 0.5                  | close 1, open 1 0.5
    buy EURUSD 0.5                   | buy EURUSD 0.5 limit            | close 1, open 1 0.5
    buy EURUSD 0.5                   |                                 | close 1
";

#[test]
fn what_a_master_shows_is_led_to_by_changes() {
    let mut count = 0;
    for row in CAUGHT_UP.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[known, shown, changes] = parts.as_slice() else { panic!("{row}") };
        let mut scene = Scene::new(&format!("master M\nM open 1 {known}"));
        let shown = if shown.is_empty() { String::new() } else { format!("1 {shown}") };
        let changes: String = changes
            .split(", ")
            .filter(|change| !change.is_empty())
            .map(|change| format!("\n> M shows {change}"))
            .collect();
        scene
            .plays(&format!("M holds {shown}\n> M told all{changes}\nM beats: {shown}\nM holds {shown}\n> M told all"));
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn two_hundred_positions_are_told_and_followed() {
    let mut scene = Scene::new("master M\nslave S of M {\"sync_mode\":{\"market_order\":{\"distance_max\":\"0\"}}}");
    let list = |skip: u64| {
        let mut list = String::new();
        for ticket in (1..=200u64).filter(|ticket| ticket % skip != 0) {
            write!(list, "{ticket} buy EURUSD 0.{:02},", ticket % 90 + 1).unwrap();
        }
        list
    };
    scene.does(&format!("M holds {}", list(1000))).unwrap();
    assert_eq!((scene.book("S").outbox.len(), scene.book("S").all_copies().count()), (200, 200));
    for seq in 1..=200 {
        scene.does(&format!("S fills #{seq}")).unwrap();
    }
    scene.does(&format!("M holds {}", list(2))).unwrap();
    let closed: Vec<u64> = scene.book("S").outbox.values().map(|order| order.ticket.unwrap().0).collect();
    assert_eq!(closed, (1..=100).map(|half| half * 2).collect::<Vec<_>>());
    scene.plays(&format!("M beats: {}", list(2)));
}

#[test]
fn a_slaves_difference_is_seen_when_nothing_is_under_way() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S beats: 
         S fills #1
         S beats: 801 buy EURUSD 0.5
         S beats: 801 buy EURUSD 0.5
         S beats:
         > S differs
         > S is asked for all
         S beats:
         S holds
         > S told all, 0 instead of 0.5
         S beats:
         M close 1
         > S 1: copy_over",
    );
}

/// the terminal holds | what is said, and what follows when the master closes all
const HELD: &str = "
    801 buy EURUSD 0.5 #1                            | told all                                                   | #2 close #1
    801 buy EURUSD 0.5                               | told all                                                   | #2 close #1
    801 buy EURUSD 0.3 #1                            | told all, 0.3 instead of 0.5; warns volume_drift           | #2 close #1
    801 buy EURUSD 0.7 #1                            | told all, 0.7 instead of 0.5; warns volume_drift           | #2 close #1
                                                     | told all, 0 instead of 0.5                                 |
    801 buy EURUSD 0.5 #1, 9 sell GBPUSD 1           | told all, strange 9; warns unknown_position                | #2 close #1
    801 buy EURUSD 0.5 #1, 9 sell GBPUSD 1 #x        | told all, strange 9; warns unknown_position                | #2 close #1
    77 buy EURUSD 0.5 #1                             | told all                                                   | #2 close #1
";

#[test]
fn what_a_slave_holds_counts() {
    let mut count = 0;
    for row in HELD.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[held, said, end] = parts.as_slice() else { panic!("{row}") };
        let mut scene = Scene::new("master M\nslave S of M\nM open 1 buy EURUSD 0.5\nS fills #1");
        let said: String = said.split("; ").map(|said| format!("\n> S {said}")).collect();
        scene.plays(&format!("S holds {held}{said}"));
        scene.plays(&match end {
            "" => "M close 1\n> S 1: copy_over".to_string(),
            end => format!("M close 1\n> S 1: copied\n> S {end}"),
        });
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn a_snapshot_leaves_alone_what_is_under_way() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S holds
         > S told all
         S holds 801 buy EURUSD 0.5 #1
         > S told all
         S fills #1
         M close 1
         > S 1: copied
         > S #2 close #1
         S holds
         > S told all
         S fills #2",
    );
    assert!(scene.book("S").copies.is_empty());
}

#[test]
fn strangers_are_forgotten_when_they_are_gone() {
    pair().plays(
        "S holds 9 sell GBPUSD 1
         > S told all, strange 9
         > S warns unknown_position
         S holds 9 sell GBPUSD 1
         > S told all, strange 9
         S holds
         > S told all
         > S clears unknown_position",
    );
}

/// One position a symbol: what is left of it counts for all copies in it.
#[test]
fn a_netting_slave_is_compared_by_symbol() {
    Scene::new("master M\nmaster M_2\nslave S of M netting\nS follows M_2").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M_2 open 1 buy EURUSD 0.3
         > S 1: copied
         > S #2 buy EURUSD 0.3
         S fills #1
         S fills #2
         S holds 7 buy EURUSD 0.8, 8 buy GBPUSD 1
         > S told all, strange 8
         > S warns unknown_position
         S holds
         > S told all, 0 instead of 0.5, 0 instead of 0.3
         > S clears unknown_position
         M close 1
         > S 1: copy_over",
    );
}

/// Whether it was done or not: what is left of it is what counts, and its share is not taken twice.
#[test]
fn a_partial_close_that_is_unproven_is_not_done_twice() {
    for (held, then) in [("0.35", ""), ("0.7", "\n> S #3 close #1 0.35 (correction)")] {
        let drift = format!("> S told all, {held} instead of 0");
        pair().plays(&format!(
            "M open 1 buy EURUSD 0.7
             > S 1: copied
             > S #1 buy EURUSD 0.7
             S fills #1
             M close 1 ratio 0.5
             > S 1: copied
             > S #2 close #1 0.35
             S unknown #2
             > S warns order_unproven
             > S is asked for all
             S holds 801 buy EURUSD {held} #1
             {drift}{then}
             > S warns volume_drift
             > S clears order_unproven"
        ));
    }
}

/// A snapshot leaves alone what is under way: once that is answered, another one is asked for.
#[test]
fn what_is_unproven_is_looked_at_again_when_nothing_is_under_way() {
    pair().plays(
        "M open 1 buy EURUSD 1
         > S 1: copied
         > S #1 buy EURUSD 1
         S unknown #1
         > S warns order_unproven
         > S is asked for all
         M close 1
         > S 1: copied
         > S #2 close #1
         S holds 801 buy EURUSD 1 #1
         > S told all
         S rejects #2
         > S is asked for all
         S holds 801 buy EURUSD 1 #1
         > S told all, 1 instead of 0
         > S #3 close #1 (correction)
         > S warns volume_drift
         > S clears order_unproven",
    );
}

/// Two masters against each other: nothing is there, and that is right.
#[test]
fn copies_that_stand_against_each_other_are_flat_and_known() {
    Scene::new("master M\nmaster M_2\nslave S of M netting\nS follows M_2").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M_2 open 1 sell EURUSD 0.5
         > S 1: copied
         > S #2 sell EURUSD 0.5
         S fills #1
         S fills #2
         S holds
         > S told all
         M close 1
         > S 1: copied
         > S #3 close #1
         S fills #3
         S holds 7 sell EURUSD 0.5
         > S told all
         M_2 close 1
         > S 1: copied
         > S #4 close #2",
    );
}

/// A pending order that is gone was filled where the position is so much more, and taken back where it is not.
#[test]
fn a_pending_order_of_a_netting_slave_is_found_in_its_position() {
    Scene::new("master M\nmaster M_2\nslave S of M netting\nS follows M_2").plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #1
         M_2 open 1 buy EURUSD 0.3 limit at 1.05
         > S 1: copied
         > S #2 buy EURUSD 0.3 limit at 1.05
         S places #2
         S holds 7 buy EURUSD 0.8
         > S told all, 0.3 instead of 0
         > S warns volume_drift
         M_2 close 1
         > S 1: copied
         > S #3 close #2",
    );
}

#[test]
fn a_terminal_that_is_ahead_of_the_log_is_only_watched_until_it_has_told_all() {
    pair().plays(
        "M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5
         S fills #1
         S acks 1
         S acks 9
         > S warns log_behind_terminal
         > S numbers go on above 9
         > S is asked for all
         S acks 9
         M open 2 buy EURUSD 0.5
         > S 2: observed
         M close 1
         > S 1: copied
         > S #10 close #1
         S holds 9 buy EURUSD 0.5 #x
         > S told all, strange 9
         > S warns unknown_position
         > S clears log_behind_terminal
         M open 3 buy EURUSD 0.5
         > S 3: copied
         > S #11 buy EURUSD 0.5",
    );
}

/// The backup knows of two orders that are outstanding. The one that a signal caused gets a new number under its old name; the
/// one that only its number names may be another one at the terminal: it is withdrawn, and given anew where it is still wanted.
#[test]
fn numbers_and_names_go_on_above_what_a_terminal_knows() {
    let mut scene = pair();
    for line in ["M open 1 buy EURUSD 1", "S fills #1", "M close 1 ratio 0.5", "S part #2 0.3", "M modify 1 sl 1.09"] {
        scene.does(line).unwrap();
    }
    let (own, caused) = (scene.order("S", 3), scene.order("S", 4));
    assert!(own.is_own() && !caused.is_own());
    let effects = scene.log.effects.len();
    scene.plays(
        "S acks 9
         > S warns log_behind_terminal
         > S numbers go on above 9
         > S is asked for all",
    );
    let renumbered = Order { seq: 10, ..caused.clone() };
    assert_eq!(scene.book("S").outbox.values().collect::<Vec<_>>(), [&renumbered]);
    let stream = || StreamId::slave(&account_id("S"));
    let done = |order: &Order| Effect::OrderDone { stream: stream(), order: order.id, seq: order.seq };
    let told: Vec<_> = scene.log.effects[effects..].iter().filter(|effect| is_order(effect)).cloned().collect();
    let due = Effect::OrderDue { stream: stream(), order: Box::new(renumbered) };
    assert_eq!(told, [done(&own), done(&caused), due]);
    let mut carried_out = scene.clone();
    scene.plays(
        "S holds 801 buy EURUSD 0.7 sl 1.09 #1
         > S told all
         > S clears log_behind_terminal
         S fills #4
         > S #11 close #1 0.2 (correction)
         S fills #11",
    );
    assert_ne!(scene.order("S", 11).id, own.id);
    // The terminal had done it before the backup was restored: it has less, and nothing is closed twice.
    carried_out.plays(
        "S fills #4
         S fills #3
         > refused order_unknown
         S holds 801 buy EURUSD 0.5 sl 1.09 #1
         > S told all, 0.5 instead of 0.7
         > S warns volume_drift
         > S clears log_behind_terminal",
    );
}

#[test]
fn a_number_that_no_terminal_can_have_is_only_shown() {
    pair().plays(&format!(
        "S acks {}
         > S warns log_behind_terminal
         M open 1 buy EURUSD 0.5
         > S 1: observed
         M acks 9",
        u64::MAX
    ));
}

fn is_order(effect: &Effect) -> bool {
    matches!(effect, Effect::OrderDone { .. } | Effect::OrderDue { .. })
}
