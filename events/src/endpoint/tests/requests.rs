//! One event for each outcome, once; and the proxy, which has those that came to no endpoint.

use super::*;
use crate::sample::log::Log;

#[test]
fn a_request_is_counted_once_however_often_it_is_told() {
    let mut case = Case::online();
    let mut tell = |run, seq| {
        let finished = RequestFinished { run, seq, ..finished(1) };
        case.does(Command::FinishRequest { finished: Box::new(finished), jitter: 0 }).len()
    };
    for ((run, seq), expected) in [
        ((7, 1), 1),
        ((7, 2), 1),
        ((7, 2), 0),
        ((7, 1), 0),
        ((7, 5), 1),
        ((7, 4), 0),
        ((6, 9), 1),
        ((8, 1), 1),
        ((7, 6), 1),
        ((7, 6), 0),
        ((6, 9), 0),
        ((8, 2), 1),
    ] {
        assert_eq!(tell(run, seq), expected, "{seq} of {run}");
    }
}

#[test]
fn every_outcome_is_an_event_whatever_it_says_of_the_endpoint() {
    for outcome in Outcome::ALL {
        let mut case = Case::online();
        assert_eq!(case.request(outcome, Some(404)).first(), Some(&"request_finished"), "{outcome:?}");
    }
}

#[test]
fn a_failed_request_says_why() {
    for (outcome, http_status, first_byte, failure) in [
        (Outcome::UpstreamError, Some(503), None, Failure::Status(503)),
        (Outcome::UpstreamError, None, None, Failure::Connect),
        (Outcome::UpstreamError, None, Some(Span(5)), Failure::Broken),
        (Outcome::Timeout, Some(200), Some(Span(5)), Failure::Timeout),
    ] {
        let mut case = Case::online();
        let finished = RequestFinished { outcome, http_status, first_byte, ..finished(1) };
        case.does(Command::FinishRequest { finished: Box::new(finished), jitter: 0 });
        let error = case.endpoint.last_error.unwrap();
        assert_eq!((error.failure, error.by, error.at), (failure, By::Request, case.now));
    }
}

#[test]
fn a_lie_does_not_stand_in_the_log() {
    let mut case = Case::online();
    let lie = RequestFinished { tokens: Tokens { output: u64::MAX, ..finished(1).tokens }, ..finished(1) };
    let events = case.tries(Command::FinishRequest { finished: Box::new(lie), jitter: 0 }).unwrap();
    let Event::RequestFinished(told) = &events[0] else { panic!("{events:?}") };
    assert_eq!(told.tokens, Tokens::default());
}

#[test]
fn the_proxy_has_what_came_to_no_endpoint_and_counts_it_once() {
    let mut log = Log::new();
    let mut tell = |seq| {
        let finished = RequestFinished { outcome: Outcome::Refused, ..finished(seq) };
        log.proxy(ProxyCommand::FinishRequest(Box::new(finished))).unwrap()
    };
    assert_eq!([1, 2, 2, 1, 3].map(&mut tell), [1, 1, 0, 0, 1]);
    assert_eq!(log.fold.truth.proxy().unwrap().told.of(7), 3);
}

#[test]
fn the_proxy_is_told_what_it_goes_by() {
    let mut log = Log::new();
    let change = |zone: &str, aliases: &[(&str, &str)]| {
        let aliases = aliases.iter().map(|(alias, model)| (alias.to_string(), model.to_string())).collect();
        ProxyCommand::Change(Box::new(ProxySettings { zone: zone.into(), aliases }))
    };
    assert_eq!(log.proxy(change("UTC", &[])), Ok(0), "as it is by default");
    assert_eq!(log.proxy(change("Europe/Athens", &[("gpt", "qwen")])), Ok(1));
    assert_eq!(log.proxy(change("Europe/Athens", &[("gpt", "qwen")])), Ok(0));
    for (zone, aliases, field) in [
        ("Europe/Atlantis", &[][..], "zone"),
        ("UTC", &[("", "qwen")], "aliases"),
        ("UTC", &[("gpt", "a\nb")], "aliases"),
        ("UTC", &[("gpt", "gpt")], "aliases"),
        ("UTC", &[("a", "b"), ("b", "c")], "aliases"),
    ] {
        let denial = log.proxy(change(zone, aliases)).unwrap_err();
        assert_eq!((denial.code.as_str(), denial.field.as_deref()), ("setting_invalid", Some(field)), "{aliases:?}");
    }
    let proxy = log.fold.truth.proxy().unwrap();
    assert_eq!((proxy.settings.meant("gpt"), proxy.settings.meant("qwen")), ("qwen", "qwen"));
    assert_eq!((proxy.settings.zone.as_str(), proxy.settings.aliases["gpt"].as_str()), ("Europe/Athens", "qwen"));
}

#[test]
fn a_kind_stands_in_streams_of_its_own_only() {
    use crate::id::{Role, StreamId};
    let account = StreamId::Account(Role::Slave, crate::sample::account_id("A_1"));
    for event in crate::sample::endpoint::endpoint_events() {
        let of = [StreamId::Endpoint(endpoint_id(1)), StreamId::Proxy, StreamId::Desk, account.clone()];
        let found = of.map(|stream| event.belongs_to(&stream));
        let expected = match event.kind().name {
            "request_finished" => [true, true, false, false],
            "proxy_settings_changed" => [false, true, false, false],
            _ => [true, false, false, false],
        };
        assert_eq!(found, expected, "{event:?}");
    }
}

#[test]
fn several_at_once_come_to_what_each_alone_comes_to() {
    use Outcome::*;
    let told =
        [(1, Success), (2, UpstreamError), (2, Success), (3, UpstreamError), (4, Success), (1, Timeout), (5, Success)];
    let finished: Vec<RequestFinished> = told
        .iter()
        .map(|(seq, outcome)| {
            let http_status = (*outcome == Success).then_some(200);
            RequestFinished { outcome: *outcome, http_status, ..finished(*seq) }
        })
        .collect();
    let (mut alone, mut together) = (Case::online(), Case::online());
    let mut events = Vec::new();
    for one in &finished {
        events.extend(alone.does(Command::FinishRequest { finished: Box::new(one.clone()), jitter: 7 }));
    }
    let at_once = together.does(Command::FinishRequests { finished: finished.clone(), jitter: 7 });
    assert_eq!(at_once, events);
    assert_eq!(events.iter().filter(|event| **event == "request_finished").count(), 5);
    assert_eq!(together.endpoint.health, alone.endpoint.health);
    assert_eq!(together.endpoint.told.of(7), 5);
    assert!(together.does(Command::FinishRequests { finished, jitter: 7 }).is_empty(), "told again");
}
