//! Killed with -9 under load, again and again: what was answered is there, once, in order.

use crate::client::{Client, Reply};
use crate::desk::{Desk, Launch, heartbeat};
use crate::log::{Follower, Place, audited, restored_hash, verified};
use crate::shim::Rng;
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};
use tidehelm_events::account;
use tidehelm_events::answer::Answer;
use tidehelm_events::event::Event;
use tidehelm_events::id::CommandId;

const HANDS: usize = 6;

/// What a command was told.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Told {
    /// With the events that it made.
    Done(Option<(u64, u64)>),
    Refused {
        status: u16,
        body: String,
    },
}

#[derive(Debug, Clone)]
struct Sent {
    key: String,
    method: &'static str,
    path: String,
    body: Option<Value>,
    at: Instant,
    /// With the moment; none while nobody knows.
    told: Option<(Told, Instant)>,
}

/// One client: its accounts, what it sent and what it heard.
struct Hand {
    number: usize,
    rng: Rng,
    sent: Vec<Sent>,
    /// Indices into `sent` whose answers are young enough to be asked for again.
    recent: VecDeque<usize>,
    beats: u64,
    beats_taken: BTreeSet<u64>,
    beats_unknown: BTreeSet<u64>,
    tally: Tally,
}

#[derive(Debug, Default, Clone, Copy)]
struct Tally {
    answered: u64,
    refused: u64,
    repeats: u64,
    reused: u64,
    retried: u64,
    /// Requests that the server was at when it was killed.
    cut_off: u64,
    /// Of those, the ones that the log has all the same.
    cut_off_after_commit: u64,
    stopping: u64,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Tally) {
        self.answered += other.answered;
        self.refused += other.refused;
        self.repeats += other.repeats;
        self.reused += other.reused;
        self.retried += other.retried;
        self.cut_off += other.cut_off;
        self.cut_off_after_commit += other.cut_off_after_commit;
        self.stopping += other.stopping;
    }
}

/// Why a hand puts down its work.
enum Stop {
    /// The server is gone.
    Gone,
    /// It said that it is stopping.
    Stopping,
}

impl Hand {
    fn new(number: usize) -> Self {
        Hand {
            number,
            rng: Rng::new(0x51de + number as u64),
            sent: Vec::new(),
            recent: VecDeque::new(),
            beats: 0,
            beats_taken: BTreeSet::new(),
            beats_unknown: BTreeSet::new(),
            tally: Tally::default(),
        }
    }

    fn master(&self) -> String {
        format!("master/Demo_M{}", self.number)
    }

    fn slave(&self) -> String {
        format!("slave/Demo_S{}", self.number)
    }

    /// Works until the server is gone.
    fn work(&mut self, client: &Client, answered: &AtomicU64) -> Stop {
        for index in 0..self.sent.len() {
            if self.sent[index].told.is_none() {
                self.tally.retried += 1;
                if let Err(stop) = self.send(client, index, answered) {
                    return stop;
                }
            }
        }
        loop {
            if let Err(stop) = self.act(client, answered) {
                return stop;
            }
        }
    }

    fn act(&mut self, client: &Client, answered: &AtomicU64) -> Result<(), Stop> {
        let enabled = self.rng.eighths(4);
        let neighbour = (self.number + self.rng.below(2)) % HANDS;
        let link = format!("/api/links/Demo_S{}/Demo_M{neighbour}", self.number);
        let toggle = |account: &str| (format!("/api/accounts/{account}/toggle"), Some(json!({"enabled": enabled})));
        let (method, (path, body)) = match self.rng.below(12) {
            0..3 => ("POST", toggle(&self.master())),
            3 | 4 => ("POST", toggle(&self.slave())),
            5 | 6 => ("PUT", (link, None)),
            7 => ("DELETE", (link, None)),
            8 => ("POST", toggle(&format!("master/Nobody_{}", self.number))),
            9 => return self.repeat(client),
            _ => return self.beat(client, answered),
        };
        let key = format!("hand-{}-{}", self.number, self.sent.len());
        self.sent.push(Sent { key, method, path, body, at: Instant::now(), told: None });
        self.send(client, self.sent.len() - 1, answered)
    }

    fn send(&mut self, client: &Client, index: usize, answered: &AtomicU64) -> Result<(), Stop> {
        let reply = self.request(client, &self.sent[index].clone(), None)?;
        let told = told(&reply);
        self.tally.answered += 1;
        self.tally.refused += u64::from(matches!(told, Told::Refused { .. }));
        self.sent[index].told = Some((told, Instant::now()));
        answered.fetch_add(1, Ordering::Relaxed);
        self.recent.push_back(index);
        if self.recent.len() > 20 {
            self.recent.pop_front();
        }
        Ok(())
    }

    fn request(&mut self, client: &Client, sent: &Sent, body: Option<Value>) -> Result<Reply, Stop> {
        let mut call = client.call(sent.method, &sent.path).key(&sent.key);
        if let Some(body) = body.as_ref().or(sent.body.as_ref()) {
            call = call.json(body);
        }
        match call.try_send() {
            Err(_) => {
                self.tally.cut_off += 1;
                Err(Stop::Gone)
            }
            Ok(reply) if reply.status == 503 => {
                assert_eq!(reply.problem(503), "stopping");
                self.tally.stopping += 1;
                Err(Stop::Stopping)
            }
            Ok(reply) => Ok(reply),
        }
    }

    /// Asks again for an answer that was given, or tries to use its id for something else.
    fn repeat(&mut self, client: &Client) -> Result<(), Stop> {
        let Some(index) = self.recent.get(self.rng.below(self.recent.len().max(1))).copied() else { return Ok(()) };
        let sent = self.sent[index].clone();
        if sent.body.is_some() && self.rng.eighths(2) {
            let reply = self.request(client, &sent, Some(other(&sent)))?;
            assert_eq!(reply.problem(422), "command_id_reused", "{sent:?}");
            self.tally.reused += 1;
            return Ok(());
        }
        let reply = self.request(client, &sent, None)?;
        assert_eq!(Some(told(&reply)), sent.told.map(|(told, _)| told), "{} got another answer", sent.key);
        self.tally.repeats += 1;
        Ok(())
    }

    /// A batch of heartbeats, each with its own number.
    fn beat(&mut self, client: &Client, answered: &AtomicU64) -> Result<(), Stop> {
        let count = 1 + self.rng.below(30) as u64;
        let numbers: BTreeSet<u64> = (self.beats + 1..=self.beats + count).collect();
        self.beats += count;
        let of = |number: u64| if number.is_multiple_of(2) { self.master() } else { self.slave() };
        let body: Vec<Value> = numbers.iter().map(|number| heartbeat(&of(*number), *number)).collect();
        let Ok(reply) = client.call("POST", "/api/heartbeats").json(&Value::Array(body)).try_send() else {
            self.tally.cut_off += 1;
            self.beats_unknown.extend(numbers);
            return Err(Stop::Gone);
        };
        let taken = reply.ok();
        if let Some(refused) = taken["refused"].as_array().filter(|refused| !refused.is_empty()) {
            assert!(refused.iter().all(|refused| refused["code"] == "stopping"), "{taken}");
            let refused: BTreeSet<u64> = refused.iter().map(|refused| refused["index"].as_u64().unwrap()).collect();
            let kept = numbers.iter().enumerate().filter(|(index, _)| !refused.contains(&(*index as u64)));
            self.beats_taken.extend(kept.map(|(_, number)| *number));
            self.tally.stopping += 1;
            return Err(Stop::Stopping);
        }
        assert_eq!(taken["accepted"], count);
        self.beats_taken.extend(numbers);
        answered.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// The same request with another body.
fn other(sent: &Sent) -> Value {
    let enabled = sent.body.as_ref().unwrap()["enabled"].as_bool().unwrap();
    json!({"enabled": !enabled})
}

fn told(reply: &Reply) -> Told {
    match reply.status {
        200..300 => {
            assert!(reply.header("tidehelm-events").is_some(), "an answer that does not say what happened");
            Told::Done(reply.events())
        }
        400..500 => {
            assert!(!reply.problem(reply.status).is_empty());
            Told::Refused { status: reply.status, body: reply.text.clone() }
        }
        other => panic!("{other}: {}", reply.text),
    }
}

/// All hands on one desk until it ends.
fn crowd(hands: &mut [Hand], client: &Client, end: impl FnOnce(&AtomicU64)) {
    let answered = Arc::new(AtomicU64::new(0));
    std::thread::scope(|scope| {
        for hand in hands.iter_mut() {
            let (answered, client) =
                (answered.clone(), Client::new(&client.base).with_token(client.token.as_ref().unwrap()));
            scope.spawn(move || while let Stop::Stopping = hand.work(&client, &answered) {});
        }
        end(&answered);
    });
}

fn wait_for_answers(answered: &AtomicU64, wanted: u64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while answered.load(Ordering::Relaxed) < wanted {
        assert!(Instant::now() < deadline, "{} answers of {wanted} after 30 s", answered.load(Ordering::Relaxed));
        std::thread::sleep(Duration::from_micros(200));
    }
}

/// Everything that a hand was told is in the log: once, as it was told, in the order of real time.
fn check(hands: &mut [Hand], log: &Follower) {
    let mut moments: Vec<(Instant, bool, u64)> = Vec::new();
    for hand in hands.iter_mut() {
        for sent in &hand.sent {
            let found = log.answer(&sent.key);
            let Some((told, heard)) = &sent.told else {
                hand.tally.cut_off_after_commit += u64::from(found.is_some());
                continue;
            };
            let (record, answered) = found.unwrap_or_else(|| panic!("{} was answered and is not in the log", sent.key));
            match (&answered.answer, told) {
                (Answer::Done { first, last, changed }, Told::Done(events)) => {
                    assert_eq!(changed.then_some((first.0, last.0)), *events, "{}", sent.key);
                    if let Some((first, last)) = *events {
                        check_events(sent, log, first, last);
                    }
                }
                (Answer::Refused(denial), Told::Refused { status, body }) => {
                    let body: Value = serde_json::from_str(body).unwrap();
                    assert_eq!((&body["code"], &body["detail"]), (&json!(denial.code), &json!(denial.detail)));
                    assert_eq!(body["status"], *status);
                }
                (answer, told) => panic!("{} was told {told:?}, the log says {answer:?}", sent.key),
            }
            moments.push((sent.at, false, record.position.0));
            moments.push((*heard, true, record.position.0));
        }
    }
    moments.sort_unstable();
    let mut answered_before = 0;
    for (_, heard, position) in moments {
        match heard {
            true => answered_before = answered_before.max(position),
            false => assert!(position > answered_before, "a later command stands before an answered one in the log"),
        }
    }
    check_beats(hands, log);
}

/// The events between these positions are the ones that the command wanted.
fn check_events(sent: &Sent, log: &Follower, first: u64, last: u64) {
    for position in first..=last {
        let record = log.at(position);
        assert_eq!(record.command, Some(CommandId::from_key(&sent.key)), "event {position} is of another command");
        assert!(record.by.to_string().starts_with("token:"));
    }
    let happened = match (&log.at(first).event, sent.method) {
        (Event::Account(account::Event::IntentSet(set)), "POST") => {
            json!({"enabled": set.enabled}) == sent.body.clone().unwrap()
        }
        (Event::Account(account::Event::LinkAdded(link)), "PUT") => sent.path.ends_with(link.master.as_str()),
        (Event::Account(account::Event::LinkRemoved(link)), "DELETE") => sent.path.ends_with(link.master.as_str()),
        _ => false,
    };
    assert!(happened, "{sent:?} made {:?}", log.at(first).event);
}

fn check_beats(hands: &[Hand], log: &Follower) {
    let mut seen: BTreeMap<(String, u64), u64> = BTreeMap::new();
    for record in &log.records {
        if let Event::Account(account::Event::HeartbeatSeen(beat)) = &record.event {
            let stream = log.stream(record).to_string();
            let known = seen.insert((stream, beat.through_signal_seq), record.position.0);
            assert!(known.is_none(), "heartbeat {} is in the log twice", beat.through_signal_seq);
        }
    }
    let mut found = 0;
    for hand in hands {
        let of = |number: u64| if number.is_multiple_of(2) { hand.master() } else { hand.slave() };
        let mut last = [0, 0];
        for number in &hand.beats_taken {
            let position = seen.get(&(of(*number), *number));
            let position = *position.unwrap_or_else(|| panic!("heartbeat {number} was answered and is not in the log"));
            let last = &mut last[usize::from(number.is_multiple_of(2))];
            assert!(position > *last, "heartbeat {number} stands before an earlier one");
            *last = position;
            found += 1;
        }
        let unknown = hand.beats_unknown.iter().filter(|number| seen.contains_key(&(of(**number), **number)));
        found += unknown.count();
    }
    assert_eq!(found, seen.len(), "the log has heartbeats that nobody sent");
}

/// Live, folded from zero and restored with snapshots: one state. True if a snapshot was in use.
fn check_state(client: &Client, log: &mut Follower, place: &Place) -> bool {
    for _ in 0..20 {
        let live = client.get("/api/state").ok();
        log.catch_up();
        let (position, hash, snapshot) = restored_hash(place);
        // A timer may have added an event meanwhile; then ask again.
        if live["position"] != log.head.position.0 || position != log.head.position {
            continue;
        }
        assert_eq!(live["hash"], log.state_hash().to_string(), "live against folded from zero at {position}");
        assert_eq!(hash, log.state_hash(), "with snapshots against folded from zero at {position}");
        return snapshot.is_some();
    }
    panic!("the idle desk does not stand still");
}

fn prepared(launch: &Launch) -> (Desk, Client) {
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let client = desk.token(&admin, "load", "operator");
    for hand in 0..HANDS {
        client.register(&format!("master/Demo_M{hand}")).ok();
        client.register(&format!("slave/Demo_S{hand}")).ok();
    }
    (desk, client)
}

fn total(hands: &[Hand]) -> Tally {
    let mut total = Tally::default();
    hands.iter().for_each(|hand| total += hand.tally);
    total
}

/// Two dozen kills, or as many as TIDEHELM_KILL_SECONDS has room for.
#[test]
fn what_was_answered_before_a_kill_is_in_the_log_once_and_in_order() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    kill_loop(&Launch::new(&dir), &dir.as_path().into(), 24);
}

/// Kills the desk again and again under load, and asks after each time for everything that it had answered.
pub fn kill_loop(launch: &Launch, place: &Place, rounds: u64) {
    let launch = launch.clone().set("snapshots.every_events", "400");
    let seconds = std::env::var("TIDEHELM_KILL_SECONDS").ok().map(|text| text.parse::<u64>().unwrap());
    let begun = Instant::now();
    let (mut desk, mut client) = prepared(&launch);
    let mut hands: Vec<Hand> = (0..HANDS).map(Hand::new).collect();
    let (mut log, mut rng) = (Follower::new(place), Rng::new(7));
    let (mut kills, mut kills_in_flight, mut with_snapshot) = (0u64, 0u64, 0u64);
    while seconds.map_or(kills < rounds, |seconds| begun.elapsed() < Duration::from_secs(seconds)) {
        let before = total(&hands);
        let wanted = 50 + rng.below(350) as u64;
        let mut running = Some(desk);
        crowd(&mut hands, &client, |answered| {
            wait_for_answers(answered, wanted);
            let spin = Instant::now();
            let pause = Duration::from_micros(rng.below(4000) as u64);
            while spin.elapsed() < pause {
                std::hint::spin_loop();
            }
            running.take().unwrap().kill9();
        });
        kills += 1;
        kills_in_flight += u64::from(total(&hands).cut_off > before.cut_off);
        log.catch_up();
        check(&mut hands, &log);
        desk = launch.start();
        client = desk.client().with_token(client.token.as_ref().unwrap());
        with_snapshot += u64::from(check_state(&client, &mut log, place));
    }
    // The last unanswered ones get their answer too.
    crowd_settles(&mut hands, &client);
    desk.stop();
    log.catch_up();
    check(&mut hands, &log);
    assert_eq!(audited(place), log.business(), "one audit row for each business event");
    verified(place);
    let reactions = log.records.iter().filter(|record| record.causation.is_some()).count();
    let tally = total(&hands);
    let beats: usize = hands.iter().map(|hand| hand.beats_taken.len()).sum();
    println!(
        "kill -9 on {place:?}: {kills} kills ({kills_in_flight} with requests in flight, {} requests cut off, {} of them committed), \
         {} commits, {} events, {} commands answered, {} refused, {} repeats, {} reused ids, {} retried, {beats} heartbeats, \
         {reactions} reactions, {with_snapshot} restarts from a snapshot",
        tally.cut_off,
        tally.cut_off_after_commit,
        log.commits,
        log.records.len(),
        tally.answered,
        tally.refused,
        tally.repeats,
        tally.reused,
        tally.retried,
    );
    assert!(kills > 0 && kills_in_flight > 0 && log.commits > 0 && reactions > 0 && beats > 0 && with_snapshot > 0);
    assert!(tally.cut_off > 0 && tally.refused > 0 && tally.repeats > 0 && tally.reused > 0 && tally.retried > 0);
}

/// What was cut off is asked again and gets its answer: the one in the log, where there is one.
fn crowd_settles(hands: &mut [Hand], client: &Client) {
    let answered = AtomicU64::new(0);
    for hand in hands {
        for index in 0..hand.sent.len() {
            if hand.sent[index].told.is_none() {
                hand.tally.retried += 1;
                assert!(hand.send(client, index, &answered).is_ok());
            }
        }
    }
}

#[test]
fn a_stop_under_load_loses_nothing_that_was_answered_and_refuses_the_rest() {
    let temp = tempfile::tempdir().unwrap();
    let dir = temp.path().join("data");
    let (desk, client) = prepared(&Launch::new(&dir));
    let mut hands: Vec<Hand> = (0..HANDS).map(Hand::new).collect();
    let mut stopping = Some(desk);
    let mut took = Duration::ZERO;
    crowd(&mut hands, &client, |answered| {
        wait_for_answers(answered, 300);
        let begun = Instant::now();
        stopping.take().unwrap().stop();
        took = begun.elapsed();
    });
    let mut log = Follower::read(&dir);
    check(&mut hands, &log);
    let tally = total(&hands);
    println!(
        "SIGTERM: stopped in {took:?}, {} answered, {} refused as stopping, {} without an answer, {} of them in the log",
        tally.answered, tally.stopping, tally.cut_off, tally.cut_off_after_commit
    );
    assert!(tally.answered >= 150 && took < Duration::from_secs(8));
    assert_eq!(tally.cut_off_after_commit, 0, "a stop that was asked for leaves nobody in doubt");
    let desk = Launch::new(&dir).start();
    let client = desk.client().with_token(client.token.as_ref().unwrap());
    assert!(check_state(&client, &mut log, &dir.as_path().into()), "a stop saves a snapshot");
    crowd_settles(&mut hands, &client);
    desk.stop();
    log.catch_up();
    check(&mut hands, &log);
}
