//! `/ws` with real sockets: what clients are told, how they come back, and that a bad one harms nobody.

use crate::client::Client;
use crate::desk::{Desk, Launch, heartbeat, wait_for, wait_until};
use crate::socket::Socket;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;

fn metric(client: &Client, name: &str) -> f64 {
    let text = client.get("/metrics").text;
    let line = text.lines().find(|line| line.split_whitespace().next() == Some(name));
    line.map_or(0.0, |line| line.rsplit(' ').next().unwrap().parse().unwrap())
}

fn names(list: &Value, field: &str) -> Vec<String> {
    list.as_array().unwrap().iter().map(|object| object[field].as_str().unwrap().to_string()).collect()
}

#[test]
fn a_client_gets_the_state_and_then_every_change() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/M_1").ok();
    admin.register("slave/S_1").ok();
    let mut socket = Socket::open(&admin, "");
    let snapshot = socket.snapshot();
    assert_eq!((&snapshot["why"], snapshot["at"].as_u64()), (&json!("connected"), Some(admin.position())));
    assert_eq!(snapshot["accounts"], admin.get("/api/accounts").ok()["accounts"]);
    assert_eq!(names(&snapshot["groups"], "master_account"), ["M_1"]);
    assert_eq!(snapshot["settings"]["settings"], admin.get("/api/settings").ok()["settings"]);
    assert_eq!((&snapshot["desk"]["locked"], &snapshot["members"]), (&json!(false), &json!([])));
    assert_eq!(socket.since, admin.position());

    admin.toggle("master/M_1", true).ok();
    let changed = socket.until("connection_changed");
    assert_eq!(changed["data"], admin.account("master/M_1"));
    assert_eq!(socket.until("trade_group_updated")["data"]["enabled_flag"], true);
    let event = socket.find(|message| message["data"]["kind"] == "intent_set");
    assert_eq!((&event["type"], &event["position"]), (&json!("event"), &event["data"]["position"]));
    assert_eq!(event["data"], admin.get(&format!("/api/events/{}", event["position"])).ok());

    admin.call("PUT", "/api/links/S_1/M_1").send().ok();
    let member = socket.until("member_added")["data"].clone();
    assert_eq!((&member["trade_group_id"], &member["slave_account"]), (&json!("M_1"), &json!("S_1")));
    assert_eq!(
        (&member["runtime_status"], &member["status"], &member["allow_new_orders"]),
        (&json!(0), &json!(0), &json!(false))
    );
    admin.toggle("slave/S_1", true).ok();
    for account in ["master/M_1", "slave/S_1"] {
        admin.heartbeat(account);
    }
    let ready = socket.find(|message| message["type"] == "member_updated" && message["data"]["runtime_status"] == 2);
    assert_eq!((&ready["data"]["warning_codes"], &ready["data"]["allow_new_orders"]), (&json!([]), &json!(true)));
    admin.call("DELETE", "/api/links/S_1/M_1").send().ok();
    let gone = socket.until("member_deleted");
    assert_eq!(gone["data"], json!({"trade_group_id": "M_1", "slave_account": "S_1"}));

    admin.post("/api/lock", &json!({"locked": true, "reason": "news"})).ok();
    assert_eq!(socket.until("desk_updated")["data"]["lock_reason"], "news");
    let settings = json!({"name": "Night desk", "timeout_seconds": 9, "session_hours": 3});
    let revision = admin.get("/api/settings").ok()["revision"].to_string();
    admin.call("PUT", "/api/settings").header("if-match", revision).json(&settings).send().ok();
    assert_eq!(socket.until("settings_updated")["data"]["settings"], settings);
    // The figures of a heartbeat come without anything else having happened.
    admin.post("/api/heartbeats", &json!([heartbeat("slave/S_1", 7)])).ok();
    let told =
        socket.find(|message| message["data"]["account"] == "S_1" && message["data"]["last_heartbeat_at"].is_u64());
    assert_eq!(told["type"], "connection_changed");
}

#[test]
fn only_who_is_known_and_comes_from_here_gets_in() {
    let temp = tempfile::tempdir().unwrap();
    let (desk, admin) = Desk::with_admin(temp.path());
    let viewer = desk.token(&admin, "viewer", "viewer");
    let token = viewer.token.clone().unwrap();
    let stranger = desk.client();
    let host = stranger.base.trim_start_matches("http://");
    let own = format!("http://{host}");
    let protocol = format!("tidehelm.1, token.{token}");
    let knock = |client: &Client, query: &str, headers: &[(&str, &str)]| {
        Socket::knock(client, query, headers).map(|mut socket| socket.snapshot()["why"].clone())
    };
    let refused = |status: u16, code: &str| Err((status, code.to_string()));
    assert_eq!(knock(&stranger, "", &[]), refused(401, "login_needed"));
    assert_eq!(knock(&stranger.with_token("thk_made_up"), "", &[]), refused(401, "login_needed"));
    assert_eq!(
        knock(&stranger, "", &[("sec-websocket-protocol", "tidehelm.1, token.thk_no")]),
        refused(401, "login_needed")
    );
    assert_eq!(knock(&admin, "", &[("origin", "http://evil.example")]), refused(403, "origin_foreign"));
    assert_eq!(knock(&admin, "", &[("origin", "null")]), refused(403, "origin_foreign"));
    assert_eq!(knock(&viewer, &format!("?token={token}"), &[]), refused(422, "invalid"), "it would stand in logs");
    assert_eq!(knock(&viewer, "?subscribe=accounts,quotes", &[]), refused(422, "invalid"));
    assert_eq!(viewer.get("/ws").problem(426), "upgrade_needed");
    let in_fine = Ok(json!("connected"));
    assert_eq!(knock(&viewer, "", &[]), in_fine);
    assert_eq!(knock(&admin, "", &[("origin", &own)]), in_fine);
    assert_eq!(knock(&stranger, "", &[("sec-websocket-protocol", &protocol)]), in_fine);
}

#[test]
fn a_session_ends_with_its_credential() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("http.ws_ping_every", "200ms");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "viewer");
    let mut socket = Socket::open(&bot, "");
    socket.snapshot();
    let id = admin.get("/api/tokens").ok()["tokens"][0]["id"].as_str().unwrap().to_string();
    admin.call("DELETE", &format!("/api/tokens/{id}")).send().ok();
    assert_eq!(socket.closed(), (1008, "login_needed".into()));
    wait_until("the session is gone", || metric(&admin, "tidehelm_ws_sessions") == 0.0);
    assert_eq!(metric(&admin, "tidehelm_ws_closed_total{reason=\"login_needed\"}"), 1.0);
}

#[test]
fn who_comes_back_is_told_what_was_missed() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("actors.mailbox", "10000");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "operator");
    bot.register("master/M_1").ok();
    bot.call("PUT", "/api/links/S_1/M_1").send().ok();
    let (mut other, mut socket) = (Socket::open(&bot, ""), Socket::open(&bot, ""));
    other.snapshot();
    socket.snapshot();
    let since = socket.since;
    drop(socket);
    bot.toggle("master/M_1", true).ok();
    bot.call("DELETE", "/api/links/S_1/M_1").send().ok();
    other.until("member_deleted");

    // While somebody watches, from the feed.
    let missed = |desk: &Desk, from: &str| {
        let mut socket = Socket::open(&desk.again(&bot), &format!("?since={since}"));
        assert_eq!(
            socket.next(),
            json!({"position": since, "type": "resumed", "data": {"since": since, "from": from}})
        );
        let told = socket.all_until(|message| message["data"]["kind"] == "link_removed");
        let one =
            |kind: &str| told.iter().find(|message| message["type"] == kind).unwrap_or_else(|| panic!("{told:?}"));
        let group = &one("trade_group_updated")["data"];
        assert_eq!((&group["master_account"], &group["enabled_flag"]), (&json!("M_1"), &json!(true)));
        assert_eq!(one("member_deleted")["data"]["slave_account"], "S_1");
        let events = told.iter().filter(|message| message["type"] == "event");
        let events: Vec<u64> = events.map(|event| event["position"].as_u64().unwrap()).collect();
        let kept = desk.again(&bot).get(&format!("/api/events?class=business&limit=1000&from={since}")).ok();
        let kept = kept["events"].as_array().unwrap().iter().map(|event| event["position"].as_u64().unwrap());
        assert_eq!(events, kept.take_while(|position| position <= events.last().unwrap()).collect::<Vec<_>>());
    };
    missed(&desk, "feed");
    // After a kill, and with nobody watching, from the log.
    drop(other);
    let desk = desk.kill9().start();
    missed(&desk, "log");

    let bot = desk.again(&bot);
    let why = |query: &str| Socket::open(&bot, query).snapshot()["why"].clone();
    assert_eq!(why(&format!("?since={}", bot.position() + 1000)), "ahead_of_log");
    for _ in 0..4 {
        let many: Vec<Value> = (0..2_500).map(|number| heartbeat("master/M_1", number)).collect();
        bot.post("/api/heartbeats", &Value::Array(many)).ok();
    }
    bot.toggle("master/M_1", false).ok();
    assert_eq!(why(&format!("?since={since}")), "too_far");
}

#[test]
fn after_an_outage_of_the_log_everybody_begins_anew() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("store.stall_after", "500ms").set("store.lease", "2s").may_log_errors();
    let desk = launch.start();
    let admin = desk.welcome("ann");
    admin.register("master/M_1").ok();
    let mut socket = Socket::open(&admin, "");
    socket.snapshot();
    let database = rusqlite::Connection::open(temp.path().join("tidehelm.db")).unwrap();
    database.execute_batch("begin immediate").unwrap();
    assert_eq!(admin.toggle("master/M_1", true).problem(503), "log_unavailable");
    database.execute_batch("rollback").unwrap();
    let again = socket.snapshot();
    assert_eq!((&again["why"], names(&again["accounts"], "account")), (&json!("recovered"), vec!["M_1".to_string()]));
    wait_until("it is ready again", || admin.get("/readyz").status == 200);
    admin.toggle("master/M_1", true).ok();
    socket.find(|message| message["data"]["account"] == "M_1" && message["data"]["enabled_flag"] == true);
    assert_eq!(metric(&admin, "tidehelm_ws_snapshots_again_total"), 1.0);
}

#[test]
fn a_client_says_which_topics_it_wants() {
    let temp = tempfile::tempdir().unwrap();
    let (_desk, admin) = Desk::with_admin(temp.path());
    admin.register("master/M_1").ok();
    let mut socket = Socket::open(&admin, "?subscribe=groups");
    let snapshot = socket.snapshot();
    assert_eq!((&snapshot["accounts"], names(&snapshot["groups"], "master_account")), (&json!([]), vec!["M_1".into()]));
    assert_eq!(snapshot["desk"], Value::Null);
    admin.toggle("master/M_1", true).ok();
    assert_eq!(socket.next()["type"], "trade_group_updated");
    socket.say(r#"{"subscribe": ["desk", "accounts"]}"#);
    assert_eq!(socket.until("subscribed")["data"], json!({"topics": ["desk", "accounts"]}));
    let snapshot = socket.snapshot();
    assert_eq!((&snapshot["why"], &snapshot["groups"]), (&json!("subscribed"), &json!([])));
    admin.toggle("master/M_1", false).ok();
    assert_eq!(socket.next()["type"], "connection_changed");
    socket.say(r#"{"subscribe": ["accounts"]}"#);
    assert_eq!(socket.next()["type"], "subscribed");
    admin.toggle("master/M_1", true).ok();
    assert_eq!(socket.next()["type"], "connection_changed", "who wants less has no need of a snapshot");
}

#[test]
fn what_a_client_says_is_bounded_and_nonsense_is_answered() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("http.ws_ping_every", "1m");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let mut socket = Socket::open(&admin, "");
    socket.snapshot();
    for nonsense in ["", "hello", "{}", r#"{"ack": -1}"#, r#"{"shout": 1}"#, r#"{"ack": 1, "subscribe": []}"#] {
        socket.say(nonsense);
        assert_eq!(socket.until("error")["data"]["code"], "malformed", "{nonsense}");
    }
    socket.try_say(Message::binary(vec![1, 2, 3])).unwrap();
    assert_eq!(socket.until("error")["data"]["code"], "malformed");
    socket.say(r#"{"subscribe": ["quotes"]}"#);
    assert_eq!(socket.until("error")["data"]["code"], "topic_unknown");
    socket.say(&"x".repeat(5000));
    assert_eq!(socket.closed(), (1009, "message_too_large".into()));

    let mut socket = Socket::open(&admin, "");
    for _ in 0..200 {
        if socket.try_say(Message::text(r#"{"ack": 1}"#)).is_err() {
            break;
        }
    }
    assert_eq!(socket.closed(), (1008, "too_many_messages".into()));
}

#[test]
fn there_are_as_many_sessions_as_allowed_and_a_stop_says_goodbye() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Launch::new(temp.path()).set("http.ws_clients_max", "2").start();
    let admin = desk.welcome("ann");
    let (mut one, two) = (Socket::open(&admin, ""), Socket::open(&admin, ""));
    one.snapshot();
    let third = || Socket::knock(&admin, "", &[]);
    assert_eq!(third().map(drop), Err((503, "too_many_sessions".into())));
    assert_eq!(metric(&admin, "tidehelm_ws_sessions"), 2.0);
    drop(two);
    let mut third = wait_for("a place is free", || third().ok());
    third.snapshot();
    desk.terminate();
    assert_eq!((one.closed(), third.closed()), ((1001, "stopping".into()), (1001, "stopping".into())));
    desk.stop();
}

#[test]
fn who_does_not_answer_is_closed() {
    let temp = tempfile::tempdir().unwrap();
    let desk = Launch::new(temp.path()).set("http.ws_ping_every", "200ms").start();
    let admin = desk.welcome("ann");
    let mut silent = Socket::open(&admin, "");
    wait_until("it is closed", || metric(&admin, "tidehelm_ws_closed_total{reason=\"not_answering\"}") == 1.0);
    assert_eq!(silent.closed(), (1008, "not_answering".into()));
    let mut well = Socket::open(&admin, "");
    well.snapshot();
    admin.register("master/M_1").ok();
    well.until("connection_changed");
}

/// Kilobytes of memory that the desk holds.
fn resident(desk: &Desk) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", desk.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn clients_that_never_read_cost_a_window_and_the_others_get_theirs() {
    const STALLED: usize = 20;
    const ROUNDS: u64 = 2000;
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("http.ws_ping_every", "1m").set("http.ws_window", "64KiB");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "operator");
    bot.register("master/M_1").ok();
    let _stalled: Vec<Socket> = (0..STALLED).map(|_| Socket::open(&bot, "")).collect();
    let mut slow = Socket::open(&bot, "");
    let mut reader = Socket::open(&bot, "");
    reader.snapshot();
    let before = resident(&desk);
    let (mut told, mut last) = (0, 0);
    for round in 1..=ROUNDS {
        let (_, position) = bot.toggle("master/M_1", round % 2 == 1).events().unwrap();
        while last < position {
            let message = reader.next();
            (told, last) = (told + message.to_string().len() as u64, message["position"].as_u64().unwrap());
        }
    }
    let sent = metric(&bot, "tidehelm_ws_sent_bytes_total") as u64;
    let grown = resident(&desk).saturating_sub(before);
    let unread = told * (STALLED as u64 + 1);
    println!("{told} bytes told to the reader, {unread} withheld, {sent} sent to all, {grown} KiB grown");
    assert!(told > 2_000_000, "too little was told to tell anything: {told}");
    assert!(sent < told * 2 + (STALLED as u64 + 1) * (80 << 10), "more than a window went to those who do not read");
    // The log, its ring and the feed grow as well; what the stalled ones were not sent would be more than this.
    assert!(grown * 1024 < unread / 2, "{grown} KiB grown, {unread} bytes withheld");

    // Who was slow, and reads at last, ends with what is.
    bot.toggle("master/M_1", true).ok();
    bot.register("master/M_2").ok();
    let changes = std::cell::Cell::new(0);
    slow.find(|message| {
        changes.set(changes.get() + u32::from(message["data"]["account"] == "M_1"));
        message["type"] == "event" && message["data"]["stream"] == "master/M_2"
    });
    let snapshot_and_window = changes.get();
    assert!(snapshot_and_window < 200, "{snapshot_and_window} of {ROUNDS} changes of one account were told");
    assert!(metric(&bot, "tidehelm_ws_conflated_total") > 0.0);
}

#[test]
fn a_slow_client_ends_with_the_current_state() {
    let temp = tempfile::tempdir().unwrap();
    let launch = Launch::new(temp.path()).set("http.ws_ping_every", "1m").set("http.ws_window", "16KiB");
    let desk = launch.start();
    let admin = desk.welcome("ann");
    let bot = desk.token(&admin, "bot", "operator");
    let mut slow = Socket::open(&bot, "?subscribe=accounts,groups");
    let mut seen = std::collections::BTreeMap::new();
    for round in 0..6 {
        for account in 0..20 {
            bot.register(&format!("slave/S_{account}")).ok();
            bot.toggle(&format!("slave/S_{account}"), (round + account) % 2 == 0).ok();
        }
    }
    bot.register("slave/END").ok();
    let accounts = bot.get("/api/accounts").ok()["accounts"].as_array().unwrap().clone();
    assert_eq!(accounts.len(), 21);
    let name = |account: &Value| account["account"].as_str().unwrap().to_string();
    // What changed at once is told in the order of names, so END may come before others. Where something stays missing, the
    // next message does not come.
    while accounts.iter().any(|account| seen.get(&name(account)) != Some(account)) {
        let message = slow.next();
        let objects = match message["type"].as_str() {
            Some("connection_changed") => vec![message["data"].clone()],
            Some("snapshot") => message["data"]["accounts"].as_array().cloned().unwrap_or_default(),
            _ => Vec::new(),
        };
        seen.extend(objects.into_iter().map(|account| (name(&account), account)));
    }
}
