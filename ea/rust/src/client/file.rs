//! A memory in a file: what was known at the last rewriting, and what came since. Each entry is its length, eight bytes of its
//! SHA-256, and bincode.

use super::Memory;
use crate::terminal::{Recollection, Record};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tidehelm_events::codec;

const MAGIC: &[u8] = b"tidehelm terminal 1\n";
/// A file that grew by so much is written anew with what still counts.
const GROWTH_MAX: u64 = 4 << 20;

#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    #[error("cannot {doing} {path}")]
    Io {
        doing: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("{0} is in use by another terminal")]
    InUse(PathBuf),
    #[error("{0} is no memory of a terminal; move it away if it is not needed")]
    Foreign(PathBuf),
    #[error("{0} is damaged: what was executed cannot be told any more; move it away and compare the account by hand")]
    Damaged(PathBuf),
}

/// Locked as long as it is open: two terminals with one memory would both execute.
pub struct FileMemory {
    path: PathBuf,
    file: File,
    known: Recollection,
    /// Bytes that were added since the file was written anew.
    grown: u64,
    /// Keeps others out, also while the file is replaced.
    _lock: File,
}

impl FileMemory {
    /// Opens it, or begins an empty one. An entry at the end that was not written out is cut off: nothing was done after it.
    pub fn open(path: impl Into<PathBuf>) -> Result<Self, MemoryError> {
        let path = path.into();
        let lock = lock(&path)?;
        let (known, end) = match File::open(&path) {
            Ok(mut file) => read(&mut file, &path)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => (Recollection::default(), 0),
            Err(source) => return Err(failed("open", &path)(source)),
        };
        if end == 0 {
            write_anew(&path, &known).map_err(failed("write", &path))?;
        }
        let mut file = OpenOptions::new().read(true).write(true).open(&path).map_err(failed("open", &path))?;
        if end > 0 {
            file.set_len(end).map_err(failed("mend", &path))?;
        }
        file.seek(SeekFrom::End(0)).map_err(failed("open", &path))?;
        Ok(FileMemory { path, file, known, grown: end, _lock: lock })
    }

    fn append(&mut self, record: &Record) -> io::Result<()> {
        let entry = entry(record);
        self.file.write_all(&entry)?;
        self.grown += entry.len() as u64;
        if record.must_last() { self.file.sync_data() } else { Ok(()) }
    }

    fn rewrite(&mut self) -> io::Result<()> {
        write_anew(&self.path, &self.known)?;
        self.file = OpenOptions::new().append(true).open(&self.path)?;
        self.grown = 0;
        Ok(())
    }
}

impl Memory for FileMemory {
    fn recollection(&self) -> Recollection {
        self.known.clone()
    }
    fn keep(&mut self, record: &Record) -> Result<(), MemoryError> {
        self.known.apply(record);
        self.append(record).map_err(failed("write", &self.path))?;
        if self.grown > GROWTH_MAX {
            self.rewrite().map_err(failed("rewrite", &self.path))?;
        }
        Ok(())
    }
}

fn lock(path: &Path) -> Result<File, MemoryError> {
    let lock = path.with_added_extension("lock");
    let file = private().open(&lock).map_err(failed("open", &lock))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(std::fs::TryLockError::WouldBlock) => Err(MemoryError::InUse(path.into())),
        Err(std::fs::TryLockError::Error(source)) => Err(failed("lock", &lock)(source)),
    }
}

/// What the file says, and where its last whole entry ends.
fn read(file: &mut File, path: &Path) -> Result<(Recollection, u64), MemoryError> {
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes).map_err(failed("read", path))?;
    if bytes.is_empty() {
        return Ok((Recollection::default(), 0));
    }
    let rest = bytes.strip_prefix(MAGIC).ok_or_else(|| MemoryError::Foreign(path.into()))?;
    // The first entry was there before the file had its name.
    let (mut known, mut rest) = take::<Recollection>(rest).ok_or_else(|| MemoryError::Damaged(path.into()))?;
    while let Some((record, after)) = take::<Record>(rest) {
        known.apply(&record);
        rest = after;
    }
    // What a crash cut short is the last one. One that has others behind it was damaged later.
    if is_followed(rest) {
        return Err(MemoryError::Damaged(path.into()));
    }
    Ok((known, (bytes.len() - rest.len()) as u64))
}

fn entry<T: Serialize>(value: &T) -> Vec<u8> {
    let mut body = Vec::new();
    codec::write(value, &mut body);
    let mut entry = (body.len() as u32).to_le_bytes().to_vec();
    entry.extend_from_slice(&Sha256::digest(&body)[..8]);
    entry.extend_from_slice(&body);
    entry
}

/// The entry at the start of the bytes, and what follows. None where it is not whole or not what it was.
fn take<T: DeserializeOwned>(bytes: &[u8]) -> Option<(T, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (check, rest) = rest.split_first_chunk::<8>()?;
    let (body, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    if Sha256::digest(body)[..8] != check[..] {
        return None;
    }
    Some((codec::read_large(body).ok()?, rest))
}

/// Somewhere behind the start there is an entry that is whole.
fn is_followed(bytes: &[u8]) -> bool {
    (1..bytes.len()).any(|at| take::<Record>(&bytes[at..]).is_some())
}

/// Beside it first, so that there is always one that is whole.
fn write_anew(path: &Path, known: &Recollection) -> io::Result<()> {
    let beside = path.with_added_extension("new");
    let mut file = private().truncate(true).open(&beside)?;
    file.write_all(MAGIC)?;
    file.write_all(&entry(known))?;
    file.sync_all()?;
    std::fs::rename(&beside, path)?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(directory)?.sync_all()
}

/// For nobody else: it holds the account's key.
fn private() -> OpenOptions {
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options
}

fn failed(doing: &'static str, path: &Path) -> impl FnOnce(io::Error) -> MemoryError {
    let path = path.to_path_buf();
    move |source| MemoryError::Io { doing, path, source }
}
