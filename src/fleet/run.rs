//! A whole run: gather, set up, trade, settle, compare.

use super::cast::{Cast, Size};
use super::crew::{Crews, Phase, Place};
use super::house::Faults;
use super::report::Report;
use super::setup;
use super::station::{Manner, Station, Upset};
use super::trader::Habits;
use crate::ambient::{self, DeskClock};
use crate::cli::output::{CliError, Exit};
use crate::source::Server;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use tidehelm_actors::port::Clock;
use tidehelm_events::time::Span;
use tidehelm_terminal::client::Addresses;

#[derive(Debug, Clone)]
pub struct Options {
    pub addresses: Addresses,
    pub size: Size,
    pub seed: u64,
    /// How long masters trade; none until somebody stops it.
    pub trade_for: Option<Duration>,
    /// Mean time between two acts of a master.
    pub pace: Span,
    pub chaos: bool,
    pub heartbeats_only: bool,
    pub threads: usize,
    /// An open that is older is not copied.
    pub age_max: Span,
}

/// How long to wait until all terminals are registered, until all links copy, and until nothing is under way any more.
const GATHER_MAX: Duration = Duration::from_secs(120);
const READY_MAX: Duration = Duration::from_secs(60);
const SETTLE_MAX: Duration = Duration::from_secs(120);
/// Nothing is under way if it looks so for this long: the desk may have something that no terminal knows of.
const QUIET: Duration = Duration::from_secs(3);

/// Runs a fleet against a desk. Without a server nothing is set up: whoever started it has done so.
pub fn run(
    options: &Options,
    server: Option<&Server>,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, CliError> {
    let clock = Arc::new(DeskClock::default());
    let faults = if options.chaos { Faults::CHAOS } else { Faults::NONE };
    let cast = Cast::new(options.seed, options.size, faults, options.age_max);
    let stations = stations(options, &cast, &clock);
    let count = stations.len();
    let place =
        Place { clock: clock.clone(), seed: options.seed, since: clock.now(), addresses: options.addresses.clone() };
    let crews = Crews::start(stations, options.threads, &place)
        .map_err(|error| CliError::failed("cannot start the threads of the fleet").caused_by(error))?;
    let live = || crews.signals.live() >= count;
    if !wait(GATHER_MAX, stop, live, &mut || {
        tell(&format!("{} of {count} terminals are registered", crews.signals.live()))
    }) && !stop.load(Ordering::Relaxed)
    {
        let (live, Addresses { session, uplink }) = (crews.signals.live(), &options.addresses);
        let message = format!("only {live} of {count} terminals could register at {session} (uplink {uplink})");
        return Err(CliError::new(Exit::Unreachable, message)
            .hint("is the desk running, and are these its addresses? `tidehelm serve` prints them"));
    }
    if let Some(server) = server.filter(|_| !options.heartbeats_only) {
        tell(&format!("setting up {} trade groups with {} members", cast.masters.len(), cast.links.len()));
        setup::prepare(server, &cast)?;
        wait_until_ready(server, cast.links.len(), stop, tell)?;
    }
    let trading = ambient::stopwatch();
    crews.signals.enter(Phase::Trade);
    tell("trading");
    let over = || options.trade_for.is_some_and(|span| trading.elapsed() >= span);
    wait(Duration::MAX, stop, over, &mut || tell(&format!("trading for {} s", trading.elapsed().as_secs())));
    let took = Span::micros(trading.elapsed().as_micros() as i64);
    crews.signals.enter(Phase::Settle);
    let settled = options.heartbeats_only || settle(&crews, tell);
    let mut stations = crews.end();
    Ok(Report::of(options.seed, &cast.links, &mut stations, took, settled))
}

fn stations(options: &Options, cast: &Cast, clock: &DeskClock) -> Vec<Station> {
    let now = clock.now();
    let habits = Habits { pace: options.pace, ..Habits::USUAL };
    let manner = Manner {
        habits: Some(habits).filter(|_| !options.heartbeats_only),
        chaos: options.chaos.then_some(Upset::USUAL),
        heartbeats_only: options.heartbeats_only,
    };
    let players = cast.masters.iter().chain(&cast.slaves).cloned();
    players.map(|player| Station::new(player, options.seed, None, manner, now)).collect()
}

fn wait_until_ready(
    server: &Server,
    links: usize,
    stop: &AtomicBool,
    tell: &mut dyn FnMut(&str),
) -> Result<(), CliError> {
    let since = ambient::stopwatch();
    loop {
        let ready = setup::ready(server)?;
        if ready >= links || stop.load(Ordering::Relaxed) {
            return Ok(());
        }
        if since.elapsed() > READY_MAX {
            let message = format!("only {ready} of {links} members copy after {} s", READY_MAX.as_secs());
            return Err(CliError::new(Exit::Blocked, message)
                .hint("`tidehelm state` lists the accounts with what keeps each from copying"));
        }
        tell(&format!("{ready} of {links} members copy"));
        std::thread::sleep(Duration::from_millis(300));
    }
}

/// Asks again and again until it is so; false where time ran out or somebody stopped it.
fn wait(longest: Duration, stop: &AtomicBool, so: impl Fn() -> bool, tell: &mut dyn FnMut()) -> bool {
    let since = ambient::stopwatch();
    let mut told = Duration::ZERO;
    while !so() {
        if since.elapsed() > longest || stop.load(Ordering::Relaxed) {
            return false;
        }
        if since.elapsed() >= told + Duration::from_secs(10) {
            told = since.elapsed();
            tell();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    true
}

fn settle(crews: &Crews, tell: &mut dyn FnMut(&str)) -> bool {
    let since = ambient::stopwatch();
    let mut quiet = None;
    tell("settling");
    while since.elapsed() < SETTLE_MAX {
        // The crews say how they are ten times a second.
        std::thread::sleep(Duration::from_millis(50));
        match crews.signals.unsettled() {
            0 if since.elapsed() > Duration::from_secs(1) => {
                let begun = *quiet.get_or_insert(since.elapsed());
                if since.elapsed() - begun >= QUIET {
                    return true;
                }
            }
            _ => quiet = None,
        }
    }
    false
}
