//! `tidehelm migrate`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, print_one};
use super::progress::Progress;
use super::target::{block_on, config};
use crate::ambient;
use crate::migrate::{MigrateError, migrate};
use crate::store::{Mode, Store, StoreConfig};
use clap::Args;
use std::time::Duration;
use tidehelm_actors::port::CommitLog;

/// A large commit may take its time in the other store.
const STALL_AFTER: Duration = Duration::from_secs(120);

#[derive(Args)]
#[command(
    after_help = "Stop the server first. The source stays as it is; the target must be empty. Every commit is copied with its hash, and in the end the \
                  chain and the hash of the state are compared. Then set store.url and start the server.\n\n\
                  Examples:\n  tidehelm migrate --to postgres://tidehelm@localhost/desk\n  tidehelm migrate --to /var/lib/tidehelm --set store.url=postgres://tidehelm@localhost/desk"
)]
pub struct Migrate {
    /// `postgres://…`, or a directory for SQLite
    #[arg(long, value_name = "URL|DIR")]
    to: String,
}

impl Migrate {
    pub fn run(self, shared: &Shared) -> Done {
        let config = config(shared)?;
        let from = StoreConfig { stall_after: STALL_AFTER, ..StoreConfig::from(&config) };
        block_on(async {
            // Opened for reading first, so that a directory with a mistake in its name is not made.
            Store::open(&from, Mode::ReadOnly, ambient::wall()).await?.close().await?;
            let mut source = Store::open(&from, Mode::Write, ambient::wall()).await?;
            let is_url = self.to.starts_with("postgres://") || self.to.starts_with("postgresql://");
            let to = match is_url {
                true => StoreConfig { url: self.to.clone(), ..from.clone() },
                false => StoreConfig { url: String::new(), data_dir: self.to.clone().into(), ..from.clone() },
            };
            let mut target = Store::open(&to, Mode::Write, ambient::wall()).await?;
            let progress = Progress::new("migrate", source.head().await?.position.0);
            let moved = migrate(&mut source, &mut target, |at| progress.advance_to(at.0)).await;
            drop(progress);
            source.close().await?;
            target.close().await?;
            let moved = moved.map_err(failed)?;
            let columns = [
                Column { header: "up to position", field: "position" },
                Column { header: "commits and seals", field: "entries" },
                Column { header: "audit rows", field: "audit_rows" },
                Column { header: "credentials", field: "credentials" },
                Column { header: "head", field: "hash" },
                Column { header: "state hash, of both", field: "state_hash" },
            ];
            print_one(&mut std::io::stdout(), shared.output, &columns, &moved)?;
            if moved.credentials_missing > 0 {
                eprintln!("{} credentials were not in the source's vault", moved.credentials_missing);
            }
            Ok(Exit::Ok)
        })
    }
}

fn failed(error: MigrateError) -> CliError {
    let exit = match &error {
        MigrateError::Taken(_) | MigrateError::Moved(_) => Exit::Conflict,
        MigrateError::Different { .. } | MigrateError::Source { .. } | MigrateError::Unfoldable(_) => {
            Exit::VerificationFailed
        }
        MigrateError::Store(_) => Exit::Failed,
    };
    CliError::new(exit, error.to_string())
}
