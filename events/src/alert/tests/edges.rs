//! Holding, cooling down, muting, acknowledging; and what becomes of messages.

use super::*;
use crate::answer::Status;

#[test]
fn what_holds_for_too_short_is_not_told() {
    let mut case = Case::new();
    case.machine.lag = 1_000_000;
    case.looks();
    case.passes(29);
    assert_eq!(case.looks(), [""; 0]);
    case.machine.lag = 0;
    case.looks();
    case.machine.lag = 1_000_000;
    case.passes(5);
    assert_eq!(case.looks(), [""; 0], "its time begins anew");
    case.passes(30);
    assert_eq!(case.looks(), ["alert_raised"]);
}

#[test]
fn after_it_was_raised_a_rule_is_quiet_for_its_cooldown() {
    let mut case = Case::new();
    case.change("desk-stopped", |rule| rule.cooldown_seconds = 60);
    case.stop();
    assert_eq!(case.looks(), ["alert_raised"]);
    case.resume();
    assert_eq!(case.looks(), ["alert_cleared"]);
    case.stop();
    case.passes(59);
    assert_eq!(case.looks(), [""; 0]);
    case.passes(1);
    assert_eq!(case.looks(), ["alert_raised"]);
}

#[test]
fn a_rule_that_has_another_cooldown_or_condition_or_is_new_is_not_quiet_for_the_old_one() {
    type Change = fn(&mut Case);
    let rows: [(Change, bool); 4] = [
        (|case| case.change("desk-stopped", |rule| rule.cooldown_seconds = 5), true),
        (
            |case| {
                case.change("desk-stopped", |rule| rule.when = When::LimitHit);
                case.change("desk-stopped", |rule| rule.when = When::DeskStopped);
            },
            true,
        ),
        (
            |case| {
                let rule = case.alerts().rule(&rule_id("desk-stopped")).unwrap().is;
                case.says(Command::RemoveRule { id: rule_id("desk-stopped"), expected: None }).unwrap();
                case.says(Command::SetRule { id: rule_id("desk-stopped"), rule, expected: None }).unwrap();
            },
            true,
        ),
        (|case| case.change("desk-stopped", |rule| rule.title = "Halt!".into()), false),
    ];
    for (change, raises) in rows {
        let mut case = Case::new();
        case.change("desk-stopped", |rule| rule.cooldown_seconds = 600);
        case.stop();
        case.looks();
        case.resume();
        case.looks();
        change(&mut case);
        case.stop();
        assert_eq!(case.looks().is_empty(), !raises);
    }
}

#[test]
fn what_is_muted_is_raised_silently_and_told_when_the_mute_is_over_if_it_still_holds() {
    for (rule, about, mutes) in [
        (Some("desk-stopped"), None, true),
        (None, Some("desk/*"), true),
        (Some("desk-stopped"), Some("desk/stop"), true),
        (Some("disk-low"), None, false),
        (Some("desk-stopped"), Some("slave/*"), false),
    ] {
        let mut case = Case::new();
        let (rule, subject, until) = (rule.map(rule_id), about.map(pattern), case.log.now + Span::seconds(60));
        case.says(Command::Mute { rule, subject, until, reason: reason("known") }).unwrap();
        case.stop();
        assert_eq!(case.looks(), ["alert_raised"]);
        assert_eq!(case.outbox().is_empty(), mutes);
        if !mutes {
            continue;
        }
        case.passes(59);
        assert_eq!(case.looks(), [""; 0]);
        case.passes(1);
        assert_eq!(case.looks(), ["alert_unmuted", "alert_told"]);
        assert_eq!(case.outbox(), ["raised.ops"]);
        assert!(case.alerts().mutes.is_empty());
    }
}

#[test]
fn what_is_over_while_it_is_muted_is_never_told() {
    let mut case = Case::new();
    let until = case.log.now + Span::seconds(60);
    case.says(Command::Mute { rule: None, subject: Some(pattern("*")), until, reason: reason("known") }).unwrap();
    case.stop();
    case.looks();
    case.resume();
    assert_eq!(case.looks(), ["alert_cleared"]);
    assert_eq!(case.says(Command::Unmute { mute: 1 }), Ok(1));
    assert!(case.outbox().is_empty());
    assert_eq!(case.says(Command::Unmute { mute: 1 }).unwrap_err().code, "mute_unknown");
}

#[test]
fn an_alert_is_acknowledged_once_by_whoever_did_it() {
    let mut case = Case::new();
    case.stop();
    case.looks();
    let alert = case.only();
    let seen = |by: &str| Command::Acknowledge { alert, by: by.into(), note: None };
    case.says(seen("user:anna")).unwrap();
    assert_eq!(case.says(seen("user:ben")).unwrap_err().code, "acknowledged_already");
    assert_eq!(case.alerts().alerts[&alert].acknowledged.as_ref().unwrap().by, "user:anna");
    let unknown = Command::Acknowledge { alert: Position(77), by: "user:ben".into(), note: None };
    assert_eq!(case.says(unknown).unwrap_err().code, "alert_unknown");
}

#[test]
fn a_rule_that_is_changed_switched_off_or_removed_clears_what_it_raised() {
    type Change = fn(&mut Case);
    let rows: [(Change, bool); 5] = [
        (|case| case.change("desk-stopped", |rule| rule.enabled = false), true),
        (|case| case.change("desk-stopped", |rule| rule.subjects = [pattern("x/*")].into()), true),
        (|case| case.change("desk-stopped", |rule| rule.when = When::LimitHit), true),
        (|case| drop(case.says(Command::RemoveRule { id: rule_id("desk-stopped"), expected: None })), true),
        (|case| case.change("desk-stopped", |rule| rule.title = "Halt!".into()), false),
    ];
    for (change, clears) in rows {
        let mut case = Case::new();
        case.stop();
        case.looks();
        change(&mut case);
        assert_eq!(case.raised().is_empty(), clears);
        assert_eq!(case.looks(), [""; 0]);
    }
}

#[test]
fn a_change_of_a_rule_says_which_version_it_saw() {
    let mut case = Case::new();
    let known = case.alerts().rule(&rule_id("disk-low")).unwrap();
    let changed = Box::new(Rule { threshold: 9, ..*known.is.clone() });
    let set = |expected| Command::SetRule { id: rule_id("disk-low"), rule: changed.clone(), expected };
    case.says(set(Some(known.version))).unwrap();
    let stale = case.says(set(Some(known.version))).unwrap_err();
    assert_eq!((stale.code.as_str(), stale.status), ("revision_stale", Status::Stale));
    let now = case.alerts().rule(&rule_id("disk-low")).unwrap();
    assert_eq!(case.says(set(Some(now.version))), Ok(0), "nothing has changed");
    case.says(Command::RemoveRule { id: rule_id("disk-low"), expected: Some(now.version) }).unwrap();
    let gone = case.says(Command::RemoveRule { id: rule_id("disk-low"), expected: None }).unwrap_err();
    assert_eq!(gone.code, "rule_unknown");
    assert_eq!(case.alerts().rules().len(), built_in().len() - 1);
}

#[test]
fn what_makes_no_sense_is_refused_by_its_field() {
    let mut case = Case::new();
    let good = crate::sample::alert::rule();
    let many: std::collections::BTreeSet<Pattern> = (0..101).map(|n| pattern(&format!("a{n}"))).collect();
    for (rule, field) in [
        (Rule { title: " ".into(), ..good.clone() }, "title"),
        (Rule { title: "x".repeat(101), ..good.clone() }, "title"),
        (Rule { threshold: 0, ..good.clone() }, "threshold"),
        (Rule { threshold: 100, ..good.clone() }, "threshold"),
        (Rule { when: When::LimitHit, ..good.clone() }, "threshold"),
        (Rule { subjects: many, ..good.clone() }, "subjects"),
        (Rule { hold_seconds: 2_592_001, ..good.clone() }, "hold_seconds"),
        (Rule { cooldown_seconds: 2_592_001, ..good.clone() }, "cooldown_seconds"),
        (Rule { channels: [channel_id("nobody")].into(), ..good.clone() }, "channels"),
    ] {
        let no = case.says(Command::SetRule { id: rule_id("x"), rule: Box::new(rule), expected: None }).unwrap_err();
        assert_eq!((no.code.as_str(), no.field.as_deref()), ("setting_invalid", Some(field)));
    }
    let hook = |url: &str| Way::Webhook { url: url.into() };
    let mail = |from: &str, to: Vec<String>| match crate::sample::alert::email().way {
        Way::Email { host, port, tls, user, .. } => Way::Email { host, port, tls, user, from: from.into(), to },
        other => other,
    };
    let to = vec!["anna@example.com".to_string()];
    for (channel, field) in [
        (Channel { attempts_max: 0, ..channel() }, "attempts_max"),
        (Channel { retry_seconds: 0, ..channel() }, "retry_seconds"),
        (Channel { secret: None, ..channel() }, "secret"),
        (Channel { way: hook("ftp://a"), ..channel() }, "url"),
        (Channel { way: hook("https://"), ..channel() }, "url"),
        (Channel { way: hook("https://desk:secret@hooks.example/x"), ..channel() }, "url"),
        (Channel { way: hook("https://hooks.example\\@other.example"), ..channel() }, "url"),
        (Channel { way: mail("nobody", to.clone()), ..channel() }, "from"),
        (Channel { way: mail("a@b", vec![]), ..channel() }, "to"),
        (Channel { way: mail("a@b", vec!["a\n@b".into()]), ..channel() }, "to"),
        (Channel { way: mail("a@b", to), secret: None, ..channel() }, "secret"),
    ] {
        let set = Command::SetChannel { id: channel_id("x"), channel: Box::new(channel), expected: None };
        let no = case.says(set).unwrap_err();
        assert_eq!((no.code.as_str(), no.field.as_deref()), ("setting_invalid", Some(field)));
    }
    let good = Channel { way: hook("https://hooks.example/@desk?to=a@b"), ..channel() };
    case.says(Command::SetChannel { id: channel_id("x"), channel: Box::new(good), expected: None }).unwrap();
    let now = case.log.now;
    for (rule, until, field) in [
        (Some(rule_id("disk-low")), now, "until"),
        (Some(rule_id("disk-low")), now + Span::hours(721), "until"),
        (None, now + Span::hours(1), "rule"),
    ] {
        let no = case.says(Command::Mute { rule, subject: None, until, reason: reason("x") }).unwrap_err();
        assert_eq!(no.field.as_deref(), Some(field));
    }
}

fn failed(case: &Case, hopeless: bool) -> Command {
    let delivery = case.alerts().due(case.log.now).next().expect("something is due").0.clone();
    Command::DeliveryFailed { delivery, why: "answered 503".into(), hopeless, jitter: 500 }
}

#[test]
fn a_message_is_tried_with_longer_and_longer_waits_then_given_up_and_replayed() {
    let mut case = Case::new();
    case.stop();
    case.looks();
    for wait in [5, 15] {
        let command = failed(&case, false);
        case.says(command).unwrap();
        case.passes(wait - 1);
        assert_eq!(case.alerts().due(case.log.now).count(), 0, "sooner than {wait} s");
        case.passes(1);
        assert_eq!(case.alerts().due(case.log.now).count(), 1);
    }
    let last = failed(&case, false);
    case.says(last.clone()).unwrap();
    assert_eq!((case.outbox().len(), case.alerts().dead.len()), (0, 1));
    assert_eq!(case.says(last), Ok(0), "told again, it changes nothing");
    let id = case.alerts().dead.keys().next().unwrap().clone();
    case.says(Command::Replay { delivery: id.clone() }).unwrap();
    assert_eq!(case.says(Command::Replay { delivery: id.clone() }).unwrap_err().code, "delivery_unknown");
    assert_eq!((case.outbox().len(), case.alerts().dead.len()), (1, 0));
    let delivered = Command::Delivered { delivery: id, took: Span::millis(3), status: Some(200) };
    assert_eq!((case.says(delivered.clone()), case.says(delivered)), (Ok(1), Ok(0)));
    assert_eq!((case.outbox().len(), case.alerts().done.len()), (0, 1));
    let tally = case.alerts().tally;
    assert_eq!((tally.raised, tally.delivered, tally.failed, tally.given_up), (1, 1, 2, 1));
}

#[test]
fn what_cannot_succeed_is_given_up_at_once() {
    let mut case = Case::new();
    case.stop();
    case.looks();
    let command = failed(&case, true);
    case.says(command).unwrap();
    assert_eq!(case.alerts().dead.len(), 1);
}

#[test]
fn that_it_is_over_is_told_after_that_it_is() {
    let mut case = Case::new();
    case.stop();
    case.looks();
    case.resume();
    case.looks();
    let due = |case: &Case| case.alerts().due(case.log.now).map(|(id, _)| id.edge).collect::<Vec<_>>();
    assert_eq!((case.outbox().len(), due(&case)), (2, vec![Edge::Raised]));
    let command = failed(&case, true);
    case.says(command).unwrap();
    assert_eq!(due(&case), [Edge::Cleared]);
}

#[test]
fn a_channel_hears_what_it_wants_and_only_from_rules_that_tell_it() {
    let mut case = Case::new();
    let set =
        |id: &str, channel| Command::SetChannel { id: channel_id(id), channel: Box::new(channel), expected: None };
    case.says(set("loud", Channel { severity_min: Severity::Critical, ..channel() })).unwrap();
    case.says(set("off", Channel { enabled: false, ..channel() })).unwrap();
    case.change("projection-lag", |rule| rule.hold_seconds = 0);
    case.machine.lag = 1_000_000;
    case.looks();
    assert_eq!(case.outbox(), ["raised.ops"], "a warning is not critical");
    case.stop();
    case.looks();
    assert_eq!(case.outbox(), ["raised.ops", "raised.loud", "raised.ops"]);
    case.resume();
    case.looks();
    case.change("desk-stopped", |rule| rule.channels = [channel_id("loud")].into());
    case.stop();
    case.looks();
    assert_eq!(case.outbox().last().unwrap(), "raised.loud");
    let no = case.says(Command::RemoveChannel { id: channel_id("loud"), expected: None }).unwrap_err();
    assert_eq!(no.code, "channel_used");
    case.says(Command::RemoveChannel { id: channel_id("ops"), expected: None }).unwrap();
    assert!(case.outbox().iter().all(|id| id.ends_with(".loud")), "{:?}", case.outbox());
}

#[test]
fn a_delivery_reads_as_it_is_written_and_has_an_id_of_its_own() {
    let desk = crate::sample::desk_id();
    let mut ids = std::collections::BTreeSet::new();
    for (alert, edge, channel) in
        [(1, Edge::Raised, "a"), (1, Edge::Cleared, "a"), (1, Edge::Raised, "b"), (11, Edge::Raised, "a")]
    {
        let id = DeliveryId { alert: Position(alert), edge, channel: channel_id(channel) };
        assert_eq!(id.to_string().parse(), Ok(id.clone()));
        assert!(ids.insert(id.webhook_id(desk)));
        assert_eq!(id.webhook_id(desk), id.webhook_id(desk));
    }
    for bad in ["", "1", "1.raised", "1.lifted.a", "x.raised.a", "01.raised.a", "1.raised.A", "1.raised.a.b"] {
        assert!(bad.parse::<DeliveryId>().is_err(), "{bad}");
    }
}

#[test]
fn waits_grow_threefold_up_to_an_hour_give_or_take_a_fifth() {
    let first = Span::seconds(5);
    for (attempts, seconds) in [(1, 5), (2, 15), (3, 45), (4, 135), (7, 3_600), (1_000, 3_600)] {
        let of = |jitter| backoff(first, attempts, jitter).0;
        let wait = seconds * 1_000_000;
        assert_eq!((of(0), of(500)), (wait * 4 / 5, wait), "{attempts}");
        assert!(of(999) > wait && of(999) < wait * 6 / 5);
    }
}

#[test]
fn old_alerts_are_forgotten_but_not_those_that_somebody_must_still_hear_of() {
    let mut case = Case::new();
    case.change("desk-stopped", |rule| rule.cooldown_seconds = 0);
    for _ in 0..1_010 {
        case.stop();
        case.looks();
        case.resume();
        case.looks();
        let next = |case: &Case| case.alerts().due(case.log.now).next().map(|(id, _)| id.clone());
        while let Some(delivery) = next(&case) {
            // The first one is never taken.
            let took = Span::millis(1);
            let command = match case.alerts().dead.is_empty() {
                true => failed(&case, true),
                false => Command::Delivered { delivery, took, status: None },
            };
            case.says(command).unwrap();
        }
    }
    assert_eq!(case.alerts().alerts.len(), 1_000);
    let dead = case.alerts().dead.keys().next().unwrap().alert;
    assert!(case.alerts().alerts.contains_key(&dead), "nobody could be told of it any more");
    assert_eq!(case.alerts().done.len(), 500);
    assert_eq!(subject("a").as_str(), "a");
}
