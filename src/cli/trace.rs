//! `tidehelm trace`

use super::Shared;
use super::events::find;
use super::output::{CliError, Done, Exit, Output, Stream};
use super::target::{Target, block_on};
use crate::cli::progress::Progress;
use crate::source::Source;
use crate::store::AuditQuery;
use crate::walk::Walk;
use clap::Args;
use std::collections::BTreeMap;
use std::io::Write;
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::{CommandId, Position};

/// A chain that has been silent for so many events is taken to be over.
const SILENT_MAX: u64 = 1_000_000;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm trace 1234\n  tidehelm trace 0198c0de-7a11-7000-8000-000000000001\n  tidehelm trace my-idempotency-key --output json"
)]
pub struct Trace {
    /// Position of any event of the chain, or the id of a command (its Idempotency-Key)
    event: String,
    /// Look through the whole log, however long the chain was silent
    #[arg(long)]
    all: bool,
    #[command(flatten)]
    target: Target,
}

impl Trace {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let root = match self.event.parse().map(Position) {
                Ok(position) => find(&mut source, position).await?.correlation,
                Err(_) => self.of_command(&mut source).await?,
            };
            let chain = self.chain(&mut source, root).await?;
            let mut out = std::io::stdout().lock();
            match shared.output {
                Output::Table => tree(&chain, &mut out),
                output @ (Output::Json | Output::Csv) => {
                    let mut shown = Stream::new(&mut out, output, super::filter::COLUMNS);
                    chain.iter().try_for_each(|event| shown.push(&super::filter::line(event)))
                }
            }?;
            Ok(Exit::Ok)
        })
    }

    /// The chain that a command began or belongs to.
    async fn of_command(&self, source: &mut Source) -> Result<Position, CliError> {
        let id = CommandId::from_key(&self.event);
        let unknown = || {
            CliError::new(Exit::NotFound, format!("no event was caused by command {id}"))
                .hint("a position or the id of a command is wanted; `tidehelm tail --output json` shows both")
        };
        if let Some(reader) = source.reader() {
            let query = AuditQuery { command: Some(id), limit: 1, ..AuditQuery::default() };
            return Ok(reader.audit(&query).await?.first().ok_or_else(unknown)?.correlation);
        }
        let end = source.moment(None).await?;
        let progress = Progress::new("looking for the command", end.0);
        let mut walk = Walk::after(source, Position(0)).await?;
        let mut found = None;
        while found.is_none() {
            let step = walk.step(source, |seen| {
                if seen.record.command == Some(id) {
                    found.get_or_insert(seen.record.correlation);
                }
                Ok::<_, CliError>(())
            });
            if step.await?.is_none() {
                break;
            }
            progress.advance_to(walk.position().0);
        }
        found.ok_or_else(unknown)
    }

    async fn chain(&self, source: &mut Source, root: Position) -> Result<Vec<Envelope>, CliError> {
        let end = source.moment(None).await?;
        let progress = Progress::new("following the chain", end.0);
        let mut walk = Walk::after(source, Position(root.0.saturating_sub(1))).await?;
        let (mut chain, mut last) = (Vec::new(), root);
        loop {
            let step = walk.step(source, |seen| {
                if seen.record.correlation == root {
                    chain.push(seen.envelope());
                    last = seen.record.position;
                }
                Ok::<_, CliError>(())
            });
            let ended = step.await?.is_none();
            progress.advance_to(walk.position().0);
            if ended || !self.all && walk.position().0 > last.0 + SILENT_MAX {
                return Ok(chain);
            }
        }
    }
}

/// Each event under the one that caused it.
fn tree(chain: &[Envelope], out: &mut dyn Write) -> Result<(), CliError> {
    let known = |position: &Position| chain.iter().any(|event| event.position == *position);
    let mut below: BTreeMap<Option<Position>, Vec<&Envelope>> = BTreeMap::new();
    for event in chain {
        below.entry(event.causation.filter(known)).or_default().push(event);
    }
    let roots = below.get(&None).cloned().unwrap_or_default();
    let mut waiting: Vec<(usize, &Envelope)> = roots.into_iter().rev().map(|event| (0, event)).collect();
    while let Some((depth, event)) = waiting.pop() {
        write_line(depth, event, out)?;
        let children = below.get(&Some(event.position)).into_iter().flatten();
        waiting.extend(children.rev().map(|child| (depth + 1, *child)));
    }
    Ok(())
}

fn write_line(depth: usize, event: &Envelope, out: &mut dyn Write) -> Result<(), CliError> {
    let arrow = if depth == 0 { String::new() } else { format!("{}└─ ", "   ".repeat(depth - 1)) };
    let command = event.command_id.map_or_else(String::new, |id| format!("  command {id}"));
    let Envelope { position, kind, stream, by, recorded_at, payload, .. } = event;
    writeln!(out, "{arrow}{position}  {recorded_at}  {stream}  {kind}  by {by}{command}  {payload}")
        .map_err(CliError::writing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use tidehelm_events::envelope::Class;
    use tidehelm_events::id::{EventId, StreamId, Version};
    use tidehelm_events::time::Timestamp;

    fn event(position: u64, causation: Option<u64>) -> Envelope {
        Envelope {
            position: Position(position),
            stream: StreamId::Desk,
            version: Version(position),
            event_id: EventId(uuid::Uuid::nil()),
            kind: "kind".into(),
            schema: 1,
            class: Class::Business,
            occurred_at: Timestamp(0),
            received_at: Timestamp(0),
            recorded_at: Timestamp(0),
            command_id: None,
            causation: causation.map(Position),
            correlation: Position(1),
            by: "desk".into(),
            payload: serde_json::Value::Null,
        }
    }

    #[test]
    fn a_chain_is_a_tree_of_causes() {
        let mut out = Vec::new();
        tree(&[event(1, None), event(2, None), event(3, Some(1)), event(4, Some(3)), event(5, Some(2))], &mut out)
            .unwrap();
        let shape: Vec<String> = String::from_utf8(out)
            .unwrap()
            .lines()
            .map(|line| line.split("  1970").next().unwrap().to_string())
            .collect();
        assert_eq!(shape, ["1", "└─ 3", "   └─ 4", "2", "└─ 5"]);
    }
}
