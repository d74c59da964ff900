//! The directory, its files, and who may write in it.

use crate::store::StoreError;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::path::{Path, PathBuf};
use tidehelm_events::id::NodeId;
use tidehelm_events::time::Timestamp;

const LOCK: &str = "tidehelm.lock";

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> StoreError {
    move |source| StoreError::File { doing, path: path.to_path_buf(), source }
}

/// The directory with its parents, made durable where they are new. Only its owner may look in: it holds hashes of passwords.
pub fn durable_dir(dir: &Path) -> Result<(), StoreError> {
    if dir.is_dir() {
        return Ok(());
    }
    let parent = dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    durable_dir(parent)?;
    let mut builder = fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(dir) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(failed("make", dir)(error)),
        _ => sync(parent),
    }
}

pub fn must_exist(dir: &Path) -> Result<(), StoreError> {
    let path = dir.join(super::FILE);
    if path.is_file() { Ok(()) } else { Err(StoreError::Missing { dir: dir.to_path_buf() }) }
}

/// The database's file, made for its owner only if it is not there; SQLite takes an empty one for a new database, and gives
/// the files that it puts beside it the same permissions.
pub fn claim(path: &Path) -> Result<(), StoreError> {
    let mut open = OpenOptions::new();
    open.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut open, 0o600);
    open.open(path).map(drop).map_err(failed("open", path))
}

pub fn remove(path: &Path) -> Result<(), StoreError> {
    fs::remove_file(path).map_err(failed("remove", path))
}

/// True where neither the database's file nor its write-ahead log holds anything.
pub fn is_empty(path: &Path) -> bool {
    wal(path) == 0 && fs::metadata(path).map_or(0, |file| file.len()) == 0
}

/// Makes a file, or the names in a directory, survive a power cut.
pub fn sync(path: &Path) -> Result<(), StoreError> {
    File::open(path).and_then(|file| file.sync_all()).map_err(failed("sync", path))
}

/// Bytes of the write-ahead log beside the file.
pub fn wal(path: &Path) -> u64 {
    let mut wal = path.as_os_str().to_owned();
    wal.push("-wal");
    fs::metadata(PathBuf::from(wal)).map_or(0, |wal| wal.len())
}

/// No write-ahead log waits beside the file.
pub fn is_at_rest(path: &Path) -> bool {
    wal(path) == 0
}

/// The right to write in a directory: the operating system takes it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    since: Timestamp,
}

impl Lock {
    pub fn take(dir: &Path, now: Timestamp) -> Result<Self, StoreError> {
        let path = dir.join(LOCK);
        let mut open = OpenOptions::new();
        open.read(true).write(true).create(true).truncate(false);
        let mut file = open.open(&path).map_err(failed("open", &path))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut holder = String::new();
                file.read_to_string(&mut holder).map_err(failed("read", &path))?;
                return Err(StoreError::InUse { dir: dir.to_path_buf(), holder: Holder::parse(&holder) });
            }
            Err(TryLockError::Error(error)) => return Err(failed("lock", &path)(error)),
        }
        let lock = Lock { file, since: now };
        lock.write(None).map_err(failed("write", &path))?;
        Ok(lock)
    }

    /// Says which node writes here.
    pub fn name(&self, node: NodeId) -> io::Result<()> {
        self.write(Some(node))
    }

    fn write(&self, node: Option<NodeId>) -> io::Result<()> {
        let node = node.map_or_else(|| "-".into(), |node| node.to_string());
        let mut file = &self.file;
        file.set_len(0)?;
        file.rewind()?;
        writeln!(file, "{} {node} {}", std::process::id(), self.since)
    }
}

/// Who holds the lock, as far as the lock file tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder(String);

impl Holder {
    fn parse(text: &str) -> Self {
        let words: Vec<&str> = text.split_whitespace().collect();
        match words[..] {
            [pid, _, since] => Holder(format!("process {pid} since {since}")),
            _ => Holder("another process".into()),
        }
    }
}

impl std::fmt::Display for Holder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
