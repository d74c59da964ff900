//! `tidehelm events`

use super::Shared;
use super::output::{CliError, Column, Done, Exit, print_one};
use super::target::{Target, block_on};
use crate::source::Source;
use crate::walk::Walk;
use clap::{Args, Subcommand};
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::Position;

#[derive(Args)]
#[command(after_help = "Examples:\n  tidehelm events show 1234\n  tidehelm events kinds")]
pub struct Events {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// One event, all of it
    Show {
        position: u64,
        #[command(flatten)]
        target: Target,
    },
    /// Every kind of event that this build knows
    Kinds,
}

impl Events {
    pub fn run(self, shared: &Shared) -> Done {
        match self.what {
            What::Show { position, target } => block_on(async {
                let mut source = target.source(shared).await?;
                let event = find(&mut source, Position(position)).await?;
                show(&event, shared)
            }),
            What::Kinds => kinds(shared),
        }
    }
}

/// The event at a position.
pub async fn find(source: &mut Source, position: Position) -> Result<Envelope, CliError> {
    let none = |why: &str| CliError::new(Exit::NotFound, format!("there is no event at position {position}: {why}"));
    if position == Position(0) {
        return Err(none("positions begin at 1"));
    }
    if position > source.moment(None).await? {
        return Err(none("it lies ahead of the log"));
    }
    let mut walk = Walk::after(source, Position(position.0 - 1)).await?;
    let mut found = None;
    while found.is_none() && walk.position() < position {
        let step = walk.step(source, |seen| {
            if seen.record.position == position {
                found = Some(seen.envelope());
            }
            Ok::<_, CliError>(())
        });
        if step.await?.is_none() {
            break;
        }
    }
    found.ok_or_else(|| none("it was telemetry, which retention has cut"))
}

fn show(event: &Envelope, shared: &Shared) -> Done {
    let mut value = serde_json::to_value(event).unwrap_or_default();
    if shared.output == super::output::Output::Table {
        for field in ["occurred_at", "received_at", "recorded_at"] {
            if let Some(micros) = value[field].as_i64() {
                value[field] = tidehelm_events::time::Timestamp(micros).to_string().into();
            }
        }
    }
    let columns = [
        Column { header: "position", field: "position" },
        Column { header: "event", field: "kind" },
        Column { header: "stream", field: "stream" },
        Column { header: "version", field: "version" },
        Column { header: "class", field: "class" },
        Column { header: "event id", field: "event_id" },
        Column { header: "schema", field: "schema" },
        Column { header: "occurred at", field: "occurred_at" },
        Column { header: "received at", field: "received_at" },
        Column { header: "recorded at", field: "recorded_at" },
        Column { header: "by", field: "by" },
        Column { header: "command", field: "command_id" },
        Column { header: "caused by", field: "causation" },
        Column { header: "chain of", field: "correlation" },
        Column { header: "what", field: "payload" },
    ];
    print_one(&mut std::io::stdout(), shared.output, &columns, &value)?;
    Ok(Exit::Ok)
}

fn kinds(shared: &Shared) -> Done {
    let kinds: Vec<_> = tidehelm_events::event::Event::kinds()
        .into_iter()
        .map(|kind| {
            serde_json::json!({
                "number": kind.number, "kind": kind.name, "schema": kind.schema, "class": kind.class, "what": kind.doc.trim(),
            })
        })
        .collect();
    let columns = [
        Column { header: "number", field: "number" },
        Column { header: "kind", field: "kind" },
        Column { header: "schema", field: "schema" },
        Column { header: "class", field: "class" },
        Column { header: "what", field: "what" },
    ];
    super::output::print(&mut std::io::stdout(), shared.output, &columns, &kinds)?;
    Ok(Exit::Ok)
}
