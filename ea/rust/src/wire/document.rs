//! `docs/ea.md` says what is so: its bytes are read, and its tables held against the structs.
#![allow(clippy::disallowed_methods, reason = "the document is read here")]

use super::sample::{answers, decimal, desk, envelope, key, key_id, order, order_id, requests, result, trade};
use super::*;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use tidehelm_events::id::Role;
use tidehelm_events::time::Timestamp;
use tidehelm_events::trade::{Change, Instruction, Order, OrderResult, Ticket, Trade};

fn document() -> String {
    std::fs::read_to_string(PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/ea.md")).unwrap()
}

fn block(name: &str) -> String {
    let document = document();
    let (_, rest) = document.split_once(&format!("\n```text {name}\n")).unwrap_or_else(|| panic!("no block {name}"));
    rest.split_once("\n```").unwrap().0.to_string()
}

/// The bytes of a dump, whose text beside them must fit.
fn bytes(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    for line in block(name).lines() {
        let (offset, rest) = line.split_once(": ").unwrap();
        assert_eq!(usize::from_str_radix(offset, 16).unwrap(), bytes.len(), "{name}: {line}");
        let (hex, text) = rest.split_once("  ").unwrap();
        let row: Vec<u8> = hex.split(' ').map(|byte| u8::from_str_radix(byte, 16).unwrap()).collect();
        let shown: String =
            row.iter().map(|byte| if (0x20..0x7f).contains(byte) { char::from(*byte) } else { '.' }).collect();
        assert_eq!(text.trim_start(), shown, "{name}: {line}");
        bytes.extend(row);
    }
    bytes
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// The frame of a message on `session` with the id 1.
fn framed(message: &[u8]) -> &[u8] {
    let (length, rest) = message.split_first_chunk::<8>().unwrap();
    assert_eq!(u64::from_be_bytes(*length), rest.len() as u64);
    rest.strip_prefix(&[0x80, 0, 0, 1]).unwrap()
}

#[test]
fn the_bytes_of_hello_and_its_answer_are_what_is_sent() {
    let account = sample::account("Demo_1");
    let said = Envelope {
        account,
        role: Role::Slave,
        epoch: 0,
        seq: 1,
        sent_at: Timestamp(1_767_225_600_000_000),
        body: Request::from(Hello {}),
    };
    let hello = bytes("hello");
    assert_eq!(framed(&hello), encode(&said, Codec::Json));
    let Envelope { account, role, epoch, seq, .. } = said;
    let body = Answer::from(Welcome { desk: desk(), nonce: Nonce([0xa5; 16]) });
    let answer = Envelope { account, role, epoch, seq, sent_at: Timestamp(1_767_225_600_000_321), body };
    assert_eq!(framed(&bytes("welcome")), encode(&answer, Codec::Json));
}

#[test]
fn the_worked_signature_is_right_and_the_golden_one() {
    let signed = bytes("signed");
    let golden = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../golden/signed_session_up.bin");
    assert_eq!(signed, std::fs::read(golden).unwrap());
    let block = block("mac");
    let lines: BTreeMap<&str, &str> =
        block.lines().map(|line| line.split_once(' ').unwrap()).map(|(name, value)| (name, value.trim())).collect();
    use hmac::{Hmac, KeyInit, Mac};
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&unhex(lines["key"])).unwrap();
    let mac = mac.chain_update(lines["place"]).chain_update(lines["frame"]).finalize().into_bytes();
    assert_eq!(mac.to_vec(), unhex(lines["mac"]));
    assert_eq!((&signed[17..49], &signed[49..]), (&mac[..], lines["frame"].as_bytes()));
    let place = Place { socket: Socket::Session, direction: Direction::Up, desk: desk() };
    assert!(open(&signed).unwrap().is_by(&key(), &place) && open(&signed).unwrap().key() == Some(key_id()));
}

/// What the tables say a thing is made of.
#[derive(Debug, Default)]
struct Shape {
    one_of: bool,
    number: Option<u16>,
    fields: BTreeMap<String, Field>,
}

#[derive(Debug, Clone)]
struct Field {
    is: String,
    optional: bool,
    may_miss: bool,
}

type Shapes = BTreeMap<String, Shape>;

fn shapes() -> Shapes {
    let document = document();
    let (_, tables) = document.split_once("\n## Messages\n").unwrap();
    let (tables, _) = tables.split_once("\n## ").unwrap();
    let mut shapes = Shapes::new();
    let mut name = String::new();
    for line in tables.lines().filter(|line| line.starts_with("| ") && !line.contains("| Field |")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [first, field, is, _] = cells[..] else { panic!("{line}") };
        if !first.is_empty() {
            let (quoted, more) = first.trim_start_matches('`').split_once('`').unwrap();
            name = quoted.to_string();
            let shape = Shape { one_of: more == " one of", number: more.trim().parse().ok(), fields: BTreeMap::new() };
            assert!(shapes.insert(name.clone(), shape).is_none(), "{name} is told twice");
        }
        let (is, optional) = is.strip_suffix(", optional").map_or((is, false), |is| (is, true));
        let (is, may_miss) = is.strip_suffix(", may be missing").map_or((is, false), |is| (is, true));
        let field = (field.trim_matches('`').to_string(), Field { is: is.into(), optional, may_miss });
        shapes.get_mut(&name).unwrap().fields.insert(field.0, field.1);
    }
    shapes
}

/// Looks at values as the tables describe them.
struct Look<'a> {
    shapes: &'a Shapes,
    seen: BTreeSet<(String, String)>,
    /// Each field that is there: where, and what the tables say of it.
    found: Vec<(String, Field)>,
}

impl Look<'_> {
    fn shape(&mut self, name: &str, value: &Value, at: &str) {
        let shape = self.shapes.get(name).unwrap_or_else(|| panic!("{name} is not in the document"));
        let keys: Vec<&String> = value.as_object().unwrap_or_else(|| panic!("{at}: {value}")).keys().collect();
        if shape.one_of {
            assert!(keys.len() == 1 && shape.fields.contains_key(keys[0]), "{name}: {keys:?}");
        } else {
            assert_eq!(keys.iter().collect::<BTreeSet<_>>(), shape.fields.keys().collect::<Vec<_>>().iter().collect());
        }
        for key in keys {
            let (field, value, at) = (&shape.fields[key], &value[key], format!("{at}/{key}"));
            if !shape.one_of {
                self.found.push((at.clone(), field.clone()));
            }
            if value.is_null() {
                assert!(field.optional, "{at} is null");
                continue;
            }
            self.seen.insert((name.into(), key.clone()));
            self.value(&field.is, value, &at);
        }
    }

    fn value(&mut self, is: &str, value: &Value, at: &str) {
        let text = value.as_str();
        let hex = |bytes: usize| text.is_some_and(|text| text.len() == 2 * bytes && unhex(text).len() == bytes);
        let fits = match is {
            "text" => text.is_some(),
            "number" | "time" => value.is_i64() || value.is_u64(),
            "decimal" => text.is_some_and(|text| text.parse::<tidehelm_events::money::Number>().is_ok()),
            "yes or no" => value.is_boolean(),
            "uuid" => text.is_some_and(|text| text.parse::<uuid::Uuid>().is_ok()),
            "object" => value.is_object(),
            "16 bytes" => hex(16),
            "32 bytes" => hex(32),
            _ => return self.composed(is, value, at),
        };
        assert!(fits, "{at} is {value}, not {is}");
    }

    fn composed(&mut self, is: &str, value: &Value, at: &str) {
        if let Some(of) = is.strip_prefix("list of ") {
            let items = value.as_array().unwrap_or_else(|| panic!("{at}: {value}"));
            items.iter().enumerate().for_each(|(index, item)| self.value(of, item, &format!("{at}/{index}")));
        } else if let Some(of) = is.strip_prefix("map of ") {
            let items = value.as_object().unwrap_or_else(|| panic!("{at}: {value}"));
            items.iter().for_each(|(name, item)| self.value(of, item, &format!("{at}/{name}")));
        } else if words(is).len() == 1 {
            self.shape(is.trim_matches('`'), value, at);
        } else {
            assert!(words(is).contains(&value.as_str().unwrap_or_default()), "{at} is {value}, not {is}");
        }
    }
}

/// What stands in backticks.
fn words(is: &str) -> Vec<&str> {
    is.split('`').skip(1).step_by(2).collect()
}

fn check<B: Body>(look: &mut Look<'_>, body: B) {
    let kind = body.kind();
    let document: Value = serde_json::from_slice(&encode(&envelope(body), Codec::Json)).unwrap();
    let reads = |document: &Value| decode::<B>(&serde_json::to_vec(document).unwrap()).is_ok();
    assert!(reads(&document));
    look.found.clear();
    look.shape("frame", &document, "");
    if document["body"].as_object().is_some_and(|body| !body.is_empty()) {
        look.shape(kind.name, &document["body"], "/body");
        assert_eq!(look.shapes[kind.name].number, Some(kind.number), "{}", kind.name);
    }
    for (at, field) in std::mem::take(&mut look.found) {
        let (parent, name) = at.rsplit_once('/').unwrap();
        let mut without = document.clone();
        without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(name);
        assert_eq!(reads(&without), field.optional || field.may_miss, "{} without {at}", kind.name);
        let mut with = document.clone();
        *with.pointer_mut(&at).unwrap() = Value::Null;
        assert_eq!(reads(&with), field.optional, "{} with null at {at}", kind.name);
        let words = words(&field.is);
        for word in words.iter().filter(|_| words.len() > 1) {
            *with.pointer_mut(&at).unwrap() = json!(word);
            assert!(reads(&with), "{at} cannot be {word}");
        }
    }
}

/// What the samples leave out, so that every field is seen.
fn more() -> (Vec<Request>, Vec<Answer>) {
    let (price, ticket) = (Some(decimal("1.5")), Ticket(900));
    let changes = [
        Change::Open(Trade { tp: price, ..trade(900) }),
        Change::Modify { ticket, price, sl: price, tp: price, lots: Some(decimal("2")) },
        Change::Close { ticket, ratio: Some(decimal("0.5")), remaining: Some(decimal("1")), price },
    ];
    let signal = |change| Signal { signal_seq: 1, change, broker_at: None, seen_at: Timestamp(2) };
    let mut requests: Vec<Request> = changes.into_iter().map(|change| signal(change).into()).collect();
    requests.push(OrderResult { sl: price, ..result(order_id(1)) }.into());
    let mut opening = order();
    if let Instruction::Open { sl, .. } = &mut opening.instruction {
        *sl = price;
    }
    opening.stamps.received = Some(Timestamp(3));
    let modify = Instruction::Modify { of: order_id(1), price, sl: price, tp: price };
    let close = Instruction::Close { of: order_id(1), lots: Some(decimal("1")) };
    let orders = [opening, Order { instruction: modify, ..order() }, Order { instruction: close, ..order() }];
    let list = orders.into_iter().map(|order| Delivery::Order(Box::new(order))).collect();
    (requests, vec![Deliveries { list }.into()])
}

#[test]
fn the_tables_are_the_structs() {
    let shapes = shapes();
    let mut look = Look { shapes: &shapes, seen: BTreeSet::new(), found: Vec::new() };
    let (more_requests, more_answers) = more();
    requests().into_iter().chain(more_requests).for_each(|body| check(&mut look, body));
    answers().into_iter().chain(more_answers).for_each(|body| check(&mut look, body));
    let told = shapes.iter().flat_map(|(name, shape)| shape.fields.keys().map(|field| (name.clone(), field.clone())));
    assert_eq!(told.collect::<BTreeSet<_>>(), look.seen, "the document tells of something that there is not");
    assert!(look.seen.len() > 130, "{}", look.seen.len());
}

#[test]
fn every_code_that_a_terminal_acts_upon_is_told() {
    let document = document();
    for code in [
        code::EPOCH_SUPERSEDED,
        code::EPOCH_UNKNOWN,
        code::NONCE_UNKNOWN,
        code::SIGNAL_GAP,
        code::TOO_MANY_REQUESTS,
        code::UNAVAILABLE,
        code::SUPERSEDED,
        code::SIGNATURE_MISSING,
        code::SIGNATURE_WRONG,
        code::SEQ_REUSED,
    ] {
        assert!(document.contains(&format!("`{code}`")), "{code}");
    }
}
