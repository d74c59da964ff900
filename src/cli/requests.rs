//! `tidehelm requests`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, Output, print};
use super::target::{Target, block_on};
use crate::ambient;
use crate::requests::filter::{Filter, FilterError};
use crate::requests::sheet::Format;
use crate::requests::{Export, RequestView, names};
use crate::source::{Server, Source};
use crate::store::{Model, Order, Reader, RequestQuery};
use clap::{Args, Subcommand};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use tidehelm_actors::port::CommitLog;
use tidehelm_events::id::Position;
use tidehelm_events::time::Timestamp;

/// A page of a list looks at so many rows.
const SCAN: usize = 200_000;

#[derive(Args)]
#[command(
    after_help = "Of a running server (--url, or TIDEHELM_URL), or of a data directory. The table follows the log within about a second.\n\n\
                  Examples:\n  tidehelm requests\n  tidehelm requests --outcome failed --from '1h ago'\n  tidehelm requests --endpoint 'GPU box' --model qwen3-8b --limit 20\n  \
                  tidehelm requests export --format parquet --to january.parquet --from 2026-01-01 --until 2026-02-01"
)]
pub struct Requests {
    #[command(subcommand)]
    what: Option<What>,
    #[command(flatten)]
    filter: Filter,
    /// At most so many
    #[arg(long, default_value_t = 50)]
    limit: usize,
    #[command(flatten)]
    target: Target,
}

#[derive(Subcommand)]
enum What {
    /// Write requests to a file, or to standard output
    Export {
        #[arg(long, value_enum, default_value = "csv")]
        format: Format,
        /// Without it, standard output
        #[arg(long, value_name = "FILE")]
        to: Option<PathBuf>,
        #[command(flatten)]
        filter: Filter,
    },
}

const COLUMNS: &[Column] = &[
    Column { header: "position", field: "position" },
    Column { header: "ended", field: "at" },
    Column { header: "endpoint", field: "endpoint_name" },
    Column { header: "model", field: "model" },
    Column { header: "outcome", field: "outcome" },
    Column { header: "status", field: "http_status" },
    Column { header: "input", field: "input_tokens" },
    Column { header: "output", field: "output_tokens" },
    Column { header: "ms", field: "duration_ms" },
    Column { header: "first byte", field: "first_byte_ms" },
    Column { header: "ending", field: "ending" },
    Column { header: "client", field: "client" },
];

impl Requests {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let server = self.target.server(shared)?;
            match (self.what, server) {
                (None, Some(server)) => list_of(&server, &self.filter, self.limit, shared),
                (None, None) => list(&mut self.target.source(shared).await?, &self.filter, self.limit, shared).await,
                (Some(What::Export { format, to, filter }), server) => {
                    let mut out: Box<dyn Write> = match &to {
                        Some(path) => {
                            let failed =
                                |error| CliError::failed(format!("cannot write {}", path.display())).caused_by(error);
                            Box::new(File::create(path).map_err(failed)?)
                        }
                        None => Box::new(io::stdout().lock()),
                    };
                    match server {
                        Some(server) => export_of(&server, &filter, format, &mut out)?,
                        None => {
                            let mut source = self.target.source(shared).await?;
                            export(&mut source, &filter, format, &mut out).await?;
                        }
                    }
                    out.flush().map_err(CliError::writing)?;
                    Ok(Exit::Ok)
                }
            }
        })
    }
}

fn list_of(server: &Server, filter: &Filter, limit: usize, shared: &Shared) -> Done {
    let (mut rows, mut cursor) = (Vec::new(), String::new());
    while rows.len() < limit {
        let most = (limit - rows.len()).min(1000);
        let page: Value = server.get(&format!("/api/dashboard/requests?limit={most}{}{cursor}", filter.to_url()))?;
        rows.extend(page["requests"].as_array().cloned().unwrap_or_default());
        match page["next"].as_u64() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    show(rows, shared)
}

async fn list(source: &mut Source, filter: &Filter, limit: usize, shared: &Shared) -> Done {
    let Asked { reader, mut query, names, .. } = asked(source, filter, Order::NewestFirst).await?;
    let mut rows = Vec::new();
    while rows.len() < limit {
        (query.limit, query.scan) = (limit - rows.len(), SCAN);
        let page = reader.requests(&query).await?;
        rows.extend(page.rows.into_iter().map(|row| RequestView::of(row, &names)));
        match (page.next, query.order) {
            (Some(next), Order::NewestFirst) => query.before = Some(next),
            (Some(next), Order::OldestFirst) => query.after = next,
            (None, _) => break,
        }
    }
    show(rows.iter().map(|row| serde_json::to_value(row).unwrap_or_default()).collect(), shared)
}

fn show(mut rows: Vec<Value>, shared: &Shared) -> Done {
    if shared.output != Output::Json {
        for row in &mut rows {
            row["at"] = row["at"].as_i64().map(|micros| Timestamp(micros).to_string()).into();
        }
    }
    print(&mut io::stdout(), shared.output, COLUMNS, &rows)?;
    Ok(Exit::Ok)
}

fn export_of(server: &Server, filter: &Filter, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    let mut body =
        server.open(&format!("/api/dashboard/requests/export?format={}{}", format.as_str(), filter.to_url()))?;
    let copied = io::copy(&mut body, out);
    copied.map(drop).map_err(|error| CliError::failed("the file broke off: it is not whole").caused_by(error))
}

async fn export(source: &mut Source, filter: &Filter, format: Format, out: &mut dyn Write) -> Result<(), CliError> {
    let Asked { reader, query, names, through } = asked(source, filter, Order::OldestFirst).await?;
    let mut export = Export::new(reader, query, through, names, format)?;
    while let Some(piece) = export.next().await? {
        out.write_all(&piece).map_err(CliError::writing)?;
    }
    Ok(())
}

/// What is asked of a store, and how far its table has come.
struct Asked {
    reader: Reader,
    query: RequestQuery,
    names: crate::requests::Names,
    through: Position,
}

async fn asked(source: &mut Source, filter: &Filter, order: Order) -> Result<Asked, CliError> {
    let reader = source.reader().ok_or_else(|| CliError::usage("a server shows requests by its API only"))?;
    let end = source.head().await?.position;
    let names = names(&source.fold_at(end).await?);
    let query = filter.query(&reader, &names, ambient::wall(), order).await.map_err(|error| match error {
        FilterError::Field { .. } => CliError::usage(error.to_string()),
        FilterError::Store(fault) => fault.into(),
    })?;
    let through = reader.checkpoint(Model::Requests).await?.map_or(Position(0), |known| known.position);
    Ok(Asked { reader, query, names, through })
}
