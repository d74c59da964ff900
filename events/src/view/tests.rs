use super::*;
use crate::account::{self, StatusChanged};
use crate::answer::{Answer, Denial};
use crate::endpoint;
use crate::event::Event;
use crate::id::{Position, StreamNo};
use crate::reason::{RuntimeStatus, Warnings};
use crate::sample::log::{Step, day};
use crate::sample::trade::order_id;
use crate::sample::{self, START};
use crate::time::{Span, Timestamp};
use crate::trade::{OrderResult, Outcome, Stamps, Ticket};
use proptest::prelude::*;

const MINUTE: Span = Span::seconds(60);

fn at(when: Timestamp, event: Event) -> Record {
    Record { recorded_at: when, ..sample::record(1, 1, 1, event) }
}

fn beat(when: Timestamp) -> Record {
    at(when, Event::Account(account::Event::HeartbeatSeen(sample::heartbeat(true))))
}

fn change(position: u64, stream: u32) -> Record {
    let (old, new, warnings) = (RuntimeStatus::Disabled, RuntimeStatus::Connected, Warnings::NONE);
    let event = account::Event::StatusChanged(StatusChanged { old, new, warnings });
    sample::record(position, stream, position, Event::Account(event))
}

fn minute(when: Timestamp) -> i64 {
    when.0.div_euclid(60_000_000)
}

#[test]
fn an_hour_has_sixty_minutes_with_zeros_where_nothing_was() {
    let (mut activity, truth) = (Activity::default(), Truth::default());
    let start = minute(START);
    assert_eq!(activity.hour(start), (start - 59..=start).map(|minute| (minute, 0)).collect::<Vec<_>>());
    for (minutes, count) in [(0, 3), (2, 1), (59, 2)] {
        (0..count).for_each(|_| activity.apply(&beat(START + Span(MINUTE.0 * minutes)), &truth));
    }
    let hour = activity.hour(start + 59);
    let some: Vec<_> = hour.iter().filter(|(_, count)| *count > 0).collect();
    assert_eq!(some, [&(start, 3), &(start + 2, 1), &(start + 59, 2)]);
    assert_eq!(hour.iter().map(|(minute, _)| *minute).collect::<Vec<_>>(), (start..start + 60).collect::<Vec<_>>());
    assert_eq!(activity.hour(start + 60)[..2], [(start + 1, 0), (start + 2, 1)]);
    assert_eq!(activity.hour(start + 500).iter().map(|(_, count)| count).sum::<u64>(), 0);
}

#[test]
fn activity_keeps_an_hour_of_minutes_and_totals_for_ever() {
    let (mut activity, truth) = (Activity::default(), Truth::default());
    for minutes in 0..1000 {
        activity.apply(&beat(START + Span(MINUTE.0 * minutes)), &truth);
    }
    assert!(activity.minutes.len() <= 60, "{}", activity.minutes.len());
    assert_eq!(activity.kinds[&202], 1000);
    assert!(activity.hour(minute(START) + 999).iter().all(|(_, count)| *count == 1));
}

#[test]
fn a_clock_that_is_set_back_adds_to_the_minute_that_was() {
    let (mut activity, truth) = (Activity::default(), Truth::default());
    for minutes in [5, 6, 5, 6, 6, 5] {
        activity.apply(&beat(START + Span(MINUTE.0 * minutes)), &truth);
    }
    assert_eq!(activity.hour(minute(START) + 6)[58..], [(minute(START) + 5, 3), (minute(START) + 6, 3)]);
}

#[test]
fn activity_counts_commands_refusals_and_reactions() {
    let (mut activity, truth) = (Activity::default(), Truth::default());
    let refused = |code: &str| Answer::Refused(Denial { code: code.into(), ..sample::denial() });
    let done = Answer::Done { first: Position(1), last: Position(1), changed: false };
    for answer in [done, refused("desk_locked"), refused("link_known"), refused("desk_locked")] {
        activity.apply(&at(START, sample::answered(1, answer)), &truth);
    }
    activity.apply(&Record { causation: Some(Position(1)), ..beat(START) }, &truth);
    assert_eq!((activity.commands, activity.reactions), (4, 1));
    assert_eq!(activity.refusals, [("desk_locked".to_string(), 2), ("link_known".to_string(), 1)].into());
    assert_eq!(activity.kinds, [(1, 4), (202, 1)].into());
}

#[test]
fn history_keeps_the_last_twenty_changes_of_each_and_counts_them_all() {
    let (mut history, truth) = (History::default(), Truth::default());
    for position in 1..=50 {
        history.apply(&change(position, 1), &truth);
    }
    history.apply(&change(51, 2), &truth);
    history.apply(&beat(START), &truth);
    let positions = |stream| {
        let (total, last) = history.of(StreamNo(stream));
        (total, last.map(|change| change.position.0).collect::<Vec<_>>())
    };
    assert_eq!(positions(1), (50, (31..=50).collect()));
    assert_eq!(positions(2), (1, vec![51]));
    assert_eq!(positions(3), (0, vec![]));
    let record = change(51, 2);
    let expected = Transition {
        position: Position(51),
        at: record.recorded_at,
        old: RuntimeStatus::Disabled,
        new: RuntimeStatus::Connected,
        warnings: Warnings::NONE,
    };
    assert_eq!(history.of(StreamNo(2)).1.collect::<Vec<_>>(), [&expected]);
}

/// A decision of the slave about a signal, with these orders.
fn decided(signal: u64, ticket: u64, orders: &[u64]) -> account::Event {
    let found = sample::account_events().into_iter().find_map(|event| match event {
        account::Event::CopyDecided(decided) => Some(decided),
        _ => None,
    });
    let mut decided = found.unwrap();
    (decided.signal, decided.ticket) = (Position(signal), Ticket(ticket));
    decided.orders = orders.iter().map(|order| order_id(*order)).collect();
    account::Event::CopyDecided(decided)
}

fn issued(order: u64, signal: Option<u64>) -> account::Event {
    let found = sample::account_events().into_iter().find_map(|event| match event {
        account::Event::OrderIssued(issued) => Some(issued),
        _ => None,
    });
    let mut issued = found.unwrap();
    issued.order.id = order_id(order);
    issued.order.signal = signal.map(Position);
    issued.order.ticket = Some(Ticket(7));
    let (received, decided) = (Some(START), Some(START + Span(400)));
    issued.order.stamps = Stamps { received, decided, ..Stamps::default() };
    account::Event::OrderIssued(issued)
}

fn answered(order: u64, ticket: u64) -> account::Event {
    let result = OrderResult {
        order: order_id(order),
        outcome: Outcome::Filled,
        ticket: Some(Ticket(ticket)),
        price: None,
        lots: None,
        sl: None,
        tp: None,
        error: None,
        received_at: None,
        done_at: Some(START + Span(9_000)),
    };
    let (durable_at, sent_at) = (Some(START + Span(1_400)), Some(START + Span(1_500)));
    account::Event::OrderAnswered(account::OrderAnswered { seq: 1, result: Box::new(result), durable_at, sent_at })
}

fn told(trails: &mut Trails, position: u64, event: account::Event) {
    trails.take(&sample::record(position, 1, position, Event::Account(event)));
}

fn places<'a>(trails: impl Iterator<Item = &'a Trail>) -> Vec<u64> {
    trails.map(|trail| trail.position.0).collect()
}

#[test]
fn a_decision_is_found_by_its_signal_both_tickets_and_its_order() {
    let mut trails = Trails::default();
    told(&mut trails, 11, decided(10, 7, &[1, 2]));
    told(&mut trails, 12, issued(1, Some(10)));
    told(&mut trails, 13, issued(2, Some(10)));
    told(&mut trails, 14, decided(10, 7, &[]));
    told(&mut trails, 20, answered(2, 900));
    told(&mut trails, 30, issued(3, None));
    assert_eq!(places(trails.of_signal(Position(10))), [11, 14]);
    assert_eq!(places(trails.of_ticket(Ticket(7))), [30, 14, 11], "the newest first");
    assert_eq!(places(trails.of_ticket(Ticket(900))), [11]);
    for (order, position) in [(1, 11), (2, 11), (3, 30)] {
        assert_eq!(places(trails.of_order(order_id(order)).into_iter()), [position]);
    }
    let mut all: Vec<u64> = trails.get(Position(11)).unwrap().positions().map(|position| position.0).collect();
    all.sort();
    assert_eq!(all, [10, 11, 12, 13, 20]);
    assert_eq!(places(trails.of_signal(Position(9))), [0; 0]);
}

#[test]
fn the_oldest_decisions_are_forgotten_with_everything_that_leads_to_them() {
    let mut trails = Trails::default();
    let last = trails::KEPT as u64 + 5;
    let account::Event::CopyDecided(sample) = decided(1, 1, &[]) else { panic!() };
    for number in 1..=last {
        let mut decided = sample.clone();
        (decided.signal, decided.ticket, decided.orders) = (Position(number), Ticket(number), vec![order_id(number)]);
        told(&mut trails, number * 10, account::Event::CopyDecided(decided));
        told(&mut trails, number * 10 + 2, answered(number, number + 1_000_000));
    }
    assert_eq!(trails.len(), trails::KEPT);
    for (number, known) in [(1, false), (5, false), (6, true), (last, true)] {
        assert_eq!(trails.of_signal(Position(number)).next().is_some(), known, "{number}");
        assert_eq!(trails.of_ticket(Ticket(number)).next().is_some(), known, "{number}");
        assert_eq!(trails.of_ticket(Ticket(number + 1_000_000)).next().is_some(), known, "{number}");
        assert_eq!(trails.of_order(order_id(number)).is_some(), known, "{number}");
    }
    told(&mut trails, last * 10 + 9, answered(1, 5));
    assert_eq!(trails.of_ticket(Ticket(5)).next(), None, "a result of what is forgotten");
    let mut bytes = Vec::new();
    codec::write(&trails, &mut bytes);
    assert_eq!(codec::read_large::<Trails>(&bytes).unwrap(), trails);
}

#[test]
fn latency_is_measured_from_station_to_station() {
    let (mut latency, truth) = (Latency::default(), Truth::default());
    let mut tell = |position: u64, event| {
        latency.apply(&sample::record(position, 1, position, Event::Account(event)), &truth);
    };
    tell(1, issued(1, Some(1)));
    tell(2, answered(1, 900));
    tell(3, answered(1, 900));
    let (slave, _, stages) = latency.links().next().unwrap();
    assert_eq!((slave, latency.links().count()), (StreamNo(1), 1));
    let measured = stages.named().map(|(name, spread)| (name, spread.count, spread.max));
    let expected = [
        ("received_to_decided", 1, 400),
        ("decided_to_durable", 1, 1_000),
        ("durable_to_sent", 1, 100),
        ("sent_to_filled", 1, 7_500),
        ("received_to_filled", 1, 9_000),
    ];
    assert_eq!(measured, expected, "a repeat is not measured again");
    assert_eq!(stages.clocks_apart, 0);
}

#[test]
fn every_view_has_a_hash_under_its_name() {
    let views = Views::default();
    assert_eq!(views.hashes().iter().map(|(name, _)| *name).collect::<Vec<_>>(), Views::NAMES);
    let mut other = views.clone();
    for (event, position) in [decided(1, 7, &[1]), issued(1, Some(7)), answered(1, 900)].into_iter().zip(2..) {
        other.apply(&sample::record(position, 1, position, Event::Account(event)), &Truth::default());
    }
    other.apply(&change(1, 1), &Truth::default());
    let finished = endpoint::Event::RequestFinished(Box::new(sample::endpoint::finished(1)));
    other.apply(&at(START, Event::Endpoint(finished)), &Truth::default());
    for ((name, before), (_, after)) in views.hashes().into_iter().zip(other.hashes()) {
        assert_ne!(before, after, "{name}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// The views that grew with the log are those that a rebuild makes from its records.
    #[test]
    fn a_view_that_grew_is_a_view_that_was_rebuilt(steps in prop::collection::vec(any::<Step>(), 1..120)) {
        let log = day(&steps);
        let mut views = Views::default();
        let mut fold = Fold::default();
        let mut space = Unpacked::default();
        for commit in &log.commits {
            fold.apply_commit(commit, &mut space, |truth, record| views.apply(record, truth)).unwrap();
        }
        prop_assert_eq!(views.hashes(), log.fold.views.hashes());
        prop_assert_eq!(&views, &log.fold.views);
        let counted: u64 = views.activity.kinds.values().sum();
        prop_assert_eq!(counted, log.records.len() as u64);
    }
}
