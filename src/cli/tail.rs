//! `tidehelm tail`

use super::Shared;
use super::filter::{COLUMNS, Filter, line, passes};
use super::output::{CliError, Done, Exit, Output, Stream};
use super::target::{Target, block_on};
use crate::source::{Server, Source};
use crate::walk::Walk;
use clap::Args;
use std::collections::VecDeque;
use std::io::{BufRead, BufReader};
use std::time::Duration;
use tidehelm_actors::port::CommitLog;
use tidehelm_events::envelope::Envelope;
use tidehelm_events::id::Position;

/// How often a log in a directory or a database is looked at.
const POLL: Duration = Duration::from_millis(50);
/// With a filter, so many events are looked through for the last ones that pass.
const LOOK_BACK_MAX: u64 = 1_000_000;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm tail\n  tidehelm tail 100 --kind '!heartbeat_seen'\n  tidehelm tail --follow --stream slave/B_2 --output json\n  \
                  tidehelm tail --follow --url http://127.0.0.1:8787"
)]
pub struct Tail {
    /// So many of the last events
    #[arg(default_value_t = 20, value_name = "N")]
    count: usize,
    /// Go on with those that come, until ctrl-c
    #[arg(long, short)]
    follow: bool,
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    target: Target,
}

impl Tail {
    pub fn run(self, shared: &Shared) -> Done {
        self.filter.wanted()?;
        block_on(async {
            match self.target.server(shared)? {
                Some(server) => self.show_server(&server, shared.output),
                None => self.show_store(self.target.source(shared).await?, shared.output).await,
            }
        })
    }

    async fn show_store(&self, mut source: Source, output: Output) -> Done {
        let wanted = self.filter.wanted()?;
        let mut out = std::io::stdout().lock();
        let mut shown = Stream::new(&mut out, output, COLUMNS);
        let mut walk = self.show_last(&mut source, &mut shown, output).await?;
        loop {
            if !self.follow {
                return Ok(Exit::Ok);
            }
            let news = walk.step(&mut source, |seen| {
                if passes(&wanted, seen) {
                    show(&mut shown, output, &seen.envelope())?;
                }
                Ok::<_, CliError>(())
            });
            if news.await?.is_none() {
                tokio::time::sleep(POLL).await;
            }
        }
    }

    /// Looks back further and further until there are enough.
    async fn show_last(&self, source: &mut Source, shown: &mut Stream<'_>, output: Output) -> Result<Walk, CliError> {
        let wanted = self.filter.wanted()?;
        let end = source.head().await?.position;
        let mut window = self.count as u64;
        loop {
            let after = Position(end.0.saturating_sub(window));
            let mut walk = Walk::after(source, after).await?;
            let mut last: VecDeque<Envelope> = VecDeque::new();
            while walk.position() < end {
                let step = walk.step(source, |seen| {
                    if passes(&wanted, seen) {
                        last.push_back(seen.envelope());
                        if last.len() > self.count {
                            last.pop_front();
                        }
                    }
                    Ok::<_, CliError>(())
                });
                if step.await?.is_none() {
                    break;
                }
            }
            if last.len() >= self.count || after == Position(0) || window >= LOOK_BACK_MAX || self.filter.is_empty() {
                last.iter().try_for_each(|event| show(shown, output, event))?;
                return Ok(walk);
            }
            window *= 16;
        }
    }

    fn show_server(&self, server: &Server, output: Output) -> Done {
        let mut out = std::io::stdout().lock();
        let mut shown = Stream::new(&mut out, output, COLUMNS);
        let query = self.filter.query();
        let page: Page = match self.count {
            0 => server.get("/api/events?tail=1")?,
            count => server.get(&format!("/api/events?tail={}{query}", count.min(10_000)))?,
        };
        let events = page.events.iter().take(self.count);
        events.clone().try_for_each(|event| show(&mut shown, output, event))?;
        let mut seen = page.position;
        loop {
            if !self.follow {
                return Ok(Exit::Ok);
            }
            match self.stream(server, &query, &mut seen, &mut shown, output) {
                Ok(()) => {}
                Err(error) if error.exit == Exit::Unreachable => {
                    eprintln!("the server is gone; trying again");
                    std::thread::sleep(Duration::from_secs(1));
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// One connection of the live stream, until it ends.
    fn stream(
        &self,
        server: &Server,
        query: &str,
        seen: &mut u64,
        shown: &mut Stream<'_>,
        output: Output,
    ) -> Result<(), CliError> {
        let body = server.follow(&format!("/api/events?from={seen}{query}"))?;
        let gone = |error: std::io::Error| CliError::new(Exit::Unreachable, "the stream broke off").caused_by(error);
        for text in BufReader::new(body).lines() {
            let text = text.map_err(gone)?;
            let Some(data) = text.strip_prefix("data: ") else {
                // A sign of life says how far the log is, so that a reconnection does not look at it again.
                if let Some(end) = text.strip_prefix(": ").and_then(|end| end.parse().ok()) {
                    *seen = (*seen).max(end);
                }
                continue;
            };
            let event: Envelope = serde_json::from_str(data).map_err(|error| {
                CliError::failed(format!("the server's stream cannot be read: {data}")).caused_by(error)
            })?;
            *seen = event.position.0;
            show(shown, output, &event)?;
        }
        std::thread::sleep(Duration::from_millis(200));
        Ok(())
    }
}

#[derive(serde::Deserialize)]
struct Page {
    position: u64,
    events: Vec<Envelope>,
}

fn show(shown: &mut Stream<'_>, output: Output, event: &Envelope) -> Result<(), CliError> {
    match output {
        Output::Json => shown.push(event),
        Output::Table | Output::Csv => shown.push(&line(event)),
    }
}
