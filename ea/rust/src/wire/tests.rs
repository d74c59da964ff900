use super::sample::{answers, desk, envelope, identity, key, key_id, requests, trade};
use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use tidehelm_events::trade::{Affixes, Holding};

fn hello(codec: Codec) -> Vec<u8> {
    encode(&envelope(Request::from(Hello {})), codec)
}

fn place() -> Place {
    Place { socket: Socket::Session, direction: Direction::Up, desk: desk() }
}

#[test]
fn a_signature_is_good_for_its_key_its_place_and_its_bytes_only() {
    let inner = hello(Codec::Binary);
    let signed = sign(&inner, key_id(), &key(), &place());
    let frame = open(&signed).unwrap();
    assert_eq!((frame.key(), frame.inner, frame.codec), (Some(key_id()), &inner[..], Codec::Binary));
    assert!(frame.is_by(&key(), &place()));
    assert!(!frame.is_by(&Key([0x5f; 32]), &place()));
    let other_desk = tidehelm_events::id::DeskId(uuid::Uuid::from_u128(1));
    for other in [
        Place { socket: Socket::Uplink, ..place() },
        Place { direction: Direction::Down, ..place() },
        Place { desk: other_desk, ..place() },
    ] {
        assert!(!frame.is_by(&key(), &other), "{other:?}");
    }
    // The id of the key only says which one to try.
    for at in 17..signed.len() {
        let mut changed = signed.clone();
        changed[at] ^= 1;
        assert!(!open(&changed).is_ok_and(|frame| frame.is_by(&key(), &place())), "byte {at}");
    }
    assert!(!open(&inner).unwrap().is_by(&key(), &place()), "what is not signed is by nobody");
}

#[test]
fn the_mac_is_the_one_that_the_documents_describe() {
    use hmac::{Hmac, KeyInit, Mac};
    let inner = hello(Codec::Json);
    let mut text = b"tidehelm/1|session|up|00000000-0000-0000-0000-00000000de5c|".to_vec();
    text.extend_from_slice(&inner);
    let mac = Hmac::<sha2::Sha256>::new_from_slice(&[0x5e; 32]).unwrap().chain_update(&text).finalize().into_bytes();
    let mut expected = vec![2];
    expected.extend_from_slice(key_id().0.as_bytes());
    expected.extend_from_slice(&mac);
    expected.extend_from_slice(&inner);
    assert_eq!(sign(&inner, key_id(), &key(), &place()), expected);
}

#[test]
fn a_key_is_not_shown() {
    let paired = Paired { key_id: key_id(), key: key() };
    assert!(!format!("{paired:?}").contains("5e"), "{paired:?}");
}

#[test]
fn what_is_no_frame_has_a_name() {
    let binary = hello(Codec::Binary);
    let signed = sign(&binary, key_id(), &key(), &place());
    let twice = sign(&signed, key_id(), &key(), &place());
    let mut batch = Batch::default();
    assert!(batch.push(&binary));
    let batch = batch.take();
    let table: Vec<(&str, Vec<u8>)> = vec![
        ("frame_empty", vec![]),
        ("frame_codec_unknown", b"[1]".to_vec()),
        ("frame_truncated", signed[..48].to_vec()),
        ("frame_empty", signed[..49].to_vec()),
        ("frame_nested", twice),
        ("frame_nested", sign(&batch, key_id(), &key(), &place())),
        ("frame_batch_here", batch),
        ("frame_truncated", binary[..4].to_vec()),
        ("frame_malformed", binary[..binary.len() - 1].to_vec()),
        ("frame_malformed", [&binary[..], &[0]].concat()),
        ("frame_kind_unknown", [&[1, 200, 0], &binary[3..]].concat()),
        ("frame_schema_unknown", [&[1, 1, 0, 2, 0], &binary[5..]].concat()),
        ("frame_version_unknown", [&binary[..5], &[2], &binary[6..]].concat()),
        ("frame_version_unknown", json(r#"{"v":2,"account":"A_1","role":"slave","kind":"hello","body":{}}"#)),
        ("frame_kind_unknown", json(r#"{"v":1,"account":"A_1","role":"slave","kind":"welcome","body":{}}"#)),
        ("frame_malformed", json(r#"{"v":1,"account":"A 1","role":"slave","kind":"hello","body":{}}"#)),
        ("frame_malformed", json(r#"{"v":1,"account":"A_1","role":"owner","kind":"hello","body":{}}"#)),
        ("frame_malformed", json(r#"{"v":1,"account":"A_1","role":"slave","kind":"hello"}"#)),
        ("frame_malformed", json(r#"{"v":1,"account":"A_1","role":"slave","kind":"pair","body":{}}"#)),
        ("frame_malformed", json(r#"{"v":1,"account":"A_1","role":"slave","kind":"hello","body":{}} x"#)),
    ];
    for (code, bytes) in table {
        let read = open(&bytes).and_then(|frame| decode::<Request>(frame.inner));
        let text = String::from_utf8_lossy(&bytes);
        assert_eq!(read.map_err(|error| error.code()), Err(code), "{text}");
    }
}

fn json(text: &str) -> Vec<u8> {
    text.into()
}

#[test]
fn a_json_frame_may_leave_out_what_is_not_set_and_say_more_than_we_know() {
    let text = r#"{"v":1,"account":"A_1","role":"slave","kind":"heartbeat","news":[1],"body":{
        "balance":10000.10,"equity":"10000.1","free_margin":0,"open_positions":0,"trade_allowed":true,"mood":"good",
        "state_hash":"0000000000000000000000000000000000000000000000000000000000000000","through_signal_seq":0}}"#;
    let Request::Heartbeat(heartbeat) = decode::<Request>(text.as_bytes()).unwrap().body else { panic!("a heartbeat") };
    assert_eq!((heartbeat.balance, heartbeat.identity), (heartbeat.equity, None));
}

#[test]
fn only_what_lists_an_accounts_own_may_be_large() {
    let comment = "c".repeat(100);
    let held = |ticket| Held {
        trade: tidehelm_events::trade::Trade { comment: comment.clone(), ..trade(ticket) },
        order: None,
    };
    let snapshot =
        |count| Request::from(PositionSnapshot { trades: (0..count).map(held).collect(), through_signal_seq: 0 });
    let pair = |length| Request::from(Pair { code: "c".repeat(length) });
    for codec in [Codec::Json, Codec::Binary] {
        let read = |body: Request| {
            decode::<Request>(&encode(&envelope(body), codec)).map(|_| ()).map_err(|error| error.code())
        };
        assert_eq!(read(snapshot(2000)), Ok(()), "{codec:?}");
        assert_eq!(read(snapshot(20_000)), Err("frame_too_large"), "{codec:?}");
        assert_eq!(read(pair(60_000)), Ok(()), "{codec:?}");
        assert_eq!(read(pair(FRAME_MAX)), Err("frame_too_large"), "{codec:?}");
    }
}

#[test]
fn a_large_contract_table_fits() {
    let contract = match requests().into_iter().nth(2) {
        Some(Request::Register(register)) => register.contracts.into_values().next().unwrap(),
        other => panic!("{other:?}"),
    };
    let symbols = (0..4000).map(|number| tidehelm_events::trade::Symbol::new(format!("SYMBOL{number}.pro")).unwrap());
    let contracts: BTreeMap<_, _> = symbols.map(|symbol| (symbol, contract.clone())).collect();
    let (nonce, holding, affixes) = (Nonce([1; 16]), Holding::Hedging, Affixes::default());
    let register = Register { nonce, identity: identity(), holding, trade_allowed: true, affixes, contracts };
    for codec in [Codec::Json, Codec::Binary] {
        let frame = encode(&envelope(Request::from(register.clone())), codec);
        assert!(decode::<Request>(&frame).is_ok(), "{codec:?}: {} bytes", frame.len());
    }
}

#[test]
fn a_length_that_is_not_there_is_not_believed() {
    // A snapshot that claims u64::MAX trades.
    let mut frame =
        encode(&envelope(Request::from(PositionSnapshot { trades: vec![], through_signal_seq: 0 })), Codec::Binary);
    frame.truncate(frame.len() - 2);
    frame.extend_from_slice(&[0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]);
    assert_eq!(decode::<Request>(&frame).map_err(|error| error.code()), Err("frame_malformed"));
}

#[test]
fn a_batch_is_its_frames_until_something_is_wrong() {
    let (one, two) = (hello(Codec::Json), sign(&hello(Codec::Binary), key_id(), &key(), &place()));
    let mut batch = Batch::default();
    assert!(batch.is_empty() && batch.push(&one) && batch.push(&two) && !batch.is_empty());
    let batch = batch.take();
    let frames = |message: &[u8]| split(message).map(|frame| frame.map(<[u8]>::to_vec)).collect::<Vec<_>>();
    assert_eq!(frames(&batch), [Ok(one.clone()), Ok(two.clone())]);
    assert_eq!(frames(&one), [Ok(one.clone())], "a single frame is no batch");
    let cut = frames(&batch[..batch.len() - 1]);
    assert_eq!((cut.len(), &cut[0]), (2, &Ok(one)));
    assert_eq!(cut[1].as_ref().map_err(FrameError::code), Err("frame_truncated"));
    let nested = [&[3][..], &(batch.len() as u32).to_le_bytes(), &batch].concat();
    assert_eq!(frames(&nested), [Err(FrameError::BatchHere)]);
    assert_eq!(frames(&[3]), []);
}

#[test]
fn a_batch_takes_no_more_than_a_message_may_hold() {
    let mut batch = Batch::default();
    let frame = vec![b'{'; 1000];
    let mut count = 0;
    while batch.push(&frame) {
        count += 1;
    }
    let message = batch.take();
    assert!(message.len() <= BATCH_MAX && message.len() + 1004 > BATCH_MAX);
    assert_eq!(split(&message).filter_map(Result::ok).count(), count);
    let too_large = [message, vec![0; 1004]].concat();
    assert_eq!(
        split(&too_large).map(|frame| frame.map_err(|error| error.code())).collect::<Vec<_>>(),
        [Err("frame_too_large")]
    );
}

proptest! {
    #[test]
    fn noise_is_refused_and_nothing_panics(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&bytes);
    }

    #[test]
    fn a_damaged_frame_is_read_or_refused(which in 0usize..18, binary: bool, at: prop::sample::Index, byte: u8, cut: prop::sample::Index) {
        let codec = if binary { Codec::Binary } else { Codec::Json };
        let mut bytes = match which {
            0..12 => encode(&envelope(requests().swap_remove(which)), codec),
            _ => encode(&envelope(answers().swap_remove(which - 12)), codec),
        };
        let at = at.index(bytes.len());
        bytes[at] = byte;
        read_all(&bytes);
        read_all(&bytes[..cut.index(bytes.len())]);
        read_all(&sign(&bytes, key_id(), &key(), &place()));
    }

    #[test]
    fn what_is_read_is_written_and_read_again(which in 0usize..12, binary: bool, at: prop::sample::Index, byte: u8) {
        let codec = if binary { Codec::Binary } else { Codec::Json };
        let mut bytes = encode(&envelope(requests().swap_remove(which)), codec);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        if let Ok(read) = decode::<Request>(&bytes) {
            for codec in [Codec::Json, Codec::Binary] {
                let again = decode::<Request>(&encode(&read, codec));
                prop_assert_eq!(again.as_ref(), Ok(&read));
            }
        }
    }
}

fn read_all(bytes: &[u8]) {
    for frame in split(bytes).flatten() {
        if let Ok(frame) = open(frame) {
            let _ = frame.is_by(&key(), &place());
            let _ = decode::<Request>(frame.inner);
            let _ = decode::<Answer>(frame.inner);
        }
    }
}
