//! Who is ready, and what follows for links and slaves.

use super::scene::Scene;
use super::*;
use crate::account::status;

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

/// slave | the masters' rows | status if all are required, if any is enough | warnings
const CLUSTERS: &str = "
    on online yes  |                                                  | 1 1 | no_master_assigned
    on online yes  | on online yes                                    | 2 2 |
    on online yes  | on online no                                     | 1 1 | master_auto_trading_disabled master_cluster_degraded
    on online yes  | on online yes, on online yes                     | 2 2 |
    on online yes  | on online yes, on lost yes                       | 1 2 | master_offline master_cluster_degraded
    on online yes  | off online yes, on online yes                    | 1 2 | master_web_ui_disabled master_cluster_degraded
    on online yes  | on online yes, on online yes, on online yes      | 2 2 |
    on online yes  | on online yes, on online yes, off lost no        | 1 2 | master_web_ui_disabled master_offline master_cluster_degraded
    on online yes  | on online no, off online yes, on lost yes        | 1 1 | master_web_ui_disabled master_offline master_auto_trading_disabled master_cluster_degraded
    off online yes | on online yes, on online yes                     | 0 0 | slave_web_ui_disabled
    on lost yes    | on online yes, on online no                      | 0 0 | slave_offline master_auto_trading_disabled master_cluster_degraded
    off online no  | on online no, off lost yes, on online yes        | 0 0 | slave_web_ui_disabled slave_auto_trading_disabled master_web_ui_disabled master_offline master_auto_trading_disabled master_cluster_degraded
";

#[test]
fn a_slave_runs_when_all_its_masters_do_or_any_where_that_is_enough() {
    let mut count = 0;
    for row in CLUSTERS.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[row, masters, statuses, warnings] = parts.as_slice() else { panic!("{row}") };
        for (all, status) in [true, false].into_iter().zip(statuses.split(' ')) {
            let mut slave = given(Role::Slave, row).remove(0);
            let settings = AccountSettings { require_all_masters: all, ..AccountSettings::default() };
            slave.does(Command::ChangeSettings(Box::new(settings))).unwrap();
            let masters: Vec<&str> = masters.split(',').map(str::trim).filter(|row| !row.is_empty()).collect();
            for (index, master) in masters.iter().enumerate() {
                follow(&mut slave, &format!("M_{index}"), &given(Role::Master, master)[0]);
            }
            assert_eq!(slave.shows(), format!("{status} {warnings}").trim(), "{row} | {masters:?} | all: {all}");
            let connected = masters.iter().filter(|master| **master == "on online yes").count();
            let allowed = slave.account.config().links.iter().filter(|link| link.allow_new_orders).count();
            let expected = if status == "2" { connected } else { 0 };
            assert_eq!(
                allowed, expected,
                "{row} | {masters:?} | all: {all}: new orders are allowed where both are ready"
            );
        }
        count += 1;
    }
    assert_eq!(count, 12);
}

/// A link that is switched off counts for nothing in the slave's own status, unless all are off.
#[test]
fn a_link_has_a_status_of_its_own() {
    let master = |row| given(Role::Master, row).remove(0);
    let mut slave = given(Role::Slave, "on online yes").remove(0);
    follow(&mut slave, "M_1", &master("on online yes"));
    follow(&mut slave, "M_2", &master("on lost yes"));
    let shown = |slave: &Case| {
        let links = slave.account.links.values();
        let links: Vec<u8> = links.map(|link| link.status.code()).collect();
        (slave.account.status.code(), links)
    };
    assert_eq!(shown(&slave), (1, vec![2, 1]));
    let switch = |master: &str, enabled| Command::SwitchLink { master: account_id(master), enabled, expected: None };
    slave.does(switch("M_2", false)).unwrap();
    assert_eq!(shown(&slave), (2, vec![2, 0]));
    assert_eq!(slave.account.links[&account_id("M_2")].warnings.codes(), ["slave_web_ui_disabled", "master_offline"]);
    slave.does(switch("M_1", false)).unwrap();
    assert_eq!(shown(&slave), (0, vec![0, 0]));
    slave.does(switch("M_2", true)).unwrap();
    assert_eq!(shown(&slave), (1, vec![0, 1]));
    slave.does(switch("M_1", true)).unwrap();
    slave.does(note("M_2", &master("on online yes"))).unwrap();
    assert_eq!(shown(&slave), (2, vec![2, 2]));
}

/// what is done | status of the master, of the slave
const DAY: &str = "
    M off      | 0 1
    M on       | 2 2
    S off      | 2 0
    S on       | 2 2
    M bars     | 0 1
    M beats    | 2 2
    S bars     | 2 0
    S beats    | 2 2
    M lost     | 0 1
    M beats    | 2 2
    S lost     | 2 0
    S registers| 2 0
    S beats    | 2 2
    M leaves   | 0 1
    M registers| 0 1
    M beats    | 2 2
    S leaves   | 2 0
    S beats    | 2 2
    S link M off | 2 0
    S link M on  | 2 2
    S unlinks M  | 2 1
    S follows M  | 2 2
    M dissolves  | 0 1
";

#[test]
fn both_follow_each_other_through_a_day() {
    let mut scene = Scene::new("master M\nslave S of M");
    let mut count = 0;
    for (line, expected) in rows(DAY) {
        scene.does(line).unwrap();
        let status = |of: &str| scene.account(of).status.code();
        assert_eq!(format!("{} {}", status("master/M"), status("slave/S")), expected, "{line}");
        count += 1;
    }
    assert_eq!(count, 23);
}

#[test]
fn a_master_that_comes_after_its_slave_is_followed() {
    let mut scene = Scene::new("slave S of M");
    assert_eq!(
        scene.account("slave/S").warnings.codes(),
        ["master_web_ui_disabled", "master_offline", "master_cluster_degraded"]
    );
    scene.does("master M").unwrap();
    assert_eq!((scene.account("slave/S").status.code(), scene.account("slave/S").warnings), (2, Warnings::NONE));
}

/// One account is both: what its slave does is nothing to its master, and the other way round.
#[test]
fn an_account_in_both_roles_is_two() {
    let mut scene = Scene::new("master M\nslave S of M");
    let both = account_id("B");
    let (master, slave) = (StreamId::master(&both), StreamId::slave(&both));
    for to in [&master, &slave] {
        for command in [Command::Register(Box::new(registered())), Command::Heartbeat(heartbeat(true))] {
            scene.log.account(to, command).unwrap();
        }
        scene.log.account(to, Command::SetIntent { enabled: true }).unwrap();
    }
    let before = scene.account("master/B").clone();
    scene.log.account(&slave, link("M")).unwrap();
    assert_eq!(scene.account("slave/B").status, RuntimeStatus::Connected);
    scene.log.account(&slave, Command::SetIntent { enabled: false }).unwrap();
    scene.log.account(&slave, Command::Unregister).unwrap();
    assert_eq!(*scene.account("master/B"), before);
    scene.log.account(&master, Command::Unregister).unwrap();
    assert_eq!(scene.account("slave/B").connection, Connection::Unregistered);
    assert_eq!(scene.account("slave/S").status, RuntimeStatus::Connected, "M is another account");
}

/// The terminal is told once it has been heard, and then only when its configuration is another one.
#[test]
fn a_registration_and_its_heartbeat_make_one_configuration_and_a_repeat_none() {
    for role in [Role::Master, Role::Slave] {
        let mut case = Case::new(role);
        let configs = |case: &mut Case, command| {
            let effects = case.does(command).unwrap().1;
            effects.into_iter().filter(|effect| matches!(effect, Effect::ConfigDue { .. })).count()
        };
        configs(&mut case, Command::Register(Box::new(registered())));
        assert_eq!(configs(&mut case, Command::Heartbeat(heartbeat(true))), 1);
        for _ in 0..10 {
            case.passes(1);
            assert_eq!(configs(&mut case, Command::Heartbeat(heartbeat(true))), 0);
        }
        assert_eq!(configs(&mut case, Command::Register(Box::new(registered()))), 0, "the same as it was");
        assert_eq!(configs(&mut case, Command::Heartbeat(heartbeat(true))), 0);
        assert_eq!(configs(&mut case, Command::Heartbeat(heartbeat(false))), 1);
    }
}

#[test]
fn a_configuration_goes_to_exactly_those_for_whom_it_is_another_one() {
    let mut scene = Scene::new("master M\nmaster N\nslave S of M\nslave T of M\nslave U of N");
    for (line, expected) in [
        ("M off", vec!["master/M", "slave/S", "slave/T"]),
        ("M off", vec![]),
        ("M on", vec!["master/M", "slave/S", "slave/T"]),
        ("S off", vec!["slave/S"]),
        ("U link N off", vec!["slave/U"]),
        ("M open 1 buy EURUSD 0.5", vec![]),
        ("T unlinks M", vec!["slave/T"]),
        ("M lost", vec!["master/M", "slave/S"]),
    ] {
        scene.log.effects.clear();
        scene.does(line).unwrap();
        let told: std::collections::BTreeSet<String> = scene.log.effects.iter().filter_map(config_of).collect();
        assert_eq!(told.into_iter().collect::<Vec<_>>(), expected, "{line}");
    }
}

fn config_of(effect: &Effect) -> Option<String> {
    match effect {
        Effect::ConfigDue { stream, .. } => Some(stream.to_string()),
        _ => None,
    }
}

/// A clock that is off is said once, and once when it is right again.
#[test]
fn clocks_that_differ_are_warned_of() {
    let mut case = Case::online(Role::Slave);
    let mut beat = |off: i64| {
        case.sent_off = Span::seconds(off);
        names(&case.does(Command::Heartbeat(heartbeat(true))).unwrap().0)
    };
    assert_eq!(beat(0), ["heartbeat_seen"]);
    assert_eq!(beat(10), ["heartbeat_seen"]);
    assert_eq!(beat(11), ["heartbeat_seen", "warning_raised", "status_changed"]);
    assert_eq!(beat(-3000), ["heartbeat_seen"]);
    assert_eq!(beat(-10), ["heartbeat_seen", "warning_cleared", "status_changed"]);
}

#[test]
fn a_second_terminal_is_warned_of_until_this_one_goes() {
    let mut case = Case::online(Role::Slave);
    assert_eq!(names(&case.does(Command::NoteStaleEpoch).unwrap().0), ["warning_raised", "status_changed"]);
    assert_eq!(case.does(Command::NoteStaleEpoch).unwrap().0, []);
    assert_eq!(case.shows(), "0 slave_web_ui_disabled no_master_assigned duplicate_ea");
    case.passes(31);
    let gone = names(&case.does(Command::CheckSilence).unwrap().0);
    assert_eq!(gone, ["warning_cleared", "account_offline", "status_changed"]);
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
