//! The events as records.

use super::*;
use std::collections::BTreeSet;

#[test]
fn every_kind_has_a_sample_that_survives_its_bytes_and_its_json() {
    let samples = event::samples();
    let kinds: Vec<_> = samples.iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
    assert!(kinds.is_sorted_by_key(|kind| kind.number) && kinds.iter().all(|kind| (500..530).contains(&kind.number)));
    for event in samples {
        let (kind, mut bytes) = (event.kind(), Vec::new());
        event.encode(&mut bytes);
        assert_eq!(Event::decode(kind.number, kind.schema, &bytes), Some(Ok(event.clone())));
        let json = event.to_json();
        assert_eq!(Event::from_json(kind.name, &json).unwrap().unwrap(), event, "{json}");
    }
}

#[test]
fn codes_are_what_the_log_says() {
    for why in Unused::ALL {
        assert_eq!(serde_json::to_value(why).unwrap(), why.code());
    }
    assert_eq!(Unused::ALL.iter().map(|why| why.code()).collect::<BTreeSet<_>>().len(), Unused::ALL.len());
}

#[test]
fn a_quote_is_small() {
    let mut bytes = Vec::new();
    let (source_at, received_at) = (START, START + Span::millis(12));
    let quote = Quote { bid_size: Size(120_000_000), ask_size: Size(50_000_000), ..around(50_000) };
    Event::QuoteSeen(QuoteSeen { quote, source_at, received_at }).encode(&mut bytes);
    assert!(bytes.len() <= 46, "{} bytes", bytes.len());
}
