//! What a master's terminal may say, and how it is counted.

use super::scene::{Scene, pair};
use crate::react::Effect;

#[test]
fn signals_are_counted_and_each_counts_once() {
    let mut scene = pair();
    scene.plays(
        "M open 1 buy EURUSD 0.5 as 2
         > refused signal_gap
         M open 1 buy EURUSD 0.5 as 1
         > S 1: copied
         > S #1 buy EURUSD 0.5
         M open 1 buy EURUSD 0.5 as 1
         > refused signal_old
         M close 1 as 3
         > refused signal_gap
         M close 1 as 2
         > S 1: copied
         > S #2 close #1",
    );
    assert_eq!(scene.account("master/M").master_book.as_ref().unwrap().signal_seq, 2);
}

#[test]
fn a_new_registration_counts_from_one_and_hears_how_far_the_last_one_came() {
    let mut scene = pair();
    for line in ["M open 1 buy EURUSD 0.5", "M open 2 buy EURUSD 0.5"] {
        scene.does(line).unwrap();
    }
    let previous = |scene: &mut Scene| {
        scene.log.effects.clear();
        scene.does("M registers").unwrap();
        let found = scene.log.effects.iter().find_map(|effect| match effect {
            Effect::Registered { epoch, previous, .. } => Some((*epoch, *previous)),
            _ => None,
        });
        found.unwrap()
    };
    assert_eq!(previous(&mut scene), (2, Some((1, 2))), "two signals of the first registration were taken");
    assert_eq!(previous(&mut scene), (3, Some((1, 2))), "and none of the second");
    scene.does("M close 1 as 1").unwrap();
    assert_eq!(previous(&mut scene), (4, Some((3, 1))));
    let book = scene.account("master/M").master_book.clone().unwrap();
    assert_eq!((book.signal_seq, book.previous, book.snapshot_wanted, book.trades.len()), (0, Some((3, 1)), true, 1));
}

/// given | what makes no sense | refusal
const NONSENSE: &str = "
    | M open 1 buy EURUSD 0                                             | signal_invalid
    | M close 1                                                         | ticket_unknown
    | M modify 1 sl 1.1                                                 | ticket_unknown
    M open 1 buy EURUSD 0.5          | M open 1 buy EURUSD 0.5          | ticket_known
    M open 1 buy EURUSD 0.5          | M open 1 buy EURUSD 0.5 limit    | ticket_known
    M open 1 buy EURUSD 0.5 limit    | M open 1 buy EURUSD 0.5 limit    | ticket_known
    M open 1 buy EURUSD 0.5 limit    | M open 1 buy GBPUSD 0.5          | ticket_known
    M open 1 buy EURUSD 0.5          | M modify 1 lots 0.4              | signal_invalid
    M open 1 buy EURUSD 0.5          | M modify 1 at 1.2                | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 1 to 0.5                 | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 1 to 0.6                 | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 1 ratio 0                | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 1 ratio 1.01             | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 1 ratio 0.000000000001   | signal_invalid
    M open 1 buy EURUSD 0.5          | M close 2                        | ticket_unknown
";

#[test]
fn what_cannot_have_happened_is_refused_and_does_not_count() {
    let mut count = 0;
    for row in NONSENSE.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[given, nonsense, code] = parts.as_slice() else { panic!("{row}") };
        let mut scene = Scene::new("master M");
        if !given.is_empty() {
            scene.does(given).unwrap();
        }
        let before = scene.account("master/M").clone();
        assert_eq!(scene.does(nonsense), Err(code.to_string()), "{row}");
        assert_eq!(*scene.account("master/M"), before, "{row}");
        scene.does("M open 99 sell EURUSD 1").unwrap();
        count += 1;
    }
    assert_eq!(count, 15);
}

#[test]
fn only_a_known_master_has_signals() {
    let mut scene = Scene::new("slave S");
    assert_eq!(scene.does("M open 1 buy EURUSD 0.5"), Err("account_unknown".into()));
}

#[test]
fn the_book_says_what_the_terminal_would_say() {
    let mut scene = Scene::new("master M");
    for (line, shows) in [
        ("M open 1 buy EURUSD 0.5 sl 1.09", "M beats: 1 buy EURUSD 0.5 sl 1.09"),
        ("M open 2 sell GBPUSD 1 limit at 1.3", "M beats: 2 sell GBPUSD 1, 1 buy EURUSD 0.50 sl 1.090"),
        ("M modify 1 tp 1.2", "M beats: 1 buy EURUSD 0.5 tp 1.2, 2 sell GBPUSD 1"),
        ("M close 1 ratio 0.5", "M beats: 1 buy EURUSD 0.25 tp 1.2, 2 sell GBPUSD 1"),
        ("M modify 1 tp 1.2 lots 0.75", "M beats: 1 buy EURUSD 0.75 tp 1.2, 2 sell GBPUSD 1"),
        ("M open 2 sell GBPUSD 1 at 1.3", "M beats: 1 buy EURUSD 0.75 tp 1.2, 2 sell GBPUSD 1"),
        ("M close 1", "M beats: 2 sell GBPUSD 1"),
        ("M close 2", "M beats:"),
    ] {
        scene.does(line).unwrap();
        scene.plays(shows);
    }
}
