use super::*;
use crate::terminal::Credentials;
use crate::wire::sample::{desk, key, key_id};
use std::fs;
use std::path::PathBuf;

struct Place {
    _directory: tempfile::TempDir,
    path: PathBuf,
}

fn place() -> Place {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("memory");
    Place { _directory: directory, path }
}

fn records() -> Vec<Record> {
    let id = order_id(9);
    let intent = Order { id, seq: 1, instruction: open_order(), ..order() };
    vec![
        Record::Credentials(Credentials { desk: desk(), key_id: key_id(), key: key() }),
        Record::Intent(Box::new(intent)),
        Record::Result { seq: 1, result: Box::new(result(id)) },
        Record::Told(id),
    ]
}

fn known(records: &[Record]) -> Recollection {
    let mut known = Recollection::default();
    records.iter().for_each(|record| known.apply(record));
    known
}

fn write(place: &Place, records: &[Record]) {
    let mut memory = FileMemory::open(&place.path).unwrap();
    records.iter().for_each(|record| memory.keep(record).unwrap());
}

#[test]
fn what_was_kept_is_known_again() {
    let (place, records) = (place(), records());
    for (at, record) in records.iter().enumerate() {
        write(&place, std::slice::from_ref(record));
        assert_eq!(FileMemory::open(&place.path).unwrap().recollection(), known(&records[..=at]));
    }
}

#[test]
fn an_entry_that_was_not_written_out_is_as_if_it_never_was() {
    let (place, records) = (place(), records());
    let mut ends = Vec::new();
    for record in &records {
        write(&place, std::slice::from_ref(record));
        ends.push(fs::metadata(&place.path).unwrap().len() as usize);
    }
    let whole = fs::read(&place.path).unwrap();
    for length in ends[0]..whole.len() {
        fs::write(&place.path, &whole[..length]).unwrap();
        let kept = ends.iter().filter(|end| **end <= length).count();
        assert_eq!(FileMemory::open(&place.path).unwrap().recollection(), known(&records[..kept]), "{length}");
        // What comes next stands where the cut one stood.
        write(&place, &records[kept..]);
        assert_eq!(FileMemory::open(&place.path).unwrap().recollection(), known(&records), "{length}");
    }
}

#[test]
fn damage_in_the_middle_is_not_cut_off() {
    let (place, records) = (place(), records());
    write(&place, &records);
    let whole = fs::read(&place.path).unwrap();
    let last = whole.len() - 40;
    for at in (0..last).step_by(3) {
        let mut damaged = whole.clone();
        damaged[at] ^= 0x10;
        fs::write(&place.path, &damaged).unwrap();
        let found = FileMemory::open(&place.path).err();
        assert!(matches!(found, Some(MemoryError::Damaged(_) | MemoryError::Foreign(_))), "{at}: {found:?}");
        assert_eq!(fs::read(&place.path).unwrap(), damaged, "nothing is written over what is not understood");
    }
}

#[test]
fn a_memory_is_for_one_terminal_and_for_nobody_elses_eyes() {
    use std::os::unix::fs::PermissionsExt;
    let place = place();
    let memory = FileMemory::open(&place.path).unwrap();
    assert!(matches!(FileMemory::open(&place.path), Err(MemoryError::InUse(_))));
    drop(memory);
    assert!(FileMemory::open(&place.path).is_ok());
    assert_eq!(fs::metadata(&place.path).unwrap().permissions().mode() & 0o777, 0o600);
}

#[test]
fn a_file_that_grows_is_written_anew_and_says_the_same() {
    let place = place();
    let mut memory = FileMemory::open(&place.path).unwrap();
    let comment = "x".repeat(1 << 20);
    let id = order_id(9);
    for seq in 1..=8 {
        let error = Some(comment.clone());
        let result = OrderResult { error, ..result(id) };
        memory.keep(&Record::Result { seq, result: Box::new(result) }).unwrap();
    }
    let known = memory.recollection();
    drop(memory);
    assert!(fs::metadata(&place.path).unwrap().len() < 6 << 20);
    assert_eq!(FileMemory::open(&place.path).unwrap().recollection(), known);
}
