//! A recording of what one process wrote, synced and promised, and the disks a power cut could leave behind.
//!
//! `kill -9` leaves the page cache alone, so it says nothing about fsync. Here `record.c` stands in front of libc and
//! keeps writes and syncs apart, and `disk.rs` rebuilds a directory from what was synced plus any part of the rest.
//!
//! A test runs the program once, then asks of every image: is all there that had been acknowledged before the crash?
//!
//! ```ignore
//! let shim = Recording::compile_shim(scratch);
//! let mut command = Command::new(env!("CARGO_BIN_EXE_tidehelm"));
//! Recording::watch(&mut command, &shim, &data_dir, &log);
//! drive(command.spawn().unwrap());
//! let recording = Recording::load(&log);
//! recording.assert_tracked();
//! for crash in recording.images(seed, 500) {
//!     crash.image.write_to(&fresh_dir);
//!     assert_holds(&fresh_dir, &recording.acks_before(crash.index), &crash);
//! }
//! ```
#![allow(clippy::unwrap_used, reason = "a test tool: what it cannot do fails the test")]
#![allow(dead_code, reason = "a toolbox: no test needs all of it")]

mod disk;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

pub use disk::{Choice, CrashImage, Disk, Image, Node};

/// One operation, in the order in which the kernel carried it out. Paths are relative to the watched directory, which
/// is itself "".
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Op {
    /// The recorded process began, or went on as another program by exec.
    Started {
        pid: u64,
    },
    /// Was there before the recording, and counts as durable.
    FoundDir {
        inode: u64,
        path: String,
    },
    FoundFile {
        inode: u64,
        path: String,
        data: Vec<u8>,
    },
    /// A file without a name has the path "".
    Created {
        inode: u64,
        path: String,
    },
    DirMade {
        inode: u64,
        path: String,
    },
    /// `durable`: written through O_SYNC or O_DSYNC, so on the disk when the call returned.
    Written {
        inode: u64,
        path: String,
        offset: u64,
        data: Vec<u8>,
        durable: bool,
    },
    Resized {
        inode: u64,
        path: String,
        size: u64,
    },
    Allocated {
        inode: u64,
        path: String,
        end: u64,
    },
    /// A file or an empty directory lost this name.
    Unlinked {
        inode: u64,
        path: String,
    },
    Renamed {
        inode: u64,
        from: String,
        to: String,
    },
    Linked {
        inode: u64,
        path: String,
    },
    /// fsync has returned, on a file or on a directory.
    Synced {
        inode: u64,
        path: String,
    },
    /// fdatasync has returned.
    DataSynced {
        inode: u64,
        path: String,
    },
    /// sync_file_range has returned, which promises nothing.
    RangeSynced {
        inode: u64,
        path: String,
    },
    /// sync or syncfs has returned.
    AllSynced,
    /// Written to standard output.
    Acked {
        data: Vec<u8>,
    },
    /// Written to a socket; only with `watch_sockets`.
    Sent {
        socket: u64,
        data: Vec<u8>,
    },
    /// Happened, and cannot be followed: the images are not to be believed.
    Untracked {
        path: String,
        why: String,
    },
}

#[derive(Debug, Clone)]
pub struct Recording {
    pub ops: Vec<Op>,
    pub disk: Disk,
}

impl Recording {
    /// The path of the compiled recorder, in `out_dir`.
    pub fn compile_shim(out_dir: &Path) -> PathBuf {
        let own = out_dir.join(format!("shim-{}-{:?}", std::process::id(), std::thread::current().id()));
        std::fs::create_dir_all(&own).unwrap();
        let (source, fresh, shim) = (own.join("record.c"), own.join("record.so"), out_dir.join("record.so"));
        std::fs::write(&source, include_str!("record.c")).unwrap();
        let mut cc = Command::new("cc");
        cc.args(["-std=gnu11", "-O2", "-Wall", "-shared", "-fPIC", "-o"]).arg(&fresh).arg(&source);
        let output = cc.args(["-ldl", "-lpthread"]).output().expect("cc is needed to build the recorder");
        assert!(output.status.success(), "cc: {}", String::from_utf8_lossy(&output.stderr));
        // By rename, since another test may be loading the same library.
        std::fs::rename(&fresh, &shim).unwrap();
        std::fs::remove_dir_all(&own).unwrap();
        shim
    }

    /// Makes `command` record into `log` what it does below `dir`. `log` lies outside `dir` and is new for each run.
    /// Somebody has to read the standard output if it is a pipe: the recorder holds its mutex over a write.
    pub fn watch(command: &mut Command, shim: &Path, dir: &Path, log: &Path) {
        assert!(!log.exists(), "{} holds another recording", log.display());
        command.env("LD_PRELOAD", shim).env("SHIM_DIR", dir).env("SHIM_LOG", log);
    }

    /// As `watch`, and what goes to sockets is recorded too: answers over HTTP are acknowledgements.
    pub fn watch_sockets(command: &mut Command, shim: &Path, dir: &Path, log: &Path) {
        Self::watch(command, shim, dir, log);
        command.env("SHIM_SOCKETS", "1");
    }

    /// The recording in this file. A last operation cut short by a kill is left out.
    pub fn load(path: &Path) -> Recording {
        let bytes = std::fs::read(path).unwrap();
        let mut rest = bytes.strip_prefix(b"TIDESHM1").expect("this is no recording");
        let mut ops = Vec::new();
        while let Some((length, body)) = rest.split_first_chunk::<4>() {
            let length = usize::try_from(u32::from_le_bytes(*length)).unwrap();
            let Some((body, next)) = body.split_at_checked(length) else { break };
            ops.push(decode(body));
            rest = next;
        }
        Recording::new(ops)
    }

    pub fn new(ops: Vec<Op>) -> Recording {
        Recording { ops, disk: Disk::Strict }
    }

    /// The same recording, crashed on another kind of disk.
    pub fn on(self, disk: Disk) -> Recording {
        Recording { disk, ..self }
    }

    /// Whole lines on standard output up to and including operation `index`: what was promised when the crash came
    /// right after it.
    pub fn acks_before(&self, index: usize) -> Vec<String> {
        let mut bytes = Vec::new();
        for op in &self.ops[..=index] {
            if let Op::Acked { data } = op {
                bytes.extend_from_slice(data);
            }
        }
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        String::from_utf8_lossy(&bytes[..whole]).lines().map(str::to_owned).collect()
    }

    /// All bytes sent on each socket, up to and including operation `index`.
    pub fn sent_before(&self, index: usize) -> Vec<Vec<u8>> {
        let mut streams: BTreeMap<u64, Vec<u8>> = BTreeMap::new();
        for op in &self.ops[..=index] {
            if let Op::Sent { socket, data } = op {
                streams.entry(*socket).or_default().extend_from_slice(data);
            }
        }
        streams.into_values().collect()
    }

    /// What the recorder saw and could not follow.
    pub fn untracked(&self) -> Vec<String> {
        let mut found = Vec::new();
        for op in &self.ops {
            if let Op::Untracked { path, why } = op {
                found.push(format!("{path}: {why}"));
            }
        }
        found
    }

    /// Fails if anything happened that the images cannot show.
    pub fn assert_tracked(&self) {
        assert_eq!(self.untracked(), Vec::<String>::new(), "the recording has holes");
    }

    /// Fails if the directory, as the process left it, is not what the recording adds up to: something was written
    /// behind the recorder's back. Holds after an orderly end; a kill may cut off the last operation.
    pub fn assert_complete(&self, dir: &Path) {
        self.assert_tracked();
        let last = self.ops.len() - 1;
        let image = self.image_at(last, Choice::All, &mut Rng::new(0));
        assert_eq!(image.differences(dir), Vec::<String>::new(), "the recording does not add up to the directory");
    }
}

fn decode(mut body: &[u8]) -> Op {
    let kind = take::<1>(&mut body)[0];
    let durable = take::<1>(&mut body)[0] == 1;
    let inode = u64::from_le_bytes(take(&mut body));
    let offset = u64::from_le_bytes(take(&mut body));
    let length = u64::from_le_bytes(take(&mut body));
    let path = text(take_bytes(&mut body));
    let other = text(take_bytes(&mut body));
    let data = take_bytes(&mut body);
    assert!(body.is_empty(), "an operation is longer than its fields");
    match kind {
        1 => Op::Started { pid: inode },
        2 => Op::FoundDir { inode, path },
        3 => Op::FoundFile { inode, path, data },
        4 => Op::Created { inode, path },
        5 => Op::DirMade { inode, path },
        6 => Op::Written { inode, path, offset, data, durable },
        7 => Op::Resized { inode, path, size: length },
        8 => Op::Allocated { inode, path, end: offset + length },
        9 => Op::Unlinked { inode, path },
        10 => Op::Renamed { inode, from: path, to: other },
        11 => Op::Linked { inode, path },
        12 => Op::Synced { inode, path },
        13 => Op::DataSynced { inode, path },
        14 => Op::RangeSynced { inode, path },
        15 => Op::AllSynced,
        16 => Op::Acked { data },
        17 => Op::Sent { socket: inode, data },
        18 => Op::Untracked { path, why: text(data) },
        unknown => panic!("operation of unknown kind {unknown}"),
    }
}

fn take<const N: usize>(body: &mut &[u8]) -> [u8; N] {
    let (head, rest) = body.split_first_chunk::<N>().expect("an operation is shorter than its fields");
    *body = rest;
    *head
}

fn take_bytes(body: &mut &[u8]) -> Vec<u8> {
    let length = usize::try_from(u32::from_le_bytes(take(body))).unwrap();
    let (head, rest) = body.split_at_checked(length).expect("an operation is shorter than its fields");
    *body = rest;
    head.to_vec()
}

fn text(bytes: Vec<u8>) -> String {
    String::from_utf8(bytes).expect("a path that is not UTF-8")
}

/// splitmix64: small, seeded, the same everywhere.
#[derive(Debug, Clone)]
pub struct Rng(u64);

impl Rng {
    pub fn new(seed: u64) -> Rng {
        Rng(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number below `bound`, which is not zero.
    pub fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound).unwrap()).unwrap()
    }

    /// True `n` times in eight.
    pub fn eighths(&mut self, n: usize) -> bool {
        self.below(8) < n
    }
}
