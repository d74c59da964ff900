//! `tidehelm diff`

use super::Shared;
use super::output::{Column, Done, Exit, print};
use super::state::{fields, readable};
use super::target::{Target, block_on};
use clap::Args;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use tidehelm_events::id::StreamId;
use tidehelm_events::view::Fold;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm diff '1h ago' now\n  tidehelm diff 1000 2000 --stream desk\n  tidehelm diff 1000 2000 --output json"
)]
pub struct Diff {
    /// A position or a time
    from: String,
    /// A later one
    #[arg(default_value = "now")]
    to: String,
    /// Only this stream
    #[arg(long)]
    stream: Option<StreamId>,
    #[command(flatten)]
    target: Target,
}

impl Diff {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let (from, to) = (source.moment(Some(&self.from)).await?, source.moment(Some(&self.to)).await?);
            let (before, after) = (source.fold_at(from).await?, source.fold_at(to).await?);
            let changes = changes(&before, &after, self.stream.as_ref());
            let columns = [
                Column { header: "stream", field: "stream" },
                Column { header: "field", field: "field" },
                Column { header: "before", field: "before" },
                Column { header: "after", field: "after" },
            ];
            print(&mut std::io::stdout(), shared.output, &columns, &changes)?;
            if shared.output == super::output::Output::Table {
                let streams: BTreeSet<_> = changes.iter().map(|change| change["stream"].to_string()).collect();
                eprintln!("{} fields of {} streams differ between {from} and {to}", changes.len(), streams.len());
            }
            Ok(Exit::Ok)
        })
    }
}

/// Every field that is another one, with its value before and after; null where it was not there.
fn changes(before: &Fold, after: &Fold, only: Option<&StreamId>) -> Vec<Value> {
    let ids = before.truth.names().iter().chain(after.truth.names().iter()).map(|(_, id)| id);
    let ids: BTreeSet<&StreamId> = ids.filter(|id| only.is_none_or(|only| only == *id)).collect();
    let mut changes = Vec::new();
    for id in ids {
        if before.truth.slot_of(id) == after.truth.slot_of(id) {
            continue;
        }
        let described = |fold: &Fold| -> BTreeMap<String, Value> {
            fold.truth.describe(id).map(|state| fields(&state)).unwrap_or_default().into_iter().collect()
        };
        let (old, new) = (described(before), described(after));
        let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
        for name in names {
            let value =
                |side: &BTreeMap<String, Value>| side.get(name).map_or(Value::Null, |value| readable(name, value));
            if value(&old) == value(&new) {
                continue;
            }
            changes.push(serde_json::json!({
                "stream": id, "field": name, "before": value(&old), "after": value(&new),
            }));
        }
    }
    changes
}
