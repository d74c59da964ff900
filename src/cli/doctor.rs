//! `tidehelm doctor`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, print};
use super::target::{block_on, config};
use crate::ambient;
use crate::config::{Config, master_key_beside};
use crate::keys::{Survey, survey};
use crate::offline::Offline;
use crate::seal::MasterFile;
use crate::store::sqlite::FILE;
use crate::store::{Mode, SqliteOptions, SqliteStore, Store, StoreConfig};
use clap::Args;
use serde::Serialize;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::Write;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tidehelm_actors::node::Command;
use tidehelm_actors::port::CommitLog;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::answer::Answer;
use tidehelm_events::id::{AccountId, CommandId, Principal, Role, StreamId};
use tidehelm_events::money::Money;

const WRITES_MAX: usize = 300;
const WRITING_MAX: Duration = Duration::from_secs(3);
/// With less room than this a desk soon stands still.
const FREE_MIN: u64 = 1 << 30;
const TMPFS: i64 = 0x0102_1994;
const OVERLAY: i64 = 0x794c_7630;

#[derive(Args)]
#[command(after_help = "Examples:\n  tidehelm doctor\n  tidehelm doctor --data /var/lib/tidehelm --output json\n  \
                        tidehelm doctor --appends 1000 --scratch /mnt/disk/try")]
pub struct Doctor {
    /// Instead: append so many commits through the real journal and store, and print each position as it becomes durable
    #[arg(long, value_name = "N", requires = "scratch")]
    appends: Option<u64>,
    /// Where to append: a directory without a store
    #[arg(long, value_name = "DIR", requires = "appends")]
    scratch: Option<PathBuf>,
    /// Leave syncing to chance: only to see that the tests of durability notice
    #[arg(long, hide = true, requires = "appends")]
    unsafe_sync_off: bool,
}

#[derive(Debug, Serialize)]
struct Finding {
    check: &'static str,
    result: Outcome,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Good,
    Note,
    Bad,
}

impl Doctor {
    pub fn run(self, shared: &Shared) -> Done {
        match (self.appends, &self.scratch) {
            (Some(count), Some(dir)) => block_on(append(dir, count, !self.unsafe_sync_off)),
            _ => block_on(examine(config(shared)?, shared)),
        }
    }
}

async fn examine(config: Config, shared: &Shared) -> Done {
    let dir = &config.data.dir;
    let mut findings = Vec::new();
    let mut found = |check, (result, detail): (Outcome, String)| findings.push(Finding { check, result, detail });
    found("disk sync", sync_speed(dir));
    found("disk kind", disk_kind(dir));
    found("free room", free_room(dir));
    let (store, opened) = store(&config).await;
    found("store", opened);
    found("in use", in_use(&config));
    found("sealed keys", sealed(&config, store.as_ref()).await);
    found("clock", clock(store.as_ref()).await);
    found("port", port(&config));
    found("page", page());
    let columns = [
        Column { header: "check", field: "check" },
        Column { header: "result", field: "result" },
        Column { header: "detail", field: "detail" },
    ];
    print(&mut std::io::stdout(), shared.output, &columns, &findings)?;
    let bad = findings.iter().filter(|finding| finding.result == Outcome::Bad).count();
    match bad {
        0 => Ok(Exit::Ok),
        bad => Err(CliError::failed(format!("{bad} of {} checks found something wrong", findings.len()))),
    }
}

/// The directory, or what there is of the way to it.
fn nearest(dir: &Path) -> &Path {
    let there = dir.ancestors().find(|dir| dir.is_dir());
    there.unwrap_or(Path::new("."))
}

/// Writes and syncs, as a commit does.
fn sync_speed(dir: &Path) -> (Outcome, String) {
    let dir = nearest(dir);
    let path = dir.join(format!(".tidehelm-doctor-{}", std::process::id()));
    let measured = measure(&path);
    let _ = std::fs::remove_file(&path);
    match measured {
        Ok(mut micros) => {
            micros.sort_unstable();
            let at = |share: f64| micros[((micros.len() - 1) as f64 * share) as usize] as f64 / 1e3;
            let (p50, p99) = (at(0.5), at(0.99));
            let detail = format!(
                "fdatasync in {}: p50 {p50:.2} ms, p99 {p99:.2} ms over {} writes",
                dir.display(),
                micros.len()
            );
            (if p99 > 100.0 { Outcome::Note } else { Outcome::Good }, detail)
        }
        Err(error) => (Outcome::Bad, format!("cannot write in {}: {error}", dir.display())),
    }
}

fn measure(path: &Path) -> std::io::Result<Vec<u128>> {
    let mut file = File::create(path)?;
    let (mut micros, begin) = (Vec::new(), ambient::stopwatch());
    while micros.len() < WRITES_MAX && (micros.len() < 5 || begin.elapsed() < WRITING_MAX) {
        let started = ambient::stopwatch();
        file.write_all(&[7; 4096])?;
        file.sync_data()?;
        micros.push(started.elapsed().as_micros());
    }
    Ok(micros)
}

fn disk_kind(dir: &Path) -> (Outcome, String) {
    match rustix::fs::statfs(nearest(dir)) {
        #[allow(clippy::unnecessary_cast)] // the width of the field differs between machines
        Ok(found) if found.f_type as i64 == TMPFS => (
            Outcome::Bad,
            "tmpfs: what is written here is gone with the machine's power; choose another data.dir".into(),
        ),
        Ok(_) => (Outcome::Good, "keeps its files without power".into()),
        Err(error) => (Outcome::Note, format!("unknown: {error}")),
    }
}

fn free_room(dir: &Path) -> (Outcome, String) {
    match rustix::fs::statvfs(nearest(dir)) {
        Ok(found) => {
            let free = found.f_bavail.saturating_mul(found.f_frsize);
            let outcome = if free < FREE_MIN { Outcome::Bad } else { Outcome::Good };
            (outcome, format!("{:.1} GiB", free as f64 / f64::from(1 << 30)))
        }
        Err(error) => (Outcome::Note, format!("unknown: {error}")),
    }
}

async fn store(config: &Config) -> (Option<Store>, (Outcome, String)) {
    use crate::store::StoreError;
    match Store::open(&StoreConfig::from(config), Mode::ReadOnly, ambient::wall()).await {
        Ok(store) => {
            let sizes = store.sizes().await.unwrap_or_default();
            let mib = (sizes.total + sizes.wal) as f64 / f64::from(1 << 20);
            let detail = format!("{}, format {}, {mib:.1} MiB", store.kind(), crate::store::STORE_FORMAT);
            (Some(store), (Outcome::Good, detail))
        }
        Err(error @ (StoreError::Missing { .. } | StoreError::Absent { .. })) => {
            (None, (Outcome::Note, error.to_string()))
        }
        Err(error) => (None, (Outcome::Bad, error.to_string())),
    }
}

/// The master key, and whether it opens what is sealed.
async fn sealed(config: &Config, store: Option<&Store>) -> (Outcome, String) {
    let master = match MasterFile::of(config) {
        Ok(master) => master,
        Err(error) => return (Outcome::Bad, error.to_string()),
    };
    let found = match store {
        Some(store) => survey(&store.reader(), &master).await,
        None => return (Outcome::Good, "nothing is sealed yet".into()),
    };
    let file = master.path().display();
    match found {
        Err(error) => (Outcome::Bad, error.to_string()),
        Ok(found) if found.unreadable > 0 => {
            let why = found.reasons.join("; ");
            (Outcome::Bad, format!("{} of {} cannot be opened: {why}", found.unreadable, found.sealed))
        }
        Ok(Survey { trouble: Some(trouble), .. }) => (Outcome::Bad, trouble),
        Ok(Survey { master_key: None, .. }) => {
            (Outcome::Good, format!("nothing is sealed yet; {file} is made when it is needed"))
        }
        Ok(_) if is_fleeting(master.path()) && !is_fleeting(&config.data.dir) => {
            let why = "lies in memory or in a container's own layer, and the data do not: it will be gone before them";
            (Outcome::Bad, format!("{file} {why}; set secrets.master_key_file to a place that stays"))
        }
        Ok(found) if found.rotating => {
            (Outcome::Note, "a rotation was interrupted; `tidehelm secrets rotate` goes on with it".into())
        }
        Ok(found) => {
            (Outcome::Good, format!("{} sealed; the master key is {file}, which no backup includes", found.sealed))
        }
    }
}

/// True where files are gone with the power, or with a container.
fn is_fleeting(path: &Path) -> bool {
    #[allow(clippy::unnecessary_cast)] // the width of the field differs between machines
    rustix::fs::statfs(nearest(path)).is_ok_and(|found| matches!(found.f_type as i64, OVERLAY | TMPFS))
}

fn in_use(config: &Config) -> (Outcome, String) {
    match holder(&config.data.dir) {
        _ if !config.store.url.is_empty() => (Outcome::Note, "the database tells by its lease who writes".into()),
        Some(holder) => (Outcome::Note, holder),
        None => (Outcome::Good, "by nobody".into()),
    }
}

/// Who writes in a data directory now.
pub fn holder(dir: &Path) -> Option<String> {
    let path = dir.join("tidehelm.lock");
    let file = OpenOptions::new().read(true).open(&path).ok()?;
    match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => {
            let text = std::fs::read_to_string(&path).unwrap_or_default();
            let words: Vec<&str> = text.split_whitespace().collect();
            Some(match words[..] {
                [pid, _, since] => format!("process {pid} since {since}"),
                _ => "another process".into(),
            })
        }
        Ok(()) | Err(TryLockError::Error(_)) => None,
    }
}

async fn clock(store: Option<&Store>) -> (Outcome, String) {
    let now = ambient::wall();
    let head = match store {
        Some(store) => store.reader().head().await.ok(),
        None => None,
    };
    match head {
        Some(head) if head.committed_at > now => {
            let ahead = head.committed_at.since(now).0 / 1_000_000;
            (
                Outcome::Bad,
                format!("{now} is {ahead} s behind the last commit, which is at {}: set the clock", head.committed_at),
            )
        }
        _ => (Outcome::Good, now.to_string()),
    }
}

fn port(config: &Config) -> (Outcome, String) {
    let bind = config.http.bind;
    match TcpListener::bind(bind) {
        Ok(_) => (Outcome::Good, format!("{bind} is free")),
        Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => {
            let url = format!("http://{bind}");
            let alive = crate::source::Server::new(&url, None).and_then(|server| server.bytes("/livez"));
            match alive {
                Ok(_) => (Outcome::Note, format!("a server answers at {url}")),
                Err(_) => (Outcome::Bad, format!("{bind} is used by another program; set http.bind")),
            }
        }
        Err(error) => (Outcome::Bad, format!("cannot listen on {bind}: {error}")),
    }
}

fn page() -> (Outcome, String) {
    match env!("TIDEHELM_PAGE").ends_with("placeholder") {
        true => (Outcome::Note, "a placeholder: this binary was built before the page was".into()),
        false => (Outcome::Good, "built in".into()),
    }
}

/// Appends real commits and says of each when it is durable.
async fn append(dir: &Path, count: u64, durable: bool) -> Done {
    if dir.join(FILE).exists() {
        let message = format!("there is a store in {} already", dir.display());
        return Err(CliError::new(Exit::Conflict, message).hint("--scratch names a directory of its own"));
    }
    let options = SqliteOptions { durable, now: ambient::wall(), ..SqliteOptions::default() };
    let store = SqliteStore::open(dir, Mode::Write, options).await?;
    let mut desk = Offline::over(Store::Sqlite(store), MasterFile::at(master_key_beside(dir))).await?;
    acknowledge(desk.store().head().await?.position.0)?;
    let account = AccountId::new("Doctor_1").map_err(|error| CliError::failed(error.to_string()))?;
    let stream = StreamId::Account(Role::Master, account);
    for round in 0..count {
        let (command, by, id) = match round {
            0 => (
                account::Command::Register(Box::new(registered())),
                Principal::Operator,
                Some(CommandId(ambient::uuid_v7())),
            ),
            _ => (account::Command::Heartbeat(heartbeat(round)), Principal::Terminal, None),
        };
        let reply = desk.ask(stream.clone(), Command::Account(command), by, id).await?;
        if let Answer::Refused(denial) = reply.answer {
            return Err(CliError::failed(format!("the desk refused: {}", denial.detail)));
        }
        acknowledge(reply.position.0)?;
    }
    desk.close().await?;
    Ok(Exit::Ok)
}

fn acknowledge(position: u64) -> Result<(), CliError> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "acknowledged {position}").and_then(|()| out.flush()).map_err(CliError::writing)
}

fn heartbeat(round: u64) -> HeartbeatSeen {
    HeartbeatSeen {
        balance: Money::ZERO,
        equity: Money::ZERO,
        free_margin: Money::ZERO,
        open_positions: (round % 100) as u32,
        trade_allowed: !round.is_multiple_of(16),
        state_hash: StateHash::default(),
        through_signal_seq: round,
    }
}

fn registered() -> Registered {
    let text = |text: &str| text.to_string();
    Registered {
        platform: text("doctor"),
        broker: text("Doctor"),
        server: text("none"),
        name: text("Appends of tidehelm doctor"),
        currency: text("USD"),
        leverage: 1,
        trade_allowed: true,
        ea_version: text(env!("CARGO_PKG_VERSION")),
        ..Registered::default()
    }
}
