//! The file that STOP is written to while the log cannot be: small, laid out and synced before it is needed, so that a full disk
//! is no reason why STOP is not on record.
//!
//! The first page says what the file is. Each page after it holds one record, with its length and its hash; pages are used one
//! after the other, and cleared once the log has everything.

use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use tidehelm_events::answer::BodyHash;
use tidehelm_events::codec;
use tidehelm_events::copy::StopDegree;
use tidehelm_events::id::{CommandId, DeskId, Principal};
use tidehelm_events::reason::Reason;
use tidehelm_events::time::Timestamp;
use uuid::Uuid;

const PAGE: usize = 4096;
/// Records that fit in. Far fewer are ever open: one for each degree, and one more when it is taken into the log.
const RECORDS_MAX: usize = 63;
const SIZE: usize = PAGE * (RECORDS_MAX + 1);
const TITLE: &[u8] = b"Tidehelm emergency log, format 1\n";
const TITLE_OF_ANY_FORMAT: &[u8] = b"Tidehelm emergency log, format ";
const MARK: &[u8; 4] = b"THEM";
/// Mark, length and hash.
const HEAD: usize = 4 + 4 + 32;

/// STOP as somebody pressed it: all that the log needs to take it in later.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Press {
    pub desk: DeskId,
    pub degree: StopDegree,
    pub reason: Reason,
    /// Names it, and its orders.
    pub stop: Uuid,
    pub by: Principal,
    pub command: CommandId,
    pub body: BodyHash,
    pub at: Timestamp,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Record {
    Pressed(Box<Press>),
    /// The log has it.
    Taken {
        stop: Uuid,
    },
}

#[derive(Debug, thiserror::Error)]
pub enum FileError {
    #[error("cannot {doing} the emergency log {}", path.display())]
    Disk {
        doing: &'static str,
        path: PathBuf,
        #[source]
        why: io::Error,
    },
    #[error("{} is something else than an emergency log", .0.display())]
    NotOurs(PathBuf),
    #[error("the emergency log {} is of a later build; use that build, or move the file away once no STOP is in it", .0.display())]
    LaterFormat(PathBuf),
    #[error("the emergency log {} is full", .0.display())]
    Full(PathBuf),
    #[error("a record of {0} bytes does not fit into a page of the emergency log")]
    TooLarge(usize),
}

/// What a page holds.
#[derive(Debug, Clone, PartialEq)]
pub enum Page {
    Blank,
    Record(Record),
    /// Why it cannot be read, and a name that its bytes make.
    Damaged(String, Uuid),
}

/// What a file is to us. It can fail in tests.
pub trait Disk: Send {
    fn size(&self) -> io::Result<u64>;
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()>;
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()>;
    fn sync(&self) -> io::Result<()>;
}

impl Disk for File {
    fn size(&self) -> io::Result<u64> {
        self.metadata().map(|metadata| metadata.len())
    }
    fn read(&self, at: u64, into: &mut [u8]) -> io::Result<()> {
        self.read_exact_at(into, at)
    }
    fn write(&self, at: u64, bytes: &[u8]) -> io::Result<()> {
        self.write_all_at(bytes, at)
    }
    fn sync(&self) -> io::Result<()> {
        self.sync_all()
    }
}

pub struct EmergencyFile {
    disk: Box<dyn Disk>,
    path: PathBuf,
    pages: Vec<Page>,
    /// The page of the next record.
    next: usize,
}

impl EmergencyFile {
    /// The file, made and laid out if there is none.
    pub fn open(path: &Path) -> Result<Self, FileError> {
        let failed = |doing| move |why| FileError::Disk { doing, path: path.to_path_buf(), why };
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(failed("make the directory of"))?;
        let options = File::options().read(true).write(true).create(true).truncate(false).open(path);
        let file = options.map_err(failed("open"))?;
        let opened = EmergencyFile::over(Box::new(file), path)?;
        let directory = File::open(parent).and_then(|directory| directory.sync_all());
        directory.map_err(failed("sync the directory of"))?;
        Ok(opened)
    }

    /// What is on this disk.
    pub fn over(disk: Box<dyn Disk>, path: &Path) -> Result<Self, FileError> {
        let mut file = EmergencyFile { disk, path: path.to_path_buf(), pages: vec![Page::Blank; RECORDS_MAX], next: 0 };
        let size = file.disk.size().map_err(|why| file.failed("look at", why))?;
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        if size > SIZE {
            return Err(FileError::NotOurs(file.path));
        }
        let mut bytes = vec![0; size];
        file.disk.read(0, &mut bytes).map_err(|why| file.failed("read", why))?;
        if bytes.iter().all(|byte| *byte == 0) {
            file.lay_out()?;
            return Ok(file);
        }
        if !bytes.starts_with(TITLE) {
            let later = bytes.starts_with(TITLE_OF_ANY_FORMAT);
            return Err(if later { FileError::LaterFormat(file.path) } else { FileError::NotOurs(file.path) });
        }
        if size < SIZE {
            file.write(size, &vec![0; SIZE - size], "lengthen")?;
            bytes.resize(SIZE, 0);
        }
        file.pages = bytes[PAGE..].chunks(PAGE).map(page).collect();
        file.next = file.pages.iter().rposition(|page| *page != Page::Blank).map_or(0, |last| last + 1);
        Ok(file)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }
    pub fn pages(&self) -> &[Page] {
        &self.pages
    }

    /// Puts the record on the next page. It is on the disk when this returns; after a failure the same page is used again.
    pub fn append(&mut self, record: Record) -> Result<(), FileError> {
        let Some(page) = self.pages.get_mut(self.next) else { return Err(FileError::Full(self.path.clone())) };
        let bytes = written(&record)?;
        *page = Page::Damaged("it was not written to its end".into(), Uuid::nil());
        self.write(PAGE * (self.next + 1), &bytes, "write")?;
        self.pages[self.next] = Page::Record(record);
        self.next += 1;
        Ok(())
    }

    /// Clears all pages: what was pressed before what says that the log has it, so that no crash in between brings it back.
    pub fn clear(&mut self) -> Result<(), FileError> {
        for done in [false, true] {
            for at in 0..RECORDS_MAX {
                let taken = matches!(self.pages[at], Page::Record(Record::Taken { .. }));
                if self.pages[at] != Page::Blank && taken == done {
                    self.disk.write((PAGE * (at + 1)) as u64, &[0; PAGE]).map_err(|why| self.failed("clear", why))?;
                    self.pages[at] = Page::Blank;
                }
            }
            self.disk.sync().map_err(|why| self.failed("clear", why))?;
        }
        self.next = 0;
        Ok(())
    }

    /// Every page is written, so that the disk has given room for it.
    fn lay_out(&mut self) -> Result<(), FileError> {
        self.write(0, &[0; SIZE], "lay out")?;
        self.write(0, TITLE, "lay out")
    }

    fn write(&self, at: usize, bytes: &[u8], doing: &'static str) -> Result<(), FileError> {
        let written = self.disk.write(at as u64, bytes).and_then(|()| self.disk.sync());
        written.map_err(|why| self.failed(doing, why))
    }

    fn failed(&self, doing: &'static str, why: io::Error) -> FileError {
        FileError::Disk { doing, path: self.path.clone(), why }
    }
}

/// The page that a record makes.
fn written(record: &Record) -> Result<Vec<u8>, FileError> {
    let mut body = Vec::new();
    codec::write(record, &mut body);
    if body.len() > PAGE - HEAD {
        return Err(FileError::TooLarge(body.len()));
    }
    let mut page = Vec::with_capacity(PAGE);
    page.extend_from_slice(MARK);
    page.extend_from_slice(&(body.len() as u32).to_le_bytes());
    page.extend_from_slice(blake3::hash(&body).as_bytes());
    page.extend_from_slice(&body);
    page.resize(PAGE, 0);
    Ok(page)
}

/// What the bytes of a page are.
fn page(bytes: &[u8]) -> Page {
    if bytes.iter().all(|byte| *byte == 0) {
        return Page::Blank;
    }
    match read(bytes) {
        Ok(record) => Page::Record(record),
        Err(why) => Page::Damaged(why, Uuid::new_v5(&Uuid::NAMESPACE_OID, bytes)),
    }
}

fn read(bytes: &[u8]) -> Result<Record, String> {
    let (head, rest) = bytes.split_at(HEAD);
    if head[..4] != MARK[..] {
        return Err("it does not begin as a record does".into());
    }
    let length = head[4..8].iter().rev().fold(0_usize, |length, byte| length << 8 | usize::from(*byte));
    let Some(body) = rest.get(..length) else { return Err(format!("its length, {length}, cannot be")) };
    if *blake3::hash(body).as_bytes() != head[8..] {
        return Err("its hash is wrong: it was not written to its end, or changed since".into());
    }
    codec::read(body).map_err(|error| format!("its hash is right, and still it cannot be read: {error}"))
}
