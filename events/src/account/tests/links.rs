//! Links and groups: who follows whom, by whose wish, and how it ends.

use super::scene::{Scene, pair};
use super::*;

/// mode | at once | when the master closes 1, then 2
const ENDS: &str = "
    keep                   | is done with M                                      |              |
    close_now              | #4 close #1 (wind_down); #5 close #2 (wind_down); #6 close #3 (wind_down) | 1: unchanged  | 2: unchanged
    close_only_by_position | #4 close #3 (wind_down)                             | 1: copied; #5 close #1 | 2: copied; #6 close #2
    close_only_by_symbol   | #4 close #3 (wind_down)                             | 1: waits_for_symbol    | 2: copied; #5 close #2; #6 close #1 (wind_down)
";

#[test]
fn a_link_ends_as_its_mode_says() {
    let mut count = 0;
    for row in ENDS.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[mode, at_once, first, second] = parts.as_slice() else { panic!("{row}") };
        let mut scene = Scene::new(
            "master M
             slave S of M
             M open 1 buy EURUSD 0.5
             M open 2 buy EURUSD 0.2
             M open 3 buy GBPUSD 0.2 limit at 1.2
             S fills #1
             S fills #2
             S places #3",
        );
        let said = |text: &str| -> String {
            text.split("; ").filter(|said| !said.is_empty()).map(|said| format!("\n> S {said}")).collect()
        };
        let (at_once, ended) = match at_once {
            "is done with M" => ("\n> S is done with M\n> S is 2 → 1".to_string(), true),
            at_once => (format!("\n> S is 2 → 1{}", said(at_once)), false),
        };
        scene.plays(&format!(
            "S unlinks M {mode}\n> S leaves M: {mode}{at_once}
             M open 4 buy EURUSD 0.1{}
             M close 4{}
             M close 1{}
             M close 2{}",
            if ended { "" } else { "\n> S 4: link_winding_down" },
            if ended { "" } else { "\n> S 4: not_copied" },
            said(first),
            said(second)
        ));
        count += 1;
        if ended {
            continue;
        }
        let left: Vec<u64> = scene.book("S").outbox.keys().copied().collect();
        for (number, seq) in left.iter().enumerate() {
            assert!(scene.account("slave/S").links.len() == 1, "{mode} ended early at {number}");
            scene.does(&format!("S fills #{seq}")).unwrap();
        }
        scene.does("M close 3").unwrap();
        assert_eq!(scene.account("slave/S").links.len(), 0, "{mode} has not ended");
        assert!(scene.book("S").copies.is_empty());
        assert_eq!(scene.log.fold.truth.slaves_of(&crate::sample::account_id("M")).count(), 0);
    }
    assert_eq!(count, 4);
}

/// By its ticket, or by its order where the opening was not answered yet; what a hand opened is strange all the same.
#[test]
fn what_was_kept_is_no_stranger() {
    Scene::new("master M\nslave S of M\nM open 1 buy EURUSD 0.5\nS fills #1\nM open 2 buy EURUSD 0.2").plays(
        "S unlinks M keep
         > S leaves M: keep
         > S is done with M
         > S is 2 → 1
         S fills #2
         S holds 801 buy EURUSD 0.5, 802 buy EURUSD 0.2 #2
         > S told all
         S holds 801 buy EURUSD 0.5, 9 buy EURUSD 0.1
         > S told all, strange 9
         > S warns unknown_position
         S holds 801 buy EURUSD 0.5
         > S told all
         > S clears unknown_position",
    );
}

#[test]
fn a_close_of_a_link_that_is_wound_down_at_once_is_tried_again() {
    Scene::new("master M\nslave S of M\nM open 1 buy EURUSD 0.5\nS fills #1").plays(
        "S unlinks M close_now
         > S leaves M: close_now
         > S is 2 → 1
         > S #2 close #1 (wind_down)
         S rejects #2
         > S #3 close #1 (correction)
         S fills #3
         > S is done with M",
    );
}

#[test]
fn a_link_without_copies_ends_at_once() {
    pair().plays(
        "S unlinks M close_now
         > S leaves M: close_now
         > S is done with M
         > S is 2 → 1
         S unlinks M
         > refused link_unknown
         M open 1 buy EURUSD 0.5",
    );
}

#[test]
fn the_mode_of_the_end_comes_from_the_settings_unless_it_is_said() {
    for (given, mode) in [
        ("wait 0s", "keep"),
        (r#"desk {"wind_down":"close_now"}"#, "close_now"),
        (r#"S link M {"wind_down":"close_only_by_symbol"}"#, "close_only_by_symbol"),
    ] {
        let mut scene = Scene::new(&format!("master M\nslave S of M\n{given}"));
        scene.plays(&format!("S unlinks M\n> S leaves M: {mode}\n> S is done with M\n> S is 2 → 1"));
    }
}

#[test]
fn a_link_that_is_added_again_while_it_is_wound_down_goes_on() {
    Scene::new("master M\nslave S of M\nM open 1 buy EURUSD 0.5\nS fills #1").plays(
        "S unlinks M close_only_by_position
         > S leaves M: close_only_by_position
         > S is 2 → 1
         S follows M
         > S follows M
         > S looks at M
         > S is 1 → 2
         > S 1: unchanged
         M open 2 buy EURUSD 0.5
         > S 2: copied
         > S #2 buy EURUSD 0.5
         M close 1
         > S 1: copied
         > S #3 close #1
         S fills #3",
    );
}

#[test]
fn a_group_that_is_removed_takes_its_members_with_it() {
    let mut scene = Scene::new(
        "master M\nmaster N\nslave S of M {\"wind_down\":\"close_now\"}\nslave T of M\nT follows N\nM open 1 buy EURUSD 0.5\nS fills #1",
    );
    scene.plays(
        "M dissolves
         > M is 2 → 0
         > S leaves M: close_now
         > S is 2 → 1
         > S #2 close #1 (wind_down)
         > T leaves M: keep
         > T is done with M
         M dissolves
         > refused group_unknown
         S fills #2
         > S is done with M",
    );
    assert_eq!(scene.account("slave/T").links.len(), 1);
    assert!(scene.account("master/M").group.is_none());
}

/// The desk's, the master's, the group's, the link's or the slave's: the last one that says it counts.
#[test]
fn a_group_that_is_removed_goes_by_every_level_of_the_settings() {
    let levels = [
        (r#"desk {"wind_down":"close_now"}"#, "close_now"),
        (r#"M settings {"copy":{"wind_down":"close_only_by_position"}}"#, "close_only_by_position"),
        (r#"M group {"wind_down":"close_only_by_symbol"}"#, "close_only_by_symbol"),
        (r#"S link M {"wind_down":"keep"}"#, "keep"),
        (r#"S settings {"copy":{"wind_down":"close_now"}}"#, "close_now"),
    ];
    for (count, (line, mode)) in levels.iter().enumerate() {
        let above: String = levels[..count].iter().map(|(line, _)| format!("\n{line}")).collect();
        for given in [format!("\n{line}"), format!("{above}\n{line}")] {
            let mut scene = Scene::new(&format!("master M\nslave S of M{given}"));
            scene.plays(&format!("M dissolves\n> M is 2 → 0\n> S leaves M: {mode}\n> S is done with M\n> S is 2 → 1"));
        }
    }
}

/// Who saw an older version is told so, and nothing is changed; the same wish with the right one is taken.
#[test]
fn a_change_is_refused_to_who_has_not_seen_the_last_one() {
    let mut scene = pair();
    let seen = scene.account("slave/S").links.values().next().unwrap().revision;
    scene.does(&format!("S link M {{\"reverse\":true}} v{}", seen.0)).unwrap();
    for wish in ["S link M off", r#"S link M {"reverse":false}"#] {
        let stale = scene.does(&format!("{wish} v{}", seen.0));
        assert_eq!(stale, Err("revision_stale".into()), "{wish}");
        let now = scene.account("slave/S").links.values().next().unwrap().revision;
        assert_ne!(now, seen);
        scene.does(&format!("{wish} v{}", now.0)).unwrap();
        assert_eq!(scene.does(&format!("{wish} v{}", Version(999).0)), Err("revision_stale".into()));
    }
}

#[test]
fn the_version_of_a_link_moves_with_what_people_do_to_it_and_with_nothing_else() {
    let mut scene = Scene::new("master M\nmaster N\nslave S of M\nS follows N");
    let revision = |scene: &Scene| scene.account("slave/S").links[&crate::sample::account_id("M")].revision;
    let before = revision(&scene);
    for other in ["S link N off", "S off", "S on", "M off", "M on", "M open 1 buy EURUSD 0.5", "S lost", "S beats"] {
        scene.does(other).unwrap();
        assert_eq!(revision(&scene), before, "{other}");
    }
    let mut last = before;
    for own in ["S link M off", "S link M on", r#"S link M {"reverse":true}"#] {
        scene.does(own).unwrap();
        assert!(revision(&scene) > last, "{own}");
        last = revision(&scene);
        scene.does(own).unwrap();
        assert_eq!(revision(&scene), last, "{own} twice is no change");
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_wherever_they_are_set() {
    let mut scene = pair();
    for line in [
        r#"S link M {"volume":{"fixed":"0"}}"#,
        r#"S settings {"copy":{"volume":{"fixed":"0"}}}"#,
        r#"S settings {"protection":{"warn_at_percent":0}}"#,
        r#"M group {"source_lots_min":"2","source_lots_max":"1"}"#,
        r#"desk {"retries_max":99}"#,
        r#"S follows N {"slippage_max":"-1"}"#,
    ] {
        assert_eq!(scene.does(line), Err("setting_invalid".into()), "{line}");
    }
}

#[test]
fn the_first_link_that_is_on_switches_an_untouched_slave_on() {
    let mut scene = Scene::new("master M\nslave S");
    assert!(!scene.account("slave/S").intent);
    scene.does("S follows M").unwrap();
    assert!(scene.account("slave/S").intent);
    let mut scene = Scene::new("master M\nslave S\nS off\nS follows M");
    assert!(!scene.account("slave/S").intent, "a person has said off");
    scene.does("S link M on").unwrap();
    assert!(!scene.account("slave/S").intent);
}

#[test]
fn a_link_may_stand_before_anybody_has_come() {
    Scene::new("S follows M").plays(
        "master M
         > M told all
         > M is 0 → 2
         > M is asked for all
         slave S
         > S told all
         > S looks at M
         > S is 0 → 2
         > S is asked for all
         M open 1 buy EURUSD 0.5
         > S 1: copied
         > S #1 buy EURUSD 0.5",
    );
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
