//! The guard from the outside: what it is told, and what it lets through.

use super::*;
use crate::copy::StopDegree;
use crate::endpoint::Directory;
use crate::id::{Position, Principal, StrategyId, Version};
use crate::sample::{START, reason, user};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use proptest::prelude::*;

/// A guard with a clock.
struct Case {
    guard: Guard,
    now: Timestamp,
    version: u64,
    locked: bool,
}

fn maker() -> StrategyId {
    StrategyId::new("btc_maker").unwrap()
}
fn anna() -> Principal {
    Principal::User(user("anna"))
}
fn write(scope: Scope) -> Write {
    Write { scope, entry: None, exit: None, lock: None, note: None, ttl: None, expected: None, by: anna() }
}
fn of_maker() -> Write {
    write(Scope::Strategy(maker()))
}

impl Case {
    /// One strategy that may do everything, and a control plane that was just heard.
    fn new() -> Self {
        let mut case = Case { guard: Guard::default(), now: START, version: 0, locked: false };
        case.does(Command::Enroll { strategy: maker(), flags: Flags::ON, by: Principal::Operator });
        case
    }

    fn tries(&mut self, command: Command) -> Result<Vec<Event>, Refusal> {
        let (desk, copy_defaults) = (crate::desk::Settings::default(), Default::default());
        let (now, endpoints) = (self.now, Directory::default());
        let seen = Seen {
            now,
            received_at: now,
            sent_at: now,
            listening_since: START,
            settings: &desk,
            locked: self.locked,
            copy_defaults: &copy_defaults,
            stopped: None,
            endpoints: &endpoints,
        };
        let events = self.guard.decide(command, &seen)?.events;
        for event in &events {
            self.version += 1;
            let (position, version) = (Position(self.version), Version(self.version));
            self.guard.evolve(event, &Stamp { position, version, received_at: now, recorded_at: now });
        }
        Ok(events)
    }
    fn does(&mut self, command: Command) -> Vec<&'static str> {
        self.tries(command).unwrap().iter().map(|event| event.kind().name).collect()
    }
    fn refuses(&mut self, command: Command) -> &'static str {
        self.tries(command).unwrap_err().code()
    }
    fn writes(&mut self, write: Write) -> Vec<&'static str> {
        self.does(Command::Write(Box::new(write)))
    }
    fn passes(&mut self, seconds: i64) {
        self.now = self.now + Span::seconds(seconds);
    }
    fn stops(&mut self, degree: Degree) {
        self.does(Command::Stop { degree, reason: reason("news"), by: anna() });
    }
    fn given(&self) -> Conditions {
        Conditions {
            now: self.now,
            desk_stop: None,
            market: Sight::Fresh,
            positions: Knowing::Fresh,
            trade_known: true,
            risk_halted: false,
        }
    }
    /// What entry, exit and protective exit are answered, `yes` or the first reason.
    fn row(&self, strategy: &StrategyId, given: &Conditions) -> [&'static str; 3] {
        [Wish::Entry, Wish::Exit, Wish::Protective]
            .map(|wish| self.guard.rule(strategy, wish, given).map_or_else(Why::code, |()| "yes"))
    }
}

type Doing = fn(&mut Case, &mut Conditions);

#[test]
fn every_row_of_the_table_holds() {
    let rows: [(&str, Doing, [&str; 3]); 20] = [
        ("all on, control fresh", |_, _| (), ["yes", "yes", "yes"]),
        (
            "strategy entry off",
            |case, _| drop(case.writes(Write { entry: Some(false), ..of_maker() })),
            ["entry_off", "yes", "yes"],
        ),
        (
            "desk entry off",
            |case, _| drop(case.writes(Write { entry: Some(false), ..write(Scope::Desk) })),
            ["desk_entry_off", "yes", "yes"],
        ),
        (
            "strategy expired",
            |case, given| {
                case.writes(Write { entry: Some(true), ttl: Some(Span::seconds(10)), ..of_maker() });
                case.passes(10);
                given.now = case.now;
            },
            ["expired", "yes", "yes"],
        ),
        (
            "desk expired",
            |case, given| {
                case.writes(Write { entry: Some(true), ttl: Some(Span::seconds(10)), ..write(Scope::Desk) });
                case.passes(10);
                given.now = case.now;
            },
            ["desk_expired", "yes", "yes"],
        ),
        (
            "strategy exit off",
            |case, _| drop(case.writes(Write { exit: Some(false), entry: Some(false), ..of_maker() })),
            ["entry_off", "exit_off", "yes"],
        ),
        (
            "desk exit off",
            |case, _| drop(case.writes(Write { exit: Some(false), entry: Some(false), ..write(Scope::Desk) })),
            ["desk_entry_off", "desk_exit_off", "yes"],
        ),
        (
            "global lock",
            |case, _| drop(case.writes(Write { lock: Some(true), ..write(Scope::Desk) })),
            ["global_lock", "global_lock", "yes"],
        ),
        (
            "global lock, and flatten was asked",
            |case, _| {
                case.writes(Write { lock: Some(true), ..write(Scope::Desk) });
                case.stops(Degree::Flatten);
            },
            ["global_lock", "yes", "yes"],
        ),
        (
            "global lock, and the desk was told to flatten",
            |case, given| {
                case.writes(Write { lock: Some(true), ..write(Scope::Desk) });
                given.desk_stop = Some(Degree::of_desk(StopDegree::Flatten));
            },
            ["global_lock", "yes", "yes"],
        ),
        ("entries blocked", |case, _| case.stops(Degree::BlockEntries), ["stopped", "yes", "yes"]),
        ("close only", |case, _| case.stops(Degree::CloseOnly), ["stopped", "yes", "yes"]),
        (
            "control older than 15 s",
            |case, given| {
                case.passes(16);
                given.now = case.now;
            },
            ["control_stale", "yes", "yes"],
        ),
        (
            "control 15 s old",
            |case, given| {
                case.passes(15);
                given.now = case.now;
            },
            ["yes", "yes", "yes"],
        ),
        ("market stale", |_, given| given.market = Sight::Stale, ["market_stale", "market_stale", "yes"]),
        (
            "market stale, but the venue told a quote",
            |_, given| given.market = Sight::VenueQuote,
            ["market_stale", "yes", "yes"],
        ),
        ("positions stale", |_, given| given.positions = Knowing::Stale, ["positions_unknown", "yes", "yes"]),
        (
            "positions unavailable, the trade unknown",
            |_, given| (given.positions, given.trade_known) = (Knowing::Unavailable, false),
            ["positions_unknown", "positions_unknown", "yes"],
        ),
        ("risk halt", |_, given| given.risk_halted = true, ["risk_halt", "yes", "yes"]),
        ("a control plane that never spoke", |case, _| case.guard.heard_at = None, ["control_stale", "yes", "yes"]),
    ];
    for (what, doing, expected) in rows {
        let mut case = Case::new();
        let mut given = case.given();
        doing(&mut case, &mut given);
        assert_eq!(case.row(&maker(), &given), expected, "{what}");
    }
}

#[test]
fn a_strategy_that_nobody_knows_does_nothing_and_the_guardian_does_it_for_it() {
    let case = Case::new();
    let stranger = StrategyId::new("stranger").unwrap();
    assert_eq!(case.row(&stranger, &case.given()), ["strategy_unknown"; 3]);
    assert_eq!(case.guard.rule(&stranger, Wish::Guardian, &case.given()), Ok(()));
}

#[test]
fn what_is_effective_says_all_that_stands_in_the_way() {
    let mut case = Case::new();
    case.writes(Write { entry: Some(false), ..of_maker() });
    case.writes(Write { lock: Some(true), ..write(Scope::Desk) });
    let given = Conditions { risk_halted: true, ..case.given() };
    let effective = case.guard.effective(&maker(), &given);
    let why = vec![Why::GlobalLock, Why::EntryOff, Why::RiskHalt];
    assert_eq!(effective, Effective { entry: false, exit: false, lock: true, why });
}

#[test]
fn a_write_says_which_revision_it_saw() {
    let mut case = Case::new();
    let seen = case.guard.strategies[&maker()].revision;
    let first = Write { entry: Some(false), expected: Some(seen), ..of_maker() };
    assert_eq!(case.writes(first.clone()), ["strategy_control_changed"]);
    assert_eq!(case.refuses(Command::Write(Box::new(first))), "revision_conflict");
    // The desk's revision is its own.
    let desk = case.guard.desk.revision;
    case.writes(Write { entry: Some(false), expected: Some(desk), ..write(Scope::Desk) });
    let now = case.guard.strategies[&maker()].revision;
    assert_eq!(case.writes(Write { entry: Some(true), expected: Some(now), ..of_maker() }).len(), 1);
}

#[test]
fn a_write_is_refused_in_order() {
    let mut case = Case::new();
    case.locked = true;
    let unknown = Scope::Strategy(StrategyId::new("stranger").unwrap());
    for (write, code) in [
        (write(unknown.clone()), "flags_missing"),
        (Write { lock: Some(true), ..write(unknown.clone()) }, "lock_is_global"),
        (Write { entry: Some(true), ttl: Some(Span(0)), ..write(unknown) }, "strategy_unknown"),
        (
            Write { entry: Some(true), ttl: Some(Span(0)), expected: Some(Version(99)), ..of_maker() },
            "ttl_out_of_range",
        ),
        (Write { entry: Some(true), expected: Some(Version(99)), ..of_maker() }, "revision_conflict"),
    ] {
        assert_eq!(case.refuses(Command::Write(Box::new(write))), code);
    }
}

#[test]
fn while_the_desk_is_locked_things_can_be_switched_off_only() {
    let mut case = Case::new();
    case.stops(Degree::CloseOnly);
    case.locked = true;
    case.writes(Write { entry: Some(false), ..of_maker() });
    case.writes(Write { lock: Some(true), ..write(Scope::Desk) });
    for on in [
        Write { entry: Some(true), ..of_maker() },
        Write { lock: Some(false), ..write(Scope::Desk) },
        Write { entry: Some(false), exit: Some(true), lock: Some(false), ..write(Scope::Desk) },
    ] {
        assert_eq!(case.refuses(Command::Write(Box::new(on))), "desk_locked");
    }
    assert_eq!(case.refuses(Command::Resume { reason: reason("all is well"), by: anna() }), "desk_locked");
}

#[test]
fn what_ran_out_is_noted_once_and_stays_out() {
    let mut case = Case::new();
    case.writes(Write { entry: Some(true), ttl: Some(Span::seconds(10)), ..of_maker() });
    case.passes(9);
    assert_eq!(case.does(Command::Beat), ["strategy_control_beat"]);
    case.passes(1);
    assert_eq!(case.does(Command::Beat), ["strategy_control_beat", "strategy_control_expired"]);
    assert_eq!(case.does(Command::Beat), ["strategy_control_beat"]);
    assert_eq!(case.row(&maker(), &case.given())[0], "expired");
    case.locked = true;
    let again = Write { entry: Some(true), ..of_maker() };
    assert_eq!(case.refuses(Command::Write(Box::new(again.clone()))), "desk_locked", "to allow it anew is to allow");
    case.locked = false;
    case.writes(again);
    assert_eq!(case.row(&maker(), &case.given())[0], "yes");
}

#[test]
fn a_stop_goes_further_and_never_back_without_a_reason() {
    let mut case = Case::new();
    case.stops(Degree::CloseOnly);
    let stop = |degree| Command::Stop { degree, reason: reason("more news"), by: anna() };
    assert_eq!(case.refuses(stop(Degree::BlockEntries)), "stopped_already");
    assert_eq!(case.refuses(stop(Degree::CloseOnly)), "stopped_already");
    assert_eq!(case.does(stop(Degree::Flatten)), ["strategies_stopped"]);
    assert_eq!(case.does(Command::Resume { reason: reason("all is well"), by: anna() }), ["strategies_resumed"]);
    assert_eq!(case.refuses(Command::Resume { reason: reason("twice"), by: anna() }), "not_stopped");
}

#[test]
fn a_repeated_enrolment_changes_nothing() {
    let mut case = Case::new();
    case.writes(Write { entry: Some(false), ..of_maker() });
    assert_eq!(
        case.does(Command::Enroll { strategy: maker(), flags: Flags::ON, by: anna() }),
        Vec::<&str>::new(),
        "or a restart would switch on what a person switched off"
    );
    assert!(!case.guard.strategies[&maker()].flags.entry);
}

#[test]
fn a_write_that_changes_nothing_is_no_event_unless_it_says_something() {
    let mut case = Case::new();
    assert!(case.writes(Write { entry: Some(true), ..of_maker() }).is_empty());
    let noted = Write { entry: Some(true), note: Some(reason("checked at noon")), ..of_maker() };
    assert_eq!(case.writes(noted), ["strategy_control_changed"]);
}

#[test]
fn every_kind_has_a_sample_and_every_reason_its_code() {
    let samples = samples::samples();
    let kinds: Vec<_> = samples.iter().map(Event::kind).collect();
    assert_eq!(kinds, Event::KINDS);
    for event in samples {
        let mut bytes = Vec::new();
        event.encode(&mut bytes);
        assert_eq!(Event::decode(event.number(), 1, &bytes).unwrap().unwrap(), event);
        assert_eq!(Event::from_json(event.kind().name, &event.to_json()).unwrap().unwrap(), event);
    }
    let mut words = Vec::new();
    samples::words(&mut words);
    let codes: Vec<_> =
        words.iter().filter(|word| word.0 == "guard_why").map(|word| word.2.as_str().unwrap()).collect();
    assert_eq!(codes, Why::ALL.map(Why::code));
}

proptest! {
    /// No flag, stop, lock, age or halt stands in the way of giving up what a known strategy must give up.
    #[test]
    fn a_protective_exit_is_never_vetoed(
        flags in any::<[bool; 5]>(), degree in prop::option::of(0usize..3), silent in 0i64..100, sight in 0usize..3,
        known in 0usize..3, trade_known in any::<bool>(), risk_halted in any::<bool>(),
    ) {
        let mut case = Case::new();
        let [entry, exit, desk_entry, desk_exit, lock] = flags.map(Some);
        case.writes(Write { entry, exit, ttl: Some(Span::seconds(50)), ..of_maker() });
        case.writes(Write { entry: desk_entry, exit: desk_exit, lock, ..write(Scope::Desk) });
        degree.into_iter().for_each(|degree| case.stops(Degree::ALL[degree]));
        case.passes(silent);
        let given = Conditions {
            market: [Sight::Fresh, Sight::VenueQuote, Sight::Stale][sight],
            positions: [Knowing::Fresh, Knowing::Stale, Knowing::Unavailable][known],
            trade_known,
            risk_halted,
            ..case.given()
        };
        prop_assert_eq!(case.guard.rule(&maker(), Wish::Protective, &given), Ok(()));
        // And an entry is let in only where everything says yes.
        let all = flags[0] && flags[2] && !flags[4] && degree.is_none() && silent <= 15 && sight == 0 && known == 0 && !risk_halted;
        prop_assert_eq!(case.guard.rule(&maker(), Wish::Entry, &given).is_ok(), all);
    }
}
