//! Whatever comes in whatever order: what is raised is cleared before it is raised again, and nobody is told an edge twice.

use super::*;
use crate::event::Event as Any;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

const RULES: [&str; 3] = ["desk-stopped", "disk-low", "projection-lag"];

fn any_command() -> impl Strategy<Value = (u8, u8, u8, i64)> {
    (any::<u8>(), any::<u8>(), any::<u8>(), 0i64..40)
}

fn say(case: &mut Case, (what, whom, with, seconds): (u8, u8, u8, i64)) {
    case.passes(seconds);
    let rule = rule_id(RULES[usize::from(whom) % 3]);
    let on = subject(&format!("it/{}", with % 3));
    let now = case.log.now;
    let pick = |ids: Vec<DeliveryId>| ids.get(usize::from(with) % ids.len().max(1)).cloned();
    let command = match what % 14 {
        0..=2 => Command::Raise { rule, subject: on, detail: "x".into(), since: now },
        3 | 4 => Command::Clear { rule, subject: on },
        5 => {
            let until = now + Span::seconds(i64::from(with));
            Command::Mute { rule: Some(rule), subject: None, until, reason: reason("x") }
        }
        6 => Command::EndMutes,
        7 => Command::Unmute { mute: u64::from(with % 8) },
        8 => match case.alerts().raised().next() {
            Some((_, _, alert)) => Command::Acknowledge { alert, by: "x".into(), note: None },
            None => return,
        },
        9 => {
            let mut known = *built_in().remove(&rule).map(Box::new).unwrap();
            (known.enabled, known.cooldown_seconds) = (with % 4 != 0, u32::from(with % 30));
            Command::SetRule { id: rule, rule: Box::new(known), expected: None }
        }
        10 => {
            let channel = Channel { enabled: with % 3 != 0, attempts_max: 1 + u32::from(with % 3), ..channel() };
            let id = channel_id(["ops", "other"][usize::from(whom) % 2]);
            match with % 8 {
                0 => Command::RemoveChannel { id, expected: None },
                _ => Command::SetChannel { id, channel: Box::new(channel), expected: None },
            }
        }
        11 => match pick(case.alerts().outbox.keys().cloned().collect()) {
            Some(delivery) => Command::Delivered { delivery, took: Span::millis(1), status: None },
            None => return,
        },
        12 => match pick(case.alerts().outbox.keys().cloned().collect()) {
            Some(delivery) => Command::DeliveryFailed { delivery, why: "x".into(), hopeless: with % 5 == 0, jitter: 7 },
            None => return,
        },
        _ => match pick(case.alerts().dead.keys().cloned().collect()) {
            Some(delivery) => Command::Replay { delivery },
            None => return,
        },
    };
    let _ = case.says(command);
}

proptest! {
    #[test]
    fn raising_and_clearing_alternate(steps in prop::collection::vec(any_command(), 1..250)) {
        let mut case = Case::new();
        steps.into_iter().for_each(|step| say(&mut case, step));
        let mut raised: BTreeMap<(RuleId, Subject), Position> = BTreeMap::new();
        let (mut delivered, mut count) = (BTreeSet::new(), 0);
        for record in &case.log.records {
            match &record.event {
                Any::Alert(Event::Raised(event)) => {
                    let key = (event.rule.clone(), event.subject.clone());
                    prop_assert!(raised.insert(key, record.position).is_none(), "raised twice");
                    prop_assert!(!event.muted || event.channels.is_empty());
                    count += 1;
                }
                Any::Alert(Event::Cleared(event)) => {
                    let key = (event.rule.clone(), event.subject.clone());
                    prop_assert_eq!(raised.remove(&key), Some(event.alert), "cleared without being raised");
                }
                Any::Alert(Event::Delivered(event)) => {
                    prop_assert!(delivered.insert(event.delivery.clone()), "{} twice", event.delivery);
                }
                _ => {}
            }
        }
        let alerts = case.alerts();
        let known: BTreeMap<_, _> =
            alerts.raised().map(|(rule, on, at)| ((rule.clone(), on.clone()), at)).collect();
        prop_assert_eq!(&known, &raised);
        prop_assert_eq!(alerts.raised_count(), raised.len());
        prop_assert_eq!(alerts.tally.raised, count);
        for id in alerts.outbox.keys().chain(alerts.dead.keys()) {
            prop_assert!(alerts.alerts.contains_key(&id.alert), "{} is about nothing", id);
            prop_assert!(alerts.channels.contains_key(&id.channel), "{} goes nowhere", id);
        }
        prop_assert!(alerts.outbox.keys().all(|id| !alerts.dead.contains_key(id)));
    }

    /// The machine flickers as it likes: each condition is told as a chain of edges.
    #[test]
    fn whoever_looks_says_edges_only(lags in prop::collection::vec((any::<bool>(), any::<bool>(), 0i64..60), 1..80)) {
        let mut case = Case::new();
        for (lag, restarts, seconds) in lags {
            case.machine.lag = if lag { 1_000_000 } else { 0 };
            if restarts {
                case.restarts();
            }
            case.passes(seconds);
            let made = case.looks();
            prop_assert!(made.len() <= 1, "{made:?}");
            prop_assert_eq!(case.looks(), [""; 0], "told again without anything new");
        }
    }
}
