//! A proxy as a running server has one: clients' requests go to endpoints that serve, end, and are told to the desk as the
//! real teller does: for each stream one order under way, numbered by run and place, told again where nobody knows how it went.

use super::World;
use super::agenda::{MILLI, SECOND};
use super::endpoints::{Affair, Upstream};
use super::host::Parcel;
use super::invariants::{Checked, hold};
use super::mutants::Mutant;
use super::people::Sender;
use super::recount::Lane;
use crate::node::{Command, Order};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use tidehelm_events::answer::Answer;
use tidehelm_events::endpoint::{self, Api, Ending, Outcome, ProxyCommand, RequestFinished, Tokens, TokensKnown};
use tidehelm_events::id::{EndpointId, Epoch, Principal, StreamId};
use tidehelm_events::time::Span;
use uuid::Uuid;

/// What ends within so long is told together.
const GATHER: i64 = 2 * MILLI;
const RETRY: i64 = 50 * MILLI;
const BATCH_MAX: usize = 8;

/// A request that comes to its end.
#[derive(Debug)]
pub struct Ended {
    process: u64,
    lane: Lane,
    finished: RequestFinished,
}

/// What goes with a server's process.
#[derive(Debug, Default)]
pub struct Proxy {
    /// The epoch under which its server first took over the log.
    run: u64,
    lanes: BTreeMap<Lane, Waiting>,
    /// Endpoints that are being asked how they are.
    pub asking: BTreeSet<EndpointId>,
}

/// What waits to be told to one stream.
#[derive(Debug, Default)]
struct Waiting {
    seq: u64,
    new: VecDeque<RequestFinished>,
    /// Numbered, and told at least once.
    batch: Vec<RequestFinished>,
    flying: bool,
    planned: bool,
}

impl Proxy {
    /// Everything that it told was taken.
    fn is_told(&self) -> bool {
        self.lanes.values().all(|lane| lane.new.is_empty() && lane.batch.is_empty())
    }
}

impl World {
    /// A server tells under the epoch in which it first served, also once it comes back under another.
    pub(super) fn begin_proxy(&mut self, number: u64, epoch: Epoch) {
        let live: BTreeSet<u64> = self.processes.keys().copied().chain([number]).collect();
        self.endpoints.proxies.retain(|process, _| live.contains(process));
        let run = if self.mutant == Some(Mutant::RunRepeated) { 1 } else { epoch.0 };
        self.endpoints.proxies.entry(number).or_insert_with(|| Proxy { run, ..Proxy::default() });
    }

    pub(super) fn is_told(&self, number: u64) -> bool {
        self.endpoints.proxies.get(&number).is_none_or(Proxy::is_told)
    }

    /// A client asks a server that runs, also while that one has no log.
    pub(super) fn client_asks(&mut self) {
        if !self.is_stormy() {
            return;
        }
        let next = self.rng.between(MILLI, 2 * self.climate.request_every);
        self.plan_affair(next, Affair::Request);
        let all: Vec<u64> = self.endpoints.proxies.keys().copied().filter(|it| self.takes_requests(*it)).collect();
        if all.is_empty() {
            return;
        }
        let process = self.rng.pick(&all);
        self.endpoints.requests += 1;
        self.counts.requests += 1;
        let (lane, base_url) = self.route(process).unzip();
        let upstream = base_url.map(|url| self.upstream_at(&url));
        let (outcome, http_status, took) = match upstream {
            None => (Outcome::Refused, None, 100),
            Some(_) if self.rng.permille(50) => (Outcome::ClientGone, Some(200), self.rng.between(MILLI, SECOND)),
            Some(Upstream::Answers) => (Outcome::Success, Some(200), self.rng.between(5 * MILLI, 800 * MILLI)),
            Some(Upstream::Dead) => (Outcome::UpstreamError, None, self.rng.between(MILLI, 5 * MILLI)),
            Some(Upstream::Hangs) => (Outcome::Timeout, None, self.rng.between(SECOND, 4 * SECOND)),
            Some(Upstream::Fails(status)) => (Outcome::UpstreamError, Some(status), 10 * MILLI),
        };
        let finished = self.finished(outcome, http_status, took);
        self.plan_affair(took, Affair::Ended(Box::new(Ended { process, lane, finished })));
    }

    fn takes_requests(&self, number: u64) -> bool {
        self.processes.get(&number).is_some_and(|process| !process.is_leaving())
    }

    /// One of those that serve, as far as this server knows.
    fn route(&mut self, number: u64) -> Option<(EndpointId, String)> {
        let fold = self.processes.get(&number)?.durable()?;
        let serving = fold.truth.endpoints().filter(|endpoint| endpoint.health.status.serves());
        let serving: Vec<_> = serving.filter_map(|it| Some((it.id, it.settings.as_ref()?.base_url.clone()))).collect();
        (!serving.is_empty()).then(|| self.rng.pick(&serving))
    }

    fn finished(&mut self, outcome: Outcome, http_status: Option<u16>, took: i64) -> RequestFinished {
        let good = outcome == Outcome::Success;
        let output = if good { self.rng.below(400) } else { 0 };
        let known = self.rng.pick(&TokensKnown::ALL);
        RequestFinished {
            request: Uuid::from_u128(u128::from(self.endpoints.requests)),
            run: 0,
            seq: 0,
            model: self.rng.pick(&["qwen", "llama", "phi"]).into(),
            api: self.rng.pick(&[Api::ChatCompletions, Api::Embeddings]),
            outcome,
            http_status,
            tokens: Tokens { input: self.rng.below(100), output, known },
            duration: Span(took),
            first_byte: good.then_some(Span(took / 2)),
            ending: if good { Ending::Whole } else { Ending::Nothing },
            client: self.rng.permille(800).then(|| "192.0.2.9".into()),
            key: None,
        }
    }

    /// It waits in its server to be told; one that ends in a server that is gone is known to nobody.
    pub(super) fn request_ended(&mut self, ended: Ended) {
        let Ended { process, lane, finished } = ended;
        if !self.processes.contains_key(&process) {
            return;
        }
        let Some(proxy) = self.endpoints.proxies.get_mut(&process) else { return };
        let waiting = proxy.lanes.entry(lane).or_default();
        waiting.new.push_back(finished);
        self.plan_telling(process, lane, GATHER);
    }

    fn plan_telling(&mut self, process: u64, lane: Lane, after: i64) {
        let proxy = self.endpoints.proxies.get_mut(&process);
        let Some(waiting) = proxy.and_then(|proxy| proxy.lanes.get_mut(&lane)) else { return };
        let idle = waiting.new.is_empty() && waiting.batch.is_empty();
        if !(waiting.flying || waiting.planned || idle) {
            waiting.planned = true;
            self.plan_affair(after, Affair::Tell { process, lane });
        }
    }

    /// What was told and not answered, as it was; else what waits, with its numbers.
    pub(super) fn tell_requests(&mut self, number: u64, lane: Lane) {
        let Some(process) = self.processes.get(&number) else { return };
        let now = self.desk_now(process);
        let Some(proxy) = self.endpoints.proxies.get_mut(&number) else { return };
        let run = proxy.run;
        let Some(waiting) = proxy.lanes.get_mut(&lane) else { return };
        waiting.planned = false;
        if waiting.batch.is_empty() {
            let count = waiting.new.len().min(BATCH_MAX);
            for mut finished in waiting.new.drain(..count) {
                self.auditor.recount.told(lane, &finished);
                waiting.seq += 1;
                (finished.run, finished.seq) = (run, waiting.seq);
                waiting.batch.push(finished);
            }
        }
        waiting.flying = true;
        let finished = waiting.batch.clone();
        let jitter = self.rng.below(1_000) as u16;
        let (to, command) = match lane {
            Some(id) => {
                (StreamId::Endpoint(id), Command::Endpoint(endpoint::Command::FinishRequests { finished, jitter }))
            }
            None => (StreamId::Proxy, Command::Proxy(ProxyCommand::FinishRequests(finished))),
        };
        let order = Order::once(to, Principal::Desk, command, now);
        self.arrive_at(number, Parcel { order, sender: Sender::Teller { process: number, lane } });
    }

    /// The desk has them.
    pub(super) fn requests_taken(&mut self, number: u64, lane: Lane, answer: &Answer) -> Checked {
        let Some(proxy) = self.endpoints.proxies.get_mut(&number) else { return Ok(()) };
        let Some(waiting) = proxy.lanes.get_mut(&lane) else { return Ok(()) };
        waiting.flying = false;
        let done = matches!(answer, Answer::Done { .. });
        hold!(done, Requests, "requests are turned away: {answer:?}");
        for finished in std::mem::take(&mut waiting.batch) {
            self.counts.requests_acknowledged += 1;
            self.auditor.recount.acknowledged(finished.request)?;
        }
        self.plan_telling(number, lane, GATHER);
        Ok(())
    }

    /// Nobody knows whether the desk has them: they are told again as they were.
    pub(super) fn requests_in_doubt(&mut self, number: u64, lane: Lane) {
        let proxy = self.endpoints.proxies.get_mut(&number);
        let Some(waiting) = proxy.and_then(|proxy| proxy.lanes.get_mut(&lane)) else { return };
        waiting.flying = false;
        self.counts.requests_told_again += waiting.batch.len() as u64;
        if self.mutant == Some(Mutant::ToldAnew) {
            for finished in &mut waiting.batch {
                waiting.seq += 1;
                finished.seq = waiting.seq;
            }
        }
        self.plan_telling(number, lane, RETRY);
    }
}
