//! `tidehelm backup` and `tidehelm restore`

use super::Shared;
use super::output::{CliError, Done, Exit};
use super::progress::Progress;
use super::target::{block_on, config};
use super::verify::show;
use crate::ambient;
use crate::config::Config;
use crate::source::Source;
use crate::store::sqlite::FILE;
use crate::store::{Mode, Store, StoreConfig};
use crate::verify::{Report, check_file, verify};
use clap::Args;
use std::path::{Path, PathBuf};
use tidehelm_actors::port::CommitLog;

#[derive(Args)]
#[command(
    after_help = "A backup includes the log, its audit rows, read models, snapshots, and the vault with the hashes of passwords and tokens: \
                  keep it as safe as the data directory. The keys of terminals are in it, sealed: the master key that opens them is not, nor is \
                  the settings file. Copy both by themselves, to another place. It is taken beside a running server.\n\n\
                  Examples:\n  tidehelm backup /backups/2026-01-31\n  tidehelm backup /backups/desk.db\n  tidehelm verify --data /backups/2026-01-31"
)]
pub struct Backup {
    /// A directory that has no store yet, or a new file that ends in .db
    to: PathBuf,
    /// Do not read the copy again to check it
    #[arg(long)]
    no_verify: bool,
}

#[derive(Args)]
#[command(
    after_help = "The backup is checked first. A store that is there already is kept beside, with --replace.\n\n\
                  Examples:\n  tidehelm restore /backups/2026-01-31\n  tidehelm restore /backups/desk.db --data /var/lib/tidehelm --replace"
)]
pub struct Restore {
    /// What `tidehelm backup` wrote
    backup: PathBuf,
    /// Put a store that is there aside, under another name
    #[arg(long)]
    replace: bool,
}

fn is_file(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "db")
}

fn failed(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> CliError {
    let message = format!("cannot {doing} {}", path.display());
    move |error| CliError::failed(message).caused_by(error)
}

/// The directory that holds the store while it is only a file: SQLite's helpers lie beside it there.
fn beside(file: &Path) -> PathBuf {
    let name = file.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    file.with_file_name(format!(".{name}.{}", ambient::uuid()))
}

impl Backup {
    pub fn run(self, shared: &Shared) -> Done {
        let config = config(shared)?;
        block_on(async {
            let store = Store::open(&StoreConfig::from(&config), Mode::ReadOnly, ambient::wall()).await?;
            let dir = if is_file(&self.to) { beside(&self.to) } else { self.to.clone() };
            if is_file(&self.to) && self.to.exists() {
                return Err(CliError::new(Exit::Conflict, format!("{} is there already", self.to.display())));
            }
            store.backup(&dir).await?;
            let report = match self.no_verify {
                true => None,
                false => Some(check(&config, &dir).await?),
            };
            if is_file(&self.to) {
                std::fs::rename(dir.join(FILE), &self.to).map_err(failed("move the copy to", &self.to))?;
                std::fs::remove_dir_all(&dir).map_err(failed("remove", &dir))?;
            }
            let size = std::fs::metadata(if is_file(&self.to) { self.to.clone() } else { self.to.join(FILE) });
            let size = size.map_or(0, |file| file.len());
            if let Some(report) = report {
                show(&report, shared)?;
                good(&report)?;
            }
            eprintln!(
                "{} bytes in {}: the log, audit rows, read models, snapshots, and the vault (hashes of passwords and tokens, sealed keys of terminals); not \
                 the settings, and not the master key {}",
                size,
                self.to.display(),
                config.master_key_file().display()
            );
            Ok(Exit::Ok)
        })
    }
}

impl Restore {
    pub fn run(self, shared: &Shared) -> Done {
        let config = config(shared)?;
        if !config.store.url.is_empty() {
            return Err(CliError::usage("a backup is restored into a data directory; the settings name a database")
                .hint("restore into a directory and then `tidehelm migrate --to postgres://…`"));
        }
        block_on(async {
            let from = self.unpacked(&config)?;
            let outcome = self.restore(&from, &config, shared).await;
            if from != self.backup {
                std::fs::remove_dir_all(&from).map_err(failed("remove", &from))?;
            }
            outcome
        })
    }

    /// The backup as a directory: a file is linked or copied into one.
    fn unpacked(&self, config: &Config) -> Result<PathBuf, CliError> {
        if !self.backup.is_file() {
            return Ok(self.backup.clone());
        }
        let parent = config.data.dir.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        std::fs::create_dir_all(parent).map_err(failed("make", parent))?;
        let dir = beside(&parent.join("restore"));
        std::fs::create_dir(&dir).map_err(failed("make", &dir))?;
        std::fs::copy(&self.backup, dir.join(FILE)).map_err(failed("copy", &self.backup))?;
        Ok(dir)
    }

    async fn restore(&self, from: &Path, config: &Config, shared: &Shared) -> Done {
        let report = check(config, from).await?;
        show(&report, shared)?;
        good(&report)?;
        self.make_room(config).await?;
        let backup = StoreConfig { data_dir: from.to_path_buf(), url: String::new(), ..StoreConfig::from(config) };
        let store = Store::open(&backup, Mode::ReadOnly, ambient::wall()).await?;
        store.backup(&config.data.dir).await?;
        store.close().await?;
        eprintln!("{} is what it was at position {}", config.data.dir.display(), report.position);
        Ok(Exit::Ok)
    }

    /// Moves away what is there, if nobody uses it.
    async fn make_room(&self, config: &Config) -> Result<(), CliError> {
        let file = config.data.dir.join(FILE);
        if !file.exists() {
            return Ok(());
        }
        let message = format!("there is a store in {} already", config.data.dir.display());
        if !self.replace {
            return Err(CliError::new(Exit::Conflict, message).hint("--replace puts it aside, under another name"));
        }
        let aside = |name: &str| file.with_file_name(format!("{name}.before-restore-{}", ambient::wall().millis()));
        // Opening for writing takes the lock; closing folds the write-ahead log into the file. One that is too broken for that is moved as it is.
        match Store::open(&StoreConfig::from(config), Mode::Write, ambient::wall()).await {
            Ok(store) => store.close().await?,
            Err(error @ crate::store::StoreError::InUse { .. }) => return Err(error.into()),
            Err(_) => {}
        }
        for name in [FILE.to_string(), format!("{FILE}-wal"), format!("{FILE}-shm")] {
            let path = file.with_file_name(&name);
            if path.exists() {
                std::fs::rename(&path, aside(&name)).map_err(failed("move", &path))?;
                eprintln!("what was there is now {}", aside(&name).display());
            }
        }
        Ok(())
    }
}

async fn check(config: &Config, dir: &Path) -> Result<Report, CliError> {
    let copy = StoreConfig { data_dir: dir.to_path_buf(), url: String::new(), ..StoreConfig::from(config) };
    let store = Store::open(&copy, Mode::ReadOnly, ambient::wall()).await?;
    let mut source = Source::over(store, dir.display().to_string());
    let progress = Progress::new("verify", source.head().await?.position.0);
    let mut report = verify(&mut source, None, &progress).await?;
    check_file(dir, &mut report).await;
    Ok(report)
}

fn good(report: &Report) -> Result<(), CliError> {
    match report.is_good() {
        true => Ok(()),
        false => Err(CliError::new(
            Exit::VerificationFailed,
            format!("{} problems in {}", report.problems.len(), report.place),
        )),
    }
}
