//! `tidehelm snapshot`

use super::Shared;
use super::output::{Done, Exit};
use super::target::{Target, block_on, config};
use crate::offline::Offline;
use clap::Args;

#[derive(Args)]
#[command(after_help = "Examples:\n  tidehelm snapshot\n  tidehelm snapshot --url http://127.0.0.1:8787")]
pub struct Snapshot {
    #[command(flatten)]
    target: Target,
}

impl Snapshot {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let position = match self.target.server(shared)? {
                Some(server) => server.send("POST", "/api/snapshot", None)?["position"].as_u64().unwrap_or_default(),
                None => {
                    let mut offline = Offline::open(&config(shared)?).await?;
                    let saved = offline.snapshot().await;
                    offline.close().await?;
                    saved?.0
                }
            };
            super::print(&format!("a snapshot stands at position {position}\n"))?;
            Ok(Exit::Ok)
        })
    }
}
