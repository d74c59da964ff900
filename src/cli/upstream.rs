//! `tidehelm upstream`: a simulated LLM server in a process of its own.

use super::Shared;
use super::fleet::stopped_by_signal;
use super::output::{CliError, Done, Exit};
use crate::upstream::{Behaviour, Fault, Upstream, Usage};
use clap::{Args, ValueEnum};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::atomic::Ordering;
use std::time::Duration;
use tidehelm_events::endpoint::Kind;

#[derive(Args)]
pub struct Simulated {
    /// 0: one that is free; the first line says which
    #[arg(long, default_value_t = 0)]
    port: u16,
    #[arg(long, value_parser = kind, default_value = "openai_compatible")]
    kind: Kind,
    #[arg(long, value_delimiter = ',', default_value = "llama-3", value_name = "MODEL,…")]
    models: Vec<String>,
    /// Milliseconds to the first byte: `20` or `20-80`
    #[arg(long, default_value = "0", value_name = "FROM[-TO]", value_parser = range)]
    latency_ms: (u64, u64),
    #[arg(long, default_value_t = 16)]
    tokens: u32,
    /// Milliseconds between two tokens of a stream
    #[arg(long, default_value_t = 0)]
    pace_ms: u64,
    #[arg(long, value_enum, default_value = "told")]
    usage: Said,
    /// What clients have to send behind `Bearer`
    #[arg(long)]
    secret: Option<String>,
    /// A way to fail and how many of a thousand do: `hang=5`, `500=20`; may be given again
    #[arg(long = "fault", value_name = "FAULT=PERMILLE", value_parser = fault)]
    faults: Vec<(Fault, u32)>,
    /// Health checks fail, too, in the first of those ways
    #[arg(long)]
    sick: bool,
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, ValueEnum)]
enum Said {
    Told,
    Kept,
    Lied,
}

impl Simulated {
    pub fn run(self, _: &Shared) -> Done {
        let millis = Duration::from_millis;
        let behaviour = Behaviour {
            kind: self.kind,
            models: self.models,
            latency: (millis(self.latency_ms.0), millis(self.latency_ms.1)),
            tokens: self.tokens,
            pace: millis(self.pace_ms),
            usage: match self.usage {
                Said::Told => Usage::Told,
                Said::Kept => Usage::Kept,
                Said::Lied => Usage::Lied,
            },
            secret: self.secret,
            faults: self.faults,
            sick: self.sick,
            seed: self.seed,
        };
        let stop = stopped_by_signal()?;
        let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), self.port);
        let started = Upstream::start_on(at, behaviour);
        let upstream = started.map_err(|error| CliError::failed(format!("cannot listen on {at}")).caused_by(error))?;
        super::print(&format!("The simulated upstream is at {}\n", upstream.url()))?;
        while !stop.load(Ordering::Relaxed) {
            std::thread::sleep(millis(50));
        }
        Ok(Exit::Ok)
    }
}

fn kind(text: &str) -> Result<Kind, String> {
    let known = Kind::ALL.into_iter().find(|kind| kind.as_str() == text);
    known.ok_or_else(|| format!("one of {}", Kind::ALL.map(Kind::as_str).join(", ")))
}

fn range(text: &str) -> Result<(u64, u64), String> {
    let (from, to) = text.split_once('-').unwrap_or((text, text));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if from <= to => Ok((from, to)),
        _ => Err("a number of milliseconds, or two as in 20-80".into()),
    }
}

fn fault(text: &str) -> Result<(Fault, u32), String> {
    let (fault, permille) = text.split_once('=').unwrap_or((text, "1000"));
    match permille.parse() {
        Ok(permille @ 0..=1000) => Ok((fault.parse()?, permille)),
        _ => Err("how many of a thousand: 0 to 1000".into()),
    }
}
