//! What a disk may hold after a power cut: a small model of files, names and sync.
//!
//! A change is *durable* once a sync that covers it has returned, *pending* until then. An image holds every durable
//! change and any choice of the pending ones. Two things are not negotiable, because they are so on every disk:
//!
//! - A sector is written as the page cache has it. If a later write to a sector reached the disk, so did the earlier
//!   ones to that sector; only writes to different sectors can be reordered.
//! - A rename takes away the old name and gives the new one in one step.
//!
//! fdatasync covers data and size, as fdatasync(2) promises, and no names. Contents that were never written are zeros.

use super::{Op, Recording, Rng};
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

const SECTOR: usize = 512;

/// What the file system promises about names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// Only what POSIX promises: a name is durable once its directory has been synced, and pending names may reach the
    /// disk in any order.
    Strict,
    /// As ext4 with data=ordered: names reach the disk in order, and syncing a file takes along its pending names and
    /// all names that changed before them (fdatasync: only if the file was created, not if it was renamed).
    Ordered,
}

/// Which pending changes reached the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Choice {
    None,
    /// What `kill -9` leaves.
    All,
    Random,
    /// Writes are cut at sector boundaries: some sectors are new, some old, some of a grown file zeros.
    Torn,
    /// At least one change is lost while a later one is kept, where two are pending.
    Reordered,
}

/// One possible disk, and where the crash came.
#[derive(Debug, Clone)]
pub struct CrashImage {
    /// The crash came right after this operation.
    pub index: usize,
    pub choice: Choice,
    pub image: Image,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Node {
    Dir,
    File(Vec<u8>),
}

/// A directory's contents by relative path, without the directory itself.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    pub nodes: BTreeMap<String, Node>,
}

impl Recording {
    /// `count` images from all over the recording; the same seed gives the same ones. Crashes right after an
    /// acknowledgement and right before a sync are preferred, for there is most to lose.
    pub fn images(&self, seed: u64, count: usize) -> impl Iterator<Item = CrashImage> {
        let mut rng = Rng::new(seed);
        let (acks, eves) = (self.after_acks(), self.before_syncs());
        let last = self.ops.len() - 1;
        assert!(self.begin() > 0, "nothing was recorded");
        (0..count).map(move |turn| {
            let (index, choice) = match turn {
                0 => (last, Choice::None),
                1 => (last, Choice::All),
                _ => (self.crash_point(&acks, &eves, &mut rng), choice_in_turn(turn)),
            };
            CrashImage { index, choice, image: self.image_at(index, choice, &mut rng) }
        })
    }

    /// One disk that a crash right after operation `index` may leave. What was there at the start is in every image.
    pub fn image_at(&self, index: usize, choice: Choice, rng: &mut Rng) -> Image {
        let mut history = History::new(self.disk);
        for op in &self.ops[..(index + 1).max(self.begin())] {
            history.note(op);
        }
        let fates = history.fates(choice, rng);
        history.image(&fates)
    }

    fn crash_point(&self, acks: &[usize], eves: &[usize], rng: &mut Rng) -> usize {
        let points = [acks, eves, &[]][rng.below(3)];
        match points {
            [] => self.begin() - 1 + rng.below(self.ops.len() + 1 - self.begin()),
            points => points[rng.below(points.len())],
        }
    }

    /// How many operations at the front only tell what was there at the start.
    fn begin(&self) -> usize {
        let tells = |op: &Op| matches!(op, Op::Started { .. } | Op::FoundDir { .. } | Op::FoundFile { .. });
        self.ops.iter().take_while(|op| tells(op)).count()
    }

    fn after_acks(&self) -> Vec<usize> {
        (0..self.ops.len()).filter(|i| matches!(self.ops[*i], Op::Acked { .. } | Op::Sent { .. })).collect()
    }

    fn before_syncs(&self) -> Vec<usize> {
        let syncs = |op: &Op| matches!(op, Op::Synced { .. } | Op::DataSynced { .. } | Op::AllSynced);
        (1..self.ops.len()).filter(|i| syncs(&self.ops[*i])).map(|i| i - 1).collect()
    }
}

fn choice_in_turn(turn: usize) -> Choice {
    [Choice::None, Choice::Random, Choice::Torn, Choice::Reordered, Choice::Random, Choice::Torn, Choice::All][turn % 7]
}

impl Image {
    /// Makes `dir` this disk. `dir` is new or empty.
    pub fn write_to(&self, dir: &Path) {
        std::fs::create_dir_all(dir).unwrap();
        assert!(dir.read_dir().unwrap().next().is_none(), "{} is not empty", dir.display());
        for (path, node) in &self.nodes {
            match node {
                Node::Dir => std::fs::create_dir(dir.join(path)).unwrap(),
                Node::File(bytes) => std::fs::write(dir.join(path), bytes).unwrap(),
            }
        }
    }

    /// What `dir` holds now, without the `-shm` files that no recording has.
    pub fn read_from(dir: &Path) -> Image {
        let mut image = Image::default();
        image.read_below(dir, "");
        image
    }

    pub fn file(&self, path: &str) -> Option<&[u8]> {
        match self.nodes.get(path)? {
            Node::Dir => None,
            Node::File(bytes) => Some(bytes),
        }
    }

    /// One line for each path where `dir` is not this image.
    pub fn differences(&self, dir: &Path) -> Vec<String> {
        let real = Image::read_from(dir);
        let paths: BTreeSet<&String> = self.nodes.keys().chain(real.nodes.keys()).collect();
        let mut found = Vec::new();
        for path in paths {
            match (self.nodes.get(path), real.nodes.get(path)) {
                (Some(ours), Some(theirs)) if ours == theirs => {}
                (Some(Node::File(ours)), Some(Node::File(theirs))) => found.push(difference(path, ours, theirs)),
                (Some(_), Some(_)) => found.push(format!("{path}: a file here, a directory there")),
                (Some(_), None) => found.push(format!("{path}: only in the image")),
                (None, _) => found.push(format!("{path}: only in the directory")),
            }
        }
        found
    }

    fn read_below(&mut self, dir: &Path, prefix: &str) {
        for entry in std::fs::read_dir(dir).unwrap() {
            let entry = entry.unwrap();
            let path = joined(prefix, entry.file_name().to_str().unwrap());
            if entry.file_type().unwrap().is_dir() {
                self.read_below(&entry.path(), &path);
                self.nodes.insert(path, Node::Dir);
            } else if !path.ends_with("-shm") {
                self.nodes.insert(path, Node::File(std::fs::read(entry.path()).unwrap()));
            }
        }
    }
}

fn difference(path: &str, ours: &[u8], theirs: &[u8]) -> String {
    let at = ours.iter().zip(theirs).position(|(a, b)| a != b).unwrap_or(ours.len().min(theirs.len()));
    format!("{path}: {} bytes in the image, {} in the directory, first difference at {at}", ours.len(), theirs.len())
}

fn joined(prefix: &str, name: &str) -> String {
    if prefix.is_empty() { name.to_owned() } else { format!("{prefix}/{name}") }
}

/// A file or directory, whatever it is called: an index into the objects seen so far.
type Object = usize;
const ROOT: Object = 0;

#[derive(Debug)]
struct Change<'a> {
    subject: Object,
    effect: Effect<'a>,
}

#[derive(Debug)]
enum Effect<'a> {
    Write {
        offset: usize,
        data: &'a [u8],
    },
    Resize {
        size: usize,
    },
    Allocate {
        end: usize,
    },
    /// All entries change in one step.
    Name {
        entries: Vec<Entry>,
        creates: bool,
    },
}

impl Effect<'_> {
    fn is_name(&self) -> bool {
        match self {
            Effect::Name { .. } => true,
            Effect::Write { .. } | Effect::Resize { .. } | Effect::Allocate { .. } => false,
        }
    }
}

#[derive(Debug, Clone)]
struct Entry {
    dir: Object,
    name: String,
    to: Option<Object>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Lost,
    Whole,
    /// Of a write, for each of its sectors; `grown` if the file's size got to the disk whatever happened to the data.
    Sectors {
        kept: Vec<bool>,
        grown: bool,
    },
}

/// Everything up to the crash, and which of it a crash may still take away.
#[derive(Debug)]
struct History<'a> {
    disk: Disk,
    changes: Vec<Change<'a>>,
    /// Indices into `changes`, ascending.
    pending: Vec<usize>,
    /// Whether each object is a directory.
    dirs: Vec<bool>,
    /// Inodes are used again; this is who has each one now.
    by_inode: BTreeMap<u64, Object>,
    /// The names as the running process sees them.
    names: BTreeMap<(Object, String), Object>,
}

impl<'a> History<'a> {
    fn new(disk: Disk) -> Self {
        let (by_inode, names) = (BTreeMap::new(), BTreeMap::new());
        History { disk, changes: Vec::new(), pending: Vec::new(), dirs: Vec::new(), by_inode, names }
    }

    fn note(&mut self, op: &'a Op) {
        match op {
            Op::FoundDir { inode, path } => self.found(*inode, path, true),
            Op::FoundFile { inode, path, data } => {
                self.found(*inode, path, false);
                let subject = self.object(*inode, path);
                self.changes.push(Change { subject, effect: Effect::Write { offset: 0, data } });
            }
            Op::Created { inode, path } => self.made(*inode, path, false),
            Op::DirMade { inode, path } => self.made(*inode, path, true),
            Op::Written { inode, path, offset, data, durable } => {
                let subject = self.object(*inode, path);
                self.push(subject, Effect::Write { offset: narrow(*offset), data });
                if *durable {
                    self.pending.pop();
                }
            }
            Op::Resized { inode, path, size } => {
                let subject = self.object(*inode, path);
                self.push(subject, Effect::Resize { size: narrow(*size) });
            }
            Op::Allocated { inode, path, end } => {
                let subject = self.object(*inode, path);
                self.push(subject, Effect::Allocate { end: narrow(*end) });
            }
            Op::Unlinked { inode, path } => {
                let subject = self.named(*inode, path);
                let gone = self.entry(path, None);
                self.push_name(subject, vec![gone], false);
            }
            Op::Renamed { inode, from, to } => {
                let subject = self.named(*inode, from);
                let entries = vec![self.entry(from, None), self.entry(to, Some(subject))];
                self.push_name(subject, entries, false);
            }
            Op::Linked { inode, path } => {
                let subject = self.object(*inode, path);
                let entry = self.entry(path, Some(subject));
                self.push_name(subject, vec![entry], true);
            }
            Op::Synced { inode, path } => {
                let object = self.object(*inode, path);
                if self.dirs[object] { self.sync_dir(object) } else { self.sync_file(object, true) }
            }
            Op::DataSynced { inode, path } => {
                let object = self.object(*inode, path);
                if self.dirs[object] { self.sync_dir(object) } else { self.sync_file(object, false) }
            }
            Op::AllSynced => self.pending.clear(),
            Op::Started { .. } | Op::RangeSynced { .. } | Op::Acked { .. } | Op::Sent { .. } | Op::Untracked { .. } => {
            }
        }
    }

    fn found(&mut self, inode: u64, path: &str, dir: bool) {
        if path.is_empty() {
            assert!(self.dirs.is_empty(), "the watched directory comes first");
            self.add(inode, dir);
        } else {
            self.made(inode, path, dir);
            self.pending.pop();
        }
    }

    fn made(&mut self, inode: u64, path: &str, dir: bool) {
        let subject = self.add(inode, dir);
        if !path.is_empty() {
            let entry = self.entry(path, Some(subject));
            self.push_name(subject, vec![entry], true);
        }
    }

    fn add(&mut self, inode: u64, dir: bool) -> Object {
        self.dirs.push(dir);
        self.by_inode.insert(inode, self.dirs.len() - 1);
        self.dirs.len() - 1
    }

    fn push(&mut self, subject: Object, effect: Effect<'a>) {
        self.pending.push(self.changes.len());
        self.changes.push(Change { subject, effect });
    }

    fn push_name(&mut self, subject: Object, entries: Vec<Entry>, creates: bool) {
        for entry in &entries {
            apply(&mut self.names, entry);
        }
        self.push(subject, Effect::Name { entries, creates });
    }

    fn object(&self, inode: u64, path: &str) -> Object {
        *self.by_inode.get(&inode).unwrap_or_else(|| panic!("{path} (inode {inode}) was never seen coming into being"))
    }

    /// The object of that inode, which must be the one that has the name.
    fn named(&self, inode: u64, path: &str) -> Object {
        let object = self.object(inode, path);
        let (dir, name) = self.parent(path);
        assert_eq!(self.names.get(&(dir, name)), Some(&object), "{path} names something else than inode {inode}");
        object
    }

    fn entry(&self, path: &str, to: Option<Object>) -> Entry {
        let (dir, name) = self.parent(path);
        Entry { dir, name, to }
    }

    fn parent(&self, path: &str) -> (Object, String) {
        let (dirs, name) = path.rsplit_once('/').unwrap_or(("", path));
        let mut dir = ROOT;
        for part in dirs.split('/').filter(|part| !part.is_empty()) {
            let found = self.names.get(&(dir, part.to_owned()));
            dir = *found.unwrap_or_else(|| panic!("{path} lies in a directory never seen coming into being"));
        }
        (dir, name.to_owned())
    }

    /// A rename between two directories is one step, so syncing either makes it durable.
    fn sync_dir(&mut self, dir: Object) {
        let changes = &self.changes;
        let covers = |i: usize| match &changes[i].effect {
            Effect::Name { entries, .. } => entries.iter().any(|entry| entry.dir == dir),
            Effect::Write { .. } | Effect::Resize { .. } | Effect::Allocate { .. } => false,
        };
        match self.disk {
            Disk::Strict => self.pending.retain(|i| !covers(*i)),
            Disk::Ordered => {
                let last = self.pending.iter().copied().filter(|i| covers(*i)).max();
                self.commit_names(last);
            }
        }
    }

    fn sync_file(&mut self, file: Object, with_renames: bool) {
        let changes = &self.changes;
        self.pending.retain(|i| changes[*i].subject != file || changes[*i].effect.is_name());
        if self.disk == Disk::Ordered {
            let takes = |i: usize| match changes[i].effect {
                Effect::Name { creates, .. } => changes[i].subject == file && (creates || with_renames),
                Effect::Write { .. } | Effect::Resize { .. } | Effect::Allocate { .. } => false,
            };
            let last = self.pending.iter().copied().filter(|i| takes(*i)).max();
            self.commit_names(last);
        }
    }

    /// Names reach an ordered disk in order: with the last one all before it.
    fn commit_names(&mut self, last: Option<usize>) {
        let Some(last) = last else { return };
        let changes = &self.changes;
        self.pending.retain(|i| *i > last || !changes[*i].effect.is_name());
    }

    /// What becomes of each pending change.
    fn fates(&self, choice: Choice, rng: &mut Rng) -> BTreeMap<usize, Fate> {
        let likely = [1, 4, 7][rng.below(3)];
        let mut fates = BTreeMap::new();
        for i in &self.pending {
            let fate = match choice {
                Choice::None => Fate::Lost,
                Choice::All => Fate::Whole,
                Choice::Random | Choice::Reordered => coin(rng.eighths(likely)),
                Choice::Torn => torn(&self.changes[*i].effect, likely, rng),
            };
            fates.insert(*i, fate);
        }
        match choice {
            Choice::None | Choice::All => {}
            Choice::Random | Choice::Torn => self.keep_names_in_order(&mut fates, rng),
            Choice::Reordered => {
                self.keep_names_in_order(&mut fates, rng);
                self.reorder(&mut fates, rng);
            }
        }
        fates
    }

    fn keep_names_in_order(&self, fates: &mut BTreeMap<usize, Fate>, rng: &mut Rng) {
        if self.disk == Disk::Strict {
            return;
        }
        let names: Vec<usize> = self.pending.iter().copied().filter(|i| self.changes[*i].effect.is_name()).collect();
        let kept = rng.below(names.len() + 1);
        for (place, i) in names.into_iter().enumerate() {
            fates.insert(i, coin(place < kept));
        }
    }

    fn reorder(&self, fates: &mut BTreeMap<usize, Fate>, rng: &mut Rng) {
        let movable = |i: &usize| self.disk == Disk::Strict || !self.changes[*i].effect.is_name();
        let movable: Vec<usize> = self.pending.iter().copied().filter(movable).collect();
        if movable.len() < 2 {
            return;
        }
        let later = 1 + rng.below(movable.len() - 1);
        fates.insert(movable[rng.below(later)], Fate::Lost);
        fates.insert(movable[later], Fate::Whole);
    }

    fn image(&self, fates: &BTreeMap<usize, Fate>) -> Image {
        let mut names = BTreeMap::new();
        let mut files: BTreeMap<Object, File> = BTreeMap::new();
        for (i, change) in self.changes.iter().enumerate() {
            let fate = fates.get(&i).unwrap_or(&Fate::Whole);
            let file = files.entry(change.subject).or_default();
            match &change.effect {
                Effect::Write { offset, data } => file.write(*offset, data, fate),
                Effect::Resize { size } => file.resize(*size, fate),
                Effect::Allocate { end } => file.allocate(*end, fate),
                Effect::Name { entries, .. } => {
                    if *fate != Fate::Lost {
                        entries.iter().for_each(|entry| apply(&mut names, entry));
                    }
                }
            }
        }
        let mut image = Image::default();
        self.walk(&names, &mut files, &mut vec![ROOT], "", &mut image);
        image
    }

    /// `above`: the directories from the root to here. A choice of renames may put a directory into itself, and the
    /// walk must end.
    fn walk(
        &self,
        names: &Names,
        files: &mut BTreeMap<Object, File>,
        above: &mut Vec<Object>,
        at: &str,
        to: &mut Image,
    ) {
        let here = *above.last().expect("the root at least");
        for ((_, name), object) in names.range((here, String::new())..(here + 1, String::new())) {
            let path = joined(at, name);
            if !self.dirs[*object] {
                let bytes = files.get(object).map(|file| file.disk.clone()).unwrap_or_default();
                to.nodes.insert(path, Node::File(bytes));
            } else if !above.contains(object) {
                to.nodes.insert(path.clone(), Node::Dir);
                above.push(*object);
                self.walk(names, files, above, &path, to);
                above.pop();
            }
        }
    }
}

type Names = BTreeMap<(Object, String), Object>;

fn apply(names: &mut Names, entry: &Entry) {
    let key = (entry.dir, entry.name.clone());
    match entry.to {
        Some(object) => names.insert(key, object),
        None => names.remove(&key),
    };
}

fn coin(kept: bool) -> Fate {
    if kept { Fate::Whole } else { Fate::Lost }
}

fn torn(effect: &Effect, likely: usize, rng: &mut Rng) -> Fate {
    match effect {
        Effect::Write { offset, data } if !data.is_empty() && rng.eighths(5) => {
            let sectors = (offset + data.len() - 1) / SECTOR - offset / SECTOR + 1;
            Fate::Sectors { kept: (0..sectors).map(|_| rng.eighths(likely)).collect(), grown: rng.eighths(4) }
        }
        Effect::Write { .. } | Effect::Resize { .. } | Effect::Allocate { .. } | Effect::Name { .. } => {
            coin(rng.eighths(likely))
        }
    }
}

fn narrow(number: u64) -> usize {
    usize::try_from(number).unwrap()
}

/// One file as the process sees it, and as the disk has it.
#[derive(Debug, Default)]
struct File {
    cache: Vec<u8>,
    disk: Vec<u8>,
}

impl File {
    fn write(&mut self, offset: usize, data: &[u8], fate: &Fate) {
        let end = offset + data.len();
        if data.is_empty() {
            return;
        }
        grow(&mut self.cache, end);
        self.cache[offset..end].copy_from_slice(data);
        let first = offset / SECTOR;
        match fate {
            Fate::Lost => {}
            Fate::Whole => self.flush(first * SECTOR, end.next_multiple_of(SECTOR)),
            Fate::Sectors { kept, grown } => {
                for (i, kept) in kept.iter().enumerate() {
                    if *kept {
                        self.flush((first + i) * SECTOR, (first + i + 1) * SECTOR);
                    }
                }
                if *grown {
                    grow(&mut self.disk, end);
                }
            }
        }
    }

    fn resize(&mut self, size: usize, fate: &Fate) {
        self.cache.resize(size, 0);
        if *fate != Fate::Lost {
            self.disk.resize(size, 0);
        }
    }

    fn allocate(&mut self, end: usize, fate: &Fate) {
        grow(&mut self.cache, end);
        if *fate != Fate::Lost {
            grow(&mut self.disk, end);
        }
    }

    /// Sectors go to the disk as the cache has them; what lies behind its end is zeros.
    fn flush(&mut self, from: usize, to: usize) {
        let end = to.min(self.cache.len());
        grow(&mut self.disk, end);
        self.disk[from..end].copy_from_slice(&self.cache[from..end]);
        let behind = to.min(self.disk.len());
        self.disk[end..behind].fill(0);
    }
}

fn grow(bytes: &mut Vec<u8>, size: usize) {
    if bytes.len() < size {
        bytes.resize(size, 0);
    }
}
