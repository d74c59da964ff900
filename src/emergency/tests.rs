//! The file as disks leave it, and what is made of it.

use super::file::{Disk, EmergencyFile, FileError, Page, Press, Record};
use super::*;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

const PAGE: usize = 4096;

/// A disk in memory, which can be told to fail; clones are the same one.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Scene>>);

#[derive(Default)]
struct Scene {
    bytes: Vec<u8>,
    /// So many bytes can still be written.
    room: Option<usize>,
    sync_fails: bool,
    syncs: usize,
}

impl Memory {
    fn with(&self, change: impl FnOnce(&mut Scene)) {
        change(&mut self.0.lock().unwrap());
    }
    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap().bytes.clone()
    }
    fn opened(&self) -> Result<EmergencyFile, FileError> {
        EmergencyFile::over(Box::new(self.clone()), &PathBuf::from("emergency.log"))
    }
    fn emergency(&self) -> Emergency {
        Emergency::over(self.opened().unwrap(), Some(desk(1)), Timestamp(9))
    }
}

impl Disk for Memory {
    fn size(&self) -> io::Result<u64> {
        Ok(self.bytes().len() as u64)
    }
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        into.copy_from_slice(&self.bytes()[at as usize..at as usize + into.len()]);
        Ok(())
    }
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let mut scene = self.0.lock().unwrap();
        let (at, count) = (at as usize, bytes.len().min(scene.room.unwrap_or(usize::MAX)));
        let end = scene.bytes.len().max(at + count);
        scene.bytes.resize(end, 0);
        scene.bytes[at..at + count].copy_from_slice(&bytes[..count]);
        if count < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }
    fn sync(&self) -> io::Result<()> {
        let mut scene = self.0.lock().unwrap();
        scene.syncs += 1;
        if scene.sync_fails { Err(io::Error::other("the disk is gone")) } else { Ok(()) }
    }
}

fn desk(number: u128) -> DeskId {
    DeskId(Uuid::from_u128(number))
}

fn press(number: u128, degree: StopDegree) -> Press {
    Press {
        desk: desk(1),
        degree,
        reason: Reason::new("the store is down").unwrap(),
        stop: Uuid::from_u128(number),
        by: Principal::Operator,
        command: CommandId(Uuid::from_u128(number)),
        body: BodyHash(number as u64),
        at: Timestamp(5),
    }
}

fn presses(emergency: &Emergency) -> Vec<Press> {
    emergency.all().into_iter().map(|pending| pending.press).collect()
}

#[test]
fn what_was_pressed_is_there_after_a_restart_until_the_log_has_it() {
    let disk = Memory::default();
    let (pause, flatten) = (press(1, StopDegree::Pause), press(2, StopDegree::Flatten));
    let emergency = disk.emergency();
    assert_eq!((emergency.degree(), emergency.oldest()), (None, None));
    for press in [&pause, &flatten] {
        assert_eq!(emergency.begin(press.clone()).as_ref(), Ok(press));
        assert_eq!(emergency.degree(), Some(press.degree), "it blocks before it is written");
        emergency.write(press).unwrap();
    }
    let again = disk.emergency();
    assert_eq!((presses(&again), again.degree()), (vec![pause.clone(), flatten.clone()], Some(StopDegree::Flatten)));
    assert_eq!(again.orders(), [pause.order(), flatten.order()], "in their order, and the same each time");
    again.taken(pause.stop);
    again.note_taken(pause.stop).unwrap();
    assert_eq!(presses(&disk.emergency()), std::slice::from_ref(&flatten));
    again.taken(flatten.stop);
    assert_eq!(again.degree(), Some(StopDegree::Flatten), "who blocks by it goes on until it is lifted");
    again.note_taken(flatten.stop).unwrap();
    again.lift();
    assert_eq!(again.degree(), None);
    let end = disk.emergency();
    assert_eq!((end.oldest(), end.degree()), (None, None));
    assert!(disk.bytes()[PAGE..].iter().all(|byte| *byte == 0), "nothing is left of it");
}

#[test]
fn the_same_stop_is_one_and_another_goes_further_or_is_refused() {
    let disk = Memory::default();
    let emergency = disk.emergency();
    let (cancel, pause, flatten) =
        (press(1, StopDegree::Cancel), press(2, StopDegree::Pause), press(3, StopDegree::Flatten));
    emergency.begin(cancel.clone()).unwrap();
    assert_eq!(emergency.begin(pause.clone()), Ok(cancel.clone()), "what went wrong the first time is done now");
    emergency.write(&cancel).unwrap();
    emergency.write(&cancel).unwrap();
    emergency.acted(cancel.stop, StopDegree::Cancel);
    assert_eq!(emergency.begin(pause), Err(StopDegree::Cancel));
    assert_eq!(emergency.begin(cancel.clone()), Ok(cancel.clone()), "a repeat is the same again");
    assert_eq!(emergency.begin(flatten.clone()), Ok(flatten.clone()));
    assert_eq!(emergency.before(flatten.stop), [Pressed { degree: StopDegree::Cancel, stop: cancel.stop }]);
    assert_eq!(emergency.before(cancel.stop), []);
    assert_eq!(presses(&disk.emergency()), [cancel], "written once, and the other not yet");
}

#[test]
fn a_full_disk_is_said_and_what_was_laid_out_can_be_written() {
    let disk = Memory::default();
    disk.with(|scene| scene.room = Some(PAGE));
    let error = disk.opened().err().unwrap();
    assert_eq!(error.to_string(), "cannot lay out the emergency log emergency.log");
    disk.with(|scene| scene.room = None);
    let emergency = disk.emergency();
    let press = press(1, StopDegree::Flatten);
    emergency.begin(press.clone()).unwrap();
    disk.with(|scene| scene.room = Some(100));
    let error = emergency.write(&press).unwrap_err();
    assert!(matches!(error, FileError::Disk { doing: "write", .. }), "{error}");
    assert!(!emergency.all()[0].written);
    assert_eq!(emergency.degree(), Some(StopDegree::Flatten), "it blocks all the same");
    disk.with(|scene| scene.room = None);
    emergency.write(&press).unwrap();
    assert_eq!(presses(&disk.emergency()), [press], "it went over what was there of the first try");
}

#[test]
fn what_is_not_synced_does_not_count() {
    let disk = Memory::default();
    let (emergency, press) = (disk.emergency(), press(1, StopDegree::Pause));
    emergency.begin(press.clone()).unwrap();
    disk.with(|scene| scene.sync_fails = true);
    assert!(emergency.write(&press).is_err() && !emergency.all()[0].written);
    disk.with(|scene| (scene.sync_fails, scene.syncs) = (false, 0));
    emergency.write(&press).unwrap();
    disk.with(|scene| assert_eq!(scene.syncs, 1));
}

/// Every way in which a page can be wrong is named, and is never a panic. The last one may be a STOP: then the desk is paused.
#[test]
fn a_record_that_cannot_be_read_pauses_the_desk_once() {
    let disk = Memory::default();
    let mut file = disk.opened().unwrap();
    file.append(Record::Pressed(Box::new(press(1, StopDegree::Flatten)))).unwrap();
    let whole = disk.bytes();
    type Damage = fn(&mut [u8]);
    let damages: [(Damage, &str); 5] = [
        (|page| page[60..].fill(0), "hash is wrong"),
        (|page| page[45] ^= 1, "hash is wrong"),
        (|page| page[10] ^= 1, "hash is wrong"),
        (|page| page[4..8].fill(0xff), "its length, 4294967295, cannot be"),
        (|page| page[..4].fill(0), "does not begin as a record does"),
    ];
    for (damage, why) in damages {
        let mut bytes = whole.clone();
        damage(&mut bytes[PAGE..2 * PAGE]);
        disk.with(|scene| scene.bytes = bytes);
        let file = disk.opened().unwrap();
        let Page::Damaged(said, _) = &file.pages()[0] else { panic!("{why}: {:?}", file.pages()[0]) };
        assert!(said.contains(why), "{said}");
        let emergency = disk.emergency();
        let [paused] = presses(&emergency).try_into().unwrap();
        assert_eq!((paused.degree, paused.by.clone()), (StopDegree::Pause, Principal::Desk));
        assert!(paused.reason.as_str().starts_with("page 1 of the emergency log cannot be read"), "{}", paused.reason);
        assert_eq!(presses(&disk.emergency())[0].stop, paused.stop, "the same one after another crash");
        emergency.taken(paused.stop);
        emergency.note_taken(paused.stop).unwrap();
        assert_eq!(presses(&disk.emergency()), [], "{why}");
    }
}

#[test]
fn a_record_that_cannot_be_read_is_only_named_where_a_later_one_can() {
    let disk = Memory::default();
    let mut file = disk.opened().unwrap();
    for number in [1, 2] {
        file.append(Record::Pressed(Box::new(press(number, StopDegree::Cancel)))).unwrap();
    }
    disk.with(|scene| scene.bytes[PAGE + 50] ^= 1);
    assert_eq!(presses(&disk.emergency()), [press(2, StopDegree::Cancel)]);
}

#[test]
fn a_record_of_another_desk_is_not_taken_in() {
    let disk = Memory::default();
    let other = Press { desk: desk(2), ..press(1, StopDegree::Flatten) };
    disk.opened().unwrap().append(Record::Pressed(Box::new(other))).unwrap();
    assert_eq!(disk.emergency().degree(), None);
}

#[test]
fn a_file_that_is_something_else_is_left_alone() {
    for (bytes, words) in [
        (b"root:x:0:0:root\n".to_vec(), "is something else"),
        (b"Tidehelm emergency log, format 2\n".to_vec(), "later build"),
        (vec![1; 1 << 20], "is something else"),
    ] {
        let disk = Memory::default();
        disk.with(|scene| scene.bytes = bytes.clone());
        let error = disk.opened().err().unwrap().to_string();
        assert!(error.contains(words), "{error}");
        assert_eq!(disk.bytes(), bytes);
    }
}

#[test]
fn a_file_that_was_cut_short_is_made_whole() {
    let disk = Memory::default();
    let mut file = disk.opened().unwrap();
    file.append(Record::Pressed(Box::new(press(1, StopDegree::Pause)))).unwrap();
    let size = disk.bytes().len();
    disk.with(|scene| scene.bytes.truncate(2 * PAGE));
    assert_eq!(presses(&disk.emergency()), [press(1, StopDegree::Pause)]);
    assert_eq!(disk.bytes().len(), size);
}

#[test]
fn the_file_never_runs_full_of_what_is_over() {
    let disk = Memory::default();
    let emergency = disk.emergency();
    for number in 0..500 {
        let press = press(number, StopDegree::Cancel);
        emergency.begin(press.clone()).unwrap();
        emergency.write(&press).unwrap();
        emergency.taken(press.stop);
        emergency.note_taken(press.stop).unwrap();
    }
    let mut file = disk.opened().unwrap();
    for number in 0..63 {
        file.append(Record::Taken { stop: Uuid::from_u128(number) }).unwrap();
    }
    assert!(matches!(file.append(Record::Taken { stop: Uuid::nil() }), Err(FileError::Full(_))));
}

/// A crash between any two writes of clearing brings back nothing that the log has.
#[test]
fn clearing_can_be_interrupted_anywhere() {
    for writes in 0..6 {
        let disk = Memory::default();
        let mut file = disk.opened().unwrap();
        for number in [1, 2] {
            file.append(Record::Pressed(Box::new(press(number, StopDegree::Cancel)))).unwrap();
            file.append(Record::Taken { stop: Uuid::from_u128(number) }).unwrap();
        }
        disk.with(|scene| scene.room = Some(usize::MAX));
        let limited = Limited(disk.clone(), Arc::new(AtomicU8::new(writes)));
        let mut file = EmergencyFile::over(Box::new(limited), &PathBuf::from("emergency.log")).unwrap();
        assert_eq!(file.clear().is_ok(), writes >= 4);
        assert_eq!(presses(&disk.emergency()), [], "after {writes} writes");
    }
}

/// A disk that fails after so many writes.
struct Limited(Memory, Arc<AtomicU8>);

impl Disk for Limited {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.0.read(at, into)
    }
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        let left = self.1.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        left.map_err(|_| io::Error::other("the machine is gone"))?;
        self.0.write(at, bytes)
    }
    fn sync(&self) -> io::Result<()> {
        self.0.sync()
    }
}

#[test]
fn a_real_file_is_made_with_its_directory_and_read_again() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("elsewhere/stop.log");
    let emergency = Emergency::open(&path, Some(desk(1)), Timestamp(9)).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().len(), 64 * 4096);
    let long = Press { reason: Reason::new("漢".repeat(500)).unwrap(), ..press(1, StopDegree::Flatten) };
    emergency.begin(long.clone()).unwrap();
    emergency.write(&long).unwrap();
    drop(emergency);
    assert_eq!(presses(&Emergency::open(&path, Some(desk(1)), Timestamp(9)).unwrap()), [long]);
    let error = Emergency::open(temp.path(), None, Timestamp(9)).err().unwrap();
    assert!(matches!(error, FileError::Disk { doing: "open", .. }), "{error}");
}
