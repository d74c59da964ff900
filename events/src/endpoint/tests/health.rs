//! How an endpoint's status follows from what was heard.

use super::*;

/// What happens, one letter after the other | how it is after each.
///
/// `+` a good probe, `-` a bad one, `s` a request that succeeded, `5` one with a 5xx, `c` one that could not connect, `t` one
/// that timed out, `4` a 4xx, `g` the client left, `r` refused by the proxy, `.` two seconds pass, `!` a person resets it.
const STEPS: &str = "
    +            | online
    -            | pending
    --           | pending offline
    -+           | pending online
    +-           | online error
    +--          | online error offline
    +-+          | online error online
    +-+-+        | online error online error online
    +--+         | online error offline half_open
    +--++        | online error offline half_open online
    +--+-        | online error offline half_open offline
    +--+s        | online error offline half_open online
    +--+5        | online error offline half_open offline
    +--s         | online error offline offline
    +--sss       | online error offline offline offline offline
    +--s+        | online error offline offline half_open
    +--sss+      | online error offline offline offline offline half_open
    +5           | online error
    +55          | online error offline
    +cc          | online error offline
    +tt          | online error offline
    +5-          | online error offline
    +5s5         | online error error error
    +5.s         | online error error online
    +5s.s        | online error error error online
    +5+          | online error online
    +444         | online online online online
    +ggg         | online online online online
    +rrr         | online online online online
    +545         | online error error offline
    +5g5         | online error error offline
    +--!         | online error offline pending
    +--!+        | online error offline pending online
    +--!--       | online error offline pending pending offline
    !            | pending
    s            | online
";

#[test]
fn the_status_follows_from_what_was_heard() {
    let mut count = 0;
    for (steps, expected) in STEPS.lines().filter_map(|row| row.split_once('|')) {
        let mut case = Case::new();
        let mut found = Vec::new();
        for step in steps.trim().chars() {
            let before = case.status();
            let events = match step {
                '+' => case.answers(100),
                '-' => case.fails(),
                's' => case.request(Outcome::Success, Some(200)),
                '5' => case.request(Outcome::UpstreamError, Some(502)),
                'c' => case.request(Outcome::UpstreamError, None),
                't' => case.request(Outcome::Timeout, None),
                '4' => case.request(Outcome::UpstreamError, Some(404)),
                'g' => case.request(Outcome::ClientGone, Some(200)),
                'r' => case.request(Outcome::Refused, None),
                '!' => case.does(Command::Reset),
                _ => vec![],
            };
            case.passes(if step == '.' { 2_000 } else { 1 });
            let changes = events.iter().filter(|name| **name == "endpoint_status_changed").count();
            assert_eq!(changes, usize::from(before != case.status()), "{steps}");
            found.push(case.status().as_str());
        }
        // Time alone changes nothing.
        let spent: Vec<usize> =
            steps.trim().char_indices().filter(|(_, step)| *step == '.').map(|(at, _)| at).collect();
        assert!(spent.iter().all(|at| found[*at] == found[at - 1]), "{steps}");
        assert_eq!(found.join(" "), expected.trim(), "{steps}");
        count += 1;
    }
    assert_eq!(count, 36);
}

#[test]
fn thresholds_are_obeyed() {
    let patient = Settings { failure_threshold: 4, success_threshold: 3, ..settings("attic") };
    let mut case = Case::with(patient);
    case.answers(1);
    for expected in [Status::Error, Status::Error, Status::Error, Status::Offline] {
        case.fails();
        assert_eq!(case.status(), expected);
    }
    for expected in [Status::HalfOpen, Status::HalfOpen, Status::Online] {
        case.answers(1);
        assert_eq!(case.status(), expected);
    }
    let quick = Settings { failure_threshold: 1, success_threshold: 1, ..settings("attic") };
    let mut case = Case::with(quick);
    case.answers(1);
    case.fails();
    assert_eq!(case.status(), Status::Offline);
    let back = case.answers(1);
    assert_eq!(back, ["endpoint_probed", "endpoint_status_changed", "endpoint_status_changed"], "through half-open");
    assert_eq!(case.status(), Status::Online);
}

#[test]
fn the_latency_stays_while_it_is_offline_and_is_new_when_it_is_back() {
    let mut case = Case::online();
    let seen = case.now;
    for _ in 0..3 {
        case.passes(30_000);
        case.fails();
    }
    assert_eq!(case.status(), Status::Offline);
    assert_eq!(case.endpoint.latency, Some(Span::millis(120)));
    assert_eq!(case.endpoint.last_seen, Some(seen));
    let error = case.endpoint.last_error.clone().unwrap();
    assert_eq!(
        (error.at, error.by, error.failure, error.detail.as_str()),
        (case.now, By::Probe, Failure::Connect, "refused")
    );
    case.passes(60_000);
    case.answers(95);
    assert_eq!((case.endpoint.latency, case.endpoint.last_seen), (Some(Span::millis(95)), Some(case.now)));
    assert_eq!(case.status(), Status::HalfOpen);
}

#[test]
fn a_probe_is_due_at_the_interval_and_later_and_later_while_it_is_offline() {
    let mut case = Case::with(Settings { health_interval_seconds: 20, ..settings("attic") });
    assert_eq!(case.probed_in(), 0, "at once");
    case.answers(1);
    assert_eq!(case.probed_in(), 20_000);
    let mut waits = Vec::new();
    for _ in 0..7 {
        case.fails();
        waits.push(case.probed_in());
        case.passes(case.probed_in());
    }
    assert_eq!(waits, [20_000, 20_000, 40_000, 80_000, 120_000, 120_000, 120_000], "with the jitter in the middle");
    case.answers(1);
    assert_eq!((case.status(), case.probed_in()), (Status::HalfOpen, 5_000));
    case.fails();
    assert_eq!((case.status(), case.probed_in()), (Status::Offline, 120_000), "it was never really back");
    case.answers(1);
    case.answers(1);
    assert_eq!((case.status(), case.probed_in()), (Status::Online, 20_000));
    case.request(Outcome::UpstreamError, None);
    assert_eq!(case.probed_in(), 20_000, "a request that failed does not put the probe off");
    case.request(Outcome::UpstreamError, None);
    assert_eq!((case.status(), case.probed_in()), (Status::Offline, 20_000), "it begins anew");
    case.does(Command::Reset);
    assert_eq!(case.probed_in(), 0);
    case.does(Command::Remove);
    assert_eq!(case.endpoint.probe_due(), None);
}

#[test]
fn a_probe_that_was_under_way_at_a_reset_says_nothing() {
    let mut case = Case::online();
    let revision = case.endpoint.revision;
    case.does(Command::Reset);
    assert!(case.endpoint.revision > revision);
    let outcome = ProbeOutcome::Failed { failure: Failure::Timeout, detail: String::new() };
    assert_eq!(case.does(Command::TakeProbe { outcome, found: None, revision, jitter: 0 }), [""; 0]);
    assert_eq!((case.status(), case.endpoint.health.failures, case.probed_in()), (Status::Pending, 0, 0));
}

#[test]
fn the_wait_is_spread_by_a_quarter_both_ways_and_never_shorter_than_that() {
    let seconds = |retries, interval, jitter| backoff(retries, Span::seconds(interval), jitter).0 / 1_000_000;
    for (retries, interval, jitter, expected) in [
        (0, 40, 0, 30),
        (1, 40, 0, 30),
        (1, 40, 999, 49),
        (1, 40, u16::MAX, 49),
        (2, 40, 0, 60),
        (3, 40, 0, 90),
        (99, 40, 0, 90),
        (u32::MAX, 40, 999, 149),
        (1, 3_600, 0, 2_700),
        (9, 3_600, 999, 4_496),
    ] {
        assert_eq!(seconds(retries, interval, jitter), expected, "{retries} {interval} {jitter}");
    }
}

#[test]
fn a_long_interval_does_not_keep_what_came_back_waiting() {
    let mut case = Case::with(Settings { health_interval_seconds: 3_600, ..settings("attic") });
    case.fails();
    assert_eq!(case.probed_in(), 3_600_000, "obeyed");
    case.fails();
    case.answers(1);
    assert_eq!((case.status(), case.probed_in()), (Status::HalfOpen, 5_000));
}

#[test]
fn a_failed_try_is_heard_as_of_a_request_and_moves_no_probe() {
    let mut case = Case::online();
    let note = |case: &Case| Command::NoteFailedTry {
        failure: Failure::Status(500),
        detail: "a request: it answered 500".into(),
        revision: case.endpoint.revision,
        jitter: 500,
    };
    let due = case.endpoint.probe_due();
    case.passes(2_000);
    let noted = note(&case);
    assert_eq!(case.does(noted), ["endpoint_probed", "endpoint_status_changed"]);
    assert_eq!((case.status(), case.endpoint.probe_due()), (Status::Error, due));
    assert_eq!(case.endpoint.last_error.as_ref().unwrap().failure, Failure::Status(500));
    let noted = note(&case);
    let events = case.tries(noted).unwrap();
    let Some(Event::StatusChanged(change)) = events.last() else { panic!("{events:?}") };
    assert_eq!((change.new, change.why), (Status::Offline, Why::Failed(By::Request)));
    assert_eq!((case.status(), case.probed_in()), (Status::Offline, 30_000), "as after its first failed probe");
    // Late ones from before the outage neither count nor put off the probe.
    let before = case.endpoint.clone();
    case.passes(1_000);
    let noted = note(&case);
    assert_eq!(case.does(noted), [""; 0]);
    assert_eq!(case.endpoint, before);
    let stale =
        Command::NoteFailedTry { failure: Failure::Connect, detail: String::new(), revision: Version(0), jitter: 0 };
    assert_eq!(case.does(stale), [""; 0]);
}

#[test]
fn a_probe_of_an_older_revision_says_nothing() {
    let mut case = Case::new();
    let old = case.endpoint.revision;
    let notes = Settings { notes: "x".into(), ..settings("attic") };
    case.does(Command::Change(Box::new(notes)));
    let outcome = ProbeOutcome::Answered { took: Span::millis(1) };
    assert_eq!(case.does(Command::TakeProbe { outcome, found: None, revision: old, jitter: 0 }), [""; 0]);
    assert_eq!(case.status(), Status::Pending);
}

#[test]
fn the_answers_of_requests_make_an_average_and_probes_do_not() {
    let mut case = Case::online();
    assert_eq!(case.endpoint.inference_latency(), None);
    for (millis, outcome) in [(100, Outcome::Success), (200, Outcome::Success), (9_000, Outcome::Timeout)] {
        case.seq += 1;
        let finished = RequestFinished { outcome, duration: Span::millis(millis), ..finished(case.seq) };
        case.does(Command::FinishRequest { finished: Box::new(finished), jitter: 0 });
    }
    assert_eq!(case.endpoint.inference_latency(), Some(Span::millis(120)));
}
