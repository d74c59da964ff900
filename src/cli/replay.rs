//! `tidehelm replay`

use super::Shared;
use super::filter::{COLUMNS, line};
use super::output::{CliError, Column, Done, Exit, Output, Stream, print, print_one};
use super::progress::Progress;
use super::target::{Target, block_on};
use crate::ambient;
use crate::replay::{Pass, replay};
use crate::source::Source;
use clap::Args;
use serde::Serialize;
use std::str::FromStr;
use std::time::Duration;
use tidehelm_actors::port::Depot;
use tidehelm_events::id::Position;
use tidehelm_events::time::Timestamp;
use tidehelm_events::truth;
use tidehelm_events::view::Fold;

#[derive(Args)]
#[command(
    after_help = "Examples:\n  tidehelm replay --check\n  tidehelm replay --to '10m ago'\n  tidehelm replay --from 1000 --speed 10     (shows events ten times as fast as they happened)"
)]
pub struct Replay {
    /// Up to this position or time; without it to the end
    #[arg(long, value_name = "MOMENT")]
    to: Option<String>,
    /// With a speed: begin to show events here
    #[arg(long, value_name = "MOMENT")]
    from: Option<String>,
    /// `max`, or show events this many times as fast as they happened
    #[arg(long, default_value = "max", value_name = "N|max")]
    speed: Speed,
    /// Compare the result with the newest snapshot and its tail, and with the live state of a server
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    target: Target,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Speed {
    Max,
    Times(f64),
}

impl FromStr for Speed {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        if text == "max" {
            return Ok(Speed::Max);
        }
        let times =
            text.strip_suffix('x').unwrap_or(text).parse().ok().filter(|times: &f64| times.is_finite() && *times > 0.0);
        times.map(Speed::Times).ok_or_else(|| "a number above 0, or `max`".into())
    }
}

#[derive(Serialize)]
struct Summary {
    position: u64,
    commits: u64,
    events: u64,
    seconds: f64,
    events_per_second: u64,
    streams: usize,
    state_hash: String,
    /// `equal`, `different` or `nothing_to_compare`; none where it was not asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    check: Option<String>,
    compared_with: Vec<String>,
    kinds: Vec<KindCount>,
}

#[derive(Serialize)]
struct KindCount {
    kind: String,
    count: u64,
}

impl Replay {
    pub fn run(self, shared: &Shared) -> Done {
        block_on(async {
            let mut source = self.target.source(shared).await?;
            let to = source.moment(self.to.as_deref()).await?;
            match self.speed {
                Speed::Max => self.at_once(&mut source, to, shared).await,
                Speed::Times(times) => self.in_time(&mut source, to, times, shared).await,
            }
        })
    }

    async fn at_once(&self, source: &mut Source, to: Position, shared: &Shared) -> Done {
        let started = ambient::stopwatch();
        let progress = Progress::new("replay", to.0);
        let Pass { fold, commits, events, base } =
            replay(source, to, |position| progress.advance_to(position.0)).await?;
        let took = started.elapsed();
        let compared = if self.check { compare(source, &fold, base).await? } else { Vec::new() };
        let wrong: Vec<&Compared> = compared.iter().filter(|compared| !compared.equal).collect();
        let check = match (self.check, compared.is_empty(), wrong.is_empty()) {
            (false, _, _) => None,
            (true, true, _) => Some("nothing_to_compare".to_string()),
            (true, false, true) => Some("equal".into()),
            (true, false, false) => Some("different".into()),
        };
        let kinds = kinds(&fold);
        let summary = Summary {
            position: fold.truth.position().0,
            commits,
            events,
            seconds: took.as_secs_f64(),
            events_per_second: (events as f64 / took.as_secs_f64().max(1e-9)) as u64,
            streams: fold.truth.names().len(),
            state_hash: fold.truth.hash().to_string(),
            check,
            compared_with: compared.iter().map(|compared| compared.with.clone()).collect(),
            kinds,
        };
        show(&summary, shared)?;
        match wrong.is_empty() {
            true => Ok(Exit::Ok),
            false => {
                let with: Vec<&str> = wrong.iter().map(|compared| compared.with.as_str()).collect();
                Err(CliError::new(
                    Exit::VerificationFailed,
                    format!("the replayed state differs from {}", with.join(", ")),
                ))
            }
        }
    }

    /// Shows events with the pauses between them, divided by `times`.
    async fn in_time(&self, source: &mut Source, to: Position, times: f64, shared: &Shared) -> Done {
        let after = match &self.from {
            Some(from) => source.moment(Some(from)).await?,
            None => Position(0),
        };
        let mut walk = crate::walk::Walk::after(source, after).await?;
        let mut out = std::io::stdout().lock();
        let mut shown = Stream::new(&mut out, shared.output, COLUMNS);
        let mut before: Option<Timestamp> = None;
        while walk.position() < to {
            let step = walk.step(source, |seen| {
                if seen.record.position > to {
                    return Ok(());
                }
                let at = seen.record.recorded_at;
                let pause = before.map_or(0, |before| at.since(before).0.max(0));
                before = Some(at);
                std::thread::sleep(Duration::from_micros((pause as f64 / times) as u64));
                shown.push(&line(&seen.envelope()))
            });
            if step.await?.is_none() {
                break;
            }
        }
        Ok(Exit::Ok)
    }
}

struct Compared {
    with: String,
    equal: bool,
}

/// Everything that must lead to the same state: the newest snapshot with its tail, and a server that holds it live.
async fn compare(source: &mut Source, fold: &Fold, base: Option<Position>) -> Result<Vec<Compared>, CliError> {
    let (position, hash) = (fold.truth.position(), fold.truth.hash());
    let mut compared = Vec::new();
    let newest = source.newest(position, truth::SCHEMA).await?;
    if let Some(saved) = newest.filter(|saved| base.is_none_or(|base| saved.position > base)) {
        let other = source.fold_at(position).await?;
        compared.push(Compared {
            with: format!("the snapshot at position {} and what follows it", saved.position),
            equal: other.truth.hash() == hash && other.views == fold.views,
        });
    }
    if let Some(server) = source.server() {
        #[derive(serde::Deserialize)]
        struct Live {
            hash: String,
        }
        let live: Live = server.get(&format!("/api/state?as_of={position}"))?;
        compared.push(Compared { with: "the server's state".into(), equal: live.hash == hash.to_string() });
    }
    Ok(compared)
}

fn kinds(fold: &Fold) -> Vec<KindCount> {
    let known = tidehelm_events::event::Event::kinds();
    let name = |number: u16| known.iter().find(|kind| kind.number == number).map(|kind| kind.name.to_string());
    let counts = fold.views.activity.kinds.iter();
    counts
        .map(|(number, count)| KindCount {
            kind: name(*number).unwrap_or_else(|| format!("kind {number}")),
            count: *count,
        })
        .collect()
}

fn show(summary: &Summary, shared: &Shared) -> Result<(), CliError> {
    let mut out = std::io::stdout();
    if shared.output != Output::Table {
        return print_one(&mut out, shared.output, SUMMARY, summary);
    }
    let columns = [Column { header: "kind", field: "kind" }, Column { header: "events", field: "count" }];
    print(&mut out, shared.output, &columns, &summary.kinds)?;
    super::print("\n")?;
    print_one(&mut out, shared.output, SUMMARY, summary)
}

const SUMMARY: &[Column] = &[
    Column { header: "position", field: "position" },
    Column { header: "commits", field: "commits" },
    Column { header: "events", field: "events" },
    Column { header: "seconds", field: "seconds" },
    Column { header: "events per second", field: "events_per_second" },
    Column { header: "streams", field: "streams" },
    Column { header: "state hash", field: "state_hash" },
    Column { header: "check", field: "check" },
    Column { header: "compared with", field: "compared_with" },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_speed_is_a_number_or_max() {
        assert_eq!("max".parse(), Ok(Speed::Max));
        assert_eq!("10".parse(), Ok(Speed::Times(10.0)));
        assert_eq!("0.5x".parse(), Ok(Speed::Times(0.5)));
        for bad in ["", "0", "-1", "fast", "inf"] {
            assert!(bad.parse::<Speed>().is_err(), "{bad}");
        }
    }
}
