//! The tables of requests: large batches, questions, sums, and what retention leaves.

use super::{Database, Mode, node};
use crate::ambient;
use crate::store::models::{DayRow, Model, RequestQuery, RequestRow, Rows, Whose};
use crate::store::{Checkpoint, Order};
use std::time::Duration;
use tidehelm_actors::port::CommitLog;
use tidehelm_events::endpoint::{Api, Outcome};
use tidehelm_events::id::{CredentialId, EndpointId, Position};
use tidehelm_events::time::Timestamp;
use uuid::Uuid;

fn endpoint(number: u128) -> EndpointId {
    EndpointId(Uuid::from_u128(0x0e9d_0000 + number))
}

/// One of many: every seventh failed, every eleventh came to no endpoint; one every 100 ms.
fn request(number: i64) -> RequestRow {
    let nobody = number % 11 == 0;
    RequestRow {
        position: number,
        at_us: 1_700_000_000_000_000 + number * 100_000,
        request_id: Uuid::from_u128(number.unsigned_abs().into()).to_string(),
        endpoint_id: (!nobody).then(|| endpoint(number.unsigned_abs() as u128 % 3).to_string()),
        // What JSON and SQL would take for something else.
        model: format!("qwen'3\"-{}\u{1f600}", number % 5),
        api: if number % 2 == 0 { "chat_completions" } else { "embeddings" }.into(),
        outcome: if nobody {
            "refused"
        } else if number % 7 == 0 {
            "timeout"
        } else {
            "success"
        }
        .into(),
        http_status: (!nobody).then_some(200 + number % 7),
        input_tokens: number,
        output_tokens: 100,
        tokens_known: "reported".into(),
        duration_us: 2_000_000,
        first_byte_us: (number % 2 == 0).then_some(150_000),
        ending: "whole".into(),
        client: (number % 4 != 0).then(|| format!("192.0.2.{}", number % 4)),
        key_id: (number % 3 == 0).then(|| Uuid::from_u128(15).to_string()),
    }
}

pub async fn a_store_of_an_earlier_format_is_brought_up(mut site: impl Database) {
    let mut log = site.log().await;
    let head = log.take_over(node()).await.unwrap();
    log.close().await.unwrap();
    site.say("UPDATE meta SET format = 1; DROP TABLE requests; DROP TABLE request_days").await;
    site.leave();
    let early = site.open(Mode::ReadOnly).await.unwrap_err().to_string();
    assert!(early.contains("start the server once"), "{early}");
    let mut log = site.open(Mode::Write).await.unwrap();
    assert_eq!(log.reader().head().await.unwrap().epoch, head.epoch);
    log.project(Rows::Requests(&[request(1)]), Position(0), Position(1)).await.unwrap();
    let all = RequestQuery { limit: 10, ..RequestQuery::default() };
    assert_eq!(log.reader().requests(&all).await.unwrap().rows, [request(1)]);
}

pub async fn many_requests_fit_into_one_batch(mut site: impl Database) {
    const ROWS: i64 = 40_000;
    let mut log = site.log().await;
    let rows: Vec<_> = (1..=ROWS).map(request).collect();
    let began = ambient::stopwatch();
    log.project(Rows::Requests(&rows), Position(0), Position(ROWS as u64)).await.unwrap();
    let took = began.elapsed();
    println!("{ROWS} requests in one batch: {took:?}");
    assert!(took < Duration::from_secs(20), "{took:?}");
    let reader = log.reader();
    let at = |position| Some(Checkpoint { position: Position(position), schema: 1 });
    assert_eq!(reader.checkpoint(Model::Requests).await.unwrap(), at(ROWS as u64));
    let all = RequestQuery { limit: ROWS as usize + 1, ..RequestQuery::default() };
    let page = reader.requests(&all).await.unwrap();
    assert!(page.rows == rows && page.next.is_none(), "what is read is what was written, to the last field");
    // Where one row of a batch cannot be, none of it is there.
    let again = [request(ROWS + 1), request(ROWS)];
    assert!(log.project(Rows::Requests(&again), Position(ROWS as u64), Position(ROWS as u64 + 1)).await.is_err());
    assert_eq!(reader.checkpoint(Model::Requests).await.unwrap(), at(ROWS as u64));
    assert_eq!(reader.requests(&all).await.unwrap().rows.len(), ROWS as usize);
}

pub async fn requests_can_be_asked_for(mut site: impl Database) {
    let mut log = site.log().await;
    let rows: Vec<_> = (1..=1000).map(request).collect();
    log.project(Rows::Requests(&rows), Position(0), Position(1000)).await.unwrap();
    let reader = log.reader();
    let any = RequestQuery { limit: 2000, scan: 100_000, ..RequestQuery::default() };
    let expect = |keep: &dyn Fn(&RequestRow) -> bool| rows.iter().filter(|row| keep(row)).cloned().collect::<Vec<_>>();
    let key = CredentialId(Uuid::from_u128(15));
    let is_some = |outcome: &str| outcome == "timeout" || outcome == "refused";
    type Keep<'a> = Box<dyn Fn(&RequestRow) -> bool + 'a>;
    let cases: Vec<(RequestQuery, Keep<'_>)> = vec![
        (any.clone(), Box::new(|_| true)),
        (RequestQuery { after: Position(990), ..any.clone() }, Box::new(|row| row.position > 990)),
        (RequestQuery { before: Some(Position(9)), ..any.clone() }, Box::new(|row| row.position < 9)),
        (
            RequestQuery { endpoint: Some(Whose::Endpoint(endpoint(2))), ..any.clone() },
            Box::new(|row| row.endpoint_id == Some(endpoint(2).to_string())),
        ),
        (RequestQuery { endpoint: Some(Whose::Nobody), ..any.clone() }, Box::new(|row| row.endpoint_id.is_none())),
        (RequestQuery { model: Some(request(3).model), ..any.clone() }, Box::new(|row| row.model == request(3).model)),
        (RequestQuery { api: Some(Api::Embeddings), ..any.clone() }, Box::new(|row| row.api == "embeddings")),
        (
            RequestQuery { outcomes: vec![Outcome::Timeout, Outcome::Refused], ..any.clone() },
            Box::new(|row| is_some(&row.outcome)),
        ),
        (RequestQuery { http_status: Some(203), ..any.clone() }, Box::new(|row| row.http_status == Some(203))),
        (
            RequestQuery { client: Some("192.0.2.3".into()), ..any.clone() },
            Box::new(|row| row.client.as_deref() == Some("192.0.2.3")),
        ),
        (RequestQuery { key: Some(key), ..any.clone() }, Box::new(|row| row.key_id.is_some())),
        (RequestQuery { request: Some(Uuid::from_u128(77)), ..any.clone() }, Box::new(|row| row.position == 77)),
        (
            RequestQuery { client: Some("192.0.2.1".into()), api: Some(Api::Embeddings), ..any.clone() },
            Box::new(|row| row.client.as_deref() == Some("192.0.2.1") && row.api == "embeddings"),
        ),
        (RequestQuery { model: Some("nothing".into()), ..any.clone() }, Box::new(|_| false)),
    ];
    for (query, keep) in cases {
        let mut expected = expect(&*keep);
        let page = reader.requests(&query).await.unwrap();
        assert_eq!((page.rows, page.next), (expected.clone(), None), "{query:?}");
        // The same from the newest on, page by page, with a scan that is shorter than the table.
        expected.reverse();
        let (mut found, mut before, mut pages) = (Vec::new(), query.before, 0);
        loop {
            let query = RequestQuery { before, order: Order::NewestFirst, limit: 60, scan: 90, ..query.clone() };
            let page = reader.requests(&query).await.unwrap();
            found.extend(page.rows);
            pages += 1;
            assert!(pages < 50, "{query:?}");
            match page.next {
                Some(next) => before = Some(next),
                None => break,
            }
        }
        assert_eq!(found, expected, "{query:?}");
    }
    for (number, expected) in [(0, None), (1, None), (2, Some(1)), (500, Some(499)), (5000, Some(1000))] {
        let time = Timestamp(1_700_000_000_000_000 + number * 100_000);
        assert_eq!(reader.requests_before(time).await.unwrap(), expected.map(Position), "before the time of {number}");
    }
    assert_eq!(reader.requests_beyond(1000).await.unwrap(), None);
    assert_eq!(reader.requests_beyond(10).await.unwrap(), Some(Position(990)));
}

fn day(day: &str, model: &str, success: i64) -> DayRow {
    DayRow {
        day: day.into(),
        endpoint_id: endpoint(1).to_string(),
        model: model.into(),
        api: "completions".into(),
        success,
        output_tokens: 7,
        ..DayRow::default()
    }
}

pub async fn sums_of_days_add_up(mut site: impl Database) {
    let mut log = site.log().await;
    let first = [day("2026-01-30", "a", 3), day("2026-01-31", "a", 1), day("2026-01-31", "b'", 5)];
    log.project(Rows::RequestDays(&first), Position(0), Position(10)).await.unwrap();
    let second = [day("2026-01-31", "a", 2), day("2026-02-01", "a", 8)];
    assert!(log.project(Rows::RequestDays(&second), Position(9), Position(20)).await.is_err(), "it stands at 10");
    log.project(Rows::RequestDays(&second), Position(10), Position(20)).await.unwrap();
    let reader = log.reader();
    let both = DayRow { output_tokens: 14, ..day("2026-01-31", "a", 3) };
    let january = reader.request_days("2026-01-01", "2026-01-31").await.unwrap();
    assert_eq!(january, [day("2026-01-30", "a", 3), both, day("2026-01-31", "b'", 5)]);
    // From the base of a cut: what it knows replaces the days that it knows, and those before them stay.
    log.begin_days(&[day("2026-01-31", "a", 100)], Position(15)).await.unwrap();
    let all = reader.request_days("", "9999").await.unwrap();
    assert_eq!(all, [day("2026-01-30", "a", 3), day("2026-01-31", "a", 100)]);
    let checkpoint = reader.checkpoint(Model::RequestDays).await.unwrap();
    assert_eq!(checkpoint, Some(Checkpoint { position: Position(15), schema: Model::RequestDays.schema() }));
    assert_eq!(log.forget_days("2026-01-31").await.unwrap(), 1);
    assert_eq!(reader.request_days("", "9999").await.unwrap().len(), 1);
    log.clear(Model::RequestDays, Position(0)).await.unwrap();
    assert_eq!(reader.request_days("", "9999").await.unwrap(), []);
}

pub async fn old_requests_go_and_the_sums_stay(mut site: impl Database) {
    let mut log = site.log().await;
    let rows: Vec<_> = (1..=45_000).map(request).collect();
    log.project(Rows::Requests(&rows), Position(0), Position(45_000)).await.unwrap();
    log.project(Rows::RequestDays(&[day("2026-01-30", "a", 3)]), Position(0), Position(45_000)).await.unwrap();
    let reader = log.reader();
    assert_eq!(reader.requests_cut_through().await.unwrap(), Position(0));
    let mut pieces = Vec::new();
    loop {
        match log.forget_requests(Position(44_990)).await.unwrap() {
            0 => break,
            gone => pieces.push(gone),
        }
    }
    assert_eq!(pieces, [20_000, 20_000, 4_990], "a commit of the log waits for no more than a piece");
    assert_eq!(reader.requests_cut_through().await.unwrap(), Position(44_990));
    let all = RequestQuery { limit: 100, ..RequestQuery::default() };
    assert_eq!(reader.requests(&all).await.unwrap().rows, rows[44_990..]);
    assert_eq!(reader.request_days("", "9999").await.unwrap().len(), 1);
    // What was cut from the log cannot be read again, so that it stays when the rest is built anew.
    log.clear(Model::Requests, Position(44_995)).await.unwrap();
    assert_eq!(reader.requests(&all).await.unwrap().rows, rows[44_990..44_995]);
}
