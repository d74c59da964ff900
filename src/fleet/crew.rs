//! Runs stations in real time: a few threads, each with its share of them, and one NNG line for each that wants one.

use super::line::{Happening, Numbered};
use super::market::Market;
use super::station::{Station, Wish};
use crate::ambient::DeskClock;
use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;
use tidehelm_actors::port::Clock;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_terminal::client::{Addresses, Word};

/// What all stations do now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum Phase {
    /// They connect and say that they are alive.
    Gather,
    /// Masters trade, and what may go wrong does.
    Trade,
    /// Nobody trades any more; what is broken is mended, what is owed is told.
    Settle,
    End,
}

/// What the crews are told, and what they say.
#[derive(Debug, Default)]
pub struct Signals {
    phase: AtomicU8,
    live: AtomicUsize,
    unsettled: AtomicUsize,
}

impl Signals {
    pub fn enter(&self, phase: Phase) {
        self.phase.store(phase as u8, Ordering::Relaxed);
    }
    pub fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Relaxed) {
            0 => Phase::Gather,
            1 => Phase::Trade,
            2 => Phase::Settle,
            _ => Phase::End,
        }
    }
    /// Stations that are registered at the desk.
    pub fn live(&self) -> usize {
        self.live.load(Ordering::Relaxed)
    }
    /// Stations that have something under way.
    pub fn unsettled(&self) -> usize {
        self.unsettled.load(Ordering::Relaxed)
    }
}

pub struct Crews {
    pub signals: Arc<Signals>,
    threads: Vec<JoinHandle<Vec<Station>>>,
}

/// The time and the prices that all of a fleet share.
#[derive(Clone)]
pub struct Place {
    pub clock: Arc<DeskClock>,
    pub seed: u64,
    pub since: Timestamp,
    pub addresses: Addresses,
}

impl Crews {
    /// Starts so many threads; each has every so manieth station.
    pub fn start(stations: Vec<Station>, threads: usize, place: &Place) -> std::io::Result<Crews> {
        let threads = threads.clamp(1, stations.len().max(1));
        let mut shares: Vec<Vec<Station>> = (0..threads).map(|_| Vec::new()).collect();
        for (at, station) in stations.into_iter().enumerate() {
            shares[at % threads].push(station);
        }
        let signals = Arc::new(Signals::default());
        let start = |(number, share): (usize, Vec<Station>)| {
            let (place, signals) = (place.clone(), signals.clone());
            let crew = std::thread::Builder::new().name(format!("fleet-{number}"));
            crew.spawn(move || Crew::new(share, place, signals).work())
        };
        let threads = shares.into_iter().enumerate().map(start).collect::<Result<Vec<_>, _>>()?;
        Ok(Crews { signals, threads })
    }

    /// Ends all of them, and gives the stations back.
    pub fn end(self) -> Vec<Station> {
        self.signals.enter(Phase::End);
        let ended = self.threads.into_iter().map(|thread| thread.join());
        ended.flat_map(|stations| stations.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    }
}

struct Crew {
    stations: Vec<Station>,
    lines: Vec<Option<Numbered>>,
    place: Place,
    signals: Arc<Signals>,
    market: Market,
    /// When each is to be looked at again, and the same the other way round.
    due: Vec<Timestamp>,
    agenda: BTreeSet<(Timestamp, usize)>,
    numbers: u64,
    told: Sender<Happening>,
    happenings: Receiver<Happening>,
    phase: Phase,
    /// What this crew has said of itself.
    said: (usize, usize),
    says_at: Timestamp,
}

/// The longest that a crew sleeps.
const NAP: Duration = Duration::from_millis(50);
const SAYS_EVERY: Span = Span::millis(100);

impl Crew {
    fn new(stations: Vec<Station>, place: Place, signals: Arc<Signals>) -> Crew {
        let (told, happenings) = channel();
        let now = place.clock.now();
        Crew {
            lines: stations.iter().map(|_| None).collect(),
            market: Market::new(place.seed, place.since),
            due: vec![now; stations.len()],
            agenda: (0..stations.len()).map(|at| (now, at)).collect(),
            stations,
            place,
            signals,
            numbers: 0,
            told,
            happenings,
            phase: Phase::Gather,
            said: (0, 0),
            says_at: now,
        }
    }

    fn work(mut self) -> Vec<Station> {
        while self.phase != Phase::End {
            let wait = self.wait();
            if let Ok(happening) = self.happenings.recv_timeout(wait) {
                self.market.advance(self.place.clock.now());
                self.take(happening);
                while let Ok(happening) = self.happenings.try_recv() {
                    self.take(happening);
                }
            }
            self.follow_phase();
            self.tick();
            self.say();
        }
        self.lines.clear();
        self.stations
    }

    fn wait(&self) -> Duration {
        let Some((due, _)) = self.agenda.first() else { return NAP };
        let micros = due.since(self.place.clock.now()).0.max(0);
        Duration::from_micros(micros as u64).min(NAP)
    }

    fn take(&mut self, Happening { station: at, line, what }: Happening) {
        if self.lines[at].as_ref().is_none_or(|known| known.number != line) {
            return;
        }
        let (now, station) = (self.place.clock.now(), &mut self.stations[at]);
        match what {
            Word::Connected => station.connected(now, &self.market),
            Word::Disconnected => station.disconnected(now, &self.market),
            Word::Answer { tag, message } => station.hear(tag, &message, now, &self.market),
        }
        self.grant(at, now);
    }

    fn tick(&mut self) {
        let now = self.place.clock.now();
        self.market.advance(now);
        while let Some((due, at)) = self.agenda.first().copied().filter(|(due, _)| *due <= now) {
            self.agenda.remove(&(due, at));
            self.stations[at].tick(now, &self.market);
            self.grant(at, now);
        }
    }

    /// Does what a station wishes, and notes when it is to be looked at again.
    fn grant(&mut self, at: usize, now: Timestamp) {
        for wish in std::mem::take(&mut self.stations[at].wishes) {
            match (wish, &mut self.lines[at]) {
                (Wish::Dial, _) => self.lines[at] = self.dial(at),
                (Wish::HangUp, _) => self.lines[at] = None,
                (Wish::Ask { tag, message }, Some(on)) => on.line.ask(tag, &message),
                (Wish::Uplink(frame), Some(on)) => on.line.tell(&frame),
                (Wish::Ask { .. } | Wish::Uplink(_), None) => {}
            }
        }
        // Never at once again: a station whose time has come has been looked at.
        let due = self.stations[at].due(now).max(now + Span::millis(1));
        self.agenda.remove(&(self.due[at], at));
        self.due[at] = due;
        self.agenda.insert((due, at));
    }

    fn dial(&mut self, at: usize) -> Option<Numbered> {
        self.numbers += 1;
        let line = Numbered::dial(&self.place.addresses, at, self.numbers, &self.told);
        line.inspect_err(|error| tracing::error!(%error, "a terminal has no socket")).ok()
    }

    fn follow_phase(&mut self) {
        let phase = self.signals.phase();
        if phase == self.phase {
            return;
        }
        self.phase = phase;
        let now = self.place.clock.now();
        for at in 0..self.stations.len() {
            self.stations[at].trade(phase == Phase::Trade);
            match phase {
                Phase::Trade => self.stations[at].upset(now),
                Phase::Gather | Phase::Settle | Phase::End => self.stations[at].calm(),
            }
            self.grant(at, now);
        }
    }

    fn say(&mut self) {
        let now = self.place.clock.now();
        if now < self.says_at {
            return;
        }
        self.says_at = now + SAYS_EVERY;
        let count = |so: fn(&Station) -> bool| self.stations.iter().filter(|station| so(station)).count();
        let said = (count(Station::is_live), count(|station| !station.is_settled()));
        let add = |to: &AtomicUsize, now: usize, before: usize| {
            to.fetch_add(now.wrapping_sub(before), Ordering::Relaxed);
        };
        add(&self.signals.live, said.0, self.said.0);
        add(&self.signals.unsettled, said.1, self.said.1);
        self.said = said;
    }
}
