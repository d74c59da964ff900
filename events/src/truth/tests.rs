use super::*;
use crate::account::{HeartbeatSeen, IntentSet, LinkAdded, LinkEnded, LinkRemoved};
use crate::alert;
use crate::commit::Unpacked;
use crate::copy::settings::WindDown;
use crate::event::Unknown;
use crate::reason::{RuntimeStatus, Warning};
use crate::sample::{self, START, account_id, credential, reason, user};
use crate::time::Span;

fn desk() -> Event {
    Event::Desk(sample::desk_events().swap_remove(0))
}
fn intent(enabled: bool) -> Event {
    Event::Account(account::Event::IntentSet(IntentSet { enabled }))
}

/// The desk is 0, the master A_1 is 1, the slave A_12 is 2; the desk is open.
fn small() -> Truth {
    let mut truth = Truth::default();
    let names = ["desk", "master/A_1", "slave/A_12"].map(|id| id.parse().unwrap());
    let names: Vec<_> = (0..).map(StreamNo).zip(names).collect();
    truth.learn(&names).unwrap();
    truth.apply(&sample::record(1, 0, 1, desk())).unwrap();
    truth
}

#[test]
fn a_hole_and_a_repeat_are_refused_by_name() {
    for found in [0, 1, 3, u64::MAX] {
        let (after, found) = (Position(1), Position(found));
        let refused = small().apply(&sample::record(found.0, 1, 1, intent(true)));
        assert_eq!(refused, Err(Unbelievable::Position { after, found }));
    }
}

#[test]
fn a_version_out_of_order_is_refused_by_name() {
    for found in [0, 2, 3] {
        let refused = small().apply(&sample::record(2, 1, found, intent(true)));
        let (stream, after, found) = ("master/A_1".parse().unwrap(), Version(0), Version(found));
        assert_eq!(refused, Err(Unbelievable::Version { position: Position(2), stream, after, found }));
    }
}

#[test]
fn a_stream_without_a_name_is_refused_by_name() {
    let refused = small().apply(&sample::record(2, 3, 1, intent(true)));
    assert_eq!(refused, Err(Unbelievable::Nameless { position: Position(2), number: StreamNo(3) }));
}

#[test]
fn an_event_in_a_stream_of_another_kind_is_refused_by_name() {
    let of = |name: &str| sample::events().into_iter().find(|event| event.kind().name == name).unwrap();
    for (number, event) in [
        (1, desk()),
        (2, desk()),
        (0, intent(true)),
        (0, of("request_finished")),
        (1, of("request_finished")),
        (3, of("endpoint_registered")),
        (3, of("status_changed")),
        (4, of("proxy_settings_changed")),
        (4, desk()),
        (4, of("alert_raised")),
        (5, desk()),
        (5, of("proxy_settings_changed")),
    ] {
        let mut truth = small();
        truth.enter(&StreamId::Proxy);
        truth.enter(&StreamId::Endpoint(sample::endpoint::endpoint_id(1)));
        truth.enter(&StreamId::Alerts);
        let version = truth.slot(StreamNo(number)).unwrap().version.next();
        let stream = truth.names().get(StreamNo(number)).unwrap().clone();
        let refused = truth.apply(&sample::record(2, number, version.0, event));
        assert_eq!(refused, Err(Unbelievable::Foreign { position: Position(2), stream }));
    }
}

#[test]
fn a_number_keeps_its_name_and_a_name_its_number() {
    let learn = |number, id: &str| small().learn(&[(StreamNo(number), id.parse().unwrap())]);
    assert_eq!(learn(1, "master/A_1"), Ok(()), "known already");
    assert_eq!(learn(3, "slave/A_1"), Ok(()), "the next one");
    for (number, id, known) in [
        (1, "slave/A_1", "master/A_1"),
        (1, "master/A_12", "master/A_1"),
        (4, "slave/A_1", "not the next number"),
        (3, "master/A_1", "not the next number"),
    ] {
        let (claimed, known) = (id.parse().unwrap(), known.to_string());
        assert_eq!(learn(number, id), Err(Unbelievable::Renamed { number: StreamNo(number), known, claimed }));
    }
}

#[test]
fn a_quarantined_stream_is_passed_over_and_the_others_go_on() {
    let mut truth = small();
    let bad: StreamId = "master/A_1".parse().unwrap();
    truth.quarantine(bad.clone());
    assert!(truth.is_quarantined(&bad) && !truth.is_quarantined(&"slave/A_1".parse().unwrap()));
    let before = truth.slot_of(&bad).cloned();
    truth.apply(&sample::record(2, 1, 77, desk())).unwrap();
    truth.apply(&sample::record(3, 2, 1, intent(true))).unwrap();
    assert_eq!((truth.slot_of(&bad).cloned(), truth.position()), (before, Position(3)));
    assert!(truth.account(&"slave/A_12".parse().unwrap()).unwrap().intent);
    let hole = truth.apply(&sample::record(5, 1, 1, intent(true)));
    assert!(matches!(hole, Err(Unbelievable::Position { .. })), "its place in the log counts all the same");
}

#[test]
fn a_kind_of_a_later_build_takes_its_place_and_changes_nothing_else() {
    for number in [0, 1] {
        let mut truth = small();
        let slot = truth.slot(StreamNo(number)).unwrap().clone();
        let event = Event::Unknown(Unknown { number: 60_000, schema: 1, bytes: vec![1] });
        truth.apply(&sample::record(2, number, slot.version.next().0, event)).unwrap();
        let expected = Slot { version: slot.version.next(), touched: Position(2), ..slot };
        assert_eq!(truth.slot(StreamNo(number)), Some(&expected));
    }
}

#[test]
fn a_stream_remembers_the_last_cause_that_it_reacted_to() {
    let mut truth = small();
    let causes = [Some(Position(9)), None, Some(Position(4)), Some(Position(12))];
    for ((position, cause), expected) in (2..).zip(causes).zip([9, 9, 9, 12]) {
        let record = Record { causation: cause, ..sample::record(position, 1, position - 1, intent(true)) };
        truth.apply(&record).unwrap();
        assert_eq!(truth.slot(StreamNo(1)).unwrap().reacted, Position(expected));
    }
}

#[test]
fn who_follows_a_master_is_what_the_links_say() {
    let mut truth = small();
    let (one, twelve) = (account_id("A_1"), account_id("A_12"));
    let added = |master: &AccountId| {
        account::Event::LinkAdded(LinkAdded { master: master.clone(), enabled: true, settings: Box::default() })
    };
    let removed = account::Event::LinkRemoved(LinkRemoved { master: one.clone(), wind_down: WindDown::Keep });
    let followers = |truth: &Truth, of: &AccountId| truth.slaves_of(of).cloned().collect::<Vec<_>>();
    truth.apply(&sample::record(2, 2, 1, Event::Account(added(&one)))).unwrap();
    assert_eq!((followers(&truth, &one), followers(&truth, &twelve)), (vec![twelve.clone()], vec![]));
    truth.apply(&sample::record(3, 2, 2, Event::Account(added(&account_id("B_7"))))).unwrap();
    truth.apply(&sample::record(4, 2, 3, Event::Account(removed))).unwrap();
    assert_eq!(followers(&truth, &one), std::slice::from_ref(&twelve), "as long as copies may be left");
    let ended = account::Event::LinkEnded(LinkEnded { master: one.clone() });
    truth.apply(&sample::record(5, 2, 4, Event::Account(ended))).unwrap();
    assert_eq!(followers(&truth, &one), []);
    assert_eq!(followers(&truth, &account_id("B_7")), [twelve]);
}

/// who follows whom | a new link | the circle that it would close
const CIRCLES: &str = "
                            | A follows B |
    B follows A             | A follows B | A B
    B follows A             | B follows A |
    B follows A, C follows B | A follows C | A B C
    B follows A, C follows B | B follows C | B C
    B follows A, C follows B | C follows A |
    B follows A, C follows A, D follows B, D follows C | A follows D | A C D
    B follows A, C follows B, B follows C | D follows A |
";

#[test]
fn a_circle_is_told_by_the_way_that_it_goes() {
    use crate::sample::log::Log;
    let mut count = 0;
    for row in CIRCLES.lines().filter(|row| row.contains('|')) {
        let parts: Vec<&str> = row.split('|').map(str::trim).collect();
        let &[known, new, way] = parts.as_slice() else { panic!("{row}") };
        let mut log = Log::new();
        let link =
            |text: &str| text.split_once(" follows ").map(|(slave, master)| (account_id(slave), account_id(master)));
        for (slave, master) in known.split(", ").filter_map(link) {
            let link = account::LinkAdded { master, enabled: true, settings: Box::default() };
            log.has(&StreamId::slave(&slave), Event::Account(account::Event::LinkAdded(link)));
        }
        let (slave, master) = link(new).unwrap();
        let found = log.fold.truth.circle(&slave, &master);
        let found = found.map(|way| way.iter().map(|id| id.as_str()).collect::<Vec<_>>().join(" "));
        assert_eq!(found.unwrap_or_default(), way, "{row}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn streams_are_looked_up_by_what_they_are() {
    let truth = small();
    let id = |text: &str| text.parse::<StreamId>().unwrap();
    assert_eq!(truth.desk_id(), Some(sample::desk_id()));
    assert!(truth.account(&id("master/A_1")).is_some() && truth.account(&id("slave/A_1")).is_none());
    assert!(truth.account(&StreamId::Desk).is_none());
    assert_eq!(truth.accounts().count(), 2);
    assert!(truth.describe(&id("slave/B_7")).is_none());
    assert_eq!(truth.describe(&StreamId::Desk).unwrap()["state"]["id"], sample::desk_id().to_string());
}

#[test]
fn the_hash_does_not_depend_on_the_numbers_that_streams_got() {
    let fold = |order: [&str; 3]| {
        let mut truth = Truth::default();
        let mut number = |id: &str| truth.enter(&id.parse().unwrap()).0;
        for id in order {
            number(id);
        }
        let [desk_no, master, slave] = ["desk", "master/A_1", "slave/A_12"].map(number);
        for (position, number, event) in [(1, desk_no, desk()), (2, slave, intent(true)), (3, master, intent(false))] {
            truth.apply(&sample::record(position, number.0, 1, event)).unwrap();
        }
        truth
    };
    let (one, other) = (fold(["desk", "master/A_1", "slave/A_12"]), fold(["slave/A_12", "desk", "master/A_1"]));
    assert_ne!(one, other);
    assert_eq!(one.hash(), other.hash());
}

/// A truth in which every part of a slot has something in it.
fn full() -> Truth {
    let mut truth = small();
    let event = |name: &str| sample::events().into_iter().find(|event| event.kind().name == name).unwrap();
    let mut place = |number: u32, event: Event| {
        let (position, version) = (truth.position().next(), truth.slots[number as usize].version.next());
        truth.apply(&sample::record(position.0, number, version.0, event)).unwrap();
    };
    for name in ["user_added", "user_invited", "session_started", "token_created", "command_answered"] {
        place(0, event(name));
    }
    place(2, event("account_registered"));
    place(2, event("heartbeat_seen"));
    place(2, event("link_added"));
    place(2, event("account_settings_changed"));
    place(2, event("quote_seen"));
    place(2, event("copy_decided"));
    let order = crate::trade::Order { seq: 1, ..sample::trade::order() };
    place(2, Event::Account(account::Event::OrderIssued(account::OrderIssued { order: Box::new(order) })));
    truth.enter(&StreamId::Endpoint(sample::endpoint::endpoint_id(1)));
    truth.enter(&StreamId::Proxy);
    let mut place = |number: u32, event: Event| {
        let (position, version) = (truth.position().next(), truth.slots[number as usize].version.next());
        truth.apply(&sample::record(position.0, number, version.0, event)).unwrap();
    };
    for name in
        ["endpoint_registered", "endpoint_identified", "endpoint_models_synced", "endpoint_probed", "request_finished"]
    {
        place(3, event(name));
    }
    place(4, event("proxy_settings_changed"));
    truth.enter(&StreamId::Alerts);
    let mut place = |event: Event| {
        let (position, version) = (truth.position().next(), truth.slots[5].version.next());
        truth.apply(&sample::record(position.0, 5, version.0, event)).unwrap();
        position
    };
    for name in ["alert_rule_set", "alert_channel_set", "alert_muted"] {
        place(event(name));
    }
    let raised = |on: &str| {
        let Event::Alert(alert::Event::Raised(raised)) = event("alert_raised") else { panic!("it is an alert") };
        let (subject, channels) = (sample::alert::subject(on), vec![sample::alert::channel_id("mail")]);
        Event::Alert(alert::Event::Raised(alert::Raised { subject, channels, ..raised }))
    };
    let (first, _) = (place(raised("disk/one")), place(raised("disk/two")));
    let (rule, subject) = (sample::alert::rule_id("disk"), sample::alert::subject("disk/one"));
    place(Event::Alert(alert::Event::Cleared(alert::Cleared { alert: first, rule, subject, why: alert::Why::Over })));
    let of = |edge| alert::DeliveryId { alert: first, edge, channel: sample::alert::channel_id("mail") };
    let delivered = alert::Delivered { delivery: of(alert::Edge::Raised), took: Span::millis(1), status: None };
    place(Event::Alert(alert::Event::Delivered(delivered)));
    let given_up = alert::DeliveryGivenUp { delivery: of(alert::Edge::Cleared), attempts: 2, why: "no".into() };
    place(Event::Alert(alert::Event::DeliveryGivenUp(given_up)));
    truth
}

type Change<T> = (&'static str, fn(&mut T));

/// A field that is new must be named in one of these lists, or this does not build.
fn desk_changes(desk: &Desk) -> Vec<Change<Desk>> {
    let Desk { id: _, settings: _, locked: _, users: _, invites: _, sessions: _, tokens: _, .. } = desk;
    let Desk { listening_since: _, cut_through: _, revision: _, .. } = desk;
    vec![
        ("id", |desk| desk.id = None),
        ("settings.name", |desk| desk.settings.name.push('x')),
        ("settings.timeout_seconds", |desk| desk.settings.timeout_seconds += 1),
        ("settings.session_hours", |desk| desk.settings.session_hours += 1),
        ("locked", |desk| desk.locked = Some(reason("x"))),
        ("users", |desk| desk.users.clear()),
        ("user.access", |desk| desk.users.get_mut(&user("anna")).unwrap().access = desk::Access::Viewer),
        ("user.credential", |desk| desk.users.get_mut(&user("anna")).unwrap().credential = credential(99)),
        ("user.since", |desk| desk.users.get_mut(&user("anna")).unwrap().since = START),
        ("invites", |desk| desk.invites.clear()),
        ("sessions", |desk| desk.sessions.clear()),
        ("session.peer", |desk| desk.sessions.values_mut().for_each(|session| session.peer.push('x'))),
        ("tokens", |desk| desk.tokens.clear()),
        ("token.expires_at", |desk| desk.tokens.values_mut().for_each(|token| token.expires_at = None)),
        ("listening_since", |desk| desk.listening_since = START),
        ("cut_through", |desk| desk.cut_through = Position(3)),
        ("revision", |desk| desk.revision = Version(3)),
    ]
}

fn account_changes(account: &Account) -> Vec<Change<Account>> {
    let Account { role: _, id: _, identity: _, epoch: _, intent: _, intent_by_person: _, connection: _, .. } = account;
    let Account { figures: _, trade_allowed: _, links: _, group: _, settings: _, status: _, warnings: _, .. } = account;
    let Account { noticed: _, master_book: _, slave_book: _, protection: _, quotes: _, .. } = account;
    let Account { config_version: _, revision: _, .. } = account;
    vec![
        ("role", |account| account.role = Role::Master),
        ("id", |account| account.id = account_id("A_1")),
        ("identity", |account| account.identity = None),
        ("identity.name", |account| account.identity.as_mut().unwrap().name.push('x')),
        ("identity.contracts", |account| account.identity.as_mut().unwrap().contracts.clear()),
        ("epoch", |account| account.epoch += 1),
        ("intent", |account| account.intent = !account.intent),
        ("intent_by_person", |account| account.intent_by_person = !account.intent_by_person),
        ("connection", |account| account.connection = account::Connection::Lost),
        ("figures", |account| account.figures = None),
        ("figures.equity", |account| account.figures.as_mut().unwrap().equity = "1".parse().unwrap()),
        ("figures.received_at", |account| account.figures.as_mut().unwrap().received_at = START),
        ("trade_allowed", |account| account.trade_allowed = !account.trade_allowed),
        ("links", |account| account.links.clear()),
        ("link.enabled", |account| the_link(account).enabled = true),
        ("link.settings", |account| the_link(account).settings.reverse = None),
        ("link.synced", |account| the_link(account).synced = true),
        ("link.winding", |account| the_link(account).winding = Some(WindDown::Keep)),
        ("link.master_status", |account| the_link(account).master_status = RuntimeStatus::Connected),
        ("link.status", |account| the_link(account).status = RuntimeStatus::Connected),
        ("group", |account| {
            account.group = Some(Box::new(account::Group { name: "x".into(), settings: Box::default() }));
        }),
        ("settings", |account| account.settings = None),
        ("settings.copy", |account| account.settings.as_mut().unwrap().copy.reverse = None),
        ("settings.protection", |account| account.settings.as_mut().unwrap().protection.positions_max = None),
        ("status", |account| account.status = RuntimeStatus::Enabled),
        ("warnings", |account| account.warnings = account.warnings.with(Warning::SlaveOffline)),
        ("noticed", |account| account.noticed = account.noticed.with(Warning::ClockSkew)),
        ("master_book", |account| account.master_book = Some(Box::default())),
        ("slave_book", |account| account.slave_book = None),
        ("slave_book.order_seq", |account| account.slave_book.as_mut().unwrap().order_seq += 1),
        ("slave_book.outbox", |account| account.slave_book.as_mut().unwrap().outbox.clear()),
        ("slave_book.copies", |account| account.slave_book.as_mut().unwrap().copies.clear()),
        ("slave_book.withheld", |account| {
            account
                .slave_book
                .as_mut()
                .unwrap()
                .withheld
                .insert(account_id("A_1"), [(crate::trade::Ticket(1), crate::account::Until::Link)].into());
        }),
        ("slave_book.agreed", |account| account.slave_book.as_mut().unwrap().agreed = Some(Default::default())),
        ("protection", |account| account.protection = None),
        ("protection.peak", |account| account.protection.as_mut().unwrap().marks.peak = "1".parse().unwrap()),
        ("quotes", |account| account.quotes.clear()),
        ("config_version", |account| account.config_version += 1),
        ("revision", |account| account.revision = Version(99)),
    ]
}

fn endpoint_changes(endpoint: &Endpoint) -> Vec<Change<Endpoint>> {
    let Endpoint { id: _, settings: _, registered_at: _, removed_at: _, found: _, health: _, latency: _, .. } =
        endpoint;
    let Endpoint { inference: _, measured_at: _, last_seen: _, last_error: _, next_probe_at: _, .. } = endpoint;
    let Endpoint { models: _, models_at: _, told: _, revision: _, .. } = endpoint;
    vec![
        ("endpoint.id", |it| it.id = sample::endpoint::endpoint_id(2)),
        ("endpoint.settings", |it| it.settings = None),
        ("endpoint.settings.weight", |it| it.settings.as_mut().unwrap().weight += 1),
        ("endpoint.registered_at", |it| it.registered_at = Timestamp(1)),
        ("endpoint.removed_at", |it| it.removed_at = Some(START)),
        ("endpoint.found", |it| it.found = None),
        ("endpoint.health.status", |it| it.health.status = endpoint::Status::HalfOpen),
        ("endpoint.health.since", |it| it.health.since = Timestamp(1)),
        ("endpoint.health.failures", |it| it.health.failures += 1),
        ("endpoint.health.successes", |it| it.health.successes += 1),
        ("endpoint.health.retries", |it| it.health.retries += 1),
        ("endpoint.latency", |it| it.latency = Some(Span(1))),
        ("endpoint.inference", |it| it.inference.add(1)),
        ("endpoint.measured_at", |it| it.measured_at = None),
        ("endpoint.last_seen", |it| it.last_seen = None),
        ("endpoint.last_error", |it| it.last_error = None),
        ("endpoint.next_probe_at", |it| it.next_probe_at = Timestamp(1)),
        ("endpoint.models", |it| it.models.clear()),
        ("endpoint.models_at", |it| it.models_at = None),
        ("endpoint.told", |it| it.told.note(&sample::endpoint::finished(77))),
        ("endpoint.revision", |it| it.revision = Version(99)),
    ]
}

fn proxy_changes(proxy: &Proxy) -> Vec<Change<Proxy>> {
    let Proxy { settings: _, told: _, revision: _ } = proxy;
    vec![
        ("proxy.zone", |it| it.settings.zone = "UTC".into()),
        ("proxy.aliases", |it| it.settings.aliases.clear()),
        ("proxy.told", |it| it.told.note(&sample::endpoint::finished(77))),
        ("proxy.revision", |it| it.revision = Version(99)),
    ]
}

fn alert_changes(alerts: &Alerts) -> Vec<Change<Alerts>> {
    let Alerts { changed: _, channels: _, mutes: _, mutes_made: _, alerts: _, raised: _, cleared: _, .. } = alerts;
    let Alerts { quiet: _, outbox: _, dead: _, buried: _, done: _, tally: _, revision: _, .. } = alerts;
    vec![
        ("alerts.changed", |it| it.changed.clear()),
        ("alerts.channels", |it| it.channels.clear()),
        ("alerts.mutes", |it| it.mutes.clear()),
        ("alerts.mutes_made", |it| it.mutes_made += 1),
        ("alerts.alerts", |it| it.alerts.clear()),
        ("alerts.raised", |it| it.raised.clear()),
        ("alerts.cleared", |it| it.cleared.clear()),
        ("alerts.quiet", |it| it.quiet.clear()),
        ("alerts.outbox", |it| it.outbox.clear()),
        ("alerts.dead", |it| it.dead.clear()),
        ("alerts.buried", |it| it.buried.clear()),
        ("alerts.done", |it| it.done.clear()),
        ("alerts.tally", |it| it.tally.raised += 1),
        ("alerts.revision", |it| it.revision = Version(99)),
    ]
}

fn the_link(account: &mut Account) -> &mut account::Link {
    account.links.values_mut().next().unwrap()
}

fn slot_changes(slot: &Slot) -> Vec<Change<Slot>> {
    let Slot { version: _, touched: _, answers: _, reacted: _, state: _ } = slot;
    vec![
        ("version", |slot| slot.version = slot.version.next()),
        ("touched", |slot| slot.touched = slot.touched.next()),
        ("answers", |slot| slot.answers = Answers::default()),
        ("reacted", |slot| slot.reacted = slot.reacted.next()),
    ]
}

#[test]
fn any_changed_field_changes_the_hash() {
    let good = full();
    assert_eq!(good.hash(), full().hash());
    let mut hashes = BTreeSet::from([good.hash()]);
    let mut count = 1;
    let mut differs = |what: &str, bad: &Truth| {
        assert!(hashes.insert(bad.hash()), "{what} is not in the hash");
        count += 1;
    };
    for (what, change) in slot_changes(&good.slots[0]) {
        let mut bad = good.clone();
        change(&mut bad.slots[0]);
        differs(what, &bad);
    }
    for (what, change) in desk_changes(good.desk().unwrap()) {
        let mut bad = good.clone();
        let State::Desk(desk) = &mut bad.slots[0].state else { panic!("the desk is first") };
        change(desk);
        differs(what, &bad);
    }
    for (what, change) in account_changes(good.accounts().last().unwrap().1) {
        let mut bad = good.clone();
        let State::Account(account) = &mut bad.slots[2].state else { panic!("the slave is last") };
        change(account);
        differs(what, &bad);
    }
    let State::Endpoint(endpoint) = &good.slots[3].state else { panic!("the endpoint is the fourth") };
    for (what, change) in endpoint_changes(endpoint) {
        let mut bad = good.clone();
        let State::Endpoint(endpoint) = &mut bad.slots[3].state else { panic!("the endpoint is the fourth") };
        change(endpoint);
        differs(what, &bad);
    }
    for (what, change) in proxy_changes(good.proxy().unwrap()) {
        let mut bad = good.clone();
        let State::Proxy(proxy) = &mut bad.slots[4].state else { panic!("the proxy is last") };
        change(proxy);
        differs(what, &bad);
    }
    for (what, change) in alert_changes(good.alerts().unwrap()) {
        let mut bad = good.clone();
        let State::Alerts(alerts) = &mut bad.slots[5].state else { panic!("alerts are last") };
        change(alerts);
        differs(what, &bad);
    }
    assert_eq!(count, 100);
}

#[test]
fn an_unbelievable_commit_is_refused_by_what_is_wrong_with_it() {
    use crate::sample::log::Log;
    use crate::view::{Fold, FoldError};
    let mut log = Log::new();
    log.seal();
    let (mut fold, mut space) = (Fold::default(), Unpacked::default());
    let mut count = 0;
    fold.apply_commit(&log.commits[0], &mut space, |_, _| count += 1).unwrap();
    assert_eq!((count, fold.truth.position()), (1, Position(1)));
    let twice = fold.apply_commit(&log.commits[0], &mut space, |_, _| count += 1).unwrap_err();
    assert!(matches!(twice, FoldError::Unbelievable(Unbelievable::Position { .. })), "{twice}");
    let mut damaged = log.commits[0].clone();
    damaged.kept.pop();
    let damaged = fold.apply_commit(&damaged, &mut space, |_, _| count += 1).unwrap_err();
    assert!(matches!(damaged, FoldError::Commit(_)), "{damaged}");
    assert_eq!(count, 1);
}

/// Logs of random days, as a desk would write them.
mod any_day {
    use super::*;
    use crate::commit::Head;
    use crate::sample::log::{Log, Step, day};
    use crate::view::Fold;
    use proptest::prelude::*;

    fn replayed(fold: &mut Fold, log: &Log, commits: std::ops::Range<usize>) {
        let mut space = Unpacked::default();
        for commit in &log.commits[commits] {
            fold.apply_commit(commit, &mut space, |_, _| {}).unwrap();
        }
    }

    fn steps() -> impl proptest::strategy::Strategy<Value = Vec<Step>> {
        prop::collection::vec(any::<Step>(), 1..120)
    }

    /// Counts of what some fixed days hold: properties over logs in which nothing happens would prove nothing.
    #[test]
    fn the_days_are_worth_something() {
        let mut kinds = BTreeMap::<&str, usize>::new();
        let mut commits = 0;
        for seed in 0u32..150 {
            let mut state = seed.wrapping_mul(0x9e37_79b9).wrapping_add(1);
            let mut byte = || {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            };
            let log = day(&(0..200).map(|_| (byte(), byte(), byte())).collect::<Vec<_>>());
            commits += log.commits.len();
            log.records.iter().for_each(|record| *kinds.entry(record.event.kind().name).or_default() += 1);
        }
        assert!(commits > 300, "{commits}");
        for name in ["heartbeat_seen", "account_offline", "status_changed", "link_removed", "master_noted"] {
            assert!(kinds.get(name).is_some_and(|count| *count > 50), "{name}: {kinds:?}");
        }
        for name in ["copy_decided", "order_issued", "order_answered", "signal_taken", "link_ended", "snapshot_taken"] {
            assert!(kinds.get(name).is_some_and(|count| *count > 100), "{name}: {kinds:?}");
        }
        let told = ["stop_taken", "sync_wanted", "warning_raised", "warning_cleared", "limit_hit", "state_differed"];
        for name in told {
            assert!(kinds.contains_key(name), "{name}: {kinds:?}");
        }
        for name in ["command_answered", "session_ended", "user_removed", "desk_unlocked", "account_unregistered"] {
            assert!(kinds.get(name).is_some_and(|count| *count > 10), "{name}: {kinds:?}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn a_replay_is_what_happened(steps in steps()) {
            let log = day(&steps);
            let mut head = Head::default();
            for commit in &log.commits {
                prop_assert_eq!(commit.check(&head), Ok(()));
                head = commit.head();
            }
            let mut fold = Fold::default();
            replayed(&mut fold, &log, 0..log.commits.len());
            prop_assert_eq!(&fold, &log.fold);
            prop_assert_eq!(fold.truth.hash(), log.fold.truth.hash());
        }

        #[test]
        fn a_snapshot_and_its_tail_are_the_whole(steps in steps(), cut in any::<prop::sample::Index>()) {
            let log = day(&steps);
            let cut = cut.index(log.commits.len() + 1);
            let mut before = Fold::default();
            replayed(&mut before, &log, 0..cut);
            let mut after = Fold::from_bytes(&before.to_bytes()).unwrap();
            prop_assert_eq!(&after, &before);
            replayed(&mut after, &log, cut..log.commits.len());
            prop_assert_eq!(after.truth.hash(), log.fold.truth.hash());
            prop_assert_eq!(after.views.hashes(), log.fold.views.hashes());
            prop_assert_eq!(after, log.fold);
        }

        /// Orders are numbered and named once, decisions are made once, and no book contradicts itself.
        #[test]
        fn the_books_hold_together(steps in steps()) {
            crate::sample::log::trading::check_books(&day(&steps));
        }

        #[test]
        fn what_a_desk_shows_follows_from_what_it_knows(steps in steps()) {
            let truth = day(&steps).fold.truth;
            for (_, account) in truth.accounts() {
                let evaluated = account.evaluate();
                prop_assert_eq!((account.status, account.warnings), (evaluated.status, evaluated.warnings));
                for (master, link) in &account.links {
                    prop_assert!(truth.slaves_of(master).any(|slave| *slave == account.id));
                    let evaluated = account.evaluate_link(link);
                    prop_assert_eq!((link.status, link.warnings), (evaluated.status, evaluated.warnings));
                    let master = truth.account(&StreamId::master(master));
                    let now = master.map_or(link.master_status, |master| master.status);
                    prop_assert_eq!(link.master_status, now, "a slave knows an old status of its master");
                }
            }
        }

        #[test]
        fn a_damaged_snapshot_never_panics(steps in steps(), place in any::<prop::sample::Index>(), byte in any::<u8>()) {
            let mut bytes = day(&steps[..steps.len().min(20)]).fold.to_bytes();
            let at = place.index(bytes.len());
            bytes[at] = byte;
            let _ = Fold::from_bytes(&bytes);
            let _ = Fold::from_bytes(&bytes[..at]);
        }
    }
}

/// A heartbeat of an older schema folds as the current one does.
#[test]
fn an_old_heartbeat_counts() {
    let mut truth = full();
    let sample = sample::events().into_iter().find(|event| event.kind().name == "heartbeat_seen").unwrap();
    let (bytes, _) = sample::bytes_of(&sample, sample.kind(), 1);
    let old = Event::decode(202, 1, &bytes).unwrap();
    let version = truth.slot(StreamNo(2)).unwrap().version.next();
    let record = sample::record(truth.position().next().0, 2, version.0, old);
    truth.apply(&record).unwrap();
    let HeartbeatSeen { equity, .. } = sample::heartbeat(true);
    let account = truth.account(&"slave/A_12".parse().unwrap()).unwrap();
    let figures = account.figures.as_ref().unwrap();
    assert_eq!((figures.equity, figures.received_at), (equity, record.recorded_at - Span::millis(2)));
}
