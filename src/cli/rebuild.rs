//! `tidehelm rebuild`

use super::Shared;
use super::output::{CliError, Done};
use super::progress::Progress;
use super::target::{block_on, config};
use crate::offline::Offline;
use crate::replay::replay;
use crate::store::Model;
use crate::tables::Tables;
use crate::walk::Walk;
use clap::{Args, ValueEnum};
use tidehelm_actors::port::{CommitLog, Depot};
use tidehelm_events::truth;
use tidehelm_events::view::Fold;

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Name {
    /// How much happened: in snapshots
    Activity,
    /// The last changes of each status: in snapshots
    History,
    /// Where decisions and orders stand in the log: in snapshots
    Trails,
    /// How long orders take: in snapshots
    Latency,
    /// What requests add up to: in snapshots
    Endpoints,
    /// The table of every change of a status
    StatusChanges,
    /// The table of every request that ended, as far as the log was not cut
    Requests,
    /// The table of the daily sums of requests
    RequestDays,
}

#[derive(Args)]
#[command(
    after_help = "Stop the server first. A read model follows from the log: this computes it anew and compares. Where a snapshot holds another one, the \
                  snapshot is replaced.\n\nExamples:\n  tidehelm rebuild activity\n  tidehelm rebuild status-changes"
)]
pub struct Rebuild {
    name: Name,
}

impl Rebuild {
    pub fn run(self, shared: &Shared) -> Done {
        let config = config(shared)?;
        block_on(async {
            let mut offline = Offline::open(&config).await?;
            let done = match self.name {
                Name::StatusChanges => table(&mut offline, Model::StatusChanges).await,
                Name::Requests => table(&mut offline, Model::Requests).await,
                Name::RequestDays => table(&mut offline, Model::RequestDays).await,
                Name::Endpoints => view(&mut offline, "endpoints").await,
                Name::Activity => view(&mut offline, "activity").await,
                Name::History => view(&mut offline, "history").await,
                Name::Trails => view(&mut offline, "trails").await,
                Name::Latency => view(&mut offline, "latency").await,
            };
            offline.close().await?;
            super::print(&format!("{}\n", done?))
        })
    }
}

async fn table(offline: &mut Offline, model: Model) -> Result<String, CliError> {
    let store = offline.store();
    let end = store.head().await?.position;
    let progress = Progress::new(model.name(), end.0);
    let mut tables = Tables::anew(store, model).await?;
    let begun = tables.looked();
    let mut walk = Walk::after(store, begun).await?;
    let mut rows = 0;
    loop {
        let step = walk.step(store, |seen| {
            tables.take_in(seen.record, seen.stream);
            Ok::<_, CliError>(())
        });
        let ended = step.await?.is_none();
        tables.looked_to(walk.position());
        rows += tables.write(store).await?;
        progress.advance_to(tables.looked().0);
        if ended {
            rows += tables.finish(store).await?;
            let (name, to) = (model.name(), tables.looked());
            let cut = match begun.0 {
                0 => String::new(),
                _ => format!("; what it says of the log up to position {begun}, which is cut, stays"),
            };
            return Ok(format!("{name} was built anew: {rows} rows, up to position {to}{cut}"));
        }
    }
}

async fn view(offline: &mut Offline, name: &str) -> Result<String, CliError> {
    let store = offline.store();
    let end = store.head().await?.position;
    let progress = Progress::new("rebuild", end.0);
    let rebuilt = replay(store, end, |at| progress.advance_to(at.0)).await?.fold;
    let hash = |fold: &Fold| fold.views.hashes().into_iter().find(|(known, _)| *known == name).map(|(_, hash)| hash);
    let mut compared = 0;
    for (position, _) in store.list().await? {
        let Some(saved) = store.newest(position, truth::SCHEMA).await?.filter(|saved| saved.position == position)
        else {
            continue;
        };
        let kept = if saved.is_whole() { Fold::from_bytes(&saved.bytes).ok() } else { None };
        let right = replay(store, position, |_| {}).await?.fold;
        compared += 1;
        if kept.as_ref().map(hash) != Some(hash(&right)) {
            store.discard(position).await?;
            let fresh = offline.snapshot().await?;
            return Ok(format!(
                "{name} was not what follows from the log at position {position}; a new snapshot stands at {fresh}"
            ));
        }
    }
    let shown = hash(&rebuilt).map_or_else(String::new, |hash| hash.to_string());
    Ok(format!("{name} at position {end} has the hash {shown}; it is equal in {compared} snapshots"))
}
