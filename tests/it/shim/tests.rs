//! The recorder and the disk model, tried by hand-made recordings and on real programs.

use super::{Choice, CrashImage, Disk, Image, Node, Op, Recording, Rng};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

const DIR: u64 = 1;
const FILE: u64 = 2;

fn root() -> Op {
    Op::FoundDir { inode: DIR, path: String::new() }
}

fn found(path: &str, bytes: &[u8]) -> Op {
    Op::FoundFile { inode: FILE, path: path.into(), data: bytes.to_vec() }
}

fn created(inode: u64, path: &str) -> Op {
    Op::Created { inode, path: path.into() }
}

fn written(inode: u64, offset: u64, data: &[u8]) -> Op {
    Op::Written { inode, path: String::new(), offset, data: data.to_vec(), durable: false }
}

fn resized(size: u64) -> Op {
    Op::Resized { inode: FILE, path: String::new(), size }
}

fn unlinked(inode: u64, path: &str) -> Op {
    Op::Unlinked { inode, path: path.into() }
}

fn renamed(inode: u64, from: &str, to: &str) -> Op {
    Op::Renamed { inode, from: from.into(), to: to.into() }
}

fn synced(inode: u64) -> Op {
    Op::Synced { inode, path: String::new() }
}

fn data_synced(inode: u64) -> Op {
    Op::DataSynced { inode, path: String::new() }
}

fn acked(text: &str) -> Op {
    Op::Acked { data: text.into() }
}

/// The image after the last operation.
fn end(ops: &[Op], disk: Disk, choice: Choice) -> Image {
    let recording = Recording::new(ops.to_vec()).on(disk);
    recording.image_at(ops.len() - 1, choice, &mut Rng::new(7))
}

/// Every different content of `path` over many choices of that kind; None where it is missing.
fn contents(ops: &[Op], disk: Disk, choice: Choice, path: &str) -> BTreeSet<Option<Vec<u8>>> {
    let recording = Recording::new(ops.to_vec()).on(disk);
    let mut rng = Rng::new(1);
    let mut seen = BTreeSet::new();
    for _ in 0..400 {
        seen.insert(recording.image_at(ops.len() - 1, choice, &mut rng).file(path).map(<[u8]>::to_vec));
    }
    seen
}

fn some(texts: &[&str]) -> BTreeSet<Option<Vec<u8>>> {
    texts.iter().map(|text| Some(text.as_bytes().to_vec())).collect()
}

#[test]
fn only_what_was_synced_must_be_there() {
    let ops =
        [root(), created(FILE, "a"), written(FILE, 0, b"old"), synced(FILE), synced(DIR), written(FILE, 3, b"new")];
    assert_eq!(end(&ops, Disk::Strict, Choice::None).file("a"), Some(&b"old"[..]));
    assert_eq!(end(&ops, Disk::Strict, Choice::All).file("a"), Some(&b"oldnew"[..]));
    assert_eq!(contents(&ops, Disk::Strict, Choice::Random, "a"), some(&["old", "oldnew"]));
}

#[test]
fn a_sync_settles_its_own_file_only() {
    let other = Op::FoundFile { inode: 3, path: "b".into(), data: Vec::new() };
    let ops = [root(), found("a", b""), other, written(FILE, 0, b"x"), written(3, 0, b"y"), synced(FILE)];
    let image = end(&ops, Disk::Ordered, Choice::None);
    assert_eq!((image.file("a"), image.file("b")), (Some(&b"x"[..]), Some(&b""[..])));
}

#[test]
fn a_file_can_grow_without_being_written() {
    let allocated = Op::Allocated { inode: FILE, path: String::new(), end: 4 };
    for (grown, size) in [(resized(3), 3), (allocated, 4)] {
        let ops = [root(), found("a", b"x"), grown];
        let mut expected = b"x".to_vec();
        expected.resize(size, 0);
        assert_eq!(
            contents(&ops, Disk::Strict, Choice::Random, "a"),
            BTreeSet::from([Some(b"x".to_vec()), Some(expected)])
        );
    }
}

#[test]
fn a_synced_file_needs_a_synced_name() {
    let ops = [root(), created(FILE, "a"), written(FILE, 0, b"x"), synced(FILE)];
    assert_eq!(end(&ops, Disk::Strict, Choice::None), Image::default());
    assert_eq!(end(&ops, Disk::Ordered, Choice::None).file("a"), Some(&b"x"[..]));
    assert_eq!(contents(&ops, Disk::Strict, Choice::Random, "a"), BTreeSet::from([None, Some(b"x".to_vec())]));
}

#[test]
fn a_synced_directory_says_nothing_of_contents() {
    let ops = [root(), created(FILE, "a"), written(FILE, 0, b"x"), synced(DIR)];
    for disk in [Disk::Strict, Disk::Ordered] {
        assert_eq!(end(&ops, disk, Choice::None).file("a"), Some(&b""[..]));
    }
}

#[test]
fn a_file_in_a_directory_that_was_lost_is_lost() {
    let dir = Op::DirMade { inode: 3, path: "d".into() };
    let ops = [root(), dir, created(FILE, "d/a"), written(FILE, 0, b"x"), synced(FILE), synced(3)];
    assert_eq!(end(&ops, Disk::Strict, Choice::None), Image::default());
    let kept = end(&ops, Disk::Ordered, Choice::None);
    assert_eq!(kept.nodes.get("d"), Some(&Node::Dir));
    assert_eq!(kept.file("d/a"), Some(&b"x"[..]));
}

#[test]
fn a_rename_is_one_step() {
    let ops = [root(), found("a", b"old"), created(3, "b"), written(3, 0, b"new"), synced(3), renamed(3, "b", "a")];
    for disk in [Disk::Strict, Disk::Ordered] {
        assert_eq!(contents(&ops, disk, Choice::Random, "a"), some(&["old", "new"]));
        assert_eq!(end(&ops, disk, Choice::None).file("a"), Some(&b"old"[..]));
    }
}

#[test]
fn a_rename_of_what_was_not_synced_can_leave_nothing() {
    let ops = [root(), found("a", b"old"), created(3, "b"), written(3, 0, b"new"), renamed(3, "b", "a"), synced(DIR)];
    assert_eq!(end(&ops, Disk::Strict, Choice::None).file("a"), Some(&b""[..]));
}

#[test]
fn an_fsync_after_a_rename_settles_it_on_an_ordered_disk_and_fdatasync_does_not() {
    let ops = |sync| [root(), found("a", b"old"), renamed(FILE, "a", "b"), sync];
    let name = |sync, disk| end(&ops(sync), disk, Choice::None).nodes.into_keys().collect::<Vec<_>>();
    assert_eq!(name(synced(FILE), Disk::Ordered), ["b"]);
    assert_eq!(name(data_synced(FILE), Disk::Ordered), ["a"]);
    assert_eq!(name(synced(FILE), Disk::Strict), ["a"]);
}

#[test]
fn names_reach_an_ordered_disk_in_order_and_a_strict_one_in_any() {
    let ops = [root(), created(3, "first"), created(4, "second")];
    let only_second = |disk| {
        let recording = Recording::new(ops.to_vec()).on(disk);
        let mut rng = Rng::new(3);
        (0..400).any(|_| {
            let image = recording.image_at(2, Choice::Random, &mut rng);
            image.file("first").is_none() && image.file("second").is_some()
        })
    };
    assert!(only_second(Disk::Strict));
    assert!(!only_second(Disk::Ordered));
}

#[test]
fn an_unlink_may_or_may_not_have_happened() {
    let ops = [root(), found("a", b"x"), unlinked(FILE, "a")];
    assert_eq!(contents(&ops, Disk::Strict, Choice::Random, "a"), BTreeSet::from([None, Some(b"x".to_vec())]));
    assert_eq!(end(&ops, Disk::Strict, Choice::None).file("a"), Some(&b"x"[..]));
}

#[test]
fn a_truncate_may_or_may_not_have_happened_until_fdatasync() {
    let ops = [root(), found("a", b"abcdef"), resized(2)];
    assert_eq!(contents(&ops, Disk::Strict, Choice::Random, "a"), some(&["ab", "abcdef"]));
    let settled = [root(), found("a", b"abcdef"), resized(2), data_synced(FILE)];
    assert_eq!(end(&settled, Disk::Strict, Choice::None).file("a"), Some(&b"ab"[..]));
}

#[test]
fn a_durable_write_needs_no_sync_and_settles_no_other() {
    let durable = Op::Written { inode: FILE, path: String::new(), offset: 512, data: b"kept".to_vec(), durable: true };
    let ops = [root(), found("a", b""), written(FILE, 0, b"lost"), durable];
    let mut expected = vec![0; 512];
    expected.extend_from_slice(b"kept");
    assert_eq!(end(&ops, Disk::Strict, Choice::None).file("a"), Some(&expected[..]));
}

#[test]
fn a_later_write_can_outlive_an_earlier_one_in_another_sector_only() {
    let apart = [root(), found("a", &[b'.'; 1024]), written(FILE, 0, &[b'1'; 512]), written(FILE, 512, &[b'2'; 512])];
    let seen = contents(&apart, Disk::Strict, Choice::Reordered, "a");
    assert_eq!(seen, BTreeSet::from([Some([[b'.'; 512], [b'2'; 512]].concat())]));
    let together = [root(), found("a", b"...."), written(FILE, 0, b"1"), written(FILE, 1, b"2")];
    assert_eq!(contents(&together, Disk::Strict, Choice::Reordered, "a"), some(&["12.."]));
    assert_eq!(contents(&together, Disk::Strict, Choice::Random, "a"), some(&["....", "1...", "12.."]));
}

#[test]
fn a_torn_write_has_old_and_new_sectors() {
    let ops = [root(), found("a", &[b'.'; 1536]), written(FILE, 100, &[b'n'; 1000])];
    let torn = |bytes: &[u8]| bytes[100] == b'.' && bytes[512] == b'n' && bytes[1024] == b'.';
    let seen = contents(&ops, Disk::Strict, Choice::Torn, "a");
    assert!(seen.iter().flatten().any(|bytes| torn(bytes)));
    for bytes in seen.iter().flatten() {
        assert!(bytes[..100].iter().chain(&bytes[1100..]).all(|byte| *byte == b'.'));
        for sector in bytes[100..1100].chunk_by(|a, b| a == b) {
            assert!([412, 512, 76, 924, 588, 1000].contains(&sector.len()), "torn inside a sector: {}", sector.len());
        }
    }
}

#[test]
fn a_torn_append_can_grow_the_file_without_its_data() {
    let ops = [root(), found("a", b""), written(FILE, 0, &[b'n'; 600])];
    assert!(contents(&ops, Disk::Strict, Choice::Torn, "a").contains(&Some(vec![0; 600])));
}

#[test]
fn an_inode_used_again_is_another_file() {
    let ops =
        [root(), found("a", b"one"), unlinked(FILE, "a"), synced(DIR), created(FILE, "b"), written(FILE, 0, b"2")];
    let image = end(&ops, Disk::Strict, Choice::All);
    assert_eq!((image.file("a"), image.file("b")), (None, Some(&b"2"[..])));
}

#[test]
fn a_sync_of_everything_settles_everything() {
    let ops = [root(), created(FILE, "a"), written(FILE, 0, b"x"), Op::AllSynced];
    assert_eq!(end(&ops, Disk::Strict, Choice::None).file("a"), Some(&b"x"[..]));
}

#[test]
#[should_panic(expected = "never seen coming into being")]
fn a_file_from_nowhere_stops_the_model() {
    end(&[root(), written(FILE, 0, b"x")], Disk::Strict, Choice::None);
}

#[test]
fn acknowledgements_are_whole_lines_up_to_the_crash() {
    let recording = Recording::new(vec![root(), acked("one\ntw"), acked("o\nthree\n")]);
    assert_eq!(recording.acks_before(0), Vec::<String>::new());
    assert_eq!(recording.acks_before(1), ["one"]);
    assert_eq!(recording.acks_before(2), ["one", "two", "three"]);
}

#[test]
fn the_same_seed_gives_the_same_images() {
    let mut ops = vec![root(), created(FILE, "a")];
    for i in 0..50 {
        ops.extend([written(FILE, i * 300, &[b'x'; 700]), data_synced(FILE), acked("x\n")]);
    }
    let recording = Recording::new(ops);
    let images = |seed| recording.images(seed, 60).map(|crash| (crash.index, crash.image)).collect::<Vec<_>>();
    assert_eq!(images(5), images(5));
    assert_ne!(images(5), images(6));
}

// Real programs.

struct World {
    scratch: tempfile::TempDir,
    shim: PathBuf,
}

impl World {
    fn new() -> World {
        let scratch = tempfile::tempdir().unwrap();
        std::fs::create_dir(scratch.path().join("data")).unwrap();
        let shim = Recording::compile_shim(scratch.path());
        World { scratch, shim }
    }

    fn dir(&self) -> PathBuf {
        self.scratch.path().join("data")
    }

    fn run(&self, command: &mut Command) -> (Recording, std::process::Output) {
        let log = self.scratch.path().join("record");
        Recording::watch_sockets(command, &self.shim, &self.dir(), &log);
        let output = command.output().unwrap();
        (Recording::load(&log), output)
    }

    fn program(&self, manner: &str) -> Recording {
        let (source, binary) = (self.scratch.path().join("program.c"), self.scratch.path().join("program"));
        std::fs::write(&source, include_str!("program.c")).unwrap();
        let cc = Command::new("cc").arg("-o").args([&binary, &source]).arg("-lpthread").output().unwrap();
        assert!(cc.status.success(), "{}", String::from_utf8_lossy(&cc.stderr));
        let (recording, output) = self.run(Command::new(binary).arg(manner).arg(self.dir()));
        assert_eq!(output.status.success(), manner != "killed", "{}", String::from_utf8_lossy(&output.stderr));
        recording
    }

    fn put(&self, name: &str, bytes: &[u8]) {
        std::fs::write(self.dir().join(name), bytes).unwrap();
    }
}

/// Whether every file still has the bytes that were promised: none of them zero, in the programs at hand.
fn holds(recording: &Recording, crash: &CrashImage) -> bool {
    recording.acks_before(crash.index).iter().all(|line| {
        let [_, file, size] = line.split(' ').collect::<Vec<_>>()[..] else { panic!("{line}") };
        let size: usize = size.parse().unwrap();
        crash.image.file(file).is_some_and(|bytes| bytes.len() >= size && !bytes[..size].contains(&0))
    })
}

fn losses(recording: &Recording) -> usize {
    recording.images(11, 2_000).filter(|crash| !holds(recording, crash)).count()
}

#[test]
fn a_careful_program_loses_nothing_it_promised() {
    let world = World::new();
    let recording = world.program("careful");
    recording.assert_complete(&world.dir());
    assert_eq!(recording.acks_before(recording.ops.len() - 1).len(), 20);
    assert_eq!(losses(&recording), 0);
}

#[test]
fn with_nothing_kept_an_image_is_exactly_what_was_synced() {
    let world = World::new();
    let recording = world.program("careful");
    let expected: Vec<u8> = (b'a'..b'a' + 20).flat_map(|letter| [letter; 700]).collect();
    let mut synced = 0;
    for (index, op) in recording.ops.iter().enumerate() {
        synced += if matches!(op, Op::DataSynced { .. }) { 700 } else { 0 };
        let image = recording.image_at(index, Choice::None, &mut Rng::new(0));
        assert_eq!(image.file("log").unwrap_or_default(), &expected[..synced], "after operation {index}");
    }
    assert_eq!(synced, 20 * 700);
}

#[test]
fn a_promise_before_the_sync_is_found_out() {
    let world = World::new();
    let recording = world.program("early");
    recording.assert_complete(&world.dir());
    assert!(losses(&recording) > 0);
}

#[test]
fn many_threads_leave_one_order() {
    let world = World::new();
    let recording = world.program("threads");
    recording.assert_complete(&world.dir());
    assert_eq!(recording.acks_before(recording.ops.len() - 1).len(), 80);
    assert_eq!(losses(&recording), 0);
}

#[test]
fn every_kind_of_change_is_followed() {
    let world = World::new();
    world.put("found", &[b'f'; 700]);
    let recording = world.program("everything");
    recording.assert_complete(&world.dir());
    let names: Vec<_> = Image::read_from(&world.dir()).nodes.into_keys().collect();
    assert_eq!(names, ["found", "moved", "moved/renamed", "named", "newer"]);
    let durable = |op: &&Op| matches!(op, Op::Written { durable: true, .. });
    assert_eq!(recording.ops.iter().filter(durable).count(), 3, "one by its flag, two by how the file was opened");
    assert!(recording.ops.iter().any(|op| matches!(op, Op::RangeSynced { .. })));
}

#[test]
fn what_cannot_be_followed_is_flagged() {
    let world = World::new();
    let recording = world.program("untracked");
    let expected = [
        "mapped: mapped shared and writable",
        "streamed: opened as a stdio stream",
        "pointer: a symbolic link was made",
        "mapped: renamed across the edge of the directory",
        "forked: changed by another process",
    ];
    assert_eq!(recording.untracked(), expected);
    assert_eq!(
        recording.acks_before(recording.ops.len() - 1),
        Vec::<String>::new(),
        "only the process itself promises"
    );
}

#[test]
fn a_replaced_file_is_the_old_or_the_new_one_if_synced_before_its_rename() {
    for (manner, sound) in [("replace", true), ("replace-unsynced", false)] {
        let world = World::new();
        world.put("settled", &[b'o'; 2000]);
        let recording = world.program(manner);
        recording.assert_complete(&world.dir());
        let whole = |crash: &CrashImage| {
            let bytes = crash.image.file("settled").unwrap_or_default();
            bytes == [b'o'; 2000] || bytes == [b'n'; 2000]
        };
        assert_eq!(recording.images(2, 500).all(|crash| whole(&crash)), sound, "{manner}");
        assert_eq!(losses(&recording) == 0, sound, "{manner}");
    }
}

#[test]
fn a_killed_program_leaves_its_record() {
    let world = World::new();
    let recording = world.program("killed");
    recording.assert_complete(&world.dir());
    assert_eq!(recording.acks_before(recording.ops.len() - 1).len(), 20);
}

#[test]
fn answers_on_sockets_are_recorded() {
    let recording = World::new().program("answer");
    assert_eq!(recording.sent_before(recording.ops.len() - 1), [b"200 OK"]);
}

#[test]
fn an_image_written_out_is_the_image() {
    let world = World::new();
    world.put("found", &[b'f'; 700]);
    let recording = world.program("everything");
    for (i, crash) in recording.images(4, 20).enumerate() {
        let dir = world.scratch.path().join(format!("image-{i}"));
        crash.image.write_to(&dir);
        assert_eq!(Image::read_from(&dir), crash.image);
        assert_eq!(crash.image.differences(&dir), Vec::<String>::new());
    }
}

#[test]
fn a_record_cut_short_loses_its_last_operation_only() {
    let world = World::new();
    let recording = world.program("careful");
    let log = world.scratch.path().join("record");
    let bytes = std::fs::read(&log).unwrap();
    std::fs::write(&log, &bytes[..bytes.len() - 1]).unwrap();
    let cut = Recording::load(&log);
    assert_eq!(cut.ops[..], recording.ops[..recording.ops.len() - 1]);
}

// SQLite, and Rust's own files, in a child that is this very test binary.

const ROWS: i64 = 40;

#[test]
#[ignore = "the child of the tests below"]
fn child() {
    let Ok(synchronous) = std::env::var("SHIM_TEST_SYNCHRONOUS") else { return };
    let dir = PathBuf::from(std::env::var("SHIM_DIR").unwrap());
    ack("");
    let db = open(&dir);
    db.pragma_update(None, "synchronous", &synchronous).unwrap();
    db.execute_batch("PRAGMA wal_autocheckpoint = 8; CREATE TABLE row (id INTEGER PRIMARY KEY, text TEXT)").unwrap();
    for id in 1..=ROWS {
        db.execute("INSERT INTO row VALUES (?1, ?2)", (id, "x".repeat(900))).unwrap();
        ack(&format!("acked {id}"));
    }
    std::fs::copy(dir.join("db"), dir.join("copy")).unwrap();
}

fn ack(line: &str) {
    use std::io::Write;
    let mut out = std::io::stdout();
    out.write_all(format!("{line}\n").as_bytes()).unwrap();
    out.flush().unwrap();
}

fn open(dir: &Path) -> rusqlite::Connection {
    let db = rusqlite::Connection::open(dir.join("db")).unwrap();
    let mode: String = db.query_row("PRAGMA journal_mode = WAL", (), |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
    db
}

fn sqlite(world: &World, synchronous: &str) -> Recording {
    let (_, module) = module_path!().split_once("::").unwrap();
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--ignored", "--exact", "--test-threads=1", &format!("{module}::child")]);
    let (recording, output) = world.run(command.env("SHIM_TEST_SYNCHRONOUS", synchronous));
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    recording.assert_complete(&world.dir());
    recording
}

fn last_acked(recording: &Recording, index: usize) -> i64 {
    let lines = recording.acks_before(index);
    lines.iter().filter_map(|line| line.strip_prefix("acked ")).map(|id| id.parse().unwrap()).max().unwrap_or(0)
}

/// How many rows an image has when it is opened again, or what is wrong with it.
fn rows(image: &Image) -> Result<i64, String> {
    let dir = tempfile::tempdir().unwrap();
    image.write_to(dir.path());
    let db = rusqlite::Connection::open(dir.path().join("db")).map_err(|error| error.to_string())?;
    let sound = db.query_row("PRAGMA integrity_check", (), |row| row.get::<_, String>(0));
    match sound.map_err(|error| error.to_string())?.as_str() {
        "ok" => db.query_row("SELECT count(*) FROM row", (), |row| row.get(0)).map_err(|error| error.to_string()),
        wrong => Err(wrong.to_owned()),
    }
}

/// A line for each crash that took away what had been acknowledged.
fn lost_rows(recording: &Recording, count: usize) -> Vec<String> {
    let mut lost = Vec::new();
    for crash in recording.images(42, count) {
        let acked = last_acked(recording, crash.index);
        let held = rows(&crash.image);
        if acked > 0 && !held.as_ref().is_ok_and(|held| *held >= acked) {
            lost.push(format!("after {} {:?}: {acked} acknowledged, {held:?} there", crash.index, crash.choice));
        }
    }
    lost
}

#[test]
fn sqlite_with_full_syncs_loses_no_acknowledged_row() {
    let world = World::new();
    let recording = sqlite(&world, "FULL");
    assert_eq!(last_acked(&recording, recording.ops.len() - 1), ROWS);
    assert_eq!(lost_rows(&recording, 300), Vec::<String>::new());
}

#[test]
fn sqlite_without_syncs_is_found_out() {
    let world = World::new();
    let recording = sqlite(&world, "OFF");
    assert!(!lost_rows(&recording, 60).is_empty());
}
