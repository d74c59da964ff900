//! `tidehelm status`

use super::Shared;
use super::output::{Column, Done, Exit, Output, print_one};
use super::target::{Target, block_on, config};
use crate::ambient;
use crate::source::Source;
use clap::Args;
use serde_json::{Value, json};
use tidehelm_actors::port::{CommitLog, Depot};
use tidehelm_events::time::Timestamp;

#[derive(Args)]
#[command(after_help = "Examples:\n  tidehelm status\n  tidehelm status --url http://127.0.0.1:8787 --output json")]
pub struct Status {
    #[command(flatten)]
    target: Target,
}

impl Status {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let (mut status, columns) = match self.target.server(shared)? {
                Some(server) => (server.get::<Value>("/api/status")?, SERVER),
                None => (directory(shared).await?, DIRECTORY),
            };
            if shared.output != Output::Json {
                for field in ["now", "committed_at"] {
                    if let Some(micros) = status[field].as_i64() {
                        status[field] = Timestamp(micros).to_string().into();
                    }
                }
            }
            let ready = status["ready"].as_bool() != Some(false);
            print_one(&mut std::io::stdout(), shared.output, columns, &status)?;
            Ok(if ready { Exit::Ok } else { Exit::Blocked })
        })
    }
}

const SERVER: &[Column] = &[
    Column { header: "name", field: "name" },
    Column { header: "desk", field: "desk_id" },
    Column { header: "version", field: "version" },
    Column { header: "health", field: "health" },
    Column { header: "why", field: "why" },
    Column { header: "position", field: "position" },
    Column { header: "accounts", field: "accounts" },
    Column { header: "locked", field: "locked" },
    Column { header: "lock reason", field: "lock_reason" },
    Column { header: "stopped", field: "stop_degree" },
    Column { header: "stop reason", field: "stop_reason" },
    Column { header: "its time", field: "now" },
    Column { header: "you are", field: "user.name" },
    Column { header: "with the role", field: "user.role" },
];
const DIRECTORY: &[Column] = &[
    Column { header: "store", field: "store" },
    Column { header: "kind", field: "kind" },
    Column { header: "in use by", field: "in_use_by" },
    Column { header: "name", field: "name" },
    Column { header: "desk", field: "desk_id" },
    Column { header: "position", field: "position" },
    Column { header: "last commit", field: "committed_at" },
    Column { header: "seconds ago", field: "age_seconds" },
    Column { header: "epoch", field: "epoch" },
    Column { header: "stopped", field: "stop_degree" },
    Column { header: "stop reason", field: "stop_reason" },
    Column { header: "accounts", field: "accounts" },
    Column { header: "users", field: "users" },
    Column { header: "tokens", field: "tokens" },
    Column { header: "snapshots", field: "snapshots" },
    Column { header: "telemetry cut through", field: "cut_through" },
    Column { header: "bytes", field: "bytes" },
    Column { header: "free bytes", field: "free_bytes" },
];

async fn directory(shared: &Shared) -> Result<Value, super::output::CliError> {
    let config = config(shared)?;
    let store = crate::store::Store::open(
        &crate::store::StoreConfig::from(&config),
        crate::store::Mode::ReadOnly,
        ambient::wall(),
    )
    .await?;
    let (sizes, kind) = (store.sizes().await?, store.kind());
    let mut source = Source::over(store, config.data.dir.display().to_string());
    let head = source.head().await?;
    let snapshots = source.list().await?.len();
    let fold = source.fold_at(head.position).await?;
    let desk = fold.truth.desk().cloned().unwrap_or_default();
    let held = if config.store.url.is_empty() { super::doctor::holder(&config.data.dir) } else { None };
    let place = if config.store.url.is_empty() { source.place().to_string() } else { config.store.url.to_string() };
    Ok(json!({
        "store": place,
        "kind": kind,
        "in_use_by": held,
        "name": desk.settings.name,
        "desk_id": fold.truth.desk_id(),
        "position": head.position,
        "committed_at": head.committed_at,
        "age_seconds": ambient::wall().since(head.committed_at).0 / 1_000_000,
        "epoch": head.epoch,
        "stop_degree": desk.stopped.as_ref().map(|stop| stop.degree),
        "stop_reason": desk.stopped.as_ref().map(|stop| stop.reason.as_str()),
        "accounts": fold.truth.accounts().count(),
        "users": desk.users.len(),
        "tokens": desk.tokens.len(),
        "snapshots": snapshots,
        "cut_through": desk.cut_through,
        "bytes": sizes.total + sizes.wal,
        "free_bytes": sizes.free,
    }))
}
