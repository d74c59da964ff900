//! Endpoints for an hour among peers that die, hang and lie, people who change them, and a desk that fails and starts anew; then
//! all is well again. The same seed is the same story.

use super::*;
use crate::world::rng::Rng;
use tidehelm_events::endpoint::By;

/// The process ends without a word: what was under way is lost.
#[derive(Message)]
#[rtype(result = "()")]
struct Die;

impl Handler<Die> for EndpointActor {
    type Result = ();

    fn handle(&mut self, _: Die, context: &mut Context<Self>) {
        context.stop();
    }
}

const PEERS: u128 = 5;
/// A new address of each.
const ELSEWHERE: u128 = 100;
const HOUR: i64 = 3_600;
/// A timer, the wait after what could not be recorded, and a commit.
const LATE_MAX: Span = Span::millis(1_100);

#[derive(Debug, Default)]
struct Counts {
    probes: usize,
    failures: usize,
    given_up: usize,
    offline: usize,
    back: usize,
    identified: usize,
    starts: usize,
}

struct Storm {
    case: Arc<Case>,
    rng: Rng,
    actors: BTreeMap<EndpointId, Addr<EndpointActor>>,
    settings: BTreeMap<EndpointId, Settings>,
    seq: u64,
    counts: Counts,
}

impl Storm {
    fn begin(seed: u64) -> Self {
        let case = Case::new();
        let (mut actors, mut known) = (BTreeMap::new(), BTreeMap::new());
        for number in 1..=PEERS {
            let (id, actor) = case.with(number, Peer::Answers { millis: 20 });
            case.is(number + ELSEWHERE, Peer::Answers { millis: 20 });
            actors.insert(id, actor);
            known.insert(id, settings(number));
        }
        Storm { case, rng: Rng::new(seed), actors, settings: known, seq: 0, counts: Counts::default() }
    }

    fn anybody(&mut self) -> EndpointId {
        let nth = self.rng.below(self.settings.len() as u64) as usize;
        *self.settings.keys().nth(nth).unwrap()
    }

    fn act(&mut self) {
        let id = self.anybody();
        match self.rng.below(100) {
            0..50 => self.turn_a_peer(),
            50..70 => self.tell_of_requests(id),
            70..82 => self.change(id),
            82..87 => self.case.does(id, Command::Reset),
            87..93 => {
                let down = self.case.lock().down;
                self.case.lock().down = !down;
            }
            _ => self.start_anew(),
        }
        if let Some(actor) = self.actors.get(&id) {
            actor.do_send(Look);
        }
    }

    fn turn_a_peer(&mut self) {
        let peer = match self.rng.below(6) {
            0 | 1 => Peer::Answers { millis: self.rng.below(4_000) },
            2 | 3 => Peer::Refuses,
            4 => Peer::Hangs,
            _ => Peer::Lies,
        };
        let number = 1 + u128::from(self.rng.below(PEERS as u64));
        let elsewhere = if self.rng.permille(500) { ELSEWHERE } else { 0 };
        self.case.is(number + elsewhere, peer);
    }

    fn tell_of_requests(&mut self, id: EndpointId) {
        let good = self.rng.permille(600);
        for _ in 0..=self.rng.below(3) {
            self.seq += 1;
            let (outcome, http_status) = match good {
                true => (Outcome::Success, Some(200)),
                false => (Outcome::UpstreamError, Some(503)),
            };
            let finished = RequestFinished { outcome, http_status, ..failed(self.seq) };
            self.case.does(id, Command::FinishRequest { finished: Box::new(finished), jitter: 500 });
        }
    }

    fn change(&mut self, id: EndpointId) {
        let mut changed = self.settings[&id].clone();
        match self.rng.below(4) {
            0 => changed.health_interval_seconds = self.rng.between(5, 60) as u32,
            1 => changed.notes = self.seq.to_string(),
            2 => changed.success_threshold = self.rng.between(1, 3) as u32,
            _ => {
                let number = id.0.as_u128();
                let there = changed.base_url == url(number);
                changed.base_url = url(if there { number + ELSEWHERE } else { number });
            }
        }
        self.case.does(id, Command::Change(Box::new(changed.clone())));
        self.settings.insert(id, changed);
    }

    fn start_anew(&mut self) {
        self.counts.starts += 1;
        for (id, actor) in &mut self.actors {
            actor.do_send(Die);
            *actor = EndpointActor::begin(*id, self.case.tools(), Duration::ZERO);
        }
    }

    /// An endpoint that is due is asked, unless nothing can be recorded. What was just heard is still to be told.
    async fn is_punctual(&self, since: Timestamp) {
        if self.late(since).is_some() {
            sleep(Duration::from_millis(20)).await;
            assert_eq!(self.late(since), None, "nobody asks it");
        }
    }

    /// Who should have been asked by now, and since when.
    fn late(&self, since: Timestamp) -> Option<(String, Span)> {
        let now = self.case.clock.now();
        self.actors.keys().find_map(|id| {
            let endpoint = self.case.endpoint(*id);
            let (due, url) = (endpoint.probe_due()?.max(since), endpoint.settings?.base_url);
            let late = now.since(due);
            (late > LATE_MAX && !self.case.lock().under_way.contains(&url)).then_some((url, late))
        })
    }

    async fn blow(&mut self) {
        let mut up_since = START;
        while self.case.clock.now() < START + Span::seconds(HOUR) {
            sleep(Duration::from_millis(100 + self.rng.below(9_000))).await;
            if self.case.lock().down {
                up_since = self.case.clock.now();
            }
            self.is_punctual(up_since).await;
            self.act();
            // What was just changed has its time from now on.
            up_since = self.case.clock.now();
        }
    }

    /// The faults stop.
    async fn calm_down(&mut self) {
        self.case.lock().down = false;
        for number in (1..=PEERS).flat_map(|number| [number, number + ELSEWHERE]) {
            self.case.is(number, Peer::Answers { millis: 20 });
        }
        sleep(Duration::from_secs(400)).await;
        for id in self.actors.keys() {
            let endpoint = self.case.endpoint(*id);
            assert_eq!((endpoint.health.status, endpoint.kind()), (Status::Online, Some(Kind::Vllm)), "{id}");
            assert_eq!((endpoint.models, endpoint.health.failures), (vec![named(1)], 0), "{id}");
        }
    }

    fn judge(&mut self) {
        let inner = self.case.lock();
        self.counts.given_up = inner.given_up as usize;
        for id in self.actors.keys() {
            let of_it: Vec<_> = inner.log.iter().filter(|(whose, ..)| whose == id).collect();
            let mut reference = Reference::default();
            let numbers = [id.0.as_u128(), id.0.as_u128() + ELSEWHERE].map(url);
            let mut heard = inner.heard.iter().filter(|(whom, _)| numbers.contains(whom)).map(|(_, outcome)| outcome);
            for (_, event, at) in of_it {
                reference.take(event, *at);
                match event {
                    Of::Probed(probed) => {
                        self.counts.probes += 1;
                        self.counts.failures += usize::from(matches!(probed.outcome, ProbeOutcome::Failed { .. }));
                        let told = heard.any(|outcome| *outcome == probed.outcome);
                        assert!(told, "{id}: at {at} something was recorded that nobody said");
                    }
                    Of::StatusChanged(change) => {
                        self.counts.offline += usize::from(change.new == Status::Offline);
                        self.counts.back += usize::from(change.old == Status::HalfOpen && change.new == Status::Online);
                    }
                    Of::Identified(_) => self.counts.identified += 1,
                    _ => {}
                }
            }
            assert_eq!(inner.endpoints[id].0.health.status, reference.status, "{id}");
        }
    }
}

/// The table of the specification, as plain as can be.
struct Reference {
    status: Status,
    since: Timestamp,
    good: u32,
    bad: u32,
    thresholds: (u32, u32),
    base_url: String,
}

impl Default for Reference {
    fn default() -> Self {
        let (status, since) = (Status::Pending, START);
        Reference { status, since, good: 0, bad: 0, thresholds: (2, 2), base_url: String::new() }
    }
}

impl Reference {
    fn take(&mut self, event: &Of, at: Timestamp) {
        let before = self.status;
        match event {
            Of::Registered(registered) => self.set(&registered.settings),
            Of::Changed(changed) => self.set(&changed.settings),
            Of::Reset(_) => self.begin_anew(),
            Of::Probed(probed) => self.hear(matches!(probed.outcome, ProbeOutcome::Answered { .. }), By::Probe, at),
            Of::RequestFinished(finished) => self.hear(finished.outcome == Outcome::Success, By::Request, at),
            _ => {}
        }
        if self.status != before {
            self.since = at;
        }
    }

    fn set(&mut self, settings: &Settings) {
        self.thresholds = (settings.success_threshold, settings.failure_threshold);
        if self.base_url != settings.base_url {
            self.base_url = settings.base_url.clone();
            self.begin_anew();
        }
    }

    fn begin_anew(&mut self) {
        (self.status, self.good, self.bad) = (Status::Pending, 0, 0);
    }

    fn hear(&mut self, good: bool, by: By, at: Timestamp) {
        let (enough, too_many) = self.thresholds;
        let asked = by == By::Probe;
        if !good {
            (self.good, self.bad) = (0, self.bad + 1);
            self.status = match self.status {
                Status::Offline | Status::HalfOpen => Status::Offline,
                _ if self.bad >= too_many => Status::Offline,
                Status::Pending => Status::Pending,
                Status::Online | Status::Error => Status::Error,
            };
            return;
        }
        self.bad = 0;
        if self.status == Status::Offline && !asked {
            return;
        }
        self.good += 1;
        self.status = match self.status {
            Status::Error if !asked && at.since(self.since) < Span::seconds(1) => Status::Error,
            Status::Offline | Status::HalfOpen if self.good < enough => Status::HalfOpen,
            _ => Status::Online,
        };
    }
}

#[test]
fn whatever_happens_each_is_asked_in_its_time_and_is_what_it_was_heard_to_be() {
    let mut sum = Counts::default();
    for seed in 0..12 {
        let counts = Arc::new(Mutex::new(Counts::default()));
        let told = counts.clone();
        println!("seed {seed}");
        in_virtual_time(move || async move {
            let mut storm = Storm::begin(seed);
            storm.blow().await;
            storm.calm_down().await;
            storm.judge();
            *told.lock().unwrap() = storm.counts;
        });
        let Counts { probes, failures, given_up, offline, back, identified, starts } = *counts.lock().unwrap();
        sum.probes += probes;
        sum.failures += failures;
        sum.given_up += given_up;
        sum.offline += offline;
        sum.back += back;
        sum.identified += identified;
        sum.starts += starts;
    }
    println!("{sum:?}");
    let Counts { probes, failures, given_up, offline, back, identified, starts } = sum;
    let happened = [probes, failures, given_up, offline, back, identified, starts];
    assert!(happened.iter().all(|count| *count > 0), "something never happened: {sum:?}");
}
