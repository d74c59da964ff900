//! What an endpoint shows is what was heard of it, whatever happened in whatever order.

use super::*;
use proptest::prelude::*;

fn any_command() -> impl Strategy<Value = (i64, u8, u16)> {
    (0i64..40_000, 0u8..40, 0u16..1_000)
}

/// Where a status may lead to in one step.
fn leads_to(old: Status, new: Status) -> bool {
    use Status::*;
    match (old, new) {
        (Pending, Online | Offline) => true,
        (Online, Error | Offline) => true,
        (Error, Online | Offline) => true,
        (Offline, HalfOpen) => true,
        (HalfOpen, Online | Offline) => true,
        // A person resets it, or gives it another address.
        (Online | Error | Offline | HalfOpen, Pending) => true,
        _ => false,
    }
}

fn command(case: &mut Case, what: u8, jitter: u16) -> Command {
    let revision = case.endpoint.revision;
    let probe = |outcome| Command::TakeProbe { outcome, found: None, revision, jitter };
    case.seq += 1;
    let seq = case.seq;
    let request = |outcome, http_status| {
        let finished = RequestFinished { outcome, http_status, ..finished(seq) };
        Command::FinishRequest { finished: Box::new(finished), jitter }
    };
    match what {
        0..=9 => probe(ProbeOutcome::Answered { took: Span::millis(jitter.into()) }),
        10..=19 => probe(ProbeOutcome::Failed { failure: Failure::Timeout, detail: String::new() }),
        20..=25 => request(Outcome::Success, Some(200)),
        26..=31 => request(Outcome::UpstreamError, Some(500)),
        32 => request(Outcome::UpstreamError, Some(429)),
        33 => request(Outcome::ClientGone, None),
        34 => Command::Reset,
        35 => Command::Change(Box::new(Settings {
            base_url: format!("http://a:{}", 8_000 + jitter),
            ..settings("attic")
        })),
        36 => Command::Change(Box::new(Settings { weight: 1 + u32::from(jitter), ..settings("attic") })),
        37 => Command::SyncModels(vec![model("a")]),
        _ => probe(ProbeOutcome::Failed { failure: Failure::NotUnderstood, detail: "x".repeat(999) }),
    }
}

proptest! {
    #[test]
    fn the_status_goes_its_way_step_by_step(steps in prop::collection::vec(any_command(), 1..80)) {
        let mut case = Case::new();
        // In a row, as somebody who only reads the log counts them.
        let mut failures = 0u32;
        for (millis, what, jitter) in steps {
            case.passes(millis);
            let before = case.endpoint.clone();
            let command = command(&mut case, what, jitter);
            let events = case.tries(command).unwrap();
            let mut status = before.health.status;
            for event in &events {
                match event {
                    Event::Probed(probed) => match probed.outcome {
                        ProbeOutcome::Answered { .. } => failures = 0,
                        ProbeOutcome::Failed { .. } => failures += 1,
                    },
                    Event::RequestFinished(finished) => match (finished.outcome, finished.http_status) {
                        (Outcome::Success, _) => failures = 0,
                        (Outcome::UpstreamError, Some(500)) => failures += 1,
                        _ => {}
                    },
                    Event::Reset(_) => failures = 0,
                    Event::Changed(changed) => {
                        let known = before.settings.as_ref().unwrap();
                        failures = if changed.settings.base_url == known.base_url { failures } else { 0 };
                    }
                    Event::StatusChanged(change) => {
                        prop_assert_eq!(change.old, status);
                        prop_assert!(leads_to(change.old, change.new), "{:?}", change);
                        let down = change.new == Status::Offline;
                        prop_assert!(!down || failures >= 2 || change.old == Status::HalfOpen, "{:?}", change);
                        status = change.new;
                    }
                    _ => {}
                }
            }
            prop_assert_eq!(status, case.status());
            prop_assert_eq!(failures, case.endpoint.health.failures);
            prop_assert!(failures < 2 || case.status() == Status::Offline, "{} failures, {:?}", failures, status);
            prop_assert!(case.endpoint.probe_due().unwrap() <= case.now + Span::seconds(150));
            let moved = case.endpoint.settings.as_ref().unwrap().base_url != before.settings.as_ref().unwrap().base_url;
            prop_assert!(moved || before.latency.is_none() || case.endpoint.latency.is_some());
            prop_assert!(before.last_seen <= case.endpoint.last_seen);
        }
    }
}
