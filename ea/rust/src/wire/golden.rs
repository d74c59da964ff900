//! Golden frames: what is agreed between terminals and desks of any build, in `ea/golden/`, for clients in other languages too.
//!
//! `TIDEHELM_BLESS=1` writes files that are missing, never over one: a changed layout wants a new schema number.
#![allow(clippy::disallowed_methods, reason = "golden files are read here, and written when they are blessed")]

use super::sample::{answers, desk, envelope, key, key_id, requests};
use super::*;
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

fn path(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../golden").join(name)
}

fn blessing() -> bool {
    std::env::var_os("TIDEHELM_BLESS").is_some_and(|value| value == "1")
}

/// The file's bytes; `new` where there is none yet and it is to be blessed.
fn golden(name: &str, new: &[u8]) -> Vec<u8> {
    let path = path(name);
    if !path.exists() && blessing() {
        fs::write(&path, new).unwrap();
    }
    fs::read(&path).unwrap_or_else(|error| panic!("golden/{name}: {error}; TIDEHELM_BLESS=1 writes what is missing"))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn stem(kind: Kind) -> String {
    format!("{:03}_{}.v{}", kind.number, kind.name, kind.schema)
}

fn check<B: Body + Clone + PartialEq + std::fmt::Debug>(body: B) {
    let (kind, envelope) = (body.kind(), envelope(body));
    for (codec, ending) in [(Codec::Json, "json"), (Codec::Binary, "bin")] {
        let name = format!("{}.{ending}", stem(kind));
        let written = encode(&envelope, codec);
        let kept = golden(&name, &written);
        assert_eq!(decode::<B>(&kept).as_ref(), Ok(&envelope), "{name} means something else");
        assert_eq!(hex(&written), hex(&kept), "{name} is written otherwise: {}", String::from_utf8_lossy(&written));
    }
}

#[test]
fn every_frame_reads_and_writes_as_agreed() {
    requests().into_iter().for_each(check);
    answers().into_iter().for_each(check);
}

#[test]
fn every_kind_has_a_sample_and_numbers_and_names_are_given_once() {
    let sampled: Vec<Kind> = requests().iter().map(Body::kind).chain(answers().iter().map(Body::kind)).collect();
    let known: Vec<Kind> = Request::kinds().iter().chain(Answer::kinds()).copied().collect();
    assert_eq!(sampled, known);
    let numbers: BTreeSet<_> = known.iter().map(|kind| kind.number).collect();
    let names: BTreeSet<_> = known.iter().map(|kind| kind.name).collect();
    assert_eq!((numbers.len(), names.len()), (known.len(), known.len()));
}

/// With the key of 32 times 0x5e, for the desk `00000000-0000-0000-0000-00000000de5c`.
#[test]
fn signed_frames_and_batches_are_written_as_agreed() {
    let places = [
        ("uplink_up", Socket::Uplink, Direction::Up),
        ("session_up", Socket::Session, Direction::Up),
        ("session_down", Socket::Session, Direction::Down),
    ];
    let inner = encode(&envelope(Request::from(Hello {})), Codec::Json);
    let mut batch = Batch::default();
    for (name, socket, direction) in places {
        let place = Place { socket, direction, desk: desk() };
        let signed = sign(&inner, key_id(), &key(), &place);
        let kept = golden(&format!("signed_{name}.bin"), &signed);
        assert_eq!(hex(&signed), hex(&kept), "{name}");
        assert!(open(&kept).unwrap().is_by(&key(), &place));
        assert!(batch.push(&signed));
    }
    assert!(batch.push(&inner));
    let batch = batch.take();
    assert_eq!(hex(&batch), hex(&golden("batch.bin", &batch)));
    assert_eq!(split(&batch).filter_map(Result::ok).count(), 4);
}

#[test]
fn every_golden_file_belongs_to_something() {
    if blessing() {
        return; // the other tests are still writing
    }
    let kinds = Request::kinds().iter().chain(Answer::kinds());
    let mut expected: BTreeSet<String> =
        kinds.flat_map(|kind| [format!("{}.json", stem(*kind)), format!("{}.bin", stem(*kind))]).collect();
    expected.extend(
        ["signed_uplink_up.bin", "signed_session_up.bin", "signed_session_down.bin", "batch.bin"].map(String::from),
    );
    let found = fs::read_dir(path("")).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(found.collect::<BTreeSet<_>>(), expected);
}
