//! The dashboard from the outside: what it shows after what happened.

use super::*;
use crate::endpoint::{
    Api, By, Command, Event as Of, Failure, Outcome, ProbeOutcome, ProxyCommand, ProxySettings, RequestFinished,
    Settings, Status, Tokens, TokensKnown,
};
use crate::money::Factor;
use crate::sample::endpoint::{endpoint_id, finished, settings};
use crate::sample::log::{Log, Step, day};
use crate::sample::{self, START};
use crate::view::Fold;
use proptest::prelude::*;
use std::collections::BTreeSet;

/// A desk with endpoints and a clock; each is asked for by its number.
struct Case {
    log: Log,
    seq: u64,
}

impl Case {
    fn new(endpoints: u64) -> Self {
        let mut case = Case { log: Log::new(), seq: 0 };
        (1..=endpoints).for_each(|number| case.register(number));
        case
    }

    fn register(&mut self, number: u64) {
        let settings = Settings { name: format!("box {number}"), ..settings(&format!("box-{number}")) };
        self.log.endpoint(endpoint_id(number), Command::Register(Box::new(settings))).unwrap();
    }

    fn probe(&mut self, number: u64, millis: Option<i64>) {
        let revision = self.log.fold.truth.endpoint(endpoint_id(number)).unwrap().revision;
        let outcome = match millis {
            Some(millis) => ProbeOutcome::Answered { took: Span::millis(millis) },
            None => ProbeOutcome::Failed { failure: Failure::Connect, detail: "refused".into() },
        };
        let probe = Command::TakeProbe { outcome, found: None, revision, jitter: 500 };
        self.log.endpoint(endpoint_id(number), probe).unwrap();
    }

    fn finish(&mut self, number: u64, finished: RequestFinished) {
        self.seq += 1;
        let finished = Box::new(RequestFinished { seq: self.seq, ..finished });
        self.log.endpoint(endpoint_id(number), Command::FinishRequest { finished, jitter: 500 }).unwrap();
    }

    fn ends(&mut self, number: u64, outcome: Outcome, times: usize) {
        (0..times)
            .for_each(|_| self.finish(number, RequestFinished { outcome, http_status: Some(400), ..finished(0) }));
    }

    fn refused(&mut self, model: &str) {
        self.seq += 1;
        let outcome = Outcome::Refused;
        let finished =
            RequestFinished { outcome, model: model.into(), tokens: Tokens::default(), ..finished(self.seq) };
        self.log.proxy(ProxyCommand::FinishRequest(Box::new(finished))).unwrap();
    }

    fn passes(&mut self, span: Span) {
        self.log.now = self.log.now + span;
    }

    fn view(&self) -> &Endpoints {
        &self.log.fold.views.endpoints
    }
    fn truth(&self) -> &Truth {
        &self.log.fold.truth
    }
    fn overview(&self) -> Overview {
        self.view().overview(self.truth(), self.log.now, |_| 0)
    }
    fn average(&self) -> Option<(i64, AverageOf)> {
        self.view().average_response(self.truth(), self.log.now).map(|it| (it.took.0 / 1_000, it.of))
    }

    /// As after a restart: from a snapshot and what came after it, and from the log alone.
    fn restarted(&mut self) -> [Overview; 2] {
        self.log.seal();
        let mut snapshot = Fold::from_bytes(&self.log.fold.to_bytes()).unwrap();
        assert_eq!(snapshot, self.log.fold);
        let (mut replayed, mut space) = (Fold::default(), crate::commit::Unpacked::default());
        for commit in &self.log.commits {
            replayed.apply_commit(commit, &mut space, |_, _| {}).unwrap();
        }
        [&mut snapshot, &mut replayed].map(|fold| fold.views.endpoints.overview(&fold.truth, self.log.now, |_| 0))
    }
}

fn counters(overview: &Overview) -> (u64, u64, u64) {
    (overview.stats.total, overview.stats.success, overview.stats.failed)
}
fn factor(text: &str) -> Factor {
    text.parse().unwrap()
}
fn tokens(output: u64, millis: i64) -> RequestFinished {
    let tokens = Tokens { input: 10, output, known: TokensKnown::Reported };
    RequestFinished { tokens, duration: Span::millis(millis), ..finished(0) }
}

#[test]
fn ten_of_which_eight_are_good_and_a_failure_are_eleven_and_stay_so_after_a_restart() {
    let mut case = Case::new(1);
    case.ends(1, Outcome::Success, 8);
    case.ends(1, Outcome::UpstreamError, 2);
    assert_eq!(counters(&case.overview()), (10, 8, 2));
    case.ends(1, Outcome::Timeout, 1);
    assert_eq!(counters(&case.overview()), (11, 8, 3));
    let row = &case.overview().endpoints[0];
    assert_eq!((row.total, row.success, row.failed), (11, 8, 3));
    let before = case.overview();
    assert_eq!(case.restarted(), [before.clone(), before]);
}

#[test]
fn every_outcome_counts_and_only_a_success_is_one() {
    let mut case = Case::new(1);
    for (times, outcome) in (1..).zip(Outcome::ALL) {
        case.ends(1, outcome, times);
    }
    let overview = case.overview();
    assert_eq!(counters(&overview), (15, 1, 14));
    let outcomes: Vec<_> =
        overview.stats.outcomes.into_iter().map(|(outcome, count)| (outcome.as_str(), count)).collect();
    assert_eq!(outcomes, [("success", 1), ("upstream_error", 2), ("timeout", 3), ("client_gone", 4), ("refused", 5)]);
}

#[test]
fn what_came_to_no_endpoint_counts_too() {
    let mut case = Case::new(1);
    case.ends(1, Outcome::Success, 2);
    case.refused("no-such-model");
    let overview = case.overview();
    assert_eq!(counters(&overview), (3, 2, 1));
    assert_eq!((overview.stats.without_endpoint, overview.endpoints[0].total), (1, 2));
}

#[test]
fn the_latency_is_shown_offline_and_is_new_when_it_is_back() {
    let mut case = Case::new(1);
    case.probe(1, Some(120));
    case.probe(1, None);
    case.probe(1, None);
    let row = case.overview().endpoints.remove(0);
    assert_eq!((row.status, row.latency_ms, row.consecutive_failures), (Status::Offline, Some(120), 2));
    let [restarted, _] = case.restarted();
    assert_eq!(restarted.endpoints[0].latency_ms, Some(120));
    case.probe(1, Some(95));
    case.probe(1, Some(95));
    let row = case.overview().endpoints.remove(0);
    assert_eq!((row.status, row.latency_ms), (Status::Online, Some(95)));
}

#[test]
fn without_completions_the_average_is_that_of_the_probes() {
    let mut case = Case::new(3);
    assert_eq!(case.average(), None, "nothing is measured");
    case.probe(1, Some(100));
    case.probe(2, Some(200));
    assert_eq!(case.average(), Some((150, AverageOf::Probes)));
    case.ends(1, Outcome::UpstreamError, 3);
    assert_eq!(case.average(), Some((150, AverageOf::Probes)), "a failure is no completion");
    (0..2).for_each(|_| case.probe(1, None));
    assert_eq!(case.average(), Some((200, AverageOf::Probes)), "of those that are online");
    (0..2).for_each(|_| case.probe(2, None));
    assert_eq!((case.average(), case.overview().stats.average_response_ms), (None, None), "all offline");
}

#[test]
fn the_average_is_that_of_the_last_hour_else_of_the_last_one_that_had_some() {
    let mut case = Case::new(1);
    case.probe(1, Some(5));
    for millis in [100, 200, 600] {
        case.finish(1, tokens(1, millis));
    }
    assert_eq!(case.average(), Some((300, AverageOf::LastHour)));
    case.passes(Span::seconds(30 * 60));
    case.finish(1, tokens(1, 700));
    assert_eq!(case.average(), Some((400, AverageOf::LastHour)));
    case.passes(Span::seconds(30 * 60));
    assert_eq!(case.average(), Some((700, AverageOf::LastHour)), "the first ones are an hour old");
    case.passes(Span::seconds(30 * 60));
    assert_eq!(case.average(), Some((400, AverageOf::EarlierHour)), "the sixty minutes that end with the last one");
    case.passes(Span::hours(100));
    case.ends(1, Outcome::Timeout, 1);
    assert_eq!(case.average(), Some((400, AverageOf::EarlierHour)));
    let before = case.overview();
    assert_eq!(
        (before.stats.average_response_ms, before.stats.average_response_of),
        (Some(400), Some(AverageOf::EarlierHour))
    );
    assert_eq!(case.restarted(), [before.clone(), before]);
    case.finish(1, tokens(1, 50));
    assert_eq!(case.average(), Some((50, AverageOf::LastHour)));
}

#[test]
fn a_hundred_tokens_in_two_seconds_are_fifty_a_second_also_after_a_restart() {
    let mut case = Case::new(1);
    assert_eq!(case.overview().endpoint_tps[0].tps, None);
    case.finish(1, tokens(100, 2_000));
    let row = case.overview().endpoint_tps.remove(0);
    assert_eq!(row.tps, Some(Tps { value: factor("50"), today: true }));
    let [model] = row.models.as_slice() else { panic!("{row:?}") };
    assert_eq!(
        (model.model.as_deref(), model.api, model.tps, model.samples),
        (Some("qwen3-8b"), Api::ChatCompletions, factor("50"), 1)
    );
    (0..2).for_each(|_| case.probe(1, None));
    let before = case.overview();
    assert_eq!(before.endpoints[0].status, Status::Offline);
    assert_eq!(before.endpoint_tps[0].tps, Some(Tps { value: factor("50"), today: true }), "nothing is erased");
    assert_eq!(case.restarted(), [before.clone(), before]);
}

#[test]
fn an_endpoints_speed_is_that_of_its_day_and_a_models_an_average() {
    let mut case = Case::new(1);
    let chat = |output, millis| tokens(output, millis);
    let embeddings = |output, millis| RequestFinished { api: Api::Embeddings, ..tokens(output, millis) };
    for finished in [chat(100, 1_000), chat(50, 1_000), embeddings(300, 1_000), chat(0, 5_000)] {
        case.finish(1, finished);
    }
    case.finish(1, RequestFinished { outcome: Outcome::ClientGone, ..chat(9_000, 1) });
    let row = case.overview().endpoint_tps.remove(0);
    assert_eq!(row.tps.unwrap().value, factor("150"), "450 tokens in 3 seconds");
    let models: Vec<_> = row.models.iter().map(|it| (it.api, it.tps, it.samples)).collect();
    assert_eq!(models, [(Api::ChatCompletions, factor("90"), 2), (Api::Embeddings, factor("300"), 1)]);
    case.passes(Span::hours(24));
    let tps = case.overview().endpoint_tps.remove(0).tps.unwrap();
    assert_eq!((tps.value, tps.today), (factor("150"), false), "the last value is kept");
    case.finish(1, chat(10, 3_000));
    let tps = case.overview().endpoint_tps.remove(0).tps.unwrap();
    assert_eq!((tps.value, tps.today), (factor("3.333"), true), "another day begins anew");
}

#[test]
fn the_timeline_has_sixty_minutes_with_zeros_where_nothing_was() {
    let mut case = Case::new(1);
    case.ends(1, Outcome::Success, 3);
    case.passes(Span::seconds(120));
    case.ends(1, Outcome::Timeout, 2);
    let history = case.overview().history;
    assert_eq!(history.len(), 60);
    let minute = Timestamp(case.log.now.0.div_euclid(60_000_000) * 60_000_000);
    assert_eq!(history[59], Minute { at: minute, success: 0, failed: 2 });
    assert_eq!(history[57], Minute { at: minute - Span::seconds(120), success: 3, failed: 0 });
    let apart = history.windows(2).all(|two| two[1].at.since(two[0].at) == Span::seconds(60));
    assert!(apart && history.iter().map(|it| it.success + it.failed).sum::<u64>() == 5);
    case.passes(Span::hours(1));
    let all_zero = |overview: &Overview| overview.history.iter().all(|it| (it.success, it.failed) == (0, 0));
    assert!(all_zero(&case.overview()), "older than an hour");
    let [restarted, _] = case.restarted();
    assert!(all_zero(&restarted) && counters(&restarted) == (5, 3, 2));
}

#[test]
fn a_day_ends_at_midnight_of_the_zone() {
    // Midnight in UTC is 9:00 in Tokyo, where a day ends at 15:00 UTC.
    for (zone, at, dates) in [
        ("UTC", "23:59:59", [20_484, 20_485]),
        ("UTC", "14:59:59", [20_484, 20_484]),
        ("Asia/Tokyo", "23:59:59", [20_485, 20_485]),
        ("Asia/Tokyo", "14:59:59", [20_484, 20_485]),
        ("America/New_York", "04:59:59", [20_483, 20_484]),
    ] {
        let mut case = Case::new(1);
        let settings = ProxySettings { zone: zone.into(), ..ProxySettings::default() };
        case.log.proxy(ProxyCommand::Change(Box::new(settings))).unwrap();
        let part = |range: std::ops::Range<usize>| at[range].parse::<i64>().unwrap();
        let seconds = part(0..2) * 3_600 + part(3..5) * 60 + part(6..8);
        // 2026-01-31T00:00:00Z
        case.log.now = Timestamp(20_484 * 86_400_000_000) + Span::seconds(seconds);
        case.ends(1, Outcome::Success, 2);
        case.passes(Span::seconds(1));
        case.ends(1, Outcome::Timeout, 1);
        let days: Vec<_> = case.view().days().range(0, 99_999).collect();
        let sums: Vec<_> =
            days.iter().map(|(date, rows)| (*date, rows.values().map(Bucket::total).sum::<u64>())).collect();
        let expected = match dates {
            [one, other] if one == other => vec![(one, 3)],
            [one, other] => vec![(one, 2), (other, 1)],
        };
        assert_eq!(sums, expected, "{zone} {at}");
    }
}

#[test]
fn another_zone_counts_from_now_on() {
    let mut case = Case::new(1);
    case.log.now = Timestamp(20_484 * 86_400_000_000) + Span::hours(20);
    case.ends(1, Outcome::Success, 1);
    let settings = ProxySettings { zone: "Asia/Tokyo".into(), ..ProxySettings::default() };
    case.log.proxy(ProxyCommand::Change(Box::new(settings))).unwrap();
    case.ends(1, Outcome::Success, 1);
    let dates: Vec<_> = case.view().days().range(0, 99_999).map(|(date, _)| date).collect();
    assert_eq!(dates, [20_484, 20_485]);
}

#[test]
fn a_day_is_kept_by_endpoint_model_and_part_of_the_interface() {
    let mut case = Case::new(2);
    let of = |model: &str, api| RequestFinished { model: model.into(), api, ..tokens(20, 500) };
    case.finish(1, of("a", Api::ChatCompletions));
    case.finish(1, of("a", Api::ChatCompletions));
    case.finish(1, of("b", Api::ChatCompletions));
    case.finish(2, of("a", Api::Embeddings));
    case.finish(2, RequestFinished { outcome: Outcome::Timeout, ..of("a", Api::Embeddings) });
    case.refused("invented");
    let names = case.view().models().names();
    let today = case.view().days().of(START.0.div_euclid(86_400_000_000)).unwrap();
    let rows: Vec<_> = today
        .iter()
        .map(|(row, it)| {
            let model = names.get(&row.model).copied().unwrap_or("-");
            (row.endpoint.is_some(), model, row.api, it.success, it.failed, it.output_tokens, it.duration)
        })
        .collect();
    let (chat, embeddings) = (Api::ChatCompletions, Api::Embeddings);
    assert_eq!(
        rows,
        [
            (false, "-", chat, 0, 1, 0, 0),
            (true, "a", chat, 2, 0, 40, 1_000_000),
            (true, "b", chat, 1, 0, 20, 500_000),
            (true, "a", embeddings, 1, 1, 40, 500_000),
        ],
        "who is turned away invents no models"
    );
    let date = Endpoints::today(case.truth(), case.log.now);
    let by_model = case.view().days().sums(date, date, |_, row| row.endpoint.map(|_| row.model));
    let by_model: Vec<_> = by_model.iter().map(|(model, sum)| (names[model], sum.total(), sum.output_tokens)).collect();
    assert_eq!(by_model, [("a", 4, 80), ("b", 1, 20)]);
    let one =
        case.view().days().sums(date - 6, date, |date, row| (row.endpoint == Some(endpoint_id(2))).then_some(date));
    assert_eq!(one.iter().map(|(date, sum)| (*date, sum.success, sum.failed)).collect::<Vec<_>>(), [(date, 1, 1)]);
    assert!(case.view().days().sums(date + 1, date + 9, |_, _| Some(())).is_empty());
}

#[test]
fn tokens_are_told_apart_by_how_they_are_known_and_summed_by_month() {
    let mut case = Case::new(1);
    for (output, known) in (1..).zip(TokensKnown::ALL) {
        let tokens = Tokens { input: 10 * output, output, known };
        case.finish(1, RequestFinished { tokens, ..finished(0) });
    }
    let sum = &case.view().total.tokens;
    assert_eq!((sum.input(), sum.output()), (100, 10));
    let parts = TokensKnown::ALL.map(|known| (sum.of(known).requests, sum.of(known).output));
    assert_eq!(parts, [(1, 1), (1, 2), (1, 3), (1, 4)]);
    case.passes(Span::hours(24));
    case.finish(1, tokens(5, 100));
    let months: Vec<_> = case.view().months().map(|(year, month, sum)| (year, month, sum.output())).collect();
    assert_eq!(months, [(2026, 1, 10), (2026, 2, 5)]);
}

#[test]
fn a_removed_endpoint_takes_nothing_away_and_its_share_is_shown_as_such() {
    let mut case = Case::new(2);
    case.ends(1, Outcome::Success, 5);
    case.ends(2, Outcome::Timeout, 2);
    let before = case.overview();
    let row = &before.endpoints[0];
    assert_eq!((row.name.as_str(), row.total), ("box 1", 5));
    case.log.endpoint(endpoint_id(1), Command::Remove).unwrap();
    let removed_at = case.log.now;
    case.passes(Span::seconds(1));
    case.ends(1, Outcome::Success, 1);
    let after = case.overview();
    assert_eq!(counters(&after), (8, 6, 2));
    let names: Vec<_> = after.endpoints.iter().map(|it| it.name.as_str()).collect();
    assert_eq!((names, after.endpoint_tps.len()), (vec!["box 2"], 1));
    let (id, name) = (endpoint_id(1), "box 1".to_string());
    assert_eq!(after.stats.removed, [RemovedRow { id, name, removed_at, total: 6, success: 6, failed: 0 }]);
    assert_eq!(
        after.history,
        before
            .history
            .iter()
            .map(|it| Minute { success: it.success + u64::from(it.at == before.history[59].at), ..*it })
            .collect::<Vec<_>>()
    );
    let all: u64 = case.view().days().range(0, 99_999).flat_map(|(_, rows)| rows.values()).map(Bucket::total).sum();
    assert_eq!(all, 8);
    assert_eq!(case.restarted(), [after.clone(), after]);
}

#[test]
fn of_many_removed_endpoints_the_last_hundred_are_shown_one_by_one() {
    let mut case = Case::new(0);
    let count = REMOVED_MAX as u64 + 5;
    for number in 1..=count {
        case.register(number);
        case.ends(number, Outcome::Success, 2);
        case.log.endpoint(endpoint_id(number), Command::Remove).unwrap();
        case.passes(Span::millis(1));
    }
    case.ends(1, Outcome::Timeout, 1);
    let stats = case.overview().stats;
    assert_eq!((stats.removed.len(), stats.removed_earlier, stats.total), (REMOVED_MAX, 11, count * 2 + 1));
    assert_eq!((stats.removed[0].id, stats.removed[99].id), (endpoint_id(count), endpoint_id(6)));
    assert_eq!(case.view().removed_earlier().endpoints, 5);
}

#[test]
fn clients_are_ranked_and_those_that_are_silent_longest_give_way() {
    let mut case = Case::new(1);
    let of = |client: Option<String>| RequestFinished { client, ..tokens(3, 10) };
    case.finish(1, of(None));
    for number in 0..CLIENTS_MAX {
        case.finish(1, of(Some(format!("c{number}"))));
    }
    (0..4).for_each(|_| case.finish(1, of(Some("c0".into()))));
    for number in 0..3 {
        case.finish(1, of(Some(format!("new{number}"))));
    }
    let clients = case.view().clients();
    assert_eq!(clients.len(), CLIENTS_MAX);
    let known: Vec<bool> = ["c0", "c1", "c2", "c3", "c4", "new2"].map(|name| clients.get(name).is_some()).into();
    assert_eq!(known, [true, false, false, false, true, true], "c0 asked again");
    let first = clients.ranking()[0];
    assert_eq!((first.0, first.1.sum.total(), first.1.sum.output_tokens), ("c0", 5, 15));
    assert_eq!((clients.others.total(), clients.others.output_tokens), (4, 12));
    let sum: u64 = clients.ranking().iter().map(|(_, client)| client.sum.total()).sum();
    assert_eq!(sum + clients.others.total(), case.view().total.total());
}

#[test]
fn a_client_has_a_day_of_hours_and_its_models() {
    let mut case = Case::new(1);
    for hour in 0..30 {
        let model = format!("m{}", if hour < 25 { hour % 20 } else { 0 });
        case.finish(1, RequestFinished { model, ..finished(0) });
        case.passes(Span::hours(1));
    }
    let client = case.view().clients().get("192.0.2.10").unwrap();
    let hours: Vec<i64> = client.hours.keys().copied().collect();
    assert_eq!((hours.len(), hours[23] - hours[0]), (24, 23));
    let names = case.view().models().names();
    let models: Vec<_> =
        client.models().into_iter().map(|(model, count)| (names.get(&model).copied(), count)).collect();
    assert_eq!(models[0], (Some("m0"), 7));
    assert!(models.contains(&(None, 4)), "m16 to m19 are others: {models:?}");
    assert_eq!(models.iter().map(|(_, count)| count).sum::<u64>(), 30);
    let week = case.view().hours_of_the_week();
    // It began on a Saturday at 9:15.
    assert_eq!((week[5 * 24 + 8], week[5 * 24 + 9], week.iter().sum::<u64>()), (0, 1, 30));
}

#[test]
fn checks_are_kept_for_each_endpoint_the_last_sixty() {
    let mut case = Case::new(1);
    for number in 0..70 {
        case.probe(1, (number % 2 == 0).then_some(number));
    }
    let checks = &case.view().share(Some(endpoint_id(1))).unwrap().checks;
    assert_eq!(checks.len(), CHECKS_MAX);
    assert_eq!(checks[58], Check { at: case.log.now, took: Some(Span::millis(68)), failure: None });
    assert_eq!(checks[59], Check { at: case.log.now, took: None, failure: Some(Failure::Connect) });
}

#[test]
fn what_is_in_flight_is_for_the_proxy_to_say() {
    let case = Case::new(2);
    let overview = case.view().overview(case.truth(), case.log.now, |id| u32::from(id == endpoint_id(2)) * 7);
    assert_eq!(overview.endpoints.iter().map(|row| row.in_flight).collect::<Vec<_>>(), [0, 7]);
    assert_eq!((overview.position, overview.generated_at), (case.truth().position(), case.log.now));
    let statuses: Vec<_> = overview.stats.endpoints.iter().map(|(status, count)| (status.as_str(), *count)).collect();
    assert_eq!(statuses, [("pending", 2), ("online", 0), ("error", 0), ("offline", 0), ("half_open", 0)]);
}

#[test]
fn an_overview_is_json_without_floats() {
    let mut case = Case::new(1);
    case.probe(1, Some(120));
    case.finish(1, tokens(1, 3_000));
    let json = serde_json::to_value(case.overview()).unwrap();
    assert_eq!(json["endpoint_tps"][0]["tps"]["value"], "0.333");
    assert_eq!((&json["endpoints"][0]["latency_ms"], &json["stats"]["outcomes"]["success"]), (&120.into(), &1.into()));
    assert_eq!(json["stats"]["endpoints"]["online"], 1);
    fn whole(json: &serde_json::Value) -> bool {
        match json {
            serde_json::Value::Number(number) => number.is_i64() || number.is_u64(),
            serde_json::Value::Array(items) => items.iter().all(whole),
            serde_json::Value::Object(fields) => fields.values().all(whole),
            _ => true,
        }
    }
    assert!(whole(&json), "{json:#}");
}

/// As the log would hold it, without deciding it: for counts that a log would be slow to make.
fn count(view: &mut Endpoints, endpoint: Option<EndpointId>, finished: &RequestFinished, at: Timestamp) {
    view.count(finished, endpoint, at, &Truth::default());
}

#[test]
fn memory_is_bounded_whatever_comes() {
    let mut view = Endpoints::default();
    view.shares.insert(Some(endpoint_id(1)), Share::default());
    let times = 60_000u64;
    for number in 0..times {
        let finished = RequestFinished {
            model: format!("model {number}"),
            client: Some(format!("client {number}")),
            api: if number % 2 == 0 { Api::Responses } else { Api::Completions },
            ..finished(number)
        };
        // Every other one to an endpoint of its own, which nobody registered.
        let endpoint = endpoint_id(if number % 2 == 0 { 1 } else { number });
        count(&mut view, Some(endpoint), &finished, START + Span::seconds(number as i64));
    }
    let today: Vec<_> = view.days().range(0, 99_999).collect();
    assert!(view.days().rows() <= ROWS_MAX, "{}", view.days().rows());
    assert_eq!(today.iter().flat_map(|(_, rows)| rows.values()).map(Bucket::total).sum::<u64>(), times);
    assert_eq!(view.models.names().len(), 2_000);
    assert_eq!((view.clients.len(), view.shares.len()), (CLIENTS_MAX, 1));
    assert_eq!(view.total.total(), times);
    let lists = (view.timeline.hour(START).len(), view.speeds.of(endpoint_id(1)).count());
    assert!(lists.1 <= 2_001, "{lists:?}");
    let mut bytes = Vec::new();
    crate::codec::write(&view, &mut bytes);
    assert!(bytes.len() < 8 << 20, "{} bytes", bytes.len());
}

#[test]
fn of_a_day_with_too_many_rows_the_new_ones_are_others_and_older_days_give_way() {
    let mut days = Days::default();
    let row = |number| Row { endpoint: Some(endpoint_id(number)), model: ModelNo::OTHER, api: Api::Responses };
    for number in 0..10 {
        days.add(1, row(number), &finished(1));
    }
    for number in 0..ROWS_MAX as u64 + 3 {
        days.add(2, row(number), &finished(1));
    }
    days.add(2, row(5), &finished(1));
    assert_eq!((days.rows(), days.of(1).is_none()), (ROWS_MAX, true));
    let others = &days.of(2).unwrap()[&Row { endpoint: None, model: ModelNo::OTHER, api: Api::Other }];
    assert_eq!((others.total(), days.of(2).unwrap()[&row(5)].total()), (4, 2));
    let mut years = Days::default();
    (0..500).for_each(|date| years.add(date, row(1), &finished(1)));
    assert_eq!(years.range(0, 999).map(|(date, _)| date).collect::<Vec<_>>(), (100..500).collect::<Vec<_>>());
    assert_eq!(years.range(5, 1).count(), 0);
}

/// The same numbers, recounted from the records: slow, simple, and without any of the code under test.
fn recounted(log: &Log) -> (u64, u64, u64, u64) {
    let mut told = BTreeSet::new();
    let mut sum = (0, 0, 0, 0);
    for record in &log.records {
        let Event::Endpoint(Of::RequestFinished(finished)) = &record.event else { continue };
        assert!(told.insert((record.stream, finished.run, finished.seq)), "counted twice");
        sum.0 += 1;
        sum.1 += u64::from(finished.outcome == Outcome::Success);
        sum.2 += finished.tokens.input;
        sum.3 += finished.tokens.output;
    }
    sum
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// On any day all sums of the same requests agree, and a cut of the log in the middle takes nothing away.
    #[test]
    fn all_sums_agree(steps in prop::collection::vec(any::<Step>(), 1..200), cut in any::<prop::sample::Index>()) {
        let log = day(&steps);
        let view = &log.fold.views.endpoints;
        let (total, success, input, output) = recounted(&log);
        prop_assert_eq!((view.total.total(), view.total.success()), (total, success));
        prop_assert_eq!((view.total.tokens.input(), view.total.tokens.output()), (input, output));
        let shares = view.shares().map(|(_, share)| share.tally.total()).sum::<u64>();
        let removed = view.removed().map(|(_, gone)| gone.tally.total()).sum::<u64>();
        prop_assert_eq!(shares + removed + view.removed_earlier().tally.total(), total);
        let clients = view.clients().ranking().iter().map(|(_, client)| client.sum.total()).sum::<u64>();
        prop_assert_eq!(clients + view.clients().others.total(), total);
        let days: Vec<&Bucket> = view.days().range(0, 99_999).flat_map(|(_, rows)| rows.values()).collect();
        prop_assert_eq!(days.iter().map(|it| it.total()).sum::<u64>(), total);
        prop_assert_eq!(days.iter().map(|it| it.output_tokens).sum::<u64>(), output);
        prop_assert_eq!(view.months().map(|(_, _, sum)| sum.output()).sum::<u64>(), output);
        prop_assert_eq!(view.hours_of_the_week().iter().sum::<u64>(), total);
        // The base of a cut holds what was counted before it: the log after it does the rest.
        let cut = cut.index(log.commits.len() + 1);
        let (mut base, mut space) = (Fold::default(), crate::commit::Unpacked::default());
        for commit in &log.commits[..cut] {
            base.apply_commit(commit, &mut space, |_, _| {}).unwrap();
        }
        let mut fold = Fold::from_bytes(&base.to_bytes()).unwrap();
        for commit in &log.commits[cut..] {
            fold.apply_commit(commit, &mut space, |_, _| {}).unwrap();
        }
        let overview = |fold: &Fold| fold.views.endpoints.overview(&fold.truth, log.now, |_| 0);
        prop_assert_eq!(overview(&fold), overview(&log.fold));
        for row in overview(&fold).endpoints {
            let by = row.last_error.map(|error| error.by);
            prop_assert!(row.status != Status::Offline || matches!(by, Some(By::Probe | By::Request)));
        }
    }
}

/// The days must hold what the properties are about.
#[test]
fn the_days_have_endpoints() {
    let mut kinds = std::collections::BTreeMap::<&str, usize>::new();
    for seed in 0u32..60 {
        let mut dice = seed.wrapping_mul(0x9e37_79b9).wrapping_add(1);
        let mut byte = || {
            dice = dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (dice >> 24) as u8
        };
        let log = day(&(0..300).map(|_| (byte(), byte(), byte())).collect::<Vec<_>>());
        log.records.iter().for_each(|record| *kinds.entry(record.event.kind().name).or_default() += 1);
    }
    for event in sample::endpoint::endpoint_events() {
        let name = event.kind().name;
        assert!(kinds.get(name).is_some_and(|count| *count > 5), "{name}: {kinds:?}");
    }
}
