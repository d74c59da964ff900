//! `tidehelm overview`

use super::Shared;
use super::output::{Column, Done, Exit, Output, print, print_one};
use super::target::{Target, block_on};
use crate::ambient;
use crate::http::dashboard::OverviewView;
use clap::Args;
use serde_json::{Value, json};
use std::io;
use tidehelm_actors::port::CommitLog;

#[derive(Args)]
#[command(
    after_help = "Of a running server (--url, or TIDEHELM_URL), or of a data directory, where nothing is under way.\n\n\
                  Examples:\n  tidehelm overview\n  tidehelm overview --url http://127.0.0.1:8787 --output json"
)]
pub struct Overview {
    #[command(flatten)]
    target: Target,
}

const STATS: &[Column] = &[
    Column { header: "requests", field: "total" },
    Column { header: "success", field: "success" },
    Column { header: "failed", field: "failed" },
    Column { header: "input tokens", field: "input_tokens" },
    Column { header: "output tokens", field: "output_tokens" },
    Column { header: "average response (ms)", field: "average_response_ms" },
    Column { header: "measured by", field: "average_response_of" },
    Column { header: "to no endpoint", field: "without_endpoint" },
    Column { header: "of removed endpoints", field: "removed_total" },
    Column { header: "last hour", field: "hour" },
    Column { header: "position", field: "position" },
];
const ENDPOINTS: &[Column] = &[
    Column { header: "endpoint", field: "name" },
    Column { header: "kind", field: "kind" },
    Column { header: "status", field: "status" },
    Column { header: "latency", field: "latency_ms" },
    Column { header: "answers in", field: "inference_latency_ms" },
    Column { header: "tokens/s", field: "tps.value" },
    Column { header: "in flight", field: "in_flight" },
    Column { header: "requests", field: "total" },
    Column { header: "success", field: "success" },
    Column { header: "failed", field: "failed" },
    Column { header: "models", field: "models" },
];

impl Overview {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let overview = match self.target.server(shared)? {
                Some(server) => server.get::<Value>("/api/dashboard/overview")?,
                None => {
                    let mut source = self.target.source(shared).await?;
                    let end = source.head().await?.position;
                    let (fold, began) = (source.fold_at(end).await?, ambient::stopwatch());
                    let overview = fold.views.endpoints.overview(&fold.truth, ambient::wall(), |_| 0);
                    let took = began.elapsed().as_secs_f64() * 1e3;
                    serde_json::to_value(OverviewView::of(overview, took)).unwrap_or_default()
                }
            };
            show(&overview, shared)
        })
    }
}

fn show(overview: &Value, shared: &Shared) -> Done {
    let mut out = io::stdout();
    if shared.output == Output::Json {
        print_one(&mut out, shared.output, STATS, overview)?;
        return Ok(Exit::Ok);
    }
    let endpoints = overview["endpoints"].as_array().cloned().unwrap_or_default();
    if shared.output == Output::Csv {
        print(&mut out, shared.output, ENDPOINTS, &endpoints)?;
        return Ok(Exit::Ok);
    }
    let mut stats = overview["stats"].clone();
    let sum = |list: &Value, field: &str| -> u64 {
        list.as_array().into_iter().flatten().filter_map(|row| row[field].as_u64()).sum()
    };
    let hour = sum(&overview["history"], "success") + sum(&overview["history"], "failed");
    let removed = sum(&stats["removed"], "total") + stats["removed_earlier"].as_u64().unwrap_or(0);
    (stats["hour"], stats["removed_total"]) = (json!(hour), json!(removed));
    stats["position"] = overview["position"].clone();
    print_one(&mut out, shared.output, STATS, &stats)?;
    if !endpoints.is_empty() {
        super::print("\n")?;
        print(&mut out, shared.output, ENDPOINTS, &endpoints)?;
    }
    Ok(Exit::Ok)
}
