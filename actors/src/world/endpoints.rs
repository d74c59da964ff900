//! Upstreams that answer, die, hang and come back; people who register and move them; and the desk's probes.

use super::agenda::{MILLI, Micros, SECOND};
use super::host::Parcel;
use super::invariants::{Checked, hold};
use super::people::Sender;
use super::proxy::{Ended, Proxy};
use super::{Happening, World};
use crate::node::{Command, Order};
use std::collections::BTreeMap;
use tidehelm_events::endpoint::{self, Failure, ProbeOutcome, ProxyCommand, ProxySettings, Settings};
use tidehelm_events::id::{CommandId, EndpointId, Principal, StreamId, Version};
use tidehelm_events::time::Span;

/// Machines at which something may answer.
const HOSTS: u64 = 6;

/// What can happen around endpoints.
#[derive(Debug)]
pub enum Affair {
    /// An upstream changes its mind.
    Turn {
        host: usize,
    },
    /// Somebody wants an endpoint.
    Wish,
    /// A client asks something of the proxy.
    Request,
    Ended(Box<Ended>),
    /// What waits for a stream is told.
    Tell {
        process: u64,
        lane: Option<EndpointId>,
    },
    Probed {
        process: u64,
        endpoint: EndpointId,
        revision: Version,
        good: bool,
    },
}

/// How an upstream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Upstream {
    Answers,
    /// Nobody is there.
    Dead,
    /// It takes what is asked and says nothing.
    Hangs,
    /// It answers with this status.
    Fails(u16),
}

/// What there is of endpoints in the world.
#[derive(Debug, Default)]
pub struct Endpoints {
    upstreams: Vec<Upstream>,
    /// All that people ever wanted to register.
    ids: Vec<EndpointId>,
    /// What each running server has to tell, and whom it asks; it goes with its process.
    pub proxies: BTreeMap<u64, Proxy>,
    pub requests: u64,
}

impl World {
    pub(super) fn install_endpoints(&mut self) {
        for host in 0..HOSTS as usize {
            self.endpoints.upstreams.push(Upstream::Answers);
            let first = self.rng.between(SECOND, 2 * self.climate.upstream_every);
            self.plan_affair(first, Affair::Turn { host });
        }
        for _ in 0..3 {
            let soon = self.rng.between(300 * MILLI, 3 * SECOND);
            self.plan_affair(soon, Affair::Wish);
        }
        self.plan_affair(SECOND, Affair::Request);
    }

    pub(super) fn plan_affair(&mut self, after: Micros, affair: Affair) {
        self.agenda.plan(self.now + after, Happening::Endpoint(affair));
    }

    pub(super) fn affair(&mut self, affair: Affair) {
        match affair {
            Affair::Turn { host } => self.turn_upstream(host),
            Affair::Wish => self.register(),
            Affair::Request => self.client_asks(),
            Affair::Ended(ended) => self.request_ended(*ended),
            Affair::Tell { process, lane } => self.tell_requests(process, lane),
            Affair::Probed { process, endpoint, revision, good } => self.probed(process, endpoint, revision, good),
        }
    }

    /// How whoever is at the address is, now.
    pub(super) fn upstream_at(&self, base_url: &str) -> Upstream {
        let host = super::recount::host(base_url);
        let number = host.strip_prefix("box-").and_then(|number| number.parse::<usize>().ok());
        number.and_then(|number| self.endpoints.upstreams.get(number)).copied().unwrap_or(Upstream::Dead)
    }

    fn turn_upstream(&mut self, host: usize) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.between(SECOND, 2 * self.climate.upstream_every);
        self.plan_affair(next, Affair::Turn { host });
        let ill = [Upstream::Dead, Upstream::Hangs, Upstream::Fails(500), Upstream::Fails(429)];
        let new = match self.endpoints.upstreams[host] {
            Upstream::Answers => self.rng.pick(&ill),
            _ => Upstream::Answers,
        };
        self.endpoints.upstreams[host] = new;
        self.note(format_args!("box-{host}: {new:?}"));
    }

    /// The first thing that people do with endpoints.
    fn register(&mut self) {
        let (to, command) = self.new_endpoint();
        let (by, id) = (self.people[0].principal.clone(), CommandId(self.rng.uuid()));
        let order = self.order(to, command, by, Some(id), None);
        self.ask(order, None);
    }

    fn new_endpoint(&mut self) -> (StreamId, Command) {
        let id = EndpointId(self.rng.uuid());
        self.endpoints.ids.push(id);
        let settings = self.endpoint_settings();
        (StreamId::Endpoint(id), Command::Endpoint(endpoint::Command::Register(settings)))
    }

    pub(super) fn wish_about_endpoints(&mut self) -> (StreamId, Command) {
        if self.rng.permille(350) || self.endpoints.ids.is_empty() {
            return self.new_endpoint();
        }
        if self.rng.permille(50) {
            return (StreamId::Proxy, self.wish_for_proxy());
        }
        let all = self.endpoints.ids.clone();
        let id = self.rng.pick(&all);
        (StreamId::Endpoint(id), self.wish_for_endpoint())
    }

    pub(super) fn wish_for_endpoint(&mut self) -> Command {
        Command::Endpoint(match self.rng.below(10) {
            0..=1 => endpoint::Command::Register(self.endpoint_settings()),
            2..=6 => endpoint::Command::Change(self.endpoint_settings()),
            7..=8 => endpoint::Command::Reset,
            _ => endpoint::Command::Remove,
        })
    }

    pub(super) fn wish_for_proxy(&mut self) -> Command {
        let zone = self.rng.pick(&["UTC", "Asia/Tokyo", "America/New_York", "Nowhere"]).into();
        Command::Proxy(ProxyCommand::Change(Box::new(ProxySettings { zone, ..ProxySettings::default() })))
    }

    /// Often a name or an address that another one has, written in another way.
    fn endpoint_settings(&mut self) -> Box<Settings> {
        let name = self.rng.pick(&["attic", "Attic", "cellar ", "CELLAR", "hall", "shed", "barn", "loft", ""]);
        let (host, form) = (self.rng.below(HOSTS), self.rng.below(5));
        let base_url = match form {
            0 => format!("HTTP://Box-{host}:80/v1/"),
            1 => format!("http://box-{host}/"),
            2 => format!("http://BOX-{host}./v1"),
            _ => format!("http://box-{host}"),
        };
        let probe_timeout_seconds = self.rng.pick(&[1, 3]);
        Box::new(Settings {
            name: name.into(),
            base_url,
            health_interval_seconds: self.rng.pick(&[5, 5, 8]),
            probe_timeout_seconds,
            success_threshold: self.rng.pick(&[1, 2, 2, 3]),
            failure_threshold: self.rng.pick(&[1, 2, 2, 3]),
            // Which is refused.
            weight: if self.rng.permille(30) { 0 } else { 100 },
            ..Settings::default()
        })
    }

    /// Asks every endpoint that is due and is not being asked.
    pub(super) fn look_at_endpoints(&mut self, number: u64) {
        let Some(process) = self.processes.get(&number) else { return };
        let (Some(fold), Some(proxy)) = (process.durable(), self.endpoints.proxies.get(&number)) else { return };
        let now = self.desk_now(process);
        let mut due = Vec::new();
        for endpoint in fold.truth.endpoints().filter(|endpoint| !proxy.asking.contains(&endpoint.id)) {
            let overdue = endpoint.probe_due().is_some_and(|at| at <= now);
            if let Some(settings) = endpoint.settings.as_ref().filter(|_| overdue) {
                due.push((endpoint.id, endpoint.revision, settings.base_url.clone(), settings.probe_timeout()));
            }
        }
        for (id, revision, base_url, timeout) in due {
            self.probe((number, id), revision, &base_url, timeout);
        }
    }

    fn probe(&mut self, (process, endpoint): (u64, EndpointId), revision: Version, base_url: &str, timeout: Span) {
        self.counts.probes += 1;
        let (took, good) = match self.upstream_at(base_url) {
            Upstream::Answers => (self.rng.between(MILLI, 300 * MILLI), true),
            Upstream::Hangs => (timeout.0, false),
            Upstream::Dead | Upstream::Fails(_) => (self.rng.between(MILLI, 20 * MILLI), false),
        };
        if let Some(proxy) = self.endpoints.proxies.get_mut(&process) {
            proxy.asking.insert(endpoint);
        }
        self.plan_affair(took, Affair::Probed { process, endpoint, revision, good });
    }

    /// The answer is there, or the time is over: the desk is told by which settings it was asked for.
    fn probed(&mut self, number: u64, endpoint: EndpointId, revision: Version, good: bool) {
        let Some(process) = self.processes.get(&number) else { return };
        let now = self.desk_now(process);
        let probe = self.auditor.recount.probed(endpoint, revision, good);
        let outcome = match good {
            true => ProbeOutcome::Answered { took: Span(probe as i64) },
            false => ProbeOutcome::Failed { failure: Failure::Connect, detail: probe.to_string() },
        };
        let jitter = self.rng.below(1_000) as u16;
        let command = endpoint::Command::TakeProbe { outcome, found: None, revision, jitter };
        let order = Order::once(StreamId::Endpoint(endpoint), Principal::Desk, Command::Endpoint(command), now);
        self.arrive_at(number, Parcel { order, sender: Sender::Prober { process: number, endpoint } });
    }

    /// What the probe heard is in the log, or could not be recorded: then the endpoint is asked again.
    pub(super) fn probe_told(&mut self, number: u64, endpoint: EndpointId) {
        if let Some(proxy) = self.endpoints.proxies.get_mut(&number) {
            proxy.asking.remove(&endpoint);
        }
    }

    /// Every upstream is well again, and somebody wants all of them asked at once.
    pub(super) fn calm_endpoints(&mut self) {
        self.endpoints.upstreams.fill(Upstream::Answers);
        let by = self.people[0].principal.clone();
        for id in self.auditor.recount.there() {
            let (to, command) = (StreamId::Endpoint(id), Command::Endpoint(endpoint::Command::Reset));
            let key = CommandId(self.rng.uuid());
            let order = self.order(to, command, by.clone(), Some(key), None);
            self.ask(order, None);
        }
    }

    /// Every endpoint that is there serves, all requests were taken, and every sum is theirs.
    pub(super) fn endpoints_settled(&self) -> Checked {
        let ailing = self.auditor.recount.ailing();
        hold!(ailing.is_empty(), Settled, "endpoints whose upstreams answer are {ailing:?}");
        let untold = self.processes.keys().find(|number| !self.is_told(**number));
        hold!(untold.is_none(), Settled, "requests of process {untold:?} were not taken");
        self.auditor.recount.sums(self.auditor.fold())
    }
}
