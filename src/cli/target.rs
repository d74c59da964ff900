//! What does a command work on: a data directory, a database, or a running server?

use super::Shared;
use super::output::{CliError, Done};
use crate::config::Config;
use crate::source::{Server, Source};
use clap::Args;
use tidehelm_events::desk::Desk;

/// Where the log is read from. Without any of it: the data directory, beside a running server if there is one.
#[derive(Args, Clone, Default)]
pub struct Target {
    /// A running server instead of the data directory [env: TIDEHELM_URL]
    #[arg(long, alias = "server", global = true, value_name = "URL")]
    pub url: Option<String>,
    /// Token for the server
    #[arg(long, global = true, env = "TIDEHELM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    pub token: Option<String>,
}

impl Target {
    /// The server that was named; none where a data directory or a database is meant.
    pub fn server(&self, shared: &Shared) -> Result<Option<Server>, CliError> {
        let url = match (&self.url, &shared.data) {
            (Some(_), Some(_)) => return Err(CliError::usage("--url and --data name two places; give one of them")),
            (Some(url), None) => Some(url.clone()),
            (None, Some(_)) => None,
            (None, None) => std::env::var("TIDEHELM_URL").ok().filter(|url| !url.is_empty()),
        };
        url.map(|url| Server::new(&url, self.token.as_deref())).transpose()
    }

    /// The log, for reading.
    pub async fn source(&self, shared: &Shared) -> Result<Source, CliError> {
        match self.server(shared)? {
            Some(server) => Source::connect(server),
            None => Source::open_store(&shared.load(&[])?.config).await,
        }
    }
}

/// The configuration, where a command needs the store itself.
pub fn config(shared: &Shared) -> Result<Config, CliError> {
    Ok(shared.load(&[])?.config)
}

/// Runs a command that waits for databases and the like.
pub fn block_on(work: impl Future<Output = Done>) -> Done {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.map_err(|error| CliError::failed("cannot start").caused_by(error))?.block_on(work)
}

/// The desk as it is, read beside a running server.
pub async fn desk_of(shared: &Shared) -> Result<Desk, CliError> {
    let mut source = Source::open_store(&config(shared)?).await?;
    let end = source.moment(None).await?;
    Ok(source.fold_at(end).await?.truth.desk().cloned().unwrap_or_default())
}
