//! How an endpoint comes, changes and goes.

use super::*;
use crate::answer;
use crate::sample::log::Log;
use std::collections::BTreeSet;

fn register(settings: Settings) -> Command {
    Command::Register(Box::new(settings))
}
fn change(settings: Settings) -> Command {
    Command::Change(Box::new(settings))
}

#[test]
fn an_endpoint_that_nobody_reaches_can_be_registered() {
    let mut case = Case::empty();
    assert_eq!(case.does(register(settings("attic"))), ["endpoint_registered"]);
    let Endpoint { settings, health, found, latency, models, .. } = &case.endpoint;
    assert_eq!(settings.as_ref().unwrap().base_url, "http://attic.example:8000");
    assert_eq!((health.status, found, latency, models.len()), (Status::Pending, &None, &None, 0));
    assert_eq!((case.endpoint.kind(), case.endpoint.revision), (None, Version(1)));
    let defaults = Settings::default();
    assert!(defaults.can(Capability::Vision), "an empty list means no filter");
    let chat = Settings { capabilities: [Capability::Chat].into(), ..Settings::default() };
    assert!(chat.can(Capability::Chat) && !chat.can(Capability::Vision));
    let seconds =
        (defaults.health_interval_seconds, defaults.probe_timeout_seconds, defaults.inference_timeout_seconds);
    assert_eq!((seconds, defaults.failure_threshold), ((30, 5, 120), 2));
}

#[test]
fn a_setting_at_fault_is_named() {
    let with = |change: fn(&mut Settings)| {
        let mut settings = settings("attic");
        change(&mut settings);
        settings
    };
    let many: fn(&mut Settings) = |it| it.tags = (0..33).map(|number| number.to_string()).collect();
    let cases: Vec<(&str, Settings)> = vec![
        ("name", with(|it| it.name = "  ".into())),
        ("name", with(|it| it.name = "x".repeat(65))),
        ("name", with(|it| it.name = "a\nb".into())),
        ("base_url", with(|it| it.base_url = "gpu:8000".into())),
        ("base_url", with(|it| it.base_url = "http://me:key@gpu:8000".into())),
        ("tags", with(many)),
        ("tags", with(|it| it.tags = BTreeSet::from([" a".into()]))),
        ("notes", with(|it| it.notes = "x".repeat(2_001))),
        ("notes", with(|it| it.notes = "\u{7}".into())),
        ("health_interval_seconds", with(|it| it.health_interval_seconds = 4)),
        ("health_interval_seconds", with(|it| it.health_interval_seconds = 3_601)),
        ("probe_timeout_seconds", with(|it| it.probe_timeout_seconds = 0)),
        ("probe_timeout_seconds", with(|it| (it.probe_timeout_seconds, it.health_interval_seconds) = (11, 10))),
        ("inference_timeout_seconds", with(|it| it.inference_timeout_seconds = 3_601)),
        ("success_threshold", with(|it| it.success_threshold = 0)),
        ("failure_threshold", with(|it| it.failure_threshold = 101)),
        ("weight", with(|it| it.weight = 0)),
        ("in_flight_max", with(|it| it.in_flight_max = 100_001)),
    ];
    for (field, wrong) in cases {
        for known in [false, true] {
            let mut case = if known { Case::new() } else { Case::empty() };
            let command = if known { change(wrong.clone()) } else { register(wrong.clone()) };
            let denial = case.refuses(command).denial();
            assert_eq!((denial.code.as_str(), denial.status), ("setting_invalid", answer::Status::Invalid));
            assert_eq!(denial.field.as_deref(), Some(field), "{wrong:?}");
            assert!(denial.detail.contains(field), "{}", denial.detail);
        }
    }
    let edges = Settings { health_interval_seconds: 5, probe_timeout_seconds: 5, weight: 10_000, ..settings("attic") };
    Case::with(edges);
    Case::with(Settings { health_interval_seconds: 3_600, notes: "a\nb\tc".into(), ..settings("attic") });
}

#[test]
fn a_name_and_an_address_are_given_once_on_the_desk() {
    let mut log = Log::new();
    let (one, other) = (endpoint_id(1), endpoint_id(2));
    log.endpoint(one, register(settings("attic"))).unwrap();
    let named =
        |name: &str, base_url: &str| Settings { name: name.into(), base_url: base_url.into(), ..Settings::default() };
    let elsewhere = "http://cellar.example:8000";
    for (settings, code, field) in [
        (named("attic", elsewhere), "name_taken", "name"),
        (named(" ATTIC ", elsewhere), "name_taken", "name"),
        (named("cellar", "http://attic.example:8000"), "url_taken", "base_url"),
        (named("cellar", "HTTP://Attic.Example.:8000/v1/"), "url_taken", "base_url"),
    ] {
        let denial = log.endpoint(other, register(settings)).unwrap_err();
        assert_eq!((denial.code.as_str(), denial.field.as_deref()), (code, Some(field)));
        assert_eq!(denial.status, answer::Status::Conflict);
    }
    log.endpoint(other, register(settings("cellar"))).unwrap();
    let denial = log.endpoint(other, change(settings("attic"))).unwrap_err();
    assert_eq!(denial.code, "name_taken");
    // Its own name and address are no obstacle, and what it gives up is free.
    let renamed = Settings { name: "Attic".into(), ..settings("attic") };
    log.endpoint(one, change(renamed)).unwrap();
    log.endpoint(one, change(settings("garage"))).unwrap();
    log.endpoint(other, change(settings("attic"))).unwrap();
    log.endpoint(other, Command::Remove).unwrap();
    log.endpoint(endpoint_id(3), register(settings("attic"))).unwrap();
    let truth = &log.fold.truth;
    let names: Vec<_> = truth.endpoints().map(|it| it.settings.as_ref().unwrap().name.clone()).collect();
    assert_eq!(names, ["attic", "garage"]);
    assert_eq!(truth.directory().by_url("http://attic.example:8000"), Some(endpoint_id(3)));
    assert_eq!(truth.directory().len(), 2);
}

#[test]
fn what_is_not_there_is_refused_and_an_id_is_used_once() {
    let commands = || {
        let outcome = ProbeOutcome::Answered { took: Span(1) };
        vec![
            change(settings("attic")),
            Command::Remove,
            Command::TakeProbe { outcome, found: None, revision: Version(0), jitter: 0 },
            Command::SyncModels(vec![]),
            Command::Reset,
        ]
    };
    let finish = || Command::FinishRequest { finished: Box::new(finished(1)), jitter: 0 };
    for command in commands().into_iter().chain([finish()]) {
        let refusal = Case::empty().refuses(command);
        assert_eq!(refusal, Refusal::EndpointUnknown(endpoint_id(1)));
        assert_eq!(refusal.denial().status, answer::Status::NotFound);
    }
    let mut case = Case::new();
    assert_eq!(case.refuses(register(settings("cellar"))).denial().code, "endpoint_known");
    case.does(Command::Remove);
    for command in commands().into_iter().chain([register(settings("attic"))]) {
        assert_eq!(case.refuses(command), Refusal::EndpointRemoved(endpoint_id(1)));
    }
    assert_eq!(case.does(finish()), ["request_finished"], "it had the request when it was there");
}

#[test]
fn a_desk_has_a_thousand_endpoints() {
    let mut case = Case::empty();
    for number in 0..1_000 {
        case.directory.enter(endpoint_id(100 + number), &number.to_string(), &number.to_string());
    }
    assert_eq!(case.refuses(register(settings("attic"))).denial().code, "full");
    case.directory.leave(endpoint_id(100));
    case.does(register(settings("attic")));
}

#[test]
fn another_address_is_another_place() {
    let mut case = Case::online();
    case.request(Outcome::Success, Some(200));
    case.does(Command::SyncModels(vec![model("a")]));
    case.fails();
    assert_eq!(case.does(change(settings("attic"))), [""; 0], "nothing is different");
    let weight = Settings { weight: 50, ..settings("attic") };
    assert_eq!(case.does(change(weight.clone())), ["endpoint_changed"]);
    assert_eq!(case.status(), Status::Error);
    let moved = Settings { base_url: "http://new.example".into(), ..weight };
    assert_eq!(case.does(change(moved)), ["endpoint_changed", "endpoint_status_changed"]);
    let Endpoint { latency, models, last_error, health, .. } = &case.endpoint;
    assert_eq!((latency, models.len(), last_error, health.failures), (&None, 0, &None, 0));
    assert_eq!((case.status(), case.probed_in(), case.endpoint.inference_latency()), (Status::Pending, 0, None));
    case.fails();
    assert_eq!(case.does(change(settings("attic"))), ["endpoint_changed"], "pending it was before");
    assert_eq!((case.endpoint.health.failures, case.probed_in()), (0, 0));
}

#[test]
fn a_change_that_concerns_probes_is_seen_at_the_next_one() {
    let hourly = Settings { health_interval_seconds: 3_600, ..settings("attic") };
    let secret = Some(crate::sample::credential(1));
    for (changed, due) in [
        (Settings { health_interval_seconds: 5, ..hourly.clone() }, 5_000),
        (Settings { weight: 7, ..hourly.clone() }, 3_600_000),
        (Settings { secret, ..hourly.clone() }, 0),
        (Settings { kind: Some(Kind::Ollama), ..hourly.clone() }, 0),
    ] {
        let mut case = Case::with(hourly.clone());
        case.answers(120);
        assert_eq!(case.probed_in(), 3_600_000);
        case.does(change(changed.clone()));
        assert_eq!((case.probed_in(), case.endpoint.latency), (due, Some(Span::millis(120))), "{changed:?}");
    }
    let mut case = Case::with(settings("attic"));
    case.answers(120);
    case.does(change(hourly));
    assert_eq!(case.probed_in(), 30_000, "a longer one begins with the next probe");
}

#[test]
fn models_are_sorted_and_a_list_that_is_the_same_is_no_event() {
    let mut case = Case::online();
    let long = "x".repeat(201);
    let told = vec![model("b"), model(""), model("a"), model("b"), model(&long)];
    assert_eq!(case.does(Command::SyncModels(told)), ["endpoint_models_synced"]);
    assert_eq!(case.endpoint.models, [model("a"), model("b")]);
    assert_eq!(case.does(Command::SyncModels(vec![model("b"), model("a")])), [""; 0]);
    assert_eq!(case.does(Command::SyncModels(vec![])), ["endpoint_models_synced"]);
    let many = (0..1_001).map(|number| model(&number.to_string())).collect();
    assert_eq!(case.refuses(Command::SyncModels(many)).denial().code, "models_too_many");
    assert_eq!(Case::online().does(Command::SyncModels(vec![])), ["endpoint_models_synced"], "none is news, too");
}

#[test]
fn a_candidate_is_what_the_endpoint_knows_of_itself() {
    use routing::Candidate;
    let mut case = Case::with(Settings { weight: 70, in_flight_max: 4, ..settings("attic") });
    case.answers(9);
    case.does(Command::SyncModels(vec![model("b"), model("a"), model("c")]));
    assert_eq!(["a", "b", "c", "d", ""].map(|id| case.endpoint.has_model(id)), [true, true, true, false, false]);
    let new = Candidate {
        endpoint: endpoint_id(1),
        status: Status::Online,
        weight: 70,
        in_flight: 3,
        in_flight_max: 4,
        latency: None,
        measured_at: None,
        ejected: true,
    };
    assert_eq!(case.endpoint.candidate(3, true), Some(new.clone()), "a probe measures no request");
    case.request(Outcome::Success, Some(200));
    let measured = Candidate { latency: Some(Span::millis(2_000)), measured_at: Some(case.now), ..new };
    assert_eq!(case.endpoint.candidate(3, true), Some(measured));
    case.does(Command::Remove);
    assert_eq!(case.endpoint.candidate(0, false), None);
    assert_eq!(Case::empty().endpoint.candidate(0, false), None);
}

#[test]
fn what_it_is_stands_in_the_log_once() {
    use detect::Found;
    let mut case = Case::new();
    let found = |kind| Some(Found { kind, version: None });
    let mut probe = |found| {
        let revision = case.endpoint.revision;
        let events = case.does(Command::TakeProbe {
            outcome: ProbeOutcome::Answered { took: Span(5) },
            found,
            revision,
            jitter: 0,
        });
        (events.len(), case.endpoint.kind())
    };
    assert_eq!(probe(found(Kind::Vllm)), (3, Some(Kind::Vllm)), "probed, identified, online");
    assert_eq!(probe(found(Kind::Vllm)), (1, Some(Kind::Vllm)));
    assert_eq!(probe(None), (1, Some(Kind::Vllm)), "an answer that says nothing takes nothing back");
    assert_eq!(probe(found(Kind::Ollama)), (2, Some(Kind::Ollama)));
    case.does(change(Settings { kind: Some(Kind::Http), ..settings("attic") }));
    assert_eq!(case.endpoint.kind(), Some(Kind::Http), "what a person says counts");
}
