//! What raises each of the built-in rules, and what clears it.

use super::*;
use crate::account::{self, Command as Of};
use crate::alert::watch::Disk;
use crate::endpoint::{Command as Endpoint, Failure, Outcome, ProbeOutcome, RequestFinished};
use crate::id::StreamId;
use crate::sample::account_id;
use crate::sample::endpoint::{endpoint_id, finished, settings};

/// What happens, what is raised when the time of the rule is over, what ends it.
type Row = (&'static str, &'static str, fn(&mut Case), i64, fn(&mut Case));

fn slave() -> StreamId {
    StreamId::slave(&account_id("S_1"))
}

fn told(case: &mut Case, to: &StreamId, command: Of) {
    case.log.account(to, command).unwrap();
}

fn online(case: &mut Case, to: &StreamId) {
    told(case, to, Of::Register(Box::new(sample::registered())));
    told(case, to, Of::SetIntent { enabled: true });
    told(case, to, Of::Heartbeat(sample::heartbeat(true)));
}

fn lost(case: &mut Case, to: &StreamId) {
    online(case, to);
    case.passes(31);
    told(case, to, Of::CheckSilence);
}

fn back(case: &mut Case) {
    told(case, &slave(), Of::Heartbeat(sample::heartbeat(true)));
}

fn master_lost(case: &mut Case) {
    let master = StreamId::master(&account_id("M_1"));
    lost(case, &master);
    told(case, &slave(), Of::Link { master: account_id("M_1"), enabled: true, settings: Box::default() });
    case.change("account-offline", |rule| rule.enabled = false);
    // Its silence is as long as that by the time it is known.
    case.change("terminal-lost", |rule| rule.hold_seconds = 120);
}

fn endpoint(case: &mut Case) {
    case.log.endpoint(endpoint_id(1), Endpoint::Register(Box::new(settings("attic")))).unwrap();
}

fn probed(case: &mut Case, outcome: ProbeOutcome) {
    let revision = case.log.fold.truth.endpoint(endpoint_id(1)).unwrap().revision;
    case.log.endpoint(endpoint_id(1), Endpoint::TakeProbe { outcome, found: None, revision, jitter: 0 }).unwrap();
}

fn asked(case: &mut Case, requests: u64, outcome: Outcome) {
    for _ in 0..requests {
        let seq = case.log.records.len() as u64;
        let finished = RequestFinished { outcome, http_status: Some(400), ..finished(seq) };
        case.log.endpoint(endpoint_id(1), Endpoint::FinishRequest { finished: Box::new(finished), jitter: 0 }).unwrap();
    }
}

const ROWS: &[Row] = &[
    ("account-offline", "slave/S_1", |case| lost(case, &slave()), 120, back),
    (
        "account-offline",
        "slave/S_1",
        |case| lost(case, &slave()),
        120,
        |case| told(case, &slave(), Of::SetIntent { enabled: false }),
    ),
    ("terminal-lost", "master/M_1", master_lost, 120, |case| {
        told(case, &StreamId::master(&account_id("M_1")), Of::Heartbeat(sample::heartbeat(true)));
    }),
    (
        "account-not-connected",
        "slave/S_1",
        |case| online(case, &slave()),
        300,
        |case| {
            told(case, &slave(), Of::SetIntent { enabled: false });
        },
    ),
    ("desk-stopped", "desk/stop", Case::stop, 0, Case::resume),
    (
        "endpoint-offline",
        "endpoint/0e9d0000-0000-7000-8000-000000000001",
        |case| {
            endpoint(case);
            for _ in 0..2 {
                probed(case, ProbeOutcome::Failed { failure: Failure::Connect, detail: "refused".into() });
            }
        },
        30,
        |case| (0..3).for_each(|_| probed(case, ProbeOutcome::Answered { took: Span::millis(3) })),
    ),
    (
        "endpoint-errors",
        "endpoint/0e9d0000-0000-7000-8000-000000000001",
        |case| {
            endpoint(case);
            case.looks();
            asked(case, 15, Outcome::Success);
            asked(case, 5, Outcome::UpstreamError);
        },
        60,
        |case| asked(case, 20, Outcome::Success),
    ),
    (
        "client-requests",
        "client/192.0.2.10",
        |case| {
            case.change("client-requests", |rule| rule.threshold = 12);
            endpoint(case);
            asked(case, 12, Outcome::Success);
        },
        0,
        |case| case.passes(3600),
    ),
    ("projection-lag", "desk/pages", |case| case.machine.lag = 100_000, 30, |case| case.machine.lag = 99_999),
    ("log-failing", "desk/log", |case| case.machine.log_failed_at = Some(case.log.now), 0, |case| case.passes(300)),
    (
        "disk-low",
        "disk/data",
        |case| case.machine.disks = vec![Disk { name: "data".into(), free_percent: 4, free_mib: 9 }],
        60,
        |case| case.machine.disks[0].free_percent = 5,
    ),
    (
        "snapshot-old",
        "desk/snapshots",
        |case| case.machine.unsaved_since = Some(case.log.now),
        3_600 + 300,
        |case| case.machine.unsaved_since = None,
    ),
    (
        "backup-old",
        "desk/backups",
        |case| case.machine.backup_at = Some(case.log.now),
        48 * 3_600,
        |case| case.machine.backup_at = Some(case.log.now),
    ),
    (
        "quarantined",
        "stream/slave/Q_1",
        |case| case.log.fold.truth.quarantine(StreamId::slave(&account_id("Q_1"))),
        0,
        // A stream stays so while the server runs.
        |case| case.change("quarantined", |rule| rule.subjects = [pattern("stream/master/*")].into()),
    ),
];

#[test]
fn each_rule_is_raised_when_its_time_is_over_and_cleared_when_it_does_not_hold() {
    for (rule, subject, happens, seconds, ends) in ROWS {
        let mut case = Case::new();
        happens(&mut case);
        let raised = format!("{rule} {subject}");
        if *seconds > 0 {
            // The first look begins the time of what only the machine knows.
            assert!(!case.looks().contains(&"alert_raised"), "{raised} is raised at once");
            case.passes(*seconds - 35);
            assert!(*seconds < 35 || !case.looks().contains(&"alert_raised"), "{raised} is raised too soon");
            case.passes(35);
        }
        case.looks();
        assert_eq!(case.raised(), std::slice::from_ref(&raised), "{raised}");
        assert_eq!(case.outbox(), ["raised.ops"], "{raised}");
        case.passes(1);
        assert_eq!(case.looks(), [""; 0], "{raised} is raised again");
        ends(&mut case);
        case.looks();
        assert!(case.raised().is_empty(), "{raised} stays");
        assert_eq!(case.outbox(), ["raised.ops", "cleared.ops"], "{raised}");
    }
}

/// A restart forgets what only the machine saw: what nobody can judge yet stays raised.
#[test]
fn what_nobody_can_judge_is_not_cleared_by_a_restart() {
    let unknown = [("disk-low", "disk/data"), ("snapshot-old", "desk/snapshots"), ("backup-old", "desk/backups")];
    for (rule, subject, happens, seconds, _) in ROWS {
        // How long it stays unknown; the machine says of the others when it knows.
        let known_after = match *rule {
            "endpoint-errors" | "log-failing" => Some(300),
            other => unknown.iter().any(|(rule, _)| *rule == other).then_some(0),
        };
        let Some(known_after) = known_after else { continue };
        let mut case = Case::new();
        happens(&mut case);
        case.looks();
        case.passes(*seconds);
        case.looks();
        assert_eq!(case.raised(), [format!("{rule} {subject}")]);
        case.restarts();
        let unknown = unknown.iter().map(|(_, subject)| crate::sample::alert::subject(subject)).collect();
        case.machine = Machine { unknown, ..Machine::default() };
        assert_eq!(case.looks(), [""; 0], "{rule}");
        if known_after > 0 {
            case.passes(known_after - 1);
            assert_eq!(case.looks(), [""; 0], "{rule}");
            case.passes(1);
        } else {
            case.passes(3_600);
            assert_eq!(case.looks(), [""; 0], "{rule}");
            case.machine.unknown.clear();
        }
        assert_eq!(case.looks(), ["alert_cleared"], "{rule}");
    }
}

#[test]
fn requests_that_succeed_after_a_restart_clear_before_the_window_is_full() {
    let mut case = Case::new();
    endpoint(&mut case);
    case.looks();
    asked(&mut case, 20, Outcome::UpstreamError);
    case.change("endpoint-errors", |rule| rule.hold_seconds = 0);
    case.looks();
    assert_eq!(case.raised().len(), 1);
    case.restarts();
    case.looks();
    asked(&mut case, 9, Outcome::Success);
    assert_eq!(case.looks(), [""; 0], "too few to say anything");
    asked(&mut case, 1, Outcome::Success);
    assert_eq!(case.looks(), ["alert_cleared"]);
}

#[test]
fn one_that_was_silent_before_it_was_missed_is_given_the_time_of_the_rule() {
    let mut case = Case::new();
    online(&mut case, &slave());
    told(&mut case, &slave(), Of::SetIntent { enabled: false });
    case.looks();
    case.passes(3_600);
    told(&mut case, &slave(), Of::CheckSilence);
    case.looks();
    told(&mut case, &slave(), Of::SetIntent { enabled: true });
    assert_eq!(case.looks(), [""; 0]);
    case.passes(119);
    assert_eq!(case.looks(), [""; 0]);
    case.passes(1);
    assert_eq!(case.looks(), ["alert_raised"]);
    assert_eq!(case.raised(), ["account-offline slave/S_1"]);
}

#[test]
fn every_condition_has_a_built_in_rule_that_is_in_order() {
    let rules = built_in();
    let of: std::collections::BTreeSet<When> = rules.values().map(|rule| rule.when).collect();
    assert_eq!(of, When::ALL.iter().copied().collect());
    for (id, rule) in &rules {
        let stored = crate::event::json(&rule.when);
        assert_eq!((stored.as_str(), id.as_str()), (Some(rule.when.as_str()), &*rule.when.as_str().replace('_', "-")));
        assert_eq!(rule.check(|_| false), Ok(()));
        assert!(!rule.when.meaning().is_empty());
    }
}

#[test]
fn what_is_in_order_raises_nothing() {
    let mut case = Case::new();
    online(&mut case, &StreamId::master(&account_id("M_1")));
    endpoint(&mut case);
    asked(&mut case, 9, Outcome::UpstreamError);
    case.machine = Machine {
        lag: 99_999,
        disks: vec![Disk { name: "data".into(), free_percent: 5, free_mib: 9 }],
        unsaved_since: Some(case.log.now),
        backup_at: Some(case.log.now),
        log_failed_at: None,
        unknown: Default::default(),
    };
    for _ in 0..10 {
        assert_eq!(case.looks(), [""; 0]);
        told(&mut case, &StreamId::master(&account_id("M_1")), Of::Heartbeat(sample::heartbeat(true)));
        case.passes(20);
    }
}

/// Many accounts that were online are not lost because the desk was away, and those that were lost before are not told again.
#[test]
fn a_restart_is_no_storm() {
    let mut case = Case::new();
    let accounts: Vec<StreamId> = (0..50).map(|n| StreamId::slave(&account_id(&format!("S_{n}")))).collect();
    accounts.iter().for_each(|account| online(&mut case, account));
    case.change("account-not-connected", |rule| rule.enabled = false);
    case.passes(31);
    told(&mut case, &accounts[0], Of::CheckSilence);
    assert_eq!(case.looks(), [""; 0]);
    case.passes(24 * 3600);
    case.restarts();
    assert_eq!(case.looks(), [""; 0], "silence while the desk was away does not count");
    case.passes(29);
    for account in &accounts {
        told(&mut case, account, Of::CheckSilence);
        told(&mut case, account, Of::Heartbeat(sample::heartbeat(true)));
    }
    assert_eq!(case.looks(), [""; 0]);
    case.passes(31);
    told(&mut case, &accounts[1], Of::CheckSilence);
    case.looks();
    case.passes(90);
    assert_eq!(case.looks(), ["alert_raised"]);
    case.restarts();
    assert_eq!(case.looks(), [""; 0], "it is still raised, and neither cleared nor raised again");
    assert_eq!(case.raised(), ["account-offline slave/S_1"]);
}

#[test]
fn a_limit_that_is_hit_is_told_with_its_numbers() {
    use crate::account::protection::Rules;
    let mut case = Case::new();
    online(&mut case, &slave());
    case.change("account-not-connected", |rule| rule.enabled = false);
    let floor = serde_json::from_value::<Rules>(
        serde_json::json!({"equity_floor": {"equity": "9900", "action": "BLOCK_ENTRY"}}),
    );
    let protection = floor.unwrap();
    let settings = account::AccountSettings { protection, ..Default::default() };
    told(&mut case, &slave(), Of::ChangeSettings(Box::new(settings)));
    told(&mut case, &slave(), Of::Heartbeat(sample::heartbeat(true)));
    case.looks();
    assert_eq!(case.raised(), ["limit-hit slave/S_1"]);
    let detail = &case.alerts().alerts[&case.only()].detail;
    assert!(detail.contains("equity_floor: 123.96 of 100.5"), "{detail}");
}
