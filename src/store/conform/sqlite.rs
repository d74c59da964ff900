//! What only a file can do: be held by another server, be full, be read-only, be damaged.

use super::sample::{Tale, node};
use super::{Database, OnSqlite, Site, whole, write};
use crate::store::{Mode, SqliteOptions, SqliteStore, Store, StoreError, sqlite::FILE};
use std::fs;
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use tidehelm_actors::port::{AppendFault, CommitLog};
use tidehelm_events::commit::Entry;
use tidehelm_events::id::Position;
use tidehelm_events::time::Timestamp;

async fn filled(site: &mut OnSqlite, commits: u32) -> (Store, Tale) {
    let mut log = site.log().await;
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for index in 0..commits {
        write(&mut log, &mut tale, 20, index % 2).await.unwrap();
    }
    (log, tale)
}

#[tokio::test]
async fn a_second_server_is_refused_by_name() {
    let mut site = OnSqlite::new();
    site.options.now = Timestamp::from_millis(1_700_000_000_000);
    let (log, _) = filled(&mut site, 1).await;
    let error = site.open(Mode::Write).await.unwrap_err();
    let expected = format!(
        "{} is in use by process {} since 2023-11-14T22:13:20.000000Z; stop it, or use --url",
        site.dir().display(),
        std::process::id()
    );
    assert_eq!(error.to_string(), expected);
    let text = fs::read_to_string(site.dir().join("tidehelm.lock")).unwrap();
    assert!(text.contains(&node().to_string()), "{text}");
    site.open(Mode::ReadOnly).await.unwrap();
    log.close().await.unwrap();
    site.leave();
    site.open(Mode::Write).await.unwrap();
}

#[tokio::test]
async fn a_new_store_is_durable_private_and_shrinks() {
    let mut site = OnSqlite::new();
    let log = site.log().await;
    let Store::Sqlite(store) = &log else { unreachable!() };
    assert_eq!(store.dir(), site.dir());
    drop(log);
    let mut connection = site.connect().await;
    for (pragma, wanted) in [("auto_vacuum", "2"), ("journal_mode", "wal"), ("application_id", "1414087749")] {
        let sql = sqlx::AssertSqlSafe(format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"));
        let found: String = sqlx::query_scalar(sql).fetch_one(&mut connection).await.unwrap();
        assert_eq!(found, wanted, "{pragma}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = |path: PathBuf| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(site.dir()), mode(site.dir().join(FILE))), (0o700, 0o600));
    }
}

#[tokio::test]
async fn what_is_there_and_is_not_ours_is_refused() {
    let site = OnSqlite::new();
    fs::create_dir_all(site.dir()).unwrap();
    fs::write(site.dir().join(FILE), b"").unwrap();
    site.say("CREATE TABLE somebody_elses (x)").await;
    let error = site.open(Mode::Write).await.unwrap_err();
    assert!(matches!(error, StoreError::Foreign { .. }), "{error}");
    fs::write(site.dir().join(FILE), b"this is a letter to my aunt, who has no use for databases at all").unwrap();
    for mode in [Mode::Write, Mode::ReadOnly] {
        let error = site.open(mode).await.unwrap_err().to_string();
        assert!(error.contains("the file is not a database") && error.contains(FILE), "{error}");
    }
}

#[tokio::test]
async fn a_full_disk_is_said_and_heals() {
    let mut site = OnSqlite::new();
    site.options.pages_max = Some(100);
    let (mut log, mut tale) = filled(&mut site, 1).await;
    let mut written = 1;
    let next = loop {
        let next = tale.next(200, 0);
        match log.append(&next.commit, &next.audit, &next.expected).await {
            Ok(()) => written += 1,
            Err(AppendFault::Unavailable(why)) => {
                assert!(why.contains("disk is full"), "{why}");
                break next;
            }
            Err(other) => panic!("{other}"),
        }
        assert!(written < 1000, "it never gets full");
    };
    assert!(written > 3, "{written}");
    assert_eq!(log.head().await.unwrap(), next.expected);
    log.close().await.unwrap();
    site.leave();
    site.options.pages_max = Some(1000);
    let mut log = site.open(Mode::Write).await.unwrap();
    log.append(&next.commit, &next.audit, &next.expected).await.unwrap();
    assert_eq!(whole(&mut log).await.unwrap().len(), written + 1);
}

/// A file system of its own in memory, where this test may make one.
struct Mounted(PathBuf);

impl Mounted {
    fn new(root: &Path, options: &str) -> Option<Self> {
        let path = root.join("mounted");
        fs::create_dir_all(&path).unwrap();
        let made = Command::new("mount").args(["-t", "tmpfs", "-o", options, "tmpfs"]).arg(&path).output();
        if made.is_ok_and(|made| made.status.success()) {
            return Some(Mounted(path));
        }
        eprintln!("skipped: a file system cannot be mounted here");
        None
    }

    fn again(&self, options: &str) {
        assert!(Command::new("mount").args(["-o", options]).arg(&self.0).status().unwrap().success());
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn disk_without_room_is_said_and_heals_without_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(root.path(), "size=6m") else { return };
    let mut log = SqliteStore::open(&mounted.0.join("data"), Mode::Write, SqliteOptions::default()).await.unwrap();
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    let filler = mounted.0.join("filler");
    fs::write(&filler, vec![1; 4 << 20]).unwrap();
    let (mut written, mut refused) = (0, 0);
    for _ in 0..60 {
        let next = tale.next(300, 2);
        match log.append(&next.commit, &next.audit, &next.expected).await {
            Ok(()) => written += 1,
            Err(AppendFault::Unavailable(why)) => {
                assert!(why.contains("disk is full"), "{why}");
                assert_eq!(log.head().await.unwrap(), next.expected);
                tale = Tale::new(next.expected);
                refused += 1;
            }
            Err(other) => panic!("{other}"),
        }
    }
    assert!(written > 3 && refused > 3, "{written} written, {refused} refused");
    fs::remove_file(&filler).unwrap();
    write(&mut log, &mut tale, 300, 2).await.unwrap();
    let mut store = Store::Sqlite(log);
    assert_eq!(whole(&mut store).await.unwrap().len(), written + 1);
}

impl OnSqlite {
    fn at(root: tempfile::TempDir) -> Self {
        OnSqlite { root, ..OnSqlite::new() }
    }
}

#[tokio::test]
async fn disk_that_can_only_be_read_is_read() {
    let root = tempfile::tempdir().unwrap();
    let Some(mounted) = Mounted::new(root.path(), "size=6m") else { return };
    let site = OnSqlite::at(tempfile::tempdir_in(&mounted.0).unwrap());
    let mut log = SqliteStore::open(&site.dir(), Mode::Write, site.options.clone()).await.unwrap();
    let mut tale = Tale::new(log.take_over(node()).await.unwrap());
    for _ in 0..3 {
        write(&mut log, &mut tale, 5, 1).await.unwrap();
    }
    log.close().await.unwrap();
    for _ in 0..50 {
        if !site.dir().join(format!("{FILE}-wal")).exists() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    mounted.again("remount,ro");
    let error = site.open(Mode::Write).await.unwrap_err();
    assert!(matches!(&error, StoreError::File { doing: "open", .. }), "{error}");
    assert!(error.to_string().contains("tidehelm.lock"), "{error}");
    let mut log = site.open(Mode::ReadOnly).await.unwrap();
    assert_eq!(whole(&mut log).await.unwrap().last().unwrap().head(), tale.head);
    drop(log);
    mounted.again("remount,rw");
}

#[tokio::test]
async fn what_a_killed_server_leaves_is_read() {
    let mut site = OnSqlite::new();
    let (_log, tale) = filled(&mut site, 10).await;
    // The files as they lie while the server runs: most of the log is beside the database still.
    let other = OnSqlite::new();
    fs::create_dir_all(other.dir()).unwrap();
    for name in [FILE.to_string(), format!("{FILE}-wal")] {
        fs::copy(site.dir().join(&name), other.dir().join(&name)).unwrap();
    }
    let mut log = other.open(Mode::ReadOnly).await.unwrap();
    assert_eq!(whole(&mut log).await.unwrap().last().unwrap().head(), tale.head);
    drop(log);
    let mut log = other.open(Mode::Write).await.unwrap();
    assert_eq!(log.take_over(node()).await.unwrap().position, tale.head.position);
}

#[tokio::test]
async fn a_torn_write_ahead_log_ends_at_a_whole_commit() {
    let mut site = OnSqlite::new();
    let (mut log, _) = filled(&mut site, 10).await;
    let entries = whole(&mut log).await.unwrap();
    let wal = fs::read(site.dir().join(format!("{FILE}-wal"))).unwrap();
    let mut lengths = Vec::new();
    for part in 0..40 {
        let other = OnSqlite::new();
        fs::create_dir_all(other.dir()).unwrap();
        fs::copy(site.dir().join(FILE), other.dir().join(FILE)).unwrap();
        fs::write(other.dir().join(format!("{FILE}-wal")), &wal[..wal.len() * part / 39]).unwrap();
        let mut log = match other.open(Mode::Write).await {
            Ok(log) => log,
            Err(error) => panic!("{error}"),
        };
        log.take_over(node()).await.unwrap();
        let left = whole(&mut log).await.unwrap();
        assert_eq!(left, entries[..left.len()]);
        lengths.push(left.len());
    }
    assert!(lengths.is_sorted() && lengths[0] < 3 && lengths[39] == 10, "{lengths:?}");
}

/// Every entry that can be read is what was written, or the damage is named: by SQLite, by a row that makes no sense, or by
/// the chain.
#[tokio::test]
async fn a_flipped_bit_is_never_believed() {
    let mut site = OnSqlite::new();
    let (mut log, _) = filled(&mut site, 30).await;
    let entries = whole(&mut log).await.unwrap();
    // A backup has the whole log in one file.
    let copy = OnSqlite::new();
    log.backup(&copy.dir()).await.unwrap();
    let path = copy.dir().join(FILE);
    let good = fs::read(&path).unwrap();
    let (mut same, mut found) = (0, 0);
    // Every 97th byte of the file, each with another bit.
    for (step, offset) in (0..good.len()).step_by(97).enumerate() {
        let mut file = fs::OpenOptions::new().write(true).open(&path).unwrap();
        file.seek(SeekFrom::Start(offset as u64)).unwrap();
        file.write_all(&[good[offset] ^ (1 << (step % 8))]).unwrap();
        match readable(&copy).await {
            Ok(read) => {
                assert_eq!(read, entries, "byte {offset} was changed and nobody says so");
                same += 1;
            }
            Err(why) => {
                assert!(!why.is_empty());
                found += 1;
            }
        }
        file.seek(SeekFrom::Start(offset as u64)).unwrap();
        file.write_all(&good[offset..=offset]).unwrap();
    }
    assert!(found > 100 && same > 10, "{found} found, {same} where nothing of the log lies");
    for length in [0, 50, 4096, good.len() / 2, good.len() - 4096] {
        fs::write(&path, &good[..length]).unwrap();
        assert!(readable(&copy).await.is_err(), "cut to {length} bytes");
    }
}

/// The whole log, or what is wrong with it. The end must be where the head is: half a log is not a whole one.
async fn readable(site: &OnSqlite) -> Result<Vec<Entry>, String> {
    let mut log = site.open(Mode::ReadOnly).await.map_err(|error| error.to_string())?;
    let (mut entries, mut end) = (Vec::new(), tidehelm_events::commit::Head::default());
    loop {
        let read = log.read(end.position, 100).await.map_err(|error| error.to_string())?;
        if read.is_empty() {
            break;
        }
        for entry in read {
            entry.check(&end).map_err(|error| error.to_string())?;
            end = entry.head();
            entries.push(entry);
        }
    }
    let head = log.head().await.map_err(|error| error.to_string())?;
    let _ = log.close().await;
    if (head.position, head.hash) != (end.position, end.hash) {
        return Err(format!("the log ends at {}, its head is at {}", end.position, head.position));
    }
    Ok(entries)
}

#[tokio::test]
async fn a_backup_is_a_store_and_overwrites_nothing() {
    let mut site = OnSqlite::new();
    let (mut log, mut tale) = filled(&mut site, 5).await;
    let copy = OnSqlite::new();
    log.backup(&copy.dir()).await.unwrap();
    let then = tale.head;
    write(&mut log, &mut tale, 1, 1).await.unwrap();
    let taken = log.backup(&copy.dir()).await.unwrap_err();
    assert!(matches!(taken, StoreError::Taken { .. }), "{taken}");
    let mut restored = copy.open(Mode::Write).await.unwrap();
    assert_eq!(whole(&mut restored).await.unwrap().last().unwrap().head(), then);
    let head = restored.take_over(node()).await.unwrap();
    assert_eq!(head.position, then.position);
    write(&mut restored, &mut Tale::new(head), 1, 1).await.unwrap();
}

#[tokio::test]
async fn room_is_given_back() {
    let mut site = OnSqlite::new();
    let (mut log, mut tale) = filled(&mut site, 1).await;
    for _ in 0..60 {
        write(&mut log, &mut tale, 300, 0).await.unwrap();
    }
    let before = log.sizes().await.unwrap();
    site.say("UPDATE commits SET telemetry = NULL").await;
    assert!(log.sizes().await.unwrap().free > before.free);
    while log.shrink(0).await.unwrap() {}
    let after = log.sizes().await.unwrap();
    assert!(after.free == 0 && after.total * 2 < before.total && after.wal > 0, "{before:?} {after:?}");
    assert_eq!(log.read(Position(0), 1000).await.unwrap().len(), 61);
}
