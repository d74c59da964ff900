//! Sealing: what must be usable again lies encrypted in the vault, and the master key that opens it lies in a file elsewhere.
//!
//! Each sealed value says which master key opens it. So a rotation may be interrupted at any point and taken up again: the
//! current key is in the file itself, the one that comes next in `FILE.next`, one that was rotated away in `FILE.ID`.

use crate::ambient;
use crate::config::Config;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use chacha20poly1305::aead::{Aead, KeyInit, Payload};
use chacha20poly1305::{Key, XChaCha20Poly1305, XNonce};
use std::collections::BTreeMap;
use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tidehelm_events::id::CredentialId;
use zeroize::Zeroizing;

pub const KEY_BYTES: usize = 32;
const ID_BYTES: usize = 8;
const NONCE_BYTES: usize = 24;
/// First byte of a sealed value: which layout and cipher it has.
const XCHACHA: u8 = 1;
/// First word of the line in the file.
const WORD: &str = "tidehelm-master-key-1";
/// A master key file is a few lines; what is longer is something else.
const FILE_MAX: u64 = 4096;

const COMMENT: &str = "\
# The master key of a Tidehelm desk. With it and the desk's database the keys of terminals and endpoints can be read.
# Keep a copy, apart from the backups of the database. Without it every terminal must be paired anew, and the secret of every
# endpoint set anew.
";

#[derive(Debug, thiserror::Error)]
pub enum SealError {
    #[error(
        "the master key {} is missing; put the file back, or, if it is lost, revoke the keys with `tidehelm ea revoke --all`, take \
         the secrets off endpoints with `tidehelm endpoint set NAME --no-secret`, and give both anew",
        .0.display()
    )]
    Missing(PathBuf),
    #[error(
        "the master key {} can be read by others (mode {mode:03o}); `chmod 600` it, and if somebody may have read it, \
         `tidehelm secrets rotate`",
        path.display()
    )]
    Exposed { path: PathBuf, mode: u32 },
    #[error("{} is no master key: {why}; put a copy of the right file in its place", path.display())]
    Malformed { path: PathBuf, why: &'static str },
    #[error(
        "the master key {} would lie in the data directory {}, and so in every copy of it; set secrets.master_key_file to \
         another place",
        path.display(),
        data.display()
    )]
    Inside { path: PathBuf, data: PathBuf },
    #[error(
        "sealed with master key {id}, which is in neither {} nor {}; put one of these files back",
        path.display(),
        retired(path, *id).display()
    )]
    Unknown { id: MasterId, path: PathBuf },
    #[error("master key {0} does not open it: one of the two was changed")]
    Broken(MasterId),
    #[error("not sealed by any build that this one knows")]
    Unsealed,
    #[error("the vault has nothing under this id: pair the terminal again, or set the endpoint's secret again")]
    Absent,
    #[error("cannot {doing} {}", path.display())]
    File { doing: &'static str, path: PathBuf, source: std::io::Error },
}

impl SealError {
    pub fn is_missing(&self) -> bool {
        matches!(self, SealError::Missing(_))
    }

    /// Stable, `snake_case`.
    pub fn code(&self) -> &'static str {
        match self {
            SealError::Missing(_) => "master_key_missing",
            SealError::Exposed { .. } => "master_key_exposed",
            SealError::Malformed { .. } => "master_key_malformed",
            SealError::Inside { .. } => "master_key_inside",
            SealError::Unknown { .. } => "master_key_unknown",
            SealError::Broken(_) | SealError::Unsealed => "secret_broken",
            SealError::Absent => "secret_absent",
            SealError::File { .. } => "master_key_unreadable",
        }
    }
}

/// Names a master key; says nothing about it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct MasterId([u8; ID_BYTES]);

impl MasterId {
    fn read(text: &str) -> Option<Self> {
        let well_formed = text.len() == 2 * ID_BYTES && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let number = u64::from_str_radix(text, 16).ok().filter(|_| well_formed)?;
        Some(MasterId(number.to_be_bytes()))
    }
}
impl fmt::Display for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", u64::from_be_bytes(self.0))
    }
}
impl fmt::Debug for MasterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// 32 bytes that nobody gets to see: not printed, not compared, wiped when they are dropped.
#[derive(Clone)]
pub struct KeyBytes(Zeroizing<[u8; KEY_BYTES]>);

impl KeyBytes {
    pub fn random() -> Self {
        KeyBytes(Zeroizing::new(ambient::random()))
    }
    fn from_slice(bytes: &[u8]) -> Option<Self> {
        bytes.try_into().ok().map(|bytes| KeyBytes(Zeroizing::new(bytes)))
    }
    /// For the MAC, and for the one answer that hands the key over.
    pub fn expose(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}
impl fmt::Debug for KeyBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("KeyBytes(…)")
    }
}

#[derive(Debug, Clone)]
pub struct MasterKey {
    pub id: MasterId,
    key: KeyBytes,
}

impl MasterKey {
    fn new() -> Self {
        MasterKey { id: MasterId(ambient::random()), key: KeyBytes::random() }
    }

    /// Seals a key for one row of the vault: in another row it cannot be opened.
    pub fn seal(&self, secret: &KeyBytes, row: CredentialId, kind: &str) -> Vec<u8> {
        self.seal_bytes(secret.expose(), row, kind)
    }

    /// The same for what is no key of ours, and has another length. How long it is can be seen.
    pub fn seal_bytes(&self, secret: &[u8], row: CredentialId, kind: &str) -> Vec<u8> {
        let nonce: [u8; NONCE_BYTES] = ambient::random();
        let bound = bound(self.id, row, kind);
        let payload = Payload { msg: secret, aad: &bound };
        let Ok(sealed) = self.cipher().encrypt(&XNonce::from(nonce), payload) else {
            unreachable!("no secret is too long to be sealed");
        };
        [&[XCHACHA][..], &self.id.0, &nonce, &sealed].concat()
    }

    fn open(&self, sealed: &Sealed<'_>, row: CredentialId, kind: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let bound = bound(self.id, row, kind);
        let payload = Payload { msg: sealed.rest, aad: &bound };
        let opened = self.cipher().decrypt(&XNonce::from(sealed.nonce), payload).map(Zeroizing::new);
        opened.map_err(|_| SealError::Broken(self.id))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(&Key::from(*self.key.expose()))
    }
}

/// What a sealed value is bound to.
fn bound(id: MasterId, row: CredentialId, kind: &str) -> Vec<u8> {
    [b"tidehelm/sealed/1|", &id.0[..], row.0.as_bytes(), kind.as_bytes()].concat()
}

struct Sealed<'a> {
    id: MasterId,
    nonce: [u8; NONCE_BYTES],
    rest: &'a [u8],
}

impl<'a> Sealed<'a> {
    fn read(bytes: &'a [u8]) -> Result<Self, SealError> {
        let read = || {
            let (&[XCHACHA], rest) = bytes.split_first_chunk::<1>()? else { return None };
            let (id, rest) = rest.split_first_chunk::<ID_BYTES>()?;
            let (nonce, rest) = rest.split_first_chunk::<NONCE_BYTES>()?;
            Some(Sealed { id: MasterId(*id), nonce: *nonce, rest })
        };
        read().ok_or(SealError::Unsealed)
    }
}

/// Which master key opens a sealed value.
pub fn sealed_with(bytes: &[u8]) -> Result<MasterId, SealError> {
    Sealed::read(bytes).map(|sealed| sealed.id)
}

/// Where the master key is. It is read when it is needed, so that a file that is put back counts at once.
#[derive(Debug, Clone)]
pub struct MasterFile {
    path: PathBuf,
}

impl MasterFile {
    /// Refused inside the data directory, where each copy of the vault would bring its key along.
    pub fn of(config: &Config) -> Result<Self, SealError> {
        let (path, data) = (config.master_key_file(), config.data.dir.clone());
        match real(&path).starts_with(real(&data)) {
            true => Err(SealError::Inside { path, data }),
            false => Ok(MasterFile { path }),
        }
    }

    pub fn at(path: PathBuf) -> Self {
        MasterFile { path }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The key that new values are sealed with.
    pub fn current(&self) -> Result<MasterKey, SealError> {
        read(&self.path)
    }

    /// The same, made now if there is none. Only where nothing is sealed yet: a lost key is not replaced silently.
    pub fn current_or_new(&self) -> Result<MasterKey, SealError> {
        match self.current() {
            Err(SealError::Missing(_)) => {
                let key = MasterKey::new();
                write(&self.path, &key)?;
                tracing::info!(file = %self.path.display(), id = %key.id, "made a master key; keep a copy, apart from the backups of the data");
                Ok(key)
            }
            found => found,
        }
    }

    /// For opening many values: each file is read once.
    pub fn ring(&self) -> Ring<'_> {
        Ring { file: self, known: BTreeMap::new() }
    }

    /// The key with this id, wherever it is.
    fn find(&self, id: MasterId) -> Result<MasterKey, SealError> {
        let mut missing = false;
        for path in [self.path.clone(), next(&self.path), retired(&self.path, id)] {
            match read(&path) {
                Ok(key) if key.id == id => return Ok(key),
                Ok(_) => {}
                Err(SealError::Missing(_)) => missing |= path == self.path,
                Err(error) => return Err(error),
            }
        }
        let path = self.path.clone();
        Err(if missing { SealError::Missing(path) } else { SealError::Unknown { id, path } })
    }

    /// The key that comes next: everything is to be sealed anew with it. One that an earlier rotation left is taken up.
    pub fn begin_rotation(&self) -> Result<MasterKey, SealError> {
        self.current()?;
        let path = next(&self.path);
        match read(&path) {
            Err(SealError::Missing(_)) => {
                let key = MasterKey::new();
                write(&path, &key)?;
                Ok(key)
            }
            found => found,
        }
    }

    /// Puts the next key in its place, once nothing is sealed with the one before. That one stays, under its id, for backups
    /// that were sealed with it; where it is.
    pub fn finish_rotation(&self) -> Result<PathBuf, SealError> {
        let before = self.current()?;
        let kept = retired(&self.path, before.id);
        if !kept.exists() {
            write(&kept, &before)?;
        }
        let from = next(&self.path);
        let moving = |source| SealError::File { doing: "move", path: from.clone(), source };
        std::fs::rename(&from, &self.path).map_err(moving)?;
        sync_directory(&self.path)?;
        Ok(kept)
    }

    /// True if a rotation was begun and not finished.
    pub fn is_rotating(&self) -> bool {
        next(&self.path).exists()
    }
}

/// Master keys that were needed so far, for as long as there is something to open.
pub struct Ring<'a> {
    file: &'a MasterFile,
    known: BTreeMap<MasterId, MasterKey>,
}

impl Ring<'_> {
    /// Opens a sealed key, with a master key that was rotated away if need be.
    pub fn open(&mut self, bytes: &[u8], row: CredentialId, kind: &str) -> Result<KeyBytes, SealError> {
        let (opened, with) = (self.open_bytes(bytes, row, kind)?, sealed_with(bytes)?);
        KeyBytes::from_slice(&opened).ok_or(SealError::Broken(with))
    }

    /// The same for what has another length.
    pub fn open_bytes(&mut self, bytes: &[u8], row: CredentialId, kind: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let sealed = Sealed::read(bytes)?;
        if !self.known.contains_key(&sealed.id) {
            self.known.insert(sealed.id, self.file.find(sealed.id)?);
        }
        self.known[&sealed.id].open(&sealed, row, kind)
    }
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(".");
    name.push(ending);
    path.with_file_name(name)
}

fn next(path: &Path) -> PathBuf {
    beside(path, "next")
}

fn retired(path: &Path, id: MasterId) -> PathBuf {
    beside(path, &id.to_string())
}

/// The path without links, as far as there is something.
fn real(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    let there = path.ancestors().find_map(|there| Some((there, there.canonicalize().ok()?)));
    match there {
        Some((there, real)) => real.join(path.strip_prefix(there).unwrap_or(Path::new(""))),
        None => path,
    }
}

fn read(path: &Path) -> Result<MasterKey, SealError> {
    let failed = |source: std::io::Error| match source.kind() {
        ErrorKind::NotFound => SealError::Missing(path.to_path_buf()),
        _ => SealError::File { doing: "read", path: path.to_path_buf(), source },
    };
    let file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(SealError::Exposed { path: path.to_path_buf(), mode });
    }
    let mut text = Zeroizing::new(Vec::new());
    file.take(FILE_MAX).read_to_end(&mut text).map_err(failed)?;
    parse(&text).map_err(|why| SealError::Malformed { path: path.to_path_buf(), why })
}

fn parse(bytes: &[u8]) -> Result<MasterKey, &'static str> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is not text")?;
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (line, more) = (lines.next().ok_or("it is empty")?, lines.next().is_some());
    let mut words = line.split_whitespace();
    let (word, id, key, rest) = (words.next(), words.next(), words.next(), words.next().is_some());
    if word != Some(WORD) || rest || more {
        return Err("it is not the one line that a desk wrote");
    }
    let id = id.and_then(MasterId::read).ok_or("its id is not 16 digits of 0-9 and a-f")?;
    let key = key.and_then(|key| STANDARD.decode(key).ok()).map(Zeroizing::new);
    let key = key.and_then(|key| KeyBytes::from_slice(&key)).ok_or("its key is not 32 bytes in base64")?;
    Ok(MasterKey { id, key })
}

/// Writes a file that is there whole or not at all, for its owner only.
fn write(path: &Path, key: &MasterKey) -> Result<(), SealError> {
    let failed = |doing| {
        let path = path.to_path_buf();
        move |source| SealError::File { doing, path, source }
    };
    if let Some(dir) = path.parent().filter(|dir| !dir.as_os_str().is_empty()) {
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(failed("make the directory of"))?;
    }
    let text = Zeroizing::new(format!("{COMMENT}{WORD} {} {}\n", key.id, STANDARD.encode(key.key.expose())));
    let draft = beside(path, &format!("{}.draft", ambient::uuid()));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft).map_err(failed("write"))?;
    let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
    if let Err(source) = written.and_then(|()| std::fs::rename(&draft, path)) {
        let _ = std::fs::remove_file(&draft);
        return Err(failed("write")(source));
    }
    sync_directory(path)
}

fn sync_directory(path: &Path) -> Result<(), SealError> {
    let dir = path.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let synced = File::open(dir).and_then(|dir| dir.sync_all());
    synced.map_err(|source| SealError::File { doing: "sync", path: dir.to_path_buf(), source })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(number: u128) -> CredentialId {
        CredentialId(uuid::Uuid::from_u128(number))
    }

    fn chmod(path: &Path, mode: u32) {
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
    }

    struct Case {
        _temp: tempfile::TempDir,
        file: MasterFile,
    }

    fn case() -> Case {
        let temp = tempfile::tempdir().unwrap();
        let file = MasterFile::at(temp.path().join("keys/master.key"));
        Case { _temp: temp, file }
    }

    #[test]
    fn a_master_key_is_made_once_for_its_owner_only() {
        let Case { file, _temp } = case();
        assert!(matches!(file.current(), Err(SealError::Missing(_))));
        let made = file.current_or_new().unwrap();
        let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(file.path()), mode(file.path().parent().unwrap())), (0o600, 0o700));
        assert_eq!(file.current_or_new().unwrap().id, made.id);
        assert_eq!(file.current().unwrap().key.expose(), made.key.expose());
        let left = std::fs::read_dir(file.path().parent().unwrap()).unwrap().count();
        assert_eq!(left, 1, "a draft was left behind");
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let Case { file, _temp } = case();
        file.current_or_new().unwrap();
        for mode in [0o640, 0o604, 0o660, 0o644, 0o620] {
            chmod(file.path(), mode);
            let error = file.current().unwrap_err();
            assert_eq!(error.code(), "master_key_exposed", "{mode:o}");
            assert!(error.to_string().contains(&format!("{mode:03o}")) && error.to_string().contains("chmod 600"));
        }
        chmod(file.path(), 0o400);
        assert!(file.current().is_ok(), "a file that even its owner may not write is good");
    }

    #[test]
    fn a_file_that_is_something_else_is_refused() {
        let Case { file, _temp } = case();
        let good = format!("{WORD} 0123456789abcdef {}", STANDARD.encode([7; 32]));
        std::fs::create_dir(file.path().parent().unwrap()).unwrap();
        for (text, is_good) in [
            (good.clone(), true),
            (format!("# a comment\r\n\n  {good}  \r\n"), true),
            (String::new(), false),
            ("# nothing".into(), false),
            (good.replace(WORD, "tidehelm-master-key-2"), false),
            (format!("{good} more"), false),
            (format!("{good}\n{good}"), false),
            (good.replace("0123456789abcdef", "0123456789abcde"), false),
            (good.replace("0123456789abcdef", "0123456789ABCDEF"), false),
            (good.replace("0123456789abcdef", "+123456789abcdef"), false),
            (format!("{WORD} 0123456789abcdef {}", STANDARD.encode([7; 31])), false),
            (format!("{WORD} 0123456789abcdef not-base64"), false),
            (format!("{WORD} 0123456789abcdef"), false),
        ] {
            std::fs::write(file.path(), &text).unwrap();
            chmod(file.path(), 0o600);
            match file.current() {
                Ok(key) => assert!(is_good && key.id.to_string() == "0123456789abcdef", "{text}"),
                Err(error) => {
                    assert!(!is_good && error.code() == "master_key_malformed", "{text}: {error}");
                    assert!(!error.to_string().contains("BwcH"), "the error shows the key");
                    assert_eq!(file.current_or_new().unwrap_err().code(), "master_key_malformed", "it was replaced");
                }
            }
        }
        std::fs::write(file.path(), b"\xff\xfe").unwrap();
        assert_eq!(file.current().unwrap_err().code(), "master_key_malformed");
    }

    #[test]
    fn a_sealed_value_opens_where_it_was_sealed_and_nowhere_else() {
        let Case { file, _temp } = case();
        let master = file.current_or_new().unwrap();
        let secret = KeyBytes::random();
        let sealed = master.seal(&secret, row(1), "terminal_key");
        assert_eq!(sealed_with(&sealed).unwrap(), master.id);
        assert!(!sealed.windows(8).any(|some| some == &secret.expose()[..8]), "it is not sealed");
        assert_ne!(sealed, master.seal(&secret, row(1), "terminal_key"), "a nonce was used twice");
        assert_eq!(file.ring().open(&sealed, row(1), "terminal_key").unwrap().expose(), secret.expose());
        assert_eq!(file.ring().open(&sealed, row(2), "terminal_key").unwrap_err().code(), "secret_broken");
        assert_eq!(file.ring().open(&sealed, row(1), "upstream_key").unwrap_err().code(), "secret_broken");
    }

    #[test]
    fn no_flipped_bit_and_no_cut_goes_unnoticed() {
        let Case { file, _temp } = case();
        let master = file.current_or_new().unwrap();
        let sealed = master.seal(&KeyBytes::random(), row(1), "terminal_key");
        for bit in 0..8 * sealed.len() {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert!(file.ring().open(&flipped, row(1), "terminal_key").is_err(), "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert!(file.ring().open(&sealed[..length], row(1), "terminal_key").is_err(), "{length} bytes");
        }
    }

    #[test]
    fn a_rotation_leaves_the_old_key_under_its_id() {
        let Case { file, _temp } = case();
        let old = file.current_or_new().unwrap();
        let secret = KeyBytes::random();
        let sealed = old.seal(&secret, row(1), "k");
        let new = file.begin_rotation().unwrap();
        assert_ne!(new.id, old.id);
        assert!(file.is_rotating());
        assert_eq!(file.begin_rotation().unwrap().id, new.id, "an interrupted rotation is taken up");
        assert_eq!(
            file.current().unwrap().id,
            old.id,
            "until everything is sealed anew, the old one is the current one"
        );
        let again = new.seal(&file.ring().open(&sealed, row(1), "k").unwrap(), row(1), "k");
        assert!(file.ring().open(&again, row(1), "k").is_ok(), "halfway, both open");
        let kept = file.finish_rotation().unwrap();
        assert!(!file.is_rotating());
        assert_eq!(file.current().unwrap().id, new.id);
        for sealed in [&sealed, &again] {
            assert_eq!(file.ring().open(sealed, row(1), "k").unwrap().expose(), secret.expose());
        }
        std::fs::remove_file(&kept).unwrap();
        let error = file.ring().open(&sealed, row(1), "k").unwrap_err();
        assert_eq!(error.code(), "master_key_unknown");
        let said = error.to_string();
        assert!(said.contains(&old.id.to_string()) && said.contains(&kept.display().to_string()), "{said}");
        std::fs::remove_file(file.path()).unwrap();
        assert_eq!(file.ring().open(&again, row(1), "k").unwrap_err().code(), "master_key_missing");
        assert_eq!(file.begin_rotation().unwrap_err().code(), "master_key_missing");
    }

    #[test]
    fn a_master_key_does_not_lie_in_the_data_directory() {
        let temp = tempfile::tempdir().unwrap();
        let data = temp.path().join("data");
        std::fs::create_dir(&data).unwrap();
        std::os::unix::fs::symlink(&data, temp.path().join("link")).unwrap();
        let with = |file: &str| {
            let mut config = Config::default();
            config.data.dir = data.clone();
            config.secrets.master_key_file = if file.is_empty() { PathBuf::new() } else { temp.path().join(file) };
            MasterFile::of(&config)
        };
        for inside in ["data/master.key", "data/deep/down/master.key", "link/master.key", "data"] {
            assert_eq!(with(inside).unwrap_err().code(), "master_key_inside", "{inside}");
        }
        for outside in ["master.key", "data.keys/master.key", "database/master.key", "data-2"] {
            assert!(with(outside).is_ok(), "{outside}");
        }
        assert_eq!(with("").unwrap().path(), temp.path().join("data.keys/master.key"));
    }
}
