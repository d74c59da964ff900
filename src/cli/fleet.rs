//! `tidehelm fleet`

use super::Shared;
use super::output::{CliError, Done, Exit, Output};
use crate::fleet::cast::Size;
use crate::fleet::report::Report;
use crate::fleet::run::{Options, run};
use crate::source::Server;
use clap::Args;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidehelm_events::time::Span;
use tidehelm_terminal::client::Addresses;

#[derive(Args)]
#[command(
    after_help = "Prints what the fleet did, how long things took, and whether every slave holds what an arithmetic of its own says, fed \
                  by what the simulated brokers executed. Exit code 6 where they differ.\n\n\
                  Examples:\n  tidehelm fleet --token \"$TOKEN\"\n  tidehelm fleet --masters 50 --slaves 1000 --minutes 3 --chaos\n  \
                  tidehelm fleet --slaves 10000 --masters 0 --heartbeats-only --seconds 60"
)]
pub struct Fleet {
    /// The desk's server, where trade groups are set up
    #[arg(long, value_name = "URL", env = "TIDEHELM_URL", default_value = "http://127.0.0.1:8787")]
    url: String,
    /// Token of an operator
    #[arg(long, env = "TIDEHELM_TOKEN", hide_env_values = true, value_name = "TOKEN")]
    token: Option<String>,
    /// Where the desk answers terminals
    #[arg(long, value_name = "ADDRESS", default_value = "tcp://127.0.0.1:5556")]
    session: String,
    /// Where the desk hears heartbeats
    #[arg(long, value_name = "ADDRESS", default_value = "tcp://127.0.0.1:5555")]
    uplink: String,
    #[command(flatten)]
    load: Load,
}

/// What a fleet is and does.
#[derive(Args, Clone)]
pub struct Load {
    #[arg(long, default_value_t = 5, value_name = "COUNT")]
    pub masters: usize,
    #[arg(long, default_value_t = 50, value_name = "COUNT")]
    pub slaves: usize,
    /// Masters that each slave copies
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    pub links_per_slave: usize,
    /// How long masters trade
    #[arg(long, value_name = "MINUTES", conflicts_with = "seconds")]
    pub minutes: Option<f64>,
    #[arg(long, value_name = "SECONDS")]
    pub seconds: Option<f64>,
    /// Acts of each master in a second, on the average
    #[arg(long, default_value_t = 0.5, value_name = "RATE")]
    pub rate: f64,
    /// The same number is the same fleet
    #[arg(long, default_value_t = 1, value_name = "NUMBER")]
    pub seed: u64,
    /// Lines are cut, terminals crash, brokers refuse, fill in part, and answer late or never
    #[arg(long)]
    pub chaos: bool,
    /// Terminals only say that they are alive
    #[arg(long)]
    pub heartbeats_only: bool,
    /// Threads that run terminals
    #[arg(long, default_value_t = 2, value_name = "COUNT")]
    pub threads: usize,
    /// How old an open may be and still be copied
    #[arg(long, default_value_t = 600.0, value_name = "SECONDS")]
    pub age_max: f64,
}

impl Fleet {
    pub fn run(self, shared: &Shared) -> Done {
        let options = self
            .load
            .options(Addresses { session: self.session, uplink: self.uplink }, Some(Duration::from_secs(60)))?;
        let server = Server::new(&self.url, self.token.as_deref())?;
        let mut tell = |text: &str| eprintln!("{text}");
        let stop = stopped_by_signal()?;
        let report = run(&options, Some(&server), &stop, &mut tell)?;
        show(&report, shared.output)
    }
}

impl Load {
    pub fn options(&self, addresses: Addresses, usual: Option<Duration>) -> Result<Options, CliError> {
        let positive = |what: &str, value: f64| match value.is_finite() && value > 0.0 && value <= 1e6 {
            true => Ok(value),
            false => Err(CliError::usage(format!("--{what} is above 0 and not more than a million"))),
        };
        let seconds = match (self.minutes, self.seconds) {
            (Some(minutes), _) => Some(positive("minutes", minutes)? * 60.0),
            (None, Some(seconds)) => Some(positive("seconds", seconds)?),
            (None, None) => None,
        };
        if self.masters + self.slaves == 0 {
            return Err(CliError::usage("a fleet of nobody does nothing: give --masters or --slaves"));
        }
        let span = |seconds: f64| Span::micros((seconds * 1e6) as i64);
        Ok(Options {
            addresses,
            size: Size { masters: self.masters, slaves: self.slaves, links_per_slave: self.links_per_slave },
            seed: self.seed,
            trade_for: seconds.map(Duration::from_secs_f64).or(usual),
            pace: span(1.0 / positive("rate", self.rate)?),
            chaos: self.chaos,
            heartbeats_only: self.heartbeats_only,
            threads: self.threads,
            age_max: span(positive("age-max", self.age_max)?),
        })
    }
}

/// Prints the report and says whether the fleet and the reference agree.
pub fn show(report: &Report, output: Output) -> Done {
    match output {
        Output::Table => super::print(&report.text())?,
        Output::Json => {
            let json = serde_json::to_string_pretty(report);
            super::print(&(json.map_err(|error| CliError::failed("cannot show the report").caused_by(error))? + "\n"))?
        }
        Output::Csv => return Err(CliError::usage("a fleet's report is no table: --output table or json")),
    };
    Ok(if report.equal && report.settled { Exit::Ok } else { Exit::VerificationFailed })
}

/// Becomes true at SIGINT or SIGTERM.
pub fn stopped_by_signal() -> Result<Arc<AtomicBool>, CliError> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = stop.clone();
    let unable = |error: std::io::Error| CliError::failed("cannot listen for signals").caused_by(error);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(unable)?;
    let (mut term, mut int) = {
        use tokio::signal::unix::{SignalKind, signal};
        let _inside = runtime.enter();
        (signal(SignalKind::terminate()).map_err(unable)?, signal(SignalKind::interrupt()).map_err(unable)?)
    };
    std::thread::spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = term.recv() => {}, _ = int.recv() => {} }
        });
        set.store(true, Ordering::Relaxed);
    });
    Ok(stop)
}
