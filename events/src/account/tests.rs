use super::status::{self, Evaluation, Inputs};
use super::*;
use crate::copy::StopDegree;
use crate::copy::settings::{Overrides, WindDown};
use crate::desk::Settings;
use crate::id::{AccountId, Position, Role, StreamId, Version};
use crate::react::Effect;
use crate::reason::{RuntimeStatus, Warning, Warnings};
use crate::sample::{START, account_id, heartbeat, registered};
use crate::stream::{Seen, Stamp, Stream};
use crate::time::{Span, Timestamp};
use crate::trade::Ticket;

/// An account with a clock: commands are decided and what follows is remembered.
#[derive(Clone)]
struct Case {
    account: Account,
    settings: Settings,
    copy_defaults: Overrides,
    stopped: Option<StopDegree>,
    locked: bool,
    now: Timestamp,
    listening_since: Timestamp,
    version: Version,
}

type Done = (Vec<Event>, Vec<Effect>);

impl Case {
    fn new(role: Role) -> Self {
        Case {
            account: Account::new(role, account_id("A_12")),
            settings: Settings::default(),
            copy_defaults: Overrides::default(),
            stopped: None,
            locked: false,
            now: START,
            listening_since: START,
            version: Version(0),
        }
    }

    fn online(role: Role) -> Self {
        let mut case = Case::new(role);
        case.does(Command::Register(Box::new(registered()))).unwrap();
        case.does(Command::Heartbeat(heartbeat(true))).unwrap();
        case
    }

    fn does(&mut self, command: Command) -> Result<Done, Refusal> {
        self.does_late(command, self.now)
    }

    /// With a message that came in before now.
    fn does_late(&mut self, command: Command, received_at: Timestamp) -> Result<Done, Refusal> {
        let Case { settings, locked, now, listening_since, .. } = &*self;
        let (locked, now, listening_since) = (*locked, *now, *listening_since);
        let (sent_at, copy_defaults, stopped) = (received_at, &self.copy_defaults, self.stopped);
        let seen = Seen { now, received_at, sent_at, listening_since, settings, locked, copy_defaults, stopped };
        let decided = self.account.decide(command, &seen)?;
        for event in &decided.events {
            self.version = self.version.next();
            let (position, version) = (Position(self.version.0), self.version);
            self.account.evolve(event, &Stamp { position, version, received_at, recorded_at: now });
        }
        Ok((decided.events, decided.effects))
    }

    fn passes(&mut self, seconds: i64) {
        self.now = self.now + Span::seconds(seconds);
    }

    fn shows(&self) -> String {
        shown(Evaluation { status: self.account.status, warnings: self.account.warnings })
    }

    fn refuses(&mut self, command: Command) -> Refusal {
        let before = self.account.clone();
        let refusal = self.does(command).unwrap_err();
        assert_eq!(self.account, before, "a refusal changed something");
        refusal
    }
}

/// `2` or `0 master_offline …`
fn shown(evaluation: Evaluation) -> String {
    let mut words = vec![evaluation.status.code().to_string()];
    words.extend(evaluation.warnings.codes().into_iter().map(String::from));
    words.join(" ")
}

fn names(events: &[Event]) -> Vec<&'static str> {
    events.iter().map(|event| event.kind().name).collect()
}

/// intent, link, trade allowed | status and warnings
const MASTERS: &str = "
    off registered no  | 0 master_web_ui_disabled master_offline
    off registered yes | 0 master_web_ui_disabled master_offline
    off online     no  | 0 master_web_ui_disabled master_auto_trading_disabled
    off online     yes | 0 master_web_ui_disabled
    off lost       no  | 0 master_web_ui_disabled master_offline
    off lost       yes | 0 master_web_ui_disabled master_offline
    on  registered no  | 0 master_offline
    on  registered yes | 0 master_offline
    on  online     no  | 0 master_auto_trading_disabled
    on  online     yes | 2
    on  lost       no  | 0 master_offline
    on  lost       yes | 0 master_offline
";

/// The same of a slave without a master.
const SLAVES: &str = "
    off registered no  | 0 slave_web_ui_disabled slave_offline no_master_assigned
    off registered yes | 0 slave_web_ui_disabled slave_offline no_master_assigned
    off online     no  | 0 slave_web_ui_disabled slave_auto_trading_disabled no_master_assigned
    off online     yes | 0 slave_web_ui_disabled no_master_assigned
    off lost       no  | 0 slave_web_ui_disabled slave_offline no_master_assigned
    off lost       yes | 0 slave_web_ui_disabled slave_offline no_master_assigned
    on  registered no  | 0 slave_offline no_master_assigned
    on  registered yes | 0 slave_offline no_master_assigned
    on  online     no  | 0 slave_auto_trading_disabled no_master_assigned
    on  online     yes | 1 no_master_assigned
    on  lost       no  | 0 slave_offline no_master_assigned
    on  lost       yes | 0 slave_offline no_master_assigned
";

fn rows(table: &'static str) -> impl Iterator<Item = (&'static str, &'static str)> {
    table.lines().filter_map(|line| line.split_once('|')).map(|(given, then)| (given.trim(), then.trim()))
}

/// The account that a row describes, in every order in which it can come about.
fn given(role: Role, row: &str) -> Vec<Case> {
    let words: Vec<&str> = row.split_whitespace().collect();
    let &[intent, link, allowed] = words.as_slice() else { panic!("a row is intent, link, allowed: {row}") };
    let (enabled, allowed) = (intent == "on", allowed == "yes");
    let switch = Command::SetIntent { enabled };
    (0..3)
        .map(|when| {
            let mut case = Case::new(role);
            let mut does = |at: usize, command: Command| {
                case.does(command).unwrap();
                if at == when {
                    case.does(switch.clone()).unwrap();
                }
            };
            does(0, Command::Register(Box::new(Registered { trade_allowed: allowed, ..registered() })));
            if link != "registered" {
                does(1, Command::Heartbeat(heartbeat(allowed)));
            }
            if link == "lost" {
                case.passes(30);
                case.does(Command::CheckSilence).unwrap();
            }
            case.does(switch.clone()).unwrap();
            case
        })
        .collect()
}

#[test]
fn an_account_shows_what_the_table_says() {
    let mut count = 0;
    for (role, table) in [(Role::Master, MASTERS), (Role::Slave, SLAVES)] {
        for (row, expected) in rows(table) {
            for case in given(role, row) {
                assert_eq!(case.shows(), expected, "{} {row}", role.as_str());
            }
            count += 1;
        }
    }
    assert_eq!(count, 24);
}

#[test]
fn an_account_that_never_came_is_offline_and_off() {
    for role in [Role::Master, Role::Slave] {
        let new = Account::new(role, account_id("A_12"));
        let expected = match role {
            Role::Master => "0 master_web_ui_disabled master_offline",
            Role::Slave => "0 slave_web_ui_disabled slave_offline no_master_assigned",
        };
        assert_eq!(shown(new.evaluate()), expected);
    }
}

#[test]
fn trade_permission_counts_only_while_online() {
    for (role, intent) in [(Role::Master, true), (Role::Master, false), (Role::Slave, true), (Role::Slave, false)] {
        let offline = |trade_allowed| status::own(role, Inputs { intent, online: false, trade_allowed });
        assert_eq!(offline(true), offline(false));
    }
}

/// Rows are masters and columns slaves, both in the order of the tables above: the status of the one link.
const LINKS: &str = "
    000000000100
    000000000100
    000000000100
    000000000100
    000000000100
    000000000100
    000000000100
    000000000100
    000000000100
    000000000200
    000000000100
    000000000100
";

fn note(master: &str, case: &Case) -> Command {
    let Account { status, warnings, .. } = case.account;
    Command::NoteMaster(MasterNote { master: account_id(master), status, warnings })
}

fn follow(slave: &mut Case, master: &str, case: &Case) {
    slave.does(Command::Link { master: account_id(master), enabled: true, settings: Box::default() }).unwrap();
    slave.does(note(master, case)).unwrap();
}

#[test]
fn a_link_shows_what_its_master_and_its_slave_come_to() {
    let mut count = 0;
    for ((row, masters), statuses) in rows(MASTERS).zip(LINKS.split_whitespace()) {
        for ((column, slaves), status) in rows(SLAVES).zip(statuses.chars()) {
            let master = &given(Role::Master, row)[0];
            let mut slave = given(Role::Slave, column).remove(0);
            follow(&mut slave, "M_1", master);
            let own = slaves.split(' ').skip(1).filter(|code| *code != "no_master_assigned");
            let mut expected: Vec<&str> = own.chain(masters.split(' ').skip(1)).collect();
            if !masters.starts_with('2') {
                expected.push("master_cluster_degraded");
            }
            assert_eq!(slave.account.status.code().to_string(), status.to_string(), "{row} + {column}");
            assert_eq!(slave.account.warnings.codes(), expected, "{row} + {column}");
            count += 1;
        }
    }
    assert_eq!(count, 144);
}

/// slave | the masters' rows | status and warnings
const CLUSTERS: &str = "
    on online yes  |                                                  | 1 no_master_assigned
    on online yes  | on online yes                                    | 2
    on online yes  | on online no                                     | 1 master_auto_trading_disabled master_cluster_degraded
    on online yes  | on online yes, on online yes                     | 2
    on online yes  | on online yes, on lost yes                       | 1 master_offline master_cluster_degraded
    on online yes  | off online yes, on online yes                    | 1 master_web_ui_disabled master_cluster_degraded
    on online yes  | on online yes, on online yes, on online yes      | 2
    on online yes  | on online yes, on online yes, off lost no        | 1 master_web_ui_disabled master_offline master_cluster_degraded
    on online yes  | on online no, off online yes, on lost yes        | 1 master_web_ui_disabled master_offline master_auto_trading_disabled master_cluster_degraded
    off online yes | on online yes, on online yes                     | 0 slave_web_ui_disabled
    on lost yes    | on online yes, on online no                      | 0 slave_offline master_auto_trading_disabled master_cluster_degraded
    off online no  | on online no, off lost yes, on online yes        | 0 slave_web_ui_disabled slave_auto_trading_disabled master_web_ui_disabled master_offline master_auto_trading_disabled master_cluster_degraded
";

#[test]
fn a_slave_runs_when_all_its_masters_do() {
    let mut count = 0;
    for (row, rest) in rows(CLUSTERS) {
        let (masters, expected) = rest.split_once('|').unwrap();
        let mut slave = given(Role::Slave, row).remove(0);
        for (index, master) in masters.split(',').map(str::trim).filter(|row| !row.is_empty()).enumerate() {
            follow(&mut slave, &format!("M_{index}"), &given(Role::Master, master)[0]);
        }
        assert_eq!(slave.shows(), expected.trim(), "{row} | {masters}");
        count += 1;
    }
    assert_eq!(count, 12);
}

#[test]
fn every_warning_together_comes_out_by_priority() {
    let priorities: Vec<u16> = Warning::ALL.iter().map(|warning| warning.priority()).collect();
    assert_eq!(priorities, (1..=20).map(|number| number * 10).collect::<Vec<_>>());
    let backwards: Warnings = Warning::ALL.iter().rev().copied().collect();
    let codes: Vec<_> = Warning::ALL.iter().map(|warning| warning.code()).collect();
    assert_eq!(backwards.codes(), codes);
}

#[test]
fn what_happens_is_said_in_this_order() {
    let mut case = Case::new(Role::Master);
    let mut does = |command| names(&case.does(command).unwrap().0);
    let first = ["group_created", "account_registered", "status_changed"];
    assert_eq!(does(Command::Register(Box::new(registered()))), first);
    assert_eq!(does(Command::Register(Box::new(registered()))), ["account_registered"]);
    assert_eq!(does(Command::SetIntent { enabled: true }), ["intent_set", "status_changed"]);
    assert_eq!(does(Command::Heartbeat(heartbeat(true))), ["heartbeat_seen", "account_online", "status_changed"]);
    assert_eq!(does(Command::Heartbeat(heartbeat(true))), ["heartbeat_seen"]);
    assert_eq!(does(Command::Heartbeat(heartbeat(false))), ["heartbeat_seen", "status_changed"]);
    assert_eq!(does(Command::Unregister), ["account_unregistered", "status_changed"]);
    assert_eq!(does(Command::Unregister), [""; 0]);
    assert_eq!(does(Command::CheckSilence), [""; 0]);
    assert_eq!(does(Command::Heartbeat(heartbeat(true))), ["heartbeat_seen", "account_online", "status_changed"]);
    assert_eq!(does(Command::SetIntent { enabled: true }), [""; 0]);
}

#[test]
fn a_heartbeat_that_changes_nothing_is_one_event_and_no_effect() {
    for role in [Role::Master, Role::Slave] {
        let mut case = Case::online(role);
        for second in 1..100 {
            case.passes(1);
            let figures = HeartbeatSeen { open_positions: second, ..heartbeat(true) };
            let (events, effects) = case.does(Command::Heartbeat(figures.clone())).unwrap();
            assert_eq!((events, effects), (vec![Event::HeartbeatSeen(figures)], vec![]));
            assert_eq!(case.account.figures.as_ref().unwrap().open_positions, second);
        }
    }
}

#[test]
fn a_change_of_status_is_one_event_with_old_and_new_and_one_effect() {
    let mut case = Case::online(Role::Slave);
    let (events, effects) = case.does(Command::SetIntent { enabled: true }).unwrap();
    let warnings = Warnings::NONE.with(Warning::NoMasterAssigned);
    let (old, new) = (RuntimeStatus::Disabled, RuntimeStatus::Enabled);
    assert_eq!(events[1..], [Event::StatusChanged(StatusChanged { old, new, warnings })]);
    let stream = StreamId::Account(Role::Slave, account_id("A_12"));
    let config = Box::new(case.account.config());
    assert_eq!((config.runtime_status, config.warnings, config.version), (new, warnings, case.account.config_version));
    assert_eq!(effects, [Effect::ConfigDue { stream, config }]);
}

#[test]
fn other_warnings_under_the_same_status_are_a_change_too() {
    let mut case = Case::online(Role::Master);
    let (events, effects) = case.does(Command::Heartbeat(heartbeat(false))).unwrap();
    let Some(Event::StatusChanged(StatusChanged { old, new, .. })) = events.last() else { panic!("{events:?}") };
    assert_eq!((*old, *new, effects.len()), (RuntimeStatus::Disabled, RuntimeStatus::Disabled, 1));
}

#[test]
fn a_late_heartbeat_does_not_move_liveness_back() {
    let mut case = Case::online(Role::Master);
    case.passes(10);
    case.does(Command::Heartbeat(heartbeat(true))).unwrap();
    let last = case.account.last_heartbeat_at();
    case.does_late(Command::Heartbeat(heartbeat(true)), START + Span::seconds(5)).unwrap();
    assert_eq!((last, case.account.last_heartbeat_at()), (Some(case.now), Some(case.now)));
}

#[test]
fn silence_counts_from_receipt_and_to_the_very_microsecond() {
    let mut case = Case::online(Role::Master);
    case.passes(10);
    case.does_late(Command::Heartbeat(heartbeat(true)), START + Span::seconds(4)).unwrap();
    case.now = START + Span::seconds(34) - Span::micros(1);
    assert_eq!(case.does(Command::CheckSilence).unwrap().0, []);
    case.now = START + Span::seconds(34);
    let (events, effects) = case.does(Command::CheckSilence).unwrap();
    assert_eq!(names(&events), ["account_offline", "status_changed"]);
    assert_eq!(events[0], Event::Disconnected(Disconnected { last_heartbeat_at: START + Span::seconds(4) }));
    assert_eq!((effects.len(), case.account.connection), (1, Connection::Lost));
    assert_eq!(case.does(Command::CheckSilence).unwrap().0, [], "lost once");
}

#[test]
fn silence_before_the_desk_listened_does_not_count() {
    let mut case = Case::online(Role::Master);
    case.passes(3600);
    case.listening_since = case.now - Span::seconds(29);
    assert_eq!(case.does(Command::CheckSilence).unwrap().0, []);
    case.passes(1);
    assert_eq!(case.does(Command::CheckSilence).unwrap().0.len(), 2);
}

#[test]
fn the_limit_of_silence_is_the_setting() {
    let mut case = Case::online(Role::Master);
    case.settings.timeout_seconds = 2;
    case.passes(2);
    assert_eq!(case.does(Command::CheckSilence).unwrap().0.len(), 2);
}

#[test]
fn only_who_is_online_can_fall_silent() {
    for (row, _) in rows(MASTERS).filter(|(row, _)| !row.contains("online")) {
        for mut case in given(Role::Master, row) {
            case.passes(100_000);
            assert_eq!(case.does(Command::CheckSilence).unwrap().0, [], "{row}");
        }
    }
    assert_eq!(Case::new(Role::Slave).does(Command::CheckSilence).unwrap().0, []);
}

#[test]
fn a_registration_does_not_bring_an_account_online_nor_take_it_off() {
    let mut case = Case::online(Role::Master);
    case.does(Command::Register(Box::new(registered()))).unwrap();
    assert_eq!(case.account.connection, Connection::Online);
    case.passes(30);
    case.does(Command::CheckSilence).unwrap();
    case.does(Command::Register(Box::new(registered()))).unwrap();
    assert_eq!(case.account.connection, Connection::Registered);
}

#[test]
fn a_registration_says_who_the_account_is() {
    let mut case = Case::new(Role::Master);
    case.does(Command::Register(Box::new(registered()))).unwrap();
    let renamed = Registered { name: "Bert".into(), leverage: 30, currency: "USD".into(), ..registered() };
    case.does(Command::Register(Box::new(renamed))).unwrap();
    let known = case.account.identity.unwrap();
    assert_eq!((known.name.as_str(), known.leverage, known.currency.as_str()), ("Bert", 30, "USD"));
}

#[test]
fn texts_are_checked_before_they_are_repeated_to_anybody() {
    type Field = (&'static str, fn(&mut Registered) -> &mut String);
    let fields: [Field; 6] = [
        ("platform", |registered| &mut registered.platform),
        ("broker", |registered| &mut registered.broker),
        ("server", |registered| &mut registered.server),
        ("name", |registered| &mut registered.name),
        ("currency", |registered| &mut registered.currency),
        ("ea_version", |registered| &mut registered.ea_version),
    ];
    for (field, text) in fields {
        for (bad, good) in [("x".repeat(101), "ä".repeat(100)), ("a\nb".into(), "a b".into())] {
            for mut case in [Case::new(Role::Slave), Case::online(Role::Slave)] {
                let mut claim = registered();
                *text(&mut claim) = bad.clone();
                assert_eq!(case.refuses(Command::Register(Box::new(claim))), Refusal::TextInvalid { field });
            }
            let mut claim = registered();
            *text(&mut claim) = good;
            Case::new(Role::Slave).does(Command::Register(Box::new(claim))).unwrap();
        }
    }
}

#[test]
fn an_account_stays_with_its_broker_and_server() {
    let mut case = Case::online(Role::Master);
    for other in
        [Registered { broker: "Other".into(), ..registered() }, Registered { server: "Other".into(), ..registered() }]
    {
        let claimed = format!("{} ({})", other.broker, other.server);
        let known = "IC Markets (ICMarkets-Live07)".to_string();
        assert_eq!(case.refuses(Command::Register(Box::new(other))), Refusal::IdentityMismatch { known, claimed });
    }
}

#[test]
fn who_never_registered_is_unknown() {
    for command in [
        Command::Heartbeat(heartbeat(true)),
        Command::Unregister,
        Command::SetIntent { enabled: true },
        Command::SetIntent { enabled: false },
    ] {
        for locked in [false, true] {
            let mut case = Case { locked, ..Case::new(Role::Slave) };
            assert_eq!(case.refuses(command.clone()), Refusal::AccountUnknown, "{command:?}");
        }
    }
}

#[test]
fn a_locked_desk_lets_things_be_switched_off_only() {
    let mut case = Case::online(Role::Master);
    case.does(Command::SetIntent { enabled: true }).unwrap();
    case.locked = true;
    assert_eq!(case.refuses(Command::SetIntent { enabled: true }), Refusal::DeskLocked);
    case.does(Command::SetIntent { enabled: false }).unwrap();
    assert_eq!(case.refuses(Command::SetIntent { enabled: true }), Refusal::DeskLocked);
}

fn link(master: &str) -> Command {
    Command::Link { master: account_id(master), enabled: true, settings: Box::default() }
}
fn unlink(master: &str) -> Command {
    Command::Unlink { master: account_id(master), wind_down: None, expected: None }
}

#[test]
fn a_link_is_refused_in_this_order() {
    assert_eq!(Case::new(Role::Master).refuses(link("A_12")), Refusal::NotASlave);
    let mut slave = Case::new(Role::Slave);
    assert_eq!(slave.refuses(link("A_12")), Refusal::LinkToItself);
    for number in 0..64 {
        slave.does(link(&format!("M_{number}"))).unwrap();
    }
    assert_eq!(slave.refuses(link("A_12")), Refusal::LinkToItself);
    assert_eq!(slave.refuses(link("M_7")), Refusal::LinkKnown(account_id("M_7")));
    assert_eq!(slave.refuses(link("M_64")), Refusal::LinksFull(64));
    slave.does(unlink("M_0")).unwrap();
    slave.does(link("M_64")).unwrap();
}

#[test]
fn only_what_is_linked_can_be_unlinked() {
    for role in [Role::Master, Role::Slave] {
        assert_eq!(Case::new(role).refuses(unlink("M_1")), Refusal::LinkUnknown(account_id("M_1")));
    }
    let mut slave = Case::online(Role::Slave);
    slave.does(link("M_1")).unwrap();
    assert_eq!(slave.refuses(unlink("M_12")), Refusal::LinkUnknown(account_id("M_12")));
    let done = slave.does(unlink("M_1")).unwrap().0;
    assert_eq!(names(&done), ["link_removed", "link_ended", "status_changed"]);
    assert_eq!(slave.refuses(unlink("M_1")), Refusal::LinkUnknown(account_id("M_1")));
    assert_eq!(slave.shows(), "1 no_master_assigned", "the first link has switched it on");
}

#[test]
fn a_note_counts_once_and_only_about_a_master_that_is_followed() {
    let master = given(Role::Master, "on online yes").remove(0);
    let mut slave = given(Role::Slave, "on online yes").remove(0);
    assert_eq!(slave.does(note("M_1", &master)).unwrap().0, []);
    slave.does(link("M_1")).unwrap();
    let (events, effects) = slave.does(note("M_1", &master)).unwrap();
    let expected = ["master_noted", "link_status_changed", "sync_wanted", "status_changed"];
    assert_eq!((names(&events), effects.len()), (expected.to_vec(), 1));
    assert_eq!(slave.does(note("M_1", &master)).unwrap().0, []);
    assert_eq!(slave.does(note("M_12", &master)).unwrap().0, []);
    assert_eq!(slave.shows(), "2");
}

#[test]
fn the_revision_moves_when_a_person_changes_something() {
    let mut case = Case::online(Role::Slave);
    assert_eq!(case.account.revision, Version(0));
    for command in [Command::SetIntent { enabled: true }, link("M_1"), unlink("M_1")] {
        let expected = case.version.next();
        case.does(command).unwrap();
        assert_eq!(case.account.revision, expected);
    }
    let before = case.account.revision;
    let terminals =
        [Command::Heartbeat(heartbeat(false)), Command::Register(Box::new(registered())), Command::Unregister];
    for command in terminals {
        case.does(command).unwrap();
        assert_eq!(case.account.revision, before);
    }
}

#[test]
fn every_refusal_says_its_code_its_kind_and_its_field() {
    use crate::answer::Status::*;
    let id = || account_id("M_1");
    let mismatch = Refusal::IdentityMismatch { known: "a".into(), claimed: "b".into() };
    let invalid = crate::copy::Invalid { field: "settings.volume.fixed".into(), why: "is zero".into() };
    let order = crate::sample::trade::order_id(1);
    for (refusal, code, status, field) in [
        (Refusal::AccountUnknown, "account_unknown", NotFound, None),
        (mismatch, "account_identity_mismatch", Conflict, None),
        (Refusal::TextInvalid { field: "name" }, "text_invalid", Invalid, Some("name")),
        (Refusal::SymbolsTooMany(5), "symbols_too_many", Invalid, Some("contracts")),
        (Refusal::ContractInvalid { symbol: "X".into(), why: "y" }, "contract_invalid", Invalid, Some("contracts")),
        (Refusal::DeskLocked, "desk_locked", Conflict, None),
        (Refusal::NotAMaster, "not_a_master", Conflict, None),
        (Refusal::GroupKnown, "group_known", Conflict, None),
        (Refusal::GroupUnknown, "group_unknown", NotFound, None),
        (Refusal::NotASlave, "not_a_slave", Conflict, None),
        (Refusal::LinkToItself, "link_to_itself", Invalid, Some("slave_account")),
        (Refusal::LinkCircular("A → B".into()), "link_circular", Conflict, Some("slave_account")),
        (Refusal::LinkKnown(id()), "link_known", Conflict, None),
        (Refusal::LinkUnknown(id()), "link_unknown", NotFound, None),
        (Refusal::LinksFull(64), "links_full", Conflict, None),
        (Refusal::LinkStale { seen: Version(1), found: Version(2) }, "revision_stale", Stale, None),
        (Refusal::SettingInvalid(invalid), "setting_invalid", Invalid, Some("settings.volume.fixed")),
        (Refusal::SignalGap { got: 3, expected: 1 }, "signal_gap", Conflict, Some("signal_seq")),
        (Refusal::SignalOld { got: 1, expected: 3 }, "signal_old", Conflict, Some("signal_seq")),
        (Refusal::TicketKnown(Ticket(1)), "ticket_known", Conflict, Some("ticket")),
        (Refusal::TicketUnknown(Ticket(1)), "ticket_unknown", Conflict, Some("ticket")),
        (Refusal::SignalInvalid { field: "lots", why: "x" }, "signal_invalid", Invalid, Some("lots")),
        (Refusal::TradesFull(5), "trades_full", Conflict, None),
        (Refusal::SnapshotStale { got: 1, expected: 2 }, "snapshot_stale", Conflict, Some("through_signal_seq")),
        (Refusal::SnapshotDoubled(Ticket(1)), "snapshot_doubled", Invalid, Some("trades")),
        (Refusal::OrderUnknown(order), "order_unknown", NotFound, Some("order")),
        (Refusal::OrderAnsweredAlready { order }, "order_answered", Conflict, Some("outcome")),
        (Refusal::NothingToRearm, "nothing_to_rearm", Conflict, None),
        (Refusal::RearmRefused(protection::RearmRefusal::NoDay), "no_trading_day", Conflict, Some("limits")),
    ] {
        let denial = refusal.denial();
        assert_eq!((denial.code.as_str(), denial.status, denial.field.as_deref()), (code, status, field));
        assert_eq!(denial.detail, refusal.to_string());
    }
}

/// A record that cannot follow stops the fold: each of these would need a state that the account is not in.
#[test]
fn an_unbelievable_record_stops_the_fold() {
    let stamp = Stamp { position: Position(9), version: Version(9), received_at: START, recorded_at: START };
    let online = Case::online(Role::Slave).account;
    let mut linked = Case::online(Role::Slave);
    linked.does(link("M_1")).unwrap();
    let master = || account_id("M_1");
    let (status, warnings) = (RuntimeStatus::Connected, Warnings::NONE);
    let never = Account::new(Role::Slave, account_id("A_12"));
    for (account, event) in [
        (&online, Event::Connected(Connected {})),
        (&never, Event::Disconnected(Disconnected { last_heartbeat_at: START })),
        (&online, Event::StatusChanged(StatusChanged { old: status, new: status, warnings })),
        (&linked.account, Event::LinkAdded(LinkAdded { master: master(), enabled: true, settings: Box::default() })),
        (&online, Event::LinkRemoved(LinkRemoved { master: master(), wind_down: WindDown::Keep })),
        (&online, Event::MasterNoted(MasterNoted { master: master(), status, warnings })),
    ] {
        let mut account: Account = account.clone();
        let folded = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| account.evolve(&event, &stamp)));
        assert!(folded.is_err(), "{event:?} was believed");
    }
}

/// What the account shows is what its inputs say, whatever happened in whatever order.
mod any_order {
    use super::*;
    use proptest::prelude::*;

    fn any_command() -> impl Strategy<Value = (u8, Command)> {
        let master = || prop::sample::select(vec!["M_1", "M_2"]).prop_map(account_id);
        let note = (master(), any::<bool>()).prop_map(|(master, on)| match on {
            true => MasterNote { master, status: RuntimeStatus::Connected, warnings: Warnings::NONE },
            false => {
                let warnings = Warnings::NONE.with(Warning::MasterOffline);
                MasterNote { master, status: RuntimeStatus::Disabled, warnings }
            }
        });
        let command = prop_oneof![
            any::<bool>()
                .prop_map(|trade_allowed| Command::Register(Box::new(Registered { trade_allowed, ..registered() }))),
            any::<bool>().prop_map(|allowed| Command::Heartbeat(heartbeat(allowed))),
            Just(Command::Unregister),
            Just(Command::CheckSilence),
            any::<bool>().prop_map(|enabled| Command::SetIntent { enabled }),
            master().prop_map(|master: AccountId| Command::Link { master, enabled: true, settings: Box::default() }),
            master().prop_map(|master: AccountId| Command::Unlink { master, wind_down: None, expected: None }),
            note.prop_map(Command::NoteMaster),
        ];
        (0u8..40, command)
    }

    proptest! {
        #[test]
        fn the_status_is_always_the_one_that_follows(
            role in prop::sample::select(vec![Role::Master, Role::Slave]),
            commands in prop::collection::vec(any_command(), 1..40),
        ) {
            let mut case = Case::new(role);
            for (seconds, command) in commands {
                case.passes(seconds.into());
                let before = case.account.clone();
                let Ok((events, effects)) = case.does(command) else { continue };
                let changed = (before.status, before.warnings) != (case.account.status, case.account.warnings);
                let changes = events.iter().filter(|event| matches!(event, Event::StatusChanged(_))).count();
                prop_assert_eq!(changes, usize::from(changed));
                let told: Vec<_> = effects.iter().filter(|effect| matches!(effect, Effect::ConfigDue { .. })).collect();
                if before.config() == case.account.config() {
                    prop_assert_eq!(told, Vec::<&Effect>::new());
                } else {
                    let config = Box::new(case.account.config());
                    prop_assert!(config.version > before.config().version);
                    prop_assert_eq!(told, [&Effect::ConfigDue { stream: case.account.stream(), config }]);
                }
                let Account { status, warnings, .. } = case.account;
                if !events.is_empty() {
                    prop_assert_eq!(Evaluation { status, warnings }, case.account.evaluate());
                    for link in case.account.links.values() {
                        let evaluated = case.account.evaluate_link(link);
                        prop_assert_eq!((link.status, link.warnings), (evaluated.status, evaluated.warnings));
                    }
                }
            }
        }
    }
}
