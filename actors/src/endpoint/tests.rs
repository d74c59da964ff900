//! The actors in virtual time, with a desk that is one endpoint's stream each, and a world that answers, refuses or hangs.

mod storm;

use super::*;
use actix::System;
use std::future::Future;
use tidehelm_events::endpoint::{Api, Ending, Model, Refusal, RequestFinished, Tokens, TokensKnown};
use tidehelm_events::endpoint::{
    Command, Directory, Endpoint, Event as Of, Failure, Kind, Outcome, ProbeOutcome, Status,
};
use tidehelm_events::stream::{Seen, Stamp, Stream};
use tokio::time::{Instant, sleep};

/// What the clock shows at the beginning.
const START: Timestamp = Timestamp(1_700_000_000_000_000);

struct VirtualClock(Instant);

impl Clock for VirtualClock {
    fn now(&self) -> Timestamp {
        START + Span(i64::try_from(self.0.elapsed().as_micros()).unwrap())
    }
    fn step(&self) -> Option<Span> {
        None
    }
    fn at_least(&self, _: Timestamp) {}
}

#[derive(Clone, Copy)]
enum Peer {
    Answers {
        millis: u64,
    },
    Refuses,
    /// Takes the question, and never answers.
    Hangs,
    /// Says each time that it is something else, that it took no time at all, and that it has more models than fit.
    Lies,
}

/// Both sides of the actors.
struct Case {
    clock: VirtualClock,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    endpoints: BTreeMap<EndpointId, (Endpoint, u64)>,
    peers: BTreeMap<String, Peer>,
    /// Who was asked when, in milliseconds since the start.
    asked: Vec<(String, i64)>,
    /// What came out of them, in the same order for each.
    heard: Vec<(String, ProbeOutcome)>,
    /// Whose question is under way.
    under_way: BTreeSet<String>,
    given_up: u32,
    /// What was recorded, and when.
    log: Vec<(EndpointId, Of, Timestamp)>,
    /// Nothing can be recorded.
    down: bool,
    tries: u32,
}

impl Case {
    fn new() -> Arc<Self> {
        Arc::new(Case { clock: VirtualClock(Instant::now()), inner: Mutex::default() })
    }

    fn tools(self: &Arc<Self>) -> Tools {
        Tools { station: self.clone(), prober: self.clone(), clock: self.clone(), jitter: || 500 }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// Registers an endpoint with an interval of ten seconds whose peer does this.
    fn with(self: &Arc<Self>, number: u128, peer: Peer) -> (EndpointId, Addr<EndpointActor>) {
        let id = EndpointId(uuid::Uuid::from_u128(number));
        self.lock().peers.insert(url(number), peer);
        self.does(id, Command::Register(Box::new(settings(number))));
        (id, EndpointActor::begin(id, self.tools(), Duration::ZERO))
    }

    fn is(&self, number: u128, peer: Peer) {
        self.lock().peers.insert(url(number), peer);
    }

    fn does(&self, id: EndpointId, command: Command) {
        self.tries(id, command).unwrap();
    }

    fn tries(&self, id: EndpointId, command: Command) -> Result<(), Refusal> {
        let now = self.clock.now();
        let mut inner = self.lock();
        let (endpoint, version) = inner.endpoints.entry(id).or_insert_with(|| (Endpoint::new(id), 0));
        let (desk, copy_defaults) = (tidehelm_events::desk::Settings::default(), Default::default());
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: false,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: Directory::EMPTY,
        };
        let events = endpoint.decide(command, &seen)?.events;
        for event in &events {
            *version += 1;
            let (position, version) = (Position(*version), Version(*version));
            endpoint.evolve(event, &Stamp { position, version, received_at: now, recorded_at: now });
        }
        inner.log.extend(events.into_iter().map(|event| (id, event, now)));
        Ok(())
    }

    fn endpoint(&self, id: EndpointId) -> Endpoint {
        self.lock().endpoints[&id].0.clone()
    }

    /// When this one was asked, in whole seconds.
    fn asked(&self, number: u128) -> Vec<i64> {
        let asked = &self.lock().asked;
        asked.iter().filter(|(whom, _)| *whom == url(number)).map(|(_, at)| at / 1_000).collect()
    }
}

impl Clock for Case {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }
    fn step(&self) -> Option<Span> {
        None
    }
    fn at_least(&self, _: Timestamp) {}
}

#[async_trait]
impl Station for Case {
    fn sight(&self, id: EndpointId) -> Option<Sight> {
        let inner = self.lock();
        let endpoint = &inner.endpoints.get(&id)?.0;
        let (due, settings) = (endpoint.probe_due()?, endpoint.settings.clone()?);
        Some(Sight { due, revision: endpoint.revision, settings, found: endpoint.found.clone() })
    }

    async fn tell(&self, id: EndpointId, command: Command) -> Result<Option<Denial>, Fault> {
        // A commit takes its time.
        sleep(Duration::from_millis(3)).await;
        self.lock().tries += 1;
        if self.lock().down {
            return Err(Fault::Unavailable);
        }
        Ok(self.tries(id, command).err().map(|refusal| refusal.denial()))
    }
}

/// Ends with its question, also where nobody waits for the answer any more.
struct UnderWay<'a>(&'a Case, String);

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.lock().under_way.remove(&self.1);
        let mut inner = self.0.lock();
        let (asked, heard) = (inner.asked.len(), inner.heard.len() + inner.under_way.len());
        inner.given_up = (asked - heard) as u32;
    }
}

#[async_trait]
impl Prober for Case {
    async fn probe(&self, question: Question) -> Probe {
        let url = question.settings.base_url.clone();
        let at = self.clock.now().since(START).0 / 1_000;
        self.lock().asked.push((url.clone(), at));
        assert!(self.lock().under_way.insert(url.clone()), "{url} is asked twice at once");
        let _under_way = UnderWay(self, url.clone());
        let peer = self.lock().peers[&url];
        let failed = |failure| ProbeOutcome::Failed { failure, detail: String::new() };
        let outcome = match peer {
            Peer::Answers { millis } => {
                sleep(Duration::from_millis(millis)).await;
                ProbeOutcome::Answered { took: Span::millis(millis as i64) }
            }
            Peer::Refuses => failed(Failure::Connect),
            Peer::Hangs => {
                sleep(duration(question.settings.probe_timeout())).await;
                failed(Failure::Timeout)
            }
            Peer::Lies => ProbeOutcome::Answered { took: Span(0) },
        };
        self.lock().heard.push((url, outcome.clone()));
        let good = matches!(outcome, ProbeOutcome::Answered { .. });
        let (kind, models) = match peer {
            Peer::Lies => (Kind::ALL[self.lock().asked.len() % 7], (0..1_001).map(named).collect()),
            _ => (Kind::Vllm, vec![named(1)]),
        };
        let found = good.then_some(Found { kind, version: None });
        Probe { outcome, found, models: good.then_some(models) }
    }
}

fn named(number: u32) -> Model {
    Model { id: format!("m{number}"), context: None }
}

fn url(number: u128) -> String {
    format!("http://peer-{number}.example")
}

fn settings(number: u128) -> Settings {
    let (name, base_url) = (number.to_string(), url(number));
    Settings { name, base_url, health_interval_seconds: 10, probe_timeout_seconds: 5, ..Settings::default() }
}

/// Runs in virtual time: it goes on as soon as everybody waits.
fn in_virtual_time<F: Future<Output = ()>>(story: impl FnOnce() -> F) {
    let system = System::with_tokio_rt(|| {
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap()
    });
    system.block_on(async move { story().await });
}

async fn until(case: &Case, seconds: i64) {
    let wait = (START + Span::seconds(seconds)).since(case.clock.now());
    sleep(duration(wait) + Duration::from_millis(900)).await;
}

#[test]
fn it_is_asked_at_its_interval_also_when_that_changes() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, actor) = case.with(1, Peer::Answers { millis: 120 });
        until(&case, 31).await;
        assert_eq!(case.asked(1), [0, 10, 20, 30]);
        assert_eq!((case.endpoint(id).health.status, case.endpoint(id).kind()), (Status::Online, Some(Kind::Vllm)));
        let shorter = Settings { health_interval_seconds: 5, ..settings(1) };
        case.does(id, Command::Change(Box::new(shorter)));
        actor.do_send(Look);
        until(&case, 47).await;
        assert_eq!(case.asked(1)[4..], [36, 42, 47], "an interval after it was changed, at 31.9");
    });
}

#[test]
fn one_that_is_offline_is_asked_less_and_less_and_when_back_until_it_has_proved_itself() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, _actor) = case.with(1, Peer::Refuses);
        until(&case, 200).await;
        assert_eq!(case.asked(1), [0, 10, 20, 40, 80, 160], "twice as long each time, up to two minutes");
        assert_eq!(case.endpoint(id).health.status, Status::Offline);
        case.is(1, Peer::Answers { millis: 1 });
        until(&case, 290).await;
        assert_eq!(case.asked(1)[6..8], [280, 285], "half open, then online");
        assert_eq!(case.endpoint(id).health.status, Status::Online);
    });
}

#[test]
fn one_that_hangs_delays_nobody() {
    in_virtual_time(|| async {
        let case = Case::new();
        let hung: Vec<_> = (1..=3).map(|number| case.with(number, Peer::Hangs)).collect();
        let (good, _actor) = case.with(4, Peer::Answers { millis: 7 });
        until(&case, 20).await;
        assert_eq!(case.asked(4), [0, 10, 20]);
        assert_eq!(case.endpoint(good).health.status, Status::Online);
        for (number, (id, _)) in (1..=3).zip(hung) {
            assert_eq!(case.asked(number), [0, 15], "its time, and then its interval");
            assert_eq!(case.endpoint(id).health.failures, 2);
        }
    });
}

#[test]
fn another_address_ends_the_wait_for_the_old_one() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, actor) = case.with(1, Peer::Hangs);
        case.is(2, Peer::Answers { millis: 1 });
        until(&case, 2).await;
        case.does(id, Command::Change(Box::new(settings(2))));
        actor.do_send(Look);
        until(&case, 4).await;
        assert_eq!((case.asked(1), case.asked(2)), (vec![0], vec![2]));
        assert_eq!((case.endpoint(id).health.status, case.endpoint(id).health.failures), (Status::Online, 0));
    });
}

#[test]
fn a_reset_asks_at_once_also_while_a_probe_hangs() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, actor) = case.with(1, Peer::Hangs);
        until(&case, 2).await;
        case.is(1, Peer::Answers { millis: 1 });
        case.does(id, Command::Reset);
        actor.do_send(Look);
        until(&case, 4).await;
        assert_eq!(case.asked(1), [0, 2]);
        assert_eq!((case.endpoint(id).health.status, case.endpoint(id).health.failures), (Status::Online, 0));
    });
}

#[test]
fn who_asks_gets_the_next_answer_without_a_second_probe() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (_, actor) = case.with(1, Peer::Answers { millis: 500 });
        let watchers = Watchers::new(case.tools());
        let id = EndpointId(uuid::Uuid::from_u128(1));
        assert_eq!(watchers.probe(id).await, Err(NoProbe::Unknown(id)));
        watchers.lock().insert(id, actor);
        let (one, other) = tokio::join!(watchers.probe(id), watchers.probe(id));
        assert_eq!(one.clone().unwrap().outcome, ProbeOutcome::Answered { took: Span::millis(500) });
        assert_eq!((one, case.asked(1)), (other, vec![0]));
        until(&case, 4).await;
        watchers.probe(id).await.unwrap();
        until(&case, 16).await;
        assert_eq!(case.asked(1), [0, 4, 15], "one more, from which the interval counts");
        // A probe that is over, and is being recorded, says nothing of now.
        let first = watchers.probe(id);
        let late = async {
            sleep(Duration::from_millis(502)).await;
            case.is(1, Peer::Refuses);
            watchers.probe(id).await
        };
        let (first, late) = tokio::join!(first, late);
        assert!(matches!(first.unwrap().outcome, ProbeOutcome::Answered { .. }));
        assert!(matches!(late.unwrap().outcome, ProbeOutcome::Failed { .. }));
    });
}

#[test]
fn one_that_was_removed_is_not_asked_any_more() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, actor) = case.with(1, Peer::Answers { millis: 1 });
        until(&case, 11).await;
        case.does(id, Command::Remove);
        actor.do_send(Look);
        until(&case, 60).await;
        assert_eq!((case.asked(1), actor.connected()), (vec![0, 10], false));
    });
}

#[test]
fn what_cannot_be_recorded_is_asked_again_without_haste() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, _actor) = case.with(1, Peer::Answers { millis: 1 });
        case.lock().down = true;
        until(&case, 9).await;
        let tries = case.lock().tries;
        assert!((9..=10).contains(&tries), "{tries}");
        case.lock().down = false;
        until(&case, 12).await;
        assert_eq!(case.endpoint(id).health.status, Status::Online);
        assert!((case.asked(1).len() as i64 - 11).abs() <= 1, "{:?}", case.asked(1));
    });
}

#[test]
fn what_requests_tell_moves_the_next_probe_and_a_reset_asks_at_once() {
    in_virtual_time(|| async {
        let case = Case::new();
        let (id, actor) = case.with(1, Peer::Refuses);
        case.is(1, Peer::Answers { millis: 1 });
        until(&case, 13).await;
        case.is(1, Peer::Refuses);
        for seq in [1, 2] {
            case.does(id, Command::FinishRequest { finished: Box::new(failed(seq)), jitter: 500 });
        }
        actor.do_send(Look);
        assert_eq!(case.endpoint(id).health.status, Status::Offline);
        until(&case, 24).await;
        assert_eq!(case.asked(1), [0, 10, 23], "from the outage on, not from the last probe");
        case.does(id, Command::Reset);
        actor.do_send(Look);
        until(&case, 25).await;
        assert_eq!(case.asked(1), [0, 10, 23, 24]);
    });
}

fn failed(seq: u64) -> RequestFinished {
    RequestFinished {
        request: uuid::Uuid::from_u128(seq.into()),
        run: 1,
        seq,
        model: "m".into(),
        api: Api::ChatCompletions,
        outcome: Outcome::UpstreamError,
        http_status: None,
        tokens: Tokens { input: 0, output: 0, known: TokensKnown::Unknown },
        duration: Span::millis(1),
        first_byte: None,
        ending: Ending::Whole,
        client: None,
        key: None,
    }
}
