use super::*;
use crate::journal::{Fault, Journal, Limits, Reply, check_silence};
use crate::memory::MemoryLog;
use crate::node::{Command, Order};
use crate::restore::Restored;
use tidehelm_events::account::{self, HeartbeatSeen, Registered, StateHash};
use tidehelm_events::answer::BodyHash;
use tidehelm_events::id::{AccountId, CommandId, NodeId, Principal};
use tidehelm_events::money::Money;
use tidehelm_events::time::{Span, Timestamp};
use tidehelm_events::view::Fold;
use uuid::Uuid;

/// A shorter world, for unoptimised builds.
fn short() -> Plan {
    Plan { storm: 25 * SECOND, calm: 45 * SECOND, quiet: 10 * SECOND, ..Plan::default() }
}

fn fail(outcome: &Outcome) -> ! {
    let Outcome { seed, violation, lines, .. } = outcome;
    let why = violation.as_ref().map_or_else(String::new, ToString::to_string);
    panic!("seed {seed}: {why}\n{}", lines.join("\n"));
}

#[test]
fn sixty_four_worlds_hold_every_invariant() {
    let mut counts = Counts::default();
    for seed in 0..64 {
        let outcome = run(seed, &short());
        if outcome.violation.is_some() {
            fail(&outcome);
        }
        counts.add(&outcome.counts);
    }
    println!("{counts:?}");
    let Counts { commits, crashes_in_commit, in_doubt_written, refusals, repeats, debts_made_good, .. } = counts;
    let Counts { copies_begun, corrections, partial_closes, signals_repeated, orders_offered_again, .. } = counts;
    let Counts { terminal_crashes, stops, limits_hit, links_wound_down, copies_settled, by_hand, .. } = counts;
    let Counts { probes, stale_probes, endpoint_status_changes, requests_acknowledged, .. } = counts;
    let Counts { requests_told_again, requests_unheard, quiet_probes, .. } = counts;
    let Counts { fenced_writers, snapshots_used, bad_snapshots_ignored, went_offline, steps_adopted, .. } = counts;
    for done in [
        [commits, crashes_in_commit, in_doubt_written, refusals, repeats, debts_made_good].as_slice(),
        &[fenced_writers, snapshots_used, bad_snapshots_ignored, went_offline, steps_adopted],
        &[copies_begun, corrections, partial_closes, signals_repeated, orders_offered_again],
        &[terminal_crashes, stops, limits_hit, links_wound_down, copies_settled, by_hand],
        &[probes, stale_probes, quiet_probes, endpoint_status_changes],
        &[requests_acknowledged, requests_told_again, requests_unheard],
    ] {
        assert!(done.iter().all(|count| *count > 0), "something never happened: {counts:?}");
    }
}

/// A world that cannot see a known bug would not see an unknown one either.
fn are_caught(mutants: &[Mutant]) {
    let mut missed = Vec::new();
    for mutant in mutants {
        let plan = Plan { mutant: Some(*mutant), ..short() };
        let caught = (0..200).find_map(|seed| {
            let violation = run(seed, &plan).violation?;
            run(seed, &short()).violation.is_none().then_some((seed, violation))
        });
        match caught {
            Some((seed, violation)) => println!("{mutant:?}: seed {seed}, {}", violation.invariant),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not caught: {missed:?}");
}

#[test]
fn every_mutant_of_the_log_is_caught() {
    are_caught(&Mutant::ALL[..10]);
}

#[test]
fn every_mutant_of_a_restart_is_caught() {
    are_caught(&Mutant::ALL[10..19]);
}

#[test]
fn every_mutant_of_orders_is_caught() {
    are_caught(&Mutant::ALL[19..25]);
}

#[test]
fn every_mutant_of_copies_is_caught() {
    are_caught(&Mutant::ALL[25..30]);
}

#[test]
fn every_mutant_of_endpoints_is_caught() {
    are_caught(&Mutant::ALL[30..]);
}

#[test]
fn the_same_seed_is_the_same_history() {
    for seed in 0..4 {
        let (one, two) = (run(seed, &short()), run(seed, &short()));
        assert_eq!((one.hash, one.counts), (two.hash, two.counts), "seed {seed}");
    }
    assert_ne!(run(0, &short()).hash, run(1, &short()).hash);
}

// What worlds found, each as the few steps that matter.

fn journal(fold: Fold, limits: Limits) -> (Journal<u32>, MemoryLog) {
    let mut log = MemoryLog::default();
    let head = log.next_epoch();
    (Journal::new(Restored { fold, debts: Vec::new() }, head, NodeId(Uuid::nil()), limits), log)
}

fn slave(name: &str) -> StreamId {
    StreamId::slave(&AccountId::new(name).unwrap())
}

fn order(to: StreamId, command: account::Command, key: Option<&str>) -> Order {
    let body = BodyHash::of(format!("{to} {command:?}").as_bytes());
    let (id, by) = (key.map(CommandId::from_key), Principal::Terminal);
    let (occurred_at, received_at) = (Timestamp(0), Timestamp(0));
    Order { to, command: Command::Account(command), by, id, body, expected: None, occurred_at, received_at }
}

fn register(name: &str) -> account::Command {
    account::Command::Register(Box::new(Registered {
        platform: "mt5".into(),
        broker: "Broker".into(),
        server: "live".into(),
        name: name.into(),
        currency: "EUR".into(),
        leverage: 100,
        trade_allowed: true,
        ea_version: "1".into(),
        ..Registered::default()
    }))
}

fn heartbeat() -> account::Command {
    account::Command::Heartbeat(HeartbeatSeen {
        balance: Money::ZERO,
        equity: Money::ZERO,
        free_margin: Money::ZERO,
        open_positions: 0,
        trade_allowed: true,
        state_hash: StateHash::default(),
        through_signal_seq: 0,
    })
}

/// Everything that waits, written; the replies by ticket.
fn write_all(journal: &mut Journal<u32>, log: &mut MemoryLog) -> Vec<(u32, Reply)> {
    let mut replies = journal.release_ready();
    while let Some(sealed) = journal.seal(Timestamp(0)) {
        log.put(&sealed.commit, &sealed.audit, &sealed.expected).unwrap();
        replies.extend(journal.durable().replies);
    }
    replies
}

/// The desk keeps refusals of accounts that do not exist; another terminal's is not one's own.
#[test]
fn two_terminals_may_use_the_same_key() {
    let (mut journal, mut log) = journal(Fold::default(), Limits::default());
    journal.submit(order(slave("A"), register("a\nb"), Some("1")), 1, Timestamp(1)).unwrap();
    journal.submit(order(slave("B"), register("b"), Some("1")), 2, Timestamp(2)).unwrap();
    journal.submit(order(slave("A"), register("a\nb"), Some("1")), 3, Timestamp(3)).unwrap();
    let replies = write_all(&mut journal, &mut log);
    let codes: Vec<_> = replies.iter().map(|(_, reply)| invariants::code(&reply.answer)).collect();
    assert_eq!(codes, [Some("text_invalid"), None, Some("text_invalid")]);
}

/// It was refused and recorded a second time, and the fold does not believe two answers under one id.
#[test]
fn a_repeat_to_a_quarantined_stream_is_a_repeat() {
    let mut fold = Fold::default();
    fold.truth.quarantine(slave("A"));
    let (mut journal, mut log) = journal(fold, Limits::default());
    for ticket in [1, 2] {
        journal.submit(order(slave("A"), register("a"), Some("1")), ticket, Timestamp(1)).unwrap();
    }
    let replies = write_all(&mut journal, &mut log);
    assert_eq!(invariants::code(&replies[0].1.answer), Some("stream_quarantined"));
    assert_eq!(replies[0].1.answer, replies[1].1.answer);
}

/// Whatever came in while the disk was slow went into the next commit.
#[test]
fn a_commit_keeps_its_bound_while_another_is_in_flight() {
    let limits = Limits { batch_events_max: 3, ..Limits::default() };
    let (mut journal, mut log) = journal(Fold::default(), limits);
    journal.submit(order(slave("A"), register("a"), None), 0, Timestamp(1)).unwrap();
    let sealed = journal.seal(Timestamp(1)).unwrap();
    for ticket in 1..=20 {
        journal.submit(order(slave("A"), register("a"), None), ticket, Timestamp(2)).unwrap();
    }
    log.put(&sealed.commit, &sealed.audit, &sealed.expected).unwrap();
    journal.durable();
    let replies = write_all(&mut journal, &mut log);
    assert_eq!(replies.len(), 20);
    for entry in &log.entries[1..] {
        let tidehelm_events::commit::Entry::Commit(commit) = entry else { panic!("a seal") };
        assert!(commit.header.last.0 - commit.header.first.0 < 3, "{:?}", commit.header);
    }
}

/// Overload turned away the order that would have shown the account offline, and nobody asked again; and it took those for
/// silent whose heartbeats it turned away itself.
#[test]
fn overload_neither_hides_silence_nor_makes_it() {
    let limits = Limits { open_events_max: 2, ..Limits::default() };
    let (mut journal, _) = journal(Fold::default(), limits);
    let second = |count| Timestamp::ZERO + Span::seconds(count);
    let open =
        tidehelm_events::desk::Command::Open { desk: tidehelm_events::id::DeskId(Uuid::nil()), build: String::new() };
    let own = Order {
        command: Command::Desk(open),
        by: Principal::Desk,
        ..order(StreamId::Desk, account::Command::Unregister, None)
    };
    journal.submit(own, 0, second(0)).unwrap();
    journal.submit(order(slave("A"), register("a"), None), 1, second(0)).unwrap();
    assert_eq!(journal.submit(order(slave("A"), heartbeat(), None), 2, second(0)), Err((2, Fault::Overloaded)));
    let sealed = journal.seal(second(0)).unwrap();
    journal.durable();
    drop(sealed);
    journal.submit(order(slave("A"), heartbeat(), None), 3, second(1)).unwrap();
    assert_eq!(journal.submit(order(slave("A"), heartbeat(), None), 4, second(20)), Err((4, Fault::Overloaded)));
    assert!(journal.silent(second(49)).is_empty(), "it knocked at 20 s");
    let silent = journal.silent(second(50));
    assert_eq!(silent, [slave("A")]);
    journal.submit(check_silence(slave("A"), second(50)), 5, second(50)).unwrap();
    assert_eq!(journal.truth().account(&slave("A")).unwrap().connection, Connection::Lost);
}

/// The end of a request waits for company, can be cut and is taken once; a name is given once, to whom is first.
#[test]
fn requests_wait_for_company_and_an_endpoint_has_its_name_alone() {
    use tidehelm_events::endpoint::{self, Api, Ending, Outcome, RequestFinished, Tokens};
    use tidehelm_events::id::EndpointId;
    let (mut journal, _) = journal(Fold::default(), Limits::default());
    let now = Timestamp::ZERO + Span::seconds(1);
    let ids = [1, 2].map(|number| EndpointId(Uuid::from_u128(number)));
    let ask = |id, command| Order::once(StreamId::Endpoint(id), Principal::Operator, Command::Endpoint(command), now);
    for (ticket, id) in (0..).zip(ids) {
        let base_url = format!("http://{ticket}.example");
        let settings = endpoint::Settings { name: "attic".into(), base_url, ..endpoint::Settings::default() };
        journal.submit(ask(id, endpoint::Command::Register(Box::new(settings))), ticket, now).unwrap();
    }
    assert_eq!(journal.truth().directory().by_name("attic"), Some(ids[0]));
    assert!(journal.truth().endpoint(ids[1]).is_none(), "a refusal makes no stream");
    assert_eq!(journal.wants_seal(), Some(now), "at once");
    let sealed = journal.seal(now).unwrap();
    assert_eq!((sealed.commit.header.kept_count, sealed.commit.header.telemetry_count), (1, 0));
    journal.durable();
    let finished = RequestFinished {
        request: Uuid::nil(),
        run: 1,
        seq: 1,
        model: "qwen".into(),
        api: Api::ChatCompletions,
        // Of which nothing follows for the endpoint's status, which would be kept.
        outcome: Outcome::ClientGone,
        http_status: Some(200),
        tokens: Tokens::default(),
        duration: Span::millis(5),
        first_byte: None,
        ending: Ending::Whole,
        client: None,
        key: None,
    };
    for ticket in 2..4 {
        let finished = Box::new(finished.clone());
        journal.submit(ask(ids[0], endpoint::Command::FinishRequest { finished, jitter: 0 }), ticket, now).unwrap();
    }
    let refused = endpoint::ProxyCommand::FinishRequest(Box::new(finished));
    let refused = Order::once(StreamId::Proxy, Principal::Desk, Command::Proxy(refused), now);
    journal.submit(refused, 4, now).unwrap();
    assert_eq!(journal.wants_seal(), Some(now + Limits::default().telemetry_wait));
    let sealed = journal.seal(now).unwrap();
    let header = &sealed.commit.header;
    assert_eq!((header.kept_count, header.telemetry_count), (0, 2), "the second one is the first, told again");
    assert_eq!(journal.truth().proxy().unwrap().told.of(1), 1);
}
