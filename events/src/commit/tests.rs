use super::*;
use crate::event::Unknown;
use crate::id::AccountId;
use crate::sample;
use proptest::prelude::*;

fn sealing(previous: Head) -> Sealing {
    Sealing {
        previous,
        now: sample::START,
        node: NodeId(Uuid::from_u128(3)),
        epoch: Epoch(2),
        reacted: Reacted { cause: Position(4), index: 1 },
    }
}

fn head(position: u64) -> Head {
    Head { position: Position(position), hash: Hash([9; 32]), epoch: Epoch(1), committed_at: Timestamp(77) }
}

fn names(ids: &[&str]) -> Vec<(StreamNo, StreamId)> {
    ids.iter().enumerate().map(|(number, id)| (StreamNo(number as u32), id.parse().unwrap())).collect()
}

fn beat(position: u64) -> Record {
    sample::record(position, 1, position, Event::Account(crate::account::Event::HeartbeatSeen(sample::heartbeat(true))))
}
fn fact(position: u64) -> Record {
    sample::record(position, 0, position, Event::Desk(sample::desk_events().swap_remove(2)))
}
fn unknown(position: u64) -> Record {
    let event = Unknown { number: 60_000, schema: 2, bytes: vec![1, 2, 3] };
    sample::record(position, 0, position, Event::Unknown(event))
}

/// Both blobs, a new name, a kind that nobody knows.
fn small() -> (Head, Commit) {
    let records = [fact(6), beat(7), unknown(8), beat(9)];
    (head(5), pack(&names(&["desk", "slave/A_12"]), &records, &sealing(head(5))))
}

#[test]
fn a_commit_follows_the_head_that_it_was_packed_on() {
    let (previous, commit) = small();
    assert_eq!(commit.check(&previous), Ok(()));
    let Header { first, last, kept_count, telemetry_count, prev_hash, .. } = commit.header;
    assert_eq!((first, last, kept_count, telemetry_count), (Position(6), Position(9), 2, 2));
    assert_eq!(prev_hash, previous.hash);
    let next = pack(&[], &[beat(10)], &sealing(commit.head()));
    assert_eq!(next.check(&commit.head()), Ok(()));
    assert!(next.kept.is_empty(), "telemetry alone without a new name keeps nothing");
}

#[test]
fn a_commit_is_never_older_than_the_one_before() {
    let later = Head { committed_at: sample::START + crate::time::Span::hours(1), ..head(5) };
    let commit = pack(&[], &[fact(6)], &sealing(later));
    assert_eq!(commit.header.committed_at, later.committed_at);
    assert_eq!(commit.unpack().unwrap().records, [fact(6)]);
}

#[test]
fn each_way_of_not_following_has_its_name() {
    let (previous, commit) = small();
    let at = Position(6);
    for position in [4, 6, 1000] {
        let expected = Position(position + 1);
        assert_eq!(commit.check(&head(position)), Err(CommitError::Hole { at, expected }));
    }
    let other = Head { hash: Hash([8; 32]), ..previous };
    assert_eq!(commit.check(&other), Err(CommitError::Chain { at }));
    let seal = Entry::Seal(seal_of(&commit));
    assert_eq!(seal.check(&previous), Ok(()));
    assert_eq!(seal.head(), commit.head());
    assert_eq!(seal.check(&head(4)), Err(CommitError::Hole { at, expected: Position(5) }));
    assert_eq!(seal.check(&other), Err(CommitError::Chain { at }));
}

fn seal_of(commit: &Commit) -> Seal {
    let Header { first, last, prev_hash, epoch, committed_at, .. } = commit.header;
    Seal { first, last, prev_hash, last_hash: commit.hash, epoch, committed_at, commits: 1, counts: vec![] }
}

#[test]
fn a_later_format_is_refused_by_name_before_anything_else() {
    let (_, mut commit) = small();
    commit.header.format = FORMAT + 1;
    let refused = commit.check(&head(1)).unwrap_err();
    assert_eq!(refused, CommitError::Future { at: Position(6), format: FORMAT + 1 });
    assert!(refused.to_string().contains("later build"), "{refused}");
}

type Flip = (&'static str, u32, fn(&mut Commit, u32));

/// Every bit of every header field. A field that is new must be named here, or this does not build.
fn header_bits(header: &Header) -> Vec<Flip> {
    let Header { format: _, first: _, last: _, committed_at: _, node: _, epoch: _, reacted: _, .. } = header;
    let Header { kept_count: _, telemetry_count: _, kept_hash: _, telemetry_hash: _, prev_hash: _, .. } = header;
    fn flip(bytes: &mut [u8; 32], bit: u32) {
        bytes[bit as usize / 8] ^= 1 << (bit % 8);
    }
    vec![
        ("format", 16, |commit, bit| commit.header.format ^= 1 << bit),
        ("first", 64, |commit, bit| commit.header.first.0 ^= 1 << bit),
        ("last", 64, |commit, bit| commit.header.last.0 ^= 1 << bit),
        ("committed_at", 64, |commit, bit| commit.header.committed_at.0 ^= 1 << bit),
        ("node", 128, |commit, bit| commit.header.node.0 = Uuid::from_u128(commit.header.node.0.as_u128() ^ 1 << bit)),
        ("epoch", 64, |commit, bit| commit.header.epoch.0 ^= 1 << bit),
        ("reacted.cause", 64, |commit, bit| commit.header.reacted.cause.0 ^= 1 << bit),
        ("reacted.index", 32, |commit, bit| commit.header.reacted.index ^= 1 << bit),
        ("kept_count", 32, |commit, bit| commit.header.kept_count ^= 1 << bit),
        ("telemetry_count", 32, |commit, bit| commit.header.telemetry_count ^= 1 << bit),
        ("kept_hash", 256, |commit, bit| flip(&mut commit.header.kept_hash.0, bit)),
        ("telemetry_hash", 256, |commit, bit| flip(&mut commit.header.telemetry_hash.0, bit)),
        ("prev_hash", 256, |commit, bit| flip(&mut commit.header.prev_hash.0, bit)),
        ("hash", 256, |commit, bit| flip(&mut commit.hash.0, bit)),
    ]
}

#[test]
fn every_flipped_bit_is_found() {
    let (previous, good) = small();
    let mut flips = header_bits(&good.header);
    flips.push(("kept", good.kept.len() as u32 * 8, |commit, bit| commit.kept[bit as usize / 8] ^= 1 << (bit % 8)));
    let telemetry = good.telemetry.as_ref().unwrap().len() as u32;
    flips.push(("telemetry", telemetry * 8, |commit, bit| {
        commit.telemetry.as_mut().unwrap()[bit as usize / 8] ^= 1 << (bit % 8);
    }));
    let mut found = 0;
    for (what, bits, flip) in flips {
        for bit in 0..bits {
            let mut bad = good.clone();
            flip(&mut bad, bit);
            assert!(bad.check(&previous).is_err(), "bit {bit} of {what}");
            found += 1;
        }
    }
    assert!(found > 3000, "{found}");
}

#[test]
fn a_cut_commit_still_proves_what_it_keeps() {
    let (previous, mut commit) = small();
    commit.telemetry = None;
    assert_eq!(commit.check(&previous), Ok(()));
    let unpacked = commit.unpack().unwrap();
    assert_eq!(unpacked.records, [fact(6), unknown(8)]);
    assert_eq!(unpacked.names, names(&["desk", "slave/A_12"]));
    commit.kept[3] ^= 1;
    assert_eq!(commit.check(&previous), Err(CommitError::Blob { at: Position(6), blob: "kept" }));
}

#[test]
fn a_shortened_blob_is_an_error_and_never_a_panic() {
    let (_, good) = small();
    for length in 0..good.kept.len() {
        let mut bad = good.clone();
        bad.kept.truncate(length);
        assert!(bad.check_self().is_err() && bad.unpack().is_err(), "{length} bytes kept");
    }
    for length in 0..good.telemetry.as_ref().unwrap().len() {
        let mut bad = good.clone();
        bad.telemetry.as_mut().unwrap().truncate(length);
        assert!(bad.check_self().is_err() && bad.unpack().is_err(), "{length} bytes of telemetry");
    }
}

#[test]
fn counts_and_positions_must_be_those_of_the_header() {
    let wrong = |change: fn(&mut Header)| {
        let (_, mut commit) = small();
        change(&mut commit.header);
        match commit.unpack().unwrap_err() {
            CommitError::Records { at, why } => (at.0, why),
            other => panic!("{other}"),
        }
    };
    let (kept, telemetry) = ("it does not hold as many kept", "it does not hold as many telemetry");
    let positions = "its positions are not one after the other";
    for (change, at, why) in [
        ((|header| header.kept_count += 1) as fn(&mut Header), 6, kept),
        (|header| header.telemetry_count -= 1, 6, telemetry),
        (|header| header.last = Position(10), 6, positions),
        (|header| header.first = Position(5), 5, positions),
    ] {
        let found = wrong(change);
        assert!(found.0 == at && found.1.starts_with(why), "{found:?}");
    }
}

/// Spans that saturate lost the time of a terminal whose clock stood at the other end.
#[test]
fn a_mad_clock_reads_back_as_it_was_said() {
    for at in [i64::MIN, -1, 0, i64::MAX] {
        let record = Record { occurred_at: Timestamp(at), ..beat(6) };
        let commit = pack(&[], std::slice::from_ref(&record), &sealing(head(5)));
        assert_eq!(commit.unpack().unwrap().records, [record]);
    }
}

/// A length that no machine could hold is an error, not an allocation.
#[test]
fn a_boastful_length_is_an_error_and_never_a_panic() {
    let (_, good) = small();
    for length in [1 << 20, 1 << 32, 1 << 62, u64::MAX] {
        let mut claim = vec![253];
        claim.extend_from_slice(&u64::to_le_bytes(length));
        for blob in [claim.clone(), [vec![1, 0], claim.clone()].concat(), [vec![0], claim].concat()] {
            let bad = Commit { kept: blob.clone(), telemetry: Some(blob), ..good.clone() };
            assert!(bad.unpack().is_err(), "{length}");
        }
    }
}

#[test]
#[should_panic(expected = "a commit that does not follow the head")]
fn nothing_is_packed_over_a_hole() {
    pack(&[], &[fact(7)], &sealing(head(5)));
}

#[test]
#[should_panic(expected = "a commit without events")]
fn nothing_is_packed_from_nothing() {
    pack(&[], &[], &sealing(head(5)));
}

/// Better no commit than one that can never be read.
#[test]
#[should_panic(expected = "is larger than a payload may be")]
fn a_payload_that_could_not_be_read_is_not_written() {
    let action = "x".repeat(codec::PAYLOAD_MAX - 5);
    let denied = crate::desk::AccessDenied { action, needs: crate::desk::Access::Admin };
    pack(&[], &[sample::record(6, 0, 1, Event::Desk(crate::desk::Event::AccessDenied(denied)))], &sealing(head(5)));
}

#[test]
fn the_largest_payload_is_read_again() {
    let action = "x".repeat(codec::PAYLOAD_MAX - 6);
    let denied = crate::desk::AccessDenied { action, needs: crate::desk::Access::Admin };
    let record = sample::record(6, 0, 1, Event::Desk(crate::desk::Event::AccessDenied(denied)));
    let commit = pack(&[], std::slice::from_ref(&record), &sealing(head(5)));
    assert_eq!(commit.unpack().unwrap().records, [record]);
}

fn any_event() -> impl Strategy<Value = Event> {
    let known = prop::sample::select(sample::events());
    let unknown = (30_000u16.., any::<u16>(), prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(number, schema, bytes)| Event::Unknown(Unknown { number, schema, bytes }));
    prop_oneof![4 => known, 1 => unknown]
}

fn any_by() -> impl Strategy<Value = Principal> {
    prop_oneof![
        Just(Principal::Terminal),
        Just(Principal::Desk),
        Just(Principal::User(sample::user("anna"))),
        any::<u64>().prop_map(|number| Principal::Token(sample::credential(number))),
    ]
}

/// Any record at all: its times too, for a terminal's clock says what it likes.
fn any_record() -> impl Strategy<Value = Record> {
    let times = (any::<i64>(), any::<i64>(), any::<i64>());
    let place = (any::<u32>(), any::<u64>());
    let cause = (any::<Option<u64>>(), any::<Option<u64>>(), any::<Option<u64>>());
    (any_event(), times, place, any_by(), cause).prop_map(|(event, times, (stream, version), by, cause)| Record {
        occurred_at: Timestamp(times.0),
        received_at: Timestamp(times.1),
        recorded_at: Timestamp(times.2),
        by,
        command: cause.0.map(sample::command_id),
        causation: cause.1.map(Position),
        correlation: Position(cause.2.unwrap_or(0)),
        ..sample::record(0, stream, version, event)
    })
}

/// Records one after the other from `first`; where the correlation is 0, it is the first of its chain.
fn placed(mut records: Vec<Record>, first: u64) -> Vec<Record> {
    for (position, record) in (first..).zip(&mut records) {
        record.position = Position(position);
        if record.correlation == Position(0) {
            record.correlation = record.position;
        }
    }
    records
}

fn some_names(count: u32) -> Vec<(StreamNo, StreamId)> {
    (0..count).map(|number| (StreamNo(number), StreamId::slave(&AccountId::of("B", number.into()).unwrap()))).collect()
}

fn header_over(kept: &[u8], telemetry: &[u8], counts: (u32, u32)) -> Header {
    let (_, Commit { header, .. }) = small();
    let (kept_hash, telemetry_hash) = (Hash::of(kept), Hash::of(telemetry));
    Header { kept_hash, telemetry_hash, kept_count: counts.0, telemetry_count: counts.1, ..header }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_packed_is_unpacked(
        records in prop::collection::vec(any_record(), 1..30),
        after in 0..u64::from(u32::MAX),
        count in 0u32..4,
    ) {
        let records = placed(records, after + 1);
        let commit = pack(&some_names(count), &records, &sealing(head(after)));
        prop_assert_eq!(commit.check(&head(after)), Ok(()));
        let unpacked = commit.unpack().unwrap();
        prop_assert_eq!(&unpacked.records, &records);
        prop_assert_eq!(&unpacked.names, &some_names(count));
        let again = pack(&unpacked.names, &unpacked.records, &sealing(head(after)));
        prop_assert_eq!(&again, &commit, "packed again it has other bytes");

        let cut = Commit { telemetry: None, ..commit };
        prop_assert_eq!(cut.check(&head(after)), Ok(()));
        let kept: Vec<_> = records.into_iter().filter(|record| record.event.class().is_kept()).collect();
        prop_assert_eq!(cut.unpack().unwrap().records, kept);
    }

    #[test]
    fn random_bytes_never_panic(
        kept in prop::collection::vec(any::<u8>(), 0..200),
        telemetry in prop::option::of(prop::collection::vec(any::<u8>(), 0..200)),
        counts in (0u32..4, 0u32..4),
    ) {
        let header = header_over(&kept, telemetry.as_deref().unwrap_or(&[]), counts);
        let commit = Commit { hash: header.hash(), header, kept, telemetry };
        prop_assert_eq!(commit.check_self(), Ok(()));
        let _ = commit.unpack();
    }

    #[test]
    fn damaged_records_never_panic(
        records in prop::collection::vec(any_record(), 1..6),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..4),
    ) {
        let mut commit = pack(&some_names(2), &placed(records, 6), &sealing(head(5)));
        for (place, byte) in damage {
            for blob in [Some(&mut commit.kept), commit.telemetry.as_mut()].into_iter().flatten() {
                if !blob.is_empty() {
                    let at = place.index(blob.len());
                    blob[at] = byte;
                }
            }
        }
        let _ = commit.unpack();
    }
}
